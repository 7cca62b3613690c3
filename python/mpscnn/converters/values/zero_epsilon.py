"""Replace an epsilon of 0 in a file's normalization, because mpscnn's layers need an epsilon above 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import EpsilonRuleName
from mpscnn.errors import UnsupportedError

# The epsilon is so small that variance + epsilon is rounded to the variance, even in float64.
_MIN_EPSILON, _MIN_VARIANCE = 2.0**-126, 2.0**-70


def batch_norm_epsilon(epsilon: float, variance: NDArray[np.float32] | None) -> float:
    """Return the epsilon of a batch normalization. 0 is replaced by a number so small that no bit of a result changes.

    Args:
        epsilon: the epsilon of the file.
        variance: the variances of the file; None if the layer computes them from its input. The number that replaces 0
            then changes results for variances below 2^-70.

    Raises:
        UnsupportedError: epsilon is 0, and a variance is below 2^-70. The file's engine divides by 0 or almost 0 then.
    """
    if epsilon != 0.0:
        return epsilon
    if variance is not None and not bool((variance >= _MIN_VARIANCE).all()):
        raise UnsupportedError(
            "its epsilon is 0, and a variance is 0 or almost 0: it divides by 0, or almost, which is not supported"
        )
    return _MIN_EPSILON


def group_norm_epsilon(epsilon: float) -> float:
    """Return the epsilon of a group normalization, or instead of 0 a number that changes no variance above 2^-100."""
    return epsilon if epsilon != 0.0 else _MIN_EPSILON


def layer_norm_epsilon(epsilon: float) -> tuple[float, EpsilonRuleName]:
    """Return epsilon and its rule for a layer normalization: "outside" or "inside" the square root.

    With epsilon 0, elements that are all equal become 0 here, but NaN in the file's engine.
    """
    return (0.0, "outside") if epsilon == 0.0 else (epsilon, "inside")
