"""Convert operators on 8-bit integers to layers whose integer results are equal to those of LiteRT, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.arrange import surroundings
from mpscnn.converters.budget import Cost
from mpscnn.converters.layout import Axis
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def are_integers(c: Reader, operator: FileOperator) -> bool:
    """Return True if the first operand and the result of an operator are quantized to 8 bits."""
    return all(map(c.has_integers, (operator.inputs[0], operator.outputs[0])))


def mirror_pad(
    c: Reader, operator: FileOperator, sides: Sequence[Sequence[int]], *, with_edge: bool
) -> FileTensor:
    """Convert MIRROR_PAD by a gather on each axis. The border element is repeated (symmetric) or not (reflect)."""
    x = c.seen(operator.inputs[0])
    if len(sides) != x.rank or min(map(min, sides)) < 0:
        raise WeightsError(f"damaged: mirrors {sides} of {x.shown}")
    for axis, (before, after) in enumerate(sides):
        if not before and not after:
            continue
        extent = x.known_extent(axis, "mirrors")
        edge = 0 if with_edge else 1
        if max(before, after) > extent - edge:
            raise WeightsError(f"damaged: mirrors {before} and {after} of axis {axis} of {x.shown}")
        c.constants.budget.spend(Cost.of_list(before + extent + after))
        first = range(before - 1 + edge, edge - 1, -1)
        last = range(extent - 1 - edge, extent - 1 - edge - after, -1)
        x = x.take(axis, [*first, *range(extent), *last])
        c.note_integers(operator.inputs[0], x.tensor)
    return x


def reduce_by_pooling(c: Reader, operator: FileOperator, x: FileTensor, atoms: Axis) -> FileTensor:
    """Reduce to the maximum or minimum over these parts of axes (atoms) by poolings. A minimum is -max(-x)."""
    is_minimum = operator.kind == "REDUCE_MIN"
    x = _opposite(c, operator, x, back=False) if is_minimum else x
    left = set(atoms)
    while left:
        first = min(x.order.index(atom) for atom in left)
        last = first
        while last < len(x.order) and x.order[last] in left:
            last += 1
        run = x.order[first:last]
        before, after = surroundings(x, run)
        tensor = c.arranger.physical(x, (before, run, after))
        if None in tensor.shape[1:]:
            raise UnsupportedError(f"reduces {x.shown}, whose size is free: {CHOOSE_SIZE}")
        y = c.network.max_pool2d(tensor, (1, tensor.shape[2] or 1), name=c.layer_name(operator, "/maximum"))
        _note(c, operator, y.index, opposite=is_minimum)
        x = x.with_tensor(y, before + after)
        left -= set(run)
    return _opposite(c, operator, x, back=True) if is_minimum else x


def _opposite(c: Reader, operator: FileOperator, x: FileTensor, *, back: bool) -> FileTensor:
    y = x.linear(-1.0, suffix="/opposite")
    _note(c, operator, y.tensor.index, opposite=not back)
    return y


def _note(c: Reader, operator: FileOperator, tensor: int, *, opposite: bool) -> None:
    """Record the quantization of an intermediate tensor: the result's, or for negated numbers its mirror image."""
    grid = c.grid(operator.outputs[0])
    assert grid is not None
    ends = np.iinfo(grid.dtype)
    zero_point = ends.min + ends.max - grid.zero_point if opposite else grid.zero_point
    c.integers[tensor] = (grid.dtype.name, grid.step, zero_point)


def maximum_or_minimum(c: Reader, operator: FileOperator) -> Made:
    """Convert MAXIMUM to a + max(b - a, 0), and MINIMUM to a - max(a - b, 0). With equal scales no sum is rounded."""
    like = next(c.seen(index) for index in operator.inputs if not c.is_constant(index))
    a, b = (_bytes_of(c, operator, index, like) for index in operator.inputs)
    is_maximum = operator.kind == "MAXIMUM"
    first, second = (b, a) if is_maximum else (a, b)
    above = first.combine("subtract", second, "/difference", "relu")
    grid = c.grid(operator.outputs[0])
    assert grid is not None
    c.integers[above.tensor.index] = (grid.dtype.name, grid.step, int(np.iinfo(grid.dtype).min))
    return a.combine("add" if is_maximum else "subtract", above)


def _bytes_of(c: Reader, operator: FileOperator, index: int, like: FileTensor) -> FileTensor:
    """Return an operand. The integers of a constant are interpreted with the result's scale and zero point."""
    if not c.is_constant(index):
        return c.seen(index)
    grid = c.grid(operator.outputs[0])
    assert grid is not None
    stored = c.constants.stored(index, "its operand").astype(np.float32)
    c.constants.count(stored.nbytes)
    value = c.constant(
        (stored - grid.zero_point) * np.float32(grid.step), like.rank, c.file.tensors[index].name
    )
    c.note_integers(operator.outputs[0], value.tensor)
    return value


def transposed_convolution(
    c: Reader,
    operator: FileOperator,
    strides: tuple[int, int],
    size: tuple[int, int],
    pads: tuple[int, int],
    activation: Activation,
) -> FileTensor:
    """Convert a transposed convolution to a convolution and a depth-to-space.

    Each channel of the convolution is one pixel of a block of `strides` pixels of the result.

    Args:
        c: the conversion.
        operator: the operator.
        strides: the vertical and horizontal stride.
        size: the height and width of the result.
        pads: the rows and columns that are cropped before the result.
        activation: the activation of the result.
    """
    x = c.value(operator.inputs[2])
    weight = c.constants.stored(operator.inputs[1], "its weights")
    quantization = c.file.tensors[operator.inputs[1]].quantization
    outputs, height, width, channels = weight.shape
    if quantization is None or quantization.scales.size not in (1, outputs):
        raise UnsupportedError("its weights are integers without a scale")
    taps = [-(-extent // stride) for extent, stride in zip((height, width), strides, strict=True)]
    blocks = strides[0] * strides[1]
    c.constants.count(blocks * outputs * taps[0] * taps[1] * channels)
    # Kernels are padded to a multiple of the strides. The padding is the integer of 0, the zero point.
    zeros = np.broadcast_to(quantization.zero_points, (outputs,)).astype(weight.dtype)
    shape = (outputs, taps[0] * strides[0], taps[1] * strides[1], channels)
    whole = np.array(np.broadcast_to(zeros[:, None, None, None], shape))
    whole[:, :height, :width] = weight
    parted = whole.reshape(outputs, taps[0], strides[0], taps[1], strides[1], channels)
    kernels = parted[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5).reshape(blocks * outputs, *taps, channels)
    name = c.layer_name(operator)
    y = c.network.conv2d(
        x,
        blocks * outputs,
        (taps[0], taps[1]),
        padding=((taps[0] - 1, taps[0] - 1), (taps[1] - 1, taps[1] - 1)),
        activation=activation,
        name=name,
    )
    shift = 128 if weight.dtype == np.int8 else 0
    scales, zero_points = (
        np.tile(np.broadcast_to(numbers, (outputs,)), blocks)
        for numbers in (quantization.scales, quantization.zero_points)
    )
    stored = np.ascontiguousarray(kernels.astype(np.int16) + shift).astype(np.uint8)
    c.network.set_quantized_weight(f"{name}.weight", stored, scales, (zero_points + shift).astype(np.float32))
    if len(operator.inputs) > 3 and operator.inputs[3] >= 0:
        _set_bias(c, operator, name, outputs, blocks)
    c.note_integers(operator.outputs[0], y)
    moved = c.of_tensor(y).depth_to_space(*strides)
    for axis, (before, extent) in enumerate(zip(pads, size, strict=True), start=1):
        if before + extent > (moved.shape[axis] or 0):
            raise WeightsError(f"damaged: makes {size} of {x.shape}")
        moved = moved.slice_axis(axis, range(before, before + extent))
    return moved


def _set_bias(c: Reader, operator: FileOperator, name: str, outputs: int, blocks: int) -> None:
    index = operator.inputs[3]
    values, quantization = c.constants.stored(index, "its biases"), c.file.tensors[index].quantization
    if values.dtype != np.int32 or quantization is None or values.shape != (outputs,):
        raise UnsupportedError("its biases are not 32-bit integers with a scale")
    scales, zero_points = (
        np.tile(np.broadcast_to(numbers, (outputs,)), blocks).astype(np.float32)
        for numbers in (quantization.scales, quantization.zero_points)
    )
    c.network.set_quantized_weight(f"{name}.bias", np.tile(values, blocks), scales, zero_points)
