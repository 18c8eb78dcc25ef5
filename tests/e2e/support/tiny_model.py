# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests of this folder share: a tiny model, and running the program.

Each test is a script: `NAME.py PROGRAM [KEPT_FOLDER]`. Exit 0: passed; 1: failed, with what failed on standard output;
77: skipped, because something that it needs is absent.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Program:
    """The program under test, with a cache of its own."""

    def __init__(self, path, folder):
        self.path = str(pathlib.Path(path).resolve())
        self.folder = pathlib.Path(folder)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MLC_")}
        self.environment["MLC_LLM_HOME"] = str(self.folder / "home")

    def run(self, *arguments, status=0, text="", environment=None):
        """Runs a command; gives (standard output, standard error). Another exit status fails the test."""
        result = subprocess.run([self.path, *map(str, arguments)], input=text.encode(), capture_output=True, timeout=120,
                                env={**self.environment, **(environment or {})}, check=False)
        out, err = result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")
        if result.returncode != status:
            raise AssertionError(f"{' '.join(map(str, arguments))}\nexit status {result.returncode}, expected {status}\n{out}\n{err}")
        return out, err


def make_model(program, name="model", template="LM", quantization="q4f16_1", options=(), **shape):
    """A llama with random weights whose tokens are the 256 bytes; its vocabulary has more ids than the tokenizer."""
    source, model = program.folder / f"{name}-source", program.folder / name
    arguments = {"hidden": 64, "intermediate": 96, "layers": 2, "heads": 4, "kv-heads": 2, "vocab": 300, "context": 512, **shape}
    subprocess.run([sys.executable, ROOT / "scripts/make_random_checkpoint.py", source, "--tokenizer",
                    *(f"--{key}={value}" for key, value in arguments.items())], check=True, stdout=subprocess.DEVNULL)
    program.run("convert_weight", source, "--quantization", quantization, "-o", model)
    program.run("gen_config", source, "--quantization", quantization, "--conv-template", template, "-o", model, *options)
    return model


def check(condition, *what):
    if not condition:
        raise AssertionError("\n".join(map(str, what)))


def main(tests):
    """Runs the test functions, each with a fresh Program."""
    try:
        import numpy  # noqa: F401, what make_random_checkpoint.py needs
    except ImportError:
        print("skipped: needs numpy")
        sys.exit(77)
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Program(sys.argv[1], folder))
            except Exception:  # a test that fails must not hide the others
                failed += 1
                print(f"FAILED {test.__name__}\n{traceback.format_exc()}")
    print(f"{len(tests) - failed} of {len(tests)} passed")
    sys.exit(1 if failed else 0)
