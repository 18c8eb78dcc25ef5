#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Logits and greedy ids of the tiny models of ../shared/conformance against what transformers computes, through the program:
every way to cut a prompt into prefill and decode steps gives the same bits.

    conformance.py PROGRAM [--only MODEL] [--quantization Q] [--opt OPT]
"""
import argparse
import functools
import importlib.util
import json

from support.tiny_model import Skipped, check, main, shared_path

QUANTIZATIONS = ["q0f32", "q0f16"]
MODEL_TYPES = ["gpt_neox", "llama", "mistral", "qwen2"]
CHUNKS = [1, 5, 16]


def models():
    try:
        folders = shared_path("conformance/models")
    except Skipped:
        return ["all"]  # a case that says why it is skipped
    return sorted(config.parent.name for config in folders.glob("*/config.json")
                  if json.loads(config.read_text())["model_type"] in MODEL_TYPES)


def load_compare():
    spec = importlib.util.spec_from_file_location("compare", shared_path("conformance/compare.py"))
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    return compare


def agrees(name, quantization, opt, program):
    source = shared_path("conformance/models") / name
    compare = load_compare()
    model, library, tokens = program.folder / "model", program.folder / "lib.so", program.folder / "tokens.json"
    program.run("convert_weight", source, "--quantization", quantization, "-o", model)
    program.run("gen_config", source, "--quantization", quantization, "--conv-template", "LM", "--attention-sink-size", 0, "-o", model)
    program.run("compile", model, "-o", library, *(["--opt", opt] if opt else []))
    golden = compare.load(str(source))
    run = [model, "--model-lib", library, "--tokens", tokens, "--threads", 1]
    for number, prompt in enumerate(golden[0]["prompts"]):
        length = len(prompt["tokens"])
        tokens.write_text(json.dumps(prompt["tokens"]))
        cuts = [[], *(["--prefill-chunk", n] for n in CHUNKS if n < length)]
        cuts += [["--decode-from", k] for k in sorted({1, length // 2} - {0, length})]
        first = None
        for cut in cuts:
            output = program.folder / "logits.npy"
            program.run("debug", "logits", *run, "--output", output, *cut)
            if first is None:
                first = output.read_bytes()
                result = compare.logits(golden, number, output, quantization)
                check(result["ok"], f"prompt {number}:", result)
            # Equal bits are equally near to the golden.
            check(output.read_bytes() == first, f"prompt {number} with {cut}: other bits,", compare.logits(golden, number, output, quantization))
        ids = json.loads(program.run("debug", "greedy", *run, "--max-new", 16)[0])
        result = compare.greedy(golden, number, ids, quantization)
        check(result["ok"], f"prompt {number}:", result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--only", metavar="MODEL", help="a folder of ../shared/conformance/models")
    parser.add_argument("--quantization", help="default: " + " and ".join(QUANTIZATIONS))
    parser.add_argument("--opt", help="of compile; default: its own")
    arguments = parser.parse_args()
    main([(f"{name} {quantization}", functools.partial(agrees, name, quantization, arguments.opt))
          for name in ([arguments.only] if arguments.only else models())
          for quantization in ([arguments.quantization] if arguments.quantization else QUANTIZATIONS)],
         arguments.program, at_once=2)
