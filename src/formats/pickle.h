// SPDX-License-Identifier: Apache-2.0
// Reads a Python pickle into a tree without executing anything: calls and globals stay what they
// are, names. Format: Lib/pickletools.py of CPython; the opcodes are those of protocols 2 to 5 that
// data needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "support/file.h"

namespace mlc::formats {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,    // number
    kInt,     // number
    kBigInt,  // text: little-endian two's complement of more than 8 bytes
    kFloat,   // text: 8 bytes, big-endian
    kString,  // text, as it stands in the pickle
    kBytes,   // text
    kTuple,   // items
    kList,    // items
    kDict,    // items: key, value, key, value, ...
    kGlobal,  // text: "module.name"
    kCall,  // callee called with the tuple `argument`; items: what was then set in it, as in kDict
    kPersistent,  // persistent_load(argument)
  };
  Kind kind = Kind::kNone;
  int32_t callee = -1;
  int32_t argument = -1;
  int64_t number = 0;
  std::string_view text{};       // into the input, or into Pickle::globals
  std::vector<int32_t> items{};  // numbers of values
};

struct Pickle {
  std::vector<PickleValue> values;
  std::unordered_set<std::string> globals;
  int32_t root = -1;
  size_t bytes = 0;  // length of this pickle; others may follow

  const PickleValue& operator[](int32_t value) const { return values[static_cast<size_t>(value)]; }
};

// `is_allowed("module.name")` decides which globals may occur; others are refused by name. Memory
// is bounded by a limit on the number of values, and nothing recurses.
Result<Pickle> parse_pickle(Bytes input, bool (*is_allowed)(std::string_view global),
                            const std::string& where);

}  // namespace mlc::formats
