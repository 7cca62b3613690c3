"""Test changes of a model's options while `mpscnn serve` runs."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import socket
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import slow_service
from PIL import Image
from serving import Service, require_packages
from slow_service import head

pytest.importorskip("fastapi", reason="fastapi is not installed")

import mpscnn
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.hosting import Compiled, Models, host
from mpscnn.apps.serve.service import Service as ServiceOfTests
from mpscnn.apps.serve.service import _Progress
from mpscnn.apps.serve.settings import Settings
from mpscnn.runtime.library import available_processors

require_packages()

files, gate = slow_service.files, slow_service.gate  # fixtures
photo, service = slow_service.photo, slow_service.service


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


def let_time_pass(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Set the clock of an event loop forward, so that a deadline comes exactly here on machines of any speed."""
    clock = loop.time
    loop.time = lambda: clock() + seconds  # type: ignore[method-assign]


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
    before, begun, compiling = hosted.compiled, threading.Event(), threading.Event()
    made: list[Compiled] = []

    def compiled(model: mpscnn.Model, inflight: int, max_batch: int) -> Compiled:
        begun.set()
        compiling.wait()
        made.append(Compiled(model, inflight, max_batch))
        return made[-1]

    monkeypatch.setattr("mpscnn.apps.serve.hosting.Compiled", compiled)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        wanted = {"precision": "float16", "threads": 1}
        change = loop.create_task(service.change(Silent(), hosted, loop.time() + 3_000, wanted))  # type: ignore[arg-type]
        await asyncio.to_thread(begun.wait)
        let_time_pass(loop, 3_000)
        with pytest.raises(RefusedError, match="--deadline") as late:
            await change
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

        first, *waiting = (change(6_000) for _ in range(3))
        late, refused = change(3_000), change(6_000)
        with pytest.raises(RefusedError, match="4 changes of the options of 'colours'") as full:
            await refused
        let_time_pass(loop, 3_000)
        with pytest.raises(RefusedError) as missed:
            await late
        waiting.append(change(6_000))  # there is room again
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
    """Replaced models are freed when no request uses them. benchmarks/service_options.py has the memory.

    This takes a second, since a model is compiled and used ten times.
    """
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
