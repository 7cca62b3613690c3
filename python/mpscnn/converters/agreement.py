"""The difference of a network's results from those of the model that it was converted from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]

# Allowed of the largest magnitude of a result: sums in another order, through many layers.
_TOLERANCE = 1e-3
_BLOCK = 1 << 20  # elements that are compared at a time


@dataclass(frozen=True)
class _Difference:
    """The difference of a result from the model's. For whole numbers it is the share of those that differ."""

    name: str
    error: float
    relative: float


def require_results(
    title: str, what: str, names: Sequence[str], found: Sequence[Array], expected: Sequence[Array]
) -> None:
    """Compare all results.

    Args:
        title: what messages call the model.
        what: the kind of model: "module" or "model".
        names: of the network's outputs.
        found: the network's results.
        expected: those of the model, with the order of axes that the network's have.

    Raises UnsupportedError where the largest difference of a result is beyond a thousandth of its largest magnitude, or
    where more than a thousandth of its whole numbers differ.
    """
    if len(found) != len(expected):
        raise UnsupportedError(
            f"{title}: the {what} has {len(expected)} results, the network {len(found)}; convert without the others, "
            "or check=False leaves out the comparison"
        )
    differences = [
        _difference(name, array, other) for name, array, other in zip(names, found, expected, strict=True)
    ]
    worst = max(differences, key=lambda one: one.relative)
    if not worst.relative <= _TOLERANCE:
        raise UnsupportedError(
            f"{title}: the network does not compute what the {what} does: its result {worst.name!r} differs by "
            f"{worst.error:.3g}, which is {worst.relative:.2g} of the largest magnitude (allowed {_TOLERANCE:g}); "
            "check=False leaves out this comparison"
        )


def _difference(name: str, found: Array, expected: Array) -> _Difference:
    if expected.size != found.size:
        return _Difference(name, math.inf, math.inf)
    a, b = found.reshape(-1), np.ascontiguousarray(expected).reshape(-1)
    if b.dtype.kind != "f":
        differing = int(np.count_nonzero(a != b))
        return _Difference(name, float(differing), differing / max(b.size, 1))
    error = largest = 0.0
    for start in range(0, a.size, _BLOCK):
        mine, theirs = (part[start : start + _BLOCK].astype(np.float64) for part in (a, b))
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(mine - theirs)
        difference[(mine == theirs) | (np.isnan(mine) & np.isnan(theirs))] = 0.0
        difference[np.isnan(difference)] = np.inf
        error = max(error, float(difference.max(initial=0.0)))
        largest = max(largest, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)))
    relative = error / largest if largest else (0.0 if error == 0.0 else math.inf)
    return _Difference(name, error, relative)
