// SPDX-License-Identifier: Apache-2.0
#include "formats/pytorch.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "formats/pickle.h"
#include "formats/zip_archive.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kSaveAgain =
    "load it with PyTorch and save it again with torch.save, or use safetensors files";
constexpr size_t kMaxRank = 64;  // PyTorch's own limit

struct TypeName {
  std::string_view name;
  DType dtype;
};
// Classes of storages, and dtypes, which newer tensors name beside a storage without type.
constexpr TypeName kStorageTypes[] = {
    {"torch.FloatStorage", DType::kF32},
    {"torch.HalfStorage", DType::kF16},
    {"torch.BFloat16Storage", DType::kBF16},
    {"torch.DoubleStorage", DType::kF64},
    {"torch.CharStorage", DType::kI8},
    {"torch.ByteStorage", DType::kU8},
    {"torch.ShortStorage", DType::kI16},
    {"torch.IntStorage", DType::kI32},
    {"torch.LongStorage", DType::kI64},
    {"torch.BoolStorage", DType::kBool},
    {"torch.storage.UntypedStorage", DType::kU8},
};
constexpr TypeName kDTypes[] = {
    {"torch.float32", DType::kF32},
    {"torch.float16", DType::kF16},
    {"torch.bfloat16", DType::kBF16},
    {"torch.float64", DType::kF64},
    {"torch.int8", DType::kI8},
    {"torch.uint8", DType::kU8},
    {"torch.int16", DType::kI16},
    {"torch.uint16", DType::kU16},
    {"torch.int32", DType::kI32},
    {"torch.uint32", DType::kU32},
    {"torch.int64", DType::kI64},
    {"torch.uint64", DType::kU64},
    {"torch.bool", DType::kBool},
    {"torch.float8_e4m3fn", DType::kF8E4M3},
    {"torch.float8_e5m2", DType::kF8E5M2},
};
constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuildTensor2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildTensor3 = "torch._utils._rebuild_tensor_v3";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kRebuildParameterWithState =
    "torch._utils._rebuild_parameter_with_state";

template <size_t N>
std::optional<DType> find_type(const TypeName (&types)[N], std::string_view name) {
  for (const TypeName& type : types) {
    if (type.name == name) return type.dtype;
  }
  return {};
}

bool is_allowed(std::string_view global) {
  for (const std::string_view name :
       {kOrderedDict, kRebuildTensor, kRebuildTensor2, kRebuildTensor3, kRebuildParameter,
        kRebuildParameterWithState}) {
    if (global == name) return true;
  }
  return find_type(kStorageTypes, global).has_value() || find_type(kDTypes, global).has_value();
}

// What a persistent id of the pickle stands for.
struct Storage {
  std::string_view key;
  DType dtype = DType::kU8;
  int64_t elements = 0;
  int64_t first_element = 0;  // > 0 for a view in the older format
};

// Byte offset in the file and size of a storage, by its key.
struct Extent {
  int64_t offset;
  int64_t bytes;
};
using Extents = std::unordered_map<std::string_view, Extent>;

class TensorReader {
 public:
  TensorReader(const Pickle& pickle, const std::string& where) : pickle_(pickle), where_(where) {}

  Result<Storage> storage(const PickleValue& value) const {
    const PickleValue* id =
        value.kind == PickleValue::Kind::kPersistent ? &pickle_[value.argument] : nullptr;
    if (id == nullptr || id->kind != PickleValue::Kind::kTuple || id->items.size() < 5 ||
        at(*id, 0).text != "storage" || at(*id, 1).kind != PickleValue::Kind::kGlobal ||
        at(*id, 2).kind != PickleValue::Kind::kString ||
        at(*id, 4).kind != PickleValue::Kind::kInt) {
      return malformed("a storage");
    }
    const std::optional<DType> dtype = find_type(kStorageTypes, at(*id, 1).text);
    if (!dtype.has_value()) return malformed("the type of a storage");
    Storage storage{at(*id, 2).text, *dtype, at(*id, 4).number, 0};
    if (id->items.size() > 5 &&
        at(*id, 5).kind != PickleValue::Kind::kNone) {  // (key, offset, elements)
      const PickleValue& view = at(*id, 5);
      if (view.kind != PickleValue::Kind::kTuple || view.items.size() != 3 ||
          at(view, 1).kind != PickleValue::Kind::kInt || at(view, 1).number < 0) {
        return malformed("the view of a storage");
      }
      storage.first_element = at(view, 1).number;
    }
    return storage;
  }

  Result<LocatedTensor> tensor(const std::string& name, const PickleValue& value,
                               const Extents& extents) const {
    const PickleValue* call = &value;
    // A parameter wraps its tensor. More than a few wrappers are no file of PyTorch's.
    for (int depth = 0; depth < 4 && is_parameter(*call); ++depth) call = &argument(*call, 0);
    if (call->kind != PickleValue::Kind::kCall || !is_tensor_call(callee(*call))) {
      return user_error(cat(where_, ": ", name), cat("is ", describe(value)), "a tensor",
                        "save model.state_dict() alone");
    }
    const std::string_view function = callee(*call);
    const size_t arguments = pickle_[call->argument].items.size();
    if (arguments < (function == kRebuildTensor3 ? 7u : 4u)) return malformed(name);
    MLC_ASSIGN_OR_RETURN(const Storage storage, this->storage(argument(*call, 0)));
    LocatedTensor located;
    located.tensor.name = name;
    located.stored = storage.dtype;
    if (function == kRebuildTensor3) {
      const PickleValue& type = argument(*call, 6);
      const std::optional<DType> dtype = find_type(kDTypes, type.text);
      if (type.kind != PickleValue::Kind::kGlobal || !dtype.has_value()) return malformed(name);
      located.stored = *dtype;
    }
    located.tensor.dtype = located.stored == DType::kBF16 ? DType::kF32 : located.stored;
    const PickleValue& first = argument(*call, 1);
    MLC_ASSIGN_OR_RETURN(located.tensor.shape, sizes(argument(*call, 2), name));
    MLC_ASSIGN_OR_RETURN(located.strides, sizes(argument(*call, 3), name));
    if (first.kind != PickleValue::Kind::kInt || first.number < 0 ||
        located.strides.size() != located.tensor.shape.size()) {
      return malformed(name);
    }
    MLC_RETURN_IF_ERROR(place(storage, first.number, extents, located));
    return located;
  }

  Error malformed(std::string_view what) const {
    return user_error(where_, cat("has a pickle that describes ", what, " in an unknown way"),
                      "what torch.save writes", std::string(kSaveAgain));
  }

 private:
  const PickleValue& at(const PickleValue& container, size_t item) const {
    return pickle_[container.items[item]];
  }
  std::string_view callee(const PickleValue& call) const { return pickle_[call.callee].text; }
  const PickleValue& argument(const PickleValue& call, size_t number) const {
    return at(pickle_[call.argument], number);
  }
  bool is_parameter(const PickleValue& value) const {
    return value.kind == PickleValue::Kind::kCall &&
           (callee(value) == kRebuildParameter || callee(value) == kRebuildParameterWithState) &&
           !pickle_[value.argument].items.empty();
  }
  static bool is_tensor_call(std::string_view function) {
    return function == kRebuildTensor || function == kRebuildTensor2 || function == kRebuildTensor3;
  }
  static std::string_view describe(const PickleValue& value) {
    switch (value.kind) {
      case PickleValue::Kind::kNone:
        return "None";
      case PickleValue::Kind::kBool:
        return "a bool";
      case PickleValue::Kind::kInt:
      case PickleValue::Kind::kBigInt:
        return "an int";
      case PickleValue::Kind::kFloat:
        return "a float";
      case PickleValue::Kind::kString:
        return "a str";
      case PickleValue::Kind::kBytes:
        return "bytes";
      case PickleValue::Kind::kTuple:
        return "a tuple";
      case PickleValue::Kind::kList:
        return "a list";
      case PickleValue::Kind::kDict:
        return "a dict";
      case PickleValue::Kind::kGlobal:
        return "a class or function";
      case PickleValue::Kind::kCall:
        return "an object";
      case PickleValue::Kind::kPersistent:
        return "a storage";
    }
    return "";
  }

  Result<std::vector<int64_t>> sizes(const PickleValue& value, const std::string& name) const {
    if (value.kind != PickleValue::Kind::kTuple || value.items.size() > kMaxRank)
      return malformed(name);
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < value.items.size(); ++i) {
      if (at(value, i).kind != PickleValue::Kind::kInt || at(value, i).number < 0)
        return malformed(name);
      sizes.push_back(at(value, i).number);
    }
    return sizes;
  }

  // Sets the offset, drops the strides of C order, and checks that every element lies in the
  // storage.
  Result<void> place(const Storage& storage, int64_t first, const Extents& extents,
                     LocatedTensor& located) const {
    const std::string where = cat(where_, ": tensor ", located.tensor.name);
    const auto extent = extents.find(storage.key);
    if (extent == extents.end()) {
      return user_error(where, cat("lies in storage ", storage.key, ", which the file lacks"), "",
                        "the file is damaged: download it again");
    }
    const std::vector<int64_t>& shape = located.tensor.shape;
    const int64_t bytes = dtype_bytes(located.stored);
    const std::optional<int64_t> count =
        checked_elements(shape, std::max(bytes, dtype_bytes(located.tensor.dtype)));
    bool fits = count.has_value();
    int64_t last = 0;  // the last element that is touched
    fits = fits && !__builtin_add_overflow(first, storage.first_element, &first);
    last = first;
    for (size_t axis = 0; fits && *count > 0 && axis < shape.size(); ++axis) {
      int64_t reach;
      fits = !__builtin_mul_overflow(shape[axis] - 1, located.strides[axis], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    if (fits && *count > 0) {
      fits = last < extent->second.bytes / bytes &&
             (located.stored != storage.dtype || last < storage.elements);
    } else if (fits) {
      first = 0;
    }
    if (!fits) {
      return user_error(where,
                        cat("has shape ", shape_text(shape), " and strides ",
                            shape_text(located.strides), " from element ", first),
                        cat("elements of its storage, which has ", extent->second.bytes, " bytes"),
                        "the file is damaged: download it again");
    }
    located.offset = extent->second.offset + first * bytes;
    int64_t dense = 1;
    bool is_dense = true;
    for (size_t axis = shape.size(); axis-- > 0;) {
      is_dense &= shape[axis] == 1 || located.strides[axis] == dense;
      dense *= shape[axis];
    }
    if (is_dense || *count == 0) located.strides.clear();
    return {};
  }

  const Pickle& pickle_;
  const std::string& where_;
};

// The items of the outermost dict as pairs of numbers of values.
Result<std::vector<std::pair<int32_t, int32_t>>> outermost_items(const Pickle& pickle,
                                                                 const std::string& where) {
  const PickleValue& root = pickle[pickle.root];
  const bool is_ordered =
      root.kind == PickleValue::Kind::kCall && pickle[root.callee].text == kOrderedDict;
  if (root.kind != PickleValue::Kind::kDict && !is_ordered) {
    return user_error(where, "does not hold a dict", "a dict: name -> tensor",
                      "save model.state_dict() alone");
  }
  std::vector<std::pair<int32_t, int32_t>> items;
  if (is_ordered && !pickle[root.argument].items.empty()) {  // OrderedDict([(key, value), ...])
    const PickleValue& pairs = pickle[pickle[root.argument].items[0]];
    for (const int32_t item : pairs.items) {
      const PickleValue& pair = pickle[item];
      if ((pair.kind != PickleValue::Kind::kTuple && pair.kind != PickleValue::Kind::kList) ||
          pair.items.size() != 2) {
        return TensorReader(pickle, where).malformed("a dict");
      }
      items.emplace_back(pair.items[0], pair.items[1]);
    }
  }
  for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
    items.emplace_back(root.items[i], root.items[i + 1]);
  }
  return items;
}

Result<std::vector<LocatedTensor>> list_tensors(const Pickle& pickle, const Extents& extents,
                                                const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const auto items, outermost_items(pickle, where));
  const TensorReader reader(pickle, where);
  std::vector<LocatedTensor> tensors;
  std::unordered_set<std::string_view> names;
  for (const auto& [key, value] : items) {
    if (pickle[key].kind != PickleValue::Kind::kString)
      return reader.malformed("a tensor without a name");
    const std::string name(pickle[key].text);
    if (!names.insert(pickle[key].text).second) {
      return user_error(cat(where, ": tensor ", name), "stands twice");
    }
    MLC_ASSIGN_OR_RETURN(LocatedTensor tensor, reader.tensor(name, pickle[value], extents));
    tensors.push_back(std::move(tensor));
  }
  if (tensors.empty()) return user_error(where, "holds no tensors");
  return tensors;
}

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<std::vector<LocatedTensor>> list_zip_tensors(Bytes file, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const std::vector<ZipEntry> entries, list_zip_entries(file, where));
  constexpr std::string_view kPickleName = "data.pkl";
  std::string_view folder;  // "archive/", or what the file was called
  const ZipEntry* pickle_entry = nullptr;
  for (const ZipEntry& entry : entries) {
    const std::string_view name = entry.name;
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos || name.substr(slash + 1) != kPickleName) continue;
    folder = name.substr(0, slash + 1);
    pickle_entry = &entry;
  }
  if (pickle_entry == nullptr) {
    return user_error(where, "is a zip archive without data.pkl", "a file of torch.save");
  }
  Extents extents;
  for (const ZipEntry& entry : entries) {
    std::string_view name = entry.name;
    if (!name.starts_with(folder)) continue;
    name.remove_prefix(folder.size());
    if (name == "constants.pkl") {
      return user_error(where, "is a TorchScript archive", "a file of torch.save with weights",
                        std::string(kSaveAgain));
    }
    if (name == "byteorder" && as_text(entry.bytes) != "little") {
      return user_error(where,
                        cat("was saved with byte order ", as_text(entry.bytes).substr(0, 16)),
                        "little", "save it again on a little-endian machine");
    }
    if (name.starts_with("data/")) {
      extents.emplace(name.substr(5), Extent{entry.bytes.data() - file.data(),
                                             static_cast<int64_t>(entry.bytes.size())});
    }
  }
  MLC_ASSIGN_OR_RETURN(const Pickle pickle, parse_pickle(pickle_entry->bytes, is_allowed, where));
  return list_tensors(pickle, extents, where);
}

// Before PyTorch 1.6: five pickles (magic number, version, machine, object, keys of the storages),
// then for each key the number of elements as int64 and the bytes.
constexpr std::string_view kMagicPickle = {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                                           15};

Result<std::vector<LocatedTensor>> list_sequential_tensors(Bytes file, const std::string& where) {
  size_t at = kMagicPickle.size();
  Pickle object;
  Pickle keys;
  for (int number = 1; number < 5; ++number) {
    MLC_ASSIGN_OR_RETURN(Pickle pickle, parse_pickle(file.subspan(at), is_allowed, where));
    at += pickle.bytes;
    if (number == 3) object = std::move(pickle);
    if (number == 4) keys = std::move(pickle);
  }
  const TensorReader reader(object, where);
  std::unordered_map<std::string_view, DType> dtypes;
  for (const PickleValue& value : object.values) {
    if (value.kind != PickleValue::Kind::kPersistent) continue;
    MLC_ASSIGN_OR_RETURN(const Storage storage, reader.storage(value));
    dtypes.emplace(storage.key, storage.dtype);
  }
  Extents extents;
  for (const int32_t item : keys[keys.root].items) {
    const std::string_view key = keys[item].text;
    const auto dtype = dtypes.find(key);
    if (dtype == dtypes.end()) return reader.malformed(cat("storage ", key));
    int64_t count = 0;
    int64_t bytes = 0;
    if (file.size() - at >= 8) std::memcpy(&count, file.data() + at, 8);
    at = std::min(at + 8, file.size());
    if (count < 0 || __builtin_mul_overflow(count, dtype_bytes(dtype->second), &bytes) ||
        bytes > static_cast<int64_t>(file.size() - at)) {
      return user_error(where, cat("has ", count, " elements in storage ", key),
                        cat("no more than fit into the file's ", file.size(), " bytes"),
                        "the file is cut off or damaged: download it again");
    }
    extents.emplace(key, Extent{static_cast<int64_t>(at), bytes});
    at += static_cast<size_t>(bytes);
  }
  return list_tensors(object, extents, where);
}

}  // namespace

Result<std::vector<LocatedTensor>> list_torch_tensors(Bytes file, const std::string& where) {
  if (looks_like_zip(file)) return list_zip_tensors(file, where);
  if (as_text(file).starts_with(kMagicPickle)) return list_sequential_tensors(file, where);
  if (file.size() > 262 && as_text(file).substr(257, 5) == "ustar") {
    return user_error(where, "is a tar archive, as PyTorch wrote before version 0.1.10",
                      "a file of torch.save", std::string(kSaveAgain));
  }
  return user_error(
      where, "is no file of PyTorch's", "a zip archive or a pickle that torch.save wrote",
      "is the file damaged? download it again, or name its format with --source-format");
}

Result<std::unique_ptr<Checkpoint>> open_torch_file(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(MappedFile file, open_weight_file(path));
  MLC_ASSIGN_OR_RETURN(std::vector<LocatedTensor> tensors, list_torch_tensors(file.bytes(), path));
  std::vector<MappedFile> files;
  files.push_back(std::move(file));
  return make_file_checkpoint(std::move(files), std::move(tensors));
}

}  // namespace mlc::formats
