// SPDX-License-Identifier: Apache-2.0
#include "target/amx_emulator.h"

namespace mlc::target {

AmxEmulator::AmxEmulator() = default;
AmxEmulator::~AmxEmulator() = default;
CpuFeatures AmxEmulator::features() { return host_cpu_features(); }
int64_t AmxEmulator::emulated() { return 0; }

}  // namespace mlc::target
