// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_settings.h"

#include "engine/request_json.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

constexpr std::string_view kWhere = "/set";

double number(const std::string& key, const std::string& value) {
  const auto parsed = parse_double(value);
  if (!parsed) throw UserError(std::string(kWhere), cat(key, " is ", value), "a number");
  return *parsed;
}

int64_t integer(const std::string& key, const std::string& value) {
  const auto parsed = parse_int64(value);
  if (!parsed) throw UserError(std::string(kWhere), cat(key, " is ", value), "an integer");
  return *parsed;
}

}  // namespace

ChatSettings ChatSettings::of(const formats::ChatConfig& config) {
  ChatSettings settings;
  settings.sampling = engine::default_sampling(config);
  return settings;
}

void ChatSettings::set(std::string_view assignments, int64_t vocab_size) {
  ChatSettings changed = *this;
  engine::SamplingOptions& s = changed.sampling;
  for (const std::string& part : split(assignments, ';')) {
    if (strip(part).empty()) continue;
    const size_t equals = part.find('=');
    if (equals == std::string::npos)
      throw UserError(std::string(kWhere), cat("has the part ", part), "key=value");
    const std::string key(strip(std::string_view(part).substr(0, equals)));
    const std::string value = part.substr(equals + 1);
    if (key == "temperature") {
      s.temperature = number(key, value);
    } else if (key == "top_p") {
      s.top_p = number(key, value);
    } else if (key == "top_k") {
      s.top_k = integer(key, value);
    } else if (key == "min_p") {
      s.min_p = number(key, value);
    } else if (key == "repetition_penalty") {
      s.repetition_penalty = number(key, value);
    } else if (key == "presence_penalty") {
      s.presence_penalty = number(key, value);
    } else if (key == "frequency_penalty") {
      s.frequency_penalty = number(key, value);
    } else if (key == "max_tokens") {
      changed.max_tokens = integer(key, value);
      if (changed.max_tokens < 1 && changed.max_tokens != -1) {
        throw UserError(std::string(kWhere), cat("max_tokens is ", value),
                        "a positive number, or -1 for no limit");
      }
    } else if (key == "seed") {
      changed.seed.reset();
      if (value != "random") changed.seed = static_cast<uint64_t>(integer(key, value));
    } else if (key == "stop") {
      changed.stop.clear();
      if (!value.empty()) changed.stop = split(value, ',');
    } else {
      throw UserError(unknown_name_error(
          ErrorKind::kUser, std::string(kWhere), "key", key,
          {"temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty",
           "frequency_penalty", "max_tokens", "seed", "stop"}));
    }
  }
  or_throw(engine::check_sampling_options(s, vocab_size));
  *this = std::move(changed);
}

std::string ChatSettings::to_text() const {
  return cat("temperature=", sampling.temperature, ";top_p=", sampling.top_p,
             ";top_k=", sampling.top_k, ";min_p=", sampling.min_p,
             ";repetition_penalty=", sampling.repetition_penalty,
             ";presence_penalty=", sampling.presence_penalty,
             ";frequency_penalty=", sampling.frequency_penalty, ";max_tokens=", max_tokens,
             ";seed=", seed ? std::to_string(static_cast<int64_t>(*seed)) : "random",
             ";stop=", join(stop, ","));
}

}  // namespace mlc::cli
