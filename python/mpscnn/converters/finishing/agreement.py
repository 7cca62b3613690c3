"""Compare a network's results with those of the model that it was converted from."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]

# The largest allowed difference, relative to the largest magnitude of a result. Both engines add up in different
# orders, and these rounding differences grow through the layers.
_TOLERANCE = 1e-3
_BLOCK = 1 << 20  # the number of elements that are compared at a time


@dataclass(frozen=True)
class _Difference:
    """The difference between a result of the network and that of the model.

    Attributes:
        name: the name of the network's output.
        error: the largest absolute difference. For integers it is the number of elements that differ.
        relative: the error relative to the largest magnitude. For integers it is the share of differing elements.
    """

    name: str
    error: float
    relative: float


#: The network's error may be this many times the model's own, where float64 shows that both are rounding.
_ROUNDING_OF_BOTH = 2.0
_SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)


def require_results(
    title: str,
    what: str,
    names: Sequence[str],
    found: Sequence[Array],
    expected: Sequence[Array],
    exact: Callable[[], Sequence[Array] | None] = lambda: None,
) -> None:
    """Raise an error if the network's results differ from the model's by more than rounding.

    Where they do, the model's results in float64 decide: both may be rounding errors, or the model's own may be larger.

    Args:
        title: the name of the model in messages.
        what: the kind of model: "module" or "model".
        names: the names of the network's outputs.
        found: the network's results.
        expected: the model's results, transposed to the order of axes of the network's results.
        exact: computes the same in float64; None if the model cannot do that.

    Raises UnsupportedError if a float result differs by more than a thousandth of its largest magnitude, or if more
    than a thousandth of the elements of an integer result differ, from `expected` as well as from `exact`. A result may
    also differ from `exact` by twice as much as `expected` does.
    """
    if len(found) != len(expected):
        raise UnsupportedError(
            f"{title}: the {what} has {len(expected)} results, the network {len(found)}; convert without the others, "
            "or check=False leaves out the comparison"
        )
    differences = [
        _difference(name, array, other) for name, array, other in zip(names, found, expected, strict=True)
    ]
    if all(one.relative <= _TOLERANCE for one in differences):
        return
    worst = max(differences, key=lambda one: one.relative)
    if (numbers := exact()) is None or not all(
        map(_is_rounding, found, expected, numbers) if len(numbers) == len(found) else [False]
    ):
        raise UnsupportedError(
            f"{title}: the network does not compute what the {what} does: its result {worst.name!r} differs by "
            f"{worst.error:.3g}, which is {worst.relative:.2g} of the largest magnitude (allowed {_TOLERANCE:g}); "
            "check=False leaves out this comparison"
        )


def exceeds_tolerance(found: Sequence[Array], expected: Sequence[Array]) -> float | None:
    """Return the largest difference of two lists of results, relative to the largest magnitude of each.

    It is infinite if the lists have different lengths. Return None if `require_results` would allow all differences.
    """
    if len(found) != len(expected):
        return math.inf
    differences = (_difference("", *pair).relative for pair in zip(found, expected, strict=True))
    return largest if (largest := max(differences, default=0.0)) > _TOLERANCE else None


def _is_rounding(found: Array, expected: Array, exact: Array) -> bool:
    """Return True if the network is within the tolerance of the result in float64, or as near to it as the model."""
    ours, theirs = (_difference("", one, exact) for one in (found, expected))
    return ours.relative <= _TOLERANCE or ours.error <= min(
        _ROUNDING_OF_BOTH * theirs.error, sys.float_info.max
    )


@contextmanager
def running_original(title: str, what: str) -> Iterator[None]:
    """Report any error of the model that was converted as an UnsupportedError.

    Args:
        title, what: as for `require_results`.
    """
    try:
        yield
    except Exception as error:  # the code of the model may raise any error
        reason = " ".join(str(error).split())
        raise UnsupportedError(
            f"{title}: the {what} itself fails, so there are no results to compare: "
            f"{type(error).__name__}: {reason:.500}; check=False leaves out this comparison"
        ) from error


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
    # Numbers below the smallest normal one have fewer digits, and some processors replace them by 0.
    error = 0.0 if error < _SMALLEST_NORMAL else error
    relative = error / largest if largest else (0.0 if error == 0.0 else math.inf)
    return _Difference(name, error, relative)
