"""Build DeepLabv3 (Chen et al. 2017) and DeepLabv3+ (2018) on MobileNet V2, which give every pixel a class."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import WeightLayout
from mpscnn.models.mobilenet import (
    Size,
    Weights,
    image_size,
    load_weights,
    mobilenet_v2_blocks,
    require_multiplier,
)

_DEPTH = 256  # channels of the pyramid's branches, of their projection and of the decoder
_LOW_LEVEL_DEPTH = 48
_LOW_LEVEL_LAYER = "depthwise3"  # the last layer at a quarter of the input's size
#: The dilations of the pyramid's convolutions in the articles, by output stride.
ARTICLE_RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
_OUTPUTS = ("logits", "softmax", "labels")


@accept_foreign_arguments
def deeplab_v3(
    weights: Weights = None,
    *,
    depth_multiplier: float = 1.0,
    input_size: Size = 513,
    classes: int = 21,
    output_stride: int = 16,
    atrous_rates: Sequence[int] = (),
    output: str = "logits",
    layout: WeightLayout | None = None,
) -> Network:
    """Return DeepLabv3: (n, height, width, 3) in -1..1 (preprocessing "tensorflow") -> (n, height, width, classes).

    Layers: conv1 and blocks 1 to 17 as in `mobilenet_v2`; image_pool, image_pooling, image_upsampled; aspp0 and, for
    each atrous rate, aspp<i>_depthwise and aspp<i>_pointwise; aspp_concat, aspp_projection; logits; upsampled.

    Args:
        weights: as for `mobilenet_v2`.
        layout: the order of axes of arrays, as for `Network.load_weights`.
        depth_multiplier: the width of the MobileNet relative to the article's, 0.1 to 4. At 1 widths are rounded to
            multiples of 8, otherwise not, as in TensorFlow's published DeepLabs.
        input_size: one number, or (height, width), at least 32; the published networks have 513.
        classes: 21 for Pascal VOC, including the background.
        output_stride: 16 or 8: the ratio between the sizes of the input and the last feature map.
        atrous_rates: the dilations of the pyramid's 3 x 3 convolutions (ASPP). The published networks on MobileNet have
            none; the article's are 6, 12, 18 for output stride 16, twice that for 8.
        output: "logits", "softmax" for probabilities, or "labels" for (n, height, width, 1) with each pixel's class as
            a number.

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="deeplab_v3")
    x = _backbone(net, depth_multiplier, output_stride)
    x = add_pyramid(net, x, atrous_rates)
    return _with_head(net, x, classes, output, weights, layout)


@accept_foreign_arguments
def deeplab_v3_plus(
    weights: Weights = None,
    *,
    depth_multiplier: float = 1.0,
    input_size: Size = 513,
    classes: int = 21,
    output_stride: int = 16,
    atrous_rates: Sequence[int] | None = None,
    output: str = "logits",
    layout: WeightLayout | None = None,
) -> Network:
    """Return DeepLabv3+: `deeplab_v3` with a decoder.

    The decoder sharpens edges by features at a quarter of the input's size.

    Layers: as in `deeplab_v3`, with decoder_projection (of depthwise3), decoder_upsampled, decoder_concat,
    decoder1_depthwise, decoder1_pointwise, decoder2_depthwise and decoder2_pointwise before logits.

    Args:
        atrous_rates: None: the article's, 6, 12, 18 for output stride 16, twice that for 8.
        weights, depth_multiplier, input_size, classes, output_stride, output: as for `deeplab_v3`.
        layout: the order of axes of arrays, as for `Network.load_weights`.

    Raises:
        ParameterError: an argument is out of its range. WeightsError: the weights do not fit.
    """
    net = Network(input=(*image_size(input_size), 3), name="deeplab_v3_plus")
    x = _backbone(net, depth_multiplier, output_stride)
    x = add_pyramid(net, x, ARTICLE_RATES[output_stride] if atrous_rates is None else atrous_rates)
    x = _decoder(net, x, net[_LOW_LEVEL_LAYER])
    return _with_head(net, x, classes, output, weights, layout)


def _backbone(net: Network, depth_multiplier: float, output_stride: int) -> Tensor:
    if output_stride not in tuple(ARTICLE_RATES):  # a tuple, because a list as a wrong value cannot be hashed
        raise ParameterError(f"output_stride must be 8 or 16, got {output_stride!r}")
    require_multiplier(depth_multiplier)
    return mobilenet_v2_blocks(
        net,
        net.input,
        depth_multiplier=depth_multiplier,
        output_stride=output_stride,
        divisor=8 if depth_multiplier == 1 else 1,
    )


def add_pyramid(net: Network, x: Tensor, atrous_rates: Sequence[int]) -> Tensor:
    """Add atrous spatial pyramid pooling: the mean of the image, each pixel, and pixels at several distances."""
    pooled = net.global_average_pool2d(x, name="image_pool")
    pooled = net.conv2d(pooled, _DEPTH, 1, activation="relu", name="image_pooling")
    branches = [
        _upsampled(net, pooled, x, "image_upsampled"),
        net.conv2d(x, _DEPTH, 1, activation="relu", name="aspp0"),
    ]
    for i, rate in enumerate(whole_numbers("atrous_rates", atrous_rates), start=1):
        branches.append(_separable(net, x, f"aspp{i}", dilation=rate))
    x = net.concat(branches, name="aspp_concat")
    return net.conv2d(x, _DEPTH, 1, activation="relu", name="aspp_projection")


def _decoder(net: Network, x: Tensor, low_level: Tensor) -> Tensor:
    low_level = net.conv2d(low_level, _LOW_LEVEL_DEPTH, 1, activation="relu", name="decoder_projection")
    x = net.concat([_upsampled(net, x, low_level, "decoder_upsampled"), low_level], name="decoder_concat")
    return _separable(net, _separable(net, x, "decoder1"), "decoder2")


def _separable(net: Network, x: Tensor, name: str, *, dilation: int = 1) -> Tensor:
    """Add a 3 x 3 depthwise separable convolution with an activation after both convolutions."""
    x = net.depthwise_conv2d(
        x, 3, padding="same", dilation=dilation, activation="relu", name=f"{name}_depthwise"
    )
    return net.conv2d(x, _DEPTH, 1, activation="relu", name=f"{name}_pointwise")


def _upsampled(net: Network, x: Tensor, like: Tensor, name: str) -> Tensor:
    """Resize `x` to the size of `like`, with aligned corner pixels."""
    height, width = (extent or 0 for extent in like.shape[1:3])
    return net.resize(x, (height, width), alignment="corners", name=name)


def _with_head(
    net: Network, x: Tensor, classes: int, output: str, weights: Weights, layout: WeightLayout | None
) -> Network:
    x = net.conv2d(x, classes, 1, name="logits")
    add_pixel_output(net, _upsampled(net, x, net.input, "upsampled"), output)
    return load_weights(net, weights, layout)


def add_pixel_output(net: Network, x: Tensor, output: str) -> None:
    """Add the output of a segmenter from its logits: these, "softmax", or "labels", the classes as numbers."""
    if output not in _OUTPUTS:
        raise ParameterError(f"output must be {', '.join(map(repr, _OUTPUTS))}, got {output!r}")
    if output == "softmax":
        x = net.softmax(x, name="softmax")
    elif output == "labels":
        x = net.argmax(x, name="labels")
    net.output(x)
