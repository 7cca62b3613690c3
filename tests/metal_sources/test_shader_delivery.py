"""Test that the build compiles shaders if Metal's compiler is installed.

It works without this compiler, and without the shaders that do not compile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_FILE = """
cmake_minimum_required(VERSION 3.21)
project(shaders LANGUAGES NONE)
include("{module}")
mpscnn_compile_shaders(library
    OUTPUT "${{PROJECT_BINARY_DIR}}/mpscnn.metallib"
    SOURCES "{folder}/one.metal" "{folder}/two.metal" HEADERS "{folder}/common.h")
if(NOT TARGET library)
    add_custom_target(library)
endif()
"""

#: A script in place of Xcode's xcrun. Its output file contains its options and the contents of its inputs.
#: It refuses an input that contains "wrong".
XCRUN = """#!{python}
import sys
from pathlib import Path

arguments = sys.argv[1:]
assert arguments[:2] == ["-sdk", "macosx"], arguments
tool, *rest = arguments[2:]
if rest == ["--version"]:
    sys.exit({status})
output = Path(rest[rest.index("-o") + 1])
given = [Path(word) for word in rest if Path(word) != output and Path(word).is_file()]
header = Path(r"{folder}") / "common.h"
parts = [path.read_text() for path in given] + ([header.read_text()] if tool == "metal" else [])
if any("wrong" in part for part in parts):
    sys.exit(f"{{given[0].name}}:1:1: error: wrong")
output.write_text(f"{{tool}} {{' '.join(word for word in rest if word.startswith('-'))}}\\n" + "".join(parts))
"""


class Build:
    """A CMake project with two shaders and a script in place of the compiler, which fails if `status` is not 0."""

    def __init__(self, project: Path, folder: Path, status: int, *options: str, wrong: str = "") -> None:
        cmake = shutil.which("cmake")
        if cmake is None:
            pytest.skip("cmake is not installed")
        self._cmake, self._folder = cmake, folder
        for name in ("one.metal", "two.metal", "common.h"):
            (folder / name).write_text(f"text of {name}\n" + ("wrong\n" if name == wrong else ""), "utf-8")
        module = project / "cmake" / "MpscnnShaders.cmake"
        (folder / "CMakeLists.txt").write_text(PROJECT_FILE.format(module=module, folder=folder), "utf-8")
        tools = folder / "bin"
        tools.mkdir()
        compiler = tools / "xcrun"
        compiler.write_text(XCRUN.format(python=sys.executable, status=status, folder=folder), "utf-8")
        compiler.chmod(0o755)
        self._environment = {**os.environ, "PATH": os.pathsep.join([str(tools), os.environ["PATH"]])}
        self._environment.pop("LD_PRELOAD", None)  # a sanitizer's library, with which CMake would fail
        self.configured = self.run("-S", str(folder), "-B", str(folder / "build"), *options)
        self.said = ""

    def run(self, *arguments: str, fails: bool = False) -> str:
        command = [self._cmake, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def library(self, *, fails: bool = False) -> str | None:
        """Build, and return the content of the library of shaders; None if there is none."""
        self.said = self.run("--build", str(self._folder / "build"), "--target", "library", fails=fails)
        made = self._folder / "build" / "mpscnn.metallib"
        return made.read_text("utf-8") if made.exists() else None


def test_shaders_are_compiled_one_by_one_and_joined(project: Path, tmp_path: Path) -> None:
    made = Build(project, tmp_path, status=0).library()
    assert made is not None
    joined, first, text, header, second, *_ = made.splitlines()
    assert joined == "metallib -o"
    # `compile_source` in cpp/metal/device/library.mm sets the same options, because both must give the same results.
    flags = "metal -std=macos-metal2.3 -fno-fast-math -mmacosx-version-min=11.0 -Wall -Wextra -c -o"
    assert (first, second) == (flags, flags)
    assert (text, header) == ("text of one.metal", "text of common.h")


def test_a_changed_header_compiles_all_shaders_again(project: Path, tmp_path: Path) -> None:
    build = Build(project, tmp_path, status=0)
    assert "another" not in str(build.library())
    (tmp_path / "common.h").write_text("another\n", "utf-8")
    os.utime(tmp_path / "common.h", (4e9, 4e9))
    assert str(build.library()).count("another") == 2


def test_a_shader_that_does_not_compile_is_left_out(project: Path, tmp_path: Path) -> None:
    build = Build(project, tmp_path, status=0, wrong="two.metal")
    made = build.library()
    assert made is not None
    assert "text of one.metal" in made
    assert "two.metal" not in made
    assert "two.metal:1:1: error: wrong" in build.said
    assert "at first use" in build.said


def test_without_a_shader_that_compiles_the_library_is_empty(project: Path, tmp_path: Path) -> None:
    assert Build(project, tmp_path, status=0, wrong="common.h").library() == ""


def test_an_option_makes_a_shader_that_does_not_compile_an_error(project: Path, tmp_path: Path) -> None:
    build = Build(project, tmp_path, 0, "-DMPSCNN_REQUIRE_SHADERS=ON", wrong="two.metal")
    build.library(fails=True)
    assert "two.metal:1:1: error: wrong" in build.said


def test_an_option_requires_the_compiler(project: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Metal's compiler is not installed"):
        Build(project, tmp_path, 1, "-DMPSCNN_REQUIRE_SHADERS=ON")


def test_without_a_compiler_nothing_is_compiled(project: Path, tmp_path: Path) -> None:
    build = Build(project, tmp_path, status=1)
    assert "will compile its shaders at first use" in build.configured
    assert build.library() is None
