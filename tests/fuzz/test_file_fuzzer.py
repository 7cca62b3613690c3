"""Run every fuzzer in Python for a short time with a fixed seed, and test that the fuzzer finds defects."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest

import mpscnn

FUZZ = Path(__file__).parent
# The packages that targets need besides mpscnn.
NEEDED = {"caffe": "onnx", "coreml": "onnx", "keras": "h5py", "onnx": "onnx", "tensorflow": "onnx"}
NAMES = sorted(path.stem.removesuffix("_target") for path in FUZZ.glob("*_target.py"))


@pytest.fixture
def fuzzer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FUZZ)
    import file_fuzzer

    return file_fuzzer


@pytest.mark.parametrize(("seed", "runs"), [(1, 40), pytest.param(2, 5_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", NAMES)
def test_short_runs(name: str, seed: int, runs: int, tmp_path: Path) -> None:
    """Each target runs in a separate process, because a defect may end the process."""
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason=f"needs {NEEDED[name]}")
    command = [
        sys.executable,
        str(FUZZ / "file_fuzzer.py"),
        name,
        f"--seed={seed}",
        f"--runs={runs}",
        "--seconds=600",
    ]
    ended = subprocess.run(
        [*command, f"--artifacts={tmp_path}"], capture_output=True, text=True, check=False, errors="replace"
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    assert f"{name}: {runs:,} inputs" in ended.stdout
    assert not list(tmp_path.iterdir())


def _burn(data: bytes) -> None:
    sum(range(20_000_000))


def _hoard(data: bytes) -> None:
    np.ones(200 << 20, np.uint8)


def _fail(data: bytes) -> None:
    raise RecursionError("too deep")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (_burn, "took .* s for 3 bytes"),
        (_hoard, "bytes of memory for 3 bytes"),
        (_fail, "RecursionError: too deep"),
    ],
)
def test_findings(fuzzer: ModuleType, read: Callable[[bytes], None], message: str) -> None:
    limits = fuzzer.Limits(seconds=0.05 if read is _burn else 60)
    target = fuzzer.Target(lambda: [b"abc"], read, limits=limits)
    with pytest.raises(fuzzer.Finding, match=message):
        fuzzer.check_input(target, b"abc")


def test_memory_that_malloc_has_kept_counts(fuzzer: ModuleType) -> None:
    """malloc keeps freed blocks if a block after them is in use. An input that uses them again must still count."""
    blocks = [bytes([1]) * 100_000 for _ in range(3_000)]
    last = bytes([1]) * 100_000
    blocks.clear()

    def read(data: bytes) -> None:
        _ = [bytes([1]) * 100_000 for _ in range(2_000)]

    with pytest.raises(fuzzer.Finding, match="bytes of memory for 3 bytes"):
        fuzzer.check_input(fuzzer.Target(lambda: [b"abc"], read), b"abc")
    assert last


def test_what_is_no_finding(fuzzer: ModuleType) -> None:
    def read(data: bytes) -> None:
        if data != b"good":
            raise mpscnn.ImageError("bad")

    target = fuzzer.Target(lambda: [b"good"], read)
    assert fuzzer.check_input(target, b"good")
    assert not fuzzer.check_input(target, b"bad")


def test_runs_are_repeatable(fuzzer: ModuleType) -> None:
    from mutation import mutated

    def drawn() -> list[bytes]:
        random = Random(3)
        return [mutated(bytes(range(200)), random, tokens=(b"token",)) for _ in range(200)]

    first = drawn()
    assert first == drawn()
    assert len(set(first)) > 150
    assert max(map(len, first)) > 500_000
    assert max(map(len, first)) <= 1 << 21
