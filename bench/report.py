# SPDX-License-Identifier: Apache-2.0
"""The table and the plot of bench/compare."""
import pathlib


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def number(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(document):
    """Markdown: a row for each case, tokens/s (or the unit of the case) and how many times as fast as each peer."""
    limits = document["limits"]
    names = list(document["settings"])
    rivals = names[1:]
    lines = [
        f"{document['cpu']}, {document['threads']} threads, {limits['cpu_level']}: one thread reads {limits['read_one_thread_gb_s']:.1f} GB/s, "
        f"int8 peak {limits['int8_gops_one_thread']:.0f} GOPS, f32 peak {limits['f32_gflops_one_thread']:.0f} GFLOPS",
        *[f"{name}: {setting}" for name, setting in document["settings"].items()],
        "",
        "| model | case | " + " | ".join(names) + " | " + " | ".join(f"x {r}" for r in rivals) + " | share of the limit |",
        "|---|---|" + "---|" * (len(names) + len(rivals) + 1),
    ]
    for row in document["results"]:
        speeds = [number(row["median"][n]) if n in row["median"] else "-" for n in names]
        ratios = [f"{row['ratio'][r]:.2f} (± {50 * row['spread'][r]:.0f} %)" if r in row["ratio"] else "-" for r in rivals]
        share = f"{100 * row['share']:.0f} %" if row["share"] else "-"
        lines.append("| " + " | ".join([row["model"], row["case"], *speeds, *ratios, share]) + " |")
    notes = sorted({f"{name}: {case['case']}: {reason}" for case in document["results"] for name, reason in case["reasons"].items() if reason != "not measured"})
    return "\n".join(lines + ([""] + notes if notes else []))


def plot(document, path):
    """A bar for each case and peer: how many times as fast we are."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rivals = list(document["settings"])[1:]
    rows = [r for r in document["results"] if r["ratio"]]
    if not rows:
        return
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(rows) + 1.5))
    height = 0.8 / max(1, len(rivals))
    for k, rival in enumerate(rivals):
        at = [i + k * height for i, r in enumerate(rows) if rival in r["ratio"]]
        axes.barh(at, [r["ratio"][rival] for r in rows if rival in r["ratio"]], height, label=f"times as fast as {rival}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{r['model']}: {r['case']}" for r in rows])
    axes.invert_yaxis()
    axes.set_title(f"{document['cpu']}, {document['threads']} threads", fontsize=9)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
