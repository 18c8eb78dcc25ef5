// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/random.h"
#include "engine/softmax.h"
#include "support/strings.h"

// A fused multiply-add rounds once where others round twice.
#pragma clang fp contract(off)

namespace mlc::engine {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

int32_t first_equal(std::span<const float> values, float value) {
  const auto at = std::find(values.begin(), values.end(), value);
  return at == values.end() ? 0 : static_cast<int32_t>(at - values.begin());
}

// Ids by probability, without a sort: buckets of equal width on the scale (largest - logit) /
// temperature. Where a border falls into a bucket, that bucket alone is sorted.
class Ranking {
 public:
  static constexpr int kBuckets = 1024;
  static constexpr float kBucketsPerUnit =
      32;  // the last bucket has all with p < e^-32 of the largest

  // `distance`: (largest - logit) / temperature. NaN goes last.
  static uint16_t bucket(float distance) {
    const float place = distance * kBucketsPerUnit;
    return static_cast<uint16_t>(place < kBuckets - 1 ? place : kBuckets - 1);
  }

  // `weights`: e^-distance.
  Ranking(std::span<const float> logits, std::span<const float> weights,
          std::span<const uint16_t> buckets)
      : logits_(logits), weights_(weights), buckets_(buckets), counts_(kBuckets), sums_(kBuckets) {
    for (size_t i = 0; i < buckets.size(); ++i) {
      ++counts_[buckets[i]];
      sums_[buckets[i]] += weights[i];
    }
  }

  // Keeps the first k.
  void keep_count(int64_t k) {
    int64_t seen = 0;
    for (int b = 0; b < end_; ++b) {
      if (seen + counts_[b] >= k) {
        cut(b, sorted(b), static_cast<size_t>(k - seen));
        return;
      }
      seen += counts_[b];
    }
  }

  // Of those that are kept, keeps the fewest whose sum is at least `share` of the sum of all kept.
  void keep_share(double share) {
    double sum = 0;
    for (int b = 0; b < end_; ++b) sum += sums_[b];
    for (const int32_t id : border_) sum += weight(id);
    const double wanted = share * sum;
    double reached = 0;
    for (int b = 0; b < end_; ++b) {
      if (counts_[b] > 0 && reached + sums_[b] >= wanted) {
        cut_share(b, sorted(b), wanted - reached);
        return;
      }
      reached += sums_[b];
    }
    if (!border_.empty()) cut_share(end_, border_, wanted - reached);
  }

  // Those that are kept, by id.
  void collect(float least_weight, std::vector<std::pair<int32_t, float>>& kept) {
    kept.clear();
    std::sort(border_.begin(), border_.end());
    auto border = border_.begin();
    for (size_t i = 0; i < buckets_.size(); ++i) {
      bool is_kept = buckets_[i] < end_;
      if (border != border_.end() && static_cast<size_t>(*border) == i) {
        is_kept = true;
        ++border;
      }
      if (is_kept && weights_[i] >= least_weight && weights_[i] > 0) {
        kept.emplace_back(static_cast<int32_t>(i), weights_[i]);
      }
    }
  }

 private:
  float weight(int32_t id) const { return weights_[static_cast<size_t>(id)]; }

  // The ids of a bucket, most probable first.
  std::vector<int32_t> sorted(int bucket) const {
    std::vector<int32_t> ids;
    ids.reserve(static_cast<size_t>(counts_[bucket]));
    for (size_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i] == bucket) ids.push_back(static_cast<int32_t>(i));
    }
    std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
      const float x = logits_[static_cast<size_t>(a)];
      const float y = logits_[static_cast<size_t>(b)];
      return x > y || (x == y && a < b);
    });
    return ids;
  }

  void cut(int bucket, std::vector<int32_t> ids, size_t count) {
    ids.resize(std::min(count, ids.size()));
    end_ = bucket;
    border_ = std::move(ids);
  }

  void cut_share(int bucket, std::vector<int32_t> ids, double wanted) {
    size_t count = 0;
    double reached = 0;
    while (count < ids.size() && (count == 0 || reached < wanted)) reached += weight(ids[count++]);
    cut(bucket, std::move(ids), count);
  }

  std::span<const float> logits_;
  std::span<const float> weights_;
  std::span<const uint16_t> buckets_;
  std::vector<int64_t> counts_;
  std::vector<double> sums_;
  int end_ = kBuckets;           // all of the buckets before it are kept
  std::vector<int32_t> border_;  // and these of bucket end_, most probable first
};

// The id at which the cumulative sum passes uniform * total. Where rounding leads past the end: the
// last that has any weight. The largest weight is 1, so there is one.
int32_t draw_from_all(std::span<const float> weights, double uniform) {
  constexpr size_t kBlock = 256;
  std::vector<double> sums;
  double total = 0;
  for (size_t first = 0; first < weights.size(); first += kBlock) {
    sums.push_back(sum_of(weights.subspan(first, std::min(kBlock, weights.size() - first))));
    total += sums.back();
  }
  const double wanted = uniform * total;
  double before = 0;  // the block
  size_t block = 0;   // the last with any weight that begins before `wanted`
  double reached = 0;
  for (size_t b = 0; b < sums.size() && reached <= wanted; ++b) {
    if (sums[b] == 0) continue;
    block = b;
    before = reached;
    reached += sums[b];
  }
  int32_t id = 0;
  for (size_t i = block * kBlock; i < std::min((block + 1) * kBlock, weights.size()); ++i) {
    if (weights[i] == 0) continue;
    id = static_cast<int32_t>(i);
    before += static_cast<double>(weights[i]);
    if (before > wanted) break;
  }
  return id;
}

int32_t draw_from(std::span<const std::pair<int32_t, float>> kept, double uniform) {
  double total = 0;
  for (const auto& [id, weight] : kept) total += weight;
  const double wanted = uniform * total;
  double reached = 0;
  for (const auto& [id, weight] : kept) {
    reached += weight;
    if (reached > wanted) return id;
  }
  return kept.back().first;
}

Result<void> check_range(const char* name, double value, int64_t low, int64_t high) {
  if (value >= static_cast<double>(low) && value <= static_cast<double>(high)) return {};
  return user_error(name, cat("is ", value), cat("a number from ", low, " to ", high));
}

}  // namespace

Result<void> check_sampling_options(const SamplingOptions& o, int64_t vocab_size) {
  if (!(o.temperature >= 0) || !std::isfinite(o.temperature)) {
    return user_error("temperature", cat("is ", o.temperature), "a number of at least 0");
  }
  MLC_RETURN_IF_ERROR(check_range("top_p", o.top_p, 0, 1));
  if (o.top_k < 0) return user_error("top_k", cat("is ", o.top_k), "a number of at least 0");
  MLC_RETURN_IF_ERROR(check_range("min_p", o.min_p, 0, 1));
  if (!(o.repetition_penalty > 0) || !std::isfinite(o.repetition_penalty)) {
    return user_error("repetition_penalty", cat("is ", o.repetition_penalty), "a number above 0");
  }
  MLC_RETURN_IF_ERROR(check_range("presence_penalty", o.presence_penalty, -2, 2));
  MLC_RETURN_IF_ERROR(check_range("frequency_penalty", o.frequency_penalty, -2, 2));
  for (const auto& [id, bias] : o.logit_bias) {
    if (id < 0 || id >= vocab_size)
      return user_error("logit_bias", cat("names the id ", id),
                        cat("ids from 0 to ", vocab_size - 1));
    MLC_RETURN_IF_ERROR(check_range("logit_bias", bias, -100, 100));
  }
  return {};
}

Sampler::Sampler(SamplingOptions options) : options_(std::move(options)) {}

bool Sampler::changes_logits() const {
  return !options_.logit_bias.empty() || options_.presence_penalty != 0 ||
         options_.frequency_penalty != 0 || options_.repetition_penalty != 1;
}

std::span<const float> Sampler::adjust(std::span<const float> logits, const AllowedIds& allowed,
                                       SamplerScratch& scratch) const {
  logits = logits.first(static_cast<size_t>(
      std::clamp<int64_t>(allowed.end, 1, static_cast<int64_t>(logits.size()))));
  if (!changes_logits() && allowed.holes.empty()) return logits;
  scratch.logits.assign(logits.begin(), logits.end());
  std::vector<float>& l = scratch.logits;
  const auto in_range = [&](int32_t id) { return static_cast<size_t>(id) < l.size(); };
  for (const auto& [id, bias] : options_.logit_bias) {
    if (in_range(id)) l[static_cast<size_t>(id)] += static_cast<float>(bias);
  }
  const auto repetition = static_cast<float>(options_.repetition_penalty);
  for (const auto& [id, count] : counts_) {
    if (!in_range(id)) continue;
    float& logit = l[static_cast<size_t>(id)];
    logit -= static_cast<float>(options_.presence_penalty +
                                static_cast<double>(count) * options_.frequency_penalty);
    logit = logit < 0 ? logit * repetition : logit / repetition;
  }
  for (const int32_t id : allowed.holes) {
    if (in_range(id)) l[static_cast<size_t>(id)] = kLowest;
  }
  return l;
}

int32_t Sampler::sample(std::span<const float> all_logits, const AllowedIds& allowed,
                        SamplerScratch& scratch) {
  const std::span<const float> logits = adjust(all_logits, allowed, scratch);
  const float best = largest(logits);
  const auto n = static_cast<int64_t>(logits.size());
  const bool filters =
      options_.top_p < 1 || options_.min_p > 0 || (options_.top_k > 0 && options_.top_k < n);
  const auto per_unit = static_cast<float>(1 / options_.temperature);
  int32_t token;
  // An infinite logit is as certain as no temperature at all.
  if (options_.top_k == 1 || !std::isfinite(per_unit) || !std::isfinite(best)) {
    token = first_equal(logits, best);
  } else {
    scratch.weights.resize(logits.size());
    scratch.buckets.resize(filters ? logits.size() : 0);
    softmax_weights(logits, best, per_unit, scratch.weights);
    for (size_t i = 0; i < scratch.buckets.size(); ++i) {
      scratch.buckets[i] = Ranking::bucket((best - logits[i]) * per_unit);
    }
    const double uniform = uniform_draw(options_.seed, static_cast<uint64_t>(generated_));
    if (!filters) {
      token = draw_from_all(scratch.weights, uniform);
    } else {
      Ranking ranking(logits, scratch.weights, scratch.buckets);
      if (options_.top_k > 0 && options_.top_k < n) ranking.keep_count(options_.top_k);
      if (options_.top_p < 1) ranking.keep_share(options_.top_p);
      ranking.collect(static_cast<float>(options_.min_p), scratch.kept);
      token = draw_from(scratch.kept, uniform);
    }
  }
  ++generated_;
  if (changes_logits()) ++counts_[token];
  return token;
}

}  // namespace mlc::engine
