"""The hook by which PyInstaller adds all of mpscnn to a program.

Modules are imported by their names at their first use, so PyInstaller does not see them.
"""

from __future__ import annotations

from pathlib import Path


def hook_directories() -> list[str]:
    """Return the folder with the hook. PyInstaller finds this function by an entry point of the package."""
    return [str(Path(__file__).parent)]
