"""Convert Keras's convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.images import Handler, Pair, is_sequence_layer, on_image, pair
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.window_sizes import crop
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor

Array = NDArray[np.float32]


def _window(c: LayerCall) -> dict[str, Any]:
    """Return kernel size, strides, dilation and padding of a layer."""
    names = {"kernel_size": "kernel_size", "strides": "strides", "dilation": "dilation_rate"}
    window: dict[str, Any] = {ours: pair(c, theirs, 1) for ours, theirs in names.items()}
    padding = c.settings.text("padding", "valid")
    if padding == "causal" and is_sequence_layer(c) and "Transpose" not in c.layer.kind:
        before = (window["kernel_size"][1] - 1) * window["dilation"][1]
        window["padding"] = ((0, 0), (before, 0))
    elif padding in ("valid", "same"):
        # A 1x1 window never needs padding. It is always called "valid", so that architectures can be compared.
        window["padding"] = "valid" if window["kernel_size"] == (1, 1) else padding
    else:
        raise UnsupportedError(f"the padding {padding!r} is not supported")
    return window


def _with_weights(
    c: LayerCall, layer: Callable[..., Tensor], x: Tensor, kernel: Array, **settings: Any
) -> FileTensor:
    """Add a convolution with the layer's bias and activation. The kernel has the network's order of axes."""
    function, name = c.function(), c.name()
    y = layer(x, activation=function.neuron, name=name, **settings)
    c.set_weights(name, weight=kernel, bias=c.weights().get("bias"))
    return c.finished(c.wrap(y), function)


def _kernel(c: LayerCall, role: str = "kernel") -> Array:
    """Return a kernel [height][width][inputs][outputs]. Its height is 1 for sequences."""
    kernel = c.weights()[role]
    return kernel[None] if is_sequence_layer(c) else kernel


def _depthwise_kernel(c: LayerCall, role: str) -> Array:
    """Reorder a depthwise kernel [height][width][inputs][multiplier] to [inputs * multiplier][height][width][1]."""
    kernel = _kernel(c, role)
    height, width, inputs, multiplier = kernel.shape
    ordered: Array = kernel.transpose(2, 3, 0, 1)
    return ordered.reshape(inputs * multiplier, height, width, 1)


def _convolution(c: LayerCall, x: Tensor) -> FileTensor:
    size = {"filters": c.settings.whole("filters", 0), "groups": c.settings.whole("groups", 1)}
    return _with_weights(c, c.network.conv2d, x, _kernel(c).transpose(3, 0, 1, 2), **size, **_window(c))


def _depthwise(c: LayerCall, x: Tensor) -> FileTensor:
    size = {"multiplier": c.settings.whole("depth_multiplier", 1)}
    return _with_weights(
        c, c.network.depthwise_conv2d, x, _depthwise_kernel(c, "kernel"), **size, **_window(c)
    )


def _separable(c: LayerCall, x: Tensor) -> FileTensor:
    name, multiplier = c.name("/depthwise"), c.settings.whole("depth_multiplier", 1)
    y = c.network.depthwise_conv2d(x, multiplier=multiplier, name=name, **_window(c))
    c.set_weights(name, weight=_depthwise_kernel(c, "depthwise_kernel"))
    kernel, size = _kernel(c, "pointwise_kernel").transpose(3, 0, 1, 2), {"kernel_size": (1, 1)}
    return _with_weights(c, c.network.conv2d, y, kernel, filters=c.settings.whole("filters", 0), **size)


def _transposed(c: LayerCall, x: Tensor) -> FileTensor:
    window = _window(c)
    if "output_padding" in c.settings:
        window |= _stated_size(window, pair(c, "output_padding", 0, of_row=0))
    size = {"filters": c.settings.whole("filters", 0), "groups": c.settings.whole("groups", 1)}
    # The file's kernel is [height][width][filters][inputs].
    kernel = _kernel(c).transpose(2, 0, 1, 3)
    return _with_weights(c, c.network.conv2d_transpose, x, kernel, **size, **window)


def _stated_size(window: dict[str, Any], extra: Pair) -> dict[str, Any]:
    """Return the window of a transposed convolution with `output_padding`, with explicit padding.

    The full result has (h - 1) * stride + reach rows. The padding "same" crops 2 * (reach // 2) - output_padding of
    them: one half on each side, and an odd row at the end, as in TensorFlow. A negative number, which is
    -output_padding with the padding "valid", adds rows at the end.
    """
    sides, added = [], []
    for kernel, dilation, more in zip(window["kernel_size"], window["dilation"], extra, strict=True):
        reach = (kernel - 1) * dilation + 1
        before, after, at_end = crop(2 * (reach // 2) - more if window["padding"] == "same" else -more)
        sides.append((before, after))
        added.append(at_end)
    return {"padding": tuple(sides), "output_padding": tuple(added)}


CONVOLUTIONS: dict[str, Handler] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Convolution2D"), on_image(_convolution)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), on_image(_transposed)),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), on_image(_depthwise)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), on_image(_separable)),
}
"""The functions that convert layers, by the name of the class."""
