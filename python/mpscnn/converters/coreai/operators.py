"""List the functions that convert Core AI's operations, one for each kind, and the kinds that are refused.

The signature of a function is the schema of the operation (`converters/rows.py`): operands in the order of the dialect,
and attributes as keywords. Operands annotated with numbers must be constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_graph.blocks import (
    cast_to_int,
    cast_to_integers,
    compare,
    crop,
    pad,
    reverse,
    split,
    take_part,
)
from mpscnn.converters.onnx_graph.builder import BOOL, FLOAT, Builder
from mpscnn.converters.onnx_graph.resizing import CORNERS, FROM_EDGE, HALF_PIXEL, resize
from mpscnn.converters.onnx_reader.quantizations import range_of_integers
from mpscnn.converters.rows import Ints, Operand, Row
from mpscnn.errors import UnsupportedError, WeightsError

Tensor = Annotated[str, Operand()]
Numbers = Annotated[Ints, Operand()]
Reals = Annotated[tuple[float, ...], Operand()]
Whole = Annotated[int, Operand()]
Real = Annotated[float, Operand()]
Flag = Annotated[bool, Operand()]

_LARGEST = 2**31 - 1


def _positive(what: str, values: Ints, count: int) -> list[int]:
    if len(values) != count or not all(0 < value <= _LARGEST for value in values):
        raise WeightsError(f"damaged: its {what} are {list(values[:8])}")
    return list(values)


# ---- Windows -------------------------------------------------------------------------------------------------------


def _conv2d(
    b: Builder,
    input: Tensor,
    weight: Tensor,
    stride: Numbers,
    dilation: Numbers,
    groups: Whole,
    bias: Tensor = "",
) -> str:
    strides, dilations = _positive("strides", stride, 2), _positive("dilations", dilation, 2)
    operands = [input, weight, *([bias] if bias else [])]
    return b.op("Conv", *operands, strides=strides, dilations=dilations, group=groups)


def _conv_transpose2d(
    b: Builder, input: Tensor, weight: Tensor, stride: Numbers, padding: Numbers, dilation: Numbers,
    output_pad: Numbers, groups: Whole, bias: Tensor = "",
) -> str:  # fmt: skip
    if len(padding) not in (2, 4) or len(output_pad) != 2 or min((*padding, *output_pad), default=0) < 0:
        raise WeightsError(f"damaged: its paddings are {padding[:8]} and {output_pad[:8]}")
    sides = (
        [padding[0], padding[1], padding[0], padding[1]]
        if len(padding) == 2
        else [*padding[0::2], *padding[1::2]]
    )
    strides, dilations = _positive("strides", stride, 2), _positive("dilations", dilation, 2)
    operands = [input, weight, *([bias] if bias else [])]
    return b.op(
        "ConvTranspose", *operands, strides=strides, dilations=dilations, pads=sides, group=groups,
        output_padding=list(output_pad),
    )  # fmt: skip


def _max_pool(
    b: Builder, input: Tensor, kernel_size: Numbers, stride: Numbers, dilation: Numbers, ceil_mode: Flag
) -> str:
    windows = {"kernel_shape": kernel_size, "strides": stride, "dilations": dilation}
    settings = {name: _positive(name, values, 2) for name, values in windows.items()}
    return b.op("MaxPool", input, ceil_mode=int(ceil_mode), **settings)


def _sum_pool(b: Builder, input: Tensor, kernel_size: Numbers, strides: Numbers, dilation: Numbers) -> str:
    windows = {"kernel_shape": kernel_size, "strides": strides, "dilations": dilation}
    settings = {name: _positive(name, values, 2) for name, values in windows.items()}
    return b.op("Mul", b.op("AveragePool", input, **settings), float(math.prod(kernel_size)))


_MODES = {
    "constant": "constant",
    "replicate": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "circular": "wrap",
}


def _pad(
    b: Builder, input: Tensor, padding: Numbers, padding_value: Real,
    *, padding_mode: Literal["constant", "replicate", "reflect", "symmetric", "circular"] = "constant",
) -> str:  # fmt: skip
    if len(padding) != 2 * b.rank(input):
        raise WeightsError(f"damaged: pads {list(padding[:8])} for {b.rank(input)} axes")
    return pad(b, input, list(padding), _MODES[padding_mode], padding_value)


def _interpolate(
    b: Builder, input: Tensor, output_shape: Numbers, scale: Reals, offset: Reals,
    *, interpolation_mode: Literal["linear", "nearest_neighbor"] = "linear",
) -> str:  # fmt: skip
    """Resize the last two axes: output i samples (i + 0.5 - offset) / scale - 0.5."""
    extents, size = b.extents(input), list(output_shape)
    if len(size) != 4 or len(extents) != 4 or len(scale) != 4 or len(offset) != 4:
        raise UnsupportedError(
            f"resizes {len(extents)} axes; supported are images (n, channels, height, width)"
        )
    if scale[:2] != (1.0, 1.0) or offset[:2] != (0.0, 0.0):
        raise UnsupportedError("resizes the batch or the channels")
    axes = list(zip(extents[2:], size[2:], scale[2:], offset[2:], strict=True))
    if interpolation_mode == "nearest_neighbor":
        return _nearest(b, input, axes)
    samples = {_samples(*one) for one in axes} - {""}
    if len(samples) > 1 or "?" in samples:
        raise UnsupportedError(
            f"samples by the scales {scale[2:]} and offsets {offset[2:]}, which is not supported"
        )
    return resize(b, input, size[2:], *(samples or {HALF_PIXEL}))


def _nearest(b: Builder, x: str, axes: Sequence[tuple[int | None, int, float, float]]) -> str:
    """Take the pixel that is nearest to each sample; of two equally near ones, the one with the even number."""
    taken: list[NDArray[np.int64]] = []
    for extent, size, scale, offset in axes:
        if extent is None or not 0 < size <= _LARGEST or not scale > 0:
            raise UnsupportedError("takes the nearest pixels of an image whose size is free")
        places = np.rint((np.arange(size) + 0.5 - offset) / scale - 0.5)
        taken.append(np.clip(places, 0, extent - 1).astype(np.int64))
    from_edge = [np.arange(size) * (extent or 0) // size for extent, size, _, _ in axes]
    if all(map(np.array_equal, taken, from_edge)):
        return resize(b, x, [size for _, size, _, _ in axes], FROM_EDGE, nearest=True)
    for axis, places in enumerate(taken, 2):
        x = b.op("Gather", x, places.tolist(), axis=axis)
    return x


def _samples(extent: int | None, size: int, scale: float, offset: float) -> str:
    """Return the rule that gives an axis its samples: "" for one that stays as it is, "?" for an unknown one."""
    if extent is None or extent < 1 or size < 1:
        return "?"
    if extent == size and scale == 1.0 and offset == 0.0:
        return ""
    rounding = 1e-6 * max(scale, 1.0)
    if offset == 0.0 and abs(scale - size / extent) <= rounding:
        return HALF_PIXEL
    if abs(offset - 0.5 * (1 - scale)) <= rounding and abs(scale - size / extent) <= rounding:
        return FROM_EDGE
    corners = (size - 1) / (extent - 1) if extent > 1 else 1.0
    return (
        CORNERS if abs(scale - corners) <= rounding and abs(offset - 0.5 * (1 - corners)) <= rounding else "?"
    )


# ---- Elementwise ---------------------------------------------------------------------------------------------------


def _one(kind: str) -> Row:
    def row(b: Builder, x: Tensor) -> str:
        return b.op(kind, x)

    return row


def _two(kind: str) -> Row:
    def row(b: Builder, x: Tensor, y: Tensor) -> str:
        return b.op(kind, x, y)

    return row


def _rsqrt(b: Builder, x: Tensor) -> str:
    return b.op("Reciprocal", b.op("Sqrt", x))


def _gelu(b: Builder, x: Tensor, *, approximate: Literal["none", "tanh", "sigmoid"] = "none") -> str:
    return (
        b.op("Swish", x, alpha=1.702)
        if approximate == "sigmoid"
        else b.op("Gelu", x, approximate=approximate)
    )


def _floor_divide(b: Builder, x: Tensor, y: Tensor) -> str:
    quotient = b.op("Div", x, y)
    if b.is_integer(quotient):
        raise UnsupportedError("divides whole numbers, rounding down, which is not supported")
    return b.op("Floor", quotient)


def _not_equal(b: Builder, x: Tensor, y: Tensor) -> str:
    return b.op("Not", b.op("Equal", x, y))


def _modulo(b: Builder, x: Tensor, y: Tensor) -> str:
    return b.op("Mod", x, y, fmod=1)


def _where(b: Builder, condition: Tensor, x: Tensor, y: Tensor) -> str:
    return b.op("Where", condition, x, y)


def _cast(b: Builder, input: Tensor, *, element: str) -> str:
    """Convert a cast. The reader states the element type of the result."""
    if element.startswith(("si", "ui")):
        return cast_to_integers(b, input, f"{'u' if element[0] == 'u' else ''}int{element[2:]}")
    if element == "i1":
        return b.op("Cast", input, to=BOOL)
    return b.op("Cast", input, to=FLOAT) if b.is_integer(input) or b.is_boolean(input) else input


def _quantize(
    b: Builder, input: Tensor, scale: Tensor, offset1: Tensor, offset2: Tensor, axis: Numbers, *, element: str
) -> str:
    """Compute the integers of numbers, as floats."""
    limits = range_of_integers(f"{'u' if element[0] == 'u' else ''}int{element[2:]}")
    if limits is None:
        raise UnsupportedError(f"quantizes to {element}, which is not supported")
    steps, zero, least = (_along(b, input, one, axis) for one in (scale, offset1, offset2))
    rounded = b.op("Round", b.op("Div", b.op("Sub", input, least), steps))
    return b.op("Clip", b.op("Add", rounded, zero), *map(float, limits))


def _dequantize(
    b: Builder, input: Tensor, scale: Tensor, offset1: Tensor, offset2: Tensor, axis: Numbers
) -> str:
    steps, zero, least = (_along(b, input, one, axis) for one in (scale, offset1, offset2))
    x = b.op("Cast", input, to=FLOAT) if b.is_integer(input) else input
    return b.op("Add", b.op("Mul", b.op("Sub", x, zero), steps), least)


def _along(b: Builder, x: str, numbers: str, axes: Ints) -> str:
    """Return one number, or one for each index of an axis, in a form that broadcasts to x."""
    made = b.op("Cast", numbers, to=FLOAT) if b.is_integer(numbers) else numbers
    if b.rank(numbers) == 0 or b.fixed_shape(numbers) == (1,):
        return b.op("Squeeze", made, [0]) if b.rank(numbers) else made
    if len(axes) != 1:
        raise UnsupportedError(f"has scales along the axes {list(axes)}; one axis is supported")
    shape = [1] * b.rank(x)
    shape[b.axis(x, axes[0])] = -1
    return b.op("Reshape", made, shape)


# ---- Photos --------------------------------------------------------------------------------------------------------

_ALPHA = 255.0


def _image_to_tensor(b: Builder, source: Tensor, *, pixels: Literal["k24RGB", "k32ARGB", "k32BGRA"]) -> str:
    """Return the pixels (height, width, channels) of a photo, which is an input (1, 3, height, width) here."""
    x = b.op("Transpose", source, perm=[0, 2, 3, 1])
    if pixels != "k24RGB":
        opaque = b.weight("alpha", np.broadcast_to(np.float32(_ALPHA), (*b.fixed_shape(x)[:3], 1)))
        colours = b.op("Gather", x, [2, 1, 0], axis=3) if pixels == "k32BGRA" else x
        x = b.op("Concat", *([colours, opaque] if pixels == "k32BGRA" else [opaque, colours]), axis=3)
    return b.op("Squeeze", x, [0])


# ---- Arrays --------------------------------------------------------------------------------------------------------


def _shape(b: Builder, input: Tensor) -> str:
    return b.op("Shape", input)


def _reshape(b: Builder, input: Tensor, new_shape: Tensor) -> str:
    return b.op("Reshape", input, cast_to_int(b, new_shape), allowzero=1)


def _transpose(b: Builder, input: Tensor, permutation: Numbers) -> str:
    order = [b.axis(input, axis) for axis in permutation]
    if sorted(order) != list(range(b.rank(input))):
        raise WeightsError(f"damaged: its order is {order[:8]} of {b.rank(input)} axes")
    return b.op("Transpose", input, perm=order)


def _expand_dims(b: Builder, input: Tensor, axes: Numbers) -> str:
    return b.op("Unsqueeze", input, list(axes))


def _shrink_dims(b: Builder, input: Tensor, axes: Numbers) -> str:
    return b.op("Squeeze", input, list(axes))


def _broadcast_to(b: Builder, input: Tensor, shape: Tensor) -> str:
    return b.op("Expand", input, cast_to_int(b, shape))


def _broadcast_in_dims(b: Builder, input: Tensor, dim_sizes: Numbers, axes: Numbers) -> str:
    shape = [1] * b.rank(input)
    for axis, size in zip(axes, dim_sizes, strict=True):
        shape[b.axis(input, axis)] = size
    return b.op("Expand", input, shape)


def _tile(b: Builder, input: Tensor, dims: Numbers) -> str:
    rank = b.rank(input)
    if len(dims) > rank:
        raise WeightsError(f"damaged: repeats {len(dims)} axes of {rank}")
    return b.op("Tile", input, [1] * (rank - len(dims)) + _positive("repeats", dims, len(dims)))


def _reverse(b: Builder, input: Tensor, dims: Numbers) -> str:
    return reverse(b, input, list(dims))


def _concat(b: Builder, dimension: Whole, *inputs: Tensor) -> str:
    return b.op("Concat", *inputs, axis=b.axis(inputs[0], dimension))


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
    if min(strides, default=1) < 0:
        stated = [b.constant_integers(one, "its indices") for one in (starts, ends)]
        return _backwards(b, input, stated[0], stated[1], strides, extents)
    return b.op("Slice", input, starts, ends, list(range(b.rank(input))), list(strides))


def _backwards(
    b: Builder, x: str, starts: Sequence[int], ends: Sequence[int], strides: Ints, extents: Ints | None
) -> str:
    """Slice some axes backwards.

    By its documentation, an end before the first element includes that element. By the shapes that Apple's library
    computes, it does not. So the shape that the program states decides.
    """
    parts: list[int | slice | EllipsisType | None] = []
    for axis, (start, end, step) in enumerate(zip(starts, ends, strides, strict=True)):
        count = b.extents(x)[axis]
        if count is None or extents is None:
            raise UnsupportedError("takes a part of an axis backwards whose extent is free")
        if step > 0:
            parts.append(slice(start, end, step))
            continue
        first = min(max(start + count if start < 0 else start, 0), count - 1)
        beyond = end + count if end < 0 else end
        choices = [range(first, max(beyond, last), step) for last in (-1, 0)]
        chosen = next((one for one in choices if len(one) == extents[axis]), None)
        if not chosen:
            raise WeightsError(
                f"damaged: takes {extents[axis]} elements backwards from {start} to {end} of {count}"
            )
        parts.append(slice(chosen[0], None if chosen[-1] + step < 0 else chosen[-1] + step, step))
    return take_part(b, x, parts)


def _slice_update(
    b: Builder, input: Tensor, start_indices: Numbers, end_indices: Numbers, strides: Numbers, update: Tensor
) -> str:
    """Convert slice_update with steps of 1: join the update along one axis, or choose it by a constant mask."""
    extents, whole = b.extents(input), []
    for place, (begin, end, step) in enumerate(zip(start_indices, end_indices, strides, strict=True)):
        extent = extents[place]
        if extent is None or step != 1:
            raise UnsupportedError("writes into an axis whose extent is free, or with steps")
        first, last, _ = slice(begin, end).indices(extent)
        if (first, last) != (0, extent):
            whole.append((place, first, max(first, last), extent))
    if not whole:
        return update
    if len(whole) > 1:
        sides, mask = [0] * (2 * len(extents)), np.ones((), np.bool_)
        for axis, first, last, extent in whole:
            sides[2 * axis : 2 * axis + 2] = first, extent - last
            inside = (np.arange(extent) >= first) & (np.arange(extent) < last)
            mask = mask & inside.reshape([-1 if place == axis else 1 for place in range(len(extents))])
        return b.op("Where", b.constant(mask), pad(b, update, sides, "constant"), input)
    ((axis, first, last, extent),) = whole
    parts = [crop(b, input, [axis], [0], [first])] if first else []
    parts.append(update)
    parts += [crop(b, input, [axis], [last], [extent - last])] if last < extent else []
    return b.op("Concat", *parts, axis=axis)


def _range(b: Builder, start: Tensor, stop: Tensor, step: Tensor) -> str:
    return b.op("Range", start, stop, step)


# ---- Along axes ----------------------------------------------------------------------------------------------------


def _reduction(kind: str) -> Row:
    def row(b: Builder, input: Tensor, axes: Numbers) -> str:
        return b.op(kind, input, list(axes), keepdims=1) if axes else input

    return row


def _truths(kind: str, threshold: float) -> Row:
    """Return the row of `all` and `any`, which reduce truth values."""

    def row(b: Builder, input: Tensor, axes: Numbers) -> str:
        numbers = b.op("Cast", input, to=FLOAT)
        return compare(b, "Greater", b.op(kind, numbers, list(axes), keepdims=1), threshold)

    return row


def _argmax(b: Builder, input: Tensor, axis: Whole) -> str:
    return b.op("ArgMax", input, axis=axis, keepdims=1)


def _softmax(b: Builder, input: Tensor, axis: Whole) -> str:
    return b.op("Softmax", input, axis=axis)


def _ordered(place: int) -> Row:
    """Return the row of `sort` or `argsort`. Equal elements keep their order, which is right in both kinds of sorts."""

    def row(b: Builder, input: Tensor, dim: Whole, descending: Flag, stable: Flag = False) -> str:
        del stable
        axis = b.axis(input, dim)
        extent = b.extents(input)[axis]
        if extent is None:
            raise UnsupportedError("orders an axis whose extent is free")
        return b.ops("TopK", [input, [extent]], 2, axis=axis, largest=int(descending))[place]

    return row


def _scan(
    b: Builder, input: Tensor, axis: Whole, reverse: Flag, *, scan_op: Literal["sum", "product", "min", "max"]
) -> str:
    if scan_op != "sum":
        raise UnsupportedError(f"computes cumulative results by {scan_op!r}; supported is 'sum'")
    return b.op("CumSum", input, [axis], reverse=int(reverse))


def _matmul(b: Builder, x: Tensor, y: Tensor) -> str:
    return b.op("MatMul", x, y)


# ---- Positions -----------------------------------------------------------------------------------------------------


def _gather_along_axis(b: Builder, input: Tensor, indices: Tensor, axis: Whole) -> str:
    return b.op("GatherElements", input, cast_to_int(b, indices), axis=axis)


def _gather_nd(b: Builder, input: Tensor, indices: Tensor) -> str:
    return b.op("GatherND", input, cast_to_int(b, indices))


_SCATTERS = {"update": "none", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _scatter_along_axis(
    b: Builder, input: Tensor, indices: Tensor, updates: Tensor, axis: Whole,
    *, scatter_mode: Literal["update", "add", "mul", "max", "min"] = "update",
) -> str:  # fmt: skip
    mode = _SCATTERS[scatter_mode]
    return b.op("ScatterElements", input, cast_to_int(b, indices), updates, axis=axis, reduction=mode)


_REGIONS = {
    "1": "none",
    "coreai.add": "add",
    "coreai.mul": "mul",
    "coreai.maximum": "max",
    "coreai.minimum": "min",
}


def _scatter_nd(b: Builder, input: Tensor, indices: Tensor, updates: Tensor, *, region: str = "1") -> str:
    if region not in _REGIONS:
        raise UnsupportedError(
            "combines old and new elements by operations of its own, which is not supported"
        )
    return b.op("ScatterND", input, cast_to_int(b, indices), updates, reduction=_REGIONS[region])


# ---- The tables ----------------------------------------------------------------------------------------------------

_OF_ONE = (
    "Abs Acos Acosh Asin Asinh Atan Atanh Cos Cosh Erf Exp Log Not Relu Round Sigmoid Sin Sinh Sqrt Tan Tanh"
)
_OF_TWO = {
    "add": "Add", "and": "And", "divide": "Div", "equal": "Equal", "greater": "Greater", "maximum": "Max",
    "minimum": "Min", "mul": "Mul", "or": "Or", "pow": "Pow", "sub": "Sub", "xor": "Xor",
}  # fmt: skip
_BINARY: dict[str, Row] = {
    **{kind: _two(own) for kind, own in _OF_TWO.items()},
    "batch_matmul": _matmul,
    "floor_divide": _floor_divide,
    "modulo": _modulo,
    "not_equal": _not_equal,
    "where": _where,
}
ROWS: dict[str, Row] = {
    **_BINARY,
    **{f"broadcasting_{kind}": row for kind, row in _BINARY.items()},
    **{kind.lower(): _one(kind) for kind in _OF_ONE.split()},
    "all": _truths("ReduceMin", 0.5),
    "any": _truths("ReduceMax", 0.5),
    "argmax": _argmax,
    "argsort": _ordered(1),
    "broadcast_in_dims": _broadcast_in_dims,
    "broadcast_to": _broadcast_to,
    "cast": _cast,
    "concat": _concat,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dequantize": _dequantize,
    "expand_dims": _expand_dims,
    "gather_along_axis": _gather_along_axis,
    "gather_nd": _gather_nd,
    "gelu": _gelu,
    "get_shape": _shape,
    "image_to_tensor": _image_to_tensor,
    "interpolate": _interpolate,
    "max_pool_2d": _max_pool,
    "pad": _pad,
    "quantize": _quantize,
    "range": _range,
    "reduce_max": _reduction("ReduceMax"),
    "reduce_mean": _reduction("ReduceMean"),
    "reduce_min": _reduction("ReduceMin"),
    "reduce_product": _reduction("ReduceProd"),
    "reduce_sum": _reduction("ReduceSum"),
    "reshape": _reshape,
    "reverse": _reverse,
    "rsqrt": _rsqrt,
    "scan": _scan,
    "scatter_along_axis": _scatter_along_axis,
    "scatter_nd": _scatter_nd,
    "shrink_dims": _shrink_dims,
    "silu": _one("Swish"),
    "slice": _slice,
    "slice_update": _slice_update,
    "softmax": _softmax,
    "sort": _ordered(0),
    "split": _split,
    "sum_pool_2d": _sum_pool,
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
