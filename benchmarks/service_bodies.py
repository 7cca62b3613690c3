"""Send hostile bodies of 20 MB to `mpscnn serve`, several at a time, and measure delays of health requests and memory.

python benchmarks/service_bodies.py --count 4

The bodies hold millions of useless values: nested lists, empty texts, empty elements, empty parts of a form.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

from harness import table_head, table_row
from service_process import memory, start_service

SIZE = 19_900_000
INFER = "/v2/models/cifar10_mobilenet_v2/infer"


def filled(part: bytes, separator: bytes = b",") -> bytes:
    """Repeat a part as often as fits into SIZE bytes."""
    return separator.join([part] * (SIZE // (len(part) + len(separator))))


def tensor(data: bytes, datatype: str = "FP32", shape: str = "[1,64,64,3]") -> bytes:
    head = f'{{"inputs":[{{"name":"image","datatype":"{datatype}","shape":{shape},"data":'
    return head.encode() + data + b"}]}"


def request(body: bytes, path: str = INFER, **headers: str) -> tuple[str, bytes, dict[str, str]]:
    return path, body, {name.replace("_", "-"): text for name, text in headers.items()}


def elements(count: int) -> tuple[str, bytes, dict[str, str]]:
    """Return a request with empty elements of the type BYTES, whose shape states `count` elements."""
    size = 4 * (SIZE // 4)
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "datatype": "BYTES",
                    "shape": [count],
                    "parameters": {"binary_data_size": size},
                }
            ]
        }
    ).encode()
    return request(head + bytes(size), Inference_Header_Content_Length=str(len(head)))


FILE = b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\n'


def form(part: bytes, before: bytes = b"") -> tuple[str, bytes, dict[str, str]]:
    return request(before + filled(part, b""), "/v1/classify", Content_Type="multipart/form-data; boundary=b")


NESTED = b"[" * 900 + b"]" * 900
BODIES: dict[str, Callable[[], tuple[str, bytes, dict[str, str]]]] = {
    "nested lists": lambda: request(b"[" + filled(NESTED) + b"]"),
    "nested lists as data": lambda: request(tensor(b"[" + filled(NESTED) + b"]")),
    "nested lists as outputs": lambda: request(b'{"inputs":[],"outputs":[' + filled(NESTED) + b"]}"),
    "empty lists as data": lambda: request(tensor(b"[" + filled(b"[]") + b"]")),
    "numbers": lambda: request(tensor(b"[" + filled(b"0") + b"]")),
    "numbers as their shape says": lambda: request(
        tensor(b"[" + b",".join([b"0.25"] * (320 * 64 * 64 * 3)) + b"]", shape="[320,64,64,3]")
    ),
    "empty texts": lambda: request(tensor(b"[" + filled(b'""') + b"]", "BYTES", "[1]")),
    "texts after backslashes": lambda: request(
        tensor(b'["' + b"\\\\" * (SIZE // 7) + b'"' + b',"ab"' * (SIZE // 7) + b"]", "BYTES", "[1]")
    ),
    "empty BYTES, one announced": lambda: elements(1),
    "empty BYTES, all announced": lambda: elements(SIZE // 4),
    "empty BYTES, thousands announced": lambda: elements(3_000),
    "empty parts of a form": lambda: form(b"--b\r\n\r\n\r\n"),
    "line ends before a form": lambda: form(b"\r\n"),
    "half boundaries in a form": lambda: form(b"\r\n--", FILE),
    "boundaries of a form that go on": lambda: form(b"\r\n--bX", FILE),
    "spaces after a form's boundary": lambda: form(b" ", FILE + b"x\r\n--b"),
    "zeros as a photo": lambda: request(bytes(SIZE), "/v1/classify"),
}


def ask(place: tuple[str, int], path: str, body: bytes | None, headers: dict[str, str]) -> str:
    connection = http.client.HTTPConnection(*place, timeout=300)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        content = json.loads(response.read())
        return f"{response.status} {content.get('kind', content.get('error', ''))}".strip()
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=4, help="requests in flight")
    parser.add_argument("--only", help="a part of a body's name")
    arguments = parser.parse_args()
    print(table_head("body", "answers", "seconds", "longest health in s", "largest memory in MB"))
    for name, make in BODIES.items():
        if arguments.only and arguments.only not in name:
            continue
        service, place = start_service()
        assert service.stderr is not None
        reader = threading.Thread(target=service.stderr.read)
        reader.start()
        path, body, headers = make()
        answers: Counter[str] = Counter()
        clients = [
            threading.Thread(target=lambda: answers.update([ask(place, path, body, headers)]))  # noqa: B023
            for _ in range(arguments.count)
        ]
        begun = time.perf_counter()
        for client in clients:
            client.start()
        longest = 0.0
        while any(client.is_alive() for client in clients):
            asked = time.perf_counter()
            ask(place, "/v2/health/live", None, {})
            longest = max(longest, time.perf_counter() - asked)
            time.sleep(0.02)
        seconds = time.perf_counter() - begun
        told = ", ".join(f"{count} x {answer}" for answer, count in answers.items())
        peak = memory(service.pid, "VmHWM") / 1e6
        print(table_row((name, told, f"{seconds:.1f}", f"{longest:.2f}", f"{peak:.0f}")), flush=True)
        service.terminate()
        service.wait()
        reader.join()


if __name__ == "__main__":
    main()
