// SPDX-License-Identifier: Apache-2.0
// The `decoder` of a tokenizer.json: texts of tokens back to text, all at once or one token at a
// time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "support/json.h"
#include "tokenizers/normalizer.h"

namespace mlc::tokenizers {

class Decoder {
 public:
  // Null gives one that joins the tokens with blanks.
  static Result<Decoder> from_json(const Json& json, const std::string& where);

  // True if tokens in the byte alphabet stand for bytes, and these bytes are the text: the tokens
  // that the functions below take are then bytes.
  bool is_byte_level() const { return streaming_ == Streaming::kBytes; }
  // True if tokens "<0x..>" stand for bytes.
  bool has_byte_fallback() const { return has_step(Step::Kind::kByteFallback); }
  bool has_byte_level() const { return has_step(Step::Kind::kByteLevel); }

  // sentencepiece's way back. The unknown token is shown as `unknown_surface`. A blank symbol that
  // begins the text is dropped: the one of the dummy prefix, or all of the first tokens.
  enum class FirstBlanks { kKeep, kDropOne, kDropAll };
  static Decoder from_sentencepiece(std::string unknown_token, std::string unknown_surface,
                                    FirstBlanks first_blanks, bool byte_fallback);

  // Not of a byte-level decoder, whose tokens are only joined.
  std::string decode(std::vector<std::string> tokens) const;

  // What one token after the other has left behind.
  struct State {
    std::string bytes;              // that are no text yet
    bool bytes_are_broken = false;  // no text can come of this run of byte tokens
    size_t tokens = 0;              // that came in, and that left ByteFallback
    size_t pieces = 0;
    std::vector<int64_t> to_strip;  // for each Strip behind Fuse: characters that it may still take
    std::vector<std::string> window;
    size_t window_prefix = 0;  // how many of its tokens have been shown, as `shown`
    std::string shown;
    bool blank_dropped = false;  // sentencepiece: by the last token
    bool has_text = false;
  };
  // Appends what can be shown once `token` is there. Half a character is kept back.
  void put(State& state, std::string_view token, std::string& text) const;
  void finish(State& state, std::string& text) const;

 private:
  struct Step {
    enum class Kind {
      kByteLevel,
      kReplace,
      kByteFallback,
      kFuse,
      kStrip,
      kMetaspace,
      kWordPiece,
      kBpe,
      kCtc,
      kSentencePiece
    };
    Kind kind;
    Pattern pattern{};      // Replace
    std::string content{};  // Replace; Strip and Metaspace: the character; WordPiece: the prefix;
                            // BPE: the suffix
    int64_t start = 0;      // Strip
    int64_t stop = 0;
    bool flag = false;  // Metaspace: a first one is dropped; WordPiece, CTC: clean up
    std::string pad{};  // CTC
    std::string delimiter{};
    FirstBlanks first_blanks = FirstBlanks::kKeep;  // sentencepiece; `pad` is its unknown token
  };
  // kBytes: see is_byte_level(). kPieces: tokens are changed one by one. kWindow: some tokens are
  // decoded again with each new one.
  enum class Streaming { kBytes, kPieces, kWindow, kSentencePiece };

  bool has_step(Step::Kind kind) const;
  Result<void> add(const Json& json, const std::string& where, int depth);
  Streaming best_streaming() const;
  static void change(const Step& step, std::string& token, size_t index);
  static std::string strip(const Step& step, std::string_view token);
  static void run(const Step& step, std::vector<std::string>& tokens);
  void put_piece(State& state, std::string piece, std::string& text) const;
  void end_bytes(State& state, std::string& text) const;
  void put_sentencepiece(State& state, std::string_view token, std::string& text) const;
  static void show_bytes(State& state, std::string& text, bool all);

  std::vector<Step> steps_;
  Streaming streaming_ = Streaming::kPieces;
  size_t byte_fallback_ = 0;  // places among the steps; past the end if absent
  size_t fuse_ = 0;
};

}  // namespace mlc::tokenizers
