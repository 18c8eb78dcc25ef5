# SPDX-License-Identifier: Apache-2.0
"""The program that the package brings along, and the libraries that it compiles for models that are opened without one."""
from __future__ import annotations

import pathlib
import subprocess
import sys

from mlc_llm._errors import raise_error


def program_path() -> str:
    """Path of the program `mlc_llm` inside the package."""
    return str(pathlib.Path(__file__).resolve().parent / "bin" / "mlc_llm")


def compile_library(model: str, device: str = "auto", overrides: str = "", opt: str | None = None) -> str:
    """Path of the library for a model, from the cache (docs/env.md) or compiled into it, which takes seconds. Progress goes to
    standard error, as with `mlc_llm chat`. Raises MLCUserError with the program's message."""
    command = [program_path(), "debug", "library", model, "--device", device, "--overrides", overrides]
    if opt is not None:
        command += ["--opt", opt]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        assert process.stdout is not None and process.stderr is not None
        message = ""
        for line in process.stderr:
            # What the program says before an error is for whoever waits; the error itself is raised.
            if message or line.startswith(("error:", "internal error:")):
                message += line
            else:
                sys.stderr.write(line)
        path = process.stdout.read()
    if process.returncode != 0:
        raise_error(process.returncode, message.rstrip("\n") or f"error: {command[0]}: ended with status {process.returncode}")
    return path.rstrip("\n")
