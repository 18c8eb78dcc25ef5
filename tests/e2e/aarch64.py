#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Libraries for AArch64: their machine, imports and instructions; and, under qemu-aarch64 with a cross-compiled runtime, logits
that have the bits of the x86-64 library's, as the order of summation is the same on every CPU that has FMA."""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading

from support.tiny_model import ROOT, Skipped, check, main, make_model

SYSROOT = pathlib.Path("/usr/aarch64-linux-gnu")
# Each level on the model of a CPU that has no more.
LEVELS = {"armv8": "cortex-a57", "armv8-dotprod": "neoverse-n1", "armv8-i8mm": "max"}
PROMPT = [(i * i * 31 + i * 97 + 5) % 300 for i in range(45)]


def tool(name, package):
    found = shutil.which(name)
    if found is None:
        raise Skipped(f"{name} is absent (Debian: {package})")
    return found


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def library_is_for_aarch64_and_imports_nothing(program):
    readelf, objdump = tool("llvm-readelf-19", "llvm-19"), tool("llvm-objdump-19", "llvm-19")
    model, library = make_model(program), program.folder / "lib.so"
    program.run("compile", model, "--host", "aarch64-linux-gnu", "-o", library)
    header = output_of(readelf, "-h", library)
    check(re.search(r"Machine:\s+AArch64", header) and re.search(r"Type:\s+DYN", header), header)
    symbols = output_of(readelf, "--dyn-syms", "-W", library)
    names = [line.split()[6:] for line in symbols.splitlines() if re.match(r"\s+[1-9]\d*: ", line)]
    check(names and all(index != "UND" for index, *_ in names), symbols)
    check(any("mlc_llm_model_library" in name for name in names), symbols)
    code = output_of(objdump, "-d", "--no-show-raw-insn", "--mattr=+dotprod,+i8mm,+bf16,+fullfp16", library)
    check(code.count("sdot") > 20, "the library has hardly any sdot")
    check("<unknown>" not in code)


def inner_loop(lines, instruction):
    """The lines of the loop around the first such instruction."""
    begin = end = next(number for number, line in enumerate(lines) if re.match(rf"\s+{instruction}\s", line))
    while not lines[begin].startswith(".LBB"):
        begin -= 1
    while not re.match(r"\s+b\.\w+\s+" + re.escape(lines[begin].split(":")[0]), lines[end]):
        end += 1
    return lines[begin:end]


def levels_have_their_dot_products(program):
    """sdot sums four products of int8 and smmla eight in each of four sums, at the levels that have them: smmla in gemm, which
    keeps its sums in registers."""
    model, dump = make_model(program), program.folder / "dump"
    program.run("compile", model, "--host", "aarch64-linux-gnu", "--debug-dump", dump, "-o", program.folder / "lib.so")
    found = {path.stem.removeprefix("code-"): path.read_text() for path in dump.glob("code-*.s")}
    check(set(found) == set(LEVELS), sorted(found))
    for level, assembly in found.items():
        dots = len(re.findall(r"^\s+[us]+dot\s", assembly, re.M))
        check(dots == 0 if level == "armv8" else dots > 20, level, f"has {dots} sdot")
        tiles = len(re.findall(r"^\s+[us]*mmla\s", assembly, re.M))
        check(tiles > 20 if level == "armv8-i8mm" else tiles == 0, level, f"has {tiles} smmla")
    gemms = re.findall(r"^mlc_kernel_gemm_i8_\w+:.*?^\.Lfunc_end", found["armv8-i8mm"], re.M | re.S)
    check(len(gemms) >= 4, f"{len(gemms)} gemms")
    for gemm in gemms:
        check(not re.search(r"^\s+sdot\s", gemm, re.M), gemm)
        loop = inner_loop(gemm.splitlines(), "smmla")
        check(not any("[sp" in line for line in loop), "spills", *loop)


def sources():
    """What a program needs that runs libraries: formats has a few files more, which the linker leaves out."""
    files = [p for folder in ("support", "target", "runtime") for p in sorted((ROOT / "src" / folder).glob("*.cpp"))]
    files = [p for p in files if not p.stem.endswith(("_test", "_fuzzer", "_wasm")) and not p.stem.startswith(("host_", "amx_emulator")) and p.stem != "version"]
    files += [ROOT / "src/formats" / f"{name}.cpp" for name in ("outputs", "parameter_index", "parameter_shards", "plan", "symbols", "weight_file")]
    return [*files, ROOT / "src/target/host_aarch64.cpp", ROOT / "tests/e2e/support/run_library.cpp"]


_folder = tempfile.TemporaryDirectory()
_lock = threading.Lock()


@functools.cache
def runner():
    """The command that runs run_library, compiled for AArch64, on a model of a CPU: runner()(cpu) + arguments."""
    qemu = tool("qemu-aarch64", "qemu-user")
    compiler = tool("clang++-19", "clang-19")
    tool("ld.lld-19", "lld-19")
    if not (SYSROOT / "include/c++/12/string").exists():
        raise Skipped(f"{SYSROOT} has no C++ library (Debian: libstdc++-12-dev-arm64-cross)")
    folder = pathlib.Path(_folder.name)
    target = ["--target=aarch64-linux-gnu", "-std=c++20", "-O1"]
    definitions = ["-fno-exceptions", "-DRAPIDJSON_HAS_STDSTRING=0", f"-I{ROOT / 'src'}", "-idirafter", "/usr/include"]  # rapidjson is there
    objects, running = [], []
    for number in range(2):  # two at a time, each of many sources: as fast as can be
        source, object_file = folder / f"part{number}.cpp", folder / f"part{number}.o"
        source.write_text("".join(f'#include "{path}"\n' for path in sources()[number::2]))
        objects.append(object_file)
        running.append(subprocess.Popen([compiler, *target, *definitions, "-ffunction-sections", "-c", source, "-o", object_file],
                                        stderr=subprocess.PIPE, text=True))
    for process in running:
        finish(process)
    finish(subprocess.Popen([compiler, *target, *objects, "-o", folder / "run_library", "-fuse-ld=lld-19", "-Wl,--gc-sections", "-ldl", "-pthread"],
                            stderr=subprocess.PIPE, text=True))
    return lambda cpu: [qemu, "-cpu", cpu, "-L", SYSROOT, folder / "run_library"]


def finish(process):
    errors = process.communicate()[1]
    check(process.returncode == 0, *process.args, errors)


def logits_have_the_bits_of_x86(quantization, opt, shape, program, overrides=""):
    if os.uname().machine != "x86_64":
        raise Skipped("this is no x86-64")
    if not {"fma", "avx2"} <= set(re.findall(r"\w+", pathlib.Path("/proc/cpuinfo").read_text())):
        raise Skipped("this CPU has no FMA, which rounds otherwise")
    with _lock:
        command = runner()
    model = make_model(program, quantization=quantization, **shape)
    ids, npy, here, there = (program.folder / name for name in ("ids.json", "logits.npy", "x86.so", "aarch64.so"))
    ids.write_text(json.dumps(PROMPT))
    program.run("compile", model, "--opt", opt, "--overrides", overrides, "-o", here)
    program.run("compile", model, "--opt", opt, "--overrides", overrides, "--host", "aarch64-linux-gnu", "-o", there)
    program.run("debug", "logits", model, "--model-lib", here, "--tokens", ids, "--output", npy)
    want = npy.read_bytes()
    want = want[10 + int.from_bytes(want[8:10], "little"):]
    check(len(want) == 4 * 300 * len(PROMPT), len(want))
    for level, cpu in LEVELS.items():
        # A tile of 16 rows and more; a few rows at one level, for time's sake; then single ones.
        for prefill in (40, 5) if level == "armv8-i8mm" else (40,):
            result = subprocess.run([*command(cpu), model, there, ",".join(map(str, PROMPT)), program.folder / "out", str(prefill)],
                                    capture_output=True, text=True, check=False)
            check(result.returncode == 0, level, result.returncode, result.stderr)
            check(result.stdout.rstrip().endswith("_" + level.replace("-", "_")), f"on a {cpu}, another level than {level} ran", result.stdout)
            got = (program.folder / "out").read_bytes()
            differ = [i for i in range(len(want) // 4) if want[4 * i:4 * i + 4] != got[4 * i:4 * i + 4]]
            check(len(got) == len(want) and not differ, level, f"prefill {prefill}", f"{len(differ)} of {len(want) // 4} logits differ",
                  f"first: token {differ[0] // 300}" if differ else f"{len(got)} bytes")


def cases():
    ragged = {"hidden": 72, "intermediate": 172, "heads": 6}
    neox = {"architecture": "gpt_neox", **ragged}
    found = [library_is_for_aarch64_and_imports_nothing, levels_have_their_dot_products]
    for quantization, opt, shape in (("q4f16_1", "O2", ragged), ("q4f16_1", "O0", ragged), ("q4f16_0", "O2", ragged), ("q3f16_1", "O2", ragged), ("q4bf16_1", "O2", ragged),
                                     ("q4f16_1", "O2", neox), ("q0f16", "O2", ragged), ("q0bf16", "O2", ragged), ("q0f32", "O2", ragged)):
        name = f"logits_have_the_bits_of_x86 {shape.get('architecture', 'llama')} {quantization} {opt}"
        found.append((name, functools.partial(logits_have_the_bits_of_x86, quantization, opt, shape)))
    found.append(("logits_have_the_bits_of_x86 int8 KV cache",
                  functools.partial(logits_have_the_bits_of_x86, "q4f16_1", "O2", ragged, overrides="kv_cache_dtype=int8")))
    return found


if __name__ == "__main__":
    main(cases())
