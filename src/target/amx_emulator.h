// SPDX-License-Identifier: Apache-2.0
// For tests only: AMX's tile instructions on a CPU without them, so that code for the levels that
// have them is executed for real. The CPU reports each as unknown (SIGILL); the handler does what
// it would have done and steps over it.
#pragma once

#include <cstdint>

#include "target/target.h"

namespace mlc::target {

class AmxEmulator {
 public:
  // Emulates in all threads until the last one's life ends. A new one takes the signal back from
  // who has taken it since, as LLVM's linker does. Where the CPU has AMX, or nothing can be
  // emulated, it does nothing.
  AmxEmulator();
  ~AmxEmulator();
  AmxEmulator(const AmxEmulator&) = delete;
  AmxEmulator& operator=(const AmxEmulator&) = delete;

  // What code may use while an emulator is alive: the host's features, and AMX's on x86-64 Linux.
  static CpuFeatures features();
  // How many instructions were emulated, in all threads since the start; 0 where the CPU has AMX.
  static int64_t emulated();
};

}  // namespace mlc::target
