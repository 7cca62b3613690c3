"""List the functions that convert Core AI's operations, one for each kind, and the kinds that are refused.

The signature of a function is the schema of the operation (`converters/values/rows.py`): operands in the order of the
dialect, and attributes as keywords. Operands annotated with numbers must be constants.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreai.interpolation import Resized, interpolate_linearly, take_nearest
from mpscnn.converters.reading.coreai.parts import read_backwards, write_part
from mpscnn.converters.reading.graph.blocks import (
    cast_to_int,
    cast_to_integers,
    compare,
    pad,
    reverse,
    split,
)
from mpscnn.converters.reading.graph.builder import BOOL, FLOAT, Builder
from mpscnn.converters.values.integer_limits import range_of_integers
from mpscnn.converters.values.rows import Above, Counted, Floats, Ints, Operand, Row
from mpscnn.errors import UnsupportedError, WeightsError

Tensor = Annotated[str, Operand()]
Numbers = Annotated[Ints, Operand()]
Pair = Annotated[Ints, Operand(), Counted(2)]
Steps = Annotated[Ints, Operand(), Counted(2), Above(0)]
FourReals = Annotated[Floats, Operand(), Counted(4)]
Whole = Annotated[int, Operand()]
Real = Annotated[float, Operand()]
Flag = Annotated[bool, Operand()]


# ---- Rows that are one function ------------------------------------------------------------------------------------


def _of_one(function: ops.Unary) -> Row:
    """Return the row of an operation that is a function of one operand."""

    def row(b: Builder, x: Tensor) -> str:
        return function(b, x)

    return row


def _of_two(function: ops.Binary) -> Row:
    """Return the row of an operation that is a function of two operands."""

    def row(b: Builder, x: Tensor, y: Tensor) -> str:
        return function(b, x, y)

    return row


def _rest_of_dividend(b: Builder, x: Tensor, y: Tensor) -> str:
    return ops.modulo(b, x, y, fmod=1)


def _where(b: Builder, condition: Tensor, x: Tensor, y: Tensor) -> str:
    return ops.where(b, condition, x, y)


def _range(b: Builder, start: Tensor, end: Tensor, step: Tensor) -> str:
    return ops.progression(b, start, end, step)


def _softmax(b: Builder, input: Tensor, axis: Whole) -> str:
    return ops.softmax(b, input, axis=axis)


def _place_of_maximum(b: Builder, input: Tensor, axis: Whole) -> str:
    return ops.arg_max(b, input, axis=axis, keepdims=1)


def _over(function: ops.Binary) -> Row:
    """Return the row of an operation of several axes."""

    def row(b: Builder, input: Tensor, axes: Numbers) -> str:
        return function(b, input, list(axes)) if axes else input

    return row


def _reduction(reduce: ops.Reduction) -> Row:
    """Return the row of a reduction of several axes, which stay with the extent 1."""

    def row(b: Builder, input: Tensor, axes: Numbers) -> str:
        return reduce(b, input, list(axes), keepdims=1) if axes else input

    return row


# ---- Windows -------------------------------------------------------------------------------------------------------


def _conv2d(
    b: Builder, input: Tensor, weight: Tensor, stride: Steps, dilation: Steps, groups: Whole, *bias: Tensor
) -> str:
    return ops.convolve(b, input, weight, *bias, strides=stride, dilations=dilation, group=groups)


def _conv_transpose2d(
    b: Builder, input: Tensor, weight: Tensor, stride: Steps, padding: Numbers, dilation: Steps,
    output_pad: Pair, groups: Whole, *bias: Tensor,
) -> str:  # fmt: skip
    if len(padding) not in (2, 4) or min((*padding, *output_pad)) < 0:
        raise WeightsError(f"damaged: its paddings are {padding[:8]} and {output_pad}")
    sides = [*padding, *padding] if len(padding) == 2 else [*padding[0::2], *padding[1::2]]
    return ops.convolve_transposed(
        b, input, weight, *bias, strides=stride, pads=sides, dilations=dilation, group=groups,
        output_padding=output_pad,
    )  # fmt: skip


def _max_pool_2d(
    b: Builder, input: Tensor, kernel_size: Steps, stride: Steps, dilation: Steps, ceil_mode: Flag
) -> str:
    return ops.max_pool(
        b, input, kernel_shape=kernel_size, strides=stride, dilations=dilation, ceil_mode=int(ceil_mode)
    )


def _sum_pool_2d(b: Builder, input: Tensor, kernel_size: Steps, strides: Steps, dilation: Steps) -> str:
    mean = ops.average_pool(b, input, kernel_shape=kernel_size, strides=strides, dilations=dilation)
    return ops.multiply(b, mean, float(kernel_size[0] * kernel_size[1]))


_BORDERS = {"replicate": "edge", "circular": "wrap"}


def _pad(
    b: Builder, input: Tensor, padding: Numbers, padding_value: Real,
    *, padding_mode: Literal["constant", "replicate", "reflect", "symmetric", "circular"] = "constant",
) -> str:  # fmt: skip
    if len(padding) != 2 * b.rank(input):
        raise WeightsError(f"damaged: pads {padding[:8]} for {b.rank(input)} axes")
    return pad(b, input, padding, _BORDERS.get(padding_mode, padding_mode), padding_value)


def _interpolate(
    b: Builder, input: Tensor, output_shape: Annotated[Ints, Operand(), Counted(4)], scale: FourReals,
    offset: FourReals, *, interpolation_mode: Literal["linear", "nearest_neighbor"] = "linear",
) -> str:  # fmt: skip
    if b.rank(input) != 4 or scale[:2] != (1.0, 1.0) or offset[:2] != (0.0, 0.0):
        raise UnsupportedError("resizes other axes than the height and width of images")
    axes = [
        Resized(*axis)
        for axis in zip(b.extents(input)[2:], output_shape[2:], scale[2:], offset[2:], strict=True)
    ]
    resized = interpolate_linearly if interpolation_mode == "linear" else take_nearest
    return resized(b, input, axes)


# ---- Elementwise ---------------------------------------------------------------------------------------------------


def _gelu(b: Builder, x: Tensor, *, approximate: Literal["none", "tanh", "sigmoid"] = "none") -> str:
    return (
        ops.swish(b, x, alpha=1.702) if approximate == "sigmoid" else ops.gelu(b, x, approximate=approximate)
    )


def _floor_divide(b: Builder, x: Tensor, y: Tensor) -> str:
    quotient = ops.divide(b, x, y)
    if b.is_integer(quotient):
        raise UnsupportedError("divides whole numbers, rounding down, which is not supported")
    return ops.floor(b, quotient)


def _not_equal(b: Builder, x: Tensor, y: Tensor) -> str:
    return ops.logical_not(b, ops.equal(b, x, y))


def _cast(b: Builder, input: Tensor, *, element: str) -> str:
    """Convert a cast. The reader states the element type of the result."""
    if element.startswith(("si", "ui")):
        return cast_to_integers(b, input, f"{'u' if element[0] == 'u' else ''}int{element[2:]}")
    if element == "i1":
        return ops.cast(b, input, to=BOOL)
    return ops.cast(b, input, to=FLOAT) if b.is_integer(input) or b.is_boolean(input) else input


def _quantize(
    b: Builder, input: Tensor, scale: Tensor, offset1: Tensor, offset2: Tensor, axis: Numbers, *, element: str
) -> str:
    """Compute the integers of numbers, as floats."""
    limits = range_of_integers(f"{'u' if element[0] == 'u' else ''}int{element[2:]}")
    if limits is None:
        raise UnsupportedError(f"quantizes to {element}, which is not supported")
    steps, zero, least = (_of_axis(b, input, one, axis) for one in (scale, offset1, offset2))
    rounded = ops.round_to_even(b, ops.divide(b, ops.subtract(b, input, least), steps))
    return ops.clip(b, ops.add(b, rounded, zero), *map(float, limits))


def _dequantize(
    b: Builder, input: Tensor, scale: Tensor, offset1: Tensor, offset2: Tensor, axis: Numbers
) -> str:
    steps, zero, least = (_of_axis(b, input, one, axis) for one in (scale, offset1, offset2))
    x = ops.cast(b, input, to=FLOAT) if b.is_integer(input) else input
    return ops.add(b, ops.multiply(b, ops.subtract(b, x, zero), steps), least)


def _of_axis(b: Builder, x: str, numbers: str, axes: Ints) -> str:
    """Return one number, or one for each index of an axis, in a form that broadcasts to x."""
    made = ops.cast(b, numbers, to=FLOAT) if b.is_integer(numbers) else numbers
    if b.rank(numbers) == 0 or b.fixed_shape(numbers) == (1,):
        return ops.squeeze(b, made, [0]) if b.rank(numbers) else made
    if len(axes) != 1:
        raise UnsupportedError(f"has scales along the axes {list(axes)}; one axis is supported")
    shape = [1] * b.rank(x)
    shape[b.axis(x, axes[0])] = -1
    return ops.reshape(b, made, shape)


# ---- Photos --------------------------------------------------------------------------------------------------------

_ALPHA = 255.0


def _image_to_tensor(b: Builder, source: Tensor, *, pixels: Literal["k24RGB", "k32ARGB", "k32BGRA"]) -> str:
    """Return the pixels (height, width, channels) of a photo, which is an input (1, 3, height, width) here.

    The input has the order of the format's colours: blue, green and red for k32BGRA.
    """
    colours = photo_colours(b, source)
    if pixels == "k24RGB":
        return colours
    opaque = b.weight("alpha", np.broadcast_to(np.float32(_ALPHA), (*b.fixed_shape(colours)[:2], 1)))
    return ops.concatenate(b, *([colours, opaque] if pixels == "k32BGRA" else [opaque, colours]), axis=2)


def photo_colours(b: Builder, source: Tensor) -> str:
    """Return the colours (height, width, 3) of a photo, which is an input (1, 3, height, width) here."""
    return ops.squeeze(b, ops.transpose(b, source, perm=[0, 2, 3, 1]), [0])


COLOUR_PLACES = {"k24RGB": range(3), "k32ARGB": range(1, 4), "k32BGRA": range(3)}
"""The places of the colours in the pixels of these formats."""


# ---- Arrays --------------------------------------------------------------------------------------------------------


def _reshape(b: Builder, input: Tensor, new_shape: Tensor) -> str:
    return ops.reshape(b, input, cast_to_int(b, new_shape), allowzero=1)


def _transpose(b: Builder, input: Tensor, permutation: Numbers) -> str:
    order = [b.axis(input, axis) for axis in permutation]
    if sorted(order) != list(range(b.rank(input))):
        raise WeightsError(f"damaged: its order is {order[:8]} of {b.rank(input)} axes")
    return ops.transpose(b, input, perm=order)


def _broadcast_to(b: Builder, input: Tensor, shape: Tensor) -> str:
    return ops.expand(b, input, cast_to_int(b, shape))


def _broadcast_in_dims(b: Builder, input: Tensor, dim_sizes: Numbers, axes: Numbers) -> str:
    shape = [1] * b.rank(input)
    for axis, size in zip(axes, dim_sizes, strict=True):
        shape[b.axis(input, axis)] = size
    return ops.expand(b, input, shape)


def _tile(b: Builder, input: Tensor, dims: Annotated[Ints, Operand(), Above(0)]) -> str:
    rank = b.rank(input)
    if len(dims) > rank:
        raise WeightsError(f"damaged: repeats {len(dims)} axes of {rank}")
    return ops.tile(b, input, [1] * (rank - len(dims)) + list(dims))


def _reverse(b: Builder, input: Tensor, dims: Numbers) -> str:
    return reverse(b, input, list(dims))


def _concat(b: Builder, dimension: Whole, *inputs: Tensor) -> str:
    return ops.concatenate(b, *inputs, axis=b.axis(inputs[0], dimension))


def _split(b: Builder, input: Tensor, sizes: Numbers, dim: Whole, *, is_one: bool) -> list[str]:
    """Convert split. The reader states whether one size holds for all parts."""
    axis = b.axis(input, dim)
    if not is_one:
        return split(b, input, axis, list(sizes))
    extent, size = b.extents(input)[axis], sizes[0]
    if extent is None or size < 1:
        raise UnsupportedError("splits an axis whose extent is free")
    whole, rest = divmod(extent, size)
    return split(b, input, axis, [size] * whole + ([rest] if rest else []))


def _slice(
    b: Builder, input: Tensor, start_indices: Tensor, end_indices: Tensor, strides: Numbers,
    *, extents: Ints | None = None,
) -> str:  # fmt: skip
    """Convert slice. The reader states the extents of the result, if all are known."""
    starts, ends = (cast_to_int(b, one) for one in (start_indices, end_indices))
    if min(strides, default=1) >= 0:
        return ops.slice_axes(b, input, starts, ends, list(range(b.rank(input))), list(strides))
    first, last = (b.constant_integers(one, "its indices") for one in (starts, ends))
    return read_backwards(b, input, first, last, strides, extents)


def _slice_update(
    b: Builder, input: Tensor, start_indices: Numbers, end_indices: Numbers, strides: Numbers, update: Tensor
) -> str:
    return write_part(b, input, start_indices, end_indices, strides, update)


# ---- Along axes ----------------------------------------------------------------------------------------------------


def _truths(reduce: ops.Reduction, threshold: float) -> Row:
    """Return the row of `all` and `any`, which reduce truth values."""

    def row(b: Builder, input: Tensor, axes: Numbers) -> str:
        numbers = ops.cast(b, input, to=FLOAT)
        return compare(b, ops.greater, reduce(b, numbers, list(axes), keepdims=1), threshold)

    return row


def _ordered(place: int) -> Row:
    """Return the row of `sort` or `argsort`. Equal elements keep their order, which is right in both kinds of sorts."""

    def row(b: Builder, input: Tensor, dim: Whole, descending: Flag, stable: Flag = False) -> str:
        del stable
        axis = b.axis(input, dim)
        extent = b.extents(input)[axis]
        if extent is None:
            raise UnsupportedError("orders an axis whose extent is free")
        return ops.top_k(b, input, [extent], axis=axis, largest=int(descending))[place]

    return row


def _scan(
    b: Builder, input: Tensor, axis: Whole, reverse: Flag, *, scan_op: Literal["sum", "product", "min", "max"]
) -> str:
    if scan_op != "sum":
        raise UnsupportedError(f"computes cumulative results by {scan_op!r}; supported is 'sum'")
    return ops.cumulative_sum(b, input, [axis], reverse=int(reverse))


# ---- Positions -----------------------------------------------------------------------------------------------------


def _gather_along_axis(b: Builder, input: Tensor, indices: Tensor, axis: Whole) -> str:
    return ops.gather_elements(b, input, cast_to_int(b, indices), axis=axis)


def _gather_nd(b: Builder, input: Tensor, indices: Tensor) -> str:
    return ops.gather_nd(b, input, cast_to_int(b, indices))


def _scatter_along_axis(
    b: Builder, input: Tensor, indices: Tensor, updates: Tensor, axis: Whole,
    *, scatter_mode: Literal["update", "add", "mul", "max", "min"] = "update",
) -> str:  # fmt: skip
    mode = "none" if scatter_mode == "update" else scatter_mode
    return ops.scatter_elements(b, input, cast_to_int(b, indices), updates, axis=axis, reduction=mode)


_COMBINED = {"1": "none", "add": "add", "mul": "mul", "maximum": "max", "minimum": "min"}


def _scatter_nd(b: Builder, input: Tensor, indices: Tensor, updates: Tensor, *, region: str = "1") -> str:
    mode = _COMBINED.get(region.removeprefix("coreai."))
    if mode is None:
        raise UnsupportedError(
            "combines old and new elements by operations of its own, which is not supported"
        )
    return ops.scatter_nd(b, input, cast_to_int(b, indices), updates, reduction=mode)


# ---- The tables ----------------------------------------------------------------------------------------------------

_PLAIN = (
    *ops.ANGLES, "abs", "erf", "exp", "log", "not", "relu", "round", "sigmoid", "sqrt", "tanh",
)  # fmt: skip
_BROADCAST: dict[str, Row] = {
    "add": _of_two(ops.add),
    "and": _of_two(ops.logical_and),
    "batch_matmul": _of_two(ops.matmul),
    "divide": _of_two(ops.divide),
    "equal": _of_two(ops.equal),
    "floor_divide": _floor_divide,
    "greater": _of_two(ops.greater),
    "maximum": _of_two(ops.maximum),
    "minimum": _of_two(ops.minimum),
    "modulo": _rest_of_dividend,
    "mul": _of_two(ops.multiply),
    "not_equal": _not_equal,
    "or": _of_two(ops.logical_or),
    "pow": _of_two(ops.power),
    "sub": _of_two(ops.subtract),
    "where": _where,
    "xor": _of_two(ops.logical_xor),
}
ROWS: dict[str, Row] = {
    **_BROADCAST,
    **{f"broadcasting_{kind}": row for kind, row in _BROADCAST.items()},
    **{name: _of_one(ops.PLAIN[name]) for name in _PLAIN},
    "all": _truths(ops.reduce_min, 0.5),
    "any": _truths(ops.reduce_max, 0.5),
    "argmax": _place_of_maximum,
    "argsort": _ordered(1),
    "broadcast_in_dims": _broadcast_in_dims,
    "broadcast_to": _broadcast_to,
    "cast": _cast,
    "concat": _concat,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dequantize": _dequantize,
    "expand_dims": _over(ops.unsqueeze),
    "gather_along_axis": _gather_along_axis,
    "gather_nd": _gather_nd,
    "gelu": _gelu,
    "get_shape": _of_one(ops.extents),
    "image_to_tensor": _image_to_tensor,
    "interpolate": _interpolate,
    "max_pool_2d": _max_pool_2d,
    "pad": _pad,
    "quantize": _quantize,
    "range": _range,
    "reduce_max": _reduction(ops.reduce_max),
    "reduce_mean": _reduction(ops.reduce_mean),
    "reduce_min": _reduction(ops.reduce_min),
    "reduce_product": _reduction(ops.reduce_prod),
    "reduce_sum": _reduction(ops.reduce_sum),
    "reshape": _reshape,
    "reverse": _reverse,
    "rsqrt": _of_one(ops.inverse_root),
    "scan": _scan,
    "scatter_along_axis": _scatter_along_axis,
    "scatter_nd": _scatter_nd,
    "shrink_dims": _over(ops.squeeze),
    "silu": _of_one(ops.swish),
    "slice": _slice,
    "slice_update": _slice_update,
    "softmax": _softmax,
    "sort": _ordered(0),
    "split": _split,
    "sum_pool_2d": _sum_pool_2d,
    "tile": _tile,
    "transpose": _transpose,
}
"""The functions that convert operations, by Core AI's name without the dialect."""

_REASONS = {
    "control flow is not supported: export the module with fixed sizes": "condition if while",
    "values that are kept between runs are not supported": "create_token join_token read_handle write_handle",
    "3-D layers are not supported": "conv3d conv_transpose3d max_pool_3d sum_pool_3d",
    "complex numbers are not supported": "create_complex imaginary_part real_part",
    "integers and their bits are not supported": """
        bitwise_and bitwise_or bitwise_xor broadcasting_bitwise_and broadcasting_bitwise_or broadcasting_bitwise_xor""",
    "the shape of its result depends on the numbers, which is not supported": "non_zero",
    "statistics of the input are not supported: export the network after calibration": """
        asymmetric_quantization_statistics symmetric_quantization_statistics""",
    "code of one device is not supported: export the module without it": "delegate isolated_group metal4_kernel",
    "reductions by operations of their own are not supported": "reduce reduce_index",
    "samples at computed coordinates are not supported": "interpolate_coordinates",
    "outputs that are images are not supported: give tensors": "tensor_to_image",
    "shapes that are broadcast are not supported": "broadcast_shapes",
}
REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason by Core AI's name of the operation."""
