# SPDX-License-Identifier: Apache-2.0
"""Those that bench/compare runs: mlc_llm, llama.cpp, OpenVINO GenAI. Each has a name, setting(), prepare(), run(case)."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time


class CannotRun(Exception):
    """The peer has no such case, or fails at it; the table says why."""


def timed(command, **options):
    """Runs a command: its standard output, seconds, and peak memory in bytes."""
    begin = time.monotonic()
    # Messages go to a file, so that no full pipe holds the process up; its own memory is known only to wait4.
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=messages, text=True, **options)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        messages.seek(0)
        err = messages.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise CannotRun(f"{pathlib.Path(str(command[0])).name} ended with {process.returncode}: {err.strip()[-200:]}")
    return out, time.monotonic() - begin, usage.ru_maxrss * 1024


class Mlc:
    name = "mlc_llm"

    def __init__(self, folder, threads):
        self.program = folder / "mlc_llm"
        self.kernels = folder / "bench_kernels"
        self.threads = threads
        self.models = {}
        self.last = {}

    def setting(self):
        return "q4f16_1, the defaults of compile"

    def prepare(self, model, source, work):
        folder = work / "models" / f"{model}-q4f16_1"
        library = folder.with_suffix(".so")
        if not (folder / "tensor-cache.json").exists():
            subprocess.run([self.program, "convert_weight", source, "--quantization", "q4f16_1", "-o", folder], check=True, stdout=sys.stderr)
            subprocess.run([self.program, "gen_config", source, "--quantization", "q4f16_1", "--conv-template", "LM",
                            "--context-window-size", "9216", "-o", folder], check=True, stdout=sys.stderr)
        subprocess.run([self.program, "compile", folder, "--device", "cpu", "-o", library], check=True, stdout=subprocess.DEVNULL)
        self.models[model] = (folder, library)

    def bench(self, case, prompt, generate, batch=1):
        folder, library = self.models[case.model]
        out, seconds, memory = timed([self.program, "bench", folder, "--model-lib", library, "--prompt", prompt, "--generate", generate,
                                      "--batch", batch, "--repeat", 1, "--threads", self.threads, "--json"])
        self.last[(case.model, case.name())] = json.loads(out)
        return json.loads(out), memory

    def run(self, case):
        if case.kind == "prefill":
            return self.bench(case, case.size, 1)[0]["prefill"]["median"]
        if case.kind == "decode":
            return self.bench(case, case.size, 32)[0]["decode"]["median"]
        if case.kind == "batch":
            return self.bench(case, 16, 16, case.size)[0]["decode"]["median"]
        folder, library = self.models[case.model]
        tokens = folder / "tokens.json"
        tokens.write_text(json.dumps(list(range(3, 3 + case.size))))
        _, seconds, memory = timed([self.program, "debug", "greedy", folder, "--model-lib", library, "--tokens", tokens, "--max-new", 1, "--threads", self.threads])
        return seconds if case.kind == "first-token" else memory / 1e6

    def limits(self):
        """Of the machine, measured here: bytes/s that all threads read, and operations/s of one thread."""
        out = timed([self.kernels, "no-kernel"])[0]
        level, read, int8, f32 = re.search(r"one thread, (\S+): read ([\d.]+) GB/s, int8 peak (\d+) GOPS, f32 peak (\d+) GFLOPS", out).groups()
        return {"cpu_level": level, "read_one_thread_gb_s": float(read), "int8_gops_one_thread": float(int8), "f32_gflops_one_thread": float(f32)}

    def share_of_limit(self, case, limits):
        """Decode: of the bandwidth that was read beside it. Prefill: of the int8 peak of all threads."""
        last = self.last.get((case.model, case.name()))
        if not last:
            return None
        if case.kind == "decode":
            return last["bandwidth_share"]
        if case.kind == "prefill":
            weights = last["weight_bytes_per_step"] / 4.5 * 8
            return 2 * weights * last["prefill"]["median"] / (limits["int8_gops_one_thread"] * 1e9 * self.threads)
        return None


def cpu_flags():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()


def build_llama_cpp(root, work):
    """Builds llama.cpp from the source in the package of llama-cpp-python, once, for what this CPU has but AMX, whose code
    ends with SIGSEGV on some machines."""
    folder = work / "llama.cpp"
    if (folder / "bin/llama-batched-bench").exists():
        return folder / "bin"
    source = work / "llama.cpp-source"
    if not source.exists():
        archive = next((root / "build/downloads").glob("llama_cpp_python-*.tar.gz"))
        subprocess.run(["tar", "-xzf", archive, "-C", work], check=True)
        next(work.glob("llama_cpp_python-*")).rename(source)
    flags = cpu_flags()
    options = {"GGML_NATIVE": False, "LLAMA_CURL": False, "LLAMA_OPENSSL": False, "LLAMA_BUILD_TESTS": False, "LLAMA_BUILD_EXAMPLES": False,
               "LLAMA_BUILD_SERVER": False, "LLAMA_BUILD_UI": False,
               "GGML_AVX2": "avx2" in flags, "GGML_FMA": "fma" in flags, "GGML_F16C": "f16c" in flags, "GGML_BMI2": "bmi2" in flags,
               "GGML_AVX512": "avx512f" in flags, "GGML_AVX512_VNNI": "avx512_vnni" in flags, "GGML_AVX512_VBMI": "avx512vbmi" in flags,
               "GGML_AVX512_BF16": "avx512_bf16" in flags}
    subprocess.run(["cmake", "-S", source / "vendor/llama.cpp", "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                    *[f"-D{k}={'ON' if v else 'OFF'}" for k, v in options.items()]], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", "llama-bench", "llama-quantize", "llama-batched-bench"], check=True, stdout=sys.stderr)
    return folder / "bin"


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, folder, threads):
        self.folder, self.threads = folder, threads
        self.models = {}

    def setting(self):
        return "Q4_0 repacked, flash attention, built for this CPU's instruction sets but AMX"

    def prepare(self, model, source, work):
        path = work / "models" / f"{model}-q4_0.gguf"
        if not path.exists():
            subprocess.run([self.folder / "llama-quantize", "--allow-requantize", "--pure", source, path, "Q4_0", str(self.threads)], check=True, stdout=sys.stderr)
        self.models[model] = path

    def bench(self, case, *arguments):
        command = [self.folder / "llama-bench", "-m", self.models[case.model], "-t", self.threads, "-fa", 1, "-r", 1, "-o", "json", *arguments]
        out, seconds, memory = timed(command)
        return json.loads(out)[0]["avg_ts"], seconds, memory

    def run(self, case):
        if case.kind == "prefill":
            return self.bench(case, "-p", case.size, "-n", 0)[0]
        if case.kind == "decode":
            return self.bench(case, "-p", 0, "-n", 32, "-d", case.size)[0]
        if case.kind == "batch":
            out = timed([self.folder / "llama-batched-bench", "-m", self.models[case.model], "-t", self.threads, "-c", 32 * max(case.size, 4) * 2, "-npp", 16,
                         "-ntg", 16, "-npl", case.size, "-fa", "on"])[0]
            rows = [line.split("|") for line in out.splitlines() if line.startswith("|")]
            return float(rows[-1][rows[0].index(next(h for h in rows[0] if "S_TG" in h))])
        _, seconds, memory = self.bench(case, "-p", case.size, "-n", 0, "--no-warmup")
        return seconds if case.kind == "first-token" else memory / 1e6


OPENVINO = """
import sys, time, json
import openvino_genai as ov
model, kind, size, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
import numpy as np, openvino
pipe = ov.LLMPipeline(model, 'CPU', INFERENCE_NUM_THREADS=threads)
def run(tokens, new, salt):
    ids = np.array([[(3 + (i * 7 + salt) % 20000) for i in range(tokens)]], dtype=np.int64)
    config = ov.GenerationConfig(); config.max_new_tokens = new; config.ignore_eos = True; config.do_sample = False
    x = ov.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
    return pipe.generate(x, config).perf_metrics
run(size if kind == 'prefill' else 16, 2, 1)
metrics = run(size, 2 if kind == 'prefill' else 33, 2)
print(json.dumps(size / metrics.get_ttft().mean * 1e3 if kind == 'prefill' else 1e3 / metrics.get_tpot().mean))
"""


class OpenVino:
    name = "OpenVINO GenAI"

    def __init__(self, threads):
        self.threads = threads
        self.models = {}

    def setting(self):
        return "the same GGUF file (Q4_0), its own choice of kernels, a new prompt each time"

    def prepare(self, model, source, work):
        self.models[model] = work / "models" / f"{model}-q4_0.gguf"

    def run(self, case):
        if case.kind not in ("prefill", "decode"):
            raise CannotRun("not measured")
        if not self.models[case.model].exists():
            raise CannotRun("no Q4_0 file: llama.cpp makes it")
        out = timed([sys.executable, "-c", OPENVINO, self.models[case.model], case.kind, case.size, self.threads])[0]
        return json.loads(out.splitlines()[-1])
