"""Many frames through one network: several at once, results in order."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from mpscnn import _core
from mpscnn.arguments import is_finite_number, require_bool, whole_number
from mpscnn.errors import Error, ParameterError, StateError
from mpscnn.frames import frames_of
from mpscnn.ordered_results import OrderedResults
from mpscnn.places import Places
from mpscnn.program import Program, thread_count

if TYPE_CHECKING:
    from mpscnn.features import FeatureExtractor
    from mpscnn.frames import FrameRun
    from mpscnn.model import Model
    from mpscnn.ordered_results import Frames

Finish = Callable[[Any], Any]
"""Makes a frame's result of what the core found."""


class FrameFuture(Future[Any]):
    """The result of one frame, made by `Runner.submit`: a `concurrent.futures.Future`.

    Its callbacks are called on a thread of the runner's, after those of the frames before it, and may submit further
    frames. Until the frame is done `running` stays False. `asyncio.wrap_future` makes it awaitable.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner: Runner | None = runner
        self._number: int | None = None

    def cancel(self) -> bool:
        """Gives the frame up if it has not begun; returns whether it is cancelled."""
        runner = self._runner
        if runner is not None and self._number is not None and runner._cancel(self._number):
            super().cancel()
        return self.cancelled()

    def result(self, timeout: float | None = None) -> Any:
        """Waits and returns the result, or raises what went wrong with the frame.

        Raises:
            TimeoutError: not done after `timeout` seconds. CancelledError: it was cancelled. StateError: in a forked
                process, or in a callback of the runner's, where it would wait for ever.
        """
        self._require_end()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits and returns what went wrong with the frame, or None. Raises as `result` does otherwise."""
        self._require_end()
        return super().exception(timeout)

    def _require_end(self) -> None:
        runner = self._runner
        if runner is not None:  # else it has ended
            runner._require_end()

    def _settle(self, error: BaseException | None, finish: Finish, found: Any = None) -> None:
        self._runner = None
        if isinstance(error, CancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
            return
        try:
            result = None if error is not None else finish(found)
        except BaseException as raised:  # whatever it is, it is this frame's and no other's
            error = raised
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(result)


class Runner:
    """Keeps a device busy: runs several frames at once and gives their results in the order of submission.

        with mpscnn.Runner(model, inflight=3) as runner:
            for result in runner.map(photos):
                ...

    No frame is lost, repeated or overtaken, and a frame that fails fails alone. For any number of threads; a forked
    process needs a runner of its own.

    Args:
        model: a `Model`: frames are photos, results those of `Model.predict`. Or a `FeatureExtractor`: frames are
            single photos, or floats (n, height, width, channels), results those of its `run`. Or a `Program`: frames
            are its input arrays, (n, height, width, channels), results those of `Session.run`.
        inflight: requests that may be under way at once, 1 to 32. A GPU has as many queued. The CPU works on as many at
            once as its cores allow, one core for each, and has the others ready.
        threads: threads of the CPU for each request; "auto": its cores are shared out among the requests.
        max_batch: images that may be gathered into one request, 1 to 1024. Frames of another size are requests of their
            own. A request that fails is run again frame by frame.
        max_wait: seconds that a frame may wait for others to be gathered with.
        check_finite: a frame fails when a layer's result has a NaN or an infinity, see `Program.session`.

    Raises:
        ParameterError: an argument out of its range; `max_batch` with a network whose images depend on each other.
        UnsupportedError: a model that says nothing of preprocessing, or has no image input of a fixed size.
    """

    def __init__(
        self,
        model: Model | FeatureExtractor | Program,
        inflight: int = 3,
        *,
        threads: int | str = "auto",
        max_batch: int = 1,
        max_wait: float = 0.0,
        check_finite: bool = False,
    ) -> None:
        self.inflight = whole_number("inflight", inflight, most=32)
        self.max_batch = whole_number("max_batch", max_batch, most=1024)
        if not is_finite_number(max_wait) or not 0 <= max_wait <= 1e6:
            raise ParameterError(f"max_wait must be a number of seconds from 0 to 1e6, got {max_wait!r}")
        self._frames = frames_of(model)
        self.program: Program = self._frames.program
        self._core = _core.Runner(
            self.program._program,
            self.inflight,
            thread_count(threads),
            self.max_batch,
            float(max_wait),
            require_bool("check_finite", check_finite),
        )
        described = json.loads(self._core.describe())
        self.sessions: int = described["sessions"]
        self.threads: int = described["threads"]
        self.places: int = described["places"]
        self._free = Places(self.places)
        self._under_way: set[FrameFuture] = set()
        self._last_awaited: _core.AwaitedFrame | None = None
        self._closed = False
        self._delivery_thread: int | None = None
        self._process = os.getpid()
        _runners.add(self)

    def submit(self, frame: Any, **options: Any) -> FrameFuture:
        """Takes a frame and returns while it is worked on.

        With all places taken (`inflight` x `max_batch`) it first waits until a result is handed out. What is wrong with
        the frame, a photo that cannot be read included, is raised by the future's `result`.

        Args:
            frame: a photo, see `mpscnn.photo.open_photo`; or array(s), see `Session.run`. Arrays must not be written
                before the future is done.
            options: for a model those of the method that `Model.predict` stands for, for a program `out`.

        Raises:
            TypeError, ParameterError: an option that there is not, or out of its range.
            StateError: the runner is closed, was made before this process was forked, or has no place for a frame that
                one of its callbacks submits.
        """
        return self._submit(frame, self._frames.checked(options))

    def map(
        self,
        frames: Frames,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> OrderedResults:
        """The results of all frames in their order, to be iterated over by `for` or `async for`.

        Frames are taken from `frames` as results are asked for, at most `places` ahead, so that it may be endless. An
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
        """Takes no more frames, and returns when every one that was taken is done. Closing again does nothing.

        In a callback it does not wait.

        Args:
            cancel: frames that have not begun are cancelled.
        """
        self._closed = True
        if os.getpid() != self._process:
            return  # they are the other process's
        self._core.close(cancel)
        if not self._in_delivery():
            wait(set(self._under_way))  # which a signal interrupts
            if self._last_awaited is not None:
                self._last_awaited.wait()
            self._core.wait()

    def __enter__(self) -> Runner:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes; after an exception frames that have not begun are cancelled."""
        self.close(cancel=kind is not None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self.inflight} in flight"
        threads = "" if self.program.device != "cpu" else f", {self.sessions} x {self.threads} threads"
        return f"<Runner of {self.program!r}: {state}{threads}>"

    def _submit(self, frame: Any, wanted: Any) -> FrameFuture:
        self._take_place()
        return self._start(partial(self._frames.prepare, frame, wanted))

    def _submit_awaited(self, frame: Any, wanted: Any) -> FrameFuture | _core.AwaitedFrame:
        """For who waits for the result himself: where it can be, no thread of the runner's is woken for it."""
        self._take_place()
        try:
            run = self._frames.prepare(frame, wanted)
            awaited = run.submit_awaited(self._core)
        except BaseException as error:
            return self._start(partial(_raise, error))
        if awaited is None:
            return self._start(lambda: run)
        self._last_awaited = awaited
        self._free.lend(awaited)
        return awaited

    def _take_place(self) -> None:
        self._require_open()
        if not self._free.take_free():
            if self._in_delivery():
                raise StateError(
                    f"all {self.places} places of the runner are taken, and a callback of a frame cannot wait for "
                    "the frames behind it"
                )
            self._free.take()

    async def _submit_async(self, frame: Any, wanted: Any) -> FrameFuture:
        self._require_open()
        await self._free.take_async()
        return self._start(partial(self._frames.prepare, frame, wanted))

    def _start(self, prepare: Callable[[], FrameRun]) -> FrameFuture:
        """With a place taken."""
        future = FrameFuture(self)
        self._under_way.add(future)
        try:
            try:
                run = prepare()
                # `done` keeps what the run needs.
                done = partial(self._deliver, future, run.finish)
                future._number = run.submit(self._core, done)
            except StateError:
                raise
            except Exception as error:  # what is wrong with a frame keeps the frame's turn
                self._core.mark(partial(self._deliver_failure, future, error))
        except BaseException:
            self._under_way.discard(future)
            self._free.release()
            future._settle(CancelledError(), _no_result)  # `close` may be waiting for it already
            raise
        return future

    def _deliver(self, future: FrameFuture, finish: Finish, error: BaseException | None, found: Any) -> None:
        """On the core's one thread for that, frame by frame."""
        self._delivery_thread = threading.get_ident()
        self._free.release()
        future._settle(error, finish, found)
        self._under_way.discard(future)

    def _deliver_failure(
        self, future: FrameFuture, failure: Exception, _: BaseException | None, found: Any
    ) -> None:
        self._deliver(future, _no_result, failure, found)

    def _cancel(self, number: int) -> bool:
        return os.getpid() == self._process and self._core.cancel(number)

    def _require_end(self) -> None:
        """That a frame's end can be waited for here."""
        if os.getpid() != self._process:
            raise StateError(
                "this process was forked while the frame was under way; its end is seen in the process that "
                "submitted it only"
            )
        if self._in_delivery():
            raise StateError("a callback of a frame cannot wait for the frames behind it")

    def _in_delivery(self) -> bool:
        return self._delivery_thread == threading.get_ident()

    def _require_open(self) -> None:
        if os.getpid() != self._process:
            raise StateError("the runner was made before this process was forked; make a new one")
        if self._closed:
            raise StateError("the runner is closed")


def _raise(error: BaseException) -> NoReturn:
    raise error


def _no_result(_: Any) -> None:
    """Of a frame that failed before it was run."""


_runners: weakref.WeakSet[Runner] = weakref.WeakSet()


@atexit.register
def _finish_runners() -> None:
    """Callbacks cannot run once the interpreter has begun to go."""
    for runner in list(_runners):
        with contextlib.suppress(Error):
            runner.close()
