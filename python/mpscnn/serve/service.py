"""What all routes share, and how a request is computed: in its turn, in time, and while somebody waits for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from fastapi import Request

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError
from mpscnn.serve.failures import ClientGoneError, RefusedError
from mpscnn.serve.gate import Gate, QueueFullError
from mpscnn.serve.hosting import Compiled, HostedModel, Models
from mpscnn.serve.metrics import Metrics
from mpscnn.serve.settings import Settings

__all__ = ["Service"]

_DEADLINE = "x-request-timeout"

Submit = Callable[[Compiled], Any]
"""In a thread: decodes, and gives a future or the result."""
Finish = Callable[[Any], Any]
"""In a thread: of the result the answer."""


class Service:
    """Models, their queue, and the threads that decode and draw."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.gate = Gate(settings.slots, settings.queue)
        self.metrics = Metrics(self.gate)
        self.pool = ThreadPoolExecutor(settings.slots, "mpscnn-serve")
        self._abandoned: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Waits for what is computed."""
        self.pool.shutdown()
        self.models.close()

    def deadline(self, request: Request) -> float:
        """When the request must be answered, in the loop's time. Raises ParameterError."""
        seconds = self.settings.deadline
        given = request.headers.get(_DEADLINE)
        if given is not None:
            try:
                wanted = float(given)
            except ValueError:
                wanted = math.nan
            if not is_finite_number(wanted) or wanted <= 0:
                raise ParameterError(f"{_DEADLINE} must be seconds above 0, got {given!r}")
            seconds = min(seconds, wanted)
        return asyncio.get_running_loop().time() + seconds

    def require_room(self) -> None:
        """Raises RefusedError with 503 if the queue is full."""
        try:
            self.gate.require_room()
        except QueueFullError:
            raise self._queue_full() from None

    async def compute(
        self,
        request: Request,
        hosted: HostedModel,
        ends: float,
        submit: Submit,
        finish: Finish | None = None,
    ) -> Any:
        """The result of a request whose body has been read.

        What has begun when it is given up goes on to its end, and keeps its slot until then.

        Raises:
            RefusedError: the queue is full (503), or `ends` has come (504). ClientGoneError. And what `submit`, the
                model and `finish` raise.
        """
        self.require_room()
        loop = asyncio.get_running_loop()
        job = _Job(self, hosted, submit, finish)
        work = loop.create_task(job.run())
        gone = loop.create_task(_until_gone(request))
        try:
            await asyncio.wait((work, gone), timeout=ends - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        except QueueFullError:
            raise self._queue_full() from None
        finally:
            gone.cancel()
            if not work.done():
                self._abandoned.add(work)
                work.add_done_callback(self._forget)
                job.give_up(work)
        if gone.done() and not gone.cancelled():
            self.metrics.refused.labels("gone").inc()
            raise ClientGoneError
        self.metrics.refused.labels("deadline").inc()
        raise RefusedError(HTTPStatus.GATEWAY_TIMEOUT, "DeadlineExceeded", "there was no result in time")

    def _forget(self, work: asyncio.Task[Any]) -> None:
        self._abandoned.discard(work)
        if not work.cancelled():
            work.exception()  # nobody asks for it

    def _queue_full(self) -> RefusedError:
        self.metrics.refused.labels("queue").inc()
        return RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "QueueFull",
            f"{self.gate.waiting} requests wait already; try again later",
            {"Retry-After": "1"},
        )


class _Job:
    """One request's computation."""

    def __init__(self, service: Service, hosted: HostedModel, submit: Submit, finish: Finish | None) -> None:
        self._service = service
        self._hosted = hosted
        self._submit = submit
        self._finish = finish
        self._entered = False
        self._given_up = False
        self._frame: Future[Any] | None = None

    async def run(self) -> Any:
        await self._service.gate.enter()
        self._entered = True
        begun = time.perf_counter()
        compiled = self._hosted.compiled
        compiled.take()
        try:
            loop, pool = asyncio.get_running_loop(), self._service.pool
            result = await loop.run_in_executor(pool, self._submit, compiled)
            if isinstance(result, Future):
                self._frame = result
                if self._given_up:
                    result.cancel()
                result = await asyncio.wrap_future(result)
            if self._finish is not None:
                result = await loop.run_in_executor(pool, self._finish, result)
            return result
        finally:
            compiled.give_back()
            self._service.gate.leave()
            self._service.metrics.computing.labels(self._hosted.name).observe(time.perf_counter() - begun)

    def give_up(self, work: asyncio.Task[Any]) -> None:
        """Leaves the queue, or has the rest go on alone."""
        self._given_up = True
        if not self._entered:
            work.cancel()
        elif self._frame is not None:
            self._frame.cancel()


async def _until_gone(request: Request) -> None:
    """Of a request whose body has been read: until the connection is closed."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
