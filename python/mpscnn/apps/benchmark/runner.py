"""Time `mpscnn.Runner` and a session with one thread, interleaved."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.benchmark.subject import Subject
from mpscnn.errors import ParameterError
from mpscnn.runner.runner import FrameFuture, Runner
from mpscnn.runtime.options import load_options
from mpscnn.runtime.program import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn._private.literals import PrecisionName
    from mpscnn.runtime.options import LoadArguments

_TURN = 0.25  # the approximate seconds of each turn
_FEWEST = 4  # the smallest number of images in a turn


@dataclass(frozen=True)
class RunnerMeasurement:
    """The speed of a runner and of one session with one thread, on the same images."""

    device: str
    precision: PrecisionName
    numbers: str
    inflight: int
    max_batch: int
    sessions: int
    threads: int
    """The threads of each of the runner's sessions."""
    session_rates: tuple[float, ...]
    """Images per second of the session with one thread, for each round."""
    runner_rates: tuple[float, ...]
    """Images per second of `Runner.submit`, for each round."""
    map_rates: tuple[float, ...]
    """Images per second of `Runner.map`, for each round."""
    latencies: tuple[float, ...]
    """Milliseconds from the submission of each frame to its result.

    A frame is submitted only when the runner is free.
    """

    @property
    def images_per_second(self) -> float:
        """The runner's images per second: the median of the rounds."""
        return float(np.median(self.runner_rates))

    @property
    def speedup(self) -> float:
        """The runner's speed relative to the session with one thread: the median of the rounds."""
        return float(np.median(np.divide(self.runner_rates, self.session_rates)))

    @property
    def map_images_per_second(self) -> float:
        """Images per second of `Runner.map`: the median of the rounds."""
        return float(np.median(self.map_rates))

    @property
    def map_speedup(self) -> float:
        """The speed of `Runner.map` relative to the session with one thread: the median of the rounds."""
        return float(np.median(np.divide(self.map_rates, self.session_rates)))

    def latency(self, percentile: float) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return float(np.percentile(self.latencies, percentile))


def measure_runner(
    subject: Subject,
    *,
    inflight: int = 3,
    max_batch: int = 1,
    max_wait: float = 0.0,
    runs: int = 50,
    seed: int = 0,
    **options: Unpack[LoadArguments],
) -> RunnerMeasurement:
    """Time a `Runner` and a session with one thread, interleaved, so that both see the same state of the machine.

    Args:
        subject: the network.
        inflight, max_batch, max_wait: arguments of the runner.
        runs: the smallest number of images for the session, for `Runner.submit` and for `Runner.map`. A turn takes
            about a quarter of a second.
        seed: the random seed of the input, whose numbers are uniform from -1 to 1.
        options: the fields of `CompileOptions`, and for the runner those of `RunOptions`.
    """
    if runs < 1:
        raise ParameterError(f"runs must be at least 1, got {runs!r}")
    for_program, for_runs = load_options(options)
    program = subject.network.compile(**for_program.to_dict())
    image = subject.random_input(seed)
    session_rates: list[float] = []
    runner_rates: list[float] = []
    map_rates: list[float] = []
    latencies: list[float] = []
    run_one = repeated_run(program.session(threads=1), image)
    with Runner(program, inflight, max_batch=max_batch, max_wait=max_wait, **for_runs.to_dict()) as runner:
        count = _images_of_a_turn(run_one)
        # The first runs of each session allocate memory.
        _rate_of_runner(runner, image, 2 * runner.permits, [])
        done = 0
        while done < runs:
            session_rates.append(_rate(run_one, count))
            runner_rates.append(_rate_of_runner(runner, image, count, latencies))
            map_rates.append(_rate_of_map(runner, image, count))
            done += count
    return RunnerMeasurement(
        device=program.device_name,
        precision=program.precision,
        numbers=program.numbers,
        inflight=runner.inflight,
        max_batch=runner.max_batch,
        sessions=runner.sessions,
        threads=runner.threads,
        session_rates=tuple(session_rates),
        runner_rates=tuple(runner_rates),
        map_rates=tuple(map_rates),
        latencies=tuple(latencies),
    )


def repeated_run(session: Session, image: NDArray[np.float32]) -> Callable[[], object]:
    """Run once, which allocates memory, and return a function that runs again into the same outputs."""
    out = session.run(image)
    return lambda: session.run(image, out=list(out.values()) if isinstance(out, dict) else out)


def _images_of_a_turn(run_one: Callable[[], object]) -> int:
    begin = time.perf_counter()
    run_one()
    return max(_FEWEST, int(_TURN / max(1e-6, time.perf_counter() - begin)))


def _rate(run_one: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        run_one()
    return count / (time.perf_counter() - begin)


def _rate_of_runner(
    runner: Runner[Any], image: NDArray[np.float32], count: int, latencies: list[float]
) -> float:
    under_way: deque[FrameFuture[Any]] = deque()
    begin = time.perf_counter()
    for _ in range(count):
        # Then `submit` does not block, and the latency is only that of the frame.
        if len(under_way) == runner.permits:
            under_way.popleft().result()
        submitted = time.perf_counter()
        future = runner.submit(image)
        future.add_done_callback(
            lambda _, submitted=submitted: latencies.append(1000.0 * (time.perf_counter() - submitted))  # type: ignore[misc]
        )
        under_way.append(future)
    for future in under_way:
        future.result()
    return count / (time.perf_counter() - begin)


def _rate_of_map(runner: Runner[Any], image: NDArray[np.float32], count: int) -> float:
    begin = time.perf_counter()
    for _ in runner.map(repeat(image, count)):
        pass
    return count / (time.perf_counter() - begin)
