"""Whole processes with MobileNetV2 from its file, mpscnn's and the peers': what startup.py and memory.py share."""

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

import mpscnn
from mpscnn.apps.benchmark import PEERS, EngineProcess, EngineSetup, Subject, network_file, require_peer
from mpscnn.errors import Error

_ENGINES = Path(mpscnn.__file__).parent / "benchmark"
"""Where a process finds engines.py without importing mpscnn."""
NUMPY = "import numpy"
"""The process that all others are compared with."""


@dataclass(frozen=True)
class Processes:
    """Engines that are ready to be started."""

    setups: dict[str, EngineSetup]
    """By engine."""
    missing: dict[str, str]
    """Engines that are left out, and why."""

    def first_run(self, engine: str) -> str:
        """Python that loads the network and runs it once."""
        setup = self.setups[engine]
        return (
            f"import sys; sys.path.insert(0, {str(_ENGINES)!r}); import engines, numpy; "
            f"engines.ENGINES[{engine!r}]({setup.settings()!r}, numpy.load({str(setup.input)!r})).run()"
        )

    def start(self, engine: str) -> EngineProcess:
        """A process that has loaded the network and run it once."""
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
    """Write the files."""
    network = mpscnn.models.mobilenet_v2()
    network.initialize_weights()
    subject = Subject("mobilenet_v2", network)
    with tempfile.TemporaryDirectory(prefix="mpscnn-processes-") as folder:
        directory = Path(folder)
        # Compiled, as pip leaves what it installs: all processes find Python's own files here after the first one.
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
    """Figures of `count` processes of each, interleaved."""
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
