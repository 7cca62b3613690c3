"""Compare layers of Core ML's neural networks with numpy. Each kind that is read has a case."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.coreml_writer import Fill, add, array, image, model, numbers, one_layer, saved, settings
from numpy.typing import NDArray
from reference.convolution import channels_first
from reference.neuron import neuron
from reference.normalization import layer_normalization
from reference.softmax import softmax

from mpscnn import converters
from mpscnn.converters.coreml.neural.indexing import INDEXING
from mpscnn.converters.coreml.neural.layers import HANDLERS, REFUSED
from mpscnn.converters.coreml.schema import LAYERS
from mpscnn.converters.unsupported import UnsupportedLayersError
from mpscnn.errors import WeightsError

Array = NDArray[np.float64]
_DRAW = np.random.default_rng(11)


class Case(NamedTuple):
    """A layer: its parameters, a function with its meaning, and the shapes of its inputs.

    `positive`: all inputs are at least 0.2. `exact`: the file's arrays have exactly these axes. Otherwise they have the
    axes of old files, and the network's inputs have one more axis for the batch.
    """

    kind: str
    fill: Fill | None
    expected: Callable[..., Any]
    shapes: Sequence[Sequence[int]] = ((1, 4, 5, 6),)
    positive: bool = False
    exact: bool = True


def _weight(*shape: int) -> Array:
    return _DRAW.uniform(0.5, 1.5, shape)


def _activation(name: str, **values: Any) -> Fill:
    def fill(parameters: Any) -> None:
        curve = getattr(parameters, name)
        curve.SetInParent()
        settings(**values)(curve)

    return fill


def _half_slope(parameters: Any) -> None:
    parameters.PReLU.alpha.float16Value = np.array([0.75], np.float16).tobytes()


def _borders(parameters: Any, amounts: Sequence[int]) -> None:
    for start, end in ((amounts[0], amounts[1]), (amounts[2], amounts[3])):
        parameters.borderAmounts.add(startEdgeSize=start, endEdgeSize=end)


def _padding(mode: str, amounts: Sequence[int], value: float = 0.0) -> Fill:
    def fill(parameters: Any) -> None:
        getattr(parameters, mode).SetInParent()
        if mode == "constant":
            parameters.constant.value = value
        _borders(parameters.paddingAmounts, amounts)

    return fill


def _crop(parameters: Any) -> None:
    _borders(parameters.cropAmounts, (1, 2, 0, 3))


def _padded(x: Array, mode: str, **more: Any) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 0)), mode=mode, **more)  # type: ignore[call-overload, no-any-return]


def _sigmoid(x: Array) -> Array:
    return np.asarray(neuron(x, {"kind": "sigmoid"}))


def _gelu(x: Array) -> Array:
    return np.asarray(neuron(x, {"kind": "gelu"}))


def _windows(
    x: Array, kernel: int, stride: int, reduce: Callable[[Array], Array], fill: float = 0.0
) -> Array:
    rows = range(0, x.shape[2] - kernel + 1, stride)
    columns = range(0, x.shape[3] - kernel + 1, stride)
    return np.stack(
        [np.stack([reduce(x[:, :, r : r + kernel, c : c + kernel]) for c in columns], -1) for r in rows], -2
    )


def _softmax(x: Array, axis: int) -> Array:
    return np.moveaxis(softmax(np.moveaxis(x, axis, -1)), -1, axis)


def _bilinear(x: Array, height: int, width: int, place: Callable[[int, int, int], float]) -> Array:
    """Return bilinear samples at given positions along both axes."""

    def along(x: Array, axis: int, size: int) -> Array:
        count = x.shape[axis]
        parts = []
        for index in range(size):
            where = min(max(place(index, count, size), 0.0), count - 1.0)
            low = min(int(where), count - 1)
            high, rest = min(low + 1, count - 1), where - low
            parts.append(np.take(x, low, axis) * (1 - rest) + np.take(x, high, axis) * rest)
        return np.stack(parts, axis)

    return along(along(x, 2, height), 3, width)


def _corners(index: int, count: int, size: int) -> float:
    return index * (count - 1) / (size - 1)


def _from_edge(index: int, count: int, size: int) -> float:
    return index * count / size


def _half_pixel(index: int, count: int, size: int) -> float:
    return (index + 0.5) * count / size - 0.5


def _blocks(x: Array, block: int) -> Array:
    n, c, h, w = x.shape
    apart = x.reshape(n, c, h // block, block, w // block, block)
    return apart.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * block * block, h // block, w // block)


_MATRIX, _BIAS, _FILTERS = _weight(3, 120), _weight(3), _weight(3, 4, 3, 2)
_FOUR, _SIX = [_weight(4) for _ in range(4)], _weight(6)
_ONE_D = _weight(5, 6)


def _inner(parameters: Any) -> None:
    settings(inputChannels=120, outputChannels=3, hasBias=True, weights=_MATRIX, bias=_BIAS)(parameters)


def _convolution(**more: Any) -> Fill:
    def fill(parameters: Any) -> None:
        settings(outputChannels=3, kernelChannels=4, kernelSize=[3, 2], weights=_FILTERS)(parameters)
        settings(**more)(parameters)
        if not parameters.HasField("same"):
            parameters.valid.SetInParent()

    return fill


def _same(x: Array) -> Array:
    """Convolve with a kernel of 3 x 2 and SAME padding. The larger border is at the bottom and on the right."""
    return channels_first(np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1))), _FILTERS)


def _same_before(x: Array) -> Array:
    return channels_first(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 0))), _FILTERS)


def _transposed(x: Array) -> Array:
    """Compute a transposed convolution of stride 2 without a border. Weights are (inputs, outputs, height, width)."""
    weight = _FILTERS.reshape(4, 3, 3, 2)
    made = np.zeros((1, 3, (x.shape[2] - 1) * 2 + 3, (x.shape[3] - 1) * 2 + 2))
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            made[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 2] += np.einsum(
                "nc,cohw->nohw", x[:, :, row, column], weight
            )
    return made


def _batch_norm(x: Array) -> Array:
    gamma, beta, mean, variance = (one.reshape(-1, 1, 1) for one in _FOUR)
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def _statistics(instance: bool, *, computed: bool = False) -> Fill:
    gamma, beta, mean, variance = _FOUR
    return settings(
        channels=4,
        epsilon=1e-3,
        gamma=gamma,
        beta=beta,
        mean=mean,
        variance=variance,
        computeMeanVar=instance or computed,
        instanceNormalization=instance,
    )


def _cut_deconvolution(parameters: Any) -> None:
    _convolution(isDeconvolution=True, stride=[2, 2], outputShape=[10, 11])(parameters)
    _borders(parameters.valid.paddingAmounts, (1, 1, 1, 1))


def _instance_norm(x: Array) -> Array:
    gamma, beta = (one.reshape(-1, 1, 1) for one in _FOUR[:2])
    return gamma * (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-3) + beta


def _lrn(x: Array) -> Array:
    squares = np.pad(x * x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    sums = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    return x / (1.5 + 0.3 / 3 * sums) ** 0.6


def _reduction(mode: int, axis: int) -> Fill:
    return settings(mode=mode, axis=axis, epsilon=0.1)


_PLUS = ((1, 4, 5, 6), (1, 4, 1, 1))
_TWO = ((1, 4, 5, 6), (1, 4, 5, 6))
_ALL = (1, 2, 3)
CASES = {
    "linear": Case("activation", _activation("linear", alpha=2.0, beta=-1.0), lambda x: 2 * x - 1),
    "ReLU": Case("activation", _activation("ReLU"), lambda x: np.maximum(x, 0)),
    "leakyReLU": Case(
        "activation", _activation("leakyReLU", alpha=0.3), lambda x: np.where(x < 0, 0.3 * x, x)
    ),
    "thresholdedReLU": Case(
        "activation", _activation("thresholdedReLU", alpha=0.5), lambda x: np.where(x >= 0.5, x, 0)
    ),
    "PReLU": Case(
        "activation",
        _activation("PReLU", alpha=_FOUR[0]),
        lambda x: np.where(x < 0, _FOUR[0].reshape(-1, 1, 1) * x, x),
    ),
    "PReLU, one slope": Case(
        "activation", _activation("PReLU", alpha=np.array([0.7])), lambda x: np.where(x < 0, 0.7 * x, x)
    ),
    "PReLU, one slope in halves": Case("activation", _half_slope, lambda x: np.where(x < 0, 0.75 * x, x)),
    "tanh of an activation": Case("activation", _activation("tanh"), np.tanh),
    "scaledTanh": Case(
        "activation", _activation("scaledTanh", alpha=2.0, beta=0.5), lambda x: 2 * np.tanh(x / 2)
    ),
    "sigmoid": Case("activation", _activation("sigmoid"), _sigmoid),
    "sigmoidHard": Case(
        "activation", _activation("sigmoidHard", alpha=0.3, beta=0.4), lambda x: np.clip(0.3 * x + 0.4, 0, 1)
    ),
    "ELU": Case("activation", _activation("ELU", alpha=0.5), lambda x: np.where(x < 0, 0.5 * np.expm1(x), x)),
    "softsign": Case("activation", _activation("softsign"), lambda x: x / (1 + abs(x))),
    "softplus": Case("activation", _activation("softplus"), lambda x: np.log1p(np.exp(x))),
    "parametricSoftplus": Case(
        "activation",
        _activation("parametricSoftplus", alpha=_FOUR[0], beta=_FOUR[1]),
        lambda x: _FOUR[0].reshape(-1, 1, 1) * np.log1p(np.exp(_FOUR[1].reshape(-1, 1, 1) * x)),
    ),
    "add": Case("add", None, lambda x, y: x + y, _PLUS),
    "add a number": Case("add", settings(alpha=1.5), lambda x: x + 1.5),
    "addBroadcastable": Case("addBroadcastable", None, lambda x, y: x + y, _PLUS),
    "argMax": Case("argMax", settings(axis=1), lambda x: x.argmax(1)[:, None]),
    "argMin": Case("argMin", settings(axis=1, removeDim=True), lambda x: x.argmin(1)),
    "average": Case("average", None, lambda x, y: (x + y) / 2, _TWO),
    "batchedMatmul": Case(
        "batchedMatmul",
        settings(transposeB=True),
        lambda x, y: x @ y.swapaxes(2, 3),
        ((1, 4, 5, 6), (1, 4, 3, 6)),
    ),
    "batchedMatmul, weights": Case(
        "batchedMatmul",
        settings(
            weightMatrixFirstDimension=6,
            weightMatrixSecondDimension=5,
            weights=_ONE_D,
            hasBias=True,
            bias=_FOUR[0][[0, 1, 2, 3, 0]],
        ),
        lambda x: x @ _ONE_D.T + _FOUR[0][[0, 1, 2, 3, 0]],
    ),
    "batchnorm": Case("batchnorm", _statistics(False), _batch_norm),
    "batchnorm, instance": Case("batchnorm", _statistics(True), _instance_norm),
    "batchnorm, computed": Case("batchnorm", _statistics(False, computed=True), _instance_norm),
    "batchnorm, computed, old": Case(
        "batchnorm",
        _statistics(False, computed=True),
        lambda x: _instance_norm(x[None]),
        ((4, 5, 6),),
        exact=False,
    ),
    "bias": Case("bias", settings(shape=[4], bias=_FOUR[0]), lambda x: x + _FOUR[0].reshape(-1, 1, 1)),
    "broadcastToStatic": Case(
        "broadcastToStatic",
        settings(targetShape=[1, 4, 5, 6]),
        lambda x: np.broadcast_to(x, (1, 4, 5, 6)),
        ((1, 4, 1, 1),),
    ),
    "ceil": Case("ceil", None, np.ceil),
    "clampedReLU": Case(
        "clampedReLU", settings(alpha=0.2, beta=0.4), lambda x: np.minimum(np.where(x < 0, 0.2 * x, x), 0.4)
    ),
    "clip": Case("clip", settings(minVal=-0.3, maxVal=0.4), lambda x: np.clip(x, -0.3, 0.4)),
    "concat": Case("concat", None, lambda x, y: np.concatenate([x, y], 1), _TWO),
    "concatND": Case("concatND", settings(axis=-1), lambda x, y: np.concatenate([x, y], 3), _TWO),
    "concatND, by turns": Case(
        "concatND",
        settings(axis=1, interleave=True),
        lambda x, y: np.stack([x, y], 2).reshape(1, 8, 5, 6),
        _TWO,
    ),
    "constantPad": Case(
        "constantPad",
        settings(value=0.5, padAmounts=[0, 0, 0, 0, 1, 2, 3, 0]),
        lambda x: _padded(x, "constant", constant_values=0.5),
    ),
    "constantPad to a size": Case(
        "constantPad",
        settings(value=0.5, padAmounts=[0, 0, 0, 7, 6, 0, 0, 0], padToGivenOutputSizeMode=True),
        lambda x: np.pad(x, ((0, 0), (0, 3), (1, 0), (0, 0)), constant_values=0.5),
    ),
    "convolution": Case("convolution", _convolution(), lambda x: channels_first(x, _FILTERS)),
    "convolution, bias": Case(
        "convolution",
        _convolution(hasBias=True, bias=_BIAS),
        lambda x: channels_first(x, _FILTERS) + _BIAS.reshape(-1, 1, 1),
    ),
    "convolution, same": Case("convolution", _convolution(same={"asymmetryMode": 0}), _same),
    "convolution, same before": Case("convolution", _convolution(same={"asymmetryMode": 1}), _same_before),
    "deconvolution": Case("convolution", _convolution(isDeconvolution=True, stride=[2, 2]), _transposed),
    "deconvolution to a size": Case(
        "convolution",
        _convolution(isDeconvolution=True, stride=[2, 2], outputShape=[9, 11]),
        lambda x: _transposed(x)[:, :, 1:-1, :-1],
    ),
    "deconvolution beyond its windows": Case(
        "convolution",
        _convolution(isDeconvolution=True, stride=[2, 2], outputShape=[12, 13], hasBias=True, bias=_BIAS),
        lambda x: np.pad(_transposed(x), ((0, 0), (0, 0), (0, 1), (0, 1))) + _BIAS.reshape(-1, 1, 1),
    ),
    "deconvolution to a size, with stated amounts": Case(
        "convolution", _cut_deconvolution, lambda x: _transposed(x)[:, :, 1:, 1:]
    ),
    "copy": Case("copy", None, lambda x: x),
    "crop": Case("crop", _crop, lambda x: x[:, :, 1:-2, :-3]),
    "crop to another": Case(
        "crop", settings(offset=[1, 2]), lambda x, y: x[:, :, 1:4, 2:4], ((1, 4, 5, 6), (1, 4, 3, 2))
    ),
    "divideBroadcastable": Case("divideBroadcastable", None, lambda x, y: x / y, _PLUS, positive=True),
    "dot": Case("dot", None, lambda x, y: (x * y).sum(1, keepdims=True), ((1, 4, 1, 1), (1, 4, 1, 1))),
    "equal": Case("equal", settings(alpha=0.5), lambda x: x == 0.5),
    "erf": Case("erf", None, np.vectorize(math.erf)),
    "exp2": Case("exp2", None, np.exp2),
    "expandDims": Case("expandDims", settings(axes=[1]), lambda x: x[:, None], ((1, 5, 6),)),
    "fillStatic": None,
    "flatten": Case("flatten", None, lambda x: x.reshape(1, 120, 1, 1)),
    "flatten, channels last": Case(
        "flatten", settings(mode=1), lambda x: x.transpose(0, 2, 3, 1).reshape(1, 120, 1, 1)
    ),
    "flattenTo2D": Case("flattenTo2D", settings(axis=1), lambda x: x.reshape(1, 120)),
    "floor": Case("floor", None, np.floor),
    "floorDivBroadcastable": Case(
        "floorDivBroadcastable", None, lambda x, y: np.floor(x / y), _PLUS, positive=True
    ),
    "gelu": Case("gelu", None, _gelu),
    "gelu by sigmoid": Case("gelu", settings(mode=2), lambda x: x * _sigmoid(1.702 * x)),
    "greaterEqual": Case("greaterEqual", None, lambda x, y: x >= y, _PLUS),
    "greaterThan": Case("greaterThan", settings(alpha=0.1), lambda x: x > 0.1),
    "innerProduct of images": Case(
        "innerProduct", _inner, lambda x: (x.reshape(1, 120) @ _MATRIX.T + _BIAS).reshape(1, 3, 1, 1)
    ),
    "innerProduct": Case("innerProduct", _inner, lambda x: x @ _MATRIX.T + _BIAS, ((1, 120),)),
    "innerProduct of rows": Case("innerProduct", _inner, lambda x: x @ _MATRIX.T + _BIAS, ((1, 7, 120),)),
    "innerProduct of old files": Case(
        "innerProduct", _inner, lambda x: (x @ _MATRIX.T + _BIAS).reshape(1, 3, 1, 1), ((120,),), exact=False
    ),
    "l2normalize": Case(
        "l2normalize", settings(epsilon=0.1), lambda x: x / np.sqrt((x * x).sum(_ALL, keepdims=True) + 0.1)
    ),
    "layerNormalization": Case(
        "layerNormalization",
        settings(normalizedShape=[6], eps=1e-3, gamma=_SIX, beta=_SIX),
        lambda x: layer_normalization(x, 1e-3, _SIX, _SIX),
        ((1, 5, 6),),
    ),
    "lessEqual": Case("lessEqual", None, lambda x, y: x <= y, _PLUS),
    "lessThan": Case("lessThan", None, lambda x, y: x < y, _PLUS),
    "loadConstant": None,
    "loadConstantND": None,
    "logicalAnd": Case("logicalAnd", None, lambda x, y: (x != 0) & (y != 0), _PLUS),
    "logicalNot": Case("logicalNot", None, lambda x: x == 0),
    "logicalOr": Case("logicalOr", None, lambda x, y: (x != 0) | (y != 0), _PLUS),
    "logicalXor": Case("logicalXor", None, lambda x, y: (x != 0) ^ (y != 0), _PLUS),
    "lrn": Case("lrn", settings(alpha=0.3, beta=0.6, localSize=3, k=1.5), _lrn),
    "max": Case("max", None, np.maximum, _TWO),
    "maxBroadcastable": Case("maxBroadcastable", None, np.maximum, _PLUS),
    "min": Case("min", None, np.minimum, _TWO),
    "minBroadcastable": Case("minBroadcastable", None, np.minimum, _PLUS),
    "multiply": Case("multiply", None, lambda x, y: x * y, _TWO),
    "multiply by a number": Case("multiply", settings(alpha=-2.5), lambda x: -2.5 * x),
    "multiplyBroadcastable": Case("multiplyBroadcastable", None, lambda x, y: x * y, _PLUS),
    "mvn": Case(
        "mvn",
        settings(normalizeVariance=True, epsilon=1e-3),
        lambda x: (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-3),
    ),
    "mvn, all channels": Case(
        "mvn", settings(acrossChannels=True), lambda x: x - x.mean(_ALL, keepdims=True)
    ),
    "notEqual": Case("notEqual", settings(alpha=0.5), lambda x: x != 0.5),
    "padding": Case(
        "padding",
        _padding("constant", (1, 2, 3, 0), 0.25),
        lambda x: _padded(x, "constant", constant_values=0.25),
    ),
    "padding, reflection": Case(
        "padding", _padding("reflection", (1, 2, 3, 0)), lambda x: _padded(x, "reflect")
    ),
    "padding, replication": Case(
        "padding", _padding("replication", (1, 2, 3, 0)), lambda x: _padded(x, "edge")
    ),
    "permute": Case("permute", settings(axis=[0, 1, 3, 2]), lambda x: x.transpose(0, 1, 3, 2)),
    "pooling": Case(
        "pooling",
        settings(type=0, kernelSize=[2, 2], stride=[2, 2], valid={}),
        lambda x: _windows(x, 2, 2, lambda part: part.max((2, 3))),
    ),
    "pooling, average": Case(
        "pooling",
        settings(type=1, kernelSize=[3, 3], stride=[1, 1], valid={}),
        lambda x: _windows(x, 3, 1, lambda part: part.mean((2, 3))),
    ),
    "pooling, average with the border": Case(
        "pooling",
        settings(type=1, kernelSize=[3, 3], stride=[1, 1], same={"asymmetryMode": 0}),
        lambda x: _windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1, lambda part: part.mean((2, 3))),
    ),
    "pooling, L2": Case(
        "pooling",
        settings(type=2, kernelSize=[2, 2], stride=[2, 2], valid={}),
        lambda x: _windows(x, 2, 2, lambda part: np.sqrt((part * part).sum((2, 3)))),
    ),
    "pooling with the last pixel": Case(
        "pooling",
        settings(type=0, kernelSize=[2, 2], stride=[2, 2], includeLastPixel={"paddingAmounts": [0, 0]}),
        lambda x: _windows(
            np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=-9),
            2,
            2,
            lambda part: part.max((2, 3)),
        ),
    ),
    "pooling of all": Case(
        "pooling", settings(type=1, globalPooling=True), lambda x: x.mean((2, 3), keepdims=True)
    ),
    "powBroadcastable": Case("powBroadcastable", None, lambda x, y: x**y, _PLUS, positive=True),
    "rankPreservingReshape": Case(
        "rankPreservingReshape", settings(targetShape=[1, 0, -1, 3]), lambda x: x.reshape(1, 4, 10, 3)
    ),
    "reduce, sum": Case("reduce", _reduction(0, 1), lambda x: x.sum((2, 3), keepdims=True)),
    "reduce, mean": Case("reduce", _reduction(1, 0), lambda x: x.mean(_ALL, keepdims=True)),
    "reduce, prod": Case("reduce", _reduction(2, 2), lambda x: x.prod(1, keepdims=True)),
    "reduce, logsum": Case(
        "reduce", _reduction(3, 4), lambda x: np.log(x + 0.1).sum(3, keepdims=True), positive=True
    ),
    "reduce, sumsquare": Case("reduce", _reduction(4, 3), lambda x: (x * x).sum(2, keepdims=True)),
    "reduce, L1": Case("reduce", _reduction(5, 1), lambda x: abs(x).sum((2, 3), keepdims=True)),
    "reduce, L2": Case("reduce", _reduction(6, 1), lambda x: np.sqrt((x * x).sum((2, 3), keepdims=True))),
    "reduce, max": Case("reduce", _reduction(7, 2), lambda x: x.max(1, keepdims=True)),
    "reduce, min": Case("reduce", _reduction(8, 2), lambda x: x.min(1, keepdims=True)),
    "reduce, argmax": Case("reduce", _reduction(9, 2), lambda x: x.argmax(1)[:, None]),
    "reorganizeData, into depth": Case(
        "reorganizeData", settings(mode=0, blockSize=2), lambda x: _blocks(x, 2), ((1, 3, 4, 6),)
    ),
    "reorganizeData, from depth": Case(
        "reorganizeData",
        settings(mode=1, blockSize=2),
        lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6),
        ((1, 8, 2, 3),),
    ),
    "reorganizeData, shuffle": Case(
        "reorganizeData",
        settings(mode=2, blockSize=2),
        lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6),
        ((1, 8, 2, 3),),
    ),
    "reshape": Case("reshape", settings(targetShape=[6, 4, 5]), lambda x: x.reshape(1, 6, 4, 5)),
    "reshape, channels last": Case(
        "reshape",
        settings(targetShape=[6, 4, 5], mode=1),
        lambda x: x.transpose(0, 2, 3, 1).reshape(1, 4, 5, 6).transpose(0, 3, 1, 2),
    ),
    "reshapeStatic": Case("reshapeStatic", settings(targetShape=[1, 20, 6]), lambda x: x.reshape(1, 20, 6)),
    "resizeBilinear": Case(
        "resizeBilinear", settings(targetSize=[7, 11]), lambda x: _bilinear(x, 7, 11, _corners)
    ),
    "resizeBilinear, from the edge": Case(
        "resizeBilinear",
        settings(targetSize=[7, 11], mode={"samplingMethod": 2}),
        lambda x: _bilinear(x, 7, 11, _from_edge),
    ),
    "reverse": Case(
        "reverse", settings(reverseDim=[False, True, False, True]), lambda x: x[:, ::-1, :, ::-1]
    ),
    "round": Case("round", None, np.round),
    "scale": Case(
        "scale",
        settings(shapeScale=[4], scale=_FOUR[0], hasBias=True, shapeBias=[1], bias=np.array([0.5])),
        lambda x: x * _FOUR[0].reshape(-1, 1, 1) + 0.5,
    ),
    "sequenceRepeat": Case("sequenceRepeat", settings(nRepetitions=1), lambda x: x),
    "sign": Case("sign", None, np.sign),
    "slice": Case("slice", settings(startIndex=1, endIndex=-1, stride=2, axis=1), lambda x: x[:, :, 1:-1:2]),
    "sliceStatic": Case(
        "sliceStatic",
        settings(
            beginIds=[0, 1, 0, -2],
            beginMasks=[True, False, True, False],
            endIds=[0, 3, 0, 0],
            endMasks=[True, False, True, True],
            strides=[1, 1, 2, 1],
            squeezeMasks=[False] * 4,
        ),
        lambda x: x[:, 1:3, ::2, -2:],
    ),
    "softmax": Case("softmax", None, lambda x: _softmax(x, 1)),
    "softmaxND": Case("softmaxND", settings(axis=-1), lambda x: _softmax(x, 3)),
    "split": Case("split", settings(nOutputs=2), lambda x: np.split(x, 2, 1)),
    "splitND": Case("splitND", settings(axis=-1, splitSizes=[1, 3, 2]), lambda x: np.split(x, [1, 4], 3)),
    "squeeze": Case("squeeze", settings(axes=[-1]), lambda x: x[..., 0], ((1, 4, 5, 1),)),
    "stack": Case("stack", settings(axis=1), lambda x, y: np.stack([x, y], 1), ((1, 5, 6), (1, 5, 6))),
    "subtractBroadcastable": Case("subtractBroadcastable", None, lambda x, y: x - y, _PLUS),
    "tanh": Case("tanh", None, np.tanh),
    "tile": Case("tile", settings(reps=[2, 3]), lambda x: np.tile(x, (1, 1, 2, 3))),
    "transpose": Case("transpose", settings(axes=[0, 1, 3, 2]), lambda x: x.transpose(0, 1, 3, 2)),
    "unary, sqrt": Case(
        "unary", settings(type=0, shift=0.5, scale=2.0), lambda x: np.sqrt(2 * x + 0.5), positive=True
    ),
    "unary, rsqrt": Case(
        "unary", settings(type=1, epsilon=0.1), lambda x: 1 / np.sqrt(x + 0.1), positive=True
    ),
    "unary, inverse": Case("unary", settings(type=2, epsilon=0.1), lambda x: 1 / (x + 0.1), positive=True),
    "unary, power": Case("unary", settings(type=3, alpha=1.5), lambda x: x**1.5, positive=True),
    "unary, exp": Case("unary", settings(type=4), np.exp),
    "unary, log": Case("unary", settings(type=5), np.log, positive=True),
    "unary, abs": Case("unary", settings(type=6), abs),
    "unary, threshold": Case("unary", settings(type=7, alpha=0.2), lambda x: np.maximum(x, 0.2)),
    "upsample": Case("upsample", settings(scalingFactor=[2, 3]), lambda x: x.repeat(2, 2).repeat(3, 3)),
    "upsample, bilinear": Case(
        "upsample", settings(scalingFactor=[2, 3], mode=1), lambda x: _bilinear(x, 10, 18, _from_edge)
    ),
    "upsample, corners": Case(
        "upsample",
        settings(scalingFactor=[2, 3], mode=1, linearUpsampleMode=1),
        lambda x: _bilinear(x, 10, 18, _corners),
    ),
    "upsample, centres": Case(
        "upsample",
        settings(fractionalScalingFactor=[2.0, 1.5], mode=1, linearUpsampleMode=2),
        lambda x: _bilinear(x, 10, 9, _half_pixel),
    ),
    "whereBroadcastable": Case(
        "whereBroadcastable",
        None,
        lambda c, x, y: np.where(c != 0, x, y),
        ((1, 4, 5, 6), (1, 4, 1, 1), (1, 4, 5, 6)),
    ),
}
# `test_coreml_files` has networks with these layers, whose constants other layers read.
ELSEWHERE = {"fillStatic", "loadConstant", "loadConstantND"}
# `test_coreml_positions` and `test_coreml_recurrent` test these.
ELSEWHERE |= set(INDEXING)
ELSEWHERE |= {"biDirectionalLSTM", "gru", "simpleRecurrent", "uniDirectionalLSTM"}
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduceL1": lambda x, **more: abs(x).sum(**more),
    "reduceL2": lambda x, **more: np.sqrt((x * x).sum(**more)),
    "reduceLogSum": lambda x, **more: np.log(x.sum(**more)),
    "reduceLogSumExp": lambda x, **more: np.log(np.exp(x).sum(**more)),
    "reduceMax": lambda x, **more: x.max(**more),
    "reduceMean": lambda x, **more: x.mean(**more),
    "reduceMin": lambda x, **more: x.min(**more),
    "reduceProd": lambda x, **more: x.prod(**more),
    "reduceSum": lambda x, **more: x.sum(**more),
    "reduceSumSquare": lambda x, **more: (x * x).sum(**more),
}
for _kind, _reduce in _REDUCTIONS.items():
    CASES[f"{_kind}, kept"] = Case(
        _kind,
        settings(axes=[-1, 2], keepDims=True),
        lambda x, reduce=_reduce: reduce(x, axis=(2, 3), keepdims=True),
        positive=True,
    )
    CASES[_kind] = Case(_kind, settings(axes=[1]), lambda x, reduce=_reduce: reduce(x, axis=1), positive=True)
TABLE = {name: case for name, case in CASES.items() if case is not None}


def _last(x: NDArray[Any]) -> NDArray[Any]:
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


@pytest.mark.parametrize("name", TABLE)
def test_layers(name: str, tmp_path: Path) -> None:
    compare_layer(TABLE[name], tmp_path)


def compare_layer(case: Case, folder: Path) -> None:
    """Compare a layer's results with those of its case."""
    draw = np.random.default_rng(5)
    inputs = [
        draw.uniform(0.2 if case.positive else -2.0, 2.0, shape).astype(np.float32) for shape in case.shapes
    ]
    if case.kind in ("equal", "notEqual"):
        inputs[0].reshape(-1)[:7] = 0.5
    if case.kind.startswith("logical") or case.kind == "whereBroadcastable":
        inputs = [np.where(draw.random(x.shape) < 0.5, 0, x).astype(np.float32) for x in inputs]
    expected = case.expected(*(x.astype(np.float64) for x in inputs))
    results = expected if isinstance(expected, list) else [expected]
    message = one_layer(case.kind, case.fill, case.shapes, len(results), exact=case.exact)
    network = converters.read_network([saved(message, folder / "one.mlmodel")])
    given = [_last(x if case.exact else x[None]) for x in inputs]
    assert [tensor.shape[1:] for tensor in network.inputs] == [x.shape[1:] for x in given]
    session = network.compile(device="cpu").session()
    found = session.run(given[0] if len(given) == 1 else given)
    made = [found] if len(results) == 1 else list(found.values())
    for one, wanted in zip(made, results, strict=True):
        np.testing.assert_allclose(
            one, _last(np.asarray(wanted, np.float64)).reshape(one.shape), rtol=2e-5, atol=2e-5
        )


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ([0, 0, 0, 3, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
        ([0, 0, 5, 6, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
        ([0, 0, 0, 0, 0, 0], r"pads \(1, 4, 5, 6\) to"),
    ],
)
def test_sizes_that_contradict_the_input(amounts: list[int], message: str, tmp_path: Path) -> None:
    fill = settings(padAmounts=amounts, padToGivenOutputSizeMode=True)
    path = saved(one_layer("constantPad", fill, [(1, 4, 5, 6)]), tmp_path / "one.mlmodel")
    with pytest.raises(WeightsError, match=message):
        converters.read_network([path])


def test_a_border_that_another_layer_states(tmp_path: Path) -> None:
    """The second input of constantPad has the border. It must be a constant."""
    message = model({"x": array((1, 4, 5, 6))}, {"y": array((1, 6, 5, 7))})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1
    amounts = np.array([0, 0, 0, 2, 0, 0, 1, 0])
    add(net, "loadConstantND", "", "amounts", settings(shape=[8], data=amounts))
    add(net, "constantPad", "x amounts", "y", settings(value=0.5))
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(1, 4, 5, 6)).astype(np.float32)
    wanted = np.pad(x, ((0, 0), (0, 2), (0, 0), (1, 0)), constant_values=0.5)
    np.testing.assert_allclose(network.compile(device="cpu").session().run(_last(x)), _last(wanted))
    net.layers[1].input[1] = "x"
    with pytest.raises(UnsupportedLayersError, match=r"its border .* is computed by the network"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("batch", [1, 3])
def test_sequences_between_reshapes(batch: int, mode: int, tmp_path: Path) -> None:
    """Old files divide channels and move parts of them to rows and columns through the axis of sequences."""
    message = model({"x": array((8, 3, 2))}, {"y": array((4, 6, 2))}, version=1)
    net = message.neuralNetwork
    add(net, "reshape", "x", "parts", settings(targetShape=[2, 4, 3, 2], mode=mode))
    add(net, "permute", "parts", "moved", settings(axis=[1, 2, 0, 3]))
    add(net, "reshape", "moved", "y", settings(targetShape=[4, 6, 2]))
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(batch, 8, 3, 2)).astype(np.float32)
    if mode:  # the elements of each image are in the order rows, columns, channels
        rows = x.transpose(0, 2, 3, 1).reshape(batch, 2, 3, 2, 4)
        parts = rows.transpose(0, 1, 4, 2, 3)
    else:
        parts = x.reshape(batch, 2, 4, 3, 2)
    wanted = parts.transpose(0, 2, 3, 1, 4).reshape(batch, 4, 6, 2)
    np.testing.assert_allclose(network.compile(device="cpu").session().run(_last(x)), _last(wanted))
    net.layers[2].reshape.targetShape[1] = 5
    with pytest.raises(WeightsError, match=r"reshapes .* to \[4, 5, 2\]"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])


@pytest.mark.parametrize("batch", [2, None])
def test_statistics_of_a_batch_are_refused(batch: int | None, tmp_path: Path) -> None:
    """Without instanceNormalization, Core ML computes mean and variance of the whole batch.

    If the file states a batch of one image, each image of a batch of mpscnn is a prediction of Core ML.
    """
    fill = _statistics(False, computed=True)
    message = one_layer("batchnorm", fill, [(batch or 1, 4, 5, 6)])
    if batch is None:
        ranges = message.description.input[0].type.multiArrayType.shapeRange.sizeRanges
        for lower, upper in ((1, 8), (4, 4), (5, 5), (6, 6)):
            ranges.add(lowerBound=lower, upperBound=upper)
    with pytest.raises(UnsupportedLayersError, match="its mean and variance are those of the whole batch"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    alone = one_layer("batchnorm", fill, [(1, 4, 5, 6)])
    network = converters.read_network([saved(alone, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).normal(size=(3, 5, 6, 4)).astype(np.float32)
    found = network.compile(device="cpu").session().run(x)
    wanted = _instance_norm(x.astype(np.float64).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(found, _last(wanted), rtol=2e-5, atol=2e-5)


def test_same_padding_of_free_size(tmp_path: Path) -> None:
    """Averages with SAME padding need no fixed size."""
    message = model({"x": image(6, 8, 10)}, {"y": array((1, 3, 4))})
    sizes = message.description.input[0].type.imageType.imageSizeRange
    for side in (sizes.heightRange, sizes.widthRange):
        side.lowerBound, side.upperBound = 4, 32
    fill = settings(type=1, kernelSize=[3, 3], stride=[2, 2], same={"asymmetryMode": 0})
    add(message.neuralNetwork, "pooling", "x", "y", fill)
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    x = np.random.default_rng(5).uniform(0.0, 1.0, (1, 1, 5, 8))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1)))
    found = network.compile(device="cpu").session().run(_last(x))
    wanted = _last(_windows(padded, 3, 2, lambda part: part.mean((2, 3))))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_each_kind_of_layer_has_a_case() -> None:
    assert {case.kind for case in TABLE.values()} == set(HANDLERS) - ELSEWHERE
    assert set(HANDLERS) | set(REFUSED) == set(LAYERS)
    assert not set(HANDLERS) & set(REFUSED)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_layers_are_named(kind: str, tmp_path: Path) -> None:
    message = one_layer(kind, None, [(1, 4, 5, 6)])
    with pytest.raises(UnsupportedLayersError, match="layer 'y0'") as refused:
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    assert REFUSED[kind] in str(refused.value)
    assert [(one.name, one.kind) for one in refused.value.layers] == [("y0", kind)]


def test_all_refused_layers_are_named_at_once(tmp_path: Path) -> None:
    """The error names what Core ML's reader and then ONNX' reader refuse, but not layers that need their results."""
    message = one_layer("custom", settings(className="Magic"), [(1, 4, 5, 6)])
    net = message.neuralNetwork
    net.layers[0].output[:] = ["made"]
    for kind, reads, makes in (
        ("tanh", "made", "t"),
        ("sin", "t", "s"),
        ("lowerTriangular", "x0", "k"),
        ("abs", "x0", "y0"),
    ):
        layer = net.layers.add(name=makes, input=[reads], output=[makes])
        getattr(layer, "unary" if kind == "abs" else kind).SetInParent()
    net.layers[-1].unary.type = 6
    with pytest.raises(UnsupportedLayersError) as refused:
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    assert [(one.name, one.kind) for one in refused.value.layers] == [
        ("y0", "custom"),
        ("s", "sin"),
        ("k", "lowerTriangular"),
    ]
    assert "its class is 'Magic'" in str(refused.value)


def test_numbers_are_weights(tmp_path: Path) -> None:
    """A weight with too few numbers is an error about the file."""
    message = one_layer("bias", settings(shape=[4]), [(1, 4, 5, 6)])
    numbers(message.neuralNetwork.layers[0].bias.bias, np.ones(3))
    with pytest.raises(Exception, match="3 numbers for the shape"):
        converters.read_network([saved(message, tmp_path / "one.mlmodel")])
