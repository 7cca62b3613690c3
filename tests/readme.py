"""Return the README's code blocks unchanged, and build its C++ program like a user."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")

#: The lines of a CMake project before those of the README. They do not set a language standard.
PROJECT_LINES = """\
cmake_minimum_required(VERSION 3.21)
project(app LANGUAGES CXX)
add_executable(app main.cpp)
"""


def blocks(language: str) -> list[str]:
    """Return all code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def build_cpp_program(directory: Path, *options: str) -> Path:
    """Build the C++ program in a new project with the README's CMake code, and return the build folder."""
    (program,), (lines,) = blocks("cpp"), blocks("cmake")
    source, build = directory / "app", directory / "app" / "build"
    source.mkdir()
    (source / "main.cpp").write_text(program)
    (source / "CMakeLists.txt").write_text(PROJECT_LINES + lines)
    for command in (["cmake", "-S", source, "-B", build, *options], ["cmake", "--build", build]):
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return build / "app"
