// SPDX-License-Identifier: Apache-2.0
// The input is a file of torch.save, or, where its first byte is even, the data.pkl of one with a
// storage of 256 bytes (so that the fuzzer need not keep a zip archive intact to reach the pickle).
#include <string>
#include <string_view>

#include "formats/pytorch.h"
#include "support/strings.h"

namespace {

void check(mlc::Bytes file) {
  const auto tensors = mlc::formats::list_torch_tensors(file, "w");
  if (!tensors.ok()) return;
  for (const mlc::formats::LocatedTensor& tensor : *tensors) {
    // The first and the last element must lie in the file.
    int64_t last = 0;
    int64_t dense = 1;
    bool is_empty = false;
    for (size_t axis = tensor.tensor.shape.size(); axis-- > 0;) {
      const int64_t dimension = tensor.tensor.shape[axis];
      is_empty |= dimension == 0;
      last += (dimension - 1) * (tensor.strides.empty() ? dense : tensor.strides[axis]);
      dense *= dimension;
    }
    const int64_t bytes = dtype_bytes(tensor.stored);
    const auto size = static_cast<int64_t>(file.size());
    if (!is_empty && (tensor.offset < 0 || tensor.offset + (last + 1) * bytes > size)) {
      __builtin_trap();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  if (size == 0 || data[0] % 2 != 0) {
    if (size > 0) check({bytes + 1, size - 1});
    return 0;
  }
  // The sequential format takes any pickle as its fourth; storage "0" has 64 elements.
  using namespace std::string_view_literals;
  constexpr auto kMagic = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv;
  constexpr auto kVersionAndSystem = "\x80\x02K\x01.\x80\x02}."sv;
  constexpr auto kKeysAndCount =
      "\x80\x02]X\x01\0\0\0"
      "0a.\x40\0\0\0\0\0\0\0"sv;
  std::string file =
      mlc::cat(kMagic, kVersionAndSystem,
               std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1), kKeysAndCount);
  file.append(256, 'x');
  check(std::as_bytes(std::span(file)));
  return 0;
}
