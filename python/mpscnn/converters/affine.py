"""x * scale + offset, with constants for each channel: a batch normalization that training leaves unchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

# With this variance the square root of variance + epsilon is 1 exactly.
_EPSILON = 2.0**-10


def is_affine(epsilon: float, mean: NDArray[np.float32], variance: NDArray[np.float32]) -> bool:
    """True if a batch normalization is what `affine` makes: no statistics that were learnt are these to the bit."""
    return bool(epsilon == _EPSILON and not mean.any() and (variance == np.float32(1.0 - _EPSILON)).all())


def affine(
    network: Network,
    x: Tensor,
    *,
    scale: NDArray[np.generic] | float | None = None,
    offset: NDArray[np.generic] | float | None = None,
    activation: Activation = None,
    name: str,
) -> Tensor:
    """x * scale + offset, each one number or one for each channel; None: 1 and 0."""
    channels = x.shape[-1] or 0
    attributes = {"epsilon": _EPSILON, "fixed": True}
    y = network.layer("batch_normalization", [x], attributes, activation=activation, name=name)
    weights = {"mean": 0.0, "variance": 1.0 - _EPSILON, "gamma": scale, "beta": offset}
    for role, values in weights.items():
        if values is not None:
            each = np.broadcast_to(np.asarray(values, np.float32).reshape(-1), (channels,))
            network.graph.set_weight(name, role, np.ascontiguousarray(each))
    return y
