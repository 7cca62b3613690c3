"""Convert convolutions, poolings, padding and resizes of programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.program.blocks import whole_image_windows
from mpscnn.converters.reading.coreml.program.constants import Array as Numbers
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.row_calls import (
    Array,
    Flag,
    Real,
    Tensor,
    Weight,
    Whole,
    Wholes,
)
from mpscnn.converters.reading.graph.blocks import cut, pad
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.resizing import (
    CORNERS,
    FROM_EDGE,
    HALF_PIXEL,
    resize,
    resize_by_factors,
)
from mpscnn.converters.values.rows import Ints, Operand, Row, Stated
from mpscnn.converters.values.window_sizes import crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1

PadType = Annotated[Literal["valid", "same", "same_lower", "custom"], Operand()]


def _spatial(b: Builder, x: str) -> int:
    """Return the number of spatial axes of the input."""
    count = b.rank(x) - 2
    if count not in (1, 2):
        raise UnsupportedError(f"its input has {count + 2} axes; supported are 3 and 4")
    return count


def _positive(values: Ints | None, name: str, count: int) -> list[int]:
    found = [1] * count if values is None else list(values)
    if len(found) != count or not all(1 <= value <= _LARGEST for value in found):
        raise WeightsError(f"damaged: its {name} are {found[:5]}")
    return found


def _padding(kind: str, amounts: Ints | None, count: int) -> dict[str, Any]:
    """Return the padding of a window as attributes."""
    if kind == "valid":
        return {}
    if kind != "custom":
        return {"auto_pad": "SAME_UPPER" if kind == "same" else "SAME_LOWER"}
    sides = [0] * (2 * count) if amounts is None else list(amounts)
    if len(sides) != 2 * count or not all(0 <= amount <= _LARGEST for amount in sides):
        raise WeightsError(f"damaged: its pad is {sides[:8]}")
    return {"pads": [*sides[0::2], *sides[1::2]]}


def _convolution(
    b: Builder, op: Operation, x: Tensor, weight: Weight, bias: Weight | None = None,
    strides: Wholes | None = None, pad_type: PadType = "valid", pad: Wholes | None = None,
    dilations: Wholes | None = None, groups: Whole = 1,
) -> str:  # fmt: skip
    count = _spatial(b, x)
    attributes: dict[str, Any] = {
        "strides": _positive(strides, "strides", count),
        "dilations": _positive(dilations, "dilations", count),
        "group": groups,
    }
    taps = op.shape_of("weight")[2:]
    attributes = whole_image_windows(op, attributes | _padding(pad_type, pad, count), taps)
    return ops.convolve(b, x, weight, *([] if bias is None else [bias]), **attributes)


def _transposed_convolution(
    b: Builder, op: Operation, x: Tensor, weight: Weight, bias: Weight | None = None,
    output_shape: Wholes | None = None, strides: Wholes | None = None, pad_type: PadType = "valid",
    pad: Wholes | None = None, dilations: Wholes | None = None, groups: Whole = 1,
) -> str:  # fmt: skip
    count = _spatial(b, x)
    steps, spread = _positive(strides, "strides", count), _positive(dilations, "dilations", count)
    padding = _padding(pad_type, pad, count)
    if output_shape is not None:
        taps = op.shape_of("weight")[2:]
        reach = [(one - 1) * dilation + 1 for one, dilation in zip(taps, spread, strict=True)]
        cropped = crop_to_size(b.extents(x)[2:], list(output_shape[-count:]), reach, steps, padding)
        padding = padding_of_result(cropped, steps)
    biases = [] if bias is None else [bias]
    return ops.convolve_transposed(
        b, x, weight, *biases, strides=steps, dilations=spread, group=groups, **padding
    )


def _pooling(pool: ops.Pooling, **attributes: Any) -> Row:
    def row(
        b: Builder, x: Tensor, kernel_sizes: Wholes, strides: Wholes | None = None, pad_type: PadType = "valid",
        pad: Wholes | None = None, ceil_mode: Flag = False,
    ) -> str:  # fmt: skip
        return _pooled(b, x, pool, kernel_sizes, strides, pad_type, pad, ceil_mode, attributes)

    return row


def _average(
    b: Builder, x: Tensor, kernel_sizes: Wholes, strides: Wholes | None = None, pad_type: PadType = "valid",
    pad: Wholes | None = None, exclude_padding_from_average: Flag = False, ceil_mode: Flag = False,
) -> str:  # fmt: skip
    attributes = {"count_include_pad": int(not exclude_padding_from_average)}
    return _pooled(b, x, ops.average_pool, kernel_sizes, strides, pad_type, pad, ceil_mode, attributes)


def _pooled(
    b: Builder, x: str, pool: ops.Pooling, sizes: Ints, strides: Ints | None, pad_type: str, pad: Ints | None,
    is_ceil: bool, attributes: dict[str, Any],
) -> str:  # fmt: skip
    count = _spatial(b, x)
    return pool(
        b,
        x,
        kernel_shape=_positive(sizes, "kernel_sizes", count),
        strides=_positive(strides, "strides", count),
        ceil_mode=int(is_ceil),
        **_padding(pad_type, pad, count),
        **attributes,
    )


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _pad(
    b: Builder, x: Tensor, amounts: Annotated[Wholes, Stated("pad")],
    mode: Annotated[Literal["constant", "reflect", "replicate"], Operand()] = "constant", constant_val: Real = 0.0,
) -> str:  # fmt: skip
    return pad(b, x, list(amounts), _MODES[mode], constant_val)


def _crop(b: Builder, x: Tensor, crop_height: Wholes, crop_width: Wholes) -> str:
    rows, columns = list(crop_height), list(crop_width)
    if len(rows) != 2 or len(columns) != 2 or min(rows + columns) < 0:
        raise WeightsError(f"damaged: cuts off {rows} and {columns}")
    return cut(b, x, (rows[0], columns[0]), (rows[1], columns[1]))


# ---- Resizes -------------------------------------------------------------------------------------------------------

Sampling = Annotated[
    Literal["DEFAULT", "ALIGN_CORNERS", "STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS", "OFFSET_CORNERS"],
    Operand(),
]

_SAMPLES = {
    "DEFAULT": FROM_EDGE,
    "ALIGN_CORNERS": CORNERS,
    "STRICT_ALIGN_CORNERS": CORNERS,
    "UNALIGN_CORNERS": HALF_PIXEL,
}


def _samples(mode: str, size: Sequence[int]) -> str:
    if mode not in _SAMPLES or (mode == "ALIGN_CORNERS" and 1 in size):
        raise UnsupportedError(f"its sampling_mode is {mode!r}, which is not supported")
    return _SAMPLES[mode]


def _factor(value: Numbers | None, name: str) -> float:
    if value is not None and value.size != 1:
        raise WeightsError(f"damaged: its {name} is {value.reshape(-1)[:5]}")
    return 1.0 if value is None else float(value.reshape(()))


def _upsample_bilinear(
    b: Builder, x: Tensor, scale_factor_height: Array | None = None, scale_factor_width: Array | None = None,
    align_corners: Flag = True, half_pixel_centers: Flag | None = None,
) -> str:  # fmt: skip
    half = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half:
        raise UnsupportedError("its align_corners and its half_pixel_centers are both true")
    samples = CORNERS if align_corners else HALF_PIXEL if half else FROM_EDGE
    return resize_by_factors(b, x, _factors(scale_factor_height, scale_factor_width), samples)


def _factors(height: Numbers | None, width: Numbers | None) -> list[float]:
    return [_factor(height, "scale_factor_height"), _factor(width, "scale_factor_width")]


def _upsample_nearest(
    b: Builder, x: Tensor, scale_factor_height: Array | None = None, scale_factor_width: Array | None = None
) -> str:
    factors = _factors(scale_factor_height, scale_factor_width)
    return resize_by_factors(b, x, factors, FROM_EDGE, nearest=True)


def _resize_bilinear(
    b: Builder, x: Tensor, target_size_height: Whole = 1, target_size_width: Whole = 1,
    sampling_mode: Sampling = "DEFAULT",
) -> str:  # fmt: skip
    size = [target_size_height, target_size_width]
    return resize(b, x, size, _samples(sampling_mode, size))


def _resize_nearest(
    b: Builder, x: Tensor, target_size_height: Whole = 1, target_size_width: Whole = 1
) -> str:
    return resize(b, x, [target_size_height, target_size_width], FROM_EDGE, nearest=True)


def _resize(
    b: Builder, x: Tensor, shape: Wholes, resized_dims: Whole,
    interpolation_mode: Annotated[Literal["LINEAR", "NEAREST_NEIGHBOR"], Operand()] = "LINEAR",
    sampling_mode: Sampling = "DEFAULT",
) -> str:  # fmt: skip
    if resized_dims != 2 or len(shape) < 2:
        raise UnsupportedError("resizes other axes than height and width")
    size = list(shape[-2:])
    samples = _samples(sampling_mode, size)
    if interpolation_mode == "LINEAR":
        return resize(b, x, size, samples)
    if samples != FROM_EDGE:
        raise UnsupportedError(
            f"its sampling_mode is {sampling_mode!r}, which is not supported for nearest pixels"
        )
    return resize(b, x, size, FROM_EDGE, nearest=True)


WINDOWS: dict[str, Row] = {
    "avg_pool": _average,
    "conv": _convolution,
    "conv_transpose": _transposed_convolution,
    "crop": _crop,
    "l2_pool": _pooling(ops.lp_pool, p=2),
    "max_pool": _pooling(ops.max_pool),
    "pad": _pad,
    "resize": _resize,
    "resize_bilinear": _resize_bilinear,
    "resize_nearest_neighbor": _resize_nearest,
    "upsample_bilinear": _upsample_bilinear,
    "upsample_nearest_neighbor": _upsample_nearest,
}
