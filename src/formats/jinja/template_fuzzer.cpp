// SPDX-License-Identifier: Apache-2.0
// Any bytes as a template, rendered with a conversation under narrow limits.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "formats/jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mlc::Json;
  static const Json* const arguments = new Json(mlc::parse_json(R"({
      "messages": [{"role": "system", "content": "Bé terse."},
                   {"role": "user", "content": [{"type": "text", "text": "part"}]},
                   {"role": "assistant", "content": null,
                    "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1.5}}}]}],
      "tools": [{"type": "function", "function": {"name": "f", "parameters": {"required": []}}}],
      "l": [3, 1, 2], "s": "Hello World", "n": null, "i": 7, "x": 2.5, "t": true,
      "d": {"b": 1, "a": [1, {"k": null}]}, "bos_token": "<s>", "add_generation_prompt": true
    })",
                                                                "arguments")
                                                    .value());
  const auto parsed =
      mlc::jinja::Template::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!parsed.ok()) return 0;
  mlc::jinja::RenderOptions options{.now = "2025-03-09T12:00:00"};
  options.limits.heap_bytes = 1 << 22;
  options.limits.steps = 200'000;
  const auto first = parsed->render(*arguments, options);
  const auto second = parsed->render(*arguments, options);
  if (first.ok() != second.ok() || (first.ok() && *first != *second)) __builtin_trap();
  return 0;
}
