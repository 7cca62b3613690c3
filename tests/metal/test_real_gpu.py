"""Test that the tests for real GPUs work, with the emulated device presented as a real GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_EMULATION = """
import ctypes
import sys

import pytest

import mpscnn
from metal.emulation import load

emulation, listed, library = load(), mpscnn.devices(), ctypes.CDLL

def hidden(name, *arguments, **options):
    if name == "libmetal_emulation.so":
        raise OSError("hidden")
    return library(name, *arguments, **options)

ctypes.CDLL = hidden
mpscnn.devices = lambda: [{**device, "description": sys.argv[1]} for device in listed]
sys.exit(pytest.main(["-p", "no:cacheprovider", "--hypothesis-profile=quick", *sys.argv[2:]]))
"""
OPERATIONS = "tests/ops/test_signal.py", "--device=metal"
WINDOWS = "tests/ops/test_window.py", "--device=metal"
NOTHING_RIGHT = "image_to_buffer=wrong"  # the kernel that copies every result, so that all results are wrong
KERNELS = "tests/kernels/test_elementwise.py", "--device=metal"
NETWORKS = ("tests/metal/test_digits.py",)


def run_tests(project: Path, cache: Path, kernels: str, name: str, *tests: str) -> tuple[int, str]:
    variables = {**os.environ, "MPSCNN_CACHE": str(cache), "METAL_EMULATION_KERNELS": kernels}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", WITHOUT_EMULATION, name, *tests]
    done = subprocess.run(command, env=variables, cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "tests",
    [
        pytest.param(OPERATIONS, id="ops"),
        pytest.param(WINDOWS, id="windows", marks=pytest.mark.full),
        pytest.param(KERNELS, id="kernels", marks=pytest.mark.full),
        pytest.param(NETWORKS, id="networks"),
    ],
)
def test_nothing_is_skipped_on_a_gpu(project: Path, tmp_path: Path, tests: tuple[str, ...]) -> None:
    status, output = run_tests(project, tmp_path, "", "Apple M2", *tests)
    assert status == 0, output
    assert " passed" in output
    assert "skipped" not in output


def test_wrong_answers_fail_but_on_a_virtual_machine(project: Path, tmp_path: Path) -> None:
    status, output = run_tests(project, tmp_path, NOTHING_RIGHT, "Apple M2", *OPERATIONS)
    assert status == 1
    assert "is not used: " in output
    status, output = run_tests(project, tmp_path, NOTHING_RIGHT, "Apple Paravirtual device", *OPERATIONS)
    assert status == 0, output
    assert " passed" not in output
    assert "is not used: " in output


def test_what_needs_the_emulation_is_skipped(project: Path, tmp_path: Path) -> None:
    status, output = run_tests(project, tmp_path, "", "Apple M2", "tests/metal/test_memory.py")
    assert status == 0, output
    assert " passed" not in output
    assert "runs on a real GPU here" in output
