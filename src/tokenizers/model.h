// SPDX-License-Identifier: Apache-2.0
// The `model` of a tokenizer: cuts one word into tokens. Implementations: bpe.cpp, unigram.cpp,
// wordpiece.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizers/regex.h"
#include "tokenizers/vocabulary.h"

namespace mlc::tokenizers {

// Memory that an encoding call uses again for each word.
struct ModelScratch {
  struct Symbol {
    int32_t id = 0;
    int32_t previous = -1;
    int32_t next = -1;
    int32_t rank = 0;    // of joining this symbol with the next
    int32_t joined = 0;  // id of both
  };
  std::vector<Symbol> symbols;
  // The best way to a place in the word: for Viterbi's algorithm.
  struct Best {
    double score = 0;
    int64_t start = -1;  // of the last token; -1: not reached yet
    int32_t id = -1;
  };
  std::vector<Best> best;
  std::vector<Span> spans;
  std::vector<uint64_t> queue;
  std::unordered_map<int32_t, size_t> splits;  // bytes of the left part of a token
  std::string text;
};

class Model {
 public:
  virtual ~Model() = default;
  // Appends the ids of `word`: valid UTF-8 that is not empty, or any bytes if the vocabulary's keys
  // are bytes. Safe to call from several threads, each with a scratch of its own.
  virtual void encode(std::string_view word, std::vector<int32_t>& ids,
                      ModelScratch& scratch) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
};

}  // namespace mlc::tokenizers
