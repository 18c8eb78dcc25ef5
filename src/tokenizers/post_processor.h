// SPDX-License-Identifier: Apache-2.0
// The `post_processor` of a tokenizer.json, for one sequence: which special tokens stand before and
// behind it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/error.h"
#include "support/json.h"

namespace mlc::tokenizers {

class PostProcessor {
 public:
  // Null gives one that adds nothing.
  static Result<PostProcessor> from_json(const Json& json, const std::string& where);
  // SentencePiece's: ids before and behind the text.
  static PostProcessor around(std::vector<int32_t> before, std::vector<int32_t> behind);

  std::vector<int32_t> apply(std::vector<int32_t> ids, bool add_special) const;

 private:
  // Either the sequence (no ids) or special tokens.
  struct Item {
    bool is_sequence = false;
    std::vector<int32_t> ids;
  };
  Result<void> add(const Json& json, const std::string& where, int depth);
  Result<void> add_template(const Json& json, const std::string& where);

  std::vector<Item> items_;  // empty: the sequence alone
};

}  // namespace mlc::tokenizers
