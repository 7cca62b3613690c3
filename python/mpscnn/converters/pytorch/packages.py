"""Check the packages that the conversion of PyTorch modules needs, and their versions."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata

from mpscnn.errors import UnsupportedError

_NEEDED = ("torch", "onnx", "onnxscript")
# Older versions silently export PixelUnshuffle and resizes to one pixel wrongly.
_OLDEST_ONNXSCRIPT = (0, 7, 1)


def require_packages() -> None:
    """Raise UnsupportedError if a package is missing, or has a version that exports wrong networks."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UnsupportedError(
            f"from_torch needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            'pip install "mpscnn[torch]"'
        )
    installed = metadata.version("onnxscript")
    if _numbers(installed) < _OLDEST_ONNXSCRIPT:
        oldest = ".".join(map(str, _OLDEST_ONNXSCRIPT))
        raise UnsupportedError(
            f"from_torch needs onnxscript {oldest} or later, installed is {installed}, which converts some layers "
            f'wrongly: pip install "onnxscript>={oldest}"'
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version. A pre-release counts as older than its release."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(.*)", version)
    if found is None:
        return ()
    numbers = [int(number or 0) for number in found.groups()[:3]]
    is_before = re.match(r"\.?(a|b|rc|dev)", found[4]) is not None
    return (*numbers[:2], numbers[2] - is_before)
