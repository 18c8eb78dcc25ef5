// SPDX-License-Identifier: Apache-2.0
// Random numbers by counter: the n-th draw of a seed is a function of both and of nothing else, so
// that a request gives the same text on every machine, whatever else is in the batch. Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>

namespace mlc::engine {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The draw number `index` of `seed`: uniform in [0, 1), a multiple of 2^-53.
double uniform_draw(uint64_t seed, uint64_t index);

}  // namespace mlc::engine
