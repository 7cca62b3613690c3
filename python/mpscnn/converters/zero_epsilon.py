"""Replace an epsilon of 0 in a file's normalization, because mpscnn's layers need an epsilon above 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.literals import EpsilonRuleName
from mpscnn.errors import UnsupportedError

# The epsilon is so small that variance + epsilon is rounded to the variance, even in float64.
_MIN_EPSILON, _MIN_VARIANCE = 2.0**-126, 2.0**-70


def batch_norm_epsilon(epsilon: float, variance: NDArray[np.float32] | None) -> float:
    """Return an epsilon above 0 for a batch normalization. It is so small that results do not change by a bit.

    Args:
        epsilon: the epsilon of the file.
        variance: the variances of the file; None if the layer computes them from its input.

    Raises:
        UnsupportedError: epsilon and a variance are 0. The file's engine divides by 0 then.
    """
    if epsilon != 0.0:
        return epsilon
    if variance is not None and not bool((variance >= _MIN_VARIANCE).all()):
        raise UnsupportedError(
            "its epsilon is 0, and so is a variance: it divides by 0, which is not supported"
        )
    return _MIN_EPSILON


def group_norm_epsilon(epsilon: float) -> float:
    """Return an epsilon above 0 for a group normalization. It changes no float32 variance above 2^-100."""
    return epsilon if epsilon != 0.0 else _MIN_EPSILON


def layer_norm_epsilon(epsilon: float) -> tuple[float, EpsilonRuleName]:
    """Return epsilon and its rule for a layer normalization: "outside" or "inside" the square root.

    With epsilon 0, elements that are all equal become 0 here, but NaN in the file's engine.
    """
    return (0.0, "outside") if epsilon == 0.0 else (epsilon, "inside")
