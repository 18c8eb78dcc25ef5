#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page "Compile Model Libraries" of MLC LLM's documentation, word for word: its commands on models of the shapes that it
names, only for the device cpu. `git` is a script that makes random weights in place of a download."""
import json
import os
import re
import struct
import subprocess
import sys

from support.tiny_model import ROOT, change_json, check, main, make_checkpoint, make_model, shared_path

PAGE = "spec/compile_model_libraries.txt"
USAGE = "usage: MLC LLM Command Line Interface. [-h] {compile,convert_weight,gen_config"

GET_REDPAJAMA = """
mkdir -p dist/models && cd dist/models
# Clone HF weights
git lfs install
git clone https://huggingface.co/togethercomputer/RedPajama-INCITE-Chat-3B-v1
cd ../..
# Convert weight
mlc_llm convert_weight ./dist/models/RedPajama-INCITE-Chat-3B-v1/ \\
    --quantization q4f16_1 \\
    -o dist/RedPajama-INCITE-Chat-3B-v1-q4f16_1-MLC
"""
COMPILE_REDPAJAMA = """
mkdir dist/libs
# 1. gen_config: generate mlc-chat-config.json and process tokenizers
mlc_llm gen_config ./dist/models/RedPajama-INCITE-Chat-3B-v1/ \\
    --quantization q4f16_1 --conv-template redpajama_chat \\
    -o dist/RedPajama-INCITE-Chat-3B-v1-q4f16_1-MLC/
# 2. compile: compile model library with specification in mlc-chat-config.json
mlc_llm compile ./dist/RedPajama-INCITE-Chat-3B-v1-q4f16_1-MLC/mlc-chat-config.json \\
    --device cuda -o dist/libs/RedPajama-INCITE-Chat-3B-v1-q4f16_1-cuda.so
"""
GET_LLAMA = """
mkdir -p dist/models && cd dist/models
git lfs install
git clone https://huggingface.co/meta-llama/Llama-2-7b-chat-hf
cd ../..
"""
CONVERT_LLAMA = """
mlc_llm convert_weight ./dist/models/Llama-2-7b-chat-hf/ --quantization q4f16_1 -o dist/Llama-2-7b-chat-hf-q4f16_1-MLC
"""
COMPILE_LLAMA = """
mkdir dist/libs
# 1. gen_config: generate mlc-chat-config.json and process tokenizers
mlc_llm gen_config ./dist/models/Llama-2-7b-chat-hf/ --quantization q4f16_1 \\
    --conv-template llama-2 -o dist/Llama-2-7b-chat-hf-q4f16_1-MLC/
# 2. compile: compile model library with specification in mlc-chat-config.json
mlc_llm compile ./dist/Llama-2-7b-chat-hf-q4f16_1-MLC/mlc-chat-config.json \\
    --device cuda -o dist/libs/Llama-2-7b-chat-hf-q4f16_1-cuda.so
"""
OPT = "cutlass_attn=1;cutlass_norm=0;cublas_gemm=0;cudagraph=0"
OVERRIDES = "context_window_size=1024;prefill_chunk_size=128"

# Narrower and with fewer layers than the real ones, with their vocabularies; large enough for two shards.
CHECKPOINTS = {
    "RedPajama-INCITE-Chat-3B-v1": ["--architecture", "gpt_neox", "--format", "bin", "--hidden", "512", "--intermediate", "2048",
                                    "--heads", "8", "--layers", "4", "--vocab", "50432", "--context", "2048"],
    "Llama-2-7b-chat-hf": ["--format", "safetensors", "--shards", "2", "--hidden", "512", "--intermediate", "1376", "--heads", "8",
                           "--kv-heads", "8", "--layers", "4", "--vocab", "32000", "--context", "4096"],
}
GIT = """#!/bin/sh
test "$1" = clone || exit 0
name=$(basename "$2")
case $name in
{cases}
esac
"""


class Shell:
    """A bash in a folder of its own, in which the page's commands find `mlc_llm` and `git`."""

    def __init__(self, program):
        self.folder = program.folder / "work"
        programs = program.folder / "bin"
        self.folder.mkdir()
        programs.mkdir()
        (programs / "mlc_llm").symlink_to(program.path)
        script = ROOT / "scripts/make_random_checkpoint.py"
        cases = [f"{name}) exec {sys.executable} {script} $name --tokenizer {' '.join(shape)} ;;" for name, shape in CHECKPOINTS.items()]
        (programs / "git").write_text(GIT.format(cases="\n".join(cases)))
        (programs / "git").chmod(0o755)
        self.environment = {**program.environment, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(self, commands):
        """Gives (standard output, standard error); the first command that fails fails the case."""
        result = subprocess.run(["bash", "-e", "-c", commands.replace("cuda", "cpu")], cwd=self.folder, env=self.environment,
                                capture_output=True, text=True, timeout=300, check=False)
        check(result.returncode == 0, commands, result.stdout, result.stderr)
        return result.stdout, result.stderr


def help_begins_with_the_usage_line(program):
    out = program.run("--help")[0]
    check(out.startswith(USAGE), out)


def the_commands_are_those_of_the_page(_):
    page = shared_path(PAGE).read_text()
    for commands in (GET_REDPAJAMA, COMPILE_REDPAJAMA, GET_LLAMA, CONVERT_LLAMA, COMPILE_LLAMA, USAGE, OPT, OVERRIDES):
        check(commands in page, "not on the page:", commands)
    for command in re.findall(r"^(?:mlc_llm|git|mkdir) .*", page, re.M):  # and all commands of the page are here
        pattern = command.removesuffix(" \\")
        if pattern.split()[-1] in ("convert_weight", "gen_config", "compile"):  # a synopsis
            continue
        check(any(pattern in c for c in (GET_REDPAJAMA, COMPILE_REDPAJAMA, GET_LLAMA, CONVERT_LLAMA, COMPILE_LLAMA)), command)


def check_files(shell, model, library, shards, has_float32):
    libs = shell.run("ls dist/libs")[0]
    check(libs == library + "\n", libs)
    files = shell.run(f"ls {model}")[0].split()
    caches = ["ndarray-cache", "tensor-cache"] + (["ndarray-cache-b16", "tensor-cache-b16"] if has_float32 else [])
    expected = ["mlc-chat-config.json", *(f"{name}.json" for name in caches), *(f"params_shard_{i}.bin" for i in range(shards)),
                "tokenizer.json", "tokenizer_config.json"]
    check(files == sorted(expected), files)
    index = (shell.folder / model / "ndarray-cache.json").read_bytes()
    check(index == (shell.folder / model / "tensor-cache.json").read_bytes(), "the two names of the index differ")
    # The model answers. Nothing random is said about "hi" that a test could expect.
    out, log = shell.run(f"echo hi | mlc_llm chat ./{model} --model-lib ./dist/libs/{library} --max-tokens 8 --temperature 0")
    check("[output truncated after 8 tokens" in log and out.endswith("\n"), out, log)


def redpajama(program):
    shell = Shell(program)
    out = shell.run(GET_REDPAJAMA)
    check("bits per parameter" in "".join(out).lower(), out)
    out = shell.run(COMPILE_REDPAJAMA)
    check("generated dist/libs/RedPajama-INCITE-Chat-3B-v1-q4f16_1-cpu.so in " in out[0], out)
    model = "dist/RedPajama-INCITE-Chat-3B-v1-q4f16_1-MLC"
    check_files(shell, model, "RedPajama-INCITE-Chat-3B-v1-q4f16_1-cpu.so", shards=2, has_float32=True)
    config = json.loads((shell.folder / model / "mlc-chat-config.json").read_text())
    check(config["model_type"] == "gpt_neox" and config["quantization"] == "q4f16_1", config)
    check(config["context_window_size"] == 2048 and config["conv_template"]["name"] == "redpajama_chat", config)


def llama_2(program):
    shell = Shell(program)
    shell.run(GET_LLAMA)
    shell.run(CONVERT_LLAMA)
    shell.run(COMPILE_LLAMA)
    model = "dist/Llama-2-7b-chat-hf-q4f16_1-MLC"
    check_files(shell, model, "Llama-2-7b-chat-hf-q4f16_1-cpu.so", shards=1, has_float32=False)
    config = json.loads((shell.folder / model / "mlc-chat-config.json").read_text())
    check(config["model_type"] == "llama" and config["conv_template"]["name"] == "llama-2", config)
    check(config["context_window_size"] == 4096, config)


def all_options_of_convert_weight(program):
    source, out = make_checkpoint(program), program.folder / "out"
    for quantization in ("q0f16", "q0f32", "q3f16_1", "q4f16_1", "q4f32_1"):
        program.run("convert_weight", source, "--quantization", quantization, "--model-type", "llama", "--device", "cuda:0", "--source",
                    source / "model.safetensors", "--source-format", "huggingface-safetensor", "--output", out / quantization)
        program.run("convert_weight", source / "config.json", "--quantization", quantization, "-o", out / f"{quantization}-same")
        names = sorted(path.name for path in (out / quantization).iterdir())
        check("ndarray-cache.json" in names and "params_shard_0.bin" in names, names)
        for name in names:
            check((out / quantization / name).read_bytes() == (out / f"{quantization}-same" / name).read_bytes(), name)
    # A preset gives the architecture alone: its weights have to be named, and those below are another model's.
    err = program.run("convert_weight", "llama2_7b", "--quantization", "q4f16_1", "-o", out / "preset", status=1)[1]
    check("error: preset llama2_7b: is an architecture without weights\n  name the weights with --source" in err, err)
    err = program.run("convert_weight", "llama2_7b", "--source", source, "--quantization", "q4f16_1", "-o", out / "preset", status=1)[1]
    check("model.embed_tokens.weight" in err and "[32000, 4096]" in err, err)
    # Ours is no checkpoint of AWQ.
    err = program.run("convert_weight", source, "--quantization", "q4f16_awq", "-o", out / "awq", status=1)[1]
    check("awq" in err.lower(), err)


def all_options_of_gen_config(program):
    source, out = make_checkpoint(program), program.folder / "out"
    for config in (source, source / "config.json", "llama2_7b"):
        program.run("gen_config", config, "--quantization", "q4f16_1", "--model-type", "llama", "--conv-template", "LM",
                    "--context-window-size", 256, "--prefill-chunk-size", 64, "--tensor-parallel-shard", 2, "--output", out)
        written = json.loads((out / "mlc-chat-config.json").read_text())
        check([written[key] for key in ("context_window_size", "prefill_chunk_size", "tensor_parallel_shards")] == [256, 64, 2], written)
    change_json(source / "config.json", model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=128)
    program.run("gen_config", source, "--quantization", "q4f16_1", "--conv-template", "mistral_default", "--sliding-window-size", 64,
                "-o", out)
    written = json.loads((out / "mlc-chat-config.json").read_text())
    check(written["sliding_window_size"] == 64, written)


def all_options_of_compile(program):
    model = make_model(program, context=2048)
    library = program.folder / "lib.so"

    def compiled(*options):
        library.unlink(missing_ok=True)
        _, log = program.run("compile", model, *options, "-o", library)
        return json.loads(program.run("model_metadata", library)[0]), log

    for opt, int8_activations in {"O0": 0, "O1": 0, "O2": 1, "O3": 1}.items():
        knobs = compiled("--opt", opt)[0]["opt"]
        check(f"int8_activations={int8_activations}" in knobs, opt, knobs)
    log = compiled(f"--opt={OPT}")[1]
    check("no effect on a CPU: cutlass_attn, cutlass_norm, cublas_gemm, cudagraph" in log, log)
    metadata = compiled("--overrides", OVERRIDES)[0]
    check(metadata["context_window_size"] == 1024 and metadata["prefill_chunk_size"] == 128, metadata)
    metadata = compiled("--overrides", "max_batch_size=4;tensor_parallel_shards=1")[0]
    check(metadata["max_batch_size"] == 4 and metadata["tensor_parallel_shards"] == 1, metadata)
    metadata = compiled("--quantization", "q4f16_1", "--model-type", "llama", "--device", "cpu", "--system-lib-prefix", "llama_")[0]
    check(metadata["model_type"] == "llama", metadata)
    metadata = compiled("--host", "x86_64-linux-gnu")[0]
    check(metadata["triple"] == "x86_64-unknown-linux-gnu" and "x86-64-v2" in metadata["cpu_levels"], metadata)
    program.run("compile", model, "--host", "aarch64-linux-gnu", "-o", library)
    check(struct.unpack("<H", library.read_bytes()[18:20])[0] == 183, "ELF's e_machine is not that of AArch64")

    source, mistral = make_checkpoint(program, "mistral"), program.folder / "mistral"
    change_json(source / "config.json", model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=128)
    program.run("gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM", "-o", mistral)
    program.run("compile", mistral, "--overrides", "sliding_window=64", "-o", library)
    metadata = json.loads(program.run("model_metadata", library)[0])
    check(metadata["sliding_window_size"] == 64, metadata)


def what_is_not_implemented_is_refused_by_name(program):
    model = make_model(program)
    library = program.folder / "lib.so"
    for options, message in [
            (["--device", "cuda", "-o", library], "--device: cuda is not implemented yet\n  expected cpu"),
            (["-o", program.folder / "lib.tar"], "--output: .tar files are not implemented yet\n  expected .so"),
            (["-o", program.folder / "lib.dylib"], "--output: .dylib files are not implemented yet"),
            (["-o", program.folder / "lib.dll"], "--output: .dll files are not implemented yet"),
            (["-o", program.folder / "lib.wasm"], "--output: .wasm files are not implemented yet"),
            (["--overrides", "tensor_parallel_shards=2", "-o", library], "tensor_parallel_shards is 2, which is not implemented"),
            *((["--host", host, "-o", library], f"--host: no code can be made for {host} yet") for host in (
                "arm64-apple-ios", "aarch64-linux-android", "wasm32-unknown-unknown-wasm", "x86_64-pc-windows-msvc", "arm64-apple-darwin")),
    ]:
        err = program.run("compile", model, *options, status=1)[1]
        check(message in err, options, err)
        check(not library.exists() and not any(program.folder.glob("lib.*")), "something was written")


if __name__ == "__main__":
    main([help_begins_with_the_usage_line, the_commands_are_those_of_the_page, redpajama, llama_2, all_options_of_convert_weight,
          all_options_of_gen_config, all_options_of_compile, what_is_not_implemented_is_refused_by_name])
