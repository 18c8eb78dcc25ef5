// SPDX-License-Identifier: Apache-2.0
#include "formats/chat_config.h"

#include <gtest/gtest.h>

#include "support/testing.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kTemplate =
    R"("conv_template": {"roles": {"user": "", "assistant": ""}, "seps": [""]})";

Result<ChatConfig> parse(std::string_view members) {
  const std::string text = cat("{", members, members.empty() ? "" : ", ", kTemplate, "}");
  return ChatConfig::from_json(parse_json(text, "f").value(), "f");
}

std::string error(std::string_view members) {
  const auto result = parse(members);
  return result.ok() ? "no error" : result.error().to_string();
}

TEST(ChatConfig, AbsentFieldsGetDefaults) {
  const ChatConfig c = parse(R"("model_type": "llama", "vocab_size": 5)").value();
  EXPECT_EQ(c.active_vocab_size, 5);
  EXPECT_EQ(c.context_window_size, -1);
  EXPECT_EQ(c.attention_sink_size, -1);
  EXPECT_EQ(c.pipeline_parallel_stages, 1);
  EXPECT_EQ(c.model_task, "chat");
  EXPECT_EQ(c.temperature, Json(1.0));
  EXPECT_EQ(c.eos_token_id, Json(2));
  EXPECT_EQ(c.tokenizer_info, TokenizerInfo{});
}

TEST(ChatConfig, SizesAreLookedForInModelConfigToo) {
  const ChatConfig c =
      parse(R"("model_config": {"vocab_size": 7, "context_window_size": 9, "model_type": "gpt2"})")
          .value();
  EXPECT_EQ(c.vocab_size, 7);
  EXPECT_EQ(c.context_window_size, 9);
  EXPECT_EQ(c.model_type, "gpt2");
}

TEST(ChatConfig, ReadsOldFiles) {
  const Json old = parse_json(R"({
    "model_lib": "Llama-2-7b-chat-hf-q4f16_1", "local_id": "x", "model_category": "llama",
    "conv_template": "llama-2", "temperature": 0.7, "repetition_penalty": 1, "top_p": null,
    "mean_gen_len": 128, "max_gen_len": 512, "num_shards": 2, "shift_fill_factor": 0.3,
    "max_window_size": 4096, "sliding_window": 512, "vocab_size": 32000,
    "token_table_postproc_method": "byte_level", "tokenizer_files": ["tokenizer.json"]})",
                              "f")
                       .value();
  const ChatConfig c = ChatConfig::from_json(old, "f").value();
  EXPECT_EQ(c.model_type, "llama");
  EXPECT_EQ(c.conv_template.name, "llama-2");
  EXPECT_EQ(c.tensor_parallel_shards, 2);
  EXPECT_EQ(c.context_window_size, 4096);
  EXPECT_EQ(c.sliding_window_size, 512);
  EXPECT_EQ(c.temperature, Json(0.7));
  EXPECT_EQ(c.repetition_penalty, Json(1));
  EXPECT_EQ(c.top_p, Json(1.0));
  EXPECT_EQ(c.tokenizer_info.token_postproc_method, "byte_level");
  EXPECT_EQ(c.tokenizer_files, std::vector<std::string>{"tokenizer.json"});
}

TEST(ChatConfig, OldConversationSettingsAreIgnoredWithAWarning) {
  testing::internal::CaptureStderr();
  const Json old =
      parse_json(R"({"conv_template": "LM", "conv_config": {"seps": ["x"]}})", "f").value();
  ASSERT_TRUE(ChatConfig::from_json(old, "f").ok());
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "warning: f: conv_config is of an old form and is ignored; the template LM is used as it is "
      "built in\n");
}

TEST(ChatConfig, WritesAllFieldsInOrderWithPythonsNumbers) {
  ChatConfig c =
      parse(R"("quantization": "q0f16", "model_config": {"rope_theta": 1e6, "x": null})").value();
  c.conv_template.name = "caf\u00e9";
  c.temperature = 1;
  EXPECT_EQ(c.to_text(), R"({
  "version": "0.1.0",
  "model_type": "",
  "quantization": "q0f16",
  "model_config": {
    "rope_theta": 1000000.0,
    "x": null
  },
  "vocab_size": 0,
  "context_window_size": -1,
  "sliding_window_size": -1,
  "prefill_chunk_size": -1,
  "attention_sink_size": -1,
  "tensor_parallel_shards": 1,
  "pipeline_parallel_stages": 1,
  "active_vocab_size": 0,
  "temperature": 1,
  "presence_penalty": 0.0,
  "frequency_penalty": 0.0,
  "repetition_penalty": 1.0,
  "top_p": 1.0,
  "tokenizer_files": [],
  "tokenizer_info": {
    "token_postproc_method": "byte_fallback",
    "prepend_space_in_encode": false,
    "strip_space_in_decode": false
  },
  "conv_template": {
    "name": "caf\u00e9",
    "system_template": "{system_message}",
    "system_message": "",
    "system_prefix_token_ids": null,
    "add_role_after_system_message": true,
    "roles": {
      "user": "",
      "assistant": ""
    },
    "role_templates": {
      "user": "{user_message}",
      "assistant": "{assistant_message}",
      "tool": "{tool_message}"
    },
    "messages": [],
    "seps": [
      ""
    ],
    "role_content_sep": "",
    "role_empty_sep": "",
    "stop_str": [],
    "stop_token_ids": [],
    "strip_reasoning_in_history": false,
    "function_string": "",
    "use_function_calling": false
  },
  "pad_token_id": 0,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "model_task": "chat",
  "embedding_metadata": null
})");
}

TEST(ChatConfig, WrongValuesNameFileAndKey) {
  EXPECT_EQ(error(R"("vocab_size": "a")"),
            "error: f: vocab_size: is a string\n  expected an integer");
  EXPECT_EQ(error(R"("vocab_size": -1)"),
            "error: f: vocab_size: is -1\n  expected an integer from 0 to 2147483647");
  EXPECT_EQ(
      error(R"("context_window_size": 99999999999)"),
      "error: f: context_window_size: is 99999999999\n  expected an integer from -1 to 2147483647");
  EXPECT_EQ(error(R"("model_config": [])"),
            "error: f: model_config: is a list\n  expected an object");
  EXPECT_EQ(error(R"("quantization": 4)"),
            "error: f: quantization: is an integer\n  expected a string");
  EXPECT_EQ(error(R"("temperature": "hot")"),
            "error: f: temperature: is a string\n  expected a number");
  EXPECT_EQ(error(R"("eos_token_id": ["a"])"),
            "error: f: eos_token_id: is a list\n  expected a token id or a list of token ids");
  EXPECT_EQ(error(R"("tokenizer_files": "a")"),
            "error: f: tokenizer_files: is no list of names\n  expected a list of strings");
  EXPECT_EQ(error(R"("tokenizer_info": 1)"),
            "error: f: tokenizer_info: is an integer\n  expected an object");
  EXPECT_EQ(
      error(R"("tokenizer_info": {"prepend_space_in_encode": 1})"),
      "error: f: tokenizer_info.prepend_space_in_encode: is an integer\n  expected true or false");
  EXPECT_EQ(error(R"("model_task": "draw")"),
            "error: f: model_task: unknown task draw\n  expected one of chat, embedding");
  EXPECT_EQ(error(R"("embedding_metadata": 1)"),
            "error: f: embedding_metadata: is an integer\n  expected an object or null");
}

TEST(ChatConfig, ConversationTemplateIsRequiredAndKnown) {
  const auto message = [](std::string_view text) {
    return ChatConfig::from_json(parse_json(text, "f").value(), "f").error().to_string();
  };
  EXPECT_EQ(message("{}"), "error: f: lacks the key \"conv_template\"");
  EXPECT_EQ(message("3"), "error: f: is an integer\n  expected an object");
  const std::string unknown = message(R"({"conv_template": "lama-2"})");
  EXPECT_TRUE(unknown.starts_with(
      "error: f: conv_template: unknown conversation template lama-2\n  expected one of chatml, "))
      << unknown;
  EXPECT_NE(unknown.find("did you mean llama-2"), std::string::npos) << unknown;
}

TEST(ChatConfig, IsReadFromItsFolderOrByItsPath) {
  TemporaryDirectory folder;
  const auto missing = read_chat_config(folder.path());
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().to_string(),
            "error: " + folder.path() +
                ": has no mlc-chat-config.json\n"
                "  expected a folder with mlc-chat-config.json, or that file\n"
                "  mlc_llm gen_config writes it");
  const auto absent = read_chat_config(folder.file("nothing"));
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().found, "does not exist");
  const std::string file = folder.file("mlc-chat-config.json");
  ASSERT_TRUE(write_file(file, cat("{\"vocab_size\": 3, ", kTemplate, "}")).ok());
  EXPECT_EQ(read_chat_config(folder.path())->vocab_size, 3);
  EXPECT_EQ(read_chat_config(file)->vocab_size, 3);
}

TokenizerInfo detect(std::string_view text) {
  return TokenizerInfo::detect(parse_json(text, "t").value());
}

TEST(TokenizerInfo, ComesFromDecoderAndNormalizer) {
  EXPECT_EQ(detect("{}"), TokenizerInfo{});
  EXPECT_EQ(detect("[]"), TokenizerInfo{});
  EXPECT_EQ(detect(R"({"decoder": {"type": "ByteLevel"}})"),
            (TokenizerInfo{"byte_level", false, false}));
  EXPECT_EQ(detect(R"({"decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 0},
                       "normalizer": {"type": "Prepend", "prepend": "\u2581", "more": 1}})"),
            (TokenizerInfo{"byte_fallback", true, true}));
  EXPECT_EQ(detect(R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"},
                       {"type": "Prepend", "prepend": "\u2581"}]}, "pre_tokenizer": {"type": "ByteLevel"}})"),
            (TokenizerInfo{"byte_fallback", true, false}));
}

TEST(TokenizerInfo, LastDecoderOfASequenceWins) {
  EXPECT_EQ(detect(R"({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"},
                       {"type": "ByteLevel"}, 3]}})")
                .token_postproc_method,
            "byte_level");
  EXPECT_EQ(detect(R"({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"},
                       {"type": "ByteFallback"}]}})")
                .token_postproc_method,
            "byte_fallback");
}

TEST(TokenizerInfo, NearMissesDoNotCount) {
  EXPECT_EQ(detect(R"({"decoder": {"type": "Strip", "content": " ", "start": 1.0, "stop": 0},
                       "normalizer": {"type": "Prepend", "prepend": " "}})"),
            TokenizerInfo{});
  EXPECT_EQ(detect(R"({"decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 1}})"),
            TokenizerInfo{});
}

TEST(ChatConfig, ReferencesSurviveReadingAndWriting) {
  MLC_NEEDS_SHARED();
  int64_t compared = 0;
  const std::string root = shared_path("golden/mlc");
  for (const std::string& model : list_directory(root).value()) {
    if (!is_directory(path_join(root, model))) continue;
    for (const std::string& mode : list_directory(path_join(root, model)).value()) {
      const std::string path =
          path_join(path_join(path_join(root, model), mode), "mlc-chat-config.json");
      if (!file_exists(path)) continue;
      const std::string text = read_file(path).value();
      const auto config = ChatConfig::from_json(parse_json(text, path).value(), path);
      ASSERT_TRUE(config.ok()) << config.error().to_string();
      EXPECT_EQ(config->to_text(), text) << path;
      ++compared;
    }
  }
  EXPECT_GT(compared, 50);
}

}  // namespace
}  // namespace mlc::formats
