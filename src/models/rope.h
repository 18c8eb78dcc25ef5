// SPDX-License-Identifier: Apache-2.0
// Rotary positions: which frequencies a config asks for, in all kinds of scaling that Hugging Face
// has.
#pragma once

#include <vector>

#include "graph/builder.h"
#include "models/config_reader.h"

namespace mlc::models {

struct Rope {
  int64_t rotary_dim = 0;           // elements of a head that are rotated
  std::vector<double> frequencies;  // rotary_dim / 2
  // longrope: above switch_length, these; dynamic: above switch_length, frequencies fall by NTK
  // scaling.
  std::vector<double> long_frequencies;
  int64_t switch_length = 0;
  double ntk_factor = 0;
  double multiplier = 1;  // of cosines and sines
};

// `dims`: rotated dimensions as the architecture has them; an odd number rotates one more.
// `default_base` is used where no key gives one; `base_key` names the key of the base
// ("position_embedding_base"). The scaling object is the first of `rope_scaling` and
// `rope_parameters` that is there; a rope_theta in it wins.
Rope read_rope(const ConfigReader& config, int64_t dims, std::string_view base_key,
               double default_base);

// The table of a step, [num_tokens, rotary_dim].
graph::NodeId add_rope_table(graph::GraphBuilder& b, const Rope& rope, graph::NodeId positions,
                             graph::NodeId lengths);

}  // namespace mlc::models
