#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies the help of every command into docs/cli.md: between the lines `<!-- help: COMMAND -->` and `<!-- end -->`.

    update_cli_docs.py PROGRAM           writes the file
    update_cli_docs.py PROGRAM --check   exit status 1 if it would change, or if a command is missing in it
"""
import difflib
import pathlib
import re
import subprocess
import sys

FILE = pathlib.Path(__file__).resolve().parent.parent / "docs/cli.md"
BLOCK = re.compile(r"(<!-- help: (.*?) ?-->\n).*?(<!-- end -->\n)", re.DOTALL)


def help_of(program, words):
    result = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True)
    return f"```\n{result.stdout}```\n"


def commands(program):
    return re.search(r"\{(.*?)\}", help_of(program, [])).group(1).split(",")


def main():
    program = sys.argv[1]
    old = FILE.read_text(encoding="utf-8")
    new = BLOCK.sub(lambda m: m.group(1) + help_of(program, m.group(2).split()) + m.group(3), old)
    described = [m.group(2) for m in BLOCK.finditer(old)]
    missing = [name for name in commands(program) if name not in described]
    if "--check" not in sys.argv:
        FILE.write_text(new, encoding="utf-8")
    elif new != old:
        print("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "docs/cli.md", "as the program prints it")), end="")
        print(f"run scripts/update_cli_docs.py {program}")
    for name in missing:
        print(f"docs/cli.md has no section about the command {name}")
    return 1 if missing or ("--check" in sys.argv and new != old) else 0


if __name__ == "__main__":
    sys.exit(main())
