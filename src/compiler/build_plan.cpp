// SPDX-License-Identifier: Apache-2.0
#include "compiler/build_plan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "kernel/lowering/epilogue.h"
#include "kernel/lowering/lowered.h"
#include "kernel/lowering/page_layout.h"
#include "kernel/passes/passes.h"
#include "kernel/templates/templates.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::compiler {
namespace {

using formats::LinearSize;
using formats::PlanArgument;
using graph::Node;
using graph::NodeId;
using graph::Op;
using kernel::Binding;

// Places in the arena. A place serves buffers whose sizes have the same symbols; it is as large as
// the largest.
class Arena {
 public:
  int take(const LinearSize& size) {
    int best = -1;
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].used || !same_symbols(places_[i].size, size)) continue;
      if (best < 0 ||
          waste(places_[i].size, size) < waste(places_[static_cast<size_t>(best)].size, size))
        best = static_cast<int>(i);
    }
    if (best < 0) {
      places_.push_back({size, false});
      best = static_cast<int>(places_.size()) - 1;
    }
    Place& place = places_[static_cast<size_t>(best)];
    place.used = true;
    place.size = larger(place.size, size);
    return best;
  }
  void give_back(int place) { places_[static_cast<size_t>(place)].used = false; }

  // Offsets of all places, each a multiple of 64 for whole symbols, and the size of all.
  std::vector<LinearSize> offsets(LinearSize* total) const {
    std::vector<LinearSize> result;
    LinearSize at;
    for (const Place& place : places_) {
      result.push_back(at);
      LinearSize padded = place.size;
      padded.constant = round_up(padded.constant);
      for (auto& [symbol, coefficient] : padded.terms) coefficient = round_up(coefficient);
      at = at + padded;
    }
    *total = at;
    return result;
  }

 private:
  struct Place {
    LinearSize size;
    bool used;
  };
  static int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  static bool same_symbols(const LinearSize& a, const LinearSize& b) {
    return a.terms.size() == b.terms.size() &&
           std::equal(a.terms.begin(), a.terms.end(), b.terms.begin(),
                      [](const auto& x, const auto& y) { return x.first == y.first; });
  }
  static LinearSize larger(LinearSize a, const LinearSize& b) {
    a.constant = std::max(a.constant, b.constant);
    for (size_t i = 0; i < a.terms.size(); ++i)
      a.terms[i].second = std::max(a.terms[i].second, b.terms[i].second);
    return a;
  }
  // How far the sizes are apart, to find the place that fits best.
  static int64_t waste(const LinearSize& place, const LinearSize& size) {
    int64_t sum = std::abs(place.constant - size.constant) / 64;
    for (size_t i = 0; i < size.terms.size(); ++i)
      sum += std::abs(place.terms[i].second - size.terms[i].second);
    return sum;
  }

  std::vector<Place> places_;
};

class PlanBuilder {
 public:
  PlanBuilder(const graph::Graph& graph, const target::Target& target)
      : graph_(graph), target_(target) {}

  PlanAndKernels run() {
    describe();
    lay_out_constants();
    find_needed();
    allocate();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (!is_computed(node)) continue;
      emit(static_cast<NodeId>(i));
    }
    plan_.logits_offset = offset_of(graph_.result, 0);
    for (const graph::Graph::Extra& extra : graph_.extras) {
      plan_.outputs.push_back(
          {extra.output, graph_.node(extra.node).type.last(), offset_of(extra.node, 0)});
    }
    return {std::move(plan_), std::move(kernels_)};
  }

 private:
  static bool is_computed(const Node& node) {
    return node.op != Op::kInput && node.op != Op::kParameter && node.op != Op::kConstant;
  }

  void describe() {
    plan_.vocab_size = graph_.node(graph_.result).type.last();
    for (const NodeId id : graph_.parameters()) {
      first_weight_[id] = static_cast<uint32_t>(plan_.weights.size());
      for (const graph::StoredTensor& t : graph_.node(id).stored) {
        plan_.weights.push_back({t.name, graph::memory_dtype(t.dtype), t.shape});
      }
    }
    for (const graph::CacheGroup& g : graph_.cache) {
      formats::PlanCacheGroup group;
      group.kind = g.kind == graph::CacheGroup::Kind::kFull
                       ? formats::PlanCacheGroup::Kind::kFull
                       : formats::PlanCacheGroup::Kind::kWindow;
      group.window = g.window;
      group.sink = g.sink;
      group.kv_heads = g.kv_heads;
      group.head_dim = g.head_dim;
      group.dtype = g.dtype;
      group.page_tokens = kernel::kPageTokens;
      group.page_bytes = kernel::PageLayout(g).page_bytes();
      group.block_tokens = kernel::kBlockTokens;
      group.layers = g.layers;
      plan_.cache_layers += static_cast<int64_t>(g.layers.size());
      plan_.cache_groups.push_back(std::move(group));
    }
    for (const Node& node : graph_.nodes) {
      if (node.op != Op::kAttention) continue;
      auto& group = plan_.cache_groups[static_cast<size_t>(
          graph_.cache_group_of_layer(node.attrs.int_of(graph::Attr::kLayer)))];
      group.tile_tokens =
          kernel::attention_tile_tokens(node.attrs.int_of(graph::Attr::kHeads) / group.kv_heads);
    }
  }

  // Which outputs need each node's value, by the nodes that an output is made of. A step that asks
  // for one ends with its node, so that nothing takes the node's place in the arena after it.
  void find_needed() {
    needed_.assign(graph_.nodes.size(), 0);
    const auto find = [&](formats::Output output, NodeId made) {
      const uint32_t bit = formats::output_bit(output);
      needed_[static_cast<size_t>(made)] |= bit;
      for (size_t i = static_cast<size_t>(made) + 1; i-- > 0;) {
        const Node& node = graph_.nodes[i];
        // What the sequence leaves in the cache belongs to everything but a look into the table.
        const bool appends = layer_of(node) >= 0 && node.op != Op::kAttention;
        if (appends && output != formats::Output::kEmbeddings) needed_[i] |= bit;
        if ((needed_[i] & bit) == 0) continue;
        for (const NodeId operand : node.operands) needed_[static_cast<size_t>(operand)] |= bit;
      }
    };
    find(formats::Output::kLogits, graph_.result);
    for (const graph::Graph::Extra& extra : graph_.extras) find(extra.output, extra.node);
  }

  void lay_out_constants() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.op != Op::kConstant) continue;
      constants_[static_cast<NodeId>(i)] = static_cast<int64_t>(plan_.constants.size());
      for (const double value : node.attrs.floats_of(graph::Attr::kValues)) {
        const float single = static_cast<float>(value);
        plan_.constants.append(reinterpret_cast<const char*>(&single), sizeof(single));
      }
      plan_.constants.resize((plan_.constants.size() + 63) / 64 * 64, '\0');
    }
  }

  const kernel::LoweredNode& lowered(NodeId id) {
    std::unique_ptr<kernel::LoweredNode>& entry = lowered_[kernel::lowering_key(graph_, id)];
    if (!entry) entry = std::make_unique<kernel::LoweredNode>(kernel::lower(graph_, id, target_));
    return *entry;
  }

  void allocate() {
    std::vector<size_t> last_use(graph_.nodes.size(), 0);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      last_use[i] = i;
      for (const NodeId operand : graph_.nodes[i].operands)
        last_use[static_cast<size_t>(operand)] = i;
    }
    last_use[static_cast<size_t>(graph_.result)] = graph_.nodes.size();
    Arena arena;
    places_.resize(graph_.nodes.size());
    temporaries_.resize(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (is_computed(node)) {
        for (const LinearSize& size : kernel::value_buffers(node.type))
          places_[i].push_back(arena.take(size));
        for (const LinearSize& size : lowered(static_cast<NodeId>(i)).temporaries)
          temporaries_[i].push_back(arena.take(size));
        for (const int place : temporaries_[i]) arena.give_back(place);
      }
      for (size_t j = 0; j <= i; ++j) {
        if (last_use[j] != i || places_[j].empty()) continue;
        for (const int place : places_[j]) arena.give_back(place);
        last_use[j] = graph_.nodes.size() + 1;
      }
    }
    offsets_ = arena.offsets(&plan_.arena_bytes);
  }

  const LinearSize& offset_of(NodeId id, int component) const {
    return offsets_[static_cast<size_t>(
        places_[static_cast<size_t>(id)][static_cast<size_t>(component)])];
  }

  // What the code of a kernel depends on, in a few words for its name.
  std::string description(const Node& node) const {
    if (node.op != Op::kMatmul) return cat(node.type.last());
    const graph::Type& x = graph_.node(node.operands[0]).type;
    const graph::Type& w = graph_.node(node.operands[1]).type;
    std::string scheme(dtype_short_name(w.dtype));
    if (w.layout) {
      scheme = cat("q", w.layout->bits, dtype_short_name(w.layout->scale));
      if (w.layout->order == graph::WordOrder::kColumns) scheme += "kn";
      if (w.layout->order == graph::WordOrder::kAwq) scheme += "awq";
    }
    return cat(dtype_short_name(x.dtype), "_", scheme, "_", w.shape[0].value, "x",
               w.shape[1].value);
  }

  // Nodes share what is lowered, and different nodes may still get the same code.
  uint32_t kernel_index(const kernel::LoweredKernel& lowered, const Node& node) {
    const auto [entry, is_new] = indices_.try_emplace(&lowered, 0);
    if (is_new) entry->second = add_kernel(lowered, node);
    return entry->second;
  }

  uint32_t add_kernel(const kernel::LoweredKernel& lowered, const Node& node) {
    kernel::Kernel named = lowered.kernel;
    named.name.clear();
    const std::string text = kernel::to_text(named);
    const auto found = by_text_.find(text);
    if (found != by_text_.end()) return found->second;
    std::string level = target_.level;
    std::replace(level.begin(), level.end(), '-', '_');
    std::string name = cat(lowered.kernel.name, "_", description(node), "_", level);
    for (int i = 2; !names_.insert(name).second; ++i)
      name = cat(lowered.kernel.name, "_", description(node), "_", level, "_", i);
    named.name = name;
    kernel::verify(named);
    named = kernel::lower_math(named);
    kernel::verify(named);
    const auto index = static_cast<uint32_t>(kernels_.size());
    plan_.kernels.push_back({name, kernel::scratch_bytes(named)});
    kernels_.push_back(std::move(named));
    by_text_.emplace(text, index);
    return index;
  }

  static uint32_t input_table(const std::string& name) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(formats::InputTable::kCacheSlots); ++i) {
      if (formats::input_table_name(static_cast<formats::InputTable>(i)) == name) return i;
    }
    MLC_UNREACHABLE() << "no table for the input " << name;
  }

  // The layer whose cache the node reads or writes, or -1.
  static int64_t layer_of(const Node& node) {
    if (node.op == Op::kAttention || node.op == Op::kKvAppend)
      return node.attrs.int_of(graph::Attr::kLayer);
    for (const graph::EpilogueOp& e : node.epilogue) {
      if (e.op == Op::kKvAppend) return e.attrs.int_of(graph::Attr::kLayer);
    }
    return -1;
  }

  PlanArgument argument(NodeId id, const Binding& binding) const {
    const Node& node = graph_.node(id);
    PlanArgument a;
    switch (binding.kind) {
      case Binding::Kind::kOperand: {
        const NodeId source = node.operands[static_cast<size_t>(binding.index)];
        const Node& operand = graph_.node(source);
        if (operand.op == Op::kInput) {
          a.kind = PlanArgument::Kind::kInput;
          a.index = input_table(operand.name);
        } else if (operand.op == Op::kConstant) {
          a.kind = PlanArgument::Kind::kConstants;
          a.offset = constants_.at(source);
        } else {
          a.offset = offset_of(source, binding.component);
        }
        break;
      }
      case Binding::Kind::kResult:
        a.offset = offset_of(id, binding.component);
        break;
      case Binding::Kind::kTemporary:
        a.offset = offsets_[static_cast<size_t>(
            temporaries_[static_cast<size_t>(id)][static_cast<size_t>(binding.index)])];
        break;
      case Binding::Kind::kStored:
        a.kind = PlanArgument::Kind::kWeight;
        a.index = first_weight_.at(node.operands[static_cast<size_t>(binding.index)]) +
                  static_cast<uint32_t>(binding.component);
        break;
      case Binding::Kind::kCache:
        a.kind = PlanArgument::Kind::kCache;
        a.index = static_cast<uint32_t>(layer_of(node));
        break;
      case Binding::Kind::kTable:
        a.kind = PlanArgument::Kind::kInput;
        a.index = static_cast<uint32_t>(binding.index);
        a.group = static_cast<uint32_t>(graph_.cache_group_of_layer(layer_of(node)));
        break;
      case Binding::Kind::kSize:
        a.kind = PlanArgument::Kind::kSize;
        a.symbol = binding.symbol;
        break;
    }
    return a;
  }

  std::string label(NodeId id) const {
    const Node& node = graph_.node(id);
    for (const NodeId operand : node.operands) {
      if (graph_.node(operand).op != Op::kParameter) continue;
      std::string name = graph_.node(operand).name;
      if (name.ends_with(".weight")) name.resize(name.size() - 7);
      return name;
    }
    const int64_t layer = layer_of(node);
    return layer < 0 ? std::string(graph::op_name(node.op))
                     : cat(graph::op_name(node.op), ".", layer);
  }

  void emit(NodeId id) {
    const kernel::LoweredNode& node = lowered(id);
    for (const kernel::LoweredCall& call : node.calls) {
      formats::PlanCall planned;
      planned.label = label(id);
      planned.symbol = call.symbol;
      planned.outputs = needed_[static_cast<size_t>(id)];
      for (const kernel::LoweredVariant& variant : call.variants) {
        formats::PlanVariant v;
        v.max_value = variant.max_value;
        if (!variant.kernel.empty()) {
          const kernel::LoweredKernel& k = variant.kernel[0];
          v.kernel = kernel_index(k, graph_.node(id));
          v.tasks = k.tasks;
          for (const Binding& binding : k.bindings) v.arguments.push_back(argument(id, binding));
        }
        planned.variants.push_back(std::move(v));
      }
      plan_.calls.push_back(std::move(planned));
    }
  }

  const graph::Graph& graph_;
  const target::Target& target_;
  formats::Plan plan_;
  std::vector<kernel::Kernel> kernels_;
  std::map<NodeId, uint32_t> first_weight_;
  std::map<NodeId, int64_t> constants_;
  std::map<std::string, std::unique_ptr<kernel::LoweredNode>> lowered_;
  std::map<const kernel::LoweredKernel*, uint32_t> indices_;
  std::map<std::string, uint32_t> by_text_;
  std::set<std::string> names_;
  std::vector<std::vector<int>> places_;       // of each node's buffers
  std::vector<std::vector<int>> temporaries_;  // of each node
  std::vector<LinearSize> offsets_;            // of each place
  std::vector<uint32_t> needed_;               // of each node: a set of output_bit()
};

}  // namespace

PlanAndKernels build_plan(const graph::Graph& graph, const target::Target& target) {
  return PlanBuilder(graph, target).run();
}

}  // namespace mlc::compiler
