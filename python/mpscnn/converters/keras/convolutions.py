"""Convert Keras's convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.sequences import convert_as_image, is_sequence_layer, pair
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor


def _window(c: LayerCall) -> dict[str, Any]:
    """Return kernel size, strides, dilation and padding of a layer."""
    names = {"kernel_size": "kernel_size", "strides": "strides", "dilation": "dilation_rate"}
    window: dict[str, Any] = {ours: pair(c, theirs, 1) for ours, theirs in names.items()}
    padding = c.settings.text("padding", "valid")
    if padding == "causal" and is_sequence_layer(c):
        before = (window["kernel_size"][1] - 1) * window["dilation"][1]
        window["padding"] = ((0, 0), (before, 0))
    elif padding in ("valid", "same"):
        # A 1x1 window never needs padding. It is always called "valid", so that architectures can be compared.
        window["padding"] = "valid" if window["kernel_size"] == (1, 1) else padding
    else:
        raise UnsupportedError(f"the padding {padding!r} is not supported")
    return window


def _convolution(c: LayerCall, x: Tensor) -> Tensor:
    window, function, name = _window(c), c.function(), c.name()
    filters, groups = c.settings.whole("filters", 0), c.settings.whole("groups", 1)
    y = c.network.conv2d(x, filters, groups=groups, activation=function.neuron, name=name, **window)
    weights = c.weights()
    # [kernel height][kernel width][inputs / groups][filters] in the file
    c.set_weight(name, "weight", _kernel(c, weights["kernel"]), (3, 0, 1, 2))
    c.set_weight(name, "bias", weights.get("bias"))
    return c.finished(y, function)


def _depthwise(c: LayerCall, x: Tensor) -> Tensor:
    window, function, name = _window(c), c.function(), c.name()
    multiplier = c.settings.whole("depth_multiplier", 1)
    y = c.network.depthwise_conv2d(x, multiplier=multiplier, activation=function.neuron, name=name, **window)
    weights = c.weights()
    c.set_weight(name, "weight", _by_channel(_kernel(c, weights["kernel"])))
    c.set_weight(name, "bias", weights.get("bias"))
    return c.finished(y, function)


def _by_channel(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder a depthwise kernel [height][width][inputs][multiplier] to [inputs * multiplier][height][width][1]."""
    height, width, inputs, multiplier = kernel.shape
    ordered: NDArray[np.float32] = kernel.transpose(2, 3, 0, 1)
    return ordered.reshape(inputs * multiplier, height, width, 1)


def _kernel(c: LayerCall, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a kernel with a height, which is 1 for sequences."""
    return kernel[None] if is_sequence_layer(c) else kernel


def _separable(c: LayerCall, x: Tensor) -> Tensor:
    window, function = _window(c), c.function()
    depthwise, name = c.name("/depthwise"), c.name()
    y = c.network.depthwise_conv2d(
        x, multiplier=c.settings.whole("depth_multiplier", 1), name=depthwise, **window
    )
    y = c.network.conv2d(y, c.settings.whole("filters", 0), 1, activation=function.neuron, name=name)
    weights = c.weights()
    c.set_weight(depthwise, "weight", _by_channel(_kernel(c, weights["depthwise_kernel"])))
    c.set_weight(name, "weight", _kernel(c, weights["pointwise_kernel"]), (3, 0, 1, 2))
    c.set_weight(name, "bias", weights.get("bias"))
    return c.finished(y, function)


def _transposed(c: LayerCall, x: Tensor) -> Tensor:
    window, function, name = _window(c), c.function(), c.name()
    padding = c.settings.text("padding", "valid")
    if padding == "causal":
        raise UnsupportedError("the padding 'causal' is not supported")
    if "output_padding" in c.settings:
        window |= _stated_size(window, padding, pair(c, "output_padding", 0, of_row=0))
    y = c.network.conv2d_transpose(
        x,
        c.settings.whole("filters", 0),
        groups=c.settings.whole("groups", 1),
        activation=function.neuron,
        name=name,
        **window,
    )
    weights = c.weights()
    # [kernel height][kernel width][filters][inputs] in the file
    c.set_weight(name, "weight", _kernel(c, weights["kernel"]), (2, 0, 1, 3))
    c.set_weight(name, "bias", weights.get("bias"))
    return c.finished(y, function)


def _stated_size(window: dict[str, Any], padding: str, extra: tuple[int, int]) -> dict[str, Any]:
    """Return the window of a transposed convolution with `output_padding`, with explicit padding.

    The full result has (h - 1) * stride + reach rows. The padding "same" crops 2 * (reach // 2) - output_padding of
    them: one half on each side, and an odd row at the end, as in TensorFlow. A negative number, which is
    -output_padding with the padding "valid", adds rows at the end.
    """
    sides, added = [], []
    for kernel, dilation, more in zip(window["kernel_size"], window["dilation"], extra, strict=True):
        reach = (kernel - 1) * dilation + 1
        left_out = 2 * (reach // 2) - more if padding == "same" else -more
        before = max(left_out // 2, 0)
        sides.append((before, max(left_out - before, 0)))
        added.append(max(-left_out, 0))
    return {"padding": tuple(sides), "output_padding": tuple(added)}


CONVOLUTIONS: dict[str, Callable[[LayerCall], Tensor]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Convolution2D"), convert_as_image(_convolution)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), convert_as_image(_transposed)),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), convert_as_image(_depthwise)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), convert_as_image(_separable)),
}
