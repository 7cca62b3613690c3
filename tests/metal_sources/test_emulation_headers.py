"""Test that Apple has all declarations of the emulation's headers, in the same form."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from metal_sources import apple_api


def compiler_arguments(headers: Path) -> list[str]:
    arguments = apple_api.compiler_arguments(headers)
    if arguments is None:
        pytest.skip("GNUstep is not installed (libgnustep-base-dev)")
    return arguments


def test_declarations_agree_with_apples(project: Path, shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("clang.cindex", reason="libclang is not installed (pip install libclang==16.0.6)")
    tool = shared / "mps" / "tools" / "compare_api.py"
    if not tool.is_file():
        pytest.skip(f"there is no {tool}")
    headers = project / "tests" / "metal_emulation" / "headers"
    source = tmp_path / "all.mm"
    source.write_text("#import <MetalPerformanceShaders/MetalPerformanceShaders.h>\n", encoding="utf-8")
    command = [sys.executable, str(tool), str(source), *compiler_arguments(headers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert "differences: 0" in output, output
    assert "parse errors: []" in output, output


def test_headers_compile_without_warnings(project: Path, tmp_path: Path) -> None:
    compiler = shutil.which("clang++-16") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("clang is not installed")
    headers = project / "tests" / "metal_emulation" / "headers"
    for name in ("Metal/Metal.h", "MetalPerformanceShaders/MetalPerformanceShaders.h"):
        source = tmp_path / "one.mm"
        source.write_text(f"#import <{name}>\n", encoding="utf-8")
        warnings = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *warnings, *compiler_arguments(headers), str(source)], check=True)
