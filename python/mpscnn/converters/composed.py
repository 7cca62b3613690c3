"""Activation functions that are several layers."""

from __future__ import annotations

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

# Of Klambauer et al. 2017, "Self-Normalizing Neural Networks".
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def swish(network: Network, x: Tensor, name: str) -> Tensor:
    """x * sigmoid(x), also called SiLU."""
    return _gated(network, x, "sigmoid", name)


def hard_swish(network: Network, x: Tensor, name: str) -> Tensor:
    """x * min(max(x / 6 + 1 / 2, 0), 1)."""
    return _gated(network, x, {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, name)


def mish(network: Network, x: Tensor, name: str) -> Tensor:
    """x * tanh(ln(1 + e^x))."""
    softplus = network.activation(x, "softplus", name=f"{name}/softplus")
    gate = network.activation(softplus, "tanh", name=f"{name}/gate")
    return network.multiply(x, gate, name=name)


def selu(network: Network, x: Tensor, name: str) -> Tensor:
    """A scaled ELU."""
    elu = network.activation(x, {"kind": "elu", "a": _SELU_ALPHA}, name=f"{name}/elu")
    return network.activation(elu, {"kind": "linear", "a": _SELU_SCALE}, name=name)


def _gated(network: Network, x: Tensor, gate: Activation, name: str) -> Tensor:
    return network.multiply(x, network.activation(x, gate, name=f"{name}/gate"), name=name)
