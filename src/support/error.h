// SPDX-License-Identifier: Apache-2.0
// What went wrong, in four parts, and Result<T>: the way a function reports it without exceptions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mlc {

// Decides the exit status: kUser 1 (input, file or machine), kUsage 2 (the command line), kInternal
// 3 (us).
enum class ErrorKind { kUser, kUsage, kInternal };

struct Error {
  ErrorKind kind = ErrorKind::kUser;
  std::string where;     // file, tensor, flag; may be empty
  std::string found;     // what is wrong, in the user's spelling
  std::string expected;  // may be empty; printed after "expected "
  std::string remedy;    // may be empty; what to do

  // "error: WHERE: FOUND\n  expected EXPECTED\n  REMEDY"; always valid UTF-8.
  std::string to_string() const;
};

// The usual way to make one: user_error(path, "has 3 bytes", "at least 8", "download it again").
Error user_error(std::string where, std::string found, std::string expected = {},
                 std::string remedy = {});
Error usage_error(std::string where, std::string found, std::string expected = {},
                  std::string remedy = {});

// "one of a, b, c" and, when a name is close, the remedy "did you mean a?".
Error unknown_name_error(ErrorKind kind, std::string where, std::string_view what,
                         std::string_view name, const std::vector<std::string>& known);

namespace detail {
[[noreturn]] void abort_on_error(const Error& error);
}  // namespace detail

// Either a T or an Error. value() of an Error ends the process: check ok() first.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    if (!ok()) detail::abort_on_error(error());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& { return const_cast<Result*>(this)->value(); }
  // By value, so that `for (x : f().value())` keeps what it walks over alive.
  T value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const {
    if (!ok()) detail::abort_on_error(*error_);
  }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace mlc

#define MLC_CONCAT_INNER(a, b) a##b
#define MLC_CONCAT(a, b) MLC_CONCAT_INNER(a, b)

// MLC_RETURN_IF_ERROR(f(x));  MLC_ASSIGN_OR_RETURN(auto y, g(x));
#define MLC_RETURN_IF_ERROR(expr)                     \
  do {                                                \
    if (auto mlc_status = (expr); !mlc_status.ok()) { \
      return mlc_status.error();                      \
    }                                                 \
  } while (false)

#define MLC_ASSIGN_OR_RETURN(decl, expr) \
  MLC_ASSIGN_OR_RETURN_INNER(MLC_CONCAT(mlc_result_, __LINE__), decl, expr)
#define MLC_ASSIGN_OR_RETURN_INNER(tmp, decl, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.error();                \
  decl = std::move(tmp).value()
