"""Test the runner while many signals arrive, whose handlers raise exceptions at arbitrary places of Python code."""

from __future__ import annotations

import _weakrefset
import contextlib
import functools
import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from runner_frames import Gate, doubling_program, frame, in_callback, value_of

import mpscnn
from mpscnn._private.signal_handlers import raised_by_signal_handler


class TimeLimit(Exception):
    """The exception that a signal handler raises to end a call."""


class Storm:
    """Sends signals at random times. The handler raises an exception, mostly, but only in calls by `attempt`."""

    def __init__(self, seed: int, seconds: float = 0.001) -> None:
        self._chance = random.Random(seed)
        self._seconds = seconds
        self._is_over = False
        self.raised = 0

    def __enter__(self) -> Storm:
        gc.collect()
        gc.disable()  # Python drops exceptions that a handler raises in a function called by the garbage collector
        self._before = signal.signal(signal.SIGALRM, self._handle)
        self._arm()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        gc.enable()

    def attempt(self, action: Callable[[], object]) -> bool:
        """Call `action`. Return True if it was not interrupted."""
        try:
            self._attempt(action)
        except (TimeLimit, KeyboardInterrupt):
            return False
        return True

    def _attempt(self, action: Callable[[], object]) -> None:
        action()

    def _arm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._chance.uniform(1e-5, self._seconds))

    def _handle(self, _: int, interrupted: FrameType | None) -> None:
        if self._is_over:
            return
        self._arm()
        if self._chance.random() < 0.1:
            return
        # The handler raises no exception within _weakrefset, because this module would drop it.
        while interrupted is not None and interrupted.f_globals is not vars(_weakrefset):
            if interrupted.f_code is Storm._attempt.__code__:
                self.raised += 1
                raise self._chance.choice([TimeLimit, KeyboardInterrupt])
            interrupted = interrupted.f_back


def stream(count: int, dtype: type) -> Iterator[NDArray[Any]]:
    """Return an iterator over numbered frames. It runs no Python code, because a signal would end a generator."""
    return iter(np.repeat(np.arange(count, dtype=dtype), 4).reshape(count, 1, 2, 2, 1))


def require_all_permits(runner: mpscnn.Runner) -> None:
    """Check that callbacks can take all permits, and no more."""
    taken: list[mpscnn.FrameFuture] = []
    refused = threading.Event()

    def take(_: Any) -> None:
        with contextlib.suppress(mpscnn.StateError):
            while len(taken) <= runner.permits:
                taken.append(runner.submit(frame(1)))
        refused.set()

    in_callback(runner, take)
    assert refused.wait(60)
    assert len(taken) == runner.permits
    assert [value_of(future.result(60)) for future in taken] == [1] * runner.permits


def run_map(count: int, dtype: type, seed: int) -> int:
    """Return the number of exceptions that signals raised."""
    collected: list[Any] = []
    with mpscnn.Runner(doubling_program(), inflight=3, max_batch=2) as runner:
        results = runner.map(stream(count, dtype))
        with Storm(seed) as storm:
            while not storm.attempt(lambda: collected.extend(results)):
                pass
        assert [value_of(result) for result in collected] == list(range(count))
        require_all_permits(runner)
    return storm.raised


@pytest.mark.parametrize("dtype", [np.float32, np.float64])  # float64 frames are converted by Python code
def test_map_loses_and_repeats_nothing(dtype: type) -> None:
    assert run_map(4000, dtype, seed=1) > 20


@pytest.mark.full
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [2, 3])
def test_map_loses_and_repeats_nothing_of_many(dtype: type, seed: int) -> None:
    assert run_map(100_000, dtype, seed) > 1000


def test_failing_frames_fail_in_their_turn_and_no_others() -> None:
    count = 1000
    given = [frame(i, size=3 if i % 5 == 0 else 2) for i in range(count)]
    collected: list[Any] = []
    with mpscnn.Runner(doubling_program()) as runner:
        results = runner.map(given, return_exceptions=True)
        with Storm(seed=4) as storm:
            while not storm.attempt(lambda: collected.extend(results)):
                pass
        assert storm.raised > 10
        assert len(collected) == count
        for i, result in enumerate(collected):
            if i % 5 == 0:
                assert isinstance(result, mpscnn.ShapeError)
            else:
                assert value_of(result) == i


def run_submit(count: int, seed: int) -> None:
    """Interrupt `submit`, so that the test cannot know whether the frame was submitted."""
    settled: list[float] = []
    refused = threading.Lock()
    with mpscnn.Runner(doubling_program(), inflight=3, max_batch=2) as runner:

        def take(future: mpscnn.FrameFuture) -> None:
            with refused:
                settled.append(value_of(future.result()))

        with Storm(seed) as storm:
            for i in range(count):
                storm.attempt(lambda i=i: runner.submit(frame(i)).add_done_callback(take))  # type: ignore[misc]
        assert storm.raised > count / 1000
        require_all_permits(runner)
    assert settled == sorted(set(settled))  # in order and each once
    assert len(settled) >= count - storm.raised


def test_submit_keeps_order_and_permits() -> None:
    run_submit(3000, seed=5)


@pytest.mark.full
def test_submit_keeps_order_and_permits_of_many() -> None:
    run_submit(100_000, seed=6)


def test_closing_can_be_interrupted_and_repeated() -> None:
    for seed in range(20):
        runner = mpscnn.Runner(doubling_program(), inflight=4)
        futures = [runner.submit(frame(i)) for i in range(4)]
        with Storm(seed, seconds=0.0002) as storm:
            while not storm.attempt(runner.close):
                pass
        assert [value_of(future.result()) for future in futures] == list(range(4))


class InterruptedAt:
    """Raises an exception in the n-th call or return of a Python function, where a signal handler might do so."""

    def __init__(self, n: int) -> None:
        self._left = n
        self.raised = False

    def __call__(self, traced: FrameType, event: str, _: Any) -> InterruptedAt:
        if traced.f_code is not InterruptedAt.attempt.__code__ and event in ("call", "return"):
            self._left -= 1
            if self._left < 0:
                self.raised = True
                raise TimeLimit  # the exception ends the tracing
        return self

    def attempt(self, action: Callable[[], object]) -> None:
        before = sys.gettrace()
        gc.disable()  # the collector would call methods of other objects, whose exceptions Python only prints
        sys.settrace(self)
        try:
            action()
        except TimeLimit:
            pass
        finally:
            sys.settrace(before)
            gc.enable()


@pytest.mark.parametrize(
    "action",
    [
        lambda future: future.cancel(),
        lambda future: future.result(timeout=0),
        lambda future: future.exception(timeout=0),
        lambda future: future.add_done_callback(print),
        lambda future: (future.running(), future.done(), future.cancelled(), repr(future)),
    ],
    ids=["cancel", "result", "exception", "add_done_callback", "state"],
)
def test_a_future_that_is_left_by_an_exception_holds_nobody_up(action: Callable[[Any], object]) -> None:
    """A future of the standard library would keep its lock, and the thread that sets its result would wait for it."""
    points = 0
    while True:
        interrupted = InterruptedAt(points)
        with mpscnn.Runner(doubling_program(), inflight=3) as runner:
            gate = Gate(runner)
            future = runner.submit(frame(1))
            waiting: list[BaseException | None] = []
            waiter = threading.Thread(target=wait_for, args=(future, waiting), daemon=True)
            waiter.start()
            with contextlib.suppress(TimeoutError):
                interrupted.attempt(lambda f=future: action(f))  # type: ignore[misc]
            gate.open()
            waiter.join(60)
            assert not waiter.is_alive(), points
            assert isinstance(waiting[0], CancelledError) if future.cancelled() else waiting == [None]
            assert value_of(runner.submit(frame(2)).result(60)) == 2
        if not interrupted.raised:
            break
        points += 1
    assert points > 2


def wait_for(future: mpscnn.FrameFuture, errors: list[BaseException | None]) -> None:
    try:
        errors.append(future.exception())
    except CancelledError as error:
        errors.append(error)


def test_a_time_limit_interrupts_at_once_and_ends_no_stream() -> None:
    """The handler raises an ordinary exception, which is not a failure of the frame or the stream."""

    class Slow:
        interruptions = 0

        def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
            if self.interruptions == 0:
                self.interruptions += 1
                signal.raise_signal(signal.SIGALRM)
            return frame(5)

    class Stream:
        def __init__(self) -> None:
            self.given = 0

        def __iter__(self) -> Stream:
            return self

        def __next__(self) -> Any:
            if self.given == 3:
                raise StopIteration
            self.given += 1
            if self.given == 2:
                try:
                    signal.raise_signal(signal.SIGALRM)
                finally:
                    self.given = 1
            return Slow() if self.given == 1 else frame(self.given)

    def limit(*_: object) -> None:
        raise TimeLimit

    class Limiter:
        def __call__(self, *_: object) -> None:
            raise TimeLimit

    with mpscnn.Runner(doubling_program(), inflight=1) as runner:
        for handler in (limit, functools.partial(limit), Limiter(), Limiter().__call__):
            before = signal.signal(signal.SIGALRM, handler)
            try:
                with pytest.raises(TimeLimit):
                    runner.submit(Slow())
                results = runner.map([Slow(), frame(1)])
                with pytest.raises(TimeLimit):
                    next(results)
                assert [value_of(result) for result in results] == [5, 1]
                with pytest.raises(TimeLimit):  # raised in the stream's code
                    list(runner.map(Stream(), return_exceptions=True))
            finally:
                signal.signal(signal.SIGALRM, before)
        require_all_permits(runner)


def test_a_stream_may_go_on_behind_its_exception() -> None:
    class Camera:
        """A stream that sometimes has no picture."""

        def __init__(self) -> None:
            self.asked = 0

        def __iter__(self) -> Camera:
            return self

        def __next__(self) -> Any:
            self.asked += 1
            if self.asked == 3:
                raise OSError("no picture")
            if self.asked == 6:
                raise StopIteration
            return frame(self.asked)

    with mpscnn.Runner(doubling_program()) as runner:
        results = runner.map(Camera(), return_exceptions=True)
        assert [value_of(next(results)) for _ in range(2)] == [1, 2]
        with pytest.raises(OSError, match="no picture"):
            next(results)
        assert [value_of(result) for result in results] == [4, 5]


def test_a_results_iterator_is_for_one_at_a_time() -> None:
    refusals: list[str] = []
    asked: list[int] = []

    def stream() -> Iterator[NDArray[Any]]:
        for number in (1, 2):
            asked.append(number)
            yield frame(number)

    with mpscnn.Runner(doubling_program(), inflight=2) as runner:
        gate = Gate(runner)
        results = runner.map(stream())

        def handle(*_: object) -> None:
            if not asked:  # on a busy machine, the signal may come before the first result is asked for
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                return
            try:
                next(results)
            except mpscnn.StateError as error:
                refusals.append(str(error))
            gate.open()

        before = signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert [value_of(result) for result in results] == [1, 2]
        finally:
            signal.signal(signal.SIGALRM, before)
    assert len(refusals) == 1
    assert "takes a result of this iterator already" in refusals[0]


def test_exceptions_of_other_code_are_no_signals() -> None:
    with pytest.raises(TimeLimit) as caught:
        raise TimeLimit
    assert not raised_by_signal_handler(caught.value)
    assert raised_by_signal_handler(KeyboardInterrupt())
