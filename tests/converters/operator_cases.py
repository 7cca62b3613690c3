"""Operators of the formats whose own engine does not run here: what each computes, and how each format writes it.

A row of `OPERATORS` states an operator once. Core ML's neural networks write it as a `Layer`, Core ML's programs as an
`Operation`, and Caffe as a `CaffeLayer`. `forms` returns all rows of one format, which its tests walk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from converters.coreml_writer import Fill, settings
from numpy.typing import NDArray
from reference.convolution import channels_first
from reference.neuron import neuron
from reference.softmax import softmax as softmax_of_the_last_axis

Array = NDArray[np.float64]
Shapes = Sequence[Sequence[int]]
_DRAW = np.random.default_rng(11)


class Layer(NamedTuple):
    """A layer of Core ML's neural networks.

    `exact`: the file's arrays have exactly the axes of the row. Otherwise they have the axes of old files, and the
    network's inputs have one more axis for the batch.
    """

    kind: str
    fill: Fill | None = None
    exact: bool = True


class Operation(NamedTuple):
    """An operation of Core ML's programs. The operand `x` (in attention `query`) is the first input, x0."""

    kind: str
    operands: Mapping[str, Any]


class CaffeLayer(NamedTuple):
    """A layer of Caffe, with the text of its parameters and its weights."""

    kind: str
    parameters: str = ""
    blobs: Sequence[Any] = ()


Form = TypeVar("Form", Layer, Operation, CaffeLayer)


class Operator(NamedTuple):
    """A row: the meaning in float64, the forms, and the shapes of the inputs, images with the channels first.

    `positive`: all inputs are at least 0.2.
    """

    meaning: Callable[..., Any]
    forms: Sequence[Layer | Operation | CaffeLayer]
    shapes: Shapes
    positive: bool


IMAGE = (1, 4, 5, 6)
PLUS, TWO = (IMAGE, (1, 4, 1, 1)), (IMAGE, IMAGE)


def _or_nan(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives NaN outside of its domain, without warnings."""
    return np.errstate(invalid="ignore", divide="ignore")(function)


def row(
    meaning: Callable[..., Any],
    *forms: Layer | Operation | CaffeLayer,
    shapes: Shapes = (IMAGE,),
    positive: bool = False,
) -> Operator:
    return Operator(meaning, forms, shapes, positive)


def layer(kind: str, **values: Any) -> Layer:
    return Layer(kind, settings(**values) if values else None)


def activation(name: str, **values: Any) -> Layer:
    def fill(parameters: Any) -> None:
        curve = getattr(parameters, name)
        curve.SetInParent()
        settings(**values)(curve)

    return Layer("activation", fill)


def operation(kind: str, **operands: Any) -> Operation:
    return Operation(kind, operands)


# ---- Meanings ------------------------------------------------------------------------------------------------------


def sigmoid(x: Array) -> Array:
    return np.asarray(neuron(x, {"kind": "sigmoid"}))


def gelu(x: Array) -> Array:
    return np.asarray(neuron(x, {"kind": "gelu"}))


def softmax(x: Array, axis: int = 1) -> Array:
    return np.moveaxis(softmax_of_the_last_axis(np.moveaxis(x, axis, -1)), -1, axis)


def centred(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    return np.asarray((x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon))


def padded(x: Array, *amounts: int, mode: Any = "constant", **more: Any) -> Array:
    """Pad rows and columns by amounts before and after them."""
    top, bottom, left, right = amounts
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode, **more)  # type: ignore[no-any-return]


def windows(x: Array, kernel: int, stride: int, reduce: Callable[..., Array]) -> Array:
    """Reduce each window. `reduce` gets arrays whose last two axes are windows, and these axes."""
    found: Any = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))  # type: ignore[call-overload]
    return reduce(found[:, :, ::stride, ::stride], (-2, -1))


def root_of_squares(x: Array, axes: Any, **more: Any) -> Array:
    return np.sqrt((x * x).sum(axes, **more))  # type: ignore[no-any-return]


def bilinear(x: Array, height: int, width: int, place: Callable[[int, int, int], float]) -> Array:
    """Return bilinear samples. `place` returns the position of the sample of an index, an extent and a new extent."""

    def along(x: Array, axis: int, size: int) -> Array:
        count, parts = x.shape[axis], []
        for index in range(size):
            where = min(max(place(index, count, size), 0.0), count - 1.0)
            low = min(int(where), count - 1)
            high, rest = min(low + 1, count - 1), where - low
            parts.append(np.take(x, low, axis) * (1 - rest) + np.take(x, high, axis) * rest)
        return np.stack(parts, axis)

    return along(along(x, 2, height), 3, width)


def corners(index: int, count: int, size: int) -> float:
    return index * (count - 1) / (size - 1)


def from_edge(index: int, count: int, size: int) -> float:
    return index * count / size


def half_pixel(index: int, count: int, size: int) -> float:
    return (index + 0.5) * count / size - 0.5


def response(x: Array, k: float) -> Array:
    squares = np.pad(x * x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return x / (k + 0.3 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** 0.6


def _weight(*shape: int) -> NDArray[np.float32]:
    return _DRAW.uniform(0.5, 1.5, shape).astype(np.float32)


FILTERS, _MATRIX, _SIX = _weight(3, 4, 3, 2), _weight(3, 120), _weight(6)
_FOUR, _THREE, _COLUMNS = [_weight(4) for _ in range(4)], _weight(3), _weight(5, 6)
_TURNED = FILTERS.reshape(4, 3, 3, 2)  # (inputs, outputs, height, width)
_CHANNELS = [one.astype(np.float64).reshape(-1, 1, 1) for one in _FOUR]  # the same, aligned with the channels
_ROWS = _weight(5)
_BIAS = _THREE.astype(np.float64).reshape(-1, 1, 1)


def transposed(x: Array, dilation: int = 1) -> Array:
    """Compute a transposed convolution of stride 2 without a border. The dilation is that of the kernel's rows."""
    reach = 2 * dilation + 1
    made = np.zeros((len(x), 3, (x.shape[2] - 1) * 2 + reach, (x.shape[3] - 1) * 2 + 2))
    for row, column in np.ndindex(*x.shape[2:]):
        product = np.einsum("nc,cohw->nohw", x[:, :, row, column], _TURNED)
        made[:, :, 2 * row : 2 * row + reach : dilation, 2 * column : 2 * column + 2] += product
    return made


def _moved(x: Array, into: Sequence[int], order: Sequence[int], shape: Sequence[int]) -> Array:
    return x.reshape(len(x), *into).transpose(order).reshape(len(x), *shape)


def _shuffled(x: Array, *order: int) -> Array:
    return _moved(x, (2, 2, 2, 2, 3), order, (2, 4, 6))


def _unshuffled(x: Array, *order: int) -> Array:
    return _moved(x, (3, 2, 2, 3, 2), order, (12, 2, 3))


def _dense(x: Array) -> Array:
    return x @ _MATRIX.T.astype(np.float64) + _THREE


# ---- Forms ---------------------------------------------------------------------------------------------------------


_KERNEL = "num_output: 3 kernel_h: 3 kernel_w: 2"  # of Caffe's convolutions by FILTERS


def _half_slope(parameters: Any) -> None:
    parameters.PReLU.alpha.float16Value = np.array([0.75], np.float16).tobytes()


def _borders(parameters: Any, *amounts: int) -> None:
    for start, end in (amounts[:2], amounts[2:]):
        parameters.borderAmounts.add(startEdgeSize=start, endEdgeSize=end)


def _padding(mode: str, value: float = 0.0) -> Layer:
    def fill(parameters: Any) -> None:
        getattr(parameters, mode).SetInParent()
        if mode == "constant":
            parameters.constant.value = value
        _borders(parameters.paddingAmounts, 1, 2, 3, 0)

    return Layer("padding", fill)


def _convolution(*, cut: bool = False, **more: Any) -> Layer:
    def fill(parameters: Any) -> None:
        settings(outputChannels=3, kernelChannels=4, kernelSize=[3, 2], weights=FILTERS)(parameters)
        settings(**more)(parameters)
        if not parameters.HasField("same"):
            parameters.valid.SetInParent()
        if cut:
            _borders(parameters.valid.paddingAmounts, 1, 1, 1, 1)

    return Layer("convolution", fill)


def _deconvolution(**more: Any) -> Layer:
    return _convolution(isDeconvolution=True, stride=[2, 2], **more)


def _transposed_operation(**more: Any) -> Operation:
    return operation("conv_transpose", weight=_TURNED, strides=[2, 2], **more)


def statistics(instance: bool, *, computed: bool = False, exact: bool = True) -> Layer:
    given = dict(zip(("gamma", "beta", "mean", "variance"), _FOUR, strict=True))
    flags = {"computeMeanVar": instance or computed, "instanceNormalization": instance}
    return Layer("batchnorm", settings(channels=4, epsilon=1e-3, **given, **flags), exact)


def instance_norm(x: Array) -> Array:
    return centred(x, (2, 3), 1e-3) * _CHANNELS[0] + _CHANNELS[1]


_INNER = settings(inputChannels=120, outputChannels=3, hasBias=True, weights=_MATRIX, bias=_THREE)


def _pool(type: int, kernel: int, stride: int, **more: Any) -> Layer:
    return layer(
        "pooling", type=type, kernelSize=[kernel] * 2, stride=[stride] * 2, **(more or {"valid": {}})
    )


def _pool_operation(kind: str, kernel: int, stride: int, pad_type: str = "valid", **more: Any) -> Operation:
    sizes = {"kernel_sizes": [kernel] * 2, "strides": [stride] * 2}
    return operation(kind, **sizes, pad_type=pad_type, **more)


def _reduce(mode: int, axis: int) -> Layer:
    return layer("reduce", mode=mode, axis=axis, epsilon=0.1)


def _with_last_row(x: Array) -> Array:
    return windows(padded(x, 0, 1, 0, 0, constant_values=-9), 2, 2, np.max)


def _average_of_3(x: Array) -> Array:
    return windows(padded(x, 1, 1, 1, 1), 3, 1, np.mean)


def _binary(meaning: Callable[..., Any], *kinds: str, of: str = "", positive: bool = False) -> Operator:
    """Return a row of two inputs. `kinds` are layers, and `of` is the operation. The second input is broadcast."""
    made = [operation(of, y="%x1")] if of else []
    return row(meaning, *map(layer, kinds), *made, shapes=PLUS, positive=positive)


# ---- The table -----------------------------------------------------------------------------------------------------

# fmt: off
#: Operators of one input, element by element.
_ELEMENTS = {
    "abs": row(abs, layer("unary", type=6), operation("abs"), CaffeLayer("AbsVal")),
    "ceil": row(np.ceil, layer("ceil"), operation("ceil")),
    "clamped ReLU": row(lambda x: np.minimum(np.where(x < 0, 0.2 * x, x), 0.4),
        layer("clampedReLU", alpha=0.2, beta=0.4), operation("clamped_relu", alpha=0.2, beta=0.4)),
    "clip": row(lambda x: np.clip(x, -0.3, 0.4), layer("clip", minVal=-0.3, maxVal=0.4),
        operation("clip", alpha=-0.3, beta=0.4)),
    "copy": row(lambda x: x, layer("copy"), layer("sequenceRepeat", nRepetitions=1), operation("identity")),
    "ELU": row(lambda x: np.where(x < 0, 0.5 * np.expm1(x), x), activation("ELU", alpha=0.5),
        operation("elu", alpha=0.5)),
    "equal to a number": row(lambda x: x == 0.5, layer("equal", alpha=0.5)),
    "erf": row(np.vectorize(math.erf), layer("erf"), operation("erf")),
    "exp": row(np.exp, layer("unary", type=4), operation("exp")),
    "exp2": row(np.exp2, layer("exp2"), operation("exp2")),
    "floor": row(np.floor, layer("floor"), operation("floor")),
    "GELU": row(gelu, layer("gelu"), operation("gelu", mode="EXACT")),
    "GELU by sigmoid": row(lambda x: x * sigmoid(1.702 * x), layer("gelu", mode=2),
        operation("gelu", mode="SIGMOID_APPROXIMATION")),
    "greater than a number": row(lambda x: x > 0.1, layer("greaterThan", alpha=0.1)),
    "acosh": row(_or_nan(np.arccosh), layer("acosh")),
    "asinh": row(np.arcsinh, layer("asinh")),
    **{
        name: row(_or_nan(meaning), layer(name), operation(name))
        for name, meaning in {
            "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "atanh": np.arctanh, "cos": np.cos,
            "cosh": np.cosh, "sin": np.sin, "sinh": np.sinh, "tan": np.tan,
        }.items()
    },
    "hard sigmoid": row(lambda x: np.clip(0.3 * x + 0.4, 0, 1), activation("sigmoidHard", alpha=0.3, beta=0.4),
        operation("sigmoid_hard", alpha=0.3, beta=0.4)),
    "inverse": row(lambda x: 1 / (x + 0.1), layer("unary", type=2, epsilon=0.1), positive=True),
    "inverse, default": row(lambda x: 1 / (x + 1e-4), operation("inverse"), positive=True),
    "leaky ReLU": row(lambda x: np.where(x < 0, 0.3 * x, x), activation("leakyReLU", alpha=0.3),
        operation("leaky_relu", alpha=0.3),
        CaffeLayer("PReLU", "prelu_param { channel_shared: true }", [np.array([0.3])])),
    "line": row(lambda x: 2 * x - 1, activation("linear", alpha=2.0, beta=-1.0),
        operation("linear_activation", alpha=2.0, beta=-1.0),
        CaffeLayer("Scale", "scale_param { num_axes: 0 bias_term: true }", [np.array(2.0), np.array(-1.0)])),
    "log": row(np.log, layer("unary", type=5), operation("log"), positive=True),
    "log of more": row(lambda x: np.log(x + 1), operation("log", epsilon=1.0), positive=True),
    "maximum with a number": row(lambda x: np.maximum(x, 0.2), layer("unary", type=7, alpha=0.2),
        operation("threshold", alpha=0.2)),
    "not": row(lambda x: x == 0, layer("logicalNot")),
    "not equal to a number": row(lambda x: x != 0.5, layer("notEqual", alpha=0.5)),
    "plus a number": row(lambda x: x + 1.5, layer("add", alpha=1.5)),
    "power": row(lambda x: x**1.5, layer("unary", type=3, alpha=1.5), positive=True),
    "PReLU": row(lambda x: np.where(x < 0, _CHANNELS[0] * x, x), activation("PReLU", alpha=_FOUR[0]),
        operation("prelu", alpha=_FOUR[0]), CaffeLayer("PReLU", "", [_FOUR[0]])),
    "PReLU, one slope": row(lambda x: np.where(x < 0, 0.75 * x, x), activation("PReLU", alpha=np.array([0.75])),
        Layer("activation", _half_slope)),
    "ReLU": row(lambda x: np.maximum(x, 0), activation("ReLU"), operation("relu")),
    "ReLU6": row(lambda x: np.clip(x, 0, 6), operation("relu6"), CaffeLayer("ReLU6")),
    "round": row(np.round, layer("round"), operation("round")),
    "rsqrt": row(lambda x: 1 / np.sqrt(x + 0.1), layer("unary", type=1, epsilon=0.1), operation("rsqrt", epsilon=0.1),
        positive=True),
    "scaled tanh": row(lambda x: 2 * np.tanh(x / 2), activation("scaledTanh", alpha=2.0, beta=0.5),
        operation("scaled_tanh", alpha=2.0, beta=0.5)),
    "sigmoid": row(sigmoid, activation("sigmoid"), operation("sigmoid"), CaffeLayer("Sigmoid")),
    "sign": row(np.sign, layer("sign"), operation("sign")),
    "SiLU": row(lambda x: x * sigmoid(x), operation("silu")),
    "softplus": row(lambda x: np.log1p(np.exp(x)), activation("softplus"), operation("softplus"), CaffeLayer("BNLL")),
    "softplus of channels": row(lambda x: _CHANNELS[0] * np.log1p(np.exp(_CHANNELS[1] * x)),
        activation("parametricSoftplus", alpha=_FOUR[0], beta=_FOUR[1]),
        operation("softplus_parametric", alpha=_FOUR[0], beta=_FOUR[1])),
    "softsign": row(lambda x: x / (1 + abs(x)), activation("softsign"), operation("softsign")),
    "sqrt": row(np.sqrt, operation("sqrt"), positive=True),
    "sqrt of a line": row(lambda x: np.sqrt(2 * x + 0.5), layer("unary", type=0, shift=0.5, scale=2.0),
        positive=True),
    "square": row(lambda x: x * x, operation("square")),
    "tanh": row(np.tanh, activation("tanh"), layer("tanh"), operation("tanh"), CaffeLayer("TanH")),
    "thresholded ReLU": row(lambda x: np.where(x >= 0.5, x, 0), activation("thresholdedReLU", alpha=0.5),
        operation("thresholded_relu", alpha=0.5)),
    "times a number": row(lambda x: -2.5 * x, layer("multiply", alpha=-2.5)),
}
#: Operators of several inputs, element by element.
_ARITHMETIC = {
    "add": _binary(lambda x, y: x + y, "add", "addBroadcastable", of="add"),
    "average": row(lambda x, y: (x + y) / 2, layer("average"), shapes=TWO),
    "divide": _binary(lambda x, y: x / y, "divideBroadcastable", of="real_div", positive=True),
    "floor of a quotient": _binary(lambda x, y: np.floor(x / y), "floorDivBroadcastable", of="floor_div",
        positive=True),
    "maximum": _binary(np.maximum, "maxBroadcastable", of="maximum"),
    "maximum of equal shapes": row(np.maximum, layer("max"), shapes=TWO),
    "minimum": _binary(np.minimum, "minBroadcastable", of="minimum"),
    "minimum of equal shapes": row(np.minimum, layer("min"), shapes=TWO),
    "modulo": _binary(np.mod, "modBroadcastable", of="mod"),
    "multiply": _binary(lambda x, y: x * y, "multiplyBroadcastable", of="mul"),
    "multiply equal shapes": row(lambda x, y: x * y, layer("multiply"), shapes=TWO),
    "power of two": _binary(lambda x, y: x**y, "powBroadcastable", of="pow", positive=True),
    "subtract": _binary(lambda x, y: x - y, "subtractBroadcastable", of="sub"),
    "greater or equal": _binary(lambda x, y: x >= y, "greaterEqual"),
    "less": _binary(lambda x, y: x < y, "lessThan"),
    "less or equal": _binary(lambda x, y: x <= y, "lessEqual"),
    "and": _binary(lambda x, y: (x != 0) & (y != 0), "logicalAnd"),
    "or": _binary(lambda x, y: (x != 0) | (y != 0), "logicalOr"),
    "exclusive or": _binary(lambda x, y: (x != 0) ^ (y != 0), "logicalXor"),
    "where": row(lambda c, x, y: np.where(c != 0, x, y), layer("whereBroadcastable"), shapes=(IMAGE, PLUS[1], IMAGE)),
    "bias": row(lambda x: x + _CHANNELS[0], layer("bias", shape=[4], bias=_FOUR[0]),
        CaffeLayer("Bias", "", [_FOUR[0]])),
    "bias of rows": row(lambda x: x + _ROWS[:, None], CaffeLayer("Bias", "bias_param { axis: 2 }", [_ROWS])),
    "scale": row(lambda x: x * _CHANNELS[0] + 0.5,
        layer("scale", shapeScale=[4], scale=_FOUR[0], hasBias=True, shapeBias=[1], bias=np.array([0.5]))),
}
_CONVOLUTIONS = {
    "convolution": row(lambda x: channels_first(x, FILTERS), _convolution()),
    "convolution, bias": row(lambda x: channels_first(x, FILTERS) + _BIAS, _convolution(hasBias=True, bias=_THREE),
        operation("conv", weight=FILTERS, bias=_THREE),
        CaffeLayer("Convolution", f"convolution_param {{ {_KERNEL} }}", [FILTERS, _THREE])),
    "convolution, custom": row(lambda x: channels_first(padded(x, 1, 0, 2, 1), FILTERS)[:, :, ::2],
        operation("conv", weight=FILTERS, pad_type="custom", pad=[1, 0, 2, 1], strides=[2, 1])),
    # The larger border is at the bottom and on the right.
    "convolution, same": row(lambda x: channels_first(padded(x, 1, 1, 0, 1), FILTERS),
        _convolution(same={"asymmetryMode": 0}), operation("conv", weight=FILTERS, pad_type="same")),
    "convolution, same before": row(lambda x: channels_first(padded(x, 1, 1, 1, 0), FILTERS),
        _convolution(same={"asymmetryMode": 1}), operation("conv", weight=FILTERS, pad_type="same_lower")),
    "deconvolution": row(transposed, _deconvolution(), _transposed_operation(),
        CaffeLayer("Deconvolution", f"convolution_param {{ {_KERNEL} stride: 2 bias_term: false }}", [_TURNED])),
    "deconvolution, dilated": row(lambda x: transposed(x, 2), _deconvolution(dilationFactor=[2, 1]),
        _transposed_operation(dilations=[2, 1]),
        CaffeLayer("Deconvolution",
            f"convolution_param {{ {_KERNEL} stride: 2 dilation: 2 dilation: 1 bias_term: false }}", [_TURNED])),
    "deconvolution, dilated, to a size": row(lambda x: transposed(x, 2)[:, :, 1:-1, :-1],
        _deconvolution(dilationFactor=[2, 1], outputShape=[11, 11])),
    "deconvolution, cut": row(lambda x: transposed(x)[:, :, 1:-1, 1:-1],
        CaffeLayer("Deconvolution", f"convolution_param {{ {_KERNEL} stride: 2 pad: 1 bias_term: false }}", [_TURNED])),
    "deconvolution to a size": row(lambda x: transposed(x)[:, :, 1:-1, :-1], _deconvolution(outputShape=[9, 11])),
    "deconvolution beyond its windows": row(lambda x: padded(transposed(x), 0, 1, 0, 1) + _BIAS,
        _deconvolution(outputShape=[12, 13], hasBias=True, bias=_THREE)),
    "deconvolution beyond its windows by a row": row(lambda x: padded(transposed(x), 0, 1, 0, 0),
        _transposed_operation(output_shape=[1, 3, 12, 12])),
    "deconvolution to a size, with stated amounts": row(lambda x: transposed(x)[:, :, 1:, 1:],
        _deconvolution(outputShape=[10, 11], cut=True),
        _transposed_operation(pad_type="custom", pad=[1, 1, 1, 1], output_shape=[1, 3, 10, 11])),
}
_POOLINGS = {
    "max pool": row(lambda x: windows(x, 2, 2, np.max), _pool(0, 2, 2), _pool_operation("max_pool", 2, 2)),
    # With 5 rows, the third window has one row.
    "max pool with the last pixel": row(_with_last_row, _pool(0, 2, 2, includeLastPixel={"paddingAmounts": [0, 0]}),
        _pool_operation("max_pool", 2, 2, ceil_mode=True)),
    # A fourth row of windows would begin after the image.
    "average pool": row(lambda x: windows(x, 3, 1, np.mean), _pool(1, 3, 1)),
    "average pool with the border": row(_average_of_3, _pool(1, 3, 1, same={"asymmetryMode": 0}),
        _pool_operation("avg_pool", 3, 1, "custom", pad=[1, 1, 1, 1]), _pool_operation("avg_pool", 3, 1, "same")),
    "average pool, same": row(lambda x: windows(padded(x, 0, 1, 0, 1), 2, 1, np.mean),
        _pool_operation("avg_pool", 2, 1, "same")),
    "average pool, same before": row(lambda x: windows(padded(x, 1, 0, 1, 0), 2, 1, np.mean),
        _pool_operation("avg_pool", 2, 1, "same_lower")),
    "average pool of all": row(lambda x: x.mean((2, 3), keepdims=True), layer("pooling", type=1, globalPooling=True)),
    "L2 pool": row(lambda x: windows(x, 2, 2, root_of_squares), _pool(2, 2, 2), _pool_operation("l2_pool", 2, 2)),
}
_NORMALIZATIONS = {
    "batch norm": row(lambda x: (x - _CHANNELS[2]) / np.sqrt(_CHANNELS[3] + 1e-3) * _CHANNELS[0] + _CHANNELS[1],
        statistics(False),
        operation("batch_norm", mean=_FOUR[2], variance=_FOUR[3], gamma=_FOUR[0], beta=_FOUR[1], epsilon=1e-3)),
    "batch norm without factors": row(lambda x: (x - _CHANNELS[0]) / np.sqrt(_CHANNELS[1] + 1e-5),
        operation("batch_norm", mean=_FOUR[0], variance=_FOUR[1]),
        # The statistics in Caffe's file are 4 times as large.
        CaffeLayer("BatchNorm", "", [4 * _FOUR[0], 4 * _FOUR[1], np.array([4.0])])),
    "instance norm": row(instance_norm, statistics(True), statistics(False, computed=True),
        operation("instance_norm", gamma=_FOUR[0], beta=_FOUR[1], epsilon=1e-3)),
    "instance norm, old": row(lambda x: instance_norm(x[None]), statistics(False, computed=True, exact=False),
        shapes=((4, 5, 6),)),
    "instance norm without factors": row(lambda x: centred(x, (2, 3), 1e-5), operation("instance_norm")),
    "length of an image": row(lambda x: x / np.sqrt((x * x).sum((1, 2, 3), keepdims=True) + 0.1),
        layer("l2normalize", epsilon=0.1), operation("l2_norm", epsilon=0.1)),
    "length of channels times factors": row(lambda x: x / np.sqrt((x * x).sum(1, keepdims=True) + 0.5) * _CHANNELS[0],
        CaffeLayer("Normalize", "norm_param { across_spatial: false channel_shared: false eps: 0.5 }", [_FOUR[0]])),
    "layer norm": row(lambda x: centred(x, (-1,), 1e-3) * _SIX + _SIX,
        layer("layerNormalization", normalizedShape=[6], eps=1e-3, gamma=_SIX, beta=_SIX),
        operation("layer_norm", axes=[-1], gamma=_SIX, beta=_SIX, epsilon=1e-3), shapes=((1, 5, 6),)),
    "layer norm of channels": row(lambda x: centred(x, (1,), 1e-5) * _CHANNELS[0] + _CHANNELS[1],
        operation("layer_norm", axes=[1], gamma=_FOUR[0], beta=_FOUR[1])),
    "local response": row(lambda x: response(x, 1.5), layer("lrn", alpha=0.3, beta=0.6, localSize=3, k=1.5),
        operation("local_response_norm", size=3, alpha=0.3, beta=0.6, k=1.5)),
    "local response within a channel": row(lambda x: x / (1 + 0.5 * _average_of_3(x * x)) ** 0.75,
        CaffeLayer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }")),
    "mean and variance": row(lambda x: centred(x, (2, 3), 1e-3), layer("mvn", normalizeVariance=True, epsilon=1e-3)),
    "mean of all channels": row(lambda x: x - x.mean((1, 2, 3), keepdims=True), layer("mvn", acrossChannels=True)),
    "softmax": row(softmax, layer("softmax"), operation("softmax", axis=1),
        CaffeLayer("SoftmaxWithLoss")),
    "softmax of rows": row(lambda x: softmax(x, 3), layer("softmaxND", axis=-1)),
}
_PRODUCTS = {
    "dense, of images": row(lambda x: _dense(x.reshape(1, 120)).reshape(1, 3, 1, 1), Layer("innerProduct", _INNER)),
    "dense": row(_dense, Layer("innerProduct", _INNER), operation("linear", weight=_MATRIX, bias=_THREE),
        shapes=((1, 120),)),
    "dense, of rows": row(_dense, Layer("innerProduct", _INNER), operation("linear", weight=_MATRIX, bias=_THREE),
        shapes=((1, 7, 120),)),
    "dense, of old files": row(lambda x: _dense(x).reshape(1, 3, 1, 1), Layer("innerProduct", _INNER, exact=False),
        shapes=((120,),)),
    "dense, of flat images": row(lambda x: _dense(x.reshape(-1, 120)),
        CaffeLayer("InnerProduct", "inner_product_param { num_output: 3 }", [_MATRIX, _THREE])),
    "dot": row(lambda x, y: (x * y).sum(1, keepdims=True), layer("dot"), shapes=((1, 4, 1, 1), (1, 4, 1, 1))),
    "matmul": row(lambda x, y: x @ y.swapaxes(2, 3), layer("batchedMatmul", transposeB=True),
        operation("matmul", y="%x1", transpose_y=True), shapes=(IMAGE, (1, 4, 3, 6))),
    # The layer's matrix is stored by columns.
    "matmul with a constant": row(lambda x: x @ _COLUMNS.T.astype(np.float64) + _COLUMNS[:, 0],
        layer("batchedMatmul", weightMatrixFirstDimension=6, weightMatrixSecondDimension=5, weights=_COLUMNS,
            hasBias=True, bias=_COLUMNS[:, 0])),
    "matmul of a constant": row(lambda x: x @ _COLUMNS.T.astype(np.float64),
        operation("matmul", y=np.broadcast_to(_COLUMNS.T, (1, 4, 6, 5)))),
    "attention": row(lambda x, y: softmax(x @ y.swapaxes(2, 3) / math.sqrt(6), 3) @ y,
        operation("scaled_dot_product_attention", key="%x1", value="%x1"), shapes=(IMAGE, (1, 4, 7, 6))),
}


_REDUCTIONS = {
    "index of the maximum": row(lambda x: x.argmax(1)[:, None], layer("argMax", axis=1), _reduce(9, 2),
        operation("reduce_argmax", axis=1, keep_dims=True)),
    "index of the minimum": row(lambda x: x.argmin(1), layer("argMin", axis=1, removeDim=True),
        operation("reduce_argmin", axis=1)),
    "index of an image's maximum": row(lambda x: x.reshape(len(x), -1).argmax(1)[:, None, None], CaffeLayer("ArgMax")),
    "sum of images": row(lambda x: x.sum((2, 3), keepdims=True), _reduce(0, 1)),
    "mean of all": row(lambda x: x.mean((1, 2, 3), keepdims=True), _reduce(1, 0)),
    "product of channels": row(lambda x: x.prod(1, keepdims=True), _reduce(2, 2)),
    "sum of logarithms": row(lambda x: np.log(x + 0.1).sum(3, keepdims=True), _reduce(3, 4), positive=True),
    "sum of squares": row(lambda x: (x * x).sum(2, keepdims=True), _reduce(4, 3)),
    "sum of magnitudes": row(lambda x: abs(x).sum((2, 3), keepdims=True), _reduce(5, 1)),
    "length of images": row(lambda x: root_of_squares(x, (2, 3), keepdims=True), _reduce(6, 1)),
    "maximum of channels": row(lambda x: x.max(1, keepdims=True), _reduce(7, 2)),
    "minimum of channels": row(lambda x: x.min(1, keepdims=True), _reduce(8, 2)),
}
#: Reductions that both of Core ML's forms have: the end of their names, and functions of an array and `axis`.
_NUMBERS_OF_AXES: dict[tuple[str, str], Callable[..., Any]] = {
    ("L1", "l1_norm"): lambda x, **more: abs(x).sum(**more),
    ("L2", "l2_norm"): lambda x, **more: np.sqrt((x * x).sum(**more)),
    ("LogSum", "log_sum"): lambda x, **more: np.log(x.sum(**more)),
    ("LogSumExp", "log_sum_exp"): lambda x, **more: np.log(np.exp(x).sum(**more)),
    ("Max", "max"): np.max,
    ("Mean", "mean"): np.mean,
    ("Min", "min"): np.min,
    ("Prod", "prod"): np.prod,
    ("Sum", "sum"): np.sum,
    ("SumSquare", "sum_square"): lambda x, **more: (x * x).sum(**more),
}
for (_old, _new), _compute in _NUMBERS_OF_AXES.items():
    _REDUCTIONS[f"{_old}, kept"] = row(
        lambda x, compute=_compute: compute(x, axis=(2, 3), keepdims=True),
        layer(f"reduce{_old}", axes=[-1, 2], keepDims=True),
        operation(f"reduce_{_new}", axes=[-1, 2], keep_dims=True),
        positive=True,
    )
    _REDUCTIONS[_old] = row(
        lambda x, compute=_compute: compute(x, axis=1),
        layer(f"reduce{_old}", axes=[1]),
        operation(f"reduce_{_new}", axes=[1]),
        positive=True,
    )

_CUT = {"begin": [0, 1, 0, -2], "end": [0, 3, 0, 0]}
_BEGINNINGS, _ENDS = [True, False, True, False], [True, False, True, True]
_MOVES = {
    "broadcast": row(lambda x: np.broadcast_to(x, IMAGE), layer("broadcastToStatic", targetShape=IMAGE),
        shapes=((1, 4, 1, 1),)),
    "concat": row(lambda x, y: np.concatenate([x, y], 1), layer("concat"), shapes=TWO),
    "concat of rows": row(lambda x, y: np.concatenate([x, y], 3), layer("concatND", axis=-1), shapes=TWO),
    "concat, by turns": row(lambda x, y: np.stack([x, y], 2).reshape(1, 8, 5, 6),
        layer("concatND", axis=1, interleave=True), shapes=TWO),
    "crop": row(lambda x: x[:, :, 1:-2, :-3],
        Layer("crop", lambda parameters: _borders(parameters.cropAmounts, 1, 2, 0, 3)),
        operation("crop", crop_height=[1, 2], crop_width=[0, 3])),
    "crop to another": row(lambda x, y: x[:, :, 1:4, 2:4], layer("crop", offset=[1, 2]),
        shapes=(IMAGE, (1, 4, 3, 2))),
    "expand": row(lambda x: x[:, None], layer("expandDims", axes=[1]), shapes=((1, 5, 6),)),
    "expand twice": row(lambda x: x[:, None, ..., None], operation("expand_dims", axes=[1, -1]), shapes=((1, 5, 6),)),
    "flatten": row(lambda x: x.reshape(1, 120, 1, 1), layer("flatten")),
    "flatten, channels last": row(lambda x: x.transpose(0, 2, 3, 1).reshape(1, 120, 1, 1), layer("flatten", mode=1)),
    "flatten to features": row(lambda x: x.reshape(-1, 120), layer("flattenTo2D", axis=1),
        operation("flatten2d", axis=1)),
    "flatten rows": row(lambda x: x.reshape(-1, 4, 30),
        CaffeLayer("Reshape", "reshape_param { axis: 2 shape { dim: -1 } }")),
    "pad": row(lambda x: padded(x, 1, 2, 3, 0, constant_values=0.25), _padding("constant", 0.25),
        layer("constantPad", value=0.25, padAmounts=[0, 0, 0, 0, 1, 2, 3, 0]),
        operation("pad", pad=[1, 2, 3, 0], mode="constant", constant_val=0.25)),
    "pad to a size": row(lambda x: np.pad(x, ((0, 0), (0, 3), (1, 0), (0, 0)), constant_values=0.5),
        layer("constantPad", value=0.5, padAmounts=[0, 0, 0, 7, 6, 0, 0, 0], padToGivenOutputSizeMode=True)),
    "pad by reflection": row(lambda x: padded(x, 1, 2, 3, 0, mode="reflect"), _padding("reflection"),
        operation("pad", pad=[1, 2, 3, 0], mode="reflect")),
    "pad by repetition": row(lambda x: padded(x, 1, 2, 3, 0, mode="edge"), _padding("replication")),
    "repeat": row(lambda x: np.tile(x, (1, 1, 2, 3)), layer("tile", reps=[2, 3]),
        operation("tile", reps=[1, 1, 2, 3])),
    **{
        f"repeat along axis {axis}": row(
            lambda x, axis=axis: np.concatenate([x] * 3, axis),
            CaffeLayer("Tile", f"tile_param {{ axis: {axis} tiles: 3 }}"),
        )
        for axis in (1, 2, 3)
    },
    "reshape, same rank": row(lambda x: x.reshape(-1, 4, 10, 3),
        layer("rankPreservingReshape", targetShape=[1, 0, -1, 3]),
        CaffeLayer("Reshape", "reshape_param { shape { dim: 0 dim: 4 dim: -1 dim: 3 } }")),
    "reshape": row(lambda x: x.reshape(1, 6, 4, 5), layer("reshape", targetShape=[6, 4, 5])),
    "reshape, channels last": row(lambda x: x.transpose(0, 2, 3, 1).reshape(1, 4, 5, 6).transpose(0, 3, 1, 2),
        layer("reshape", targetShape=[6, 4, 5], mode=1)),
    "reshape to rows": row(lambda x: x.reshape(1, 20, 6), layer("reshapeStatic", targetShape=[1, 20, 6]),
        operation("reshape", shape=[1, -1, 6])),
    "reshape of channels": row(lambda x: x.reshape(-1, 2, 2, 5, 6),
        CaffeLayer("Reshape", "reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: 2 } }")),
    "reshape to the same": row(lambda x: x,
        CaffeLayer("Reshape", "reshape_param { axis: -2 num_axes: 1 shape { dim: 6 } }")),
    "reverse": row(lambda x: x[:, ::-1, :, ::-1], layer("reverse", reverseDim=[False, True, False, True]),
        operation("reverse", axes=[1, 3])),
    "slice of rows": row(lambda x: x[:, :, 1:-1:2], layer("slice", startIndex=1, endIndex=-1, stride=2, axis=1)),
    "slice": row(lambda x: x[:, 1:3, ::2, -2:],
        layer("sliceStatic", beginIds=_CUT["begin"], beginMasks=_BEGINNINGS, endIds=_CUT["end"], endMasks=_ENDS,
            strides=[1, 1, 2, 1], squeezeMasks=[False] * 4),
        operation("slice_by_index", **_CUT, stride=[1, 1, 2, 1], begin_mask=_BEGINNINGS, end_mask=_ENDS)),
    "slice, removed": row(lambda x: x[:, 2],
        operation("slice_by_index", begin=[0, 2, 0, 0], end=[0, 0, 0, 0], begin_mask=[True, False, True, True],
            end_mask=[True, False, True, True], squeeze_mask=[False, True, False, False])),
    "slice by size": row(lambda x: x[:, 1:3, 2:5],
        operation("slice_by_size", begin=[0, 1, 2, 0], size=[-1, 2, 3, -1])),
    "split": row(lambda x: np.split(x, 2, 1), layer("split", nOutputs=2), operation("split", num_splits=2, axis=1)),
    "split into sizes": row(lambda x: np.split(x, [1, 4], 3), layer("splitND", axis=-1, splitSizes=[1, 3, 2]),
        operation("split", split_sizes=[1, 3, 2], axis=-1)),
    "squeeze": row(lambda x: x[..., 0], layer("squeeze", axes=[-1]), operation("squeeze", axes=[-1]),
        shapes=((1, 4, 5, 1),)),
    "stack": row(lambda x, y: np.stack([x, y], 1), layer("stack", axis=1), shapes=((1, 5, 6), (1, 5, 6))),
    "transpose": row(lambda x: x.transpose(0, 1, 3, 2), layer("permute", axis=[0, 1, 3, 2]),
        layer("transpose", axes=[0, 1, 3, 2]), operation("transpose", perm=[0, 1, 3, 2])),
    "depth to space": row(lambda x: _shuffled(x, 0, 3, 4, 1, 5, 2), layer("reorganizeData", mode=1, blockSize=2),
        operation("depth_to_space", block_size=2), shapes=((1, 8, 2, 3),)),
    "pixel shuffle": row(lambda x: _shuffled(x, 0, 1, 4, 2, 5, 3), layer("reorganizeData", mode=2, blockSize=2),
        operation("pixel_shuffle", upscale_factor=2), shapes=((1, 8, 2, 3),)),
    "pixel unshuffle": row(lambda x: _unshuffled(x, 0, 1, 3, 5, 2, 4),
        operation("pixel_unshuffle", downscale_factor=np.array(2, np.int32)), shapes=((1, 3, 4, 6),)),
    "space to depth": row(lambda x: _unshuffled(x, 0, 3, 5, 1, 2, 4), layer("reorganizeData", mode=0, blockSize=2),
        operation("space_to_depth", block_size=2), shapes=((1, 3, 4, 6),)),
}


def _interpolated(text: str, height: int, width: int) -> Operator:
    return row(
        lambda x: bilinear(x, height, width, corners), CaffeLayer("Interp", f"interp_param {{ {text} }}")
    )


_RESIZES = {
    "resize": row(lambda x: bilinear(x, 7, 11, half_pixel),
        operation("resize", shape=[7, 11], resized_dims=2, interpolation_mode="LINEAR",
            sampling_mode="UNALIGN_CORNERS")),
    "resize, corners": row(lambda x: bilinear(x, 7, 11, corners), layer("resizeBilinear", targetSize=[7, 11]),
        operation("resize_bilinear", target_size_height=7, target_size_width=11, sampling_mode="STRICT_ALIGN_CORNERS"),
        CaffeLayer("Interp", "interp_param { height: 7 width: 11 }")),
    "resize, from the edge": row(lambda x: bilinear(x, 7, 11, from_edge),
        layer("resizeBilinear", targetSize=[7, 11], mode={"samplingMethod": 2}),
        operation("resize_bilinear", target_size_height=7, target_size_width=11)),
    "resize to fewer pixels": _interpolated("height: 2 width: 3", 2, 3),
    "resize by a factor": _interpolated("zoom_factor: 2", 9, 11),
    "resize by a divisor": _interpolated("shrink_factor: 2", 3, 3),
    "resize by a divisor and a factor": _interpolated("shrink_factor: 2 zoom_factor: 3", 7, 7),
    "resize to the nearest": row(lambda x: x[:, :, np.arange(10) // 2][:, :, :, np.arange(9) * 6 // 9],
        operation("resize_nearest_neighbor", target_size_height=10, target_size_width=9)),
    "upsample": row(lambda x: x.repeat(2, 2).repeat(3, 3), layer("upsample", scalingFactor=[2, 3]),
        operation("upsample_nearest_neighbor", scale_factor_height=2, scale_factor_width=3)),
    "upsample, bilinear": row(lambda x: bilinear(x, 10, 18, from_edge),
        layer("upsample", scalingFactor=[2, 3], mode=1)),
    "upsample, corners": row(lambda x: bilinear(x, 10, 18, corners),
        layer("upsample", scalingFactor=[2, 3], mode=1, linearUpsampleMode=1),
        operation("upsample_bilinear", scale_factor_height=2.0, scale_factor_width=3.0)),
    "upsample, centres": row(lambda x: bilinear(x, 10, 9, half_pixel),
        layer("upsample", fractionalScalingFactor=[2.0, 1.5], mode=1, linearUpsampleMode=2)),
    "upsample, centres by whole factors": row(lambda x: bilinear(x, 10, 18, half_pixel),
        operation("upsample_bilinear", scale_factor_height=2, scale_factor_width=3, align_corners=False)),
}
# fmt: on
_FAMILIES = (
    _ELEMENTS,
    _ARITHMETIC,
    _CONVOLUTIONS,
    _POOLINGS,
    _NORMALIZATIONS,
    _PRODUCTS,
    _REDUCTIONS,
    _MOVES,
    _RESIZES,
)
OPERATORS: dict[str, Operator] = {name: operator for family in _FAMILIES for name, operator in family.items()}


def forms(
    format: type[Form], operators: Mapping[str, Operator] = OPERATORS
) -> dict[str, tuple[Form, Operator]]:
    """Return all forms of a format, and their rows, by the row's name and the form's number in the format."""
    found: dict[str, tuple[Form, Operator]] = {}
    for name, operator in operators.items():
        own = [form for form in operator.forms if isinstance(form, format)]
        for number, form in enumerate(own):
            found[f"{name}, {form.kind}{f' {number}' if number else ''}"] = (form, operator)
    return found
