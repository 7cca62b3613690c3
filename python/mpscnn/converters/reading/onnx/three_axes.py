"""Convert convolutions and poolings of three spatial axes whose window has one element along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.reading.onnx.window import Window
from mpscnn.converters.values.rows import Ints
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_SPACE = 3


@dataclass(frozen=True)
class InTwoAxes:
    """An operand of a window without one of its three spatial axes.

    Attributes:
        x: the operand with two spatial axes.
        window: the window without the axis.
        left_out: the axis, from 0 to 2.
        restored: adds the axis to a result again.
    """

    x: FileTensor
    window: Window
    left_out: int
    restored: Callable[[FileTensor], FileTensor]

    def kernel(self, given: Ints) -> Ints:
        """Return the extents of a window without the axis."""
        return _without(given, self.left_out)


def in_two_axes(x: FileTensor, kernel: Sequence[int], window: Window) -> InTwoAxes:
    """Return the operand of an operator of three axes as one of two.

    The window has one element along an axis that is left out, so that the elements along it are independent. Such an
    axis of extent 1 is dropped. Two such axes become one. Otherwise the axis becomes a part of the batch.

    Args:
        x: the operand (n, channels, depth, height, width).
        kernel: the extents of the window.
        window: its strides, dilations and padding.

    Raises UnsupportedError if the window has several elements along all axes.
    """
    alone = [axis for axis in range(_SPACE) if is_alone(axis, kernel, window)]
    if not alone:
        raise UnsupportedError(
            f"its window has several elements along all axes of {x.shown}; supported are windows along two of them"
        )
    flat = [axis for axis in alone if x.shape[axis + 2] == 1]
    if flat:
        (axis,) = flat[:1]
        return InTwoAxes(
            x.squeeze([axis + 2]), _narrowed(window, axis), axis, lambda y: y.expand_dims([axis + 2])
        )
    for axis in (0, 1):
        if {axis, axis + 1} <= {*alone}:
            return _merged(x, window, axis)
    return _in_batch(x, window, alone[0])


def is_alone(axis: int, kernel: Sequence[int], window: Window) -> bool:
    """Return True if a window has one element along a spatial axis, and there is a window for each element."""
    pads = window.pads or (0,) * (2 * _SPACE)
    if len(kernel) != _SPACE or len(pads) != 2 * _SPACE or len(window.strides or kernel) != _SPACE:
        raise WeightsError(f"damaged: its window {list(kernel)} has other axes than its operand, which has 3")
    stride = 1 if window.strides is None else window.strides[axis]
    padding = (pads[axis], pads[axis + _SPACE]) if window.auto_pad == "NOTSET" else (0, 0)
    return (kernel[axis], stride, *padding) == (1, 1, 0, 0)


def slice_of_depth(weight: NDArray[Any], x: FileTensor, window: Window) -> tuple[NDArray[Any], Window]:
    """Return the weights and the window of a convolution without what meets only padding along axes of one element.

    Args:
        weight: the weights (filters, channels, depth, height, width).
        x: the operand.
        window: the strides, dilations and padding.
    """
    for axis in range(_SPACE):
        kernel = weight.shape[2:]
        pads = window.pads or (0,) * (2 * _SPACE)
        if x.shape[axis + 2] != 1 or window.auto_pad != "NOTSET" or is_alone(axis, kernel, window):
            continue
        stride, step = (1 if one is None else one[axis] for one in (window.strides, window.dilations))
        before, after = pads[axis], pads[axis + _SPACE]
        tap, between = divmod(before, step)
        windows = (before + after - (kernel[axis] - 1) * step) // stride + 1
        if windows != 1 or between or tap >= kernel[axis]:
            continue
        weight = weight.take([tap], axis + 2)
        window = Window(
            _with(window.strides or (1,) * _SPACE, axis, 1),
            _with(window.dilations or (1,) * _SPACE, axis, 1),
            _with(_with(pads, axis, 0), axis + _SPACE, 0),
        )
    return weight, window


def _merged(x: FileTensor, window: Window, axis: int) -> InTwoAxes:
    """Merge two neighbouring axes along which the window has one element."""
    extents = [x.known_extent(one + 2, "has a window along an axis of") for one in (axis, axis + 1)]

    def restored(y: FileTensor) -> FileTensor:
        return y.view(*([*one[: axis + 2], *extents, *one[axis + 3 :]] for one in y.trial_shapes()))

    return InTwoAxes(x.merge_axes(axis + 2, axis + 4), _narrowed(window, axis), axis, restored)


def _in_batch(x: FileTensor, window: Window, axis: int) -> InTwoAxes:
    """Move an axis behind the batch, and merge the two."""
    count = x.known_extent(axis + 2, "has a window along two other axes than that of")
    others = [one for one in range(1, x.rank) if one != axis + 2]

    def restored(y: FileTensor) -> FileTensor:
        apart = y.view(*([one[0] // count, count, *one[1:]] for one in y.trial_shapes()))
        order = [one for one in range(apart.rank) if one != 1]
        order.insert(axis + 2, 1)
        return apart.transpose(order)

    moved = x.transpose([0, axis + 2, *others]).merge_axes(0, 2)
    return InTwoAxes(moved, _narrowed(window, axis), axis, restored)


def _narrowed(window: Window, axis: int) -> Window:
    pads = window.pads and _without(_without(window.pads, axis + _SPACE), axis)
    return Window(
        window.strides and _without(window.strides, axis),
        window.dilations and _without(window.dilations, axis),
        pads,
        window.auto_pad,
    )


def _without(values: Ints, place: int) -> Ints:
    return (*values[:place], *values[place + 1 :])


def _with(values: Ints, place: int, value: int) -> Ints:
    return (*values[:place], value, *values[place + 1 :])
