"""The README's blocks, as they stand there, and its C++ program as a user builds it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")

#: What the README's lines of CMake need around them. Nothing here asks for a language standard.
PROJECT_LINES = """\
cmake_minimum_required(VERSION 3.21)
project(app LANGUAGES CXX)
add_executable(app main.cpp)
"""


def blocks(language: str) -> list[str]:
    """All blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def build_cpp_program(directory: Path, *options: str) -> Path:
    """Builds the C++ program with the README's CMake in a project of its own; `options` are CMake's."""
    (program,), (lines,) = blocks("cpp"), blocks("cmake")
    source, build = directory / "app", directory / "app" / "build"
    source.mkdir()
    (source / "main.cpp").write_text(program)
    (source / "CMakeLists.txt").write_text(PROJECT_LINES + lines)
    for command in (["cmake", "-S", source, "-B", build, *options], ["cmake", "--build", build]):
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return build / "app"
