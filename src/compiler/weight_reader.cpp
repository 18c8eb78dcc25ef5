// SPDX-License-Identifier: Apache-2.0
#include "compiler/weight_reader.h"

#include <algorithm>
#include <cstring>

#include "formats/weight_file.h"
#include "quantization/cast.h"
#include "quantization/group.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using formats::CheckpointTensor;
using formats::shape_text;

constexpr int64_t kTransposeChunkBytes = 1 << 20;

std::vector<int64_t> without_ones(const std::vector<int64_t>& shape) {
  std::vector<int64_t> squeezed;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(squeezed),
               [](int64_t dimension) { return dimension != 1; });
  return squeezed;
}

struct Matrix {
  int64_t rows;
  int64_t row_length;
};
// A vector has rows of one value.
Matrix as_matrix(const std::vector<int64_t>& shape) {
  if (shape.size() < 2) return {formats::count_elements(shape), 1};
  const int64_t length = shape.back();
  return {length == 0 ? 0 : formats::count_elements(shape) / length, length};
}

SourceMatrix source_matrix(const CheckpointTensor& tensor, int64_t number, Matrix matrix,
                           bool transpose) {
  SourceMatrix source{number, tensor.dtype, matrix.rows, matrix.row_length, 1, transpose};
  const int64_t readable_rows = tensor.shape.empty() ? 1 : tensor.shape[0];
  if (transpose) {
    source.block_rows = tensor.shape.back();
    source.row_length = tensor.shape[tensor.shape.size() - 2];
    source.rows = formats::count_elements(tensor.shape) / std::max<int64_t>(source.row_length, 1);
  } else if (readable_rows > 0) {
    source.block_rows = std::max<int64_t>(matrix.rows / readable_rows, 1);
  }
  return source;
}

// The rule with its sources and the declared shape seen either as they are or without axes of size
// 1; nothing if they do not fit together.
bool fit(const models::WeightRule& rule, const std::vector<int64_t>& declared,
         const std::vector<CheckpointTensor>& tensors, const std::vector<int64_t>& numbers,
         bool squeeze, ResolvedRule& resolved) {
  const auto view = [&](const std::vector<int64_t>& shape) {
    return squeeze ? without_ones(shape) : shape;
  };
  resolved.sources.clear();
  resolved.selection = rule.rows;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const CheckpointTensor& tensor = tensors[static_cast<size_t>(numbers[i])];
    if (rule.transpose && (squeeze || tensor.shape.size() < 2 || tensor.shape.size() > 3)) {
      return false;
    }
    resolved.sources.push_back(
        source_matrix(tensor, numbers[i], as_matrix(view(tensor.shape)), rule.transpose));
    if (rule.rows.empty()) {
      resolved.selection.push_back({static_cast<int>(i), 0, resolved.sources.back().rows, 1});
    }
  }
  const std::vector<int64_t> shape = view(declared);
  const Matrix wanted = as_matrix(shape);
  resolved.rows = wanted.rows;
  resolved.row_length = wanted.row_length;
  int64_t selected = 0;
  for (const models::SourceRows& rows : resolved.selection) {
    const SourceMatrix& source = resolved.sources[static_cast<size_t>(rows.source)];
    if (rows.count > 0 && rows.begin + (rows.count - 1) * rows.step >= source.rows) return false;
    selected += rows.count;
  }
  Matrix selection = wanted;
  if (rule.transpose_result) {
    if (shape.size() < 2) return false;
    resolved.result_block = shape.back();
    selection.row_length = shape[shape.size() - 2];
    selection.rows = formats::count_elements(shape) / std::max<int64_t>(selection.row_length, 1);
  }
  for (const SourceMatrix& source : resolved.sources) {
    if (source.row_length != selection.row_length) return false;
  }
  if (selected != selection.rows) return false;
  // One source that is taken whole must have the declared shape, not only as many elements.
  const bool is_whole = numbers.size() == 1 && rule.rows.empty() && !rule.transpose_result;
  if (!is_whole) return true;
  std::vector<int64_t> found = view(tensors[static_cast<size_t>(numbers[0])].shape);
  if (rule.transpose) std::swap(found[found.size() - 1], found[found.size() - 2]);
  return found == shape;
}

bool is_word(DType dtype) { return dtype == DType::kI32 || dtype == DType::kU32; }

void check_dtype(const CheckpointTensor& tensor, const ResolvedRule& rule,
                 const std::string& where) {
  const bool is_same = tensor.dtype == rule.dtype || (is_word(tensor.dtype) && is_word(rule.dtype));
  if (is_same || quantization::can_cast(tensor.dtype, rule.dtype)) return;
  throw UserError(
      cat(where, ": tensor ", tensor.name), cat("has the dtype ", dtype_name(tensor.dtype)),
      cat(is_float(rule.dtype) ? "float16, bfloat16, float32 or float64" : dtype_name(rule.dtype),
          " for the parameter ", rule.parameter),
      "is the checkpoint quantized? take one with float weights");
}

}  // namespace

int64_t ResolvedRule::whole_bytes() const {
  int64_t bytes = 0;
  for (const SourceMatrix& source : sources) {
    if (source.block_rows == 1 && !source.transpose) continue;
    const int64_t block = source.block_rows * source.row_length * dtype_bytes(source.dtype);
    bytes = std::max(bytes, source.transpose ? 2 * block : block);
  }
  // A block of the result, and its selection before the exchange.
  if (result_block > 0) {
    const int64_t block = result_block * sources[0].row_length;
    bytes += block * (2 * dtype_bytes(dtype) + dtype_bytes(sources[0].dtype));
  }
  return bytes;
}

ResolvedRule resolve(const models::WeightRule& rule, const std::vector<int64_t>& shape, DType dtype,
                     const formats::Checkpoint& checkpoint, const TensorNumbers& numbers,
                     const std::string& where) {
  ResolvedRule resolved;
  resolved.parameter = rule.parameter;
  resolved.dtype = dtype;
  resolved.add_one = rule.add_one;
  const std::vector<CheckpointTensor>& tensors = checkpoint.tensors();
  std::vector<int64_t> sources;
  for (const std::string& name : rule.sources) sources.push_back(numbers.at(name));
  for (const int64_t source : sources) {
    check_dtype(tensors[static_cast<size_t>(source)], resolved, where);
  }
  if (fit(rule, shape, tensors, sources, false, resolved)) return resolved;
  if (fit(rule, shape, tensors, sources, true, resolved)) return resolved;
  std::vector<std::string> shapes;
  for (const int64_t source : sources) {
    const CheckpointTensor& tensor = tensors[static_cast<size_t>(source)];
    shapes.push_back(cat(tensor.name, " ", shape_text(tensor.shape)));
    if (shapes.size() == 4 && sources.size() > 4) {
      shapes.push_back(cat("... (", sources.size(), " tensors)"));
      break;
    }
  }
  throw UserError(cat(where, ": parameter ", rule.parameter),
                  cat("cannot be made from ", join(shapes, ", ")),
                  cat("sources for the shape ", shape_text(shape), ", which config.json implies"),
                  "is this the config of another checkpoint?");
}

WeightReader::WeightReader(const formats::Checkpoint& checkpoint, const ResolvedRule& rule)
    : checkpoint_(checkpoint), rule_(rule) {}

void WeightReader::read(int64_t begin, int64_t count, std::byte* out) {
  if (rule_.result_block == 0) return select(begin, count, out);
  // Rows of the selection have as many values as a block of the result has rows.
  const int64_t block_rows = rule_.sources[0].row_length;
  const int64_t row_bytes = rule_.row_length * dtype_bytes(rule_.dtype);
  while (count > 0) {
    const int64_t number = begin / block_rows;
    if (result_.number != number) {
      std::vector<std::byte> selected(static_cast<size_t>(block_rows * row_bytes));
      select(number * rule_.result_block, rule_.result_block, selected.data());
      result_.bytes.resize(selected.size());
      quantization::transpose(selected.data(), rule_.result_block, block_rows,
                              dtype_bytes(rule_.dtype), result_.bytes.data(), rule_.result_block);
      result_.number = number;
    }
    const int64_t first = begin - number * block_rows;
    const int64_t now = std::min(count, block_rows - first);
    std::memcpy(out, result_.bytes.data() + first * row_bytes,
                static_cast<size_t>(now * row_bytes));
    out += now * row_bytes;
    begin += now;
    count -= now;
  }
}

// Rows of the selection, with 1 added and cast.
void WeightReader::select(int64_t begin, int64_t count, std::byte* out) {
  int64_t first = 0;  // row of the selection where these rows begin
  for (const models::SourceRows& rows : rule_.selection) {
    const int64_t from = std::max(begin - first, int64_t{0});
    const int64_t to = std::min(begin + count - first, rows.count);
    first += rows.count;
    if (from >= to) continue;
    const SourceMatrix& source = rule_.sources[static_cast<size_t>(rows.source)];
    const int64_t values = (to - from) * source.row_length;
    const int64_t source_bytes = values * dtype_bytes(source.dtype);
    const bool is_same = dtype_bytes(source.dtype) == dtype_bytes(rule_.dtype) &&
                         (source.dtype == rule_.dtype || !is_float(rule_.dtype));
    if (!is_same) buffer_.resize(std::max(buffer_.size(), static_cast<size_t>(source_bytes)));
    std::byte* target = is_same ? out : buffer_.data();
    read_source(static_cast<size_t>(rows.source), rows.begin + from * rows.step, to - from,
                rows.step, target);
    if (rule_.add_one) quantization::add_one(source.dtype, values, target);
    if (!is_same) quantization::cast_values(source.dtype, rule_.dtype, target, values, out);
    out += values * dtype_bytes(rule_.dtype);
  }
}

void WeightReader::read_source(size_t number, int64_t begin, int64_t count, int64_t step,
                               std::byte* out) {
  const SourceMatrix& source = rule_.sources[number];
  const int64_t row_bytes = source.row_length * dtype_bytes(source.dtype);
  const bool is_direct = source.block_rows == 1 && !source.transpose;
  if (is_direct && step == 1) return read_rows(source, begin, count, out);
  for (int64_t i = 0; i < count;) {
    const int64_t row = begin + i * step;
    if (is_direct) {
      read_rows(source, row, 1, out);
      out += row_bytes;
      ++i;
      continue;
    }
    const int64_t block = row / source.block_rows;
    if (block_.source != number || block_.number != block) {
      load_block(source, block);
      block_.source = number;
      block_.number = block;
    }
    const int64_t first = row - block * source.block_rows;
    const int64_t now = step == 1 ? std::min(count - i, source.block_rows - first) : 1;
    std::memcpy(out, block_.bytes.data() + first * row_bytes, static_cast<size_t>(now * row_bytes));
    out += now * row_bytes;
    i += now;
  }
}

void WeightReader::read_rows(const SourceMatrix& source, int64_t begin, int64_t count,
                             std::byte* out) {
  or_throw(checkpoint_.read_rows(source.tensor, begin, count, out));
  checkpoint_.release_rows(source.tensor, begin, count);
}

void WeightReader::load_block(const SourceMatrix& source, int64_t number) {
  const int64_t element_bytes = dtype_bytes(source.dtype);
  const int64_t block_bytes = source.block_rows * source.row_length * element_bytes;
  block_.bytes.resize(static_cast<size_t>(block_bytes));
  if (!source.transpose) return read_rows(source, number, 1, block_.bytes.data());
  // The matrix as it is stored has row_length rows of block_rows values.
  const int64_t columns = source.block_rows;
  if (checkpoint_.tensors()[static_cast<size_t>(source.tensor)].shape.size() == 3) {
    std::vector<std::byte> matrix(static_cast<size_t>(block_bytes));
    read_rows(source, number, 1, matrix.data());
    return quantization::transpose(matrix.data(), source.row_length, columns, element_bytes,
                                   block_.bytes.data(), source.row_length);
  }
  const int64_t chunk = std::clamp<int64_t>(
      kTransposeChunkBytes / std::max<int64_t>(columns * element_bytes, 1), 1, source.row_length);
  std::vector<std::byte> rows(static_cast<size_t>(chunk * columns * element_bytes));
  for (int64_t row = 0; row < source.row_length; row += chunk) {
    const int64_t now = std::min(chunk, source.row_length - row);
    read_rows(source, row, now, rows.data());
    quantization::transpose(rows.data(), now, columns, element_bytes,
                            block_.bytes.data() + row * element_bytes, source.row_length);
  }
}

}  // namespace mlc::compiler
