"""Convert operators on 8-bit integers to layers whose integer results are equal to those of LiteRT, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpscnn.converters.arrange import surroundings
from mpscnn.converters.budget import Cost
from mpscnn.converters.image_blocks import depth_to_space
from mpscnn.converters.layout import Axis
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.operation import Made, Operation
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def mirror_pad(o: Operation, sides: Sequence[Sequence[int]], *, with_edge: bool) -> FileTensor:
    """Convert MIRROR_PAD by a gather on each axis. The border element is repeated (symmetric) or not (reflect)."""
    x = o.x()
    if len(sides) != x.rank or min(map(min, sides)) < 0:
        raise WeightsError(f"damaged: mirrors {sides} of {x.shown}")
    for axis, (before, after) in enumerate(sides):
        if not before and not after:
            continue
        extent = x.known_extent(axis, "mirrors")
        edge = 0 if with_edge else 1
        if max(before, after) > extent - edge:
            raise WeightsError(f"damaged: mirrors {before} and {after} of axis {axis} of {x.shown}")
        o.budget.spend(Cost.of_list(before + extent + after))
        first = range(before - 1 + edge, edge - 1, -1)
        last = range(extent - 1 - edge, extent - 1 - edge - after, -1)
        x = x.take(axis, [*first, *range(extent), *last])
        o.note_operand(0, x.tensor)
    return x


def reduce_by_pooling(o: Operation, x: FileTensor, atoms: Axis) -> FileTensor:
    """Reduce to the maximum or minimum over these parts of axes (atoms) by poolings. A minimum is -max(-x)."""
    is_minimum = o.kind == "REDUCE_MIN"
    x = _opposite(o, x, back=False) if is_minimum else x
    left = set(atoms)
    while left:
        first = min(x.order.index(atom) for atom in left)
        last = first
        while last < len(x.order) and x.order[last] in left:
            last += 1
        run = x.order[first:last]
        before, after = surroundings(x, run)
        tensor = o.arranger.physical(x, (before, run, after))
        if None in tensor.shape[1:]:
            raise UnsupportedError(f"reduces {x.shown}, whose size is free: {CHOOSE_SIZE}")
        y = o.network.max_pool2d(tensor, (1, tensor.shape[2] or 1), name=o.name("/maximum"))
        _note(o, y.index, opposite=is_minimum)
        x = x.with_tensor(y, before + after)
        left -= set(run)
    return _opposite(o, x, back=True) if is_minimum else x


def _opposite(o: Operation, x: FileTensor, *, back: bool) -> FileTensor:
    y = x.linear(-1.0, suffix="/opposite")
    _note(o, y.tensor.index, opposite=not back)
    return y


def _note(o: Operation, tensor: int, *, opposite: bool) -> None:
    """Record the quantization of an intermediate tensor: the result's, or for negated numbers its mirror image."""
    grid = o.c.integers.grid(o.result)
    assert grid is not None
    ends = np.iinfo(grid.dtype)
    zero_point = ends.min + ends.max - grid.zero_point if opposite else grid.zero_point
    o.c.integers.of_tensors[tensor] = replace(grid, zero_point=zero_point)


def maximum_or_minimum(o: Operation) -> Made:
    """Convert MAXIMUM to a + max(b - a, 0), and MINIMUM to a - max(a - b, 0). With equal scales no sum is rounded."""
    like = next(o.x(place) for place in (0, 1) if not o.is_constant(place))
    a, b = (_bytes_of(o, place, like) for place in (0, 1))
    is_maximum = o.kind == "MAXIMUM"
    first, second = (b, a) if is_maximum else (a, b)
    above = first.combine("subtract", second, "/difference", "relu")
    grid = o.c.integers.grid(o.result)
    assert grid is not None
    o.c.integers.of_tensors[above.tensor.index] = replace(grid, zero_point=int(np.iinfo(grid.dtype).min))
    return a.combine("add" if is_maximum else "subtract", above)


def _bytes_of(o: Operation, place: int, like: FileTensor) -> FileTensor:
    """Return an operand. The integers of a constant are interpreted with the result's scale and zero point."""
    if not o.is_constant(place):
        return o.x(place)
    grid = o.c.integers.grid(o.result)
    assert grid is not None
    stored = o.stored(place, "its operand").astype(np.float32)
    o.c.constants.count(stored.nbytes)
    value = o.constant_layer(place, (stored - grid.zero_point) * np.float32(grid.step), like)
    o.note_result(value.tensor)
    return value


def transposed_convolution(
    o: Operation,
    strides: tuple[int, int],
    size: tuple[int, int],
    pads: tuple[int, int],
    activation: Activation,
) -> FileTensor:
    """Convert a transposed convolution to a convolution and a depth-to-space.

    Each channel of the convolution is one pixel of a block of `strides` pixels of the result.

    Args:
        o: the operator.
        strides: the vertical and horizontal stride.
        size: the height and width of the result.
        pads: the rows and columns that are cropped before the result.
        activation: the activation of the result.
    """
    x = o.tensor(2)
    weight = o.stored(1, "its weights")
    quantization = o.stated(1).quantization
    outputs, height, width, channels = weight.shape
    if quantization is None or quantization.scales.size not in (1, outputs):
        raise UnsupportedError("its weights are integers without a scale")
    taps = [-(-extent // stride) for extent, stride in zip((height, width), strides, strict=True)]
    blocks = strides[0] * strides[1]
    o.c.constants.count(blocks * outputs * taps[0] * taps[1] * channels)
    # Kernels are padded to a multiple of the strides. The padding is the integer of 0, the zero point.
    zeros = np.broadcast_to(quantization.zero_points, (outputs,)).astype(weight.dtype)
    shape = (outputs, taps[0] * strides[0], taps[1] * strides[1], channels)
    whole = np.array(np.broadcast_to(zeros[:, None, None, None], shape))
    whole[:, :height, :width] = weight
    parted = whole.reshape(outputs, taps[0], strides[0], taps[1], strides[1], channels)
    kernels = parted[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5).reshape(blocks * outputs, *taps, channels)
    name = o.name()
    y = o.network.conv2d(
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
    o.network.set_quantized_weight(f"{name}.weight", stored, scales, (zero_points + shift).astype(np.float32))
    if o.has(3):
        _set_bias(o, name, outputs, blocks)
    o.note_result(y)
    moved = depth_to_space(o.of_tensor(y), *strides)
    for axis, (before, extent) in enumerate(zip(pads, size, strict=True), start=1):
        if before + extent > (moved.shape[axis] or 0):
            raise WeightsError(f"damaged: makes {size} of {x.shape}")
        moved = moved.slice_axis(axis, range(before, before + extent))
    return moved


def _set_bias(o: Operation, name: str, outputs: int, blocks: int) -> None:
    values, quantization = o.stored(3, "its biases"), o.stated(3).quantization
    if values.dtype != np.int32 or quantization is None or values.shape != (outputs,):
        raise UnsupportedError("its biases are not 32-bit integers with a scale")
    scales, zero_points = (
        np.tile(np.broadcast_to(numbers, (outputs,)), blocks).astype(np.float32)
        for numbers in (quantization.scales, quantization.zero_points)
    )
    o.network.set_quantized_weight(f"{name}.bias", np.tile(values, blocks), scales, zero_points)
