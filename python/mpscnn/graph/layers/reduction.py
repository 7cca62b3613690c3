"""Reductions of one axis."""

from __future__ import annotations

from mpscnn._private.arguments import is_whole_number
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

_AXES = {"height": 1, "width": 2, "channels": 3}


class ReductionLayers(LayerMaker):
    """Reductions of one axis, which stays with extent 1.

    `axis` is "height", "width", "channels" or its number, counted from the batch (1, 2, 3) or from the end. Means and
    maxima of the whole image are `global_average_pool2d` and `global_max_pool2d`. NaN passes through.
    """

    def reduce_max(self, x: Tensor, axis: str | int, *, name: str | None = None) -> Tensor:
        """Maximum along an axis."""
        return self._reduce("max", x, axis, name)

    def reduce_min(self, x: Tensor, axis: str | int, *, name: str | None = None) -> Tensor:
        """Minimum along an axis."""
        return self._reduce("min", x, axis, name)

    def reduce_sum(
        self, x: Tensor, axis: str | int, *, weight: float = 1.0, name: str | None = None
    ) -> Tensor:
        """Sum along an axis of `weight` times every element."""
        return self._reduce("sum", x, axis, name, weight)

    def reduce_mean(self, x: Tensor, axis: str | int, *, name: str | None = None) -> Tensor:
        """Mean along an axis."""
        return self._reduce("mean", x, axis, name)

    def argmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """The channel of each pixel's maximum, as a number: (..., c) -> (..., 1).

        The first of equals; the first NaN where there is one (numpy's rules). float16 networks take 2049 channels at
        most, beyond which halves are no longer exact.
        """
        return self.layer("argument", [x], {"kind": "max"}, name=name, default="argmax")

    def argmin(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """The channel of each pixel's minimum, by the rules of `argmax`."""
        return self.layer("argument", [x], {"kind": "min"}, name=name, default="argmin")

    def weighted_sum(self, x: Tensor, weights: Tensor, *, name: str | None = None) -> Tensor:
        """Sum of x * weights over the channels: (..., c) -> (..., 1).

        `weights` has the shape of x, or extents of 1 before the channels.
        """
        return self.layer(
            "weighted_reduction", [x, weights], {"kind": "sum"}, name=name, default="weighted_sum"
        )

    def weighted_mean(self, x: Tensor, weights: Tensor, *, name: str | None = None) -> Tensor:
        """`weighted_sum` divided by the number of weights that are not zero; 0 where all are zero."""
        return self.layer(
            "weighted_reduction", [x, weights], {"kind": "mean"}, name=name, default="weighted_mean"
        )

    def _reduce(self, kind: str, x: Tensor, axis: str | int, name: str | None, weight: float = 1.0) -> Tensor:
        attributes = {"kind": kind, "axis": _axis_name(x, axis), "weight": weight}
        return self.layer("reduction", [x], attributes, name=name, default=f"reduce_{kind}")


def _axis_name(x: Tensor, axis: str | int) -> str:
    if isinstance(axis, str):
        if axis in _AXES:
            return axis
    elif is_whole_number(axis):
        rank = len(x.shape)
        position = axis + rank if axis < 0 else axis
        if position == rank - 1:
            return "channels"
        for name, number in _AXES.items():
            if number == position and rank == 4:
                return name
    raise ParameterError(
        f"axis must be 'height', 'width', 'channels' or the number of one of {x.shape}'s axes "
        f"other than the batch, got {axis!r}"
    )
