"""Import the package where Python finds no compiled part of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mpscnn

SOURCES = Path(mpscnn.__file__).parent


def imported(place: Path) -> str:
    """Return the last line that a Python prints which imports mpscnn from this place alone."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import mpscnn"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(place)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with those modules of the package that are imported before its compiled part."""
    package = tmp_path / "place" / "mpscnn"
    shutil.copytree(SOURCES / "_private", package / "_private")
    shutil.copy(SOURCES / "__init__.py", package)
    return package.parent


def test_a_folder_of_sources(folder: Path) -> None:
    message = imported(folder)
    assert message.startswith(f"ImportError: {folder / 'mpscnn'} has no compiled part of mpscnn")
    assert "pip install ." in message


def test_a_zip_file(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.py"):
            file.write(path, path.relative_to(folder))
    assert "Python imports no compiled code from one: install mpscnn beside" in imported(archive)
