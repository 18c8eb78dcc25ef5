// SPDX-License-Identifier: Apache-2.0
// Damaged kernel texts: an error of the text's, never one of ours and never a crash. That right
// texts read back is tested in compiler/pipeline_test.cpp for real kernels and in tests/kernels/
// for every expression and statement.
#include "kernel/text.h"

#include <gtest/gtest.h>

#include "kernel/verifier.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

constexpr std::string_view kText =
    "kernel @k(%x: f32 arena, %a: u8 arena, %b: i8 weight, %n: i64) {\n"
    "  allocate %r: f32x8[2] register\n"
    "  parallel %t in %n / 2 {\n"
    "    unrolled %u in 2 {\n      store %r[%u] = fma(load<8>(%x, %t * 8), -1.5e-3:f32x8, "
    "broadcast<8>(exp(0.5:f32)))\n    }\n"
    "    if %t < min(%n, 7) {\n      prefetch %x[%t]\n    } else {\n      prefetch %x[0]\n    }\n"
    "    let %d = dot4(0:i32x2, load<8>(%a, 0), load<8>(%b, 0))\n"
    "    store %x[ramp<2, 4>(%t)] = cast<f32>(shuffle<0, 3, 1, 2>(%d, bitcast<i32x2>(vector<1, "
    "2>:i32)))\n"
    "  }\n"
    "}\n";

TEST(KernelText, EveryPrefixIsRefused) {
  ASSERT_NO_THROW(verify(parse_kernel(kText, "test")));
  const size_t end = kText.rfind('}');
  for (size_t length = 0; length <= end; ++length) {
    EXPECT_THROW(parse_kernel(kText.substr(0, length), "test"), UserError) << length;
  }
}

TEST(KernelText, ADamagedCharacterIsReadOrRefused) {
  int refused = 0;
  for (size_t i = 0; i < kText.size(); ++i) {
    for (const char c : {'{', '(', '-', '0', '9', '%', 'x', ' ', '<', '\0', '\xff'}) {
      std::string changed(kText);
      changed[i] = c;
      try {
        const Kernel kernel = parse_kernel(changed, "test");
        const std::string text = to_text(kernel);
        EXPECT_EQ(to_text(parse_kernel(text, "again")), text);
        verify(kernel);
      } catch (const UserError& error) {
        ++refused;
        EXPECT_TRUE(std::string_view(error.what()).starts_with("error: test:")) << error.what();
      } catch (const IrError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace mlc::kernel
