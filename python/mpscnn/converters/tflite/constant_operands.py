"""Arithmetic with a constant for each channel, which a batch normalization can do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import affine
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def add_constant(
    network: Network, x: Tensor, values: NDArray[np.generic], *, activation: Activation, name: str
) -> Tensor:
    """x + values, where the values are one number, or one for each channel.

    Raises UnsupportedError for values of another shape.
    """
    channels = x.shape[-1] or 0
    if values.size != 1 and (values.size != channels or values.shape[-1] != channels):
        raise UnsupportedError(
            f"adds a constant of shape {values.shape} to {x.shape}; supported are one number, and one per channel"
        )
    return affine(network, x, offset=values, activation=activation, name=name)
