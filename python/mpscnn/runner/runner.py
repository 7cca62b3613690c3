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
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn._private.signal_handlers import SafeCondition, raised_by_signal_handler
from mpscnn.errors import Error, ParameterError, StateError
from mpscnn.runner.frames import finish_frame, frame_kind
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


class FrameFuture(NoCopies, Expected, Future[Result]):
    """The result of one frame, returned by `Runner.submit`: a `concurrent.futures.Future`.

    Its callbacks run on a thread of the runner, in the order of submission, and may submit more frames. `running` is
    always False. In asyncio, `await future` returns the result. Cancelling the awaiting task cancels the frame if it
    has not begun.
    """

    _instead = "it waits for a frame of a runner; copy what its result() gives"

    def __init__(self, runner: Runner[Result]) -> None:
        super().__init__()
        # this lock cannot be left locked by a signal handler; the thread that delivers results takes it, too
        self._condition = SafeCondition()
        self._runner: Runner[Result] | None = runner
        self._slot = _core.Frame()
        # The base class would call its own callbacks immediately when a frame is cancelled. These callbacks wait until
        # earlier frames are done.
        self._callbacks: list[Callable[[FrameFuture[Result]], object]] | None = []
        self._lock = runner._callbacks_lock

    def cancel(self) -> bool:
        """Cancel the frame if it has not begun. Return True if it is cancelled.

        Its callbacks are still called in the order of submission.
        """
        runner = self._runner
        if runner is not None and runner._cancel(self._slot):
            super().cancel()
        return self.cancelled()

    def add_done_callback(self, fn: Callable[[FrameFuture[Result]], object]) -> None:
        """Call `fn` with this future when this frame and all earlier ones are done, or now if they already are."""
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(fn)
                return
        self._call_back(fn)

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it, or raise the frame's error.

        Raises:
            concurrent.futures.TimeoutError: the frame is not done after `timeout` seconds.
            CancelledError: the frame was cancelled.
            StateError: called in a forked process, or in a callback of the runner, where it would wait for ever.
        """
        self._require_end()
        try:
            return super().result(timeout)
        finally:
            # The exception's traceback refers to this call's variables. Without this line, the cycle would keep memory.
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the frame, and return its error or None. Raises the other errors of `result`."""
        self._require_end()
        return super().exception(timeout)

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait in the running event loop without blocking it."""
        import asyncio  # imported here because it loads ssl; users of `await` have it already

        self._require_end()
        return asyncio.wrap_future(self).__await__()

    def _require_end(self) -> None:
        runner = self._runner
        if runner is not None:  # otherwise the frame is done
            runner._require_end()

    def _hand_out(self) -> None:
        """Deliver the result. The runner's delivery thread calls this for each frame in the order of submission."""
        slot = self._slot
        error: BaseException | None
        try:
            if slot.finish is not None:
                finish_frame(slot)
            error, result = slot.give_away()
        except BaseException as raised:  # even without memory, the frame must end
            error, result = raised, None
        self._runner = None
        if error is None:
            self.set_result(result)
        elif isinstance(error, CancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
            with self._condition:
                self._condition.notify_all()  # for the case that a signal handler interrupted `cancel`
        else:
            self.set_exception(error)
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        for fn in callbacks or ():
            self._call_back(fn)

    def _call_back(self, fn: Callable[[FrameFuture[Result]], object]) -> None:
        try:
            fn(self)
        except BaseException as error:  # an error of one callback must not prevent the others
            if raised_by_signal_handler(error):
                raise  # raises it in the call that added the callback
            logging.getLogger("concurrent.futures").exception("exception calling callback for %r", self)


class _Turn:
    """The function that is called once when a frame and all earlier ones are done. It then releases the future.

    The future holds the frame's exception, whose traceback may refer to this object. So the call drops the reference to
    the future: a cycle would keep memory.
    """

    __slots__ = ("_future",)

    def __init__(self, future: FrameFuture[Any]) -> None:
        self._future: FrameFuture[Any] | None = future

    def __call__(self) -> None:
        future, self._future = self._future, None
        if future is not None:
            future._hand_out()


class Runner(NoCopies, Expected, Generic[Result]):
    """Keeps a device busy: runs several frames at a time, and returns their results in the order of submission.

        with mpscnn.Runner(model, inflight=3) as runner:
            for result in runner.map(photos):
                ...

    No frame is lost or repeated. The error of a frame does not affect other frames. Any number of threads may use a
    runner. A forked process must create its own runner.

    Args:
        model: a `Model`: frames are photos, results are those of `Model.predict`. Or a `FeatureExtractor`: frames are
            single photos or floats (n, height, width, channels), results are those of its `run`. Or a `Program`: frames
            are its input arrays, (n, height, width, channels), results are those of `Session.run`.
        inflight: the largest number of requests in progress, 1 to 32. A GPU queues all of them. The CPU computes as
            many at a time as it has cores, and keeps the others ready.
        max_batch: the largest number of images that may be combined to one request, 1 to 1024. Frames of another size
            are separate requests. If a request fails, its frames run again one by one.
        max_wait: the seconds that a frame may wait for others to be combined with.
        max_memory: the limit in bytes for packed weights and the intermediate results of one request; None: the
            program's `max_memory`. A frame that needs more fails. Combined frames then run one by one.
        options: the fields of `RunOptions`. `threads` is for each request; "auto" divides the cores among the requests.
            With `check_finite`, a frame fails if the result of a layer is not finite.

    Raises:
        ParameterError: an argument is out of its range, or `max_batch` is set for a network whose images depend on each
            other.
        UnsupportedError: the model has no preprocessing, or no image input with a fixed size.
    """

    _other_names = (
        ("map", "imap"),
        ("close", "stop shutdown release"),
    )

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
    @accept_foreign_arguments(options=RunOptions.fields)
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
        self.inflight = whole_number("inflight", inflight, maximum=32)
        self.max_batch = whole_number("max_batch", max_batch, maximum=1024)
        if not is_finite_number(max_wait) or not 0 <= max_wait <= 1e6:
            raise ParameterError(f"max_wait must be a number of seconds from 0 to 1e6, got {max_wait!r}")
        run_options = RunOptions(**options)
        self._frames = frame_kind(model)
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
        """Submit a frame, and return a future while it is computed.

        If all `inflight` x `max_batch` places are taken, this waits until a result is delivered. The error of an
        invalid frame, such as an unreadable photo, is raised by the future's `result`.

        Args:
            frame: a photo, see `mpscnn.photo.open_photo`; or array(s), see `Session.run`. A writable array is copied:
                a camera may write the next frame into it. The result of a photo keeps this copy.
            options: for a model the options of the method that `Model.predict` calls, for a program `out`.

        Raises:
            TypeError, ParameterError: an option is unknown or out of its range.
            StateError: the runner is closed, was created before this process was forked, or has no free place for a
                frame that one of its callbacks submits.
        """
        wanted = self._frames.checked(options)
        future: FrameFuture[Result] = FrameFuture(self)
        try:
            self._take(future._slot, frame, wanted, _Turn(future))
            return future
        finally:
            del future  # an error's traceback refers to this frame: a cycle that would keep memory

    def map(
        self,
        frames: Frames,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> OrderedResults[Result]:
        """Return an iterator over the results of all frames in order, for `for` or `async for`.

        `frames` may be endless: it is read at most `permits` frames ahead of the results. If `frames` raises an
        exception, it is raised after the results of the frames before.

        Args:
            frames: any iterable; for `async for` also an asynchronous one. For a model also a folder, a pattern or an
                `ImageFolder`, as for `Model.predict`.
            return_exceptions: return the exception of a failed frame as its result instead of raising it.
            options: as for `submit`, for every frame.
        """
        wanted = self._frames.checked(options)
        self._require_open()
        return OrderedResults(self, self._frames.listed(frames), wanted, return_exceptions)

    def close(self, *, cancel: bool = False) -> None:
        """Refuse more frames, and wait until all submitted ones are done. Closing again does nothing.

        In a callback it does not wait.

        Args:
            cancel: cancel the frames that have not begun.
        """
        self._closed = True
        if os.getpid() != self._process:
            return  # the frames belong to the parent process
        self._core.close(cancel)
        if not self._core.in_delivery():
            self._core.wait()

    def __enter__(self) -> Runner[Result]:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the runner. After an exception, frames that have not begun are cancelled."""
        self.close(cancel=kind is not None)

    async def __aenter__(self) -> Runner[Result]:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the runner like `with`, without blocking the event loop while the last frames are computed."""
        import asyncio

        await asyncio.to_thread(self.close, cancel=kind is not None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.inflight} in flight"
        threads = "" if self.program.device != "cpu" else f", {self.sessions} x {self.threads} threads"
        return f"<Runner of {self.program!r}: {state}{threads}>"

    def _take(self, slot: _core.Frame, frame: Any, wanted: Any, on_end: EndCallback) -> None:
        """Submit a frame to the core as `slot`. Even after an interruption the slot knows whether it was submitted.

        The error of an invalid frame is delivered like a result, after the results of earlier frames.
        """
        self._require_open()
        try:
            self._frames.prepare(frame, wanted).submit(self._core, slot, on_end)
        except Exception as error:
            if slot.taken() or isinstance(error, StateError) or raised_by_signal_handler(error):
                raise
            self._core.submit_failure(slot, error, on_end)

    async def _reserve(self, slot: _core.Frame) -> None:
        """Wait for a free place without blocking the event loop."""
        import asyncio  # imported here because it loads ssl; users of `await` have it already

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
        """Raise StateError if waiting for a frame's end would never return here."""
        if os.getpid() != self._process:
            raise StateError(
                "this process was forked while the frame was in progress; only the process that submitted it "
                "gets its result"
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
    """Close all runners at exit, because callbacks cannot run after the interpreter has begun to shut down."""
    for runner in list(_runners):
        with contextlib.suppress(Error):
            runner.close()
