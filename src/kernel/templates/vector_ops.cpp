// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/vector_ops.h"

#include "support/check.h"

namespace mlc::kernel {
namespace {

template <class F>
Expr tree(KernelBuilder& b, Expr v, F f) {
  while (v->type.lanes > 1) {
    const int half = v->type.lanes / 2;
    v = b.let("half", f(slice_lanes(v, 0, half), slice_lanes(v, half, half)));
  }
  return v;
}

}  // namespace

Expr tree_sum(KernelBuilder& b, Expr v) {
  return tree(b, b.let("sum", std::move(v)),
              [](Expr x, Expr y) { return std::move(x) + std::move(y); });
}

Expr tree_max(KernelBuilder& b, Expr v) {
  return tree(b, b.let("max", std::move(v)),
              [](Expr x, Expr y) { return maximum(std::move(x), std::move(y)); });
}

Expr sum_by_halves(KernelBuilder& b, std::vector<Expr> parts) {
  while (parts.size() > 1) {
    std::vector<Expr> next;
    for (size_t i = 0; i < parts.size() / 2; ++i)
      next.push_back(b.let("half", parts[i] + parts[i + parts.size() / 2]));
    parts = std::move(next);
  }
  return parts[0];
}

Expr pad_lanes(Expr v, int lanes) {
  const int have = v->type.lanes;
  if (have == lanes) return v;
  std::vector<int> indices;
  for (int i = 0; i < lanes; ++i) indices.push_back(i < have ? i : have);
  return shuffle(v, zeros(v->type.dtype, have), std::move(indices));
}

Expr load_padded(const BufferRef& buffer, Expr at, int count, int lanes) {
  return pad_lanes(load(buffer, std::move(at), count), lanes);
}

Expr concat_all(KernelBuilder& b, std::vector<Expr> pieces) {
  while (pieces.size() > 1) {
    std::vector<Expr> next;
    const int lanes = pieces[0]->type.lanes;
    for (size_t i = 0; i < pieces.size(); i += 2) {
      const bool pair = i + 1 < pieces.size();
      next.push_back(b.let("joined", pair ? concat_lanes(pieces[i], pad_lanes(pieces[i + 1], lanes))
                                          : pad_lanes(pieces[i], 2 * lanes)));
    }
    pieces = std::move(next);
  }
  return pieces[0];
}

void for_vectors(KernelBuilder& b, const std::string& name, int64_t count, int lanes,
                 const std::function<void(Expr, int)>& body) {
  const int64_t full = count / lanes;
  b.serial(name, full, [&](Expr i) { body(std::move(i) * lanes, lanes); });
  const int rest = static_cast<int>(count % lanes);
  if (rest > 0) body(index(full * lanes), rest);
}

void for_vectors_up_to(KernelBuilder& b, const std::string& name, Expr count, int64_t full,
                       int lanes, const std::function<void(Expr, int)>& body) {
  if (is_constant(count)) {
    for_vectors(b, name, constant_value(count), lanes, body);
    return;
  }
  MLC_CHECK(full % lanes == 0) << full;
  const Expr whole = b.let("whole", count / lanes);
  b.serial(name, whole, [&](Expr i) { body(std::move(i) * lanes, lanes); });
  const Expr begin = b.let("rest", whole * lanes);
  b.serial(name + ".rest", count - begin, [&](Expr i) { body(begin + std::move(i), 1); });
}

std::vector<Expr> transpose(KernelBuilder& b, std::vector<Expr> rows) {
  // Swaps blocks of 1, 2, 4, ... lanes between rows that are as far apart: the usual network.
  const int n = static_cast<int>(rows.size());
  const int lanes = rows[0]->type.lanes;
  for (int step = 1; step < n; step *= 2) {
    std::vector<Expr> next(rows.size());
    for (int r = 0; r < n; ++r) {
      if (r & step) continue;
      std::vector<int> low;
      std::vector<int> high;
      for (int lane = 0; lane < lanes; ++lane) {
        const bool upper = lane & step;
        low.push_back(upper ? lanes + (lane ^ step) : lane);
        high.push_back(upper ? lanes + lane : (lane | step));
      }
      const Expr& x = rows[static_cast<size_t>(r)];
      const Expr& y = rows[static_cast<size_t>(r | step)];
      next[static_cast<size_t>(r)] = b.let("t", shuffle(x, y, low));
      next[static_cast<size_t>(r | step)] = b.let("t", shuffle(x, y, high));
    }
    rows = std::move(next);
  }
  return rows;
}

}  // namespace mlc::kernel
