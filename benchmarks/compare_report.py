"""Write the results of compare.py as Markdown, CSV and a picture."""

from __future__ import annotations

import csv
import io
import platform
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from harness import table_head, table_row

import mpscnn
from mpscnn.apps.benchmark import Measurement
from mpscnn.runtime.library import available_processors

if TYPE_CHECKING:
    from compare import Comparison


def markdown(comparisons: Sequence[Comparison], arguments: Namespace) -> str:
    """Return a page: machine and versions, and for each precision a table of all engines and what is left out."""
    parts = [conditions(comparisons, arguments)]
    for precision in _unique(comparison.precision for comparison in comparisons):
        group = [comparison for comparison in comparisons if comparison.precision == precision]
        parts.append(f"{HEADINGS[precision]}\n\n{_engines(group)}")
        parts += _left_out(group)
    return "\n\n".join(parts)


HEADINGS = {
    "float32": "Minimum milliseconds of a run in float32:",
    "bfloat16": "Minimum milliseconds of a run in bfloat16:",
    "int8": "Minimum milliseconds of a run in 8-bit integers:",
}


def _left_out(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a paragraph about the engines that comparisons of one precision lack, each reason once."""
    missing: dict[str, dict[str, list[str]]] = {}
    for comparison in comparisons:
        for engine, reason in comparison.missing.items():
            engines = missing.setdefault(reason.removeprefix(f"{engine}: ").removeprefix(f"{engine} "), {})
            titles = engines.setdefault(engine, [])
            if comparison.title not in titles:
                titles.append(comparison.title)
    everything = _unique(comparison.title for comparison in comparisons)
    lines = []
    for reason, engines in missing.items():
        groups: dict[str, list[str]] = {}
        for engine, titles in engines.items():
            where = "" if titles == everything else f" for {'; '.join(titles)}"
            groups.setdefault(where, []).append(engine)
        lines += [f"{', '.join(names)}{where}: {reason}." for where, names in groups.items()]
    return [f"Left out: {' '.join(lines)}"] if lines else []


def conditions(comparisons: Sequence[Comparison], arguments: Namespace) -> str:
    """Return a paragraph with the machine, the versions and the settings."""
    config = mpscnn.build_config()
    versions = _unique(
        f"{result.engine} {result.version}" for comparison in comparisons for result in comparison.results
    )
    facts = [
        f"{processor()}, {available_processors()} processors usable",
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        ", ".join(versions),
        f"mpscnn: instruction set {config['instruction_set']}, {config['compiler']} {config['compiler_version']}",
        f"processes for each engine: {arguments.processes}; rounds in each process: {arguments.rounds}",
    ]
    return "; ".join(facts) + "."


def processor() -> str:
    """Return the name of the processor, with family, model and stepping if the system reports them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if "model name" not in facts:
        return platform.processor() or "unknown processor"
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return f"{facts['model name']} ({', '.join(numbers)})" if numbers else facts["model name"]


def ratio_of_rounds(ours: Measurement, peer: Measurement, turn: int) -> float:
    """Return the median over rounds of the ratio of mpscnn's minimum to the peer's minimum in the same round.

    Both minima are of the same round because the speed of a shared machine may change between rounds. For example, a
    virtual machine's processors may be moved to cores that do not share a cache.
    """
    mine, theirs = (
        [min(result.milliseconds[i : i + turn]) for i in range(0, len(result.milliseconds), turn)]
        for result in (ours, peer)
    )
    return median(a / b for a, b in zip(mine, theirs, strict=True))


def _engines(comparisons: Sequence[Comparison]) -> str:
    """Return a table with a row for each comparison and a column for each engine.

    The last columns have mpscnn's time relative to the fastest peer (lower is better).
    """
    engines = _unique(result.engine for comparison in comparisons for result in comparison.results)
    rows = [
        table_head(
            "network", "threads", *engines, "fastest peer", "ratio, median of rounds", "ratio of minima"
        )
    ]
    for comparison in comparisons:
        results = {result.engine: result for result in comparison.results}
        times = [f"{results[name].minimum:.3f}" if name in results else "" for name in engines]
        rows.append(table_row([comparison.title, comparison.threads, *times, *_ratios(comparison)]))
    return "\n".join(rows)


def _ratios(comparison: Comparison) -> tuple[str, str, str]:
    """Return the fastest peer, and the ratios of rounds and of minima."""
    ours, *peers = comparison.results
    if not peers:
        return "", "", ""
    rounds = {peer.engine: ratio_of_rounds(ours, peer, comparison.turn) for peer in peers}
    engine, ratio = max(rounds.items(), key=lambda item: item[1])
    ratio_of_minima = ours.minimum / min(peer.minimum for peer in peers)
    return engine, f"{ratio:.3f}", f"{ratio_of_minima:.3f}"


def csv_text(comparisons: Sequence[Comparison]) -> str:
    """Return CSV with a line for each engine of each comparison, with all times."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ("min_ms", "median_ms", "p95_ms", "gflops", "peak_bytes", "difference", "times_ms")
    writer.writerow(("network", "precision", "threads", "engine", "version", "note", *figures))
    for comparison in comparisons:
        for result in comparison.results:
            writer.writerow(
                [
                    *(comparison.title, comparison.precision, comparison.threads),
                    *(result.engine, result.version, result.note),
                    *(f"{value:.5f}" for value in (result.minimum, result.median, result.p95, result.gflops)),
                    result.peak_bytes,
                    "" if result.difference is None else f"{result.difference:.2e}",
                    " ".join(f"{value:.5f}" for value in result.milliseconds),
                ]
            )
    return text.getvalue()


# ---- The picture -------------------------------------------------------------------------------------------------

WIDTH, LABELS, BAR, GAP, LONGEST = 900, 330, 13, 16, 4.0
"""Sizes of the picture in pixels. LONGEST is the ratio at which a bar is cut off."""
COLOURS = {
    "mpscnn": "#1f6feb",
    "onnxruntime": "#57606a",
    "litert": "#bf8700",
    "openvino": "#8250df",
    "ncnn": "#1a7f37",
    "mnn": "#cf222e",
    "torch": "#d4622a",
}


def picture(comparisons: Sequence[Comparison]) -> str:
    """Return an SVG with a bar for the ratio of each engine's minimum to mpscnn's."""
    scale = (WIDTH - LABELS - 60) / LONGEST
    body, y = [], 40
    for comparison in comparisons:
        ours = comparison.results[0].minimum
        title = f"{comparison.title}, {comparison.precision}, {comparison.threads} thread"
        body.append(_text(10, y + BAR, title + ("s" if comparison.threads > 1 else ""), bold=True))
        for result in sorted(comparison.results, key=lambda result: result.minimum):
            ratio = result.minimum / ours
            length = scale * min(ratio, LONGEST)
            body.append(_text(LABELS - 8, y + BAR - 2, result.engine, anchor="end"))
            colour = COLOURS.get(result.engine, "#57606a")
            body.append(
                f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>'
            )
            label = f"{ratio:.2f}" + (" (cut)" if ratio > LONGEST else "")
            body.append(_text(LABELS + length + 5, y + BAR - 2, label))
            y += BAR
        y += GAP
    line = LABELS + scale
    body.append(
        f'<line x1="{line:.1f}" y1="34" x2="{line:.1f}" y2="{y}" stroke="#1f6feb" stroke-dasharray="3,3"/>'
    )
    head = _text(10, 20, f"Minimum over mpscnn's (shorter is faster), {processor()}", bold=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>{head}\n'
        + "\n".join(body)
        + "</svg>\n"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
