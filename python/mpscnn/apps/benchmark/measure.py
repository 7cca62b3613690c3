"""Time several engines interleaved, so that changes of the machine's state affect all in the same way."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn._private.child_python import inherited_environment, script_command
from mpscnn.apps.benchmark.peers import MPSCNN, Peer
from mpscnn.apps.benchmark.subject import Subject
from mpscnn.errors import Error, ParameterError
from mpscnn.runtime.library import available_processors
from mpscnn.runtime.options import CompileOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.apps.benchmark.engines import Setup
    from mpscnn.runtime.options import CompileArguments

#: A function that gets the name of an engine that failed, and the error.
Failed = Callable[[str, Error], None]

_PAUSE = 0.02  # seconds between turns, so that spinning threads of the last engine go to sleep


@dataclass(frozen=True)
class Measurement:
    """One engine's times for one run, in milliseconds."""

    engine: str
    version: str
    note: str
    threads: int
    milliseconds: tuple[float, ...]
    flops: int
    peak_bytes: int
    """The peak of the process's resident memory in bytes, including Python and numpy."""
    difference: float | None
    """The largest absolute difference from mpscnn's outputs; None for mpscnn itself."""
    magnitude: float = 0.0
    """The largest absolute value among mpscnn's outputs."""

    @property
    def minimum(self) -> float:
        """The shortest time in milliseconds, which other programs disturbed least."""
        return min(self.milliseconds)

    @property
    def median(self) -> float:
        """The median time in milliseconds."""
        return float(np.median(self.milliseconds))

    @property
    def p95(self) -> float:
        """The 95th percentile of the times in milliseconds."""
        return float(np.percentile(self.milliseconds, 95))

    @property
    def images_per_second(self) -> float:
        """The images per second at the median time, if a run has one image."""
        return 1000.0 / self.median

    @property
    def gflops(self) -> float:
        """The GFLOP/s at the median time."""
        return self.flops / self.median / 1e6


def measure(
    subject: Subject,
    *,
    peers: Sequence[Peer] = (),
    threads: int | None = None,
    runs: int = 50,
    turn: int = 5,
    seed: int = 0,
    directory: Path | None = None,
    failed: Failed | None = None,
    **options: Unpack[CompileArguments],
) -> list[Measurement]:
    """Time mpscnn and other engines (peers) on the same random input, interleaved.

    Each engine runs in its own process. The peers run on the CPU. They use bfloat16 if that is the `precision`,
    integers for a quantised network, and otherwise float32.

    Args:
        subject: the network.
        peers: the other engines, such as those of PEERS.
        threads: the threads of each engine; None: all that this process may use.
        runs: the number of timed runs of each engine.
        turn: the number of runs of one engine before the next engine's turn.
        seed: the random seed of the input, whose numbers are uniform from -1 to 1.
        directory: the folder for the engines' files. Files that exist there are used again.
        failed: a function that is called with the name of a peer that cannot load the network or has outputs of other
            shapes, and with its error. The peer is then left out. None: the error is raised.
        options: the fields of `CompileOptions`, for mpscnn.

    Raises:
        UnsupportedError: a peer is not installed or lacks the precision (`Peer.require`).
        ParameterError: `runs` is below 1, or the network has several inputs or a free size.
        Error: an engine failed.
    """
    if runs < 1:
        raise ParameterError(f"runs must be at least 1, got {runs!r}")
    compiled = CompileOptions(**options)
    for peer in peers:
        peer.require(compiled.precision)
    count = threads or available_processors()
    with tempfile.TemporaryDirectory(prefix="mpscnn-benchmark-") as folder, ExitStack() as stack:
        own = Path(folder)
        input_file = _write_input(subject, own, seed)
        workers = []
        for engine in (MPSCNN, *peers):
            try:
                path = engine.network_file(subject, directory or own)
                setup = EngineSetup(path, input_file, count, compiled)
                workers.append(stack.enter_context(EngineProcess(engine, setup)))
            except Error as error:
                if failed is None or engine is MPSCNN:
                    raise
                failed(engine.name, error)
        _take_turns(workers, runs, turn)
        return _results(workers, subject, count, own, failed)


_CPU_FLOATS = CompileOptions(device="cpu", precision="float32")


@dataclass(frozen=True)
class EngineSetup:
    """The settings of an engine."""

    path: Path
    """The network's file, from `Peer.network_file`."""
    input: Path
    """The input, a .npy file."""
    threads: int
    options: CompileOptions = _CPU_FLOATS
    """The options for mpscnn. Other engines only use its precision."""

    def settings(self) -> Setup:
        """Return the settings for worker.py, as values that JSON can hold."""
        return {
            "path": str(self.path),
            "input": str(self.input),
            "threads": self.threads,
            "options": self.options.to_dict(),
        }


class EngineProcess:
    """A child process that runs worker.py with one engine. It has loaded the network and run it once."""

    def __init__(self, engine: Peer, setup: EngineSetup) -> None:
        self.engine = engine
        self.milliseconds: list[float] = []
        self._process = subprocess.Popen(
            script_command(str(Path(__file__).with_name("worker.py"))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=inherited_environment(),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches only this process, which then ends the children
        )
        try:
            self.about = self.ask(
                {"engine": engine.name, "adapters": str(engine.adapters), **setup.settings()}
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # the process has ended, so it will not reply either
        line = stdout.readline()
        if not line:
            raise Error(
                f"{self.engine.name}: its process ended unexpectedly (exit code {self._process.wait()})"
            )
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise Error(f"{self.engine.name}: {reply['error']}")
        return reply


def _write_input(subject: Subject, directory: Path, seed: int) -> Path:
    path = directory / "input.npy"
    np.save(path, subject.random_input(seed))
    return path


def _take_turns(workers: list[EngineProcess], runs: int, turn: int) -> None:
    done = 0
    while done < runs:
        count = min(turn, runs - done)
        for worker in workers:
            time.sleep(_PAUSE)
            worker.milliseconds += worker.ask({"runs": count})["milliseconds"]
        workers = workers[1:] + workers[:1]  # rotate the order, so that no engine always follows the same one
        done += count


def _results(
    workers: list[EngineProcess], subject: Subject, threads: int, directory: Path, failed: Failed | None
) -> list[Measurement]:
    # Read the peaks before the outputs are written, because writing them takes memory.
    peaks = [worker.ask({"finish": True})["peak_bytes"] for worker in workers]
    outputs = [_outputs(worker, directory / worker.engine.name) for worker in workers]
    results = []
    for worker, peak, theirs in zip(workers, peaks, outputs, strict=True):
        try:
            difference = None if theirs is outputs[0] else _difference(worker.engine.name, outputs[0], theirs)
        except Error as error:
            if failed is None:
                raise
            failed(worker.engine.name, error)
            continue
        results.append(
            Measurement(
                engine=worker.engine.name,
                version=worker.engine.version,
                note=worker.about["note"],
                threads=threads,
                milliseconds=tuple(worker.milliseconds),
                flops=subject.flops,
                peak_bytes=peak,
                difference=difference,
                magnitude=max(float(np.max(np.abs(array))) for array in outputs[0]),
            )
        )
    return results


def _outputs(worker: EngineProcess, directory: Path) -> list[Any]:
    directory.mkdir()
    count = worker.ask({"output": str(directory)})["count"]
    return [np.load(directory / f"{index}.npy") for index in range(count)]


def _difference(engine: str, ours: list[Any], theirs: list[Any]) -> float:
    shapes = [[array.shape for array in arrays] for arrays in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise Error(f"{engine}: its outputs have the shapes {shapes[1]}, mpscnn's {shapes[0]}")
    return max(float(np.max(np.abs(a - b))) for a, b in zip(ours, theirs, strict=True))
