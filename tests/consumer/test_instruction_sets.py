"""Test for which instruction sets CMake builds kernels. The project is only configured, not compiled."""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from systems import processor_flags

import mpscnn

ROOT = Path(__file__).resolve().parents[2]
X86 = platform.machine().lower() in ("x86_64", "amd64")
ALL = ["baseline", "avx2", "avx512"] if X86 else ["neon"]
CROSS = (f"-DCMAKE_SYSTEM_NAME={platform.system()}", f"-DCMAKE_SYSTEM_PROCESSOR={platform.machine()}")

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


def configured(build: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["cmake", "-S", str(ROOT), "-B", str(build), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def sets(build: Path, *options: str) -> list[str]:
    finished = configured(build, *options)
    assert finished.returncode == 0, finished.stderr
    (found,) = re.findall(r"Instruction sets of the CPU engine's kernels: (.*)", finished.stdout)
    return found.split(";")


def here() -> list[str]:
    """Return the sets of a native build: the best one of this processor."""
    if not X86:
        return ALL
    flags = processor_flags()
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return ["avx512"]
    return ["avx2"] if {"avx2", "fma", "f16c"} <= flags else ALL


def test_native_are_those_of_this_machine(tmp_path: Path) -> None:
    assert sets(tmp_path, "-DMPSCNN_INSTRUCTION_SETS=native") == here()


def test_a_cross_build_has_all(tmp_path: Path) -> None:
    """In a cross build the processor that will run the program is unknown."""
    assert sets(tmp_path, "-DMPSCNN_INSTRUCTION_SETS=native", *CROSS) == ALL


def test_a_wrong_set_is_named(tmp_path: Path) -> None:
    finished = configured(tmp_path, "-DMPSCNN_INSTRUCTION_SETS=mmx")
    assert finished.returncode != 0
    assert "MPSCNN_INSTRUCTION_SETS names 'mmx'" in finished.stderr
    assert "all, or" in " ".join(finished.stderr.split())


def test_released_wheels_have_all_and_others_native() -> None:
    # Python 3.10 lacks tomllib, but pytest installs tomli there.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    settings = toml.loads((ROOT / "pyproject.toml").read_text())["tool"]
    defined = settings["scikit-build"]["cmake"]["define"]
    assert defined["MPSCNN_INSTRUCTION_SETS"] == {"env": "MPSCNN_INSTRUCTION_SETS", "default": "native"}
    released = settings["cibuildwheel"]["config-settings"]
    assert released["cmake.define.MPSCNN_INSTRUCTION_SETS"] == "all"
    assert released["cmake.define.MPSCNN_LINK_TIME_OPTIMISATION"] == "ON"
    assert "MPSCNN_INSTRUCTION_SETS=all" in (ROOT / "Dockerfile").read_text()


def test_this_build_tells_its_sets() -> None:
    assert set(mpscnn.build_config()["instruction_sets"]) <= {*ALL, "amx"}
