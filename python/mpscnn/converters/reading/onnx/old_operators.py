"""Replace operators of ONNX' opsets 1 to 6 by those of later ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.opening.unsupported import STOP_BEFORE
from mpscnn.converters.reading.onnx.expansions import ALIGNED, Expansion
from mpscnn.converters.values.rows import Floats, Ints, Name, Row
from mpscnn.errors import UnsupportedError, WeightsError

FIRST_WITH_BROADCASTING = 7
"""The first opset whose arithmetic broadcasts by the rules of NumPy."""

#: The numbers of element types, which Cast stated by name.
_TYPES = {
    name: number
    for number, name in enumerate(
        [
            "FLOAT",
            "UINT8",
            "INT8",
            "UINT16",
            "INT16",
            "INT32",
            "INT64",
            "STRING",
            "BOOL",
            "FLOAT16",
            "DOUBLE",
        ],
        start=1,
    )
} | {"UINT32": 12, "UINT64": 13}


def _arithmetic(kind: str) -> Row:
    """Return the row of arithmetic whose second operand may lack the last axes of the first one."""

    def row(e: Expansion, a: Name, b: Name, *, broadcast: bool = False, axis: int | None = None) -> None:
        """`axis` is the axis of the first operand that meets the first axis of the second one."""
        second = e.op(ALIGNED, b, a, axis=axis) if broadcast and axis is not None else b
        e.end(kind, a, second)

    return row


def _reshape(e: Expansion, x: Name, stated: Name | None = None, *, shape: Ints | None = None) -> None:
    """Write Reshape, whose new shape was an attribute up to opset 4."""
    if stated is None and shape is None:
        raise WeightsError("damaged: it has no shape")
    e.end("Reshape", x, stated or shape)


def _cast(e: Expansion, x: Name, *, to: Any) -> None:
    if isinstance(to, (bytes, str)):
        name = to.decode("ascii", "replace") if isinstance(to, bytes) else to
        if name.upper() not in _TYPES:
            raise WeightsError(f"damaged: it makes {name!r}")
        to = _TYPES[name.upper()]
    e.end("Cast", x, to=to)


def _pad(
    e: Expansion, x: Name, *, pads: Ints | None = None, paddings: Ints | None = None, mode: str = "constant",
    value: float = 0.0,
) -> None:  # fmt: skip
    sides = pads if paddings is None else paddings
    if sides is None:
        raise WeightsError("damaged: it has no pads")
    e.end("Pad", x, mode=mode, value=value, pads=sides)


def _upsample(
    e: Expansion, x: Name, *, mode: str = "nearest", scales: Floats | None = None,
    height_scale: float | None = None, width_scale: float | None = None,
) -> None:  # fmt: skip
    """Write Upsample, which had a factor for the height and one for the width in opset 1."""
    if scales is None:
        if height_scale is None or width_scale is None:
            raise WeightsError("damaged: it has no scales")
        scales = (1.0, 1.0, height_scale, width_scale)
    e.end("Upsample", x, mode=mode, scales=scales)


def _norm_pool(e: Expansion, x: Name, *, p: float = 2.0, **window: Any) -> None:
    """Write LpPool, whose order was a float in opset 1."""
    if p != int(p):
        raise UnsupportedError(f"a norm of order {p} is not supported: {STOP_BEFORE}")
    e.end("LpPool", x, p=int(p), **window)


def _selu(e: Expansion, x: Name, *, alpha: float = 1.6732, gamma: float = 1.0507) -> None:
    """Write Selu with the defaults of opset 1."""
    e.end("Selu", x, alpha=alpha, gamma=gamma)


def _tile(e: Expansion, x: Name, repeats: Name, axis: Name | None = None) -> None:
    if axis is not None:
        raise UnsupportedError(f"repeats one axis, as in opset 1, which is not supported: {STOP_BEFORE}")
    e.end("Tile", x, repeats)


def _prelu(e: Expansion, x: Name, slopes: Name) -> None:
    """Write PRelu, whose slopes were those of the channels."""
    e.end("PRelu", x, e.op(ALIGNED, slopes, x, axis=1))


# ---- Experimental operators ----------------------------------------------------------------------------------------


def _affine(e: Expansion, x: Name, *, alpha: float = 1.0, beta: float = 0.0) -> None:
    e.end("Add", e.op("Mul", x, alpha), beta)


def _image_scaler(e: Expansion, x: Name, *, scale: float = 1.0, bias: Floats = ()) -> None:
    """ImageScaler: x * scale + bias[channel]."""
    product = e.op("Mul", x, scale)
    e.end("Add", product, e.constant(np.reshape(np.asarray(bias, np.float32), (-1, 1, 1))))


def _scale(e: Expansion, x: Name, *, scale: float = 1.0) -> None:
    e.end("Mul", x, scale)


def _scaled_tanh(e: Expansion, x: Name, *, alpha: float = 1.0, beta: float = 1.0) -> None:
    """ScaledTanh: alpha * tanh(beta * x)."""
    e.end("Mul", e.op("Tanh", e.op("Mul", x, beta)), alpha)


def _crop(e: Expansion, x: Name, *, border: Ints, scale: Ints | None = None) -> None:
    """Crop: cut a border (left, top, right, bottom), or cut a part of size `scale` at (left, top)."""
    left, top, right, bottom = border
    ends = [-bottom or 2**31, -right or 2**31]
    if scale is not None:
        ends = [start + size for start, size in zip((top, left), scale, strict=True)]
    e.end("Slice", x, starts=[top, left], ends=ends, axes=[2, 3])


_BROADCASTING = (
    "Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor",
)  # fmt: skip

OLD: dict[str, Row] = {
    **{kind: _arithmetic(kind) for kind in _BROADCASTING},
    "Affine": _affine,
    "Cast": _cast,
    "Crop": _crop,
    "ImageScaler": _image_scaler,
    "LpPool": _norm_pool,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "Scale": _scale,
    "ScaledTanh": _scaled_tanh,
    "Selu": _selu,
    "Tile": _tile,
    "Upsample": _upsample,
}
"""The rows of operators that later opsets have in another form, for files of opsets 1 to 6."""
