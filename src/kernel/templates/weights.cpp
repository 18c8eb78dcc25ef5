// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/weights.h"

#include <algorithm>
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

// [8 groups][4 words]
Expr WeightReader::block_words(KernelBuilder& b, const Expr& row, const Expr& block,
                               int groups) const {
  const graph::BitLayout& l = *layout_;
  const int per_group = l.words_per_group();
  MLC_CHECK(by_rows() && per_group == 4) << per_group;
  const Expr at = row * (l.groups(k_) * per_group) + block * (8 * per_group);
  return b.let("words", load_padded(words_, at, groups * per_group, 8 * per_group));
}

namespace {

// Of [8 groups][4 words] the words w and w + 1 of the first `groups` groups: one vector.
Expr word_pair(KernelBuilder& b, const Expr& words, int w, int groups) {
  std::vector<int> order;
  for (int i = 0; i < 2 * groups; ++i) order.push_back(4 * (i % groups) + w + i / groups);
  return b.let("pair", shuffle(words, order));
}

}  // namespace

std::vector<Expr> WeightReader::block_codes(KernelBuilder& b, const Expr& row, const Expr& block,
                                            int groups) const {
  const Expr words = block_words(b, row, block, groups);
  std::vector<std::vector<Expr>> kinds(2);
  for (int half = 0; half < 2; ++half)
    kinds[static_cast<size_t>(half)] = unpack_words(b, word_pair(b, words, 2 * half, 8));
  std::vector<Expr> codes;
  for (size_t a = 0; a < kinds[0].size(); ++a) {
    codes.push_back(kinds[0][a]);
    codes.push_back(kinds[1][a]);
  }
  return codes;
}

std::vector<Expr> WeightReader::strip_codes(KernelBuilder& b, const std::vector<Expr>& columns,
                                            const Expr& block, int groups, int lanes) const {
  const auto per_group = static_cast<size_t>(layout_->words_per_group());
  std::vector<std::vector<Expr>> words(per_group);  // [word][column]
  for (const Expr& column : columns) {
    const Expr all = block_words(b, column, block, groups);
    for (int w = 0; w < static_cast<int>(per_group); w += 2) {
      const Expr pair = word_pair(b, all, w, lanes);
      for (int i = 0; i < 2; ++i)
        words[static_cast<size_t>(w + i)].push_back(slice_lanes(pair, i * lanes, lanes));
    }
  }
  std::vector<std::vector<Expr>> kinds;  // of each word
  for (std::vector<Expr>& word : words)
    kinds.push_back(unpack_words(b, b.let("word", concat_all(b, std::move(word)))));
  std::vector<Expr> codes;
  for (size_t a = 0; a < kinds[0].size(); ++a) {
    for (const std::vector<Expr>& word : kinds) codes.push_back(word[a]);
  }
  return codes;
}

std::vector<Expr> WeightReader::block_groups(KernelBuilder& b, const Expr& row, const Expr& block,
                                             int groups) const {
  const Expr words = block_words(b, row, block, groups);
  std::vector<Expr> result;
  for (int half = 0; half < 2; ++half) {  // of four groups, whose words are a vector
    std::vector<Expr> kinds;
    for (const Expr& codes : unpack_words(b, b.let("four", slice_lanes(words, 16 * half, 16))))
      kinds.push_back(bitcast({DType::kU32, 16}, codes));
    const auto quads = static_cast<int>(4 * kinds.size());
    // Two groups at a time, so that whole registers are moved.
    const Expr all = concat_all(b, kinds);
    for (int g = 0; g < 4; g += 2) {
      std::vector<int> order;
      for (int i = 0; i < 2 * quads; ++i)
        order.push_back(i % quads / 4 * 16 + 4 * (g + i / quads) + i % 4);
      const Expr two = b.let("two", shuffle(all, order));
      result.push_back(b.let("quads", slice_lanes(two, 0, quads)));
      result.push_back(b.let("quads", slice_lanes(two, quads, quads)));
    }
  }
  return result;
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
  std::vector<Expr> codes(static_cast<size_t>(graph::activations_for(*layout_).quads()));
  for (int step = 0; step < strip_steps(); ++step) {
    for (StripQuad& q : strip_quads(b, {lanes, 1}, row, group, step))
      codes[static_cast<size_t>(q.quad)] = std::move(q.codes);
  }
  return codes;
}

int64_t WeightReader::word_rows() const {
  return layout_->order == WordOrder::kAwq ? graph::activations_for(*layout_).group_size
                                           : layout_->words_per_group();
}

int64_t WeightReader::words_per_row() const {
  return layout_->order == WordOrder::kAwq ? n_ / 8 : n_;
}

int WeightReader::strip_steps() const {
  return layout_->order == WordOrder::kAwq ? graph::activations_for(*layout_).quads()
                                           : layout_->words_per_group();
}

namespace {

// Which of its eight rows lies in nibble `nibble` of a word of AWQ.
int awq_row(int nibble) { return nibble < 4 ? 2 * nibble : 2 * (nibble - 4) + 1; }

// Elements of x and y by turns, from the low or the high half of each 16 bytes.
Expr interleave(KernelBuilder& b, const Expr& x, const Expr& y, bool high) {
  const int lanes = x->type.lanes;
  const int in_piece = 16 / static_cast<int>(dtype_bytes(x->type.dtype));
  std::vector<int> order;
  for (int piece = 0; piece < lanes; piece += in_piece) {
    for (int i = 0; i < in_piece / 2; ++i) {
      const int from = piece + i + (high ? in_piece / 2 : 0);
      order.push_back(from);
      order.push_back(lanes + from);
    }
  }
  return b.let("mixed", shuffle(x, y, order));
}

}  // namespace

std::vector<int> ColumnStrip::order(int accumulator) const {
  std::vector<int> columns;
  for (int lane = 0; lane < lanes; ++lane) {
    // AWQ: accumulator 2 q + h has the words 4 i + q, of each the nibbles 2 b + h.
    columns.push_back(accumulators == 1 ? lane
                                        : 8 * (lane / 4 * 4 + accumulator / 2) +
                                              awq_row(2 * (lane % 4) + accumulator % 2));
  }
  return columns;
}

std::vector<ColumnStrip> WeightReader::strips(int64_t width, int64_t vector_bytes) const {
  if (layout_->order != WordOrder::kAwq) return {{kLanes, 1}, {1, 1}};
  int64_t words = std::clamp<int64_t>(vector_bytes / 4, 4, 16);
  while (words > 4 && 8 * words > width) words /= 2;
  return {{static_cast<int>(words), 8}, {8, 1}};
}

std::vector<WeightReader::StripQuad> WeightReader::strip_quads(KernelBuilder& b,
                                                               const ColumnStrip& strip,
                                                               const Expr& row, const Expr& group,
                                                               int step) const {
  std::vector<StripQuad> list;
  if (layout_->order == WordOrder::kColumns) {
    const Expr at = (group * word_rows() + step) * words_per_row() + row;
    const std::vector<Expr> kinds = unpack_words(b, b.let("words", load(words_, at, strip.lanes)));
    for (size_t a = 0; a < kinds.size(); ++a)
      list.push_back({static_cast<int>(a) * layout_->words_per_group() + step, 0, kinds[a]});
    return list;
  }
  // AWQ: the codes of four rows of words side by side, one byte each.
  const auto at_row = [&](int i) {
    return (group * word_rows() + (4 * step + i)) * words_per_row();
  };
  const Type bytes{DType::kU8, 4 * strip.lanes};
  if (strip.accumulators == 1) {
    std::vector<Expr> four;
    for (int i = 0; i < 4; ++i) {
      const Expr nibbles = b.let("codes", awq_nibbles(b, words_, at_row(i), row, strip.lanes));
      four.push_back(i == 0 ? nibbles : shift_left(nibbles, constant(nibbles->type, 8 * i)));
    }
    const Expr quads = (four[0] | four[1]) | (four[2] | four[3]);
    list.push_back({step, 0, b.let("quad", bitcast(bytes, quads))});
    return list;
  }
  // Two rounds of interleaving bring a byte of each of the four together: two nibbles, two columns.
  std::vector<Expr> four;
  for (int i = 0; i < 4; ++i) {
    const Expr words = load(words_, at_row(i) + row / 8, strip.lanes);
    four.push_back(b.let("words", bitcast(bytes, words)));
  }
  const Type pairs{DType::kU16, 2 * strip.lanes};
  const Type words{DType::kU32, strip.lanes};
  for (int q = 0; q < 4; ++q) {
    const auto mixed = [&](const Expr& x, const Expr& y) {
      return bitcast(pairs, interleave(b, x, y, q >= 2));
    };
    const Expr both =
        b.let("both", bitcast(words, interleave(b, mixed(four[0], four[1]), mixed(four[2], four[3]),
                                                q % 2 != 0)));
    const Expr high = shift_right(both, constant(words, 4));
    list.push_back({step, 2 * q, b.let("quad", bitcast(bytes, both & 0x0f0f0f0f))});
    list.push_back({step, 2 * q + 1, b.let("quad", bitcast(bytes, high & 0x0f0f0f0f))});
  }
  return list;
}

std::vector<Expr> WeightReader::strip_scales(KernelBuilder& b, const ColumnStrip& strip,
                                             const Expr& row, const Expr& group) const {
  if (strip.accumulators == 1) return {scales_of(b, row, group, strip.lanes)};
  std::vector<Expr> list;
  for (int q = 0; q < 4; ++q) {
    std::vector<Expr> pieces;  // of the words 4 i + q
    for (int i = 0; i < strip.lanes / 4; ++i)
      pieces.push_back(load(scales_, group * n_ + (row + 8 * (4 * i + q)), 8));
    const Expr joined = concat_all(b, std::move(pieces));
    for (int half = 0; half < 2; ++half) {
      std::vector<int> order;
      for (int lane = 0; lane < strip.lanes; ++lane)
        order.push_back(lane / 4 * 8 + awq_row(2 * (lane % 4) + half));
      list.push_back(b.let("scales", cast(DType::kF32, shuffle(joined, order))));
    }
  }
  return list;
}

std::vector<Expr> WeightReader::strip_zeros(KernelBuilder& b, const ColumnStrip& strip,
                                            const Expr& row, const Expr& group) const {
  if (strip.accumulators == 1) return {stored_zeros(b, row, group, strip.lanes)};
  const Expr words = load(zeros_, group * words_per_row() + row / 8, strip.lanes);
  const Expr bytes = b.let("words", bitcast({DType::kU8, 4 * strip.lanes}, words));
  std::vector<Expr> list;
  for (int q = 0; q < 4; ++q) {
    std::vector<int> order;
    for (int lane = 0; lane < strip.lanes; ++lane)
      order.push_back(4 * (lane / 4 * 4 + q) + lane % 4);
    const Expr both = b.let("both", shuffle(bytes, order));
    list.push_back(b.let("zeros", cast(DType::kI32, both & 15)));
    list.push_back(b.let("zeros", cast(DType::kI32, shift_right(both, constant(both->type, 4)))));
  }
  return list;
}

void WeightReader::prefetch_strip(KernelBuilder& b, const ColumnStrip& strip, const Expr& row,
                                  const Expr& group, int step) const {
  const bool awq = layout_->order == WordOrder::kAwq;
  const Expr first_word = awq ? row / 8 : row;
  const int64_t rows = word_rows() / strip_steps();
  for (int64_t i = step * rows; i < (step + 1) * rows; ++i)
    b.prefetch(words_, (group * word_rows() + i) * words_per_row() + first_word);
  if (step > 0) return;
  const Expr own = b.let("own", scale_group(group));
  const int64_t line = 64 / dtype_bytes(scales_->element.dtype);
  for (int64_t i = 0; i < strip.columns(); i += line) b.prefetch(scales_, own * n_ + (row + i));
  if (zeros_) b.prefetch(zeros_, own * words_per_row() + first_word);
}

Expr WeightReader::scales_of(KernelBuilder& b, const Expr& row, const Expr& group,
                             int lanes) const {
  return b.let("scales", cast(DType::kF32, load(scales_, group * n_ + row, lanes)));
}

Expr WeightReader::group_scales(KernelBuilder& b, const Expr& row, const Expr& group,
                                int lanes) const {
  return scales_of(b, row, scale_group(group), lanes);
}

Expr WeightReader::negative_zeros(KernelBuilder& b, const Expr& row, const Expr& group,
                                  int lanes) const {
  if (!layout_->stored_zeros) return constant({DType::kI32, lanes}, -layout_->zero());
  return zeros(DType::kI32, lanes) - stored_zeros(b, row, scale_group(group), lanes);
}

namespace {

// Asks for the lines of `elements` elements from `first` on, or of what lies `ahead` bytes behind.
void prefetch_lines(KernelBuilder& b, const BufferRef& buffer, const Expr& first, int64_t elements,
                    int64_t ahead) {
  const int64_t size = dtype_bytes(buffer->element.dtype);
  for (int64_t i = 0; i < elements; i += 64 / size) b.prefetch(buffer, first + (ahead / size + i));
}

}  // namespace

void WeightReader::prefetch_groups(KernelBuilder& b, const Expr& first, int64_t count,
                                   int64_t bytes_ahead) const {
  const int64_t words = layout_->words_per_group();
  const int64_t scale_bytes = dtype_bytes(scales_->element.dtype);
  prefetch_lines(b, words_, first * words, count * words, bytes_ahead);
  prefetch_lines(b, scales_, first, count, bytes_ahead * scale_bytes / (4 * words));
}

void WeightReader::prefetch(KernelBuilder& b, const Expr& row, const Expr& at, int64_t count,
                            int64_t bytes_ahead) const {
  if (!layout_) {
    prefetch_lines(b, words_, row * k_ + at, count, bytes_ahead);
    return;
  }
  const graph::BitLayout& l = *layout_;
  prefetch_groups(b, row * l.groups(k_) + at / l.group_size, l.groups(count), bytes_ahead);
}

void WeightReader::prefetch_block(KernelBuilder& b, const Expr& row, const Expr& block,
                                  int64_t bytes_ahead) const {
  prefetch_groups(b, row * layout_->groups(k_) + block * 8, 8, bytes_ahead);
}

}  // namespace mlc::kernel
