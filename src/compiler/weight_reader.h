// SPDX-License-Identifier: Apache-2.0
// Carries out a rule for a weight: reads rows of a parameter from the tensors of a checkpoint, a
// few at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "formats/checkpoint.h"
#include "models/weight_rule.h"

namespace mlc::compiler {

// A source, seen as a matrix [rows, row_length]. Rows that the checkpoint cannot read one by one
// (of a transposed matrix, of a tensor with three axes) are read in blocks of block_rows.
struct SourceMatrix {
  int64_t tensor = 0;  // number in the checkpoint
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t row_length = 0;
  int64_t block_rows = 1;
  bool transpose = false;
};

struct ResolvedRule {
  std::string parameter;
  DType dtype = DType::kF32;  // of what is read
  std::vector<SourceMatrix> sources;
  std::vector<models::SourceRows> selection;
  int64_t rows = 0;  // of the result, all axes but the last
  int64_t row_length = 0;
  int64_t result_block =
      0;  // with transpose_result: rows of the selection that one block exchanges
  bool add_one = false;

  int64_t whole_bytes() const;  // the largest block that a reader holds
};

using TensorNumbers = std::unordered_map<std::string_view, int64_t>;

// Checks the rule against the sources, all of which are there, and against the declared shape and
// dtype. `where` is the checkpoint. Throws UserError.
ResolvedRule resolve(const models::WeightRule& rule, const std::vector<int64_t>& shape, DType dtype,
                     const formats::Checkpoint& checkpoint, const TensorNumbers& numbers,
                     const std::string& where);

class WeightReader {
 public:
  // Both must outlive it.
  WeightReader(const formats::Checkpoint& checkpoint, const ResolvedRule& rule);

  // Rows [begin, begin + count) in the rule's dtype. Fastest in ascending order.
  void read(int64_t begin, int64_t count, std::byte* out);

 private:
  struct Block {
    size_t source = 0;
    int64_t number = -1;
    std::vector<std::byte> bytes;
  };

  void select(int64_t begin, int64_t count, std::byte* out);
  void read_source(size_t number, int64_t begin, int64_t count, int64_t step, std::byte* out);
  void read_rows(const SourceMatrix& source, int64_t begin, int64_t count, std::byte* out);
  void load_block(const SourceMatrix& source, int64_t number);

  const formats::Checkpoint& checkpoint_;
  const ResolvedRule& rule_;
  Block block_;   // of a source, the last that was used
  Block result_;  // of the result
  std::vector<std::byte> buffer_;
};

}  // namespace mlc::compiler
