"""Build and run the projects of docs/cpp.md unchanged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "cpp.md").read_text("utf-8")
EXPECTED = f"mpscnn {mpscnn.__version__}\n"


def block(language: str, mark: str) -> str:
    """Return the page's only code block in a language that contains `mark`."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (chosen,) = (text for text in found if mark in text)
    return chosen


def run(*command: str | Path, **options: Any) -> str:
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return a directory with the page's program."""
    directory = tmp_path / "app"
    directory.mkdir()
    (directory / "main.cpp").write_text(block("cpp", "mpscnn::version()"))
    return directory


def installed() -> Path:
    """Return the folder of the C and C++ files of the installed package. Skip the test if there is none."""
    for module in (mpscnn._core, mpscnn):
        root = Path(str(module.__file__)).resolve().parent
        if (root / "include" / "mpscnn" / "mpscnn.h").is_file():
            return root
    pytest.skip("mpscnn is not installed with its C++ package here")


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def build(app: Path, mark: str, *options: str) -> str:
    """Build the project whose CMake code contains `mark`, and return the output of its program."""
    need("cmake")
    (app / "CMakeLists.txt").write_text(block("cmake", mark))
    run("cmake", "-S", app, "-B", app / "build", *options)
    run("cmake", "--build", app / "build", "-j", str(os.cpu_count() or 1))
    return run(app / "build" / "app")


def test_find_package(app: Path) -> None:
    assert installed()
    directory = run(sys.executable, "-m", "mpscnn", "--cmake-dir").strip()
    assert build(app, "find_package", f"-DCMAKE_PREFIX_PATH={directory}") == EXPECTED


def test_networks_files_and_threads(app: Path) -> None:
    (app / "main.cpp").write_text(block("cpp", "std::thread"))
    assert installed()
    directory = run(sys.executable, "-m", "mpscnn", "--cmake-dir").strip()
    printed = build(app, "find_package", f"-DCMAKE_PREFIX_PATH={directory}").split("\n")
    listed = re.findall(r"`([^`]+)`", PAGE.partition("prints the layers")[2].partition("\n")[0])
    assert printed[:-1] == listed
    assert len(listed) == 7


def test_photos_in_memory(app: Path) -> None:
    (app / "main.cpp").write_text(block("cpp", "upside down"))
    assert installed()
    directory = run(sys.executable, "-m", "mpscnn", "--cmake-dir").strip()
    printed = build(app, "find_package", f"-DCMAKE_PREFIX_PATH={directory}").splitlines()
    (stated,) = re.findall(r"^The program above prints (`part.*)\.$", PAGE, re.MULTILINE)
    assert printed == re.findall(r"`([^`]+)`", stated)


def test_pkg_config(app: Path) -> None:
    need("pkg-config")
    need("c++")
    assert installed()
    directory = run(sys.executable, "-m", "mpscnn", "--pkg-config-dir").strip()
    environment = {**os.environ, "PKG_CONFIG_PATH": directory}
    run("bash", "-euc", block("sh", "main.cpp -o app"), cwd=app, env=environment)
    assert run(app / "app") == EXPECTED
    assert run("pkg-config", "--modversion", "mpscnn", env=environment).strip() == mpscnn.__version__


def test_the_program_in_c(app: Path) -> None:
    """It builds as C99 with pkg-config, classifies a gray photo, and prints the error for a missing file."""
    need("pkg-config")
    need("cc")
    assert installed()
    (app / "classify.c").write_text(block("c", "int main"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed() / "lib" / "pkgconfig")}
    run("bash", "-euc", block("sh", "classify.c"), cwd=app, env=environment)
    model = mpscnn.load()
    model.save(app / "model.safetensors")
    best = model.predict(np.full((480, 640, 3), 128, np.uint8))[0]
    found, _, share = run(app / "classify", app / "model.safetensors").partition(": ")
    assert found == best.label
    assert float(share) == pytest.approx(best.probability, abs=6e-4)
    failed = subprocess.run([app / "classify", "none"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "none" in failed.stderr


def test_a_missing_static_library_is_explained(app: Path) -> None:
    need("cmake")
    config = installed() / "lib" / "cmake" / "mpscnn"
    if "mpscnn_static" in (config / "mpscnnTargets.cmake").read_text():
        pytest.skip("this installation has the static library")
    text = "project(app LANGUAGES CXX)\nfind_package(mpscnn REQUIRED COMPONENTS static)\n"
    (app / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.21)\n" + text)
    command = ["cmake", "-S", app, "-B", app / "build", f"-DCMAKE_PREFIX_PATH={config}"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "it has no static library: build it with" in " ".join(refused.stderr.split())


def test_headers_lie_where_the_command_says(app: Path) -> None:
    need("c++")
    assert installed()
    include = run(sys.executable, "-m", "mpscnn", "--include-dir").strip()
    run("c++", "-std=c++20", "-fsyntax-only", f"-I{include}", app / "main.cpp")


def test_fetch_content_is_configured(app: Path) -> None:
    need("cmake")
    (app / "CMakeLists.txt").write_text(block("cmake", "FetchContent"))
    run("cmake", "-S", app, "-B", app / "build", f"-DMPSCNN_SOURCE={PROJECT}")
    targets = run("cmake", "--build", app / "build", "--target", "help")
    assert "app" in targets
    assert "mpscnn" in targets
    assert "_test" not in targets
