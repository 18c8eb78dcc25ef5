// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/post_processor.h"

#include <utility>

#include "support/strings.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/vocabulary.h"

namespace mlc::tokenizers {

namespace {

Result<int32_t> checked_id(const Json& json, const std::string& where) {
  if (!json.is_int() || json.as_int() < 0 || json.as_int() > Vocabulary::kMaxId) {
    return user_error(where, cat("has the token id ", json.dump()),
                      cat("an integer from 0 to ", Vocabulary::kMaxId));
  }
  return static_cast<int32_t>(json.as_int());
}

// ["text", id]
Result<int32_t> named_id(const Json& json, std::string_view key, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json::Array* const pair, list_field(json, key, where));
  if (pair->size() != 2)
    return user_error(cat(where, ".", key), cat("has ", pair->size(), " items"), "[text, id]");
  return checked_id((*pair)[1], cat(where, ".", key));
}

}  // namespace

PostProcessor PostProcessor::around(std::vector<int32_t> before, std::vector<int32_t> behind) {
  PostProcessor post_processor;
  post_processor.items_ = {{false, std::move(before)}, {true, {}}, {false, std::move(behind)}};
  return post_processor;
}

Result<PostProcessor> PostProcessor::from_json(const Json& json, const std::string& where) {
  PostProcessor post_processor;
  if (!json.is_null()) MLC_RETURN_IF_ERROR(post_processor.add(json, where, 0));
  return post_processor;
}

Result<void> PostProcessor::add(const Json& json, const std::string& where, int depth) {
  MLC_ASSIGN_OR_RETURN(const std::string type, type_field(json, where, depth));
  if (type == "Sequence") {
    MLC_ASSIGN_OR_RETURN(const Json::Array* const parts, list_field(json, "processors", where));
    for (const Json& part : *parts) MLC_RETURN_IF_ERROR(add(part, where, depth + 1));
    return {};
  }
  if (type == "ByteLevel") return {};  // it changes offsets only
  if (!items_.empty())
    return user_error(where, cat("adds tokens twice: a second one is ", type), "one template");
  if (type == "TemplateProcessing") return add_template(json, where);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    MLC_ASSIGN_OR_RETURN(const int32_t before, named_id(json, "cls", where));
    MLC_ASSIGN_OR_RETURN(const int32_t behind, named_id(json, "sep", where));
    *this = around({before}, {behind});
    return {};
  }
  return unknown_name_error(
      ErrorKind::kUser, where, "post_processor", type,
      {"BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"});
}

Result<void> PostProcessor::add_template(const Json& json, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json::Array* const pieces, list_field(json, "single", where));
  MLC_ASSIGN_OR_RETURN(const Json* const tokens, json_member(json, "special_tokens", where));
  int sequences = 0;
  for (const Json& piece : *pieces) {
    if (const Json* const sequence = piece.find("Sequence")) {
      MLC_ASSIGN_OR_RETURN(const std::string id, json_string(*sequence, "id", where));
      if (id != "A")
        return user_error(where, cat("template for one sequence has the sequence ", id), "A");
      items_.push_back({true, {}});
      ++sequences;
      continue;
    }
    const Json* const special = piece.find("SpecialToken");
    if (special == nullptr) {
      return user_error(where, cat("template has the piece ", piece.dump()),
                        "a Sequence or a SpecialToken");
    }
    MLC_ASSIGN_OR_RETURN(const std::string name, json_string(*special, "id", where));
    const Json* const token = tokens->find(name);
    if (token == nullptr) {
      return user_error(where, cat("template names the special token \"", name, "\""),
                        "a name among special_tokens");
    }
    MLC_ASSIGN_OR_RETURN(const Json::Array* const ids, list_field(*token, "ids", where));
    Item item;
    for (const Json& id : *ids) {
      MLC_ASSIGN_OR_RETURN(const int32_t checked, checked_id(id, where));
      item.ids.push_back(checked);
    }
    items_.push_back(std::move(item));
  }
  if (sequences != 1) {
    return user_error(where, cat("template for one sequence has it ", sequences, " times"), "once");
  }
  return {};
}

std::vector<int32_t> PostProcessor::apply(std::vector<int32_t> ids, bool add_special) const {
  if (!add_special || items_.empty()) return ids;
  std::vector<int32_t> result;
  for (const Item& item : items_) {
    const std::vector<int32_t>& part = item.is_sequence ? ids : item.ids;
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

}  // namespace mlc::tokenizers
