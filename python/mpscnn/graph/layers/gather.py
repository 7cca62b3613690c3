"""Define the layer methods that select or repeat elements of an axis."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class GatherLayers(LayerMaker):
    """Methods that select or repeat elements of an axis."""

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
