// SPDX-License-Identifier: Apache-2.0
// rope_table, rope, kv_append, attention: heads of one packed row, [q heads | k heads | v heads].
#include <cmath>

#include "graph/ops/rules.h"
#include "support/check.h"
#include "support/half.h"

namespace mlc::graph {
namespace {

// A size that the operator needs, small enough that products of them fit.
int64_t positive(const Attrs& attrs, Attr attr) {
  const int64_t value = attrs.int_of(attr);
  MLC_IR_CHECK(value > 0 && value <= 1 << 20) << attr_name(attr) << " is " << value;
  return value;
}

}  // namespace

// cos and sin of the angles of a token: [num_tokens, 2 * f] for f frequencies, all cosines before
// all sines, both times `multiplier`. Operands: positions, lengths (the total length that a token's
// rotation takes its frequencies by, spec: one set of frequencies for all positions), frequencies
// [f], and where `switch_length` is given long frequencies [f] for lengths above it. With
// `ntk_factor` F and switch_length L, frequency i of f at length n > L is multiplied by a^(-i / (f
// - 1)), a = F n / L - (F - 1) (dynamic NTK scaling).
const OpRule kRopeTableRule = {
    [](const std::vector<Type>& operands, const Attrs&) -> Type {
      MLC_IR_CHECK(operands.size() >= 3 && operands.size() <= 4)
          << "rope_table has " << operands.size() << " operands, not 3 or 4";
      MLC_IR_CHECK(is_index_list(operands[0]) && operands[0] == operands[1])
          << "rope_table of " << to_text(operands[0]) << " and " << to_text(operands[1]);
      MLC_IR_CHECK(operands[2].shape.size() == 1 && is_plain_float(operands[2]) &&
                   operands.back() == operands[2])
          << "rope_table with frequencies " << to_text(operands[2]) << " and "
          << to_text(operands.back());
      return {.dtype = DType::kF32,
              .shape = {operands[0].shape[0], 2 * operands[2].last()},
              .layout = {},
              .grouped = {}};
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      const int64_t f = operands[2]->last();
      const int64_t switch_length = attrs.int_or(Attr::kSwitchLength, INT64_MAX);
      const float multiplier = static_cast<float>(attrs.float_or(Attr::kMultiplier, 1));
      Tensor result;
      result.shape = {operands[0]->shape[0], 2 * f};
      for (size_t t = 0; t < operands[0]->ints.size(); ++t) {
        const int64_t length = operands[1]->ints[t];
        std::vector<float> sines;
        for (int64_t i = 0; i < f; ++i) {
          const bool is_long = length > switch_length;
          float frequency =
              operands[is_long && operands.size() > 3 ? 3 : 2]->floats[static_cast<size_t>(i)];
          if (is_long && attrs.find(Attr::kNtkFactor) && f > 1) {
            const double factor = attrs.float_of(Attr::kNtkFactor);
            const double a =
                factor * static_cast<double>(length) / static_cast<double>(switch_length) -
                (factor - 1);
            frequency = static_cast<float>(
                frequency * std::pow(a, -static_cast<double>(i) / static_cast<double>(f - 1)));
          }
          const float angle = static_cast<float>(operands[0]->ints[t]) * frequency;
          result.floats.push_back(static_cast<float>(std::cos(static_cast<double>(angle))) *
                                  multiplier);
          sines.push_back(static_cast<float>(std::sin(static_cast<double>(angle))) * multiplier);
        }
        result.floats.insert(result.floats.end(), sines.begin(), sines.end());
      }
      return result;
    },
};

// Rotates the first `rotary_dim` elements of the first `heads` heads of a row; the rest passes.
// Style "half" pairs element i with i + rotary_dim / 2, "pair" pairs 2 i with 2 i + 1.
const OpRule kRopeRule = {
    [](const std::vector<Type>& operands, const Attrs& attrs) -> Type {
      const int64_t d = positive(attrs, Attr::kHeadDim);
      const int64_t heads = positive(attrs, Attr::kHeads);
      const int64_t rotary = positive(attrs, Attr::kRotaryDim);
      MLC_IR_CHECK(is_plain_float(operands[0]) && operands[0].last() % d == 0 &&
                   heads * d <= operands[0].last())
          << "rope of " << to_text(operands[0]) << " as " << heads << " heads of " << d;
      MLC_IR_CHECK(rotary % 2 == 0 && rotary <= d && is_plain_float(operands[1]) &&
                   operands[1].last() == rotary &&
                   operands[1].shape.size() == operands[0].shape.size() &&
                   operands[1].shape[0] == operands[0].shape[0])
          << "rope of " << rotary << " of " << d << " elements with the table "
          << to_text(operands[1]);
      const std::string& style = attrs.text_of(Attr::kStyle);
      MLC_IR_CHECK(style == "half" || style == "pair") << "unknown style " << style;
      return operands[0];
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      Tensor result = *operands[0];
      const int64_t d = attrs.int_of(Attr::kHeadDim);
      const int64_t half = attrs.int_of(Attr::kRotaryDim) / 2;
      const bool pairs = attrs.text_of(Attr::kStyle) == "pair";
      for (int64_t t = 0; t < result.rows(); ++t) {
        const float* cosine = operands[1]->row(t);
        const float* sine = cosine + half;
        for (int64_t h = 0; h < attrs.int_of(Attr::kHeads); ++h) {
          float* x = result.row(t) + h * d;
          for (int64_t i = 0; i < half; ++i) {
            float& a = x[pairs ? 2 * i : i];
            float& b = x[pairs ? 2 * i + 1 : i + half];
            const float rotated = a * cosine[i] - b * sine[i];
            b = b * cosine[i] + a * sine[i];
            a = rotated;
          }
        }
      }
      return result;
    },
};

namespace {

// What a head's K or V of one token becomes in a cache of this dtype.
void round_to(DType dtype, std::span<float> head) {
  if (dtype == DType::kI8) return round_to_int8_codes(head);
  for (float& x : head) {
    if (dtype == DType::kF16) x = f16_to_f32(f32_to_f16(x));
    if (dtype == DType::kBF16) x = bf16_to_f32(f32_to_bf16(x));
  }
}

}  // namespace

// Appends the k and v heads of each row to the cache of its sequence; the result is the q heads.
const OpRule kKvAppendRule = {
    [](const std::vector<Type>& operands, const Attrs& attrs) -> Type {
      const int64_t d = positive(attrs, Attr::kHeadDim);
      const int64_t heads = positive(attrs, Attr::kHeads);
      const int64_t kv_heads = positive(attrs, Attr::kKvHeads);
      MLC_IR_CHECK(is_plain_float(operands[0]) && operands[0].last() == (heads + 2 * kv_heads) * d)
          << "kv_append of " << to_text(operands[0]) << " as " << heads << " + 2 * " << kv_heads
          << " heads of " << d;
      attrs.int_of(Attr::kLayer);  // must be there
      Type type = operands[0];
      type.shape.back() = heads * d;
      return type;
    },
    [](EvalContext& context, const std::vector<const Tensor*>& operands,
       const Attrs& attrs) -> Tensor {
      const Tensor& x = *operands[0];
      const int64_t layer = attrs.int_of(Attr::kLayer);
      const int64_t d = attrs.int_of(Attr::kHeadDim);
      const int64_t q = attrs.int_of(Attr::kHeads) * d;
      const int64_t kv = attrs.int_of(Attr::kKvHeads) * d;
      const DType dtype = context.graph->cache_of_layer(layer).dtype;
      Tensor result;
      result.shape = {x.rows(), q};
      for (int64_t t = 0; t < x.rows(); ++t) {
        result.floats.insert(result.floats.end(), x.row(t), x.row(t) + q);
        auto& rows =
            context.cache->rows[{layer, context.sequence_of_token[static_cast<size_t>(t)]}];
        const auto append = [&](std::vector<float>& to, const float* from) {
          to.insert(to.end(), from, from + kv);
          for (auto head = to.end() - kv; head != to.end(); head += d)
            round_to(dtype, {head, head + d});
        };
        append(rows.k, x.row(t) + q);
        append(rows.v, x.row(t) + q + kv);
      }
      return result;
    },
};

// Causal attention of the q heads over the cache: query head h reads kv head h / (heads /
// kv_heads). Which positions it sees beside the causal rule says the layer's cache group.
const OpRule kAttentionRule = {
    [](const std::vector<Type>& operands, const Attrs& attrs) -> Type {
      const int64_t d = positive(attrs, Attr::kHeadDim);
      const int64_t heads = positive(attrs, Attr::kHeads);
      const int64_t kv_heads = positive(attrs, Attr::kKvHeads);
      MLC_IR_CHECK(is_plain_float(operands[0]) && operands[0].last() == heads * d &&
                   heads % kv_heads == 0)
          << "attention of " << to_text(operands[0]) << " as " << heads << " heads of " << d
          << " on " << kv_heads << " KV heads";
      attrs.int_of(Attr::kLayer);  // must be there, as the scale
      attrs.float_of(Attr::kScaleFactor);
      return operands[0];
    },
    [](EvalContext& context, const std::vector<const Tensor*>& operands,
       const Attrs& attrs) -> Tensor {
      const Tensor& q = *operands[0];
      const int64_t layer = attrs.int_of(Attr::kLayer);
      const int64_t heads = attrs.int_of(Attr::kHeads);
      const int64_t kv_heads = attrs.int_of(Attr::kKvHeads);
      const int64_t d = attrs.int_of(Attr::kHeadDim);
      const double scale = attrs.float_of(Attr::kScaleFactor);
      const CacheGroup& group = context.graph->cache_of_layer(layer);
      Tensor result = q;
      for (int64_t t = 0; t < q.rows(); ++t) {
        const auto& rows =
            context.cache->rows.at({layer, context.sequence_of_token[static_cast<size_t>(t)]});
        const int64_t position = context.positions[static_cast<size_t>(t)];
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t kv = h / (heads / kv_heads);
          const float* query = q.row(t) + h * d;
          std::vector<double> scores(static_cast<size_t>(position + 1), -INFINITY);
          double best = -INFINITY;
          for (int64_t j = 0; j <= position; ++j) {
            const bool visible = group.kind == CacheGroup::Kind::kFull || j < group.sink ||
                                 position - j < group.window - group.sink;
            if (!visible) continue;
            double sum = 0;
            for (int64_t i = 0; i < d; ++i) {
              sum += static_cast<double>(query[i]) *
                     rows.k[static_cast<size_t>((j * kv_heads + kv) * d + i)];
            }
            scores[static_cast<size_t>(j)] = sum * scale;
            best = std::max(best, sum * scale);
          }
          double total = 0;
          for (double& score : scores) total += score = std::exp(score - best);
          for (int64_t i = 0; i < d; ++i) {
            double sum = 0;
            for (int64_t j = 0; j <= position; ++j) {
              sum += scores[static_cast<size_t>(j)] *
                     rows.v[static_cast<size_t>((j * kv_heads + kv) * d + i)];
            }
            result.row(t)[h * d + i] = static_cast<float>(sum / total);
          }
        }
      }
      return result;
    },
};

}  // namespace mlc::graph
