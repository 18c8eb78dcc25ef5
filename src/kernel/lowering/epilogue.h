// SPDX-License-Identifier: Apache-2.0
// The epilogue of a node as code: what happens to a block of columns of one row between the sums
// and memory. Templates leave the block in a local buffer (f32, its columns one after the other)
// and call finish_row().
#pragma once

#include <map>
#include <vector>

#include "kernel/lowering/grouped_layout.h"
#include "kernel/lowering/lowered.h"
#include "kernel/lowering/page_layout.h"
#include "kernel/templates/row_schedule.h"

namespace mlc::kernel {

// Collects the parameters of a kernel together with what they are bound to.
class ParameterList {
 public:
  ParameterList(KernelBuilder& b, const graph::Graph& graph, graph::NodeId id)
      : b_(b), graph_(graph), node_(graph.node(id)) {}
  BufferRef operand(const std::string& name, DType dtype, int index, int component = 0);
  BufferRef result(const std::string& name, DType dtype, int component = 0);
  BufferRef stored(const std::string& name, DType dtype, int index, int component);
  BufferRef cache(const std::string& name, DType dtype);
  BufferRef table(const std::string& name, formats::InputTable table);
  BufferRef temporary(const std::string& name, DType dtype, int index);
  // The same expression for a symbol whenever it is asked for.
  Expr size(const std::string& name, formats::PlanSymbol symbol);
  std::vector<Binding> take() { return std::move(bindings_); }

 private:
  BufferRef add(const std::string& name, DType dtype, Space space, Binding binding);
  KernelBuilder& b_;
  const graph::Graph& graph_;
  const graph::Node& node_;
  std::vector<Binding> bindings_;
  std::map<formats::PlanSymbol, Expr> sizes_;
};

// How the columns of a result are cut into blocks. A block is `segments` runs of `width` columns
// each, the runs `distance` columns apart in the base result (2 for `gate`: a run of each half).
struct ColumnBlocks {
  int64_t columns = 0;  // of the base result
  int64_t segments = 1;
  int64_t width = 0;
  int64_t distance = 0;
  int64_t count = 0;    // of blocks
  bool ragged = false;  // the last block has fewer columns than `width`
  int64_t stride = 0;  // elements of a row's block in the local buffer: a multiple of 16, with room
                       // for whole groups

  int64_t local_width() const { return segments * padded_width(); }
  int64_t padded_width() const { return (width + kLanes - 1) / kLanes * kLanes; }
};

class Epilogue {
 public:
  // `preferred_width`: columns a block where the epilogue leaves the choice. `schedule` outlives
  // the epilogue; null is that of the CPU class.
  Epilogue(const graph::Graph& graph, graph::NodeId id, int64_t preferred_width,
           const RowSchedule* schedule = nullptr);

  const ColumnBlocks& blocks() const { return blocks_; }
  // Declares the parameters that the epilogue reads and writes.
  void declare(ParameterList& parameters);
  // Columns of `block` that exist, of the first run.
  Expr column_count(KernelBuilder& b, const Expr& block) const;

  // Applies everything to row `row`, whose block lies in `local` from element `base` on, and stores
  // it. On a GPU each element of a run is what its thread (RowSchedule::for_elements) left there.
  void finish_row(KernelBuilder& b, const Expr& row, const Expr& block, const BufferRef& local,
                  const Expr& base) const;

 private:
  struct Step {
    const graph::EpilogueOp* op;
    std::vector<BufferRef> operands;
    std::vector<const graph::Type*> types;
  };

  Expr elementwise(const Step& step, Expr value, const Expr& row, const Expr& column,
                   int lanes) const;
  // Runs steps [begin, end), all elementwise, over `width` columns of `local`; stores to `out`
  // where it is given.
  void elementwise_pass(KernelBuilder& b, size_t begin, size_t end, const Expr& row,
                        const Expr& first_column, const Expr& count, int64_t width,
                        const BufferRef& local, const Expr& base, const BufferRef* out) const;
  void gate(KernelBuilder& b, const Step& step, const BufferRef& local, const Expr& base) const;
  void rope(KernelBuilder& b, const Step& step, const Expr& row, const Expr& block,
            const BufferRef& local, const Expr& base) const;
  void kv_append(KernelBuilder& b, const Step& step, const Expr& row, const Expr& block,
                 const BufferRef& local, const Expr& base) const;
  void quantize(KernelBuilder& b, const graph::Type& type, const Expr& row, const Expr& block,
                const Expr& count, const BufferRef& local, const Expr& base) const;

  const graph::Graph& graph_;
  const graph::Node& node_;
  const RowSchedule& schedule_;
  ColumnBlocks blocks_;
  std::vector<Step> steps_;
  std::vector<BufferRef> results_;
  BufferRef cache_;
  BufferRef slots_;
  Expr rows_;  // of int8 activations
};

// f32 of activation(x).
Expr emit_activation(KernelBuilder& b, graph::Op op, const Expr& x);

}  // namespace mlc::kernel
