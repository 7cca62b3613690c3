"""The result of `Network.describe`: a dictionary that is also a table of the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpscnn._private.html_view import Html, lines, scroll_box, table
from mpscnn._private.printable import printable
from mpscnn._private.report import Cell, Drawable
from mpscnn._private.summary import text_table

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_NAMES = ("name", "operation", "output", "parameters", "macs", "flops")


class Description(dict[str, Any], Drawable):
    """The layers of a network. `description["layers"]` has a dictionary for each of them.

    Its keys are the columns for pandas and CSV: "name", "operation", "output" (the shape), "parameters", "macs"
    (multiply-accumulates) and "flops", for one image.
    """

    def _named_rows(self) -> tuple[Sequence[str], list[list[Cell]]]:
        layers = [{**layer, "output": " x ".join(map(str, layer["output"]))} for layer in self["layers"]]
        return _NAMES, [[layer[name] for name in _NAMES] for layer in layers]

    def table(self, *, width: int | None = None) -> str:
        """Return the layers with output shapes, parameters and MACs. The last line has the totals.

        Lines have at most `width` characters if possible.
        """
        rows = [
            (str(name), str(operation), str(output), f"{parameters:,}", f"{macs:,}")
            for name, operation, output, parameters, macs, _ in self._named_rows()[1]
        ]
        totals = (f"{sum(layer[key] for layer in self['layers']):,}" for key in ("parameters", "macs"))
        body = text_table(
            ("layer", "operation", "output", "parameters", "MACs"),
            rows,
            right=(3, 4),
            whole=(2,),
            drop=("MACs", "operation"),
            footer=("total", f"{len(rows)} layers", "", *totals),
            width=width,
        )
        return f"{printable(self['name'])}\n{body}"

    def draw(self) -> PillowImage.Image:
        """Return a picture with a bar for the multiply-accumulates of each layer."""
        from mpscnn._private.bars import bar_picture

        bars = [
            (
                f"{layer['name']}   {layer['operation']}, {' x '.join(map(str, layer['output']))}, "
                f"{layer['parameters']:,} parameters, {layer['macs']:,} MACs",
                float(layer["macs"]),
            )
            for layer in self["layers"]
        ]
        return bar_picture(str(self["name"]), bars)

    def _repr_html_(self) -> str:
        names, rows = self._named_rows()
        listed = scroll_box(table(names, rows, right=range(3, len(names))))
        return Html(f"<div>{lines(self['name'])}{listed}</div>")
