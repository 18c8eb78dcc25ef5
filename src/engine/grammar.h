// SPDX-License-Identifier: Apache-2.0
// Answers in a form that was asked for: which tokens may come next so that the text stays the
// beginning of one that a grammar matches. A grammar is read once and may be used for any number of
// answers, one step at a time; nothing here is for several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "tokenizers/tokenizer.h"

namespace mlc::engine {

namespace grammar {
struct Automaton;
class Machine;
class TokenTrie;
}  // namespace grammar

// What an answer must be. docs/grammar.md says which EBNF, regular expressions and schema keywords
// are known.
struct ResponseFormat {
  enum class Kind : uint8_t {
    kText,        // anything
    kJsonObject,  // any JSON object
    kJsonSchema,  // `source` is a JSON schema
    kRegex,       // `source` matches the whole answer
    kEbnf,        // `source` has a rule `root`
  };
  Kind kind = Kind::kText;
  std::string source{};
  // Texts that stand around it as they are.
  std::string before{};
  std::string after{};
  bool operator==(const ResponseFormat&) const = default;
};

// The tokens of a vocabulary, ready for any number of grammars. Ids that no text has, special
// tokens and those from `vocab_size` on are never allowed.
class GrammarVocabulary {
 public:
  GrammarVocabulary(const tokenizers::Tokenizer& tokenizer, int64_t vocab_size);
  // tokens[id]: its bytes; an empty one is never allowed.
  explicit GrammarVocabulary(const std::vector<std::string>& tokens);
  ~GrammarVocabulary();
  const grammar::TokenTrie& tokens() const { return *tokens_; }

 private:
  std::unique_ptr<grammar::TokenTrie> tokens_;
};

class Grammar {
 public:
  // Errors name the place in the source: a keyword that is not known, a schema that nothing can
  // meet, a rule that is missing. kText makes no grammar and is an error.
  static Result<std::shared_ptr<Grammar>> compile(
      const ResponseFormat& format, std::shared_ptr<const GrammarVocabulary> vocabulary);
  ~Grammar();

 private:
  friend class GrammarMatcher;
  Grammar() = default;
  std::shared_ptr<const GrammarVocabulary> vocabulary_;
  std::unique_ptr<grammar::Automaton> automaton_;
  std::shared_ptr<grammar::Machine> machine_;  // for matchers that begin now
};

// One text on its way.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<Grammar> grammar);

  // Bit id % 64 of word id / 64 is set where the token may come next. Lives until the next call of
  // a matcher of this grammar.
  std::span<const uint64_t> allowed();
  // False, and nothing changes, if the token is not allowed.
  bool accept(int32_t token);
  bool accept_bytes(std::string_view bytes);
  // True if the text may end here.
  bool finished() const;
  // True if nothing may follow.
  bool exhausted() const;
  // True if the grammar reads the text in so many ways that they cannot be followed; then no token
  // is allowed.
  bool too_ambiguous() const;

 private:
  std::shared_ptr<Grammar> grammar_;
  std::shared_ptr<grammar::Machine> machine_;
  int32_t config_;
};

}  // namespace mlc::engine
