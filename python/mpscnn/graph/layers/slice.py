"""Define the layer methods that slice and split tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn._private.arguments import is_sequence, is_whole_number, whole_numbers
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

Part = slice | tuple[int | None, int | None] | None

# For the last, second last and third last axis: the method's argument, and the operation's parameters for the first
# position, the number and the step.
_AXES = (
    ("channels", "front", "channels", "stride_channels"),
    ("columns", "left", "width", "stride_x"),
    ("rows", "top", "height", "stride_y"),
)


class SliceLayers(LayerMaker):
    """Methods for slices of tensors with at most 4 axes.

    The tensors are (n, rows, columns, channels), (n, columns, channels) or (n, channels).
    """

    def slice(
        self,
        x: Tensor,
        *,
        rows: Part = None,
        columns: Part = None,
        channels: Part = None,
        name: str | None = None,
    ) -> Tensor:
        """Return the slice `x[:, rows, columns, channels]`. See MPSNNSlice.

        The CPU engine does not copy the data, unless channels have a step or a step is negative.

        Args:
            rows, columns, channels: (start, stop), (start, stop, step) or a Python slice, with any step but 0; None for
                all. If one of start and stop counts from the end, the axis must have a fixed extent.

        Raises ShapeError if the slice is not within the image, and ParameterError if it is empty.
        """
        attributes: dict[str, Any] = {}
        for from_end, part in enumerate((channels, columns, rows), start=1):
            if part is None:
                continue
            if from_end >= len(x.shape):
                raise ParameterError(f"slice: {x.shape} has no {_AXES[from_end - 1][0]}")
            given = part if isinstance(part, slice) else slice(*_bounds(part))
            whole_numbers(
                "slice: bounds", [one for one in (given.start, given.stop, given.step) if one is not None]
            )
            attributes |= _range(given, x.shape[-from_end], from_end)
        return self.layer("slice", [x], attributes, name=name)

    def split(
        self, x: Tensor, parts: int | Sequence[int], *, axis: int = -1, name: str | None = None
    ) -> list[Tensor]:
        """Split a tensor into consecutive slices along `axis`. The CPU engine does not copy them.

        Args:
            parts: the number of parts of equal size, or the size of each part.
            axis: any axis but the batch, of a tensor with at most 4 axes. Its extent must be fixed.
            name: the name of the first slice; the others add "_1", "_2", ... to it.

        Raises ParameterError if the sizes do not add up to the extent.
        """
        rank = len(x.shape)
        along = axis + rank if is_whole_number(axis) and axis < 0 else axis
        if not is_whole_number(along) or not 0 < along < rank or rank > 4:
            raise ParameterError(f"split: axis must be one of {x.shape} after the batch, got {axis!r}")
        extent = x.shape[along]
        if extent is None:
            raise ParameterError(f"split: axis {axis} of {x.shape} needs an extent that the network knows")
        if isinstance(parts, (int, np.integer)):
            if parts < 1 or extent % parts != 0:
                raise ParameterError(f"split: parts must be a divisor of {extent}, got {parts}")
            sizes = [extent // parts] * parts
        else:
            sizes = whole_numbers("split: parts", parts)
        if not sizes or min(sizes) < 1 or sum(sizes) != extent:
            raise ParameterError(
                f"split: parts must be sizes of at least 1 that add up to {extent}, got {sizes}"
            )
        argument = _AXES[rank - along - 1][0]
        found: list[Tensor] = []
        for i, size in enumerate(sizes):
            start = sum(sizes[:i])
            own = name if name is None or i == 0 else f"{name}_{i}"
            bounds: dict[str, Part] = {argument: (start, start + size)}
            found.append(self.slice(x, name=own, **bounds))
        return found


def _bounds(part: object) -> tuple[int | None, ...]:
    """Return (start, stop), or (start, stop, step)."""
    if is_sequence(part) and len(part) in (2, 3):
        return tuple(part)
    raise ParameterError(f"slice: a part must be (start, stop), (start, stop, step) or a slice, got {part!r}")


def _range(part: slice, extent: int | None, from_end: int) -> dict[str, int]:
    """Return the operation's parameters for one axis. The operation itself checks whether the range is inside."""
    _, first, count, stride = _AXES[from_end - 1]
    step = 1 if part.step is None else int(part.step)
    if step == 0:
        raise ParameterError("slice: the step must not be 0")
    start = (0 if step > 0 else -1) if part.start is None else int(part.start)
    attributes = {first: start, stride: step}
    if part.stop is None:
        return attributes
    stop = int(part.stop)
    if (stop < 0) != (start < 0):
        if extent is None:
            raise ParameterError(
                f"slice: {first} {start} up to {stop} needs an extent that the network knows"
            )
        start, stop = (value + extent if value < 0 else value for value in (start, stop))
        attributes[first] = start
    size = len(range(start, stop, step))
    if size == 0:
        raise ParameterError(f"slice: nothing lies from {part.start} up to {part.stop} in steps of {step}")
    return attributes | {count: size}
