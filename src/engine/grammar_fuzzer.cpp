// SPDX-License-Identifier: Apache-2.0
// Sources of grammars of every kind, and the masks of what they become: whatever a mask allows must
// be accepted. The first byte chooses the kind, the next ones the way.
#include <cstdlib>
#include <span>

#include "engine/grammar.h"
#include "engine/grammar/token_trie.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mlc::engine::ResponseFormat;
  constexpr size_t kSteps = 16;
  if (size < kSteps + 1) return 0;
  static const auto vocabulary = [] {
    std::vector<std::string> tokens;
    for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
    for (const char* text : {"\"}", "\": ", ", \"", "[[", "]]", "true", "12", "é\"", "  \n"}) {
      tokens.emplace_back(text);
    }
    return std::make_shared<mlc::engine::GrammarVocabulary>(tokens);
  }();
  constexpr ResponseFormat::Kind kKinds[] = {
      ResponseFormat::Kind::kJsonSchema, ResponseFormat::Kind::kRegex, ResponseFormat::Kind::kEbnf};
  const std::string source(reinterpret_cast<const char*>(data) + kSteps + 1, size - kSteps - 1);
  const auto grammar = mlc::engine::Grammar::compile({kKinds[data[0] % 3], source}, vocabulary);
  if (!grammar.ok()) return 0;
  mlc::engine::GrammarMatcher matcher(*grammar);
  for (size_t step = 1; step <= kSteps; ++step) {
    const std::span<const uint64_t> view = matcher.allowed();
    const std::vector<uint64_t> mask(view.begin(), view.end());
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < vocabulary->tokens().num_ids(); ++id) {
      if ((mask[static_cast<size_t>(id) / 64] >> id % 64 & 1) != 0) allowed.push_back(id);
    }
    if (allowed.empty()) break;
    if (!matcher.accept(allowed[data[step] % allowed.size()]) && !matcher.too_ambiguous())
      std::abort();
  }
  return 0;
}
