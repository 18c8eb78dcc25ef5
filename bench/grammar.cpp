// SPDX-License-Identifier: Apache-2.0
// What a response format costs: the time for a token's mask and for taking it, with a vocabulary of
// 128k tokens, along documents that the formats allow.
//
//   bench_grammar [TOKENIZER]     its folder or file; without one a vocabulary is made up
//
// "first" begins with nothing known of the grammar, and a vocabulary that no grammar has used;
// "again" with what the first answer left behind.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/grammar.h"
#include "engine/grammar/token_trie.h"
#include "engine/sampler.h"
#include "support/throw.h"

namespace mlc::engine {
namespace {

constexpr size_t kVocabulary = 128'256;

// Bytes, numbers of up to three digits, blanks, signs as they stand in JSON and in programs, and
// words of syllables, with and without a blank, a capital or a sign before them: in the proportions
// of a vocabulary as models have it.
std::vector<std::string> made_up_vocabulary() {
  std::mt19937 random(1);
  const auto draw = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  std::set<std::string> known;
  std::vector<std::string> tokens;
  const auto add = [&](const std::string& token) {
    if (tokens.size() < kVocabulary && known.insert(token).second) tokens.push_back(token);
  };
  for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
  for (int i = 0; i < 1000; ++i) {
    add(std::to_string(i));
    add(std::string(3 - std::to_string(i).size(), '0') + std::to_string(i));
  }
  for (size_t i = 1; i < 80; ++i) {
    add(std::string(i, ' '));
    add("\n" + std::string(i, ' '));
    add(std::string(i, '\n'));
    add(std::string(i, '\t'));
  }
  const std::string signs = "\"\"\"\"{}[]:,,()<>=;./\\'-_*#!?&|+ ";
  for (int i = 0; i < 12000; ++i) {
    std::string token;
    for (size_t k = 2 + draw(3); k > 0; --k) token += signs[draw(signs.size())];
    add(token);
  }
  const char* const first[] = {"b",  "c",  "d",  "f",  "g",  "h", "j", "k", "l",
                               "m",  "n",  "p",  "r",  "s",  "t", "v", "w", "st",
                               "tr", "ch", "sh", "pr", "pl", "",  "qu"};
  const char* const middle[] = {"a", "e", "i", "o", "u", "ea", "ou", "io", "y", "ä", "é"};
  const char* const last[] = {"", "n", "r", "s", "t", "l", "m", "d", "ng", "nt", "ck", "st"};
  const char* const other[] = {"д", "е", "о", "ан", "中", "的", "文", "ر", "ال", "の", "て", "한"};
  while (tokens.size() < kVocabulary) {
    std::string word;
    const bool foreign = draw(5) == 0;
    for (size_t k = 1 + draw(4); k > 0; --k) {
      if (foreign) {
        word += other[draw(std::size(other))];
      } else {
        word += first[draw(std::size(first))];
        word += middle[draw(std::size(middle))];
        word += last[draw(std::size(last))];
      }
    }
    if (draw(4) == 0 && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
    if (draw(2) == 0) word.insert(0, " ");
    if (draw(40) == 0) word.insert(0, 1, signs[draw(signs.size())]);
    if (draw(40) == 0) word += signs[draw(signs.size())];
    add(word);
  }
  return tokens;
}

struct Case {
  const char* name;
  ResponseFormat format;
  std::string document;
};

std::vector<Case> cases() {
  using Kind = ResponseFormat::Kind;
  const std::string person =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,
"maximum":150},"email":{"type":"string","format":"email"},"role":{"enum":["admin","editor","viewer"]},
"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"},
"zip":{"type":"string","pattern":"^[0-9]{5}$"}},"required":["street","city"],
"additionalProperties":false},"tags":{"type":"array","items":{"type":"string"},"maxItems":8},
"score":{"type":"number","minimum":0,"maximum":1},"note":{"type":"string","maxLength":200}},
"required":["name","age","address"],"additionalProperties":false})";
  const std::string person_document =
      R"({"name": "Anna Lindqvist", "age": 42, "email": "anna.lindqvist@example.org",
"role": "editor", "address": {"street": "Storgatan 12, second floor", "city": "Stockholm",
"zip": "11223"}, "tags": ["music", "hiking", "old maps", "bread"], "score": 0.8125,
"note": "Met at the conference in May; wants the slides of the second talk and asked about dates."})";
  const std::string tree =
      R"({"$defs":{"node":{"type":"object","properties":{"label":{"type":"string"},
"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["label","children"],
"additionalProperties":false}},"$ref":"#/$defs/node"})";
  const std::string tree_document =
      R"({"label": "root of all", "children": [{"label": "left side", "children": []},
{"label": "right side", "children": [{"label": "a leaf with a longer name", "children": []},
{"label": "another \"quoted\" leaf", "children": [{"label": "deep", "children": []}]}]}]})";
  const std::string any =
      R"({"id": 1042, "title": "A report on the rivers of the north", "ok": true, "ratio": -1.5e-3,
"authors": [{"first": "Jan", "last": "Novák"}, {"first": "Mei", "last": "陈"}],
"text": "The first river is long.\nThe second one is longer, and the third has not been measured.",
"nested": {"a": {"b": {"c": [1, 2, [3, 4, [5, null]]]}}}, "empty": {}, "list": []})";
  const std::string arithmetic =
      "root ::= term ([-+] term)*\nterm ::= factor ([*/] factor)*\n"
      "factor ::= [0-9]+ | \"(\" root \")\"";
  const std::string keywords =
      R"({"type":"object","properties":{"slug":{"type":"string","pattern":"^[a-z0-9]+(-[a-z0-9]+)*$",
"minLength":3,"maxLength":60},"kind":{"enum":["post","page"]},"price":{"type":"number","minimum":0,
"multipleOf":0.01},"title":{"type":"string","pattern":"[A-Z]","maxLength":80},
"flags":{"type":"array","items":{"enum":["new","sale","draft","pinned"]},"uniqueItems":true}},
"required":["slug","kind"],"patternProperties":{"^x-[a-z]+$":{"type":"string"}},
"additionalProperties":false,"if":{"properties":{"kind":{"const":"post"}}},
"then":{"required":["title"]}})";
  const std::string keywords_document =
      R"({"slug": "a-walk-along-the-northern-rivers-2026", "kind": "post", "price": 12.50,
"title": "A walk along the northern rivers", "flags": ["pinned", "new"],
"x-origin": "imported from the old site", "x-editor": "Anna"})";
  return {{"json_schema, a person", {Kind::kJsonSchema, person}, person_document},
          {"json_schema, a tree", {Kind::kJsonSchema, tree}, tree_document},
          {"json_schema, keywords", {Kind::kJsonSchema, keywords}, keywords_document},
          {"json_object", {Kind::kJsonObject, ""}, any},
          {"regex, a date and a word",
           {Kind::kRegex, R"(\d{4}-\d{2}-\d{2}: [A-Za-z ]{3,40}\.)"},
           "2026-11-24: Rain in the morning then sun."},
          {"regex, counted letters",
           {Kind::kRegex, "[a-z]{10,60}"},
           "thequickbrownfoxjumpsoverthelazydogandthenrestsawhile"},
          {"EBNF, sums", {Kind::kEbnf, arithmetic}, "12*(3+45)-(6*(7+8))/910+11*(12-13)"}};
}

// The longest token that fits, again and again: blanks of the document's lines are one.
std::vector<int32_t> tokens_of(const std::string& document, const grammar::TokenTrie& trie) {
  std::vector<int32_t> tokens;
  for (size_t at = 0; at < document.size();) {
    size_t node = 0;
    int32_t best = -1;
    size_t depth = 0;
    size_t end = trie.nodes().size();
    while (at + depth < document.size() && node < end) {
      const auto& n = trie.nodes()[node];
      if (n.byte != static_cast<uint8_t>(document[at + depth])) {
        node = static_cast<size_t>(n.next);
        continue;
      }
      ++depth;
      if (n.first_token < trie.end_of_tokens(node)) best = trie.id(n.first_token);
      end = static_cast<size_t>(n.next);
      ++node;
    }
    if (best < 0) throw UserError("vocabulary", "cannot write the document");
    tokens.push_back(best);
    at += trie.bytes_of(best).size();
  }
  return tokens;
}

struct Times {
  double average = 0;
  double worst = 0;
};

// CPU time of the thread, so that other programs disturb little.
double microseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

Times answer(const std::shared_ptr<Grammar>& grammar, const std::vector<int32_t>& tokens) {
  GrammarMatcher matcher(grammar);
  Times times;
  for (const int32_t token : tokens) {
    const double begin = microseconds();
    const std::span<const uint64_t> mask = matcher.allowed();
    const bool allowed = (mask[static_cast<size_t>(token) / 64] >> token % 64 & 1) != 0;
    if (!matcher.accept(token) || !allowed) throw UserError("document", "is not allowed");
    const double time = (microseconds() - begin);
    times.average += time / static_cast<double>(tokens.size());
    times.worst = std::max(times.worst, time);
  }
  return times;
}

// What a mask adds to sampling from all ids, of a form that allows nearly all or few.
void sample_with_mask(const std::shared_ptr<const GrammarVocabulary>& vocabulary,
                      const char* pattern) {
  constexpr int kRounds = 200;
  const auto size = static_cast<size_t>(vocabulary->tokens().num_ids());
  std::vector<float> logits(size);
  for (size_t i = 0; i < size; ++i) logits[i] = static_cast<float>(i * 7919 % 1000) / 100;
  const AllowedIds allowed{static_cast<int64_t>(size), {}};
  GrammarMatcher matcher(
      or_throw(Grammar::compile({ResponseFormat::Kind::kRegex, pattern}, vocabulary)));
  const std::span<const uint64_t> mask = matcher.allowed();
  SamplerScratch scratch;
  double best[2] = {1e9, 1e9};
  for (int round = 0; round < kRounds; ++round) {
    for (const bool masked : {false, true}) {
      Sampler sampler({.top_p = 0.9, .seed = static_cast<uint64_t>(round)});
      const double begin = microseconds();
      sampler.sample(logits, allowed, scratch, masked ? mask : std::span<const uint64_t>());
      best[masked ? 1 : 0] = std::min(best[masked ? 1 : 0], microseconds() - begin);
    }
  }
  std::printf("sampling (top_p 0.9) %.0f µs, with the mask of %s %.0f µs\n", best[0], pattern,
              best[1]);
}

void run(const char* path) {
  std::unique_ptr<tokenizers::Tokenizer> tokenizer;
  std::vector<std::string> made_up;
  if (path != nullptr) {
    tokenizer = or_throw(tokenizers::load_tokenizer(path));
  } else {
    made_up = made_up_vocabulary();
  }
  const auto make_vocabulary = [&]() -> std::shared_ptr<const GrammarVocabulary> {
    if (!tokenizer) return std::make_shared<GrammarVocabulary>(made_up);
    return std::make_shared<GrammarVocabulary>(*tokenizer, int64_t{tokenizer->max_id()} + 1);
  };
  const double begin = microseconds();
  std::shared_ptr<const GrammarVocabulary> vocabulary = make_vocabulary();
  std::printf("%lld ids, ready in %.0f ms\n",
              static_cast<long long>(vocabulary->tokens().num_ids()),
              (microseconds() - begin) / 1000);
  std::printf("%-26s %10s %8s %14s %14s %14s\n", "", "compile", "tokens", "first", "again",
              "worst");
  for (Case& c : cases()) {
    std::replace(c.document.begin(), c.document.end(), '\n', ' ');
    const std::vector<int32_t> tokens = tokens_of(c.document, vocabulary->tokens());
    Times first;
    Times again;
    double compile = 0;
    constexpr int kRounds = 5;  // the quickest one counts
    for (int round = 0; round < kRounds; ++round) {
      vocabulary = make_vocabulary();
      const double start = microseconds();
      const std::shared_ptr<Grammar> grammar = or_throw(Grammar::compile(c.format, vocabulary));
      const double time = (microseconds() - start);
      const Times cold = answer(grammar, tokens);
      const Times warm = answer(grammar, tokens);
      if (round == 0 || time < compile) compile = time;
      if (round == 0 || cold.average < first.average) first = cold;
      if (round == 0 || warm.average < again.average) again = warm;
    }
    std::printf("%-26s %7.2f ms %8zu %8.1f µs/t %8.2f µs/t %11.0f µs\n", c.name, compile / 1000,
                tokens.size(), first.average, again.average, first.worst);
  }
  sample_with_mask(vocabulary, "[^\"]*");
  sample_with_mask(vocabulary, "[0-9]*");
}

}  // namespace
}  // namespace mlc::engine

int main(int argc, char** argv) {
  try {
    mlc::engine::run(argc > 1 ? argv[1] : nullptr);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
