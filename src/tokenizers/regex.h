// SPDX-License-Identifier: Apache-2.0
// Regular expressions as tokenizer files hold them: in Oniguruma's (Ruby's) syntax, which the
// tokenizers package uses. They are rewritten for PCRE2, which this header hides; without a JIT
// (WebAssembly) matching is slower.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace mlc::tokenizers {

struct Span {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const Span&) const = default;
};

class Regex {
 public:
  Regex();  // matches nothing; to be assigned
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // `where` begins the message for an expression that can't be compiled.
  static Result<Regex> compile(std::string_view pattern, std::string_view where);

  // Appends the matches in `subject` (valid UTF-8), left to right and not overlapping. An empty
  // match right behind the match before is none.
  void find_all(std::string_view subject, std::vector<Span>& matches) const;

 private:
  struct Compiled;
  static Result<std::unique_ptr<Compiled>> compile_translated(std::string_view pattern,
                                                              std::string_view translated,
                                                              std::string_view where);
  std::unique_ptr<Compiled> compiled_;
  std::unique_ptr<Compiled>
      newer_;  // for texts with characters that PCRE2 does not know; may be absent
};

// The expression in PCRE2's syntax (with UTF, UCP and MULTILINE): with the characters that PCRE2's
// properties know, or with those that Oniguruma's know too, which takes long classes. For tests and
// for regex.cpp.
enum class UnicodeVersion { kPcre2, kOniguruma };
Result<std::string> pcre2_from_oniguruma(std::string_view pattern, UnicodeVersion version,
                                         std::string_view where);

}  // namespace mlc::tokenizers
