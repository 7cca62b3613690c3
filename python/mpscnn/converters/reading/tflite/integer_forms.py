"""Convert operators on 8-bit integers to layers whose integer results are equal to those of LiteRT, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.values.image_blocks import depth_to_space
from mpscnn.converters.values.layout import Axis
from mpscnn.converters.values.layout_pass import surroundings
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def mirror_pad(source: Source, sides: Sequence[Sequence[int]], *, with_edge: bool) -> FileTensor:
    """Convert MIRROR_PAD by a gather on each axis. The border element is repeated (symmetric) or not (reflect)."""
    x = source.computed()
    if len(sides) != x.rank or min(map(min, sides)) < 0:
        raise WeightsError(f"damaged: mirrors {sides} of {x.shown}")
    for axis, (before, after) in enumerate(sides):
        if not before and not after:
            continue
        extent = x.known_extent(axis, "mirrors")
        edge = 0 if with_edge else 1
        if max(before, after) > extent - edge:
            raise WeightsError(f"damaged: mirrors {before} and {after} of axis {axis} of {x.shown}")
        source.c.constants.budget.spend(Cost.of_list(before + extent + after))
        first = range(before - 1 + edge, edge - 1, -1)
        last = range(extent - 1 - edge, extent - 1 - edge - after, -1)
        x = x.take(axis, [*first, *range(extent), *last])
        source.note(x.tensor)
    return x


def reduce_by_pooling(op: Operation, x: FileTensor, atoms: Axis) -> FileTensor:
    """Reduce to the maximum or minimum over these parts of axes (atoms) by poolings. A minimum is -max(-x)."""
    is_minimum = op.kind == "REDUCE_MIN"
    x = _opposite(op, x, back=False) if is_minimum else x
    left = set(atoms)
    while left:
        first = min(x.order.index(atom) for atom in left)
        last = first
        while last < len(x.order) and x.order[last] in left:
            last += 1
        run = x.order[first:last]
        before, after = surroundings(x, run)
        tensor = op.c.arranger.physical(x, (before, run, after))
        if None in tensor.shape[1:]:
            raise UnsupportedError(f"reduces {x.shown}, whose size is free: {CHOOSE_SIZE}")
        y = op.network.max_pool2d(tensor, (1, tensor.shape[2] or 1), name=op.name("/maximum"))
        _note(op, y.index, opposite=is_minimum)
        x = x.with_tensor(y, before + after)
        left -= set(run)
    return _opposite(op, x, back=True) if is_minimum else x


def _opposite(op: Operation, x: FileTensor, *, back: bool) -> FileTensor:
    y = x.linear(-1.0, suffix="/opposite")
    _note(op, y.tensor.index, opposite=not back)
    return y


def _note(op: Operation, tensor: int, *, opposite: bool) -> None:
    """Record the quantization of an intermediate tensor: the result's, or for negated numbers its mirror image."""
    grid = op.c.integers.grid(op.result)
    assert grid is not None
    ends = np.iinfo(grid.dtype)
    zero_point = ends.min + ends.max - grid.zero_point if opposite else grid.zero_point
    op.c.integers.of_tensors[tensor] = replace(grid, zero_point=zero_point)


def maximum_or_minimum(op: Operation, x: Source, y: Source) -> Value:
    """Convert MAXIMUM to a + max(b - a, 0), and MINIMUM to a - max(a - b, 0). With equal scales no sum is rounded."""
    like = next(one.computed() for one in (x, y) if not one.is_constant)
    a, b = (_bytes_of(op, one, like) for one in (x, y))
    is_maximum = op.kind == "MAXIMUM"
    first, second = (b, a) if is_maximum else (a, b)
    above = first.combine("subtract", second, "/difference", "relu")
    grid = op.c.integers.grid(op.result)
    assert grid is not None
    op.c.integers.of_tensors[above.tensor.index] = replace(grid, zero_point=int(np.iinfo(grid.dtype).min))
    return a.combine("add" if is_maximum else "subtract", above)


def _bytes_of(op: Operation, source: Source, like: FileTensor) -> FileTensor:
    """Return an operand. The integers of a constant are interpreted with the result's scale and zero point."""
    if not source.is_constant:
        return source.computed()
    grid = op.c.integers.grid(op.result)
    assert grid is not None
    stored = source.stored("its operand").astype(np.float32)
    op.c.constants.count(stored.nbytes)
    value = source.layer_of((stored - grid.zero_point) * np.float32(grid.step), like)
    op.note(value.tensor)
    return value


def transposed_convolution(
    op: Operation,
    source: Source,
    kernel: Source,
    bias: Source | None,
    strides: tuple[int, int],
    size: tuple[int, int],
    pads: tuple[int, int],
    activation: Activation,
) -> FileTensor:
    """Convert a transposed convolution to a convolution and a depth-to-space.

    Each channel of the convolution is one pixel of a block of `strides` pixels of the result.

    Args:
        op: the operator.
        source, kernel, bias: the image, the weights and the biases.
        strides: the vertical and horizontal stride.
        size: the height and width of the result.
        pads: the rows and columns that are cropped before the result.
        activation: the activation of the result.
    """
    x = source.tensor()
    weight = kernel.stored("its weights")
    quantization = kernel.stated.quantization
    outputs, height, width, channels = weight.shape
    if quantization is None or quantization.scales.size not in (1, outputs):
        raise UnsupportedError("its weights are integers without a scale")
    taps = [-(-extent // stride) for extent, stride in zip((height, width), strides, strict=True)]
    blocks = strides[0] * strides[1]
    op.c.constants.count(blocks * outputs * taps[0] * taps[1] * channels)
    # Kernels are padded to a multiple of the strides. The padding is the integer of 0, the zero point.
    zeros = np.broadcast_to(quantization.zero_points, (outputs,)).astype(weight.dtype)
    shape = (outputs, taps[0] * strides[0], taps[1] * strides[1], channels)
    whole = np.array(np.broadcast_to(zeros[:, None, None, None], shape))
    whole[:, :height, :width] = weight
    parted = whole.reshape(outputs, taps[0], strides[0], taps[1], strides[1], channels)
    kernels = parted[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5).reshape(blocks * outputs, *taps, channels)
    name = op.name()
    y = op.network.conv2d(
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
    op.network.set_quantized_weight(
        f"{name}.weight", stored, scales, (zero_points + shift).astype(np.float32)
    )
    if bias is not None:
        _set_bias(bias, name, outputs, blocks)
    op.note(y)
    moved = depth_to_space(op.c.of_tensor(y), *strides)
    for axis, (before, extent) in enumerate(zip(pads, size, strict=True), start=1):
        if before + extent > (moved.shape[axis] or 0):
            raise WeightsError(f"damaged: makes {size} of {x.shape}")
        moved = moved.slice_axis(axis, range(before, before + extent))
    return moved


def _set_bias(bias: Source, name: str, outputs: int, blocks: int) -> None:
    values, quantization = bias.stored("its biases"), bias.stated.quantization
    if values.dtype != np.int32 or quantization is None or values.shape != (outputs,):
        raise UnsupportedError("its biases are not 32-bit integers with a scale")
    scales, zero_points = (
        np.tile(np.broadcast_to(numbers, (outputs,)), blocks).astype(np.float32)
        for numbers in (quantization.scales, quantization.zero_points)
    )
    bias.c.network.set_quantized_weight(f"{name}.bias", np.tile(values, blocks), scales, zero_points)
