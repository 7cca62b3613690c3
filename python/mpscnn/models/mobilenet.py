"""Build MobileNet V1 (Howard et al. 2017) and V2 (Sandler et al. 2018) image classifiers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from mpscnn._private.arguments import pair
from mpscnn._private.model_name import read_weights
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout

Size = int | tuple[int, int]
Weights = Mapping[str, Any] | str | PathLike[str] | None

_V1_LAYERS = [  # (stride, channels) of each depthwise separable convolution
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
]
_V1_SHALLOW_LEFT_OUT = range(6, 11)  # the five layers with 512 channels at one resolution

V2_BLOCKS = [  # (expansion, channels, repetitions, stride of the first)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


@accept_foreign_arguments
def mobilenet_v1(
    weights: Weights = None,
    *,
    depth_multiplier: float = 1.0,
    input_size: Size = 224,
    classes: int = 1001,
    output: str = "softmax",
    shallow: bool = False,
    layout: WeightLayout | None = None,
) -> Network:
    """Return MobileNet V1: (n, height, width, 3) in -1..1 (preprocessing "tensorflow") -> (n, classes).

    Layers: conv1; depthwise1, pointwise1 ... depthwise13, pointwise13; pool; classifier.

    Args:
        weights: None (load them later), a mapping as for `Network.load_weights`, or a model file or registry
            name with exactly this architecture.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        depth_multiplier: the width of every layer relative to the article's, 0.1 to 4; each has at least 8 channels.
        input_size: one number, or (height, width), at least 32; the article uses 128, 160, 192 and 224.
        classes: 1001 in TensorFlow's files, where class 0 is the background.
        output: "softmax" for probabilities, "logits" for the values before it.
        shallow: leave out the five layers with 512 channels (the article's shallow variant).

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="mobilenet_v1")
    x = mobilenet_v1_layers(net, net.input, depth_multiplier=depth_multiplier, shallow=shallow)
    return _with_head(net, x, classes, output, weights, layout)


@accept_foreign_arguments
def mobilenet_v2(
    weights: Weights = None,
    *,
    depth_multiplier: float = 1.0,
    input_size: Size = 224,
    classes: int = 1001,
    output: str = "softmax",
    layout: WeightLayout | None = None,
) -> Network:
    """Return MobileNet V2: (n, height, width, 3) in -1..1 (preprocessing "tensorflow") -> (n, classes).

    Layers: conv1; for each block b from 1 to 17: expand<b> (not in block 1), depthwise<b>, project<b> and, if shapes
    are equal, add<b>; conv_last; pool; classifier.

    Args:
        weights: None (load them later), a mapping as for `Network.load_weights`, or a model file or registry
            name with exactly this architecture.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        depth_multiplier: the width of every layer relative to the article's, 0.1 to 4. Channels are rounded to
            multiples of 8. If it is below 1, the last convolution still has 1280 channels.
        input_size: one number, or (height, width), at least 32.
        classes: 1001 in TensorFlow's files, where class 0 is the background.
        output: "softmax" for probabilities, "logits" for the values before it.

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="mobilenet_v2")
    x = mobilenet_v2_blocks(net, net.input, depth_multiplier=depth_multiplier)
    x = mobilenet_v2_last(net, x, depth_multiplier=depth_multiplier)
    return _with_head(net, x, classes, output, weights, layout)


def first_convolution(net: Network, x: Tensor, channels: int) -> Tensor:
    """Add the first convolution of both versions, "conv1". Return its result."""
    return net.conv2d(x, channels, 3, strides=2, padding="same", activation="relu6", name="conv1")


def mobilenet_v1_layers(
    net: Network, x: Tensor, *, depth_multiplier: float = 1.0, shallow: bool = False
) -> Tensor:
    """Add conv1 and the depthwise separable convolutions of `mobilenet_v1`. Return the last one's result."""
    width = _width_v1(depth_multiplier)
    x = first_convolution(net, x, width(32))
    layers = [layer for i, layer in enumerate(_V1_LAYERS) if not (shallow and i in _V1_SHALLOW_LEFT_OUT)]
    for i, (stride, channels) in enumerate(layers, start=1):
        x = net.depthwise_conv2d(
            x, 3, strides=stride, padding="same", activation="relu6", name=f"depthwise{i}"
        )
        x = net.conv2d(x, width(channels), 1, activation="relu6", name=f"pointwise{i}")
    return x


def mobilenet_v2_blocks(
    net: Network, x: Tensor, *, depth_multiplier: float = 1.0, output_stride: int = 32, divisor: int = 8
) -> Tensor:
    """Add conv1 and the 17 blocks of `mobilenet_v2`. Return the last one's result.

    Args:
        output_stride: the ratio between the sizes of `x` and the result. Blocks whose strides would exceed it have
            stride 1 instead, and the kernels after them are dilated so that they cover the same area (Chen et al. 2017,
            atrous convolution).
        divisor: the channels of each layer are a multiple of it.
    """
    require_multiplier(depth_multiplier)
    width = round_channels(32 * depth_multiplier, divisor)
    x = first_convolution(net, x, width)
    block, reached, dilation = 0, 2, 1
    for expansion, channels, repetitions, first_stride in V2_BLOCKS:
        width = round_channels(channels * depth_multiplier, divisor)
        for repetition in range(repetitions):
            block += 1
            wanted = first_stride if repetition == 0 else 1
            stride = wanted if reached * wanted <= output_stride else 1
            x = inverted_residual(net, x, block, width, expansion=expansion, stride=stride, dilation=dilation)
            reached *= stride
            dilation *= wanted // stride
    return x


def mobilenet_v2_last(net: Network, x: Tensor, *, depth_multiplier: float = 1.0) -> Tensor:
    """Add conv_last, the convolution of `mobilenet_v2` after its blocks."""
    channels = round_channels(1280 * max(1.0, depth_multiplier))
    return net.conv2d(x, channels, 1, activation="relu6", name="conv_last")


def inverted_residual(
    net: Network, x: Tensor, block: int, channels: int, *, expansion: int, stride: int, dilation: int = 1
) -> Tensor:
    """Add one block of MobileNet V2: expand, depthwise convolution, project; add the input if shapes are equal."""
    inputs = x.shape[-1] or 0
    y = x
    if expansion != 1:
        y = net.conv2d(y, inputs * expansion, 1, activation="relu6", name=f"expand{block}")
    y = net.depthwise_conv2d(
        y,
        3,
        strides=stride,
        padding="same",
        dilation=dilation,
        activation="relu6",
        name=f"depthwise{block}",
    )
    y = net.conv2d(y, channels, 1, name=f"project{block}")
    return net.add(x, y, name=f"add{block}") if stride == 1 and inputs == channels else y


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of `divisor`, never more than a tenth below (TensorFlow's make_divisible)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _with_head(
    net: Network, x: Tensor, classes: int, output: str, weights: Weights, layout: WeightLayout | None
) -> Network:
    if output not in ("softmax", "logits"):
        raise ParameterError(f"output must be 'softmax' or 'logits', got {output!r}")
    x = net.global_average_pool2d(x, name="pool")
    x = net.flatten(net.conv2d(x, classes, 1, name="classifier"), name="logits")
    net.output(net.softmax(x, name="softmax") if output == "softmax" else x)
    return load_weights(net, weights, layout)


def load_weights(net: Network, weights: Weights, layout: WeightLayout | None = None) -> Network:
    """Load the weights, if there are any, and return the network. `layout` is for arrays."""
    if weights is None:
        return net
    if layout is not None and not isinstance(weights, Mapping):
        raise ParameterError(f"layout is for arrays, got {weights!r}: files state the order of their axes")
    arrays = weight_arrays(weights)
    try:
        net.load_weights(arrays, layout=layout)
    except WeightsError as error:
        if isinstance(weights, Mapping):
            raise
        raise WeightsError(
            f"{error}; mpscnn.load({os.fspath(weights)!r}).network has the layers of these weights, and its "
            "replace_head(classes) other classes"
        ) from error
    return net


def weight_arrays(weights: Mapping[str, Any] | str | PathLike[str]) -> Mapping[str, Any]:
    """Return weights as a mapping. A file or registry name is loaded."""
    if isinstance(weights, Mapping):
        return weights
    return read_weights(weights)


def _width_v1(multiplier: float) -> Callable[[int], int]:
    require_multiplier(multiplier)
    return lambda channels: max(int(channels * multiplier), 8)


def require_multiplier(multiplier: float) -> None:
    """Raise ParameterError for a depth multiplier out of its range."""
    if not isinstance(multiplier, (int, float)) or not 0.1 <= multiplier <= 4.0:
        raise ParameterError(f"depth_multiplier must be from 0.1 to 4, got {multiplier!r}")


def image_size(size: Size) -> tuple[int, int]:
    """Return (height, width) of an input. Raise ParameterError below 32."""
    height, width = pair("input_size", size)
    if min(height, width) < 32:
        raise ParameterError(f"input_size must be at least 32, got {size!r}")
    return height, width
