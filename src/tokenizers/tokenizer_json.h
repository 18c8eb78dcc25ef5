// SPDX-License-Identifier: Apache-2.0
// Reading a tokenizer.json with what its compiled form is made of, for compiled.cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "support/error.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

enum class KeepTables { kNo, kYes };
struct JsonModel {
  std::unique_ptr<Tokenizer> tokenizer;
  // With kYes and a BPE or Unigram model: an object of all members but "model", and the model's
  // tables.
  std::string small_parts;
  std::string tables;
};
Result<JsonModel> read_tokenizer_json(std::string_view text, std::string_view where,
                                      KeepTables keep);
// The tokenizer of these two; an error for bytes that are no tables.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_tables(std::string_view small_parts,
                                                         std::string_view tables,
                                                         std::string_view where);

}  // namespace mlc::tokenizers
