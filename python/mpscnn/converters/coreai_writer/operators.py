"""Convert the ONNX operators that mpscnn's ONNX writer uses to operations of Core AI's programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.written_operator import WrittenOperator
from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


class Operator(WrittenOperator):
    """An ONNX node that is being converted.

    Args:
        ai: the module coreai.authoring.
        inputs: values of the program, or constants; None for an operand that is left out.
        attributes: the attributes of the node.
        dtype: the type of floating-point constants.
    """

    target = "Core AI"

    def __init__(
        self, ai: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], dtype: type[np.floating[Any]]
    ) -> None:
        super().__init__(inputs, attributes)
        self.ai, self.dtype = ai, dtype

    @property
    def x(self) -> Any:
        """The first operand, which the network computes."""
        return self.value(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the first operand."""
        return shape_of(self.inputs[0])

    def value(self, place: int) -> Any:
        """Return an operand as a value of the program."""
        return self.of(self.inputs[place])

    def of(self, operand: Any) -> Any:
        """Return a number, an array or a value as a value of the program."""
        from coreai.authoring.constant import constant

        if not isinstance(operand, (np.ndarray, float, int, list)):
            return operand
        array = np.asarray(operand)
        if array.dtype.kind == "f" or isinstance(operand, float):
            array = array.astype(self.dtype)
        elif array.dtype == np.int64:  # larger numbers only mean the end of an axis
            limits = np.iinfo(np.int32)
            array = array.clip(limits.min, limits.max).astype(np.int32)
        return constant(array)

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute; texts are decoded."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def pads(self, count: int) -> list[int]:
        """Return the padding before all spatial axes, then after them."""
        return self.integers("pads", [0] * (2 * count))

    def two(self, kind: str, x: Any, y: Any) -> Any:
        """Compute an operation of two operands, which are broadcast."""
        return getattr(self.ai, f"broadcasting_{kind}")(self.of(x), self.of(y))

    def padded(
        self, x: Any, before: Sequence[int], after: Sequence[int], mode: str = "constant", value: float = 0.0
    ) -> Any:
        """Pad the last axes."""
        if not any((*before, *after)):
            return x
        rest = len(shape_of(x)) - len(before)
        sides = [0] * (2 * rest) + [amount for pair in zip(before, after, strict=True) for amount in pair]
        return self.ai.pad(x, np.array(sides, np.uint32), self.of(np.array(value, np.float32)), mode)

    def reshaped(self, x: Any, shape: Sequence[int]) -> Any:
        """Return a value with another shape."""
        return x if tuple(shape) == shape_of(x) else self.ai.reshape(x, np.array(shape, np.uint32))


Handler = Callable[[Operator], Any]
"""A function that adds the operations for an operator and returns its result, or a list of results."""


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the extents of a constant or a value of the program."""
    found = value.shape if isinstance(value, np.ndarray) else value.type.shape
    return tuple(int(extent) for extent in found)


def _unsigned(values: Sequence[int]) -> Array:
    return np.array(values, np.uint32)


# ---- Windows -------------------------------------------------------------------------------------------------------


def _convolution(op: Operator) -> Any:
    count = len(shape_of(op.inputs[1])) - 2
    pads = op.pads(count)
    x, weight = op.padded(op.x, pads[:count], pads[count:]), op.value(1)
    strides, dilations = op.integers("strides", [1] * count), op.integers("dilations", [1] * count)
    groups = np.array(int(op.attribute("group", 1)), np.uint32)
    if count == 1:  # a sequence is an image with one row
        x, weight = (op.reshaped(one, (*shape_of(one)[:2], 1, shape_of(one)[2])) for one in (x, weight))
        strides, dilations = [1, *strides], [1, *dilations]
    y = op.ai.conv2d(x, weight, _unsigned(strides), _unsigned(dilations), groups)
    if count == 1:
        y = op.reshaped(y, (*shape_of(y)[:2], shape_of(y)[3]))
    return _with_bias(op, y, 2)


def _with_bias(op: Operator, y: Any, place: int) -> Any:
    if not op.given(place):
        return y
    bias = op.constant(place)
    return op.two("add", y, bias.reshape(1, -1, *[1] * (len(shape_of(y)) - 2)))


def _transposed_convolution(op: Operator) -> Any:
    weight, x = shape_of(op.inputs[1]), op.x
    count = len(weight) - 2
    if count != 2:
        raise UnsupportedError("a transposed convolution of sequences, which Core AI does not have")
    pads, more = op.pads(2), op.integers("output_padding", [0, 0])
    groups = int(op.attribute("group", 1))
    strides, dilations = op.integers("strides", [1, 1]), op.integers("dilations", [1, 1])
    extents = [op.shape[0], weight[1] * groups]
    for axis, extent in enumerate(shape_of(x)[2:]):
        extents.append(
            (extent - 1) * strides[axis] + dilations[axis] * (weight[2 + axis] - 1) + 1 + more[axis]
        )
    whole = op.ai.conv_transpose2d(
        x, op.value(1), _unsigned(strides), _unsigned([0, 0]), _unsigned(dilations), _unsigned(more),
        np.array(groups, np.uint32),
    )  # fmt: skip
    whole = _with_bias(op, whole, 2)
    if not any(pads):
        return whole
    ranges = {axis + 2: range(pads[axis], extents[axis + 2] - pads[axis + 2]) for axis in range(2)}
    return _sliced(op, whole, ranges)


def _max_pool(op: Operator) -> Any:
    kernel = op.integers("kernel_shape", ())
    if len(kernel) != 2:
        raise UnsupportedError("a pooling of sequences, which Core AI does not have")
    pads, dilations = op.pads(2), op.integers("dilations", [1, 1])
    strides, ceil = op.integers("strides", [1, 1]), bool(op.attribute("ceil_mode", 0))
    x = op.padded(op.x, pads[:2], pads[2:], value=-math.inf)
    return _pooled(op, x, kernel, strides, dilations, ceil=ceil)


def _pooled(
    op: Operator,
    x: Any,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    ceil: bool,
) -> Any:
    extents = list(shape_of(x))
    for axis in range(2):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        steps = (extents[axis + 2] - reach) / strides[axis]
        extents[axis + 2] = (math.ceil(steps) if ceil else math.floor(steps)) + 1
    output = op.ai.TensorType(tuple(extents), op.dtype)
    windows = (_unsigned(kernel), _unsigned(strides), _unsigned(dilations))
    return op.ai.maxpool2d(output, x, *windows, np.array(ceil))


def _average_pool(op: Operator) -> Any:
    """Convert an average: the sum of each window, divided by the number of elements that it covers."""
    kernel, pads = op.integers("kernel_shape", ()), op.pads(2)
    if len(kernel) != 2:
        raise UnsupportedError("a pooling of sequences, which Core AI does not have")
    strides, dilations = op.integers("strides", [1, 1]), op.integers("dilations", [1, 1])
    after, counts = [], []
    for axis, extent in enumerate(op.shape[2:]):
        before, beyond, stride = pads[axis], pads[axis + 2], strides[axis]
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        room = extent + before + beyond - reach
        windows = (-(-room // stride) if op.attribute("ceil_mode", 0) else room // stride) + 1
        if (windows - 1) * stride >= extent + before:  # a window that begins after the image
            windows -= 1
        after.append(max((windows - 1) * stride + reach - extent - before, 0))
        places = np.arange(windows)[:, None] * stride - before + np.arange(kernel[axis]) * dilations[axis]
        low, high = (-before, extent + beyond) if op.attribute("count_include_pad", 0) else (0, extent)
        counts.append(((places >= low) & (places < high)).sum(axis=1))
    windows_of = tuple(op.of(_unsigned(one)) for one in (kernel, strides, dilations))
    total = op.ai.sumpool2d(op.padded(op.x, pads[:2], after), *windows_of)
    shares = 1.0 / np.outer(*counts)
    if (shares == shares[0, 0]).all():
        return op.two("mul", total, float(shares[0, 0]))
    return op.two("mul", total, shares.astype(np.float32)[None, None])


def _global(kind: str) -> Handler:
    return lambda op: getattr(op.ai, kind)(op.x, np.arange(2, len(op.shape), dtype=np.int32))


# ---- Matrices and norms --------------------------------------------------------------------------------------------


def _gemm(op: Operator) -> Any:
    weight = op.value(1)
    if op.attribute("transB", 0):
        weight = op.ai.transpose(weight, _unsigned([1, 0]))
    y = op.ai.broadcasting_batch_matmul(op.x, weight)
    return op.two("add", y, op.constant(2).reshape(-1)) if op.given(2) else y


def _channels(op: Operator, place: int) -> Array:
    return op.constant(place).astype(np.float64).reshape(-1, *[1] * (len(op.shape) - 2))


def _batch_norm(op: Operator) -> Any:
    gamma, beta, mean, variance = (_channels(op, place) for place in range(1, 5))
    scale = gamma / np.sqrt(variance + float(op.attribute("epsilon", 1e-5)))
    offset = (beta - mean * scale).astype(np.float32)
    y = op.x if bool((scale == 1).all()) else op.two("mul", op.x, scale.astype(np.float32))
    return op.two("add", y, offset) if offset.any() else y


def _standardized(op: Operator, x: Any, axes: Sequence[int]) -> Any:
    places = np.array(axes, np.int32)
    centred = op.two("sub", x, op.ai.reduce_mean(x, places))
    variance = op.ai.reduce_mean(op.two("mul", centred, centred), places)
    return op.two("mul", centred, op.ai.rsqrt(op.two("add", variance, float(op.attribute("epsilon", 1e-5)))))


def _layer_norm(op: Operator) -> Any:
    axis, rank = op.axis(-1), len(op.shape)
    y = _standardized(op, op.x, range(axis, rank))
    for place, kind in ((1, "mul"), (2, "add")):
        if op.given(place):
            y = op.two(kind, y, op.constant(place).reshape(op.shape[axis:]))
    return y


def _instance_norm(op: Operator) -> Any:
    y = _standardized(op, op.x, range(2, len(op.shape)))
    for place, kind in ((1, "mul"), (2, "add")):
        y = op.two(kind, y, _channels(op, place).astype(np.float32))
    return y


def _unit_norm(op: Operator) -> Any:
    if int(op.attribute("p", 2)) != 2:
        raise UnsupportedError("a norm of another order than 2")
    square = op.ai.reduce_sum(op.two("mul", op.x, op.x), np.array([op.axis(-1)], np.int32))
    return op.two("divide", op.x, op.ai.sqrt(square))


def _local_response(op: Operator) -> Any:
    size = int(op.attribute("size"))
    alpha, beta, bias = (
        float(op.attribute(name, default))
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    count, channels, *rest = op.shape
    squares = op.reshaped(op.two("mul", op.x, op.x), (count, 1, channels, math.prod(rest)))
    before = (size - 1) // 2
    windows = (op.of(_unsigned(one)) for one in ([size, 1], [1, 1], [1, 1]))
    sums = op.ai.sumpool2d(op.padded(squares, (before, 0), (size - 1 - before, 0)), *windows)
    base = op.two("add", op.two("mul", op.reshaped(sums, op.shape), alpha / size), bias)
    return op.two("divide", op.x, op.two("pow", base, beta))


def _softmax(op: Operator) -> Any:
    return op.ai.softmax(op.x, np.array(op.axis(-1), np.int32))


def _log_softmax(op: Operator) -> Any:
    places = np.array([op.axis(-1)], np.int32)
    shifted = op.two("sub", op.x, op.ai.reduce_max(op.x, places))
    return op.two("sub", shifted, op.ai.log(op.ai.reduce_sum(op.ai.exp(shifted), places)))


def _reduction(kind: str, before: str = "", after: str = "") -> Handler:
    def convert(op: Operator) -> Any:
        x, places = op.x, np.array(op.axes(), np.int32)
        if before == "square":
            x = op.two("mul", x, x)
        elif before:
            x = getattr(op.ai, before)(x)
        y = getattr(op.ai, f"reduce_{kind}")(x, places)
        y = getattr(op.ai, after)(y) if after else y
        return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, places)

    return convert


def _log_sum_exp(op: Operator) -> Any:
    places = np.array(op.axes(), np.int32)
    top = op.ai.reduce_max(op.x, places)
    sums = op.ai.reduce_sum(op.ai.exp(op.two("sub", op.x, top)), places)
    y = op.two("add", op.ai.log(sums), top)
    return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, places)


def _best_place(sign: float) -> Handler:
    def convert(op: Operator) -> Any:
        axis = op.axis(0)
        x = op.x if sign > 0 else op.two("mul", op.x, sign)
        y = op.ai.cast(op.ai.argmax(x, np.array(axis, np.int32)), np.int32)
        return y if op.attribute("keepdims", 1) else op.ai.shrink_dims(y, np.array([axis], np.int32))

    return convert


# ---- Functions -----------------------------------------------------------------------------------------------------


def _one(kind: str) -> Handler:
    return lambda op: getattr(op.ai, kind)(op.x)


def _two(kind: str) -> Handler:
    def convert(op: Operator) -> Any:
        y = op.value(0)
        for place in range(1, len(op.inputs)):
            y = op.two(kind, y, op.value(place))
        return y

    return convert


def _limited(op: Operator, x: Any, low: float, high: float) -> Any:
    x = op.two("maximum", x, low) if low > -1e38 else x
    return op.two("minimum", x, high) if high < 1e38 else x


def _clip(op: Operator) -> Any:
    low = float(op.constant(1).reshape(())) if op.given(1) else -math.inf
    high = float(op.constant(2).reshape(())) if op.given(2) else math.inf
    if low == 0.0 and not high < 1e38:
        return op.ai.relu(op.x)
    return _limited(op, op.x, low, high)


def _hard_sigmoid(op: Operator) -> Any:
    return _gate(op, float(op.attribute("alpha", 0.2)), float(op.attribute("beta", 0.5)))


def _gate(op: Operator, alpha: float, beta: float) -> Any:
    return _limited(op, op.two("add", op.two("mul", op.x, alpha), beta), 0.0, 1.0)


def _hard_swish(op: Operator) -> Any:
    return op.two("mul", op.x, _gate(op, 1 / 6, 0.5))


def _leaky(op: Operator) -> Any:
    return _sloped(op, float(op.attribute("alpha", 0.01)))


def _prelu(op: Operator) -> Any:
    return _sloped(op, op.constant(1))


def _sloped(op: Operator, slope: float | Array) -> Any:
    """Return x above 0, and slope * x below."""
    return op.two("add", op.ai.relu(op.x), op.two("mul", op.two("minimum", op.x, 0.0), slope))


def _elu(op: Operator) -> Any:
    below = op.two("sub", op.ai.exp(op.two("minimum", op.x, 0.0)), 1.0)
    return op.two("add", op.ai.relu(op.x), op.two("mul", below, float(op.attribute("alpha", 1.0))))


def _softplus(op: Operator) -> Any:
    tail = op.ai.exp(op.two("mul", op.ai.abs_(op.x), -1.0))
    return op.two("add", op.ai.relu(op.x), op.ai.log(op.two("add", tail, 1.0)))


def _softsign(op: Operator) -> Any:
    return op.two("divide", op.x, op.two("add", op.ai.abs_(op.x), 1.0))


def _sign(op: Operator) -> Any:
    above, below = (
        op.ai.cast(one, op.dtype) for one in (op.two("greater", op.x, 0.0), op.two("greater", 0.0, op.x))
    )
    return op.two("sub", above, below)


def _swish(op: Operator) -> Any:
    alpha = float(op.attribute("alpha", 1.0))
    return (
        op.ai.silu(op.x) if alpha == 1.0 else op.two("mul", op.x, op.ai.sigmoid(op.two("mul", op.x, alpha)))
    )


def _gelu(op: Operator) -> Any:
    return op.ai.gelu(op.x, approximate=op.attribute("approximate", "none"))


def _rounded(kind: str) -> Handler:
    return lambda op: _whole(op, op.x, kind)


def _whole(op: Operator, x: Any, kind: str) -> Any:
    """Round down ("floor") or up ("ceil") by rounding to the nearest integer, which Core AI has."""
    near = op.ai.round_(x)
    beyond = op.two("greater", near, x) if kind == "floor" else op.two("greater", x, near)
    return op.two("sub" if kind == "floor" else "add", near, op.ai.cast(beyond, op.dtype))


def _turned(op: Operator) -> Any:
    return op.two("greater", op.value(1), op.value(0))


def _opposite(first: int, second: int) -> Handler:
    """Return a function that writes "at least" or "at most": greater or equal."""

    def convert(op: Operator) -> Any:
        x, y = op.value(first), op.value(second)
        return op.two("or", op.two("greater", x, y), op.two("equal", x, y))

    return convert


def _cast(op: Operator) -> Any:
    kinds: dict[int, Any] = {1: op.dtype, 10: op.dtype, 6: np.int32, 7: np.int32, 9: np.bool_}
    kind = kinds.get(int(op.attribute("to")))
    if kind is None:
        raise UnsupportedError(f"casts to the type {op.attribute('to')}")
    x = op.x
    if kind is np.int32 and x.type.dtype in (op.ai.float32, op.ai.float16):
        # Apple's library leaves out a cast to integers that is cast back, so the fraction is cut off before.
        above, below = op.ai.relu(x), op.two("minimum", x, 0.0)
        x = op.two("add", _whole(op, above, "floor"), _whole(op, below, "ceil"))
    return op.ai.cast(x, kind)


def _where(op: Operator) -> Any:
    return op.ai.broadcasting_where(*(op.value(place) for place in range(3)))


# ---- Arrays --------------------------------------------------------------------------------------------------------


def _reshape(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    target = [op.shape[place] if one == 0 else one for place, one in enumerate(target)]
    if -1 in target:
        rest = math.prod(one for one in target if one != -1)
        target[target.index(-1)] = math.prod(op.shape) // rest
    return op.reshaped(op.x, target)


def _flatten(op: Operator) -> Any:
    axis = int(op.attribute("axis", 1))
    return op.reshaped(op.x, (math.prod(op.shape[:axis]), math.prod(op.shape[axis:])))


def _transpose(op: Operator) -> Any:
    order = op.integers("perm", range(len(op.shape))[::-1])
    return op.ai.transpose(op.x, _unsigned(order))


def _squeeze(op: Operator) -> Any:
    return op.ai.shrink_dims(op.x, np.array(op.axes(), np.int32))


def _unsqueeze(op: Operator) -> Any:
    return op.ai.expand_dims(op.x, op.constant(1).reshape(-1).astype(np.int32))


def _concat(op: Operator) -> Any:
    return op.ai.concat(np.array(op.axis(0), np.int32), [op.value(place) for place in range(len(op.inputs))])


def _split(op: Operator) -> Any:
    axis = op.axis(0)
    sizes = [int(one) for one in op.constant(1).reshape(-1)]
    return list(op.ai.split(op.x, _unsigned(sizes), np.array(axis, np.int32)))


def _slice(op: Operator) -> Any:
    return _sliced(op, op.x, op.ranges())


def _sliced(op: Operator, x: Any, ranges: Mapping[int, range]) -> Any:
    """Take ranges of axes. Those that go backwards are reversed first: Core AI's slices end before element 0."""
    extents = shape_of(x)
    backwards = [axis for axis, one in ranges.items() if one.step < 0]
    if backwards:
        x = op.ai.reverse(x, op.of(np.array(backwards, np.int32)))
    chosen = [ranges.get(axis, range(extent)) for axis, extent in enumerate(extents)]
    for axis in backwards:
        one, last = chosen[axis], extents[axis] - 1
        chosen[axis] = range(last - one.start, last - one.stop, -one.step)
    numbers = zip(*((one.start, one.stop, one.step) for one in chosen), strict=True)
    return op.ai.slice_(x, *(np.array(one, np.int32) for one in numbers))


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(op: Operator) -> Any:
    mode = _MODES.get(op.attribute("mode", "constant"))
    if mode is None:
        raise UnsupportedError(f"a border by {op.attribute('mode')}")
    pads, rank, x = [int(one) for one in op.constant(1).reshape(-1)], len(op.shape), op.x
    before, after = pads[:rank], pads[rank:]
    if min(pads) < 0:  # negative amounts crop
        ranges = {
            axis: range(max(-before[axis], 0), extent + min(after[axis], 0))
            for axis, extent in enumerate(op.shape)
        }
        x = _sliced(op, x, ranges)
        before, after = ([max(one, 0) for one in side] for side in (before, after))
    value = float(op.constant(2).reshape(())) if op.given(2) else 0.0
    return op.padded(x, before, after, mode, value)


def _gather(op: Operator) -> Any:
    axis, indices, shape = op.axis(0), op.constant(1), op.shape
    places = indices.reshape(-1)
    made = _taken(op, op.x, axis, np.where(places < 0, places + shape[axis], places).astype(np.int32))
    return (
        op.reshaped(made, (*shape[:axis], *indices.shape, *shape[axis + 1 :])) if indices.ndim != 1 else made
    )


def _taken(op: Operator, x: Any, axis: int, places: Array) -> Any:
    """Take places of an axis: a slice if they are neighbours, otherwise by Core AI's gather of the first axis."""
    if places.size and (np.diff(places) == 1).all():
        return _sliced(op, x, {axis: range(int(places[0]), int(places[-1]) + 1)})
    order = [axis, *(one for one in range(len(shape_of(x))) if one != axis)]
    made = op.ai.gather_nd(op.ai.transpose(x, _unsigned(order)), op.of(places[:, None]))
    return op.ai.transpose(made, _unsigned([order.index(place) for place in range(len(order))]))


def _gather_elements(op: Operator) -> Any:
    return op.ai.gather_along_axis(op.x, op.value(1), np.array(op.axis(0), np.int32))


def _top_k(op: Operator) -> Any:
    count, axis = int(op.constant(1).reshape(-1)[0]), op.axis(-1)
    descending = np.array(bool(op.attribute("largest", 1)))
    numbers = (np.array(axis, np.int32), descending, np.array(True))
    places = op.ai.cast(op.ai.argsort(op.x, *numbers), np.int32)
    places = _sliced(op, places, {axis: range(count)})
    return [op.ai.gather_along_axis(op.x, places, np.array(axis, np.int32)), places]


def _tile(op: Operator) -> Any:
    return op.ai.tile(op.x, _unsigned([int(one) for one in op.constant(1).reshape(-1)]))


def _expand(op: Operator) -> Any:
    shape = np.broadcast_shapes(op.shape, tuple(int(one) for one in op.constant(1).reshape(-1)))
    return op.ai.broadcast_to(op.x, _unsigned(shape))


def _depth_to_space(op: Operator) -> Any:
    block, (count, channels, height, width) = int(op.attribute("blocksize")), op.shape
    left = channels // block**2
    if op.attribute("mode", "DCR") == "CRD":
        apart, order = (count, left, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        apart, order = (count, block, block, left, height, width), (0, 3, 4, 1, 5, 2)
    moved = op.ai.transpose(op.reshaped(op.x, apart), _unsigned(order))
    return op.reshaped(moved, (count, left, height * block, width * block))


def _resize(op: Operator) -> Any:
    if len(op.shape) != 4:
        raise UnsupportedError("a resize of sequences, which Core AI does not have")
    sides = op.shape[2:]
    if op.given(3):
        size = [int(one) for one in op.constant(3).reshape(-1)[-2:]]
    else:
        factors = op.constant(2).reshape(-1)[-2:]
        size = [math.floor(side * factor) for side, factor in zip(sides, factors, strict=True)]
    where = op.attribute("coordinate_transformation_mode", "half_pixel")
    if where not in _SAMPLES:
        raise UnsupportedError(f"a resize with samples as {where} puts them, which Core AI does not have")
    scales, offsets = zip(*(_SAMPLES[where](*one) for one in zip(sides, size, strict=True)), strict=True)
    x, mode = op.x, "linear"
    if op.attribute("mode", "nearest") != "linear":
        mode = "nearest_neighbor"
        rounding = _ROUNDING[op.attribute("nearest_mode", "round_prefer_floor")]
        samples = [
            (np.arange(count) + 0.5 - offset) / scale - 0.5
            for count, scale, offset in zip(size, scales, offsets, strict=True)
        ]
        if any(not np.array_equal(rounding(one), np.rint(one)) for one in samples):
            for axis, (one, side) in enumerate(zip(samples, sides, strict=True), start=2):
                x = _taken(op, x, axis, np.clip(rounding(one), 0, side - 1).astype(np.int32))
            return x
    numbers = [
        np.array([*whole, *of_sides], np.float32) for whole, of_sides in (((1, 1), scales), ((0, 0), offsets))
    ]
    return op.ai.interpolate(x, np.array([*op.shape[:2], *size], np.int32), *numbers, mode)


# The scale and the offset of an axis: element i samples (i + 0.5 - offset) / scale - 0.5.
_SAMPLES: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "half_pixel": lambda side, count: (count / side, 0.0),
    "asymmetric": lambda side, count: (count / side, 0.5 * (1 - count / side)),
    "align_corners": lambda side, count: (
        ((count - 1) / (side - 1), 0.5 * (1 - (count - 1) / (side - 1)))
        if side > 1 and count > 1
        else (1.0, 0.0)
    ),
}
_ROUNDING: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
}


def _cumulative(op: Operator) -> Any:
    if op.attribute("exclusive", 0):
        raise UnsupportedError("cumulative sums without the element itself")
    axis = int(op.constant(1).reshape(())) % len(op.shape)
    return op.ai.scan(op.x, np.array(axis, np.uint32), np.array(bool(op.attribute("reverse", 0))), "sum")


OPERATORS: dict[str, Handler] = {
    "Abs": _one("abs_"),
    "Add": _two("add"),
    "And": _two("and"),
    "ArgMax": _best_place(1.0),
    "ArgMin": _best_place(-1.0),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _rounded("ceil"),
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "CumSum": _cumulative,
    "DepthToSpace": _depth_to_space,
    "Div": _two("divide"),
    "Elu": _elu,
    "Equal": _two("equal"),
    "Erf": _one("erf"),
    "Exp": _one("exp"),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _rounded("floor"),
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global("reduce_mean"),
    "GlobalMaxPool": _global("reduce_max"),
    "Greater": _two("greater"),
    "GreaterOrEqual": _opposite(0, 1),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": lambda op: op.x,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky,
    "Less": _turned,
    "LessOrEqual": _opposite(1, 0),
    "Log": _one("log"),
    "LogSoftmax": _log_softmax,
    "LpNormalization": _unit_norm,
    "MatMul": _two("batch_matmul"),
    "Max": _two("maximum"),
    "MaxPool": _max_pool,
    "Min": _two("minimum"),
    "Mul": _two("mul"),
    "Not": _one("not_"),
    "Or": _two("or"),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _two("pow"),
    "ReduceL1": _reduction("sum", "abs_"),
    "ReduceL2": _reduction("sum", "square", "sqrt"),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _reduction("max"),
    "ReduceMean": _reduction("mean"),
    "ReduceMin": _reduction("min"),
    "ReduceProd": _reduction("product"),
    "ReduceSum": _reduction("sum"),
    "ReduceSumSquare": _reduction("sum", "square"),
    "Relu": _one("relu"),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": _one("round_"),
    "Sigmoid": _one("sigmoid"),
    "Sign": _sign,
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Split": _split,
    "Sqrt": _one("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _two("sub"),
    "Swish": _swish,
    "Tanh": _one("tanh"),
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""The functions that convert operators, by ONNX' name."""
