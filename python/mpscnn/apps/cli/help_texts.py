"""Format the help in the same way with every version of Typer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand

__all__ = ["Command", "insert_default_address"]

_TYPE = re.compile(r" <[^<>|]+>$")
_CHOICES = re.compile(r" <([^<>]+)>$")
_RAY = "--ray"
_BRACES = re.compile(r"^\{(.*)\}")


class Command(TyperCommand):
    """A command whose help shows no Python types."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. The value of --ray is optional."""
        return super().parse_args(ctx, insert_default_address(args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line without Typer's braces around required arguments."""
        return [_BRACES.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the help of arguments and options without their types."""
        write = formatter.write_dl

        def write_without_types(rows: Iterable[tuple[str, str]], *arguments: Any, **options: Any) -> None:
            write(
                [(_CHOICES.sub(r" [\1]", _TYPE.sub("", name)), text) for name, text in rows],
                *arguments,
                **options,
            )

        formatter.write_dl = write_without_types
        try:
            super().format_options(ctx, formatter)
        finally:
            formatter.write_dl = write


def insert_default_address(args: list[str]) -> list[str]:
    """Insert an empty value after --ray if the next argument is not the address of a cluster."""
    if _RAY not in args or "--" in args[: args.index(_RAY)]:
        return args
    from mpscnn.apps.ray.cluster import is_address

    place = args.index(_RAY)
    if is_address("".join(args[place + 1 : place + 2])):
        return args
    return [*args[:place], f"{_RAY}=", *args[place + 1 :]]
