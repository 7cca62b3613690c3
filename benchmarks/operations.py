"""Compare the speed of operations other than convolutions in mpscnn, torch and onnxruntime.

    python benchmarks/operations.py [--runs N] [--threads N] [--only TEXT]

The sizes are those of MobileNet, SSD and DeepLab. Prints Markdown; benchmarks/README.md explains the columns. To
measure another operation, add an entry to a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from peers import Array, Row, Shape, check_zeros, compare, positive
from torch.nn import functional

import mpscnn

Torch = Callable[..., torch.Tensor]


def layer(method: str, /, *arguments: Any, **options: Any) -> Callable[..., mpscnn.Tensor]:
    """Return a function that adds the layer of a method of `Network`."""
    return lambda network, *inputs: getattr(network, method)(*inputs, *arguments, **options)


def weights(*roles: str) -> Callable[[Mapping[str, Array]], list[Array]]:
    """Return a function that picks the weights of these roles, for torch."""
    return lambda found: [found[f"layer.{role}"] for role in roles]


# ---- Sliding windows -----------------------------------------------------------------------------------------

POOLING = [
    Row("max 2x2/2", [(150, 150, 64)], layer("max_pool2d", 2), lambda x: functional.max_pool2d(x, 2)),
    Row(
        "max 3x3/2",
        [(112, 112, 64)],
        layer("max_pool2d", 3, strides=2, padding=1),
        lambda x: functional.max_pool2d(x, 3, 2, 1),
    ),
    Row(
        "max 3x3/1",
        [(19, 19, 512)],
        layer("max_pool2d", 3, strides=1, padding=1),
        lambda x: functional.max_pool2d(x, 3, 1, 1),
    ),
    Row(
        "max 3x3/1, dilated 2",
        [(33, 33, 256)],
        layer("max_pool2d", 3, strides=1, dilation=2),
        lambda x: functional.max_pool2d(x, 3, 1, 0, 2),
    ),
    Row("average 2x2/2", [(150, 150, 64)], layer("average_pool2d", 2), lambda x: functional.avg_pool2d(x, 2)),
    Row(
        "average 3x3/1",
        [(19, 19, 512)],
        layer("average_pool2d", 3, strides=1, padding=1),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ),
    Row(
        "L2 norm 3x3/2",
        [(56, 56, 64)],
        layer("l2_norm_pool2d", 3, strides=2),
        lambda x: functional.lp_pool2d(x, 2.0, 3, 2),
    ),
    Row(
        "global average",
        [(7, 7, 1280)],
        layer("global_average_pool2d"),
        lambda x: functional.adaptive_avg_pool2d(x, 1),
    ),
    Row(
        "global average",
        [(33, 33, 320)],
        layer("global_average_pool2d"),
        lambda x: functional.adaptive_avg_pool2d(x, 1),
    ),
    Row("global max", [(7, 7, 1280)], layer("global_max_pool2d"), lambda x: x.amax((2, 3), keepdim=True)),
]


def _bilinear(shape: Shape, size: tuple[int, int], alignment: str) -> Row:
    return Row(
        f"bilinear, {alignment}",
        [shape],
        layer("resize", size, alignment=alignment),
        lambda x: functional.interpolate(x, size, mode="bilinear", align_corners=alignment == "corners"),
    )


RESIZE = [
    _bilinear((33, 33, 256), (129, 129), "half_pixel"),
    _bilinear((65, 65, 21), (513, 513), "corners"),
    Row(
        "nearest x2",
        [(38, 38, 256)],
        layer("resize", scale=2, method="nearest"),
        lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"),
    ),
]


# ---- Elementwise -------------------------------------------------------------------------------------


def _arithmetic(name: str, first: Shape, second: Shape) -> Row:
    return Row(name, [first, second], layer(name), OPERATIONS[name], values=positive)


ADDITIONS = [(112, 112, 16), (56, 56, 24), (28, 28, 32), (14, 14, 96), (7, 7, 160), (56, 56, 256)]
OPERATIONS: dict[str, Torch] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
}
ARITHMETIC = [
    *(_arithmetic("add", shape, shape) for shape in ADDITIONS),
    *(_arithmetic(name, (56, 56, 64), (56, 56, 64)) for name in ("subtract", "multiply", "divide")),
    *(_arithmetic(name, (56, 56, 64), (1, 1, 64)) for name in OPERATIONS),
    *(_arithmetic(name, (56, 56, 64), (1, 1, 1)) for name in OPERATIONS),
    _arithmetic("multiply", (14, 14, 480), (1, 1, 480)),
    _arithmetic("multiply", (33, 33, 256), (33, 33, 1)),
]

ACTIVATIONS: dict[str, Torch] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "leaky_relu": functional.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "elu": functional.elu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "absolute": torch.abs,
    "exponential": torch.exp,
}


def _neuron(name: str, kind: str | dict[str, Any], function: Torch, **options: Any) -> Row:
    return Row(name, [(56, 56, 144)], layer("activation", kind, name="layer"), function, **options)


NEURON = [
    *(_neuron(name, name, function) for name, function in ACTIVATIONS.items()),
    _neuron("logarithm", "logarithm", torch.log, values=positive),
    _neuron("prelu", "prelu", functional.prelu, parameters=weights("slope")),
    _neuron("hard_sigmoid", {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, functional.hardsigmoid),
    _neuron("linear", {"kind": "linear", "a": 2.0, "b": 1.0}, lambda x: 2.0 * x + 1.0),
    _neuron(
        "power 1.7",
        {"kind": "power", "a": 1.0, "c": 1.7},
        lambda x: torch.pow(x, 1.7),
        values=positive,
    ),
    Row("relu6", [(14, 14, 576)], layer("activation", "relu6"), functional.relu6),
]

SOFTMAX = [
    Row(name, [shape], layer(name), partial(function, dim=1))
    for name, function in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax))
    for shape in ((1000,), (1001,), (65, 65, 21), (19, 19, 91), (1, 1917, 91))
]


# ---- Normalization -----------------------------------------------------------------------------------


def _batch_statistics(x: torch.Tensor) -> torch.Tensor:
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    return torch.stack([mean, variance], 1)[None, :, :, None]


def _group_norm(groups: int, shape: Shape) -> Row:
    return Row(
        f"group_norm, {groups} groups",
        [shape],
        layer("group_norm", groups, name="layer"),
        lambda x: functional.group_norm(x, groups),
    )


NORMALIZATION = [
    Row(
        "batch_norm",
        [(56, 56, 144)],
        layer("batch_norm", name="layer"),
        lambda x, mean, variance, gamma, beta: functional.batch_norm(
            x, mean, variance, gamma, beta, eps=1e-3
        ),
        weights("mean", "variance", "gamma", "beta"),
    ),
    Row("batch_statistics", [(56, 56, 64)], layer("batch_statistics"), _batch_statistics),
    Row("instance_norm", [(56, 56, 64)], layer("instance_norm"), functional.instance_norm),
    Row("instance_norm", [(14, 14, 512)], layer("instance_norm"), functional.instance_norm),
    _group_norm(8, (56, 56, 64)),
    _group_norm(32, (28, 28, 256)),
    Row(
        "local_response_norm, 5",
        [(28, 28, 192)],
        layer("local_response_norm", 5),
        lambda x: functional.local_response_norm(x, 5),
    ),
    Row("spatial_norm, 5x5", [(56, 56, 64)], layer("spatial_norm", 5)),
    Row("local_contrast_norm, 5x5", [(56, 56, 64)], layer("local_contrast_norm", 5)),
]


# ---- Attention ---------------------------------------------------------------------------------------


def _scores(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b.transpose(-1, -2)


def _of_heads(function: Torch) -> Torch:
    """Adapt a product of matrices (n, heads, tokens, features), which are images in mpscnn and NCHW images in torch."""
    return lambda *x: function(*(one.permute(0, 2, 3, 1) for one in x)).permute(0, 3, 1, 2)


ATTENTION = [
    Row("scores", [(197, 192), (197, 192)], layer("matmul", transpose_b=True), _scores),
    Row("matmul", [(197, 197), (197, 192)], layer("matmul"), torch.matmul),
    Row(
        "scores of three heads",
        [(3, 197, 64), (3, 197, 64)],
        layer("matmul", transpose_b=True),
        _of_heads(_scores),
        onnx=False,  # onnxruntime would have to transpose NCHW images
    ),
    Row(
        "matmul of three heads",
        [(3, 197, 197), (3, 197, 64)],
        layer("matmul"),
        _of_heads(torch.matmul),
        onnx=False,
    ),
    Row(
        "layer_norm",
        [(197, 192)],
        layer("layer_norm", name="layer"),
        lambda x, gamma, beta: functional.layer_norm(x, (192,), gamma, beta, eps=1e-5),
        weights("gamma", "beta"),
    ),
    Row("softmax", [(3, 197, 197)], layer("softmax"), lambda x: torch.softmax(x, 1), onnx=False),
    Row("transpose", [(197, 192)], layer("transpose", (2, 1)), lambda x: x.transpose(1, 2).contiguous()),
    Row(
        "channel_shuffle",
        [(28, 28, 116)],
        layer("channel_shuffle", 2),
        partial(functional.channel_shuffle, groups=2),
    ),
]


# ---- Reductions --------------------------------------------------------------------------------------

REDUCTIONS: dict[str, Torch] = {
    "max": torch.amax,
    "min": torch.amin,
    "sum": torch.sum,
    "mean": torch.mean,
}
REDUCTION = [
    *(
        Row(
            f"{kind} over {axis}",
            [(56, 56, 64)],
            layer(f"reduce_{kind}", axis),
            partial(function, dim=dim, keepdim=True),
        )
        for axis, dim in (("height", 2), ("width", 3), ("channels", 1))
        for kind, function in REDUCTIONS.items()
    ),
    Row("max over channels", [(33, 33, 256)], layer("reduce_max", "channels"), lambda x: x.amax(1, True)),
    Row("sum over channels", [(33, 33, 256)], layer("reduce_sum", "channels"), lambda x: x.sum(1, True)),
    Row("argmax", [(65, 65, 21)], layer("argmax"), lambda x: x.argmax(1, True).float()),
    Row("argmax", [(513, 513, 21)], layer("argmax"), lambda x: x.argmax(1, True).float()),
    Row("argmax", [(1000,)], layer("argmax"), lambda x: x.argmax(1, True).float()),
    Row(
        "weighted_sum",
        [(33, 33, 256), (1, 1, 256)],
        layer("weighted_sum"),
        lambda x, factors: (x * factors).sum(1, True),
    ),
    Row("weighted_mean", [(33, 33, 256), (33, 33, 256)], layer("weighted_mean")),
]


# ---- Moving ------------------------------------------------------------------------------------------


def joined(axis: int) -> Torch:
    return lambda *x, **out: torch.cat(x, axis, **out)


SSD_BOXES = [1083, 600, 150, 54, 24, 6]
MOVING = [
    Row(
        "concat, five branches",
        [(33, 33, 256)] * 5,
        lambda network, *x: network.concat(x),
        joined(1),
    ),
    Row(
        "concat, two branches",
        [(56, 56, 64)] * 2,
        lambda network, *x: network.concat(x),
        joined(1),
    ),
    *(
        Row(
            "concat, heads of SSD",
            [(1, boxes, values) for boxes in SSD_BOXES],
            lambda network, *x: network.concat(x, axis=2),
            joined(3),
        )
        for values in (4, 91)
    ),
    Row("pad 1", [(56, 56, 64)], layer("pad", 1), lambda x: functional.pad(x, (1, 1, 1, 1))),
    Row("pad 1", [(224, 224, 3)], layer("pad", 1), lambda x: functional.pad(x, (1, 1, 1, 1))),
    Row(
        "pad 3, mirror",
        [(56, 56, 64)],
        layer("pad", 3, mode="mirror"),
        lambda x: functional.pad(x, (3, 3, 3, 3), mode="reflect"),
    ),
    Row(
        "slice of rows and columns",
        [(65, 65, 64)],
        layer("slice", rows=(4, 60), columns=(4, 60)),
        lambda x: x[:, :, 4:60, 4:60].clone(),
        read=56 * 56 * 64,
    ),
    Row(
        "slice of channels",
        [(56, 56, 144)],
        layer("slice", channels=(24, 96)),
        lambda x: x[:, 24:96].clone(),
        read=56 * 56 * 72,
    ),
    Row(
        "slice, every second pixel",
        [(56, 56, 64)],
        layer("slice", rows=slice(None, None, 2), columns=slice(None, None, 2)),
        lambda x: x[:, :, ::2, ::2].clone(),
        read=28 * 28 * 64,
    ),
    Row(
        "flatten",
        [(33, 33, 256)],
        layer("flatten"),
        lambda x: x.permute(0, 2, 3, 1).reshape(1, -1).clone(),
    ),
    Row("depth_to_space x2", [(28, 28, 256)], layer("depth_to_space", 2)),
    Row(
        "pixel_shuffle x2",
        [(28, 28, 256)],
        layer("pixel_shuffle", 2),
        lambda x: functional.pixel_shuffle(x, 2),
    ),
    Row(
        "dropout in training",
        [(56, 56, 144)],
        layer("dropout", 0.5, training=True),
        functional.dropout,
        onnx=False,
        check=check_zeros,
    ),
]


# ---- Weights of one bit ------------------------------------------------------------------------------


def _binary_convolution(kind: str, signs: Callable[[torch.Tensor], torch.Tensor]) -> Row:
    return Row(
        f"convolution 3x3, {kind}",
        [(28, 28, 128)],
        layer("binary_conv2d", 128, 3, kind=kind, name="layer"),
        lambda x, weight: functional.conv2d(signs(x), weight),
        lambda found: [_signs(found["layer.weight"]).transpose(0, 3, 1, 2).copy()],
    )


def _signs(values: Array) -> Array:
    return (2.0 * (values >= 0) - 1.0).astype(values.dtype)


BINARY = [_binary_convolution("xnor", torch.sign), _binary_convolution("binary_weights", lambda x: x)]

GROUPS = {
    "pooling": POOLING,
    "resize": RESIZE,
    "arithmetic": ARITHMETIC,
    "neuron": NEURON,
    "softmax": SOFTMAX,
    "normalization": NORMALIZATION,
    "attention": ATTENTION,
    "reduction": REDUCTION,
    "moving": MOVING,
    "weights of one bit": BINARY,
}

if __name__ == "__main__":
    compare("Compare single operations with torch and onnxruntime.", GROUPS, with_copy=True)
