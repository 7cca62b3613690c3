"""Measure mpscnn and its peers, and write the tables of docs/performance.md, its picture, and the README's table.

    python benchmarks/performance.py [options of compare.py] [--parts networks,start,memory] [--starts N]
        [--page docs/performance.md] [--readme README.md]

A page marks each part that this script writes by comments. All other text of the page stays as it is, so read it again
afterwards. The part `more_networks` has the networks that `networks` leaves out, and is measured on request only.
`--readme` writes the times of one thread into the column of this processor's instruction set.
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
PARTS = "networks", "more_networks", "start", "memory"
README_ROWS = {
    "MobileNet V1, 224 x 224": "mobilenet_v1",
    "MobileNet V2, 224 x 224": "mobilenet_v2",
    "SSDLite MobileNet V2, 300 x 300": "ssdlite",
    "DeepLabv3 MobileNet V2, 513 x 513": "deeplab",
}
README_COLUMNS = {"amx": "AVX-512", "avx512": "AVX-512", "avx2": "AVX2"}
"""The beginning of a column's heading, by instruction set."""
MEDIAN_DIFFERS = 0.05
"""The README also states the median ratio of rounds if it differs from the ratio of minima by more than this share."""
THREADS = 2
"""The threads of the processes whose start and memory are measured."""


def main() -> None:
    arguments = parsed()
    parts = arguments.parts.split(",")
    for part in parts:
        # An unknown part raises an error before anything is measured.
        replaced_part(arguments.page.read_text(), part, "")
    if arguments.readme:
        readme_with(arguments.readme.read_text(), [])
    text = {}
    for part in parts:
        if part in ("networks", "more_networks"):
            text[part] = networks(part, arguments)
    if {"start", "memory"} & set(parts):
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
    parser.add_argument("--parts", default="networks,start,memory", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--starts", type=int, default=15, help="processes of each engine; default: 15")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--readme", type=Path)
    return parser.parse_args()


def networks(part: str, arguments: argparse.Namespace) -> str:
    """Measure networks, write the picture and the README's table, and return the part's text."""
    names = MAIN if part == "networks" else tuple(name for name in CASES if name not in MAIN)
    given = argparse.Namespace(**{**vars(arguments), "only": arguments.only or ",".join(names)})
    comparisons = list(compared(given))
    text = compare_report.markdown(comparisons, given)
    if part == "more_networks":
        return text
    picture = arguments.page.with_suffix(".svg")
    picture.write_text(compare_report.picture(comparisons))
    if arguments.readme:
        arguments.readme.write_text(readme_with(arguments.readme.read_text(), comparisons))
    return f"{text}\n\n![Minimum time of each engine relative to mpscnn]({picture.name})"


def written_by() -> str:
    """Return a sentence with the command and the date."""
    given = (Path(argument).name if argument.endswith(".tflite") else argument for argument in sys.argv[1:])
    command = shlex.join(["python", "benchmarks/performance.py", *given])
    return f"Written on {datetime.date.today().isoformat()} by `{command}`."


def replaced_part(page: str, part: str, text: str) -> str:
    """Return the page with another text between the comments of a part."""
    begin, end = f"<!-- {part}: written by benchmarks/performance.py -->\n", f"\n<!-- end of {part} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        sys.exit(f"the page has no part {part!r}: it needs the lines {begin.strip()!r} and {end.strip()!r}")
    return f"{before}{begin}{text}{end}{after}"


def readme_with(readme: str, comparisons: Sequence[Comparison]) -> str:
    """Return the README with the ratios and times of one thread in float32 in the column of this processor."""
    used = mpscnn.build_config()["instruction_set"]
    if used not in README_COLUMNS:
        sys.exit(f"the README has no column for the instruction set {used}")
    heading = README_COLUMNS[used]
    (head,) = re.findall(rf"^\| network \|.* {re.escape(heading)} \(.*$", readme, re.MULTILINE)
    column = next(i for i, cell in enumerate(head.split("|")) if cell.strip().startswith(f"{heading} ("))
    measured = {
        comparison.title: (comparison.turn, comparison.results)
        for comparison in comparisons
        if comparison.precision == "float32" and comparison.threads == 1
    }
    for row, name in README_ROWS.items():
        if CASES[name].title not in measured:
            continue
        turn, (ours, *peers) = measured[CASES[name].title]
        ratio = ours.minimum / min(peer.minimum for peer in peers)
        middle = max(compare_report.ratio_of_rounds(ours, peer, turn) for peer in peers)
        differs = abs(middle / ratio - 1.0) > MEDIAN_DIFFERS
        (line,) = re.findall(rf"^\| {re.escape(row)} \|.*$", readme, re.MULTILINE)
        cells = line.split("|")
        cells[column] = f" {ratio:.2f}{f', median {middle:.2f}' if differs else ''} ({ours.minimum:.1f} ms) "
        readme = readme.replace(line, "|".join(cells))
    return readme


if __name__ == "__main__":
    main()
