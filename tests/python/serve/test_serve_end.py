"""Test the end of `mpscnn serve`: signals while it computes, and clients that leave something undone."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slow_service
from PIL import Image
from serving import Service, require_packages, serving, until
from slow_service import SLOW, Asked, Gate, head, refused, wait_until
from tiers import with_full

pytest.importorskip("fastapi", reason="fastapi is not installed")

import mpscnn
from mpscnn.apps.serve import model_routes, server
from mpscnn.runtime.options import RunOptions

require_packages()

files, gate, photo = slow_service.files, slow_service.gate, slow_service.photo  # fixtures

LONG = "/v1/models/slow/profile?runs=100"
#: Code for a service's process: its log has more time for the last line than a busy machine needs.
LOG = "from mpscnn.apps.serve import server\nserver._LOG_SECONDS = server._LATE_LOG_SECONDS = 15\n"


def with_time(last_seconds: int) -> str:
    """Return code for a service's process that gives it more time for its end than a busy machine needs.

    `last_seconds` are those in which running requests may finish.
    """
    return f"{LOG}server._LAST_SECONDS, server._END_SECONDS = {last_seconds}, 600\n"


def listens(service: Service) -> bool:
    try:
        socket.create_connection(service.place).close()
    except ConnectionRefusedError:
        return False
    return True


class service_connections:  # noqa: N801
    """Open connections, and send no requests, while the `with` block runs."""

    def __init__(self, service: Service, count: int) -> None:
        self._service = service
        self._count = count

    def __enter__(self) -> None:
        self._open = [socket.create_connection(self._service.place) for _ in range(self._count)]

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.close()


@pytest.mark.parametrize("ending", with_full([signal.SIGTERM, signal.SIGHUP], [signal.SIGINT]))
def test_it_ends_when_what_it_took_is_done(
    files: list[Path], gate: Gate, photo: bytes, ending: signal.Signals
) -> None:
    # A program that was started by nohup ignores SIGHUP, and so would the service.
    heard = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    patch = heard + with_time(60) + gate.patch
    with (
        serving(*files, "--device", "cpu", "--inflight", "1", patch=patch) as service,
        gate.closed(),
    ):
        slow = Asked(lambda: service.request(SLOW))
        wait_until(service, "mpscnn_computing", 1)
        waiting = [Asked(lambda: service.request("/v1/classify", photo)) for _ in range(3)]
        wait_until(service, "mpscnn_queue_length", 3)
        service.process.send_signal(ending)
        until(lambda: not listens(service))
        gate.open()
        assert [asked.answer().status for asked in (slow, *waiting)] == [200] * 4
        assert service.process.wait(timeout=120) == 0
        assert "abandoned" not in service.wait_for("ended")
        with pytest.raises(ConnectionRefusedError):
            service.request("/v2/health/live")


def test_it_ends_if_it_is_told_so_as_it_begins(files: list[Path]) -> None:
    code = f"""
{LOG}
import os, signal, sys
from mpscnn.apps.cli import main
told = server.log_event
def tell(what, **fields):
    told(what, **fields)
    if what == "listening":
        os.kill(os.getpid(), signal.SIGTERM)
server.log_event = tell
sys.argv = ["mpscnn", "serve", sys.argv[1], "--port", "0"]
main()
"""
    finished = subprocess.run(
        [sys.executable, "-c", code, str(files[0])], capture_output=True, text=True, timeout=120, check=True
    )
    assert [json.loads(line)["event"] for line in finished.stderr.splitlines()] == ["listening", "ended"]


#: Modules that are imported while a service starts, and the exit codes of a service that a signal ends there. Before
#: the command begins, the signal's default action ends the process.
STARTS = {
    "mpscnn.apps.serve.settings": -signal.SIGTERM,
    "mpscnn.apps.serve.hosting": 0,
    "typer._click.decorators": -signal.SIGTERM,
    "numpy": -signal.SIGTERM,
    "uvicorn": 0,
    "PIL.JpegImagePlugin": 0,
}
#: Sends SIGTERM to its own process when a module is imported.
SENDER = """
import os, signal, sys

class Sender:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Sender())
from mpscnn.apps.cli import main
sys.argv = ["mpscnn", "serve", {model!r}, "--port", "0"]
main()
"""


@pytest.mark.parametrize("module", with_full([*STARTS][:2], [*STARTS][2:]))
def test_it_ends_quietly_while_it_starts(files: list[Path], module: str) -> None:
    code = SENDER.format(module=module, model=str(files[0]))
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    events = [json.loads(line)["event"] for line in ended.stderr.splitlines()]
    assert (ended.returncode, events) == (
        STARTS[module],
        ["listening", "ended"] * (module == "PIL.JpegImagePlugin"),
    )


def test_an_ignored_signal_stays_ignored(files: list[Path], photo: bytes) -> None:
    """The program nohup lets its command ignore SIGHUP."""
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    with serving(files[0], patch=ignoring) as service:
        service.process.send_signal(signal.SIGHUP)
        assert service.request("/v1/classify", photo).status == 200


def test_it_ends_with_idle_connections(files: list[Path], photo: bytes) -> None:
    with serving(*files, "--device", "cpu") as service, service_connections(service, 2):
        assert service.request("/v1/classify", photo).status == 200
        service.end()


UNDONE = "nothing of an answer is taken", "half a head", "half a body"


@pytest.mark.parametrize(
    "sent", with_full([UNDONE], [(alone,) for alone in UNDONE]), ids=["all at once", *UNDONE]
)
def test_it_ends_soon_whatever_clients_leave_undone(
    files: list[Path], photo: bytes, sent: tuple[str, ...]
) -> None:
    large = io.BytesIO()
    Image.effect_noise((1_600, 1_600), 90).convert("RGB").save(large, "PNG", compress_level=0)
    contents = {
        "half a head": head("/v1/classify", len(photo))[:-2],
        "half a body": head("/v1/classify", len(photo)) + photo[:-1],
        "nothing of an answer is taken": head("/v1/classify", large.tell(), "Accept: image/png\r\n")
        + large.getvalue(),
    }
    with (
        serving(files[0], "--max-bytes", "50000000", "--deadline", "300") as service,
        ExitStack() as clients,
    ):
        for kind in sent:
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(service.place)
            client.sendall(contents[kind])
            if kind == "nothing of an answer is taken":
                until(lambda: service.metric("mpscnn_tensor_bytes") > 0)  # the answer waits for the client
            elif kind == "half a body":
                wait_until(service, "mpscnn_body_bytes", len(photo) - 1)
            else:
                time.sleep(0.3)
        service.end()


def test_the_steps_of_the_end_take_less_than_ten_seconds() -> None:
    """Tests that end a service allow for a busy machine, so they cannot see a step that is a little too long."""
    assert server._LAST_SECONDS < server._END_SECONDS
    assert server._LAST_SECONDS + server._LOG_SECONDS < 10
    assert server._END_SECONDS + server._LATE_LOG_SECONDS < 10


@pytest.mark.full
@pytest.mark.parametrize("runs", [1, 100])
def test_it_ends_within_ten_seconds(files: list[Path], long_model: Path, runs: int) -> None:
    """This is true on a machine that does nothing else, so it belongs to the full tier."""
    file, name = (long_model, "long") if runs == 1 else (files[1], "slow")
    with (
        serving(file, "--device", "cpu", "--threads", "1") as service,
        profiled(service, f"/v1/models/{name}/profile?runs={runs}"),
    ):
        service.end(signal.SIGTERM, 10)


def test_what_was_given_up_is_no_obstacle_to_the_end(files: list[Path]) -> None:
    with serving(*files, "--device", "cpu", "--inflight", "1") as service:
        answer = service.request(LONG, headers={"X-Request-Timeout": "0.05"})
        refused(answer, 504, "DeadlineExceeded")
        service.end()


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model whose single run takes much longer than the service has for its end."""
    network = mpscnn.Network(input=(512, 512, 64), name="long")
    x = network.input
    for _ in range(128):
        x = network.conv2d(x, 64, 5, padding="same")
    network.output(x)
    network.initialize_weights(1)
    file = tmp_path_factory.mktemp("long") / "long.safetensors"
    network.save(file)
    return file


@pytest.mark.parametrize("ending", with_full([signal.SIGTERM], [signal.SIGINT]))
def test_it_ends_in_time_while_it_computes(long_model: Path, tmp_path: Path, ending: signal.Signals) -> None:
    address = tmp_path / "address"
    options = ("--device", "cpu", "--threads", "1", "--address-file", address)
    with (
        serving(long_model, *options, patch=LOG) as service,
        profiled(service, "/v1/models/long/profile?runs=1"),
    ):
        service.end(ending)
        assert not address.exists()
        assert service.wait_for("ended")["abandoned"] is True  # a run cannot be stopped


@pytest.mark.parametrize("ending", with_full([signal.SIGTERM], [signal.SIGINT]))
def test_it_ends_by_itself_while_it_measures_many_runs(
    files: list[Path], tmp_path: Path, ending: signal.Signals
) -> None:
    address = tmp_path / "address"
    options = ("--device", "cpu", "--threads", "1", "--inflight", "8", "--address-file", address)
    with serving(files[1], *options, patch=with_time(1)) as service, profiled(service, LONG, 8):
        service.end(ending, 120)
        assert not address.exists()
        assert "abandoned" not in service.wait_for("ended")


@contextmanager
def profiled(service: Service, path: str, count: int = 1) -> Iterator[None]:
    """Let a service compute profiles that nobody reads."""
    with ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(socket.create_connection(service.place))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(service, "mpscnn_computing", count)
        yield


@pytest.mark.parametrize("is_late", [False, True])
def test_a_profile_stops_after_a_turn_when_nobody_waits(
    is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops when the service ends, and at its deadline."""
    times = [0.0]
    monkeypatch.setattr(model_routes, "time", SimpleNamespace(monotonic=lambda: times[-1]))
    closing = threading.Event()
    turns: list[int] = []

    class Measured:
        def __init__(self, runs: int) -> None:
            self._runs = runs

        def to_dict(self) -> dict[str, Any]:
            milliseconds = [model_routes._TURN / 10] * self._runs
            return {"milliseconds": milliseconds, "steps": [{"milliseconds": list(milliseconds)}]}

    class Session:
        def profile(self, _: object, runs: int) -> Measured:
            turns.append(runs)
            if len(turns) == 3:
                (times.append if is_late else lambda _: closing.set())(1.0)
            return Measured(runs)

    session = Session()
    program = SimpleNamespace(inputs={"x": (1, 2, 2, 1)}, session=lambda **_: session)
    compiled: Any = SimpleNamespace(model=SimpleNamespace(program=program, run_options=RunOptions()))
    profile = json.loads(model_routes._profile(compiled, 100, closing, 1.0))
    assert turns == [1, 10, 10]
    assert len(profile["milliseconds"]) == len(profile["steps"][0]["milliseconds"]) == 21
