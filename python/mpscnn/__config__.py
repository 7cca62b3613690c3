"""Show how mpscnn was built, under the names that NumPy gives such functions."""

from __future__ import annotations

import json
from typing import Any, Literal

from mpscnn.errors import ParameterError
from mpscnn.runtime.library import build_config

__all__ = ["show", "show_config"]


def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Print `mpscnn.build_config()`, or return it with the mode "dicts". Raises ParameterError for another mode."""
    if mode == "dicts":
        return build_config()
    if mode != "stdout":
        raise ParameterError(f"show_config: mode must be 'stdout' or 'dicts', got {mode!r}")
    print(json.dumps(build_config(), indent=2))
    return None


show = show_config
