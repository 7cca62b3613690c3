"""Handle requests: read the body, wait in the queue, compute, all before a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, TypeVar

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

from mpscnn._private.arguments import is_finite_number, number_in, whole_number_in
from mpscnn.apps.serve.failures import RefusedError, client_disconnected, out_of_memory
from mpscnn.apps.serve.hosting import Compiled, HostedModel, Models
from mpscnn.apps.serve.limits import (
    MemoryBudget,
    NoRoomError,
    QueueFullError,
    RequestQueue,
    Share,
    WaitedError,
)
from mpscnn.apps.serve.memory_watch import MemoryWatch
from mpscnn.apps.serve.metrics import Metrics
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.settings import Settings
from mpscnn.apps.serve.turns import Turns
from mpscnn.errors import ParameterError

Result = TypeVar("Result")

Submit = Callable[[Compiled], Any]
"""Decode a request in a thread. Return the future of a runner, or the result itself."""
Finish = Callable[[Any], Any]
"""Build the response from the result, in a thread."""

#: The bytes of a body that is parsed in the event loop, without noticeable delay. A longer one is parsed in a thread.
SHORT = 16_384
_DEADLINE = "x-request-timeout"
_UNWATCHED = 0.1  # seconds in which a request is not watched for a closed connection
_MAX_CHANGES = 4  # changes of one model's options that may be under way: one is compiled, the others wait
_PAUSE = 0.001  # seconds that a thread sleeps, so that the event loop can run


def loop_time() -> float:
    """Return the event loop's time now, in seconds. uvloop reads its clock only once in each step of the loop."""
    return max(asyncio.get_running_loop().time(), time.monotonic())


class Service:
    """The models, their queue and budgets, and the threads that decode requests and draw results."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self.settings = settings
        self.queue = RequestQueue(settings.slots, settings.queue)
        self.bodies = MemoryBudget(settings.memory_budget, "bodies", "--max-total-bytes")
        self.tensors = MemoryBudget(
            settings.held_tensor_bytes, "tensors and answers", "four times --max-tensor-bytes"
        )
        self.photos = MemoryBudget(settings.held_pixels, "photos", "four times --max-pixels")
        self.metrics = Metrics(self.queue, self.bodies, self.tensors, self.photos)
        self.memory = MemoryWatch()
        self.pool = ThreadPoolExecutor(settings.slots, "mpscnn-serve")
        self.turns = Turns()
        """The turns of requests that begin, or whose body is complete."""
        self.closing = threading.Event()
        """Set when the service ends. Long work then stops at its next step."""
        self._decoding = threading.Lock()
        self._photo_turn = threading.Lock()
        self._parser = ThreadPoolExecutor(1, "mpscnn-parse")
        self.reporter = ThreadPoolExecutor(1, "mpscnn-metrics")
        """The thread that writes the metrics."""
        self.single_threads = (self._parser, self.reporter)

    def close(self) -> None:
        """Wait for running computations, and close the models.

        This takes as long as the longest computation. `serve` ends the process if that is too long.
        """
        self.closing.set()
        self._parser.shutdown(cancel_futures=True)
        self.reporter.shutdown(cancel_futures=True)
        self.pool.shutdown(cancel_futures=True)
        self.models.close()

    def deadline(self, request: Request) -> float:
        """Return the time of `loop_time` by which the request must be answered.

        The client may shorten the service's deadline by a header. Raise ParameterError for an invalid one.
        """
        seconds = self.settings.deadline
        given = request.headers.get(_DEADLINE)
        if given is not None:
            wanted = number_in(given)
            if wanted is None or not is_finite_number(wanted) or wanted <= 0:
                raise ParameterError(f"{_DEADLINE} must be seconds above 0, such as 2.5, got {given!r:.100}")
            seconds = min(seconds, wanted)
        return loop_time() + seconds

    def photo_memory(self, held: ExitStack, ends: float, is_drawn: bool = False) -> PhotoMemory:
        """Return the memory for a request's decoded photos until `held` ends. `ends` is the request's deadline."""
        until = time.monotonic() + ends - loop_time()
        return PhotoMemory(held.enter_context(self.photos.share()), self._photo_turn, until, is_drawn)

    def require_room(self) -> None:
        """Raise RefusedError with status 503 if the queue is full."""
        try:
            self.queue.require_room()
        except QueueFullError:
            raise self._queue_full() from None

    def require_memory(self) -> None:
        """Raise RefusedError with status 503 if a request lacked memory a moment ago."""
        if self.memory.has_failed:
            raise out_of_memory()

    async def read(
        self, request: Request, ends: float, share: Share, maximum: int | None = None
    ) -> bytearray:
        """Read the body of a request. `share` reserves its bytes.

        Raises:
            RefusedError: the body has more than `maximum` bytes (413), is incomplete at the deadline `ends` (408) or
                compressed (415); the memory budget is used up (503); the client closed the connection (499).
        """
        maximum = maximum or self.settings.max_bytes
        coding = request.headers.get("content-encoding", "identity").lower()
        transfer = request.headers.get("transfer-encoding", "chunked").lower()
        if (coding, transfer) != ("identity", "chunked"):
            unknown = coding if coding != "identity" else transfer
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "UnsupportedCoding",
                f"bodies are not read in {unknown[:100]!r}: send the body uncompressed, without the header "
                f"{'Content-Encoding' if coding != 'identity' else 'Transfer-Encoding'}",
            )
        body = bytearray()
        length = whole_number_in(request.headers.get("content-length", ""))
        if length is not None and length > maximum:
            raise self._too_large(maximum)
        try:
            with anyio.fail_after(ends - loop_time()):
                async for part in request.stream():
                    if len(body) + len(part) > maximum:
                        raise self._too_large(maximum)
                    share.add(len(part))
                    body += part
        except TimeoutError:
            raise RefusedError(
                HTTPStatus.REQUEST_TIMEOUT,
                "BodyTooSlow",
                f"the body was not complete at the deadline, {self._deadline_text()}: send a smaller body",
            ) from None
        except ClientDisconnect:
            raise client_disconnected() from None
        except NoRoomError as error:
            raise self._no_room(error) from None
        self.metrics.received.inc(len(body))
        await self.turns.wait()  # many bodies may be complete in one step of the event loop
        return body

    async def compute(
        self,
        request: Request,
        hosted: HostedModel,
        ends: float,
        submit: Submit,
        finish: Finish | None = None,
        held: ExitStack | None = None,
    ) -> Any:
        """Compute a request whose body has been read, and return the response.

        If the request is abandoned, a computation that has begun continues. It keeps its slot and `held` until it ends.

        Raises:
            RefusedError: the deadline `ends` has passed (504); the queue or a budget is full (503); the client closed
                the connection (499).
            Exception: any error of `submit`, the model or `finish`.
        """
        loop = asyncio.get_running_loop()
        if loop_time() >= ends:
            raise self.late()
        self.require_room()
        progress = _Progress()
        task = loop.create_task(self._run(progress, hosted, submit, finish))
        try:
            return await self._result(request, ends, task, progress, held)
        finally:
            # The exception of the task has a traceback that refers to this frame: a cycle that would keep memory.
            del task

    async def parse(
        self, request: Request, ends: float, size: int, work: Callable[[], Result], held: ExitStack
    ) -> Result:
        """Parse a request of `size` bytes before it enters the queue. One long request is parsed at a time.

        Raises:
            RefusedError: the deadline `ends` has passed (504), or the client closed the connection (499).
            Exception: any error of `work`.
        """
        if size <= SHORT:
            return work()
        if loop_time() >= ends:
            raise self.late()
        parsing = self._parser.submit(self._in_turn, work)
        task = asyncio.ensure_future(asyncio.wrap_future(parsing))
        try:
            result: Result = await self._result(request, ends, task, _Parsing(parsing), held)
            return result
        finally:
            del task, parsing  # as in `compute`

    def _in_turn(self, work: Callable[[], Result]) -> Result:
        with self.long_turn():
            return work()

    async def change(
        self, request: Request, hosted: HostedModel, ends: float, wanted: dict[str, Any]
    ) -> None:
        """Compile a model with other options for later requests.

        After a RefusedError the model keeps its options, also if the new program is complete later.

        Raises:
            RefusedError: the deadline `ends` has passed (504); too many changes of this model wait (503); the client
                closed the connection (499).
            ParameterError, DeviceError, UnsupportedError, WeightsError: as `HostedModel.change`.
        """
        if loop_time() >= ends:
            raise self.late()
        if hosted.changes >= _MAX_CHANGES:
            raise self._busy(
                "queue",
                "QueueFull",
                f"{hosted.changes} changes of the options of {hosted.name!r} are under way already; try again later",
            )
        progress = _Progress()

        def ended(_: Any) -> None:
            hosted.changes -= 1

        hosted.changes += 1
        task = asyncio.get_running_loop().create_task(hosted.change(self.pool, progress, **wanted))
        task.add_done_callback(ended)
        try:
            await self._result(request, ends, task, progress, None)
        finally:
            del task  # as in `compute`

    async def _result(
        self,
        request: Request,
        ends: float,
        task: asyncio.Future[Any],
        progress: _Progress | _Parsing,
        held: ExitStack | None,
    ) -> Any:
        """Return the result of a task of a request. Give the task up at the deadline, or if the client is gone."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Task[None] | None = None
        try:
            # Most requests end quickly. Only longer ones are watched for clients that close the connection.
            await asyncio.wait((task,), timeout=min(_UNWATCHED, ends - loop_time()))
            if not task.done() and loop_time() < ends:
                gone = loop.create_task(_until_gone(request))
                await asyncio.wait(
                    (task, gone), timeout=ends - loop_time(), return_when=asyncio.FIRST_COMPLETED
                )
            if task.done():
                return task.result()
            if gone is not None and gone.done():
                self.metrics.refused.labels("gone").inc()
                raise client_disconnected()
            raise self.late()
        except QueueFullError:
            raise self._queue_full() from None
        except NoRoomError as error:
            raise self._no_room(error) from None
        except WaitedError:
            raise self.late() from None
        finally:
            if gone is not None:
                gone.cancel()
            if not task.done():
                progress.give_up(task, held)
            # The exception of the task has a traceback that refers to this frame: a cycle that would keep memory.
            del task

    async def _run(
        self, progress: _Progress, hosted: HostedModel, submit: Submit, finish: Finish | None
    ) -> Any:
        loop = asyncio.get_running_loop()
        await self.queue.enter()
        progress.begun = True
        begun = time.perf_counter()
        compiled = hosted.compiled
        compiled.take()
        result: Any = None
        try:
            result = await loop.run_in_executor(self.pool, submit, compiled)
            if isinstance(result, Future):
                progress.follow(result)
                result = await asyncio.wrap_future(result)
            if finish is not None and not progress.given_up:
                result = await loop.run_in_executor(self.pool, finish, result)
            self.memory.note_success()
            return result
        finally:
            # If `progress.frame` failed, the traceback of its exception refers to this function's local variables.
            # Such a cycle would keep memory.
            result = progress.frame = None
            compiled.give_back()
            seconds = time.perf_counter() - begun
            self.queue.leave(seconds)
            self.metrics.computing.labels(hosted.name).observe(seconds)

    @contextlib.contextmanager
    def long_turn(self) -> Iterator[None]:
        """Let only one thread at a time decode a long request.

        One step of the decoder may hold Python's global lock for 0.1 s, so other threads get a turn after it.
        """
        with self._decoding:
            try:
                yield
            finally:
                time.sleep(_PAUSE)

    def hold_answer(self, share: Share, count: int) -> None:
        """Reserve the bytes of a response until the client has received it.

        Raise RefusedError: too many bytes (413), or the budget is used up (503).
        """
        maximum = self.settings.max_tensor_bytes
        if count > maximum:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "TooManyTensorBytes",
                f"the answer has {count:,} bytes; {maximum:,} are allowed (--max-tensor-bytes): send a smaller "
                "photo, or accept image/jpeg or application/json",
            )
        try:
            share.add(count)
        except NoRoomError as error:
            raise self._no_room(error) from None

    def _deadline_text(self) -> str:
        return (
            f"{self.settings.deadline:g} seconds (--deadline) or fewer by the header X-Request-Timeout or the "
            "parameter timeout"
        )

    def late(self) -> RefusedError:
        """Return the error for a request that missed its deadline."""
        self.metrics.refused.labels("deadline").inc()
        return RefusedError(
            HTTPStatus.GATEWAY_TIMEOUT,
            "DeadlineExceeded",
            f"there was no result at the deadline, {self._deadline_text()}: try again later, or send a smaller request",
        )

    def _too_large(self, maximum: int) -> RefusedError:
        option = (
            " (--max-bytes): send a smaller photo or batch" if maximum == self.settings.max_bytes else " here"
        )
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "TooManyBytes",
            f"a body may have {maximum:,} bytes{option}",
        )

    def _no_room(self, error: NoRoomError) -> RefusedError:
        return self._busy("bytes", "MemoryBudgetExceeded", f"{error}; try again later")

    def _queue_full(self) -> RefusedError:
        return self._busy(
            "queue",
            "QueueFull",
            f"{self.queue.waiting} requests wait already, as many as may (--queue); try again later",
        )

    def _busy(self, reason: str, kind: str, message: str) -> RefusedError:
        self.metrics.refused.labels(reason).inc()
        retry = {"Retry-After": str(self.queue.wait())}
        return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, kind, message, retry)


class _Parsing:
    """Gives up a request that is parsed."""

    def __init__(self, parsing: Future[Any]) -> None:
        self._parsing = parsing

    def give_up(self, task: asyncio.Future[Any], held: ExitStack | None) -> None:
        """Abandon the request. If its parsing has begun, the memory of its body stays reserved until the end."""
        kept = ExitStack() if held is None else held.pop_all()
        self._parsing.cancel()
        self._parsing.add_done_callback(lambda _: kept.close())
        task.cancel()


class _Progress:
    """Records how far the computation of a request is, so that the request can be given up."""

    def __init__(self) -> None:
        self.begun = False
        self.given_up = False
        self.frame: Future[Any] | None = None

    def follow(self, frame: Future[Any]) -> None:
        """Remember the runner's future. Cancel it if the request was given up before."""
        self.frame = frame
        if self.given_up:
            frame.cancel()

    def give_up(self, task: asyncio.Future[Any], held: ExitStack | None) -> None:
        """Abandon the request.

        If it waits, it leaves the queue. If it already runs, its memory stays reserved until it ends.
        """
        self.given_up = True
        kept = ExitStack() if held is None else held.pop_all()

        def end(task: asyncio.Future[Any]) -> None:
            kept.close()
            if not task.cancelled():
                task.exception()  # read it, since asyncio warns of exceptions that nobody reads

        task.add_done_callback(end)
        if not self.begun:
            task.cancel()
        elif self.frame is not None:
            self.frame.cancel()


async def _until_gone(request: Request) -> None:
    """Wait until the client closes the connection. Call it after the body has been read."""
    with contextlib.suppress(ClientDisconnect):
        while (await request.receive())["type"] != "http.disconnect":
            pass
