"""Test that Clang compiles kernels without exceptions, as on a Mac."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_kernels_for_bfloat16_throw_nothing() -> None:
    """Unlike GCC, Clang reports a `throw` in templates that are not instantiated."""
    compiler = shutil.which("clang++-16") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("clang is not installed")
    if platform.machine() != "x86_64":
        pytest.skip("the flags are those of x86-64")
    sets = (
        "-DMPSCNN_SET=avx2_bf16",
        '-DMPSCNN_SIMD_HEADER="cpu/isa/simd_avx2_bf16.h"',
        "-mavx2",
        "-mfma",
        "-mf16c",
    )
    kernels = "-Icpp", "-I.", "cpp/cpu/kernels/extensions/bfloat16.cpp"
    command = [
        compiler,
        "-std=c++20",
        "-fsyntax-only",
        "-fno-exceptions",
        "-Wall",
        "-Wextra",
        "-Werror",
        *sets,
        *kernels,
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
