"""Convert MediaPipe's custom operators of segmentation networks: poolings with positions, and transposed convolution.

Their options are the bytes of structs of 32-bit integers in TensorFlow Lite's C interface, not FlexBuffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from mpscnn.converters.max_unpooling import Windows, find_maxima, padding_before, unpool
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

_SAME, _VALID = 1, 2  # values of the C enumeration TfLitePadding
# MediaPipe adds this to the number of a tap, so that a later conversion to integers does not round it down.
_ADDED = 0.1


def _numbers(o: Operation, count: int) -> tuple[int, ...]:
    """Return the first integers of the operator's options, of which the first one is the padding."""
    options = o.operator.custom_options
    if len(options) < 4 * count:
        raise WeightsError(f"damaged: its options have {len(options)} bytes, expected {4 * count}")
    numbers: tuple[int, ...] = struct.unpack_from(f"<{count}i", options)
    if numbers[0] not in (_SAME, _VALID) or min(numbers[1:]) < 0:
        raise WeightsError(f"damaged: its options are {numbers}")
    return numbers


def _pooling(o: Operation) -> Iterator[Tensor]:
    """Convert MaxPoolingWithArgmax2D: a max pooling, and row * kernel width + column of each maximum in its window."""
    padding, across, down, width, height, activation = _numbers(o, 6)
    if len(o.outputs) != 2:
        raise WeightsError(f"damaged: it has {len(o.outputs)} results")
    if activation:
        raise UnsupportedError("it ends with an activation, which is not supported")
    x, kernel, strides = o.tensor(), (height, width), (down, across)
    is_same = padding == _SAME
    name = o.name()
    y = o.network.max_pool2d(x, kernel, strides=strides, padding="same" if is_same else "valid", name=name)
    yield y
    if not o.is_used(o.outputs[1]):
        return
    before = padding_before(x, kernel, strides) if is_same else (0, 0)
    windows = Windows.of(x, y, kernel, strides, (1, 1), before)
    maxima = find_maxima(o.arranger, x, y, windows, range(height * width))
    o.c.maxima[o.outputs[1]] = maxima
    name = o.name("/numbers")
    yield o.network.activation(maxima.places, {"kind": "linear", "a": 1.0, "b": _ADDED}, name=name)


def _unpooling(o: Operation) -> Made:
    """Convert MaxUnpooling2D by the positions of a MaxPoolingWithArgmax2D.

    The result consists of whole windows, so it may be larger than the image that was pooled.
    """
    _, across, down, width, height = _numbers(o, 5)
    if len(o.inputs) != 2 or o.inputs[1] not in o.c.maxima:
        raise UnsupportedError(
            "its positions are not those of a MaxPoolingWithArgmax2D, which is not supported"
        )
    maxima = o.c.maxima[o.inputs[1]]
    windows = maxima.windows
    if windows.kernel != (height, width) or windows.strides != (down, across):
        raise UnsupportedError(
            f"undoes a pooling with windows of {windows.kernel} by windows of {(height, width)}"
        )
    rows, columns = windows.results
    whole = replace(windows, before=(0, 0), size=(rows * height, columns * width))
    return unpool(o.arranger, o.tensor(), replace(maxima, windows=whole))


def _transposed_convolution(o: Operation) -> Made:
    """Convert Convolution2DTransposeBias. Its inputs are the image, weights [out][height][width][in], and biases."""
    padding, across, down = _numbers(o, 3)
    x = o.tensor()
    filters, height, width, _ = o.weight_shape()
    strides = (down, across)
    name = o.name()
    totals = [0, 0]
    if padding == _SAME:
        for axis, (extent, taps, stride) in enumerate(
            zip(x.shape[1:3], (height, width), strides, strict=True)
        ):
            if extent is None:
                raise UnsupportedError("has padding that depends on a size that is free")
            totals[axis] = max(0, taps - (extent - 1) % stride - 1)
    top, left = (total // 2 for total in totals)
    sides = (top, totals[0] - top), (left, totals[1] - left)
    y = o.network.conv2d_transpose(x, filters, (height, width), strides=strides, padding=sides, name=name)
    o.set_weights(name, (0, 1, 2, 3))
    return y


MEDIAPIPE: dict[str, Handler] = {
    "CUSTOM Convolution2DTransposeBias": _transposed_convolution,
    "CUSTOM MaxPoolingWithArgmax2D": _pooling,
    "CUSTOM MaxUnpooling2D": _unpooling,
}
