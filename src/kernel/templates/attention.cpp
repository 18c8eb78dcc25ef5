// SPDX-License-Identifier: Apache-2.0
// Paged attention of prefill and decode alike. A task is a work item (some query tokens of one
// sequence, a range of blocks of positions) and a KV head, whose query heads share what is loaded.
//
// Order (docs/numerics.md): positions are cut into blocks of kBlockTokens at fixed places. A block
// gives m (the largest score), l (the sum of exp(score - m), sixteen chains) and o (the weighted
// sum of V, position by position). Blocks are merged in their order, whether one item runs over all
// of them or each was written as a partial result and is merged by the second kernel. A block that
// a query does not see at all changes nothing. Of an int8 cache the codes are summed: a score is
// multiplied by the position's scale of K, a weight by its scale of V. So neither chunking nor
// batching nor the cut into items changes a bit.
//
// Item (i32 x 8): first token, number of tokens, position of the first token, index of its
// sequence's page 0 in `pages`, first block, end of blocks, first partial result or -1, end of the
// blocks that hold attention sinks (run first).
#include <numeric>

#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

using graph::Attr;

constexpr double kLowest = -1e30;  // the maximum of no scores: finite, so that exp(m - m) is 1
constexpr int64_t kPageVectors = kPageTokens / kLanes;
constexpr int64_t kRowsAtOnce = 4;

struct Shape {
  explicit Shape(const graph::Graph& graph, graph::NodeId id)
      : node(graph.node(id)),
        cache(graph.cache_of_layer(node.attrs.int_of(Attr::kLayer))),
        page(cache),
        heads(node.attrs.int_of(Attr::kHeads)),
        kv_heads(node.attrs.int_of(Attr::kKvHeads)),
        head_dim(node.attrs.int_of(Attr::kHeadDim)),
        queries(heads / kv_heads) {}
  const graph::Node& node;
  const graph::CacheGroup& cache;
  PageLayout page;
  int64_t heads, kv_heads, head_dim, queries;
  int64_t padded_dim() const { return (head_dim + kLanes - 1) / kLanes * kLanes; }
  int64_t tile_rows() const { return attention_tile_tokens(queries) * queries; }
};

// State (m, l, o) merged with a block's (mb, lb, ob): the factors of the two.
struct MergeFactors {
  Expr m, old, block;
};

MergeFactors merge_factors(KernelBuilder& b, const Expr& m, const Expr& mb) {
  const Expr top = b.let("top", maximum(m, mb));
  return {top, b.let("old", math(ExprKind::kExp, m - top)),
          b.let("new", math(ExprKind::kExp, mb - top))};
}

Expr merged(const Expr& old_value, const MergeFactors& f, const Expr& block_value) {
  return fma(old_value, f.old, block_value * f.block);
}

class Attention {
 public:
  Attention(const graph::Graph& graph, graph::NodeId id)
      : s_(graph, id), graph_(graph), b_("attention"), parameters_(b_, graph, id) {}

  LoweredKernel run() {
    q_ = parameters_.operand("q", DType::kF32, 0);
    cache_ = parameters_.cache("cache", s_.cache.dtype);
    items_ = parameters_.table("items", formats::InputTable::kItems);
    pages_ = parameters_.table("pages", formats::InputTable::kPages);
    out_ = parameters_.temporary("out", DType::kF32, 0);
    partial_out_ = parameters_.temporary("partial_out", DType::kF32, 1);
    partial_state_ = parameters_.temporary("partial_state", DType::kF32, 2);
    const formats::PlanSymbol symbol =
        formats::plan_symbol(graph_.cache_group_of_layer(s_.node.attrs.int_of(Attr::kLayer)),
                             formats::CacheCount::kItems);
    const Expr count = parameters_.size("items_count", symbol);
    b_.parallel("task", count * s_.kv_heads, [&](const Expr& task) {
      head_ = b_.let("head", task % s_.kv_heads);
      item(b_.let("item", (task / s_.kv_heads) * 8));
    });
    return {b_.finish(), parameters_.take(), {s_.kv_heads, symbol, 1}};
  }

 private:
  Expr field(const std::string& name, const Expr& item, int64_t i) {
    return b_.let(name, cast(DType::kI64, load(items_, item + i)));
  }

  void item(const Expr& item) {
    first_token_ = field("first_token", item, 0);
    const Expr tokens = field("tokens", item, 1);
    first_position_ = field("first_position", item, 2);
    const Expr pages = field("pages_begin", item, 3);
    const Expr begin = field("block_begin", item, 4);
    const Expr end = field("block_end", item, 5);
    const Expr partial = field("partial", item, 6);
    const Expr sinks = field("sink_blocks", item, 7);
    rows_ = b_.let("rows", tokens * s_.queries);
    last_position_ = b_.let("last_position", first_position_ + (tokens - 1));
    const int64_t rows = (s_.tile_rows() + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce;
    const int64_t d = s_.padded_dim();
    query_ = b_.allocate("query", {DType::kF32, 1}, rows * d, Space::kLocal);
    scores_ = b_.allocate("scores", {DType::kF32, 1}, rows * kBlockTokens, Space::kLocal);
    state_out_ = b_.allocate("state_out", {DType::kF32, 1}, rows * d, Space::kLocal);
    state_ = b_.allocate("state", {DType::kF32, 1}, rows * 2, Space::kLocal);  // m, l
    factors_ = b_.allocate("factors", {DType::kF32, 1}, rows * 2,
                           Space::kLocal);  // of the state, of the block
    load_queries();
    reset_state();
    b_.serial("i", sinks + (end - begin), [&](const Expr& i) {
      const Expr block = b_.let("block", select(less(i, sinks), i, begin + (i - sinks)));
      const Expr position = b_.let("position", block * kBlockTokens);
      // Positions of the block up to the last query's.
      const Expr count =
          b_.let("count", minimum(index(kBlockTokens), (last_position_ + 1) - position));
      b_.serial("page", ceil_div(count, kPageTokens), [&](const Expr& page) {
        const Expr at = page_address(pages + (block * (kBlockTokens / kPageTokens) + page));
        rows_at_once([&](const Expr& row, int64_t n) { score(row, n, at, page * kPageTokens); });
      });
      b_.serial("row", rows_, [&](const Expr& row) { soften(row, position, count); });
      const Expr first_page = b_.let("first_page", pages + block * (kBlockTokens / kPageTokens));
      if (s_.page.quantized()) scale_weights(first_page, count);
      const Expr last_page = b_.let("last_page", pages + last_position_ / kPageTokens);
      rows_at_once(
          [&](const Expr& row, int64_t n) { accumulate(row, n, first_page, last_page, count); });
      b_.if_then(less_equal(index(0), partial), [&] {
        store_partial(b_.let("slot", partial + i));
        reset_state();
      });
    });
    b_.if_then(less(partial, index(0)), [&] { store_result(); });
  }

  Expr page_address(const Expr& at) {
    const Expr page = b_.let("page_number", cast(DType::kI64, load(pages_, at)));
    return b_.let("at", (page * s_.kv_heads + head_) * s_.page.head_elements());
  }

  // Row r is query head r mod queries of token r / queries.
  Expr row_in_memory(const Expr& row) {
    const Expr token = first_token_ + row / s_.queries;
    return (token * s_.heads + (head_ * s_.queries + row % s_.queries)) * s_.head_dim;
  }

  void load_queries() {
    const double scale = s_.node.attrs.float_of(Attr::kScaleFactor);
    b_.serial("row", rows_, [&](const Expr& row) {
      const Expr from = b_.let("from", row_in_memory(row));
      for_vectors(b_, "c", s_.head_dim, kLanes, [&](const Expr& c, int lanes) {
        b_.store(query_, row * s_.padded_dim() + c, load(q_, from + c, lanes) * f32(scale));
      });
    });
  }

  void reset_state() {
    b_.serial("row", rows_, [&](const Expr& row) {
      b_.store(state_, row * 2, f32(kLowest));
      b_.store(state_, row * 2 + 1, f32(0));
      for_vectors(b_, "c", s_.padded_dim(), kLanes, [&](const Expr& c, int lanes) {
        b_.store(state_out_, row * s_.padded_dim() + c, zeros(DType::kF32, lanes));
      });
    });
  }

  // Four rows at a time, then the rest at once, so that what is loaded of the cache is widened once
  // for as many rows as registers hold.
  void rows_at_once(const std::function<void(const Expr&, int64_t)>& body) {
    const Expr whole = b_.let("whole", rows_ / kRowsAtOnce);
    b_.serial("rows", whole,
              [&](const Expr& i) { body(b_.let("row", i * kRowsAtOnce), kRowsAtOnce); });
    const Expr done = b_.let("done", whole * kRowsAtOnce);
    // Rows are a multiple of the queries.
    const int64_t step = std::gcd(s_.queries, kRowsAtOnce);
    for (int64_t rest = step; rest < kRowsAtOnce; rest += step)
      b_.if_then(equal(rows_ - done, index(rest)), [&] { body(done, rest); });
  }

  // `elements` of the cache from `at` on: a page is too short for the CPU to see a stream in it.
  void prefetch(const Expr& at, int64_t elements) {
    const int64_t line = 64 / dtype_bytes(s_.cache.dtype);
    for (int64_t i = 0; i < elements; i += line) b_.prefetch(cache_, at + i);
  }

  // Scores of `n` rows with the 64 positions of a page: lane = position, K lies as [head_dim][64].
  void score(const Expr& row, int64_t n, const Expr& at, const Expr& in_block) {
    const BufferRef sums =
        b_.allocate("sums", {DType::kF32, kLanes}, n * kPageVectors, Space::kRegister);
    b_.unrolled("i", n * kPageVectors,
                [&](const Expr& i) { b_.store(sums, i, zeros(DType::kF32, kLanes)); });
    b_.serial("c", s_.head_dim, [&](const Expr& c) {
      prefetch(at + s_.page.values() + c * kPageTokens, kPageTokens);  // the page's V
      std::vector<Expr> k;
      for (int64_t v = 0; v < kPageVectors; ++v) {
        k.push_back(b_.let(
            "k", cast(DType::kF32, load(cache_, at + (c * kPageTokens + v * kLanes), kLanes))));
      }
      for (int64_t r = 0; r < n; ++r) {
        const Expr q =
            b_.let("q", broadcast(load(query_, (row + r) * s_.padded_dim() + c), kLanes));
        for (int64_t v = 0; v < kPageVectors; ++v) {
          const Expr i = index(r * kPageVectors + v);
          b_.store(sums, i, fma(q, k[static_cast<size_t>(v)], load(sums, i)));
        }
      }
    });
    for (int64_t v = 0; v < kPageVectors; ++v) {
      Expr scales;
      if (s_.page.quantized()) scales = scales_at(at + s_.page.key_scales(), v);
      for (int64_t r = 0; r < n; ++r) {
        const Expr sum = load(sums, index(r * kPageVectors + v));
        b_.store(scores_, (row + r) * kBlockTokens + (in_block + v * kLanes),
                 scales ? sum * scales : sum);
      }
    }
  }

  // Of an int8 cache: the scales of vector `v` of a page's positions.
  Expr scales_at(const Expr& at, int64_t v) {
    constexpr int64_t kBytes = kLanes * PageLayout::kScaleBytes;
    return b_.let("scales", bitcast({DType::kF32, kLanes}, load(cache_, at + v * kBytes, kBytes)));
  }

  // Of an int8 cache: multiplies the weights of the block by the scales of V.
  void scale_weights(const Expr& first_page, const Expr& count) {
    b_.serial("page", ceil_div(count, kPageTokens), [&](const Expr& page) {
      const Expr at = b_.let("at_scales", page_address(first_page + page) + s_.page.value_scales());
      for (int64_t v = 0; v < kPageVectors; ++v) {
        const Expr scales = scales_at(at, v);
        b_.serial("row", rows_, [&](const Expr& row) {
          const Expr to = b_.let("to", row * kBlockTokens + (page * kPageTokens + v * kLanes));
          b_.store(scores_, to, load(scores_, to, kLanes) * scales);
        });
      }
    });
  }

  // Turns the block's scores of a row into weights, updates m and l and keeps the factors for o.
  void soften(const Expr& row, const Expr& position, const Expr& count) {
    const Expr query_position = b_.let("query_position", first_position_ + row / s_.queries);
    const Expr vectors = b_.let("vectors", ceil_div(count, kLanes));
    const Expr base = b_.let("base", row * kBlockTokens);
    const auto visible = [&](const Expr& j) {
      // j - position and the bounds fit i32: positions do.
      const Expr lane = cast(DType::kI32, position + j) + vector_constant(DType::kI32, [] {
                          std::vector<int> lanes;
                          for (int i = 0; i < kLanes; ++i) lanes.push_back(i);
                          return lanes;
                        }());
      const Expr query = cast(DType::kI32, query_position);
      Expr seen = less_equal(lane, broadcast(query, kLanes));
      if (s_.cache.kind == graph::CacheGroup::Kind::kWindow) {
        const Expr near = less(broadcast(query - (s_.cache.window - s_.cache.sink), kLanes), lane);
        const Expr sink = less(lane, constant({DType::kI32, kLanes}, s_.cache.sink));
        seen = logical_and(seen, s_.cache.sink > 0 ? near | sink : near);
      }
      return seen;
    };
    const BufferRef top = b_.allocate("top", {DType::kF32, kLanes}, 1, Space::kRegister);
    const Expr lowest = float_constant({DType::kF32, kLanes}, kLowest);
    b_.store(top, index(0), lowest);
    b_.serial("v", vectors, [&](const Expr& v) {
      const Expr j = b_.let("j", v * kLanes);
      const Expr score =
          b_.let("score", select(visible(j), load(scores_, base + j, kLanes), lowest));
      b_.store(scores_, base + j, score);
      b_.store(top, index(0), maximum(load(top, index(0)), score));
    });
    const Expr mb = tree_max(b_, load(top, index(0)));
    const BufferRef chains = b_.allocate("chains", {DType::kF32, kLanes}, 1, Space::kRegister);
    b_.store(chains, index(0), zeros(DType::kF32, kLanes));
    b_.serial("v", vectors, [&](const Expr& v) {
      const Expr j = b_.let("j", v * kLanes);
      const Expr score = b_.let("score", load(scores_, base + j, kLanes));
      const Expr weight =
          b_.let("weight", select(equal(score, lowest), zeros(DType::kF32, kLanes),
                                  math(ExprKind::kExp, score - broadcast(mb, kLanes))));
      b_.store(scores_, base + j, weight);
      b_.store(chains, index(0), load(chains, index(0)) + weight);
    });
    const Expr lb = tree_sum(b_, load(chains, index(0)));
    const MergeFactors f = merge_factors(b_, load(state_, row * 2), mb);
    b_.store(state_, row * 2 + 1, merged(load(state_, row * 2 + 1), f, lb));
    b_.store(state_, row * 2, f.m);
    b_.store(factors_, row * 2, f.old);
    b_.store(factors_, row * 2 + 1, f.block);
  }

  // Adds the weighted V rows of the block to `n` rows of o: one sum over the block, then one merge.
  void accumulate(const Expr& row, int64_t n, const Expr& first_page, const Expr& last_page,
                  const Expr& count) {
    for_vector_groups([&](int64_t first, int64_t vectors) {
      const BufferRef sums =
          b_.allocate("sums", {DType::kF32, kLanes}, n * vectors, Space::kRegister);
      b_.unrolled("i", n * vectors,
                  [&](const Expr& i) { b_.store(sums, i, zeros(DType::kF32, kLanes)); });
      b_.serial("page", ceil_div(count, kPageTokens), [&](const Expr& page) {
        const Expr at = b_.let("at_values", page_address(first_page + page) + s_.page.values());
        const Expr in_page =
            b_.let("in_page", minimum(index(kPageTokens), count - page * kPageTokens));
        const Expr next =
            page_address(minimum(first_page + (page + kBlockTokens / kPageTokens), last_page));
        b_.serial("j", in_page, [&](const Expr& j) {
          prefetch(next + first * kLanes * kPageTokens + j * (vectors * kLanes),
                   vectors * kLanes);  // the next block's K
          std::vector<Expr> values;
          for (int64_t v = 0; v < vectors; ++v) {
            const int64_t column = (first + v) * kLanes;
            const int lanes = static_cast<int>(std::min<int64_t>(kLanes, s_.head_dim - column));
            const Expr loaded = load(cache_, at + (j * s_.head_dim + column), lanes);
            values.push_back(b_.let("v", pad_lanes(cast(DType::kF32, loaded), kLanes)));
          }
          for (int64_t r = 0; r < n; ++r) {
            const Expr at_weight = (row + r) * kBlockTokens + (page * kPageTokens + j);
            const Expr w = b_.let("w", broadcast(load(scores_, at_weight), kLanes));
            for (int64_t v = 0; v < vectors; ++v) {
              const Expr i = index(r * vectors + v);
              b_.store(sums, i, fma(w, values[static_cast<size_t>(v)], load(sums, i)));
            }
          }
        });
      });
      for (int64_t r = 0; r < n; ++r) {
        const Expr old = b_.let("old", broadcast(load(factors_, (row + r) * 2), kLanes));
        const Expr fresh = b_.let("fresh", broadcast(load(factors_, (row + r) * 2 + 1), kLanes));
        for (int64_t v = 0; v < vectors; ++v) {
          const Expr where = b_.let("where", (row + r) * s_.padded_dim() + (first + v) * kLanes);
          b_.store(state_out_, where,
                   fma(load(state_out_, where, kLanes), old,
                       load(sums, index(r * vectors + v)) * fresh));
        }
      }
    });
  }

  void for_vector_groups(const std::function<void(int64_t, int64_t)>& body) {
    const int64_t vectors = s_.padded_dim() / kLanes;
    for (int64_t first = 0; first < vectors; first += kPageVectors)
      body(first, std::min(kPageVectors, vectors - first));
  }

  void store_partial(const Expr& slot) {
    b_.serial("row", rows_, [&](const Expr& row) {
      const Expr head = b_.let("query_head", slot * s_.heads + (head_ * s_.queries + row));
      b_.store(partial_state_, head * 2, load(state_, row * 2));
      b_.store(partial_state_, head * 2 + 1, load(state_, row * 2 + 1));
      for_vectors(b_, "c", s_.head_dim, kLanes, [&](const Expr& c, int lanes) {
        b_.store(partial_out_, head * s_.head_dim + c,
                 load(state_out_, row * s_.padded_dim() + c, lanes));
      });
    });
  }

  void store_result() {
    b_.serial("row", rows_, [&](const Expr& row) {
      const Expr to = b_.let("to", row_in_memory(row));
      const Expr total = b_.let("total", load(state_, row * 2 + 1));
      for_vectors(b_, "c", s_.head_dim, kLanes, [&](const Expr& c, int lanes) {
        b_.store(out_, to + c, load(state_out_, row * s_.padded_dim() + c, lanes) / total);
      });
    });
  }

  Shape s_;
  const graph::Graph& graph_;
  KernelBuilder b_;
  ParameterList parameters_;
  BufferRef q_, cache_, items_, pages_, out_, partial_out_, partial_state_;
  BufferRef query_, scores_, state_out_, state_, factors_;
  Expr head_, first_token_, first_position_, last_position_, rows_;
};

// Merges partial results where there are any and applies the epilogue: a task is a token.
LoweredKernel finish_kernel(const graph::Graph& graph, graph::NodeId id) {
  const Shape s(graph, id);
  KernelBuilder b("attention_finish");
  ParameterList parameters(b, graph, id);
  const BufferRef out = parameters.temporary("attended", DType::kF32, 0);
  const BufferRef partial_out = parameters.temporary("partial_out", DType::kF32, 1);
  const BufferRef partial_state = parameters.temporary("partial_state", DType::kF32, 2);
  const BufferRef merges = parameters.table("merges", formats::InputTable::kMerges);
  const int64_t n = s.heads * s.head_dim;
  Epilogue epilogue(graph, id, n);
  epilogue.declare(parameters);
  MLC_CHECK(epilogue.blocks().count == 1 && epilogue.blocks().segments == 1)
      << "attention's epilogue takes whole rows";
  const formats::PlanSymbol rows = row_symbol(s.node.type);
  const Expr count = parameters.size("rows", rows);
  b.parallel("row", count, [&](const Expr& row) {
    const BufferRef local =
        b.allocate("local", {DType::kF32, 1}, epilogue.blocks().stride, Space::kLocal);
    const Expr first = b.let("first", cast(DType::kI64, load(merges, row * 2)));
    const Expr blocks = b.let("blocks", cast(DType::kI64, load(merges, row * 2 + 1)));
    b.if_then(
        equal(blocks, index(0)),
        [&] {
          for_vectors(b, "c", n, kLanes, [&](const Expr& c, int lanes) {
            b.store(local, c, load(out, row * n + c, lanes));
          });
        },
        [&] {
          const BufferRef state = b.allocate("state", {DType::kF32, 1}, 2, Space::kRegister);
          b.serial("head", s.heads, [&](const Expr& head) {
            const Expr to = b.let("to", head * s.head_dim);
            b.store(state, index(0), f32(kLowest));
            b.store(state, index(1), f32(0));
            for_vectors(b, "c", s.head_dim, kLanes, [&](const Expr& c, int lanes) {
              b.store(local, to + c, zeros(DType::kF32, lanes));
            });
            b.serial("i", blocks, [&](const Expr& i) {
              const Expr at = b.let("at", (first + i) * s.heads + head);
              const MergeFactors f =
                  merge_factors(b, load(state, index(0)), load(partial_state, at * 2));
              b.store(state, index(1),
                      merged(load(state, index(1)), f, load(partial_state, at * 2 + 1)));
              b.store(state, index(0), f.m);
              for_vectors(b, "c", s.head_dim, kLanes, [&](const Expr& c, int lanes) {
                const Expr block_out = load(partial_out, at * s.head_dim + c, lanes);
                b.store(local, to + c,
                        fma(load(local, to + c, lanes), broadcast(f.old, lanes),
                            block_out * broadcast(f.block, lanes)));
              });
            });
            for_vectors(b, "c", s.head_dim, kLanes, [&](const Expr& c, int lanes) {
              b.store(local, to + c, load(local, to + c, lanes) / load(state, index(1)));
            });
          });
        });
    epilogue.finish_row(b, row, index(0), local, index(0));
  });
  return {b.finish(), parameters.take(), {1, rows, 1}};
}

}  // namespace

int64_t attention_tile_tokens(int64_t queries) { return std::max<int64_t>(1, 64 / queries); }

LoweredNode attention_template(const graph::Graph& graph, graph::NodeId id, const target::Target&) {
  const Shape s(graph, id);
  const int group = graph.cache_group_of_layer(s.node.attrs.int_of(Attr::kLayer));
  const formats::PlanSymbol items = formats::plan_symbol(group, formats::CacheCount::kItems);
  const formats::PlanSymbol partials = formats::plan_symbol(group, formats::CacheCount::kPartials);
  const formats::PlanSymbol rows = row_symbol(s.node.type);
  LoweredNode result;
  result.temporaries = {formats::LinearSize::of(rows, 4 * s.heads * s.head_dim),
                        formats::LinearSize::of(partials, 4 * s.heads * s.head_dim),
                        formats::LinearSize::of(partials, 8 * s.heads)};
  result.calls.push_back({items, {{INT64_MAX, {Attention(graph, id).run()}}}});
  result.calls.push_back({rows, {{INT64_MAX, {finish_kernel(graph, id)}}}});
  return result;
}

}  // namespace mlc::kernel
