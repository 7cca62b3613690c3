"""Reductions of axes."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import is_whole_number
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

Axes = str | int | Sequence[str | int]

_NAMES = ("channels", "width", "height")
"""Of the last axis, the one before and the one before that."""
_POOLINGS = {"max": "max", "mean": "average", "l2_norm": "l2_norm"}


class ReductionLayers(LayerMaker):
    """Reductions of axes, which stay with extent 1 unless `keepdims` is False.

    An axis is "height", "width", "channels" or its number, counted from the batch (1, 2, 3) or from the end; several
    are a sequence of such. They are reduced one after the other, height and width together where a pooling can, so that
    a float16 network rounds behind each. The batch cannot be reduced. NaN passes through.
    """

    def reduce_max(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Maximum along axes."""
        return self._reduce("max", x, axis, keepdims, name)

    def reduce_min(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Minimum along axes."""
        return self._reduce("min", x, axis, keepdims, name)

    def reduce_sum(
        self, x: Tensor, axis: Axes, *, weight: float = 1.0, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Sum along axes of `weight` times every element."""
        return self._reduce("sum", x, axis, keepdims, name, weight)

    def reduce_mean(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Mean along axes."""
        return self._reduce("mean", x, axis, keepdims, name)

    def reduce_product(
        self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Product along axes."""
        return self._reduce("product", x, axis, keepdims, name)

    def reduce_l2(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Square root of the sum of squares along axes. Squares beyond float32 (|x| > 1.8e19) make it infinite."""
        return self._reduce("l2_norm", x, axis, keepdims, name)

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

    def _reduce(
        self, kind: str, x: Tensor, axis: Axes, keepdims: bool, name: str | None, weight: float = 1.0
    ) -> Tensor:
        given = list(axis) if isinstance(axis, Sequence) and not isinstance(axis, str) else [axis]
        axes = sorted({_axis_name(x, one) for one in given}, key=_NAMES.index, reverse=True)
        if not axes or len(axes) != len(given):
            raise ParameterError(f"axis must be one axis or several different ones, got {axis!r}")
        default = f"reduce_{kind}"
        steps: list[tuple[str, dict[str, object]]] = []
        if kind in _POOLINGS and len(x.shape) == 4 and {"height", "width"} <= set(axes):
            steps.append(("pooling", {"kind": _POOLINGS[kind], "global": True}))
            axes_left = axes[2:]
        else:
            axes_left = axes
        for i, one in enumerate(axes_left):
            factor = weight if i + 1 == len(axes_left) else 1.0
            steps.append(("reduction", {"kind": kind, "axis": one, "weight": factor}))
        result = x
        for i, (operation, attributes) in enumerate(steps):
            last = keepdims and i + 1 == len(steps)
            if operation == "pooling":
                result = self.layer(
                    "pooling", [result], attributes, name=name if last else None, default=default
                )
            else:
                result = self.layer(
                    "reduction", [result], attributes, name=name if last else None, default=default
                )
        if keepdims:
            return result
        return self.layer("reshape", [result], {"shape": _without(x, axes)}, name=name, default=default)


def _without(x: Tensor, axes: list[str]) -> list[int]:
    """The extents behind the batch that are left; (n, 1) where none is."""
    rank = len(x.shape)
    reduced = {rank - 1 - _NAMES.index(axis) for axis in axes}
    left = [x.shape[axis] for axis in range(1, rank) if axis not in reduced]
    if sum(extent is None for extent in left) > 1:
        raise ParameterError(
            f"keepdims=False needs at most one free extent that is not reduced, got {x.shape}"
        )
    return [-1 if extent is None else extent for extent in left] or [1]


def _axis_name(x: Tensor, axis: str | int) -> str:
    rank = len(x.shape)
    if isinstance(axis, str):
        if axis in _NAMES:
            return axis
    elif is_whole_number(axis):
        from_end = -axis if axis < 0 else rank - axis
        if 1 <= from_end <= 3 and from_end < rank:
            return _NAMES[from_end - 1]
    raise ParameterError(
        f"axis must be 'height', 'width', 'channels' or the number of one of {x.shape}'s axes "
        f"other than the batch, got {axis!r}"
    )
