"""Read and write checkpoints: settings as JSON, and arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import path_name
from mpscnn._private.files import replace_atomically
from mpscnn.errors import Error, ParameterError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.training.array_archive import read_arrays, require_readable, write_arrays
from mpscnn.training.frozen_layers import PREFIX as FROZEN
from mpscnn.training.optimizers import Optimizer, optimizer_from_settings, optimizer_settings
from mpscnn.training.own_loss import OWN, Loss, OwnLoss

_FORMAT = "mpscnn checkpoint 4"
_PREFIXES = ("weight:", "variable:", FROZEN)


def _is_known(name: str) -> bool:
    """Return True if a trainer may write an array with this name.

    Whether the network has that weight is checked later.
    """
    return name in ("settings", "anchors") or name.startswith(_PREFIXES)


@dataclass(frozen=True)
class Choices:
    """The settings of a trainer that a checkpoint does not determine. None: those of the checkpoint."""

    loss: OwnLoss | Callable[..., Any] | Network | None = None
    optimizer: Optimizer | None = None
    device: str | None = None
    threads: int | str | None = None

    def resumed_loss(self, stored: Mapping[str, Any], path: str | os.PathLike[str]) -> Loss:
        """Return the loss with which a trainer continues, whose settings the checkpoint has stored."""
        if (stored.get("kind") == OWN) != (self.loss is not None):
            raise ParameterError(
                f"{os.fspath(path)}: the loss was a function or a network that a checkpoint cannot hold; give loss="
                if self.loss is None
                else f"{os.fspath(path)}: the checkpoint has the loss {stored.get('kind')!r}; leave loss= out"
            )
        return (
            stored if self.loss is None else self.loss.given if isinstance(self.loss, OwnLoss) else self.loss
        )


def write_checkpoint(
    path: str | os.PathLike[str], settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a checkpoint.

    An older file is replaced when it is complete. Raises WeightsError if it cannot be written.
    """
    text = np.frombuffer(json.dumps({"format": _FORMAT, **settings}).encode(), np.uint8)
    with replace_atomically(path, WeightsError) as file:
        write_arrays(file, {"settings": text, **arrays})


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the settings and arrays of a checkpoint.

    Raises WeightsError if the file is missing, damaged or of another version.
    """
    name = path_name("path", path)
    require_readable(Path(name))
    try:
        arrays = read_arrays(Path(name), _is_known)
        settings = json.loads(arrays.pop("settings").tobytes())
    except (WeightsError, OSError) as error:
        raise WeightsError(f"{name} is no checkpoint, or damaged: {error}") from error
    except (ValueError, KeyError, RecursionError) as error:
        raise WeightsError(f"{name} is no checkpoint, or damaged") from error
    if not isinstance(settings, dict) or settings.get("format") != _FORMAT:
        raise WeightsError(f"{name} is no checkpoint of this version")
    return settings, arrays


@contextmanager
def convert_checkpoint_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors in the `with` block into a WeightsError: settings or arrays of the checkpoint are invalid."""
    try:
        yield
    except Error:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise WeightsError(f"{os.fspath(path)} is a damaged checkpoint") from error


def restore_optimizer(settings: Mapping[str, Any], path: str | os.PathLike[str]) -> Optimizer:
    """Return the optimiser from a checkpoint's settings.

    Raises ParameterError if its learning rate was a user's function, which a checkpoint cannot store, and WeightsError
    for invalid settings.
    """
    stored = settings.get("optimizer")
    if isinstance(stored, dict) and stored.get("learning_rate", 0.0) is None:
        raise ParameterError(
            f"{os.fspath(path)}: the learning rate was a function that a checkpoint cannot hold; give optimizer="
        )
    try:
        optimizer = optimizer_from_settings(stored)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{os.fspath(path)} is a damaged checkpoint: it has no optimiser") from error
    if optimizer_settings(optimizer) != settings["options"]["optimizer"]:
        raise WeightsError(f"{os.fspath(path)} is a damaged checkpoint: it has two optimisers")
    return optimizer
