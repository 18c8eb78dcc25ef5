// SPDX-License-Identifier: Apache-2.0
#include "support/error.h"

#include <cstdio>
#include <cstdlib>

#include "support/printable.h"
#include "support/strings.h"

namespace mlc {

std::string Error::to_string() const {
  std::string text = kind == ErrorKind::kInternal ? "internal error: " : "error: ";
  if (!where.empty()) text += where + ": ";
  text += found;
  if (!expected.empty()) text += "\n  expected " + expected;
  if (!remedy.empty()) text += "\n  " + remedy;
  return escape_unprintable(text);
}

Error user_error(std::string where, std::string found, std::string expected, std::string remedy) {
  return {ErrorKind::kUser, std::move(where), std::move(found), std::move(expected),
          std::move(remedy)};
}

Error usage_error(std::string where, std::string found, std::string expected, std::string remedy) {
  return {ErrorKind::kUsage, std::move(where), std::move(found), std::move(expected),
          std::move(remedy)};
}

Error unknown_name_error(ErrorKind kind, std::string where, std::string_view what,
                         std::string_view name, const std::vector<std::string>& known) {
  Error error{kind, std::move(where), "unknown " + std::string(what), "", ""};
  if (!name.empty()) error.found += " " + std::string(name);
  if (!known.empty()) error.expected = "one of " + join(known, ", ");
  const std::vector<std::string> near = near_matches(name, known);
  if (!near.empty()) error.remedy = "did you mean " + join(near, " or ") + "?";
  return error;
}

namespace detail {

void abort_on_error(const Error& error) {
  std::fprintf(stderr, "%s\n  (an error was ignored; this is a bug of mlc_llm)\n",
               error.to_string().c_str());
  std::_Exit(3);
}

}  // namespace detail
}  // namespace mlc
