"""Compare the photos per second of `mpscnn serve`, the runner without HTTP, and LitServe with onnxruntime.

chrt -r 1 python benchmarks/service.py --connections 8

Needs wrk (`apt-get install wrk`), and `pip install litserve onnxruntime onnx`. The network is MobileNetV2 with random
weights, which takes as long as a trained one. wrk sends the same photo again and again, over `--connections`
connections, each with one request at a time. Server and clients share this machine's
processors. The measurements are interleaved.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness import random_network, table_head, table_row

import mpscnn

PHOTO = mpscnn.samples.photo("cat")
LITSERVE = Path(__file__).with_name("service_litserve.py")

BASE = "mpscnn.Runner, without HTTP"

# The request script for wrk, in Lua.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency, requests)
    local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    io.write(string.format("RESULT %d %d %d %.3f %.3f\\n", summary.requests, summary.duration,
             bad + summary.errors.timeout, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Turn:
    """The result of measuring one server for some seconds."""

    rate: float
    """Photos per second."""
    median: float
    """Milliseconds."""
    p99: float


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], address: str, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a separate process, after waiting until it answers the path `ready`."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(address + ready):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"{command} did not start")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the process group includes LitServe's workers
        process.wait()


def wrk(address: str, script: Path, connections: int, seconds: int) -> Turn:
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        address,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\S+) (\S+)", said)
    if found is None or int(found[3]):
        raise SystemExit(f"requests to {address} failed:\n{said}")
    return Turn(1e6 * int(found[1]) / int(found[2]), float(found[4]), float(found[5]))


def without_http(model: mpscnn.Model, inflight: int, seconds: float, batch: int = 1) -> Turn:
    """Measure the runner on the same photo without HTTP. Times are those between two results."""
    content = PHOTO.read_bytes()
    times = []
    with mpscnn.Runner(model, inflight, max_batch=batch, max_wait=0.0 if batch == 1 else 0.01) as runner:
        begun = time.perf_counter()

        def photos() -> Iterator[bytes]:
            while time.perf_counter() < begun + seconds:
                yield content

        for _ in runner.map(photos(), top=5):
            times.append(time.perf_counter())
    gaps = sorted(1000 * (later - earlier) for earlier, later in itertools.pairwise(times))
    return Turn(len(times) / (times[-1] - begun), statistics.median(gaps), gaps[int(0.99 * len(gaps))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="of each turn")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--without-litserve", action="store_true")
    parser.add_argument("--batches", type=int, nargs="*", default=[], help="of the runner, such as 4 8")
    parser.add_argument(
        "--serve", action="append", help="options of mpscnn serve; repeat it to compare several servers"
    )
    arguments = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path, onnx, encoded = (
            Path(folder) / name for name in ("mobilenet_v2.safetensors", "m.onnx", "body.json")
        )
        random_network().save(path, preprocess="tensorflow")
        encoded.write_text(json.dumps({"image_bytes": base64.b64encode(PHOTO.read_bytes()).decode()}))
        photo, as_json = Path(folder) / "photo.lua", Path(folder) / "json.lua"
        photo.write_text(SCRIPT.replace("{kind}", "image/jpeg").replace("{body}", str(PHOTO)))
        as_json.write_text(SCRIPT.replace("{kind}", "application/json").replace("{body}", str(encoded)))
        model = mpscnn.load(path)

        calls: dict[str, Callable[[], Turn]] = {
            BASE: partial(without_http, model, processors + 1, arguments.seconds)
        }
        for options in arguments.serve or [""]:
            own = f"http://127.0.0.1:{free_port()}"
            command = [sys.executable, "-m", "mpscnn", "serve", str(path), "--port", own.rpartition(":")[2]]
            stack.enter_context(running([*command, *options.split()], own, "/v2/health/ready"))
            calls[f"mpscnn serve {options}".strip()] = partial(
                wrk, f"{own}/v1/classify", photo, arguments.connections, arguments.seconds
            )
        for batch in arguments.batches:
            calls[f"mpscnn.Runner, batches of up to {batch}"] = partial(
                without_http, model, processors + 1, arguments.seconds, batch
            )
        if not arguments.without_litserve:
            subprocess.run([sys.executable, "-m", "mpscnn", "convert", path, onnx], check=True)
            other = f"http://127.0.0.1:{free_port()}"
            command = [sys.executable, str(LITSERVE), str(onnx), other.rpartition(":")[2], str(processors)]
            stack.enter_context(running(command, other, "/health"))
            calls["LitServe, onnxruntime"] = partial(
                wrk, f"{other}/predict", as_json, arguments.connections, arguments.seconds
            )
        turns: dict[str, list[Turn]] = {name: [] for name in calls}
        for number in range(arguments.turns + 1):
            for name, call in calls.items():
                turn = call()
                if number > 0:  # the first turn is a warm-up
                    turns[name].append(turn)
    base = turns[BASE]
    print(f"{processors} processors, {arguments.connections} connections, {json.dumps(vars(arguments))}\n")
    print(table_head("", "photos/s, median", "/ the runner's, median of turns", "p50 in ms", "p99 in ms"))
    for name, measured in turns.items():
        ratio = statistics.median(one.rate / other.rate for one, other in zip(measured, base, strict=True))
        print(
            table_row(
                (
                    name,
                    f"{statistics.median(turn.rate for turn in measured):.1f}",
                    f"{ratio:.3f}",
                    f"{statistics.median(turn.median for turn in measured):.1f}",
                    f"{statistics.median(turn.p99 for turn in measured):.1f}",
                )
            )
        )


if __name__ == "__main__":
    main()
