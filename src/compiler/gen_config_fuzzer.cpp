// SPDX-License-Identifier: Apache-2.0
// Any bytes as config.json, and as the two vocabularies that gen_config converts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compiler/gen_config_model.h"
#include "compiler/gen_config_rwkv.h"
#include "compiler/gen_config_tiktoken.h"
#include "compiler/gen_config_vocab.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

void derive(const Json& config) {
  try {
    const formats::Architecture& architecture = select_architecture("auto", config, "fuzz");
    ModelConfigOverrides overrides;
    overrides.context_window_size = 100;
    override_model_config(architecture, derive_model_config(architecture, config, "fuzz"),
                          overrides, "fuzz");
  } catch (const UserError&) {  // what a wrong file deserves
  }
}

void read_all(std::string_view text) {
  const Json qwen = Json::Object{{"model_type", "qwen"}};
  if (convert_tiktoken(text, "fuzz", Json::object(), qwen, 0).ok() ||
      rwkv_tokenizer_from_text(text, "fuzz").ok() || rwkv_tokenizer_from_json(text, "fuzz").ok()) {
    return;
  }
  const auto json = parse_json(text, "fuzz");
  if (!json.ok()) return;
  derive(*json);
  const auto count = count_tokens({&*json, &*json, &*json, &*json, &*json});
  if (count.ok() && *count < 0) __builtin_trap();
}

}  // namespace
}  // namespace mlc::compiler

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mlc::compiler::read_all({reinterpret_cast<const char*>(data), size});
  return 0;
}
