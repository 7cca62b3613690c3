"""Convert Keras's convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.keras.images import Numbers, pair
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import Image
from mpscnn.converters.reading.keras.settings import Whole, Wholes
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.window_sizes import crop
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor

Array = NDArray[np.float32]
Padding = Literal["valid", "same"]
CausalPadding = Literal["valid", "same", "causal"]


def _window(
    c: LayerCall, kernel_size: Wholes, strides: Wholes, dilation_rate: Wholes, padding: str
) -> dict[str, Any]:
    """Return kernel size, strides, dilation and padding of a layer."""
    window: dict[str, Any] = {
        "kernel_size": pair(c, kernel_size, "kernel_size"),
        "strides": pair(c, strides, "strides"),
        "dilation": pair(c, dilation_rate, "dilation_rate"),
    }
    if padding == "causal":
        if not c.is_sequence:
            raise UnsupportedError("the padding 'causal' is not supported")
        before = (window["kernel_size"][1] - 1) * window["dilation"][1]
        window["padding"] = ((0, 0), (before, 0))
    else:
        # A 1x1 window never needs padding. It is always called "valid", so that architectures can be compared.
        window["padding"] = "valid" if window["kernel_size"] == (1, 1) else padding
    return window


def _with_weights(
    c: LayerCall, activation: Any, layer: Callable[..., Tensor], x: Tensor, kernel: Array, **settings: Any
) -> FileTensor:
    """Add a convolution with the layer's bias and activation. The kernel has the network's order of axes."""
    function, name = c.function(activation), c.name()
    y = layer(x, activation=function.neuron, name=name, **settings)
    c.set_weights(name, weight=kernel, bias=c.weights().get("bias"))
    return c.finished(c.wrap(y), function)


def _kernel(c: LayerCall, role: str = "kernel") -> Array:
    """Return a kernel [height][width][inputs][outputs]. Its height is 1 for sequences."""
    kernel = c.weights()[role]
    return kernel[None] if c.is_sequence else kernel


def _depthwise_kernel(c: LayerCall, role: str) -> Array:
    """Reorder a depthwise kernel [height][width][inputs][multiplier] to [inputs * multiplier][height][width][1]."""
    kernel = _kernel(c, role)
    height, width, inputs, multiplier = kernel.shape
    ordered: Array = kernel.transpose(2, 3, 0, 1)
    return ordered.reshape(inputs * multiplier, height, width, 1)


def _convolution(
    c: LayerCall, x: Image, *, filters: Whole = 0, kernel_size: Wholes = (1,), strides: Wholes = (1,),
    padding: CausalPadding = "valid", dilation_rate: Wholes = (1,), groups: Whole = 1,
    activation: Any = None,
) -> FileTensor:  # fmt: skip
    window, kernel = _window(c, kernel_size, strides, dilation_rate, padding), _kernel(c)
    return _with_weights(
        c, activation, c.network.conv2d, x, kernel.transpose(3, 0, 1, 2), filters=filters, groups=groups, **window
    )  # fmt: skip


@ignores("groups")
def _depthwise(
    c: LayerCall, x: Image, *, kernel_size: Wholes = (1,), strides: Wholes = (1,),
    padding: CausalPadding = "valid", dilation_rate: Wholes = (1,), depth_multiplier: Whole = 1,
    activation: Any = None,
) -> FileTensor:  # fmt: skip
    window, kernel = _window(c, kernel_size, strides, dilation_rate, padding), _depthwise_kernel(c, "kernel")
    layer = c.network.depthwise_conv2d
    return _with_weights(c, activation, layer, x, kernel, multiplier=depth_multiplier, **window)


@ignores("groups")
def _separable(
    c: LayerCall, x: Image, *, filters: Whole = 0, kernel_size: Wholes = (1,), strides: Wholes = (1,),
    padding: CausalPadding = "valid", dilation_rate: Wholes = (1,), depth_multiplier: Whole = 1,
    activation: Any = None,
) -> FileTensor:  # fmt: skip
    name, window = c.name("/depthwise"), _window(c, kernel_size, strides, dilation_rate, padding)
    y = c.network.depthwise_conv2d(x, multiplier=depth_multiplier, name=name, **window)
    c.set_weights(name, weight=_depthwise_kernel(c, "depthwise_kernel"))
    kernel = _kernel(c, "pointwise_kernel").transpose(3, 0, 1, 2)
    return _with_weights(c, activation, c.network.conv2d, y, kernel, filters=filters, kernel_size=(1, 1))


def _transposed(
    c: LayerCall, x: Image, *, filters: Whole = 0, kernel_size: Wholes = (1,), strides: Wholes = (1,),
    padding: Padding = "valid", output_padding: Wholes | None = None, dilation_rate: Wholes = (1,),
    groups: Whole = 1, activation: Any = None,
) -> FileTensor:  # fmt: skip
    window = _window(c, kernel_size, strides, dilation_rate, padding)
    if output_padding is not None:
        window |= _stated_size(window, pair(c, output_padding, "output_padding", of_row=0))
    # The file's kernel is [height][width][filters][inputs].
    kernel = _kernel(c).transpose(2, 0, 1, 3)
    layer = c.network.conv2d_transpose
    return _with_weights(c, activation, layer, x, kernel, filters=filters, groups=groups, **window)


def _stated_size(window: dict[str, Any], extra: Numbers) -> dict[str, Any]:
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


CONVOLUTIONS: dict[str, Row] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Convolution2D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose"), _transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
}
"""The functions that convert layers, by the name of the class."""
