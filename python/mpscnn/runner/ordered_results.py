"""The iterator that `Runner.map` returns, for threads and for event loops."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mpscnn import _core
from mpscnn._private.signal_handlers import raised_by_signal_handler
from mpscnn.errors import ParameterError, StateError
from mpscnn.runner.frames import finish_frame

if TYPE_CHECKING:
    from mpscnn.vision.photo_tasks import EndCallback

    Frames = Iterable[Any] | AsyncIterable[Any]


Result_co = TypeVar("Result_co", covariant=True)


class FrameRunner(Protocol):
    """The part of a runner that `OrderedResults` needs."""

    permits: int

    def _take(self, slot: _core.Frame, frame: Any, wanted: Any, on_end: EndCallback) -> None: ...
    async def _reserve(self, slot: _core.Frame) -> None: ...
    def _require_end(self) -> None: ...


class OrderedResults(_core.FrameQueue, Generic[Result_co]):
    """The results of a stream of frames in order: an iterator and an asynchronous iterator. One thread may use it.

    If a failed frame or a signal interrupts the iteration, it may be continued, and no result is lost.
    """

    def __init__(self, runner: FrameRunner, frames: Frames, wanted: Any, return_exceptions: bool) -> None:
        if isinstance(frames, (str, bytes)) or not isinstance(frames, (Iterable, AsyncIterable)):
            given: Any = frames
            camera = (
                f"; mpscnn.video('camera:{given}', model) reads a camera" if isinstance(given, int) else ""
            )
            raise ParameterError(f"map: expected an iterable of frames, got {type(frames).__name__}{camera}")
        super().__init__(runner.permits, return_exceptions)
        self._runner = runner
        self._frames = iter(frames) if isinstance(frames, Iterable) else None
        self._async_frames = aiter(frames) if isinstance(frames, AsyncIterable) else None
        self._wanted = wanted
        self._require_end = runner._require_end
        self._finish = finish_frame

    def __repr__(self) -> str:
        return f"<OrderedResults of {self._runner!r}, {len(self)} under way>"

    if TYPE_CHECKING:

        def __next__(self) -> Result_co: ...

    def __iter__(self) -> OrderedResults[Result_co]:
        if self._frames is None:
            raise ParameterError("map: the frames are an asynchronous iterable: use 'async for'")
        return self

    # `__next__` is implemented in C++ and calls the functions below, so that a signal cannot lose a result.

    def __aiter__(self) -> OrderedResults[Result_co]:
        return self

    async def __anext__(self) -> Result_co:
        import asyncio  # imported here because it loads ssl; users of `await` have it already

        has_asked = False
        while self.wants_frame(has_asked):
            has_asked = True
            if self.in_hand() is None:
                await self._take_from_any_stream()
            slot = self.in_hand()
            if slot is not None:
                await self._runner._reserve(slot)
                ended: Future[None] = Future()
                slot.ended = ended
                self._submit(slot, slot.given, partial(ended.set_result, None))
        first = self.first()
        if first is not None:
            if first.ended is not None:
                # If this task is cancelled, the frame is not.
                await asyncio.wait([asyncio.wrap_future(first.ended)])
            elif not first.done():
                await asyncio.to_thread(first.wait)  # a `for` loop over the same results holds the first one
            self._finish(first)
        try:
            result: Result_co = self.hand_out()
            return result
        except StopIteration:
            raise StopAsyncIteration from None  # a coroutine must not raise StopIteration

    async def _take_from_any_stream(self) -> None:
        try:
            if self._async_frames is not None:
                self.put(await anext(self._async_frames))
            elif self._frames is not None:
                self.take_from(self._frames)
        except StopAsyncIteration:
            self.end()
        except Exception as error:
            self._end_by(error)

    def _end_by(self, error: Exception) -> None:
        """Deliver an exception of the input stream after the results of the earlier frames.

        A later iteration asks the stream again.
        """
        if raised_by_signal_handler(error):
            raise error
        self.fail(error)

    def _submit(self, slot: _core.Frame, given: Any, on_end: EndCallback = None) -> None:
        try:
            self._runner._take(slot, given, self._wanted, on_end)
        except StateError as error:
            self.end()
            self._end_by(error)
