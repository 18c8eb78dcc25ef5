// SPDX-License-Identifier: Apache-2.0
// The plan of a library: a flat list of typed entries over arena offsets and stored weights, with
// sizes that are linear in the symbols of a step. It is data (little-endian, fixed width, versioned
// by MLC_MODEL_LIBRARY_ABI): docs/library_format.md describes the bytes, to_text() prints it
// (`mlc_llm model_metadata LIB --plan`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/outputs.h"
#include "formats/symbols.h"
#include "support/dtype.h"
#include "support/error.h"

namespace mlc::formats {

// A symbol of the plan: a Symbol, or a count that belongs to a cache group (see CacheCount).
using PlanSymbol = uint32_t;

// Counts that the runtime makes for each cache group and step when it cuts attention into work.
enum class CacheCount : uint8_t {
  kItems,     // work items: a few query tokens of a sequence over a range of blocks of positions
  kPartials,  // partial results: blocks of tokens whose blocks are several items
};
inline constexpr PlanSymbol kFirstCacheSymbol = 64;
inline PlanSymbol plan_symbol(Symbol symbol) { return static_cast<PlanSymbol>(symbol); }
inline PlanSymbol plan_symbol(int cache_group, CacheCount count) {
  return kFirstCacheSymbol + static_cast<PlanSymbol>(cache_group) * 4 +
         static_cast<PlanSymbol>(count);
}
std::string plan_symbol_name(PlanSymbol symbol);

// constant + the sum of coefficient * symbol
struct LinearSize {
  int64_t constant = 0;
  std::vector<std::pair<PlanSymbol, int64_t>> terms;

  LinearSize() = default;
  LinearSize(int64_t c) : constant(c) {}  // NOLINT: implicit
  static LinearSize of(PlanSymbol symbol, int64_t coefficient, int64_t constant = 0);
  LinearSize operator+(const LinearSize& other) const;
  bool operator==(const LinearSize&) const = default;
};

// multiplier * ceil(symbol / divisor), or the multiplier where symbol is kNone
struct TaskCount {
  int64_t multiplier = 1;
  PlanSymbol symbol = 0;
  int64_t divisor = 1;
  bool operator==(const TaskCount&) const = default;
};

// Tables that the runtime writes for each step (docs/library_format.md has their layout).
enum class InputTable : uint8_t {
#define MLC_INPUT_TABLE(enumerator, name, per_group) enumerator,
#include "formats/input_tables.def"
#undef MLC_INPUT_TABLE
};
std::string_view input_table_name(InputTable table);

struct PlanArgument {
  enum class Kind : uint8_t {
    kArena,      // offset
    kWeight,     // index of a weight
    kConstants,  // offset.constant into the constants
    kCache,      // index of a cache layer
    kInput,      // index: an InputTable; group
    kSize,       // symbol: its value itself
  };
  Kind kind = Kind::kArena;
  uint32_t index = 0;
  uint32_t group = 0;
  PlanSymbol symbol = 0;
  LinearSize offset;
  bool operator==(const PlanArgument&) const = default;
};

// The kernel for values of the call's symbol up to max_value.
struct PlanVariant {
  static constexpr uint32_t kNoKernel = UINT32_MAX;  // nothing to do in this range
  int64_t max_value = INT64_MAX;
  uint32_t kernel = kNoKernel;
  TaskCount tasks;
  std::vector<PlanArgument> arguments;
};

struct PlanCall {
  std::string label;                  // the node it came from, for profiles: "layer0.qkv"
  PlanSymbol symbol = 0;              // chooses the variant
  std::vector<PlanVariant> variants;  // by rising max_value
  // Set of output_bit(): a step runs the calls of the output that it is asked for, and no others.
  uint32_t outputs = output_bit(Output::kLogits);
};

// An output besides the logits.
struct PlanOutput {
  Output output = Output::kHidden;
  int64_t columns = 0;
  LinearSize offset;  // in the arena, after the output's last call: f32 [output_rows, columns]
};

struct PlanKernel {
  std::string name;
  int64_t scratch_bytes = 0;
};

struct PlanWeight {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
};

struct PlanCacheGroup {
  enum class Kind : uint8_t { kFull, kWindow };
  Kind kind = Kind::kFull;
  int64_t window = 0;
  int64_t sink = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  DType dtype = DType::kF16;
  int64_t page_tokens = 0;  // positions a page
  int64_t page_bytes = 0;   // of one page of one layer
  int64_t block_tokens =
      0;  // positions a block: the unit of partial results, a multiple of page_tokens
  int64_t tile_tokens = 0;      // query tokens of a work item at the most
  std::vector<int64_t> layers;  // indexes of cache layers
};

struct Plan {
  int64_t vocab_size = 0;
  std::vector<PlanWeight> weights;
  std::vector<PlanCacheGroup> cache_groups;
  int64_t cache_layers = 0;
  std::string constants;            // bytes
  std::vector<PlanKernel> kernels;  // in the order of the library's kernel table
  LinearSize arena_bytes;
  LinearSize logits_offset;         // in the arena: f32 [num_logits, vocab_size]
  std::vector<PlanOutput> outputs;  // besides the logits, each at most once
  std::vector<PlanCall> calls;

  // Columns of an output; 0: the model does not give it.
  int64_t columns(Output output) const;
  // Where it lies. Requires that the model gives it.
  const LinearSize& offset(Output output) const;
};

std::string serialize_plan(const Plan& plan);
// Checks every count, index and size against the bytes that are there; `where` is the library's
// path.
Result<Plan> parse_plan(std::string_view bytes, std::string_view where);
std::string to_text(const Plan& plan);
std::string to_text(const LinearSize& size);

}  // namespace mlc::formats
