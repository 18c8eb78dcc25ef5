// SPDX-License-Identifier: Apache-2.0
// mlc_llm debug tokenize TOKENIZER_DIR --input strings.json --output ids.json [--add-special]
// mlc_llm debug detokenize TOKENIZER_DIR --input ids.json --output texts.json [--keep-special]
// [--stream]
#include "cli/commands/debug_tokenize.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "formats/gguf.h"
#include "formats/gguf_tokenizer.h"
#include "support/file.h"
#include "support/json.h"
#include "support/strings.h"
#include "support/throw.h"
#include "tokenizers/tokenizer.h"

namespace mlc::cli {

namespace {

Json read_list(const std::string& path, std::string_view of) {
  Json list = or_throw(read_json_file(path));
  if (!list.is_array()) throw UserError(path, cat("is ", list.kind_name()), cat("a list of ", of));
  return list;
}

// A folder, one of the files that load_tokenizer() knows, or a .gguf file.
std::unique_ptr<tokenizers::Tokenizer> open_tokenizer(const std::string& path) {
  if (path.ends_with(".gguf")) {
    const formats::GgufFile file = or_throw(formats::GgufFile::open(path));
    for (const formats::NamedText& text : or_throw(formats::gguf_tokenizer_files(file))) {
      if (text.name == "tokenizer.json")
        return or_throw(tokenizers::tokenizer_from_json_text(text.text, path));
    }
    throw UserError(path, "has no tokenizer");
  }
  return or_throw(tokenizers::load_tokenizer(path));
}

std::vector<int32_t> ids_of(const Json& json, const std::string& path) {
  std::vector<int32_t> ids;
  if (!json.is_array())
    throw UserError(path, cat("has ", json.kind_name(), " in its list"), "lists of token ids");
  for (const Json& id : json.as_array()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > std::numeric_limits<int32_t>::max()) {
      throw UserError(path, cat("has the token id ", id.dump()),
                      "an integer of 31 bits, 0 or more");
    }
    ids.push_back(static_cast<int32_t>(id.as_int()));
  }
  return ids;
}

}  // namespace

int run_debug_tokenize(Arguments arguments) {
  std::string directory, input, output;
  tokenizers::EncodeOptions options;
  ArgumentParser parser("debug tokenize",
                        "Turns a JSON list of texts into a list of lists of token ids.",
                        {"mlc_llm debug tokenize dist/model --input texts.json --output ids.json"});
  parser.positional("TOKENIZER_DIR", &directory, "folder with the tokenizer's files");
  parser.required_option("--input", &input, "JSON list of texts");
  parser.required_option("--output", &output, "where to write the ids");
  parser.flag("--add-special", &options.add_special,
              "add the tokens that the tokenizer puts around a text");
  if (!parser.parse(arguments)) return 0;
  const std::unique_ptr<tokenizers::Tokenizer> tokenizer = open_tokenizer(directory);
  Json result = Json::array();
  const Json texts = read_list(input, "texts");
  for (const Json& text : texts.as_array()) {
    if (!text.is_string())
      throw UserError(input, cat("has ", text.kind_name(), " in its list"), "texts");
    Json ids = Json::array();
    for (const int32_t id : tokenizer->encode(text.as_string(), options)) ids.push_back(id);
    result.push_back(std::move(ids));
  }
  or_throw(write_file(output, result.dump() + "\n"));
  return 0;
}

int run_debug_detokenize(Arguments arguments) {
  std::string directory, input, output;
  bool keep_special = false;
  bool stream = false;
  ArgumentParser parser(
      "debug detokenize", "Turns a JSON list of lists of token ids into a list of texts.",
      {"mlc_llm debug detokenize dist/model --input ids.json --output texts.json"});
  parser.positional("TOKENIZER_DIR", &directory, "folder with the tokenizer's files");
  parser.required_option("--input", &input, "JSON list of lists of token ids");
  parser.required_option("--output", &output, "where to write the texts");
  parser.flag("--keep-special", &keep_special, "write special tokens too");
  parser.flag("--stream", &stream,
              "for each list the piece that each id releases, and what the end releases");
  if (!parser.parse(arguments)) return 0;
  const tokenizers::DecodeOptions options{.skip_special = !keep_special};
  const std::unique_ptr<tokenizers::Tokenizer> tokenizer = open_tokenizer(directory);
  Json result = Json::array();
  const Json lists = read_list(input, "lists of token ids");
  for (const Json& list : lists.as_array()) {
    const std::vector<int32_t> ids = ids_of(list, input);
    if (!stream) {
      result.push_back(tokenizer->decode(ids, options));
      continue;
    }
    tokenizers::StreamDecoder decoder(*tokenizer, options);
    Json pieces = Json::array();
    for (const int32_t id : ids) pieces.push_back(decoder.put(id));
    pieces.push_back(decoder.finish());
    result.push_back(std::move(pieces));
  }
  or_throw(write_file(output, result.dump() + "\n"));
  return 0;
}

}  // namespace mlc::cli
