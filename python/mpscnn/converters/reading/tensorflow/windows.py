"""Convert convolutions and poolings."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.blocks import cut
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.tensorflow.elementwise import activate
from mpscnn.converters.reading.tensorflow.operation import (
    Layout,
    Number,
    Operation,
    Place,
    channels_first,
    is_channels_first,
    numbers,
    restore_layout,
)
from mpscnn.converters.values.rows import Ints, Name, Row, Texts, ignores
from mpscnn.converters.values.window_sizes import crop_to_size, padding_of_result
from mpscnn.errors import UnsupportedError, WeightsError

_LARGEST = 2**31 - 1


Padding = Literal["VALID", "SAME", "EXPLICIT"]


def _sides(values: Ints, name: str, layout: Layout) -> list[int]:
    """Return the entries for height and width of a setting that has an entry for each axis."""
    values = values or (1, 1, 1, 1)
    if len(values) != 4 or not all(1 <= value <= _LARGEST for value in values):
        raise WeightsError(f"damaged: its {name} are {list(values[:8])}")
    is_first = is_channels_first(layout)
    others = (values[0], values[1]) if is_first else (values[0], values[3])
    if others != (1, 1):
        raise UnsupportedError(f"its {name} {list(values)} step over images or channels")
    return list(values[2:] if is_first else values[1:3])


def _padding(kind: Padding, amounts: Ints, layout: Layout) -> dict[str, Any]:
    if kind == "VALID":
        return {}
    if kind == "SAME":
        return {"auto_pad": "SAME_UPPER"}
    if len(amounts) != 8 or not all(0 <= one <= _LARGEST for one in amounts):
        raise WeightsError(f"damaged: its padding is {kind!r} {list(amounts[:8])}")
    top, bottom, left, right = amounts[4:] if is_channels_first(layout) else amounts[2:6]
    return {"pads": [top, left, bottom, right]}


def _dilations(op: Operation, dilations: Ints, strides: Ints, padding: Padding, layout: Layout) -> list[int]:
    """Return the dilations of a window. SpaceToBatchND before and BatchToSpaceND after it also mean a dilation."""
    own, block = _sides(dilations, "dilations", layout), op.block()
    if block is None:
        return own
    if own != [1, 1] or _sides(strides, "strides", layout) != [1, 1] or padding != "VALID":
        raise UnsupportedError("its images are divided into blocks, and it has strides, dilations or padding")
    return list(block)


@ignores("use_cudnn_on_gpu")
def _convolution(
    b: Builder, op: Operation, image: Place, kernel: Place, *, strides: Ints = (), padding: Padding = "VALID",
    explicit_paddings: Ints = (), data_format: Layout = "NHWC", dilations: Ints = (),
) -> str:  # fmt: skip
    taps = op.array(kernel, "weights")
    x = channels_first(b, op.tensor(image), data_format)
    channels = b.extents(x)[1]
    if taps.ndim != 4 or channels is None or channels % max(taps.shape[2], 1):
        raise WeightsError(f"damaged: weights of the shape {taps.shape} for {channels} channels")
    attributes = {
        "strides": _sides(strides, "strides", data_format),
        "dilations": _dilations(op, dilations, strides, padding, data_format),
        "group": channels // max(taps.shape[2], 1),
        **_padding(padding, explicit_paddings, data_format),
    }
    weight = op.weight(kernel, "weight", (3, 2, 0, 1))
    return restore_layout(b, ops.convolve(b, x, weight, **attributes), data_format)


def _depthwise(
    b: Builder, op: Operation, image: Place, kernel: Place, *, strides: Ints = (), padding: Padding = "VALID",
    explicit_paddings: Ints = (), data_format: Layout = "NHWC", dilations: Ints = (),
) -> str:  # fmt: skip
    taps = op.array(kernel, "weights")
    if taps.ndim != 4:
        raise WeightsError(f"damaged: weights of the shape {taps.shape}")
    height, width, channels, multiplier = taps.shape
    x = channels_first(b, op.tensor(image), data_format)
    attributes = {
        "strides": _sides(strides, "strides", data_format),
        "dilations": _dilations(op, dilations, strides, padding, data_format),
        "group": channels,
        **_padding(padding, explicit_paddings, data_format),
    }
    weight = op.weight(kernel, "weight", (2, 3, 0, 1), (channels * multiplier, 1, height, width))
    return restore_layout(b, ops.convolve(b, x, weight, **attributes), data_format)


@ignores("use_cudnn_on_gpu")
def _transposed(
    b: Builder, op: Operation, result: Place, kernel: Place, image: Place, *, strides: Ints = (),
    padding: Padding = "VALID", explicit_paddings: Ints = (), data_format: Layout = "NHWC", dilations: Ints = (),
) -> str:  # fmt: skip
    """Convert Conv2DBackpropInput. Its operands are the size of its result, the weights and the image."""
    taps = op.array(kernel, "weights")
    steps = _sides(strides, "strides", data_format)
    if taps.ndim != 4 or _sides(dilations, "dilations", data_format) != [1, 1]:
        raise UnsupportedError("a transposed convolution with dilations")
    x = channels_first(b, op.tensor(image), data_format)
    sides = b.extents(x)[2:]
    wanted = op.shape(result, "size of the result")
    if len(wanted) == 4:
        wanted = wanted[2:] if is_channels_first(data_format) else wanted[1:3]
    if len(wanted) != 2:
        raise WeightsError(f"damaged: its result has the size {wanted[:5]}")
    pads = _padding(padding, explicit_paddings, data_format)
    known: list[tuple[int, int]] = []
    for window, stride, side, size in zip(taps.shape[:2], steps, sides, wanted, strict=True):
        if size is not None and side is not None:
            known.append((side, size))
            continue
        if "pads" in pads:
            raise UnsupportedError(f"pads explicitly, but the size of the image is free: {CHOOSE_SIZE}")
        # Use the padding that gives the output size which Keras chooses.
        known.append((1, stride if "auto_pad" in pads else max(window, stride)))
    fixed_sides, fixed_sizes = zip(*known, strict=True)
    weight = op.weight(kernel, "weight", (3, 2, 0, 1))
    cropped = crop_to_size(fixed_sides, fixed_sizes, taps.shape[:2], steps, pads)
    attributes: dict[str, Any] = padding_of_result(cropped, steps)
    return restore_layout(b, ops.convolve_transposed(b, x, weight, strides=steps, **attributes), data_format)


def _pooling(pool: ops.Pooling) -> Row:
    def row(
        b: Builder, x: Name, *, ksize: Ints = (), strides: Ints = (), padding: Padding = "VALID",
        explicit_paddings: Ints = (), data_format: Layout = "NHWC",
    ) -> str:  # fmt: skip
        image = channels_first(b, x, data_format)
        window = _window(ksize, strides, padding, explicit_paddings, data_format)
        return restore_layout(b, pool(b, image, **window), data_format)

    return row


def _window(ksize: Ints, strides: Ints, padding: Padding, explicit: Ints, layout: Layout) -> dict[str, Any]:
    """Return the window of a pooling by the names of ONNX."""
    return {
        "kernel_shape": _sides(ksize, "ksize", layout),
        "strides": _sides(strides, "strides", layout),
        **_padding(padding, explicit, layout),
    }


def _pooling_with_positions(
    b: Builder, image: Name, *, ksize: Ints = (), strides: Ints = (), padding: Padding = "VALID",
    explicit_paddings: Ints = (), data_format: Layout = "NHWC", include_batch_in_index: bool = False,
) -> list[str]:  # fmt: skip
    """Convert MaxPoolWithArgmax. A position is (row * width + column) * channels + channel within the image."""
    if include_batch_in_index:
        raise UnsupportedError("counts positions over all images of the batch")
    x = channels_first(b, image, data_format)
    _, channels, height, width = b.extents(x)
    if channels is None or height is None or width is None:
        raise UnsupportedError("the size of its input is not known")
    attributes = _window(ksize, strides, padding, explicit_paddings, data_format)
    y, positions = ops.max_pool_with_places(b, x, **attributes)
    pixels = ops.modulo(b, positions, [height * width])
    channel = b.weight("channels", np.arange(channels, dtype=np.int64).reshape(1, channels, 1, 1))
    positions = ops.add(b, ops.multiply(b, pixels, [channels]), channel)
    return [restore_layout(b, y, data_format), restore_layout(b, positions, data_format)]


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


def _space_to_batch(b: Builder, op: Operation, x: Name, block: Place, amounts: Place) -> str:
    """Convert SpaceToBatchND to its padding only. The operators up to BatchToSpaceND get a dilation instead."""
    del block, amounts  # `_given_block` and `_ends` read them
    before, after = _ends(op, "paddings", len(_given_block(b, op)) + 2)
    return ops.pad(b, x, [*before, *after]) if any(before + after) else x


def _batch_to_space(b: Builder, op: Operation, x: Name, block: Place, amounts: Place) -> str:
    del block, amounts
    if op.block() is None or _given_block(b, op) != op.block():
        raise UnsupportedError("joins images of the batch")
    before, after = _ends(op, "crops", b.rank(x))
    return cut(b, x, before, after)


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
    dropped = op.settings.get("squeeze_dims") or op.settings.get("axis")
    if op.kind == "Squeeze" and len(block) == 2 and block[0] == 1 and dropped in ([1], [-3]):
        return block[1:]
    if op.kind in ("ExpandDims", "Squeeze"):
        raise UnsupportedError("changes the axes of images that are divided into blocks of the batch")
    return None


def convert_fused(product: Row) -> Row:
    """Return the row of a convolution or product with a fused bias and activation.

    TensorFlow's optimised graphs have such operations.
    """

    @ignores("num_args", "num_host_args", "filter_format", "epsilon", "TArgs")
    def row(
        b: Builder, op: Operation, x: Place, weights: Place, *others: Place, fused_ops: Texts = (),
        leakyrelu_alpha: Number = 0.2, **settings: Any,
    ) -> str:  # fmt: skip
        del x, weights  # the first operands are those of the product
        made: str = op.run(product, settings, 2)
        left = list(others)
        for step in fused_ops:
            if step == "BiasAdd":
                made = add_bias(b, op, made, _taken(left), settings.get("data_format", "NHWC"))
            elif step == "Prelu":
                made = ops.prelu(b, made, op.weight(_taken(left), "slopes"))
            else:
                made = activate(b, made, step, leakyrelu_alpha)
        return made

    return row


def _taken(places: list[Place]) -> Place:
    if not places:
        raise WeightsError("damaged: it has fewer operands than fused operations need")
    return places.pop(0)


def add_bias(b: Builder, op: Operation, x: str, bias: Place, layout: Any) -> str:
    """Add a bias for each channel."""
    layout = layout.decode() if isinstance(layout, bytes) else layout
    if not is_channels_first(layout) or b.rank(x) < 3:
        return ops.add(b, x, op.tensor(bias))
    return ops.add(b, x, op.weight(bias, "biases", shape=(-1,) + (1,) * (b.rank(x) - 2)))


def _bias(b: Builder, op: Operation, x: Name, bias: Place, *, data_format: Layout = "NHWC") -> str:
    return add_bias(b, op, x, bias, data_format)


@ignores("exponential_avg_factor")
def _normalization(
    b: Builder, op: Operation, image: Place, scale: Place, offset: Place, mean: Place, variance: Place,
    *, epsilon: Number = 1e-4, data_format: Layout = "NHWC", is_training: bool = True,
) -> str:  # fmt: skip
    if is_training:
        raise UnsupportedError(
            "normalizes by the statistics of its batch, as in training: export the network for inference"
        )
    roles = {"scale": scale, "offset": offset, "mean": mean, "variance": variance}
    operands = [op.weight(place, what) for what, place in roles.items()]
    x = channels_first(b, op.tensor(image), data_format)
    return restore_layout(b, ops.batch_norm(b, x, *operands, epsilon=epsilon), data_format)


def _old_normalization(
    b: Builder, op: Operation, image: Place, mean: Place, variance: Place, offset: Place, scale: Place,
    *, variance_epsilon: Number = 0.0, scale_after_normalization: bool = False,
) -> str:  # fmt: skip
    """Convert BatchNormWithGlobalNormalization."""
    factors, offsets, means, variances = (
        op.array(place, "statistics") for place in (scale, offset, mean, variance)
    )
    factors = factors if scale_after_normalization else np.ones_like(factors)
    operands = [
        b.weight(role, numbers(one))
        for role, one in (("scale", factors), ("offset", offsets), ("mean", means), ("variance", variances))
    ]
    x = channels_first(b, op.tensor(image), "NHWC")
    return restore_layout(b, ops.batch_norm(b, x, *operands, epsilon=variance_epsilon), "NHWC")


def _response(
    b: Builder, image: Name, *, depth_radius: int = 5, bias: Number = 1.0, alpha: Number = 1.0,
    beta: Number = 0.5,
) -> str:  # fmt: skip
    size = 2 * depth_radius + 1
    x = channels_first(b, image, "NHWC")
    made = ops.local_response_norm(b, x, size=size, alpha=alpha * size, beta=beta, bias=bias)
    return restore_layout(b, made, "NHWC")


#: Operators that are allowed between SpaceToBatchND and BatchToSpaceND, because they treat each block alike.
PER_CHANNEL = frozenset(
    {
        "Conv2D", "DepthwiseConv2dNative", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Relu",
        "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh",
    }
)  # fmt: skip

#: Operators that are allowed where images are divided into blocks of the batch.
IN_BLOCKS = PER_CHANNEL | {"BatchToSpaceND", "ExpandDims", "Squeeze"}

ROWS: dict[str, Row] = {
    "Conv2D": _convolution,
    "_FusedConv2D": convert_fused(_convolution),
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": convert_fused(_depthwise),
    "_FusedDepthwiseConv2dNative": convert_fused(_depthwise),
    "Conv2DBackpropInput": _transposed,
    "MaxPool": _pooling(ops.max_pool),
    "MaxPoolWithArgmax": _pooling_with_positions,
    "AvgPool": _pooling(ops.average_pool),
    "SpaceToBatchND": _space_to_batch,
    "BatchToSpaceND": _batch_to_space,
    "BatchNormWithGlobalNormalization": _old_normalization,
    "BiasAdd": _bias,
    "FusedBatchNorm": _normalization,
    "FusedBatchNormV2": _normalization,
    "FusedBatchNormV3": _normalization,
    "LRN": _response,
}
