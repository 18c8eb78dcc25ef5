#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mlc_llm chat at a terminal: prompt, line editing, history, Ctrl-C and Ctrl-D."""
import json
import os
import pty
import re
import select
import signal
import time

from support.tiny_model import check, main, make_model

CTRL_C, CTRL_D, LEFT, UP = "\x03", "\x04", "\x1b[D", "\x1b[A"


class Terminal:
    """The program at a pseudo-terminal of 100 columns."""

    def __init__(self, program, *arguments, locale="C.UTF-8", **more):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {**program.environment, "TERM": "xterm", "COLUMNS": "100", "LC_ALL": locale, "MLC_CHAT_HISTORY": "OFF", **more}
            os.execve(program.path, ["mlc_llm", *map(str, arguments)], environment)
        self.raw = ""  # all that came
        self.text = ""  # what was shown and not yet looked at, without control sequences

    def expect(self, pattern, seconds=30):
        """Waits for a text; gives it and all before it."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                shown, self.text = self.text[:match.end()], self.text[match.end():]
                return shown
            ready = select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]
            data = b""
            if ready:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # the program is over
                    pass
            if not data:
                raise AssertionError(f"{pattern!r} did not come, but {self.text!r}")
            self.raw += data.decode("utf-8", "replace")
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", data.decode("utf-8", "replace"))

    def type(self, text):
        os.write(self.fd, text.encode())

    def prompt(self, **settings):
        """Waits until a line can be typed; gives what was shown before."""
        shown = self.expect(">>> ", **settings)
        time.sleep(0.2)  # the prompt is there a moment before control characters come as they are
        return shown

    def leave(self):
        self.prompt()
        self.type(CTRL_D)
        check(self.status() == 0)

    def status(self, seconds=30):
        """Waits for the end of the program."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the program did not end")


def start(program, *options, **settings):
    model = make_model(program)
    terminal = Terminal(program, "chat", model, "--temperature", 0, *options, **settings)
    check("/help" in terminal.prompt(), "the help is shown first")
    return terminal


def stats_of(terminal):
    terminal.type("/stats\r")
    return terminal.expect("tok/s, decode: .* tok/s\n")


def answers_and_leaves_with_ctrl_d(program):
    terminal = start(program, "--max-tokens", 5)
    terminal.type("hello\r")
    terminal.expect("hello\n")
    terminal.expect("output truncated after 5 tokens")
    terminal.prompt()
    check("N/A" not in stats_of(terminal))
    terminal.prompt()
    terminal.type("\r")  # an empty line is no turn
    terminal.leave()


def exit_leaves(program):
    terminal = start(program)
    terminal.type("/exit\r")
    check(terminal.status() == 0)


def a_line_can_be_edited_and_called_back(program):
    terminal = start(program)
    terminal.type("/se temperature=0.125" + LEFT * len(" temperature=0.125") + "t\r")
    terminal.prompt()
    terminal.type("/set\r")
    terminal.expect("temperature=0.125;")
    terminal.prompt()
    terminal.type(UP + UP + "5\r")  # the line before the last
    terminal.prompt()
    terminal.type("/set\r")
    terminal.expect("temperature=0.1255;")
    terminal.leave()


def what_was_typed_is_there_in_the_next_session(program):
    file = program.folder / "state/history"
    for typed, shown in (("first \u00e9\r", "first"), (UP + "!\r", "first \u00e9!")):
        terminal = start(program, "--max-tokens", 3, MLC_CHAT_HISTORY=str(file))
        terminal.type(typed)
        terminal.expect(re.escape(shown))
        terminal.leave()
    check(file.stat().st_mode & 0o077 == 0, "others may read it", oct(file.stat().st_mode))
    check(list(file.parent.iterdir()) == [file], "something else was left", list(file.parent.iterdir()))
    file.write_bytes(b"no history\n")
    terminal = start(program, MLC_CHAT_HISTORY=str(file))
    terminal.type(CTRL_D)
    check(terminal.status() == 0)
    check("no history" in file.read_text() or file.read_text().startswith("_HiStOrY_"), file.read_text())


def letters_beyond_ascii_are_edited_whole(program):
    for locale in ("C.UTF-8", "C"):
        terminal = start(program, locale=locale)
        terminal.type("/set stop=ä€x\x7f\x7f😀\r")  # both taken back
        terminal.prompt()
        terminal.type("/set\r")
        terminal.expect("stop=ä😀\n")
        terminal.leave()


def escape_enter_begins_a_new_line(program):
    terminal = start(program, "--max-tokens", 2)
    terminal.type("one\x1b\rtwo\r")
    terminal.expect("truncated")
    terminal.prompt()
    terminal.type("/metrics\r")
    shown = terminal.expect(r"last_finished_request_prompt_tokens \d+\n")
    check(shown.endswith(" 8\n"), shown)  # the prefix id, "one\ntwo"
    terminal.leave()


def prompt_tokens(terminal):
    terminal.prompt()
    terminal.type("/metrics\r")
    return int(terminal.expect(r"last_finished_request_prompt_tokens \d+\n").split()[-1])


def messages_of_several_lines(program):
    for typed, message in {
            "one\\\rtwo\r": "one\ntwo",
            "one\\\r two\\\rthree\r": "one\n two\nthree",
            '"""\rone\r\r  two\\\r/exit"""\r': "one\n\n  two\\\n/exit",
            '"""/help"""\r': "/help",
            '"""\rforgotten' + CTRL_C + "two\r": "two",
    }.items():
        terminal = start(program, "--max-tokens", 2)
        terminal.type(typed)
        terminal.expect("truncated")
        tokens = prompt_tokens(terminal)
        check(tokens == 1 + len(message), repr(typed), tokens, "the prefix id, and a token a byte")
        terminal.prompt()
        terminal.type(UP + UP + "\r")  # the message as it was typed
        terminal.expect("truncated")
        # The first turn with its two tokens of an answer, and the message again.
        again = prompt_tokens(terminal)
        check(again >= 2 * tokens - 1, repr(typed), again)
        terminal.leave()


def colours_are_for_terminals_that_want_them(program):
    terminal = start(program, "--max-tokens", 2, "--stats")
    terminal.type("/nothing\r")
    terminal.expect("unknown command /nothing")
    terminal.prompt()
    check("\x1b[1;32m>>>" in terminal.raw and "\x1b[31merror" in terminal.raw, repr(terminal.raw))
    terminal.type("hello\r")
    terminal.expect(r"tokens, prefill: .* tok/s\]")
    terminal.expect("truncated")
    terminal.leave()
    check("\x1b[2m[" in terminal.raw, repr(terminal.raw))
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = start(program, "--max-tokens", 2, "--stats", **more)
        terminal.type("hello\r")
        terminal.expect("truncated")
        terminal.leave()
        check(not re.search(r"\x1b\[[0-9;]+m", terminal.raw), more, repr(terminal.raw))


def a_spinner_turns_while_a_long_prompt_is_read(program):
    model = make_model(program, "large", hidden=512, intermediate=1024, layers=12, context=20000)
    terminal = Terminal(program, "chat", model, "--max-tokens", 2, "--threads", 1)
    terminal.prompt()
    file = program.folder / "talk.json"
    file.write_text(json.dumps([{"role": "user", "content": "long " * 1600}, {"role": "assistant", "content": "yes"}]))
    terminal.type(f"/load {file}\r")
    terminal.expect("1 turn read")
    terminal.prompt()
    terminal.type("and?\r")
    terminal.expect(r"[|/\\-] reading the prompt \d+ s", seconds=60)
    terminal.expect("truncated", seconds=60)
    terminal.leave()
    check("\x1b[K" in terminal.raw.split("reading the prompt")[-1], "it is still there")


def ctrl_c_clears_the_line_and_leaves_when_pressed_twice(program):
    terminal = start(program)
    terminal.type("/exit" + CTRL_C)
    terminal.expect("again or Ctrl-D leaves")
    terminal.prompt()
    terminal.type("/stats\r")
    terminal.expect("N/A")
    terminal.prompt()
    terminal.type(CTRL_C)
    terminal.prompt()
    terminal.type("/stats\r")  # something between
    terminal.prompt()
    terminal.type(CTRL_C)
    terminal.prompt()
    terminal.type(CTRL_C)
    check(terminal.status() == 0)


def ctrl_c_stops_an_answer_and_not_the_program(program):
    model = make_model(program, "large", hidden=256, layers=8, context=100000)
    terminal = Terminal(program, "chat", model, "--seed", 1)
    terminal.prompt()
    terminal.type("hello\r")
    terminal.expect("hello\n")
    terminal.expect(".")  # it has begun
    terminal.type(CTRL_C)
    terminal.prompt(seconds=10)
    terminal.type("/set max_tokens=3\r")
    terminal.prompt()
    terminal.type("and on\r")
    terminal.expect("truncated after 3 tokens")
    terminal.leave()


def a_signal_from_outside_ends_the_program(program):
    terminal = start(program)
    os.kill(terminal.pid, signal.SIGTERM)
    check(terminal.status() == -signal.SIGTERM)


if __name__ == "__main__":
    main([answers_and_leaves_with_ctrl_d, exit_leaves, a_line_can_be_edited_and_called_back,
          what_was_typed_is_there_in_the_next_session, letters_beyond_ascii_are_edited_whole,
          escape_enter_begins_a_new_line, messages_of_several_lines, colours_are_for_terminals_that_want_them,
          a_spinner_turns_while_a_long_prompt_is_read, ctrl_c_clears_the_line_and_leaves_when_pressed_twice,
          ctrl_c_stops_an_answer_and_not_the_program, a_signal_from_outside_ends_the_program])
