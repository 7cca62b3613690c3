"""Start processes that run MobileNetV2 from a file, for mpscnn and its peers. Used by startup.py and memory.py.

One process is a C program that uses libmpscnn alone, `first_answer.c`.
"""

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
from harness import keep_compiled_code, random_network
from peer_files.all_peers import ALL_PEERS

from mpscnn.apps.benchmark import MPSCNN, EngineProcess, EngineSetup, Peer, Subject
from mpscnn.apps.cli.package import cmake_directory
from mpscnn.errors import Error

NUMPY = "import numpy"
"""The name of the baseline: a process that only imports NumPy."""
IN_C = "mpscnn in C"
"""The name of the C program."""


@dataclass(frozen=True)
class Processes:
    """Engines whose processes can be started."""

    setups: dict[str, tuple[Peer, EngineSetup]]
    """Each engine with its settings, by name."""
    missing: dict[str, str]
    """The reason for each engine that is left out, by name."""
    in_c: list[str]
    """The command that runs the C program, without its last argument, the number of runs."""

    def first_run(self, name: str) -> str:
        """Return Python code that loads the network and runs it once, without importing mpscnn for its peers."""
        engine, setup = self.setups[name]
        folders = [str(engine.adapters.parent), str(MPSCNN.adapters.parent)]
        return (
            f"import sys; sys.path[:0] = {folders!r}; import {engine.adapters.stem} as adapters, numpy; "
            f"adapters.ENGINES[{name!r}]({setup.settings()!r}, numpy.load({str(setup.input)!r})).run()"
        )

    def start(self, name: str) -> EngineProcess:
        """Start a process that has loaded the network and run it once."""
        return EngineProcess(*self.setups[name])


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument(
        "--peers", default=",".join(ALL_PEERS), help=f"engines; default: {','.join(ALL_PEERS)}"
    )
    result.add_argument("--threads", type=int, default=2, help="of each engine; default: 2")
    result.add_argument("--rounds", type=int, default=rounds, help=f"processes of each; default: {rounds}")
    return result


@contextmanager
def mobilenet_v2(peers: list[str], threads: int) -> Iterator[Processes]:
    """Write MobileNetV2's files in a temporary folder, and yield the processes that run it in each engine."""
    subject = Subject("mobilenet_v2", random_network())
    with tempfile.TemporaryDirectory(prefix="mpscnn-processes-") as folder:
        directory = Path(folder)
        keep_compiled_code(os.environ, directory)
        source = directory / "input.npy"
        np.save(source, np.random.default_rng(0).uniform(-1, 1, subject.input_shape).astype(np.float32))
        result = Processes({}, {}, [])
        for engine in (MPSCNN, *(ALL_PEERS[name] for name in peers)):
            try:
                engine.require()
                path = engine.network_file(subject, directory)
                result.setups[engine.name] = (engine, EngineSetup(path, source, threads))
                result.start(engine.name).close()
            except Error as error:
                if engine is MPSCNN:
                    raise
                result.setups.pop(engine.name, None)
                result.missing[engine.name] = str(error)
        model = str(result.setups[MPSCNN.name][1].path)
        result.in_c.extend([_program_in_c(directory), model, str(threads)])
        yield result


def _program_in_c(folder: Path) -> str:
    """Compile the C program for the package's libmpscnn, and return its path."""
    if (found := cmake_directory()) is None:
        raise Error("mpscnn was installed without libmpscnn")
    program, package = folder / "first_answer", found.parents[2]
    command = [os.environ.get("CC", "cc"), "-O2", str(Path(__file__).with_name("first_answer.c"))]
    command += [
        f"-I{package / 'include'}",
        f"-L{package / 'lib'}",
        "-lmpscnn",
        f"-Wl,-rpath,{package / 'lib'}",
    ]
    subprocess.run([*command, "-o", str(program)], check=True)
    return str(program)


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
