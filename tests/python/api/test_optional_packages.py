"""Test the package with NumPy as its only dependency, as `pip install mpscnn` leaves it without Pillow."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

import mpscnn
from mpscnn._private.installation import install_command

CLASSIFY = """
import sys
import mpscnn, numpy
for name in ("typer", "rich", "PIL"):
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(f"{name} is here")
result = mpscnn.load().predict(numpy.zeros((32, 32, 3), numpy.uint8))
print(len(result))
"""


@pytest.fixture(scope="module")
def python_with_numpy_alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the interpreter of a new virtual environment that has only this NumPy and this package."""
    place = tmp_path_factory.mktemp("bare")
    venv.create(place, symlinks=True, with_pip=False)
    (site_packages,) = place.glob("lib/python*/site-packages")
    numpy = Path(np.__file__).resolve().parent
    for directory in (numpy, numpy.parent / "numpy.libs"):
        if directory.is_dir():
            (site_packages / directory.name).symlink_to(directory)
    # An editable install may have the extension module in another folder than the Python files.
    package = site_packages / "mpscnn"
    package.mkdir()
    for source in (Path(mpscnn.__file__).parent, Path(mpscnn._core.__file__).parent):
        for path in source.iterdir():
            if path.name != "__pycache__" and not (package / path.name).exists():
                (package / path.name).symlink_to(path)
    return str(place / "bin" / "python")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"LANG": "C.UTF-8"})


def test_a_photo_as_an_array_is_classified(python_with_numpy_alone: str) -> None:
    finished = run(python_with_numpy_alone, "-c", CLASSIFY)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "10\n"


def test_pictures_name_what_is_missing(python_with_numpy_alone: str) -> None:
    draw = "import mpscnn, numpy; mpscnn.load().predict(numpy.zeros((8, 8, 3), numpy.uint8)).draw()"
    finished = run(python_with_numpy_alone, "-c", draw)
    assert "ImageError: drawing needs Pillow: pip install pillow" in finished.stderr


@pytest.mark.parametrize(
    "call",
    [("-m", "mpscnn", "devices"), ("-c", "from mpscnn.apps.cli import main; main()")],
    ids=["module", "script"],
)
def test_commands_say_which_extra_they_need(python_with_numpy_alone: str, call: tuple[str, ...]) -> None:
    finished = run(python_with_numpy_alone, *call)
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr == (
        "error: the commands need rich and typer, which `import mpscnn` does without: "
        f"{install_command('cli')}\n"
    )
