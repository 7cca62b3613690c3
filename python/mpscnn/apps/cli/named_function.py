"""Find the Python functions that options name: FILE.py:FUNCTION or MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mpscnn._private.files import is_file
from mpscnn.errors import ParameterError


def named_function(option: str, text: str) -> Callable[..., Any]:
    """Return the function that an option names.

    Modules are looked for in the current folder, too, as `python -m` does.

    Raises:
        ParameterError: the text names no function, the file or module is missing or raises an error, or has no such
            function.
    """
    place, _, name = text.rpartition(":")
    if not place or not name.isidentifier():
        raise ParameterError(f"{option}: expected FILE.py:FUNCTION or MODULE:FUNCTION, got {text!r}")
    try:
        module = _loaded_file(Path(place)) if place.endswith(".py") else _imported(place)
    except ParameterError:
        raise
    except Exception as error:  # the user's code may raise any error
        raise ParameterError(
            f"{option}: {place} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ParameterError(f"{option}: {place} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def loss_of_option(text: str) -> str | Callable[..., Any]:
    """Return the loss that --loss names: a name for `mpscnn.Trainer`, or a function of the user's."""
    return named_function("--loss", text) if ":" in text else text


def _loaded_file(path: Path) -> ModuleType:
    if not is_file(path):
        raise ParameterError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _imported(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)
