"""Tables as plain text: aligned columns, no dependencies, the same on every terminal and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpscnn._private.printable import printable

__all__ = ["bytes_text", "summary_table", "text_table"]


def summary_table(name: str, layers: Sequence[Mapping[str, Any]]) -> str:
    """A network's layers with output shapes, parameters and multiply-accumulates (MACs), and their totals.

    Args:
        name: the network's name.
        layers: the entries "layers" of `Network.describe`.
    """
    headers = ("layer", "operation", "output", "parameters", "MACs")
    rows = [
        (
            layer["name"],
            layer["operation"],
            " x ".join(map(str, layer["output"])),
            f"{layer['parameters']:,}",
            f"{layer['macs']:,}",
        )
        for layer in layers
    ]
    totals = (f"{sum(layer[key] for layer in layers):,}" for key in ("parameters", "macs"))
    footer = ("total", f"{len(layers)} layers", "", *totals)
    return f"{printable(name)}\n{text_table(headers, rows, right=(3, 4), footer=footer)}"


def text_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    footer: Sequence[str] | None = None,
) -> str:
    """Columns two blanks apart under their headers; those in `right` end, the others begin, at one place.

    What could control a terminal is escaped, newlines in a cell among it.
    """
    lines = [[printable(cell) for cell in line] for line in (headers, *rows, *([footer] if footer else []))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]

    def text(line: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    head, *body = map(text, lines)
    foot = [rule, body.pop()] if footer else []
    return "\n".join([head, rule, *body, *foot])


def bytes_text(count: int) -> str:
    """A size to read: 712 bytes, 1.2 MB."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000.0
        if value < 999.95 or unit == "GB":
            break
    return f"{value:.1f} {unit}"
