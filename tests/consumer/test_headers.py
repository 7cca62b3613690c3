"""Compile each public header alone, in a program with strict warnings and with macros of other libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tiers import with_full

INCLUDE = Path(__file__).resolve().parents[2] / "cpp" / "include"
HEADERS = sorted(path.name for path in (INCLUDE / "mpscnn").iterdir() if path.suffix in (".h", ".hpp"))
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")

#: The macros of Apple's AssertMacros.h without underscores, which old programs have.
_ASSERTIONS = [
    f"{name}{kind}"
    for name, kinds in {
        "check": ("", "_noerr", "_noerr_string", "_string", "_compile_time"),
        "verify": ("", "_action", "_noerr", "_noerr_action", "_noerr_string", "_string"),
        "require": (
            *("", "_action", "_action_quiet", "_action_string", "_quiet", "_string"),
            *("_noerr", "_noerr_action", "_noerr_action_quiet", "_noerr_action_string", "_noerr_quiet"),
            "_noerr_string",
        ),
        "ncheck": ("", "_string"),
        "nverify": ("", "_string"),
        "nrequire": ("", "_action", "_action_quiet", "_action_string", "_quiet", "_string"),
    }.items()
    for kind in kinds
]
#: All macros that the headers meet. min and max are those of windows.h.
MACROS = (*_ASSERTIONS, "debug_string", "min", "max")


def standard_headers() -> list[str]:
    """Return the standard headers that the public headers include, in the form of `#include <...>`."""
    texts = [(INCLUDE / "mpscnn" / name).read_text("utf-8") for name in HEADERS if name.endswith(".hpp")]
    return sorted({line for text in texts for line in re.findall(r"^#include <\w+>$", text, re.M)})


def problems(compiler: str, standard: str, source: str, file: Path) -> str:
    """Return what the compiler says about a source text; "" if it compiles without warnings."""
    file.write_text(source, "utf-8")
    command = [compiler, f"-std={standard}", *WARNINGS, f"-I{INCLUDE}", "-fsyntax-only", str(file)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if finished.returncode == 0 else finished.stderr or "the compiler failed"


def program(header: str, before: list[str]) -> str:
    """Return a program that defines the macros and then includes the header."""
    macros = [f"#define {name}(...) the macro {name} was expanded" for name in MACROS]
    return "\n".join([*before, *macros, f"#include <mpscnn/{header}>", ""])


@pytest.mark.parametrize("compiler", with_full(["g++"], ["clang++-16"]))
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_in_cpp(header: str, compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    # Headers of the C++ library undefine min and max, so they come before the macros.
    source = program(header, standard_headers())
    assert problems(compiler, "c++20", source, tmp_path / "program.cpp") == ""


@pytest.mark.parametrize("compiler", with_full(["gcc"], ["clang-16"]))
@pytest.mark.parametrize("header", [name for name in HEADERS if name.endswith(".h")])
def test_a_header_in_c(header: str, compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    assert problems(compiler, "c11", program(header, []), tmp_path / "program.c") == ""


@pytest.mark.parametrize(
    "code",
    [
        "inline void check(int) {}",
        "inline int two() { return std::min(2, 3); }",
        "inline int narrow(long x) { return x; }",
        "inline int hidden(int x) { { int x = 1; (void)x; } return x; }",
    ],
)
def test_faults_are_found(code: str, tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    source = program("mpscnn.h", standard_headers())
    assert problems("g++", "c++20", f"{source}{code}\n", tmp_path / "program.cpp") != ""
