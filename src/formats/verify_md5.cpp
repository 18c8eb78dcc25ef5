// SPDX-License-Identifier: Apache-2.0
// verify_md5() of parameter_shards.h, apart from it since WebAssembly has no libmd.
#include <algorithm>

#include "formats/md5.h"
#include "formats/parameter_shards.h"
#include "support/strings.h"

namespace mlc::formats {

Result<void> verify_md5(const ParameterShards& shards) {
  constexpr size_t kChunkBytes = 4 << 20;
  for (size_t i = 0; i < shards.index().shards.size(); ++i) {
    const ShardFile& shard = shards.index().shards[i];
    const MappedFile& file = shards.shard(static_cast<int64_t>(i));
    if (shard.md5.empty()) {
      return user_error(cat(shards.index_path(), ": ", shard.name), "has no md5sum",
                        "one to verify the file with");
    }
    Md5 md5;
    for (size_t at = 0; at < file.bytes().size(); at += kChunkBytes) {
      const size_t size = std::min(kChunkBytes, file.bytes().size() - at);
      md5.update(file.bytes().subspan(at, size));
      file.release(at, size);
    }
    const std::string found = md5.finish();
    if (found != to_lower(shard.md5)) {
      return user_error(file.path(), cat("has the md5 sum ", found),
                        cat(shard.md5, ", as ", shards.index_path(), " says"),
                        "the file is damaged: download it, or convert the weights again");
    }
  }
  return {};
}

}  // namespace mlc::formats
