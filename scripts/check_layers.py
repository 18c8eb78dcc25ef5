#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the one dependency rule of docs/architecture.md: which folder of src/ may include which.

An include may go down its own column or into the base, never up and never across. LLVM's headers are included in
codegen/llvm only, LLD's in link only. Tests and fuzzers, which ship to nobody, may include their whole column. Prints every
include that breaks a rule; exit status 1 if there is one.
"""
import pathlib
import re
import sys

BASE = {
    "support": set(),
    "target": {"support"},
    "formats": {"support"},
    "tokenizers": {"support"},
}
# From the bottom of each column to its top. graph, models, quantization and kernel: models and quantization never
# include each other; kernel includes neither.
LEFT = {
    "graph": set(),
    "models": {"graph"},
    "quantization": {"graph"},
    "kernel": {"graph"},
    "codegen": {"graph", "kernel"},
    "link": {"graph", "kernel", "codegen"},
    "compiler": {"graph", "models", "quantization", "kernel", "codegen", "link"},
}
RIGHT = {
    "runtime": set(),
    "engine": {"runtime"},
    "serve": {"runtime", "engine"},
}
# The folders that see both columns, and which of each other.
GLUE = {"jit": set(), "capi": {"jit"}, "cli": {"jit"}}

ALLOWED = dict(BASE)
ALLOWED_IN_TESTS = {folder: set(BASE) for folder in BASE}
for column in (LEFT, RIGHT):
    for folder, below in column.items():
        ALLOWED[folder] = below | set(BASE)
        ALLOWED_IN_TESTS[folder] = set(column) | set(BASE)
for folder, below in GLUE.items():
    ALLOWED[folder] = ALLOWED_IN_TESTS[folder] = below | set(BASE) | set(LEFT) | set(RIGHT)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def problems(root):
    src = root / "src"
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cpp", ".def", ".inc"):
            continue
        relative = path.relative_to(src)
        folder = relative.parts[0]
        is_test = path.stem.endswith(("_test", "_fuzzer"))
        allowed = ALLOWED_IN_TESTS if is_test else ALLOWED
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, name = match.groups()
            top = name.split("/")[0]
            where = f"src/{relative}:{number}: includes {name}"
            if top == "llvm" and relative.parts[:2] != ("codegen", "llvm"):
                yield f"{where}: LLVM is included in src/codegen/llvm only"
            if top == "lld" and folder != "link":
                yield f"{where}: LLD is included in src/link only"
            if kind == '"' and top in allowed and top != folder:
                if folder not in allowed:
                    yield f"src/{relative}: no folder of docs/architecture.md"
                elif top not in allowed[folder]:
                    yield f"{where}: {folder} may include {', '.join(sorted(allowed[folder])) or 'nothing'}"
            if kind == '"' and not is_test and "/" not in name:
                yield f"{where}: paths in includes start at src"


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    found = list(problems(root))
    print("\n".join(found) if found else "layers: no include breaks the rule")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
