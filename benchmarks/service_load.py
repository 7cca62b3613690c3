"""Compare `mpscnn serve` with FastAPI and LitServe, both with onnxruntime, for 1, 8 and 64 clients.

python benchmarks/service_load.py --model cifar10_mobilenet_v2 --serve "" --serve "--workers 2"

The peers need `pip install litserve fastapi uvicorn onnxruntime pillow`; `--peers` names the Python interpreter that
has them. Each client sends one photo after another over one connection. The servers take turns, each time in another
order. The table has the smallest processor time of a turn for each request, which is that of the server's processes
alone, and the medians of requests a second and of latencies. Clients and servers share this machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import random_network, table_head, table_row
from service import LITSERVE, PHOTO, free_port, running

import mpscnn

FASTAPI = Path(__file__).with_name("service_fastapi.py")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server: its address, the bytes of a request, and its process."""

    port: int
    request: bytes
    process: int


@dataclass(frozen=True)
class Turn:
    """The speed of one server in one turn: requests a second, and times in milliseconds."""

    rate: float
    processor: float
    p50: float
    p99: float


def post(path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def descendants(process: int) -> Iterator[int]:
    """Yield a process and all processes that it has started."""
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from descendants(int(child))


def processor_seconds(process: int) -> float:
    """Return the processor time that a server's processes have used."""
    total = 0
    for each in descendants(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


async def client(server: Server, ends: float, times: list[float]) -> None:
    """Send requests until a time, and add the seconds of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while (begun := time.perf_counter()) < ends:
        writer.write(server.request)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise SystemExit(f"a request failed: {head[:200]!r}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        times.append(time.perf_counter() - begun)
    writer.close()


async def measured(server: Server, clients: int, seconds: float) -> Turn:
    times: list[float] = []
    before, begun = processor_seconds(server.process), time.perf_counter()
    await asyncio.gather(*(client(server, begun + seconds, times) for _ in range(clients)))
    used, passed = processor_seconds(server.process) - before, time.perf_counter() - begun
    times.sort()
    p99 = times[min(int(0.99 * len(times)), len(times) - 1)]
    return Turn(len(times) / passed, 1000 * used / len(times), 1000 * statistics.median(times), 1000 * p99)


def started(stack: ExitStack, command: list[str], port: int, ready: str, request: bytes) -> Server:
    process = stack.enter_context(running(command, f"http://127.0.0.1:{port}", ready))
    return Server(port, request, process.pid)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="cifar10_mobilenet_v2", help="a classifier for photos")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument(
        "--serve", action="append", help="options of mpscnn serve; repeat it to compare several servers"
    )
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the peers")
    parser.add_argument("--peers", default=sys.executable, help="the Python interpreter of the peers")
    parser.add_argument("--without", nargs="*", default=[], choices=["fastapi", "litserve"])
    arguments = parser.parse_args()
    photo = PHOTO.read_bytes()
    image = post("/v1/classify", "image/jpeg", photo)
    encoded = json.dumps({"image_bytes": base64.b64encode(photo).decode()}).encode()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = mpscnn.load(arguments.model)
        source = arguments.model
        if arguments.model == "mobilenet_v2":  # trained weights would need a download
            source = str(Path(folder) / "mobilenet_v2.safetensors")
            random_network().save(source, preprocess="tensorflow")
            model = mpscnn.load(source)
        onnx = str(Path(folder) / "m.onnx")
        subprocess.run([sys.executable, "-m", "mpscnn", "convert", source, onnx], check=True)
        _, height, width, _ = next(iter(model.program.inputs.values()))
        servers: dict[str, Server] = {}
        for options in arguments.serve or [""]:
            port = free_port()
            command = [sys.executable, "-m", "mpscnn", "serve", source, "--port", str(port), *options.split()]
            name = f"mpscnn serve {options}".strip()
            servers[name] = started(stack, command, port, "/v2/health/ready", image)
        size = [str(width), str(height)]
        peers: dict[str, tuple[Path, bytes]] = {
            "fastapi": (FASTAPI, image),
            "litserve": (LITSERVE, post("/predict", "application/json", encoded)),
        }
        for name, (script, request) in peers.items():
            if name not in arguments.without:
                port = free_port()
                command = [arguments.peers, str(script), onnx, str(port), str(arguments.workers), *size]
                servers[f"{name}, onnxruntime"] = started(stack, command, port, "/health", request)
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {json.dumps(vars(arguments))}\n")
        for clients in arguments.clients:
            turns = compared(servers, clients, arguments.turns, arguments.seconds)
            print(
                table_head(
                    f"{clients} clients", "processor ms, min", "median", "photos/s", "p50 in ms", "p99 in ms"
                )
            )
            for name, ours in turns.items():
                print(table_row((name, *columns(ours))))
            print(flush=True)


def compared(servers: dict[str, Server], clients: int, turns: int, seconds: float) -> dict[str, list[Turn]]:
    """Measure the servers in turns. The first turn is a warm-up."""
    found: dict[str, list[Turn]] = {name: [] for name in servers}
    order, draw = list(servers.items()), random.Random(0)
    for number in range(turns + 1):
        draw.shuffle(order)
        for name, server in order:
            turn = asyncio.run(measured(server, clients, seconds))
            if number > 0:
                found[name].append(turn)
    return found


def columns(turns: list[Turn]) -> tuple[str, ...]:
    processor = [turn.processor for turn in turns]

    def median(value: Callable[[Turn], float], digits: int) -> str:
        return f"{statistics.median(map(value, turns)):.{digits}f}"

    return (
        f"{min(processor):.2f}",
        f"{statistics.median(processor):.2f}",
        median(lambda turn: turn.rate, 0),
        median(lambda turn: turn.p50, 1),
        median(lambda turn: turn.p99, 1),
    )


if __name__ == "__main__":
    main()
