"""Test the table of shaders in the library.

The text of each file has no includes, and errors name the original lines. The names of its kernels are listed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def flattened(project: Path, directory: Path, tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    """Return the names of the kernels, and the text, of each file."""
    cmake, compiler = shutil.which("cmake"), shutil.which("c++")
    if cmake is None or compiler is None:
        pytest.skip("cmake or a C++ compiler is not installed")
    output = tmp_path / "shader_source.cpp"
    script = project / "cmake" / "flatten_shaders.cmake"
    command = [
        cmake,
        f"-DOUTPUT={output}",
        f"-DDIRECTORY={directory}",
        f"-DCOMPILER={compiler}",
        "-P",
        str(script),
    ]
    subprocess.run(command, check=True, capture_output=True)
    entries = re.findall(
        r'\{"(.*?)",\n +"(.*?)",\n +R"metal\((.*?)\)metal"\}', output.read_text("utf-8"), re.DOTALL
    )
    return {name: (functions.split(), text) for name, functions, text in entries}


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
MACRO = """#include <metal_stdlib>
#include "twice.h"

using namespace metal;

#define TWICE(TYPE)                                                                       \\
    kernel void                                                                           \\
        g_##TYPE(device TYPE *values [[buffer(0)]], uint i [[thread_position_in_grid]]) { \\
        values[i] = TYPE(twice(float(values[i])));                                        \\
    }
TWICE(half)
TWICE(float)
"""


@pytest.fixture
def shaders(tmp_path: Path) -> Path:
    directory = tmp_path / "shaders"
    directory.mkdir()
    (directory / "twice.h").write_text(HEADER, "utf-8")
    (directory / "fourfold.h").write_text(OTHER, "utf-8")
    (directory / "f.metal").write_text(KERNEL, "utf-8")
    (directory / "g.metal").write_text(MACRO, "utf-8")
    return directory


def test_every_header_is_there_once_and_no_include_is_left(
    project: Path, shaders: Path, tmp_path: Path
) -> None:
    files = flattened(project, shaders, tmp_path)
    assert [(name, functions) for name, (functions, _) in files.items()] == [
        ("f.metal", ["f"]),
        ("g.metal", ["g_half", "g_float"]),
    ]
    for number, (_, source) in enumerate(files.values()):
        assert '#include "' not in source
        assert source.count("inline float twice") == 1
        folder = tmp_path / str(number)
        folder.mkdir()
        assert compiled(project, source, folder).returncode == 0


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
    _, source = flattened(project, shaders, tmp_path)["f.metal"]
    result = compiled(project, source, tmp_path)
    assert result.returncode != 0
    assert place in result.stderr


def test_the_engines_own_shaders_need_no_files(project: Path, tmp_path: Path) -> None:
    files = flattened(project, project / "shaders", tmp_path)
    folder = project / "shaders"
    assert files.keys() == {path.name for path in folder.glob("*.metal")}
    used: set[str] = set()
    for name, (functions, source) in files.items():
        assert '#include "' not in source
        assert source.startswith(f'#line 1 "{name}"\n')
        assert functions, name
        used |= {line.split('"')[1] for line in source.splitlines() if line.startswith("#line ")}
    assert used == {path.name for path in folder.iterdir()}
    functions = [function for names, _ in files.values() for function in names]
    assert len(functions) == len(set(functions)), "each function is in one file"
