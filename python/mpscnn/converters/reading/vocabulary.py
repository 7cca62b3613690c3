"""The vocabulary of all readers: typed functions that add operators to a graph, and return the names of the results.

Each function takes the graph first, then its operands and settings. An operand is the name of a tensor, a number, or a
list of whole numbers. A setting that is left out has the default of the operator. Only this module and the reader of
ONNX know the names of ONNX' operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

from numpy.typing import NDArray

from mpscnn.converters.reading.onnx import near_zero
from mpscnn.converters.reading.onnx.expansions import COMPUTED, PART, UNIT_NORM, Operand, Operators
from mpscnn.converters.reading.onnx.neurons import CAST_OF_FLOATS
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values import gates

Function = TypeVar("Function", bound=Callable[..., Any])

_KINDS: dict[Callable[..., Any], str] = {}
"""ONNX' names of the operators that functions of the vocabulary add."""


def _adds(kind: str) -> Callable[[Function], Function]:
    """Return a decorator for a function that adds an operator of this kind."""

    def decorate(function: Function) -> Function:
        _KINDS[function] = kind
        return function

    return decorate


def _added(g: Operators, function: Callable[..., Any], /, *operands: Operand, **settings: Any) -> str:
    """Add the operator of a function, without the settings that are None."""
    return _several(g, function, operands, 1, **settings)[0]


def _several(
    g: Operators, function: Callable[..., Any], operands: Sequence[Operand], results: int | Sequence[str], /,
    **settings: Any,
) -> list[str]:  # fmt: skip
    """Add the operator of a function with some results, or results of these names, without settings that are None."""
    return g.ops(_KINDS[function], operands, results, **_stated(**settings))


def _stated(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


# ---- Elementwise functions. Operands of other shapes are broadcast, as in NumPy -------------------------------------

Unary = Callable[[Operators, Operand], str]
"""Adds a function of one operand."""

Binary = Callable[[Operators, Operand, Operand], str]
"""Adds a function of two operands."""


def _unary(kind: str) -> Unary:
    @_adds(kind)
    def function(g: Operators, x: Operand) -> str:
        return _added(g, function, x)

    return function


def _binary(kind: str) -> Binary:
    @_adds(kind)
    def function(g: Operators, x: Operand, y: Operand) -> str:
        return _added(g, function, x, y)

    return function


absolute = _unary("Abs")
acos = _unary("Acos")
acosh = _unary("Acosh")
asin = _unary("Asin")
asinh = _unary("Asinh")
atan = _unary("Atan")
atanh = _unary("Atanh")
ceil = _unary("Ceil")
cos = _unary("Cos")
cosh = _unary("Cosh")
erf = _unary("Erf")
exp = _unary("Exp")
floor = _unary("Floor")
hard_swish = _unary("HardSwish")
identity = _unary("Identity")
is_nan = _unary("IsNaN")
log = _unary("Log")
logical_not = _unary("Not")
mish = _unary("Mish")
negate = _unary("Neg")
reciprocal = _unary("Reciprocal")
relu = _unary("Relu")
round_to_even = _unary("Round")
sigmoid = _unary("Sigmoid")
sign = _unary("Sign")
sin = _unary("Sin")
sinh = _unary("Sinh")
softplus = _unary("Softplus")
softsign = _unary("Softsign")
sqrt = _unary("Sqrt")
tan = _unary("Tan")
tanh = _unary("Tanh")

add = _binary("Add")
divide = _binary("Div")
equal = _binary("Equal")
greater = _binary("Greater")
greater_or_equal = _binary("GreaterOrEqual")
less = _binary("Less")
less_or_equal = _binary("LessOrEqual")
logical_and = _binary("And")
logical_or = _binary("Or")
logical_xor = _binary("Xor")
multiply = _binary("Mul")
power = _binary("Pow")
prelu = _binary("PRelu")
subtract = _binary("Sub")


PLAIN: dict[str, Unary] = {
    "abs": absolute,
    "acos": acos,
    "acosh": acosh,
    "asin": asin,
    "asinh": asinh,
    "atan": atan,
    "atanh": atanh,
    "ceil": ceil,
    "cos": cos,
    "cosh": cosh,
    "erf": erf,
    "exp": exp,
    "floor": floor,
    "log": log,
    "mish": mish,
    "neg": negate,
    "not": logical_not,
    "reciprocal": reciprocal,
    "relu": relu,
    "round": round_to_even,
    "sigmoid": sigmoid,
    "sign": sign,
    "sin": sin,
    "sinh": sinh,
    "softplus": softplus,
    "softsign": softsign,
    "sqrt": sqrt,
    "tan": tan,
    "tanh": tanh,
}
"""Functions by the names that many formats have for them."""

ANGLES = ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan")
"""The names of functions of angles and of hyperbolas."""


@_adds("Where")
def where(g: Operators, condition: Operand, x: Operand, y: Operand) -> str:
    """Add x where the condition holds, otherwise y."""
    return _added(g, where, condition, x, y)


@_adds("Max")
def maximum(g: Operators, *x: Operand) -> str:
    """Add the maximum of some tensors."""
    return _added(g, maximum, *x)


@_adds("Min")
def minimum(g: Operators, *x: Operand) -> str:
    """Add the minimum of some tensors."""
    return _added(g, minimum, *x)


@_adds("Mod")
def modulo(g: Operators, x: Operand, y: Operand, *, fmod: int | None = None) -> str:
    """Add the rest of x / y. It has the sign of y, or with `fmod=1` the sign of x."""
    return _added(g, modulo, x, y, fmod=fmod)


def inverse_root(g: Operators, x: Operand) -> str:
    """Add 1 / sqrt(x)."""
    return reciprocal(g, sqrt(g, x))


@_adds("Clip")
def clip(g: Operators, x: Operand, low: Operand, high: Operand) -> str:
    """Limit a tensor to [low, high]; None: there is no such limit."""
    return _added(g, clip, x, low, high)


def expm1(g: Operators, x: str) -> str:
    """Add e^x - 1, without loss of digits near 0."""
    return g.op(*near_zero.expm1(g, x))


def log1p(g: Operators, x: str) -> str:
    """Add ln(1 + x), without loss of digits near 0."""
    return g.op(*near_zero.log1p(g, x))


@_adds("IsInf")
def is_infinite(
    g: Operators, x: Operand, *, detect_negative: int | None = None, detect_positive: int | None = None
) -> str:
    """Tell which elements are infinite: of both signs, or 0 leaves one sign out."""
    return _added(g, is_infinite, x, detect_negative=detect_negative, detect_positive=detect_positive)


@_adds("Celu")
def celu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add max(x, 0) + min(alpha (e^(x / alpha) - 1), 0)."""
    return _added(g, celu, x, alpha=alpha)


@_adds("Elu")
def elu(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x where it is positive, otherwise alpha (e^x - 1)."""
    return _added(g, elu, x, alpha=alpha)


@_adds("Gelu")
def gelu(g: Operators, x: Operand, *, approximate: str | None = None) -> str:
    """Add x times the normal distribution's probability of numbers below x, exactly or by tanh."""
    return _added(g, gelu, x, approximate=approximate)


@_adds("HardSigmoid")
def hard_sigmoid(g: Operators, x: Operand, *, alpha: float, beta: float) -> str:
    """Add alpha x + beta, limited to [0, 1]."""
    return _added(g, hard_sigmoid, x, alpha=alpha, beta=beta)


@_adds("LeakyRelu")
def leaky_relu(g: Operators, x: Operand, *, alpha: float) -> str:
    """Add x where it is positive, otherwise alpha x."""
    return _added(g, leaky_relu, x, alpha=alpha)


@_adds("Selu")
def selu(g: Operators, x: Operand, *, alpha: float | None = None, gamma: float | None = None) -> str:
    """Add gamma times the ELU with alpha."""
    return _added(g, selu, x, alpha=alpha, gamma=gamma)


@_adds("Swish")
def swish(g: Operators, x: Operand, *, alpha: float | None = None) -> str:
    """Add x sigmoid(alpha x)."""
    return _added(g, swish, x, alpha=alpha)


# ---- Arrays --------------------------------------------------------------------------------------------------------

extents = _unary("Shape")
number_of_elements = _unary("Size")
expand = _binary("Expand")
cast_of_floats = _unary(CAST_OF_FLOATS)
squeeze = _binary("Squeeze")
tile = _binary("Tile")
unsqueeze = _binary("Unsqueeze")


@_adds("Cast")
def cast(g: Operators, x: Operand, *, to: int) -> str:
    """Add a cast to a type of elements."""
    return _added(g, cast, x, to=to)


@_adds(COMPUTED)
def computed(g: Operators, *x: Operand, function: Callable[..., Any]) -> str:
    """Add an array that a function computes from arrays."""
    return _added(g, computed, *x, function=function)


@_adds("Concat")
def concatenate(g: Operators, *x: Operand, axis: int) -> str:
    """Join tensors along an axis."""
    return _added(g, concatenate, *x, axis=axis)


@_adds("DepthToSpace")
def depth_to_space(g: Operators, x: Operand, *, blocksize: int, mode: str) -> str:
    """Move channels into blocks of pixels. The mode is "DCR" or "CRD", the order of columns, rows and depth."""
    return _added(g, depth_to_space, x, blocksize=blocksize, mode=mode)


@_adds("Flatten")
def flatten(g: Operators, x: Operand, *, axis: int) -> str:
    """Reshape to a matrix: the axes before `axis`, and the others."""
    return _added(g, flatten, x, axis=axis)


@_adds("Gather")
def gather(g: Operators, x: Operand, indices: Operand, *, axis: int) -> str:
    """Take slices of an axis at positions."""
    return _added(g, gather, x, indices, axis=axis)


@_adds("GatherElements")
def gather_elements(g: Operators, x: Operand, indices: Operand, *, axis: int) -> str:
    """Take elements along an axis, at a position for each."""
    return _added(g, gather_elements, x, indices, axis=axis)


@_adds("GatherND")
def gather_nd(g: Operators, x: Operand, indices: Operand, *, batch_dims: int | None = None) -> str:
    """Take slices at positions of several axes."""
    return _added(g, gather_nd, x, indices, batch_dims=batch_dims)


@_adds("ConstantOfShape")
def filled(g: Operators, shape: Operand, name: str, *, value: NDArray[Any]) -> str:
    """Add a tensor of a shape with this name, whose elements are all the same number: that of an array of one."""
    return _several(g, filled, [shape], [name], value=value)[0]


@_adds("OneHot")
def one_hot(g: Operators, indices: Operand, depth: Operand, values: Operand, *, axis: int) -> str:
    """Add an axis, in which one element has the second of two values, and the others have the first."""
    return _added(g, one_hot, indices, depth, values, axis=axis)


@_adds("Pad")
def pad(g: Operators, x: Operand, amounts: Operand, *value: Operand, mode: str | None = None) -> str:
    """Add a border: of a value, or of elements of the tensor."""
    return _added(g, pad, x, amounts, *value, mode=mode)


@_adds(PART)
def part(g: Operators, x: Operand, *, entries: Sequence[slice]) -> str:
    """Take a part of each axis by slices, as in NumPy."""
    return _added(g, part, x, entries=entries)


@_adds("Range")
def progression(g: Operators, start: Operand, end: Operand, step: Operand) -> str:
    """Add the numbers from `start` on, with steps, before `end`."""
    return _added(g, progression, start, end, step)


@_adds("Reshape")
def reshape(g: Operators, x: Operand, shape: Operand, *, allowzero: int | None = None) -> str:
    """Reshape a tensor. An extent of 0 stays as it is, unless `allowzero` is 1."""
    return _added(g, reshape, x, shape, allowzero=allowzero)


@_adds("ScatterElements")
def scatter_elements(
    g: Operators, x: Operand, indices: Operand, updates: Operand, *, axis: int, reduction: str | None = None
) -> str:
    """Write elements along an axis, at a position for each."""
    return _added(g, scatter_elements, x, indices, updates, axis=axis, reduction=reduction)


@_adds("ScatterND")
def scatter_nd(
    g: Operators, x: Operand, indices: Operand, updates: Operand, *, reduction: str | None = None
) -> str:
    """Write slices at positions of several axes."""
    return _added(g, scatter_nd, x, indices, updates, reduction=reduction)


@_adds("Slice")
def slice_axes(g: Operators, x: Operand, starts: Operand, ends: Operand, *axes_and_steps: Operand) -> str:
    """Take a part of some axes, or of all. The last operands are the axes and the steps."""
    return _added(g, slice_axes, x, starts, ends, *axes_and_steps)


@_adds("SpaceToDepth")
def space_to_depth(g: Operators, x: Operand, *, blocksize: int, mode: str | None = None) -> str:
    """Move blocks of pixels into channels. The modes are those of `depth_to_space`."""
    return _added(g, space_to_depth, x, blocksize=blocksize, mode=mode)


@_adds("Split")
def split(g: Operators, x: Operand, sizes: Sequence[Any], *, axis: int) -> list[str]:
    """Split a tensor along an axis into parts of these sizes."""
    return _several(g, split, [x, sizes], len(sizes), axis=axis)


@_adds("Transpose")
def transpose(g: Operators, x: Operand, *, perm: Sequence[int]) -> str:
    """Put the axes into another order."""
    return _added(g, transpose, x, perm=perm)


@_adds("Trilu")
def triangle(g: Operators, x: Operand, diagonal: Operand, *, upper: int) -> str:
    """Set all elements above a diagonal to 0, or with `upper=1` those below it."""
    return _added(g, triangle, x, diagonal, upper=upper)


# ---- Along axes ----------------------------------------------------------------------------------------------------


class Reduction(Protocol):
    """Adds a reduction of some axes."""

    def __call__(self, g: Operators, x: Operand, axes: Operand, /, *, keepdims: int) -> str:
        """Add the reduction. Its axes stay with the extent 1 if `keepdims` is 1."""


class Along(Protocol):
    """Adds a function along one axis."""

    def __call__(self, g: Operators, x: Operand, /, *, axis: int) -> str:
        """Add the function."""


class Place(Protocol):
    """Adds the position of the largest or smallest element of an axis."""

    def __call__(self, g: Operators, x: Operand, /, *, axis: int, keepdims: int) -> str:
        """Add the position."""


def _reduction(kind: str) -> Reduction:
    @_adds(kind)
    def function(g: Operators, x: Operand, axes: Operand, /, *, keepdims: int) -> str:
        return _added(g, function, x, axes, keepdims=keepdims)

    return function


def _along(kind: str) -> Along:
    @_adds(kind)
    def function(g: Operators, x: Operand, /, *, axis: int) -> str:
        return _added(g, function, x, axis=axis)

    return function


def _place(kind: str) -> Place:
    @_adds(kind)
    def function(g: Operators, x: Operand, /, *, axis: int, keepdims: int) -> str:
        return _added(g, function, x, axis=axis, keepdims=keepdims)

    return function


reduce_l1 = _reduction("ReduceL1")
reduce_l2 = _reduction("ReduceL2")
reduce_log_sum = _reduction("ReduceLogSum")
reduce_log_sum_exp = _reduction("ReduceLogSumExp")
reduce_max = _reduction("ReduceMax")
reduce_mean = _reduction("ReduceMean")
reduce_min = _reduction("ReduceMin")
reduce_prod = _reduction("ReduceProd")
reduce_sum = _reduction("ReduceSum")
reduce_sum_square = _reduction("ReduceSumSquare")

log_softmax = _along("LogSoftmax")
softmax = _along("Softmax")

arg_max = _place("ArgMax")
arg_min = _place("ArgMin")


@_adds("CumSum")
def cumulative_sum(
    g: Operators, x: Operand, axis: Operand, *, exclusive: int | None = None, reverse: int | None = None
) -> str:
    """Add the sums of all elements up to each, along an axis."""
    return _added(g, cumulative_sum, x, axis, exclusive=exclusive, reverse=reverse)


@_adds("TopK")
def top_k(
    g: Operators, x: Operand, count: Operand, *, axis: int, largest: int, sorted: int | None = None
) -> list[str]:
    """Add the largest or smallest elements of an axis, and their positions."""
    return _several(g, top_k, [x, count], 2, axis=axis, largest=largest, sorted=sorted)


# ---- Matrices ------------------------------------------------------------------------------------------------------

matmul = _binary("MatMul")


@_adds("Einsum")
def einsum(g: Operators, *x: Operand, equation: str) -> str:
    """Add a sum of products by Einstein's notation."""
    return _added(g, einsum, *x, equation=equation)


@_adds("Gemm")
def gemm(
    g: Operators, x: Operand, y: Operand, *bias: Operand, alpha: float | None = None, beta: float | None = None,
    transpose_y: int | None = None,
) -> str:  # fmt: skip
    """Add alpha x y + beta bias for matrices. With `transpose_y=1`, y is transposed."""
    return _added(g, gemm, x, y, *bias, alpha=alpha, beta=beta, transB=transpose_y)


# ---- Normalizations ------------------------------------------------------------------------------------------------


@_adds("BatchNormalization")
def batch_norm(
    g: Operators,
    x: Operand,
    scale: Operand,
    bias: Operand,
    mean: Operand,
    variance: Operand,
    *,
    epsilon: float,
) -> str:
    """Normalize by statistics of the file, with numbers for each channel."""
    return _added(g, batch_norm, x, scale, bias, mean, variance, epsilon=epsilon)


@_adds("GroupNormalization")
def group_norm(
    g: Operators, x: Operand, scale: Operand, bias: Operand, *, num_groups: int, epsilon: float
) -> str:
    """Normalize groups of channels by their own statistics."""
    return _added(g, group_norm, x, scale, bias, num_groups=num_groups, epsilon=epsilon)


@_adds("InstanceNormalization")
def instance_norm(g: Operators, x: Operand, scale: Operand, bias: Operand, *, epsilon: float) -> str:
    """Normalize each channel of each image by its own statistics."""
    return _added(g, instance_norm, x, scale, bias, epsilon=epsilon)


@_adds("LayerNormalization")
def layer_norm(g: Operators, x: Operand, scale: Operand, *bias: Operand, axis: int, epsilon: float) -> str:
    """Normalize all axes from `axis` on by their own statistics."""
    return _added(g, layer_norm, x, scale, *bias, axis=axis, epsilon=epsilon)


@_adds(UNIT_NORM)
def unit_norm(g: Operators, x: Operand, *, axes: Sequence[int], epsilon: float) -> str:
    """Return x / sqrt(sum of squares over these axes + epsilon). The axes and their extents are known."""
    return _added(g, unit_norm, x, axes=list(axes), epsilon=epsilon)


@_adds("LRN")
def local_response_norm(
    g: Operators, x: Operand, *, size: int, alpha: float, beta: float, bias: float
) -> str:
    """Divide by (bias + alpha / size times the sum of squares of neighbouring channels)^beta."""
    return _added(g, local_response_norm, x, size=size, alpha=alpha, beta=beta, bias=bias)


# ---- Windows -------------------------------------------------------------------------------------------------------

Numbers = Sequence[int] | None
"""A number for each spatial axis; for padding all begins, then all ends. None: the default of the operator."""


class Pooling(Protocol):
    """Adds a pooling of windows."""

    def __call__(
        self, g: Operators, x: Operand, /, *, kernel_shape: Sequence[int], strides: Numbers = None,
        pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
        count_include_pad: int | None = None, p: int | None = None,
    ) -> str:  # fmt: skip
        """Add the pooling. Of the last two settings, averages have the first, and norms have the second."""


def _pooling(kind: str) -> Pooling:
    @_adds(kind)
    def function(
        g: Operators, x: Operand, /, *, kernel_shape: Sequence[int], strides: Numbers = None, pads: Numbers = None,
        auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
        count_include_pad: int | None = None, p: int | None = None,
    ) -> str:  # fmt: skip
        return _added(
            g, function, x, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
            dilations=dilations, ceil_mode=ceil_mode, count_include_pad=count_include_pad, p=p,
        )  # fmt: skip

    return function


average_pool = _pooling("AveragePool")
lp_pool = _pooling("LpPool")
max_pool = _pooling("MaxPool")

global_average_pool = _unary("GlobalAveragePool")
global_max_pool = _unary("GlobalMaxPool")


@_adds("MaxPool")
def max_pool_with_places(
    g: Operators, x: Operand, *, kernel_shape: Sequence[int], strides: Numbers = None, pads: Numbers = None,
    auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
) -> list[str]:  # fmt: skip
    """Add a maximum pooling and the places of the maxima, which are counted in the whole tensor."""
    return _several(
        g, max_pool_with_places, [x], 2, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
        dilations=dilations, ceil_mode=ceil_mode,
    )  # fmt: skip


@_adds("MaxUnpool")
def max_unpool(
    g: Operators, x: Operand, places: Operand, shape: Operand, *, kernel_shape: Sequence[int]
) -> str:
    """Write elements at the places of maxima of a tensor of this shape, whose other elements are 0."""
    return _added(g, max_unpool, x, places, shape, kernel_shape=kernel_shape)


@_adds("Conv")
def convolve(
    g: Operators, x: Operand, weight: Operand, *bias: Operand, kernel_shape: Numbers = None, strides: Numbers = None,
    pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, group: int | None = None,
) -> str:  # fmt: skip
    """Add a convolution. The weight is (filters, channels of a group, spatial axes)."""
    return _added(
        g, convolve, x, weight, *bias, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
        dilations=dilations, group=group,
    )  # fmt: skip


@_adds("ConvTranspose")
def convolve_transposed(
    g: Operators, x: Operand, weight: Operand, *bias: Operand, kernel_shape: Numbers = None, strides: Numbers = None,
    pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, group: int | None = None,
    output_padding: Numbers = None, output_shape: Numbers = None,
) -> str:  # fmt: skip
    """Add a transposed convolution. The weight is (channels, filters of a group, spatial axes)."""
    return _added(
        g, convolve_transposed, x, weight, *bias, kernel_shape=kernel_shape, strides=strides, pads=pads,
        auto_pad=auto_pad, dilations=dilations, group=group, output_padding=output_padding, output_shape=output_shape,
    )  # fmt: skip


@_adds("Col2Im")
def join_columns(
    g: Operators, x: Operand, size: Operand, kernel: Operand, *, dilations: Numbers = None, pads: Numbers = None,
    strides: Numbers = None,
) -> str:  # fmt: skip
    """Add the sums of overlapping blocks, which are the columns of a matrix, as an image of a size."""
    return _added(g, join_columns, x, size, kernel, dilations=dilations, pads=pads, strides=strides)


@_adds("Resize")
def resize(
    g: Operators, x: Operand, scales: Operand = None, *sizes: Operand, mode: str, coordinate_transformation_mode: str,
    nearest_mode: str | None = None, cubic_coeff_a: float | None = None, antialias: int | None = None,
    exclude_outside: int | None = None, axes: Numbers = None,
) -> str:  # fmt: skip
    """Resize the axes of a tensor by scales, or to sizes."""
    return _added(
        g, resize, x, None, scales, *sizes, mode=mode, coordinate_transformation_mode=coordinate_transformation_mode,
        nearest_mode=nearest_mode, cubic_coeff_a=cubic_coeff_a, antialias=antialias,
        exclude_outside=exclude_outside, axes=axes,
    )  # fmt: skip


@_adds("GridSample")
def sample_grid(
    g: Operators, x: Operand, grid: Operand, *, mode: str, padding_mode: str, align_corners: int
) -> str:
    """Sample an image at the positions of a grid."""
    return _added(g, sample_grid, x, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)


# ---- Recurrent layers ----------------------------------------------------------------------------------------------

Cells = Literal["LSTM", "GRU", "RNN"]


def recurrent(
    g: Operators, kind: Cells, x: Operand, weights: Operand, state_weights: Operand, biases: Operand,
    states: Sequence[Operand], *, hidden_size: int, direction: str, activations: Sequence[gates.Function] | None = None,
    activation_alpha: Sequence[float] | None = None, activation_beta: Sequence[float] | None = None,
    linear_before_reset: int | None = None,
) -> list[str]:  # fmt: skip
    """Add a recurrent layer. Its results are all steps and the last states."""
    functions = None if activations is None else [gates.FUNCTIONS[name] for name in activations]
    settings = _stated(
        hidden_size=hidden_size, direction=direction, activations=functions, activation_alpha=activation_alpha,
        activation_beta=activation_beta, linear_before_reset=linear_before_reset,
    )  # fmt: skip
    operands = [x, weights, state_weights, biases, None, *states]
    return g.ops(kind, operands, 3 if kind == "LSTM" else 2, **settings)


# ---- Operators -----------------------------------------------------------------------------------------------------


def added_by(node: Node | None, *functions: Callable[..., Any]) -> Node | None:
    """Return an operator that one of these functions has added; None for others."""
    return node if node is not None and node.kind in [_KINDS[one] for one in functions] else None


def have_one_type(node: Node) -> bool:
    """Return True for an operator whose operands have elements of one type."""
    return added_by(node, *_OF_ONE_TYPE) is not None


def again(g: Operators, node: Node, *operands: Operand) -> str:
    """Add an operator again, with other operands after the first one."""
    return g.op(node.kind, node.inputs[0], *operands, **node.attributes)


_OF_ONE_TYPE = (
    add, batch_norm, concatenate, convolve, convolve_transposed, divide, gemm, matmul, maximum, minimum, multiply,
    subtract,
)  # fmt: skip


def axis_of_filters(node: Node) -> int:
    """Return the axis of the weight of a convolution or a dense layer on which its filters are."""
    return 0 if node.kind == _KINDS[convolve] or node.attributes.get("transB") else 1
