"""Replace operators of ONNX' opsets 1 to 6 by those of later ones."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.onnx_reader.expansions import ALIGNED, Expansion, Row
from mpscnn.converters.unsupported import STOP_BEFORE
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


def _arithmetic(e: Expansion) -> None:
    """Write arithmetic whose second operand may lack the last axes of the first one: `axis` is its first axis."""
    first, second = e.input(0), e.input(1)
    if e.node.flag("broadcast", default=False) and e.node.has("axis"):
        second = e.op(ALIGNED, second, first, axis=e.node.integer("axis"))
    e.end(e.node.kind, first, second)


def _reshape(e: Expansion) -> None:
    """Write Reshape, whose new shape was an attribute up to opset 4."""
    shape = e.node.input(1)
    e.end("Reshape", e.input(0), shape or e.node.integers("shape"))


def _cast(e: Expansion) -> None:
    to = e.node.attributes.get("to")
    if isinstance(to, (bytes, str)):
        name = to.decode("ascii", "replace") if isinstance(to, bytes) else to
        if name.upper() not in _TYPES:
            raise WeightsError(f"damaged: it makes {name!r}")
        to = _TYPES[name.upper()]
    e.end("Cast", e.input(0), to=to)


def _pad(e: Expansion) -> None:
    pads = e.node.integers("paddings") if e.node.has("paddings") else e.node.integers("pads")
    e.end("Pad", e.input(0), **e.kept("mode", "value", pads=pads))


def _upsample(e: Expansion) -> None:
    """Write Upsample, which had a factor for the height and one for the width in opset 1."""
    if e.node.has("scales"):
        scales = e.node.numbers("scales")
    else:
        scales = [1.0, 1.0, e.node.number("height_scale"), e.node.number("width_scale")]
    e.end("Upsample", e.input(0), mode=e.node.text("mode", "nearest"), scales=scales)


def _norm_pool(e: Expansion) -> None:
    """Write LpPool, whose order was a float in opset 1."""
    order = e.node.number("p", 2.0)
    if order != int(order):
        raise UnsupportedError(f"a norm of order {order} is not supported: {STOP_BEFORE}")
    e.end("LpPool", e.input(0), **e.kept("auto_pad", "kernel_shape", "pads", "strides", p=int(order)))


def _selu(e: Expansion) -> None:
    numbers = {"alpha": 1.6732, "gamma": 1.0507}  # the defaults of opset 1
    e.end("Selu", e.input(0), **{name: e.node.number(name, usual) for name, usual in numbers.items()})


def _tile(e: Expansion) -> None:
    if e.node.input(2) is not None:
        raise UnsupportedError(f"repeats one axis, as in opset 1, which is not supported: {STOP_BEFORE}")
    e.end("Tile", *e.node.inputs)


# ---- Experimental operators ----------------------------------------------------------------------------------------


def _affine(e: Expansion) -> None:
    product = e.op("Mul", e.input(0), e.node.number("alpha", 1.0))
    e.end("Add", product, e.node.number("beta", 0.0))


def _image_scaler(e: Expansion) -> None:
    """ImageScaler: x * scale + bias[channel]."""
    product = e.op("Mul", e.input(0), e.node.number("scale", 1.0))
    e.end("Add", product, e.constant(np.reshape(np.asarray(e.node.numbers("bias"), np.float32), (-1, 1, 1))))


def _scaled_tanh(e: Expansion) -> None:
    """ScaledTanh: alpha * tanh(beta * x)."""
    inner = e.op("Mul", e.input(0), e.node.number("beta", 1.0))
    e.end("Mul", e.op("Tanh", inner), e.node.number("alpha", 1.0))


def _crop(e: Expansion) -> None:
    """Crop: cut a border (left, top, right, bottom), or cut a part of size `scale` at (left, top)."""
    left, top, right, bottom = e.node.integers("border")
    ends = [-bottom or 2**31, -right or 2**31]
    if e.node.has("scale"):
        ends = [start + size for start, size in zip((top, left), e.node.integers("scale"), strict=True)]
    e.end("Slice", e.input(0), starts=[top, left], ends=ends, axes=[2, 3])


_BROADCASTING = (
    "Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor",
)  # fmt: skip

OLD: dict[str, Row] = {
    **dict.fromkeys(_BROADCASTING, _arithmetic),
    "Affine": _affine,
    "Cast": _cast,
    "Crop": _crop,
    "ImageScaler": _image_scaler,
    "LpPool": _norm_pool,
    # the slopes were those of the channels.
    "PRelu": lambda e: e.end("PRelu", e.input(0), e.op(ALIGNED, e.input(1), e.input(0), axis=1)),
    "Pad": _pad,
    "Reshape": _reshape,
    "Scale": lambda e: e.end("Mul", e.input(0), e.node.number("scale", 1.0)),
    "ScaledTanh": _scaled_tanh,
    "Selu": _selu,
    "Tile": _tile,
    "Upsample": _upsample,
}
"""The rows of operators that later opsets have in another form, for files of opsets 1 to 6."""
