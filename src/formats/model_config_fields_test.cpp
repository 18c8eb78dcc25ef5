// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config_fields.h"

#include <gtest/gtest.h>

#include <set>

#include "formats/model_presets.h"
#include "formats/quantization_names.h"

namespace mlc::formats {
namespace {

TEST(Architectures, AreFoundByNameAndAlias) {
  ASSERT_NE(find_architecture("llama"), nullptr);
  EXPECT_EQ(find_architecture("mixformer-sequential")->name, "phi-msft");
  EXPECT_EQ(find_architecture("no_such"), nullptr);
}

TEST(Architectures, FieldsKeepOrderAndDefaults) {
  const Architecture& llama = *find_architecture("llama");
  EXPECT_EQ(llama.fields.front().name, "hidden_size");
  EXPECT_FALSE(llama.fields.front().default_value.has_value());
  EXPECT_EQ(llama.fields.back().name, "disaggregation");
  EXPECT_EQ(llama.fields.back().default_value, Json(false));
  EXPECT_EQ(llama.prefill_limit, 8192);
  EXPECT_EQ(find_architecture("qwen3")->prefill_limit, 2048);
  EXPECT_FALSE(find_architecture("bert")->prefill_limit.has_value());
}

TEST(Architectures, EachHasAVocabularyAndNoFieldTwice) {
  for (const std::string& name : architecture_names()) {
    const Architecture& architecture = *find_architecture(name);
    EXPECT_TRUE(architecture.has_field("vocab_size")) << name;
    std::set<std::string> seen;
    for (const ModelConfigField& field : architecture.fields) {
      EXPECT_TRUE(seen.insert(field.name).second) << name << " " << field.name;
    }
  }
}

TEST(ModelPresets, AllAreOfKnownArchitectures) {
  EXPECT_EQ(model_preset_names().size(), 67u);
  for (const std::string& name : model_preset_names()) {
    const Json* type = find_model_preset(name)->find("model_type");
    ASSERT_NE(type, nullptr) << name;
    EXPECT_NE(find_architecture(type->as_string()), nullptr) << name;
  }
  EXPECT_EQ(find_model_preset("no_such"), nullptr);
}

TEST(QuantizationNames, OldSpellingOfAwqIsRecordedAsTheNewOne) {
  EXPECT_EQ(canonical_quantization("q4f16_awq"), "q4f16_autoawq");
  EXPECT_EQ(canonical_quantization("q4f16_1"), "q4f16_1");
  EXPECT_FALSE(canonical_quantization("q4f16_3").has_value());
}

}  // namespace
}  // namespace mlc::formats
