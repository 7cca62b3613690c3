"""Run conformance cases on a device, and compute the allowed difference of two engines.

A case is plain JSON, so that a report has everything to reproduce it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private import first_use
from mpscnn.apps.verify import layers
from mpscnn.apps.verify.error_bounds import PROMISES
from mpscnn.apps.verify.kernel_bounds import kernel_bounds
from mpscnn.apps.verify.kernel_runs import run_kernel
from mpscnn.apps.verify.layers import Arrays
from mpscnn.apps.verify.recipes import pseudo_random
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import separate_layers
from mpscnn.model import load

Recipe = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Case:
    """One computation to compare between a device and the CPU engine."""

    group: str
    """The group. All cases of a group run in one process."""
    subject: str
    """The row of the table, such as "convolution", "PoolingMax" or "network mobilenet_v2"."""
    name: str
    """The case's name within its row."""
    recipe: Recipe
    """The description from which `run` builds the computation."""


def run(recipe: Recipe, device: str) -> Arrays:
    """Run a case on a device, and return its results by name."""
    if "operation" in recipe or "network" in recipe:
        separated, given = computation(recipe)
        return layers.run(separated, given, device, recipe["precision"])
    return run_kernel(recipe, device)


def run_self_check(device: str, progress: Callable[[int, int], None]) -> str:
    """Check a device again, and return the verdict as text.

    Args:
        device: the device.
        progress: called at least twice a second with the number of cases that are done, and of all cases.

    Raises:
        DeviceError: the device is refused.
    """
    followed = first_use.follow_check
    first_use.follow_check = lambda _device, done, cases: progress(done, cases)
    try:
        return _core.check_device(device)
    finally:
        first_use.follow_check = followed


def allowed_error(recipe: Recipe, right: Arrays, device: str) -> Arrays:
    """Return how much results of the device may differ from `right`, the results of the CPU engine."""
    promises = PROMISES["cpu"], PROMISES[device.partition(":")[0]]
    if "operation" in recipe or "network" in recipe:
        separated, given = computation(recipe)
        return layers.bounds(separated, given, recipe["precision"], promises)
    return kernel_bounds(recipe, right, promises)


# ---- Layers and networks ------------------------------------------------------------------------------------------


def computation(recipe: Recipe) -> tuple[Network, Arrays]:
    """Return a network of separate layers that all read inputs of the network, and its inputs."""
    return _bundled_layers(recipe) if "network" in recipe else _one_layer(recipe)


def _one_layer(recipe: Recipe) -> tuple[Network, Arrays]:
    shapes = [tuple(shape) for shape in recipe["inputs"]]
    network = Network(input={f"input{i}": shape for i, shape in enumerate(shapes)}, name=recipe["operation"])
    layer = network.layer(
        recipe["operation"],
        network.inputs,
        recipe.get("attributes", {}),
        activation=recipe.get("activation"),
        name="layer",
    )
    network.output(layer)
    network.load_weights(
        {
            f"{spec['layer']}.{spec['role']}": _weights(spec["role"], spec["shape"], i)
            for i, spec in enumerate(network.weight_specs())
        },
        layout="OHWI",
    )
    given = {tensor.name: pseudo_random(100 + i, (2, *shapes[i])) for i, tensor in enumerate(network.inputs)}
    return network, _halves(given) if recipe["precision"] == "float16" else given


def _weights(role: str, shape: list[int], seed: int) -> NDArray[np.float32]:
    values = pseudo_random(seed, tuple(shape))
    if role == "variance":
        values = (np.abs(values) + 0.5).astype(np.float32)
    return values


def _bundled_layers(recipe: Recipe) -> tuple[Network, Arrays]:
    """Return the layers of a bundled network, each with a generated input.

    The layers do not read each other's outputs, because these outputs differ in the last bits between engines.
    """
    name = recipe["network"]
    separated = separate_layers((load() if name == "default" else load(name)).network)
    given = {
        tensor.name: pseudo_random(100 + i, (1, *(extent or 1 for extent in tensor.shape[1:])))
        for i, tensor in enumerate(separated.inputs)
    }
    return separated, _halves(given) if recipe["precision"] == "float16" else given


def _halves(arrays: Arrays) -> Arrays:
    return {name: x.astype(np.float16).astype(np.float32) for name, x in arrays.items()}
