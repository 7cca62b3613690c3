"""What `Runner.map` gives: an iterator over results, for threads and for event loops."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn._core import AwaitedFrame
    from mpscnn.runner import FrameFuture, Runner

    Frames = Iterable[Any] | AsyncIterable[Any]


class OrderedResults:
    """The results of a stream of frames in their order; an iterator, and an asynchronous one.

    An iteration that a failing frame or a signal has interrupted may be continued: no result is lost.
    """

    def __init__(self, runner: Runner, frames: Frames, wanted: Any, return_exceptions: bool) -> None:
        if isinstance(frames, (str, bytes)) or not isinstance(frames, (Iterable, AsyncIterable)):
            raise ParameterError(f"map: expected an iterable of frames, got {type(frames).__name__}")
        self._runner = runner
        self._frames = iter(frames) if isinstance(frames, Iterable) else None
        self._async_frames = aiter(frames) if isinstance(frames, AsyncIterable) else None
        self._wanted = wanted
        self._return_exceptions = return_exceptions
        self._in_hand: list[Any] = []
        """A frame that was taken from the stream and has no place yet: kept where the wait is interrupted."""
        self._pending: deque[FrameFuture | AwaitedFrame] = deque()
        self._ended = False
        self._failure: Exception | None = None
        """Why there are no more frames; raised behind the last result."""

    def __repr__(self) -> str:
        state = f", {len(self._pending)} under way" if self._pending else ", ended" if self._ended else ""
        return f"<OrderedResults of {self._runner!r}{state}>"

    def __iter__(self) -> OrderedResults:
        if self._frames is None:
            raise ParameterError("map: the frames are an asynchronous iterable: use 'async for'")
        return self

    def __next__(self) -> Any:
        assert self._frames is not None  # see __iter__
        taken = False
        while self._wants_frame(taken):
            taken = True
            try:
                if not self._in_hand:
                    self._in_hand.append(next(self._frames))
                self._pending.append(self._runner._submit_awaited(self._in_hand[0], self._wanted))
                self._in_hand.clear()
            except Exception as raised:
                self._end(raised)
        if not self._pending:
            raise self._end_of(StopIteration)
        first = self._pending[0]
        if not first.done():
            self._runner._require_end()
        return self._value(_failure_of(first))

    def __aiter__(self) -> OrderedResults:
        return self

    async def __anext__(self) -> Any:
        import asyncio  # which brings ssl; whoever awaits has it already

        taken = False
        while self._wants_frame(taken):
            taken = True
            try:
                if not self._in_hand:
                    self._in_hand.append(await self._next_frame())
                self._pending.append(await self._runner._submit_async(self._in_hand[0], self._wanted))
                self._in_hand.clear()
            except Exception as raised:
                self._end(raised)
        if not self._pending:
            raise self._end_of(StopAsyncIteration)
        first = self._pending[0]
        if isinstance(first, Future):
            ended = asyncio.wrap_future(first)
            await asyncio.wait([ended])  # cancelling this task cancels no frame
            return self._value(CancelledError() if ended.cancelled() else ended.exception())
        await asyncio.to_thread(first.wait)  # of a `for` over the same results
        return self._value(_failure_of(first))

    async def _next_frame(self) -> Any:
        if self._async_frames is not None:
            return await anext(self._async_frames)
        assert self._frames is not None  # see __init__
        try:
            return next(self._frames)
        except StopIteration:
            raise StopAsyncIteration from None  # a coroutine may not raise the other

    def _wants_frame(self, taken: bool) -> bool:
        """At least one for each result; more while the next result is not there yet."""
        if self._ended or len(self._pending) >= self._runner.places:
            return False
        return not (taken and self._pending and self._pending[0].done())

    def _end(self, error: Exception) -> None:
        self._ended = True
        self._failure = None if isinstance(error, (StopIteration, StopAsyncIteration)) else error

    def _end_of(self, stop: type[Exception]) -> Exception:
        failure, self._failure = self._failure, None
        return failure or stop()

    def _value(self, error: BaseException | None) -> Any:
        future = self._pending.popleft()
        if error is None:
            return future.result()
        if self._return_exceptions:
            return error
        raise error


def _failure_of(future: FrameFuture | AwaitedFrame) -> BaseException | None:
    """Waits."""
    try:
        return future.exception()
    except CancelledError as cancelled:
        return cancelled
