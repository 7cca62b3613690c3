"""Keep the optimiser's state of frozen layers, so that training continues from it when they are unfrozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mpscnn.graph.network import Network

_AVERAGE = ".average"
PREFIX = "frozen:"


@dataclass(frozen=True)
class FrozenLayers:
    """The frozen layers, their optimiser state, and the number of weight updates that each layer took part in.

    Adam corrects its moments by the number of updates. So updates while a layer was frozen must not count.
    """

    names: tuple[str, ...] = ()
    #: Moments, moving averages and sums of gradients, by the core's names.
    variables: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    #: The number of updates that each frozen layer took part in; 0 for layers that are not listed.
    seen: Mapping[str, int] = field(default_factory=dict)
    #: The number of updates that each trained layer did not take part in; 0 for layers that are not listed.
    missed: Mapping[str, int] = field(default_factory=dict)

    def changed(self, names: Iterable[str], updates: int) -> FrozenLayers:
        """Return the state after exactly these layers are frozen, when there were `updates` updates of the weights."""
        frozen, before = set(names), set(self.names)
        seen, missed = dict(self.seen), dict(self.missed)
        for layer in frozen - before:
            seen[layer] = updates - missed.pop(layer, 0)
        for layer in before - frozen:
            missed[layer] = updates - seen.pop(layer, 0)
        return FrozenLayers(tuple(sorted(frozen)), self.variables, seen, missed)

    def average(self, network: Network) -> None:
        """Set a network's weights of frozen layers to their moving averages."""
        averages = {
            name.removesuffix(_AVERAGE): value
            for name, value in self.variables.items()
            if name.endswith(_AVERAGE)
        }
        if averages:
            shapes = {name: value.shape for name, value in network.weights.items()}
            shaped = {name: value.reshape(shapes[name]) for name, value in averages.items()}
            network.set_weights(shaped, layout="OHWI")

    def settings(self) -> dict[str, Any]:
        """Return the settings for a checkpoint."""
        return {
            "frozen": list(self.names),
            "seen_updates": dict(self.seen),
            "missed_updates": dict(self.missed),
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays for a checkpoint."""
        return {PREFIX + name: value for name, value in self.variables.items()}

    @classmethod
    def of_checkpoint(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]
    ) -> FrozenLayers:
        """Restore the state from the `settings` and `arrays` of a checkpoint."""
        variables = {
            name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)
        }
        seen, missed = settings.get("seen_updates", {}), settings.get("missed_updates", {})
        return cls(tuple(settings["frozen"]), variables, seen, missed)
