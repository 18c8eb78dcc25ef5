// SPDX-License-Identifier: Apache-2.0
#include "cli/line_editor.h"

#include <histedit.h>
#include <langinfo.h>

#include <clocale>
#include <cstdio>
#include <cwchar>
#include <string_view>

#include "cli/terminal.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::cli {

namespace {

// What the editor's functions reach.
struct Shared {
  std::wstring prompts[2];       // of a message's first line, of the others
  bool goes_on = false;          // it is not the first
  bool interrupted = false;      // the line at hand was ended by Ctrl-C
  bool was_interrupted = false;  // the one before
};

std::string to_utf8(std::wstring_view text) {
  std::string result;
  for (const wchar_t wide : text) {
    const auto c = static_cast<uint32_t>(wide);
    if (c < 0x80) {
      result += static_cast<char>(c);
    } else if (c < 0x800) {
      result += {static_cast<char>(0xc0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      result += {static_cast<char>(0xe0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 63)),
                 static_cast<char>(0x80 | (c & 63))};
    } else {
      result += {static_cast<char>(0xf0 | (c >> 18)), static_cast<char>(0x80 | ((c >> 12) & 63)),
                 static_cast<char>(0x80 | ((c >> 6) & 63)), static_cast<char>(0x80 | (c & 63))};
    }
  }
  return result;
}

// Of valid UTF-8.
std::wstring to_wide(std::string_view text) {
  std::wstring result;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    uint32_t point = first < 0x80   ? first
                     : first < 0xe0 ? first & 0x1f
                     : first < 0xf0 ? first & 0x0f
                                    : first & 7;
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80)
      point = point << 6 | (static_cast<unsigned char>(text[i++]) & 0x3f);
    result += static_cast<wchar_t>(point);
  }
  return result;
}

Shared& shared_of(EditLine* editor) {
  void* data = nullptr;
  el_wget(editor, EL_CLIENTDATA, &data);
  return *static_cast<Shared*>(data);
}

// Control sequences stand between two of these, with something that is shown behind them.
constexpr wchar_t kInvisible = L'\1';

std::wstring prompt_text(const std::string& text) {
  const std::string colour = coloured(Stream::kOutput, Colour::kPrompt, text);
  const size_t at = colour.find(text);
  const std::wstring invisible(1, kInvisible);
  const auto part = [&](size_t begin, size_t end) {
    const std::string sequence = colour.substr(begin, end - begin);
    return sequence.empty()
               ? std::wstring()
               : invisible + std::wstring(sequence.begin(), sequence.end()) + invisible;
  };
  return part(0, at) + std::wstring(text.begin(), text.end()) +
         part(at + text.size(), colour.size()) + L" ";
}

wchar_t* prompt_of(EditLine* editor) {
  Shared& shared = shared_of(editor);
  return shared.prompts[shared.goes_on ? 1 : 0].data();
}

unsigned char insert_newline(EditLine* editor, wint_t) {
  return el_winsertstr(editor, L"\n") == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char interrupt(EditLine* editor, wint_t) {
  Shared& shared = shared_of(editor);
  const LineInfoW* line = el_wline(editor);
  if (shared.was_interrupted && !shared.goes_on && line->buffer == line->lastchar) return CC_EOF;
  shared.interrupted = true;
  return CC_NEWLINE;
}

}  // namespace

struct LineEditor::State {
  EditLine* editor = nullptr;
  HistoryW* history = nullptr;
  std::string history_file;
  Shared shared;
};

LineEditor::LineEditor(std::string prompt, std::string history_file)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  // Typed characters are read as UTF-8 whatever the locale.
  if (setlocale(LC_CTYPE, "") == nullptr || std::string_view(nl_langinfo(CODESET)) != "UTF-8")
    setlocale(LC_CTYPE, "C.UTF-8");
  s.shared.prompts[0] = prompt_text(prompt);
  s.shared.prompts[1] = prompt_text(std::string(prompt.size(), '.'));
  s.editor = el_init("mlc_llm", stdin, stdout, stderr);
  s.history = history_winit();
  HistEventW event;
  history_w(s.history, &event, H_SETSIZE, 1000);
  history_w(s.history, &event, H_SETUNIQUE, 1);
  s.history_file = std::move(history_file);
  if (!s.history_file.empty()) history_w(s.history, &event, H_LOAD, s.history_file.c_str());
  el_wset(s.editor, EL_CLIENTDATA, &s.shared);
  el_wset(s.editor, EL_PROMPT_ESC, prompt_of, kInvisible);
  el_wset(s.editor, EL_EDITOR, L"emacs");
  el_wset(s.editor, EL_HIST, history_w, s.history);
  el_wset(s.editor, EL_SIGNAL, 1);  // a signal from outside finds the terminal as it was
  el_wset(s.editor, EL_ADDFN, L"insert-newline", L"Begin a new line", insert_newline);
  el_wset(s.editor, EL_ADDFN, L"interrupt", L"Clear the line, or leave", interrupt);
  el_wset(s.editor, EL_BIND, L"\\e\\r", L"insert-newline", nullptr);
  el_wset(s.editor, EL_BIND, L"\\e\\n", L"insert-newline", nullptr);
  // Ctrl-C comes as a character while a line is edited.
  el_wset(s.editor, EL_SETTY, L"-d", L"-isig", nullptr);
  el_wset(s.editor, EL_BIND, L"^C", L"interrupt", nullptr);
}

LineEditor::~LineEditor() {
  if (!state_->history_file.empty() &&
      make_directories(path_directory(state_->history_file)).ok()) {
    // Written beside it and put in its place: two sessions at once leave one's history, not half.
    const std::string path = cat(state_->history_file, ".", process_id());
    HistEventW event;
    if (history_w(state_->history, &event, H_SAVE, path.c_str()) == -1 ||
        std::rename(path.c_str(), state_->history_file.c_str()) != 0)
      std::remove(path.c_str());
  }
  history_wend(state_->history);
  el_end(state_->editor);
}

std::optional<TypedMessage> LineEditor::read() {
  State& s = *state_;
  MultiLine lines;
  while (true) {
    s.shared.interrupted = false;
    s.shared.goes_on = lines.open();
    int count = 0;
    const wchar_t* line = el_wgets(s.editor, &count);
    s.shared.was_interrupted = s.shared.interrupted;
    if (s.shared.interrupted) {
      lines.clear();
      std::fputs("\n(Ctrl-C again or Ctrl-D leaves)\n", stdout);
      continue;
    }
    if (line == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      return {};
    }
    const std::string text = to_utf8(std::wstring_view(line, static_cast<size_t>(count)));
    std::string_view typed = text;
    if (typed.ends_with('\n')) typed.remove_suffix(1);
    std::optional<TypedMessage> message = lines.add(typed);
    if (!message || message->text.empty()) continue;
    HistEventW event;
    history_w(s.history, &event, H_ENTER, to_wide(message->typed).c_str());
    return message;
  }
}

}  // namespace mlc::cli
