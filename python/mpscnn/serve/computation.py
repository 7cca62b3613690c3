"""One request's way: through the queue, a thread that decodes, the model's runner, and a thread that draws."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

from mpscnn.serve.gate import Gate
from mpscnn.serve.held_bytes import Share
from mpscnn.serve.hosting import Compiled, HostedModel

__all__ = ["Computation", "Finish", "Submit"]

Submit = Callable[[Compiled], Any]
"""In a thread: decodes, and gives a runner's future, or the result."""
Finish = Callable[[Any], Any]
"""In a thread: of the result the answer."""


class Computation:
    """What is not said to be in a thread is called in the event loop.

    Each step calls the next one: as tasks that wait for each other they would cost the loop twice the time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gate: Gate,
        pool: Executor,
        hosted: HostedModel,
        submit: Submit,
        finish: Finish | None,
    ) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done when there is an answer, or somebody has given the request up."""
        self.seconds: float | None = None
        """From its turn to its end; None: it has not ended."""
        self._loop = loop
        self._gate = gate
        self._pool = pool
        self._hosted = hosted
        self._submit = submit
        self._finish = finish
        self._begun = 0.0
        self._given_up = False
        self._shares: tuple[Share, ...] = ()
        self._frame: Future[Any] | None = None
        self._answer: Any = None
        self._error: BaseException | None = None

    def begin_or_wait(self) -> None:
        """Raises QueueFullError."""
        self._gate.enter(self._begin)

    def settle(self, answer: Any, error: BaseException | None = None) -> bool:
        """Ends it with what is told first; returns whether this is it."""
        if self.ended.done():
            return False
        self._answer, self._error = answer, error
        self.ended.set_result(None)
        return True

    def take_answer(self) -> Any:
        """What it has ended with, once; raises what went wrong.

        Nothing keeps the error here: its traceback leads to this object, and both would stay, with the photo, until
        the garbage collector comes.
        """
        answer, error = self._answer, self._error
        self._answer = self._error = None
        if error is None:
            return answer
        try:
            raise error
        finally:
            del error

    def give_up(self, shares: Iterable[Share]) -> None:
        """Nobody waits for the answer: leaves the queue. What has begun keeps its slot and the shares."""
        self._given_up = True
        if not self._begun:
            self._gate.withdraw(self._begin)
            return
        self._shares = tuple(shares)
        for share in self._shares:
            share.keep()
        if self._frame is not None:
            self._frame.cancel()

    def _begin(self) -> None:
        self._begun = time.perf_counter()
        self._compiled = self._hosted.compiled
        self._compiled.take()
        self._pool.submit(self._decode)

    def _decode(self) -> None:
        """In a thread."""
        if self._nobody_waits():
            self._tell(None, CancelledError())
            return
        try:
            result = self._submit(self._compiled)
        except BaseException as error:
            self._tell(None, error)
            return
        if not isinstance(result, Future):
            self._tell(result, None)
            return
        self._frame = result
        if self._nobody_waits():
            result.cancel()
        result.add_done_callback(self._computed)
        del result  # it may have an error, whose traceback leads here

    def _computed(self, frame: Future[Any]) -> None:
        """In the runner's thread."""
        if frame.cancelled() or self._nobody_waits():
            self._tell(None, CancelledError())
        elif (error := frame.exception()) is not None:
            self._tell(None, error)
        elif self._finish is None:
            self._tell(frame.result(), None)
        else:
            self._pool.submit(self._draw, self._finish, frame.result())

    def _draw(self, finish: Finish, result: Any) -> None:
        """In a thread."""
        try:
            self._tell(finish(result), None)
        except BaseException as error:
            self._tell(None, error)

    def _nobody_waits(self) -> bool:
        return self._given_up

    def _tell(self, result: Any, error: BaseException | None) -> None:
        """In a thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._end, result, error)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.seconds = time.perf_counter() - self._begun
        self._compiled.give_back()
        self._gate.leave(self.seconds)
        for share in self._shares:
            share.give_back()
        self._shares = ()
        self._frame = None  # it has the error, too
        self.settle(result, error)
