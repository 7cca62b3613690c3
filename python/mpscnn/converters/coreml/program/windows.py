"""Convert convolutions, poolings, padding and resizes of programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.coreml.program.blocks import whole_image_windows
from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_graph.blocks import cut, pad
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.onnx_graph.resizing import CORNERS, FROM_EDGE, HALF_PIXEL, resize, resize_by_factors
from mpscnn.converters.window_sizes import crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1


def _spatial(b: Builder, op: Operation) -> int:
    """Return the number of spatial axes of the input."""
    count = b.rank(op.tensor("x")) - 2
    if count not in (1, 2):
        raise UnsupportedError(f"its input has {count + 2} axes; supported are 3 and 4")
    return count


def _positive(op: Operation, name: str, count: int) -> list[int]:
    values = op.integers(name, [1] * count)
    if len(values) != count or not all(1 <= value <= _LARGEST for value in values):
        raise WeightsError(f"damaged: its {name} are {values[:5]}")
    return values


def _padding(op: Operation, count: int) -> dict[str, Any]:
    """Return the padding of a window as attributes."""
    kind = op.text("pad_type", "valid")
    if kind == "valid":
        return {}
    if kind in ("same", "same_lower"):
        return {"auto_pad": "SAME_UPPER" if kind == "same" else "SAME_LOWER"}
    if kind != "custom":
        raise WeightsError(f"damaged: its pad_type is {kind!r}")
    amounts = op.integers("pad", [0] * (2 * count))
    if len(amounts) != 2 * count or not all(0 <= amount <= _LARGEST for amount in amounts):
        raise WeightsError(f"damaged: its pad is {amounts[:8]}")
    return {"pads": [*amounts[0::2], *amounts[1::2]]}


def _convolution(b: Builder, op: Operation) -> str:
    count = _spatial(b, op)
    attributes: dict[str, Any] = {
        "strides": _positive(op, "strides", count),
        "dilations": _positive(op, "dilations", count),
        "group": op.integer("groups", 1),
    }
    if not op.is_constant("weight"):
        raise UnsupportedError("its weights are computed by the network, which is not supported")
    attributes = whole_image_windows(op, attributes | _padding(op, count), op.shape_of("weight")[2:])
    operands = [op.tensor("x"), op.weight("weight")]
    if op.has("bias"):
        operands.append(op.weight("bias"))
    return b.op("Conv", *operands, **attributes)


def _transposed_convolution(b: Builder, op: Operation) -> str:
    count = _spatial(b, op)
    strides, dilations = _positive(op, "strides", count), _positive(op, "dilations", count)
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "group": op.integer("groups", 1),
    }
    operands = [op.tensor("x"), op.weight("weight")]
    if op.has("bias"):
        operands.append(op.weight("bias"))
    padding = _padding(op, count)
    if op.has("output_shape"):
        wanted = op.integers("output_shape")[-count:]
        reach = [
            (taps - 1) * dilation + 1
            for taps, dilation in zip(op.shape_of("weight")[2:], dilations, strict=True)
        ]
        cropped = crop_to_size(b.extents(op.tensor("x"))[2:], wanted, reach, strides, padding)
        padding = padding_of_result(cropped, strides)
    return b.op("ConvTranspose", *operands, **attributes, **padding)


def _pooling(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        count = _spatial(b, op)
        kernel = _positive(op, "kernel_sizes", count)
        attributes: dict[str, Any] = {
            "kernel_shape": kernel,
            "strides": _positive(op, "strides", count),
            "ceil_mode": int(op.flag("ceil_mode", False)),
            **_padding(op, count),
        }
        if kind == "AveragePool":
            attributes["count_include_pad"] = int(not op.flag("exclude_padding_from_average", False))
        if kind == "LpPool":
            attributes["p"] = 2
        return b.op(kind, op.tensor("x"), **attributes)

    return convert


def _pad(b: Builder, op: Operation) -> str:
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    mode = modes.get(op.text("mode", "constant"))
    if mode is None:
        raise UnsupportedError(f"its mode is {op.text('mode', '')!r}")
    return pad(b, op.tensor("x"), op.integers("pad"), mode, op.number("constant_val", 0.0))


def _crop(b: Builder, op: Operation) -> str:
    rows, columns = op.integers("crop_height"), op.integers("crop_width")
    if len(rows) != 2 or len(columns) != 2 or min(rows + columns) < 0:
        raise WeightsError(f"damaged: cuts off {rows} and {columns}")
    return cut(b, op.tensor("x"), (rows[0], columns[0]), (rows[1], columns[1]))


# ---- Resizes -------------------------------------------------------------------------------------------------------

_SAMPLES = {
    "DEFAULT": FROM_EDGE,
    "ALIGN_CORNERS": CORNERS,
    "STRICT_ALIGN_CORNERS": CORNERS,
    "UNALIGN_CORNERS": HALF_PIXEL,
}


def _samples(op: Operation, size: Sequence[int]) -> str:
    mode = op.text("sampling_mode", "DEFAULT")
    if mode not in _SAMPLES or (mode == "ALIGN_CORNERS" and 1 in size):
        raise UnsupportedError(f"its sampling_mode is {mode!r}, which is not supported")
    return _SAMPLES[mode]


def _factors(op: Operation) -> list[float]:
    found = []
    for name in ("scale_factor_height", "scale_factor_width"):
        value = op.array(name).reshape(-1) if op.has(name) else np.ones(1)
        if value.size != 1:
            raise WeightsError(f"damaged: its {name} is {value[:5]}")
        found.append(float(value[0]))
    return found


def _upsample_bilinear(b: Builder, op: Operation) -> str:
    corners = op.flag("align_corners", True)
    half = op.flag("half_pixel_centers", not corners)
    if corners and half:
        raise UnsupportedError("its align_corners and its half_pixel_centers are both true")
    samples = CORNERS if corners else HALF_PIXEL if half else FROM_EDGE
    return resize_by_factors(b, op.tensor("x"), _factors(op), samples)


def _target(op: Operation) -> list[int]:
    return [op.integer("target_size_height", 1), op.integer("target_size_width", 1)]


def _resize_bilinear(b: Builder, op: Operation) -> str:
    size = _target(op)
    return resize(b, op.tensor("x"), size, _samples(op, size))


def _resize(b: Builder, op: Operation) -> str:
    size = op.integers("shape")
    if op.integer("resized_dims") != 2 or len(size) < 2:
        raise UnsupportedError("resizes other axes than height and width")
    size = size[-2:]
    mode = op.text("interpolation_mode", "LINEAR")
    if mode == "LINEAR":
        return resize(b, op.tensor("x"), size, _samples(op, size))
    if mode != "NEAREST_NEIGHBOR":
        raise UnsupportedError(f"its interpolation_mode is {mode!r}, which is not supported")
    if _samples(op, size) != FROM_EDGE:
        sampling = op.text("sampling_mode", "DEFAULT")
        raise UnsupportedError(
            f"its sampling_mode is {sampling!r}, which is not supported for nearest pixels"
        )
    return resize(b, op.tensor("x"), size, FROM_EDGE, nearest=True)


WINDOWS: dict[str, Handler] = {
    "avg_pool": _pooling("AveragePool"),
    "conv": _convolution,
    "conv_transpose": _transposed_convolution,
    "crop": _crop,
    "l2_pool": _pooling("LpPool"),
    "max_pool": _pooling("MaxPool"),
    "pad": _pad,
    "resize": _resize,
    "resize_bilinear": _resize_bilinear,
    "resize_nearest_neighbor": lambda b, op: resize(b, op.tensor("x"), _target(op), FROM_EDGE, nearest=True),
    "upsample_bilinear": _upsample_bilinear,
    "upsample_nearest_neighbor": lambda b, op: resize_by_factors(
        b, op.tensor("x"), _factors(op), FROM_EDGE, nearest=True
    ),
}
