#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the text tests: tests/**/*.ir, *.kernel and *.txt that have RUN lines.

A file holds one case or several:

    # What the case shows.
    # RUN: mlc-ir --pass=fuse-epilogues %s
    the input: everything between the last RUN line and EXPECT
    # EXPECT:
    what the commands print to standard output, then to standard error; `exit status N` ends it where N is not 0

%s is a copy of the input under the name of the test's file, %t an empty folder. Programs come from the build folder; there is no
shell. Comments and empty lines before a RUN line belong to its case. Every test prints `ok NAME`, `FAILED NAME` (after a
unified diff) or `skipped NAME: reason`; the exit status is 1 where one failed.

    tests/run.py BUILD_FOLDER [--update] [PATH...]
"""

import argparse
import difflib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN = "# RUN:"
EXPECT = "# EXPECT:"
PROGRAMS = ("mlc-ir", "mlc_llm")
TIMEOUT_SECONDS = 120


class Case:
    """Lines of one case: `head` up to the last RUN line, `input`, `expected`; `commands` are those of the RUN lines."""

    def __init__(self):
        self.head, self.input, self.expected, self.commands = [], [], [], []


def parse(lines):
    """The cases of a file, or none where it has no RUN line. Raises ValueError for a RUN line without EXPECT."""
    cases, case, part = [], Case(), "head"
    for line in lines:
        if line.startswith(RUN):
            if part == "expected":
                # What stands before a RUN line as comments and empty lines is the head of the next case.
                cases.append(case)
                following, case, part = case, Case(), "head"
                while following.expected and (not following.expected[-1] or following.expected[-1].startswith("#")):
                    case.head.insert(0, following.expected.pop())
            elif part == "input":
                raise ValueError("a RUN line inside the input of another; is EXPECT missing?")
            case.head.append(line)
            case.commands.append(line[len(RUN):].strip())
        elif line.rstrip() == EXPECT and case.commands:
            part = "expected"
        elif part == "expected":
            case.expected.append(line)
        elif case.commands:
            part = "input"
            case.input.append(line)
        else:
            case.head.append(line)
    if not case.commands:
        return []
    if part != "expected":
        raise ValueError("a RUN line without EXPECT")
    while case.expected and not case.expected[-1]:
        case.expected.pop()
    return cases + [case]


def run_command(command, build, name, case, folder):
    """The lines that a command prints, standard output first."""
    source = folder / name
    source.write_text("\n".join(case.input) + "\n" if case.input else "")
    empty = folder / "t"
    empty.mkdir(exist_ok=True)
    words = [word.replace("%s", name).replace("%t", "t") for word in shlex.split(command)]
    if words[0] not in PROGRAMS:
        raise ValueError(f"{words[0]}: not one of {', '.join(PROGRAMS)}")
    environment = dict(os.environ, LC_ALL="C.UTF-8", COLUMNS="80", HOME=str(folder))
    environment = {key: value for key, value in environment.items() if not key.startswith("MLC_")}
    done = subprocess.run([str(build / words[0])] + words[1:], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_SECONDS)
    text = done.stdout.decode("utf-8", "backslashreplace") + done.stderr.decode("utf-8", "backslashreplace")
    text = text.replace(str(folder), "%T")
    lines = text.splitlines()
    if done.returncode != 0:
        lines.append(f"exit status {done.returncode}")
    return lines


def outcome(case, build, name):
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for command in case.commands:
            lines += run_command(command, build, name, case, pathlib.Path(folder))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def missing_programs(cases, build):
    wanted = {shlex.split(command)[0] for case in cases for command in case.commands if command}
    return sorted(name for name in wanted if not (build / name).exists())


def run_file(path, build, update):
    """'ok', 'FAILED' or 'skipped: why', or None where the file is no text test."""
    text = path.read_text(encoding="utf-8")
    cases = parse(text.split("\n"))
    if not cases:
        return None
    missing = missing_programs(cases, build)
    if missing:
        return f"skipped: no {', '.join(missing)} in the build folder"
    failed = False
    for index, case in enumerate(cases):
        actual = outcome(case, build, path.name)
        if actual == case.expected:
            continue
        failed = True
        if not update:
            title = f"{path.relative_to(ROOT)} (case {index + 1}: {'; '.join(case.commands)})"
            sys.stdout.writelines(line + "\n" for line in difflib.unified_diff(
                case.expected, actual, f"expected by {title}", "printed", lineterm=""))
        case.expected = actual
    if failed and update:
        parts = []
        for index, case in enumerate(cases):
            last = index + 1 == len(cases)
            parts += case.head + case.input + [EXPECT] + case.expected + ([] if not last else [""])
        path.write_text("\n".join(parts), encoding="utf-8")
        return "updated"
    return "FAILED" if failed else "ok"


def find_files(paths):
    for path in paths:
        if path.is_file():
            yield path
            continue
        for found in sorted(path.rglob("*")):
            if found.suffix in (".ir", ".kernel", ".txt") and "fixtures" not in found.parts:
                yield found


def main():
    parser = argparse.ArgumentParser(description="run the text tests")
    parser.add_argument("build", help="the build folder, build/dev")
    parser.add_argument("paths", nargs="*", help="files or folders; all of tests/ by default")
    parser.add_argument("--update", action="store_true", help="write what is printed as what is expected")
    arguments = parser.parse_intermixed_args()
    build = pathlib.Path(arguments.build).resolve()
    if not build.is_dir():
        parser.error(f"{arguments.build}: no such folder")
    paths = [pathlib.Path(path).resolve() for path in arguments.paths] or [ROOT / "tests"]
    for path in paths:
        if not path.exists() or not path.is_relative_to(ROOT):
            parser.error(f"{path}: no such file or folder in {ROOT}")
    counts = {"ok": 0, "updated": 0, "FAILED": 0, "skipped": 0}
    for path in find_files(paths):
        name = path.relative_to(ROOT)
        try:
            result = run_file(path, build, arguments.update)
        except (ValueError, subprocess.TimeoutExpired) as error:
            print(error)
            result = "FAILED"
        if result is None:
            continue
        word, _, reason = result.partition(": ")
        counts[word] += 1
        print(f"{word} {name}" + (f": {reason}" if reason else ""), flush=True)
    print(f"text tests: {counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped"
          + (f", {counts['updated']} updated" if arguments.update else ""))
    if sum(counts.values()) == 0:
        print("no text test found")
        return 1
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
