"""Runs readers of files on damaged ones, and checks for crashes, wrong errors, time and memory. README.md says how.

A target is a module NAME_target.py here with a `TARGET`.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import importlib
import math
import re
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mutation import mutated

import mpscnn

__all__ = ["Finding", "Limits", "Target", "check_input", "main", "run"]

_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""glibc's; other C libraries have none."""


@dataclass(frozen=True)
class Limits:
    """What an input of n bytes may take: a constant, and so much for each byte."""

    seconds: float = 2.0
    """Of the processor, by all threads."""
    seconds_per_byte: float = 20e-6
    memory: int = 64 << 20
    """Bytes."""
    memory_per_byte: float = 64.0
    max_seconds: float = math.inf
    max_memory: float = math.inf
    """However large the input."""


@dataclass(frozen=True)
class Target:
    """A reader of files, or of texts."""

    seeds: Callable[[], Sequence[bytes]]
    """Good files."""
    read: Callable[[bytes], object]
    """Reads one, and checks what it promises of accepted ones."""
    mutate: Callable[[bytes, Random], bytes] = mutated
    """A changed file; mutators that know the format reach deeper than `mutated`."""
    refusals: tuple[type[BaseException], ...] = (mpscnn.Error,)
    """The errors by which files may be refused."""
    limits: Limits = Limits()


class Finding(Exception):
    """A defect, in words."""


def check_input(target: Target, data: bytes) -> bool:
    """Whether the target accepts the input. Raises Finding where it fails otherwise or takes too much."""
    before = _reset_peak()
    begun = time.process_time()
    accepted = False
    try:
        target.read(data)
        accepted = True
    except target.refusals:
        pass
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from error
    seconds = time.process_time() - begun
    memory = _peak() - before
    limits = target.limits
    allowed = min(limits.seconds + limits.seconds_per_byte * len(data), limits.max_seconds)
    if seconds > allowed:
        raise Finding(f"took {seconds:.1f} s for {len(data):,} bytes; {allowed:.1f} s are allowed")
    most = min(limits.memory + limits.memory_per_byte * len(data), limits.max_memory)
    if memory > most:
        raise Finding(f"took {memory:,} bytes of memory for {len(data):,} bytes; {most:,.0f} are allowed")
    return accepted


def run(name: str, *, seed: int, runs: int, seconds: float, artifacts: Path | None = None) -> tuple[int, int]:
    """Checks the seeds and then changed ones, until there were `runs` or `seconds` have passed.

    Args:
        name: of the target.
        artifacts: where an input lies while it is read, so that it is still there after a crash of the process.

    Returns:
        How many were checked, and how many of them accepted.
    """
    target = find(name)
    random = Random(seed)
    files = list(target.seeds())
    for number, data in enumerate(files):
        if not check_input(target, data):
            raise Finding(f"seed {number} is refused")
    accepted = 0
    done = 0
    end = time.monotonic() + seconds
    while done < runs and time.monotonic() < end:
        data = target.mutate(random.choice(files), random)
        kept = None if artifacts is None else artifacts / f"{name}-running"
        if kept:
            kept.write_bytes(data)
        try:
            # Of the whole process: one that hangs in a C library cannot be interrupted otherwise.
            faulthandler.dump_traceback_later(30 + 10 * target.limits.seconds, exit=True)
            accepted += check_input(target, data)
        except Finding as finding:
            where = "" if artifacts is None else f" {_keep(artifacts / f'{name}-{seed}-{done}', data)}"
            raise Finding(f"{name}, seed {seed}, input {done}{where}: {finding}") from finding
        finally:
            faulthandler.cancel_dump_traceback_later()
        if kept:
            kept.unlink()
        done += 1
        if random.random() < 0.02 and len(data) < 100_000:
            files.append(data)  # changes add up
    return done, accepted


def find(name: str) -> Target:
    """The target of a module beside this one."""
    target: Target = importlib.import_module(f"{name}_target").TARGET
    return target


def names() -> list[str]:
    """Of all targets."""
    return sorted(path.stem.removesuffix("_target") for path in Path(__file__).parent.glob("*_target.py"))


def _keep(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _reset_peak() -> int:
    """Bytes in use now; on Linux the peak begins there."""
    if not _RESET_PEAK.exists():
        return _peak()
    if _TRIM:
        _TRIM(0)  # what malloc has kept of earlier inputs would hide what this one takes
    _RESET_PEAK.write_text("5")
    return _kilobytes("VmRSS")


def _peak() -> int:
    if _RESET_PEAK.exists():
        return _kilobytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def _kilobytes(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1]) << 10


def with_atheris(name: str, seconds: float, artifacts: Path) -> None:
    """Lets libFuzzer choose: it keeps inputs that reach new code of the package. Ends the process."""
    import atheris

    corpus = artifacts / f"{name}_atheris"
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["mpscnn"]):
        target = find(name)
        for number, data in enumerate(target.seeds()):
            check_input(target, data)  # which imports the rest
            (corpus / f"seed{number}").write_bytes(data)

    def check_one(data: bytes) -> None:
        check_input(target, data)

    def change(data: bytes, most: int, seed: int) -> bytes:
        return target.mutate(data, Random(seed))[:most]

    options = [
        sys.argv[0],
        f"-max_total_time={seconds:.0f}",
        "-max_len=2000000",
        f"-artifact_prefix={artifacts}/",
    ]
    atheris.Setup(
        [*options, "-print_final_stats=1", "-verbosity=0", str(corpus)], check_one, custom_mutator=change
    )
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    """See README.md."""
    parser: Any = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=names())
    parser.add_argument("files", nargs="*", type=Path, help="check_input these instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=sys.maxsize)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--artifacts", type=Path, default=None, help="a folder for inputs that show a defect")
    parser.add_argument(
        "--atheris", action="store_true", help="guided by the coverage of the package's Python code"
    )
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # decoders warn of damage
    if given.artifacts:
        given.artifacts.mkdir(parents=True, exist_ok=True)
    if given.atheris:
        with_atheris(given.target, given.seconds, given.artifacts or Path("build/corpus"))
    try:
        for path in given.files:
            print(
                f"{path}: {'accepted' if check_input(find(given.target), path.read_bytes()) else 'refused'}"
            )
        if not given.files:
            done, accepted = run(
                given.target,
                seed=given.seed,
                runs=given.runs,
                seconds=given.seconds,
                artifacts=given.artifacts,
            )
            print(f"{given.target}: {done:,} inputs, {accepted:,} accepted, no finding")
    except Finding as finding:
        print(f"FINDING: {finding}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main())
