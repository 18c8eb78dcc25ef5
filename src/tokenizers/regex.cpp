// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "support/strings.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

template <auto function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    function(object);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;

// An expression of a foreign file may backtrack without end: then the rest of the text has no
// match.
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;

}  // namespace

struct Regex::Compiled {
  Code code;
  MatchContext context;
  bool jit = false;
};

Regex::Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<std::unique_ptr<Regex::Compiled>> Regex::compile_translated(std::string_view pattern,
                                                                   std::string_view translated,
                                                                   std::string_view where) {
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length(context.get(), 1 << 20);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto compiled = std::make_unique<Compiled>();
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                     translated.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                                     &error, &offset, context.get()));
  if (compiled->code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return user_error(std::string(where),
                      cat("regular expression ", pattern,
                          " can't be compiled: ", reinterpret_cast<const char*>(message)));
  }
  compiled->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled->context.get(), kMatchLimit);
  pcre2_set_heap_limit(compiled->context.get(), kHeapLimitKib);
  compiled->jit = pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE) == 0;
  return compiled;
}

Result<Regex> Regex::compile(std::string_view pattern, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const std::string usual,
                       pcre2_from_oniguruma(pattern, UnicodeVersion::kPcre2, where));
  MLC_ASSIGN_OR_RETURN(const std::string newer,
                       pcre2_from_oniguruma(pattern, UnicodeVersion::kOniguruma, where));
  Regex regex;
  MLC_ASSIGN_OR_RETURN(regex.compiled_, compile_translated(pattern, usual, where));
  if (newer != usual) {
    MLC_ASSIGN_OR_RETURN(regex.newer_, compile_translated(pattern, newer, where));
  }
  return regex;
}

void Regex::find_all(std::string_view subject, std::vector<Span>& matches) const {
  if (compiled_ == nullptr) return;
  const Compiled& compiled =
      newer_ != nullptr && has_newer_characters(subject) ? *newer_ : *compiled_;
  const pcre2_code* code = compiled.code.get();
  const MatchData data(pcre2_match_data_create(1, nullptr));
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data());
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data.get());
  size_t at = 0;
  size_t last_end = static_cast<size_t>(-1);
  while (at <= subject.size()) {
    int status = PCRE2_ERROR_JIT_STACKLIMIT;
    if (compiled.jit) {
      status =
          pcre2_jit_match(code, text, subject.size(), at, 0, data.get(), compiled.context.get());
    }
    if (status == PCRE2_ERROR_JIT_STACKLIMIT) {
      status = pcre2_match(code, text, subject.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                           data.get(), compiled.context.get());
    }
    if (status < 0) return;
    const Span match{found[0], found[1]};
    if (match.end < match.begin || match.end < at) return;  // \K in a lookahead
    if (match.begin < match.end) {
      matches.push_back(match);
      at = match.end;
    } else {
      if (match.begin != last_end) matches.push_back(match);
      if (match.end == subject.size()) return;
      at = match.end + utf8_length(subject[match.end]);
    }
    last_end = match.end;
  }
}

}  // namespace mlc::tokenizers
