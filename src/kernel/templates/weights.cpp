// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/weights.h"

#include <numeric>

#include "support/check.h"

namespace mlc::kernel {

using graph::WordOrder;

WeightReader::WeightReader(const graph::Graph& graph, graph::NodeId id, int operand,
                           ParameterList& parameters) {
  const graph::Node& node = graph.node(graph.node(id).operands[static_cast<size_t>(operand)]);
  n_ = node.type.shape[0].value;
  k_ = node.type.shape[1].value;
  layout_ = node.type.layout;
  const auto memory = [&](size_t i) { return graph::memory_dtype(node.stored[i].dtype); };
  words_ = parameters.stored("w", memory(0), operand, 0);
  if (!layout_) return;
  const int scales = layout_->stored_zeros ? 2 : 1;
  if (layout_->stored_zeros) zeros_ = parameters.stored("w_zeros", memory(1), operand, 1);
  scales_ = parameters.stored("w_scales", memory(static_cast<size_t>(scales)), operand, scales);
}

int WeightReader::decode_step() const {
  if (!layout_) return kLanes;
  return std::lcm(kLanes, layout_->group_size);
}

int WeightReader::column_step() const {
  return layout_->order == WordOrder::kAwq ? kLanes : std::lcm(kLanes, layout_->codes_per_word());
}

std::vector<Expr> WeightReader::decode(KernelBuilder& b, const Expr& row, const Expr& at,
                                       int count) const {
  std::vector<Expr> values;
  if (!layout_) {
    values.push_back(b.let("w", cast(DType::kF32, load(words_, row * k_ + at, count))));
    return values;
  }
  MLC_CHECK(by_rows()) << "decode() reads rows";
  const graph::BitLayout& l = *layout_;
  const int per_word = l.codes_per_word();
  const int groups = static_cast<int>(l.groups(count));
  const int words_count = groups * l.words_per_group();
  const Expr group = b.let("group", at / l.group_size);
  const Expr words =
      b.let("words",
            load(words_, row * (l.groups(k_) * l.words_per_group()) + group * l.words_per_group(),
                 words_count));
  const Expr scales =
      b.let("scales", cast(DType::kF32, load(scales_, row * l.groups(k_) + group, groups)));
  for (int begin = 0; begin < count; begin += kLanes) {
    const int lanes = std::min(kLanes, count - begin);
    std::vector<int> word_of;
    std::vector<int> scale_of;
    std::vector<int> shifts;
    for (int i = 0; i < lanes; ++i) {
      word_of.push_back((begin + i) / per_word);
      scale_of.push_back((begin + i) / l.group_size);
      shifts.push_back((begin + i) % per_word * l.bits);
    }
    const Expr spread = words_count == 1 ? broadcast(words, lanes) : shuffle(words, word_of);
    const Expr codes = cast(DType::kI32, shift_right(spread, vector_constant(DType::kU32, shifts)) &
                                             ((int64_t{1} << l.bits) - 1));
    const Expr spread_scales = groups == 1 ? broadcast(scales, lanes) : shuffle(scales, scale_of);
    values.push_back(b.let("w", cast(DType::kF32, codes - int64_t{l.zero()}) * spread_scales));
  }
  return values;
}

Expr WeightReader::awq_nibbles(KernelBuilder& b, const BufferRef& words, const Expr& at_row,
                               const Expr& row, int lanes) const {
  // Row r of a word lies at bit 4 * o, o = (r mod 2) * 4 + r / 2 (AutoAWQ's order).
  const auto bit = [](int r) { return 4 * ((r % 2) * 4 + r / 2); };
  if (lanes == 1) {
    const Expr r = b.let("r", row % 8);
    const Expr shift = ((r % 2) * 4 + r / 2) * 4;
    return shift_right(load(words, at_row + row / 8), cast(DType::kU32, shift)) & 15;
  }
  MLC_CHECK(lanes % 8 == 0) << lanes;
  std::vector<int> word_of;
  std::vector<int> shifts;
  for (int i = 0; i < lanes; ++i) {
    word_of.push_back(i / 8);
    shifts.push_back(bit(i % 8));
  }
  const Expr loaded = b.let("words", load(words, at_row + row / 8, lanes / 8));
  const Expr spread = lanes == 8 ? broadcast(loaded, 8) : shuffle(loaded, word_of);
  return shift_right(spread, vector_constant(DType::kU32, shifts)) & 15;
}

Expr WeightReader::scale_group(const Expr& group) const {
  return group / (layout_->group_size / graph::activations_for(*layout_).group_size);
}

Expr WeightReader::stored_zeros(KernelBuilder& b, const Expr& row, const Expr& group,
                                int lanes) const {
  return b.let("zeros", cast(DType::kI32, awq_nibbles(b, zeros_, group * (n_ / 8), row, lanes)));
}

Expr WeightReader::decode_column(KernelBuilder& b, const Expr& row, const Expr& base,
                                 int64_t offset, int lanes) const {
  const graph::BitLayout& l = *layout_;
  const Expr group = b.let("group", base / l.group_size + offset / l.group_size);
  const Expr scales = scales_of(b, row, group, lanes);
  Expr codes;
  Expr zero;
  if (l.order == WordOrder::kAwq) {
    codes = cast(DType::kI32, awq_nibbles(b, words_, (base + offset) * (n_ / 8), row, lanes));
    zero = stored_zeros(b, row, group, lanes);
  } else {
    const int per_word = l.codes_per_word();
    const Expr word_row = base / per_word + offset / per_word;
    const Expr words = load(words_, word_row * n_ + row, lanes);
    const Expr shift = constant({DType::kU32, lanes}, offset % per_word * l.bits);
    codes = cast(DType::kI32, shift_right(words, shift) & ((int64_t{1} << l.bits) - 1));
    zero = constant({DType::kI32, lanes}, l.zero());
  }
  return b.let("w", cast(DType::kF32, codes - zero) * scales);
}

std::vector<Expr> WeightReader::unpack_words(KernelBuilder& b, const Expr& words) const {
  const int lanes = words->type.lanes;
  const auto c = [&](int64_t value) { return constant({DType::kU32, lanes}, value); };
  const Type bytes{DType::kU8, 4 * lanes};
  std::vector<Expr> quads;
  if (layout_->bits == 4) {  // even elements, then odd ones
    quads.push_back(b.let("even", bitcast(bytes, words & 0x0f0f0f0f)));
    quads.push_back(b.let("odd", bitcast(bytes, shift_right(words, c(4)) & 0x0f0f0f0f)));
    return quads;
  }
  MLC_CHECK(layout_->bits == 3) << layout_->bits;
  for (int a = 0; a < 3; ++a) {  // elements 4a .. 4a + 3, of which the last kind has two
    Expr quad;
    for (int i = 0; i < 4 && 4 * a + i < 10; ++i) {
      const int shift = 3 * (4 * a + i) - 8 * i;  // from the element's bit to byte i
      const Expr moved = shift >= 0 ? shift_right(words, c(shift)) : shift_left(words, c(-shift));
      const Expr byte = moved & (int64_t{7} << (8 * i));
      quad = quad ? quad | byte : byte;
    }
    quads.push_back(b.let("quad", bitcast(bytes, quad)));
  }
  return quads;
}

std::vector<Expr> WeightReader::block_codes(KernelBuilder& b, const Expr& row, const Expr& block,
                                            int groups) const {
  const graph::BitLayout& l = *layout_;
  const int per_group = l.words_per_group();  // 4
  MLC_CHECK(by_rows() && per_group == 4) << per_group;
  const Expr at = row * (l.groups(k_) * per_group) + block * (8 * per_group);
  const Expr words = b.let("words", load_padded(words_, at, groups * per_group, 8 * per_group));
  // [8 groups][4 words] becomes two vectors: words 0 and 1 of the eight groups, words 2 and 3.
  std::vector<std::vector<Expr>> kinds(2);
  for (int half = 0; half < 2; ++half) {
    std::vector<int> order;
    for (int w = 2 * half; w < 2 * half + 2; ++w) {
      for (int g = 0; g < 8; ++g) order.push_back(per_group * g + w);
    }
    kinds[static_cast<size_t>(half)] = unpack_words(b, b.let("pair", shuffle(words, order)));
  }
  std::vector<Expr> codes;
  for (size_t a = 0; a < kinds[0].size(); ++a) {
    codes.push_back(kinds[0][a]);
    codes.push_back(kinds[1][a]);
  }
  return codes;
}

Expr WeightReader::block_scales(KernelBuilder& b, const Expr& row, const Expr& block,
                                int groups) const {
  const Expr at = row * layout_->groups(k_) + block * 8;
  return b.let("scales", pad_lanes(cast(DType::kF32, load(scales_, at, groups)), 8));
}

Expr WeightReader::scale(const Expr& row, const Expr& group) const {
  return cast(DType::kF32, load(scales_, row * layout_->groups(k_) + group));
}

std::vector<Expr> WeightReader::group_codes(KernelBuilder& b, const Expr& row, const Expr& group,
                                            int lanes) const {
  const graph::BitLayout& l = *layout_;
  std::vector<Expr> codes;
  if (l.order == WordOrder::kColumns) {
    std::vector<std::vector<Expr>> words;
    for (int w = 0; w < l.words_per_group(); ++w) {
      const Expr at = (group * l.words_per_group() + w) * n_ + row;
      words.push_back(unpack_words(b, b.let("words", load(words_, at, lanes))));
    }
    for (size_t a = 0; a < words[0].size(); ++a) {
      for (const auto& kinds : words) codes.push_back(kinds[a]);
    }
    return codes;
  }
  // AWQ: four columns of k side by side, one byte each.
  const graph::GroupedInt8 grouped = graph::activations_for(l);
  for (int quad = 0; quad < grouped.quads(); ++quad) {
    std::vector<Expr> columns;
    for (int i = 0; i < 4; ++i) {
      const Expr at_row = (group * grouped.group_size + (4 * quad + i)) * (n_ / 8);
      const Expr nibbles = b.let("codes", awq_nibbles(b, words_, at_row, row, lanes));
      columns.push_back(i == 0 ? nibbles : shift_left(nibbles, constant(nibbles->type, 8 * i)));
    }
    codes.push_back(b.let("quad", bitcast({DType::kU8, 4 * lanes},
                                          (columns[0] | columns[1]) | (columns[2] | columns[3]))));
  }
  return codes;
}

Expr WeightReader::scales_of(KernelBuilder& b, const Expr& row, const Expr& group,
                             int lanes) const {
  return b.let("scales", cast(DType::kF32, load(scales_, group * n_ + row, lanes)));
}

Expr WeightReader::group_scales(KernelBuilder& b, const Expr& row, const Expr& group,
                                int lanes) const {
  return scales_of(b, row, scale_group(group), lanes);
}

Expr WeightReader::zero_correction(KernelBuilder& b, const Expr& row, const Expr& group,
                                   const Expr& sums) const {
  if (layout_->stored_zeros) {
    const Expr zero = stored_zeros(b, row, scale_group(group), sums->type.lanes);
    return zeros(DType::kI32, zero->type.lanes) - zero * sums;
  }
  // -(2^(bits - 1) - 1) times the sum, without a multiplication.
  return sums - shift_left(sums, constant(sums->type, layout_->bits - 1));
}

void WeightReader::prefetch(KernelBuilder& b, const Expr& row, const Expr& block,
                            int64_t bytes_ahead) const {
  const graph::BitLayout& l = *layout_;
  const Expr at = row * (l.groups(k_) * l.words_per_group()) + block * (8 * l.words_per_group());
  b.prefetch(words_, at + bytes_ahead / 4);
  b.prefetch(words_, at + (bytes_ahead / 4 + 16));
}

}  // namespace mlc::kernel
