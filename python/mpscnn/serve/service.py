"""What all routes share, and how a request is computed: in its turn, in time, and while somebody waits for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from fastapi import Request

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError
from mpscnn.serve.bodies import read_body
from mpscnn.serve.computation import Computation, Finish, Submit
from mpscnn.serve.failures import ClientGoneError, RefusedError
from mpscnn.serve.gate import Gate, QueueFullError
from mpscnn.serve.held_bytes import HeldBytes, NoRoomError, Share
from mpscnn.serve.hosting import HostedModel, Models
from mpscnn.serve.metrics import Metrics
from mpscnn.serve.settings import Settings

__all__ = ["Service"]

_DEADLINE = "x-request-timeout"
#: Seconds, after which it is noticed that a client has gone.
_UNWATCHED = 0.1


class Service:
    """Models, their queue, and the threads that decode and draw."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.gate = Gate(settings.slots, settings.queue)
        self.held = HeldBytes(settings.held_bytes, "bodies")
        """By bodies, until they are answered."""
        self.tensors = HeldBytes(settings.held_tensor_bytes, "tensors and answers")
        """By inputs and outputs of what is computed, and by answers, until they are taken."""
        self.metrics = Metrics(self.gate, self.held, self.tensors)
        self.pool = ThreadPoolExecutor(settings.slots, "mpscnn-serve")

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

    async def read(self, request: Request, ends: float, share: Share, most: int | None = None) -> bytes:
        """A request's body, which `share` holds. Raises as `read_body`, and RefusedError (503) if too much is held."""
        try:
            body = await read_body(request, most or self.settings.max_bytes, ends, share)
        except NoRoomError as error:
            # What is left of the body is not read.
            raise self._no_room(error, {"Connection": "close"}) from None
        self.metrics.received.inc(len(body))
        return body

    def retry_after(self) -> int:
        """Seconds, for clients that are refused."""
        return self.gate.wait()

    async def compute(
        self,
        request: Request,
        hosted: HostedModel,
        ends: float,
        submit: Submit,
        finish: Finish | None = None,
        shares: Iterable[Share] = (),
    ) -> Any:
        """The result of a request whose body has been read.

        What has begun when it is given up goes on to its end, and keeps its slot and the shares until then.

        Raises:
            RefusedError: `ends` has come (504), or the queue is full or a share has no room (503). ClientGoneError. And
                what `submit`, the model and `finish` raise.
        """
        loop = asyncio.get_running_loop()
        if loop.time() >= ends:
            raise self._late()
        computation = Computation(loop, self.gate, self.pool, hosted, submit, finish)
        try:
            computation.begin_or_wait()
        except QueueFullError:
            raise self._queue_full() from None
        deadline = loop.call_at(ends, self._expire, computation)
        watch = _Watch(loop, self._until_gone(request, computation))
        try:
            await computation.ended
            return computation.take_answer()
        except NoRoomError as error:
            raise self._no_room(error) from None
        finally:
            deadline.cancel()
            watch.end()
            if computation.seconds is None:
                computation.give_up(shares)
            else:
                self.metrics.computing.labels(hosted.name).observe(computation.seconds)

    def hold_answer(self, share: Share, count: int) -> None:
        """For an answer's bytes, until it is taken. Raises RefusedError: too many (413), no room for them (503)."""
        most = self.settings.max_tensor_bytes
        if count > most:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "TooManyTensorBytes",
                f"the answer has {count:,} bytes; {most:,} are allowed (--max-tensor-bytes)",
            )
        try:
            share.add(count)
        except NoRoomError as error:
            raise self._no_room(error) from None

    def _no_room(self, error: NoRoomError, headers: dict[str, str] | None = None) -> RefusedError:
        return self._busy("bytes", "TooManyBytesHeld", f"{error}; try again later", headers)

    def _expire(self, computation: Computation) -> None:
        if not computation.ended.done():
            computation.settle(None, self._late())

    def _late(self) -> RefusedError:
        self.metrics.refused.labels("deadline").inc()
        return RefusedError(HTTPStatus.GATEWAY_TIMEOUT, "DeadlineExceeded", "there was no result in time")

    async def _until_gone(self, request: Request, computation: Computation) -> None:
        """Of a request whose body has been read."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        if computation.settle(None, ClientGoneError()):
            self.metrics.refused.labels("gone").inc()

    def _queue_full(self) -> RefusedError:
        return self._busy("queue", "QueueFull", f"{self.gate.waiting} requests wait already; try again later")

    def _busy(
        self, reason: str, kind: str, message: str, headers: dict[str, str] | None = None
    ) -> RefusedError:
        self.metrics.refused.labels(reason).inc()
        return RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            kind,
            message,
            {"Retry-After": str(self.retry_after()), **(headers or {})},
        )


class _Watch:
    """A task that begins a moment later: most requests have ended by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._loop = loop
        self._timer = loop.call_later(_UNWATCHED, self._begin)

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._coroutine)

    def end(self) -> None:
        self._timer.cancel()
        if self._task is None:
            self._coroutine.close()
        else:
            self._task.cancel()
