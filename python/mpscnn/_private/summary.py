"""Format tables as plain text with aligned columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from mpscnn._private.printable import printable

_GAP = 2
_MIN_COLUMN = 8
_MAX_WORD_LENGTH = 24
_INDENT = "  "  # before the continuation of a wrapped title or name, so that it does not look like a new row


def text_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
    drop: Sequence[str] = (),
    footer: Sequence[str] | None = None,
    width: int | None = None,
) -> str:
    """Return a table whose columns are two blanks apart. Columns without any text are left out.

    If a line would be longer than `width`, these steps make the table narrower, as many of them as are necessary:

    1. Headers, and the cells of left-aligned columns, are wrapped between words.
    2. Words of more than 24 characters are broken.
    3. Columns are left out in the order of `drop`. A last line names them.
    4. All words are broken, in the first column last.

    Newlines and characters that could control a terminal are escaped.

    Args:
        headers, rows, footer: the cells of the lines. The footer is below a rule.
        right: columns that are aligned to the right. Their cells are not wrapped.
        whole: left-aligned columns whose cells are not wrapped.
        drop: the headers of columns that may be left out.
        width: the largest number of characters in a line, if possible; None: no limit.
    """
    lines = [[printable(cell) for cell in line] for line in (headers, *rows, *([footer] if footer else []))]
    columns = [column for column in range(len(headers)) if any(line[column] for line in lines)]
    rigid = {*right, *whole}
    left_out = [] if width is None else _left_out(lines, columns, rigid, drop, width)
    columns = [column for column in columns if column not in left_out]
    widths = _widths(lines, columns, rigid, width)

    def text(line: Sequence[str]) -> str:
        cells = [
            [line[column]]
            if len(line[column]) <= widths[column]
            else _wrapped(line[column], widths[column], _INDENT if column == columns[0] else "")
            for column in columns
        ]
        parts = (
            "  ".join(
                (part or "").rjust(widths[column]) if column in right else (part or "").ljust(widths[column])
                for column, part in zip(columns, row, strict=True)
            ).rstrip()
            for row in zip_longest(*cells)
        )
        return "\n".join(parts)

    rule = "  ".join("-" * widths[column] for column in columns)
    head, *body = map(text, lines)
    foot = [rule, body.pop()] if footer else []
    if left_out:
        names = ", ".join(dict.fromkeys(lines[0][column] for column in left_out))
        foot += ["", *prose(f"columns left out: {names}", width)]
    return "\n".join([head, rule, *body, *foot])


def _left_out(
    lines: Sequence[Sequence[str]], columns: Sequence[int], rigid: set[int], drop: Sequence[str], width: int
) -> list[int]:
    """Return the columns without which the table fits in `width`, or all of `drop` if it never does."""
    minimum = {column: _minimum(lines, column, rigid) for column in columns}
    left_out: list[int] = []
    for header in drop:
        if _line_length(minimum) <= width:
            break
        dropped = [column for column in minimum if lines[0][column] == header]
        left_out += dropped
        minimum = {column: length for column, length in minimum.items() if column not in dropped}
    return left_out


def _minimum(lines: Sequence[Sequence[str]], column: int, rigid: set[int]) -> int:
    """Return the width that a column needs without breaking words of at most 24 characters."""
    header, *cells = (line[column] for line in lines)
    words = max(map(len, header.split(" ")))
    if column in rigid:
        return max(words, *map(len, cells)) if cells else words
    indent = len(_INDENT) if column == 0 else 0
    for cell in (header, *cells):
        first, *others = map(len, cell.split(" "))
        words = max(words, first, *(length + indent for length in others))
    return min(words, _MAX_WORD_LENGTH, max(map(len, (header, *cells))))


def _line_length(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _widths(
    lines: Sequence[Sequence[str]], columns: Sequence[int], rigid: set[int], width: int | None
) -> dict[int, int]:
    """Return the widths of columns in a table of at most `width` characters, if that is possible."""
    wanted = {column: max(len(line[column]) for line in lines) for column in columns}
    if width is None or _line_length(wanted) <= width:
        return wanted
    widths = {column: _minimum(lines, column, rigid) for column in columns}
    flexible = [column for column in columns if column not in rigid]
    for broken in ([column for column in flexible if column != columns[0]], flexible[:1]):
        while broken and _line_length(widths) > width:
            widest = max(broken, key=lambda column: widths[column])
            if widths[widest] <= _MIN_COLUMN:
                break
            widths[widest] -= 1
    space = max(width - _line_length(widths), 0)
    needed = sum(wanted[column] - widths[column] for column in flexible)
    for column in flexible:  # share the space in proportion to what each column lacks
        widths[column] += (wanted[column] - widths[column]) * min(space, needed) // max(needed, 1)
    for column in rigid.intersection(columns):
        if _line_length({**widths, column: wanted[column]}) <= width:
            widths[column] = wanted[column]
    return widths


def _wrapped(cell: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(cell, width, break_on_hyphens=False, subsequent_indent=indent) or [""]


def prose(text: str, width: int | None, indent: str = _INDENT) -> list[str]:
    """Wrap text to lines of at most `width` characters. Longer words, such as paths, are not broken.

    Newlines and characters that could control a terminal are escaped.
    """
    if width is None:
        return [printable(text)]
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(printable(text)) or [""]


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
