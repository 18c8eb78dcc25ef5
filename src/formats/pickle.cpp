// SPDX-License-Identifier: Apache-2.0
#include "formats/pickle.h"

#include <cstring>
#include <unordered_map>

#include "support/strings.h"

namespace mlc::formats {
namespace {

// A tensor takes about twenty values, so this is enough for 200,000 of them.
constexpr size_t kMaxValues = size_t{1} << 22;
constexpr size_t kMaxBytes = size_t{1} << 26;

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersistent = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProtocol = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTrue = 0x88,
  kFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

class Machine {
 public:
  Machine(Bytes input, bool (*is_allowed)(std::string_view), const std::string& where)
      : input_(reinterpret_cast<const char*>(input.data()), input.size()),
        is_allowed_(is_allowed),
        where_(where) {}

  Result<Pickle> run() {
    while (true) {
      if (pickle_.values.size() > kMaxValues || memo_.size() > kMaxValues ||
          marks_.size() > kMaxValues || at_ > kMaxBytes) {
        return user_error(where_, "has a pickle of enormous size",
                          cat("at most ", kMaxValues, " values in ", kMaxBytes >> 20, " MiB"));
      }
      if (at_ >= input_.size()) return cut_off();
      const auto opcode = static_cast<uint8_t>(input_[at_++]);
      if (opcode == kStop) {
        if (stack_.size() != 1 || !marks_.empty()) return damaged("ends with an unfinished value");
        pickle_.root = stack_[0];
        pickle_.bytes = at_;
        return std::move(pickle_);
      }
      MLC_RETURN_IF_ERROR(step(opcode));
    }
  }

 private:
  Error cut_off() const {
    return user_error(where_, "has a pickle that is cut off", "", "download the file again");
  }
  Error damaged(std::string_view what) const {
    return user_error(where_, cat("has a damaged pickle: byte ", at_, " ", what), "",
                      "download the file again");
  }

  Result<uint64_t> number(size_t bytes) {
    if (input_.size() - at_ < bytes) return cut_off();
    uint64_t value = 0;
    std::memcpy(&value, input_.data() + at_, bytes);
    at_ += bytes;
    return value;
  }
  Result<std::string_view> text(uint64_t bytes) {
    if (bytes > input_.size() - at_) return cut_off();
    const std::string_view found = input_.substr(at_, static_cast<size_t>(bytes));
    at_ += static_cast<size_t>(bytes);
    return found;
  }
  Result<std::string_view> counted_text(size_t count_bytes) {
    MLC_ASSIGN_OR_RETURN(const uint64_t bytes, number(count_bytes));
    return text(bytes);
  }
  Result<std::string_view> line() {
    const size_t end = input_.find('\n', at_);
    if (end == std::string_view::npos) return cut_off();
    const std::string_view found = input_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }

  void push(PickleValue value) {
    stack_.push_back(static_cast<int32_t>(pickle_.values.size()));
    pickle_.values.push_back(std::move(value));
  }
  Result<void> push_text(PickleValue::Kind kind, Result<std::string_view> text) {
    if (!text.ok()) return text.error();
    push({.kind = kind, .text = *text});
    return {};
  }
  // Where the values above the last mark, or above the bottom, begin.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Result<int32_t> pop() {
    if (stack_.size() <= floor()) return damaged("takes a value where there is none");
    const int32_t value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Result<std::vector<int32_t>> pop_many(size_t count) {
    if (stack_.size() - floor() < count) return damaged("takes a value where there is none");
    std::vector<int32_t> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }
  Result<std::vector<int32_t>> pop_to_mark() {
    if (marks_.empty()) return damaged("takes a mark where there is none");
    std::vector<int32_t> values(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                                stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return values;
  }
  Result<void> push_tuple(Result<std::vector<int32_t>> items) {
    if (!items.ok()) return items.error();
    push({.kind = PickleValue::Kind::kTuple, .items = std::move(items).value()});
    return {};
  }
  Result<void> append(Result<std::vector<int32_t>> items, bool is_dict) {
    if (!items.ok()) return items.error();
    if (stack_.size() <= floor()) return damaged("adds to nothing");
    PickleValue& target = pickle_.values[static_cast<size_t>(stack_.back())];
    const bool fits =
        is_dict ? target.kind == PickleValue::Kind::kDict || target.kind == PickleValue::Kind::kCall
                : target.kind == PickleValue::Kind::kList;
    if (!fits || (is_dict && items->size() % 2 != 0))
      return damaged("adds to another kind of value");
    target.items.insert(target.items.end(), items->begin(), items->end());
    return {};
  }
  Result<void> push_global(std::string_view module, std::string_view name) {
    const std::string& global = *pickle_.globals.insert(cat(module, ".", name)).first;
    if (!is_allowed_(global)) {
      return user_error(where_, cat("has a pickle that refers to ", global),
                        "tensors and containers only",
                        "only weights are read from a pickle and nothing in it is executed; save "
                        "model.state_dict() alone, or use safetensors files");
    }
    push({.kind = PickleValue::Kind::kGlobal, .text = global});
    return {};
  }
  Result<void> remember(uint64_t key) {
    if (stack_.size() <= floor()) return damaged("remembers nothing");
    memo_[key] = stack_.back();
    return {};
  }
  Result<void> recall(Result<uint64_t> key) {
    if (!key.ok()) return key.error();
    const auto found = memo_.find(*key);
    if (found == memo_.end()) return damaged("recalls what was not remembered");
    stack_.push_back(found->second);
    return {};
  }

  Result<void> step(uint8_t opcode) {
    switch (opcode) {
      case kProtocol: {
        MLC_ASSIGN_OR_RETURN(const uint64_t protocol, number(1));
        if (protocol < 2 || protocol > 5) return damaged(cat("names protocol ", protocol));
        return {};
      }
      case kFrame: {
        MLC_RETURN_IF_ERROR(number(8));
        return {};
      }
      case kMark:
        marks_.push_back(stack_.size());
        return {};
      case kPop: {
        if (!marks_.empty() && marks_.back() == stack_.size()) {
          marks_.pop_back();
          return {};
        }
        MLC_RETURN_IF_ERROR(pop());
        return {};
      }
      case kPopMark: {
        MLC_RETURN_IF_ERROR(pop_to_mark());
        return {};
      }
      case kNone:
        push({});
        return {};
      case kTrue:
        push({.kind = PickleValue::Kind::kBool, .number = 1});
        return {};
      case kFalse:
        push({.kind = PickleValue::Kind::kBool, .number = 0});
        return {};
      case kBinInt: {
        MLC_ASSIGN_OR_RETURN(const uint64_t value, number(4));
        push({.kind = PickleValue::Kind::kInt,
              .number = static_cast<int32_t>(static_cast<uint32_t>(value))});
        return {};
      }
      case kBinInt1:
      case kBinInt2: {
        MLC_ASSIGN_OR_RETURN(const uint64_t value, number(opcode == kBinInt1 ? 1 : 2));
        push({.kind = PickleValue::Kind::kInt, .number = static_cast<int64_t>(value)});
        return {};
      }
      case kLong1: {
        MLC_ASSIGN_OR_RETURN(const std::string_view digits, counted_text(1));
        if (digits.size() > 8) {
          push({.kind = PickleValue::Kind::kBigInt, .text = digits});
          return {};
        }
        uint64_t value = 0;
        std::memcpy(&value, digits.data(), digits.size());
        const int unused_bits = static_cast<int>(64 - 8 * digits.size());
        const int64_t signed_value =
            digits.empty() ? 0 : static_cast<int64_t>(value << unused_bits) >> unused_bits;
        push({.kind = PickleValue::Kind::kInt, .number = signed_value});
        return {};
      }
      case kBinFloat:
        return push_text(PickleValue::Kind::kFloat, text(8));
      case kBinUnicode:
        return push_text(PickleValue::Kind::kString, counted_text(4));
      case kShortBinUnicode:
        return push_text(PickleValue::Kind::kString, counted_text(1));
      case kBinUnicode8:
        return push_text(PickleValue::Kind::kString, counted_text(8));
      case kBinString:
        return push_text(PickleValue::Kind::kString, counted_text(4));  // str of Python 2
      case kShortBinString:
        return push_text(PickleValue::Kind::kString, counted_text(1));
      case kBinBytes:
        return push_text(PickleValue::Kind::kBytes, counted_text(4));
      case kShortBinBytes:
        return push_text(PickleValue::Kind::kBytes, counted_text(1));
      case kBinBytes8:
        return push_text(PickleValue::Kind::kBytes, counted_text(8));
      case kEmptyTuple:
        push({.kind = PickleValue::Kind::kTuple});
        return {};
      case kEmptyList:
        push({.kind = PickleValue::Kind::kList});
        return {};
      case kEmptyDict:
        push({.kind = PickleValue::Kind::kDict});
        return {};
      case kTuple:
        return push_tuple(pop_to_mark());
      case kTuple1:
        return push_tuple(pop_many(1));
      case kTuple2:
        return push_tuple(pop_many(2));
      case kTuple3:
        return push_tuple(pop_many(3));
      case kAppend:
        return append(pop_many(1), false);
      case kAppends:
        return append(pop_to_mark(), false);
      case kSetItem:
        return append(pop_many(2), true);
      case kSetItems:
        return append(pop_to_mark(), true);
      case kGlobal: {
        MLC_ASSIGN_OR_RETURN(const std::string_view module, line());
        MLC_ASSIGN_OR_RETURN(const std::string_view name, line());
        return push_global(module, name);
      }
      case kStackGlobal: {
        MLC_ASSIGN_OR_RETURN(const std::vector<int32_t> names, pop_many(2));
        const PickleValue& module = pickle_[names[0]];
        const PickleValue& name = pickle_[names[1]];
        if (module.kind != PickleValue::Kind::kString || name.kind != PickleValue::Kind::kString) {
          return damaged("names a global by something else than text");
        }
        return push_global(module.text, name.text);
      }
      case kReduce: {
        MLC_ASSIGN_OR_RETURN(const std::vector<int32_t> call, pop_many(2));
        if (pickle_[call[0]].kind != PickleValue::Kind::kGlobal ||
            pickle_[call[1]].kind != PickleValue::Kind::kTuple) {
          return damaged("calls something else than a global");
        }
        push({.kind = PickleValue::Kind::kCall, .callee = call[0], .argument = call[1]});
        return {};
      }
      case kBinPersistent: {
        MLC_ASSIGN_OR_RETURN(const int32_t id, pop());
        push({.kind = PickleValue::Kind::kPersistent, .argument = id});
        return {};
      }
      case kBuild: {  // attributes of the value below; no reader needs them
        MLC_RETURN_IF_ERROR(pop());
        if (stack_.size() <= floor()) return damaged("sets attributes of nothing");
        return {};
      }
      case kBinPut: {
        MLC_ASSIGN_OR_RETURN(const uint64_t key, number(1));
        return remember(key);
      }
      case kLongBinPut: {
        MLC_ASSIGN_OR_RETURN(const uint64_t key, number(4));
        return remember(key);
      }
      case kMemoize:
        return remember(memo_.size());
      case kBinGet:
        return recall(number(1));
      case kLongBinGet:
        return recall(number(4));
      default:
        return user_error(where_,
                          cat("has a pickle with opcode 0x", hex(opcode, 2), " at byte ", at_ - 1),
                          "one of the opcodes that torch.save writes for weights",
                          "save it again with torch.save, or use safetensors files");
    }
  }

  std::string_view input_;
  bool (*is_allowed_)(std::string_view);
  const std::string& where_;
  size_t at_ = 0;
  Pickle pickle_;
  std::vector<int32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, int32_t> memo_;
};

}  // namespace

Result<Pickle> parse_pickle(Bytes input, bool (*is_allowed)(std::string_view),
                            const std::string& where) {
  return Machine(input, is_allowed, where).run();
}

}  // namespace mlc::formats
