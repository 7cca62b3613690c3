"""Convert Keras's layers of images and sequences: poolings, borders, and changes of the size.

A sequence (n, positions, channels) is an image of one row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import Image
from mpscnn.converters.reading.keras.settings import (
    Flag,
    Pair,
    Sides,
    Whole,
    Wholes,
    pair_of,
    sides_of,
    single_of,
    wholes_of,
)
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

Numbers = tuple[int, int]
Interpolation = Literal["nearest", "bilinear"]


def pair(c: LayerCall, values: Wholes, name: str, *, of_row: int = 1) -> Numbers:
    """Return a setting for (vertical, horizontal). A sequence has only the second; its row gets the number `of_row`."""
    return (of_row, single_of(values, name)) if c.is_sequence else pair_of(values, name)


# ---- Poolings ------------------------------------------------------------------------------------------------------


def _whole(c: LayerCall, x: Tensor, kind: str) -> FileTensor:
    pool = c.network.global_max_pool2d if kind == "max" else c.network.global_average_pool2d
    return c.wrap(pool(x, name=c.name()))


def _windows(
    c: LayerCall,
    x: Tensor,
    kind: str,
    size: Numbers,
    strides: Numbers,
    padding: Literal["valid", "same"] = "valid",
) -> FileTensor:
    if padding == "valid" and size == x.shape[1:3]:
        return _whole(c, x, kind)
    pool = c.network.max_pool2d if kind == "max" else c.network.average_pool2d
    return c.wrap(pool(x, size, strides=strides, padding=padding, name=c.name()))


def _pooling(kind: str) -> Row:
    def row(
        c: LayerCall, x: Image, *, pool_size: Wholes = (2,), strides: Wholes | None = None,
        padding: Literal["valid", "same"] = "valid",
    ) -> FileTensor:  # fmt: skip
        size = pair(c, pool_size, "pool_size")
        return _windows(c, x, kind, size, size if strides is None else pair(c, strides, "strides"), padding)

    return row


def _global_pooling(kind: str) -> Row:
    def row(c: LayerCall, x: Image, *, keepdims: Flag = False) -> FileTensor:
        y = _whole(c, x, kind)
        return y if keepdims else y.squeeze([1, 2])

    return row


def _adaptive_pooling(kind: str) -> Row:
    """Return the row of adaptive poolings whose windows all have the same size and do not overlap."""

    def row(c: LayerCall, x: Image, *, output_size: Wholes = (1,)) -> FileTensor:
        wanted, (height, width) = pair(c, output_size, "output_size"), x.shape[1:3]
        if height is None or width is None or min(wanted) < 1:
            raise UnsupportedError(f"windows for {wanted} positions of {x.shape}")
        if height % wanted[0] or width % wanted[1]:
            raise UnsupportedError(f"{wanted} windows of {x.shape}, which are of different sizes")
        size = (height // wanted[0], width // wanted[1])
        return _windows(c, x, kind, size, size)

    return row


def _poolings(name: str, row: Callable[[str], Row]) -> dict[str, Row]:
    """Return the rows of the table for a family of poolings: average and max, of sequences and of images."""
    return {
        name.format(kind.title(), axes): row(kind) for kind in ("average", "max") for axes in ("1D", "2D")
    }


# ---- Borders and sizes ---------------------------------------------------------------------------------------------


def _sides(c: LayerCall, value: Any, name: str) -> Sides:
    """Return ((top, bottom), (left, right)) of a setting."""
    if not c.is_sequence:
        return sides_of(value, name)
    given = wholes_of(value, name)
    if not 1 <= len(given) <= 2 or min(given) < 0:
        raise WeightsError(f"damaged: its {name} must be one or two numbers, got {list(given[:4])}")
    return (0, 0), (given[0], given[-1])


def _zero_padding(c: LayerCall, x: Image, *, padding: Any) -> FileTensor:
    return c.wrap(c.network.pad(x, _sides(c, padding, "padding"), name=c.name()))


def _cropping(c: LayerCall, x: Image, *, cropping: Any) -> FileTensor:
    (top, bottom), (left, right) = _sides(c, cropping, "cropping")
    return c.wrap(c.network.pad(x, ((-top, -bottom), (-left, -right)), name=c.name()))


@ignores("bounding_box_format", "factor")
def _center_crop(c: LayerCall, x: Image, *, height: Whole = 0, width: Whole = 0) -> FileTensor:
    """Convert CenterCrop. If an odd number of rows is cropped, the additional one is cropped at the end."""
    borders = []
    for wanted, extent in zip((height, width), x.shape[1:3], strict=True):
        if extent is None or not 1 <= wanted <= extent:
            raise UnsupportedError(
                f"crops {x.shape} to {wanted}; supported are images of a fixed size that is larger"
            )
        first = (extent - wanted) // 2
        borders.append((-first, first + wanted - extent))
    return c.wrap(c.network.pad(x, (borders[0], borders[1]), name=c.name()))


def _upsampling(
    c: LayerCall, x: Image, *, size: Wholes = (2,), interpolation: Interpolation = "nearest"
) -> FileTensor:
    vertical, horizontal = pair(c, size, "size")
    scale = (float(vertical), float(horizontal))
    of_corners = interpolation == "bilinear" and c.samples_corners
    alignment: Literal["asymmetric", "half_pixel"] = "asymmetric" if of_corners else "half_pixel"
    return c.wrap(c.network.resize(x, scale=scale, method=interpolation, alignment=alignment, name=c.name()))


@ignores("bounding_box_format", "factor", "fill_mode", "fill_value")
def _resizing(
    c: LayerCall, x: Image, *, height: Whole = 0, width: Whole = 0, size: Pair | None = None,
    interpolation: Interpolation = "bilinear", crop_to_aspect_ratio: Flag = False,
    pad_to_aspect_ratio: Flag = False, antialias: Flag = False,
) -> FileTensor:  # fmt: skip
    """Convert Resizing. The function in keras.ops states the size as one setting."""
    for name, is_set in (
        ("crop_to_aspect_ratio", crop_to_aspect_ratio),
        ("pad_to_aspect_ratio", pad_to_aspect_ratio),
        ("antialias", antialias),
    ):
        if is_set:
            raise UnsupportedError(f"its {name} is not supported")
    return c.wrap(c.network.resize(x, size or (height, width), method=interpolation, name=c.name()))


IMAGES: dict[str, Row] = {
    **_poolings("{}Pooling{}", _pooling),
    **_poolings("Adaptive{}Pooling{}", _adaptive_pooling),
    **_poolings("Global{}Pooling{}", _global_pooling),
    "CenterCrop": _center_crop,
    **dict.fromkeys(("Cropping1D", "Cropping2D"), _cropping),
    "Resizing": _resizing,
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), _upsampling),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _zero_padding),
}
"""The functions that convert layers, by the name of the class."""
