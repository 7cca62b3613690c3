"""Compare networks with the engines of other frameworks. `exact_engines.py` opens these engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters

Array = NDArray[Any]


def results(network: mpscnn.Network, *inputs: Array) -> list[Array]:
    """Return all results of a network on the CPU, in float32, for inputs that become float32, too."""
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    given = [x.astype(np.float32, copy=False) for x in inputs]
    found = session.run(given[0] if len(given) == 1 else given)
    return list(found.values()) if isinstance(found, dict) else [found]


def computed(network: mpscnn.Network, *inputs: Array) -> Array:
    """Return the only result of a network on the CPU, in float32."""
    (found,) = results(network, *inputs)
    return found


def agrees(
    model: mpscnn.Network | Path,
    *inputs: Array,
    oracle: Callable[..., Iterable[Array]],
    rtol: float = 2e-5,
    atol: float = 1e-6,
) -> mpscnn.Network:
    """Compare all results of a network, or of the network in a file, with those of an oracle. Return the network.

    Args:
        model: the network or its file.
        inputs: arrays, which both get.
        oracle: a function that returns the expected results for these arrays.
        rtol: the allowed difference, relative to an expected number.
        atol: the allowed difference besides.
    """
    network = converters.read_network([model]) if isinstance(model, Path) else model
    for ours, theirs in zip(results(network, *inputs), oracle(*inputs), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    return network
