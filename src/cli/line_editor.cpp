// SPDX-License-Identifier: Apache-2.0
#include "cli/line_editor.h"

#include <histedit.h>
#include <langinfo.h>

#include <clocale>
#include <cstdio>
#include <cwchar>
#include <string_view>

#include "support/strings.h"

namespace mlc::cli {

namespace {

// What the editor's functions reach.
struct Shared {
  std::wstring prompt;
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

Shared& shared_of(EditLine* editor) {
  void* data = nullptr;
  el_wget(editor, EL_CLIENTDATA, &data);
  return *static_cast<Shared*>(data);
}

wchar_t* prompt_of(EditLine* editor) { return shared_of(editor).prompt.data(); }

unsigned char insert_newline(EditLine* editor, wint_t) {
  return el_winsertstr(editor, L"\n") == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char interrupt(EditLine* editor, wint_t) {
  Shared& shared = shared_of(editor);
  const LineInfoW* line = el_wline(editor);
  if (shared.was_interrupted && line->buffer == line->lastchar) return CC_EOF;
  shared.interrupted = true;
  return CC_NEWLINE;
}

}  // namespace

struct LineEditor::State {
  EditLine* editor = nullptr;
  HistoryW* history = nullptr;
  Shared shared;
};

LineEditor::LineEditor(std::string prompt) : state_(std::make_unique<State>()) {
  State& s = *state_;
  // Typed characters are read as UTF-8 whatever the locale.
  if (setlocale(LC_CTYPE, "") == nullptr || std::string_view(nl_langinfo(CODESET)) != "UTF-8")
    setlocale(LC_CTYPE, "C.UTF-8");
  s.shared.prompt.assign(prompt.begin(), prompt.end());
  s.editor = el_init("mlc_llm", stdin, stdout, stderr);
  s.history = history_winit();
  HistEventW event;
  history_w(s.history, &event, H_SETSIZE, 1000);
  history_w(s.history, &event, H_SETUNIQUE, 1);
  el_wset(s.editor, EL_CLIENTDATA, &s.shared);
  el_wset(s.editor, EL_PROMPT, prompt_of);
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
  history_wend(state_->history);
  el_end(state_->editor);
}

std::optional<std::string> LineEditor::read() {
  State& s = *state_;
  while (true) {
    s.shared.interrupted = false;
    int count = 0;
    const wchar_t* line = el_wgets(s.editor, &count);
    s.shared.was_interrupted = s.shared.interrupted;
    if (s.shared.interrupted) {
      std::fputs("\n(Ctrl-C again or Ctrl-D leaves)\n", stdout);
      continue;
    }
    if (line == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      return {};
    }
    const std::string text = to_utf8(std::wstring_view(line, static_cast<size_t>(count)));
    const std::string_view typed = strip(text);
    if (typed.empty()) continue;
    HistEventW event;
    history_w(s.history, &event, H_ENTER, line);
    return std::string(typed);
  }
}

}  // namespace mlc::cli
