// SPDX-License-Identifier: Apache-2.0
// Calls of tools in an answer: how a model writes them, by what its chat template says, and how to
// make it write one. docs/chat_templates.md has the formats.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar.h"
#include "formats/chat_template.h"
#include "support/json.h"

namespace mlc::engine {

struct Output;

enum class ToolFormat : uint8_t {
  kNone,     // not known: an answer is its text
  kHermes,   // <tool_call>{"name": ..., "arguments": {...}}</tool_call>, any number, after a text
  kLlama,    // {"name": ..., "parameters": {...}} as the whole answer, several with ; between
  kMistral,  // [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]
};

// What a template that is given tools tells the model to write.
ToolFormat tool_format(const formats::ChatTemplate& chat_template);

// The tools that an answer may call. No names: text that looks like a call is text.
struct ToolOptions {
  ToolFormat format = ToolFormat::kNone;
  std::vector<std::string> names{};
};

struct ToolCall {
  std::string id;  // of nine letters and digits, as some templates want it
  std::string name;
  std::string arguments;  // a JSON object's text
};

struct ToolAnswer {
  std::string content;  // what stands before and between the calls
  std::vector<ToolCall> calls;
};

// What a whole answer says. What is no call of one of the tools, or not whole, stays text.
ToolAnswer parse_tool_calls(std::string_view text, const ToolOptions& options);

// The form of an answer that is one call of one of the tools, whose arguments are valid for its
// `parameters`. `functions`: objects with name and, if they like, parameters. Requires a format.
ResponseFormat call_form(ToolFormat format, const std::vector<Json>& functions);

// Holds the texts of answers that may call tools back until they are whole.
class ToolCallCollector {
 public:
  void begin(int64_t request, int64_t answers, ToolOptions options);
  // Takes the texts out of outputs of such requests; the last output of an answer gets its content
  // and its calls.
  void apply(std::vector<Output>& outputs);

 private:
  struct Held {
    ToolOptions options;
    int64_t open;                          // answers
    std::map<int64_t, std::string> texts;  // by index
  };
  std::map<int64_t, Held> held_;
};

}  // namespace mlc::engine
