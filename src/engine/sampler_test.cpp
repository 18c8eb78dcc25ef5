// SPDX-License-Identifier: Apache-2.0
// Each option against a plain definition of it: sets exactly, probabilities by the frequencies of
// many draws.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "engine/random.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

using Logits = std::vector<float>;

// Logits that look like a language model's: a few high ones over a wide hill.
Logits make_logits(size_t n, uint64_t seed, double spread = 3) {
  Logits logits(n);
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (uint64_t j = 0; j < 6; ++j) sum += uniform_draw(seed, i * 6 + j) - 0.5;
    logits[i] = static_cast<float>(sum * spread * 1.4);
  }
  return logits;
}

AllowedIds all_of(const Logits& logits) { return {static_cast<int64_t>(logits.size()), {}}; }

// The definition, in doubles and with a full sort: probability of each id, 0 for those that fall
// out.
std::vector<double> expected_probabilities(const Logits& logits, const SamplingOptions& o) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  const double best = static_cast<double>(logits[static_cast<size_t>(order[0])]);
  const auto weight = [&](int32_t id) {
    return std::exp((static_cast<double>(logits[static_cast<size_t>(id)]) - best) / o.temperature);
  };
  if (o.top_k > 0 && o.top_k < static_cast<int64_t>(order.size()))
    order.resize(static_cast<size_t>(o.top_k));
  double sum = 0;
  for (const int32_t id : order) sum += weight(id);
  double reached = 0;
  size_t kept = 0;
  while (kept < order.size() && (kept == 0 || reached < o.top_p * sum))
    reached += weight(order[kept++]);
  order.resize(kept);
  std::erase_if(order, [&](int32_t id) { return weight(id) < o.min_p; });
  sum = 0;
  for (const int32_t id : order) sum += weight(id);
  std::vector<double> p(logits.size());
  for (const int32_t id : order) p[static_cast<size_t>(id)] = weight(id) / sum;
  return p;
}

// Draws often; ids outside the definition's set must never come, the others as often as it says
// (chi-square, bins of at least ten expected draws).
void expect_distribution(const Logits& logits, SamplingOptions options, int draws = 20000) {
  const std::vector<double> p = expected_probabilities(logits, options);
  SamplerScratch scratch;
  Sampler sampler(options);
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i)
    ++counts[static_cast<size_t>(sampler.sample(logits, all_of(logits), scratch))];
  double chi_square = 0, rest_expected = 0, rest_found = 0;
  int bins = 0;
  const auto bin = [&](double found, double expected) {
    chi_square += (found - expected) * (found - expected) / expected;
    ++bins;
  };
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      ASSERT_EQ(counts[i], 0) << "id " << i << " is outside the set";
    } else if (p[i] * draws < 10) {
      rest_expected += p[i] * draws;
      rest_found += counts[i];
    } else {
      bin(counts[i], p[i] * draws);
    }
  }
  if (rest_expected >= 10) bin(rest_found, rest_expected);
  const double freedom = bins - 1;
  EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom) + 8) << bins << " bins";
}

TEST(Sampler, TemperatureZeroTakesTheLowestIdOfTheLargestLogits) {
  SamplerScratch scratch;
  for (const size_t n : {1u, 5u, 16u, 17u, 100u, 1000u}) {
    Logits logits = make_logits(n, n);
    const auto place = static_cast<int32_t>(n / 2);
    logits[static_cast<size_t>(place)] = 50;
    logits.back() = 50;
    Sampler sampler({.temperature = 0, .top_p = 0.5, .top_k = 7});
    EXPECT_EQ(sampler.sample(logits, all_of(logits), scratch), place) << n;
  }
}

TEST(Sampler, TopKOfOneAndTopPOfZeroAreGreedy) {
  const Logits logits = make_logits(333, 4);
  const auto best =
      static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  SamplerScratch scratch;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_EQ(Sampler({.top_k = 1, .seed = seed}).sample(logits, all_of(logits), scratch), best);
    EXPECT_EQ(Sampler({.top_p = 0, .seed = seed}).sample(logits, all_of(logits), scratch), best);
    EXPECT_EQ(Sampler({.min_p = 1, .seed = seed}).sample(logits, all_of(logits), scratch), best);
    EXPECT_EQ(
        Sampler({.temperature = 1e-300, .seed = seed}).sample(logits, all_of(logits), scratch),
        best);
  }
}

TEST(Sampler, DrawsFromTheSoftmax) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    expect_distribution(make_logits(50, 1), {.temperature = temperature, .seed = 11});
    expect_distribution(make_logits(1000, 2), {.temperature = temperature, .seed = 12});
  }
}

TEST(Sampler, TopKKeepsTheMostProbable) {
  for (const int64_t k : {2, 3, 20, 499, 500, 1000})
    expect_distribution(make_logits(500, 3), {.top_k = k, .seed = 13});
}

TEST(Sampler, TopKTakesTheLowerIdsOfEquals) {
  Logits logits(100, 1.0f);
  logits[70] = 2;
  expect_distribution(logits, {.top_k = 10, .seed = 14});
}

TEST(Sampler, TopPKeepsTheFewestThatReachTheShare) {
  for (const double p : {0.01, 0.3, 0.7, 0.95, 0.999}) {
    expect_distribution(make_logits(400, 5), {.top_p = p, .seed = 15});
    expect_distribution(make_logits(400, 6), {.temperature = 1.7, .top_p = p, .seed = 16});
  }
  expect_distribution(Logits(64, 0.0f), {.top_p = 0.5, .seed = 17});  // 32 of the equals
}

TEST(Sampler, MinPKeepsWhatIsNearTheMostProbable) {
  for (const double p : {0.001, 0.05, 0.4})
    expect_distribution(make_logits(400, 7), {.temperature = 0.9, .min_p = p, .seed = 18});
}

TEST(Sampler, TheShareOfTopPIsOfWhatTopKKept) {
  expect_distribution(make_logits(300, 8), {.top_p = 0.6, .top_k = 12, .seed = 19});
  expect_distribution(make_logits(300, 9),
                      {.temperature = 1.3, .top_p = 0.9, .top_k = 40, .min_p = 0.1, .seed = 20});
  expect_distribution(Logits(64, 0.0f), {.top_p = 0.5, .top_k = 10, .seed = 21});
}

TEST(Sampler, KeepsSetsExactlyInLargeVocabularies) {
  const Logits logits = make_logits(20000, 10, 4);
  for (const SamplingOptions& o :
       {SamplingOptions{.top_k = 50, .seed = 1}, SamplingOptions{.top_p = 0.8, .seed = 2},
        SamplingOptions{.top_p = 0.5, .top_k = 1000, .min_p = 0.02, .seed = 3}}) {
    expect_distribution(logits, o, 3000);
  }
}

TEST(Sampler, EveryDrawOfASeedIsReproducibleAndIndependentOfTheScratch) {
  const Logits logits = make_logits(1000, 11);
  const Logits others = make_logits(3000, 12);
  SamplerScratch fresh, shared;
  Sampler a({.top_p = 0.9, .seed = 5}), b({.top_p = 0.9, .seed = 5}),
      other({.top_k = 9, .seed = 6});
  std::set<int32_t> seen;
  for (int i = 0; i < 200; ++i) {
    other.sample(others, all_of(others), shared);
    const int32_t token = a.sample(logits, all_of(logits), fresh);
    EXPECT_EQ(token, b.sample(logits, all_of(logits), shared));
    seen.insert(token);
  }
  EXPECT_GT(seen.size(), 20u);
}

TEST(Sampler, GivesTheSameTokensOnEveryMachine) {  // as they were drawn on x86-64
  const Logits logits = make_logits(1000, 13);
  SamplerScratch scratch;
  const auto draw = [&](SamplingOptions options) {
    Sampler sampler(options);
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i)
      ids.push_back(std::to_string(sampler.sample(logits, all_of(logits), scratch)));
    return join(ids, " ");
  };
  EXPECT_EQ(draw({.seed = 1}), "985 985 718 66 805 488 287 658");
  EXPECT_EQ(draw({.temperature = 0.7, .top_p = 0.9, .top_k = 100, .min_p = 0.01, .seed = 2}),
            "928 511 985 985 401 488 658 488");
}

TEST(Sampler, NeverSamplesIdsThatTheTokenizerLacks) {
  Logits logits = make_logits(512, 14);
  logits[500] = 100;
  logits[3] = 99;
  const AllowedIds allowed{416, {3, 7, 8}};
  SamplerScratch scratch;
  for (const SamplingOptions& o :
       {SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 5},
        SamplingOptions{.top_k = 500}, SamplingOptions{.temperature = 9, .top_p = 0.9999}}) {
    Sampler sampler(o);
    for (int i = 0; i < 2000; ++i) {
      const int32_t token = sampler.sample(logits, allowed, scratch);
      ASSERT_LT(token, 416);
      ASSERT_TRUE(token != 3 && token != 7 && token != 8);
    }
  }
}

// Of the ids with a bit, each as often as its share among them alone says.
TEST(Sampler, DrawsFromTheIdsOfAMask) {
  constexpr size_t kIds = 200;
  constexpr int kDraws = 20000;
  const Logits logits = make_logits(kIds, 21);
  std::vector<uint64_t> mask(4);
  double total = 0;
  std::vector<double> share(kIds);
  for (size_t id = 0; id < kIds; ++id) {
    if (id % 7 != 3 && !(id >= 128 && id < 150)) continue;
    mask[id / 64] |= uint64_t{1} << id % 64;
    share[id] = std::exp(static_cast<double>(logits[id]));
    total += share[id];
  }
  SamplerScratch scratch;
  Sampler sampler({.temperature = 1, .seed = 9});
  std::vector<int> counts(kIds);
  for (int i = 0; i < kDraws; ++i) {
    ++counts[static_cast<size_t>(sampler.sample(logits, all_of(logits), scratch, mask))];
  }
  double chi_squared = 0;
  int cells = 0;
  for (size_t id = 0; id < kIds; ++id) {
    const double expected = share[id] / total * kDraws;
    if (expected == 0) EXPECT_EQ(counts[id], 0) << id;
    if (expected < 5) continue;
    chi_squared += (counts[id] - expected) * (counts[id] - expected) / expected;
    ++cells;
  }
  ASSERT_GT(cells, 10);
  EXPECT_LT(chi_squared, cells + 4 * std::sqrt(2.0 * cells));
  // With filters, and where the model rules out all that is left.
  for (const SamplingOptions& o :
       {SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 2, .top_p = 0.95},
        SamplingOptions{.top_k = 150}, SamplingOptions{.min_p = 0.001}}) {
    Sampler filtered(o);
    for (int i = 0; i < 300; ++i) {
      const int32_t id = filtered.sample(logits, all_of(logits), scratch, mask);
      ASSERT_TRUE(mask[static_cast<size_t>(id) / 64] >> id % 64 & 1) << id;
    }
    Logits ruled_out(kIds, 0);
    ruled_out[77] = -std::numeric_limits<float>::infinity();
    std::vector<uint64_t> only(4);
    only[1] = uint64_t{1} << (77 - 64);
    EXPECT_EQ(filtered.sample(ruled_out, all_of(ruled_out), scratch, only), 77);
  }
}

// The logit that a token has after it was generated `count` times: the definition.
double penalized(double logit, const SamplingOptions& o, int count) {
  if (count == 0) return logit;
  logit -= o.presence_penalty + count * o.frequency_penalty;
  return logit < 0 ? logit * o.repetition_penalty : logit / o.repetition_penalty;
}

TEST(Sampler, PenaltiesApplyToGeneratedTokensByTheirCount) {
  const std::vector<SamplingOptions> all = {
      {.temperature = 0, .presence_penalty = 0.6},
      {.temperature = 0, .frequency_penalty = 0.25},
      {.temperature = 0, .repetition_penalty = 1.3},
      {.temperature = 0,
       .repetition_penalty = 0.8,
       .presence_penalty = -0.5,
       .frequency_penalty = 0.2},
      {.temperature = 0,
       .repetition_penalty = 1.1,
       .presence_penalty = 1.5,
       .frequency_penalty = -0.1},
  };
  for (const SamplingOptions& o : all) {
    const Logits logits = {1.5f, 1.25f, -0.125f, 0.0f, 0.75f, -2.0f};
    std::vector<int> counts(logits.size());
    SamplerScratch scratch;
    Sampler sampler(o);
    for (int step = 0; step < 60; ++step) {
      size_t expected = 0;
      for (size_t i = 1; i < logits.size(); ++i) {
        const auto value = [&](size_t j) {
          return penalized(static_cast<double>(logits[j]), o, counts[j]);
        };
        if (value(i) > value(expected) + 1e-6) expected = i;
      }
      const auto token = static_cast<size_t>(sampler.sample(logits, all_of(logits), scratch));
      ASSERT_NEAR(penalized(static_cast<double>(logits[token]), o, counts[token]),
                  penalized(static_cast<double>(logits[expected]), o, counts[expected]), 1e-5)
          << "step " << step;
      ++counts[token];
    }
  }
}

TEST(Sampler, LogitBiasIsAddedBeforeThePenalties) {
  const Logits logits = {0, 0, 0, 0};
  SamplerScratch scratch;
  Sampler biased({.temperature = 0, .logit_bias = {{2, 5.0}, {1, 4.0}}});
  EXPECT_EQ(biased.sample(logits, all_of(logits), scratch), 2);
  Sampler banned({.temperature = 3, .logit_bias = {{0, -100.0}, {3, -100.0}}});
  for (int i = 0; i < 200; ++i)
    EXPECT_TRUE((std::set<int32_t>{1, 2}.count(banned.sample(logits, all_of(logits), scratch))));
  // 4 + 4 / 2 after one generation would stay ahead if the penalty came first.
  Sampler both({.temperature = 0, .repetition_penalty = 2, .logit_bias = {{2, 4.0}, {1, 3.0}}});
  EXPECT_EQ(both.sample(logits, all_of(logits), scratch), 2);
  EXPECT_EQ(both.sample(logits, all_of(logits), scratch), 1);  // 3 against 4 / 2
}

TEST(Sampler, StandsLogitsThatAreNoNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  SamplerScratch scratch;
  const auto draw = [&](const Logits& logits, SamplingOptions o) {
    return Sampler(o).sample(logits, all_of(logits), scratch);
  };
  EXPECT_EQ(draw({nan, 1, nan}, {}), 1);
  EXPECT_EQ(draw({nan, 1, nan}, {.top_p = 0.5}), 1);
  EXPECT_EQ(draw({0, inf, 1}, {}), 1);
  EXPECT_EQ(draw({-inf, -inf, 1}, {.top_k = 2}), 2);
  EXPECT_EQ(draw({nan, nan}, {}), 0);
  EXPECT_EQ(draw({-inf, -inf}, {.temperature = 0}), 0);
}

TEST(SamplingOptions, WrongValuesAreNamed) {
  const auto message = [](SamplingOptions o) {
    const Result<void> result = check_sampling_options(o, 100);
    return result.ok() ? "" : result.error().to_string();
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.temperature = -1}),
            "error: temperature: is -1.0\n  expected a number of at least 0");
  EXPECT_EQ(message({.temperature = std::numeric_limits<double>::quiet_NaN()}),
            "error: temperature: is NaN\n  expected a number of at least 0");
  EXPECT_EQ(message({.top_p = 1.5}), "error: top_p: is 1.5\n  expected a number from 0 to 1");
  EXPECT_EQ(message({.top_k = -2}), "error: top_k: is -2\n  expected a number of at least 0");
  EXPECT_EQ(message({.min_p = -0.1}), "error: min_p: is -0.1\n  expected a number from 0 to 1");
  EXPECT_EQ(message({.repetition_penalty = 0}),
            "error: repetition_penalty: is 0.0\n  expected a number above 0");
  EXPECT_EQ(message({.presence_penalty = 2.5}),
            "error: presence_penalty: is 2.5\n  expected a number from -2 to 2");
  EXPECT_EQ(message({.frequency_penalty = -3}),
            "error: frequency_penalty: is -3.0\n  expected a number from -2 to 2");
  EXPECT_EQ(message({.logit_bias = {{100, 1.0}}}),
            "error: logit_bias: names the id 100\n  expected ids from 0 to 99");
  EXPECT_EQ(message({.logit_bias = {{5, 101.0}}}),
            "error: logit_bias: is 101.0\n  expected a number from -100 to 100");
}

}  // namespace
}  // namespace mlc::engine
