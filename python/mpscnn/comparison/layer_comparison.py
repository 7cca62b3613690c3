"""The result of `mpscnn.compare`: the differences of two traces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.report import Column, Drawable, Report
from mpscnn.comparison.alignment import fit_shape
from mpscnn.comparison.trace import Array, Value

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_MAX_NAME_LENGTH = 45


@dataclass(frozen=True)
class ComparedLayer:
    """The difference of one layer that both sides have.

    Args:
        name, other_name: the layer's names on both sides.
        kind: the kind of layer: "convolution", "pooling", ...; "" if unknown.
        shape: the first side's shape of the result, with the batch.
        error: the largest absolute difference; infinite if only one side is NaN or infinite.
        mean_error: the mean absolute difference.
        relative_error: `error` divided by the largest magnitude of the second side's result.
        norm_error: the L2 norm of the difference divided by that of the second side's result.
        cosine: the cosine of the angle between the results as vectors; NaN if one is not finite.
        place: the index of the largest difference.
        value, other_value: the values of both sides at that index.
        output: whether the layer is an output of the network.
    """

    name: str
    other_name: str
    kind: str
    shape: tuple[int, ...]
    error: float
    mean_error: float
    relative_error: float
    norm_error: float
    cosine: float
    place: tuple[int, ...]
    value: float
    other_value: float
    output: bool


@dataclass(frozen=True)
class Comparison(Report, Drawable):
    """The comparison of two networks on one input, layer by layer in the order of the first. Printing it shows a table.

    Args:
        first, second: descriptions of both sides.
        tolerance: the largest error that counts as equal.
        by_norm: whether the tolerance is for `norm_error` instead of `relative_error`. This is so if a side computes in
            8-bit integers, which clip single elements outside of a layer's range.
        layers: the layers that both sides have.
        only_first, only_second: the names of layers that the other side lacks, for example because it fuses them.
        uncompared: outputs of either network without a counterpart on the other side. Then the networks differ.
    """

    first: str
    second: str
    tolerance: float
    by_norm: bool
    layers: tuple[ComparedLayer, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    uncompared: tuple[str, ...] = ()

    def compared_error(self, layer: ComparedLayer) -> float:
        """Return the kind of a layer's error that is compared with the tolerance."""
        return layer.norm_error if self.by_norm else layer.relative_error

    def is_equal(self, layer: ComparedLayer) -> bool:
        """Return True if a layer's error is within the tolerance."""
        return self.compared_error(layer) <= self.tolerance

    @property
    def first_difference(self) -> ComparedLayer | None:
        """The first layer beyond the tolerance; None if there is none."""
        return next((layer for layer in self.layers if not self.is_equal(layer)), None)

    @property
    def worst(self) -> ComparedLayer:
        """The layer with the largest error, of the kind that is compared with the tolerance."""
        return max(self.layers, key=self.compared_error)

    @property
    def equal(self) -> bool:
        """True if all layers are within the tolerance, and all outputs of the networks were compared."""
        return self.first_difference is None and not self.uncompared

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {**super().to_dict(), "equal": self.equal}

    def _entries(self) -> tuple[ComparedLayer, ...]:
        return self.layers

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("layer", lambda layer: _shortened(layer.name)),
            Column("layer of the second", lambda layer: _shortened(layer.other_name)),
            Column("output", lambda layer: " x ".join(map(str, layer.shape)), whole=True),
            Column("largest error", lambda layer: f"{layer.error:.3g}", right=True),
            Column("mean", lambda layer: f"{layer.mean_error:.3g}", right=True),
            Column("relative", lambda layer: f"{layer.relative_error:.2g}", right=True),
            Column("L2", lambda layer: f"{layer.norm_error:.2g}", right=True),
            Column("cosine", lambda layer: f"{layer.cosine:.6f}", right=True),
            Column("", lambda layer: "" if self.is_equal(layer) else "differs"),
        )

    def _dropped(self) -> tuple[str, ...]:
        return "mean", "cosine", "output", "relative" if self.by_norm else "L2", "layer of the second"

    def table(self, layers: Sequence[ComparedLayer] | None = None, *, width: int | None = None) -> str:
        """Return a table of layers; None: all. Lines have at most `width` characters if possible."""
        return self._text(self.layers if layers is None else layers, width)

    def verdict(self) -> str:
        """Return the result of the comparison in a sentence or two."""
        kind = "L2 error" if self.by_norm else "relative error"
        pairs = f"{len(self.layers)} layers compared"
        found = self.first_difference
        if found is None and self.uncompared:
            return (
                f"different: nothing of the other side fits the result {', '.join(self.uncompared)}; "
                f"{f'{pairs}, all of them equal' if self.layers else 'no two layers have the same shape'}"
            )
        if found is None:
            worst = self.worst
            return (
                f"equal: {pairs}, largest {kind} {self.compared_error(worst):.2g} ({_shortened(worst.name)}), "
                f"allowed {self.tolerance:.2g}"
            )
        place = ", ".join(map(str, found.place))
        other = "" if found.other_name == found.name else f" ({_shortened(found.other_name)} of the second)"
        return (
            f"different: the first of {pairs} that differs is {_shortened(found.name)}{other}, at [{place}]: "
            f"{found.value:.6g} and {found.other_value:.6g}; {kind} {self.compared_error(found):.2g}, "
            f"mean error {found.mean_error:.2g}, allowed {self.tolerance:.2g}"
        )

    def __repr__(self) -> str:
        return "\n".join(
            [f"first:  {self.first}", f"second: {self.second}", "", self.table(), "", self.verdict()]
        )

    def draw(self) -> PillowImage.Image:
        """Return a picture of the error of every layer, on a logarithmic scale, with the tolerance as a line."""
        errors = [(layer.name, self.compared_error(layer)) for layer in self.layers]
        return error_picture(f"{self.first}   |   {self.second}", errors, self.tolerance)

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, details, lines, scroll_box
        from mpscnn.vision.visualize import html_picture

        listed = scroll_box(self._html_table(self._columns()))
        return Html(
            f"<div>{lines(f'first: {self.first}', f'second: {self.second}', self.verdict())}"
            f"{scroll_box(Html(html_picture(self.draw())))}{details('Layers', listed)}</div>"
        )


def _shortened(name: str) -> str:
    """Shorten a layer's name. TensorFlow's converters join the names of all nodes of a layer."""
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 3]}..."


def compare_layer(first: Value, second: Value, *, output: bool) -> ComparedLayer:
    """Measure how much two results of a layer differ. Their elements correspond, but their shapes may differ."""
    a, b = first.array, fit_shape(second.array, first.array.shape)
    assert b is not None, "only layers with the same elements are paired"
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    # Equal infinities do not differ, nor does NaN on both sides. NaN on one side only counts as an infinite difference.
    difference[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    difference[np.isnan(difference)] = np.inf
    place = tuple(map(int, np.unravel_index(int(difference.argmax()), a.shape))) if a.size else ()
    error = float(difference.max(initial=0.0))
    largest = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    return ComparedLayer(
        first.name,
        second.name,
        first.kind or second.kind,
        a.shape,
        error,
        float(difference.mean()) if a.size else 0.0,
        error / largest if largest else (0.0 if error == 0.0 else float("inf")),
        _norm_error(difference, b),
        _cosine(a, b),
        place,
        float(a[place]) if a.size else float("nan"),
        float(b[place]) if a.size else float("nan"),
        output,
    )


def _norm_error(difference: NDArray[np.float64], b: Array) -> float:
    error = float(np.linalg.norm(difference))
    length = float(np.linalg.norm(b[np.isfinite(b)].astype(np.float64)))
    return error / length if length else (0.0 if error == 0.0 else float("inf"))


def _cosine(a: Array, b: Array) -> float:
    x, y = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    if length == 0.0:
        return 1.0 if not (x.any() or y.any()) else 0.0
    return float(x @ y) / length


_LINE = 18
_WIDTH = 600
_EQUAL, _DIFFERENT = (120, 170, 230), (220, 90, 80)
# The powers of ten at both ends of the scale.
_LOWEST, _HIGHEST = -9, 1


def error_picture(title: str, errors: Sequence[tuple[str, float]], tolerance: float) -> PillowImage.Image:
    """Draw a bar for each layer's error on a logarithmic scale from 1e-9 to 10, and a line at the tolerance.

    Args:
        title: the two networks.
        errors: the name and the error of each layer.
        tolerance: errors above it have another color.
    """
    from PIL import Image, ImageDraw

    from mpscnn._private.bars import text_font

    font = text_font(12)
    margin = 12 + int(max(font.getlength(name) for name, _ in errors))
    top = 3 * _LINE
    picture = Image.new("RGB", (margin + _WIDTH + 90, top + _LINE * len(errors) + 8), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((8, 4), title, fill="black", font=font)
    for power in range(_LOWEST, _HIGHEST + 1, 2):
        x = margin + _position(10.0**power)
        draw.line((x, top - 4, x, picture.height), fill=(225, 225, 225))
        draw.text((x, top - 6), f"1e{power}", fill="gray", font=font, anchor="mb")
    for number, (name, error) in enumerate(errors):
        y = top + number * _LINE
        color = _EQUAL if error <= tolerance else _DIFFERENT
        length = _position(error)
        draw.text((margin - 6, y + _LINE // 2), name, fill="black", font=font, anchor="rm")
        draw.rectangle((margin, y + 3, margin + length, y + _LINE - 3), fill=color)
        draw.text((margin + length + 6, y + _LINE // 2), f"{error:.1e}", fill="black", font=font, anchor="lm")
    x = margin + _position(tolerance)
    draw.line((x, top - 4, x, picture.height), fill=(90, 90, 90))
    return picture


def _position(error: float) -> int:
    """Return the position of an error on the scale, in pixels."""
    if not error > 10.0**_LOWEST:
        return 0
    power = _HIGHEST if math.isinf(error) else min(math.log10(error), _HIGHEST)
    return round(_WIDTH * (power - _LOWEST) / (_HIGHEST - _LOWEST))
