"""Run readers of files on damaged files, and check for crashes, wrong errors, long runs and much memory. See README.md.

A target is a module NAME_target.py of this folder with a constant `TARGET`.
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
_SHORT = 20_000
"""The bytes of a short file."""
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""The function malloc_trim of glibc; None with other C libraries."""
_HIDDEN = 4 << 20
_trimmed = 0
"""The bytes in use when malloc_trim was last called."""


@dataclass(frozen=True)
class Limits:
    """The time and memory that reading an input may take: a constant, and a bound for each byte.

    Attributes:
        seconds, seconds_per_byte: processor time of all threads.
        memory, memory_per_byte: bytes.
        max_seconds, max_memory: limits for inputs of any size.
    """

    seconds: float = 2.0
    seconds_per_byte: float = 20e-6
    memory: int = 64 << 20
    memory_per_byte: float = 64.0
    max_seconds: float = math.inf
    max_memory: float = math.inf


@dataclass(frozen=True)
class Target:
    """A reader of files or texts that is tested.

    Attributes:
        seeds: a function that returns valid files.
        read: a function that reads a file, and checks the result if the reader accepts the file.
        mutate: a function that changes a file. One that knows the format reaches more code than `mutated`.
        refusals: the errors by which the reader may refuse a file.
        limits: the time and memory that reading may take.
    """

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    mutate: Callable[[bytes, Random], bytes] = mutated
    refusals: tuple[type[BaseException], ...] = (mpscnn.Error,)
    limits: Limits = Limits()


class Finding(Exception):
    """A defect of a reader; the message describes it."""


def check_input(target: Target, data: bytes) -> bool:
    """Return True if the target accepts the input. Raises Finding for a wrong error, and if a limit is exceeded."""
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
    maximum = min(limits.memory + limits.memory_per_byte * len(data), limits.max_memory)
    if memory > maximum:
        raise Finding(f"took {memory:,} bytes of memory for {len(data):,} bytes; {maximum:,.0f} are allowed")
    return accepted


def run(name: str, *, seed: int, runs: int, seconds: float, artifacts: Path | None = None) -> tuple[int, int]:
    """Check the seeds, and then changed files, until `runs` files are checked or `seconds` have passed.

    Args:
        name: the name of the target.
        seed: the seed of the changes.
        runs: the number of changed files.
        seconds: the time limit.
        artifacts: a folder that holds each input while it is read, so that it remains after a crash of the process.

    Returns:
        The number of changed files that were checked, and the number of those that were accepted.
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
        data = changed(target, random.choice(files), random)
        kept = None if artifacts is None else artifacts / f"{name}-running"
        if kept:
            kept.write_bytes(data)
        try:
            # This limit ends the process, because a C library that hangs cannot be interrupted.
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
            files.append(data)  # later changes are applied to this file, too
    return done, accepted


def changed(target: Target, data: bytes, random: Random) -> bytes:
    """Return a changed file. One in twenty may be long, because long files take most of the time of a run.

    The others have at most as many bytes as the given file, or _SHORT, where some tries find such a change.
    """
    result = target.mutate(data, random)
    if random.random() < 0.05:
        return result
    for _ in range(4):
        if len(result) <= max(_SHORT, len(data)):
            break
        result = target.mutate(data, random)
    return result


def find(name: str) -> Target:
    """Import a target by its name."""
    target: Target = importlib.import_module(f"{name}_target").TARGET
    return target


def names() -> list[str]:
    """Return the names of all targets."""
    return sorted(path.stem.removesuffix("_target") for path in Path(__file__).parent.glob("*_target.py"))


def _keep(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _reset_peak() -> int:
    """Return the bytes in use. On Linux, also reset the peak to this number.

    Memory that malloc keeps from earlier inputs would hide what an input needs, so it is returned to the system if it
    can be more than _HIDDEN.
    """
    global _trimmed
    if not _RESET_PEAK.exists():
        return _peak()
    used = _kilobytes("VmRSS")
    if _TRIM and used > _trimmed + _HIDDEN:
        _TRIM(0)
        used = _trimmed = _kilobytes("VmRSS")
    _RESET_PEAK.write_text("5")
    return used


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
    """Let libFuzzer choose the inputs. It keeps those that reach new code of the package. This ends the process."""
    import atheris

    corpus = artifacts / f"{name}_atheris"
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["mpscnn"]):
        target = find(name)
        for number, data in enumerate(target.seeds()):
            # The first read imports the reader's modules. Their instrumentation takes seconds, so it has no limit.
            target.read(data)
            (corpus / f"seed{number}").write_bytes(data)

    def check_one(data: bytes) -> None:
        check_input(target, data)

    def change(data: bytes, maximum: int, seed: int) -> bytes:
        return changed(target, data, Random(seed))[:maximum]

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
    """Run the command that README.md describes."""
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
    warnings.simplefilter("ignore")  # decoders warn about damaged files
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
