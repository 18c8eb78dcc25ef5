// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar.h"

#include "engine/grammar/automaton.h"
#include "engine/grammar/machine.h"
#include "engine/grammar/readers.h"
#include "engine/grammar/token_trie.h"
#include "support/json.h"

namespace mlc::engine {
namespace {

Result<grammar::Rules> read_rules(const ResponseFormat& format) {
  using Kind = ResponseFormat::Kind;
  switch (format.kind) {
    case Kind::kText:
      return user_error("response_format", "is text", "a form that constrains an answer");
    case Kind::kJsonObject:
      return grammar::read_json_schema(Json(Json::Object{{"type", "object"}}), "json_object");
    case Kind::kJsonSchema: {
      MLC_ASSIGN_OR_RETURN(const Json schema, parse_json(format.source, "json_schema"));
      return grammar::read_json_schema(schema, "json_schema");
    }
    case Kind::kRegex:
      return grammar::read_regex(format.source, "regex");
    case Kind::kEbnf:
      return grammar::read_ebnf(format.source, "grammar");
  }
  return user_error("response_format", "is of no kind", "one that is known");
}

std::string_view name_of(ResponseFormat::Kind kind) {
  using Kind = ResponseFormat::Kind;
  switch (kind) {
    case Kind::kText:
      return "text";
    case Kind::kJsonObject:
      return "json_object";
    case Kind::kJsonSchema:
      return "json_schema";
    case Kind::kRegex:
      return "regex";
    case Kind::kEbnf:
      return "grammar";
  }
  return "";
}

std::vector<std::string> token_texts(const tokenizers::Tokenizer& tokenizer, int64_t vocab_size) {
  std::vector<std::string> texts(static_cast<size_t>(vocab_size));
  for (int32_t id = 0; id < vocab_size && id <= tokenizer.max_id(); ++id) {
    if (tokenizer.is_special(id) || !tokenizer.token_text(id)) continue;
    texts[static_cast<size_t>(id)] = tokenizer.token_bytes(id);
  }
  return texts;
}

}  // namespace

GrammarVocabulary::GrammarVocabulary(const tokenizers::Tokenizer& tokenizer, int64_t vocab_size)
    : GrammarVocabulary(token_texts(tokenizer, vocab_size)) {}

GrammarVocabulary::GrammarVocabulary(const std::vector<std::string>& tokens)
    : tokens_(std::make_unique<grammar::TokenTrie>(tokens)) {}

GrammarVocabulary::~GrammarVocabulary() = default;

Grammar::~Grammar() = default;

Result<std::shared_ptr<Grammar>> Grammar::compile(
    const ResponseFormat& format, std::shared_ptr<const GrammarVocabulary> vocabulary) {
  MLC_ASSIGN_OR_RETURN(grammar::Rules rules, read_rules(format));
  if (!format.before.empty() || !format.after.empty()) {
    const size_t whole = rules.add("answer");
    rules.rules[whole].body =
        grammar::sequence({grammar::literal(format.before), grammar::rule_reference(rules.root),
                           grammar::literal(format.after)});
    rules.root = whole;
  }
  MLC_ASSIGN_OR_RETURN(grammar::Automaton automaton,
                       grammar::build_automaton(rules, std::string(name_of(format.kind))));
  std::shared_ptr<Grammar> grammar(new Grammar());
  grammar->vocabulary_ = std::move(vocabulary);
  grammar->automaton_ = std::make_unique<grammar::Automaton>(std::move(automaton));
  return grammar;
}

GrammarMatcher::GrammarMatcher(std::shared_ptr<Grammar> grammar) : grammar_(std::move(grammar)) {
  std::shared_ptr<grammar::Machine>& machine = grammar_->machine_;
  if (!machine || machine->is_large()) {
    machine =
        std::make_shared<grammar::Machine>(*grammar_->automaton_, grammar_->vocabulary_->tokens());
  }
  machine_ = machine;
  config_ = machine_->start();
}

std::span<const uint64_t> GrammarMatcher::allowed() { return machine_->mask(config_); }

bool GrammarMatcher::accept(int32_t token) {
  const std::string_view bytes = grammar_->vocabulary_->tokens().bytes_of(token);
  return !bytes.empty() && accept_bytes(bytes);
}

bool GrammarMatcher::accept_bytes(std::string_view bytes) {
  const grammar::ConfigId next = machine_->step(config_, bytes);
  if (next == grammar::kDead) return false;
  config_ = next;
  return true;
}

bool GrammarMatcher::finished() const { return machine_->finished(config_); }
bool GrammarMatcher::exhausted() const { return !machine_->goes_on(config_); }
bool GrammarMatcher::too_ambiguous() const { return machine_->too_ambiguous(); }

}  // namespace mlc::engine
