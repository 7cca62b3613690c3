"""TensorFlow Lite's operators that take parts of tensors, put them together, or lay them out in another way."""

from __future__ import annotations

import numpy as np

from mpscnn.converters.tflite.context import Handler, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

_IMAGE_RANK = 4
_MAX_COPIES = 64


def _ranged(
    c: Reader, operator: FileOperator, x: Tensor, ranges: list[tuple[int, int | None, int]], name: str
) -> Tensor:
    """x[:, start:stop:step, ...]; axes of a tensor that is no image become those of one."""
    whole = (0, None, 1)
    if all(one == whole for one in ranges):
        return x
    rank = len(x.shape)
    if rank > _IMAGE_RANK:
        raise UnsupportedError(f"takes a part of {x.shape}; supported are up to {_IMAGE_RANK} axes")
    image = x
    if rank < _IMAGE_RANK:
        if None in x.shape[1:]:
            raise UnsupportedError(f"takes a part of {x.shape}, whose size is free: {CHOOSE_SIZE}")
        extents = [1] * (_IMAGE_RANK - rank) + [extent or 0 for extent in x.shape[1:]]
        image = c.network.reshape(x, extents, name=c.layer_name(operator, "/image"))
        ranges = [whole] * (_IMAGE_RANK - rank) + ranges
    rows, columns, channels = (slice(*one) for one in ranges)
    y = c.network.slice(image, rows=rows, columns=columns, channels=channels, name=name)
    if rank == _IMAGE_RANK:
        return y
    shape = [extent or 0 for extent in y.shape[_IMAGE_RANK - rank + 1 :]]
    return c.network.reshape(y, shape, name=c.layer_name(operator, "/part"))


def _range(
    extent: int | None, start: int, stop: int | None, step: int, where: str
) -> tuple[int, int | None, int]:
    """What a Python slice means, with numbers from the front."""
    if step < 1:
        raise UnsupportedError(f"reads {where} backwards, which is not supported")
    if extent is None:
        if (start, stop, step) == (0, None, 1):
            return 0, None, 1
        raise UnsupportedError(f"takes a part of {where}, whose size is free: {CHOOSE_SIZE}")
    first, last, step = slice(start, stop, step).indices(extent)
    if last <= first:
        raise WeightsError(f"damaged: takes {start}:{stop} of {where}, which is nothing")
    return (0, None, 1) if (first, last, step) == (0, extent, 1) else (first, last, step)


def _strided_slice(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    begin, end, strides = (c.constants.integers(index, "its range") for index in operator.inputs[1:4])
    masks = [operator.options.integer(field) if operator.options else 0 for field in range(5)]
    begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_mask = masks
    if ellipsis_mask or new_axis_mask or not len(begin) == len(end) == len(strides) <= len(x.shape):
        raise UnsupportedError("ellipses and new axes are not supported")
    ranges, shrunk = [], []
    for axis, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        start: int = 0 if begin_mask >> axis & 1 else first
        stop: int | None = None if end_mask >> axis & 1 else last
        if shrink_mask >> axis & 1:
            start, stop, step = first, None if first == -1 else first + 1, 1
            shrunk.append(axis)
        if axis == 0:
            batch = (c.file.tensors[operator.inputs[0]].shape or (1,))[0]
            if axis in shrunk or (start, batch if stop is None else stop, step) != (0, batch, 1):
                raise UnsupportedError("takes a part of the batch")
            continue
        if begin_mask >> axis & 1 and step < 0:
            start = -1
        ranges.append(_range(x.shape[axis], start, stop, step, f"axis {axis} of {x.shape}"))
    ranges += [(0, None, 1)] * (len(x.shape) - 1 - len(ranges))
    y = _ranged(c, operator, x, ranges, c.layer_name(operator))
    c.result(operator, _without(c, operator, y, shrunk))


def _without(c: Reader, operator: FileOperator, y: Tensor, axes: list[int]) -> Tensor:
    """Axes of 1 left out."""
    if not axes:
        return y
    left = [extent for axis, extent in enumerate(y.shape) if axis and axis not in axes]
    if not left or left.count(None) > 1:
        raise UnsupportedError(f"leaves out axes {axes} of {y.shape}")
    shape = [-1 if extent is None else extent for extent in left]
    return c.network.reshape(y, shape, name=c.layer_name(operator, "/axes"))


def _slice(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    begin, size = (c.constants.integers(index, "its range") for index in operator.inputs[1:3])
    if not len(begin) == len(size) == len(x.shape):
        raise WeightsError(f"damaged: takes {begin} and {size} of {x.shape}")
    batch = (c.file.tensors[operator.inputs[0]].shape or (1,))[0]
    if begin[0] != 0 or size[0] not in (-1, batch):
        raise UnsupportedError("takes a part of the batch")
    ranges = [
        _range(extent, first, None if count == -1 else first + count, 1, f"{x.shape}")
        for extent, first, count in zip(x.shape[1:], begin[1:], size[1:], strict=True)
    ]
    c.result(operator, _ranged(c, operator, x, ranges, c.layer_name(operator)))


def _split(c: Reader, operator: FileOperator) -> None:
    sized = operator.kind == "SPLIT_V"
    x = c.value(operator.inputs[0 if sized else 1])
    (axis,) = c.constants.integers(operator.inputs[2 if sized else 0], "its axis")
    axis %= len(x.shape)
    extent, count = x.shape[axis], len(operator.outputs)
    if axis == 0 or extent is None:
        raise UnsupportedError(f"splits {x.shape} along axis {axis}")
    sizes = [extent // count] * count
    if sized:
        sizes = c.constants.integers(operator.inputs[1], "its sizes")
        sizes = [extent - sum(sizes) - 1 if size == -1 else size for size in sizes]
    if len(sizes) != count or min(sizes) < 1 or sum(sizes) != extent:
        raise WeightsError(f"damaged: splits {x.shape} along axis {axis} into {sizes[:5]}")
    start = 0
    for output, size in zip(operator.outputs, sizes, strict=True):
        ranges: list[tuple[int, int | None, int]] = [(0, None, 1)] * (len(x.shape) - 1)
        if size != extent:
            ranges[axis - 1] = (start, start + size, 1)
        name = c.names.unique(c.file.tensors[output].name or "split")
        c.values[output] = _ranged(c, operator, x, ranges, name)
        start += size


def _unpack(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    axis = (operator.options.integer(1) if operator.options else 0) % len(x.shape)
    if axis == 0 or x.shape[axis] != len(operator.outputs):
        raise UnsupportedError(f"takes {x.shape} apart along axis {axis}")
    for position, output in enumerate(operator.outputs):
        ranges: list[tuple[int, int | None, int]] = [(0, None, 1)] * (len(x.shape) - 1)
        if len(operator.outputs) > 1:
            ranges[axis - 1] = (position, position + 1, 1)
        name = c.names.unique(c.file.tensors[output].name or "unpack")
        c.values[output] = _without(c, operator, _ranged(c, operator, x, ranges, name), [axis])


def _pack(c: Reader, operator: FileOperator) -> None:
    parts = [c.value(index) for index in operator.inputs]
    rank = len(parts[0].shape) + 1
    axis = (operator.options.integer(1) if operator.options else 0) % rank
    if axis == 0 or rank > _IMAGE_RANK:
        raise UnsupportedError(f"stacks {parts[0].shape} along axis {axis}")
    rows = []
    for part in parts:
        extents = [-1 if extent is None else extent for extent in part.shape[1:]]
        extents.insert(axis - 1, 1)
        if extents.count(-1) > 1:
            raise UnsupportedError(f"stacks {part.shape}, whose size is free: {CHOOSE_SIZE}")
        rows.append(c.network.reshape(part, extents, name=c.layer_name(operator, "/row")))
    c.result(operator, c.network.concat(rows, axis=axis, name=c.layer_name(operator)))


def _tile(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    counts = c.constants.integers(operator.inputs[1], "its counts")
    if len(counts) != len(x.shape) or counts[0] != 1 or min(counts) < 1:
        raise UnsupportedError(f"repeats {x.shape} {counts} times")
    if int(np.prod(counts)) > _MAX_COPIES:
        raise UnsupportedError(f"repeats {x.shape} {counts} times; supported are {_MAX_COPIES} copies")
    for axis, count in enumerate(counts):
        if count > 1:
            x = c.network.concat([x] * count, axis=axis, name=c.layer_name(operator))
    c.result(operator, x)


def _transpose(c: Reader, operator: FileOperator) -> None:
    """A reshape where only axes of extent 1 change places; the shuffle of channels is a 1 x 1 convolution."""
    x = c.value(operator.inputs[0])
    order = c.constants.integers(operator.inputs[1], "its order")
    if sorted(axis % len(x.shape) for axis in order) != list(range(len(x.shape))):
        raise WeightsError(f"damaged: the order {order} of {x.shape}")
    order = [axis % len(x.shape) for axis in order]
    kept = [axis for axis in order if axis and x.shape[axis] != 1]
    if order[0] != 0 or kept != sorted(kept):
        raise UnsupportedError(f"the order {order} of {x.shape}: axes that change places are not supported")
    extents = [x.shape[axis] for axis in order[1:]]
    if extents.count(None) > 1 and order != sorted(order):
        raise UnsupportedError(f"the order {order} of {x.shape}, whose size is free: {CHOOSE_SIZE}")
    if order == sorted(order):
        c.result(operator, x)
        return
    shape = [-1 if extent is None else extent for extent in extents]
    c.result(operator, c.network.reshape(x, shape, name=c.layer_name(operator)))


def _depth_to_space(c: Reader, operator: FileOperator) -> None:
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    c.result(operator, c.network.depth_to_space(x, c.options(operator).integer(0), name=name))


def _space_to_depth(c: Reader, operator: FileOperator) -> None:
    """Pixel (y, x) of a block becomes channels (y * block + x) * channels + c."""
    x, block = c.value(operator.inputs[0]), c.options(operator).integer(0)
    if len(x.shape) != _IMAGE_RANK or not 1 <= block * block <= _MAX_COPIES:
        raise UnsupportedError(f"blocks of {block} pixels of {x.shape}")
    if any(extent is not None and extent % block for extent in x.shape[1:3]):
        raise WeightsError(f"damaged: blocks of {block} pixels of {x.shape}")
    name = c.layer_name(operator, "/pixels")
    pixels = [
        c.network.slice(
            x,
            rows=slice(row, None, block),
            columns=slice(column, None, block),
            name=c.names.unique(name),
        )
        for row in range(block)
        for column in range(block)
    ]
    c.result(operator, c.network.concat(pixels, name=c.layer_name(operator)))


def _mirror_pad(c: Reader, operator: FileOperator) -> None:
    sides = np.reshape(c.constants.integers(operator.inputs[1], "the padding"), (-1, 2)).tolist()
    x = c.value(operator.inputs[0])
    if len(sides) != _IMAGE_RANK or len(x.shape) != _IMAGE_RANK or any(sides[0]):
        raise UnsupportedError("pads the batch, or something other than images")
    mode = "mirror_with_edge" if operator.options and operator.options.integer(0, "b") else "mirror"
    (top, bottom), (left, right), (front, back) = sides[1:]
    y = c.network.pad(
        x, ((top, bottom), (left, right)), channels=(front, back), mode=mode, name=c.layer_name(operator)
    )
    c.result(operator, y)


def _cast(c: Reader, operator: FileOperator) -> None:
    source, target = (c.file.tensors[index].dtype for index in (operator.inputs[0], operator.outputs[0]))
    if source.kind != "f" or target.kind != "f":
        raise UnsupportedError(f"makes {target} of {source} numbers that the network computes")
    c.result(operator, c.value(operator.inputs[0]))


PARTS: dict[str, Handler] = {
    "CAST": _cast,
    "DEPTH_TO_SPACE": _depth_to_space,
    "MIRROR_PAD": _mirror_pad,
    "PACK": _pack,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
