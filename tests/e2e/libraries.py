#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What compiled libraries consist of: they import nothing, equal input gives equal bytes, and the code of each CPU level uses
the instructions of that level and keeps its sums in registers."""
import functools
import os
import re
import shutil
import subprocess

from support.tiny_model import ROOT, Skipped, change_json, check, main, make_checkpoint

HOSTS = ["x86_64-linux-gnu", "aarch64-linux-gnu"]

# What the code of a level must have and must not have, q4f16_1 with int8 activations. {vex} is VNNI without AVX-512.
VEX = r"\bv\w+ps\b|%[yz]mm"
LEVELS = {
    "x86-64": (r"\bmulps\b", VEX + r"|\bpmaddubsw\b|\bpshufb\b|\bpmulld\b"),
    "x86-64-v2": (r"\bpmaddubsw\b", VEX),
    "x86-64-v3": (r"\bvpmaddubsw\b.*%ymm|\bvfmadd\w+ps\b.*%ymm|\bvcvtph2ps\b", r"%zmm|\bvpdpbusd\b"),
    "x86-64-v3-vnni": (r"\{vex\}\s+vpdpbusd\b.*%ymm|\bvfmadd\w+ps\b.*%ymm|\bvcvtph2ps\b", r"%zmm|\bvpmaddubsw\b"),
    "x86-64-v4": (r"\bvpmaddubsw\b.*%zmm|\bvfmadd\w+ps\b.*%zmm|\bvcvtph2ps\b", r"\bvpdpbusd\b"),
    "x86-64-v4-vnni": (r"\bvpdpbusd\b.*%zmm|\bvfmadd\w+ps\b.*%zmm|\bvcvtph2ps\b", r"\bvpmaddubsw\b"),
    "x86-64-v4-amx": (r"\btdpbusd\b|\btilerelease\b|\bvpdpbusd\b.*%zmm|\bvfmadd\w+ps\b.*%zmm|\bvcvtph2ps\b", r"\bvpmaddubsw\b"),
    "armv8": (r"\bfmla\b", r"\bsdot\b|\bsmmla\b|\busmmla\b"),
    "armv8-dotprod": (r"\bsdot\b|\bfmla\b", r"\bsmmla\b|\busmmla\b"),
    "armv8-i8mm": (r"\bsdot\b|\bfmla\b", r"\bbfmmla\b"),
}
# The levels whose tiles are made for their number of registers, and how many loads or stores of spilled vectors the inner loop of
# a matmul may have for each instruction that multiplies. For 16 rows eight columns with 4 in 72 are faster than four with none.
SPILLS = {("x86-64-v4-vnni", "gemm"): 0.06, ("x86-64-v4-vnni", "gemv"): 0.1, ("x86-64-v4", "gemm"): 0.1, ("x86-64-v4", "gemv"): 0.1,
          ("x86-64-v3-vnni", "gemm"): 0.2, ("x86-64-v4-amx", "gemm"): 0, ("x86-64-v3", "gemv_strips"): 0,
          ("x86-64-v3-vnni", "gemv_strips"): 0, ("x86-64-v4", "gemv_strips"): 0, ("x86-64-v4-vnni", "gemv_strips"): 0}


def quantizations():
    return re.findall(r'^MLC_QUANTIZATION\("(\w+)"', (ROOT / "src/quantization/quantizations.def").read_text(), re.M)


def make_config(program, quantization, changes=None, **shape):
    """The folder of a chat config; a library needs no weights."""
    source, model = make_checkpoint(program, **shape), program.folder / "model"
    change_json(source / "config.json", **(changes or {}))
    program.run("gen_config", source, "--quantization", quantization, "--conv-template", "LM", "-o", model)
    return model


def imports_nothing(quantization, changes, shape, program):
    readelf = shutil.which("llvm-readelf-19") or shutil.which("llvm-readelf") or shutil.which("readelf")
    if readelf is None:
        raise Skipped("readelf is absent")
    model, library = make_config(program, quantization, changes, **shape), program.folder / "lib.so"
    # One mode of each kind for all levels; the others, which share their templates, for this machine.
    for host in HOSTS if changes == {} and quantization in ("q4f16_1", "q3f16_0", "q4f16_awq", "q0bf16") else ["auto"]:
        program.run("compile", model, "--host", host, "-o", library)
        text = subprocess.run([readelf, "-W", "--dyn-syms", "-d", "-r", library], capture_output=True, text=True, check=True).stdout
        symbols = [line.split() for line in text.splitlines() if re.match(r"\s+\d+: ", line)]
        check(any(line[-1] == "mlc_llm_model_library" for line in symbols), host, text)
        undefined = [line for line in symbols if "UND" in line and line[0] != "0:"]
        check(not undefined, host, undefined)
        check("(NEEDED)" not in text and "(TEXTREL)" not in text, host, text)
        relocations = set(re.findall(r"\bR_\w+", text))
        check(relocations <= {"R_X86_64_RELATIVE", "R_AARCH64_RELATIVE"}, host, relocations)


def equal_input_gives_equal_bytes(program):
    def on_one_cpu():
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # compile takes a thread for each CPU

    for quantization, host in (("q4f16_1", "auto"), ("q0f32", "auto"), ("q4f16_1", "aarch64-linux-gnu")):
        model, library = make_config(program, quantization), program.folder / "lib.so"
        found = []
        for options, prepare in (([], None), ([], None), ([], on_one_cpu), (["--debug-dump", program.folder / "dump"], None)):
            program.run("compile", model, "--host", host, "-o", library, *options, prepare=prepare,
                        environment={"MLC_OBJECT_CACHE": "OFF"})  # all is compiled each time
            found.append(library.read_bytes())
        check(found[0] == found[1], quantization, host, "the second time other bytes")
        check(found[0] == found[2], quantization, host, "on one CPU other bytes")
        check(found[0] == found[3], quantization, host, "with --debug-dump other bytes")
        for _ in range(2):
            program.run("compile", model, "--host", host, "-o", library, environment={"MLC_OBJECT_CACHE": program.folder / "objects"})
            check(found[0] == library.read_bytes(), quantization, host, "with the cache of objects other bytes")


def functions(assembly):
    """Pairs of a kernel's name and its lines."""
    return [(part.group(1), part.group(2).splitlines())
            for part in re.finditer(r"^(mlc_kernel_\w+):(.*?)^\.Lfunc_end", assembly, re.M | re.S)]


def inner_loops(lines):
    """The instructions of each loop that has no other loop in it."""
    places = {line.split(":")[0]: number for number, line in enumerate(lines) if line.startswith(".LBB")}
    loops = []
    for number, line in enumerate(lines):
        target = re.match(r"\s+j\w+\s+(\.LBB\w+)", line)
        if target and places[target.group(1)] < number:
            loops.append((places[target.group(1)], number))
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return [[line for line in lines[begin:end] if re.match(r"\s+[a-z{]", line)] for begin, end in inner]


def check_spills(level, assembly):
    seen = 0
    for name, lines in functions(assembly):
        kind = re.match(r"mlc_kernel_(gemv_strips|gem[mv])_", name)
        if kind is None or (level, kind.group(1)) not in SPILLS:
            continue
        # The strips' epilogue (silu) has more constants than AVX2 has registers; their sums have none.
        multiply = r"\b(vpdpbusd|vpmaddubsw)\b" if kind.group(1) == "gemv_strips" else r"\b(vpdpbusd|vpmaddubsw|vfmadd)"
        places = {found.group(1) for line in lines if (found := re.search(r"vmov\w+\s+%[xyz]mm\d+, (-?\d*\(%rsp\))", line))}
        for loop in inner_loops(lines):
            products = sum(bool(re.search(multiply, line)) for line in loop)
            # A local array is indexed, or only tiles are stored there; a spilled register has a place of its own.
            spills = [line for line in loop if re.search(r"%[xyz]mm", line) and
                      (place := re.search(r"[\s,](-?\d*\(%rsp\))", line)) and place.group(1) in places]
            if products >= 8:
                seen += 1
                check(len(spills) <= products * SPILLS[level, kind.group(1)], f"{name}: {len(spills)} in a loop with {products}",
                      *loop)
    check(seen >= 4, level, "has hardly any loops that multiply")


def levels_use_their_instructions_and_registers(program):
    # Two steps a chain at least, as in any real model: of a loop with one step LLVM keeps the activations in registers as well.
    model = make_config(program, "q4f16_1", hidden=512, intermediate=1024)
    dump = program.folder / "dump"
    for host in HOSTS:
        program.run("compile", model, "--host", host, "--debug-dump", dump, "-o", program.folder / "lib.so")
    found = {path.stem.removeprefix("code-"): path for path in dump.glob("code-*.s")}
    check(set(found) == set(LEVELS), sorted(found))
    for level, path in found.items():
        assembly = path.read_text()
        required, forbidden = LEVELS[level]
        for pattern in required.split("|"):
            check(re.search(pattern, assembly), f"{level} lacks {pattern}")
        wrong = re.search(f".*({forbidden}).*", assembly)
        check(wrong is None, f"{level} has", wrong and wrong.group(0))
        called = set(re.findall(r"^\s+(?:callq?|jmpq?|bl|b)\s+([a-zA-Z_]\w*)", assembly, re.M))
        defined = set(re.findall(r"^(\w+):", assembly, re.M))
        check(called <= defined, level, "calls", called - defined)
    for level in sorted({level for level, _ in SPILLS}):
        check_spills(level, (dump / f"code-{level}.s").read_text())


def cases():
    mistral = {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 128}
    qwen2 = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_scaling":
             {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}}
    models = [("gpt_neox", "q4f16_1", {}, {"architecture": "gpt_neox"}), ("mistral", "q4f16_1", mistral, {}), ("qwen2", "q4f16_1", qwen2, {})]
    for quantization in quantizations():
        shape = {"hidden": 128, "intermediate": 128} if "awq" in quantization else {}
        models.append(("llama", quantization, {}, shape))
    return [(f"imports_nothing {name} {quantization}", functools.partial(imports_nothing, quantization, changes, shape))
            for name, quantization, changes, shape in models]


if __name__ == "__main__":
    main([levels_use_their_instructions_and_registers, equal_input_gives_equal_bytes, *cases()], at_once=2)
