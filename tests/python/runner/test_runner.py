"""Test the runner: order, failures, permits, batches, streams, arguments."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from runner_frames import Gate, doubling_program, frame, value_of, with_pauses

import mpscnn

# ---- Order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_batch", [1, 6])
def test_ten_thousand_frames_come_in_order_each_once(max_batch: int) -> None:
    """The producer, the consumer and the callbacks pause at random, and three kinds of frames fail."""
    count = 10_000
    chance = random.Random(3)
    kinds = chance.choices(["fine", "other size", "nan", "wrong rank"], [93, 4, 2, 1], k=count)
    given = {
        "fine": frame,
        "other size": lambda i: frame(i, size=3),
        "nan": lambda i: frame(np.nan),
        "wrong rank": lambda i: frame(i)[0],
    }
    frames = (given[kind](i) for i, kind in enumerate(kinds))
    served: list[int] = []
    program = doubling_program(size=None)
    with mpscnn.Runner(
        program, inflight=5, max_batch=max_batch, max_wait=0.0005, check_finite=True
    ) as runner:
        results = runner.map(with_pauses(frames, seed=5), return_exceptions=True)
        for i, result in enumerate(with_pauses(results, seed=7)):
            served.append(i)
            if kinds[i] == "nan":
                assert "input 'image': NaN" in str(result)
            elif kinds[i] == "wrong rank":
                assert isinstance(result, mpscnn.ShapeError)
            else:
                assert value_of(result) == i
    assert served == list(range(count))


def test_callbacks_are_called_in_the_order_of_submission() -> None:
    called: list[int] = []
    with mpscnn.Runner(doubling_program(), inflight=32) as runner:
        gate = Gate(runner)
        for i in range(30):
            x = frame(i) if i % 7 else frame(i, size=5)  # this frame fails before it is computed
            runner.submit(x).add_done_callback(lambda _, i=i: called.append(i))  # type: ignore[misc]
        assert called == []
        gate.open()
    assert called == list(range(30))


def test_several_threads_get_their_own_results() -> None:
    wrong: list[float] = []
    with mpscnn.Runner(doubling_program(), inflight=3, max_batch=2) as runner:

        def work(first: int) -> None:
            futures = [runner.submit(frame(first + i)) for i in range(300)]
            wrong.extend(first + i for i, f in enumerate(futures) if value_of(f.result()) != first + i)

        threads = [threading.Thread(target=work, args=(1000 * k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_results_are_those_of_a_session_and_may_be_written_in_place() -> None:
    network = mpscnn.Network(input=(9, 7, 3), name="small")
    network.output(network.conv2d(network.input, 4, 3, name="conv"))
    network.output(network.global_max_pool2d(network.input, name="largest"))
    network.initialize_weights(1)
    program = network.compile(device="cpu")
    x = np.random.default_rng(0).normal(size=(6, 9, 7, 3)).astype(np.float32)
    expected: Any = program.session().run(x)
    for max_batch in (1, 4):
        with mpscnn.Runner(program, max_batch=max_batch, max_wait=0.01) as runner:
            futures = [
                runner.submit(x[i : i + 2].transpose(0, 2, 1, 3).transpose(0, 2, 1, 3)) for i in (0, 2)
            ]
            halves = runner.submit(x[4:].astype(np.float16))
            out = {name: np.zeros((1, *array.shape[1:]), np.float32) for name, array in expected.items()}
            assert runner.submit(x[3:4], out=out).result() is out
            for name, array in expected.items():
                np.testing.assert_array_equal(np.concatenate([f.result()[name] for f in futures]), array[:4])
                np.testing.assert_array_equal(out[name], array[3:4])
                assert halves.result()[name].dtype == np.float16


# ---- Failures -----------------------------------------------------------------------------------------------------


def test_a_failing_frame_fails_alone_in_its_batch() -> None:
    with mpscnn.Runner(
        doubling_program(), inflight=2, max_batch=4, max_wait=1000, check_finite=True
    ) as runner:
        futures = [runner.submit(frame(np.nan if i == 2 else i)) for i in range(4)]
        assert [value_of(futures[i].result()) for i in (0, 1, 3)] == [0, 1, 3]
        with pytest.raises(mpscnn.Error, match="input 'image': NaN at image"):
            futures[2].result()


def test_whatever_a_frame_is_wrong_by_is_its_own() -> None:
    class Broken:
        def __array__(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("broken on purpose")

    with mpscnn.Runner(doubling_program()) as runner:
        wrong = (Broken(), None, "text", np.zeros((1, 2, 2, 1), np.uint8), frame(1, size=4))
        futures = [runner.submit(x) for x in (*wrong, frame(1))]
        with pytest.raises(RuntimeError, match="broken on purpose"):
            futures[0].result()
        for future in futures[1:5]:
            assert isinstance(future.exception(), mpscnn.ShapeError)
        assert "expected (n, 2, 2, 1), got (1, 4, 4, 1)" in str(futures[4].exception())
        assert value_of(futures[5].result()) == 1


# ---- map ----------------------------------------------------------------------------------------------------------


def test_an_endless_stream_is_read_only_so_far_ahead() -> None:
    read = 0

    def endless() -> Iterator[Any]:
        nonlocal read
        for read in itertools.count(1):
            yield frame(read)

    with mpscnn.Runner(doubling_program(), inflight=3, max_batch=2) as runner:
        for number, result in enumerate(runner.map(endless()), start=1):
            assert value_of(result) == number
            assert read <= number + runner.permits
            if number == 500:
                break


def test_a_slow_stream_is_not_waited_for_longer_than_needed() -> None:
    gates = [threading.Event() for _ in range(4)]

    def slow() -> Iterator[Any]:
        for i, gate in enumerate(gates):
            assert gate.wait(60)
            yield frame(i)
            runner.submit(frame(-1)).result(60)  # results come in order, so all earlier frames are done

    with mpscnn.Runner(doubling_program(), inflight=8) as runner:
        results = runner.map(slow())
        gates[0].set()
        gates[1].set()
        assert value_of(next(results)) == 0  # map is one frame ahead, not eight
        gates[2].set()
        gates[3].set()
        assert [value_of(result) for result in results] == [1, 2, 3]


def test_a_failing_frame_is_raised_in_its_place_and_the_rest_may_follow() -> None:
    with mpscnn.Runner(doubling_program()) as runner:
        results = runner.map([frame(0), frame(1, size=3), frame(2)])
        assert value_of(next(results)) == 0
        with pytest.raises(mpscnn.ShapeError):
            next(results)
        assert value_of(next(results)) == 2
        assert list(results) == []


def test_what_the_stream_raises_comes_behind_the_results() -> None:
    def broken() -> Iterator[Any]:
        yield frame(0)
        yield frame(1)
        raise OSError("the camera is gone")

    with mpscnn.Runner(doubling_program()) as runner:
        results = runner.map(broken())
        assert [value_of(next(results)) for _ in range(2)] == [0, 1]
        with pytest.raises(OSError, match="the camera is gone"):
            next(results)
        assert list(results) == []
        assert value_of(runner.submit(frame(5)).result()) == 5


def test_streams_that_are_none() -> None:
    with mpscnn.Runner(doubling_program()) as runner:
        for wrong in ("cat.jpg", b"cat", 3, None):
            with pytest.raises(mpscnn.ParameterError, match="map: expected an iterable of frames, got"):
                runner.map(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="top"):
            runner.map([frame(0)], top=3)
        assert list(runner.map([])) == []


# ---- Arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inflight": 0}, "inflight must be a number from 1 to 32, got 0"),
        ({"inflight": 33}, "inflight must be a number from 1 to 32, got 33"),
        ({"inflight": True}, "inflight must be"),
        ({"inflight": 2.0}, "inflight must be"),
        ({"max_batch": 0}, "max_batch must be a number from 1 to 1024, got 0"),
        ({"max_batch": 1025}, "max_batch must be"),
        ({"max_wait": -1}, "max_wait must be a number of seconds from 0 to 1e6, got -1"),
        ({"max_wait": float("nan")}, "max_wait must be"),
        ({"max_wait": "1"}, "max_wait must be"),
        ({"threads": 0}, "threads must be"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Runner(doubling_program(), **arguments)


def test_what_it_runs_is_checked() -> None:
    with pytest.raises(
        mpscnn.ParameterError, match="expected a Model, a FeatureExtractor or a Program, got Session"
    ):
        mpscnn.Runner(doubling_program().session())  # type: ignore[arg-type]
    network = mpscnn.Network(input=(4, 4, 2), name="moments")
    network.output(network.batch_statistics(network.input, name="statistics"))
    with pytest.raises(mpscnn.ParameterError, match="max_batch must be 1, got 2: layer 'statistics' makes"):
        mpscnn.Runner(network.compile(device="cpu"), max_batch=2)


def test_it_says_what_it_is() -> None:
    with mpscnn.Runner(doubling_program(), inflight=1, threads=1, max_batch=3) as runner:
        assert (runner.inflight, runner.max_batch, runner.permits) == (1, 3, 3)
        assert (runner.sessions, runner.threads) == (1, 1)
        assert repr(runner).endswith("1 in flight, 1 x 1 threads>")


@pytest.mark.parametrize("threshold", [1, 2])
def test_garbage_is_collected_while_the_first_frames_are_made(threshold: int) -> None:
    """A new process is used, because the first object of a class initialises shared state."""
    code = f"""if True:
        import gc
        import numpy as np
        import mpscnn
        network = mpscnn.Network(input=(2, 2, 1))
        network.output(network.add(network.input, network.input))
        program = network.compile(device="cpu")
        frames = [np.ones((1, 2, 2, 1), np.float32)] * 3
        gc.set_threshold({threshold})
        with mpscnn.Runner(program) as runner:
            print(sum(float(result.sum()) for result in runner.map(frames)))
            runner.submit(frames[0]).result()
    """
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (0, "24.0\n"), finished.stderr
