"""ATen's operators as nodes of ONNX: one function for each kind, and one table of all.

A function takes the model and the operator's arguments. Tensors are names, everything else is as in torch. It returns
the name of its result, or one for each result. It raises UnsupportedError with a reason for arguments that cannot be
expressed. Reading the nodes is another matter: the reader may refuse what is written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.errors import UnsupportedError
from mpscnn.torch_backend.onnx_model import OnnxModel, Shape

Results = str | tuple[str | None, ...]
Operator = Callable[..., Results]


class Writer(OnnxModel):
    """A model that operators are written into.

    Attributes:
        result: the shape of the operator's first result.
        strides: of the operator's first operand.
        arrays: the numbers of tensors that are constants, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.result: Shape = ()
        self.strides: Shape = ()
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}

    def operand(self, value: str | float) -> str:
        """Return a tensor, or a number as one."""
        return value if isinstance(value, str) else self.number(value)

    def rank(self, x: str) -> int:
        """Return how many axes a tensor has."""
        return len(self.shapes[x])

    def axes(self, x: str, given: Sequence[int] | int | None) -> list[int]:
        """Return axes as numbers from 0; all of them where none is given."""
        rank = self.rank(x)
        if given is None or (not isinstance(given, int) and not given):
            return list(range(rank))
        return [axis % max(rank, 1) for axis in ([given] if isinstance(given, int) else given)]

    def reshaped(self, x: str, shape: Sequence[int]) -> str:
        """Return the tensor with other extents."""
        made = self.add("Reshape", x, self.integers(shape))
        self.shapes[made] = tuple(shape)
        return made


# ---- Convolutions and poolings -------------------------------------------------------------------------------------


def _ends(values: Sequence[int], count: int) -> list[int]:
    """One number for each axis in space: torch takes one number for all."""
    return list(values) * count if len(values) == 1 else list(values)


def _convolution(
    g: Writer,
    x: str,
    weight: str,
    bias: str | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> str:
    space = g.rank(x) - 2
    if space not in (1, 2):
        raise UnsupportedError(f"a convolution of {space} axes; supported are 1 and 2")
    pads = _ends(padding, space) * 2
    settings: dict[str, Any] = {
        "strides": _ends(stride, space),
        "dilations": _ends(dilation, space),
        "pads": pads,
    }
    inputs = [x, weight, bias] if bias else [x, weight]
    if transposed:
        settings["output_padding"] = _ends(output_padding, space)
        return g.add("ConvTranspose", *inputs, group=groups, **settings)
    return g.add("Conv", *inputs, group=groups, **settings)


def _max_pool(
    g: Writer,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[str, None]:
    space = len(g.result) - 2
    window = _ends(kernel, space)
    made = g.add(
        "MaxPool",
        x,
        kernel_shape=window,
        strides=_ends(stride, space) if stride else window,
        pads=_ends(padding, space) * 2,
        dilations=_ends(dilation, space),
        ceil_mode=int(ceil_mode),
    )
    return made, None


def _average_pool(
    g: Writer,
    x: str,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> str:
    if divisor_override is not None:
        raise UnsupportedError("a divisor_override")
    space = g.rank(x) - 2
    window = _ends(kernel, space)
    return g.add(
        "AveragePool",
        x,
        kernel_shape=window,
        strides=_ends(stride, space) if stride else window,
        pads=_ends(padding, space) * 2,
        ceil_mode=int(ceil_mode),
        count_include_pad=int(count_include_pad),
    )


def _adaptive(reduce: str, pooling: str) -> Callable[[Writer, str, Sequence[int]], str]:
    def write(g: Writer, x: str, _: Sequence[int]) -> str:
        """Pool with one window where all are alike; otherwise reduce rows first, then columns."""
        first = len(g.result) - 2
        pairs = list(zip(g.shapes[x], g.result, strict=True))[first:]
        if g.rank(x) == 4 and all(extent % count == 0 for extent, count in pairs):
            kernel = [extent // count for extent, count in pairs]
            return g.add(pooling, x, kernel_shape=kernel, strides=kernel)
        for axis, (extent, count) in enumerate(pairs, start=first):
            along = g.integers([axis])
            parts = []
            for number in range(count):
                begin, end = number * extent // count, -(-(number + 1) * extent // count)
                part = g.add("Slice", x, g.integers([begin]), g.integers([end]), along)
                parts.append(g.add(reduce, part, along, keepdims=1))
            x = g.add("Concat", *parts, axis=axis)
        return x

    return write


_adaptive_average = _adaptive("ReduceMean", "AveragePool")
_adaptive_maximum_alone = _adaptive("ReduceMax", "MaxPool")


def _adaptive_maximum(g: Writer, x: str, size: Sequence[int]) -> tuple[str, None]:
    return _adaptive_maximum_alone(g, x, size), None


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _filled(g: Writer, given: str | None, count: int, number: float) -> str:
    return given or g.constant(np.full(count, number, np.float32))


def _batch_norm(
    g: Writer, x: str, weight: str | None, bias: str | None, mean: str, variance: str, _: float, eps: float
) -> tuple[str, None, None]:
    """Normalize by statistics that are known."""
    channels = g.shapes[x][1]
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.add("BatchNormalization", x, *factors, mean, variance, epsilon=eps), None, None


def _batch_norm_of_mode(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    mean: str | None,
    variance: str | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[str, None, None]:
    if training or mean is None or variance is None:
        return _norm_of_rows(g, x, weight, bias, training, momentum, eps)
    return _batch_norm(g, x, weight, bias, mean, variance, momentum, eps)


def _norm_of_rows(
    g: Writer, x: str, weight: str | None, bias: str | None, _: bool, __: float, eps: float
) -> tuple[str, None, None]:
    """Normalize by the statistics of a batch of one image: torch writes an instance normalization so."""
    batch, channels, *_rest = g.shapes[x]
    if batch != 1:
        raise UnsupportedError(f"the statistics of a batch of {batch}")
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.add("InstanceNormalization", x, *factors, epsilon=eps), None, None


def _layer_norm(
    g: Writer, x: str, shape: Sequence[int], weight: str | None, bias: str | None, eps: float
) -> tuple[str, None, None]:
    factor = weight or g.constant(np.ones(tuple(shape), np.float32))
    inputs = [x, factor, bias] if bias else [x, factor]
    return g.add("LayerNormalization", *inputs, axis=-len(shape), epsilon=eps), None, None


def _group_norm(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    _batch: int,
    channels: int,
    _pixels: int,
    groups: int,
    eps: float,
) -> tuple[str, None, None]:
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.add("GroupNormalization", x, *factors, num_groups=groups, epsilon=eps), None, None


def _rms_norm(
    g: Writer, x: str, shape: Sequence[int], weight: str | None, eps: float | None
) -> tuple[str, None]:
    epsilon = float(np.finfo(np.float32).eps) if eps is None else eps
    axes = g.integers([g.rank(x) - 1 - place for place in range(len(shape))])
    mean = g.add("ReduceMean", g.add("Mul", x, x), axes, keepdims=1)
    root = g.add("Sqrt", g.add("Add", mean, g.number(epsilon)))
    made = g.add("Div", x, root)
    return (g.add("Mul", made, weight) if weight else made), None


# ---- Matrices ------------------------------------------------------------------------------------------------------


def _matrix_product(g: Writer, x: str, y: str) -> str:
    return g.add("MatMul", x, y)


def _scaled(g: Writer, x: str, factor: float) -> str:
    return x if factor == 1 else g.add("Mul", x, g.number(factor))


def _sum_and_product(g: Writer, bias: str, x: str, y: str, beta: float = 1, alpha: float = 1) -> str:
    if beta == 0:
        return _scaled(g, g.add("MatMul", x, y), alpha)
    if g.rank(x) == 2 and g.rank(bias) == 1:
        return g.add("Gemm", x, y, bias, alpha=float(alpha), beta=float(beta))
    return g.add("Add", _scaled(g, g.add("MatMul", x, y), alpha), _scaled(g, bias, beta))


def _linear(g: Writer, x: str, weight: str, bias: str | None = None) -> str:
    made = g.add("MatMul", x, g.add("Transpose", weight, perm=[1, 0]))
    return g.add("Add", made, bias) if bias else made


def _attention(
    g: Writer,
    query: str,
    key: str,
    value: str,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: str | None = None,
    scale: float | None = None,
) -> tuple[str, None]:
    if dropout:
        raise UnsupportedError("dropout in training")
    rank = g.rank(key)
    turned = g.add("Transpose", key, perm=[*range(rank - 2), rank - 1, rank - 2])
    factor = 1 / math.sqrt(g.shapes[query][-1]) if scale is None else scale
    scores = g.add("Mul", g.add("MatMul", query, turned), g.number(factor))
    if is_causal:
        rows, columns = g.shapes[query][-2], g.shapes[key][-2]
        later = np.triu(np.full((rows, columns), np.finfo(np.float32).min, np.float32), 1)
        scores = g.add("Add", scores, g.constant(later))
    if attn_mask is not None:
        scores = g.add("Add", scores, attn_mask)
    return g.add("MatMul", g.add("Softmax", scores, axis=-1), value), None


# ---- Functions of each element -------------------------------------------------------------------------------------


def _function(kind: str, **attributes: Any) -> Operator:
    return lambda g, x: g.add(kind, x, **attributes)


def _gelu(g: Writer, x: str, approximate: str = "none") -> str:
    return g.add("Gelu", x, approximate=approximate)


def _silu(g: Writer, x: str) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


def _clamp(g: Writer, x: str, low: float | None = None, high: float | None = None) -> str:
    limits = [None if limit is None else g.number(limit) for limit in (low, high)]
    return g.add("Clip", x, *limits)


def _hardtanh(g: Writer, x: str, low: float = -1.0, high: float = 1.0) -> str:
    return _clamp(g, x, low, high)


def _leaky_relu(g: Writer, x: str, slope: float = 0.01) -> str:
    return g.add("LeakyRelu", x, alpha=float(slope))


def _elu(g: Writer, x: str, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> str:
    if input_scale != 1:
        raise UnsupportedError(f"an ELU with input_scale {input_scale}")
    return _scaled(g, g.add("Elu", x, alpha=float(alpha)), scale)


def _celu(g: Writer, x: str, alpha: float = 1.0) -> str:
    return g.add("Celu", x, alpha=float(alpha))


def _prelu(g: Writer, x: str, slope: str) -> str:
    return g.add("PRelu", x, slope)


def _softplus(g: Writer, x: str, beta: float = 1.0, threshold: float = 20.0) -> str:
    # Beyond the threshold torch returns x, which differs from the function by less than float32 can tell.
    if threshold < 20:
        raise UnsupportedError(f"a softplus with the threshold {threshold}")
    return _scaled(g, g.add("Softplus", _scaled(g, x, beta)), 1 / beta)


def _rsqrt(g: Writer, x: str) -> str:
    return g.add("Reciprocal", g.add("Sqrt", x))


# ---- Arithmetic ----------------------------------------------------------------------------------------------------


def _arithmetic(kind: str) -> Operator:
    def write(g: Writer, x: str | float, y: str | float, alpha: float = 1) -> str:
        second = g.operand(y)
        return g.add(kind, g.operand(x), second if alpha == 1 else g.add("Mul", second, g.number(alpha)))

    return write


def _sum_of_product(g: Writer, x: str, y: str, z: str, *, value: float = 1) -> str:
    return g.add("Add", x, _scaled(g, g.add("Mul", y, z), value))


def _difference_from(g: Writer, x: str, y: str | float, alpha: float = 1) -> str:
    return g.add("Sub", g.operand(y), _scaled(g, x, alpha))


def _quotient_of_mode(g: Writer, x: str, y: str | float, *, rounding_mode: str | None) -> str:
    made = g.add("Div", x, g.operand(y))
    if rounding_mode is None:
        return made
    if rounding_mode == "floor":
        return g.add("Floor", made)
    raise UnsupportedError(f"a quotient with rounding_mode {rounding_mode!r}")


def _power(g: Writer, x: str | float, exponent: str | float) -> str:
    return g.add("Pow", g.operand(x), g.operand(exponent))


def _comparison(kind: str) -> Operator:
    return lambda g, x, y: g.add(kind, g.operand(x), g.operand(y))


def _unequal(g: Writer, x: str, y: str | float) -> str:
    return g.add("Not", g.add("Equal", x, g.operand(y)))


def _where(g: Writer, condition: str, x: str | float, y: str | float) -> str:
    return g.add("Where", condition, g.operand(x), g.operand(y))


def _masked_fill(g: Writer, x: str, mask: str, value: str | float) -> str:
    return g.add("Where", mask, g.operand(value), x)


# ---- Reductions ----------------------------------------------------------------------------------------------------


def _reduction(kind: str) -> Operator:
    def write(
        g: Writer, x: str, axes: Sequence[int] | int | None = None, keepdim: bool = False, **_: Any
    ) -> str:
        return g.add(kind, x, g.integers(g.axes(x, axes)), keepdims=int(keepdim))

    return write


def _extreme(kind: str) -> Operator:
    """Return the largest or smallest number along an axis; its place is another result, which is not computed."""
    reduce = _reduction(kind)

    def write(g: Writer, x: str, axis: int, keepdim: bool = False) -> tuple[str, None]:
        return str(reduce(g, x, axis, keepdim)), None

    return write


def _deviations(
    g: Writer, x: str, axes: Sequence[int] | int | None, correction: float | None, keepdim: bool
) -> tuple[str, str]:
    """Return the variance and the mean."""
    numbers = g.axes(x, axes)
    along = g.integers(numbers)
    mean = g.add("ReduceMean", x, along, keepdims=1)
    difference = g.add("Sub", x, mean)
    variance = g.add("ReduceMean", g.add("Mul", difference, difference), along, keepdims=int(keepdim))
    count = math.prod(g.shapes[x][axis] for axis in numbers)
    taken = 1.0 if correction is None else correction
    if count <= taken:
        raise UnsupportedError(f"a variance of {count} elements with the correction {taken:g}")
    return _scaled(g, variance, count / (count - taken)), mean if keepdim else g.add(
        "ReduceMean", x, along, keepdims=0
    )


def _variance(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> str:
    return _deviations(g, x, axes, correction, keepdim)[0]


def _variance_and_mean(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[str, str]:
    return _deviations(g, x, axes, correction, keepdim)


def _deviation(
    g: Writer,
    x: str,
    axes: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> str:
    return g.add("Sqrt", _deviations(g, x, axes, correction, keepdim)[0])


def _vector_norm(
    g: Writer,
    x: str,
    order: float = 2,
    axes: Sequence[int] | None = None,
    keepdim: bool = False,
) -> str:
    kinds = {2: "ReduceL2", 1: "ReduceL1"}
    if order not in kinds:
        raise UnsupportedError(f"a norm of the order {order}; supported are 1 and 2")
    return _reduction(kinds[int(order)])(g, x, axes, keepdim)  # type: ignore[return-value]


def _softmax(kind: str) -> Operator:
    return lambda g, x, axis, *_: g.add(kind, x, axis=axis)


# ---- Shapes and parts ----------------------------------------------------------------------------------------------


def _same(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.add("Identity", x)


def _view(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.reshaped(x, g.result)


def _strided(
    g: Writer, x: str, shape: Sequence[int], strides: Sequence[int], offset: int | None = None
) -> str:
    """Return the same tensor: torch writes other strides for axes of extent 1, where they say nothing."""
    told = zip(shape, strides, g.strides, strict=True) if len(shape) == g.rank(x) else None
    is_same = told is not None and all(extent == 1 or one == other for extent, one, other in told)
    if tuple(shape) != g.shapes[x] or not is_same or offset:
        raise UnsupportedError("a view of other elements")
    return g.add("Identity", x)


def _permute(g: Writer, x: str, axes: Sequence[int]) -> str:
    return g.add("Transpose", x, perm=g.axes(x, axes))


def _exchanged(g: Writer, x: str, first: int = 0, second: int = 1) -> str:
    axes = list(range(g.rank(x)))
    if len(axes) < 2:
        return g.add("Identity", x)
    axes[first], axes[second] = axes[second], axes[first]
    return g.add("Transpose", x, perm=axes)


def _expand(g: Writer, x: str, *_: Any, **__: Any) -> str:
    return g.add("Expand", x, g.integers(g.result))


def _concatenation(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    kept = [one for one in tensors if 0 not in g.shapes[one]]
    return g.add("Concat", *kept, axis=axis % len(g.result))


def _stack(g: Writer, tensors: Sequence[str], axis: int = 0) -> str:
    along = g.integers([axis % len(g.result)])
    return g.add("Concat", *[g.add("Unsqueeze", one, along) for one in tensors], axis=axis % len(g.result))


def _slice(
    g: Writer, x: str, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> str:
    (number,) = g.axes(x, axis)
    begin, stop, _ = slice(start, end, step).indices(g.shapes[x][number])
    if (begin, stop, step) == (0, g.shapes[x][number], 1):
        return g.add("Identity", x)
    return g.add("Slice", x, *(g.integers([value]) for value in (begin, stop, number, step)))


def _select(g: Writer, x: str, axis: int, place: int) -> str:
    (number,) = g.axes(x, axis)
    begin = place % g.shapes[x][number]
    part = g.add("Slice", x, *(g.integers([value]) for value in (begin, begin + 1, number)))
    return g.reshaped(part, g.result)


def _split(g: Writer, x: str, size: int, axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    extent = g.shapes[x][number]
    return _split_into(g, x, [min(size, extent - start) for start in range(0, extent, size)], axis)


def _split_into(g: Writer, x: str, sizes: Sequence[int], axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    if len(sizes) == 1:
        return (g.add("Identity", x),)
    return g.split(x, number, sizes)


def _unbind(g: Writer, x: str, axis: int = 0) -> tuple[str, ...]:
    (number,) = g.axes(x, axis)
    extents = list(g.shapes[x])
    parts = _split_into(g, x, [1] * extents.pop(number), number)
    return tuple(g.reshaped(part, extents) for part in parts)


def _index(g: Writer, x: str, indices: Sequence[str | None]) -> str:
    """Take places of one axis, which have to be known."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(given) != 1:
        raise UnsupportedError(f"takes places of {len(given)} axes at once; supported is 1")
    return _index_select(g, x, *given[0])


def _index_select(g: Writer, x: str, axis: int, index: str) -> str:
    if index not in g.arrays or g.arrays[index].dtype != np.int64:
        raise UnsupportedError("takes places that are computed or are no integers")
    return g.add("Gather", x, index, axis=axis)


def _flip(g: Writer, x: str, axes: Sequence[int]) -> str:
    for axis in g.axes(x, axes):
        x = g.add("Slice", x, *(g.integers([value]) for value in (-1, -(2**31), axis, -1)))
    return x


def _roll(g: Writer, x: str, shifts: Sequence[int], axes: Sequence[int] = ()) -> str:
    if not axes:
        raise UnsupportedError("rolls all axes as one")
    shape = g.shapes[x]
    for shift, axis in zip(shifts, axes, strict=True):
        cut = -shift % shape[axis]
        if cut:
            behind, before = g.split(x, axis % len(shape), [cut, shape[axis] - cut])
            x = g.add("Concat", before, behind, axis=axis % len(shape))
    return x


def _repeat(g: Writer, x: str, repeats: Sequence[int]) -> str:
    if (more := len(repeats) - g.rank(x)) > 0:
        x = g.reshaped(x, [1] * more + list(g.shapes[x]))
    return g.add("Tile", x, g.integers(repeats))


def _pixel_shuffle(g: Writer, x: str, factor: int) -> str:
    return g.add("DepthToSpace", x, blocksize=factor, mode="CRD")


def _pixel_unshuffle(g: Writer, x: str, factor: int) -> str:
    batch, channels, height, width = g.shapes[x]
    apart = g.reshaped(x, [batch, channels, height // factor, factor, width // factor, factor])
    turned = g.add("Transpose", apart, perm=[0, 1, 3, 5, 2, 4])
    return g.reshaped(turned, g.result)


def _channel_shuffle(g: Writer, x: str, groups: int) -> str:
    batch, channels, *space = g.shapes[x]
    apart = g.reshaped(x, [batch, groups, channels // groups, *space])
    turned = g.add("Transpose", apart, perm=[0, 2, 1, *range(3, 3 + len(space))])
    return g.reshaped(turned, g.result)


def _pad(g: Writer, x: str, padding: Sequence[int], mode: str, value: float = 0.0) -> str:
    """Write torch's order, last axis first, in ONNX' order: all begins, then all ends."""
    rank, pairs = g.rank(x), len(padding) // 2
    before, after = [0] * rank, [0] * rank
    for place in range(pairs):
        before[rank - 1 - place], after[rank - 1 - place] = padding[2 * place : 2 * place + 2]
    inputs = [x, g.integers(before + after)]
    return g.add("Pad", *inputs, *([g.number(value)] if mode == "constant" else []), mode=mode)


def _padding(mode: str) -> Operator:
    return lambda g, x, padding, value=0.0: _pad(g, x, padding, mode, value)


# ---- Resizes -------------------------------------------------------------------------------------------------------


_NEAREST = {
    "nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest-exact": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
}


def _resize(
    g: Writer,
    x: str,
    _size: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool | None,
) -> str:
    """Write an operator of `resizes`. Torch computes with the factors where they are given."""
    if mode in _NEAREST:
        settings: dict[str, Any] = {"mode": "nearest", **_NEAREST[mode]}
    else:
        places = "align_corners" if align_corners else "half_pixel"
        settings = {"mode": "linear", "coordinate_transformation_mode": places}
    if factors is None or align_corners:
        return g.add("Resize", x, None, None, g.integers(g.result), **settings)
    scales = g.constant(np.asarray([1.0, 1.0, *factors], np.float32))
    return g.add("Resize", x, None, scales, **settings)


# ---- The table -----------------------------------------------------------------------------------------------------

OPERATORS: dict[str, Operator] = {
    "convolution.default": _convolution,
    "max_pool2d_with_indices.default": _max_pool,
    "avg_pool2d.default": _average_pool,
    "avg_pool1d.default": _average_pool,
    "_adaptive_avg_pool2d.default": _adaptive_average,
    "adaptive_avg_pool1d.default": _adaptive_average,
    "adaptive_max_pool2d.default": _adaptive_maximum,
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "_native_batch_norm_legit.no_stats": _norm_of_rows,
    "native_batch_norm.default": _batch_norm_of_mode,
    "native_layer_norm.default": _layer_norm,
    "native_group_norm.default": _group_norm,
    "_fused_rms_norm.default": _rms_norm,
    "mm.default": _matrix_product,
    "bmm.default": _matrix_product,
    "matmul.default": _matrix_product,
    "addmm.default": _sum_and_product,
    "baddbmm.default": _sum_and_product,
    "linear.default": _linear,
    "_scaled_dot_product_flash_attention_for_cpu.default": _attention,
    "relu.default": _function("Relu"),
    "sigmoid.default": _function("Sigmoid"),
    "tanh.default": _function("Tanh"),
    "gelu.default": _gelu,
    "silu.default": _silu,
    "mish.default": _function("Mish"),
    "hardswish.default": _function("HardSwish"),
    "hardsigmoid.default": _function("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardtanh.default": _hardtanh,
    "relu6.default": lambda g, x: _clamp(g, x, 0.0, 6.0),
    "leaky_relu.default": _leaky_relu,
    "elu.default": _elu,
    "celu.default": _celu,
    "_prelu_kernel.default": _prelu,
    "softplus.default": _softplus,
    "abs.default": _function("Abs"),
    "neg.default": _function("Neg"),
    "exp.default": _function("Exp"),
    "log.default": _function("Log"),
    "sqrt.default": _function("Sqrt"),
    "rsqrt.default": _rsqrt,
    "reciprocal.default": _function("Reciprocal"),
    "erf.default": _function("Erf"),
    "floor.default": _function("Floor"),
    "ceil.default": _function("Ceil"),
    "round.default": _function("Round"),
    "sign.default": _function("Sign"),
    "clamp.default": _clamp,
    "clamp_min.default": _clamp,
    "clamp_max.default": lambda g, x, high: _clamp(g, x, None, high),
    "add.Tensor": _arithmetic("Add"),
    "add.Scalar": _arithmetic("Add"),
    "addcmul.default": _sum_of_product,
    "sub.Tensor": _arithmetic("Sub"),
    "sub.Scalar": _arithmetic("Sub"),
    "rsub.Scalar": _difference_from,
    "rsub.Tensor": _difference_from,
    "mul.Tensor": _arithmetic("Mul"),
    "mul.Scalar": _arithmetic("Mul"),
    "div.Tensor": _arithmetic("Div"),
    "div.Scalar": _arithmetic("Div"),
    "div.Tensor_mode": _quotient_of_mode,
    "maximum.default": _arithmetic("Max"),
    "minimum.default": _arithmetic("Min"),
    "pow.Tensor_Scalar": _power,
    "pow.Tensor_Tensor": _power,
    "pow.Scalar": _power,
    "gt.Scalar": _comparison("Greater"),
    "gt.Tensor": _comparison("Greater"),
    "ge.Scalar": _comparison("GreaterOrEqual"),
    "ge.Tensor": _comparison("GreaterOrEqual"),
    "lt.Scalar": _comparison("Less"),
    "lt.Tensor": _comparison("Less"),
    "le.Scalar": _comparison("LessOrEqual"),
    "le.Tensor": _comparison("LessOrEqual"),
    "eq.Scalar": _comparison("Equal"),
    "eq.Tensor": _comparison("Equal"),
    "ne.Scalar": _unequal,
    "ne.Tensor": _unequal,
    "logical_not.default": _function("Not"),
    "where.self": _where,
    "masked_fill.Scalar": _masked_fill,
    "masked_fill.Tensor": _masked_fill,
    "mean.dim": _reduction("ReduceMean"),
    "mean.default": _reduction("ReduceMean"),
    "sum.dim_IntList": _reduction("ReduceSum"),
    "sum.default": _reduction("ReduceSum"),
    "amax.default": _reduction("ReduceMax"),
    "amin.default": _reduction("ReduceMin"),
    "max.dim": _extreme("ReduceMax"),
    "min.dim": _extreme("ReduceMin"),
    "prod.dim_int": _reduction("ReduceProd"),
    "logsumexp.default": _reduction("ReduceLogSumExp"),
    "linalg_vector_norm.default": _vector_norm,
    "norm.ScalarOpt_dim": _vector_norm,
    "var.correction": _variance,
    "var_mean.correction": _variance_and_mean,
    "std.correction": _deviation,
    "_softmax.default": _softmax("Softmax"),
    "_log_softmax.default": _softmax("LogSoftmax"),
    "view.default": _view,
    "_unsafe_view.default": _view,
    "reshape.default": _view,
    "_reshape_copy.default": _view,
    "unsqueeze.default": _view,
    "squeeze.default": _view,
    "squeeze.dim": _view,
    "squeeze.dims": _view,
    "as_strided.default": _strided,
    "permute.default": _permute,
    "transpose.int": _exchanged,
    "t.default": _exchanged,
    "expand.default": _expand,
    "clone.default": _same,
    "contiguous.default": _same,
    "alias.default": _same,
    "detach.default": _same,
    "_to_copy.default": _same,
    "cat.default": _concatenation,
    "stack.default": _stack,
    "slice.Tensor": _slice,
    "select.int": _select,
    "split.Tensor": _split,
    "split_with_sizes.default": _split_into,
    "unbind.int": _unbind,
    "index.Tensor": _index,
    "index_select.default": _index_select,
    "flip.default": _flip,
    "roll.default": _roll,
    "repeat.default": _repeat,
    "pixel_shuffle.default": _pixel_shuffle,
    "pixel_unshuffle.default": _pixel_unshuffle,
    "channel_shuffle.default": _channel_shuffle,
    "native_channel_shuffle.default": _channel_shuffle,
    "constant_pad_nd.default": _padding("constant"),
    "reflection_pad1d.default": _padding("reflect"),
    "reflection_pad2d.default": _padding("reflect"),
    "replication_pad1d.default": _padding("edge"),
    "replication_pad2d.default": _padding("edge"),
    "mpscnn.resize.default": _resize,
}

#: Operators that only say otherwise how elements lie: a network of nothing else is not worth its call.
MOVES = frozenset(
    {
        *(
            name
            for name, operator in OPERATORS.items()
            if operator in (_same, _view, _strided, _permute, _exchanged)
        ),
        *("expand.default", "slice.Tensor", "select.int", "split.Tensor", "split_with_sizes.default"),
        "unbind.int",
    }
)

#: Operators that multiply matrices or slide windows, for which a network pays even alone.
PRODUCTS = frozenset(
    {
        *("convolution.default", "mm.default", "bmm.default", "matmul.default", "addmm.default"),
        *("baddbmm.default", "linear.default", "_scaled_dot_product_flash_attention_for_cpu.default"),
    }
)
