"""Train a network with the engine's own integers: quantisation-aware training.

The results of a step are those of the engine in precision "int8", bit for bit. Gradients pass through the rounding as
if it changed nothing, except where a result is cut at an end of its range (Bengio et al. 2013, "straight-through").
The float network is the teacher: the results before a final softmax come closer to its results. So training needs no
labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn.graph.gradients import Differentiated
from mpscnn.graph.integer_layers import HIGHEST, LOWEST, PRODUCTS, Node, Scale
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import separate_layers, shape_of_input
from mpscnn.quantization.calibration import Computed
from mpscnn.quantization.inputs import Array, Given, batches, count_images, one_by_one
from mpscnn.quantization.integers import is_kept, quantize_network
from mpscnn.runtime.program import named_results

#: How much the first step changes a weight, relative to the largest weights of the same output and the same input.
_RATE = 3e-4
#: A step takes at most so many images, with at most so many numbers.
_IMAGES, _NUMBERS = 8, 1 << 20
#: The decay rates of Adam (Kingma and Ba 2015). A training has few steps, so the second one is lower than usual.
_BETAS = 0.9, 0.99
_TINY = 1e-30
_GIVEN = " given"


def train_integers(
    network: Network, rounded: Network, scales: Mapping[str, Scale], images: Sequence[Given], epochs: int
) -> Network:
    """Return a float network whose integers have results that are closer to those of the given network.

    Args:
        network: a network from `prepare`.
        rounded: the network with integers. Training begins with its biases.
        scales: the scales of its tensors, with which `quantize_network` makes integers of the trained weights.
        images: the images to train with.
        epochs: the number of times that each image is used.

    Raises UnsupportedError if a layer has no gradient.
    """
    training = IntegerTraining(network, rounded, scales)
    done, total = 0, epochs * sum(map(count_images, images))
    for epoch in range(epochs):
        for batch in _shuffled(images, epoch):
            training.step(batch, _RATE * (1 - done / total))
            done += count_images(batch)
    return training.network


def _shuffled(images: Sequence[Given], seed: int) -> Iterator[Given]:
    each = list(one_by_one(images))
    order = np.random.default_rng(seed).permutation(len(each))
    return batches([each[i] for i in order], _NUMBERS, _IMAGES)


class IntegerTraining:
    """The training of one network.

    The engine computes the results of all layers in integers. The graph that is differentiated has the layers in
    float32, and adds to the result of each one what it lacks of the engine's result. So each layer reads the engine's
    results, and the loss is that of the engine's results.

    Args:
        network, rounded, scales: as for `train_integers`.
    """

    def __init__(self, network: Network, rounded: Network, scales: Mapping[str, Scale]) -> None:
        self.network = network.copy()
        self._scales = scales
        nodes: dict[str, Node] = {node["name"]: node for node in network.to_dict()["nodes"]}
        ends = [
            nodes[name]["inputs"][0] if nodes[name]["operation"] == "softmax" else name
            for name in network.to_dict()["outputs"]
        ]
        self._ends = [name for name in dict.fromkeys(ends) if name in nodes]
        self._teacher = network.compile(device="cpu", precision="float32", outputs=self._ends).session()
        self._ranges = {name: _range(scales[name]) for name, node in nodes.items() if not is_kept(node)}
        products = [name for name in self._ranges if nodes[name]["operation"] in PRODUCTS]
        own = rounded.weights
        self.network.set_weights({f"{name}.bias": own[f"{name}.bias"] for name in products}, layout="OHWI")
        self._weights = {name: np.array(one, np.float32) for name, one in self.network.weights.items()}
        self._units: dict[str, Any] = {}
        for name in products:
            low, high = self._ranges[name]
            weight = np.abs(self._weights[f"{name}.weight"])
            rows = weight.max(axis=tuple(range(1, weight.ndim)), keepdims=True)
            shares = (weight / np.maximum(rows, _TINY)).max(axis=tuple(range(weight.ndim - 1)))
            self._units[f"{name}.weight"] = rows * shares
            self._units[f"{name}.bias"] = np.float32((high - low) / 2)
        self._moments = {name: [np.zeros_like(self._weights[name]) for _ in _BETAS] for name in self._units}
        self._steps = 0
        self.followed = self._following()
        self._gradients = Differentiated(
            self.followed,
            {"seed": 0, "loss": {"kind": "mean_squared_error"}},
            of_output=False,
            threads="auto",
        )

    def step(self, images: Given, rate: float) -> float:
        """Change the weights once. Return the loss of the engine's results before that.

        Args:
            images: a batch.
            rate: how much weights change, relative to the largest weights of the same output and the same input.
        """
        right = named_results(self._teacher, list(images.values()))
        target = np.concatenate([self._flat(name, right[name]) for name in self._ends], axis=1)
        loss, gradients = self._gradients(self.inputs(images), target, self._weights)
        self._steps += 1
        for name, unit in self._units.items():
            gradient = gradients[name]
            powers = (gradient, np.square(gradient))
            for moment, beta, power in zip(self._moments[name], _BETAS, powers, strict=True):
                moment += (1 - beta) * (power - moment)
            mean, square = (
                moment / (1 - beta**self._steps)
                for moment, beta in zip(self._moments[name], _BETAS, strict=True)
            )
            self._weights[name] -= rate * unit * mean / (np.sqrt(square) + _TINY)
        self.network.set_weights({name: self._weights[name] for name in self._units}, layout="OHWI")
        assert loss is not None
        return loss

    def integers(self) -> Network:
        """Return the network with the integers of the present weights."""
        return quantize_network(self.network, {}, correct_bias=False, scales=self._scales)

    def inputs(self, images: Given) -> dict[str, Array]:
        """Return the inputs of `followed`: rounded images, and what each result lacks of the engine's."""
        found = Computed(self.integers(), precision="int8").run(images)
        rounded = {
            name: self._scales[name].rounded(image).astype(np.float32) for name, image in images.items()
        }
        found |= rounded
        separated = separate_layers(self.network)
        sources = [tensor.name.removesuffix(_GIVEN) for tensor in separated.inputs]
        session = separated.compile(device="cpu", precision="float32").session()
        floats = named_results(session, [found[name] for name in sources])
        for name, (low, high) in self._ranges.items():
            floats[name] = floats[name].clip(low, high)
        return rounded | {
            tensor.name: found[name] - floats[name]
            for tensor in self.followed.inputs
            if (name := tensor.name.removesuffix(_GIVEN)) in floats
        }

    def _following(self) -> Network:
        """Return the graph that is differentiated. Its inputs are those of `inputs`."""
        structure = self.network.subgraph(self._ends).to_dict()
        nodes: list[Node] = []
        after: dict[str, str] = {}
        for node in structure["nodes"]:
            name = read = node["name"]
            nodes.append(node | {"inputs": [after.get(one, one) for one in node["inputs"]]})
            if name in self._ranges:
                low, high = self._ranges[name]
                read = f"{name} within"
                limits = {"kind": "clamp", "a": low, "b": high}
                nodes.append({"name": read, "operation": "neuron", "inputs": [name], "attributes": limits})
            after[name] = f"{name} followed"
            nodes.append(
                {"name": after[name], "operation": "add", "inputs": [read, name + _GIVEN], "attributes": {}}
            )
            shape = shape_of_input(self.network[name])
            structure["inputs"].append({"name": name + _GIVEN, "shape": shape})
        followed = self.network.restructured(structure | {"nodes": nodes, "outputs": []})
        ends = [
            followed.activation(
                followed.flatten(followed[after[name]]),
                {"kind": "linear", "a": 1 / self._width(name), "b": 0.0},
            )
            for name in self._ends
        ]
        followed.output(followed.concat(ends) if len(ends) > 1 else ends[0])
        return followed

    def _flat(self, name: str, values: Array) -> Array:
        """Return the values of an end of the network relative to the width of its range (n, elements)."""
        return (values.reshape(len(values), -1) / self._width(name)).astype(np.float32)

    def _width(self, name: str) -> float:
        low, high = _range(self._scales[name])
        return high - low


def _range(scale: Scale) -> tuple[float, float]:
    """Return the smallest and the largest number of int8 values."""
    low, high = ((end - scale.zero_point) * scale.scale for end in (LOWEST, HIGHEST))
    return low, high
