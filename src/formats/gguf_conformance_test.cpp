// SPDX-License-Identifier: Apache-2.0
// GGUF files of ../shared/conformance/gguf: every tensor type, row order, derived config and
// tokenizer, and damaged files. Only where that folder lies beside the checkout.
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/gguf_test_file.h"
#include "formats/gguf_test_hash.h"
#include "formats/gguf_tokenizer.h"
#include "formats/weight_file.h"
#include "support/half.h"
#include "support/json.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

std::string folder_path(std::string_view name) {
  return path_join(shared_path("conformance/gguf"), name);
}
Json expected() { return read_json_file(folder_path("expected.json")).value(); }

struct Values {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

class Model {
 public:
  explicit Model(const std::string& file)
      : checkpoint_(open_gguf_checkpoint(folder_path(file)).value()) {}

  const std::vector<CheckpointTensor>& tensors() const { return checkpoint_->tensors(); }

  Values read(std::string_view name) const {
    const auto& list = tensors();
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const CheckpointTensor& t) { return t.name == name; });
    if (found == list.end()) {
      ADD_FAILURE() << "no " << name;
      return {};
    }
    int64_t count = 1;
    for (const int64_t dimension : found->shape) count *= dimension;
    std::vector<std::byte> raw(static_cast<size_t>(count * dtype_bytes(found->dtype)));
    EXPECT_TRUE(checkpoint_->read_rows(found - list.begin(), 0, found->shape[0], raw.data()).ok());
    Values read{found->shape, std::vector<float>(static_cast<size_t>(count))};
    for (size_t i = 0; i < read.values.size(); ++i) {
      uint16_t half = 0;
      if (found->dtype == DType::kF32) {
        std::memcpy(&read.values[i], raw.data() + 4 * i, 4);
      } else {
        std::memcpy(&half, raw.data() + 2 * i, 2);
        read.values[i] = found->dtype == DType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
      }
    }
    return read;
  }

 private:
  std::unique_ptr<Checkpoint> checkpoint_;
};

std::string hash_of(const std::vector<float>& values) {
  return sha256(std::as_bytes(std::span(values)));
}

TEST(GgufConformance, TensorsHaveTheirValuesAndTheirOrder) {
  MLC_NEEDS_SHARED();
  const Json all = expected();
  for (const auto& [name, model] : all.find("models")->as_object()) {
    for (const Json& file : model.find("files")->as_array()) {  // any part of a split model
      const Model opened(file.as_string());
      const Json& tensors = *model.find("tensors");
      ASSERT_EQ(opened.tensors().size(), tensors.as_object().size()) << name;
      for (const CheckpointTensor& tensor : opened.tensors()) {
        const Json* wanted = tensors.find(tensor.name);
        ASSERT_NE(wanted, nullptr) << name << " " << tensor.name;
        EXPECT_EQ(shape_text(tensor.shape), wanted->find("shape")->dump());
        EXPECT_EQ(hash_of(opened.read(tensor.name).values), wanted->find("sha256")->as_string())
            << name << " " << tensor.name << " " << wanted->find("type")->as_string();
      }
    }
  }
}

TEST(GgufConformance, ConfigsAreThoseOfTheOriginals) {
  MLC_NEEDS_SHARED();
  const Json all = expected();
  for (const auto& [name, model] : all.find("models")->as_object()) {
    const std::string path = folder_path(model.find("files")->as_array()[0].as_string());
    const Json config = gguf_config(GgufFile::open(path).value()).value();
    for (const auto& [key, value] : model.find("config")->as_object()) {
      ASSERT_TRUE(config.contains(key)) << name << " " << key;
      EXPECT_EQ(config.find(key)->dump(), value.dump()) << name << " " << key;
    }
  }
}

// The parameters of a conversion to 16 bits that need no more than joined rows.
std::vector<std::string> sources_of(const std::string& parameter) {
  struct Rule {
    std::string_view joined;
    std::vector<std::string_view> parts;
  };
  const Rule rules[] = {{"qkv_proj", {"q_proj", "k_proj", "v_proj"}},
                        {"c_attn", {"q_proj", "k_proj", "v_proj"}},
                        {"gate_up_proj", {"gate_proj", "up_proj"}}};
  std::vector<std::string> sources;
  for (const Rule& rule : rules) {
    if (parameter.find(rule.joined) == std::string::npos) continue;
    for (const std::string_view part : rule.parts) {
      sources.push_back(replace_all(parameter, rule.joined, part));
    }
    return sources;
  }
  return {parameter};
}

TEST(GgufConformance, RowsStandWhereAConversionNeedsThem) {
  MLC_NEEDS_SHARED();
  int64_t compared = 0;
  const Json all = expected();
  for (const auto& [name, model] : all.find("models")->as_object()) {
    const Model opened(model.find("files")->as_array()[0].as_string());
    std::vector<std::string> order;
    for (const Json& parameter : model.find("q0f16")->as_array()) {
      const Json::Array& fields = parameter.as_array();
      const std::string& parameter_name = fields[0].as_string();
      order.push_back(sources_of(parameter_name)[0]);
      // Their heads are regrouped, or they are kept in bfloat16: the converter's business.
      if (parameter_name.find("query_key_value") != std::string::npos ||
          fields[1].as_string() != "float16") {
        continue;
      }
      std::vector<uint16_t> halves;
      for (const std::string& source : sources_of(parameter_name)) {
        for (const float value : opened.read(source).values) halves.push_back(f32_to_f16(value));
      }
      EXPECT_EQ(sha256(std::as_bytes(std::span(halves))), fields[3].as_string())
          << name << " " << parameter_name;
      ++compared;
    }
    // Parameters are stored when the first of their sources comes.
    std::vector<std::string> present;
    for (const CheckpointTensor& tensor : opened.tensors()) {
      if (std::find(order.begin(), order.end(), tensor.name) != order.end()) {
        present.push_back(tensor.name);
      }
    }
    EXPECT_EQ(present.size(), order.size()) << name;
    EXPECT_TRUE(std::is_sorted(present.begin(), present.end()));
  }
  EXPECT_GT(compared, 100);
}

TEST(GgufConformance, DamagedFilesAreRefusedForWhatIsWrong) {
  MLC_NEEDS_SHARED();
  const Json all = expected();
  ASSERT_EQ(all.find("bad")->as_object().size(), 27u);
  for (const auto& [file, reason] : all.find("bad")->as_object()) {
    const auto result = open_gguf_checkpoint(folder_path(file));
    ASSERT_FALSE(result.ok()) << file;
    const std::string text = result.error().to_string();
    EXPECT_NE(text.find(folder_path(file)), std::string::npos) << text;
    if (file == "bad/unknown_architecture.gguf") {
      EXPECT_NE(text.find("unknown architecture lama"), std::string::npos) << text;
      EXPECT_NE(text.find("did you mean llama?"), std::string::npos) << text;
    } else {
      EXPECT_NE(text.find(reason.as_string()), std::string::npos) << text;
    }
  }
}

// Of the tokenizer.json in `cases`: what decides the ids of a text.
void expect_same_tokenizer(const Json& made, const Json& original) {
  for (const char* part : {"added_tokens", "normalizer", "pre_tokenizer", "decoder"}) {
    EXPECT_EQ(made.find(part)->dump(), original.find(part)->dump()) << part;
  }
  const Json& model = *made.find("model");
  const Json& wanted = *original.find("model");
  EXPECT_EQ(model.find("merges")->dump(), wanted.find("merges")->dump());
  for (const auto& [token, id] : wanted.find("vocab")->as_object()) {
    ASSERT_TRUE(model.find("vocab")->contains(token)) << token;
    EXPECT_EQ(model.find("vocab")->find(token)->as_int(), id.as_int()) << token;
  }
  for (const char* option : {"unk_token", "fuse_unk", "byte_fallback"}) {
    EXPECT_EQ(model.find(option)->dump(), wanted.find(option)->dump()) << option;
  }
}

Json tokenizer_of(const std::string& file) {
  const auto files = gguf_tokenizer_files(GgufFile::open(folder_path(file)).value());
  EXPECT_TRUE(files.ok()) << error_text(files);
  return parse_json((*files)[0].text, file).value();
}

TEST(GgufConformance, ByteLevelTokenizersAreThoseOfTheOriginals) {
  MLC_NEEDS_SHARED();
  const std::string tokenizers = shared_path("conformance/tokenizers");
  const Json split =
      read_json_file(path_join(tokenizers, "tiny_bpe_bytelevel_split/tokenizer.json")).value();
  expect_same_tokenizer(tokenizer_of("tok_bytelevel.gguf"), split);
  const Json all = expected();
  for (const auto& [name, model] : all.find("models")->as_object()) {
    const std::string folder = path_join(tokenizers, model.find("tokenizer")->as_string());
    const Json original = read_json_file(path_join(folder, "tokenizer.json")).value();
    expect_same_tokenizer(tokenizer_of(model.find("files")->as_array()[0].as_string()), original);
  }
}

}  // namespace
}  // namespace mlc::formats
