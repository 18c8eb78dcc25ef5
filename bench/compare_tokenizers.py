#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures our tokenizers beside Hugging Face's package on one thread: bench/compare_tokenizers.py [--help]. See docs/tokenizers.md.

Everyone encodes and decodes the same files in turn, so that a busy machine slows both; times are CPU time of the thread,
the best of all rounds counts. Of the package the faster of `encode` and `encode_batch_fast` (which leaves out offsets) counts.
"""
import argparse
import json
import os
import pathlib
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


def milliseconds(run):
    """Result and CPU time of a call."""
    begin = time.thread_time()
    result = run()
    return result, (time.thread_time() - begin) * 1e3


class Best:
    """The least of the values that were seen under each key."""

    def __init__(self):
        self.values = {}

    def see(self, key, value):
        self.values[key] = min(value, self.values.get(key, value))


def run_ours(program, folder, files, best):
    command = [program, folder, *files, "--rounds", "2"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    best.see("load", result["load_ms"])
    for one in result["texts"]:
        best.see(("encode", one["file"]), one["encode_ms"])
        best.see(("decode", one["file"]), one["decode_ms"])
    return result


def run_theirs(folder, files, best):
    peer, load = milliseconds(lambda: tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")))
    best.see("load", load)
    counts = {}
    for file in files:
        text = pathlib.Path(file).read_text(encoding="utf-8")
        encoding, spent = milliseconds(lambda: peer.encode(text, add_special_tokens=False))
        best.see(("encode", file), spent)
        batch, spent = milliseconds(lambda: peer.encode_batch_fast([text], add_special_tokens=False))
        best.see(("encode", file), spent)
        ids = batch[0].ids
        if ids != encoding.ids:
            raise SystemExit(f"the package disagrees with itself about {file}")
        best.see(("decode", file), milliseconds(lambda: peer.decode(ids))[1])
        counts[file] = len(ids)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="folders with a tokenizer.json")
    parser.add_argument("--text", action="append", required=True, help="a UTF-8 file; may be given several times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bench_tokenizers")
    arguments = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, {arguments.rounds} rounds; milliseconds: ours, theirs, ratio")
    print("| tokenizer | tokens | load | text | MB | encode | MB/s | decode |\n|---|---|---|---|---|---|---|---|")

    def triple(ours, theirs, key):
        return f"{ours.values[key]:.1f} {theirs.values[key]:.1f} **{theirs.values[key] / ours.values[key]:.1f}×**"

    for folder in arguments.folders:
        ours, theirs = Best(), Best()
        for _ in range(arguments.rounds):
            result = run_ours(arguments.program, folder, arguments.text, ours)
            counts = run_theirs(folder, arguments.text, theirs)
        for one in result["texts"]:
            file = one["file"]
            if counts[file] != one["ids"]:
                raise SystemExit(f"{folder}: {file} gives {one['ids']} ids here and {counts[file]} there")
            rate = one["bytes"] / 1e3 / ours.values[("encode", file)]
            print(f"| {folder.name} | {result['tokens']} | {triple(ours, theirs, 'load')} | {pathlib.Path(file).name} "
                  f"| {one['bytes'] / 1e6:.2f} | {triple(ours, theirs, ('encode', file))} | {rate:.0f} "
                  f"| {triple(ours, theirs, ('decode', file))} |", flush=True)


if __name__ == "__main__":
    main()
