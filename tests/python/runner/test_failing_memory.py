"""Allocations of the core fail while Python uses it: each failure is an error, and the next call works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from systems import preloaded, require_preloading

HERE = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile failing_allocations.cpp to a library that can be preloaded."""
    require_preloading()
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    built = tmp_path_factory.mktemp("failing") / "libfailing_allocations.so"
    source = HERE / "failing_allocations.cpp"
    subprocess.run(
        [compiler, "-std=c++20", "-O1", "-shared", "-fPIC", str(source), "-o", str(built)], check=True
    )
    return built


def _try(library: Path, directory: Path, positions: int) -> None:
    process = subprocess.run(
        [
            sys.executable,
            str(HERE / "failing_memory_scenario.py"),
            str(library),
            str(directory),
            str(positions),
        ],
        env=preloaded(library),
        capture_output=True,
        text=True,
        check=False,
    )
    print(process.stdout)
    assert process.returncode == 0, process.stderr[-3000:]
    lines = re.findall(
        r"(\d+) of (\d+) positions tried, (\d+) calls failed, (-?\d+) blocks left", process.stdout
    )
    assert len(lines) == 4
    for tried, _, failed, left in (map(int, line) for line in lines):
        assert tried >= positions
        assert failed > 0
        assert left < 10  # caches keep some blocks, but each trial that leaks leaves at least one more


def test_some_allocations_fail(library: Path, tmp_path: Path) -> None:
    _try(library, tmp_path, 60)


@pytest.mark.full
def test_every_allocation_fails(library: Path, tmp_path: Path) -> None:
    _try(library, tmp_path, 0)
