#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs mlc_llm and its peers alternately on the same models and prints the ratios of their speeds.

One binary's figures differ by a factor of two within minutes on a shared machine, so only ratios of runs that follow one
another count: each round runs everyone once, in turning order; the result is the median of the rounds' ratios. Rounds
are added, up to twice as many, while the quartiles of a ratio are more than 10 % apart.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import sys

import models
import peers
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Case:
    """One line of the table: what is run, of which model. `size`: tokens, or sequences of a batch."""

    def __init__(self, model, kind, size):
        self.model, self.kind, self.size = model, kind, size

    def name(self):
        texts = {
            "prefill": f"prefill of {self.size} tokens",
            "decode": f"decode at a context of {self.size}",
            "batch": f"decode of {self.size} sequences",
            "first-token": "process start to first token (s)",
            "memory": "peak memory (MB)",
        }
        return texts[self.kind]

    def less_is_better(self):
        return self.kind in ("first-token", "memory")


def cases_of(arguments):
    """The cases of a run, in the order of the table."""
    if arguments.quick:
        return [
            Case("smollm2-135m", "prefill", 512), Case("smollm2-135m", "decode", 16),
            Case("smollm2-135m", "decode", 4096), Case("smollm2-135m", "batch", 16),
            Case("llama-1b", "prefill", 512), Case("llama-1b", "decode", 16), Case("llama-1b", "batch", 8),
            Case("llama-1b", "batch", 16), Case("llama-1b", "first-token", 32), Case("llama-1b", "memory", 32),
        ]
    cases = []
    for model in models.NAMES:
        cases += [Case(model, "prefill", n) for n in (32, 128, 512, 2048)]
        cases += [Case(model, "decode", n) for n in (16, 1024, 4096, 8192)]
        cases += [Case(model, "batch", n) for n in (1, 2, 4, 8, 16, 32)]
        cases += [Case(model, "first-token", 32), Case(model, "memory", 32)]
    return cases


def quartile_spread(values):
    """Distance of the quartiles over the median; of fewer than four values, of the extremes."""
    if len(values) < 4:
        return (max(values) - min(values)) / statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / statistics.median(values)


def measure(case, runners, rounds):
    """Values of each runner by round; a runner that cannot do the case has None and its reason."""
    values = {r.name: [] for r in runners}
    reasons = {}
    for i in range(2 * rounds):
        for runner in runners if i % 2 == 0 else reversed(runners):
            if runner.name in reasons:
                continue
            try:
                values[runner.name].append(runner.run(case))
            except peers.CannotRun as error:
                reasons[runner.name] = str(error)
        if i + 1 >= rounds and all(quartile_spread(ratios_to(values, n, case)) <= 0.1 for n in values if n not in reasons):
            break
    return values, reasons


def ratios_to(values, peer, case):
    """The rounds' ratios ours / peer in speed (more is better for us, whatever the unit)."""
    pairs = zip(values["mlc_llm"], values[peer])
    return [b / a if case.less_is_better() else a / b for a, b in pairs]


def main():
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="SmolLM2 and the 1B shape, ten cases, three rounds: under 5 minutes once everything is installed")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of everyone (default: the cores of this process)")
    parser.add_argument("--rounds", type=int, help="rounds, at least (default: 7; 3 with --quick)")
    parser.add_argument("--peers", default="llama.cpp,openvino", help="of llama.cpp,openvino (default: both)")
    parser.add_argument("--only", default="", help="only cases whose model or name has this in it")
    parser.add_argument("--mlc", type=pathlib.Path, default=ROOT / "build/release", help="folder of mlc_llm and bench_kernels (default: build/release)")
    parser.add_argument("--llama-bin", type=pathlib.Path, help="folder of a llama.cpp that is built already")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/bench", help="folder for peers, models and results (default: build/bench)")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (3 if arguments.quick else 7)
    arguments.work.mkdir(parents=True, exist_ok=True)

    ours = peers.Mlc(arguments.mlc, arguments.threads)
    runners = [ours]
    if "llama.cpp" in arguments.peers:
        runners.append(peers.LlamaCpp(arguments.llama_bin or peers.build_llama_cpp(ROOT, arguments.work), arguments.threads))
    if "openvino" in arguments.peers:
        runners.append(peers.OpenVino(arguments.threads))
    cases = [c for c in cases_of(arguments) if arguments.only in f"{c.model} {c.name()}"]
    for model in dict.fromkeys(c.model for c in cases):
        paths = models.make(model, ROOT, arguments.work)
        for runner in runners:
            runner.prepare(model, paths, arguments.work)

    limits = ours.limits()
    results = []
    for case in cases:
        print(f"{case.model}: {case.name()}", file=sys.stderr, flush=True)
        values, reasons = measure(case, runners, rounds)
        row = {"model": case.model, "case": case.name(), "reasons": reasons, "less_is_better": case.less_is_better(), "values": values,
               "median": {n: statistics.median(v) for n, v in values.items() if v}, "ratio": {}, "spread": {}}
        for name, own in values.items():
            if name != "mlc_llm" and own and values["mlc_llm"]:
                row["ratio"][name] = statistics.median(ratios_to(values, name, case))
                row["spread"][name] = quartile_spread(ratios_to(values, name, case))
        row["share"] = ours.share_of_limit(case, limits)
        results.append(row)
    document = {"machine": platform.processor() or platform.machine(), "cpu": report.cpu_name(), "threads": arguments.threads,
                "rounds": rounds, "limits": limits, "settings": {r.name: r.setting() for r in runners}, "results": results}
    (arguments.work / "compare.json").write_text(json.dumps(document, indent=1))
    report.plot(document, arguments.work / "compare.png")
    print(report.table(document))
    print(f"\nalso written: {arguments.work / 'compare.json'}, {arguments.work / 'compare.png'}")


if __name__ == "__main__":
    main()
