"""Tests of the real GPU run where there is one: with the emulation hidden, its device is taken for one."""

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
emulation.set("wrong_results", int(sys.argv[1]))

def hidden(name, *arguments, **options):
    if name == "libmetal_emulation.so":
        raise OSError("hidden")
    return library(name, *arguments, **options)

ctypes.CDLL = hidden
mpscnn.devices = lambda: [{**device, "description": sys.argv[2]} for device in listed]
sys.exit(pytest.main(["-p", "no:cacheprovider", "--hypothesis-profile=quick", *sys.argv[3:]]))
"""
OPERATIONS = "tests/ops/test_fully_connected.py", "--device=metal"
KERNELS = "tests/kernels/test_elementwise.py", "--device=metal"
NETWORKS = ("tests/metal/test_digits.py",)


def run_tests(project: Path, cache: Path, wrong: int, name: str, *tests: str) -> tuple[int, str]:
    variables = {**os.environ, "MPSCNN_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WITHOUT_EMULATION, str(wrong), name, *tests]
    done = subprocess.run(command, env=variables, cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("tests", [OPERATIONS, KERNELS, NETWORKS], ids=["ops", "kernels", "networks"])
def test_nothing_is_skipped_on_a_gpu(project: Path, tmp_path: Path, tests: tuple[str, ...]) -> None:
    status, output = run_tests(project, tmp_path, 0, "Apple M2", *tests)
    assert status == 0, output
    assert " passed" in output
    assert "skipped" not in output


def test_wrong_answers_fail_but_on_a_virtual_machine(project: Path, tmp_path: Path) -> None:
    status, output = run_tests(project, tmp_path, 1, "Apple M2", *OPERATIONS)
    assert status == 1
    assert "answers wrongly" in output
    status, output = run_tests(project, tmp_path, 1, "Apple Paravirtual device", *OPERATIONS)
    assert status == 0, output
    assert " passed" not in output
    assert "answers wrongly" in output


def test_what_needs_the_emulation_is_skipped(project: Path, tmp_path: Path) -> None:
    status, output = run_tests(project, tmp_path, 0, "Apple M2", "tests/metal/test_memory.py")
    assert status == 0, output
    assert " passed" not in output
    assert "runs on a real GPU here" in output
