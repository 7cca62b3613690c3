"""The core's trainer of the layers that are not frozen, with its variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.graph.network import Network
from mpscnn.training.frozen_layers import FrozenLayers


@dataclass(frozen=True)
class BuiltTrainer:
    """State that changes when layers are frozen. One object, so a signal handler sees it complete, before or after."""

    core: _core.Trainer
    described: dict[str, Any]
    frozen: FrozenLayers

    @classmethod
    def of(
        cls, network: Network, options: Mapping[str, Any], frozen: FrozenLayers, device: str, threads: int
    ) -> BuiltTrainer:
        """With the network's weights, and moments of zeros. `threads`: 0 stands for all that the process may use."""
        text = json.dumps({**options, "frozen": list(frozen.names), "missed_updates": dict(frozen.missed)})
        core = _core.Trainer(network.graph, text, device, threads)
        return cls(core, json.loads(core.describe()), frozen)

    def variables(self) -> dict[str, NDArray[np.float32]]:
        """Weights, moments, averages and sums of gradients, by name."""
        result = {}
        for entry in self.described["variables"]:
            result[entry["name"]] = np.empty(entry["shape"], np.float32)
            self.core.read(entry["name"], result[entry["name"]])
        return result

    def set_variables(self, values: Mapping[str, NDArray[np.float32]]) -> None:
        """New values of some."""
        for name, value in values.items():
            self.core.write(name, value)
