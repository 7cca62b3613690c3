"""Print the version, and the directories of the package for C and C++ programs."""

from __future__ import annotations

import os
from pathlib import Path

import typer

import mpscnn
from mpscnn._private.files import exists, is_file
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.output import report, show


def print_version(wanted: bool) -> None:
    """Handle --version."""
    if wanted:
        show(f"mpscnn {mpscnn.__version__}")
        raise typer.Exit()


def completion_lines() -> list[str]:
    """Return lines that say how to enable completion in the user's shell."""
    lines = _completions()
    return [
        *(text for file, line in lines for text in (f"# Add to {_from_home(file)}:", line)),
        *(["# Or let it be done: mpscnn --install-completion --yes"] if len(lines) == 1 else []),
    ]


def add_completion() -> str:
    """Add the line to the file of the user's shell unless it is there, and return what was done.

    Exits with an error if the shell is not known or the file cannot be written.
    """
    lines = _completions()
    if len(lines) != 1:
        report("completion is for bash, zsh and fish, and SHELL is none of them; nothing was changed")
        raise typer.Exit(FAILED)
    ((file, line),) = lines
    try:
        before = file.read_text("utf-8", "surrogateescape") if exists(file) else ""
        if line in before.splitlines():
            return f"{_from_home(file)} has the line already: {line}"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as end:
            end.write(f"{'' if before.endswith(chr(10)) or not before else chr(10)}{line}\n")
    except OSError as error:
        report(f"{file}: cannot be written: {error.strerror}")
        raise typer.Exit(FAILED) from error
    return f"added to {_from_home(file)}: {line}"


def _completions() -> list[tuple[Path, str]]:
    """Return the file and the line of the user's shell, which SHELL names; those of all shells if it is unknown."""
    home = Path.home()
    zsh = Path(os.environ.get("ZDOTDIR") or home)
    fish = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    lines = {
        "bash": (home / ".bashrc", 'eval "$(_MPSCNN_COMPLETE=source_bash mpscnn)"'),
        "zsh": (zsh / ".zshrc", 'eval "$(_MPSCNN_COMPLETE=source_zsh mpscnn)"'),
        "fish": (fish / "fish/config.fish", "_MPSCNN_COMPLETE=source_fish mpscnn | source"),
    }
    shell = Path(os.environ.get("SHELL", "")).name
    return [lines[shell]] if shell in lines else [*lines.values()]


def _from_home(file: Path) -> str:
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


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
        if is_file(root / directory / file):
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
