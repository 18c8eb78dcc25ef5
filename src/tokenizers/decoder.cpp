// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "support/strings.h"
#include "tokenizers/byte_alphabet.h"
#include "tokenizers/byte_tokens.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Blanks that cutting words apart left in English text.
std::string clean_up(std::string text) {
  constexpr std::string_view kChanges[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kChanges) {
    if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
  }
  return text;
}

// What `all` has behind its first `size` bytes, which were shown already. Some decoders change what
// was shown: then a character may lie across that place.
void append_behind(std::string& text, std::string_view all, size_t size) {
  while (size < all.size() && (static_cast<unsigned char>(all[size]) & 0xc0) == 0x80) ++size;
  if (size < all.size()) text += all.substr(size);
}

bool starts_with_character(std::string_view text, std::string_view character) {
  return !character.empty() && text.starts_with(character);
}

}  // namespace

Result<Decoder> Decoder::from_json(const Json& json, const std::string& where) {
  Decoder decoder;
  if (!json.is_null()) MLC_RETURN_IF_ERROR(decoder.add(json, where, 0));
  const auto place = [&](Step::Kind kind) {
    return static_cast<size_t>(std::find_if(decoder.steps_.begin(), decoder.steps_.end(),
                                            [&](const Step& step) { return step.kind == kind; }) -
                               decoder.steps_.begin());
  };
  decoder.byte_fallback_ = place(Step::Kind::kByteFallback);
  decoder.fuse_ = place(Step::Kind::kFuse);
  decoder.streaming_ = decoder.best_streaming();
  return decoder;
}

Decoder Decoder::from_sentencepiece(std::string unknown_token, std::string unknown_surface,
                                    FirstBlanks first_blanks, bool byte_fallback) {
  Decoder decoder;
  decoder.steps_.push_back({.kind = Step::Kind::kSentencePiece,
                            .content = std::move(unknown_surface),
                            .flag = byte_fallback,
                            .pad = std::move(unknown_token),
                            .first_blanks = first_blanks});
  decoder.streaming_ = Streaming::kSentencePiece;
  return decoder;
}

Result<void> Decoder::add(const Json& json, const std::string& where, int depth) {
  MLC_ASSIGN_OR_RETURN(const std::string type, type_field(json, where, depth));
  using Kind = Step::Kind;
  Step step{.kind = Kind::kFuse};
  if (type == "Sequence") {
    MLC_ASSIGN_OR_RETURN(const Json::Array* const parts, list_field(json, "decoders", where));
    for (const Json& part : *parts) MLC_RETURN_IF_ERROR(add(part, where, depth + 1));
    return {};
  }
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    step.kind = Kind::kByteFallback;
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    MLC_ASSIGN_OR_RETURN(const Json* const pattern, json_member(json, "pattern", where));
    MLC_ASSIGN_OR_RETURN(step.pattern, Pattern::from_json(*pattern, where));
    MLC_ASSIGN_OR_RETURN(step.content, json_string(json, "content", where));
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    MLC_ASSIGN_OR_RETURN(const char32_t content, character_field(json, "content", where));
    append_utf8(step.content, content);
    MLC_ASSIGN_OR_RETURN(step.start, size_field(json, "start", where));
    MLC_ASSIGN_OR_RETURN(step.stop, size_field(json, "stop", where));
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    MLC_ASSIGN_OR_RETURN(const char32_t content, character_field(json, "replacement", where));
    append_utf8(step.content, content);
    MLC_ASSIGN_OR_RETURN(step.flag, bool_field(json, "add_prefix_space", where, true));
    if (const Json* const scheme = json.find("prepend_scheme");
        scheme != nullptr && scheme->is_string()) {
      step.flag = scheme->as_string() != "never";
    }
  } else if (type == "WordPiece") {
    step.kind = Kind::kWordPiece;
    MLC_ASSIGN_OR_RETURN(step.content, json_string(json, "prefix", where));
    MLC_ASSIGN_OR_RETURN(step.flag, bool_field(json, "cleanup", where));
  } else if (type == "BPEDecoder") {
    step.kind = Kind::kBpe;
    MLC_ASSIGN_OR_RETURN(step.content, json_string(json, "suffix", where));
  } else if (type == "CTC") {
    step.kind = Kind::kCtc;
    MLC_ASSIGN_OR_RETURN(step.pad, json_string(json, "pad_token", where));
    MLC_ASSIGN_OR_RETURN(step.delimiter, json_string(json, "word_delimiter_token", where));
    MLC_ASSIGN_OR_RETURN(step.flag, bool_field(json, "cleanup", where));
  } else if (type != "Fuse") {
    return unknown_name_error(ErrorKind::kUser, where, "decoder", type,
                              {"BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse",
                               "Metaspace", "Replace", "Sequence", "Strip", "WordPiece"});
  }
  steps_.push_back(std::move(step));
  return {};
}

bool Decoder::has_step(Step::Kind kind) const {
  return std::any_of(steps_.begin(), steps_.end(),
                     [&](const Step& step) { return step.kind == kind; });
}

Decoder::Streaming Decoder::best_streaming() const {
  using Kind = Step::Kind;
  if (steps_.size() == 1 && steps_[0].kind == Kind::kByteLevel) return Streaming::kBytes;
  for (size_t i = 0; i < steps_.size(); ++i) {
    switch (steps_[i].kind) {
      case Kind::kByteLevel:
      case Kind::kBpe:
      case Kind::kSentencePiece:
      case Kind::kCtc:
        return Streaming::kWindow;
      case Kind::kStrip:
        if (i > fuse_ && steps_[i].stop > 0) return Streaming::kWindow;
        break;
      case Kind::kByteFallback:
        if (i != byte_fallback_ || i > fuse_) return Streaming::kWindow;
        break;
      case Kind::kFuse:
        if (i != fuse_) return Streaming::kWindow;
        break;
      case Kind::kReplace:
      case Kind::kMetaspace:
      case Kind::kWordPiece:
        if (i > fuse_) return Streaming::kWindow;
        break;
    }
  }
  return Streaming::kPieces;
}

std::string Decoder::strip(const Step& step, std::string_view token) {
  for (int64_t i = 0; i < step.start && starts_with_character(token, step.content); ++i) {
    token.remove_prefix(step.content.size());
  }
  for (int64_t i = 0; i < step.stop && !step.content.empty() && token.ends_with(step.content);
       ++i) {
    token.remove_suffix(step.content.size());
  }
  return std::string(token);
}

// Steps that change one token at a time; `index` counts the tokens that this step has seen before.
void Decoder::change(const Step& step, std::string& token, size_t index) {
  using Kind = Step::Kind;
  switch (step.kind) {
    case Kind::kReplace: {
      std::vector<Span> matches;
      step.pattern.find_all(token, matches);
      std::string changed;
      size_t done = 0;
      for (const Span& match : matches) {
        changed.append(token, done, match.begin - done);
        changed += step.content;
        done = match.end;
      }
      if (matches.empty()) return;
      changed.append(token, done);
      token = std::move(changed);
      return;
    }
    case Kind::kStrip:
      token = strip(step, token);
      return;
    case Kind::kMetaspace:
      token = replace_all(token, step.content, index == 0 && step.flag ? "" : " ");
      return;
    case Kind::kWordPiece:
      if (index > 0) {
        if (token.starts_with(step.content)) {
          token.erase(0, step.content.size());
        } else {
          token.insert(token.begin(), ' ');
        }
      }
      if (step.flag) token = clean_up(std::move(token));
      return;
    case Kind::kByteLevel:
    case Kind::kByteFallback:
    case Kind::kFuse:
    case Kind::kBpe:
    case Kind::kSentencePiece:
    case Kind::kCtc:
      return;
  }
}

void Decoder::run(const Step& step, std::vector<std::string>& tokens) {
  using Kind = Step::Kind;
  switch (step.kind) {
    case Kind::kReplace:
    case Kind::kStrip:
    case Kind::kMetaspace:
    case Kind::kWordPiece:
      for (size_t i = 0; i < tokens.size(); ++i) change(step, tokens[i], i);
      return;
    case Kind::kBpe:
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (!step.content.empty())
          tokens[i] = replace_all(tokens[i], step.content, i + 1 < tokens.size() ? " " : "");
      }
      return;
    case Kind::kCtc: {
      tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
      for (std::string& token : tokens) {
        if (!step.pad.empty()) token = replace_all(token, step.pad, "");
        if (!step.flag) continue;
        token = clean_up(std::move(token));
        if (!step.delimiter.empty()) token = replace_all(token, step.delimiter, " ");
      }
      std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
      return;
    }
    case Kind::kSentencePiece:
      return;
    case Kind::kFuse:
      tokens = {join(tokens, "")};
      return;
    case Kind::kByteLevel: {
      std::string bytes;
      for (const std::string& token : tokens) {
        if (!append_alphabet_bytes(bytes, token)) bytes += token;
      }
      std::string text;
      append_lossy_utf8(text, bytes);
      tokens = {std::move(text)};
      return;
    }
    case Kind::kByteFallback: {
      std::vector<std::string> result;
      std::string bytes;
      const auto end_run = [&] {
        if (is_valid_utf8(bytes)) {
          if (!bytes.empty()) result.push_back(bytes);
        } else {
          result.insert(result.end(), bytes.size(), std::string(kReplacement));
        }
        bytes.clear();
      };
      for (std::string& token : tokens) {
        if (const std::optional<char> byte = byte_of_token(token)) {
          bytes += *byte;
        } else {
          end_run();
          result.push_back(std::move(token));
        }
      }
      end_run();
      tokens = std::move(result);
      return;
    }
  }
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  if (streaming_ == Streaming::kSentencePiece) {
    State state;
    std::string text;
    for (const std::string& token : tokens) put(state, token, text);
    finish(state, text);
    return text;
  }
  if (steps_.empty()) return join(tokens, " ");
  for (const Step& step : steps_) run(step, tokens);
  return join(tokens, "");
}

// A piece that has passed ByteFallback: the steps up to Fuse, and the strips behind it.
void Decoder::put_piece(State& state, std::string piece, std::string& text) const {
  for (size_t i = byte_fallback_ + 1; i < std::min(fuse_, steps_.size()); ++i) {
    change(steps_[i], piece, state.pieces);
  }
  ++state.pieces;
  std::string_view rest = piece;
  if (fuse_ < steps_.size() && state.to_strip.empty()) {
    for (size_t i = fuse_ + 1; i < steps_.size(); ++i) state.to_strip.push_back(steps_[i].start);
  }
  for (size_t k = 0; k < state.to_strip.size(); ++k) {
    const std::string& character = steps_[fuse_ + 1 + k].content;
    int64_t& left = state.to_strip[k];
    while (left > 0 && starts_with_character(rest, character)) {
      rest.remove_prefix(character.size());
      --left;
    }
    if (!rest.empty()) left = 0;
  }
  text += rest;
}

void Decoder::end_bytes(State& state, std::string& text) const {
  for (size_t i = 0; i < state.bytes.size(); ++i) put_piece(state, std::string(kReplacement), text);
  state.bytes.clear();
  state.bytes_are_broken = false;
}

// Characters of the bytes that wait; each byte that begins none is shown as U+FFFD. Unless it is
// `all`, the beginning of a character waits on.
void Decoder::show_bytes(State& state, std::string& text, bool all) {
  const std::string_view bytes = state.bytes;
  size_t at = 0;
  while (at < bytes.size()) {
    const auto length = static_cast<size_t>(utf8_sequence_length(bytes, at));
    if (length == 0 && !all && unfinished_bytes(bytes) == bytes.size() - at) break;
    text += length == 0 ? kReplacement : bytes.substr(at, length);
    state.has_text = true;
    at += std::max<size_t>(length, 1);
  }
  state.bytes.erase(0, at);
}

void Decoder::put_sentencepiece(State& state, std::string_view token, std::string& text) const {
  const Step& step = steps_[0];
  if (step.flag) {
    if (const std::optional<char> byte = byte_of_token(token)) {
      state.bytes += *byte;
      show_bytes(state, text, false);
      return;
    }
  }
  show_bytes(state, text, true);
  const bool may_drop =
      step.first_blanks != FirstBlanks::kKeep && !state.blank_dropped && !state.has_text;
  if (token == step.pad) {
    text += step.content;
    state.has_text |= !step.content.empty();
    return;
  }
  if (may_drop && token.starts_with(kBlankSymbol)) {
    token.remove_prefix(kBlankSymbol.size());
    state.blank_dropped = step.first_blanks == FirstBlanks::kDropOne;
  }
  text += replace_all(token, kBlankSymbol, " ");
  state.has_text |= !token.empty();
}

void Decoder::put(State& state, std::string_view token, std::string& text) const {
  switch (streaming_) {
    case Streaming::kSentencePiece:
      put_sentencepiece(state, token, text);
      return;
    case Streaming::kBytes: {
      state.bytes += token;
      // What stands before half a character waits with it, as in the tokenizers package.
      if (unfinished_bytes(state.bytes) > 0) return;
      append_lossy_utf8(text, state.bytes);
      state.bytes.clear();
      return;
    }
    case Streaming::kPieces: {
      std::string piece(token);
      if (steps_.empty() && state.tokens > 0) piece.insert(piece.begin(), ' ');
      for (size_t i = 0; i < std::min({byte_fallback_, fuse_, steps_.size()}); ++i) {
        change(steps_[i], piece, state.tokens);
      }
      ++state.tokens;
      if (byte_fallback_ < steps_.size()) {
        if (const std::optional<char> byte = byte_of_token(piece)) {
          state.bytes += *byte;
          if (is_valid_utf8(state.bytes) && !state.bytes_are_broken) {
            put_piece(state, std::exchange(state.bytes, {}), text);
          } else if (state.bytes_are_broken ||
                     unfinished_bytes(state.bytes) != state.bytes.size()) {
            end_bytes(state, text);
            state.bytes_are_broken = true;
          }
          return;
        }
        end_bytes(state, text);
      }
      put_piece(state, std::move(piece), text);
      return;
    }
    case Streaming::kWindow: {
      state.window.emplace_back(token);
      std::string all = decode(state.window);
      if (all.size() <= state.shown.size() || all.ends_with(kReplacement)) return;
      append_behind(text, all, state.shown.size());
      // The tokens shown last stay as what the next ones depend on.
      state.window.erase(state.window.begin(),
                         state.window.begin() + static_cast<ptrdiff_t>(state.window_prefix));
      state.window_prefix = state.window.size();
      state.shown = decode(state.window);
      return;
    }
  }
}

void Decoder::finish(State& state, std::string& text) const {
  switch (streaming_) {
    case Streaming::kSentencePiece:
      show_bytes(state, text, true);
      break;
    case Streaming::kBytes:
      append_lossy_utf8(text, state.bytes);
      break;
    case Streaming::kPieces:
      end_bytes(state, text);
      break;
    case Streaming::kWindow: {
      const std::string all = decode(state.window);
      append_behind(text, all, state.shown.size());
      break;
    }
  }
  state = State();
}

}  // namespace mlc::tokenizers
