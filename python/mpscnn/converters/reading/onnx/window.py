"""The window of a convolution or pooling as ONNX states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.rows import Ints
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.window_sizes import same_padding
from mpscnn.errors import UnsupportedError, WeightsError

Pair = tuple[int, int]
AutoPad = Literal["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]


@dataclass(frozen=True)
class Window:
    """Strides, dilations and padding of a window. Each list has a number for each spatial axis; None: it is left out.

    Attributes:
        strides, dilations: the numbers; 1 if they are left out.
        pads: the padding before each axis, then that after each axis; 0 if it is left out.
        auto_pad: the rule for the padding.
    """

    strides: Ints | None = None
    dilations: Ints | None = None
    pads: Ints | None = None
    auto_pad: AutoPad = "NOTSET"

    def both(self, rank: int) -> tuple[Pair, Pair]:
        """Return the strides and dilations of an operand with this number of axes as (vertical, horizontal)."""
        return pair("strides", self.strides, 1, rank), pair("dilations", self.dilations, 1, rank)

    def attributes(self, x: FileTensor, kernel: Pair) -> dict[str, Any]:
        """Return the window as attributes of mpscnn's operations."""
        strides, dilation = self.both(x.rank)
        attributes = of_both_axes(kernel, stride=strides, dilation=dilation)
        if self.auto_pad == "VALID":
            return attributes
        if self.auto_pad == "SAME_UPPER":
            return attributes | {"padding": "same"}
        if self.auto_pad == "SAME_LOWER":
            return attributes | _same_lower(x, kernel, strides, dilation)
        return attributes | explicit(*self.sides(x.rank))

    def sides(self, rank: int) -> tuple[Pair, Pair]:
        """Return the padding as (top, left), (bottom, right)."""
        pads = (0,) * (2 * (rank - 2)) if self.pads is None else self.pads
        if len(pads) != 2 * (rank - 2):
            raise WeightsError(f"damaged: its pads are {list(pads)} for an input of {rank} axes")
        if rank == 3:
            return (0, pads[0]), (0, pads[1])
        return (pads[0], pads[1]), (pads[2], pads[3])


def pair(name: str, stated: Ints | None, default: int, rank: int) -> Pair:
    """Return (vertical, horizontal) of a setting that has a number for each spatial axis."""
    values = (default,) * (rank - 2) if stated is None else stated
    if len(values) != rank - 2:
        raise WeightsError(f"damaged: its {name} are {list(values)} for an input of {rank} axes")
    return (values[0], values[1]) if rank == 4 else (default, values[0])


def of_both_axes(kernel: Pair, **others: Pair) -> dict[str, Any]:
    """Return the attributes of a window: the kernel's size, and others by their names without axis, such as stride."""
    attributes = {"kernel_height": kernel[0], "kernel_width": kernel[1]}
    for name, (vertical, horizontal) in others.items():
        attributes |= {f"{name}_y": vertical, f"{name}_x": horizontal}
    return attributes


def explicit(before: Pair, after: Pair) -> dict[str, Any]:
    """Return attributes for a padding (top, left), (bottom, right); empty if all numbers are 0."""
    if not any(before + after):
        return {}
    names = ("pad_top", "pad_left", "pad_bottom", "pad_right")
    return {"padding": "explicit", **dict(zip(names, before + after, strict=True))}


def _same_lower(x: FileTensor, kernel: Pair, strides: Pair, dilation: Pair) -> dict[str, Any]:
    """Return the padding of SAME_LOWER. It is that of "same", but an odd total has the additional pixel in front."""
    sizes = x.shape[2:] if x.rank == 4 else (1, x.shape[2])
    before, after = [], []
    for size, taps, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        if size is None:
            raise UnsupportedError(
                f"its auto_pad is SAME_LOWER, but the size of the image is free: {CHOOSE_SIZE}"
            )
        first, last = same_padding(size, stride, (taps - 1) * step + 1, more_first=True)
        before.append(first)
        after.append(last)
    return explicit((before[0], before[1]), (after[0], after[1]))
