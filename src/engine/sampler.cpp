// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/random.h"
#include "engine/softmax.h"
#include "support/strings.h"

// A fused multiply-add rounds once where others round twice.
#pragma clang fp contract(off)

namespace mlc::engine {
namespace {

int32_t first_equal(std::span<const float> values, float value) {
  const auto at = std::find(values.begin(), values.end(), value);
  return at == values.end() ? 0 : static_cast<int32_t>(at - values.begin());
}

// Ids without a bit fall out. Words of which all or no bits are set are the rule.
void apply_mask(std::span<const uint64_t> mask, std::vector<float>& logits) {
  for (size_t first = 0; first < logits.size(); first += 64) {
    const size_t count = std::min<size_t>(64, logits.size() - first);
    for (uint64_t excluded = ~mask[first / 64]; excluded != 0; excluded &= excluded - 1) {
      if (excluded == ~uint64_t{0}) {
        std::fill_n(logits.begin() + static_cast<ptrdiff_t>(first), count, kLowest);
        break;
      }
      const auto bit = static_cast<size_t>(std::countr_zero(excluded));
      if (bit < count) logits[first + bit] = kLowest;
    }
  }
}

int32_t first_bit(std::span<const uint64_t> mask) {
  for (size_t word = 0; word < mask.size(); ++word) {
    if (mask[word] != 0) {
      return static_cast<int32_t>(word * 64) + std::countr_zero(mask[word]);
    }
  }
  return 0;
}

// Candidates by probability, without a sort: buckets of equal width on the scale (largest - logit)
// / temperature. Where a border falls into a bucket, that bucket alone is sorted.
class Ranking {
 public:
  Ranking(std::span<const Candidate> candidates, float largest, float per_unit)
      : candidates_(candidates), buckets_(candidates.size()), counts_(kBuckets), sums_(kBuckets) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const float place = (largest - candidates[i].logit) * per_unit * kBucketsPerUnit;
      buckets_[i] = static_cast<uint16_t>(place < kBuckets - 1 ? place : kBuckets - 1);  // NaN too
      ++counts_[buckets_[i]];
      sums_[buckets_[i]] += static_cast<double>(candidates[i].weight);
    }
  }

  // Keeps the first k.
  void keep_count(int64_t k) {
    int64_t seen = 0;
    for (size_t b = 0; b < end_; ++b) {
      if (seen + counts_[b] >= k) {
        cut(b, sorted(b), static_cast<size_t>(k - seen));
        return;
      }
      seen += counts_[b];
    }
  }

  double kept_sum() const {
    double sum = 0;
    for (size_t b = 0; b < end_; ++b) sum += sums_[b];
    for (const size_t i : border_) sum += weight(i);
    return sum;
  }

  // Of those that are kept, keeps the fewest whose sum is at least `wanted`.
  void keep_sum(double wanted) {
    double reached = 0;
    for (size_t b = 0; b < end_; ++b) {
      if (counts_[b] > 0 && reached + sums_[b] >= wanted) {
        cut_sum(b, sorted(b), wanted - reached);
        return;
      }
      reached += sums_[b];
    }
    if (!border_.empty()) cut_sum(end_, border_, wanted - reached);
  }

  // The kept candidates that weigh so much, in their order.
  void collect(float least_weight, std::vector<Candidate>& kept) {
    kept.clear();
    std::sort(border_.begin(), border_.end());
    auto border = border_.begin();
    for (size_t i = 0; i < buckets_.size(); ++i) {
      bool is_kept = buckets_[i] < end_;
      if (border != border_.end() && *border == i) {
        is_kept = true;
        ++border;
      }
      const Candidate& c = candidates_[i];
      if (is_kept && c.weight >= least_weight && c.weight > 0) kept.push_back(c);
    }
  }

 private:
  static constexpr size_t kBuckets = 1024;
  static constexpr float kBucketsPerUnit = 32;

  double weight(size_t i) const { return static_cast<double>(candidates_[i].weight); }

  // The candidates of a bucket, most probable first.
  std::vector<size_t> sorted(size_t bucket) const {
    std::vector<size_t> places;
    places.reserve(static_cast<size_t>(counts_[bucket]));
    for (size_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i] == bucket) places.push_back(i);
    }
    std::sort(places.begin(), places.end(), [&](size_t a, size_t b) {
      const Candidate& x = candidates_[a];
      const Candidate& y = candidates_[b];
      return x.logit > y.logit || (x.logit == y.logit && x.id < y.id);
    });
    return places;
  }

  void cut(size_t bucket, std::vector<size_t> places, size_t count) {
    places.resize(std::min(count, places.size()));
    end_ = bucket;
    border_ = std::move(places);
  }

  void cut_sum(size_t bucket, std::vector<size_t> places, double wanted) {
    size_t count = 0;
    double reached = 0;
    while (count < places.size() && (count == 0 || reached < wanted)) {
      reached += weight(places[count++]);
    }
    cut(bucket, std::move(places), count);
  }

  std::span<const Candidate> candidates_;
  std::vector<uint16_t> buckets_;
  std::vector<int64_t> counts_;
  std::vector<double> sums_;
  size_t end_ = kBuckets;       // all of the buckets before it are kept
  std::vector<size_t> border_;  // and these of bucket end_, most probable first
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

int32_t draw_from(std::span<const Candidate> kept, double uniform) {
  double total = 0;
  for (const Candidate& c : kept) total += static_cast<double>(c.weight);
  const double wanted = uniform * total;
  double reached = 0;
  for (const Candidate& c : kept) {
    reached += static_cast<double>(c.weight);
    if (reached > wanted) return c.id;
  }
  return kept.back().id;
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
                                       std::span<const uint64_t> mask,
                                       SamplerScratch& scratch) const {
  logits = logits.first(static_cast<size_t>(
      std::clamp<int64_t>(allowed.end, 1, static_cast<int64_t>(logits.size()))));
  if (!changes_logits() && allowed.holes.empty() && mask.empty()) return logits;
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
  if (!mask.empty()) apply_mask(mask, l);
  return l;
}

// Gathers candidates that are enough to find those that top_k and top_p keep: the most probable
// ones, more of them until there are k, or until they have the share of all weights. Gives the sum
// of all weights where there is no top_k.
double Sampler::gather_candidates(std::span<const float> logits, float best, float per_unit,
                                  SamplerScratch& scratch) const {
  std::vector<int32_t>& ids = scratch.ids;
  std::vector<float>& weights = scratch.weights;
  const bool counts = options_.top_k > 0;
  double total = 0;
  if (!counts) {
    weights.resize(logits.size());
    softmax_weights(logits, best, per_unit, weights);
    total = sum_of(weights);
  }
  const auto enough = [&] {
    if (counts) return static_cast<int64_t>(ids.size()) >= options_.top_k;
    double sum = 0;
    for (const int32_t id : ids) sum += static_cast<double>(weights[static_cast<size_t>(id)]);
    return sum >= options_.top_p * total;
  };
  bool found = false;
  if (!counts && options_.top_p == 1) {
    ids_at_least(weights, static_cast<float>(options_.min_p), ids);
    found = true;
  }
  for (float near = 4; near <= 16 && !found; near *= 2) {  // in units of the temperature
    ids_at_least(logits, best - near / per_unit, ids);
    found = enough();
  }
  if (!found) {
    ids.resize(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
  }
  scratch.candidates.clear();
  for (const int32_t id : ids) {
    const auto i = static_cast<size_t>(id);
    scratch.candidates.push_back({id, logits[i], counts ? 0 : weights[i]});
  }
  if (counts) {
    scratch.near_logits.clear();
    for (const Candidate& c : scratch.candidates) scratch.near_logits.push_back(c.logit);
    weights.resize(ids.size());
    softmax_weights(scratch.near_logits, best, per_unit, weights);
    for (size_t i = 0; i < ids.size(); ++i) scratch.candidates[i].weight = weights[i];
  }
  return total;
}

// A draw from what the filters leave.
int32_t Sampler::draw_filtered(std::span<const float> logits, float best, float per_unit,
                               double uniform, SamplerScratch& scratch) const {
  double total = gather_candidates(logits, best, per_unit, scratch);
  Ranking ranking(scratch.candidates, best, per_unit);
  if (options_.top_k > 0) {
    ranking.keep_count(options_.top_k);
    total = ranking.kept_sum();
  }
  if (options_.top_p < 1) ranking.keep_sum(options_.top_p * total);
  ranking.collect(static_cast<float>(options_.min_p), scratch.kept);
  return draw_from(scratch.kept, uniform);
}

int32_t Sampler::sample(std::span<const float> all_logits, const AllowedIds& allowed,
                        SamplerScratch& scratch, std::span<const uint64_t> mask) {
  const std::span<const float> logits = adjust(all_logits, allowed, mask, scratch);
  const float best = largest(logits);
  const auto per_unit = static_cast<float>(1 / options_.temperature);
  int32_t token;
  if (best == kLowest && !mask.empty()) {  // the model gives none of them a share
    token = first_bit(mask);
    // An infinite logit is as certain as no temperature at all.
  } else if (options_.top_k == 1 || !std::isfinite(per_unit) || !std::isfinite(best)) {
    token = first_equal(logits, best);
  } else {
    const double uniform = uniform_draw(options_.seed, static_cast<uint64_t>(generated_));
    const bool filters = options_.top_p < 1 || options_.min_p > 0 || options_.top_k > 0;
    if (filters) {
      token = draw_filtered(logits, best, per_unit, uniform, scratch);
    } else {
      scratch.weights.resize(logits.size());
      softmax_weights(logits, best, per_unit, scratch.weights);
      token = draw_from_all(scratch.weights, uniform);
    }
  }
  ++generated_;
  if (changes_logits()) ++counts_[token];
  return token;
}

}  // namespace mlc::engine
