"""Define the layer methods that reduce axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpscnn._private.arguments import is_whole_number, whole_number
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

Axes = str | int | Sequence[str | int]

_NAMES = ("channels", "width", "height")
"""The names of the last, second last and third last axis."""
_POOLINGS = {"max": "max", "mean": "average", "l2_norm": "l2_norm"}
_WHOLE = frozenset({"sum_of_squares", "variance", "deviation", "log_sum_exp"})
"""Reductions that must reduce several axes in one layer, because one axis after the other gives other results."""


class ReductionLayers(LayerMaker):
    """Methods that reduce axes. Reduced axes stay with extent 1 unless `keepdims` is False.

    An axis is "height", "width", "channels" or a number, counted from the batch (1, 2, 3) or from the end. Several axes
    are a sequence. Sums of squares, variances, deviations and log-sum-exps reduce several axes in one layer. Other
    reductions use a layer for each axis, or a pooling for height and width; a float16 network rounds after each of
    them. The batch cannot be reduced. A NaN makes the result NaN.
    """

    def reduce_max(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Return the maximum along axes."""
        return self._reduce("max", x, axis, keepdims, name)

    def reduce_min(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Return the minimum along axes."""
        return self._reduce("min", x, axis, keepdims, name)

    def reduce_sum(
        self, x: Tensor, axis: Axes, *, weight: float = 1.0, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the sum along axes. Every element is multiplied by `weight`."""
        return self._reduce("sum", x, axis, keepdims, name, weight)

    def reduce_mean(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Return the mean along axes."""
        return self._reduce("mean", x, axis, keepdims, name)

    def reduce_product(
        self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the product along axes."""
        return self._reduce("product", x, axis, keepdims, name)

    def reduce_l2(self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None) -> Tensor:
        """Return the square root of the sum of squares along axes. The squares may exceed float32."""
        return self._reduce("l2_norm", x, axis, keepdims, name)

    def reduce_sum_of_squares(
        self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the sum of squares along axes."""
        return self._reduce("sum_of_squares", x, axis, keepdims, name)

    def reduce_variance(
        self, x: Tensor, axis: Axes, *, correction: int = 0, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the variance along axes: the mean of the squared differences from the mean.

        Args:
            correction: the divisor is the number of elements minus this number. NumPy's default is 0, PyTorch's 1.
        """
        weight = _correction(x, axis, correction)
        return self._reduce("variance", x, axis, keepdims, name, weight)

    def reduce_deviation(
        self, x: Tensor, axis: Axes, *, correction: int = 0, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the standard deviation along axes: the square root of `reduce_variance`."""
        weight = _correction(x, axis, correction)
        return self._reduce("deviation", x, axis, keepdims, name, weight)

    def reduce_log_sum_exp(
        self, x: Tensor, axis: Axes, *, keepdims: bool = True, name: str | None = None
    ) -> Tensor:
        """Return the logarithm of the sum of exponentials along axes. The exponentials may exceed float32."""
        return self._reduce("log_sum_exp", x, axis, keepdims, name)

    def argmax(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return the index of each pixel's largest channel, as a float: (..., c) -> (..., 1).

        The first of equal channels is taken, and the first NaN if there is one, as in NumPy. float16 networks allow at
        most 2049 channels, because half precision does not represent larger indices exactly.
        """
        return self.layer("argument", [x], {"kind": "max"}, name=name, default="argmax")

    def argmin(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return the index of each pixel's smallest channel, by the rules of `argmax`."""
        return self.layer("argument", [x], {"kind": "min"}, name=name, default="argmin")

    def top_k(
        self, x: Tensor, k: int, *, largest: bool = True, name: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the k largest or smallest channels of each pixel and their indices: (..., c) -> (..., k).

        The best one comes first, and of equal ones the first. NaN is larger than all numbers. The layer with the
        indices, which are floats, gets the name. float16 networks allow at most 2049 channels, because half precision
        does not represent larger indices exactly.

        Raises ParameterError unless k is 1 to the number of channels, ShapeError if x has more than 4 axes.
        """
        attributes = {"kind": "max" if largest else "min", "count": k}
        indices = self.layer("top_k", [x], attributes, name=name)
        values = self.layer("take_along_axis", [x, indices], {"axis": -1}, default="top_k_values")
        return values, indices

    def weighted_sum(self, x: Tensor, weights: Tensor, *, name: str | None = None) -> Tensor:
        """Return the sum of x * weights over the channels: (..., c) -> (..., 1).

        `weights` has the shape of x, or extents of 1 before the channels.
        """
        return self.layer(
            "weighted_reduction", [x, weights], {"kind": "sum"}, name=name, default="weighted_sum"
        )

    def weighted_mean(self, x: Tensor, weights: Tensor, *, name: str | None = None) -> Tensor:
        """Return `weighted_sum` divided by the number of weights that are not zero; 0 if all are zero."""
        return self.layer(
            "weighted_reduction", [x, weights], {"kind": "mean"}, name=name, default="weighted_mean"
        )

    def _reduce(
        self, kind: str, x: Tensor, axis: Axes, keepdims: bool, name: str | None, weight: float = 1.0
    ) -> Tensor:
        axes = _axis_names(x, axis)
        default = f"reduce_{kind}"
        if kind in _WHOLE and len(axes) > 1:
            joined, one = self._joined(x, axes)
            attributes = {"kind": kind, "axis": one, "weight": weight}
            flat = self.layer("reduction", [joined], attributes, default=default)
            extents = _reduced(x, axes) if keepdims else _without(x, axes)
            return self.layer("reshape", [flat], {"shape": extents}, name=name, default=default)
        result, left = x, axes
        if kind in _POOLINGS and len(x.shape) == 4 and {"height", "width"} <= set(axes):
            left = axes[2:]
            own, attributes = (
                None if left or not keepdims else name,
                {"kind": _POOLINGS[kind], "global": True},
            )
            result = self.layer("pooling", [x], attributes, name=own, default=default)
        for one in left:
            is_last = one == axes[-1]
            own, attributes = name if is_last and keepdims else None, {"kind": kind, "axis": one}
            attributes["weight"] = weight if is_last else 1.0
            result = self.layer("reduction", [result], attributes, name=own, default=default)
        if keepdims:
            return result
        return self.layer("reshape", [result], {"shape": _without(x, axes)}, name=name, default=default)

    def _joined(self, x: Tensor, axes: list[str]) -> tuple[Tensor, str]:
        """Reshape a tensor so that these axes become one axis. Return the tensor and the axis's name."""
        rank = len(x.shape)
        numbers = _numbers(x, axes)
        # If the axes are not neighbours, such as height and channels, they are moved to the end first.
        if numbers[-1] - numbers[0] >= len(numbers):
            order = [axis for axis in range(1, rank) if axis not in numbers] + numbers
            x = self.layer("transpose", [x], {"axes": order})
            numbers = list(range(rank - len(numbers), rank))
        extents = [-1 if extent is None else extent for extent in x.shape[1:]]
        first, last = numbers[0] - 1, numbers[-1]
        run = extents[first:last]
        merged = -1 if -1 in run else math.prod(run)
        shape = [*extents[:first], merged, *extents[last:]]
        if shape.count(-1) > 1:
            raise ParameterError(f"several axes that are reduced as one need fixed extents, got {x.shape}")
        y = self.layer("reshape", [x], {"shape": shape})
        return y, "channels" if last == rank - 1 else "width"


def _axis_names(x: Tensor, axis: Axes) -> list[str]:
    """Return the names of the axes, in the tensor's order."""
    given = list(axis) if isinstance(axis, Sequence) and not isinstance(axis, str) else [axis]
    axes = sorted({_axis_name(x, one) for one in given}, key=_NAMES.index, reverse=True)
    if not axes or len(axes) != len(given):
        raise ParameterError(f"axis must be one axis or several different ones, got {axis!r}")
    return axes


def _numbers(x: Tensor, axes: list[str]) -> list[int]:
    return [len(x.shape) - 1 - _NAMES.index(axis) for axis in axes]


def _correction(x: Tensor, axis: Axes, correction: int) -> float:
    """Return the factor that turns a biased variance into one with this correction."""
    whole_number("correction", correction, 0, 1 << 24)
    if correction == 0:
        return 1.0
    extents = [x.shape[number] for number in _numbers(x, _axis_names(x, axis))]
    if None in extents:
        raise ParameterError(f"a correction needs fixed extents along {axis!r}, got {x.shape}")
    count = math.prod(extent or 0 for extent in extents)
    if count <= correction:
        raise ParameterError(f"correction must be less than the {count} elements, got {correction}")
    return count / (count - correction)


def _reduced(x: Tensor, axes: list[str]) -> list[int]:
    """Return the extents of all axes except the batch: 1 for reduced axes, -1 for a free extent."""
    numbers = _numbers(x, axes)
    left = [1 if axis in numbers else x.shape[axis] for axis in range(1, len(x.shape))]
    return [-1 if extent is None else extent for extent in left]


def _without(x: Tensor, axes: list[str]) -> list[int]:
    """Return the shape for a reshape that removes the reduced axes. As in `Network.reshape`, it has no batch.

    A free extent is 0 if its axis keeps its number, otherwise -1. If all axes are reduced, the shape is [1].
    """
    rank = len(x.shape)
    reduced = set(_numbers(x, axes))
    left = [axis for axis in range(1, rank) if axis not in reduced]
    extents = []
    for place, axis in enumerate(left, start=1):
        free = x.shape[axis] is None
        extents.append(0 if free and axis == place else -1 if free else x.shape[axis] or 0)
    if extents.count(-1) > 1:
        raise ParameterError(
            f"keepdims=False needs at most one free extent after a reduced one, got {x.shape}"
        )
    return extents or [1]


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
