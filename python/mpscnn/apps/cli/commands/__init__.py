"""The commands of the command line, one module for each. A module is imported when its command is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

__all__ = ["COMMANDS", "command_function", "first_sentence"]

#: The commands in the order of `mpscnn --help`.
COMMANDS = (
    *("classify", "detect", "digits", "segment", "features", "convert", "compare", "check-precision"),
    *("compare-precisions", "quantize", "info", "explain", "fingerprint", "models", "devices", "doctor"),
    "cache",
    *("benchmark", "profile", "check", "train", "verify", "serve", "evaluate", "calibrate"),
)


def command_function(name: str) -> Callable[..., None]:
    """Import the module of a command, and return its function. `name` is one of COMMANDS."""
    own = name.replace("-", "_")
    function: Callable[..., None] = getattr(import_module(f"{__name__}.{own}"), own)
    return function


def first_sentence(name: str) -> str:
    """Return the first sentence of a command's help. It is read from the source, since an import takes long."""
    own = name.replace("-", "_")
    source = Path(__file__).with_name(f"{own}.py").read_text("utf-8")
    found = re.search(rf'^def {own}\(.*?"""(.*?)\n\n', source, re.DOTALL | re.MULTILINE)
    assert found is not None, name
    return " ".join(found[1].split())
