"""Test the shaders' source in the library: one text without includes, for which errors name the original lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def flattened(project: Path, directory: Path, tmp_path: Path) -> str:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    output = tmp_path / "shader_source.cpp"
    script = project / "cmake" / "flatten_shaders.cmake"
    command = [cmake, f"-DOUTPUT={output}", f"-DDIRECTORY={directory}", "-P", str(script)]
    subprocess.run(command, check=True, capture_output=True)
    return output.read_text("utf-8").split('R"metal(', 1)[1].split(')metal"', 1)[0]


def compiled(project: Path, source: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("clang++-16")
    if compiler is None:
        pytest.skip("clang++-16 is not installed")
    shader = tmp_path / "program_source.metal"
    shader.write_text(source, "utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    script = project / "tests" / "metal_emulation" / "shading_language" / "compile_metal.py"
    command = [sys.executable, str(script), f"--compiler={compiler}", f"--directory={empty}"]
    command += [f"--output={tmp_path / 'shaders.so'}", str(shader)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


HEADER = "#pragma once\n\ninline float twice(float value) {\n    return 2.0f * value;\n}\n"
OTHER = '#pragma once\n\n#include "twice.h"\n\ninline float fourfold(float value) { return twice(twice(value)); }\n'
KERNEL = """#include "fourfold.h"
#include "twice.h"

kernel void f(device float *values [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    values[i] = fourfold(twice(values[i]));
}
"""


@pytest.fixture
def shaders(tmp_path: Path) -> Path:
    directory = tmp_path / "shaders"
    directory.mkdir()
    (directory / "twice.h").write_text(HEADER, "utf-8")
    (directory / "fourfold.h").write_text(OTHER, "utf-8")
    (directory / "f.metal").write_text(KERNEL, "utf-8")
    return directory


def test_every_header_is_there_once_and_no_include_is_left(
    project: Path, shaders: Path, tmp_path: Path
) -> None:
    source = flattened(project, shaders, tmp_path)
    assert "#include" not in source
    assert source.count("inline float twice") == 1
    assert compiled(project, source, tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("file", "right", "wrong", "place"),
    [
        ("twice.h", "2.0f * value", "2.0f * valu", "twice.h:4:"),
        ("fourfold.h", "twice(value)", "thrice(value)", "fourfold.h:5:"),
        ("f.metal", "values[i])", "valves[i])", "f.metal:5:"),
    ],
)
def test_messages_name_file_and_line(
    project: Path, shaders: Path, tmp_path: Path, file: str, right: str, wrong: str, place: str
) -> None:
    text = (shaders / file).read_text("utf-8")
    (shaders / file).write_text(text.replace(right, wrong), "utf-8")
    result = compiled(project, flattened(project, shaders, tmp_path), tmp_path)
    assert result.returncode != 0
    assert place in result.stderr


def test_the_engines_own_shaders_need_no_files(project: Path, tmp_path: Path) -> None:
    source = flattened(project, project / "shaders", tmp_path)
    assert '#include "' not in source
    names = {path.name for path in (project / "shaders").iterdir()}
    used = {line.split('"')[1] for line in source.splitlines() if line.startswith("#line ")}
    assert used == names
