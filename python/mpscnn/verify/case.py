"""Conformance cases: what is run, and how far two engines may differ.

A case is plain JSON, so that a report holds all that reproduces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core, kernels
from mpscnn.graph.network import Network
from mpscnn.model import load
from mpscnn.runtime.commands import CommandQueue
from mpscnn.runtime.feature_image import Image
from mpscnn.verify import layers
from mpscnn.verify.layers import Arrays
from mpscnn.verify.promise import FLOAT32_EPS, PROMISES, Promise

Recipe = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Case:
    """One thing to run on a device."""

    group: str
    """What runs in one process."""
    subject: str
    """What is examined, a row of the table: "convolution", "PoolingMax", "network mobilenet_v2"."""
    name: str
    """Which of the subject's cases."""
    recipe: Recipe
    """All that `run` needs."""


def run(recipe: Recipe, device: str) -> Arrays:
    """The case's results on a device, by name."""
    if recipe.get("self_check"):
        _core.check_device(device)
        return {}
    if "operation" in recipe or "network" in recipe:
        pieces, given = _pieces(recipe)
        return layers.run(pieces, given, device, recipe["precision"])
    return {"result": _run_kernel(recipe, device, np.asarray)}


def allowed(recipe: Recipe, right: Arrays, device: str) -> Arrays:
    """How far results on the device may lie from `right`, those of the CPU engine."""
    if recipe.get("self_check"):
        return {}
    promises = PROMISES["cpu"], PROMISES[device.partition(":")[0]]
    if "operation" in recipe or "network" in recipe:
        pieces, given = _pieces(recipe)
        return layers.bounds(pieces, given, recipe["precision"], promises)
    return {"result": sum(_kernel_bound(recipe, right["result"], promise) for promise in promises)}


# ---- Layers and networks ------------------------------------------------------------------------------------------


def _pieces(recipe: Recipe) -> tuple[Network, Arrays]:
    """Layers that read inputs of the network, and these."""
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
        }
    )
    given = {tensor.name: noise(100 + i, (2, *shapes[i])) for i, tensor in enumerate(network.inputs)}
    return network, _halves(given) if recipe["precision"] == "float16" else given


def _weights(role: str, shape: list[int], seed: int) -> NDArray[np.float32]:
    values = noise(seed, tuple(shape))
    if role == "variance":
        values = (np.abs(values) + 0.5).astype(np.float32)
    return values


def _bundled_layers(recipe: Recipe) -> tuple[Network, Arrays]:
    """Each layer on numbers that are the same everywhere: what layers before it compute differs in its last bits."""
    name = recipe["network"]
    pieces = layers.in_pieces((load() if name == "default" else load(name)).network)
    given = {
        tensor.name: noise(100 + i, (1, *(extent or 1 for extent in tensor.shape[1:])))
        for i, tensor in enumerate(pieces.inputs)
    }
    return pieces, _halves(given) if recipe["precision"] == "float16" else given


def _halves(arrays: Arrays) -> Arrays:
    return {name: x.astype(np.float16).astype(np.float32) for name, x in arrays.items()}


def noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Numbers in [-1, 1], the same everywhere: the high bits of a linear congruential generator."""
    state = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(6364136223846793005)
    state = (state ^ np.uint64(seed + 1)) * np.uint64(1442695040888963407)
    state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    high = (state >> np.uint64(40)).astype(np.float64)
    values: NDArray[np.float32] = (high / 2.0**23 - 1).astype(np.float32).reshape(shape)
    return values


# ---- Raw kernels --------------------------------------------------------------------------------------------------


def _run_kernel(recipe: Recipe, device: str, change: Any) -> NDArray[np.float32]:
    """`change` is applied to every array: sources and weights."""
    kernel = _made(recipe, change)
    sources = [
        Image.from_numpy(change(noise(200 + i, tuple(shape)))) for i, shape in enumerate(recipe["sources"])
    ]
    queue = CommandQueue(device)
    with queue.command_buffer() as commands:
        if isinstance(kernel, kernels.BatchNormalizationStatistics):
            user = kernels.BatchNormalization(number_of_feature_channels=recipe["sources"][0][-1])
            state = user.result_state()
            kernel.encode(commands, sources[0], state)
            result = user.encode(commands, sources[0], batch_normalization_state=state)
        else:
            result = kernel.encode(commands, *sources)
    array: NDArray[np.float32] = result.numpy()
    return array


def _made(value: Any, change: Any) -> Any:
    """An argument of a kernel: arrays and descriptors are objects of JSON."""
    if not isinstance(value, dict):
        return value
    if "noise" in value:
        array = noise(value.get("seed", 0), tuple(value["noise"]))
        return change(np.abs(array) + np.float32(0.5) if value.get("positive") else array)
    arguments = [_made(argument, change) for argument in value.get("arguments", [])]
    named = {name: _made(argument, change) for name, argument in value.get("named", {}).items()}
    return getattr(kernels, value["kernel"])(*arguments, **named)


def _kernel_bound(recipe: Recipe, right: NDArray[np.float32], promise: Promise) -> Any:
    kind = recipe["bound"]
    if kind == "exact":
        return np.zeros(right.shape)
    if kind == "sum":
        sums = _run_kernel(recipe | recipe.get("magnitude", {}), "cpu", np.abs)
        return promise.linear_bound(sums)
    ulps = {
        "elementwise": promise.elementwise_ulps,
        "neuron": 4 * promise.neuron_ulps,
        "softmax": 4 * promise.softmax_ulps,
        "normalization": 4 * promise.power_ulps + promise.statistics_ulps,
    }[kind]
    largest = max(float(np.abs(right).max()), 1.0)
    return np.full(right.shape, ulps * FLOAT32_EPS * largest)
