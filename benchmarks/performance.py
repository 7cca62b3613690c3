"""Write docs/performance.md and its picture from the results of compare.py, startup.py and memory.py.

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

After reading this page you know the time, start, memory and size of mpscnn's CPU engine compared with other engines:
LiteRT (XNNPACK), OpenVINO, onnxruntime, ncnn, MNN and torch.
All run the same networks with the same random weights and inputs.
Each engine runs in a separate process with its fastest settings
([engines.py](../python/mpscnn/apps/benchmark/engines.py)).
The processes take turns, so all see the same state of the machine.
An engine whose outputs differ from mpscnn's is left out.

The engines that mpscnn is compared with are called *peers*. A ratio is the time of mpscnn divided by
that of the fastest peer, so mpscnn is faster if the ratio is below 1.
Prefer the median of the rounds: a round takes about a second,
while minima may come from different states of the machine.
[benchmarks/README.md](../benchmarks/README.md) has figures of single operations.

This page is written by `{command}`, {date}.

## Networks
{networks}

![Minimum time of each engine relative to mpscnn]({picture})

## Start
The table shows milliseconds from the start of a process to the first result of MobileNetV2, with {threads} threads.
The file of the network is in the system's cache. The row `import numpy` is a process that only imports numpy,
which all the others do as well.

{start}

## Memory
The table shows the peak resident memory of a process as in [Start](#start) that runs MobileNetV2 {runs} times.
MB are millions of bytes.

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
