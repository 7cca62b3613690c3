"""Test the computations of benchmarks/signals.py and benchmarks/sizes.py, without their comparison."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from project_scripts import PROJECT, script


@pytest.fixture
def signals() -> ModuleType:
    return script("benchmarks", "signals")


def test_all_convolve_alike(signals: ModuleType) -> None:
    case = signals.Case("few", (50,), (5,), np.float64)
    calls = signals.calls_for(case)
    assert {"mpscnn", "plain loop", "numpy"} <= set(calls)
    expected = calls["numpy"]()
    for call in calls.values():
        np.testing.assert_allclose(np.asarray(call()).ravel(), expected, rtol=1e-12, atol=1e-12)


def test_no_loop_that_takes_seconds(signals: ModuleType) -> None:
    assert "plain loop" not in signals.calls_for(signals.Case("many", (20_000,), (101,), np.float32))
    assert "plain loop" not in signals.calls_for(signals.Case("plane", (8, 8), (3, 3), np.float32))


def write_package(site: Path, name: str, size: int, *requires: str) -> None:
    """Write an installed package as pip does: its files and their RECORD."""
    (site / name).mkdir()
    (site / name / "data.bin").write_bytes(b"x" * size)
    (site / name / "compiled.pyc").write_bytes(b"x" * 10**6)
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
    (about / "RECORD").write_text(f"{name}/data.bin,,\n{name}/compiled.pyc,,\n")


def test_sizes(tmp_path: Path) -> None:
    write_package(tmp_path, "engine", 2_500_000, "helper>=1", "gone", "other; extra == 'more'")
    write_package(tmp_path, "helper", 1_500_000, "engine")
    command = [
        sys.executable,
        PROJECT / "benchmarks" / "sizes.py",
        "--path",
        tmp_path,
        "engine",
        "no-such-engine",
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[2:] == ["| engine 1.0 | 2.5 | 4.0 | helper, gone (not counted) |"]
    assert finished.stderr == "no-such-engine is not installed\n"
