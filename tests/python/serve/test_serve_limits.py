"""Test `mpscnn serve` under load: the queue, deadlines, clients that disconnect, slow bodies, and its end."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from command_line import save_colour_model
from PIL import Image
from serving import END, Answer, Service, require_packages, serving
from tiers import with_full

import mpscnn
from mpscnn._private.processors import available_processors
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.hosting import Compiled, Models, host
from mpscnn.apps.serve.limits import MemoryBudget, NoRoomError, QueueFullError, RequestQueue
from mpscnn.apps.serve.service import Service as ServiceOfTests
from mpscnn.apps.serve.service import _Progress
from mpscnn.apps.serve.settings import Settings

require_packages()

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


def test_a_full_queue_refuses_and_those_in_it_are_answered(
    service: Service, busy: Asked, photo: bytes
) -> None:
    before = service.metric('mpscnn_refused_total{reason="queue"}')
    waiting = Asked(lambda: service.request("/v1/classify", photo))
    wait_until(service, "mpscnn_queue_length", 1)
    for path, body in (("/v1/classify", photo), ("/v2/models/colours/infer", b"{}")):
        full = service.request(path, body)
        assert full.status == 503
        assert int(full.headers["retry-after"]) >= 1
    refused(service.request("/v1/classify", photo), 503, "QueueFull", "--queue")
    assert service.metric('mpscnn_refused_total{reason="queue"}') == before + 3
    answer = waiting.answer()
    assert answer.status == 200
    assert answer.json["predictions"][0]["label"] == "red"
    assert answer.json["waited_milliseconds"] > 0


def test_the_deadline_comes_while_it_waits(service: Service, busy: Asked, photo: bytes) -> None:
    before = service.metric('mpscnn_refused_total{reason="deadline"}')
    late = service.request("/v1/classify", photo, {"X-Request-Timeout": "0.05"})
    refused(late, 504, "DeadlineExceeded", "30 seconds (--deadline)")
    assert service.metric("mpscnn_queue_length") == 0  # the request has left the queue
    assert service.metric('mpscnn_refused_total{reason="deadline"}') == before + 1


def test_the_timeout_of_the_protocol_is_a_deadline(service: Service, busy: Asked) -> None:
    image = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192}
    body = json.dumps({"inputs": [image], "parameters": {"timeout": 50_000}}).encode()
    late = service.request("/v2/models/colours/infer", body)
    assert (late.status, late.json["kind"]) == (504, "DeadlineExceeded")


LONG = b" " * 70_000  # JSON of more than 65,536 bytes is parsed in another thread


def test_the_timeout_of_long_json_is_a_deadline_in_the_queue(service: Service, busy: Asked) -> None:
    image = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192}
    body = json.dumps({"inputs": [image], "parameters": {"timeout": 50_000}}).encode() + LONG
    begun = time.monotonic()
    late = service.request("/v2/models/colours/infer", body)
    assert (late.status, late.json["kind"]) == (504, "DeadlineExceeded")
    assert service.metric("mpscnn_computing") == 1, "the other request ended first"
    assert time.monotonic() - begun < 30
    assert service.metric("mpscnn_queue_length") == 0


def test_the_timeout_of_long_json_is_a_deadline_of_the_computation(service: Service) -> None:
    wait_until(service, "mpscnn_computing", 0)
    (name,) = service.request("/v2/models/slow").json["inputs"]
    image = {"name": name["name"], "shape": [1, 128, 128, 32], "datatype": "FP32", "data": [0.5] * 524_288}
    for microseconds, status in ((1, 504), (20_000, 504), (60_000_000, 200)):
        body = json.dumps({"inputs": [image], "parameters": {"timeout": microseconds}}).encode()
        answer = service.request("/v2/models/slow/infer", body)
        assert answer.status == status, answer.body[:200]
    wait_until(service, "mpscnn_computing", 0)
    assert service.metric("mpscnn_body_bytes") == 0


def test_a_wrong_timeout_of_long_json_is_refused(service: Service) -> None:
    body = json.dumps({"inputs": [], "parameters": {"timeout": -1}}).encode() + LONG
    assert service.request("/v2/models/colours/infer", body).status == 400


def test_the_deadline_comes_while_it_is_computed(service: Service, photo: bytes) -> None:
    wait_until(service, "mpscnn_computing", 0)
    refused(service.request(SLOW, headers={"X-Request-Timeout": "0.05"}), 504, "DeadlineExceeded")
    assert service.metric("mpscnn_computing") == 1  # the computation continues and keeps its slot
    assert service.request("/v1/classify", photo).status == 200
    assert service.metric("mpscnn_computing") == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", ""])
def test_wrong_deadlines_are_refused(service: Service, photo: bytes, seconds: str) -> None:
    answer = service.request("/v1/classify", photo, {"X-Request-Timeout": seconds})
    refused(answer, 400, "ParameterError")


def head(path: str, length: int, more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def test_a_client_that_goes_away_leaves_the_queue(service: Service, busy: Asked, photo: bytes) -> None:
    before = service.metric('mpscnn_refused_total{reason="gone"}')
    with socket.create_connection(service.place) as connection:
        connection.sendall(head("/v1/classify", len(photo)) + photo)
        wait_until(service, "mpscnn_queue_length", 1)
    wait_until(service, "mpscnn_queue_length", 0)
    assert service.metric("mpscnn_computing") == 1  # the request was cancelled while it waited
    assert service.metric('mpscnn_refused_total{reason="gone"}') == before + 1
    assert service.wait_for("request", path="/v1/classify", status=499)


def test_a_client_that_goes_away_while_it_is_computed(service: Service, photo: bytes) -> None:
    wait_until(service, "mpscnn_computing", 0)
    before = service.metric('mpscnn_refused_total{reason="gone"}')
    with socket.create_connection(service.place) as connection:
        connection.sendall(f"GET {SLOW} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(service, "mpscnn_computing", 1)
    wait_until(service, 'mpscnn_refused_total{reason="gone"}', before + 1)
    assert service.request("/v1/classify", photo).status == 200


def test_a_client_that_goes_away_within_its_body(service: Service, photo: bytes) -> None:
    with socket.create_connection(service.place) as connection:
        connection.sendall(head("/v1/classify", len(photo)) + photo[:-1])
        time.sleep(0.05)
    assert service.wait_for("request", path="/v1/classify", status=499)
    assert service.request("/v1/classify", photo).status == 200


def test_a_deadline_before_the_computation_is_one_of_the_service(service: Service, photo: bytes) -> None:
    with socket.create_connection(service.place, timeout=60) as connection:
        connection.sendall(head("/v1/classify", len(photo), "X-Request-Timeout: 1e-9\r\n") + photo)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 504 ")
    wait_until(service, "mpscnn_computing", 0)


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


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_what_it_took_is_done(files: list[Path], photo: bytes, ending: signal.Signals) -> None:
    with serving(*files, "--device", "cpu", "--inflight", "1") as service:
        slow = Asked(lambda: service.request("/v1/models/slow/profile?runs=30"))
        wait_until(service, "mpscnn_computing", 1)
        waiting = [Asked(lambda: service.request("/v1/classify", photo)) for _ in range(3)]
        wait_until(service, "mpscnn_queue_length", 3)
        begun = time.monotonic()
        service.process.send_signal(ending)
        assert [asked.answer().status for asked in (slow, *waiting)] == [200] * 4
        assert service.process.wait(timeout=END - (time.monotonic() - begun)) == 0
        assert service.wait_for("ended")
        with pytest.raises(ConnectionRefusedError):
            service.request("/v2/health/live")


def test_it_ends_if_it_is_told_so_as_it_begins(files: list[Path]) -> None:
    code = """
import os, signal, sys
from mpscnn.apps.serve import server
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
        [sys.executable, "-c", code, str(files[0])], capture_output=True, text=True, timeout=60, check=True
    )
    assert [json.loads(line)["event"] for line in finished.stderr.splitlines()] == ["listening", "ended"]


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
                wait_until(service, "mpscnn_body_bytes", 0)
            else:
                time.sleep(0.3)
        service.end()


def test_what_was_given_up_is_no_obstacle_to_the_end(files: list[Path]) -> None:
    with serving(*files, "--device", "cpu", "--inflight", "1") as service:
        answer = service.request(SLOW, headers={"X-Request-Timeout": "0.05"})
        refused(answer, 504, "DeadlineExceeded")
        service.end()


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model whose single run takes much longer than the service has for its end."""
    network = mpscnn.Network(input=(512, 512, 64), name="long")
    x = network.input
    for _ in range(32):
        x = network.conv2d(x, 64, 5, padding="same")
    network.output(x)
    network.initialize_weights(1)
    file = tmp_path_factory.mktemp("long") / "long.safetensors"
    network.save(file)
    return file


@pytest.mark.parametrize(
    "asked",
    with_full([(1, signal.SIGTERM), (100, signal.SIGTERM)], [(1, signal.SIGINT), (100, signal.SIGINT)]),
)
def test_it_ends_in_time_while_it_computes(
    files: list[Path], long_model: Path, tmp_path: Path, asked: tuple[int, signal.Signals]
) -> None:
    runs, ending = asked
    file, name = (long_model, "long") if runs == 1 else (files[1], "slow")
    address = tmp_path / "address"
    options = ("--device", "cpu", "--threads", "1", "--inflight", "8", "--address-file", address)
    with serving(file, *options) as service:
        path = f"/v1/models/{name}/profile?runs={runs}"
        count = 1 if runs == 1 else 8
        with ExitStack() as clients:
            for _ in range(count):
                client = clients.enter_context(socket.create_connection(service.place))
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_until(service, "mpscnn_computing", count)
            service.end(ending)
        assert not address.exists()
        # A profile of many runs stops after one of them. A single run cannot be stopped, and is abandoned.
        assert service.wait_for("ended").get("abandoned", False) is (runs == 1)


def test_options_change_under_load(service: Service, photo: bytes) -> None:
    """No request is lost while a model is compiled for other options."""
    with serving_colours(service) as clients:
        for threads in (1, available_processors(), 1):
            body = json.dumps({"threads": threads, "precision": "float32"}).encode()
            changed = service.request("/v1/models/colours/options", body)
            assert (changed.status, changed.json["threads"]) == (200, threads)
    statuses = [status for client in clients for status in client]
    assert len(statuses) > 0
    assert set(statuses) <= {200, 503}
    assert 200 in statuses


def test_changes_of_options_have_a_deadline(service: Service) -> None:
    body = json.dumps({"precision": "float16", "threads": 1}).encode()
    with socket.create_connection(service.place, timeout=60) as connection:
        timeout = "X-Request-Timeout: 0.0005\r\n"
        connection.sendall(head("/v1/models/slow/options", len(body), timeout) + body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 504 ")
    time.sleep(0.3)
    assert service.request("/v1/models/slow").json["precision"] == "float32"


class Silent:
    """A request whose client waits."""

    async def receive(self) -> dict[str, str]:
        await asyncio.sleep(3_600)
        return {}


def test_a_program_that_is_complete_too_late_is_not_used(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = host(files[0], 1, device="cpu")
    service = ServiceOfTests(Models([hosted]), Settings(inflight=1))
    before, compiling = hosted.compiled, threading.Event()
    made: list[Compiled] = []

    def compiled(model: mpscnn.Model, inflight: int, max_batch: int) -> Compiled:
        compiling.wait()
        made.append(Compiled(model, inflight, max_batch))
        return made[-1]

    monkeypatch.setattr("mpscnn.apps.serve.hosting.Compiled", compiled)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        wanted = {"precision": "float16", "threads": 1}
        with pytest.raises(RefusedError, match="--deadline") as late:
            await service.change(Silent(), hosted, loop.time() + 0.2, wanted)  # type: ignore[arg-type]
        assert late.value.status == 504
        assert hosted.changes == 1
        compiling.set()
        while hosted.changes:
            await asyncio.sleep(0.01)
        assert hosted.compiled is before
        with pytest.raises(mpscnn.StateError, match="closed"):
            made[0].tensors.submit(None)
        await service.change(Silent(), hosted, loop.time() + 60, wanted)  # type: ignore[arg-type]
        assert hosted.compiled is made[1]

    try:
        asyncio.run(run())
    finally:
        compiling.set()
        service.close()


def test_few_changes_of_options_wait(files: list[Path]) -> None:
    hosted = host(files[0], 1, device="cpu")
    service = ServiceOfTests(Models([hosted]), Settings(inflight=1))
    busy = threading.Event()
    service.pool.submit(busy.wait)  # all threads are taken

    async def run() -> list[int]:
        loop = asyncio.get_running_loop()

        def change(seconds: float) -> asyncio.Task[None]:
            wanted = {"precision": "float32", "threads": 1}
            return loop.create_task(service.change(Silent(), hosted, loop.time() + seconds, wanted))  # type: ignore[arg-type]

        first, *waiting = (change(60) for _ in range(3))
        late, refused = change(0.2), change(60)
        with pytest.raises(RefusedError, match="4 changes of the options of 'colours'") as full:
            await refused
        with pytest.raises(RefusedError) as missed:
            await late
        waiting.append(change(60))  # there is room again
        busy.set()
        await asyncio.gather(first, *waiting)
        assert hosted.changes == 0
        return [full.value.status, missed.value.status]

    try:
        assert asyncio.run(run()) == [503, 504]
    finally:
        busy.set()
        service.close()


def test_changes_of_options_leave_no_models_behind(files: list[Path]) -> None:
    """Replaced models are freed when no request uses them. benchmarks/service_options.py has the memory."""
    hosted = host(files[0], 1)
    x = np.zeros((1, 8, 8, 3), np.float32)
    old: list[weakref.ref[object]] = []

    def used(compiled: Compiled) -> None:
        compiled.tensors.submit(x).result()
        compiled.photos.submit(Image.new("RGB", (20, 10))).result()
        parts = (compiled, compiled.model, compiled.model.program, compiled.tensors, compiled.photos)
        old.extend(map(weakref.ref, parts))

    async def change(pool: ThreadPoolExecutor) -> None:
        for number in range(10):
            used(hosted.compiled)
            busy = hosted.compiled if number % 2 else None
            if busy is not None:
                busy.take()
            await hosted.change(pool, _Progress(), precision=("float16", "float32")[number % 2])
            if busy is not None:  # a request that still uses the old model
                busy.tensors.submit(x).result()
                busy.give_back()
                del busy

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(change(pool))
    gc.collect()
    assert len(old) == 50
    assert [ref() for ref in old] == [None] * 50
    hosted.compiled.retire()


class serving_colours:  # noqa: N801
    """Let three clients repeat a request while the `with` block runs."""

    def __init__(self, service: Service) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (20, 10)).save(stream, "PNG")
        self._photo = stream.getvalue()
        self._service = service
        self._end = threading.Event()
        self._statuses: list[list[int]] = [[], [], []]
        self._threads = [threading.Thread(target=self._ask, args=(told,)) for told in self._statuses]

    def _ask(self, told: list[int]) -> None:
        while not self._end.is_set():
            told.append(self._service.request("/v1/classify", self._photo).status)

    def __enter__(self) -> list[list[int]]:
        for thread in self._threads:
            thread.start()
        return self._statuses

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


# ---- The queue and the budgets alone ----


def test_one_is_computed_and_others_follow_in_their_order() -> None:
    async def run() -> list[int]:
        queue, begun = RequestQueue(slots=1, capacity=3), []

        async def ask(number: int) -> None:
            await queue.enter()
            begun.append(number)

        tasks = [asyncio.create_task(ask(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert (queue.computing, queue.waiting, begun) == (1, 3, [0])
        with pytest.raises(QueueFullError):
            await queue.enter()
        tasks[2].cancel()
        for _ in range(4):
            await asyncio.sleep(0)
            queue.leave(1.0)
            if queue.computing == 0 and queue.waiting == 0:
                break
            await asyncio.sleep(0.01)
        assert (queue.computing, queue.waiting) == (0, 0)
        return begun

    assert asyncio.run(run()) == [0, 1, 3]


@pytest.mark.parametrize(
    ("slots", "here", "seconds", "expected"),
    [
        (1, 1, 0.2, 1),  # the shortest advice is a second
        (1, 5, 0.5, 3),  # 2.5 s, rounded up
        (1, 65, 2.0, 130),
        (4, 8, 3.0, 6),  # four are computed at once
        (4, 0, 9.0, 1),  # no request is waiting
    ],
)
def test_the_wait_grows_with_the_queue_and_the_time_of_a_request(
    slots: int, here: int, seconds: float, expected: int
) -> None:
    async def run() -> int:
        queue = RequestQueue(slots, capacity=100)
        assert queue.wait() == 1
        await queue.enter()
        queue.leave(seconds)
        tasks = [asyncio.create_task(queue.enter()) for _ in range(here)]
        await asyncio.sleep(0)
        wait = queue.wait()
        for task in tasks:
            task.cancel()
        return wait

    assert asyncio.run(run()) == expected


def test_shares_are_counted_in_all_threads(full: bool) -> None:
    budget = MemoryBudget(10**6, "arrays")
    with budget.share() as kept, ThreadPoolExecutor(4) as pool:

        def add(_: int) -> None:
            with budget.share() as share:
                share.add(3)

        list(pool.map(add, range(2_000 if full else 500)))
        kept.add(10**6)
        kept.reduce_to(70)
        assert budget.used == 70
        with pytest.raises(NoRoomError, match="arrays of other requests take 70 of 1,000,000 bytes"):
            kept.add(10**6)
    assert budget.used == 0
