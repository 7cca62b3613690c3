"""From the start of a process to MobileNetV2's first answer: mpscnn, the peers, and `import numpy` alone.

    python benchmarks/startup.py [--peers NAMES] [--threads N] [--rounds N]

The network's file, written by each engine's own tools, lies on the disk (and in the system's cache of it). Each process
imports the engine, loads the file, runs once on an array and says so. Prints Markdown.
"""

from __future__ import annotations

import time
from statistics import median

from harness import table_head, table_row
from processes import NUMPY, Processes, first_line, mobilenet_v2, parser, rounds


def main() -> None:
    arguments = parser(__doc__, 15).parse_args()
    with mobilenet_v2(arguments.peers.split(","), arguments.threads) as processes:
        print(table(processes, arguments.rounds))


def table(processes: Processes, count: int) -> str:
    """Measures."""

    def milliseconds(name: str) -> float:
        begin = time.perf_counter()
        if name == NUMPY:
            first_line("import numpy; print(flush=True)")
            return 1000 * (time.perf_counter() - begin)
        with processes.start(name):
            return 1000 * (time.perf_counter() - begin)

    times = rounds([NUMPY, *processes.setups], count, milliseconds)
    bare = times[NUMPY]
    lines = [table_head("process", "least ms", "median ms", "above import numpy: least", "median")]
    for name, values in times.items():
        above = (min(values) - min(bare), median(values) - median(bare))
        figures = (min(values), median(values), *([] if name == NUMPY else above))
        lines.append(table_row([name, *(f"{value:.0f}" for value in figures), *[""] * (4 - len(figures))]))
    return "\n".join([*lines, *(f"\nLeft out: {name}: {why}" for name, why in processes.missing.items())])


if __name__ == "__main__":
    main()
