"""Base classes of results that are tables: in text, HTML, CSV and pandas."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from mpscnn._private.arguments import path_name
from mpscnn._private.files import replace_atomically
from mpscnn._private.json_text import json_line
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn._private.summary import text_table
from mpscnn.errors import ParameterError, UnsupportedError

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn._private.html_view import Html

Cell = str | int | float | None


class Tabular(Expected):
    """A result with rows of named values."""

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (("to_pandas", "to_df dataframe pandas"),)

    def _named_rows(self) -> tuple[Sequence[str], Iterable[Sequence[Cell]]]:
        """Return the names of the columns, and the rows."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """Return the rows as a pandas.DataFrame. Raises UnsupportedError without pandas."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise UnsupportedError(f"to_pandas needs pandas: pip install pandas ({error})") from error
        names, rows = self._named_rows()
        return pandas.DataFrame(list(rows), columns=list(names))

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the rows as comma-separated values. The first line has the columns' names.

        Args:
            path: also write them to this file.

        Raises ParameterError if the file cannot be written.
        """
        place = None if path is None else path_name("path", path)
        names, rows = self._named_rows()
        text = csv_text([names, *rows])
        if place is not None:
            with replace_atomically(place, ParameterError) as file:
                file.write(text.encode())
        return text


class Drawable(Tabular):
    """A table with a picture."""

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (("draw", "plot render"),)

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return the rows of the table. `to_csv` and `to_pandas` name its columns."""
        return [tuple(row) for row in self._named_rows()[1]]

    def draw(self) -> PillowImage.Image:
        """Return the picture, as a Pillow image."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _page(self) -> str:
        return f'<!doctype html><meta charset="utf-8">{self._repr_html_()}'

    def show(self) -> None:
        """Open `draw()` in the system's picture viewer."""
        self.draw().show()

    @accept_foreign_arguments
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file in the format of the suffix.

        FILE.html has what notebooks show, FILE.csv and FILE.json the rows, and .png, .jpg and others that Pillow writes
        the picture of `draw()`.

        Raises ParameterError for another suffix, or if the file cannot be written, and the errors of `draw`.
        """
        path = path_name("path", path)
        texts: dict[str, Callable[[], str]] = {".html": self._page, ".csv": self.to_csv}
        if hasattr(self, "to_json"):
            texts[".json"] = self.to_json
        if (text := texts.get(PurePath(path).suffix.lower())) is not None:
            with replace_atomically(path, ParameterError) as file:
                file.write(text().encode())
            return
        picture = self.draw()
        with replace_atomically(path, ParameterError) as file:
            try:
                picture.save(file)
            except ValueError as error:
                raise ParameterError(f"{path}: {error}") from error


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows as comma-separated values. Floats have as many digits as it takes to read the same float again."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


@dataclass(frozen=True)
class Column:
    """A column of a table that people read.

    Args:
        header: the text above it.
        cell: returns the text for one entry of the report.
        right: whether its cells are aligned to the right. Such cells are not wrapped.
        whole: whether its cells are not wrapped, although they are aligned to the left.
    """

    header: str
    cell: Callable[[Any], str]
    right: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Report(Tabular):
    """A result with a list of entries, which are dataclasses. Printing it shows a table, and notebooks show HTML.

    The names of its columns for pandas and CSV are the names of the entries' fields.
    """

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (("to_json", "tojson json"),)

    def _entries(self) -> Sequence[Any]:
        """Return the entries in order."""
        raise NotImplementedError

    def _columns(self) -> Sequence[Column]:
        """Return the columns of the table."""
        raise NotImplementedError

    def _dropped(self) -> Sequence[str]:
        """Return the headers of columns that a narrow table may lack, the first one first."""
        return ()

    def _sentences(self) -> list[str]:
        """Return the sentences about the whole that notebooks show above the table."""
        return []

    def _named_rows(self) -> tuple[Sequence[str], Iterable[Sequence[Cell]]]:
        rows = [asdict(entry) for entry in self._entries()]
        names = list(rows[0]) if rows else []
        return names, [[_cell(value) for value in row.values()] for row in rows]

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """Return `to_dict` as JSON on one line, with null for NaN and infinities."""
        return json_line(self.to_dict())

    def table(self, *, width: int | None = None) -> str:
        """Return the entries as a table. Lines have at most `width` characters if possible."""
        return self._text(self._entries(), width)

    def _text(self, entries: Sequence[Any], width: int | None, footer: Sequence[str] | None = None) -> str:
        """Return some entries as a table. Columns without text are left out."""
        columns = self._columns()
        cells = [[column.cell(entry) for entry in entries] for column in columns]
        places = [place for place in range(len(columns)) if any(cells[place])]
        return text_table(
            [columns[place].header for place in places],
            [[cells[place][row] for place in places] for row in range(len(entries))],
            right=[index for index, place in enumerate(places) if columns[place].right],
            whole=[index for index, place in enumerate(places) if columns[place].whole],
            drop=self._dropped(),
            footer=None if footer is None else [footer[place] for place in places],
            width=width,
        )

    def _html_table(self, columns: Sequence[Column]) -> Html:
        """Return these columns of all entries as an HTML table. Columns without text are left out."""
        from mpscnn._private.html_view import table

        cells = {column: [column.cell(entry) for entry in self._entries()] for column in columns}
        filled = {column: texts for column, texts in cells.items() if any(texts)}
        return table(
            [column.header for column in filled],
            zip(*filled.values(), strict=True),
            right=[place for place, column in enumerate(filled) if column.right],
        )

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, lines, scroll_box

        return Html(f"<div>{lines(*self._sentences())}{scroll_box(self._html_table(self._columns()))}</div>")


def _cell(value: Any) -> Cell:
    """Return a field's value as one cell. The parts of a tuple are separated by blanks."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
