// SPDX-License-Identifier: Apache-2.0
#define MLC_PACK_LEVEL baseline
#define MLC_PACK_LEVEL_NAME "baseline"
#include "quantization/pack_kernels.inc"
