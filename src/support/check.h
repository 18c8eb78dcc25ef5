// SPDX-License-Identifier: Apache-2.0
// MLC_CHECK(cond) << "what we believed": an invariant of ours. A user must never be able to reach one.
// Where exceptions are on (compiler column, cli, tests) it throws InternalError, elsewhere it ends the
// process with status 3.
// MLC_IR_CHECK(cond) << "what is wrong": a rule of the graph or kernel IR. Throws IrError with these words alone.
#pragma once

#include <sstream>
#include <string>

#if defined(__cpp_exceptions)
#include "support/throw.h"
#endif

namespace mlc::detail {

[[noreturn]] void abort_on_check(const std::string& message);

struct CheckVoidify {
  void operator&(std::ostream&) {}
};

class AbortingCheck {
 public:
  AbortingCheck(const char* file, int line, const char* condition) {
    stream_ << file << ":" << line << ": " << condition << " does not hold: ";
  }
  [[noreturn]] ~AbortingCheck() { abort_on_check(stream_.str()); }
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

#if defined(__cpp_exceptions)
class ThrowingCheck {
 public:
  ThrowingCheck(const char* file, int line, const char* condition) {
    stream_ << file << ":" << line << ": " << condition << " does not hold: ";
  }
  [[noreturn]] ~ThrowingCheck() noexcept(false) { throw InternalError(stream_.str()); }
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

class IrCheck {
 public:
  [[noreturn]] ~IrCheck() noexcept(false) { throw IrError(stream_.str()); }
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};
#endif

}  // namespace mlc::detail

#if defined(__cpp_exceptions)
#define MLC_CHECK_FAILURE ::mlc::detail::ThrowingCheck
#else
#define MLC_CHECK_FAILURE ::mlc::detail::AbortingCheck
#endif

#define MLC_CHECK(cond) \
  (cond) ? (void)0      \
         : ::mlc::detail::CheckVoidify() & MLC_CHECK_FAILURE(__FILE__, __LINE__, #cond).stream()

#define MLC_UNREACHABLE() MLC_CHECK_FAILURE(__FILE__, __LINE__, "unreachable").stream()

#if defined(__cpp_exceptions)
#define MLC_IR_CHECK(cond) \
  (cond) ? (void)0         \
         : ::mlc::detail::CheckVoidify() & ::mlc::detail::IrCheck().stream()
#endif
