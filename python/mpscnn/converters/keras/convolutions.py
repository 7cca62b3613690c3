"""Convert Keras's convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.applied import Applied
from mpscnn.converters.keras.rows import along_rows, back
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor


def _window(c: Applied, *, rows: bool) -> dict[str, Any]:
    """Return kernel size, strides, dilation and padding of a layer.

    `rows`: for sequences, which become 1-row images.
    """
    names = {"kernel_size": "kernel_size", "strides": "strides", "dilation": "dilation_rate"}
    window: dict[str, Any] = {
        ours: (1, c.settings.single(theirs, 1)) if rows else c.settings.pair(theirs, 1)
        for ours, theirs in names.items()
    }
    padding = c.settings.text("padding", "valid")
    if padding == "causal" and rows:
        before = (window["kernel_size"][1] - 1) * window["dilation"][1]
        window["padding"] = ((0, 0), (before, 0))
    elif padding in ("valid", "same"):
        # A 1x1 window never needs padding. It is always called "valid", so that architectures can be compared.
        window["padding"] = "valid" if window["kernel_size"] == (1, 1) else padding
    else:
        raise UnsupportedError(f"the padding {padding!r} is not supported")
    return window


def _input(c: Applied, *, rows: bool) -> Tensor:
    return along_rows(c, c.x()) if rows else c.image()


def _convolution(c: Applied, *, rows: bool) -> Tensor:
    x, window, function, name = _input(c, rows=rows), _window(c, rows=rows), c.function(), c.name()
    filters, groups = c.settings.whole("filters", 0), c.settings.whole("groups", 1)
    y = c.network.conv2d(x, filters, groups=groups, activation=function.neuron, name=name, **window)
    weights = c.weights()
    # [kernel height][kernel width][inputs / groups][filters] in the file
    c.set_weight(name, "weight", _kernel(weights["kernel"], rows=rows), (3, 0, 1, 2))
    c.set_weight(name, "bias", weights.get("bias"))
    y = c.finished(y, function)
    return back(c, y) if rows else y


def _depthwise(c: Applied, *, rows: bool) -> Tensor:
    x, window, function, name = _input(c, rows=rows), _window(c, rows=rows), c.function(), c.name()
    multiplier = c.settings.whole("depth_multiplier", 1)
    y = c.network.depthwise_conv2d(x, multiplier=multiplier, activation=function.neuron, name=name, **window)
    weights = c.weights()
    c.set_weight(name, "weight", _by_channel(weights["kernel"], rows=rows))
    c.set_weight(name, "bias", weights.get("bias"))
    y = c.finished(y, function)
    return back(c, y) if rows else y


def _by_channel(kernel: NDArray[np.float32], *, rows: bool) -> NDArray[np.float32]:
    """Reorder a depthwise kernel [height][width][inputs][multiplier] to [inputs * multiplier][height][width][1]."""
    kernel = _kernel(kernel, rows=rows)
    height, width, inputs, multiplier = kernel.shape
    ordered: NDArray[np.float32] = kernel.transpose(2, 3, 0, 1)
    return ordered.reshape(inputs * multiplier, height, width, 1)


def _kernel(kernel: NDArray[np.float32], *, rows: bool) -> NDArray[np.float32]:
    return kernel[None] if rows else kernel


def _separable(c: Applied, *, rows: bool) -> Tensor:
    x, window, function = _input(c, rows=rows), _window(c, rows=rows), c.function()
    depthwise, name = c.name("/depthwise"), c.name()
    y = c.network.depthwise_conv2d(
        x, multiplier=c.settings.whole("depth_multiplier", 1), name=depthwise, **window
    )
    y = c.network.conv2d(y, c.settings.whole("filters", 0), 1, activation=function.neuron, name=name)
    weights = c.weights()
    c.set_weight(depthwise, "weight", _by_channel(weights["depthwise_kernel"], rows=rows))
    c.set_weight(name, "weight", _kernel(weights["pointwise_kernel"], rows=rows), (3, 0, 1, 2))
    c.set_weight(name, "bias", weights.get("bias"))
    y = c.finished(y, function)
    return back(c, y) if rows else y


def _transposed(c: Applied, *, rows: bool) -> Tensor:
    x, window, function, name = _input(c, rows=rows), _window(c, rows=rows), c.function(), c.name()
    padding = c.settings.text("padding", "valid")
    if padding == "causal":
        raise UnsupportedError("the padding 'causal' is not supported")
    if "output_padding" in c.settings:
        extra = (0, c.settings.single("output_padding", 0)) if rows else c.settings.pair("output_padding", 0)
        window |= _stated_size(window, padding, extra)
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
    c.set_weight(name, "weight", _kernel(weights["kernel"], rows=rows), (2, 0, 1, 3))
    c.set_weight(name, "bias", weights.get("bias"))
    y = c.finished(y, function)
    return back(c, y) if rows else y


def _stated_size(window: dict[str, Any], padding: str, extra: tuple[int, int]) -> dict[str, Any]:
    """Return the window of a transposed convolution with `output_padding`, with explicit padding.

    The output size is (h - 1) * stride + reach + output_padding. With the padding "same", 2 * (reach // 2) rows are
    cropped from this, one half on each side. As in TensorFlow, an odd row is cropped at the end.
    """
    sides, added = [], []
    for kernel, dilation, more in zip(window["kernel_size"], window["dilation"], extra, strict=True):
        reach = (kernel - 1) * dilation + 1
        left_out = 2 * (reach // 2) - more if padding == "same" else -more
        before = max(left_out // 2, 0)
        sides.append((before, max(left_out - before, 0)))
        added.append(max(-left_out, 0))
    return {"padding": tuple(sides), "output_padding": tuple(added)}


def _rows(handler: Callable[..., Tensor], *, rows: bool) -> Callable[[Applied], Tensor]:
    return lambda c: handler(c, rows=rows)


CONVOLUTIONS: dict[str, Callable[[Applied], Tensor]] = {
    "Conv1D": _rows(_convolution, rows=True),
    "Conv2D": _rows(_convolution, rows=False),
    "Convolution2D": _rows(_convolution, rows=False),
    "Conv1DTranspose": _rows(_transposed, rows=True),
    "Conv2DTranspose": _rows(_transposed, rows=False),
    "DepthwiseConv1D": _rows(_depthwise, rows=True),
    "DepthwiseConv2D": _rows(_depthwise, rows=False),
    "SeparableConv1D": _rows(_separable, rows=True),
    "SeparableConv2D": _rows(_separable, rows=False),
}
