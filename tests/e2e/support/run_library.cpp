// SPDX-License-Identifier: Apache-2.0
// What `mlc_llm debug logits` does, from the runtime alone: small enough to be cross-compiled for a
// test (aarch64.py).
//   run_library FOLDER_OF_WEIGHTS LIBRARY IDS OUTPUT PREFILL
// writes the logits of every id, f32. The first PREFILL ids are computed at once, the others one by
// one.
#include <cstdio>
#include <cstdlib>

#include "runtime/model.h"
#include "support/strings.h"
#include "target/target.h"

namespace {

template <class T>
T or_exit(mlc::Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace mlc::runtime;
  if (argc != 6) return 2;
  std::vector<int32_t> ids;
  for (const std::string& id : mlc::split(argv[3], ','))
    ids.push_back(static_cast<int32_t>(std::atoi(id.c_str())));
  const auto count = static_cast<int64_t>(ids.size());
  auto weights = or_exit(mlc::formats::ParameterShards::open(argv[1]));
  const auto model =
      or_exit(Model::create(or_exit(ModelLibrary::open(argv[2])), std::move(weights), 2));
  KvCache cache = or_exit(KvCache::create(model->plan(), count + 64));
  std::FILE* output = std::fopen(argv[4], "wb");
  if (output == nullptr) return 1;
  const SequenceId sequence = cache.add_sequence();
  const std::span<const int32_t> all(ids);
  for (int64_t done = 0; done < count;) {
    const int64_t next = done == 0 ? std::atoll(argv[5]) : 1;
    if (!cache.extend(sequence, next)) return 1;
    const SequenceTokens step{sequence,
                              all.subspan(static_cast<size_t>(done), static_cast<size_t>(next)),
                              count, WantedLogits::kAll};
    const std::span<const float> logits = or_exit(model->run(cache, {&step, 1}));
    if (std::fwrite(logits.data(), sizeof(float), logits.size(), output) != logits.size()) return 1;
    done += next;
  }
  if (std::fclose(output) != 0) return 1;
  std::printf("%s: %s\n", mlc::join(mlc::target::host_cpu_features().names(), " ").c_str(),
              model->plan().kernels[0].name.c_str());
  return 0;
}
