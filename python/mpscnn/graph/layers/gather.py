"""Rows, columns and channels at given positions."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class GatherLayers(LayerMaker):
    """Rows, columns and channels at given positions."""

    def gather(self, x: Tensor, indices: Sequence[int], *, axis: int = -1, name: str | None = None) -> Tensor:
        """`numpy.take(x, indices, axis)` with positions that the network knows.

        Args:
            indices: counted from 0 or, where negative, from the end of the axis.
            axis: any but the batch, of a tensor of at most 4 axes, with an extent that the network knows.

        Raises ParameterError for a position outside.
        """
        positions = whole_numbers("gather: indices", indices)
        along = axis + len(x.shape) if axis < 0 else axis
        extent = x.shape[along] if 0 < along < len(x.shape) else None
        if extent is not None:
            positions = [index + extent if -extent <= index < 0 else index for index in positions]
        return self.layer("gather", [x], {"axis": axis, "indices": positions}, name=name)

    def tile(self, x: Tensor, repeats: Sequence[int], *, name: str | None = None) -> Tensor:
        """`numpy.tile(x, (1, *repeats))`: how often the tensor is repeated along each axis behind the batch.

        Raises ParameterError unless there is one number of at least 1 for each of these axes, 3 at most.
        """
        times = whole_numbers("tile: repeats", repeats)
        if len(times) != len(x.shape) - 1 or len(times) > 3:
            raise ParameterError(
                f"tile: repeats must be one number for each axis of {x.shape} behind the batch, 3 at most, "
                f"got {times!r}"
            )
        attributes = dict(zip(("rows", "columns", "channels")[3 - len(times) :], times, strict=True))
        return self.layer("tile", [x], attributes, name=name)
