"""Build the core's trainer for the layers that are not frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings
from mpscnn.training.frozen_layers import FrozenLayers


def network_from(structure: Mapping[str, Any]) -> Network:
    """Return a network without weights from the result of `Network.to_dict`."""
    return Network.from_graph(_core.Graph.from_json(json.dumps(structure)))


def without_weights(network: Network) -> Network:
    """Return the network's layers and settings without its weights, to save memory."""
    bare = network_from(network.to_dict())
    copy_settings(network, bare)
    return bare


@dataclass(frozen=True)
class BuiltTrainer:
    """The state that changes when layers are frozen.

    It is one object, so a signal handler never sees half of a change.
    """

    core: _core.Trainer
    described: dict[str, Any]
    frozen: FrozenLayers

    @classmethod
    def of(
        cls,
        network: Network,
        options: Mapping[str, Any],
        frozen: FrozenLayers,
        device: str,
        threads: int,
        loss: _core.Graph | None = None,
    ) -> BuiltTrainer:
        """Build a trainer with the network's weights, and zero moments.

        `threads` of 0 means all. A graph of the user's loss replaces the loss of the options.
        """
        text = json.dumps({**options, "frozen": list(frozen.names), "missed_updates": dict(frozen.missed)})
        core = _core.Trainer(network.graph, text, device, threads, loss)
        return cls(core, json.loads(core.describe()), frozen)

    def variables(self) -> dict[str, NDArray[np.float32]]:
        """Return weights, moments, averages and sums of gradients by name."""
        result = {}
        for entry in self.described["variables"]:
            result[entry["name"]] = np.empty(entry["shape"], np.float32)
            self.core.read(entry["name"], result[entry["name"]])
        return result

    def set_variables(self, values: Mapping[str, NDArray[np.float32]]) -> None:
        """Set some variables."""
        for name, value in values.items():
            self.core.write(name, value)
