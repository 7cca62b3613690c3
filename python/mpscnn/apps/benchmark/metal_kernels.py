"""Measure which kernels are faster for a network on a GPU, and record it for `metal_kernels="auto"`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mpscnn.apps.benchmark.runner import repeated_run
from mpscnn.apps.benchmark.subject import Subject
from mpscnn.errors import ParameterError
from mpscnn.registry.cache import hold_lock, replace_file
from mpscnn.runtime.metal_choice import read_record, record_path, system

if TYPE_CHECKING:
    from mpscnn._private.literals import KernelsOfMetal
    from mpscnn.runtime.options import CompileOptions

_TURN = 5  # how often one kind of kernels runs before the other kind runs


@dataclass(frozen=True)
class KernelTimes:
    """The times of one run of a network on a GPU, with each kind of kernels, in milliseconds."""

    device: str
    mps: tuple[float, ...]
    own: tuple[float, ...]

    @property
    def faster(self) -> KernelsOfMetal:
        """The kind with the shorter median time."""
        return "own" if np.median(self.own) < np.median(self.mps) else "mps"


def measure_metal_kernels(
    subject: Subject, options: CompileOptions, *, runs: int = 50, seed: int = 0
) -> KernelTimes | None:
    """Time a network with MPS' and with mpscnn's own kernels, interleaved, and record the faster kind.

    Args:
        subject: the network.
        options: the options to compile it with.
        runs: the number of timed runs of each kind.
        seed: the random seed of the input, whose numbers are uniform from -1 to 1.

    Returns None, and records nothing, if the options choose the CPU.

    Raises:
        DownloadError: the record cannot be written.
        Error: a program cannot be compiled or run.
    """
    if runs < 1:
        raise ParameterError(f"runs must be at least 1, got {runs!r}")
    with_mps = subject.network.compile(**options.replaced(metal_kernels="mps").to_dict())
    if with_mps.device != "metal":
        return None
    # The second program must run on the GPU of the first one.
    own_options = options.replaced(metal_kernels="own", device=f"metal:{with_mps.device_name}")
    with_own = subject.network.compile(**own_options.to_dict())
    image = subject.random_input(seed)
    runners = [repeated_run(program.session(), image) for program in (with_mps, with_own)]
    times: tuple[list[float], list[float]] = ([], [])
    while len(times[0]) < runs:
        count = min(_TURN, runs - len(times[0]))
        for run, measured in zip(runners, times, strict=True):
            measured.extend(_timed(run) for _ in range(count))
    result = KernelTimes(with_mps.device_name, tuple(times[0]), tuple(times[1]))
    _record(subject, options, result)
    return result


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return 1000.0 * (time.perf_counter() - begin)


def _record(subject: Subject, options: CompileOptions, times: KernelTimes) -> None:
    path = record_path(subject.network.graph, [], options)
    with hold_lock(path):
        entries = read_record(path)
        entries[times.device] = {
            "system": system(),
            "network": subject.name,
            "kernels": times.faster,
            "milliseconds": {"mps": float(np.median(times.mps)), "own": float(np.median(times.own))},
        }
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(entries, indent=1) + "\n", "utf-8")
