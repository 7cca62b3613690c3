"""Send good, bad, slow and aborted requests to `mpscnn serve` for a long time, and check all answers and the memory.

python benchmarks/service_soak.py --minutes 30

Clients of each kind send one request after the other. Every request that a client does not abort must get the expected
answer; a request that finds the queue full (503) is sent again. At the end, the counts of the service must equal those
of the clients. Exits with 1 if an answer was lost or wrong, or if the memory grew by more than a tenth from the first
fifth of the time to the end.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import random
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import table_head, table_row
from PIL import Image
from service_process import memory, start_service

import mpscnn

PHOTO = mpscnn.samples.photo("cat").read_bytes()
SETTLED = 0.2
GROWTH = 1.1


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(stream, "PNG")
    return stream.getvalue()


class Client:
    """A client that sends requests until `end` is set. `count` has the number of each kind of answer."""

    def __init__(self, place: tuple[str, int], seed: int, end: threading.Event) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.end = end
        self.count: Counter[str] = Counter()
        self.lost: list[str] = []

    def ask(
        self, path: str, body: bytes, wanted: set[int], headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request, and repeat it while the queue is full. An answer other than `wanted` counts as lost."""
        while True:
            connection = http.client.HTTPConnection(*self.place, timeout=60)
            try:
                connection.request("POST", path, body, headers or {})
                response = connection.getresponse()
                status, content = response.status, response.read()
            except OSError as error:
                self.lost.append(f"{path}: {error!r}")
                return 0, b""
            finally:
                connection.close()
            self.count[str(status)] += 1
            if status == 503 and not self.end.is_set():
                time.sleep(0.05)
                continue
            if status not in {*wanted, 503}:
                self.lost.append(f"{path}: {status} {content[:200]!r}")
            return status, content


def good(client: Client) -> None:
    kind = client.random.choice(["application/json", "image/png", "image/jpeg"])
    status, content = client.ask("/v1/classify?top=1", PHOTO, {200}, {"Accept": kind})
    if status == 200 and kind == "application/json":
        label = json.loads(content)["predictions"][0]["label"]
        if label != "cat":
            client.lost.append(f"a cat is a {label}")


PIXELS = (
    np.asarray(Image.open(io.BytesIO(PHOTO)).convert("RGB").resize((64, 64)), np.float32)[np.newaxis] / 255
)


def tensors(client: Client) -> None:
    described: dict[str, Any] = {"name": "image", "shape": list(PIXELS.shape), "datatype": "FP32"}
    described["parameters"] = {"binary_data_size": PIXELS.nbytes}
    text = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    client.ask("/v2/models/cifar10_mobilenet_v2/infer", text + PIXELS.tobytes(), {200}, headers)


def bad(client: Client) -> None:
    body, status, headers = client.random.choice(
        [
            (PHOTO[: client.random.randrange(len(PHOTO) - 100)], 400, {}),
            (b"junk" * client.random.randrange(1_000), 400, {}),
            (png(3_000, 2_000), 413, {}),
            (PHOTO, 400, {"Content-Type": "multipart/form-data; boundary=x"}),
            (PHOTO, 406, {"Accept": "text/plain"}),
            (PHOTO, 415, {"Content-Encoding": "gzip"}),
            (PHOTO, 400, {"X-Request-Timeout": "soon"}),
            (PHOTO, 403, {"Origin": "http://evil.example"}),
        ]
    )
    client.ask("/v1/classify", body, {status}, headers)


def late(client: Client) -> None:
    client.ask(
        "/v1/classify",
        PHOTO,
        {200, 408, 504},
        {"X-Request-Timeout": f"{client.random.uniform(1e-3, 0.1):.4f}"},
    )


def slow(client: Client) -> None:
    """Send a body in ten parts, with pauses."""
    connection = http.client.HTTPConnection(*client.place, timeout=60)
    try:
        connection.putrequest("POST", "/v1/classify")
        connection.putheader("Content-Length", str(len(PHOTO)))
        connection.endheaders()
        step = -(-len(PHOTO) // 10)
        for start in range(0, len(PHOTO), step):
            connection.send(PHOTO[start : start + step])
            time.sleep(0.02)
        response = connection.getresponse()
        status, content = response.status, response.read()
    except OSError as error:
        client.lost.append(f"slow: {error!r}")
        return
    finally:
        connection.close()
    client.count[str(status)] += 1
    if status not in (200, 503):
        client.lost.append(f"slow: {status} {content[:200]!r}")


HEAD = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(PHOTO)}\r\n\r\n"


def aborted(client: Client) -> None:
    """Close the connection within the head, within the body, or some moments after the body."""
    content = HEAD.encode() + PHOTO
    cut = client.random.choice([client.random.randrange(len(content)), len(content)])
    with socket.create_connection(client.place, timeout=60) as connection:
        connection.sendall(content[:cut])
        time.sleep(client.random.choice([0, 0.01, 0.1]))
    client.count["aborted"] += 1


KINDS: dict[str, tuple[Callable[[Client], None], int]] = {
    "good": (good, 3),
    "tensors": (tensors, 1),
    "bad": (bad, 2),
    "late": (late, 1),
    "slow": (slow, 2),
    "aborted": (aborted, 2),
}


def of_metrics(place: tuple[str, int], pattern: str) -> Counter[str]:
    """Return sums of the service's metrics, by the first group of a regular expression."""
    connection = http.client.HTTPConnection(*place, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    sums: Counter[str] = Counter()
    for match in re.finditer(pattern, text, re.MULTILINE):
        sums[match[1]] += int(float(match[2]))
    return sums


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    arguments = parser.parse_args()
    service, place = start_service("--queue", "8", "--max-pixels", "5000000")
    unexpected: list[str] = []

    def read_log() -> None:
        assert service.stderr is not None
        for line in service.stderr:
            if '"event": "request"' not in line and '"event": "ended"' not in line:
                unexpected.append(line)

    threads = [threading.Thread(target=read_log)]
    end = threading.Event()
    clients: dict[str, list[Client]] = {}
    for kind, (act, count) in KINDS.items():
        clients[kind] = [Client(place, len(clients) * 100 + number, end) for number in range(count)]
        for client in clients[kind]:

            def ask(client: Client = client, act: Callable[[Client], None] = act) -> None:
                while not end.is_set():
                    act(client)

            threads.append(threading.Thread(target=ask))
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    samples: list[tuple[float, int]] = []
    while (passed := time.monotonic() - begun) < 60 * arguments.minutes:
        samples.append((passed, memory(service.pid)))
        time.sleep(1)
    end.set()
    for thread in threads[1:]:
        thread.join()
    time.sleep(1)  # the service needs some time to notice the last aborted requests
    counted = of_metrics(place, r'^mpscnn_requests_total\{route="[^"]*",status="(\d+)"\} (\S+)$')
    told = sum((client.count for group in clients.values() for client in group), Counter())
    left = of_metrics(place, r"^(mpscnn_queue_length|mpscnn_computing) (\S+)$")
    files = len(list(Path(f"/proc/{service.pid}/fd").iterdir()))
    service.send_signal(signal.SIGTERM)
    code = service.wait(timeout=60)
    threads[0].join()

    lost = [text for group in clients.values() for client in group for text in client.lost]
    print(f"mpscnn {mpscnn.__version__}, {samples[-1][0] / 60:.1f} minutes\n")
    print(table_head("clients", "requests", "answers", "lost"))
    for kind, group in clients.items():
        answers = sum((client.count for client in group), Counter())
        shown = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
        print(
            table_row(
                (f"{len(group)} {kind}", answers.total(), shown, sum(len(client.lost) for client in group))
            )
        )
    early = [size for moment, size in samples if SETTLED * 0.5 < moment / samples[-1][0] <= SETTLED]
    final = [size for moment, size in samples if moment / samples[-1][0] > 1 - SETTLED * 0.5]
    growth = np.median(final) / np.median(early)
    print(
        f"\nmemory: {np.median(early) / 1e6:.0f} MB from {SETTLED / 2:.0%} to {SETTLED:.0%} of the time, "
        f"{np.median(final) / 1e6:.0f} MB in its last tenth ({growth:.3f}); "
        f"open files at the end: {files}; {dict(left)}; exit code {code}; "
        f"the service's own count: {dict(sorted(counted.items()))}"
    )
    for text in [*lost[:10], *unexpected[:10]]:
        print(text)
    # An aborted request counts as 499, or as the answer that was sent before the abort was noticed.
    agree = counted.total() <= told.total() and all(
        counted[status] >= count for status, count in told.items() if status != "aborted"
    )
    well = agree and not lost and not unexpected and code == 0 and growth < GROWTH and not any(left.values())
    print("passed" if well else "FAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
