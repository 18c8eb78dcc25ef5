// SPDX-License-Identifier: Apache-2.0
#include "cli/response_format.h"

#include <vector>

#include "support/file.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {

void ResponseFormatOptions::add_to(ArgumentParser& parser) {
  parser.option("--json-schema", &json_schema,
                "answers are JSON that is valid for this schema: JSON, or a file that holds it");
  parser.option("--grammar", &grammar, "answers match the rule root of this file, in EBNF");
  parser.option("--regex", &regex, "answers match this regular expression as a whole");
  parser.option("--response-format", &format, "text or json_object: answers are any JSON object");
}

engine::ResponseFormat response_format(const ResponseFormatOptions& options) {
  using Kind = engine::ResponseFormat::Kind;
  std::vector<std::string> given;
  if (options.json_schema) given.emplace_back("--json-schema");
  if (options.grammar) given.emplace_back("--grammar");
  if (options.regex) given.emplace_back("--regex");
  if (options.format) given.emplace_back("--response-format");
  if (given.size() > 1) {
    throw UserError(
        usage_error(given[1], cat("stands beside ", given[0]), "one form of an answer"));
  }
  if (options.json_schema) {
    const std::string_view text = strip(*options.json_schema);
    const bool is_json = text.starts_with('{') || text == "true" || text == "false";
    return {Kind::kJsonSchema,
            is_json ? *options.json_schema : or_throw(read_file(*options.json_schema))};
  }
  if (options.grammar) return {Kind::kEbnf, or_throw(read_file(*options.grammar))};
  if (options.regex) return {Kind::kRegex, *options.regex};
  if (!options.format || *options.format == "text") return {};
  if (*options.format == "json_object") return {Kind::kJsonObject, ""};
  throw UserError(unknown_name_error(ErrorKind::kUsage, "--response-format", "form",
                                     *options.format, {"text", "json_object"}));
}

}  // namespace mlc::cli
