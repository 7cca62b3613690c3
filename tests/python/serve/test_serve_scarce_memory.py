"""Test `mpscnn serve` with too little memory: it refuses to start, or requests get the status 503."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Connection, require_packages
from systems import needs_memory_limit

require_packages()

from mpscnn.apps.serve import memory_watch, warm_up  # noqa: E402 - needs the packages
from mpscnn.apps.serve.hosting import Models, host  # noqa: E402
from mpscnn.apps.serve.memory_watch import MemoryWatch  # noqa: E402
from mpscnn.apps.serve.server import create_server  # noqa: E402
from mpscnn.apps.serve.service import Service  # noqa: E402
from mpscnn.apps.serve.settings import Settings  # noqa: E402
from mpscnn.errors import ImageError, ParameterError  # noqa: E402
from mpscnn.vision import photo_file  # noqa: E402

LACKS = {
    "memory": MemoryError(),
    "system": OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    "decoder": OSError("out of memory when reading image file"),
    "thread": RuntimeError("can't start new thread"),
    "library": ImportError("libjpeg.so: failed to map segment from shared object"),
}
LACKING = (503, "MemoryError")


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    model = save_colour_model(tmp_path / "colours.safetensors")
    made = Service(Models([host(model, 1)]), Settings(port=0, inflight=1))
    yield made
    made.close()


class Client:
    """Sends requests to a service in this process."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Return the status and the kind of error of a response."""
        connection = Connection(*self._place, timeout=60)
        connection.request("GET" if body is None else "POST", path, body, {"Connection": "close"})
        response = connection.getresponse()
        found = json.loads(response.read())
        connection.close()
        return response.status, found.get("kind", found.get("error", ""))


@contextmanager
def running(service: Service) -> Iterator[Client]:
    server = create_server(service)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield Client(place)
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize("error", LACKS.values(), ids=LACKS)
def test_a_photo_that_memory_lacks_for_is_not_called_damaged(
    service: Service, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    with running(service) as client:
        with monkeypatch.context() as broken:
            broken.setattr(photo_file, "load", fail)
            assert client.ask("/v1/classify", jpeg()) == LACKING
        for path in ("/v2/health/ready", "/v2/models/colours/ready"):
            assert client.ask(path) == LACKING
        assert client.ask("/v2/health/live") == (200, "")
        assert client.ask("/v1/classify", jpeg()[:-300]) == LACKING  # a decoder may lack memory, too
        assert client.ask("/v1/classify", jpeg()) == (200, "")
        assert client.ask("/v2/health/ready") == (200, "")
        assert client.ask("/v1/classify", jpeg()[:-300]) == (400, "ImageError")


def test_it_is_ready_again_after_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = MemoryWatch()
    watch.note_failure()
    assert watch.has_failed
    assert watch.is_short
    monkeypatch.setattr(memory_watch, "_SECONDS", 0.0)
    watch.note_failure()
    assert not watch.is_short
    monkeypatch.setattr(memory_watch, "_PHOTO_BYTES", sys.maxsize // 2)
    assert watch.is_short
    assert not watch.has_failed  # a service whose photos succeed is ready


@pytest.mark.parametrize("error", LACKS.values(), ids=LACKS)
def test_a_service_without_enough_memory_does_not_start(
    service: Service, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(warm_up, "open_content", fail)
    with pytest.raises(ParameterError, match=r"not enough memory for 1 photos .*--inflight"):
        warm_up.warm_up(service)


def test_threads_do_not_wait_for_one_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that have started wait for all others, for up to a minute."""
    model = save_colour_model(tmp_path / "colours.safetensors")
    made = Service(Models([host(model, 2)]), Settings(port=0, inflight=2))
    submit, started = made.pool.submit, []

    def submit_once(*work: Any) -> Any:
        if started:
            raise LACKS["thread"]
        started.append(submit(*work))
        return started[0]

    monkeypatch.setattr(made.pool, "submit", submit_once)
    with pytest.raises(ParameterError, match="not enough memory for 2 photos"):
        warm_up.warm_up(made)
    assert isinstance(started[0].exception(timeout=20), threading.BrokenBarrierError)
    made.close()


def test_a_model_that_cannot_take_the_first_photo_is_served(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ImageError("too small")

    monkeypatch.setattr(warm_up, "picture", fail)
    warm_up.warm_up(service)


def test_every_session_computes_before_the_service_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photos of all slots are computed at the same time: each waits until the others compute, too."""
    models = [host(save_colour_model(tmp_path / f"{name}.safetensors", name), 3) for name in ("one", "two")]
    made, all_compute, run = Service(Models(models), Settings(port=0, inflight=3)), threading.Barrier(3), []

    def counted(compiled: Any, photo: Any) -> None:
        all_compute.wait(timeout=20)
        run.append((compiled, photo))

    monkeypatch.setattr(warm_up, "_run", counted)
    warm_up.warm_up(made)
    assert len(run) == 3 * len(models)
    made.close()


def test_a_service_needs_memory_beyond_that_of_its_first_photos(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_up, "_SPARE_BYTES", 1 << 62)
    with pytest.raises(ParameterError, match="not enough memory for 1 photos"):
        warm_up.warm_up(service)


@pytest.mark.full
@needs_memory_limit
@pytest.mark.parametrize("megabytes", [*range(300, 900, 100), 520])
def test_photos_under_a_limit_of_memory(tmp_path: Path, megabytes: int) -> None:
    """It starts services, and sends 200 photos to each."""
    model = save_colour_model(tmp_path / "colours.safetensors")
    program = SENDING.format(model=str(model), kilobytes=megabytes * 1_000, folder=str(tmp_path))
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    statuses = set(done.stdout.split())
    log = (tmp_path / "log").read_text()
    assert statuses <= {"200", "503"}
    assert (
        statuses or "memory" in log or "started no thread" in log
    )  # glibc ends the process by its own message
    assert "Traceback" not in log


SENDING = """
import http.client, pathlib, subprocess, sys, threading, time
folder = pathlib.Path({folder!r})
address = folder / "address"
command = [sys.executable, "-m", "mpscnn", "serve", {model!r}, "--port", "0", "--address-file", str(address)]
with (folder / "log").open("w") as log:
    process = subprocess.Popen(["bash", "-c", 'ulimit -v {kilobytes}; exec "$@"', "bash", *command], stderr=log)
while process.poll() is None and not (address.exists() and address.read_text()):
    time.sleep(0.05)
if process.poll() is None:
    place = address.read_text().removeprefix("http://")
    def send():
        for _ in range(10):
            connection = http.client.HTTPConnection(place, timeout=60)
            connection.request("POST", "/v1/classify", (folder / "photo.jpg").read_bytes())
            sys.stdout.write(f"{{connection.getresponse().status}}\\n")
            connection.close()
    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process.terminate()
    process.wait()
"""
