"""Convert Keras's layers of images and sequences: poolings, borders, and changes of the size.

A sequence (n, positions, channels) is an image of one row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

Pair = tuple[int, int]
Handler = Callable[[LayerCall], FileTensor]


def is_sequence_layer(c: LayerCall) -> bool:
    """Return True for a layer of sequences. The names of their classes contain 1D."""
    return "1D" in c.layer.kind


def on_image(handler: Callable[[LayerCall, Tensor], FileTensor]) -> Handler:
    """Return a function that converts a layer of images or sequences.

    Args:
        handler: converts a layer; its second argument is the image. A result of other than 4 axes stays as it is.
    """

    def convert(c: LayerCall) -> FileTensor:
        x, is_sequence = c.x(), is_sequence_layer(c)
        if c.settings.text("data_format", "channels_last") != "channels_last":
            raise UnsupportedError("its images have the channels first; only channels_last is supported")
        if x.rank != (3 if is_sequence else 4):
            kind = "sequences" if is_sequence else "images"
            raise UnsupportedError(f"it takes {kind}, its input is {x.shown}")
        y = handler(c, c.tensor(x.expand_dims([1]) if is_sequence else x))
        return y.squeeze([1]) if is_sequence and y.rank == 4 else y

    return convert


def pair(c: LayerCall, setting: str, default: int, *, of_row: int = 1) -> Pair:
    """Return a setting for (vertical, horizontal). A sequence has only the second; its row gets the number `of_row`."""
    if is_sequence_layer(c):
        return of_row, c.settings.single(setting, default)
    return c.settings.pair(setting, default)


# ---- Poolings ------------------------------------------------------------------------------------------------------


def _whole(c: LayerCall, x: Tensor, kind: str) -> FileTensor:
    pool = c.network.global_max_pool2d if kind == "max" else c.network.global_average_pool2d
    return c.wrap(pool(x, name=c.name()))


def _windows(
    c: LayerCall, x: Tensor, kind: str, size: Pair, strides: Pair, padding: str = "valid"
) -> FileTensor:
    if padding not in ("valid", "same"):
        raise UnsupportedError(f"the padding {padding!r} is not supported")
    if padding == "valid" and size == x.shape[1:3]:
        return _whole(c, x, kind)
    pool = c.network.max_pool2d if kind == "max" else c.network.average_pool2d
    named: Literal["valid", "same"] = "same" if padding == "same" else "valid"
    return c.wrap(pool(x, size, strides=strides, padding=named, name=c.name()))


def _pooling(c: LayerCall, x: Tensor, kind: str) -> FileTensor:
    size = pair(c, "pool_size", 2)
    strides = pair(c, "strides", 2) if "strides" in c.settings else size
    return _windows(c, x, kind, size, strides, c.settings.text("padding", "valid"))


def _global_pooling(c: LayerCall, x: Tensor, kind: str) -> FileTensor:
    y, keeps_axes = _whole(c, x, kind), c.settings.flag("keepdims", False)
    return y if keeps_axes else y.squeeze([1, 2])


def _adaptive_pooling(c: LayerCall, x: Tensor, kind: str) -> FileTensor:
    """Convert adaptive poolings whose windows all have the same size and do not overlap."""
    wanted, (height, width) = pair(c, "output_size", 1), x.shape[1:3]
    if height is None or width is None or min(wanted) < 1:
        raise UnsupportedError(f"windows for {wanted} positions of {x.shape}")
    if height % wanted[0] or width % wanted[1]:
        raise UnsupportedError(f"{wanted} windows of {x.shape}, which are of different sizes")
    size = (height // wanted[0], width // wanted[1])
    return _windows(c, x, kind, size, size)


def _poolings(name: str, handler: Callable[..., FileTensor]) -> dict[str, Handler]:
    """Return the rows of the table for a family of poolings: average and max, of sequences and of images."""
    return {
        name.format(kind.title(), axes): on_image(partial(handler, kind=kind))
        for kind in ("average", "max")
        for axes in ("1D", "2D")
    }


# ---- Borders and sizes ---------------------------------------------------------------------------------------------


def _sides(c: LayerCall, name: str) -> tuple[Pair, Pair]:
    """Return ((top, bottom), (left, right)) of a setting."""
    if not is_sequence_layer(c):
        return c.settings.sides(name)
    given = c.settings.wholes(name)
    if not 1 <= len(given) <= 2 or min(given) < 0:
        raise WeightsError(f"damaged: its {name} must be one or two numbers, got {given[:4]}")
    return (0, 0), (given[0], given[-1])


def _zero_padding(c: LayerCall, x: Tensor) -> FileTensor:
    return c.wrap(c.network.pad(x, _sides(c, "padding"), name=c.name()))


def _cropping(c: LayerCall, x: Tensor) -> FileTensor:
    (top, bottom), (left, right) = _sides(c, "cropping")
    return c.wrap(c.network.pad(x, ((-top, -bottom), (-left, -right)), name=c.name()))


def _center_crop(c: LayerCall, x: Tensor) -> FileTensor:
    """Convert CenterCrop. If an odd number of rows is cropped, the additional one is cropped at the end."""
    borders = []
    for side, extent in zip(("height", "width"), x.shape[1:3], strict=True):
        wanted = c.settings.whole(side, 0)
        if extent is None or not 1 <= wanted <= extent:
            raise UnsupportedError(
                f"crops {x.shape} to {wanted}; supported are images of a fixed size that is larger"
            )
        first = (extent - wanted) // 2
        borders.append((-first, first + wanted - extent))
    return c.wrap(c.network.pad(x, (borders[0], borders[1]), name=c.name()))


def _method(c: LayerCall, default: str) -> Literal["nearest", "bilinear"]:
    method = c.settings.text("interpolation", default)
    if method == "nearest":
        return "nearest"
    if method == "bilinear":
        return "bilinear"
    raise UnsupportedError(f"the interpolation {method!r} is not supported; only nearest and bilinear are")


def _upsampling(c: LayerCall, x: Tensor) -> FileTensor:
    vertical, horizontal = pair(c, "size", 2)
    scale = (float(vertical), float(horizontal))
    method = _method(c, "nearest")
    alignment: Literal["asymmetric", "half_pixel"] = "half_pixel"
    if method == "bilinear" and c.samples_corners:
        alignment = "asymmetric"
    return c.wrap(c.network.resize(x, scale=scale, method=method, alignment=alignment, name=c.name()))


def _resizing(c: LayerCall, x: Tensor) -> FileTensor:
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if c.settings.flag(name, False):
            raise UnsupportedError(f"its {name} is not supported")
    size = c.settings.pair("size", 0) if "size" in c.settings else None  # of the function in keras.ops
    size = size or (c.settings.whole("height", 0), c.settings.whole("width", 0))
    return c.wrap(c.network.resize(x, size, method=_method(c, "bilinear"), name=c.name()))


IMAGES: dict[str, Handler] = {
    **_poolings("{}Pooling{}", _pooling),
    **_poolings("Adaptive{}Pooling{}", _adaptive_pooling),
    **_poolings("Global{}Pooling{}", _global_pooling),
    "CenterCrop": on_image(_center_crop),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), on_image(_cropping)),
    "Resizing": on_image(_resizing),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), on_image(_upsampling)),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), on_image(_zero_padding)),
}
"""The functions that convert layers, by the name of the class."""
