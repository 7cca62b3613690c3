"""Compare the peak resident memory of processes that run MobileNetV2 in mpscnn and in its peers, or only import numpy.

    python benchmarks/memory.py [--peers NAMES] [--threads N] [--rounds N]

Each process imports the engine, loads the network's file and runs it 20 times on an array. The memory includes Python,
numpy, and pages of libraries that are shared with other processes. A C program that uses libmpscnn alone has neither.
Prints Markdown.
"""

from __future__ import annotations

import subprocess
from statistics import median

from harness import table_head, table_row
from processes import IN_C, NUMPY, Processes, first_line, mobilenet_v2, parser, rounds

RUNS = 20
#: A program that prints the peak memory of a process that imports only NumPy (as `peak_bytes` in
#: mpscnn.apps.benchmark).
PEAK_OF_NUMPY = """
import sys, numpy
try:
    lines = open("/proc/self/status").read().splitlines()
    peak = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(peak, flush=True)
"""


def main() -> None:
    arguments = parser(__doc__, 3).parse_args()
    with mobilenet_v2(arguments.peers.split(","), arguments.threads) as processes:
        print(table(processes, arguments.rounds))


def table(processes: Processes, count: int) -> str:
    """Measure, and return the table."""

    def megabytes(name: str) -> float:
        if name == NUMPY:
            return float(first_line(PEAK_OF_NUMPY)) / 1e6
        if name == IN_C:
            command = [*processes.in_c, str(RUNS)]
            return float(subprocess.run(command, capture_output=True, check=True).stdout.split()[-1]) / 1e6
        with processes.start(name) as process:
            process.ask({"runs": RUNS - 1})
            return float(process.ask({"finish": True})["peak_bytes"]) / 1e6

    peaks = rounds([NUMPY, *processes.setups, IN_C], count, megabytes)
    bare = median(peaks[NUMPY])
    lines = [table_head("process", "peak MB", "above import numpy")]
    for name, values in peaks.items():
        above = "" if name in (NUMPY, IN_C) else f"{median(values) - bare:.1f}"
        lines.append(table_row([name, f"{median(values):.1f}", above]))
    return "\n".join([*lines, *(f"\nLeft out: {name}: {why}" for name, why in processes.missing.items())])


if __name__ == "__main__":
    main()
