"""Leave out conversions of options that change nothing.

Typer converts every value by pydantic, whose import takes 0.1 s, also defaults and texts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["spare_conversions"]


def spare_conversions(parameters: list[Any]) -> list[Any]:
    """Let parameters of Typer convert only values that are neither a default nor a text, and return them.

    Versions of Typer that convert without pydantic have no `get_runtime_param`, and are not changed.
    """
    for parameter in parameters:
        full = getattr(parameter, "get_runtime_param", None)
        if full is not None and not isinstance(full, partial):
            parameter.get_runtime_param = partial(_Conversion, full)
    return parameters


class _Conversion:
    """Convert a value as Typer does, with as little work as possible."""

    def __init__(self, full: Callable[[], Any]) -> None:
        self._full = full

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value in the parameter's type. Raises Typer's error for a wrong value."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if not several and type(value) is type(param.default) and value == param.default:
            return value
        described = param.type_descriptor
        if getattr(described.parameter_info, "parser", None) is None:
            if described.annotation is str and isinstance(value, str):
                return value
            if described.annotation == list[str] and not isinstance(value, str):
                return [*value]
        return self._full().coerce(value, param=param, ctx=ctx)
