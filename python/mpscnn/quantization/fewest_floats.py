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
) -> tuple[KeptLayer, ...]:
    """Return the fewest layers that stay in float32, so that the quantised network loses at most `allowed` points.

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

    def is_enough(kept: Sequence[str]) -> bool:
        return measures.points(mixture(kept)) <= allowed

    if is_enough(()):
        return ()
    effects = {
        name: measures.error(mixture([other for other in operations if other != name])) for name in operations
    }
    order = sorted(operations, key=lambda name: -effects[name])
    few, enough = 0, len(order)
    while enough - few > 1:
        middle = (few + enough) // 2
        if is_enough(order[:middle]):
            enough = middle
        else:
            few = middle
    if enough == len(order):
        raise ParameterError(
            f"quantize: loss: network {network.name!r} loses more than {allowed:g} points unless all layers stay in "
            "float32; allow more, or calibrate with more photos"
        )
    kept = order[:enough]
    for name in kept[::-1]:
        fewer = [other for other in kept if other != name]
        if is_enough(fewer):
            kept = fewer
    return tuple(KeptLayer(name, operations[name], effects[name]) for name in kept)
