// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config.h"

#include <gtest/gtest.h>

#include <set>

#include "formats/chat_config.h"
#include "formats/quantization_names.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

constexpr std::string_view kConfig = R"({"model_type": "llama", "hidden_size": 64,
    "intermediate_size": 160, "num_attention_heads": 4, "num_hidden_layers": 2, "rms_norm_eps": 1e-05,
    "vocab_size": 384, "max_position_embeddings": 256, "bos_token_id": 7, "eos_token_id": 8})";
constexpr std::string_view kTokenizer = R"({"added_tokens": [{"id": 3, "content": "<s>"}],
    "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}}})";

// A model folder and an output folder beside it.
class GenConfig : public testing::Test {
 protected:
  GenConfig() {
    EXPECT_TRUE(make_directories(source_).ok());
    add("config.json", kConfig);
    options_.config = source_;
    options_.quantization = "q4f16_1";
    options_.conv_template = "LM";
    options_.output = output_;
  }
  void add(std::string_view name, std::string_view text) {
    ASSERT_TRUE(write_file(path_join(source_, name), text).ok());
  }
  // What the run says on standard error is kept out of the test's output.
  formats::ChatConfig run() {
    testing::internal::CaptureStderr();
    gen_config(options_);
    log_ = testing::internal::GetCapturedStderr();
    return formats::read_chat_config(output_).value();
  }
  std::string error() {
    testing::internal::CaptureStderr();
    std::string message = "no error";
    try {
      gen_config(options_);
    } catch (const UserError& e) {
      message = e.what();
    }
    log_ = testing::internal::GetCapturedStderr();
    return message;
  }
  std::vector<std::string> outputs() { return list_directory(output_).value(); }

  TemporaryDirectory temporary_;
  std::string source_ = temporary_.file("source");
  std::string output_ = temporary_.file("new/out");
  GenConfigOptions options_;
  std::string log_;
};

TEST_F(GenConfig, WritesTheChatConfigAloneWhereThereIsNoTokenizer) {
  const formats::ChatConfig c = run();
  EXPECT_EQ(outputs(), std::vector<std::string>{"mlc-chat-config.json"});
  EXPECT_EQ(c.model_type, "llama");
  EXPECT_EQ(c.quantization, "q4f16_1");
  EXPECT_EQ(c.vocab_size, 384);
  EXPECT_EQ(c.active_vocab_size, 384);
  EXPECT_EQ(c.context_window_size, 256);
  EXPECT_EQ(c.sliding_window_size, -1);
  EXPECT_EQ(*c.model_config.find("max_batch_size"), Json(128));
  EXPECT_EQ(c.conv_template.name, "LM");
}

TEST_F(GenConfig, GenerationConfigComesBeforeConfigBeforeDefaults) {
  add("generation_config.json", R"({"temperature": 1, "top_p": 0.9, "eos_token_id": [4, 5],
                                    "bos_token_id": null, "do_sample": true, "top_k": 50})");
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.temperature, Json(1));
  EXPECT_EQ(c.top_p, Json(0.9));
  EXPECT_EQ(c.repetition_penalty, Json(1.0));
  EXPECT_EQ(c.eos_token_id.dump(), "[4, 5]");
  EXPECT_EQ(c.bos_token_id, Json(7));
  EXPECT_EQ(c.pad_token_id, Json(0));
  EXPECT_NE(log_.find("bos_token_id = 7 (config.json)"), std::string::npos) << log_;
}

TEST_F(GenConfig, ConfigOfAnotherNameIsRead) {
  add("other.json",
      R"({"model_type": "gpt2", "vocab_size": 9, "n_embd": 8, "n_layer": 1, "n_head": 2,
                        "layer_norm_epsilon": 1e-05, "n_positions": 64})");
  options_.config = path_join(source_, "other.json");
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.model_type, "gpt2");
  EXPECT_EQ(c.bos_token_id, Json(7));  // of config.json beside it
}

TEST_F(GenConfig, TokenizerFilesAreCopiedInAFixedOrder) {
  add("tokenizer_config.json", "{}");
  add("tokenizer.json", kTokenizer);
  add("merges.txt", "#version: 0.2\n");
  add("vocab.json", "{}");
  add("special_tokens_map.json", R"({"pad_token": "<pad>"})");
  add("README.md", "x");
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.tokenizer_files, (std::vector<std::string>{"tokenizer.json", "vocab.json",
                                                         "merges.txt", "tokenizer_config.json"}));
  EXPECT_EQ(outputs(),
            (std::vector<std::string>{"merges.txt", "mlc-chat-config.json", "tokenizer.json",
                                      "tokenizer_config.json", "vocab.json"}));
  EXPECT_EQ(read_file(path_join(output_, "tokenizer.json")).value(), kTokenizer);
  EXPECT_EQ(c.tokenizer_info.token_postproc_method, "byte_level");
  EXPECT_EQ(c.active_vocab_size, 5);  // a, b, ab, <s>, <pad>
}

TEST_F(GenConfig, TokensThatCannotBeCountedAreAWarning) {
  add("tokenizer.json", R"({"model": {"vocab": 3}})");
  EXPECT_EQ(run().active_vocab_size, 384);
  EXPECT_NE(log_.find("warning: the tokens are not counted, active_vocab_size stays vocab_size\n"
                      "  error: tokenizer.json: model.vocab: is of a form that cannot be loaded"),
            std::string::npos)
      << log_;
}

TEST_F(GenConfig, SentencePieceModelAloneIsKeptAsItIs) {
  add("tokenizer.model", "binary");
  EXPECT_EQ(run().tokenizer_files, std::vector<std::string>{"tokenizer.model"});
  EXPECT_NE(log_.find("there is a tokenizer.model but no tokenizer.json"), std::string::npos)
      << log_;
}

TEST_F(GenConfig, RwkvVocabularyIsPacked) {
  add("rwkv_vocab_v20230424.txt", "1 'a' 1\n");
  EXPECT_TRUE(run().tokenizer_files.empty());
  EXPECT_EQ(read_file(path_join(output_, "tokenizer_model")).value(), std::string("\x81\x01\xc4\x01"
                                                                                  "a",
                                                                                  5));
}

TEST_F(GenConfig, TiktokenFileBecomesATokenizer) {
  add("qwen.tiktoken", "YQ== 0\nYg== 1\nYWI= 2\n");
  add("tokenizer_config.json", R"({"tokenizer_class": "QWenTokenizer"})");
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.tokenizer_files,
            (std::vector<std::string>{"tokenizer_config.json", "tokenizer.json", "vocab.json",
                                      "merges.txt", "special_tokens_map.json"}));
  EXPECT_EQ(c.tokenizer_info.token_postproc_method, "byte_level");
  EXPECT_EQ(c.active_vocab_size, 384);
  const Json config = read_json_file(path_join(output_, "tokenizer_config.json")).value();
  EXPECT_EQ(*config.find("model_max_length"), Json(256));
}

TEST_F(GenConfig, UnknownTiktokenFilesAreAWarning) {
  add("cl100k.tiktoken", "YQ== 0\n");
  EXPECT_TRUE(run().tokenizer_files.empty());
  EXPECT_NE(log_.find("no tokenizer.json could be made of"), std::string::npos) << log_;
  EXPECT_NE(log_.find("belongs to a tokenizer whose word splitting is not known"),
            std::string::npos)
      << log_;
}

TEST_F(GenConfig, PresetsNeedNoFiles) {
  options_.config = "gemma2_2b";
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.model_type, "gemma2");
  EXPECT_EQ(c.bos_token_id, Json(1));
  EXPECT_EQ(c.eos_token_id, Json(2));
}

TEST_F(GenConfig, EmbeddingModelsSaySo) {
  options_.config = "snowflake-arctic-embed-m";
  const formats::ChatConfig c = run();
  EXPECT_EQ(c.model_task, "embedding");
  EXPECT_EQ(c.embedding_metadata.dump(),
            R"({"model_type": "encoder", "pooling_strategy": "cls", "normalize": true})");
}

TEST_F(GenConfig, ArchitectureWithoutABatchFieldWarnsOnlyWhereTheOptionIsGiven) {
  options_.config = "phi-2";
  run();
  EXPECT_EQ(log_.find("warning"), std::string::npos) << log_;
  options_.overrides.max_batch_size = 4;
  run();
  EXPECT_NE(
      log_.find("warning: max_batch_size 4 is left out: model type phi-msft has no such field"),
      std::string::npos)
      << log_;
}

TEST_F(GenConfig, ModelWithoutAnyLimitIsAWarning) {
  options_.config = "mistral_7b";
  options_.overrides.sliding_window_size = 0;
  EXPECT_EQ(run().context_window_size, -1);
  EXPECT_NE(log_.find("warning: the model has neither a context window nor a sliding window"),
            std::string::npos)
      << log_;
}

TEST_F(GenConfig, OutputMayBeTheSourceItself) {
  add("tokenizer.json", kTokenizer);
  output_ = options_.output = source_;
  run();
  EXPECT_EQ(read_file(path_join(source_, "tokenizer.json")).value(), kTokenizer);
}

TEST_F(GenConfig, UnknownNamesListTheKnownOnes) {
  options_.quantization = "q4f16_3";
  EXPECT_TRUE(
      error().starts_with("error: --quantization: unknown quantization q4f16_3\n"
                          "  expected one of q0f16, q0bf16, "))
      << error();
  EXPECT_NE(error().find("did you mean q4f16_"), std::string::npos) << error();
  options_.quantization = "q4f16_awq";
  options_.conv_template = "llama_default";
  EXPECT_TRUE(
      error().starts_with("error: --conv-template: unknown conversation template llama_default\n"))
      << error();
  options_.conv_template = "LM";
  EXPECT_EQ(run().quantization, "q4f16_autoawq");
}

// ---- without --conv-template

constexpr std::string_view kChatml =
    R"({"chat_template": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n)"
    R"({% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",)"
    R"( "eos_token": "<|im_end|>", "added_tokens_decoder": {"9": {"content": "<|im_end|>"}}})";

TEST_F(GenConfig, CheckpointsOwnTemplateIsTheDefault) {
  add("tokenizer_config.json", kChatml);
  options_.conv_template.reset();
  const formats::Conversation c = run().conv_template;
  ASSERT_TRUE(c.chat_template.has_value());
  EXPECT_EQ(formats::render_prompt(c, {{}, {}, {{"user", "hi"}}}).value(),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  // The answer ends where config.json says, and at the tokenizer's token.
  EXPECT_EQ(c.stop_token_ids, (std::vector<int64_t>{8, 9}));
  EXPECT_EQ(c.name, "chat_template");
}

TEST_F(GenConfig, FieldsMakeThePromptForOtherPrograms) {
  add("tokenizer_config.json", kChatml);
  options_.conv_template.reset();
  formats::Conversation c = run().conv_template;
  const formats::PromptInput input{
      "be brief", {}, {{"user", "hi"}, {"assistant", "yo"}, {"user", "so?"}}};
  const std::string own = formats::render_prompt(c, input).value();
  EXPECT_TRUE(own.starts_with("<|im_start|>system\nbe brief<|im_end|>\n")) << own;
  c.chat_template.reset();
  EXPECT_EQ(formats::render_prompt(c, input).value(), own);
}

TEST_F(GenConfig, TemplateInAFileOfItsOwnGoesIntoTheConfig) {
  add("tokenizer_config.json", kChatml);
  add("chat_template.jinja", "{% for m in messages %}{{ m.content|upper }}{% endfor %}");
  options_.conv_template.reset();
  const formats::Conversation c = run().conv_template;
  EXPECT_EQ(formats::render_prompt(c, {{}, {}, {{"user", "hi"}}}).value(), "HI");
  EXPECT_NE(log_.find("the chat template can't be written as the fields"), std::string::npos)
      << log_;
}

TEST_F(GenConfig, CheckpointWithoutTemplateNeedsAName) {
  options_.conv_template.reset();
  EXPECT_TRUE(error().starts_with(cat("error: --conv-template: is not given, and ",
                                      path_join(source_, "config.json"),
                                      " has no chat template\n  expected one of chatml, ")))
      << error();
  EXPECT_NE(error().find("\n  give one, or put the model's chat_template.jinja or "
                         "tokenizer_config.json beside it"),
            std::string::npos)
      << error();
}

TEST_F(GenConfig, NamedTemplateDoesNotLookAtTheCheckpoints) {
  add("tokenizer_config.json", R"({"chat_template": "{% broken"})");
  EXPECT_FALSE(run().conv_template.chat_template.has_value());
  options_.conv_template.reset();
  EXPECT_NE(error().find("TemplateSyntaxError"), std::string::npos) << error();
}

TEST_F(GenConfig, ConfigThatIsNotThereIsExplained) {
  options_.config = "gemma2_2";
  EXPECT_EQ(error(),
            "error: gemma2_2: does not exist and is no preset\n"
            "  expected a folder with config.json, a file like it, or the name of a preset\n"
            "  did you mean the preset gemma2_2b or gemma_2b or gemma2_9b?");
  options_.config = temporary_.path();
  EXPECT_EQ(error(), "error: " + temporary_.path() +
                         ": has no config.json\n  expected the folder of a Hugging Face model\n"
                         "  give the folder, its config.json, or the name of a preset");
}

TEST_F(GenConfig, DamagedFilesAreNamed) {
  add("config.json", "{\"model_type\": ");
  EXPECT_TRUE(error().starts_with("error: " + path_join(source_, "config.json") + ":1:"))
      << error();
  EXPECT_NE(error().find("is not valid JSON"), std::string::npos) << error();
  add("config.json", "[]");
  EXPECT_EQ(error(), "error: " + path_join(source_, "config.json") +
                         ": is a list\n  expected an object, as config.json is");
  add("config.json", kConfig);
  add("generation_config.json", "{");
  EXPECT_TRUE(error().starts_with("error: " + path_join(source_, "generation_config.json:1:")))
      << error();
  add("generation_config.json", "{}");
  add("tokenizer.json", "{");
  EXPECT_TRUE(error().starts_with("error: " + path_join(source_, "tokenizer.json:1:"))) << error();
  EXPECT_FALSE(file_exists(output_));
}

TEST_F(GenConfig, DuplicateAddedTokensAreRefused) {
  const std::string place = "error: " + path_join(source_, "tokenizer.json") + ": added_tokens: ";
  add("tokenizer.json", R"({"added_tokens": [{"content": "<a>"}, {"content": "<a>"}]})");
  EXPECT_EQ(error(), place +
                         "has \"<a>\" twice\n  expected each token once\n"
                         "  delete one of the two entries: token ids would shift at run time");
  add("tokenizer.json", R"({"added_tokens": 3})");
  EXPECT_EQ(error(), place + "is an integer\n  expected a list");
  add("tokenizer.json", R"({"added_tokens": [{"id": 3}]})");
  EXPECT_EQ(error(),
            place + "has an entry without a text `content`\n  expected a list of added tokens");
}

TEST_F(GenConfig, OptionsOutOfRangeAreRefusedByTheirFlags) {
  options_.overrides.context_window_size = -2;
  EXPECT_EQ(error(),
            "error: --context-window-size: is -2\n  expected an integer from -1 to 2147483647");
  options_.overrides = {};
  options_.overrides.max_batch_size = 0;
  EXPECT_EQ(error(), "error: --max-batch-size: is 0\n  expected an integer from 1 to 2147483647");
  options_.overrides = {};
  options_.overrides.tensor_parallel_shards = 99999999999;
  EXPECT_EQ(error(),
            "error: --tensor-parallel-shards: is 99999999999\n"
            "  expected an integer from 1 to 2147483647");
}

TEST_F(GenConfig, UnwritableOutputLeavesNothingBehind) {
  options_.output = path_join(source_, "config.json/out");
  EXPECT_NE(error().find("cannot create the directory"), std::string::npos) << error();
  // The chat config cannot be written; the tokenizer, written before it, must not appear either.
  add("tokenizer.json", kTokenizer);
  options_.output = output_;
  ASSERT_TRUE(make_directories(path_join(output_, "mlc-chat-config.json")).ok());
  EXPECT_EQ(error(),
            "error: " + path_join(output_, "mlc-chat-config.json") +
                ": is a directory\n  expected a place for a file\n  choose another --output");
  EXPECT_EQ(outputs(), std::vector<std::string>{"mlc-chat-config.json"});
}

// gen_config records every mode that convert_weight knows, be it to refuse it.
TEST(QuantizationNames, AreThoseOfTheQuantizers) {
  const std::set<std::string> known = {
#define MLC_QUANTIZATION(name, ...) name,
#define MLC_REFUSED_QUANTIZATION(name, reason) name,
#include "quantization/quantizations.def"
  };
  const std::vector<std::string>& names = formats::quantization_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), known);
}

// A reference's own key order, without our `hf`.
std::string comparable(Json config) {
  config.find("model_config")->erase("hf");
  return config.dump(2);
}

ModelConfigOverrides overrides_of(const Json::Array& arguments, GenConfigOptions& options) {
  ModelConfigOverrides overrides;
  for (size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string& flag = arguments[i].as_string();
    const std::string& value = arguments[i + 1].as_string();
    const std::pair<const char*, std::optional<int64_t>*> numbers[] = {
        {"--context-window-size", &overrides.context_window_size},
        {"--sliding-window-size", &overrides.sliding_window_size},
        {"--prefill-chunk-size", &overrides.prefill_chunk_size},
        {"--attention-sink-size", &overrides.attention_sink_size},
        {"--max-batch-size", &overrides.max_batch_size},
        {"--tensor-parallel-shards", &overrides.tensor_parallel_shards},
        {"--pipeline-parallel-stages", &overrides.pipeline_parallel_stages}};
    for (const auto& [name, target] : numbers) {
      if (flag == name) *target = parse_int64(value);
    }
    if (flag == "--quantization") options.quantization = value;
    if (flag == "--conv-template") options.conv_template = value;
  }
  return overrides;
}

TEST_F(GenConfig, EqualsTheReferencesOfSingleConfigs) {
  MLC_NEEDS_SHARED();
  const std::string root = shared_path("golden/mlc/gen_config_cases");
  for (const std::string& name : list_directory(root).value()) {
    const std::string folder = path_join(root, name);
    const Json arguments = read_json_file(path_join(folder, "args.json")).value();
    options_.config = path_join(folder, "source");
    options_.overrides = overrides_of(arguments.find("args")->as_array(), options_);
    run();
    EXPECT_EQ(comparable(read_json_file(path_join(output_, "mlc-chat-config.json")).value()),
              comparable(read_json_file(path_join(folder, "mlc-chat-config.json")).value()))
        << name;
  }
}

TEST_F(GenConfig, EqualsTheReferencesOfWholeModels) {
  MLC_NEEDS_SHARED();
  int64_t compared = 0;
  const std::string root = shared_path("golden/mlc");
  for (const std::string& model : list_directory(root).value()) {
    const std::string folder = path_join(root, model);
    options_.config = path_join(folder, "source");
    if (!file_exists(path_join(options_.config, "config.json"))) continue;
    for (const std::string& mode : list_directory(folder).value()) {
      const std::string path = path_join(path_join(folder, mode), "mlc-chat-config.json");
      if (!file_exists(path)) continue;
      const Json expected = read_json_file(path).value();
      options_.quantization = mode;
      options_.conv_template = expected.find("conv_template")->find("name")->as_string();
      run();
      EXPECT_EQ(comparable(read_json_file(path_join(output_, "mlc-chat-config.json")).value()),
                comparable(expected))
          << path;
      ++compared;
    }
  }
  EXPECT_GT(compared, 50);
}

TEST_F(GenConfig, TakesEveryConformanceModelOfAKnownArchitecture) {
  MLC_NEEDS_SHARED();
  int64_t taken = 0;
  const std::string root = shared_path("conformance/models");
  for (const std::string& model : list_directory(root).value()) {
    options_.config = path_join(root, model);
    const std::string path = path_join(options_.config, "config.json");
    if (!file_exists(path)) continue;
    const Json config = read_json_file(path).value();
    if (formats::find_architecture(config.find("model_type")->as_string()) == nullptr) continue;
    options_.overrides.attention_sink_size = 0;
    EXPECT_EQ(error(), "no error") << model;
    EXPECT_EQ(formats::read_chat_config(output_)->vocab_size, 384) << model;
    ++taken;
  }
  EXPECT_GT(taken, 40);
}

}  // namespace
}  // namespace mlc::compiler
