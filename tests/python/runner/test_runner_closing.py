"""Test the end of a runner: cancelling, closing, and what callbacks may do."""

from __future__ import annotations

import concurrent.futures
import gc
import signal
import threading
import time
import weakref
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import numpy as np
import pytest
from runner_frames import Gate, doubling_program, frame, in_callback, value_of

import mpscnn

# ---- Cancelling, closing ------------------------------------------------------------------------------------------


def test_a_waiting_frame_can_be_cancelled() -> None:
    runner = mpscnn.Runner(doubling_program(), inflight=2, max_batch=4, max_wait=1000)
    first, second, third = (runner.submit(frame(i)) for i in range(3))
    assert not second.done()
    assert second.cancel()
    assert second.cancel()
    assert second.cancelled()
    with pytest.raises(CancelledError):
        second.result()
    runner.close()
    assert "closed" in repr(runner)
    assert [value_of(first.result()), value_of(third.result())] == [0, 2]
    assert not first.cancel()


def test_callbacks_of_cancelled_frames_wait_for_their_turn() -> None:
    called: list[tuple[int, bool]] = []
    threads: set[int] = set()

    def record(i: int, future: mpscnn.FrameFuture) -> None:
        called.append((i, future.cancelled()))
        threads.add(threading.get_ident())

    runner = mpscnn.Runner(doubling_program(), inflight=2, max_batch=8, max_wait=1000)
    futures = [runner.submit(frame(i)) for i in range(5)]
    for i, future in enumerate(futures[:4]):
        future.add_done_callback(partial(record, i))
    assert futures[3].cancel()
    assert futures[1].cancel()
    futures[1].add_done_callback(partial(record, 10))  # called when the earlier frames are done
    assert futures[4].cancel()
    assert called == []
    runner.close()
    assert called == [(0, False), (1, True), (10, True), (2, False), (3, True)]
    assert threading.get_ident() not in threads
    # The callback runs immediately, because the earlier frames are done.
    futures[1].add_done_callback(partial(record, 11))
    assert called[-1] == (11, True)
    assert not concurrent.futures.wait(futures, timeout=60).not_done


def test_a_frame_that_has_begun_cannot_be_cancelled() -> None:
    out = np.zeros((1, 2, 2, 1), np.float32)
    with mpscnn.Runner(doubling_program(), inflight=3) as runner:
        gate = Gate(runner)
        future = runner.submit(frame(7), out=out)
        while out[0, 1, 1, 0] == 0:
            time.sleep(0.001)
        assert not future.done()  # the frame is computed, but an earlier frame is not done
        assert not future.cancel()
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(timeout=0.01)
        gate.open()
        assert value_of(future.result()) == 7


def test_an_exception_cancels_what_has_not_begun() -> None:
    futures: list[mpscnn.FrameFuture] = []

    def use() -> None:
        with mpscnn.Runner(doubling_program(), inflight=2, max_batch=4, max_wait=1000) as runner:
            futures.append(runner.submit(frame(0)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert futures[0].cancelled()


def test_a_closed_runner_is_refused() -> None:
    with mpscnn.Runner(doubling_program()) as runner:
        assert value_of(runner.submit(frame(1)).result()) == 1
    for use in (lambda: runner.submit(frame(0)), lambda: runner.map([frame(0)]), runner.__enter__):
        with pytest.raises(mpscnn.StateError, match="the runner is closed"):
            use()


def test_closing_does_not_wait_for_a_frame_that_it_refuses() -> None:
    looked_at, closed = threading.Event(), threading.Event()

    class Frame:
        def __array__(self, *_: Any, **__: Any) -> Any:
            looked_at.set()
            assert closed.wait(60)
            return frame(1)

    runner = mpscnn.Runner(doubling_program())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        submission = pool.submit(runner.submit, Frame())
        assert looked_at.wait(60)
        runner.close()
        closed.set()
        with pytest.raises(mpscnn.StateError, match="closed"):
            submission.result(60)


def test_closing_refuses_who_waits_for_a_permit() -> None:
    refusals: list[str] = []
    runner = mpscnn.Runner(doubling_program(), inflight=2)
    gate = Gate(runner)
    last = runner.submit(frame(1))  # takes the last permit

    def submit() -> None:
        try:
            runner.submit(frame(2))
        except mpscnn.StateError as error:
            refusals.append(str(error))

    submitting, closing = threading.Thread(target=submit), threading.Thread(target=runner.close)
    submitting.start()
    time.sleep(0.5)  # until the thread waits
    closing.start()
    submitting.join()
    assert refusals == ["the runner is closed"]
    gate.open()
    closing.join()
    assert value_of(last.result()) == 1


def test_an_interrupted_map_can_go_on() -> None:
    """After Ctrl-C, no frame that was taken from the stream is lost."""

    class Interrupted(BaseException):
        pass

    def interrupt(*_: Any) -> None:
        raise Interrupted

    runner = mpscnn.Runner(doubling_program(), inflight=2, max_batch=4, max_wait=1000)
    results = runner.map([frame(i) for i in range(3)])

    def take_interrupted() -> None:  # on a busy machine the signal may come before the wait
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        next(results)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            take_interrupted()
    finally:
        signal.signal(signal.SIGALRM, before)
    runner.close()
    assert [value_of(result) for result in results] == [0, 1, 2]


def test_results_of_a_map_that_nobody_takes_keep_no_permit() -> None:
    with mpscnn.Runner(doubling_program(), inflight=2) as runner:
        first, second = (runner.map([frame(i) for i in range(k, k + 4)]) for k in (0, 10))
        assert value_of(next(first)) == 0
        assert value_of(next(second)) == 10
        futures = [runner.submit(frame(20 + i)) for i in range(4)]
        assert [value_of(future.result()) for future in futures] == [20, 21, 22, 23]
        del second  # some of its frames have begun
        assert [value_of(result) for result in first] == [1, 2, 3]


def test_who_waits_for_a_permit_gets_that_of_a_map() -> None:
    late: list[float] = []
    runner = mpscnn.Runner(doubling_program(), inflight=2)
    gate = Gate(runner)  # takes a permit
    results = runner.map([frame(0), frame(1)])
    mapping = threading.Thread(target=lambda: late.extend(value_of(result) for result in results))
    mapping.start()
    time.sleep(0.05)  # until the thread has the other permit
    submitting = threading.Thread(target=lambda: late.append(value_of(runner.submit(frame(7)).result())))
    submitting.start()
    time.sleep(0.05)
    gate.open()
    submitting.join(60)
    mapping.join(60)
    assert sorted(late) == [0, 1, 7]
    runner.close()


def test_a_callback_cannot_wait_for_a_map() -> None:
    refused: list[str] = []
    ended = threading.Event()

    def misuse(_: Any) -> None:
        try:
            next(runner.map([frame(1)]))
        except mpscnn.StateError as error:
            refused.append(str(error))
        ended.set()

    with mpscnn.Runner(doubling_program(), inflight=2) as runner:
        in_callback(runner, misuse)
        assert ended.wait(60)
    assert refused == ["a callback of a frame cannot wait for later frames"]


# ---- Callbacks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_a_callback_raises_disturbs_no_other(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    def fail(_: Any) -> None:
        raise kind("on purpose")

    with mpscnn.Runner(doubling_program(), inflight=4) as runner:
        gate = Gate(runner)
        for i in range(3):
            future = runner.submit(frame(i))
            future.add_done_callback(fail)
            future.add_done_callback(lambda _, i=i: called.append(i))  # type: ignore[misc]
        gate.open()
    assert called == [0, 1, 2]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["on purpose"] * 3


def test_callbacks_may_submit_and_close() -> None:
    later: list[mpscnn.FrameFuture] = []
    ended = threading.Event()

    def submit(_: Any) -> None:
        later.append(runner.submit(frame(1)))
        runner.close()
        ended.set()

    runner = mpscnn.Runner(doubling_program(), inflight=1)
    in_callback(runner, submit)
    assert ended.wait(60)
    runner.close()
    assert value_of(later[0].result()) == 1


def test_callbacks_that_would_wait_for_ever_are_refused() -> None:
    refusals: list[str] = []

    def misuse(_: Any) -> None:
        behind = runner.submit(frame(1))
        for wait in (behind.result, behind.exception, lambda: runner.submit(frame(2))):
            try:
                wait()
            except mpscnn.StateError as error:
                refusals.append(str(error))

        ended.set()

    ended = threading.Event()
    with mpscnn.Runner(doubling_program(), inflight=1) as runner:
        in_callback(runner, misuse)
        assert ended.wait(60)
    assert len(refusals) == 3
    assert all("cannot wait for later frames" in refusal for refusal in refusals)
    assert "all 1 permits of the runner are taken" in refusals[2]


def test_a_runner_nobody_holds_finishes_its_frames() -> None:
    future = mpscnn.Runner(doubling_program(), inflight=2).submit(frame(4))
    assert value_of(future.result(timeout=60)) == 4


def test_failures_that_nobody_takes_keep_no_runner() -> None:
    """Tracebacks of failures refer to the runner and its results, but must not keep them alive."""

    def abandon() -> list[weakref.ref[Any]]:
        runner = mpscnn.Runner(doubling_program(), inflight=4)
        results = runner.map([frame(0), *(frame(1, size=3) for _ in range(3))])
        future = runner.submit(frame(1, size=3))
        assert value_of(next(results)) == 0
        with pytest.raises(mpscnn.ShapeError):
            next(results)
        runner.close()
        return [weakref.ref(kept) for kept in (runner, results, future)]

    kept = abandon()
    gc.collect()
    assert [reference() for reference in kept] == [None] * 3
