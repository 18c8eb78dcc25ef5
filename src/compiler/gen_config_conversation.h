// SPDX-License-Identifier: Apache-2.0
// The conversation template of a model that is configured without --conv-template.
#pragma once

#include "compiler/gen_config.h"
#include "formats/conversation.h"

namespace mlc::compiler {

// Makes its prompts with the checkpoint's own chat template and stops at its eos tokens: those of
// generation_config.json or config.json, and the tokenizer's. The fields that other programs use
// are read off the prompts of a short conversation; a warning says where they can't be. Throws
// UserError where the checkpoint has no chat template, or a broken one.
formats::Conversation own_conversation(const ModelSource& source);

// The fields alone: such that the template's prompt of a conversation with a system message and
// several turns is made by them. Nothing where no such fields are found.
std::optional<formats::Conversation> fields_like(const formats::ChatTemplate& chat_template);

}  // namespace mlc::compiler
