"""Choose the fewest layers that stay in float32, so that a quantised network loses no more than it may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.quantization.integers import is_kept


@dataclass(frozen=True)
class KeptLayer:
    """A layer that stays in float32 because the network would otherwise lose too much.

    Args:
        name: the layer's name.
        operation: the layer's operation.
        effect: the error of the network's results if only this layer computes in integers, as in
            `QuantizationReport.error`.
    """

    name: str
    operation: str
    effect: float


@dataclass(frozen=True)
class Measures:
    """How a quantised network is measured.

    Args:
        points: returns how many points the network loses, in percent.
        error: returns the error of its results on a few images.
    """

    points: Callable[[Network], float]
    error: Callable[[Network], float]


def keep_fewest(
    network: Network, rounded: Callable[[Network], Network], allowed: float, measures: Measures
) -> tuple[Network, tuple[KeptLayer, ...]]:
    """Return the quantised network with the fewest layers in float32 that loses at most `allowed` points, and these.

    Layers are ordered by their effect. Bisection finds how many of the first ones are enough. Then each of these is
    computed in integers again if the network still loses little enough, beginning with the smallest effect.

    Args:
        network: a network from `prepare`.
        rounded: quantises this network with other layers in float32.
        allowed: the points that may be lost, in percent.
        measures: how networks are measured.

    Raises ParameterError if all layers would have to stay in float32.
    """
    operations = {node["name"]: node["operation"] for node in network.to_dict()["nodes"] if not is_kept(node)}

    def mixture(kept: Sequence[str]) -> Network:
        trial = network.copy()
        trial.keep_float32(kept)
        return rounded(trial)

    def within(kept: Sequence[str]) -> Network | None:
        """Return the network with these layers in float32, or None if it loses too much."""
        trial = mixture(kept)
        return trial if measures.points(trial) <= allowed else None

    if (best := within(())) is not None:
        return best, ()
    effects = {
        name: measures.error(mixture([other for other in operations if other != name])) for name in operations
    }
    order = sorted(operations, key=lambda name: -effects[name])
    few, enough = 0, len(order)
    while enough - few > 1:
        middle = (few + enough) // 2
        if (trial := within(order[:middle])) is None:
            few = middle
        else:
            best, enough = trial, middle
    if best is None:
        raise ParameterError(
            f"quantize: loss: network {network.name!r} loses more than {allowed:g} points unless all layers stay in "
            "float32; allow more, or calibrate with more photos"
        )
    kept = order[:enough]
    for name in kept[::-1]:
        fewer = [other for other in kept if other != name]
        if (trial := within(fewer)) is not None:
            best, kept = trial, fewer
    return best, tuple(KeptLayer(name, operations[name], effects[name]) for name in kept)
