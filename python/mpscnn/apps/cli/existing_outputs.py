"""Refuse outputs that exist: the one rule of all commands that write files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn._private.files import exists
from mpscnn.errors import ParameterError

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace the output if it exists. Without this, the command refuses it."
    ),
]


def require_new(overwrite: bool, *paths: Path | None) -> None:
    """Raise ParameterError if something has the name of an output already, unless `overwrite` is set.

    Every command calls it with all that it will write, before it computes anything. None stands for an output that was
    not asked for.
    """
    for path in paths:
        if path is not None and not overwrite and exists(path):
            raise ParameterError(f"{path}: exists already, so nothing is computed; --overwrite replaces it")
