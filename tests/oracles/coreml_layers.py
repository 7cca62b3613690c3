"""Compute Core ML's neural networks with torch in float64, by the texts of the specification of their layers.

coremltools parses the file and decompresses its weights. No code of mpscnn takes part. Blobs have the axes batch,
channels, rows and columns, as layers of images need them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracles.coreml_programs import borders, functional, gelu, joined, padded, torch, windows

Tensor = Any
Handler = Callable[[Any, list[Tensor]], Any]


def run_network(spec: Any, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of all blobs that a neural network computes, by name, from the message of its model.

    Images are arrays of samples (1, channels, rows, columns).
    """
    net = getattr(spec, spec.WhichOneof("Type"))
    blobs = {name: torch.from_numpy(np.float64(array)) for name, array in inputs.items()}
    for message in net.preprocessing:
        name = message.featureName or next(iter(inputs))
        blobs[name] = _scaled(blobs[name], message.scaler)
    for layer in net.layers:
        kind = layer.WhichOneof("layer")
        made = LAYERS[kind](getattr(layer, kind), [blobs[name] for name in layer.input])
        results = made if isinstance(made, (list, tuple)) else [made]
        blobs |= dict(zip(layer.output, results, strict=True))
    return {name: blob.numpy() for name, blob in blobs.items()}


def _scaled(x: Tensor, scaler: Any) -> Tensor:
    biases = [scaler.redBias, scaler.greenBias, scaler.blueBias] if x.shape[1] == 3 else [scaler.grayBias]
    return x * scaler.channelScale + torch.tensor(biases, dtype=torch.float64).reshape(-1, 1, 1)


def _weight(message: Any, *shape: int, axis: int = 0) -> Tensor:
    """Return a weight. Integers are numbers of 8 bits with a scale and an offset for each index of an axis."""
    if message.floatValue:
        numbers = np.asarray(message.floatValue, np.float64)
    elif message.float16Value:
        numbers = np.frombuffer(message.float16Value, np.float16).astype(np.float64)
    else:
        assert message.quantization.numberOfBits == 8
        linear = message.quantization.linearQuantization
        along = [-1 if place == axis else 1 for place in range(len(shape))]
        integers = np.frombuffer(message.rawValue, np.uint8).astype(np.float64).reshape(shape)
        scale, bias = (np.asarray(one, np.float64).reshape(along) for one in (linear.scale, linear.bias))
        numbers = integers * scale + bias
    return torch.from_numpy(numbers.reshape(shape))


# ---- Layers of images ----------------------------------------------------------------------------------------------


def _amounts(p: Any, sides: Sequence[int], reach: Sequence[int], strides: Sequence[int]) -> Any:
    if p.HasField("same"):
        return borders(sides, reach, strides, more_after=p.same.asymmetryMode == 0)
    edges = list(p.valid.paddingAmounts.borderAmounts)
    return [(edge.startEdgeSize, edge.endEdgeSize) for edge in edges] or [(0, 0), (0, 0)]


def _convolution(p: Any, given: list[Tensor]) -> Tensor:
    (x,) = given
    kernel, strides, groups = list(p.kernelSize), list(p.stride) or [1, 1], p.nGroups or 1
    bias = _weight(p.bias, p.outputChannels) if p.hasBias else None
    if p.isDeconvolution:
        weight = _weight(p.weights, p.kernelChannels, p.outputChannels // groups, *kernel, axis=1)
        made = functional.conv_transpose2d(x, weight, bias, strides, groups=groups)
        amounts = _amounts(p, x.shape[2:], kernel, strides)
        for axis, (before, after) in enumerate(amounts, start=2):
            made = made.narrow(axis, before, made.shape[axis] - before - after)
        assert list(p.outputShape) in ([], list(made.shape[2:]))
        return made
    weight = _weight(p.weights, p.outputChannels, p.kernelChannels, *kernel)
    dilations = list(p.dilationFactor) or [1, 1]
    reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilations, strict=True)]
    x = padded(x, _amounts(p, x.shape[2:], reach, strides))
    return functional.conv2d(x, weight, bias, strides, 0, dilations, groups)


def _pooling(p: Any, given: list[Tensor]) -> Tensor:
    (x,) = given
    if p.globalPooling:
        return x.amax((-2, -1), keepdim=True) if p.type == 0 else x.mean((-2, -1), keepdim=True)
    assert p.type in (0, 1)
    assert not p.HasField("includeLastPixel")
    kernel, strides = list(p.kernelSize), list(p.stride) or [1, 1]
    amounts = _amounts(p, x.shape[2:], kernel, strides)
    if p.type == 0:
        return windows(padded(x, amounts, -math.inf), kernel, strides).amax((-2, -1))
    made = windows(padded(x, amounts), kernel, strides).mean((-2, -1))
    if p.avgPoolExcludePadding:
        made = made / windows(padded(torch.ones_like(x), amounts), kernel, strides).mean((-2, -1))
    return made


def _batch_norm(p: Any, given: list[Tensor]) -> Tensor:
    (x,) = given
    gamma, beta, mean, variance = (
        _weight(getattr(p, role), p.channels).reshape(-1, 1, 1)
        for role in ("gamma", "beta", "mean", "variance")
    )
    assert not p.computeMeanVar
    return (x - mean) / torch.sqrt(variance + (p.epsilon or 1e-5)) * gamma + beta


def _upsample(p: Any, given: list[Tensor]) -> Tensor:
    factors = list(p.fractionalScalingFactor or p.scalingFactor)
    size = [round(side * factor) for side, factor in zip(given[0].shape[2:], factors, strict=True)]
    if p.mode == 0:
        return functional.interpolate(given[0], size, mode="nearest")
    assert p.linearUpsampleMode in (1, 2)
    return functional.interpolate(given[0], size, mode="bilinear", align_corners=p.linearUpsampleMode == 1)


def _inner_product(p: Any, given: list[Tensor]) -> Tensor:
    bias = _weight(p.bias, p.outputChannels) if p.hasBias else None
    weight, (x,) = _weight(p.weights, p.outputChannels, p.inputChannels), given
    if x.ndim == 4:
        return functional.linear(x.flatten(1), weight, bias)[..., None, None]
    return functional.linear(x, weight, bias)


# ---- Elements ------------------------------------------------------------------------------------------------------


def _activation(p: Any, given: list[Tensor]) -> Tensor:
    (x,), kind = given, p.WhichOneof("NonlinearityType")
    curve = getattr(p, kind)
    return {
        "ReLU": lambda: x.relu(),
        "leakyReLU": lambda: functional.leaky_relu(x, curve.alpha),
        "linear": lambda: curve.alpha * x + curve.beta,
        "sigmoid": lambda: torch.sigmoid(x),
        "sigmoidHard": lambda: (curve.alpha * x + curve.beta).clamp(0, 1),
        "tanh": lambda: torch.tanh(x),
        "ELU": lambda: functional.elu(x, curve.alpha),
    }[kind]()


def _unary(p: Any, given: list[Tensor]) -> Tensor:
    x = (p.scale or 1.0) * given[0] + p.shift
    return {
        0: lambda: torch.sqrt(x),
        1: lambda: 1 / torch.sqrt(x + (p.epsilon or 1e-6)),
        2: lambda: 1 / (x + (p.epsilon or 1e-6)),
        3: lambda: x**p.alpha,
        4: lambda: torch.exp(x),
        6: lambda: x.abs(),
        7: lambda: x.clamp(min=p.alpha),
    }[p.type]()


def _sum(p: Any, given: list[Tensor]) -> Tensor:
    return given[0] + p.alpha if len(given) == 1 else sum(given[1:], given[0])


def _product(p: Any, given: list[Tensor]) -> Tensor:
    return given[0] * p.alpha if len(given) == 1 else math.prod(given[1:], start=given[0])


def _shaped(message: Any, shape: Sequence[int]) -> Tensor:
    weight = _weight(message, *shape)
    return weight.reshape(-1, 1, 1) if len(shape) == 1 else weight


def _scale(p: Any, given: list[Tensor]) -> Tensor:
    made = given[0] * _shaped(p.scale, p.shapeScale)
    return made + _shaped(p.bias, p.shapeBias) if p.hasBias else made


def _layer_norm(p: Any, given: list[Tensor]) -> Tensor:
    shape = list(p.normalizedShape)
    gamma, beta = (_weight(one, *shape) for one in (p.gamma, p.beta))
    return functional.layer_norm(given[0], shape, gamma, beta, p.eps or 1e-5)


def _matmul(p: Any, given: list[Tensor]) -> Tensor:
    if len(given) == 1:  # the matrix is stored by columns
        rows, columns = p.weightMatrixFirstDimension, p.weightMatrixSecondDimension
        made = given[0] @ _weight(p.weights, columns, rows).T
        return made + _weight(p.bias, columns) if p.hasBias else made
    x, y = given
    return (x.mT if p.transposeA else x) @ (y.mT if p.transposeB else y)


# ---- Moves ---------------------------------------------------------------------------------------------------------


def _slice(p: Any, given: list[Tensor]) -> Tensor:
    (x,) = given
    for axis in range(x.ndim):
        begin = None if p.beginMasks[axis] else p.beginIds[axis]
        end = None if p.endMasks[axis] else p.endIds[axis]
        places = range(x.shape[axis])[begin : end : p.strides[axis]]
        x = x.index_select(axis, torch.tensor(list(places)))
    return x.squeeze([axis for axis, flag in enumerate(p.squeezeMasks) if flag])


def _slice_of_images(p: Any, given: list[Tensor]) -> Tensor:
    (x,), axis = given, p.axis - 3
    places = range(x.shape[axis])[p.startIndex : p.endIndex : p.stride or 1]
    return x.index_select(axis, torch.tensor(list(places)))


def _split(p: Any, given: list[Tensor]) -> Any:
    extent = given[0].shape[p.axis]
    sizes = list(p.splitSizes) or [extent // p.numSplits] * p.numSplits
    return torch.split(given[0], sizes, p.axis)


def _expand(p: Any, given: list[Tensor]) -> Tensor:
    (x,) = given
    rank = x.ndim + len(p.axes)
    for axis in sorted(axis % rank for axis in p.axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(p: Any, given: list[Tensor]) -> Tensor:
    return given[0].squeeze() if p.squeezeAll else given[0].squeeze(list(p.axes))


def _constant(p: Any, _: list[Tensor]) -> Tensor:
    return _weight(p.data, *p.shape)


def _reduction(compute: Callable[..., Tensor]) -> Handler:
    def convert(p: Any, given: list[Tensor]) -> Tensor:
        axes = list(range(given[0].ndim)) if p.reduceAll else list(p.axes)
        return compute(given[0], axes, keepdim=p.keepDims)

    return convert


def _best(p: Any, given: list[Tensor]) -> Tensor:
    return given[0].argmax(p.axis, keepdim=not p.removeDim)


LAYERS: dict[str, Handler] = {
    "activation": _activation,
    "add": _sum,
    "addBroadcastable": lambda _, given: given[0] + given[1],
    "argMax": _best,
    "batchedMatmul": _matmul,
    "batchnorm": _batch_norm,
    "bias": lambda p, given: given[0] + _shaped(p.bias, p.shape),
    "clip": lambda p, given: given[0].clamp(p.minVal, p.maxVal),
    "concat": lambda _, given: torch.cat(given, -3),
    "concatND": lambda p, given: joined(given, p.axis, interleave=p.interleave),
    "convolution": _convolution,
    "copy": lambda _, given: given[0],
    "divideBroadcastable": lambda _, given: given[0] / given[1],
    "erf": lambda _, given: torch.erf(given[0]),
    "expandDims": _expand,
    "flattenTo2D": lambda p, given: given[0].reshape(math.prod(given[0].shape[: p.axis]), -1),
    "gelu": lambda p, given: gelu(given[0], ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")[p.mode]),
    "innerProduct": _inner_product,
    "layerNormalization": _layer_norm,
    "loadConstant": _constant,
    "loadConstantND": _constant,
    "multiply": _product,
    "multiplyBroadcastable": lambda _, given: given[0] * given[1],
    "pooling": _pooling,
    "rankPreservingReshape": lambda p, given: given[0].reshape(list(p.targetShape)),
    "reduceMax": _reduction(torch.amax),
    "reduceMean": _reduction(torch.mean),
    "reduceSum": _reduction(torch.sum),
    "reshapeStatic": lambda p, given: given[0].reshape(list(p.targetShape)),
    "scale": _scale,
    "slice": _slice_of_images,
    "sliceStatic": _slice,
    "softmax": lambda _, given: torch.softmax(given[0], -3),
    "softmaxND": lambda p, given: torch.softmax(given[0], p.axis),
    "splitND": _split,
    "squeeze": _squeeze,
    "subtractBroadcastable": lambda _, given: given[0] - given[1],
    "tanh": lambda _, given: torch.tanh(given[0]),
    "transpose": lambda p, given: given[0].permute(list(p.axes)),
    "unary": _unary,
    "upsample": _upsample,
}
"""The layers that occur in the tests' files, by Core ML's name."""
