// SPDX-License-Identifier: Apache-2.0
// The expressions are those of the original tokenizer.json files where they are public, else
// llama.cpp's.
#include "formats/gguf_pre_tokenizers.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::formats {
namespace {

using StepKind = GgufPreTokenizer::StepKind;
using Step = GgufPreTokenizer::Step;

constexpr std::string_view kContractions = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
constexpr std::string_view kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kOneDigit = R"(\p{N})";
constexpr std::string_view kThreeDigits = R"(\p{N}{1,3})";

// The letters that have a case, up to U+1E943.
constexpr char kCasedLetters[] =
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c"
    "\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"
    "\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"
    "\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
    "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943";
// CJK ideographs, what lies below them from U+0800 on, and Hangul.
constexpr char kDeepseekScripts[] = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

Step split_step(std::string expression) { return {StepKind::kSplit, std::move(expression)}; }
const Step kGpt2Step = {StepKind::kGpt2};
const Step kDigitsStep = {StepKind::kDigits};

// Words as GPT-4 takes them (cl100k), with `digits` for numbers.
Step words(std::string_view digits) {
  return split_step(cat(kContractions, R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)", digits,
                        R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
}

// Words as GPT-4o takes them (o200k): they begin where capitals begin.
Step cased_words(std::string_view ending, std::string_view digits) {
  constexpr std::string_view upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
  constexpr std::string_view lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  constexpr std::string_view start = R"([^\r\n\p{L}\p{N}]?)";
  return split_step(cat(start, upper, "*", lower, "+", ending, "|", start, upper, "+", lower, "*",
                        ending, "|", digits,
                        R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
}

// Runs of blanks of Jais 2 are cut to powers of two.
Step jais2_words() {
  std::string expression =
      cat(kContractions, R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)",
          R"(\s*[\r\n]+|)");
  for (int blanks = 512; blanks >= 4; blanks /= 2) {
    expression += cat(R"(\s{)", blanks, R"(}(?!\S)|)");
  }
  return split_step(expression + R"(\s{1,2}(?!\S)|\s)");
}

std::vector<GgufPreTokenizer> make_pre_tokenizers() {
  const Step bloom = split_step(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+");
  const Step deepseek_scripts = split_step(kDeepseekScripts);
  return {
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
                 "lfm2"},
       .steps = {words(kThreeDigits)},
       .ignore_merges = true,
       .adds_bos = true},
      {.names = {"dbrx", "smaug-bpe", "chatglm-bpe"}, .steps = {words(kThreeDigits)}},
      {.names = {"glm4"}, .steps = {words(kThreeDigits)}, .ignore_merges = true},
      {.names = {"qwen2", "deepseek-r1-qwen", "megrez", "kormo", "stablelm2"},
       .steps = {words(kOneDigit)},
       .nfc = true},
      {.names = {"hunyuan", "solar-open", "grok-2"}, .steps = {words(kOneDigit)}},
      {.names = {"qwen35"},
       .steps = {split_step(
           cat(kContractions,
               R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)",
               R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"))},
       .nfc = true},
      {.names = {"gpt-2", "phi-2", "exaone4", "gigachat", "mellum", "modern-bert", "a.x-4.0",
                 "jais", "trillion", "granite-docling"},
       .steps = {kGpt2Step}},
      {.names = {"mpt", "olmo"}, .steps = {kGpt2Step}, .nfc = true},
      {.names = {"starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
       .steps = {kDigitsStep, kGpt2Step}},
      {.names = {"command-r"}, .steps = {kDigitsStep, kGpt2Step}, .nfc = true},
      {.names = {"gpt-4o", "llama4", "kanana2", "minimax-m2"},
       .steps = {cased_words(cat(kContractions, "?"), kThreeDigits)},
       .ignore_merges = true},
      {.names = {"tekken"},
       .steps = {cased_words("", kOneDigit)},
       .ignore_merges = true,
       .adds_bos = true},
      {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       .steps = {split_step(std::string(kThreeDigits)),
                 split_step("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                 split_step(R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)re"
                            R"re([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)re"
                            R"re(\s*[\r\n]+|\s+(?!\S)|\s+)re")}},
      {.names = {"deepseek-coder"},
       .steps = {split_step(R"([\r\n])"), split_step(R"(\s?\p{L}+)"), split_step(R"(\s?\p{P}+)"),
                 deepseek_scripts, kDigitsStep}},
      {.names = {"deepseek-llm"},
       .steps = {split_step(R"([\r\n])"), split_step(cat(R"(\s?[)", kCasedLetters, "]+")),
                 split_step("\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"),
                 split_step(R"(\s+$)"), deepseek_scripts, kDigitsStep}},
      {.names = {"falcon"},
       .steps = {{StepKind::kPunctuation},
                 kGpt2Step,
                 {StepKind::kDigitGroups},
                 split_step("[0-9][0-9][0-9]")}},
      {.names = {"bloom", "poro-chat", "gpt3-finnish"}, .steps = {bloom}},
      {.names = {"viking"}, .steps = {bloom, kDigitsStep}},
      {.names = {"jais-2"}, .steps = {jais2_words()}},
      {.names = {"bailingmoe", "bailingmoe2"},
       .steps = {split_step(R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}|)"
                            R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)")}},
      {.names = {"seed-coder"},
       .steps = {split_step(cat(kContractions, R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)",
                                R"( ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"))}},
      // Files from before the key: the original is not known.
      {.names = {"default"},
       .steps = {split_step(R"([\p{P}\$\+<=>\^~\|]+)"), split_step(std::string(kGpt2Words)),
                 split_step(R"(\p{N}+)"), split_step("[0-9][0-9][0-9]")}},
  };
}

const std::vector<GgufPreTokenizer>& pre_tokenizers() {
  static const std::vector<GgufPreTokenizer> list = make_pre_tokenizers();
  return list;
}

Json byte_level(bool use_regex) {
  return Json::Object{{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", use_regex}};
}

Json step_json(const Step& step) {
  switch (step.kind) {
    case StepKind::kSplit:
      return Json::Object{{"type", "Split"},
                          {"pattern", Json::Object{{"Regex", step.expression}}},
                          {"behavior", "Isolated"},
                          {"invert", false}};
    case StepKind::kDigits:
      return Json::Object{{"type", "Digits"}, {"individual_digits", true}};
    case StepKind::kDigitGroups:
      return Json::Object{{"type", "Digits"}, {"individual_digits", false}};
    case StepKind::kPunctuation:
      return Json::Object{{"type", "Punctuation"}, {"behavior", "Contiguous"}};
    case StepKind::kGpt2:
      return byte_level(true);
  }
  return {};
}

}  // namespace

Json GgufPreTokenizer::normalizer_json() const {
  return nfc ? Json(Json::Object{{"type", "NFC"}}) : Json();
}

bool GgufPreTokenizer::has_gpt2_words() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& step) { return step.kind == StepKind::kGpt2; });
}

Json GgufPreTokenizer::pre_tokenizer_json() const {
  Json::Array list;
  for (const Step& step : steps) list.push_back(step_json(step));
  if (!has_gpt2_words()) list.push_back(byte_level(false));
  if (list.size() == 1) return list[0];
  return Json::Object{{"type", "Sequence"}, {"pretokenizers", std::move(list)}};
}

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) {
  for (const GgufPreTokenizer& known : pre_tokenizers()) {
    if (std::find(known.names.begin(), known.names.end(), name) != known.names.end()) return &known;
  }
  return nullptr;
}

std::vector<std::string> gguf_pre_tokenizer_names() {
  std::vector<std::string> names;
  for (const GgufPreTokenizer& known : pre_tokenizers()) {
    for (const std::string_view name : known.names) names.emplace_back(name);
  }
  return names;
}

}  // namespace mlc::formats
