#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our tokenizers with Hugging Face's package on random texts: tokenizer_fuzz.py PROGRAM [--seconds N] [--seed N]
[--tokenizer FILE]...

Tokenizers: those of support/tokenizer_recipes.py, some drawn by chance, those in ../shared, and FILEs. Each first gets the texts that
once were found to differ (tests/fixtures/tokenizers/found.json), then random ones for its share of the seconds. Ids with and without
special tokens, decoded texts of these and of random ids, and the joined pieces of a streamed decode must be equal. A text that
differs is made as short as possible and printed, to be fixed and added to found.json.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RUST_BACKTRACE"] = "0"
try:
    import tokenizers
except ImportError:
    print("skipped tokenizer_fuzz: Python has no package tokenizers")
    sys.exit(77)

from support import tokenizer_recipes
from support.tiny_model import ROOT, Program
from support.tokenizer_texts import random_text

BATCH = 250
FOUND = ROOT / "tests/fixtures/tokenizers/found.json"


@contextlib.contextmanager
def quiet():
    """Without standard error, where the package reports each panic."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


class Ours:
    """Our program at work on lists."""

    def __init__(self, program, file):
        self.program, self.file = program, file

    def run(self, command, values, *flags):
        source, result = self.program.folder / "in.json", self.program.folder / "out.json"
        source.write_text(json.dumps(values))
        self.program.run("debug", command, self.file, "--input", source, "--output", result, *flags)
        return json.loads(result.read_text())


class Theirs:
    """The package at work on lists; None where it raises: some of its parts panic on texts that they do not expect."""

    def __init__(self, file):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(file))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def run(self, command, values, *flags):
        def one(value):
            try:
                if command == "tokenize":
                    return self.tokenizer.encode(value, add_special_tokens="--add-special" in flags).ids
                return self.tokenizer.decode(value, skip_special_tokens="--keep-special" not in flags)
            except BaseException as error:  # pylint: disable=broad-exception-caught
                if isinstance(error, KeyboardInterrupt):
                    raise
                return None
        with quiet():
            return [one(value) for value in values]


def joins(text, pieces, tokens):
    """Streamed pieces join to the text. Not compared where a run of byte tokens is no text, or spells a blank's sign: what the
    package makes of these depends on the whole run."""
    return "\ufffd" in text or "<0xE2><0x96><0x81>" in "".join(map(str, tokens)) or "".join(pieces) == text


def difference(ours, theirs, command, flags, values):
    """The first value with other results, with both results; or None."""
    expected = theirs.run(command, values, *flags)
    known = [(value, want) for value, want in zip(values, expected) if want is not None]
    for (value, want), got in zip(known, ours.run(command, [value for value, _ in known], *flags)):
        if got != want:
            return value, want, got
    return None


def shorter(differs, value):
    """Takes parts out of a value (text or list of ids) as long as it differs."""
    size = len(value) // 2
    while size > 0:
        candidates = [value[:i] + value[i + size:] for i in range(0, len(value), size)]
        found = differs([candidate for candidate in candidates if candidate])
        if found is None:
            size //= 2
        else:
            value = found[0]
            size = min(size, len(value) // 2) or len(value) // 2
    return value


def compare(ours, theirs, texts, rng):
    """What differs, as a text; or None."""
    size = theirs.tokenizer.get_vocab_size()
    encoded = [ids for ids in theirs.run("tokenize", texts) if ids]
    id_lists = encoded[:100] + [[rng.randrange(size) for _ in range(rng.randrange(1, 16))] for _ in range(100)]
    for command, flags, values in [("tokenize", (), texts), ("tokenize", ("--add-special",), texts),
                                   ("detokenize", (), id_lists), ("detokenize", ("--keep-special",), id_lists)]:
        def differs(candidates, command=command, flags=flags):
            return difference(ours, theirs, command, flags, candidates)
        found = differs(values)
        if found is not None:
            value, want, got = differs([shorter(differs, found[0])])
            return f"{command} {' '.join(flags)} of {json.dumps(value)}\n  theirs {json.dumps(want)[:600]}\n  ours   {json.dumps(got)[:600]}"
    whole = ours.run("detokenize", id_lists, "--keep-special")
    for ids, text, pieces in zip(id_lists, whole, ours.run("detokenize", id_lists, "--keep-special", "--stream")):
        if not joins(text, pieces, map(theirs.tokenizer.id_to_token, ids)):
            return f"streamed pieces of {ids} do not join: {pieces}\n  decoded {json.dumps(text)}"
    return None


def fuzz(program, file, texts, seconds, rng):
    """Compares until the seconds are over; gives what differs, or None, and the number of texts."""
    ours, theirs = Ours(program, file), Theirs(file)
    added = [token.content for token in theirs.tokenizer.get_added_tokens_decoder().values()][:400]
    until, count = time.monotonic() + seconds, 0
    while True:
        wrong = compare(ours, theirs, texts, rng)
        count += len(texts)
        if wrong is not None or time.monotonic() > until:
            return wrong, count
        texts = [random_text(rng, added) for _ in range(BATCH)]


def tokenizer_files(program, arguments, rng):
    """(name, file) of all; those drawn by chance are as many as there are seconds for."""
    folder = program.folder / "tokenizers"
    folder.mkdir()

    def saved(name, tokenizer):
        path = folder / f"{name}.json"
        tokenizer.save(str(path))
        return name, path

    for name in tokenizer_recipes.RECIPES:
        yield saved(name, tokenizer_recipes.recipe(name))
    for path in sorted((ROOT.parent / "shared/conformance/tokenizers").glob("*/tokenizer.json")):
        yield path.parent.name, path
    for path in arguments.tokenizer:
        yield str(path), path
    made = 0
    while made < max(4, arguments.seconds // 4):
        seed = rng.randrange(1 << 30)
        try:  # the package may refuse to train it
            with quiet():
                name, path = saved(f"random-{seed}", tokenizer_recipes.random_recipe(random.Random(seed)))
                tokenizers.Tokenizer.from_file(str(path))  # some of its files the package cannot read itself
            made += 1
            yield name, path
        except BaseException as error:  # pylint: disable=broad-exception-caught
            if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
                raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("TOKENIZER_FUZZ_SECONDS", "10")), help="of comparing, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", type=pathlib.Path, action="append", default=[], help="a tokenizer.json; may be given several times")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    found = json.loads(FOUND.read_text(encoding="utf-8"))
    rng = random.Random(arguments.seed)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        program = Program(arguments.program, folder)
        count = len(tokenizer_recipes.RECIPES) + 10 + len(arguments.tokenizer) + max(4, arguments.seconds // 4)
        for name, file in tokenizer_files(program, arguments, rng):
            # Of its own, so that one tokenizer meets the same texts whatever came before it.
            own = random.Random(f"{arguments.seed} {name}")
            wrong, texts = fuzz(program, file, found, arguments.seconds / count, own)
            if wrong is not None:
                failed = True
                kept = pathlib.Path(tempfile.gettempdir()) / f"tokenizer_fuzz-{name.replace('/', '_')}.json"
                kept.write_bytes(pathlib.Path(file).read_bytes())
                print(f"{wrong}\n  tokenizer {kept}\nFAILED tokenizer_fuzz {name}", flush=True)
            else:
                print(f"ok tokenizer_fuzz {name} ({texts} texts)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
