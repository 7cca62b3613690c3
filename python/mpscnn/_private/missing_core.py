"""Say why Python finds no compiled part of the package."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["reason_for_missing_core"]


def reason_for_missing_core(package: Path) -> str:
    """Return the message for a package in this folder, or in a zip file, that has no compiled part."""
    if os.path.isdir(package):  # noqa: PTH112 - is_folder needs the compiled part
        return (
            f"{package} has no compiled part of mpscnn, as a folder of the sources: install mpscnn (`pip install .` in "
            "the folder of pyproject.toml), and start Python elsewhere"
        )
    return (
        f"{package} is in a zip file, and Python imports no compiled code from one: install mpscnn beside the zip file "
        "(`pip install --target FOLDER`), and add that folder to sys.path"
    )
