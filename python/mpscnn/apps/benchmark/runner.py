"""Time a runner and a session with one thread, interleaved."""

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
from mpscnn.runtime.program import Program

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn._private.literals import PrecisionName
    from mpscnn.runtime.options import LoadArguments

_TURN = 0.25  # seconds that each gets in its turn, about
_FEWEST = 4  # images in a turn


@dataclass(frozen=True)
class RunnerMeasurement:
    """A runner next to one session of one thread, on the same images."""

    device: str
    precision: PrecisionName
    numbers: str
    inflight: int
    max_batch: int
    sessions: int
    threads: int
    """Threads of each session."""
    session_rates: tuple[float, ...]
    """Images per second of the session with one thread, for each round."""
    runner_rates: tuple[float, ...]
    """With a future for each image."""
    map_rates: tuple[float, ...]
    """Images per second of `Runner.map`."""
    latencies: tuple[float, ...]
    """Milliseconds of each frame, from its submission, when it has a permit, until its result is there."""

    @property
    def images_per_second(self) -> float:
        """The runner's images per second, median of the rounds."""
        return float(np.median(self.runner_rates))

    @property
    def speedup(self) -> float:
        """The runner's images per second over those of the session, median of the rounds."""
        return float(np.median(np.divide(self.runner_rates, self.session_rates)))

    @property
    def map_images_per_second(self) -> float:
        """Images per second of `Runner.map`, median of the rounds."""
        return float(np.median(self.map_rates))

    @property
    def map_speedup(self) -> float:
        """Images per second of `Runner.map` over those of the session, median of the rounds."""
        return float(np.median(np.divide(self.map_rates, self.session_rates)))

    def latency(self, percentile: float) -> float:
        """Milliseconds that `percentile` of 100 frames stay below."""
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
    """Times a `Runner` and a session with one thread, interleaved, so that both meet the same state of the machine.

    Args:
        subject: the network.
        inflight, max_batch, max_wait: of the runner.
        runs: images for each at least; a turn takes about a quarter of a second.
        seed: of the input, uniform from -1 to 1.
        options: those of `CompileOptions`, and those of `RunOptions` for the runner.
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
    run_one = _single(program, image)
    with Runner(program, inflight, max_batch=max_batch, max_wait=max_wait, **for_runs.to_dict()) as runner:
        count = _images_of_a_turn(run_one)
        _rate_of_runner(runner, image, 2 * runner.permits, [])  # the first runs of each session allocate
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


def _single(program: Program, image: NDArray[np.float32]) -> Callable[[], object]:
    session = program.session(threads=1)
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
        if (
            len(under_way) == runner.permits
        ):  # so that submitting does not wait, and latency is the frame's own
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
