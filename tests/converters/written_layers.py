"""List layers for which writers of other formats write more than one operator, and make networks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from reference.arithmetic import OPERATIONS as ARITHMETIC

from mpscnn import Network, Tensor

RELU6 = {"kind": "relun", "a": 0.0, "b": 6.0}


def fill(network: Network) -> None:
    """Set random values for every weight, so that none of them is neutral."""
    generator = np.random.default_rng(7)
    weights = {}
    for spec in network.weight_specs():
        low, high = (0.5, 2.0) if spec["role"] in ("variance", "gamma") else (-1.0, 1.0)
        weights[f"{spec['layer']}.{spec['role']}"] = generator.uniform(low, high, spec["shape"]).astype(
            np.float32
        )
    network.load_weights(weights, layout="OHWI")


def network_of(
    build: Callable[[Network, Tensor], Tensor], shape: tuple[int | None, ...] = (7, 9, 6)
) -> Network:
    """Return a network of one layer."""
    network = Network(input=shape, name="one_layer")
    network.output(build(network, network.input))
    fill(network)
    return network


def conv(**options: Any) -> Callable[[Network, Tensor], Tensor]:
    return lambda net, x: net.conv2d(
        x, 4, options.get("kernel", 3), **{k: v for k, v in options.items() if k != "kernel"}
    )


LAYERS: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "convolution": conv(),
    "convolution, explicit padding": conv(padding=((0, 2), (1, 3)), strides=(1, 3)),
    "convolution, one by one": conv(kernel=1, activation="relu6"),
    "convolution, ceil mode": lambda net, x: net.layer(
        "convolution",
        [x],
        {
            "output_channels": 4,
            "kernel_height": 2,
            "kernel_width": 2,
            "stride_y": 2,
            "stride_x": 2,
            "ceil_mode": True,
        },
    ),
    "depthwise": lambda net, x: net.depthwise_conv2d(x, 3, padding="same", strides=2),
    "transposed": lambda net, x: net.conv2d_transpose(x, 4, 3, strides=2, padding="same", activation="relu"),
    "transposed, groups": lambda net, x: net.conv2d_transpose(x, 4, (2, 3), groups=2, dilation=2, padding=1),
    "transposed, stride beyond the kernel": lambda net, x: net.conv2d_transpose(x, 4, 2, strides=3),
    "transposed, cropped": lambda net, x: net.conv2d_transpose(
        x, 4, 3, strides=2, padding=1, output_size=(9, 20)
    ),
    "transposed, widened by more than ONNX allows": lambda net, x: net.layer(
        "transposed_convolution",
        [x],
        {
            "output_channels": 4,
            "kernel_height": 2,
            "kernel_width": 2,
            "dilation_y": 2,
            "padding": "explicit",
            "output_padding_y": 1,
        },
    ),
    "transposed, gathered": lambda net, x: net.layer(
        "transposed_convolution",
        [x],
        {"output_channels": 4, "kernel_height": 2, "kernel_width": 3, "kernel_use": "gather"},
    ),
    "sub-pixel": lambda net, x: net.subpixel_conv2d(x, 3, 3, 2, padding="same", activation="prelu"),
    "sub-pixel, cropped": lambda net, x: net.layer(
        "subpixel_convolution",
        [x],
        {"output_channels": 2, "scale": 3, "order": "channel_major", "output_height": 19, "output_width": 26},
    ),
    "depth to space": lambda net, x: net.depth_to_space(net.conv2d(x, 8, 1), 2),
    "pixel shuffle": lambda net, x: net.pixel_shuffle(net.conv2d(x, 8, 1), 2),
    **{
        f"binary convolution, {kind}": lambda net, x, kind=kind: net.binary_conv2d(
            x, 4, 3, kind=kind, padding="same", strides=2, activation="relu"
        )
        for kind in ("binary_weights", "xnor", "and")
    },
    "binary dense": lambda net, x: net.binary_dense(x, 5, beta_scaling=True),
    "max pooling": lambda net, x: net.max_pool2d(x, 2),
    "max pooling, ceil mode": lambda net, x: net.max_pool2d(x, 2, ceil_mode=True),
    "max pooling, dilated": lambda net, x: net.max_pool2d(x, 2, strides=1, padding="full", dilation=3),
    "average pooling, padding counts": lambda net, x: net.average_pool2d(x, 3, padding=1, count_padding=True),
    "average pooling, ceil mode": lambda net, x: net.average_pool2d(x, 2, ceil_mode=True),
    "average pooling, ceil mode, padding counts": lambda net, x: net.average_pool2d(
        x, 3, strides=2, padding=1, ceil_mode=True, count_padding=True
    ),
    "average pooling, zeros count": lambda net, x: net.average_pool2d(x, 3, padding=1, zero_pad=(0, 1)),
    "average pooling, zeros outside": lambda net, x: net.average_pool2d(x, 3, padding=2, edge="zero"),
    "average pooling, windows outside": lambda net, x: net.average_pool2d(x, 2, padding=3, edge="clamp"),
    "average pooling, cropped": lambda net, x: net.average_pool2d(x, 2, padding=((-1, 1), (0, -2))),
    "max pooling, zeros outside": lambda net, x: net.max_pool2d(x, 3, padding=1, edge="zero"),
    "max pooling, clamped": lambda net, x: net.max_pool2d(x, 2, dilation=3, padding="same", edge="clamp"),
    "max pooling, cropped": lambda net, x: net.max_pool2d(x, 2, padding=((-2, 0), (1, -1))),
    "L2 pooling, clamped": lambda net, x: net.l2_norm_pool2d(x, 3, padding=2, edge="clamp"),
    "convolution, cropped": lambda net, x: net.conv2d(x, 2, 3, padding=((-2, 1), (0, -1))),
    "add": lambda net, x: net.add(x, net.activation(x, "relu"), activation="relu6"),
    "dropout": lambda net, x: net.dropout(x),
    "subtract with broadcasting": lambda net, x: net.subtract(x, net.global_max_pool2d(x)),
    "multiply": lambda net, x: net.multiply(net.global_average_pool2d(x), x, activation="sigmoid"),
    "divide": lambda net, x: net.divide(x, net.activation(x, "exponential")),
    "maximum": lambda net, x: net.maximum(x, net.global_average_pool2d(x)),
    "minimum": lambda net, x: net.minimum(x, net.global_average_pool2d(x)),
    "elementwise power": lambda net, x: net.power(net.activation(x, "exponential"), x),
    "comparisons": lambda net, x: net.concat(
        [
            compare(x, net.activation(x, "round"))
            for compare in (
                net.greater,
                net.greater_equal,
                net.less,
                net.less_equal,
                net.equal,
                net.not_equal,
            )
        ]
    ),
    "where": lambda net, x: net.where(
        net.greater(x, net.activation(x, "floor")), x, net.activation(x, "exponential")
    ),
    "add with all parameters": lambda net, x: net.layer(
        "add",
        [x, x],
        {
            "primary_scale": 2.0,
            "secondary_scale": -0.5,
            "bias": 0.25,
            "minimum": -0.5,
            "maximum": 0.75,
            "primary_stride_y": 2,
            "secondary_stride_y": 2,
            "primary_stride_channels": 0,
        },
    ),
    "relu": lambda net, x: net.activation(x, "relu"),
    "relu6": lambda net, x: net.activation(x, RELU6),
    "relun, negative limit": lambda net, x: net.activation(x, {"kind": "relun", "a": 0.0, "b": -1.0}),
    "linear": lambda net, x: net.activation(x, {"kind": "linear", "a": -2.0, "b": 0.5}),
    "swish": lambda net, x: net.activation(x, "swish"),
    "softplus": lambda net, x: net.activation(x, {"kind": "softplus", "a": 0.5, "b": 2.0}),
    "power": lambda net, x: net.activation(x, {"kind": "power", "a": 0.5, "b": 1.0, "c": 3.0}),
    "exponential": lambda net, x: net.activation(x, {"kind": "exponential", "a": 0.5, "b": 1.0, "c": 2.0}),
    "logarithm": lambda net, x: net.activation(net.activation(x, "exponential"), "logarithm"),
    "no neuron": lambda net, x: net.activation(x, {"kind": "none"}),
    "batch normalization": lambda net, x: net.batch_norm(x, epsilon=0.01, activation="relu"),
    "batch normalization by statistics": lambda net, x: net.batch_norm(x, statistics=net.batch_statistics(x)),
    "instance normalization": lambda net, x: net.instance_norm(x, activation="relu"),
    "local response normalization": lambda net, x: net.local_response_norm(x, 3, alpha=1.0),
    "local response normalization, even size": lambda net, x: net.local_response_norm(x, 4, alpha=1.0),
    "spatial normalization": lambda net, x: net.spatial_norm(x, (3, 4), beta=0.5),
    "spatial normalization, clamped, elsewhere": lambda net, x: net.layer(
        "spatial_normalization",
        [x],
        {"kernel_height": 4, "edge": "clamp", "offset_y": 2, "offset_x": -3, "height": 8, "width": 4},
    ),
    "weighted sum": lambda net, x: net.weighted_sum(x, net.activation(x, "relu")),
    "weighted mean": lambda net, x: net.weighted_mean(x, net.activation(x, "relu")),
    "concatenation of channels": lambda net, x: net.concat([x, net.activation(x, "relu")]),
    "concatenation of rows": lambda net, x: net.concat([x, net.activation(x, "relu")], axis=1),
    "padding": lambda net, x: net.pad(x, ((1, 2), (0, 3)), value=1.5),
    "padding of channels": lambda net, x: net.layer("padding", [x], {"front": 1, "back": 2, "left": 1}),
    "padding, cropped": lambda net, x: net.pad(x, ((-1, 2), (0, -3)), channels=(-1, 1), value=1.5),
    "padding with values": lambda net, x: net.pad(x, ((-1, 2), (0, 3)), value=[1, 2, 3, 4, 5, 6]),
    "padding, clamped": lambda net, x: net.pad(x, ((2, -1), (1, 3)), mode="clamp"),
    "padding, mirrored": lambda net, x: net.pad(x, 20, channels=(7, 0), mode="mirror"),
    "padding, mirrored with edge": lambda net, x: net.pad(x, ((-2, 15), (3, 0)), mode="mirror_with_edge"),
    "slice": lambda net, x: net.slice(x, rows=slice(1, None, 2), columns=(-4, -1), channels=(2, 5)),
    "slice, backward": lambda net, x: net.slice(
        x, rows=slice(None, None, -2), columns=slice(5, 1, -1), channels=slice(None, None, 3)
    ),
    "slice of features": lambda net, x: net.slice(net.flatten(x), channels=(3, 300)),
    "split": lambda net, x: net.concat(net.split(x, (1, 2, 3))[::-1]),
    "gather of tokens": lambda net, x: net.gather(net.reshape(x, (63, 6)), [1, 62], axis=1),
    "tile": lambda net, x: net.tile(x, (2, 3, 1)),
    "tile of tokens": lambda net, x: net.tile(net.reshape(x, (63, 6)), (1, 2)),
    "transpose, cyclic": lambda net, x: net.transpose(x, (2, 3, 1)),
    "transpose of tokens": lambda net, x: net.transpose(net.reshape(x, (63, 6)), (2, 1)),
    "transpose of five axes": lambda net, x: net.transpose(net.reshape(x, (7, 9, 3, 2)), (4, 1, 3, 2)),
    "channel shuffle of tokens": lambda net, x: net.channel_shuffle(net.reshape(x, (63, 6)), 3),
    "constant operand": lambda net, x: net.multiply(x, net.constant(x, (1, 9, 1))),
    "constant operand of tokens": lambda net, x: (lambda tokens: net.add(net.constant(x, (1, 6)), tokens))(
        net.reshape(x, (63, 6))
    ),
    "constant joined": lambda net, x: net.concat([net.constant(x, (7, 9, 2)), x]),
    "constant put out": lambda net, x: net.constant(x, (5,)),
    "matrix product": lambda net, x: net.matmul(x, net.transpose(x, (1, 3, 2)), scale=0.5),
    "matrix product of tokens": lambda net, x: (lambda tokens: net.matmul(tokens, tokens, transpose_b=True))(
        net.reshape(x, (63, 6))
    ),
    "layer normalization": lambda net, x: net.layer_norm(x, activation="relu"),
    "layer normalization of tokens": lambda net, x: net.layer_norm(net.reshape(x, (63, 6))),
    "norm of all axes": lambda net, x: net.reduce_l2(x, (1, 2, 3), keepdims=False),
    "mean of tokens": lambda net, x: net.reduce_mean(net.reshape(x, (63, 6)), "width", keepdims=False),
    "flatten": lambda net, x: net.flatten(x),
    "nearest": lambda net, x: net.resize(x, scale=2, method="nearest"),
    "nearest, asymmetric": lambda net, x: net.resize(x, (5, 13), method="nearest", alignment="asymmetric"),
    "nearest, smaller": lambda net, x: net.resize(x, (4, 5), method="nearest"),
    **{
        f"nearest, {rounding}": lambda net, x, rounding=rounding: net.resize(
            x, scale=2, method="nearest", alignment="asymmetric", rounding=rounding
        )
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    },
    "bilinear": lambda net, x: net.resize(x, (14, 12)),
    "bilinear, asymmetric": lambda net, x: net.resize(x, scale=(3, 2), alignment="asymmetric"),
}


def _of_positive(kind: str) -> Callable[[Network, Tensor], Tensor]:
    """Return an elementwise function of two tensors, one with zeros and one without."""
    return lambda net, x: net.layer(kind, [net.activation(x, "relu"), net.activation(x, "sigmoid")], {})


LAYERS |= {f"plain {kind}": _of_positive(kind) for kind in ARITHMETIC}
VECTORS: dict[str, Callable[[Network, Tensor], Tensor]] = {
    "dense": lambda net, x: net.dense(x, 5),
    "binary dense of a vector": lambda net, x: net.binary_dense(x, 5, kind="and", beta_scaling=True),
    "softmax": lambda net, x: net.softmax(x),
    "batch normalization of a vector": lambda net, x: net.batch_norm(x),
    "group normalization of a vector": lambda net, x: net.group_norm(x, 3),
    "group normalization of three axes": lambda net, x: net.group_norm(net.reshape(x, (3, 4)), 2),
    "batch normalization of a vector by statistics": lambda net, x: net.batch_norm(
        x, statistics=net.batch_statistics(x)
    ),
    "local response normalization of a vector": lambda net, x: net.local_response_norm(x, 5, alpha=1.0),
    "sum of a vector": lambda net, x: net.reduce_sum(x, "channels"),
    "argmax of a vector": lambda net, x: net.argmax(x),
    "prelu of a vector": lambda net, x: net.activation(x, "prelu"),
    "concatenation of vectors": lambda net, x: net.concat([x, x]),
    "reshape of a vector to an image": lambda net, x: net.reshape(x, (2, 3, 2)),
    "batch normalization of three axes": lambda net, x: net.batch_norm(net.reshape(x, (4, 3))),
    "prelu of three axes": lambda net, x: net.activation(net.reshape(x, (4, 3)), "prelu"),
}


def network_of_case(case: Mapping[str, Any]) -> Network:
    shapes = [tuple(shape) for shape in case["inputs"]]
    given = shapes[0] if len(shapes) == 1 else {f"x{place}": shape for place, shape in enumerate(shapes)}
    network = Network(given, name="case")
    layer = network.layer(
        case["operation"], network.inputs, case["attributes"], activation=case.get("activation")
    )
    network.output(layer)
    fill(network)
    return network
