"""Measure mpscnn and its peers, and write the tables of docs/performance.md, its picture, and the README's table.

    python benchmarks/performance.py [options of compare.py] [--parts networks,photo,start,memory] [--starts N]
        [--photo-runs N] [--page docs/performance.md] [--readme README.md] [--machine "Zen 4"]

A page marks each part that this script writes by comments. All other text of the page stays as it is, so read it again
afterwards. The part `more_networks` has the networks that `networks` leaves out, and is measured on request only.
`--readme` writes the times of one thread into the column of this processor's instruction set, with machine and date.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import compare_report
import memory
import startup
from compare import CASES, Comparison, argument_parser, compared
from processes import mobilenet_v2

import mpscnn

MAIN = "mobilenet_v1", "mobilenet_v2", "ssdlite", "deeplab", "deep_mnist", "deep_mnist_64"
"""The networks of the part `networks`."""
PARTS = "networks", "more_networks", "photo", "start", "memory"
ON_REQUEST = ("more_networks",)
"""The parts that are measured on request only."""
README_ROWS = {
    "MobileNet V1, 224 x 224": "mobilenet_v1",
    "MobileNet V2, 224 x 224": "mobilenet_v2",
    "SSDLite MobileNet V2, 300 x 300": "ssdlite",
    "DeepLabv3 MobileNet V2, 513 x 513": "deeplab",
}
README_PHOTO = "JPEG, 1280 x 720, to the label of MobileNet V2"
"""The README's row for the part `photo`."""
README_COLUMNS = {"amx": "AVX-512", "avx512": "AVX-512", "avx2": "AVX2"}
"""The beginning of a column's heading, by instruction set."""
MEDIAN_DIFFERS = 0.05
"""The README also states the median ratio of rounds if it differs from the ratio of minima by more than this share."""
THREADS = 2
"""The threads of the processes whose start and memory are measured."""


def main() -> None:
    arguments = parsed()
    page = arguments.page.read_text()
    wanted = arguments.parts.split(",") if arguments.parts else parts_of(page)
    for part in wanted or PARTS:
        # An unknown part raises an error before anything is measured.
        replaced_part(page, part, "")
    if arguments.readme:
        readme_column(arguments.readme.read_text())
    text = {}
    parts = set(wanted)
    for part in wanted:
        if part in ("networks", "more_networks"):
            text[part] = networks(part, arguments)
    if "photo" in parts:
        text["photo"] = photo(arguments)
    if {"start", "memory"} & parts:
        with mobilenet_v2(arguments.peers.split(","), THREADS) as processes:
            if "start" in parts:
                text["start"] = (
                    f"{startup.table(processes, arguments.starts)}\n\n{startup.commands_table(arguments.starts)}"
                )
            if "memory" in parts:
                text["memory"] = memory.table(processes, 3)
    page = arguments.page.read_text()
    for part, written in text.items():
        page = replaced_part(page, part, f"{written_by()}\n\n{written}")
    arguments.page.write_text(page)


def parsed() -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.set_defaults(only="")
    parser.add_argument(
        "--parts", help=f"of {', '.join(PARTS)}; default: those of the page without {', '.join(ON_REQUEST)}"
    )
    parser.add_argument(
        "--photo-runs", type=int, default=20, help="calls of each engine for a photo; default: 20"
    )
    parser.add_argument("--starts", type=int, default=15, help="processes of each engine; default: 15")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--readme", type=Path)
    parser.add_argument(
        "--machine", default=compare_report.processor(), help="the name of this machine in the README"
    )
    return parser.parse_args()


def networks(part: str, arguments: argparse.Namespace) -> str:
    """Measure networks, write the picture and the README's table, and return the part's text."""
    names = MAIN if part == "networks" else tuple(name for name in CASES if name not in MAIN)
    given = argparse.Namespace(**{**vars(arguments), "only": arguments.only or ",".join(names)})
    comparisons = list(compared(given))
    if part == "more_networks":
        return compare_report.markdown(first_threads(comparisons), given) + others(comparisons)
    text = compare_report.markdown(comparisons, given)
    picture = arguments.page.with_suffix(".svg")
    picture.write_text(compare_report.picture(comparisons))
    if arguments.readme:
        written = readme_with(arguments.readme.read_text(), comparisons, arguments.machine)
        arguments.readme.write_text(written)
    return f"{text}\n\n![Minimum time of each engine relative to mpscnn]({picture.name})"


def first_threads(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons with the smallest number of threads."""
    least = min(comparison.threads for comparison in comparisons)
    return [comparison for comparison in comparisons if comparison.threads == least]


def others(comparisons: Sequence[Comparison]) -> str:
    """Return sentences with the ratios of minima for the other numbers of threads."""
    least = min(comparison.threads for comparison in comparisons)
    ratios: dict[int, list[float]] = {}
    for comparison in comparisons:
        ours, *peers = comparison.results
        if comparison.threads != least and peers:
            ratio = ours.minimum / min(peer.minimum for peer in peers)
            ratios.setdefault(comparison.threads, []).append(ratio)
    lines = (
        f"With {threads} threads the ratios of minima are {min(found):.3f} to {max(found):.3f}."
        for threads, found in ratios.items()
    )
    return "".join(f"\n\n{line}" for line in lines)


def photo(arguments: argparse.Namespace) -> str:
    """Measure the time from a file to its label, write the README's row, and return the part's text."""
    import photo_to_label  # needs OpenCV

    rows = list(photo_to_label.measured(photo_to_label.MODELS, arguments.photo_runs))
    if arguments.readme:
        text = arguments.readme.read_text()
        row = next(row for row in rows if (row.model, row.file) == ("mobilenet_v2", "720p, JPEG"))
        ratio = max(row.ratio(peer) for peer in photo_to_label.PEERS)
        ours = min(row.times[photo_to_label.OURS])
        cell = f"{ratio:.2f} ({ours:.1f} ms; {arguments.machine}, {today()})"
        arguments.readme.write_text(readme_cell(text, README_PHOTO, cell))
    return f"{photo_to_label.versions()}.\n\n" + "\n".join(photo_to_label.lines(rows))


def parts_of(page: str) -> list[str]:
    """Return the parts of a page that are not measured on request only."""
    return [part for part in PARTS if part not in ON_REQUEST and marks(part)[0] in page]


def today() -> str:
    return datetime.date.today().isoformat()


def written_by() -> str:
    """Return a sentence with the date, the command and the machine."""
    given = (Path(argument).name if argument.endswith(".tflite") else argument for argument in sys.argv[1:])
    command = shlex.join(["python", "benchmarks/performance.py", *given])
    return f"Written on {today()} by `{command}` on {compare_report.processor()}."


def marks(part: str) -> tuple[str, str]:
    """Return the comments around a part of a page."""
    return f"<!-- {part}: written by benchmarks/performance.py -->\n", f"\n<!-- end of {part} -->"


def replaced_part(page: str, part: str, text: str) -> str:
    """Return the page with another text between the comments of a part."""
    begin, end = marks(part)
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        sys.exit(f"the page has no part {part!r}: it needs the lines {begin.strip()!r} and {end.strip()!r}")
    return f"{before}{begin}{text}{end}{after}"


def readme_column(readme: str) -> tuple[str, str]:
    """Return the line of the heading of the README's table, and the heading of this processor's column."""
    used = mpscnn.build_config()["instruction_set"]
    if used not in README_COLUMNS:
        sys.exit(f"the README has no column for the instruction set {used}")
    (head,) = re.findall(rf"^\| network \|.* {re.escape(README_COLUMNS[used])} \(.*$", readme, re.MULTILINE)
    (column,) = (
        cell.strip() for cell in head.split("|") if cell.strip().startswith(f"{README_COLUMNS[used]} (")
    )
    return head, column


def readme_cell(readme: str, row: str, text: str) -> str:
    """Return the README with another text in a row, in the column of this processor."""
    head, column = readme_column(readme)
    place = [cell.strip() for cell in head.split("|")].index(column)
    (line,) = re.findall(rf"^\| {re.escape(row)} \|.*$", readme, re.MULTILINE)
    cells = line.split("|")
    cells[place] = f" {text} "
    return readme.replace(line, "|".join(cells))


def readme_with(readme: str, comparisons: Sequence[Comparison], machine: str) -> str:
    """Return the README with the ratios and times of one thread in float32 in the column of this processor.

    If all rows were measured, the column is named after this machine and this day.
    """
    measured = {
        comparison.title: (comparison.turn, comparison.results)
        for comparison in comparisons
        if comparison.precision == "float32" and comparison.threads == 1
    }
    written = [name for name in README_ROWS.values() if CASES[name].title in measured]
    for row, name in README_ROWS.items():
        if name not in written:
            continue
        turn, (ours, *peers) = measured[CASES[name].title]
        ratio = ours.minimum / min(peer.minimum for peer in peers)
        middle = max(compare_report.ratio_of_rounds(ours, peer, turn) for peer in peers)
        differs = abs(middle / ratio - 1.0) > MEDIAN_DIFFERS
        median = f", median {middle:.2f}" if differs else ""
        readme = readme_cell(readme, row, f"{ratio:.2f}{median} ({ours.minimum:.1f} ms)")
    if len(written) == len(README_ROWS):
        head, column = readme_column(readme)
        named = f"{column.partition(' (')[0]} ({machine}, {today()})"
        readme = readme.replace(head, head.replace(column, named))
    return readme


if __name__ == "__main__":
    main()
