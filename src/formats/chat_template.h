// SPDX-License-Identifier: Apache-2.0
// The chat template that a checkpoint brings along: Jinja in chat_template.jinja, in
// tokenizer_config.json or in a GGUF file's metadata, as transformers looks for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/jinja/template.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::formats {

class ChatTemplate {
 public:
  // `path`: a folder with tokenizer_config.json (and chat_template.jinja, which comes first, and
  // special_tokens_map.json), or a .gguf file. Nothing where it has no template. Errors: files
  // that are no JSON, values of another kind, syntax errors of a template.
  static Result<std::optional<ChatTemplate>> load(const std::string& path);

  // `config`: a tokenizer_config.json. `jinja`: the text of a chat_template.jinja, if there is one.
  static Result<std::optional<ChatTemplate>> from_config(const Json& config,
                                                         const std::optional<std::string>& jinja,
                                                         const std::string& where);

  // What to_json() gave: {"template": text or [{"name", "template"} ...], "special_tokens": {...}}.
  static Result<ChatTemplate> from_json(const Json& object, const std::string& where);
  Json to_json() const;

  // The prompt. `arguments`: an object with `messages` (as in OpenAI's API) and what else the
  // template takes: add_generation_prompt, tools, documents, enable_thinking ...; special tokens
  // (bos_token, eos_token ...) are added. Of several templates the one named tool_use is taken
  // where there are tools, else the one named default.
  Result<std::string> render(const Json& arguments, const jinja::RenderOptions& options = {}) const;

  // render() of `messages` for a chat, as transformers calls a template: with
  // add_generation_prompt, and with `tools` and `documents` that are none unless `arguments` has
  // them. A template that raises an error then is called without these two, since some walk over
  // tools unasked.
  enum class Ending : uint8_t { kAnswerBegins, kNothing };
  Result<std::string> prompt(Json messages, const Json& arguments, Ending ending) const;

  // The source of the template that is taken where there are tools.
  std::string_view text_with_tools() const;

  // A special token's text, such as eos_token's; "" where there is none.
  std::string special_token(std::string_view name) const;

  bool operator==(const ChatTemplate& other) const {
    return templates_ == other.templates_ && special_tokens_ == other.special_tokens_;
  }

 private:
  Result<std::string_view> select(bool with_tools) const;
  Result<void> check() const;

  std::string where_;
  std::vector<std::pair<std::string, std::string>> templates_;  // name ("default") and text
  Json special_tokens_ = Json::object();
};

}  // namespace mlc::formats
