"""Compare the time from the start of a process to its first result in mpscnn and its peers, and time commands.

    python benchmarks/startup.py [--peers NAMES] [--threads N] [--rounds N]

The processes run MobileNetV2. One of them is a C program that uses libmpscnn alone; a process that only imports numpy
is measured, too. Each engine's file of the network is written before, and is in the system's cache. As in a user's
program, each process imports the engine, loads the file, runs once on an array and reports it; the code with which
other benchmarks control their processes is not used. The second table has commands of mpscnn, from their start to their
end. Prints Markdown.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from harness import table_head, table_row
from processes import IN_C, NUMPY, Processes, mobilenet_v2, parser, rounds

from mpscnn import samples
from mpscnn.errors import Error

_DONE = "has run"
_IMPORTS = "import numpy, PIL.Image"
_COMMANDS = {
    "mpscnn --version": ["--version"],
    "mpscnn --help": ["--help"],
    "mpscnn classify PHOTO": ["classify", str(samples.photo("cat"))],
}


def main() -> None:
    arguments = parser(__doc__, 15).parse_args()
    with mobilenet_v2(arguments.peers.split(","), arguments.threads) as processes:
        print(table(processes, arguments.rounds))
        print(f"\n{commands_table(arguments.rounds)}")


def table(processes: Processes, count: int) -> str:
    """Measure first results, and return the table."""

    def milliseconds(name: str) -> float:
        if name == IN_C:
            return _milliseconds_until_done([*processes.in_c, "1"])
        code = NUMPY if name == NUMPY else processes.first_run(name)
        return _milliseconds_until_done([sys.executable, "-c", f"{code}; print({_DONE!r}, flush=True)"])

    times = rounds([NUMPY, *processes.setups, IN_C], count, milliseconds)
    bare = times[NUMPY]
    lines = [table_head("process", "minimum ms", "median ms", "above import numpy: minimum", "median")]
    for name, values in times.items():
        above = (min(values) - min(bare), median(values) - median(bare))
        figures = (min(values), median(values), *(() if name in (NUMPY, IN_C) else above))
        lines.append(table_row([name, *(f"{value:.0f}" for value in figures), *[""] * (4 - len(figures))]))
    return "\n".join([*lines, *(f"\nLeft out: {name}: {why}" for name, why in processes.missing.items())])


def commands_table(count: int) -> str:
    """Measure commands, and return the table. Compiled Python files must be in the cache, see `mobilenet_v2`."""

    def milliseconds(name: str) -> float:
        code = _IMPORTS
        if name != _IMPORTS:
            code = f"import sys; sys.argv = {['mpscnn', *_COMMANDS[name]]!r}; from mpscnn.apps.cli import main; main()"
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return 1000 * (time.perf_counter() - begin)

    names = [_IMPORTS, *_COMMANDS]
    for name in names:  # the first process compiles Python files
        milliseconds(name)
    times = rounds(names, count, milliseconds)
    lines = [table_head("process", "minimum ms", "median ms")]
    for name, values in times.items():
        lines.append(table_row([f"`{name}`", f"{min(values):.0f}", f"{median(values):.0f}"]))
    return "\n".join(lines)


def _milliseconds_until_done(command: list[str]) -> float:
    """Return the time of a process's first answer, without waiting for its end."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        if not any(line.strip() == _DONE for line in process.stdout):  # some engines print other lines, too
            raise Error(f"a process ended before it was done: {command}")
        return 1000 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
