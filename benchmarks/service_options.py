"""Change the options of a tiny model of `mpscnn serve` many times, and print the memory of the service.

python benchmarks/service_options.py --changes 1000

After each change the model computes once. Exits with 1 if the second half of the changes made the memory grow by more
than 10 MB: the model takes less, but each program that is not freed takes some 0.07 MB.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
from pathlib import Path

from harness import table_head, table_row
from service_process import memory, start_service

import mpscnn

SAMPLES = 10
GROWTH = 10e6
OPTIONS = [{"precision": precision, "threads": 1} for precision in ("float32", "float16")]


def save_tiny(path: Path) -> Path:
    network = mpscnn.Network(input=(8, 8, 3), name="tiny")
    network.output(network.conv2d(network.input, 4, 3, padding="same"))
    network.initialize_weights(1)
    network.save(path)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=1_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = save_tiny(Path(folder) / "tiny.safetensors")
        service, place = start_service(str(file), "--device", "cpu", "--log-level", "info")
        assert service.stderr is not None
        sizes = [memory(service.pid)]
        connection = http.client.HTTPConnection(*place, timeout=60)
        for number in range(1, arguments.changes + 1):
            for method, path, body in (
                ("POST", "/v1/models/tiny/options", json.dumps(OPTIONS[number % 2])),
                ("GET", "/v1/models/tiny/profile?runs=1", None),
            ):
                connection.request(method, path, body)
                response = connection.getresponse()
                content = response.read()
                assert response.status == 200, content
                service.stderr.readline()  # the line of the request
            if number % max(arguments.changes // SAMPLES, 1) == 0:
                sizes.append(memory(service.pid))
        connection.close()
        service.terminate()
        code = service.wait(timeout=60)
    print(f"mpscnn {mpscnn.__version__}, {arguments.changes:,} changes\n")
    print(table_head("changes", "MB"))
    for part, size in enumerate(sizes):
        print(table_row((part * max(arguments.changes // SAMPLES, 1), f"{size / 1e6:.1f}")))
    growth = sizes[-1] - sizes[len(sizes) // 2]
    well = growth < GROWTH and code == 0
    print(f"\ngrowth in the second half: {growth / 1e6:.1f} MB; exit code {code}")
    print("passed" if well else "FAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
