"""Run a service with a slow model, and occupy its only slot, for tests."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Answer, Service, serving

import mpscnn

SLOW = "/v1/models/slow/profile?runs=100"  # takes a second or two


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
def service(files: list[Path]) -> Iterator[Service]:
    with serving(
        *files, "--device", "cpu", "--inflight", "1", "--queue", "1", "--connections", "9"
    ) as running:
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
        self.join(timeout=60)
        assert self._answer is not None
        return self._answer


def wait_until(service: Service, name: str, value: float) -> None:
    for _ in range(2_000):
        if service.metric(name) == value:
            return
        time.sleep(0.005)
    raise AssertionError(f"{name} is {service.metric(name)}, not {value}")


@pytest.fixture
def busy(service: Service) -> Iterator[Asked]:
    """Yield a request that occupies the service's only slot."""
    wait_until(service, "mpscnn_computing", 0)
    slow = Asked(lambda: service.request(SLOW))
    wait_until(service, "mpscnn_computing", 1)
    yield slow
    assert slow.answer().status == 200
    wait_until(service, "mpscnn_computing", 0)
    assert service.metric("mpscnn_queue_length") == 0


def refused(answer: Answer, status: int, kind: str, message: str = "") -> None:
    assert (answer.status, answer.json["error"]) == (status, kind), answer.body
    assert message in answer.json["message"]


def head(path: str, length: int, more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n".encode()
