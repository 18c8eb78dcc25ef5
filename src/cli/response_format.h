// SPDX-License-Identifier: Apache-2.0
// The options that say what form an answer must have.
#pragma once

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "engine/grammar.h"

namespace mlc::cli {

struct ResponseFormatOptions {
  std::optional<std::string> json_schema;  // JSON, or the path of a file that holds it
  std::optional<std::string> grammar;      // path of a file with EBNF
  std::optional<std::string> regex;
  std::optional<std::string> format;  // "text" or "json_object"

  void add_to(ArgumentParser& parser);
};

// Throws where more than one is given or a file cannot be read.
engine::ResponseFormat response_format(const ResponseFormatOptions& options);

}  // namespace mlc::cli
