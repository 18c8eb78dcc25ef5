// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <tuple>

#include "formats/weight_file.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "values are used as they lie in files");

constexpr std::string_view kDamaged = "the file is cut off or damaged: download it again";
constexpr int64_t kDefaultAlignment = 32;
constexpr size_t kMaxDimensions = 4;
// The least that a key and its value, and the description of a tensor, can take.
constexpr uint64_t kLeastKeyBytes = 12;
constexpr uint64_t kLeastTensorBytes = 24;

// Names and values come from the file and may have any length.
std::string shown(std::string_view text) {
  constexpr size_t kMaxShown = 80;
  return text.size() <= kMaxShown ? std::string(text) : cat(text.substr(0, kMaxShown), "...");
}

struct ValueTypeName {
  std::string_view name;
  int64_t bytes;  // the least for a string: its length
};
constexpr ValueTypeName kValueTypes[] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 8}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

const ValueTypeName& type_name(GgufValueType type) {
  return kValueTypes[static_cast<size_t>(type)];
}

template <class T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// Nothing for floats, bools, strings, and for u64 beyond int64.
std::optional<int64_t> load_int(GgufValueType type, const std::byte* data) {
  switch (type) {
    case GgufValueType::kU8:
      return load<uint8_t>(data);
    case GgufValueType::kI8:
      return load<int8_t>(data);
    case GgufValueType::kU16:
      return load<uint16_t>(data);
    case GgufValueType::kI16:
      return load<int16_t>(data);
    case GgufValueType::kU32:
      return load<uint32_t>(data);
    case GgufValueType::kI32:
      return load<int32_t>(data);
    case GgufValueType::kI64:
      return load<int64_t>(data);
    case GgufValueType::kU64: {
      const auto value = load<uint64_t>(data);
      if (value > INT64_MAX) return {};
      return static_cast<int64_t>(value);
    }
    default:
      return {};
  }
}

std::optional<double> load_float(GgufValueType type, const std::byte* data) {
  if (type == GgufValueType::kF32) return shortest_double(load<float>(data));
  if (type == GgufValueType::kF64) return load<double>(data);
  const std::optional<int64_t> integer = load_int(type, data);
  if (!integer.has_value()) return {};
  return static_cast<double>(*integer);
}

std::string_view load_string(const std::byte* data) {
  return {reinterpret_cast<const char*>(data) + 8, static_cast<size_t>(load<uint64_t>(data))};
}

// Walks over the bytes of a file; nothing is read beyond its end.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }
  const std::byte* data() const { return bytes_.data() + position_; }

  bool skip(uint64_t bytes) {
    if (bytes > left()) return false;
    position_ += bytes;
    return true;
  }
  template <class T>
  bool take(T& value) {
    if (sizeof(T) > left()) return false;
    value = load<T>(data());
    position_ += sizeof(T);
    return true;
  }

 private:
  Bytes bytes_;
  uint64_t position_ = 0;
};

Error cut_off(const std::string& where, std::string_view place) {
  return user_error(where, cat("is cut off in ", place), "", std::string(kDamaged));
}

Result<std::string_view> take_string(Cursor& cursor, const std::string& where,
                                     std::string_view place) {
  const std::byte* data = cursor.data();
  uint64_t length;
  if (!cursor.take(length)) return cut_off(where, place);
  if (!cursor.skip(length)) {
    return user_error(where,
                      cat("string longer than the file: ", length, " bytes, of which ",
                          cursor.left(), " are there"),
                      "", std::string(kDamaged));
  }
  return load_string(data);
}

Result<GgufValueType> take_value_type(Cursor& cursor, const std::string& where) {
  uint32_t number;
  if (!cursor.take(number)) return cut_off(where, "the metadata");
  if (number >= std::size(kValueTypes)) {
    return user_error(where, cat("unknown value type ", number), "a number from 0 to 12",
                      std::string(kDamaged));
  }
  return static_cast<GgufValueType>(number);
}

Error no_gguf(const std::string& path, Bytes file) {
  const std::string magic(reinterpret_cast<const char*>(file.data()),
                          std::min<size_t>(file.size(), 4));
  // Their magics were 32-bit numbers, so the letters stand in the file from right to left.
  for (const std::string_view old : {"ggml", "ggmf", "ggjt", "ggla"}) {
    if (magic == old || magic == std::string(old.rbegin(), old.rend())) {
      return user_error(path, cat("not a GGUF file but a ", old, " file, a format older than GGUF"),
                        "a GGUF file of version 2 or 3", "convert the model again");
    }
  }
  return user_error(path, cat("not a GGUF file: it begins with \"", magic, "\""),
                    "the letters GGUF", "is this the right file? if so it is damaged");
}

struct Header {
  uint64_t tensors;
  uint64_t keys;
};

Result<Header> take_header(Cursor& cursor, Bytes file, const std::string& path) {
  uint32_t magic;
  if (!cursor.take(magic) || std::memcmp(file.data(), "GGUF", 4) != 0) return no_gguf(path, file);
  const std::string_view place = "the header";
  uint32_t version;
  if (!cursor.take(version)) return cut_off(path, place);
  const std::string expected = "version 2 or 3";
  if (version == 1) {
    return user_error(path, "GGUF version 1 is not supported", expected, "convert the model again");
  }
  if (version != 0 && version % 0x10000 == 0) {
    return user_error(path, "is a big-endian file", "a little-endian one",
                      "convert the model again, without --bigendian");
  }
  if (version != 2 && version != 3) {
    return user_error(path, cat("unknown version ", version, " of GGUF"), expected,
                      "the file is damaged or newer than this program");
  }
  Header header;
  if (!cursor.take(header.tensors) || !cursor.take(header.keys)) return cut_off(path, place);
  if (header.keys > cursor.left() / kLeastKeyBytes) {
    return user_error(path,
                      cat("key count larger than the file can hold: ", header.keys, " keys in ",
                          cursor.left(), " bytes"),
                      "", std::string(kDamaged));
  }
  if (header.tensors > cursor.left() / kLeastTensorBytes) {
    return user_error(path,
                      cat("tensor count larger than the file can hold: ", header.tensors,
                          " tensors in ", cursor.left(), " bytes"),
                      "", std::string(kDamaged));
  }
  return header;
}

// A tensor whose data is not located yet.
struct TensorInfo {
  GgufTensor tensor;
  uint64_t offset = 0;  // from the start of the data
  uint64_t bytes = 0;
};

Result<TensorInfo> take_tensor_info(Cursor& cursor, int64_t number, const std::string& path) {
  const std::string_view place = "the list of tensors";
  TensorInfo info;
  GgufTensor& tensor = info.tensor;
  MLC_ASSIGN_OR_RETURN(tensor.name, take_string(cursor, cat(path, ": tensor ", number), place));
  const std::string where = cat(path, ": tensor ", shown(tensor.name));
  uint32_t dimensions;
  if (!cursor.take(dimensions)) return cut_off(where, place);
  if (dimensions > kMaxDimensions) {
    return user_error(where, cat("has ", dimensions, " dimensions"), "at most 4",
                      std::string(kDamaged));
  }
  uint64_t elements = 1;
  bool is_empty = false;
  for (uint32_t i = 0; i < dimensions; ++i) {
    uint64_t dimension;
    if (!cursor.take(dimension)) return cut_off(where, place);
    is_empty |= dimension == 0;
    // A zero elsewhere must not hide an overflow.
    if (__builtin_mul_overflow(elements, std::max<uint64_t>(dimension, 1), &elements) ||
        elements > INT64_MAX) {
      return user_error(where, "element count overflows 63 bits", "", std::string(kDamaged));
    }
    tensor.shape.push_back(static_cast<int64_t>(dimension));
  }
  while (tensor.shape.size() > 1 && tensor.shape.back() == 1) tensor.shape.pop_back();
  if (tensor.shape.empty()) tensor.shape.push_back(1);
  const int64_t row = tensor.shape[0];
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  uint32_t type;
  if (!cursor.take(type)) return cut_off(where, place);
  MLC_ASSIGN_OR_RETURN(tensor.type, parse_gguf_type(type, where));
  const int64_t block = gguf_block_elements(tensor.type);
  if (row % block != 0) {
    return user_error(where,
                      cat("has rows of ", row, " elements: ", row, " is not a multiple of ", block),
                      cat("whole blocks of ", gguf_type_name(tensor.type)), std::string(kDamaged));
  }
  if (!cursor.take(info.offset)) return cut_off(where, place);
  const uint64_t blocks = is_empty ? 0 : elements / static_cast<uint64_t>(block);
  if (__builtin_mul_overflow(blocks, static_cast<uint64_t>(gguf_block_bytes(tensor.type)),
                             &info.bytes)) {
    return user_error(where, "element count overflows: more than 2^64 bytes", "",
                      std::string(kDamaged));
  }
  return info;
}

// Points the tensors at their data, which begins behind `header_bytes` at the next multiple of the
// alignment.
Result<void> locate_tensors(std::vector<TensorInfo>& infos, Bytes file, uint64_t header_bytes,
                            uint64_t alignment, const std::string& path) {
  uint64_t data_begin;
  if (__builtin_add_overflow(header_bytes, alignment - 1, &data_begin)) data_begin = UINT64_MAX;
  data_begin = std::min<uint64_t>(data_begin / alignment * alignment, file.size());
  const uint64_t data_bytes = file.size() - data_begin;
  for (TensorInfo& info : infos) {
    const std::string where = cat(path, ": tensor ", shown(info.tensor.name));
    uint64_t end;
    if (info.offset % alignment != 0) {
      return user_error(where, cat("offset not aligned: ", info.offset),
                        cat("a multiple of ", alignment), std::string(kDamaged));
    }
    if (__builtin_add_overflow(info.offset, info.bytes, &end)) {
      return user_error(where, cat("offset overflows: ", info.offset, " + ", info.bytes), "",
                        std::string(kDamaged));
    }
    if (info.offset > data_bytes || (info.offset == data_bytes && info.bytes > 0)) {
      return user_error(where, cat("tensor past the end: it begins at byte ", info.offset),
                        cat("a place within the ", data_bytes, " bytes of data"),
                        std::string(kDamaged));
    }
    if (end > data_bytes) {
      return user_error(where,
                        cat("tensor data cut off: ", data_bytes - info.offset, " of ", info.bytes,
                            " bytes are there"),
                        "", std::string(kDamaged));
    }
    info.tensor.data = file.subspan(data_begin + info.offset, info.bytes);
  }
  std::vector<const TensorInfo*> sorted;
  for (const TensorInfo& info : infos) {
    if (info.bytes > 0) sorted.push_back(&info);
  }
  std::sort(sorted.begin(), sorted.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::tie(a->offset, a->tensor.name) < std::tie(b->offset, b->tensor.name);
  });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->offset + sorted[i - 1]->bytes > sorted[i]->offset) {
      return user_error(cat(path, ": tensor ", shown(sorted[i]->tensor.name)),
                        cat("tensors overlap: its data begins within that of ",
                            shown(sorted[i - 1]->tensor.name)),
                        "", std::string(kDamaged));
    }
  }
  return {};
}

// The name of part `number` (from 0) of a split model, if `path` is named as its part `own`.
std::optional<std::string> part_path(const std::string& path, int64_t own, int64_t number,
                                     int64_t count) {
  const auto five = [](int64_t value) {
    const std::string digits = std::to_string(value);
    return cat(std::string(5 - std::min<size_t>(digits.size(), 5), '0'), digits);
  };
  const auto ending = [&](int64_t part) {
    return cat("-", five(part + 1), "-of-", five(count), ".gguf");
  };
  if (!path.ends_with(ending(own))) return {};
  return cat(path.substr(0, path.size() - ending(own).size()), ending(number));
}

}  // namespace

int64_t GgufTensor::elements() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

// Reads one part and joins parts.
class GgufReader {
 public:
  // Keys, values and tensors of one file; nothing that concerns a model is checked.
  static Result<GgufFile> read_part(Bytes bytes, const std::string& path) {
    GgufFile file;
    file.path_ = path;
    Cursor cursor(bytes);
    MLC_ASSIGN_OR_RETURN(const Header header, take_header(cursor, bytes, path));
    for (uint64_t i = 0; i < header.keys; ++i) MLC_RETURN_IF_ERROR(take_key(cursor, i, file));
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> alignment,
                         file.find_int("general.alignment"));
    const int64_t used = alignment.value_or(kDefaultAlignment);
    if (used <= 0 || !std::has_single_bit(static_cast<uint64_t>(used))) {
      return user_error(file.key_where("general.alignment"),
                        cat("alignment not a power of two: ", used), "a power of two",
                        std::string(kDamaged));
    }
    std::vector<TensorInfo> infos;
    for (uint64_t i = 0; i < header.tensors; ++i) {
      MLC_ASSIGN_OR_RETURN(TensorInfo info,
                           take_tensor_info(cursor, static_cast<int64_t>(i), path));
      infos.push_back(std::move(info));
    }
    MLC_RETURN_IF_ERROR(
        locate_tensors(infos, bytes, cursor.position(), static_cast<uint64_t>(used), path));
    for (TensorInfo& info : infos) {
      MLC_RETURN_IF_ERROR(add_tensor(file, std::move(info.tensor), path));
    }
    return file;
  }

  static Result<void> add_tensor(GgufFile& file, GgufTensor tensor, const std::string& path) {
    if (!file.tensor_numbers_.emplace(tensor.name, file.tensors_.size()).second) {
      return user_error(cat(path, ": tensor ", shown(tensor.name)), "duplicate tensor", "",
                        std::string(kDamaged));
    }
    file.tensors_.push_back(std::move(tensor));
    return {};
  }

  // What a file, or the first part of a split model, must be to hold a model.
  static Result<void> check_model(GgufFile& file) {
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> type,
                         file.find_string("general.type"));
    if (type.value_or("model") != "model") {
      return user_error(file.path_, cat("holds no model: its general.type is ", shown(*type)),
                        "model", "name the file of the model itself");
    }
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> architecture,
                         file.find_string("general.architecture"));
    if (!architecture.has_value()) {
      return user_error(file.path_, "general.architecture missing", "the name of an architecture",
                        "is this the file of a model?");
    }
    file.architecture_ = *architecture;
    const auto quantized =
        std::find_if(file.tensors_.begin(), file.tensors_.end(),
                     [](const GgufTensor& tensor) { return is_quantized(tensor.type); });
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> version,
                         file.find_int("general.quantization_version"));
    if (quantized != file.tensors_.end() && version.value_or(2) != 2) {
      return user_error(file.key_where("general.quantization_version"),
                        cat("is ", *version, " and ", shown(quantized->name), " is quantized"), "2",
                        "quantize the model again");
    }
    return {};
  }

  // The number of parts; 1 if the file is whole.
  static Result<int64_t> part_count(const GgufFile& file) {
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> count, file.find_int("split.count"));
    if (count.value_or(1) < 0 || count.value_or(1) > 99999) {
      return user_error(file.key_where("split.count"), cat("is ", *count),
                        "a number from 0 to 99999", std::string(kDamaged));
    }
    return std::max<int64_t>(count.value_or(1), 1);
  }

  // The number of this part, from 0.
  static Result<int64_t> part_number(const GgufFile& file, int64_t count) {
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> number, file.find_int("split.no"));
    if (!number.has_value() || *number < 0 || *number >= count) {
      return user_error(file.key_where("split.no"),
                        number.has_value() ? cat("is ", *number) : std::string("is absent"),
                        cat("a number from 0 to ", count - 1, ", since split.count is ", count),
                        std::string(kDamaged));
    }
    return *number;
  }

  static Result<GgufFile> open(const std::string& path) {
    MLC_ASSIGN_OR_RETURN(MappedFile mapping, open_weight_file(path));
    MLC_ASSIGN_OR_RETURN(GgufFile file, read_part(mapping.bytes(), path));
    file.mappings_.push_back(std::move(mapping));
    MLC_ASSIGN_OR_RETURN(const int64_t count, part_count(file));
    if (count > 1) {
      MLC_ASSIGN_OR_RETURN(const int64_t number, part_number(file, count));
      MLC_ASSIGN_OR_RETURN(file, join_parts(std::move(file), number, count));
    }
    MLC_RETURN_IF_ERROR(check_model(file));
    return file;
  }

 private:
  static Result<void> take_key(Cursor& cursor, uint64_t number, GgufFile& file) {
    const std::string_view place = "the metadata";
    MLC_ASSIGN_OR_RETURN(const std::string_view key,
                         take_string(cursor, cat(file.path_, ": key ", number), place));
    if (key.empty()) {
      return user_error(cat(file.path_, ": key ", number), "empty key", "a name",
                        std::string(kDamaged));
    }
    const std::string where = file.key_where(key);
    GgufFile::Value value;
    MLC_ASSIGN_OR_RETURN(value.type, take_value_type(cursor, where));
    uint64_t count = 1;
    if (value.type == GgufValueType::kArray) {
      value.is_list = true;
      MLC_ASSIGN_OR_RETURN(value.type, take_value_type(cursor, where));
      if (value.type == GgufValueType::kArray) {
        return user_error(where, "arrays nested too deep: an array of arrays",
                          "an array of numbers, bools or strings", std::string(kDamaged));
      }
      if (!cursor.take(count)) return cut_off(where, place);
    }
    const auto least = static_cast<uint64_t>(type_name(value.type).bytes);
    if (value.is_list && count > cursor.left() / least) {
      return user_error(
          where,
          cat("array longer than the file: ", count, " elements in ", cursor.left(), " bytes"), "",
          std::string(kDamaged));
    }
    value.count = static_cast<int64_t>(count);
    value.data = cursor.data();
    if (value.type == GgufValueType::kString) {
      for (uint64_t i = 0; i < count; ++i) {
        MLC_RETURN_IF_ERROR(take_string(cursor, where, place));
      }
    } else if (!cursor.skip(count * least)) {
      return cut_off(where, place);
    }
    if (!file.values_.emplace(key, value).second) {
      return user_error(where, "duplicate key", "", std::string(kDamaged));
    }
    file.keys_.push_back(key);
    return {};
  }

  // `own` is part `number` of `count`. The result has the metadata of part 0 and the tensors of
  // all.
  static Result<GgufFile> join_parts(GgufFile own, int64_t number, int64_t count) {
    std::vector<GgufFile> parts;
    for (int64_t i = 0; i < count; ++i) {
      if (i == number) {
        parts.push_back(std::move(own));
        continue;
      }
      // The other parts are looked for under the name of this one, which stands at parts[number] or
      // in `own`.
      const std::string& path = i < number ? own.path_ : parts[static_cast<size_t>(number)].path_;
      const std::optional<std::string> other = part_path(path, number, i, count);
      if (!other.has_value()) {
        return user_error(
            path, cat("is part ", number + 1, " of ", count, " of a split model"),
            "a name that ends as in NAME-00001-of-00003.gguf, by which the other parts "
            "are found",
            "give the parts their names back");
      }
      if (!file_exists(*other)) {
        return user_error(*other, cat("is missing; ", path, " is part ", number + 1, " of ", count),
                          "all parts of the split model in one folder", "download it");
      }
      MLC_ASSIGN_OR_RETURN(MappedFile mapping, open_weight_file(*other));
      MLC_ASSIGN_OR_RETURN(GgufFile part, read_part(mapping.bytes(), *other));
      part.mappings_.push_back(std::move(mapping));
      MLC_ASSIGN_OR_RETURN(const int64_t part_parts, part_count(part));
      if (part_parts != count) {
        return user_error(part.key_where("split.count"), cat("is ", part_parts),
                          cat(count, ", as in ", path), "take all parts from one download");
      }
      MLC_ASSIGN_OR_RETURN(const int64_t part_no, part_number(part, count));
      if (part_no != i) {
        return user_error(part.key_where("split.no"), cat("is ", part_no),
                          cat(i, ", as the name says"), "give the parts their names back");
      }
      parts.push_back(std::move(part));
    }
    GgufFile model = std::move(parts[0]);
    for (size_t i = 1; i < parts.size(); ++i) {
      for (GgufTensor& tensor : parts[i].tensors_) {
        tensor.part = static_cast<int64_t>(i);
        MLC_RETURN_IF_ERROR(add_tensor(model, std::move(tensor), parts[i].path_));
      }
      model.mappings_.push_back(std::move(parts[i].mappings_[0]));
    }
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> total, model.find_int("split.tensors.count"));
    const auto found = static_cast<int64_t>(model.tensors_.size());
    if (total.value_or(found) != found) {
      return user_error(model.key_where("split.tensors.count"),
                        cat("is ", *total, " and the parts have ", found, " tensors"), "",
                        "take all parts from one download");
    }
    return model;
  }
};

Result<GgufFile> GgufFile::open(const std::string& path) { return GgufReader::open(path); }

Result<GgufFile> GgufFile::parse(Bytes bytes, const std::string& path) {
  MLC_ASSIGN_OR_RETURN(GgufFile file, GgufReader::read_part(bytes, path));
  MLC_ASSIGN_OR_RETURN(const int64_t count, GgufReader::part_count(file));
  if (count > 1) {
    return user_error(path, cat("is one of the ", count, " parts of a split model"),
                      "a whole model", "open it by the path of a part");
  }
  MLC_RETURN_IF_ERROR(GgufReader::check_model(file));
  return file;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_numbers_.find(name);
  return found == tensor_numbers_.end() ? nullptr : &tensors_[found->second];
}

const GgufFile::Value* GgufFile::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<int64_t> GgufFile::list_length(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr || !value->is_list) return {};
  return value->count;
}

std::string GgufFile::key_where(std::string_view key) const {
  return cat(path_, ": key ", shown(key));
}

std::string GgufFile::tensor_where(std::string_view name) const {
  return cat(path_, ": tensor ", shown(name));
}

Error GgufFile::wrong_kind(std::string_view key, const Value& value,
                           std::string_view expected) const {
  const std::string_view type = type_name(value.type).name;
  return user_error(
      key_where(key),
      value.is_list ? cat("is a list of ", value.count, " ", type) : cat("is a ", type),
      std::string(expected));
}

Result<std::optional<int64_t>> GgufFile::find_int(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<int64_t>();
  const int64_t bytes = type_name(value->type).bytes;
  std::optional<int64_t> result;
  for (int64_t i = 0; i < value->count; ++i) {
    const std::optional<int64_t> element = load_int(value->type, value->data + i * bytes);
    if (!element.has_value() && value->type == GgufValueType::kU64) {
      return user_error(key_where(key), cat("is ", load<uint64_t>(value->data + i * bytes)),
                        "an integer of at most 2^63 - 1");
    }
    if (!element.has_value()) break;
    if (i > 0 && element != result) {
      return user_error(key_where(key), cat("differs between layers: ", *result, " and ", *element),
                        "the same in all layers", "this kind of model is not supported");
    }
    result = element;
  }
  if (!result.has_value()) return wrong_kind(key, *value, "an integer");
  return result;
}

Result<std::optional<double>> GgufFile::find_float(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<double>();
  const std::optional<double> result =
      value->is_list ? std::optional<double>() : load_float(value->type, value->data);
  if (!result.has_value()) return wrong_kind(key, *value, "a number");
  if (!std::isfinite(*result)) {
    return user_error(key_where(key), cat("is ", *result), "a finite number");
  }
  return result;
}

Result<std::optional<bool>> GgufFile::find_bool(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_list) {
    if (value->type == GgufValueType::kBool) {
      return std::optional<bool>(load<uint8_t>(value->data) != 0);
    }
    const std::optional<int64_t> integer = load_int(value->type, value->data);
    if (integer == 0 || integer == 1) return std::optional<bool>(*integer == 1);
  }
  return wrong_kind(key, *value, "true or false");
}

Result<std::optional<std::string_view>> GgufFile::find_string(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<std::string_view>();
  if (value->is_list || value->type != GgufValueType::kString) {
    return wrong_kind(key, *value, "a string");
  }
  return std::optional<std::string_view>(load_string(value->data));
}

Result<std::optional<std::vector<int64_t>>> GgufFile::find_ints(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<std::vector<int64_t>>();
  std::vector<int64_t> result;
  const int64_t bytes = type_name(value->type).bytes;
  for (int64_t i = 0; value->is_list && i < value->count; ++i) {
    const std::byte* data = value->data + i * bytes;
    const std::optional<int64_t> element = value->type == GgufValueType::kBool
                                               ? std::optional<int64_t>(load<uint8_t>(data) != 0)
                                               : load_int(value->type, data);
    if (!element.has_value()) return wrong_kind(key, *value, "a list of integers");
    result.push_back(*element);
  }
  if (!value->is_list) return wrong_kind(key, *value, "a list of integers");
  return std::optional<std::vector<int64_t>>(std::move(result));
}

Result<std::optional<std::vector<float>>> GgufFile::find_floats(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<std::vector<float>>();
  std::vector<float> result;
  const int64_t bytes = type_name(value->type).bytes;
  for (int64_t i = 0; value->is_list && i < value->count; ++i) {
    const std::byte* data = value->data + i * bytes;
    if (value->type == GgufValueType::kF32) {
      result.push_back(load<float>(data));
      continue;
    }
    const std::optional<double> element = load_float(value->type, data);
    if (!element.has_value()) return wrong_kind(key, *value, "a list of numbers");
    result.push_back(static_cast<float>(*element));
  }
  if (!value->is_list) return wrong_kind(key, *value, "a list of numbers");
  return std::optional<std::vector<float>>(std::move(result));
}

Result<std::optional<std::vector<std::string_view>>> GgufFile::find_strings(
    std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::optional<std::vector<std::string_view>>();
  if (!value->is_list || value->type != GgufValueType::kString) {
    return wrong_kind(key, *value, "a list of strings");
  }
  std::vector<std::string_view> result;
  result.reserve(static_cast<size_t>(value->count));
  const std::byte* data = value->data;
  for (int64_t i = 0; i < value->count; ++i) {
    result.push_back(load_string(data));
    data += 8 + result.back().size();
  }
  return std::optional<std::vector<std::string_view>>(std::move(result));
}

void GgufFile::release(const GgufTensor& tensor, int64_t begin, int64_t end) const {
  if (mappings_.empty() || end <= begin) return;
  // A fault maps up to this much around the touched page, so giving back exactly what was read
  // would leave a little of each chunk behind.
  constexpr int64_t kFaultAroundBytes = 64 << 10;
  const MappedFile& file = mappings_[static_cast<size_t>(tensor.part)];
  const int64_t base = tensor.data.data() - file.bytes().data();
  const auto size = static_cast<int64_t>(file.bytes().size());
  const int64_t first = (base + begin) / kFaultAroundBytes * kFaultAroundBytes;
  const int64_t last =
      std::min((base + end + kFaultAroundBytes - 1) / kFaultAroundBytes * kFaultAroundBytes, size);
  file.release(static_cast<size_t>(first), static_cast<size_t>(last - first));
}

}  // namespace mlc::formats
