"""Format tables as plain text with aligned columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mpscnn._private.printable import printable

_GAP = 2
_LEAST_COLUMN = 8
_INDENT = "  "  # before the continuation of a wrapped title or name, so that it does not look like a new row

__all__ = ["bytes_text", "summary_table", "text_table", "title_lines"]


def summary_table(name: str, layers: Sequence[Mapping[str, Any]], *, width: int | None = None) -> str:
    """Return a table of a network's layers with output shapes, parameters and multiply-accumulates (MACs).

    The last line has the totals.

    Args:
        name: the network's name.
        layers: the list "layers" of `Network.describe`.
        width: as for `text_table`.
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
    return f"{printable(name)}\n{text_table(headers, rows, right=(3, 4), footer=footer, width=width)}"


def text_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    footer: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """Return a table whose columns are two blanks apart. Those in `right` are aligned to the right, others to the left.

    If a line would be longer than `width`, the widest left-aligned columns are narrowed and their cells wrapped.
    Newlines and characters that could control a terminal are escaped.
    """
    lines = [[printable(cell) for cell in line] for line in (headers, *rows, *([footer] if footer else []))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    if width is not None:
        _narrow(lines, widths, [column for column in range(len(headers)) if column not in right], width)

    def text(line: Sequence[str]) -> str:
        cells = [
            [cell] if len(cell) <= width else _wrapped(cell, width, "" if column else _INDENT)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        parts = (
            "  ".join(
                (part or "").rjust(width) if column in right else (part or "").ljust(width)
                for column, (part, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in zip_longest(*cells)
        )
        return "\n".join(parts)

    rule = "  ".join("-" * width for width in widths)
    head, *body = map(text, lines)
    foot = [rule, body.pop()] if footer else []
    return "\n".join([head, rule, *body, *foot])


def _narrow(lines: Sequence[Sequence[str]], widths: list[int], columns: Sequence[int], width: int) -> None:
    """Narrow some columns until the table fits in `width`. Words are broken only if nothing else helps."""
    available = width - _GAP * (len(widths) - 1) - sum(widths) + sum(widths[column] for column in columns)
    if sum(widths[column] for column in columns) <= available:
        return
    least = {
        column: max(len(word) for line in lines for word in line[column].split(" ")) for column in columns
    }
    # If the longest words still do not fit, break words: in the first column only if the others are not enough.
    for broken in (columns[1:], columns[:1]):
        for _ in range(sum(least[column] for column in broken)):
            widest = max(broken, key=lambda column: least[column])
            if sum(least.values()) <= available or least[widest] <= _LEAST_COLUMN:
                break
            least[widest] -= 1
    # Distribute the remaining width among the columns that need more, in proportion to their need.
    space = max(available - sum(least.values()), 0)
    needed = sum(widths[column] - least[column] for column in columns)
    for column in columns:
        widths[column] = least[column] + (widths[column] - least[column]) * space // max(needed, 1)


def _wrapped(cell: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(cell, width, break_on_hyphens=False, subsequent_indent=indent) or [""]


def title_lines(text: str, width: int | None) -> str:
    """Wrap a title to lines of at most `width` characters where words allow it."""
    if width is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _wrapped(line, width, _INDENT))


def bytes_text(count: int) -> str:
    """Return a size as text, such as "712 bytes" or "1.2 MB"."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000.0
        if value < 999.95 or unit == "GB":
            break
    return f"{value:.1f} {unit}"
