// SPDX-License-Identifier: Apache-2.0
#define MLC_PACK_LEVEL v3
#define MLC_PACK_LEVEL_NAME "x86-64-v3"
#include "quantization/pack_kernels.inc"
