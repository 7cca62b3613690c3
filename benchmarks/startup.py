"""Compare the time from the start of a process to MobileNetV2's first result in mpscnn and its peers.

    python benchmarks/startup.py [--peers NAMES] [--threads N] [--rounds N]

A process that only imports numpy is measured, too. Each engine's file of the network is written before, and is in the
system's cache. As in a user's program, each process imports the engine, loads the file, runs once on an array and
reports it; the code with which other benchmarks control their processes is not used. Prints Markdown.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from harness import table_head, table_row
from processes import NUMPY, Processes, mobilenet_v2, parser, rounds

from mpscnn.errors import Error

_DONE = "has run"


def main() -> None:
    arguments = parser(__doc__, 15).parse_args()
    with mobilenet_v2(arguments.peers.split(","), arguments.threads) as processes:
        print(table(processes, arguments.rounds))


def table(processes: Processes, count: int) -> str:
    """Measure, and return the table."""

    def milliseconds(name: str) -> float:
        return _milliseconds_until_done(NUMPY if name == NUMPY else processes.first_run(name))

    times = rounds([NUMPY, *processes.setups], count, milliseconds)
    bare = times[NUMPY]
    lines = [table_head("process", "minimum ms", "median ms", "above import numpy: minimum", "median")]
    for name, values in times.items():
        above = (min(values) - min(bare), median(values) - median(bare))
        figures = (min(values), median(values), *([] if name == NUMPY else above))
        lines.append(table_row([name, *(f"{value:.0f}" for value in figures), *[""] * (4 - len(figures))]))
    return "\n".join([*lines, *(f"\nLeft out: {name}: {why}" for name, why in processes.missing.items())])


def _milliseconds_until_done(code: str) -> float:
    """Return the time of a process's first answer, without waiting for its end."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", f"{code}; print({_DONE!r}, flush=True)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        if not any(line.strip() == _DONE for line in process.stdout):  # some engines print other lines, too
            raise Error(f"a process ended before it was done: {code}")
        return 1000 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
