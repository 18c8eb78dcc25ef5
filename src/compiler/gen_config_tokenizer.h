// SPDX-License-Identifier: Apache-2.0
// The tokenizer's part of gen_config: which files go along with a model, what they say about
// themselves, and how many tokens there are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/chat_config.h"

namespace mlc::compiler {

// A file of the source: one that lies there, or one whose contents were made from something else
// (`text`).
struct SourceFile {
  std::string name;
  std::string path;  // for messages, and to read from where there is no text
  std::optional<std::string> text;
};
std::string contents(const SourceFile& file);  // throws where it cannot be read

struct OutputText {
  std::string name;
  std::string text;
};

struct TokenizerPart {
  std::vector<std::string> listed;  // tokenizer_files of the chat config
  std::vector<OutputText> files;    // to be written
  formats::TokenizerInfo info;
  std::optional<int64_t> active_vocab_size;  // nothing: no tokenizer.json tells
};

// Names of the files beside config.json that prepare_tokenizer() reads, copied or not.
bool is_tokenizer_source(std::string_view name);

// `config` is config.json: its architecture may decide the tokenizer's class. `context_window_size`
// goes into a tokenizer_config.json that is made here (-1: unlimited). Throws UserError for files
// that are no JSON or that hold an added token twice; what is only unusual is a warning.
TokenizerPart prepare_tokenizer(const std::vector<SourceFile>& sources, const Json& config,
                                int64_t context_window_size);

}  // namespace mlc::compiler
