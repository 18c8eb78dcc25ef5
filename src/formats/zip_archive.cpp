// SPDX-License-Identifier: Apache-2.0
#include "formats/zip_archive.h"

#include <cstring>
#include <optional>
#include <unordered_set>

#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kEnd64LocatorSignature = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kEnd64LocatorBytes = 20;
constexpr uint64_t kMaxCommentBytes = 65535;

template <class T>
T load(Bytes bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

bool fits(Bytes file, uint64_t offset, uint64_t size) {
  return offset <= file.size() && size <= file.size() - offset;
}

struct Directory {
  uint64_t offset;
  uint64_t bytes;
};

std::optional<uint64_t> find_end_record(Bytes file) {
  if (file.size() < kEndBytes) return {};
  const uint64_t last = file.size() - kEndBytes;
  for (uint64_t back = 0; back <= std::min(last, kMaxCommentBytes); ++back) {
    if (load<uint32_t>(file, last - back) == kEndSignature) return last - back;
  }
  return {};
}

Result<Directory> find_directory(Bytes file, const std::string& where) {
  const std::optional<uint64_t> end = find_end_record(file);
  if (!end.has_value()) {
    return user_error(where, "has no zip directory at its end", "",
                      "the file is cut off: download it again");
  }
  Directory directory{load<uint32_t>(file, *end + 16), load<uint32_t>(file, *end + 12)};
  const bool is_zip64 = directory.offset == 0xffffffff || directory.bytes == 0xffffffff ||
                        load<uint16_t>(file, *end + 10) == 0xffff;
  if (is_zip64) {
    uint64_t end64 = file.size();
    if (*end >= kEnd64LocatorBytes &&
        load<uint32_t>(file, *end - kEnd64LocatorBytes) == kEnd64LocatorSignature) {
      end64 = load<uint64_t>(file, *end - kEnd64LocatorBytes + 8);
    }
    if (!fits(file, end64, kEnd64Bytes) || load<uint32_t>(file, end64) != kEnd64Signature) {
      return user_error(where, "has no zip64 end record where its directory says", "",
                        "the file is damaged: download it again");
    }
    directory = {load<uint64_t>(file, end64 + 48), load<uint64_t>(file, end64 + 40)};
  }
  if (!fits(file, directory.offset, directory.bytes)) {
    return user_error(
        where, cat("has a zip directory of ", directory.bytes, " bytes at ", directory.offset),
        cat("one within the file's ", file.size(), " bytes"),
        "the file is damaged: download it again");
  }
  return directory;
}

struct Location {
  uint64_t header_offset;
  uint64_t bytes;
};

// Sizes that do not fit into 32 bits stand in the extra field 1, in this order, each only if it
// does not fit.
Result<Location> locate(Bytes file, uint64_t central, Bytes extra, const std::string& where) {
  uint64_t uncompressed = load<uint32_t>(file, central + 24);
  uint64_t compressed = load<uint32_t>(file, central + 20);
  uint64_t offset = load<uint32_t>(file, central + 42);
  for (uint64_t at = 0; at + 4 <= extra.size();) {
    const uint16_t id = load<uint16_t>(extra, at);
    const uint64_t size = load<uint16_t>(extra, at + 2);
    at += 4;
    if (size > extra.size() - at) break;
    if (id == 1) {
      uint64_t used = 0;
      for (uint64_t* field : {&uncompressed, &compressed, &offset}) {
        if (*field != 0xffffffff || used + 8 > size) continue;
        *field = load<uint64_t>(extra, at + used);
        used += 8;
      }
    }
    at += size;
  }
  const uint16_t method = load<uint16_t>(file, central + 10);
  const uint16_t flags = load<uint16_t>(file, central + 8);
  if ((flags & 1) != 0) return user_error(where, "is encrypted", "an entry stored plainly");
  if (method != 0 || compressed != uncompressed) {
    return user_error(where, cat("is compressed (method ", method, ")"),
                      "an entry stored plainly, as torch.save writes it");
  }
  return Location{offset, uncompressed};
}

}  // namespace

bool looks_like_zip(Bytes file) {
  return file.size() >= 4 && load<uint32_t>(file, 0) == kLocalSignature;
}

Result<std::vector<ZipEntry>> list_zip_entries(Bytes file, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Directory directory, find_directory(file, where));
  const Error damaged = user_error(where, "has a damaged zip directory", "", "download it again");
  std::vector<ZipEntry> entries;
  std::unordered_set<std::string_view> names;  // into the directory
  const uint64_t end = directory.offset + directory.bytes;
  for (uint64_t at = directory.offset; at < end;) {
    if (end - at < kCentralBytes || load<uint32_t>(file, at) != kCentralSignature) return damaged;
    const uint64_t name_bytes = load<uint16_t>(file, at + 28);
    const uint64_t extra_bytes = load<uint16_t>(file, at + 30);
    const uint64_t comment_bytes = load<uint16_t>(file, at + 32);
    if (end - at - kCentralBytes < name_bytes + extra_bytes + comment_bytes) return damaged;
    const std::string_view name(reinterpret_cast<const char*>(file.data()) + at + kCentralBytes,
                                name_bytes);
    const std::string entry_where = cat(where, ": zip entry ", name);
    if (!names.insert(name).second) return user_error(entry_where, "stands twice");
    const Bytes extra = file.subspan(at + kCentralBytes + name_bytes, extra_bytes);
    MLC_ASSIGN_OR_RETURN(const Location location, locate(file, at, extra, entry_where));
    if (!fits(file, location.header_offset, kLocalBytes) ||
        load<uint32_t>(file, location.header_offset) != kLocalSignature) {
      return user_error(entry_where, cat("has no header at byte ", location.header_offset), "",
                        "the file is damaged: download it again");
    }
    const uint64_t data = location.header_offset + kLocalBytes +
                          load<uint16_t>(file, location.header_offset + 26) +
                          load<uint16_t>(file, location.header_offset + 28);
    if (!fits(file, data, location.bytes)) {
      return user_error(entry_where, cat("has ", location.bytes, " bytes at ", data),
                        cat("data within the file's ", file.size(), " bytes"),
                        "the file is cut off: download it again");
    }
    entries.push_back({std::string(name), file.subspan(data, location.bytes)});
    at += kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  }
  return entries;
}

}  // namespace mlc::formats
