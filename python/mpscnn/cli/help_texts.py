"""Help that is the same with every version of Typer: arguments by their names alone, commands in whole sentences."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from typer.core import TyperCommand

__all__ = ["Command", "short_help"]

_TYPE = re.compile(r" <[^<>]+>$")
_BRACES = re.compile(r"^\{(.*)\}")


class Command(TyperCommand):
    """A command whose help does not show Python's types."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line, without braces around what is required."""
        return [_BRACES.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, each with its help."""
        write = formatter.write_dl

        def write_without_types(rows: Iterable[tuple[str, str]], *arguments: Any, **options: Any) -> None:
            write([(_TYPE.sub("", name), text) for name, text in rows], *arguments, **options)

        formatter.write_dl = write_without_types
        try:
            super().format_options(ctx, formatter)
        finally:
            formatter.write_dl = write


def short_help(command: Callable[..., object]) -> str:
    """The first sentence of what a command says of itself, whole; Typer would cut it."""
    return (inspect.getdoc(command) or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")
