"""Run a service with a slow model, and occupy its only slot, for tests."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Answer, Service, serving

import mpscnn

SLOW = "/v1/models/slow/profile?runs=1"


class Gate:
    """Keeps the profiles of a service under way as long as it is closed, on machines of any speed.

    Args:
        file: a path at which there is a file while the gate is closed.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.patch = f"""
import time
from pathlib import Path
from mpscnn.apps.serve import model_routes

gate, measure = Path({str(file)!r}), model_routes._profile

def wait_and_measure(compiled, runs, closing, until):
    while gate.exists() and not closing.is_set():
        time.sleep(0.01)
    return measure(compiled, runs, closing, until)

model_routes._profile = wait_and_measure
"""
        """Code for the service's process."""

    def open(self) -> None:
        self._file.unlink(missing_ok=True)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close the gate until the block ends or calls `open`."""
        self._file.touch()
        try:
            yield
        finally:
            self.open()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("served")
    network = mpscnn.Network(input=(128, 128, 32), name="slow")
    x = network.conv2d(network.input, 64, 3, padding="same")
    network.output(network.conv2d(x, 32, 3, padding="same"))
    network.initialize_weights(1)
    network.save(directory / "slow.safetensors")
    return [save_colour_model(directory / "colours.safetensors"), directory / "slow.safetensors"]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate") / "closed")


@pytest.fixture(scope="module")
def service(files: list[Path], gate: Gate) -> Iterator[Service]:
    limits = ("--inflight", "1", "--queue", "1", "--connections", "9", "--deadline", "600")
    with serving(*files, "--device", "cpu", *limits, patch=gate.patch) as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


class Asked(threading.Thread):
    """A thread that sends a request and keeps its answer."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        super().__init__()
        self._ask = ask
        self._answer: Answer | None = None
        self.start()

    def run(self) -> None:
        self._answer = self._ask()

    def answer(self) -> Answer:
        self.join(timeout=120)
        assert self._answer is not None
        return self._answer


def wait_until(service: Service, name: str, value: float) -> None:
    end = time.monotonic() + 60
    while (found := service.metric(name)) != value:
        assert time.monotonic() < end, f"{name} is {found}, not {value}"
        time.sleep(0.005)


@pytest.fixture
def busy(service: Service, gate: Gate) -> Iterator[None]:
    """Occupy the service's only slot until the test ends or opens the gate."""
    wait_until(service, "mpscnn_computing", 0)
    with gate.closed():
        slow = Asked(lambda: service.request(SLOW))
        wait_until(service, "mpscnn_computing", 1)
        yield
    assert slow.answer().status == 200
    wait_until(service, "mpscnn_computing", 0)
    assert service.metric("mpscnn_queue_length") == 0


def refused(answer: Answer, status: int, kind: str, message: str = "") -> None:
    assert (answer.status, answer.json["error"]) == (status, kind), answer.body
    assert message in answer.json["message"]


def head(path: str, length: int, more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n".encode()
