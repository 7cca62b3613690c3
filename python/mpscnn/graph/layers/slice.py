"""Define the layer methods that take parts of tensors, by ranges and by indices."""

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

    def gather(self, x: Tensor, indices: Sequence[int], *, axis: int = -1, name: str | None = None) -> Tensor:
        """Select elements of an axis like `numpy.take(x, indices, axis)`. The indices are constants.

        Args:
            indices: positions, counted from 0, or from the axis's end if negative.
            axis: any axis but the batch, of a tensor with at most 4 axes. Its extent must be fixed.

        Raises ParameterError for an index out of range.
        """
        positions = whole_numbers("gather: indices", indices)
        along = axis + len(x.shape) if axis < 0 else axis
        extent = x.shape[along] if 0 < along < len(x.shape) else None
        if extent is not None:
            positions = [index + extent if -extent <= index < 0 else index for index in positions]
        return self.layer("gather", [x], {"axis": axis, "indices": positions}, name=name)

    def take_along_axis(
        self, x: Tensor, indices: Tensor, *, axis: int = -1, name: str | None = None
    ) -> Tensor:
        """Select elements along an axis like `numpy.take_along_axis`, by indices that the network computes.

        Along all other axes both tensors have the same extent, or one of them has extent 1 and is repeated. In float16
        networks, layers that compute indices beyond 2048 stay float32, and such indices cannot be an input.

        Args:
            x: a tensor with at most 4 axes.
            indices: a tensor with as many axes. Its numbers are truncated to whole numbers; negative ones count from
                the end. Numbers beyond the axis select its first or last element, and NaN the first.
            axis: any axis but the batch.

        Raises ShapeError if other axes differ.
        """
        return self.layer("take_along_axis", [x, indices], {"axis": axis}, name=name)

    def tile(self, x: Tensor, repeats: Sequence[int], *, name: str | None = None) -> Tensor:
        """Repeat a tensor like `numpy.tile(x, (1, *repeats))`. `repeats` has a number for each axis after the batch.

        Raises ParameterError unless there is one number of at least 1 for each of these axes, of which there are at
        most 3.
        """
        times = whole_numbers("tile: repeats", repeats)
        if len(times) != len(x.shape) - 1 or len(times) > 3:
            raise ParameterError(
                f"tile: repeats must be one number for each axis of {x.shape} after the batch, 3 at most, "
                f"got {times!r}"
            )
        attributes = dict(zip(("rows", "columns", "channels")[3 - len(times) :], times, strict=True))
        return self.layer("tile", [x], attributes, name=name)


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
