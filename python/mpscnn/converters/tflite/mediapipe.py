"""Convert MediaPipe's custom operators of segmentation networks: poolings with positions, and transposed convolution.

Their options are the bytes of structs of 32-bit integers in TensorFlow Lite's C interface, not FlexBuffers.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from mpscnn.converters.max_unpooling import Windows, find_maxima, same_padding, unpool
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.errors import UnsupportedError, WeightsError

_SAME, _VALID = 1, 2  # values of the C enumeration TfLitePadding
# MediaPipe adds this to the number of a tap, so that a later conversion to integers does not round it down.
_ADDED = 0.1


def _numbers(operator: FileOperator, count: int) -> tuple[int, ...]:
    """Return the first integers of the operator's options, of which the first one is the padding."""
    if len(operator.custom_options) < 4 * count:
        raise WeightsError(
            f"damaged: its options have {len(operator.custom_options)} bytes, expected {4 * count}"
        )
    numbers: tuple[int, ...] = struct.unpack_from(f"<{count}i", operator.custom_options)
    if numbers[0] not in (_SAME, _VALID) or min(numbers[1:]) < 0:
        raise WeightsError(f"damaged: its options are {numbers}")
    return numbers


def _pooling(c: Reader, operator: FileOperator) -> Made:
    """Convert MaxPoolingWithArgmax2D: a max pooling, and row * kernel width + column of each maximum in its window."""
    padding, across, down, width, height, activation = _numbers(operator, 6)
    if len(operator.outputs) != 2:
        raise WeightsError(f"damaged: it has {len(operator.outputs)} results")
    if activation:
        raise UnsupportedError("it ends with an activation, which is not supported")
    x, kernel, strides = c.value(operator.inputs[0]), (height, width), (down, across)
    is_same = padding == _SAME
    name = c.layer_name(operator)
    y = c.network.max_pool2d(x, kernel, strides=strides, padding="same" if is_same else "valid", name=name)
    positions = operator.outputs[1]
    if c.file.users.get(positions) or positions in c.results:
        c.begin(positions)
        before = same_padding(x, y, kernel, strides) if is_same else (0, 0)
        windows = Windows.of(x, y, kernel, strides, (1, 1), before)
        maxima = find_maxima(c.arranger, x, y, windows, range(height * width))
        c.maxima[positions] = maxima
        numbers = c.network.activation(
            maxima.places, {"kind": "linear", "a": 1.0, "b": _ADDED}, name=c.layer_name(operator, "/numbers")
        )
        c.set_value(positions, c.of_tensor(numbers))
    return y


def _unpooling(c: Reader, operator: FileOperator) -> Made:
    """Convert MaxUnpooling2D by the positions of a MaxPoolingWithArgmax2D.

    The result consists of whole windows, so it may be larger than the image that was pooled.
    """
    _, across, down, width, height = _numbers(operator, 5)
    if len(operator.inputs) != 2 or operator.inputs[1] not in c.maxima:
        raise UnsupportedError(
            "its positions are not those of a MaxPoolingWithArgmax2D, which is not supported"
        )
    maxima = c.maxima[operator.inputs[1]]
    windows = maxima.windows
    if windows.kernel != (height, width) or windows.strides != (down, across):
        raise UnsupportedError(
            f"undoes a pooling with windows of {windows.kernel} by windows of {(height, width)}"
        )
    rows, columns = windows.results
    whole = replace(windows, before=(0, 0), size=(rows * height, columns * width))
    return unpool(c.arranger, c.value(operator.inputs[0]), replace(maxima, windows=whole))


def _transposed_convolution(c: Reader, operator: FileOperator) -> Made:
    """Convert Convolution2DTransposeBias. Its inputs are the image, weights [out][height][width][in], and biases."""
    padding, across, down = _numbers(operator, 3)
    x = c.value(operator.inputs[0])
    filters, height, width, _ = c.weight_shape(operator)
    strides = (down, across)
    name = c.layer_name(operator)
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
    y = c.network.conv2d_transpose(x, filters, (height, width), strides=strides, padding=sides, name=name)
    c.set_weights(operator, name, (0, 1, 2, 3))
    return y


MEDIAPIPE: dict[str, Handler] = {
    "CUSTOM Convolution2DTransposeBias": _transposed_convolution,
    "CUSTOM MaxPoolingWithArgmax2D": _pooling,
    "CUSTOM MaxUnpooling2D": _unpooling,
}
