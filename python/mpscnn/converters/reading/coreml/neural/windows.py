"""Convert convolutions, poolings and resizes of neural networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.row_calls import (
    NO_BORDERS,
    Borders,
    Pair,
    Weight,
    bias_of,
    inner,
    numbered,
    stated,
)
from mpscnn.converters.reading.graph.blocks import cast_to_int, crop, cut, image, pad
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.resizing import (
    CORNERS,
    FROM_EDGE,
    HALF_PIXEL,
    resize,
    resize_by_factors,
)
from mpscnn.converters.values.rows import Counted, Floats, Ints, Name, Row, Stated
from mpscnn.converters.values.window_sizes import count_of_caffe, crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

# ---- Padding -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Valid:
    """A window with explicit amounts of padding."""

    padding_amounts: Annotated[Borders, inner(Borders)] = NO_BORDERS


@dataclass(frozen=True, kw_only=True)
class Same:
    """A window whose padding depends on the size of the image."""

    asymmetry_mode: Annotated[str, numbered("BOTTOM_RIGHT_HEAVY", "TOP_LEFT_HEAVY")] = "BOTTOM_RIGHT_HEAVY"


@dataclass(frozen=True, kw_only=True)
class LastPixel:
    """A window whose output size is rounded up as in Caffe."""

    padding_amounts: Annotated[Ints, Counted(2)] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Border:
    """A border of one number, or of mirrored or repeated pixels."""

    value: float = 0.0


ValidPadding = Annotated[Valid, inner(Valid)]
SamePadding = Annotated[Same | None, inner(Same)]
CompletePadding = Annotated[LastPixel | None, inner(LastPixel)]
Bordered = Annotated[Border | None, inner(Border)]
NO_PADDING = Valid()


def _padding(valid: Valid, same: Same | None) -> dict[str, Any]:
    """Return the padding of a window as attributes: explicit amounts or SAME."""
    if same is not None:
        lower = same.asymmetry_mode == "TOP_LEFT_HEAVY"
        return {"auto_pad": "SAME_LOWER" if lower else "SAME_UPPER"}
    top, bottom, left, right = valid.padding_amounts.amounts()
    return {"pads": [top, left, bottom, right]}


# ---- Convolutions --------------------------------------------------------------------------------------------------


def _stated_padding(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return where a deconvolution of a stated size is cut. Without amounts in the file, both sides are cut alike."""
    return (
        attributes
        if any(attributes.get("pads", ()))
        else {"auto_pad": attributes.get("auto_pad", "SAME_UPPER")}
    )


def _convolution(
    b: Builder, x: Name, computed: Name | None = None, *, weights: Weight | None = None,
    bias: Weight | None = None, output_channels: int = 0, kernel_channels: int = 0, n_groups: int = 1,
    kernel_size: Pair = (3, 3), stride: Pair = (1, 1), dilation_factor: Pair = (1, 1),
    valid: ValidPadding = NO_PADDING, same: SamePadding = None, is_deconvolution: bool = False,
    has_bias: bool = False, output_shape: Pair | None = None,
) -> str:  # fmt: skip
    if computed is not None:
        raise UnsupportedError("its weights are a blob that the network computes")
    if b.rank(x) != 4:
        raise UnsupportedError(f"its input has {b.rank(x)} axes; supported are images")
    if output_channels % n_groups:
        raise WeightsError(f"damaged: {output_channels} filters in {n_groups} groups")
    attributes = _padding(valid, same) | {
        "strides": list(stride),
        "group": n_groups,
        "kernel_shape": list(kernel_size),
        "dilations": list(dilation_factor),
    }
    if is_deconvolution:
        axis, shape = 1, (kernel_channels, output_channels // n_groups, *kernel_size)
        if output_shape is not None:
            taps = zip(kernel_size, dilation_factor, strict=True)
            reach = [(count - 1) * dilation + 1 for count, dilation in taps]
            sides = b.extents(x)[2:]
            cropped = crop_to_size(sides, output_shape, reach, stride, _stated_padding(attributes))
            attributes |= padding_of_result(cropped, stride)
            attributes.pop("auto_pad", None)
    else:
        axis, shape = 0, (output_channels, kernel_channels, *kernel_size)
    operands = [x, b.weight("weight", stated(weights, "weights").blob(shape, axis=axis))]
    if has_bias:
        operands.append(bias_of(b, bias, output_channels))
    convolve = ops.convolve_transposed if is_deconvolution else ops.convolve
    return convolve(b, *operands, **attributes)


# ---- Poolings ------------------------------------------------------------------------------------------------------

_POOLINGS = {"MAX": ops.max_pool, "AVERAGE": ops.average_pool, "L2": ops.lp_pool}


def _pooling(
    b: Builder, x: Name, *, kind: Annotated[str, Stated("type"), numbered(*_POOLINGS)] = "MAX",
    kernel_size: Ints = (3, 3), stride: Ints = (1, 1), valid: ValidPadding = NO_PADDING,
    same: SamePadding = None, include_last_pixel: CompletePadding = None,
    avg_pool_exclude_padding: bool = False, global_pooling: bool = False,
) -> str:  # fmt: skip
    if global_pooling:
        if kind == "L2":
            return ops.reduce_l2(b, x, [-2, -1], keepdims=True)
        return ops.global_max_pool(b, x) if kind == "MAX" else ops.global_average_pool(b, x)
    if len(kernel_size) != 2 or len(stride) != 2 or min(kernel_size + stride) < 1:  # not read above
        raise WeightsError(f"damaged: a window of {kernel_size} with strides of {stride}")
    attributes: dict[str, Any] = {"kernel_shape": list(kernel_size), "strides": list(stride)}
    if include_last_pixel is not None:
        attributes |= _last_pixel(b, x, kernel_size, stride, include_last_pixel.padding_amounts)
    else:
        attributes |= _padding(valid, same)
    if kind == "AVERAGE":
        attributes["count_include_pad"] = int(not avg_pool_exclude_padding)
    if kind == "L2":
        attributes["p"] = 2
    return _POOLINGS[kind](b, x, **attributes)


def _last_pixel(
    b: Builder, x: str, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> dict[str, Any]:
    """Return the padding of a pooling whose output size is rounded up as in Caffe.

    A last window that would begin after the image and its padding is left out.
    """
    for side, taps, stride, amount in zip(b.extents(x)[-2:], kernel, strides, pads, strict=True):
        if side is None:
            raise UnsupportedError(f"its size is rounded up, and the image's is free: {CHOOSE_SIZE}")
        # This refuses a last window outside of the image.
        count_of_caffe(side, stride, taps, amount, upwards=True, padded=any(pads))
    return {"pads": [*pads, *pads], "ceil_mode": 1}


# ---- Borders and sizes ---------------------------------------------------------------------------------------------


def _padding_layer(
    b: Builder, x: Name, *, constant: Bordered = None, reflection: Bordered = None,
    replication: Bordered = None, padding_amounts: Annotated[Borders, inner(Borders)] = NO_BORDERS,
) -> str:  # fmt: skip
    amounts = padding_amounts.amounts()
    if reflection is not None:
        return pad(b, x, amounts, "reflect")
    if replication is not None:
        return pad(b, x, amounts, "edge")
    return pad(b, x, amounts, "constant", 0.0 if constant is None else constant.value)


def _constant_pad(
    b: Builder, x: Name, given: Name | None = None, *, value: float = 0.0, pad_amounts: Ints = (),
    pad_to_given_output_size_mode: bool = False,
) -> str:  # fmt: skip
    """Convert ConstantPad. Its second input replaces the amounts of the file."""
    amounts = list(pad_amounts)
    if given is not None:
        amounts = b.constant_integers(cast_to_int(b, given), "its border")
    if pad_to_given_output_size_mode:
        amounts = _amounts_of_sizes(b, x, amounts)
    return pad(b, x, amounts, "constant", value)


def _amounts_of_sizes(b: Builder, x: str, sizes: Sequence[int]) -> list[int]:
    """Return the border that gives each axis its size.

    `sizes` has two numbers for each axis, of which at most one is not 0. It is the size of the result. The border comes
    before the axis if the first number is not 0, and after it if the second is not.
    """
    shape = b.fixed_shape(x)
    pairs = list(zip(sizes[0::2], sizes[1::2], strict=False))
    if len(sizes) != 2 * len(shape) or any(
        (before and after) or (before or after) < (extent if before or after else 0)
        for extent, (before, after) in zip(shape, pairs, strict=False)
    ):
        raise WeightsError(f"damaged: pads {shape} to {list(sizes)[:16]}")
    return [size and size - extent for extent, pair in zip(shape, pairs, strict=True) for size in pair]


_SAMPLES = {"DEFAULT": FROM_EDGE, "ALIGN_CORNERS_TRUE": CORNERS, "ALIGN_CORNERS_FALSE": HALF_PIXEL}


def _upsample(
    b: Builder, x: Name, *, scaling_factor: Ints = (1, 1), fractional_scaling_factor: Floats = (),
    mode: Annotated[str, numbered("NN", "BILINEAR")] = "NN",
    linear_upsample_mode: Annotated[str, numbered(*_SAMPLES)] = "DEFAULT",
) -> str:  # fmt: skip
    factors = [float(one) for one in fractional_scaling_factor or scaling_factor]
    if mode == "NN":
        return resize_by_factors(b, x, factors, FROM_EDGE, nearest=True)
    return resize_by_factors(b, x, factors, _SAMPLES[linear_upsample_mode])


_METHODS = {
    "STRICT_ALIGN_ENDPOINTS_MODE": CORNERS,
    "ALIGN_ENDPOINTS_MODE": CORNERS,
    "UPSAMPLE_MODE": FROM_EDGE,
}


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Where the samples of a resize lie."""

    sampling_method: Annotated[str, numbered(*_METHODS, "ROI_ALIGN_MODE", but=("ROI_ALIGN_MODE",))] = (
        "STRICT_ALIGN_ENDPOINTS_MODE"
    )


def _resize(
    b: Builder,
    x: Name,
    *,
    target_size: Pair = (1, 1),
    mode: Annotated[Sampling, inner(Sampling)] = Sampling(),
) -> str:
    method = mode.sampling_method
    if method == "ALIGN_ENDPOINTS_MODE" and 1 in target_size:
        raise UnsupportedError(f"its method {method} is not supported for one row or column")
    return resize(b, x, target_size, _METHODS[method])


def _crop(
    b: Builder, x: Name, like: Name | None = None, *,
    crop_amounts: Annotated[Borders, inner(Borders)] = NO_BORDERS,
    offset: Annotated[Ints, Counted(2)] = (0, 0),
) -> str:  # fmt: skip
    """Convert Crop: by stated rows and columns, or to the size of a second input at an offset."""
    if like is None:
        top, bottom, left, right = crop_amounts.amounts()
        return cut(b, x, (top, left), (bottom, right))
    rank = b.rank(x)
    return crop(b, x, [rank - 2, rank - 1], offset, image(b, like)[2:])


WINDOWS: dict[str, Row] = {
    "constantPad": _constant_pad,
    "convolution": _convolution,
    "crop": _crop,
    "padding": _padding_layer,
    "pooling": _pooling,
    "resizeBilinear": _resize,
    "upsample": _upsample,
}
