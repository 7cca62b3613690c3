"""--version, and the directories of the installed package for C and C++ programs."""

from __future__ import annotations

import os
from pathlib import Path

import typer

import mpscnn
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import report, show


def print_version(wanted: bool) -> None:
    """Callback of --version."""
    if wanted:
        show(f"mpscnn {mpscnn.__version__}")
        raise typer.Exit()


def completion_lines() -> list[str]:
    """Return what completes commands in the user's shell, with the file where it belongs."""
    lines = {
        "bash": ("~/.bashrc", 'eval "$(_MPSCNN_COMPLETE=source_bash mpscnn)"'),
        "zsh": ("~/.zshrc", 'eval "$(_MPSCNN_COMPLETE=source_zsh mpscnn)"'),
        "fish": ("~/.config/fish/config.fish", "_MPSCNN_COMPLETE=source_fish mpscnn | source"),
    }
    shell = Path(os.environ.get("SHELL", "")).name
    shown = {shell: lines[shell]} if shell in lines else lines
    return [
        *(text for file, line in shown.values() for text in (f"# Add to {file}:", line)),
        "# Or let it be done: mpscnn --install-completion --yes",
    ]


def print_cmake_directory(wanted: bool) -> None:
    """Callback of --cmake-dir."""
    _print_directory(wanted, cmake_directory())


def print_include_directory(wanted: bool) -> None:
    """Callback of --include-dir."""
    _print_directory(wanted, _directory_with("include", "mpscnn/mpscnn.h"))


def print_pkg_config_directory(wanted: bool) -> None:
    """Callback of --pkg-config-dir."""
    _print_directory(wanted, _directory_with("lib/pkgconfig", "mpscnn.pc"))


def cmake_directory() -> Path | None:
    """Return where find_package(mpscnn) finds the package's libmpscnn; None when it was installed without."""
    return _directory_with("lib/cmake/mpscnn", "mpscnnConfig.cmake")


def _directory_with(directory: str, file: str) -> Path | None:
    # Next to the extension module: in an editable install that is not where the Python files are.
    for root in (Path(mpscnn._core.__file__).resolve().parent, Path(mpscnn.__file__).resolve().parent):
        if (root / directory / file).is_file():
            return root / directory
    return None


def _print_directory(wanted: bool, directory: Path | None) -> None:
    if not wanted:
        return
    if directory is None:
        report(
            "this installation has no C and C++ package: install mpscnn from a wheel, or build it with "
            "CMake and run `cmake --install`"
        )
        raise typer.Exit(FAILED)
    show(str(directory))
    raise typer.Exit()
