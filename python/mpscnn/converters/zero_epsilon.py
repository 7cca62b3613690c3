"""Normalizations whose epsilon is 0 in the file, although the layers here want one above 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import EpsilonRuleName
from mpscnn.errors import UnsupportedError

# The sum of the two is rounded to the variance, in double, too.
_SMALLEST_EPSILON, _SMALLEST_VARIANCE = 2.0**-126, 2.0**-70


def batch_norm_epsilon(epsilon: float, variance: NDArray[np.float32] | None) -> float:
    """Return an epsilon above 0 for a batch normalization. It changes no bit of a sum with a variance.

    Args:
        epsilon: the file's.
        variance: None if the layer computes it of its input.

    Raises:
        UnsupportedError: epsilon is 0, and so is a variance. The file's engine divides by 0 then.
    """
    if epsilon != 0.0:
        return epsilon
    if variance is not None and not bool((variance >= _SMALLEST_VARIANCE).all()):
        raise UnsupportedError(
            "its epsilon is 0, and so is a variance: it divides by 0, which is not supported"
        )
    return _SMALLEST_EPSILON


def group_norm_epsilon(epsilon: float) -> float:
    """Return an epsilon above 0 for a group normalization. It changes no variance above 2^-100 by a bit of float32."""
    return epsilon if epsilon != 0.0 else _SMALLEST_EPSILON


def layer_norm_epsilon(epsilon: float) -> tuple[float, EpsilonRuleName]:
    """Return epsilon and its rule for a layer normalization: nothing is added to the deviation where the file adds 0.

    Elements that are all equal become 0, which the file's engine makes NaN.
    """
    return (0.0, "outside") if epsilon == 0.0 else (epsilon, "inside")
