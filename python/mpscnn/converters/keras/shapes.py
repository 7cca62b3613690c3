"""Convert Keras's layers that reshape, transpose, crop, pad or resize."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.sequences import as_sequence, convert_as_image, is_sequence_layer, pair
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor


def _flatten(c: LayerCall) -> Tensor:
    if c.settings.text("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("it flattens with the channels first; only channels_last is supported")
    x = c.x()
    return x if len(x.shape) == 2 else c.network.flatten(x, name=c.name())


def _reshape(c: LayerCall) -> Tensor:
    return c.network.reshape(c.x(), c.settings.wholes("target_shape"), name=c.name())


def _permute(c: LayerCall) -> Tensor:
    x, order = c.x(), c.settings.wholes("dims")
    if sorted(order) != list(range(1, len(x.shape))):
        raise WeightsError(f"damaged: its order {order} is not that of the axes of {x.shape}")
    if order == sorted(order):
        return x
    return c.network.transpose(x, order, name=c.name())


def _center_crop(c: LayerCall) -> Tensor:
    """Convert CenterCrop. If an odd number of rows is cropped, the additional one is cropped at the end."""
    x, borders = c.image(), []
    for wanted, extent in zip(
        (c.settings.whole("height", 0), c.settings.whole("width", 0)), x.shape[1:3], strict=True
    ):
        if extent is None or not 1 <= wanted <= extent:
            raise UnsupportedError(
                f"crops {x.shape} to {wanted}; supported are images of a fixed size that is larger"
            )
        first = (extent - wanted) // 2
        borders.append((-first, first + wanted - extent))
    return c.network.pad(x, (borders[0], borders[1]), name=c.name())


def _zero_padding(c: LayerCall, x: Tensor) -> Tensor:
    return c.network.pad(x, _sides(c, "padding"), name=c.name())


def _cropping(c: LayerCall, x: Tensor) -> Tensor:
    (top, bottom), (left, right) = _sides(c, "cropping")
    return c.network.pad(x, ((-top, -bottom), (-left, -right)), name=c.name())


def _sides(c: LayerCall, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, bottom), (left, right)) of a setting."""
    if not is_sequence_layer(c):
        return c.settings.sides(name)
    given = c.settings.wholes(name)
    if not 1 <= len(given) <= 2 or min(given) < 0:
        raise WeightsError(f"damaged: its {name} must be one or two numbers, got {given[:4]}")
    return (0, 0), (given[0], given[-1])


_METHODS: dict[str, Literal["nearest", "bilinear"]] = {"nearest": "nearest", "bilinear": "bilinear"}


def _method(c: LayerCall, default: str) -> Literal["nearest", "bilinear"]:
    method = c.settings.text("interpolation", default)
    if method not in _METHODS:
        raise UnsupportedError(
            f"the interpolation {method!r} is not supported; only nearest and bilinear are"
        )
    return _METHODS[method]


def _upsampling(c: LayerCall, x: Tensor) -> Tensor:
    vertical, horizontal = pair(c, "size", 2)
    scale = (float(vertical), float(horizontal))
    return c.network.resize(x, scale=scale, method=_method(c, "nearest"), name=c.name())


def _resizing(c: LayerCall) -> Tensor:
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if c.settings.flag(name, False):
            raise UnsupportedError(f"its {name} is not supported")
    size = c.settings.whole("height", 0), c.settings.whole("width", 0)
    return c.network.resize(c.image(), size, method=_method(c, "bilinear"), name=c.name())


def _repeat_vector(c: LayerCall) -> Tensor:
    """Convert RepeatVector: (n, features) becomes (n, times, features)."""
    x, times = c.x(), c.settings.whole("n", 1)
    features = math.prod(extent or 0 for extent in x.shape[1:])
    row = c.network.reshape(x, [1, 1, features], name=c.name("/row"))
    y = c.network.resize(row, (1, times), method="nearest", name=c.name())
    return as_sequence(c, y)


SHAPES: dict[str, Callable[[LayerCall], Tensor]] = {
    "CenterCrop": _center_crop,
    **dict.fromkeys(("Cropping1D", "Cropping2D"), convert_as_image(_cropping)),
    "Flatten": _flatten,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    "Reshape": _reshape,
    "Resizing": _resizing,
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), convert_as_image(_upsampling)),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), convert_as_image(_zero_padding)),
}
