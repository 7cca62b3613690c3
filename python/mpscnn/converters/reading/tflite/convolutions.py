"""Convert TensorFlow Lite's convolutions, poolings and resizes of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from mpscnn.converters.reading.tflite import integer_forms
from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.reading.tflite.row_calls import ACTIVATIONS, Batched, Fused, Given, Padding, X
from mpscnn.converters.values.image_blocks import images_apart, images_as_channels
from mpscnn.converters.values.rows import Ints, Operand, Row, ignores
from mpscnn.converters.values.value import Value
from mpscnn.converters.values.window_sizes import crop, left_out
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Window:
    """Padding and strides of a convolution or pooling. Pairs are (vertical, horizontal)."""

    size: Pair
    strides: Pair
    padding: str | tuple[Pair, Pair]
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, padding: Padding, size: Pair, strides: Pair, dilation: Pair = (1, 1)) -> _Window:
        """Return the window that options state.

        A 1x1 window never needs padding. Its padding is always called "valid", so that architectures can be compared.
        """
        same = padding == "SAME" and size != (1, 1)
        return cls(size, strides, "same" if same else "valid", dilation)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the network's poolings."""
        return {"padding": self.padding, "strides": self.strides}


@ignores("quantized_bias_type")
def _convolution(
    op: Operation, x: Given, kernel: Given, bias: Given | None = None, *, padding: Padding, stride_w: int,
    stride_h: int, fused_activation_function: Fused, dilation_w_factor: int, dilation_h_factor: int,
) -> Value | Tensor:  # fmt: skip
    activation = ACTIVATIONS[fused_activation_function]
    strides, dilation = (stride_h, stride_w), (dilation_h_factor, dilation_w_factor)
    return _convolved(op, x, kernel, bias, (0, 1, 2, 3), padding, strides, dilation, activation)


@ignores("depth_multiplier")
def _depthwise(
    op: Operation, x: Given, kernel: Given, bias: Given | None = None, *, padding: Padding, stride_w: int,
    stride_h: int, fused_activation_function: Fused, dilation_w_factor: int, dilation_h_factor: int,
) -> Value | Tensor:  # fmt: skip
    """Convert DEPTHWISE_CONV_2D to a convolution with a group for each channel."""
    activation = ACTIVATIONS[fused_activation_function]
    strides, dilation = (stride_h, stride_w), (dilation_h_factor, dilation_w_factor)
    # Its weights are [1][kernel height][kernel width][out] in the file.
    return _convolved(op, x, kernel, bias, (3, 1, 2, 0), padding, strides, dilation, activation)


def _convolved(
    op: Operation, source: Source, kernel: Source, bias: Source | None, order: tuple[int, ...], padding: Padding,
    strides: Pair, dilation: Pair, activation: Activation,
) -> Value | Tensor:  # fmt: skip
    """Add a convolution. `order` transposes the weights to [out][height][width][in].

    Images that a reshape merged with the batch become groups of channels, which have the same weights.
    """
    outputs, height, width, inputs = kernel.stored("its weights").transpose(order).shape
    window = _Window.of(padding, (height, width), strides, dilation)
    x, window, images = _spread(op, source, kernel, window)
    activation = op.fused(activation)
    groups, name = (x.shape[-1] or 0) // inputs, op.name()
    y = op.network.conv2d(
        x, outputs * images, window.size, groups=groups, activation=activation, name=name,
        dilation=window.dilation, **window.settings,
    )  # fmt: skip
    if images == 1:
        op.set_weights(name, kernel, bias, order)
        return y
    weight = kernel.real("its weights").transpose(order)
    op.c.constants.count(4 * weight.size * images)
    op.network.graph.set_weight(name, "weight", np.tile(weight, (images, 1, 1, 1)))
    if bias is not None:
        op.network.graph.set_weight(name, "bias", np.tile(bias.real("its biases"), images))
    return images_apart(op.c.of_tensor(y), 3, images)


@ignores("quantized_bias_type")
def _transposed_convolution(
    op: Operation, shape: Given, kernel: Given, source: Given, bias: Given | None = None, *, padding: Padding,
    stride_w: int, stride_h: int, fused_activation_function: Fused,
) -> Value | Tensor:  # fmt: skip
    """Convert TRANSPOSE_CONV. Its inputs are the result's shape, weights [out][height][width][in], image, and bias."""
    x = source.tensor()
    outputs, height, width, _ = kernel.stored("its weights").shape
    size, others = shape.extents("the result's shape")  # the batch may be free
    if len(size) != 4 or None in x.shape[1:] or size[1:] != others[1:]:
        raise UnsupportedError(f"makes {size} of {x.shape}")
    activation = op.fused(ACTIVATIONS[fused_activation_function])
    strides, is_same = (stride_h, stride_w), padding == "SAME"
    if op.are_integers(source):
        extents = zip(x.shape[1:3], strides, (height, width), size[1:3], strict=True)
        first, second = (
            crop(left_out(one or 0, stride, taps, end or 0)).before if is_same else 0
            for one, stride, taps, end in extents
        )
        pads, result = (first, second), (size[1], size[2])
        return integer_forms.transposed_convolution(
            op, source, kernel, bias, strides, result, pads, activation
        )
    name = op.name()
    y = op.network.conv2d_transpose(
        x,
        outputs,
        (height, width),
        strides=strides,
        padding="same" if is_same else "valid",
        output_size=(size[1], size[2]),
        activation=activation,
        name=name,
    )
    op.set_weights(name, kernel, None, (0, 1, 2, 3))
    if bias is not None:
        op.network.graph.set_weight(name, "bias", bias.real("its biases"))
    return y


# ---- Dilation written with batches -------------------------------------------------------------------------

Block = Annotated[Ints, Operand("its block")]
Borders = Annotated[Ints, Operand("its padding")]


def _space_to_batch(op: Operation, x: Batched, block: Block, pads: Borders) -> Tensor:
    """Convert SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND to a dilated convolution (used by old files).

    The convolution gets the image, and finds the blocks and the padding at this operator.
    """
    user = op.only_user
    if len(block) != 2 or len(pads) != 4 or user is None or user.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        raise UnsupportedError("only around a convolution, as its dilation, is it supported")
    return x


def _spread(op: Operation, source: Source, kernel: Source, window: _Window) -> tuple[Tensor, _Window, int]:
    """Return the input and window of a convolution, after merging SPACE_TO_BATCH_ND before it.

    The last result is the number of images that became channels, see `FileTensor.images_as_channels`.
    """
    before, after = source.maker, op.only_user
    if before is None or before.kind != "SPACE_TO_BATCH_ND":
        whole, images = images_as_channels(source.computed(), 3)
        if images > 1 and any(op.c.integers.of(one.index) for one in (source, kernel)):
            raise UnsupportedError(
                f"changes the batch of {source.computed().shown}, which is supported in floats only"
            )
        return op.c.tensor(whole), window, images
    if after is None or after.kind != "BATCH_TO_SPACE_ND":
        raise UnsupportedError("its input are batches of blocks, which BATCH_TO_SPACE_ND must join after it")
    (block, pads), (joined, crops) = (
        [op.c.integers_in(one.inputs[place], what) for place, what in ((1, "the block"), (2, "the borders"))]
        for one in (before, after)
    )
    if (
        joined != block
        or len(crops) != 4
        or window.padding != "valid"
        or (*window.strides, *window.dilation) != (1, 1, 1, 1)
    ):
        raise UnsupportedError("batches of blocks around a convolution with padding, strides or dilation")
    top, bottom, left, right = (pad - crop for pad, crop in zip(pads, crops, strict=True))
    if min(top, bottom, left, right) < 0:
        raise UnsupportedError(f"its borders {crops} are larger than its padding {pads}")
    window = replace(window, padding=((top, bottom), (left, right)), dilation=(block[0], block[1]))
    return source.tensor(), window, 1


def _batch_to_space(op: Operation, x: Given, *_: Given) -> Tensor:
    before = x.maker
    first = None if before is None else op.c.file.makers.get(before.inputs[0])
    if first is None or first.kind != "SPACE_TO_BATCH_ND":
        raise UnsupportedError("it is supported only after a convolution, as its dilation")
    return x.tensor()


# ---- Poolings ----------------------------------------------------------------------------------------------


def _root_mean_square(op: Operation, x: Tensor, window: _Window) -> Tensor:
    """Convert L2_POOL_2D: the root of the mean square of each window. TensorFlow divides by the number of pixels."""
    square, root = ({"kind": "power", "a": 1.0, "b": 0.0, "c": power} for power in (2.0, 0.5))
    y = op.network.activation(x, square, name=op.name("/squares"))
    y = op.network.average_pool2d(y, window.size, name=op.name("/mean"), **window.settings)
    return op.network.activation(y, root, name=op.name("/root"))


def _pool(
    op: Operation, x: X, *, padding: Padding, stride_w: int, stride_h: int, filter_width: int, filter_height: int,
    fused_activation_function: Fused,
) -> Value:  # fmt: skip
    whole, images = images_as_channels(x, 3)
    image, size = op.c.tensor(whole), (filter_height, filter_width)
    activation = op.fused(ACTIVATIONS[fused_activation_function])
    name, network = op.name(), op.network
    is_max, is_root = op.kind == "MAX_POOL_2D", op.kind == "L2_POOL_2D"
    window = _Window.of(padding, size, (stride_h, stride_w))
    one_window = window.padding == "valid" or all(
        stride >= extent for stride, extent in zip(window.strides, size, strict=True)
    )
    if is_root:
        y = _root_mean_square(op, image, window)
    elif size == image.shape[1:3] and one_window:
        y = (network.global_max_pool2d if is_max else network.global_average_pool2d)(image, name=name)
    else:
        pool = network.max_pool2d if is_max else network.average_pool2d
        y = pool(image, size, name=name, **window.settings)
    if activation is not None:
        op.note(y)
        y = network.activation(y, activation, name=op.name("/activation"))
    return images_apart(op.c.of_tensor(y), 3, images)


# ---- Resizes -----------------------------------------------------------------------------------------------

NewSize = Annotated[Ints, Operand("its new size")]


@ignores("new_height", "new_width")
def _bilinear(
    op: Operation, x: Batched, size: NewSize, *, align_corners: bool, half_pixel_centers: bool
) -> Tensor:
    return _resized(op, x, size, "bilinear", align_corners, half_pixel_centers)


def _nearest(
    op: Operation, x: Batched, size: NewSize, *, align_corners: bool, half_pixel_centers: bool
) -> Tensor:
    return _resized(op, x, size, "nearest", align_corners, half_pixel_centers)


def _resized(
    op: Operation, x: Tensor, size: Ints, method: Literal["bilinear", "nearest"], corners: bool, centers: bool
) -> Tensor:
    height, width = size
    if corners and centers:
        raise UnsupportedError(
            "it aligns both the corners and the centers of pixels, which contradict each other"
        )
    if x.shape[1:3] == (height, width):  # a resize to the same size changes nothing
        return x
    alignment: Literal["corners", "half_pixel", "asymmetric"] = (
        "corners" if corners else "half_pixel" if centers else "asymmetric"
    )
    return op.network.resize(x, (height, width), method=method, alignment=alignment, name=op.name())


CONVOLUTIONS: dict[str, Row] = {
    "AVERAGE_POOL_2D": _pool,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "L2_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "RESIZE_BILINEAR": _bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "TRANSPOSE_CONV": _transposed_convolution,
}
