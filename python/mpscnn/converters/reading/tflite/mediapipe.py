"""Convert MediaPipe's custom operators: poolings with positions, and transposed convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mpscnn.converters.reading.tflite.operation import Operation
from mpscnn.converters.reading.tflite.row_calls import Batched, Given, Padding
from mpscnn.converters.values.max_unpooling import Windows, find_maxima, padding_before, unpool
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

# MediaPipe adds this to the number of a tap, so that a later conversion to integers does not round it down.
_ADDED = 0.1


def _pooling(
    op: Operation, x: Batched, *, padding: Padding, stride_w: int, stride_h: int, filter_width: int,
    filter_height: int, activation: int,
) -> Iterator[Tensor]:  # fmt: skip
    """Convert MaxPoolingWithArgmax2D: a max pooling, and row * kernel width + column of each maximum in its window."""
    outputs = op.stated.outputs
    if len(outputs) != 2:
        raise WeightsError(f"damaged: it has {len(outputs)} results")
    if activation:
        raise UnsupportedError("it ends with an activation, which is not supported")
    kernel, strides = (filter_height, filter_width), (stride_h, stride_w)
    is_same = padding == "SAME"
    name = op.name()
    y = op.network.max_pool2d(x, kernel, strides=strides, padding="same" if is_same else "valid", name=name)
    yield y
    if not op.c.is_used(outputs[1]):
        return
    before = padding_before(x, kernel, strides) if is_same else (0, 0)
    windows = Windows.of(x, y, kernel, strides, (1, 1), before)
    maxima = find_maxima(op.c.arranger, x, y, windows, range(filter_height * filter_width))
    op.c.maxima[outputs[1]] = maxima
    name = op.name("/numbers")
    yield op.network.activation(maxima.places, {"kind": "linear", "a": 1.0, "b": _ADDED}, name=name)


@ignores("padding")
def _unpooling(
    op: Operation,
    x: Given,
    places: Given,
    *,
    stride_w: int,
    stride_h: int,
    filter_width: int,
    filter_height: int,
) -> Value | Tensor:
    """Convert MaxUnpooling2D by the positions of a MaxPoolingWithArgmax2D.

    The result consists of whole windows, so it may be larger than the image that was pooled.
    """
    maxima = op.c.maxima.get(places.index)
    if maxima is None:
        raise UnsupportedError(
            "its positions are not those of a MaxPoolingWithArgmax2D, which is not supported"
        )
    windows, kernel = maxima.windows, (filter_height, filter_width)
    if windows.kernel != kernel or windows.strides != (stride_h, stride_w):
        raise UnsupportedError(f"undoes a pooling with windows of {windows.kernel} by windows of {kernel}")
    rows, columns = windows.results
    whole = replace(windows, before=(0, 0), size=(rows * filter_height, columns * filter_width))
    return unpool(op.c.arranger, x.tensor(), replace(maxima, windows=whole))


def _transposed_convolution(
    op: Operation, x: Batched, kernel: Given, bias: Given | None = None, *, padding: Padding, stride_w: int,
    stride_h: int,
) -> Tensor:  # fmt: skip
    """Convert Convolution2DTransposeBias. Its inputs are the image, weights [out][height][width][in], and biases."""
    filters, height, width, _ = kernel.stored("its weights").shape
    strides = (stride_h, stride_w)
    name = op.name()
    totals = [0, 0]
    if padding == "SAME":
        for axis, (extent, taps, stride) in enumerate(
            zip(x.shape[1:3], (height, width), strides, strict=True)
        ):
            if extent is None:
                raise UnsupportedError("has padding that depends on a size that is free")
            totals[axis] = max(0, taps - (extent - 1) % stride - 1)
    top, left = (total // 2 for total in totals)
    sides = (top, totals[0] - top), (left, totals[1] - left)
    y = op.network.conv2d_transpose(x, filters, (height, width), strides=strides, padding=sides, name=name)
    op.set_weights(name, kernel, bias, (0, 1, 2, 3))
    return y


MEDIAPIPE: dict[str, Row] = {
    "CUSTOM Convolution2DTransposeBias": _transposed_convolution,
    "CUSTOM MaxPoolingWithArgmax2D": _pooling,
    "CUSTOM MaxUnpooling2D": _unpooling,
}
