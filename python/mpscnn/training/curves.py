"""Draw charts of numbers, by epoch or by another number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _UPPER, _LOWER = 60, _WIDTH - 12, 28, _HEIGHT - 24
_LEGEND = 130
_END_GAP = 24  # pixels between the label at the right end of an axis and the next one
_COLORS = ("steelblue", "darkorange")

#: The largest number of steps between the labels of an axis.
_STEPS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """A chart with lines over the epochs of a training, or over another number, from 0 to the largest number."""

    title: str
    curves: Mapping[str, Sequence[float | None]]
    """At most two lines by name, with a number for each epoch. None and NaN leave a gap."""
    top: float
    """The number at the upper edge."""
    maximum: str
    """The label at the upper edge."""
    begin: int = 0
    """The first epoch of a second phase, which a vertical line marks; 0: no such line."""
    across: str = "epoch"
    """The name of the horizontal axis."""
    right: float | None = None
    """The number at the right edge, from 0 at the left one; None: the epochs are counted, from 1 on."""

    @property
    def count(self) -> int:
        """The number of epochs."""
        return max(map(len, self.curves.values()), default=0)

    def place(self, index: int, value: float) -> Point:
        """Return the position of a number in pixels."""
        share = min(max(value / (self.top or 1.0), 0.0), 1.0)
        x = _LEFT + (_RIGHT - _LEFT) * index / max(self.count - 1, 1)
        return round(x, 1), round(_LOWER - (_LOWER - _UPPER) * share, 1)

    @property
    def end(self) -> str:
        """The label at the right edge."""
        return f"{self.across} {self.count if self.right is None else self.right:g}"

    def steps_across(self) -> list[tuple[float, float]]:
        """Return round numbers of the horizontal axis, each with its place in pixels."""
        if self.right is None:
            return [
                (step, self.place(int(step) - 1, 0)[0])
                for step in axis_steps(self.count)
                if step.is_integer()
            ]
        return [(step, _LEFT + (_RIGHT - _LEFT) * step / self.right) for step in axis_steps(self.right)]

    def lines(self) -> list[tuple[str, str, list[list[Point]]]]:
        """Return the name, the colour and the points of each line, in pieces without gaps."""
        lines = []
        for (name, values), color in zip(self.curves.items(), _COLORS, strict=False):
            runs: list[list[Point]] = [[]]
            for index, value in enumerate(values):
                if value is None or not math.isfinite(value):
                    runs.append([])
                else:
                    runs[-1].append(self.place(index, value))
            lines.append((name, color, [run for run in runs if run]))
        return lines


def axis_steps(top: float) -> list[float]:
    """Return round numbers between 0 and `top`, at most five steps of 1, 2 or 5 times a power of ten.

    They are not so near to `top` that their labels would touch its own.
    """
    if not (top > 0.0 and math.isfinite(top)):
        return []
    unit = 10.0 ** math.floor(math.log10(top / _STEPS))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit * _STEPS >= top * (1 - 1e-9))
    return [number * step for number in range(1, _STEPS + 1) if number * step < 0.95 * top]


def charts_picture(charts: Sequence[Chart]) -> PillowImage.Image:
    """Return the charts as a picture, one below the other. Raises UnsupportedError without Pillow."""
    from mpscnn.vision.pixels import require_pillow

    require_pillow("drawing")
    from PIL import Image

    picture = Image.new("RGB", (_WIDTH, _HEIGHT * len(charts)), "white")
    for number, chart in enumerate(charts):
        picture.paste(_chart_picture(chart), (0, number * _HEIGHT))
    return picture


def _chart_picture(chart: Chart) -> PillowImage.Image:
    from PIL import Image, ImageDraw

    from mpscnn._private.bars import text_font

    picture, font = Image.new("RGB", (_WIDTH, _HEIGHT), "white"), text_font(13)
    draw = ImageDraw.Draw(picture)
    unit, sign = (100.0, "%") if chart.maximum.endswith("%") else (1.0, "")
    for value in axis_steps(chart.top):
        _, y = chart.place(0, value)
        draw.line((_LEFT, y, _RIGHT, y), fill="whitesmoke")
        draw.text((_LEFT - 4, y), f"{unit * value:.3g}{sign}", fill="gray", font=font, anchor="rm")
    for number, x in chart.steps_across():
        draw.line((x, _LOWER, x, _LOWER + 3), fill="gray")
        if x < _RIGHT - font.getlength(chart.end) - _END_GAP:
            draw.text((x, _LOWER + 4), f"{number:g}", fill="gray", font=font, anchor="ma")
    draw.rectangle((_LEFT, _UPPER, _RIGHT, _LOWER), outline="lightgray")
    if 0 < chart.begin < chart.count:
        x, _ = chart.place(chart.begin, 0)
        draw.line((x, _UPPER, x, _LOWER), fill="gray")
    for position, (name, color, runs) in enumerate(chart.lines()):
        for run in runs:
            if len(run) > 1:
                draw.line(run, fill=color, width=2)
            for x, y in run if chart.right is None else ():
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=color)
        draw.text((_LEFT + _LEGEND * (position + 1), 6), name, fill=color, font=font)
    draw.text((_LEFT, 6), chart.title, fill="black", font=font)
    draw.text((_LEFT - 4, _UPPER), chart.maximum, fill="black", font=font, anchor="rm")
    draw.text((_LEFT - 4, _LOWER), "0", fill="black", font=font, anchor="rm")
    draw.text((_RIGHT, _LOWER + 4), chart.end, fill="black", font=font, anchor="ra")
    return picture
