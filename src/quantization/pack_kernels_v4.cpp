// SPDX-License-Identifier: Apache-2.0
#define MLC_PACK_LEVEL v4
#define MLC_PACK_LEVEL_NAME "x86-64-v4"
#include "quantization/pack_kernels.inc"
