"""Build HTML for notebooks: tables, bars and folded parts. Text from files and users is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from mpscnn._private.printable import printable

_HIGHEST = 480  # in pixels; taller parts get a scroll bar
_BAR = 120


class Html(str):
    """HTML text that needs no escaping."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Return text as HTML, with control characters and marks of text direction written as escapes."""
    return text if isinstance(text, Html) else Html(html.escape(printable(text)))


def lines(*texts: object) -> Html:
    """Return a paragraph of several lines."""
    return Html(f"<p>{'<br>'.join(map(escape, texts))}</p>")


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[int] = (),
    footer: Sequence[object] | None = None,
) -> Html:
    """Return a table. Columns in `right` are aligned to the right, the others to the left."""

    def row(tag: str, cells: Sequence[object]) -> str:
        sides = ("right" if column in right else "left" for column in range(len(cells)))
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    end = f"<tfoot><tr>{row('th', footer)}</tr></tfoot>" if footer is not None else ""
    return Html(
        f"<table><thead><tr>{row('th', headers)}</tr></thead><tbody>{body}</tbody>{end}</table>"
        if headers
        else f"<table><tbody>{body}</tbody></table>"
    )


def details(title: object, *parts: Html, opened: bool = False) -> Html:
    """Return parts under a title. A click on the title shows or hides them."""
    state = " open" if opened else ""
    return Html(f"<details{state}><summary>{escape(title)}</summary>{''.join(parts)}</details>")


def scroll_box(*parts: Html) -> Html:
    """Return parts in a box of limited height with a scroll bar."""
    return Html(f'<div style="max-height:{_HIGHEST}px;overflow:auto">{"".join(parts)}</div>')


def bar(share: float, color: str = "steelblue") -> Html:
    """Return a horizontal bar whose length shows a share from 0 to 1."""
    length = round(_BAR * min(max(share, 0.0), 1.0))
    return Html(
        f'<div style="width:{_BAR}px"><div style="width:{length}px;height:11px;background:{color}"></div></div>'
    )


def svg_image(width: float, height: float, parts: Iterable[str], *, font_size: int = 12) -> Html:
    """Return an SVG image. Its background is white, so that it is readable on dark pages."""
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" font-family="sans-serif" font-size="{font_size}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'
    )
