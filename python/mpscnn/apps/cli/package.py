"""Print the version, and the directories of the package for C and C++ programs."""

from __future__ import annotations

import os
from pathlib import Path

import typer

import mpscnn
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import report, show


def print_version(wanted: bool) -> None:
    """Handle --version."""
    if wanted:
        show(f"mpscnn {mpscnn.__version__}")
        raise typer.Exit()


def completion_lines() -> list[str]:
    """Return lines that say how to enable completion in the user's shell."""
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
    """Handle --cmake-dir."""
    _print_directory(wanted, cmake_directory())


def print_include_directory(wanted: bool) -> None:
    """Handle --include-dir."""
    _print_directory(wanted, _directory_with("include", "mpscnn/mpscnn.h"))


def print_pkg_config_directory(wanted: bool) -> None:
    """Handle --pkg-config-dir."""
    _print_directory(wanted, _directory_with("lib/pkgconfig", "mpscnn.pc"))


def cmake_directory() -> Path | None:
    """Return the directory for find_package(mpscnn); None if the package was installed without libmpscnn."""
    return _directory_with("lib/cmake/mpscnn", "mpscnnConfig.cmake")


def _directory_with(directory: str, file: str) -> Path | None:
    # Look next to the extension module first. In an editable install the Python files are elsewhere.
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
