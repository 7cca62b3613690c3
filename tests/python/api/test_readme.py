"""The README's programs run, and what it claims to print is printed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from readme import PROJECT, blocks, build_cpp_program

import mpscnn
from mpscnn import registry
from mpscnn.apps.cli.package import cmake_directory


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Return a directory in which the README's relative paths are right. Its files may be written."""
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    return tmp_path


@pytest.mark.parametrize("program", blocks("python"))
def test_python_program_runs(program: str, workplace: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=workplace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout
    assert finished.stderr == ""


def test_cpp_program_runs(tmp_path: Path) -> None:
    package = cmake_directory()
    if package is None:
        pytest.skip("mpscnn is not installed with its C++ package here")
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    strict = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror"
    program = build_cpp_program(tmp_path, strict, f"-DCMAKE_PREFIX_PATH={package}")
    model = registry.find("cifar10_mobilenet_v2")
    finished = subprocess.run([program, model], capture_output=True, text=True, check=True)
    labels = [line.partition(":")[0] for line in finished.stdout.splitlines()]
    expected = [entry.label for entry in mpscnn.load(model).predict(gray_photo()).top(5)]
    assert labels == expected


def gray_photo() -> bytes:
    """Return a 640 x 480 photo of value 128, as a PPM file."""
    header = b"P6 640 480 255\n"
    return header + bytes([128]) * (640 * 480 * 3)


def test_shown_output_is_what_the_command_prints() -> None:
    command, shown = blocks("sh")[0], blocks("text")[0]
    arguments = command.rpartition("mpscnn ")[2].split()
    finished = subprocess.run(
        [sys.executable, "-m", "mpscnn", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    # Times differ from run to run, and the least likely classes' order may differ between instruction sets.
    without_time = [
        re.sub(r"\d+\.\d+ ms", "ms", text).splitlines() for text in (finished.stdout + finished.stderr, shown)
    ]
    printed, expected = without_time
    assert printed[:2] == expected[:2]
    assert printed[6:] == expected[6:]


def test_links_lead_somewhere() -> None:
    documents = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").glob("*.md")]
    missing = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(
            r"\]\(([^)#:]+)(?:#[^)]*)?\)", re.sub(r"(?s)```.*?```", "", document.read_text("utf-8"))
        )
        if not (document.parent / target).exists()
    ]
    assert not missing
