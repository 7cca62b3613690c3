"""Refuse outputs that exist: the one rule of all commands that write files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.files import is_file, is_folder
from mpscnn.errors import ParameterError

#: Suffixes of models that are folders.
_PACKAGES = (".aimodel", ".mlpackage")

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace the output if it exists. Without this, the command refuses it."
    ),
]


def require_new(overwrite: bool, *paths: Path | None) -> None:
    """Raise ParameterError if an output would replace a file or a model, unless `overwrite` is set.

    Every command calls it with all that it will write, before it computes anything. None stands for an output that was
    not asked for. Other folders, pipes and devices are never replaced: the functions that write refuse them.
    """
    for path in paths:
        if path is not None and not overwrite and _would_be_lost(path):
            raise ParameterError(f"{path}: exists already, so nothing is computed; --overwrite replaces it")


def _would_be_lost(path: Path) -> bool:
    return is_file(path) or (path.suffix.lower() in _PACKAGES and is_folder(path))
