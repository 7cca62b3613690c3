"""Compare the memory of `mpscnn serve --workers N` with that of N services.

python benchmarks/service_memory.py --workers 2 4

Each service gets some photos first. The memory is the sum of Pss of all its processes (/proc/PID/smaps_rollup): a page
that k processes share counts as a k-th of a page for each. Linux only. The model is MobileNetV2 with random weights.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from harness import random_network, table_head, table_row
from service import PHOTO, free_port, running
from service_load import descendants

#: The photos that each worker gets, on average.
_PHOTOS = 16


def memory(process: int) -> float:
    """Return the megabytes that a process takes, by its share of each page."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("this system does not tell the memory of processes")


def ask(port: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/classify", PHOTO.read_bytes())
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def megabytes(model: Path, services: int, workers: int) -> float:
    """Return the memory of some services, each with some workers."""
    with ExitStack() as stack:
        total = 0.0
        started = []
        for _ in range(services):
            port = free_port()
            command = [sys.executable, "-m", "mpscnn", "serve", str(model), "--device", "cpu"]
            command += ["--port", str(port), "--workers", str(workers), "--log-level", "error"]
            process = stack.enter_context(running(command, f"http://127.0.0.1:{port}", "/v2/health/ready"))
            started.append((process.pid, port))
        for _, port in started:
            with concurrent.futures.ThreadPoolExecutor(4 * workers) as clients:
                for future in [clients.submit(ask, port) for _ in range(_PHOTOS * workers)]:
                    future.result()
        for number, _ in started:
            total += sum(memory(each) for each in descendants(number))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 4])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "mobilenet_v2.safetensors"
        random_network().save(model, preprocess="tensorflow")
        print(table_head("workers", "one service, MB", "as many services, MB"))
        for workers in arguments.workers:
            together, apart = megabytes(model, 1, workers), megabytes(model, workers, 1)
            print(table_row([workers, f"{together:.0f}", f"{apart:.0f}"]))


if __name__ == "__main__":
    main()
