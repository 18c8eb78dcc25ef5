// SPDX-License-Identifier: Apache-2.0
#include "kernel/lowering/epilogue.h"

#include "support/check.h"

namespace mlc::kernel {

using graph::Attr;
using graph::Op;

BufferRef ParameterList::add(const std::string& name, DType dtype, Space space, Binding binding) {
  bindings_.push_back(binding);
  return b_.buffer_parameter(name, dtype, space);
}
BufferRef ParameterList::operand(const std::string& name, DType dtype, int index, int component) {
  const Op op = graph_.node(node_.operands[static_cast<size_t>(index)]).op;
  const Space space = op == Op::kInput      ? Space::kInput
                      : op == Op::kConstant ? Space::kConstant
                                            : Space::kArena;
  return add(name, dtype, space, {Binding::Kind::kOperand, index, component, 0});
}
BufferRef ParameterList::result(const std::string& name, DType dtype, int component) {
  return add(name, dtype, Space::kArena, {Binding::Kind::kResult, 0, component, 0});
}
BufferRef ParameterList::stored(const std::string& name, DType dtype, int index, int component) {
  return add(name, dtype, Space::kWeight, {Binding::Kind::kStored, index, component, 0});
}
BufferRef ParameterList::cache(const std::string& name, DType dtype) {
  return add(name, dtype, Space::kCache, {Binding::Kind::kCache, 0, 0, 0});
}
BufferRef ParameterList::table(const std::string& name, formats::InputTable table) {
  return add(name, DType::kI32, Space::kInput,
             {Binding::Kind::kTable, static_cast<int>(table), 0, 0});
}
BufferRef ParameterList::temporary(const std::string& name, DType dtype, int index) {
  return add(name, dtype, Space::kArena, {Binding::Kind::kTemporary, index, 0, 0});
}
Expr ParameterList::size(const std::string& name, formats::PlanSymbol symbol) {
  const auto [known, added] = sizes_.try_emplace(symbol);
  if (added) {
    bindings_.push_back({Binding::Kind::kSize, 0, 0, symbol});
    known->second = b_.size_parameter(name);
  }
  return known->second;
}

namespace {

const RowSchedule& cpu_schedule() {
  static const RowSchedule schedule;
  return schedule;
}

}  // namespace

Expr emit_activation(KernelBuilder& b, Op op, const Expr& x) {
  const int lanes = x->type.lanes;
  const auto c = [&](double value) { return float_constant({DType::kF32, lanes}, value); };
  switch (op) {
    case Op::kSilu: {
      const Expr e = b.let("e", math(ExprKind::kExp, c(0) - x));
      return x / (c(1) + e);
    }
    case Op::kGelu: {
      const Expr e = b.let("e", math(ExprKind::kErf, x * c(0.70710678118654752)));
      return (x * c(0.5)) * (c(1) + e);
    }
    case Op::kGeluTanh: {
      const Expr cube = b.let("cube", x * x * x);
      const Expr t =
          b.let("t", math(ExprKind::kTanh, (x + cube * c(0.044715)) * c(0.79788456080286536)));
      return (x * c(0.5)) * (c(1) + t);
    }
    case Op::kRelu:
      return maximum(x, c(0));
    default:
      MLC_UNREACHABLE() << graph::op_name(op);
  }
}

Epilogue::Epilogue(const graph::Graph& graph, graph::NodeId id, int64_t preferred_width,
                   const RowSchedule* schedule)
    : graph_(graph),
      node_(graph.node(id)),
      schedule_(schedule == nullptr ? cpu_schedule() : *schedule) {
  blocks_.columns = node_.base_type.last();
  blocks_.width = preferred_width;
  int64_t final_columns = blocks_.columns;
  int64_t group_size = 1;
  for (const graph::EpilogueOp& e : node_.epilogue) {
    steps_.push_back({&e, {}, {}});
    if (e.op == Op::kGate) {
      blocks_.segments = 2;
      blocks_.distance = blocks_.columns / 2;
      final_columns = blocks_.columns / 2;
    }
    // Heads are not cut, nor are groups of int8 activations.
    if (e.op == Op::kRope || e.op == Op::kKvAppend) blocks_.width = e.attrs.int_of(Attr::kHeadDim);
    if (e.op == Op::kQuantize) {
      group_size = e.attrs.int_of(Attr::kGroup);
      if (preferred_width < final_columns) {
        blocks_.width = std::max<int64_t>(1, preferred_width / group_size) * group_size;
      }
    }
  }
  blocks_.width = std::min(blocks_.width, final_columns);
  blocks_.count = (final_columns + blocks_.width - 1) / blocks_.width;
  blocks_.ragged = final_columns % blocks_.width != 0;
  blocks_.stride =
      std::max(blocks_.local_width(), (blocks_.width + group_size - 1) / group_size * group_size);
  blocks_.stride = (blocks_.stride + kLanes - 1) / kLanes * kLanes;
}

void Epilogue::declare(ParameterList& parameters) {
  for (Step& step : steps_) {
    for (const int operand : step.op->operands) {
      const graph::Node& source = graph_.node(node_.operands[static_cast<size_t>(operand)]);
      step.types.push_back(&source.type);
      step.operands.push_back(
          source.op == Op::kParameter
              ? parameters.stored("e", graph::memory_dtype(source.stored[0].dtype), operand, 0)
              : parameters.operand("e", source.type.dtype, operand));
    }
    if (step.op->op == Op::kKvAppend) {
      const graph::CacheGroup& group = graph_.cache_of_layer(step.op->attrs.int_of(Attr::kLayer));
      cache_ = parameters.cache("cache", group.dtype);
      slots_ = parameters.table("slots", formats::InputTable::kCacheSlots);
    }
  }
  const std::vector<DType> dtypes = value_buffer_dtypes(node_.type);
  for (size_t i = 0; i < dtypes.size(); ++i) {
    results_.push_back(parameters.result(i == 0   ? "out"
                                         : i == 1 ? "out_scales"
                                                  : "out_sums",
                                         dtypes[i], static_cast<int>(i)));
  }
  if (node_.type.grouped) rows_ = parameters.size("rows", row_symbol(node_.type));
}

Expr Epilogue::column_count(KernelBuilder& b, const Expr& block) const {
  if (!blocks_.ragged) return index(blocks_.width);
  const int64_t columns = blocks_.segments == 2 ? blocks_.columns / 2 : blocks_.columns;
  return b.let("count", minimum(index(blocks_.width), index(columns) - block * blocks_.width));
}

Expr Epilogue::elementwise(const Step& step, Expr value, const Expr& row, const Expr& column,
                           int lanes) const {
  const auto operand = [&](size_t i) {
    const graph::Type& type = *step.types[i];
    const Expr at = type.shape.size() == 1 ? column : row * type.last() + column;
    return cast(DType::kF32, load(step.operands[i], at, lanes));
  };
  switch (step.op->op) {
    case Op::kAdd:
      return value + operand(0);
    case Op::kMul:
      return value * operand(0);
    case Op::kScale:
      return value * f32(step.op->attrs.float_of(Attr::kValue));
    default:
      MLC_UNREACHABLE() << graph::op_name(step.op->op) << " in an elementwise pass";
  }
}

void Epilogue::elementwise_pass(KernelBuilder& b, size_t begin, size_t end, const Expr& row,
                                const Expr& first_column, const Expr& count, int64_t width,
                                const BufferRef& local, const Expr& base,
                                const BufferRef* out) const {
  if (begin == end && out == nullptr) return;
  const int64_t padded = (width + kLanes - 1) / kLanes * kLanes;
  schedule_.for_elements(b, "c", count, padded, [&](const Expr& at, int lanes) {
    const Expr column = b.let("column", first_column + at);
    Expr value = b.let("v", load(local, base + at, lanes));
    for (size_t i = begin; i < end; ++i) {
      value = b.let("v", graph::is_activation(steps_[i].op->op)
                             ? emit_activation(b, steps_[i].op->op, value)
                             : elementwise(steps_[i], value, row, column, lanes));
    }
    if (out == nullptr) {
      b.store(local, base + at, value);
    } else {
      b.store(*out, row * node_.type.last() + column, cast((*out)->element.dtype, value));
    }
  });
}

void Epilogue::gate(KernelBuilder& b, const Step& step, const BufferRef& local,
                    const Expr& base) const {
  const int64_t width = blocks_.padded_width();
  schedule_.for_elements(b, "c", index(width), width, [&](const Expr& at, int lanes) {
    const Expr first = b.let("first", load(local, base + at, lanes));
    const Expr second = b.let("second", load(local, base + (at + width), lanes));
    b.store(local, base + at,
            emit_activation(b, step.op->attrs.op_of(Attr::kActivation), first) * second);
  });
}

void Epilogue::rope(KernelBuilder& b, const Step& step, const Expr& row, const Expr& block,
                    const BufferRef& local, const Expr& base) const {
  const int64_t half = step.op->attrs.int_of(Attr::kRotaryDim) / 2;
  const bool pairs = step.op->attrs.text_of(Attr::kStyle) == "pair";
  const BufferRef& table = step.operands[0];
  const Expr angles = b.let("angles", row * (2 * half));
  b.if_then(less(block, index(step.op->attrs.int_of(Attr::kHeads))), [&] {
    schedule_.for_elements(b, "i", index(half), half, [&](const Expr& i, int lanes) {
      const Expr first_at = pairs ? ramp(base + i * 2, 2, lanes) : base + i;
      const Expr second_at = pairs ? ramp(base + (i * 2 + 1), 2, lanes) : base + (i + half);
      const Expr cosine = b.let("cosine", load(table, angles + i, lanes));
      const Expr sine = b.let("sine", load(table, angles + (i + half), lanes));
      const Expr x = b.let("x", load(local, first_at, lanes));
      const Expr y = b.let("y", load(local, second_at, lanes));
      b.store(local, first_at, x * cosine - y * sine);
      b.store(local, second_at, y * cosine + x * sine);
    });
  });
}

namespace {

// The largest magnitude of `count` elements, whatever the order it is found in.
Expr largest_magnitude(KernelBuilder& b, const BufferRef& local, const Expr& base, int64_t count,
                       int lanes) {
  const BufferRef top = b.allocate("top", {DType::kF32, lanes}, 1, Space::kRegister);
  b.store(top, index(0), zeros(DType::kF32, lanes));
  for_vectors(b, "i", count, lanes, [&](const Expr& at, int existing) {
    const Expr x = pad_lanes(load(local, base + at, existing), lanes);
    b.store(top, index(0), maximum(load(top, index(0)), absolute(x)));
  });
  return tree_max(b, load(top, index(0)));
}

// What x is multiplied by to become a code of int8: 127 / amax, or 0 where all are 0.
Expr quantizing_factor(KernelBuilder& b, const Expr& amax) {
  return b.let("inverse", select(less(f32(0), amax), f32(127) / amax, f32(0)));
}

// The code of each lane in [-127, 127], i32.
Expr quantized_code(KernelBuilder& b, const Expr& x, const Expr& factor) {
  const int lanes = x->type.lanes;
  const auto f = [&](double value) { return float_constant({DType::kF32, lanes}, value); };
  const Expr rounded = b.let("rounded", round_even(x * broadcast(factor, lanes)));
  return b.let("code", cast(DType::kI32, minimum(maximum(rounded, f(-127)), f(127))));
}

}  // namespace

void Epilogue::kv_append(KernelBuilder& b, const Step& step, const Expr& row, const Expr& block,
                         const BufferRef& local, const Expr& base) const {
  const int64_t d = step.op->attrs.int_of(Attr::kHeadDim);
  const int64_t heads = step.op->attrs.int_of(Attr::kHeads);
  const int64_t kv_heads = step.op->attrs.int_of(Attr::kKvHeads);
  const PageLayout layout(graph_.cache_of_layer(step.op->attrs.int_of(Attr::kLayer)));
  if (layout.quantized()) schedule_.sync(b);
  const auto query = [&] {  // a query head: the node's value
    schedule_.for_elements(b, "c", index(d), d, [&](const Expr& at, int lanes) {
      const Expr v = load(local, base + at, lanes);
      b.store(results_[0], row * (heads * d) + (block * d + at),
              cast(results_[0]->element.dtype, v));
    });
  };
  const auto key_or_value = [&] {
    const Expr slot = b.let("slot", cast(DType::kI64, load(slots_, row)));
    const Expr page = b.let("page", slot / kPageTokens);
    const Expr offset = b.let("offset", slot % kPageTokens);
    const Expr head = b.let("head", (block - index(heads)) % kv_heads);
    const Expr at_head = b.let("at_head", (page * kv_heads + head) * layout.head_elements());
    const Expr is_key = less(block, index(heads + kv_heads));
    Expr factor;
    if (layout.quantized()) {
      const Expr amax = largest_magnitude(b, local, base, d, schedule_.lanes());
      factor = quantizing_factor(b, amax);
      const Expr scales = select(is_key, index(layout.key_scales()), index(layout.value_scales()));
      schedule_.for_pieces(b, "scale", index(1), [&](const Expr&) {
        b.store(cache_, at_head + (scales + offset * PageLayout::kScaleBytes),
                bitcast({DType::kI8, PageLayout::kScaleBytes}, amax / f32(127)));
      });
    }
    const auto stored = [&](const Expr& x) {
      return cast(layout.dtype, factor ? quantized_code(b, x, factor) : x);
    };
    b.if_then(
        is_key,
        [&] {
          schedule_.for_pieces(b, "c", index(d), [&](const Expr& c) {
            b.store(cache_, at_head + (c * kPageTokens + offset), stored(load(local, base + c)));
          });
        },
        [&] {
          const Expr at_row = b.let("at_row", at_head + (offset * d + index(layout.values())));
          schedule_.for_elements(b, "c", index(d), d, [&](const Expr& c, int lanes) {
            b.store(cache_, at_row + c, stored(load(local, base + c, lanes)));
          });
        });
  };
  b.if_then(less(block, index(heads)), query, key_or_value);
}

// Quantizes a group of int8 activations, which lies in `local` from `base` on, and stores codes,
// scale and sum of group `group` of row `row`.
static void store_quantized_group(KernelBuilder& b, const GroupedLayout& layout,
                                  const BufferRef& local, const Expr& base, const Expr& row,
                                  const Expr& group, const BufferRef& codes,
                                  const BufferRef& scales, const BufferRef& sums) {
  const graph::GroupedInt8& grouped = layout.grouped;
  const int64_t size = grouped.group_size;
  const int lanes = size % kLanes == 0 ? kLanes : 8;
  MLC_CHECK(size % lanes == 0) << "group of " << size;
  const int64_t vectors = size / lanes;
  const Expr amax = largest_magnitude(b, local, base, size, lanes);
  const Expr factor = quantizing_factor(b, amax);
  std::vector<Expr> pieces;
  Expr total = zeros(DType::kI32, lanes);
  for (int64_t i = 0; i < vectors; ++i) {
    const Expr code = quantized_code(b, load(local, base + i * lanes, lanes), factor);
    total = b.let("total", total + code);
    pieces.push_back(b.let("bytes", cast(DType::kI8, code)));
  }
  const Expr bytes = concat_all(b, std::move(pieces));
  std::vector<int> order;
  for (int quad = 0; quad < grouped.quads(); ++quad) {
    for (int i = 0; i < 4; ++i) {
      const int element = grouped.element(quad, i);
      order.push_back(element < 0 ? bytes->type.lanes : element);
    }
  }
  const Expr quads = b.let("quads", shuffle(bytes, zeros(DType::kI8, bytes->type.lanes), order));
  const Expr at = b.let("at", layout.quad_at(row, group));
  for (int quad = 0; quad < grouped.quads(); ++quad) {
    b.store(codes, at + 32 * quad, slice_lanes(quads, 4 * quad, 4));
  }
  const Expr at_scale = b.let("at_scale", layout.group_at(row, group));
  b.store(scales, at_scale, amax / f32(127));
  b.store(sums, at_scale, tree_sum(b, total) * int64_t{grouped.sum_factor()});
}

// The same numbers from scalars: a thread's work on a GPU.
static void store_quantized_group_by_element(KernelBuilder& b, const GroupedLayout& layout,
                                             const BufferRef& local, const Expr& base,
                                             const Expr& row, const Expr& group,
                                             const BufferRef& codes, const BufferRef& scales,
                                             const BufferRef& sums) {
  const graph::GroupedInt8& grouped = layout.grouped;
  const Expr amax = largest_magnitude(b, local, base, grouped.group_size, 1);
  const Expr factor = quantizing_factor(b, amax);
  const Expr at = b.let("at", layout.quad_at(row, group));
  Expr total = i32(0);
  for (int quad = 0; quad < grouped.quads(); ++quad) {
    for (int i = 0; i < 4; ++i) {
      const int element = grouped.element(quad, i);
      Expr code = i32(0);
      if (element >= 0) {
        code = quantized_code(b, load(local, base + element), factor);
        total = b.let("total", total + code);
      }
      b.store(codes, at + (32 * quad + i), cast(DType::kI8, code));
    }
  }
  const Expr at_scale = b.let("at_scale", layout.group_at(row, group));
  b.store(scales, at_scale, amax / f32(127));
  b.store(sums, at_scale, total * int64_t{grouped.sum_factor()});
}

// Zeros for the groups that only fill the last block of a row.
static void store_padding_groups(KernelBuilder& b, const RowSchedule& schedule,
                                 const GroupedLayout& layout, int64_t k, const Expr& row,
                                 const BufferRef& codes, const BufferRef& scales,
                                 const BufferRef& sums) {
  const graph::GroupedInt8& grouped = layout.grouped;
  const int64_t groups = grouped.groups(k);
  const int64_t padding = grouped.padded_groups(k) - groups;
  if (padding == 0) return;
  const int bytes = std::min(4, schedule.lanes());  // of a store
  schedule.for_pieces(b, "p", index(padding), [&](const Expr& p) {
    const Expr group = b.let("group", p + groups);
    const Expr at = b.let("at", layout.quad_at(row, group));
    b.serial("quad", grouped.quads(), [&](const Expr& quad) {
      for (int i = 0; i < 4; i += bytes)
        b.store(codes, at + quad * 32 + i, zeros(DType::kI8, bytes));
    });
    const Expr at_scale = b.let("at_scale", layout.group_at(row, group));
    b.store(scales, at_scale, f32(0));
    b.store(sums, at_scale, i32(0));
  });
}

void Epilogue::quantize(KernelBuilder& b, const graph::Type& type, const Expr& row,
                        const Expr& block, const Expr& count, const BufferRef& local,
                        const Expr& base) const {
  const graph::GroupedInt8& grouped = *type.grouped;
  const GroupedLayout layout{grouped, rows_};
  const int64_t k = type.last();
  const int64_t size = grouped.group_size;
  const int64_t groups = blocks_.width / size + (blocks_.width % size != 0);
  // A cut group counts its missing elements as zeros.
  if (k % size != 0) {
    const int64_t padded = groups * size;
    schedule_.for_pieces(b, "z", index(padded) - count,
                         [&](const Expr& z) { b.store(local, base + (count + z), f32(0)); });
  }
  const Expr existing = b.let("groups", ceil_div(count, size));
  schedule_.sync(b);
  schedule_.for_pieces(b, "g", existing, [&](const Expr& g) {
    const auto store_group =
        schedule_.lanes() == 1 ? store_quantized_group_by_element : store_quantized_group;
    store_group(b, layout, local, b.let("from", base + g * size), row,
                b.let("group", block * groups + g), results_[0], results_[1], results_[2]);
  });
  if (grouped.padded_groups(k) != grouped.groups(k)) {
    b.if_then(equal(block, index(blocks_.count - 1)), [&] {
      store_padding_groups(b, schedule_, layout, k, row, results_[0], results_[1], results_[2]);
    });
  }
}

void Epilogue::finish_row(KernelBuilder& b, const Expr& row, const Expr& block,
                          const BufferRef& local, const Expr& base) const {
  const Expr count = column_count(b, block);
  const Expr first = b.let("first", block * blocks_.width);
  // Elementwise steps run in one pass up to the next step that needs the whole block. Before a gate
  // they would have to run on both halves.
  size_t pending = 0;
  bool halves = blocks_.segments == 2;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Op op = steps_[i].op->op;
    if (graph::op_properties(op) & graph::kElementwise) continue;
    elementwise_pass(b, pending, i, row, first, count, blocks_.width, local, base, nullptr);
    if (halves) {
      elementwise_pass(b, pending, i, row, first + blocks_.distance, count, blocks_.width, local,
                       base + blocks_.padded_width(), nullptr);
    }
    pending = i + 1;
    switch (op) {
      case Op::kGate:
        gate(b, steps_[i], local, base);
        halves = false;
        break;
      case Op::kRope:
        schedule_.sync(b);
        rope(b, steps_[i], row, block, local, base);
        schedule_.sync(b);
        break;
      case Op::kKvAppend:
        MLC_CHECK(i + 1 == steps_.size()) << "kv_append is the last step";
        kv_append(b, steps_[i], row, block, local, base);
        return;
      case Op::kQuantize:
        MLC_CHECK(i + 1 == steps_.size()) << "quantize is the last step";
        quantize(b, steps_[i].op->type, row, block, count, local, base);
        return;
      default:
        MLC_UNREACHABLE() << graph::op_name(op);
    }
  }
  elementwise_pass(b, pending, steps_.size(), row, first, count, blocks_.width, local, base,
                   &results_[0]);
}

}  // namespace mlc::kernel
