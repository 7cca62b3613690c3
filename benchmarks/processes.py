"""Start processes that run MobileNetV2 from a file, for mpscnn and its peers. Used by startup.py and memory.py."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mpscnn.apps.benchmark
from mpscnn.apps.benchmark import PEERS, EngineProcess, EngineSetup, Subject, network_file, require_peer
from mpscnn.errors import Error

_ENGINES = Path(mpscnn.apps.benchmark.__file__).parent
"""The folder in which a process finds engines.py without importing mpscnn."""
NUMPY = "import numpy"
"""The name of the baseline: a process that only imports NumPy."""


@dataclass(frozen=True)
class Processes:
    """Engines whose processes can be started."""

    setups: dict[str, EngineSetup]
    """The settings of each engine."""
    missing: dict[str, str]
    """The reason for each engine that is left out, by name."""

    def first_run(self, engine: str) -> str:
        """Return Python code that loads the network and runs it once."""
        setup = self.setups[engine]
        return (
            f"import sys; sys.path.insert(0, {str(_ENGINES)!r}); import engines, numpy; "
            f"engines.ENGINES[{engine!r}]({setup.settings()!r}, numpy.load({str(setup.input)!r})).run()"
        )

    def start(self, engine: str) -> EngineProcess:
        """Start a process that has loaded the network and run it once."""
        return EngineProcess(engine, self.setups[engine])


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--peers", default=",".join(PEERS), help=f"engines; default: {','.join(PEERS)}")
    result.add_argument("--threads", type=int, default=2, help="of each engine; default: 2")
    result.add_argument("--rounds", type=int, default=rounds, help=f"processes of each; default: {rounds}")
    return result


@contextmanager
def mobilenet_v2(peers: list[str], threads: int) -> Iterator[Processes]:
    """Write MobileNetV2's files in a temporary folder, and yield the processes that run it in each engine."""
    network = mpscnn.models.mobilenet_v2()
    network.initialize_weights()
    subject = Subject("mobilenet_v2", network)
    with tempfile.TemporaryDirectory(prefix="mpscnn-processes-") as folder:
        directory = Path(folder)
        # After the first process, all processes find compiled Python files here, as after an installation by pip.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(directory / "compiled")
        source = directory / "input.npy"
        np.save(source, np.random.default_rng(0).uniform(-1, 1, subject.input_shape).astype(np.float32))
        result = Processes({}, {})
        for engine in ("mpscnn", *peers):
            try:
                if engine != "mpscnn":
                    require_peer(engine)
                path = network_file(engine, subject, directory)
                result.setups[engine] = EngineSetup(path, source, threads)
                result.start(engine).close()
            except Error as error:
                if engine == "mpscnn":
                    raise
                result.setups.pop(engine, None)
                result.missing[engine] = str(error)
        yield result


def rounds(names: list[str], count: int, measure: Callable[[str], float]) -> dict[str, list[float]]:
    """Measure `count` processes of each engine, interleaved."""
    figures: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(count):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            figures[name].append(measure(name))
    return figures


def first_line(code: str) -> str:
    """Return the first line of a Python process as soon as it is printed."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        return process.stdout.readline()
