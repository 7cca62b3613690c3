"""Sample images at computed positions, as GridSample does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

_MAX_PIXELS = 1 << 24  # float32 has all whole numbers up to this one


@dataclass(frozen=True)
class Sampling:
    """The way in which an image is sampled.

    Attributes:
        nearest: True: take the nearest pixel (ties to even). False: interpolate bilinearly.
        border: the rule for positions outside the image: "zeros", "border" (the nearest pixel) or "reflection".
        align_corners: True: the coordinates -1 and 1 are the centres of the first and the last pixel. False: they are
            the outer edges of these pixels.
    """

    nearest: bool
    border: str
    align_corners: bool


@dataclass(frozen=True)
class _Place:
    """For each result, the index of a pixel along an axis, and the weight of that pixel (None: 1)."""

    position: Tensor
    weight: Tensor | None


def sample(a: Arranger, x: Tensor, grid: Tensor, sampling: Sampling, images: int = 1) -> Tensor:
    """Sample an image: (n, height, width, channels) and (n, rows, columns, 2) -> (n, rows, columns, channels).

    Args:
        a: adds the layers.
        x: the image, or several images below each other.
        grid: the positions (x, y), from -1 to 1: those for each image below each other.
        sampling: the rules.
        images: the number of images in `x`.
    """
    height, width = x.shape[1:3]
    rows, columns = grid.shape[1:3]
    if height is None or width is None or rows is None or columns is None:
        raise UnsupportedError(f"samples an image at positions, of which a size is free: {CHOOSE_SIZE}")
    if height * width > _MAX_PIXELS:
        raise UnsupportedError(f"samples an image of more than {_MAX_PIXELS} pixels")
    network = a.network
    pixels = network.reshape(x, [1, height * width, -1], name=a.name("/pixels"))
    across = _places(a, grid, 0, width, sampling)
    down = _places(a, grid, 1, height // images, sampling)
    starts = _starts(a, images, height // images * width, rows // images) if images > 1 else None
    total: Tensor | None = None
    for row in down:
        first = network.activation(row.position, {"kind": "linear", "a": float(width)}, name=a.name("/row"))
        if starts is not None:
            first = network.add(first, starts, name=a.name("/row_of_image"))
        for column in across:
            number = network.add(first, column.position, name=a.name("/position"))
            flat = network.reshape(number, [1, rows * columns, 1], name=a.name("/positions"))
            part = network.take_along_axis(pixels, flat, axis=2, name=a.name("/taken"))
            part = network.reshape(part, [rows, columns, -1], name=a.name("/image"))
            for weight in (row.weight, column.weight):
                if weight is not None:
                    part = network.multiply(part, weight, name=a.name("/weighted"))
            total = part if total is None else network.add(total, part, name=a.name("/sum"))
    assert total is not None
    return total


def _starts(a: Arranger, images: int, pixels: int, rows: int) -> Tensor:
    """Return the index of the first pixel of each image, for each row of its positions."""
    name = a.name("/images")
    made = a.network.constant(a.network.inputs[0], (images * rows, 1, 1), name=name)
    numbers = np.repeat(np.arange(images, dtype=np.float32) * pixels, rows)
    a.network.graph.set_weight(name, "value", numbers.reshape(images * rows, 1, 1))
    return made


def _places(a: Arranger, grid: Tensor, channel: int, extent: int, sampling: Sampling) -> list[_Place]:
    """Return the pixels along an axis from which each result is computed: the nearest one, or the two neighbours.

    Their indices are inside the image. With the border "zeros", pixels that were outside get the weight 0.
    """
    network = a.network

    def line(x: Tensor, factor: float, offset: float, suffix: str) -> Tensor:
        return network.activation(x, {"kind": "linear", "a": factor, "b": offset}, name=a.name(suffix))

    factor = (extent - 1 if sampling.align_corners else extent) / 2
    one = network.slice(grid, channels=(channel, channel + 1), name=a.name("/coordinate"))
    x = line(one, factor, (extent - 1) / 2, "/pixel")
    within: Activation = {"kind": "clamp", "a": 0.0, "b": float(extent - 1)}
    if sampling.border == "reflection":
        x = _reflected(a, x, extent, sampling.align_corners)
    if sampling.border != "zeros":
        x = network.activation(x, within, name=a.name("/within"))
    if sampling.nearest:
        nearest = network.activation(x, "round", name=a.name("/nearest"))
        candidates: list[tuple[Tensor, Tensor | None]] = [(nearest, None)]
    else:
        low = network.activation(x, "floor", name=a.name("/low"))
        fraction = network.subtract(x, low, name=a.name("/fraction"))
        high = line(low, 1.0, 1.0, "/high")
        candidates = [(low, line(fraction, -1.0, 1.0, "/rest")), (high, fraction)]
    places = []
    for position, weight in candidates:
        inside = network.activation(position, within, name=a.name("/inside"))
        if sampling.border == "zeros":
            is_inside = network.equal(inside, position, name=a.name("/is_inside"))
            weight = is_inside if weight is None else network.mask(is_inside, weight, name=a.name("/weight"))
        places.append(_Place(inside, weight))
    return places


def _reflected(a: Arranger, x: Tensor, extent: int, align_corners: bool) -> Tensor:
    """Reflect coordinates at the centres of the first and last pixel, or at their outer edges: a triangle wave."""
    network = a.network
    low, span = (0.0, float(extent - 1)) if align_corners else (-0.5, float(extent))
    if span == 0.0:
        return network.activation(x, {"kind": "clamp", "a": 0.0, "b": 0.0}, name=a.name("/reflected"))
    steps: list[tuple[str, Activation]] = [
        ("/periods", {"kind": "linear", "a": 0.5 / span, "b": -0.5 * low / span}),
        ("/whole", "floor"),
        ("/start", {"kind": "linear", "a": -2.0 * span}),
    ]
    start = x
    for suffix, function in steps:
        start = network.activation(start, function, name=a.name(suffix))
    # A period of the wave has the length 2 * span. Move x into the period that begins at `low`. The result falls with
    # the distance from the middle of the period, low + span.
    x = network.add(x, start, name=a.name("/in_period"))
    for suffix, function in (
        ("/from_middle", {"kind": "linear", "a": 1.0, "b": -low - span}),
        ("/distance", "absolute"),
        ("/reflected", {"kind": "linear", "a": -1.0, "b": low + span}),
    ):
        x = network.activation(x, function, name=a.name(suffix))
    return x
