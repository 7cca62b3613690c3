"""Writes docs/performance.md with its picture: compare.py, startup.py and memory.py, one after the other.

python benchmarks/performance.py [options of compare.py] > docs/performance.md
    [--picture docs/performance.svg] [--starts N]
"""

from __future__ import annotations

import datetime
import shlex
import sys
from pathlib import Path

import compare_report
import memory
import startup
from compare import argument_parser, compared
from processes import mobilenet_v2

TEXT = """\
# Performance

The CPU engine beside LiteRT (XNNPACK), OpenVINO, onnxruntime, ncnn, MNN and torch, on the same networks with the same
random weights and inputs. Every engine runs in a process of its own with the settings that were fastest for it
([engines.py](../python/mpscnn/apps/benchmark/engines.py)), interleaved, so that all meet the same machine. Its
outputs are compared with mpscnn's and refused where they differ. Ratios are mpscnn's time over the fastest peer's:
below 1 mpscnn is the faster one. A round takes about a second, rows are minutes apart: the ratio of the median round is
the one to go by, since minima may have met different states of the machine. Figures of single operations are in
[benchmarks/README.md](../benchmarks/README.md).

This page is written by `{command}`, {date}.

## Networks
{networks}

![Minimum of each engine over mpscnn's]({picture})

## Start
Milliseconds from the start of a process to MobileNetV2's first answer, with the network's file in the system's cache,
and to `import numpy` alone; {threads} threads.

{start}

## Memory
The most that such a process ever has resident, when it runs the network {runs} times; MB are millions of bytes.

{memory}
"""


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--picture", type=Path, default=Path("docs/performance.svg"))
    parser.add_argument("--starts", type=int, default=15, help="processes of each engine; default: 15")
    arguments = parser.parse_args()
    comparisons = list(compared(arguments))
    threads = 2
    with mobilenet_v2(arguments.peers.split(","), threads) as processes:
        starts = startup.table(processes, arguments.starts)
        peaks = memory.table(processes, 3)
    given = (Path(argument).name if argument.endswith(".tflite") else argument for argument in sys.argv[1:])
    command = shlex.join(["python", "benchmarks/performance.py", *given])
    text = TEXT.format(
        command=command,
        date=datetime.date.today().isoformat(),
        picture=arguments.picture.name,
        networks=compare_report.markdown(comparisons, arguments),
        start=starts,
        memory=peaks,
        threads=threads,
        runs=memory.RUNS,
    )
    arguments.picture.write_text(compare_report.picture(comparisons))
    print(text, end="")


if __name__ == "__main__":
    main()
