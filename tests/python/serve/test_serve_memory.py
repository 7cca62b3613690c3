"""`mpscnn serve` keeps no memory of failed requests, even if Python's garbage collector never runs."""

from __future__ import annotations

import gc
import http.client
import io
import json
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Connection
from systems import MEMORY_CODE, needs_proc

import mpscnn

pytest.importorskip("fastapi", reason="fastapi is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("python_multipart", reason="python_multipart is not installed")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

from mpscnn.apps.serve.hosting import Models, host
from mpscnn.apps.serve.limits import MemoryBudget, WaitedError
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.responses import picture
from mpscnn.apps.serve.server import create_server
from mpscnn.apps.serve.service import Service
from mpscnn.apps.serve.settings import Settings

MAX_PIXELS = 50_000
REQUESTS, REQUESTS_IN_FULL = 25, 60
WARM = 5  # requests after which all caches are filled


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((width, height), 50).convert("RGB").save(stream, "PNG", compress_level=1)
    return stream.getvalue()


PHOTO = png(100, 100)


class Client:
    """A service in a thread of this process, and a client for it."""

    def __init__(self, place: tuple[str, int], server: Any, service: Service) -> None:
        self.place = place
        self.service = service
        self._server = server
        self.connection = Connection(*place, timeout=120)

    def wait(self) -> None:
        """Wait until the last request has ended, and threads and closed connections have left no more objects."""
        while self._server.server_state.tasks:
            time.sleep(0.01)
        count, later = -1, len(gc.get_objects())
        while count != later:
            time.sleep(0.15)
            count, later = later, len(gc.get_objects())

    def ask(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
        self.connection.request("GET" if body is None else "POST", path, body, headers or {})
        response = self.connection.getresponse()
        response.read()
        return response.status

    def send(self, more: str, body: bytes, wait: bool = False) -> bytes:
        """Send the beginning of a photo over a new connection.

        With `wait`, return the body of the answer. Otherwise, close the connection at once and return no bytes.
        """
        head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(PHOTO)}\r\n{more}\r\n"
        with socket.create_connection(self.place, timeout=60) as connection:
            connection.sendall(head.encode() + body)
            if not wait:
                return b""
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.read()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    model = save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")
    service = Service(Models([host(model, 1)]), Settings(port=0, inflight=1, max_pixels=MAX_PIXELS))
    server = create_server(service)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        made = Client(listener.getsockname(), server, service)
        yield made
        made.connection.close()
        server.should_exit = True
        thread.join()
    service.close()


def tensor(**changes: object) -> bytes:
    fields = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192}
    return json.dumps({"inputs": [{**fields, **changes}]}).encode()


def of_photo(
    status: int, body: bytes, path: str = "/v1/classify", **headers: str
) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        assert (
            client.ask(path, body, {name.replace("_", "-"): text for name, text in headers.items()}) == status
        )

    return ask


def of_tensor(status: int, body: bytes) -> Callable[[Client], None]:
    return of_photo(status, body, "/v2/models/colours/infer")


def past_its_deadline(client: Client) -> None:
    assert client.ask("/v1/classify", PHOTO, {"X-Request-Timeout": "0.0005"}) in (200, 408, 504)


def aborted(client: Client) -> None:
    client.send("", PHOTO[:100])


def slow(client: Client) -> None:
    assert b"BodyTooSlow" in client.send("X-Request-Timeout: 0.01\r\n", PHOTO[:100], wait=True)


FAILURES: dict[str, Callable[[Client], None]] = {
    "cut off": of_photo(400, PHOTO[:-1000]),
    "no photo": of_photo(400, b"not a photo" * 5_000),
    "no form": of_photo(400, PHOTO, Content_Type="multipart/form-data; boundary=x"),
    "no base64": of_photo(400, b'{"image": "%s*"}' % b64encode(PHOTO), Content_Type="application/json"),
    "too many pixels": of_photo(413, png(300, 300)),
    "wrong option": of_photo(400, PHOTO, "/v1/classify?top=0"),
    "unknown model": of_photo(404, PHOTO, "/v1/classify?model=none"),
    "wrong task": of_photo(422, PHOTO, "/v1/detect?model=colours"),
    "no media type": of_photo(406, PHOTO, Accept="text/plain"),
    "no JSON": of_tensor(400, b"{" * 5_000),
    "no JSON, long": of_tensor(400, b"{" * 100_000),
    "wrong shape, long": of_tensor(400, tensor(shape=[1, 8, 4, 6]) + b" " * 100_000),
    "wrong shape": of_tensor(400, tensor(shape=[1, 8, 4, 6])),
    "wrong name": of_tensor(400, tensor(name="none")),
    "infinite": of_tensor(422, tensor(data=[3e38] * 192)),
    "late": past_its_deadline,
    "aborted": aborted,
    "slow": slow,
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failed_requests_leave_nothing(client: Client, failure: Callable[[Client], None], full: bool) -> None:
    requests = REQUESTS_IN_FULL if full else REQUESTS

    def objects_and_bytes() -> tuple[int, int]:
        client.wait()
        return len(gc.get_objects()), tracemalloc.get_traced_memory()[0]

    for _ in range(WARM):
        failure(client)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        objects, count = objects_and_bytes()
        for _ in range(requests):
            failure(client)
        objects_after, count_after = objects_and_bytes()
        unreachable = gc.collect()
    finally:
        tracemalloc.stop()
        gc.enable()
    # A reference cycle for each request would be at least 50 objects, and a photo of 30 kB or arrays.
    assert objects_after - objects < 25 * requests
    # A connection may still hold the last body, of up to 100 kB.
    assert count_after - count < len(PHOTO) / 4 * requests + 100_000
    assert unreachable < 25 * requests


# ---- Decoded photos --------


def png16(width: int, height: int) -> bytes:
    """Return a PNG of 16-bit colours, which Pillow cannot write. It is decoded twice."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\1\2" * 3 * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "drawn", "expected"),
    [(PHOTO, False, 10_000), (PHOTO, True, 20_000), (png16(20, 10), False, 400), (png16(20, 10), True, 800)],
    ids=["photo", "photo, drawn", "16 bits", "16 bits, drawn"],
)
def test_the_pixels_of_a_photo_are_counted_before_they_are_decoded(
    content: bytes, drawn: bool, expected: int
) -> None:
    photos = MemoryBudget(expected, "photos")
    with photos.share() as share:
        memory = PhotoMemory(share, threading.Lock(), time.monotonic(), drawn)
        photo = memory.open(content, MAX_PIXELS)
        assert photos.used == expected
        with pytest.raises(WaitedError):  # until the first photo is freed
            memory.open(content, MAX_PIXELS)
        memory.free()
        assert photos.used == 0
        assert memory.open(content, MAX_PIXELS).size == photo.size
    assert photos.used == 0


def test_a_photo_that_waits_for_memory_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpscnn.vision.photo_file.load", lambda _: pytest.fail("it was decoded"))
    with MemoryBudget(9_999, "photos").share() as share, pytest.raises(WaitedError):
        PhotoMemory(share, threading.Lock(), time.monotonic()).open(PHOTO, MAX_PIXELS)


@pytest.mark.parametrize(("edge", "waits"), [(99, True), (100, False)])
def test_large_photos_are_decoded_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, edge: int, waits: bool
) -> None:
    """PHOTO has 100 x 100 pixels. Another request has the turn for large photos until the deadline."""
    monkeypatch.setattr("mpscnn.apps.serve.photos._LARGE", edge * 100)
    turn = threading.Lock()
    photos = MemoryBudget(20_000, "photos")
    with photos.share() as share:
        memory = PhotoMemory(share, turn, time.monotonic() + 0.01)
        with turn, pytest.raises(WaitedError) if waits else nullcontext():
            memory.open(PHOTO, MAX_PIXELS)
        memory.free()
        with pytest.raises(mpscnn.ImageError):
            PhotoMemory(share, turn, time.monotonic() + 60).open(PHOTO[:-500], MAX_PIXELS)
        assert not turn.locked()
    assert photos.used == 0


def pixels(content: bytes) -> tuple[str, bytes, dict[str, str]]:
    """Return a request for a photo as a tensor of the type BYTES."""
    fields = {"name": "image", "shape": [2], "datatype": "BYTES"}
    both = 2 * (len(content).to_bytes(4, "little") + content)
    head = json.dumps({"inputs": [{**fields, "parameters": {"binary_data_size": len(both)}}]}).encode()
    return "/v2/models/colours/infer", head + both, {"Inference-Header-Content-Length": str(len(head))}


FORM = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n%s\r\n--x--'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PHOTO, "image/png"),
        (FORM % PHOTO, "multipart/form-data; boundary=x"),
        (b'{"image": "%s"}' % b64encode(PHOTO), "application/json"),
    ],
    ids=["file", "form", "base64"],
)
def test_the_body_of_a_photo_is_freed_when_it_is_decoded(
    client: Client, monkeypatch: pytest.MonkeyPatch, body: bytes, content_type: str
) -> None:
    held: list[int] = []

    def drawn(result: Any, photo: Any, kind: str) -> bytes:
        held.append(client.service.bodies.used)
        return picture(result, photo, kind)

    monkeypatch.setattr("mpscnn.apps.serve.photo_routes.picture", drawn)
    headers = {"Content-Type": content_type, "Accept": "image/png"}
    assert client.ask("/v1/classify", body, headers) == 200
    assert held == [0]


@pytest.mark.parametrize(
    "request_of",
    [
        ("/v1/classify", PHOTO, {}),
        ("/v1/classify", PHOTO, {"Accept": "image/png"}),
        pixels(PHOTO),
    ],
    ids=["photo", "annotated photo", "tensor"],
)
def test_decoded_photos_wait_for_memory(
    client: Client, request_of: tuple[str, bytes, dict[str, str]]
) -> None:
    path, body, headers = request_of
    photos = client.service.photos
    others = 4 * MAX_PIXELS - 9_999  # a pixel too many
    with photos.share() as share:
        share.add(others)
        assert client.ask(path, body, {**headers, "X-Request-Timeout": "0.2"}) == 504
        client.wait()
        assert photos.used == others
        free = threading.Timer(0.5, share.reduce_to, (0,))
        begun = time.monotonic()
        free.start()
        assert client.ask(path, body, headers) == 200
        assert time.monotonic() - begun > 0.3
        free.join()
    client.wait()
    assert photos.used == 0


#: Decodes photos in threads, and prints by how many bytes the process is larger afterwards.
DECODING = """
import io, threading
from PIL import Image
import mpscnn
from mpscnn.apps.serve.server import return_large_blocks
return_large_blocks()
stream = io.BytesIO()
Image.new("RGB", (2000, 2000)).save(stream, "PNG")
mpscnn.preprocess(stream.getvalue(), 32)
before = memory("VmRSS")
for _ in range(2):
    threads = [threading.Thread(target=mpscnn.preprocess, args=(stream.getvalue(), 32)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(memory("VmRSS") - before)
"""


@needs_proc
def test_memory_of_large_photos_goes_back_to_the_system() -> None:
    """Each photo takes 12 MB. Without the limit for blocks, glibc keeps some 120 MB for the threads."""
    program = [sys.executable, "-c", MEMORY_CODE + DECODING]
    grown = int(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
    assert grown < 40e6
