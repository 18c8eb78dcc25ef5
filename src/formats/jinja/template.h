// SPDX-License-Identifier: Apache-2.0
// Jinja templates as models bring them along: the language of Jinja 3.1 in the environment that
// transformers gives chat templates (sandboxed, nothing can be changed or loaded; trim_blocks,
// lstrip_blocks, loop controls; raise_exception, strftime_now, its own tojson).
//
// A template comes with a foreign file: every rendering is bounded in memory, steps and depth.
// What differs from Jinja: integers have 64 bits; generators are worked out at once; `|safe` and
// `|escape` give plain text; there are no filters pprint, random, striptags, urlize and
// wordwrap, no function lipsum, no statement autoescape.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "formats/jinja/machine.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::jinja {

struct RenderOptions {
  std::optional<std::string> now;  // ISO time that strftime_now reads instead of the clock
  Limits limits{};
};

class Template {
 public:
  // `where` says for messages where the template is from. An error of its syntax names the line.
  static Result<Template> parse(std::string_view text, std::string where);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // `arguments`: an object, the template's variables. An error, with its line and as Python words
  // it, where the template raises one ("TemplateError: System role not supported"), and where it
  // passes a limit.
  Result<std::string> render(const Json& arguments, const RenderOptions& options = {}) const;

 private:
  struct Parsed;
  Template(std::string where, std::unique_ptr<Parsed> parsed);
  std::string where_;
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace mlc::jinja
