"""Test `mpscnn serve --reload`: model files that change while clients ask."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import slow_service
from command_line import save_colour_model
from serving import Service, require_packages, serving, until
from slow_service import head

require_packages()

from mpscnn.apps.serve.model_files import ModelFiles  # noqa: E402

photo = slow_service.photo  # a fixture
# A program that was started by nohup ignores SIGHUP.
HEARS = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"


def write_version(model: Path, version: int) -> None:
    """Replace the model by one whose labels name its version."""
    other = model.with_name(f"version.{model.name}")
    save_colour_model(other, labels=[f"{colour} {version}" for colour in ("red", "green", "blue")])
    other.replace(model)


def version_in(body: bytes) -> int:
    """Return the version of the model that has answered. The body must be complete."""
    label = json.loads(body)["predictions"][0]["label"]
    colour, _, version = label.partition(" ")
    assert colour == "red"
    return int(version)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reloaded") / "colours.safetensors"
    write_version(path, 1)
    return path


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    with serving(model, "--device", "cpu", "--workers", "2", "--reload", patch=HEARS) as running:
        yield running


class Client(threading.Thread):
    """Sends one photo after another over connections that stay open, and keeps the versions that answer."""

    def __init__(self, service: Service, photo: bytes, ends: threading.Event) -> None:
        super().__init__()
        self._service = service
        self._photo = photo
        self._ends = ends
        self.versions: list[int] = []
        self.failure: Exception | None = None
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection(*self._service.place, timeout=120)
        try:
            while not self._ends.is_set():
                connection.request("POST", "/v1/classify", self._photo)
                answer = connection.getresponse()
                assert answer.status == 200
                self.versions.append(version_in(answer.read()))
        except Exception as error:
            self.failure = error
        finally:
            connection.close()


@contextmanager
def asking(service: Service, photo: bytes, count: int) -> Iterator[list[Client]]:
    """Let clients ask while the block runs. None of their requests may fail."""
    ends = threading.Event()
    clients = [Client(service, photo, ends) for _ in range(count)]
    try:
        yield clients
    finally:
        ends.set()
        for client in clients:
            client.join()
    assert [client.failure for client in clients] == [None] * count


def wait_for_models(service: Service) -> None:
    """Wait until new workers answer, and the two former ones take no connections any more."""
    service.wait_for("loaded", models=["colours"])
    for _ in range(2):
        service.wait_for("worker retired")


def version_of(service: Service, photo: bytes) -> int:
    return version_in(service.request("/v1/classify", photo).body)


def test_no_request_is_lost_while_models_change(service: Service, model: Path, photo: bytes) -> None:
    """Load a model twice while four clients ask, which takes more than a second."""
    with asking(service, photo, 4) as clients:
        for version in (2, 3):
            write_version(model, version)
            service.wait_for("loaded", models=["colours"])
            for client in clients:
                until(
                    lambda asked=client, new=version: (
                        asked.versions[-1:] == [new] or asked.failure is not None
                    )
                )
    for client in clients:
        assert client.versions == sorted(client.versions)
        assert client.versions[-1] == 3


def test_a_request_that_has_begun_is_answered_by_the_former_model(
    service: Service, model: Path, photo: bytes
) -> None:
    before = version_of(service, photo)
    begun = head("/v1/classify", len(photo))
    with (
        socket.create_connection(service.place) as half_body,
        socket.create_connection(service.place) as nothing,
    ):
        half_body.sendall(begun + photo[:-1])
        until(lambda: service.metric("mpscnn_body_bytes") == len(photo) - 1)
        write_version(model, before + 1)
        wait_for_models(service)
        assert version_of(service, photo) == before + 1
        for client, rest in ((half_body, photo[-1:]), (nothing, begun + photo)):
            client.sendall(rest)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            assert version_in(answer.read()) == before
            assert client.recv(1) == b""
    # The last connection of the former workers has ended, and so do they.
    assert [service.wait_for("worker ended")["event"] for _ in range(2)]


def test_a_file_that_cannot_be_loaded_changes_nothing(service: Service, model: Path, photo: bytes) -> None:
    version = version_of(service, photo)
    damaged = model.with_name("damaged.safetensors")
    damaged.write_bytes(model.read_bytes()[:-9])
    damaged.replace(model)
    line = service.wait_for(
        "the models were not loaded; the service keeps those that it has", level="warning"
    )
    assert "colours.safetensors" in line["error"]
    assert version_of(service, photo) == version
    write_version(model, version + 1)
    wait_for_models(service)
    assert version_of(service, photo) == version + 1


def test_the_signal_loads_files_that_have_not_changed(service: Service, photo: bytes) -> None:
    version = version_of(service, photo)
    service.process.send_signal(signal.SIGHUP)
    wait_for_models(service)
    assert version_of(service, photo) == version


@pytest.mark.full
def test_it_ends_when_its_terminal_is_closed(model: Path) -> None:
    """SIGHUP then does not mean that the models are loaded again."""
    ours, theirs = os.openpty()
    code = (
        f"{HEARS}import fcntl, os, termios\nos.setsid()\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "from mpscnn.apps.cli import main\nmain()"
    )
    command = [sys.executable, "-c", code, "serve", str(model), "--reload", "--port", "0"]
    process = subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    assert process.stderr is not None
    with process.stderr as log:
        assert '"listening"' in log.readline()
        os.close(ours)
        assert process.wait(timeout=60) == 0


def test_changed_files_are_noticed_when_they_are_complete(tmp_path: Path) -> None:
    file, folder = tmp_path / "model.onnx", tmp_path / "model.mlpackage"
    folder.mkdir()
    for path in (file, folder / "weights"):
        path.write_bytes(b"first")
    others = ["mobilenet_v2", "hf://owner/name", "timm/resnet18.a1_in1k"]  # are not watched
    files = ModelFiles([*others, str(file), str(folder)])
    assert not files.have_changed()
    for change in (file, folder / "weights", folder / "new"):
        change.write_bytes(b"another")
        assert [files.have_changed() for _ in range(3)] == [False, True, True]
        files.note_load()
        assert not files.have_changed()
    file.unlink()
    assert not any(files.have_changed() for _ in range(3))
    file.write_bytes(b"another")
    assert [files.have_changed() for _ in range(2)] == [False, True]
