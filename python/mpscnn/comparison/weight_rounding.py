"""Measure how a network's results change if a file stores rounded weights, and recognise such weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpscnn.comparison.layer_comparison import compare_layer
from mpscnn.comparison.trace import Array, Value
from mpscnn.graph.network import Network
from mpscnn.opening_models import open_model
from mpscnn.runtime.program import named_results


@dataclass(frozen=True)
class RoundingEffect:
    """The largest difference between the results of a network and of the file in which it was stored.

    Args:
        error: the difference relative to the largest magnitude of the result.
        output: the result's name.
    """

    error: float
    output: str

    def sentence(self, path: Path, stored: str) -> str:
        """Return a sentence about the difference. `stored` is the type of the weights in the file."""
        if self.error == 0.0:
            return f"{path}, which stores weights in {stored}, gives the same results to the bit"
        advice = "" if stored == "float32" else "; --dtype float32 stores weights unchanged"
        return (
            f"{path} itself, with weights rounded to {stored}, differs from that by {self.error:.2g} of the largest "
            f"magnitude of {self.output}{advice}"
        )


def rounding_effect(network: Network, path: Path, size: tuple[int, int] | None = None) -> RoundingEffect:
    """Compare a network with the file in which it was stored, on one random input in float32.

    Args:
        network: the network before it was stored.
        path: the file.
        size: (height, width) if the network accepts any size.
    """
    stored = Network.from_graph(open_model(str(path)).graph())
    generator = np.random.default_rng(0)
    inputs = [
        generator.uniform(-1.0, 1.0, _extents(tensor.shape, size)).astype(np.float32)
        for tensor in network.inputs
    ]
    before, after = (_results(one, inputs) for one in (network, stored))
    layers = [
        compare_layer(Value(name, "", after[name]), Value(name, "", array), output=True)
        for name, array in before.items()
    ]
    worst = max(layers, key=lambda layer: layer.relative_error)
    return RoundingEffect(worst.relative_error, worst.name)


def differ_by_float16_rounding(first: Network, second: Network) -> bool:
    """Return True if one of two networks seems to come from a file that stores numbers in float16.

    All its weights then are float16 numbers, and the other network has different weights or these biases before they
    were rounded.
    """
    kernels, biases = (
        [
            [array for name, array in network.weights.items() if name.endswith(role)]
            for network in (first, second)
        ]
        for role in (".weight", ".bias")
    )
    if not any(one and all(map(_are_halves, one)) for one in kernels):
        return False
    if _contents(kernels[0]) != _contents(kernels[1]):
        return True
    a, b = (_contents(one) for one in biases)
    return a != b and (
        _contents(map(_as_halves, biases[0])) == b or _contents(map(_as_halves, biases[1])) == a
    )


def _contents(arrays: Iterable[Array]) -> set[int]:
    return {hash(array.tobytes()) for array in arrays}


def _are_halves(array: Array) -> bool:
    return bool(np.array_equal(_as_halves(array), array))


def _as_halves(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _extents(shape: tuple[int | None, ...], size: tuple[int, int] | None) -> tuple[int, ...]:
    free = iter(size or ())
    return (1, *(next(free, 1) if extent is None else extent for extent in shape[1:]))


def _results(network: Network, inputs: list[Array]) -> dict[str, Array]:
    return named_results(network.compile(device="cpu", precision="float32").session(), inputs)
