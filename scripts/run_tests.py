#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the stages of ./test that are given, and counts what every test program says about its cases.

Two programs run at a time. What a program printed is in build/test/, and is shown where something failed. The stages and
the protocols of the test programs are described in docs/testing.md.
"""
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import fuzz_seeds

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build/test"
OBJECTS = LOGS / "objects"  # kernels that were compiled: an unchanged kernel is compiled once
JOBS = str(len(os.sched_getaffinity(0)))
FUZZ_SECONDS = 5
SECONDS = {}  # of each job, for build/test/seconds.txt
MEASURING = ["read_bandwidth"]  # end-to-end tests of the stage speed
TARGETS = {"tsan": "runtime_test"}  # what is built of a preset, where it is not all
# Of the integration tests, those that run our own C++ in many ways; compiled kernels are the same under a sanitizer.
ASAN_INTEGRATION = "KvCacheBits.*:SlidingWindow.*:CacheReuse.*:Engine.*:Models.*:*/Bits.*/0"
# Of the unit tests all but those that read kernels of more modes back: text, verifier and passes are the same for all of them.
ASAN_UNIT = "*:-Modes/PipelineByMode.KernelsOfFloatActivationsReadBack/*:Modes/PipelineByMode.*/q4b*:Modes/PipelineByMode.*/q4f32*:Modes/PipelineByMode.*/q0*"
SANITIZERS = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
              "TSAN_OPTIONS": "halt_on_error=1", "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-19",
              "TSAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-19"}


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclasses.dataclass
class Job:
    """A test program; `read(job, exit status, output)` gives its Count."""
    name: str
    command: list
    read: object
    timeout_seconds: int = 1800
    environment: dict = dataclasses.field(default_factory=dict)

    def run(self):
        log = LOGS / f"{self.name}.log"
        begin = time.monotonic()
        with open(log, "wb") as file:
            # A group of its own, so that nothing that it started outlives it.
            process = subprocess.Popen([str(word) for word in self.command], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, env={**os.environ, "MLC_OBJECT_CACHE": str(OBJECTS), **self.environment}, start_new_session=True)
            try:
                status = process.wait(self.timeout_seconds)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                status = f"none after {self.timeout_seconds} s"
        SECONDS[self.name] = time.monotonic() - begin
        output = log.read_text(encoding="utf-8", errors="replace")
        count = self.read(self, status, output)
        if count.failed:
            shown = output.splitlines()[-60:]
            print("\n".join(shown), f"\nFAILED {self.name}: exit status {status}; all of its output is in {log.relative_to(ROOT)}", flush=True)
        return count


def run_jobs(jobs, at_once=2):
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return sum(pool.map(Job.run, jobs), Count())


# ---------------------------------------------------------------------------------- what test programs say of their cases

def by_status(job, status, output):
    """The program is one test: 0 is passed, 77 skipped."""
    return Count(passed=int(status == 0), skipped=int(status == 77), failed=int(status not in (0, 77)))


def by_lines(job, status, output):
    """A line for each case: `ok NAME`, `FAILED NAME` or `skipped NAME`."""
    words = [m.group(1) for m in re.finditer(r"^(ok|FAILED|skipped) \S", output, re.MULTILINE)]
    count = Count(words.count("ok"), words.count("FAILED"), words.count("skipped"))
    if not words:
        return by_status(job, status, output)
    if status not in (0, 77) and not count.failed:  # it ended before it could say so
        count.failed = 1
    return count


def gtest(name, program, arguments=(), environment=None, timeout_seconds=1800):
    result = LOGS / f"{name}.json"

    def read(job, status, output):
        try:
            suites = json.loads(result.read_text(encoding="utf-8"))["testsuites"]
        except (OSError, ValueError):  # a crash leaves none
            return Count(failed=1)
        cases = [case for suite in suites for case in suite["testsuite"] if case["status"] == "RUN"]
        skipped = sum(case["result"] == "SKIPPED" for case in cases)
        failed = sum("failures" in case for case in cases)
        if status != 0 and not failed:  # such as leaks, which are reported after the last case
            failed, cases = 1, cases + [None]
        return Count(len(cases) - failed - skipped, failed, skipped)

    result.unlink(missing_ok=True)
    return Job(name, [program, "--gtest_brief=1", f"--gtest_output=json:{result}", *arguments], read, timeout_seconds,
               environment or {})


# ---------------------------------------------------------------------------------- stages

def build(preset):
    """Configures and builds a preset; once in a run. False where that failed, after the messages."""
    if preset not in build.done:
        print(f"building build/{preset}", flush=True)
        log = LOGS / f"build-{preset}.log"
        with open(log, "wb") as file:
            build.done[preset] = all(
                subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False).returncode == 0
                for command in (["cmake", "--preset", preset],
                                ["cmake", "--build", f"build/{preset}", "-j", JOBS, "--target", TARGETS.get(preset, "all")]))
        if not build.done[preset]:
            print("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:]), f"\nFAILED build of {preset}", flush=True)
    return build.done[preset]


build.done = {}


def style():
    return run_jobs([Job("layers", ["scripts/check_layers.py"], by_status),
                     Job("format", ["scripts/format.sh", "--check"], by_status)])


def unit_test_programs(preset):
    """base_test, compiler_test, ...: all that there are but those of the stage integration."""
    return sorted(p for p in (ROOT / "build" / preset).glob("*_test") if p.name not in ("integration_test", "gpu_test"))


def unit():
    return run_jobs([gtest(program.name, program) for program in unit_test_programs("release")])


def integration():
    """Slow and not parallel in itself: in two parts at a time. Kernels for GPUs run on PoCL."""
    shards = [{"GTEST_TOTAL_SHARDS": "2", "GTEST_SHARD_INDEX": str(i)} for i in range(2)]
    return run_jobs([gtest(f"integration_test-{i}", "build/release/integration_test", environment=shard) for i, shard in enumerate(shards)]
                    + [gtest("gpu_test", "build/release/gpu_test")])


def text():
    return run_jobs([Job("text", [sys.executable, "tests/run.py", "build/release"], by_lines)])


def needs_libc_and_libm_only(job, status, output):
    """Reads the output of readelf -d -S."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output))
    foreign = {name for name in needed if not re.match(r"(libc|libm|ld-linux.*)\.so\.\d+$", name)}
    good = status == 0 and bool(needed) and not foreign and ".debug_info" not in output and ".symtab" not in output
    return Count(passed=int(good), failed=int(not good))


def e2e():
    program = "build/release/mlc_llm"
    jobs = [Job(f"e2e-{script.stem}", [sys.executable, script.relative_to(ROOT), program], by_lines)
            for script in sorted((ROOT / "tests/e2e").glob("*.py")) if script.stem not in MEASURING]
    return run_jobs([Job("release-binary", ["readelf", "--wide", "-d", "-S", program], needs_libc_and_libm_only),
                     Job("cli-docs", [sys.executable, "scripts/update_cli_docs.py", program, "--check"], by_status), *jobs])


def python():
    """The package as users install it: a wheel, built from the objects of build/release and the extension, in an empty virtual
    environment."""
    shutil.rmtree(LOGS / "python", ignore_errors=True)
    wheels, venv = LOGS / "python/wheels", LOGS / "python/venv"
    steps = [[sys.executable, "-m", "pip", "wheel", ".", "--no-build-isolation", "--no-deps", "--disable-pip-version-check", "-w", wheels,
              "--config-settings=build-dir=build/release", "--config-settings=cmake.define.MLC_WITH_TESTS=ON",
              "--config-settings=cmake.define.MLC_WITH_BENCH=ON"],
             [sys.executable, "-m", "venv", venv],
             [venv / "bin/python", "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "-f", wheels, "mlc_llm"]]
    for number, step in enumerate(steps):
        built = run_jobs([Job(f"python-{number}", step, by_status)])
        if built.failed:
            return built
    return run_jobs([Job("python", [sys.executable, "tests/python/package.py", venv / "bin/mlc_llm", venv / "bin/python"], by_lines)])


def speed():
    """That no kernel has fallen far below the share of the machine's limits that it reaches, and that `bench` measures the limits
    well; one at a time, so that they do not disturb each other."""
    scripts = [Job(f"e2e-{name}", [sys.executable, f"tests/e2e/{name}.py", "build/release/mlc_llm"], by_lines) for name in MEASURING]
    return run_jobs([Job("speed", ["build/release/bench_kernels", "--guard"], by_lines), *scripts], at_once=1)


def asan():
    jobs = [gtest(f"asan-{program.name}", program, [f"--gtest_filter={ASAN_UNIT}"], SANITIZERS) for program in unit_test_programs("asan")]
    return run_jobs([gtest("asan-integration_test", "build/asan/integration_test", [f"--gtest_filter={ASAN_INTEGRATION}"], SANITIZERS), *jobs])


def fuzz():
    """Each fuzzer for some seconds, from its seeds and what earlier runs found."""
    jobs = []
    for program in sorted((ROOT / "build/asan").glob("fuzz_*")):
        name = program.name.removeprefix("fuzz_")
        seeds, corpus = LOGS / f"fuzz/{name}/seeds", LOGS / f"fuzz/{name}/corpus"
        shutil.rmtree(seeds, ignore_errors=True)
        fuzz_seeds.write_seeds(name, seeds)
        corpus.mkdir(parents=True, exist_ok=True)
        jobs.append(Job(program.name, [program, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                                       f"-artifact_prefix={LOGS}/fuzz/{name}/", corpus, seeds], by_status, environment=SANITIZERS))
    return run_jobs(jobs) if jobs else Count(failed=1)


def tsan():
    return run_jobs([gtest("tsan-runtime_test", "build/tsan/runtime_test", environment=SANITIZERS)])


def web():
    return run_jobs([Job("web", ["node", "tests/web/smoke.mjs", "build/web/mlc_web.wasm"], by_lines)])


# Name: the presets to build, the tests.
STAGES = {"style": ([], style), "unit": (["release"], unit), "integration": (["release"], integration), "text": (["release"], text),
          "e2e": (["release"], e2e), "python": (["release"], python), "speed": (["release"], speed), "asan": (["asan"], asan), "fuzz": (["asan"], fuzz), "tsan": (["tsan"], tsan), "web": (["web"], web)}


def main():
    LOGS.mkdir(parents=True, exist_ok=True)
    venv = ROOT / "build/venv/bin/python"
    if venv.exists():
        sys.executable = str(venv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    total = Count()
    for name in sys.argv[1:]:
        start = time.monotonic()
        presets, tests = STAGES[name]
        built = all([build(preset) for preset in presets])
        count = tests() if built else Count(failed=1)
        print(f"{name}: {count} ({time.monotonic() - start:.0f} s)", flush=True)
        total += count
    slowest = sorted(SECONDS.items(), key=lambda item: -item[1])
    (LOGS / "seconds.txt").write_text("".join(f"{seconds:7.1f} {name}\n" for name, seconds in slowest), encoding="utf-8")
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
