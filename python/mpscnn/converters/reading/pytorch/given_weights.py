"""Fold the batch normalizations of a state dict whose tensors are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.reading.pytorch.architectures import FAMILIES, match_network
from mpscnn.converters.reading.pytorch.state_dict import StateDict, is_counter
from mpscnn.errors import UnsupportedError
from mpscnn.graph.weight_layout import OwnWeights, weight_array


@dataclass(frozen=True)
class _Given:
    """A tensor in memory, as a `StateTensor`."""

    values: NDArray[Any]

    @property
    def dtype(self) -> str:
        return str(self.values.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def array(self) -> NDArray[Any]:
        return self.values


def fold_state(weights: Mapping[str, Any], architecture: str) -> OwnWeights:
    """Return the weights of a network of `mpscnn.models` for a state dict of that architecture in torchvision or timm.

    Args:
        weights: tensors by the names that they have in PyTorch. They are copied.
        architecture: the name of the network in torchvision or timm, which tells the epsilon of its normalizations.

    Raises:
        UnsupportedError: the architecture is unknown, or the tensors belong to another or are not floating point.
        WeightsError: a tensor cannot be read, or has values that are not finite.
    """
    tensors = {
        name: _Given(weight_array(name, value)) for name, value in weights.items() if not is_counter(name)
    }
    state = StateDict(tensors, architecture)
    known = {member.name.split()[0] for family in FAMILIES for member in family.members(state)}
    if architecture not in known:
        raise UnsupportedError(f"{architecture}: there is no network of torchvision or timm with this name")
    return match_network(state, architecture, None).weights
