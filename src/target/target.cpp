// SPDX-License-Identifier: Apache-2.0
#include "target/target.h"

#include "support/process.h"
#include "support/strings.h"

namespace mlc::target {
namespace {

struct FeatureInfo {
  CpuFeature feature;
  std::string_view architecture;
  std::string_view name;
};

constexpr FeatureInfo kFeatures[] = {
#define MLC_CPU_FEATURE(enumerator, architecture, name) \
  {CpuFeature::enumerator, architecture, name},
#include "target/cpu_features.def"
#undef MLC_CPU_FEATURE
};

CpuFeatures feature_set(std::initializer_list<CpuFeature> features) {
  CpuFeatures set;
  for (const CpuFeature feature : features) set.add(feature);
  return set;
}

CpuFeatures operator|(CpuFeatures a, CpuFeatures b) { return CpuFeatures(a.bits() | b.bits()); }

std::vector<CpuLevel> make_cpu_levels() {
  using enum CpuFeature;
  const CpuFeatures v2 = feature_set({kSse3, kSsse3, kSse41, kSse42, kPopcnt});
  const CpuFeatures v3 = v2 | feature_set({kAvx, kAvx2, kFma, kF16c, kBmi, kBmi2, kLzcnt});
  const CpuFeatures v4 = v3 | feature_set({kAvx512f, kAvx512bw, kAvx512cd, kAvx512dq, kAvx512vl});
  return {
      {"x86-64", "x86_64", {}},
      {"x86-64-v2", "x86_64", v2},
      {"x86-64-v3", "x86_64", v3},
      {"x86-64-v3-vnni", "x86_64", v3 | feature_set({kAvxvnni})},
      {"x86-64-v4", "x86_64", v4},
      {"x86-64-v4-vnni", "x86_64", v4 | feature_set({kAvx512vnni})},
      {"x86-64-v4-amx", "x86_64", v4 | feature_set({kAvx512vnni, kAmxTile, kAmxInt8, kAmxBf16})},
      {"armv8", "aarch64", feature_set({kNeon})},
      {"armv8-dotprod", "aarch64", feature_set({kNeon, kDotprod})},
      {"armv8-i8mm", "aarch64", feature_set({kNeon, kDotprod, kI8mm})},
      {"wasm-simd128", "wasm32", feature_set({kSimd128})},
  };
}

std::string triple_of(std::string_view architecture) {
  if (architecture == "wasm32") return "wasm32-unknown-unknown";
  return cat(architecture, "-unknown-linux-gnu");
}

}  // namespace

std::string_view device_name(DeviceKind kind) {
  switch (kind) {
#define MLC_DEVICE(enumerator, name, summary) \
  case DeviceKind::enumerator:                \
    return name;
#include "target/devices.def"
#undef MLC_DEVICE
  }
  return "";
}

Result<void> check_device(const std::string& device) {
  const std::string name = device.substr(0, device.find(':'));
  if (name == "auto" || name == "cpu") return {};
  std::vector<std::string> known = {"auto"};
  for (int i = 0; i <= static_cast<int>(DeviceKind::kWebGpu); ++i) {
    known.emplace_back(device_name(static_cast<DeviceKind>(i)));
    if (name == known.back()) {
      return user_error("--device", cat(device, " is not implemented yet"), "cpu",
                        "use --device cpu");
    }
  }
  return unknown_name_error(ErrorKind::kUser, "--device", "device", device, known);
}

std::vector<std::string> CpuFeatures::names() const {
  std::vector<std::string> result;
  for (const FeatureInfo& info : kFeatures) {
    if (has(info.feature)) result.emplace_back(info.name);
  }
  return result;
}

const std::vector<CpuLevel>& cpu_levels() {
  static const std::vector<CpuLevel> levels = make_cpu_levels();
  return levels;
}

int64_t Target::vector_bytes() const {
  if (features.has(CpuFeature::kAvx512vl)) return 64;
  if (features.has(CpuFeature::kAvx2)) return 32;
  return 16;
}

int64_t Target::vector_registers() const {
  return features.has(CpuFeature::kAvx512vl) || architecture == "aarch64" ? 32 : 16;
}

bool Target::has_fma() const { return features.has(CpuFeature::kFma) || architecture == "aarch64"; }

bool Target::has_dot4() const {
  return features.has(CpuFeature::kAvx512vnni) || features.has(CpuFeature::kAvxvnni) ||
         features.has(CpuFeature::kDotprod);
}

bool Target::has_block_dot() const { return features.has(CpuFeature::kI8mm); }

bool Target::has_tile_dot() const { return features.has(CpuFeature::kAmxInt8); }

bool Target::has_tile_sum() const { return features.has(CpuFeature::kAmxBf16); }

bool Target::has_dot2_saturating() const { return features.has(CpuFeature::kSsse3); }

Result<Target> cpu_level_target(std::string_view name) {
  std::vector<std::string> known;
  for (const CpuLevel& level : cpu_levels()) {
    if (level.name == name) {
      return Target{.device = DeviceKind::kCpu,
                    .triple = triple_of(level.architecture),
                    .architecture = std::string(level.architecture),
                    .level = std::string(level.name),
                    .tune_cpu = "",
                    .features = level.features};
    }
    known.emplace_back(level.name);
  }
  return unknown_name_error(ErrorKind::kUser, "MLC_CPU_LEVEL", "CPU level", name, known);
}

Target gpu_target(DeviceKind device) {
  return Target{.device = device,
                .triple = "",
                .architecture = "",
                .level = std::string(device_name(device)),
                .tune_cpu = "",
                .features = {}};
}

Result<Target> host_cpu_target() {
  const std::string architecture = host_architecture();
  if (const auto pinned = environment("MLC_CPU_LEVEL")) {
    MLC_ASSIGN_OR_RETURN(Target target, cpu_level_target(*pinned));
    if (target.architecture != architecture || !host_cpu_features().contains(target.features)) {
      return user_error("MLC_CPU_LEVEL", cat("is ", *pinned, ", which this CPU lacks"), "",
                        "choose a lower level, or unset it");
    }
    return target;
  }
  return Target{.device = DeviceKind::kCpu,
                .triple = triple_of(architecture),
                .architecture = architecture,
                .level = "native",
                .tune_cpu = "",
                .features = host_cpu_features()};
}

}  // namespace mlc::target
