"""Compute x * scale + offset with constants for each channel, by a batch normalization that is never trained."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Numbers = TypeVar("Numbers", float, NDArray[np.float32])

EPSILON = 2.0**-10
VARIANCE = 1.0 - EPSILON
"""The layer's epsilon and variance. They are exact in float32, and sqrt(variance + epsilon) is exactly 1."""


def is_affine(epsilon: float, mean: NDArray[np.float32], variance: NDArray[np.float32]) -> bool:
    """Return True if a batch normalization was made by `affine`.

    It is recognised by its epsilon, mean and variance: learnt statistics never have exactly these values.
    """
    return bool(epsilon == EPSILON and not mean.any() and (variance == np.float32(VARIANCE)).all())


def scale_and_offset(
    operation: str, constant: Numbers, *, constant_first: bool
) -> tuple[Numbers | float | None, Numbers | None]:
    """Return the scale and the offset of `x operation constant`, which is x * scale + offset.

    A scale of None is 1, and an offset of None is 0.

    Args:
        operation: "add", "subtract", "multiply" or "divide".
        constant: one or several numbers.
        constant_first: whether the constant is the first operand, which a quotient does not allow.
    """
    if operation == "add":
        return None, constant
    if operation == "subtract":
        return (-1.0, constant) if constant_first else (None, -constant)
    return (constant if operation == "multiply" else 1.0 / constant), None


def affine(
    network: Network,
    x: Tensor,
    *,
    scale: NDArray[np.generic] | float | None = None,
    offset: NDArray[np.generic] | float | None = None,
    activation: Activation = None,
    name: str,
) -> Tensor:
    """Add a layer that computes x * scale + offset.

    Scale and offset are one number, or one for each channel. None means a scale of 1 or an offset of 0.
    """
    channels = x.shape[-1] or 0
    attributes = {"epsilon": EPSILON, "fixed": True}
    y = network.layer("batch_normalization", [x], attributes, activation=activation, name=name)
    weights = {"mean": 0.0, "variance": VARIANCE, "gamma": scale, "beta": offset}
    for role, values in weights.items():
        if values is not None:
            each = np.broadcast_to(np.asarray(values, np.float32).reshape(-1), (channels,))
            network.graph.set_weight(name, role, np.ascontiguousarray(each))
    return y
