// SPDX-License-Identifier: Apache-2.0
#include "formats/outputs.h"

namespace mlc::formats {
namespace {

struct OutputInfo {
  std::string_view name;
  Symbol rows;
};

constexpr OutputInfo kOutputs[] = {
#define MLC_OUTPUT(enumerator, name, rows) {name, Symbol::rows},
#include "formats/outputs.def"
#undef MLC_OUTPUT
};

}  // namespace

std::string_view output_name(Output output) { return kOutputs[static_cast<int>(output)].name; }
Symbol output_rows(Output output) { return kOutputs[static_cast<int>(output)].rows; }

std::optional<Output> parse_output(std::string_view name) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (kOutputs[i].name == name) return static_cast<Output>(i);
  }
  return {};
}

}  // namespace mlc::formats
