// SPDX-License-Identifier: Apache-2.0
// Natively where the CPU has AMX, else emulated: both must do what the manual says.
#include "target/amx_emulator.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <csignal>
#include <cstring>
#include <thread>

namespace mlc::target {
namespace {

#define MLC_AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))

// Tiles 0: sums, 1: left, 2: right of rows x 4 k by k x columns.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t zeros[15] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  TileConfig(int m, int k, int n) {
    set(0, m, 4 * n);
    set(1, m, 4 * k);
    set(2, k, 4 * n);
  }
  void set(int tile, int row_count, int bytes) {
    row_bytes[tile] = static_cast<uint16_t>(bytes);
    rows[tile] = static_cast<uint8_t>(row_count);
  }
};
static_assert(sizeof(TileConfig) == 64);

class AmxEmulatorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!AmxEmulator::features().has(CpuFeature::kAmxBf16)) GTEST_SKIP() << "no AMX here";
  }
  AmxEmulator emulator_;
};

MLC_AMX void store_config(TileConfig* to) { _tile_storeconfig(to); }

TEST_F(AmxEmulatorTest, AConfigurationIsReadBackUntilItIsReleased) {
  []() MLC_AMX {
    const TileConfig config(3, 2, 5);
    TileConfig read(0, 0, 0);
    _tile_loadconfig(&config);
    store_config(&read);
    EXPECT_EQ(std::memcmp(&read, &config, 64), 0);
    _tile_release();
    store_config(&read);
    EXPECT_EQ(read.palette, 0);
    EXPECT_EQ(read.rows[1], 0);
  }();
}

TEST_F(AmxEmulatorTest, LoadsAndStoresFollowTheirStrides) {
  []() MLC_AMX {
    const TileConfig config(3, 2, 5);
    _tile_loadconfig(&config);
    uint8_t from[3 * 40];
    for (int i = 0; i < 120; ++i) from[i] = static_cast<uint8_t>(i);
    uint8_t to[3 * 24];
    std::memset(to, 0xee, sizeof to);
    _tile_loadd(0, from, 40);
    _tile_stored(0, to, 24);
    for (int row = 0; row < 3; ++row) {
      for (int i = 0; i < 24; ++i)
        EXPECT_EQ(to[24 * row + i], i < 20 ? 40 * row + i : 0xee) << row << " " << i;
    }
    // A stride of zero repeats a row; the hint of the other load changes nothing.
    _tile_stream_loadd(0, from + 7, 0);
    _tile_stored(0, to, 24);
    EXPECT_EQ(to[2 * 24 + 3], 10);
    _tile_zero(0);
    _tile_stored(0, to, 24);
    EXPECT_EQ(to[2 * 24 + 3], 0);
    EXPECT_EQ(to[2 * 24 + 20], 0xee);
    _tile_release();
  }();
}

TEST_F(AmxEmulatorTest, ProductsOfBytesHaveTheirSignsAndWrap) {
  []() MLC_AMX {
    const TileConfig config(2, 1, 2);
    _tile_loadconfig(&config);
    const uint8_t a[2][4] = {{200, 1, 2, 3}, {255, 255, 255, 255}};
    const uint8_t b[2][4] = {{0xff, 10, 20, 30}, {0x80, 0x80, 0x80, 0x80}};
    const int32_t start[2][2] = {{1000, 0}, {INT32_MIN, 7}};
    int32_t c[2][2];
    _tile_loadd(1, a, 4);
    _tile_loadd(2, b, 8);
    _tile_loadd(0, start, 8);
    _tile_dpbusd(0, 1, 2);
    _tile_stored(0, c, 8);
    EXPECT_EQ(c[0][0], 1000 - 200 + 10 + 40 + 90);
    EXPECT_EQ(c[0][1], -206 * 128);
    EXPECT_EQ(static_cast<uint32_t>(c[1][0]), 0x80000000u + 255 * 59);
    EXPECT_EQ(c[1][1], 7 - 4 * 255 * 128);
    _tile_loadd(0, start, 8);
    _tile_dpbssd(0, 1, 2);
    _tile_stored(0, c, 8);
    EXPECT_EQ(c[0][0], 1000 + 56 + 10 + 40 + 90);
    EXPECT_EQ(c[1][1], 7 + 4 * 128);
    _tile_loadd(0, start, 8);
    _tile_dpbuud(0, 1, 2);
    _tile_stored(0, c, 8);
    EXPECT_EQ(c[0][0], 1000 + 200 * 255 + 10 + 40 + 90);
    _tile_release();
  }();
}

TEST_F(AmxEmulatorTest, ProductsOfBf16SumTheirPairsApartAndFlushDenormals) {
  []() MLC_AMX {
    const TileConfig config(1, 2, 1);
    _tile_loadconfig(&config);
    // 2^24 + 1 is no f32: the even and the odd terms meet at the end only.
    const uint16_t a[4] = {0x4b80, 0x3f80, 0xcb80, 0x3f80};  // 2^24, 1, -2^24, 1
    const uint16_t ones[4] = {0x3f80, 0x3f80, 0x3f80, 0x3f80};
    float c = 0.5f;
    _tile_loadd(0, &c, 4);
    _tile_loadd(1, a, 8);
    _tile_loadd(2, ones, 4);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, &c, 4);
    EXPECT_EQ(c, 2.5f);
    const uint16_t denormal[4] = {1, 1, 1, 1};
    _tile_zero(0);
    _tile_loadd(1, denormal, 8);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, &c, 4);
    EXPECT_EQ(c, 0.0f);
    _tile_release();
  }();
}

TEST_F(AmxEmulatorTest, EveryThreadHasTilesOfItsOwn) {
  []() MLC_AMX {
    const TileConfig config(1, 1, 1);
    _tile_loadconfig(&config);
    int32_t value = 7;
    _tile_loadd(0, &value, 4);
    std::thread([]() MLC_AMX {
      TileConfig read(1, 1, 1);
      store_config(&read);
      EXPECT_EQ(read.palette, 0);
      const TileConfig mine(1, 1, 1);
      _tile_loadconfig(&mine);
      _tile_zero(0);
      _tile_release();
    }).join();
    value = 0;
    _tile_stored(0, &value, 4);
    EXPECT_EQ(value, 7);
    _tile_release();
  }();
}

using AmxEmulatorDeathTest = AmxEmulatorTest;

TEST_F(AmxEmulatorDeathTest, OtherInstructionsAndFaultsEndTheProcess) {
  EXPECT_EXIT(__builtin_trap(), testing::KilledBySignal(SIGILL), "");
  // A product without a configuration.
  EXPECT_EXIT([]() MLC_AMX { _tile_dpbusd(0, 1, 2); }(), testing::KilledBySignal(SIGILL), "");
  // Two words of the left operand meet one row of the right.
  EXPECT_EXIT(
      []() MLC_AMX {
        TileConfig config(1, 2, 1);
        config.set(2, 1, 4);
        _tile_loadconfig(&config);
        _tile_dpbusd(0, 1, 2);
      }(),
      testing::KilledBySignal(SIGILL), "");
}

}  // namespace
}  // namespace mlc::target
