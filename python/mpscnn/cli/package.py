"""--version and --cmake-dir: about the installed package."""

from __future__ import annotations

from pathlib import Path

import typer

import mpscnn
from mpscnn.cli.failures import FAILED
from mpscnn.cli.output import report, show


def print_version(wanted: bool) -> None:
    """Callback of --version."""
    if wanted:
        show(f"mpscnn {mpscnn.__version__}")
        raise typer.Exit()


def print_cmake_directory(wanted: bool) -> None:
    """Callback of --cmake-dir."""
    if not wanted:
        return
    directory = cmake_directory()
    if directory is None:
        report(
            "this installation has no CMake package: install mpscnn from a wheel, or build it with "
            "CMake and run `cmake --install`"
        )
        raise typer.Exit(FAILED)
    show(str(directory))
    raise typer.Exit()


def cmake_directory() -> Path | None:
    """Where find_package(mpscnn) finds the package's libmpscnn; None when it was installed without."""
    # Beside the extension module: in an editable install that is not where the Python files are.
    for root in (Path(mpscnn._core.__file__).resolve().parent, Path(mpscnn.__file__).resolve().parent):
        directory = root / "lib" / "cmake" / "mpscnn"
        if (directory / "mpscnnConfig.cmake").is_file():
            return directory
    return None
