"""Convert convolutions and poolings."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.onnx_graph.blocks import cut
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.tensorflow.elementwise import activate
from mpscnn.converters.tensorflow.operation import Handler, Operation, channels_first, numbers, restore_layout
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.converters.window_sizes import crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1


def _sides(op: Operation, name: str) -> list[int]:
    """Return the entries for height and width of an attribute that has an entry for each axis."""
    values = op.wholes(name) or [1, 1, 1, 1]
    if len(values) != 4 or not all(1 <= value <= _LARGEST for value in values):
        raise WeightsError(f"damaged: its {name} are {values[:8]}")
    others = (values[0], values[1]) if op.is_nchw else (values[0], values[3])
    if others != (1, 1):
        raise UnsupportedError(f"its {name} {values} step over images or channels")
    return values[2:] if op.is_nchw else values[1:3]


def _padding(op: Operation) -> dict[str, Any]:
    kind = op.text("padding", "VALID")
    if kind == "VALID":
        return {}
    if kind == "SAME":
        return {"auto_pad": "SAME_UPPER"}
    amounts = op.wholes("explicit_paddings")
    if kind != "EXPLICIT" or len(amounts) != 8 or not all(0 <= one <= _LARGEST for one in amounts):
        raise WeightsError(f"damaged: its padding is {kind!r} {amounts[:8]}")
    top, bottom, left, right = amounts[4:] if op.is_nchw else amounts[2:6]
    return {"pads": [top, left, bottom, right]}


def _dilations(op: Operation) -> list[int]:
    """Return the dilations of a window. SpaceToBatchND before and BatchToSpaceND after it also mean a dilation."""
    own, block = _sides(op, "dilations"), op.block()
    if block is None:
        return own
    if own != [1, 1] or _sides(op, "strides") != [1, 1] or op.text("padding", "VALID") != "VALID":
        raise UnsupportedError("its images are divided into blocks, and it has strides, dilations or padding")
    return list(block)


def _convolution(b: Builder, op: Operation) -> str:
    kernel = op.array(1, "weights")
    x = channels_first(b, op)
    channels = b.extents(x)[1]
    if kernel.ndim != 4 or channels is None or channels % max(kernel.shape[2], 1):
        raise WeightsError(f"damaged: weights of the shape {kernel.shape} for {channels} channels")
    attributes = {
        "strides": _sides(op, "strides"),
        "dilations": _dilations(op),
        "group": channels // max(kernel.shape[2], 1),
        **_padding(op),
    }
    weight = op.weight(1, "weight", (3, 2, 0, 1))
    return restore_layout(b, op, b.op("Conv", x, weight, **attributes))


def _depthwise(b: Builder, op: Operation) -> str:
    kernel = op.array(1, "weights")
    if kernel.ndim != 4:
        raise WeightsError(f"damaged: weights of the shape {kernel.shape}")
    height, width, channels, multiplier = kernel.shape
    x = channels_first(b, op)
    attributes = {
        "strides": _sides(op, "strides"),
        "dilations": _dilations(op),
        "group": channels,
        **_padding(op),
    }
    weight = op.weight(1, "weight", (2, 3, 0, 1), (channels * multiplier, 1, height, width))
    return restore_layout(b, op, b.op("Conv", x, weight, **attributes))


def _transposed(b: Builder, op: Operation) -> str:
    """Convert Conv2DBackpropInput. Its operands are the size of its result, the weights and the image."""
    kernel = op.array(1, "weights")
    strides = _sides(op, "strides")
    if kernel.ndim != 4 or _sides(op, "dilations") != [1, 1]:
        raise UnsupportedError("a transposed convolution with dilations")
    x = channels_first(b, op, 2)
    sides = b.extents(x)[2:]
    wanted = op.shape(0, "size of the result")
    if len(wanted) == 4:
        wanted = wanted[2:] if op.is_nchw else wanted[1:3]
    if len(wanted) != 2:
        raise WeightsError(f"damaged: its result has the size {wanted[:5]}")
    padding = _padding(op)
    known: list[tuple[int, int]] = []
    for window, stride, side, size in zip(kernel.shape[:2], strides, sides, wanted, strict=True):
        if size is not None and side is not None:
            known.append((side, size))
            continue
        if "pads" in padding:
            raise UnsupportedError(f"pads explicitly, but the size of the image is free: {CHOOSE_SIZE}")
        # Use the padding that gives the output size which Keras chooses.
        known.append((1, stride if "auto_pad" in padding else max(window, stride)))
    fixed_sides, fixed_sizes = zip(*known, strict=True)
    weight = op.weight(1, "weight", (3, 2, 0, 1))
    cropped = crop_to_size(fixed_sides, fixed_sizes, kernel.shape[:2], strides, padding)
    attributes = padding_of_result(cropped, strides)
    return restore_layout(b, op, b.op("ConvTranspose", x, weight, strides=strides, **attributes))


def _pooling(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        x = channels_first(b, op)
        attributes = {"kernel_shape": _sides(op, "ksize"), "strides": _sides(op, "strides"), **_padding(op)}
        return restore_layout(b, op, b.op(kind, x, **attributes))

    return convert


def _pooling_with_positions(b: Builder, op: Operation) -> list[str]:
    """Convert MaxPoolWithArgmax. A position is (row * width + column) * channels + channel within the image."""
    if op.flag("include_batch_in_index"):
        raise UnsupportedError("counts positions over all images of the batch")
    x = channels_first(b, op)
    _, channels, height, width = b.extents(x)
    if channels is None or height is None or width is None:
        raise UnsupportedError("the size of its input is not known")
    attributes = {"kernel_shape": _sides(op, "ksize"), "strides": _sides(op, "strides"), **_padding(op)}
    y, positions = b.ops("MaxPool", [x], 2, **attributes)
    pixels = b.op("Mod", positions, [height * width])
    channel = b.weight("channels", np.arange(channels, dtype=np.int64).reshape(1, channels, 1, 1))
    positions = b.op("Add", b.op("Mul", pixels, [channels]), channel)
    return [restore_layout(b, op, y), restore_layout(b, op, positions)]


def _given_block(b: Builder, op: Operation) -> tuple[int, ...]:
    """Return the block that an operator names, for all axes between the batch and the channels."""
    block, others = op.integers(1, "block"), b.rank(op.tensor()) - 2
    if not 1 <= len(block) <= min(others, 2) or min(block) < 1:
        raise UnsupportedError(f"blocks {block[:8]} of {b.extents(op.tensor())}")
    return (*block, *[1] * (others - len(block)))


def _ends(op: Operation, what: str, rank: int) -> tuple[list[int], list[int]]:
    """Return the amounts before and after each axis, from two for each axis of the block."""
    amounts = op.integers(2, what)
    if len(amounts) != 2 * len(op.integers(1, "block")) or min(amounts) < 0:
        raise WeightsError(f"damaged: its {what} are {amounts[:8]}")
    after = [0] * (rank - 1 - len(amounts) // 2)
    return [0, *amounts[::2], *after], [0, *amounts[1::2], *after]


def _space_to_batch(b: Builder, op: Operation) -> str:
    """Convert SpaceToBatchND to its padding only. The operators up to BatchToSpaceND get a dilation instead."""
    before, after = _ends(op, "paddings", len(_given_block(b, op)) + 2)
    if not any(before + after):
        return op.tensor()
    return b.op("Pad", op.tensor(), [*before, *after])


def _batch_to_space(b: Builder, op: Operation) -> str:
    if op.block() is None or _given_block(b, op) != op.block():
        raise UnsupportedError("joins images of the batch")
    before, after = _ends(op, "crops", b.rank(op.tensor()))
    return cut(b, op.tensor(), before, after)


def block_of(b: Builder, op: Operation) -> tuple[int, ...] | None:
    """Return the block of an operator's result; None if the result is not divided into blocks.

    A convolution of sequences has ExpandDims before it, and Squeeze after it.
    """
    if op.kind == "SpaceToBatchND":
        return _given_block(b, op)
    block = op.block() if len(op) and op.kind in IN_BLOCKS else None
    if block is None or op.kind in PER_CHANNEL:
        return block
    if op.kind == "ExpandDims" and len(block) == 1 and op.integer(1, "axis") in (1, -3):
        return (1, *block)
    dropped = op.wholes("squeeze_dims") or op.wholes("axis")
    if op.kind == "Squeeze" and len(block) == 2 and block[0] == 1 and dropped in ([1], [-3]):
        return block[1:]
    if op.kind in ("ExpandDims", "Squeeze"):
        raise UnsupportedError("changes the axes of images that are divided into blocks of the batch")
    return None


def convert_fused(convolution: Handler) -> Handler:
    """Return a function that converts a convolution or product with a fused bias and activation.

    TensorFlow's optimised graphs have such operations.
    """

    def convert(b: Builder, op: Operation) -> str:
        made = convolution(b, op)
        assert isinstance(made, str)
        steps = op.texts("fused_ops")
        place = 2
        for step in steps:
            if step == "BiasAdd":
                made = add_bias(b, op, made, place)
                place += 1
            elif step == "Prelu":
                made = b.op("PRelu", made, op.weight(place, "slopes"))
                place += 1
            else:
                made = activate(b, made, step, op.real("leakyrelu_alpha", 0.2))
        return made

    return convert


def add_bias(b: Builder, op: Operation, x: str, place: int) -> str:
    """Add a bias for each channel."""
    if not op.is_nchw or b.rank(x) < 3:
        return b.op("Add", x, op.tensor(place))
    return b.op("Add", x, op.weight(place, "biases", shape=(-1,) + (1,) * (b.rank(x) - 2)))


def _normalization(b: Builder, op: Operation) -> str:
    if op.flag("is_training", True):
        raise UnsupportedError(
            "normalizes by the statistics of its batch, as in training: export the network for inference"
        )
    operands = [
        op.weight(place, what) for place, what in enumerate(("scale", "offset", "mean", "variance"), start=1)
    ]
    x = channels_first(b, op)
    return restore_layout(b, op, b.op("BatchNormalization", x, *operands, epsilon=op.real("epsilon", 1e-4)))


def _old_normalization(b: Builder, op: Operation) -> str:
    """Convert BatchNormWithGlobalNormalization, whose operands are mean, variance, offset and scale."""
    mean, variance, offset, scale = (op.array(place, "statistics") for place in range(1, 5))
    factors = scale if op.flag("scale_after_normalization") else np.ones_like(scale)
    operands = [
        b.weight(role, numbers(one))
        for role, one in (("scale", factors), ("offset", offset), ("mean", mean), ("variance", variance))
    ]
    x = channels_first(b, op)
    epsilon = op.real("variance_epsilon", 0.0)
    return restore_layout(b, op, b.op("BatchNormalization", x, *operands, epsilon=epsilon))


def _response(b: Builder, op: Operation) -> str:
    size = 2 * op.whole("depth_radius", 5) + 1
    attributes = {
        "size": size,
        "alpha": op.real("alpha", 1.0) * size,
        "beta": op.real("beta", 0.5),
        "bias": op.real("bias", 1.0),
    }
    return restore_layout(b, op, b.op("LRN", channels_first(b, op), **attributes))


#: Operators that are allowed between SpaceToBatchND and BatchToSpaceND, because they treat each block alike.
PER_CHANNEL = frozenset(
    {
        "Conv2D", "DepthwiseConv2dNative", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Relu",
        "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh",
    }
)  # fmt: skip

#: Operators that are allowed where images are divided into blocks of the batch.
IN_BLOCKS = PER_CHANNEL | {"BatchToSpaceND", "ExpandDims", "Squeeze"}

HANDLERS: dict[str, Handler] = {
    "Conv2D": _convolution,
    "_FusedConv2D": convert_fused(_convolution),
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": convert_fused(_depthwise),
    "_FusedDepthwiseConv2dNative": convert_fused(_depthwise),
    "Conv2DBackpropInput": _transposed,
    "MaxPool": _pooling("MaxPool"),
    "MaxPoolWithArgmax": _pooling_with_positions,
    "AvgPool": _pooling("AveragePool"),
    "SpaceToBatchND": _space_to_batch,
    "BatchToSpaceND": _batch_to_space,
    "BatchNormWithGlobalNormalization": _old_normalization,
    "BiasAdd": lambda b, op: add_bias(b, op, op.tensor(), 1),
    "FusedBatchNorm": _normalization,
    "FusedBatchNormV2": _normalization,
    "FusedBatchNormV3": _normalization,
    "LRN": _response,
}
