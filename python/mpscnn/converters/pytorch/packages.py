"""Check that the packages are installed that the conversion of PyTorch modules needs."""

from __future__ import annotations

import importlib.util

from mpscnn.errors import UnsupportedError

_NEEDED = ("torch",)


def require_packages() -> None:
    """Raise UnsupportedError if a package is missing."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UnsupportedError(
            f"from_torch needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            'pip install "mpscnn[torch]"'
        )
