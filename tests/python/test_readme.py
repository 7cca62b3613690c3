"""The README's programs run, and what it claims to print is printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mpscnn
from mpscnn import registry
from mpscnn.cli.package import cmake_directory

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory in which the README's relative paths are right, and whose files may be written."""
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


def test_cpp_program_runs(workplace: Path) -> None:
    package = cmake_directory()
    if package is None:
        pytest.skip("mpscnn is not installed with its C++ package here")
    prefix = package.parents[2]
    (program,) = blocks("cpp")
    (workplace / "program.cpp").write_text(program)
    libraries = [f"-L{prefix / 'lib'}", "-lmpscnn", f"-Wl,-rpath,{prefix / 'lib'}"]
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{prefix / 'include'}"]
    subprocess.run(["c++", *flags, "program.cpp", "-o", "program", *libraries], cwd=workplace, check=True)
    model = registry.find("cifar10_mobilenet_v2")
    command = [str(workplace / "program"), str(model)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    labels = [line.partition(":")[0] for line in finished.stdout.splitlines()]
    expected = [entry.label for entry in mpscnn.load(model).predict(gray_photo()).top(5)]
    assert labels == expected


def gray_photo() -> bytes:
    """A 640 x 480 photo of value 128, as an image file."""
    header = b"P6 640 480 255\n"
    return header + bytes([128]) * (640 * 480 * 3)


def test_shown_output_is_what_the_command_prints() -> None:
    command, shown = blocks("sh")[0], blocks("text")[0]
    arguments = command.rpartition("mpscnn ")[2].split()
    finished = subprocess.run(
        [sys.executable, "-m", "mpscnn", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    # Times differ from run to run, and the least likely classes' order may differ between instruction sets.
    without_time = [re.sub(r"\d+\.\d+ ms", "ms", text).splitlines() for text in (finished.stdout, shown)]
    printed, expected = without_time
    assert printed[:2] == expected[:2]
    assert printed[6:] == expected[6:]


def test_links_lead_somewhere() -> None:
    documents = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").glob("*.md")]
    missing = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not missing
