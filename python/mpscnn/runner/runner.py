"""Run many frames through one network, several at a time, with results in order."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import threading
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from mpscnn import _core
from mpscnn._private.arguments import byte_limit, is_finite_number, whole_number
from mpscnn._private.copies import NoCopies
from mpscnn._private.signal_handlers import SafeCondition, raised_by_signal_handler
from mpscnn.errors import Error, ParameterError, StateError
from mpscnn.runner.frames import finish_frame, frames_of
from mpscnn.runner.ordered_results import OrderedResults
from mpscnn.runtime.options import RunOptions
from mpscnn.runtime.program import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.model import Model
    from mpscnn.runner.ordered_results import Frames
    from mpscnn.runtime.options import RunArguments
    from mpscnn.vision.photo_tasks import EndCallback

    class _Arguments(RunArguments, total=False):
        max_batch: int
        max_wait: float
        max_memory: int | None


Result = TypeVar("Result")


class FrameFuture(NoCopies, Future[Result]):
    """The result of one frame, made by `Runner.submit`: a `concurrent.futures.Future`.

    Its callbacks are called on a thread of the runner's, after those of the frames before it, and may submit further
    frames. Until the frame is done `running` stays False. In an event loop of asyncio, `await future` gives the result;
    a task that is cancelled there gives the frame up if it has not begun.
    """

    _instead = "it waits for a frame of a runner; copy what its result() gives"

    def __init__(self, runner: Runner[Result]) -> None:
        super().__init__()
        self._condition = SafeCondition()  # the thread that hands out all frames' results takes it, too
        self._runner: Runner[Result] | None = runner
        self._slot = _core.Frame()
        # The base class would call its callbacks as soon as a frame is cancelled. These wait for the frame's turn.
        self._callbacks: list[Callable[[FrameFuture[Result]], object]] | None = []
        self._lock = runner._callbacks_lock

    def cancel(self) -> bool:
        """Give the frame up if it has not begun; returns whether it is cancelled.

        Its callbacks are called in its turn nevertheless.
        """
        runner = self._runner
        if runner is not None and runner._cancel(self._slot):
            super().cancel()
        return self.cancelled()

    def add_done_callback(self, fn: Callable[[FrameFuture[Result]], object]) -> None:
        """Call `fn` with the future when it is the frame's turn, or now if the turn has come."""
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(fn)
                return
        self._call_back(fn)

    def result(self, timeout: float | None = None) -> Result:
        """Wait and return the result, or raise the error of the frame.

        Raises:
            TimeoutError: not done after `timeout` seconds. CancelledError: it was cancelled. StateError: in a forked
                process, or in a callback of the runner's, where it would wait for ever.
        """
        self._require_end()
        try:
            return super().result(timeout)
        finally:
            del self  # which has the exception, whose traceback leads here

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait and return what went wrong with the frame, or None. Raises as `result` does otherwise."""
        self._require_end()
        return super().exception(timeout)

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait in the running event loop, which goes on meanwhile."""
        import asyncio  # which brings ssl; whoever awaits has it already

        self._require_end()
        return asyncio.wrap_future(self).__await__()

    def _require_end(self) -> None:
        runner = self._runner
        if runner is not None:  # else it has ended
            runner._require_end()

    def _hand_out(self) -> None:
        """In the frame's turn, on the runner's one thread for that."""
        slot = self._slot
        error: BaseException | None
        try:
            if slot.finish is not None:
                finish_frame(slot)
            error, result = slot.give_away()
        except BaseException as raised:  # out of memory; the frame still has to end
            error, result = raised, None
        self._runner = None
        if error is None:
            self.set_result(result)
        elif isinstance(error, CancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
            with self._condition:
                self._condition.notify_all()  # in case a signal's handler has interrupted `cancel`
        else:
            self.set_exception(error)
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        for fn in callbacks or ():
            self._call_back(fn)

    def _call_back(self, fn: Callable[[FrameFuture[Result]], object]) -> None:
        try:
            fn(self)
        except BaseException as error:  # one callback takes nothing from the others, whatever it raises
            if raised_by_signal_handler(error):
                raise  # where the callback was added
            logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)


class _Turn:
    """Called when a frame's turn has come, once. Then it does not know the future any more.

    A frame's exception leads by its traceback to who was to tell of its end, and the future has the exception.
    """

    __slots__ = ("_future",)

    def __init__(self, future: FrameFuture[Any]) -> None:
        self._future: FrameFuture[Any] | None = future

    def __call__(self) -> None:
        future, self._future = self._future, None
        if future is not None:
            future._hand_out()


class Runner(NoCopies, Generic[Result]):
    """Keeps a device busy: runs several frames at a time and gives their results in the order of submission.

        with mpscnn.Runner(model, inflight=3) as runner:
            for result in runner.map(photos):
                ...

    No frame is lost, repeated or overtaken, and a frame that fails fails alone. For any number of threads; a forked
    process needs its own runner.

    Args:
        model: a `Model`: frames are photos, results those of `Model.predict`. Or a `FeatureExtractor`: frames are
            single photos, or floats (n, height, width, channels), results those of its `run`. Or a `Program`: frames
            are its input arrays, (n, height, width, channels), results those of `Session.run`.
        inflight: the largest number of requests in flight, 1 to 32. A GPU has as many queued. The CPU works on as
            many at once as its cores allow, one core for each, and has the others ready.
        max_batch: images that may be gathered into one request, 1 to 1024. Frames of another size are requests of their
            own. A request that fails is run again frame by frame.
        max_wait: seconds that a frame may wait for others to be gathered with.
        max_memory: bytes that packed weights and the intermediate results of one request may take; None: the program's
            `max_memory`. A frame that needs more fails; gathered ones are run one by one then.
        options: those of `RunOptions`. `threads` counts for each request; "auto" shares the cores out among the
            requests. With `check_finite` a frame fails whose results are not finite.

    Raises:
        ParameterError: an argument out of its range; `max_batch` with a network whose images depend on each other.
        UnsupportedError: a model that says nothing of preprocessing, or has no image input of a fixed size.
    """

    _instead = "it has threads and frames under way; make another one of a copy of the model"

    @overload
    def __init__(
        self: Runner[dict[str, NDArray[Any]]],
        model: FeatureExtractor,
        inflight: int = 3,
        **options: Unpack[_Arguments],
    ) -> None: ...
    @overload
    def __init__(
        self: Runner[NDArray[Any] | Any], model: Program, inflight: int = 3, **options: Unpack[_Arguments]
    ) -> None: ...
    @overload
    def __init__(
        self: Runner[Result], model: Model[Result], inflight: int = 3, **options: Unpack[_Arguments]
    ) -> None: ...
    def __init__(
        self,
        model: Model | FeatureExtractor | Program,
        inflight: int = 3,
        *,
        max_batch: int = 1,
        max_wait: float = 0.0,
        max_memory: int | None = None,
        **options: Unpack[RunArguments],
    ) -> None:
        self.inflight = whole_number("inflight", inflight, most=32)
        self.max_batch = whole_number("max_batch", max_batch, most=1024)
        if not is_finite_number(max_wait) or not 0 <= max_wait <= 1e6:
            raise ParameterError(f"max_wait must be a number of seconds from 0 to 1e6, got {max_wait!r}")
        run_options = RunOptions(**options)
        self._frames = frames_of(model)
        self.program: Program = self._frames.program
        self._core = _core.Runner(
            self.program._program,
            self.inflight,
            max_batch=self.max_batch,
            max_wait=float(max_wait),
            max_memory=byte_limit(max_memory),
            **run_options.for_core(),
        )
        described = json.loads(self._core.describe())
        self.sessions: int = described["sessions"]
        self.threads: int = described["threads"]
        self.permits: int = described["permits"]
        self._callbacks_lock = threading.RLock()
        """Guards the callbacks of all futures. It is reentrant, because a signal handler may take it again."""
        self._closed = False
        self._process = os.getpid()
        _runners.add(self)

    def submit(self, frame: Any, **options: Any) -> FrameFuture[Result]:
        """Take a frame and return while it is worked on.

        With all permits taken (`inflight` x `max_batch`) it first waits until a result is handed out. An invalid
        frame, such as a photo that cannot be read, raises its error in the future's `result`.

        Args:
            frame: a photo, see `mpscnn.photo.open_photo`; or array(s), see `Session.run`. Arrays must not be written
                before the future is done.
            options: for a model those of the method that `Model.predict` stands for, for a program `out`.

        Raises:
            TypeError, ParameterError: an option that there is not, or out of its range.
            StateError: the runner is closed, was made before this process was forked, or has no permit for a frame that
                one of its callbacks submits.
        """
        wanted = self._frames.checked(options)
        future: FrameFuture[Result] = FrameFuture(self)
        try:
            self._take(future._slot, frame, wanted, _Turn(future))
            return future
        finally:
            del future  # the traceback of what is wrong with the frame leads here

    def map(
        self,
        frames: Frames,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> OrderedResults[Result]:
        """Return the results of all frames in their order, to be iterated over by `for` or `async for`.

        Frames are taken from `frames` as results are asked for, at most `permits` ahead, so that it may be endless. An
        exception that `frames` raises comes after the results of the frames before.

        Args:
            frames: for `async for` it may be an asynchronous iterable too.
            return_exceptions: give the exception of a failing frame in its place instead of raising it.
            options: as for `submit`, for every frame.
        """
        wanted = self._frames.checked(options)
        self._require_open()
        return OrderedResults(self, frames, wanted, return_exceptions)

    def close(self, *, cancel: bool = False) -> None:
        """Take no more frames, and return when every one that was taken is done. Closing again does nothing.

        In a callback it does not wait.

        Args:
            cancel: frames that have not begun are cancelled.
        """
        self._closed = True
        if os.getpid() != self._process:
            return  # they are the other process's
        self._core.close(cancel)
        if not self._core.in_delivery():
            self._core.wait()

    def __enter__(self) -> Runner[Result]:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an exception frames that have not begun are cancelled."""
        self.close(cancel=kind is not None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.inflight} in flight"
        threads = "" if self.program.device != "cpu" else f", {self.sessions} x {self.threads} threads"
        return f"<Runner of {self.program!r}: {state}{threads}>"

    def _take(self, slot: _core.Frame, frame: Any, wanted: Any, on_end: EndCallback) -> None:
        """Has the core take a frame as `slot`, which says whether it has done so whatever interrupts this.

        The error of an invalid frame keeps the frame's turn.
        """
        self._require_open()
        try:
            self._frames.prepare(frame, wanted).submit(self._core, slot, on_end)
        except Exception as error:
            if slot.taken() or isinstance(error, StateError) or raised_by_signal_handler(error):
                raise
            self._core.submit_failure(slot, error, on_end)

    async def _reserve(self, slot: _core.Frame) -> None:
        """Wait for a permit without blocking the event loop."""
        import asyncio  # which brings ssl; whoever awaits has it already

        answered: Future[None] = Future()
        try:
            if not self._core.reserve(slot, partial(answered.set_result, None)):
                await asyncio.wait([asyncio.wrap_future(answered)])
        except BaseException:
            slot.give_up()
            raise

    def _cancel(self, slot: _core.Frame) -> bool:
        return os.getpid() == self._process and self._core.cancel(slot)

    def _require_end(self) -> None:
        """That a frame's end can be waited for here."""
        if os.getpid() != self._process:
            raise StateError(
                "this process was forked while the frame was under way; its end is seen in the process that "
                "submitted it only"
            )
        if self._core.in_delivery():
            raise StateError("a callback of a frame cannot wait for later frames")

    def _require_open(self) -> None:
        if os.getpid() != self._process:
            raise StateError("the runner was made before this process was forked; make a new one")
        if self._closed:
            raise StateError("the runner is closed")


_runners: weakref.WeakSet[Runner[Any]] = weakref.WeakSet()


@atexit.register
def _finish_runners() -> None:
    """Callbacks cannot run once the interpreter has begun to go."""
    for runner in list(_runners):
        with contextlib.suppress(Error):
            runner.close()
