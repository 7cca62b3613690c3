"""Write the single layer that replaces the layers of a norm."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.simplify.layers import BASE, Layers, Lines, Node, product
from mpscnn.converters.finishing.simplify.norms import ROUNDING, Norm, Softmax, Spread


class NormWriter:
    """Collects the layers of a network, with norms replaced by single layers."""

    def __init__(self, layers: Layers, structure: Mapping[str, Any]) -> None:
        self._layers = layers
        self._names = {node["name"] for node in structure["nodes"]}
        self._outputs = set(structure["outputs"])
        self._readers: dict[str, list[Node]] = {}
        for node in structure["nodes"]:
            for name in node["inputs"]:
                self._readers.setdefault(name, []).append(node)
        self.nodes: list[Node] = []
        self.merged: set[str] = set()
        """Layers that became part of another layer. That layer may have the name of the last of them."""
        self.weights: dict[tuple[str, str], NDArray[np.float32]] = {}
        self._without_activation: set[str] = set()

    def written(self) -> list[Node]:
        """Return all layers. Those whose activation became part of another layer are without it."""
        return [
            {key: part for key, part in node.items() if key != "activation"}
            if node["name"] in self._without_activation
            else node
            for node in self.nodes
        ]

    def write(self, node: Node, norm: Norm) -> None:
        """Add a normalization.

        If the elements that share a norm (a line, see `Lines`) are not the channels of one pixel, the value is reshaped
        so that they are.
        """
        lines, length = norm.length.lines, norm.length
        own, result = self._layers.shape(norm.of), self._layers.shape(node["name"])
        kind = "deviation" if norm.is_centred else length.kind
        settings = {"norm": kind, "epsilon": length.epsilon, "epsilon_rule": length.rule}
        is_exact = abs(length.factor - 1.0) < ROUNDING
        is_vector = own[-1] == lines.count and lines.step == 1
        is_instance = is_exact and _is_image(own, lines) and (kind, length.rule) == ("deviation", "inside")
        if own == result and (is_vector or is_instance):
            operation = "layer_normalization" if is_vector else "group_normalization"
            attributes = settings if is_vector else {"groups": lines.step, "epsilon": length.epsilon}
            last, gamma, beta = self._with_factors(node, 1.0 / length.factor)
            name = self._add(last, None, operation, norm.of, attributes)
            for role, values, neutral in (("gamma", gamma, 1.0), ("beta", beta, 0.0)):
                if (np.abs(values - neutral) > ROUNDING).any():
                    self.weights[name, role] = values
            return
        name = self._on_lines(node, "/norm", "layer_normalization", norm.of, lines, settings)
        if not is_exact:
            self.weights[name, "gamma"] = np.full(lines.count, 1.0 / length.factor, np.float32)

    def write_softmax(self, node: Node, softmax: Softmax) -> None:
        """Add a softmax. If its exponential function was the activation of a layer, the layer stays without it."""
        x, lines = self._before_activation(softmax.of), softmax.lines
        if lines.step == 1 and self._layers.shape(x)[-1] == lines.count:
            self._add(node, None, "softmax", x, {})
        else:
            self._on_lines(node, "/softmax", "softmax", x, lines, {})

    def _on_lines(
        self, node: Node, part: str, operation: str, x: str, lines: Lines, attributes: Mapping[str, Any]
    ) -> str:
        """Add a layer over the channels of each pixel, to whose place the lines are moved. Returns its name."""
        stem, result = node["name"], self._layers.shape(node["name"])
        shape = [-1, lines.count] if lines.step == 1 else [-1, lines.count, lines.step]
        x = self._add({}, "/lines", "reshape", x, {"shape": shape}, stem)
        if lines.step > 1:
            x = self._add({}, "/turned", "transpose", x, {"axes": [1, 3, 2]}, stem)
        x = name = self._add(node, part, operation, x, attributes)
        if lines.step > 1:
            x = self._add({}, "/back", "transpose", x, {"axes": [1, 3, 2]}, stem)
        self._add({}, None, "reshape", x, {"shape": _extents(result)}, stem)
        return name

    def _with_factors(
        self, node: Node, factor: float
    ) -> tuple[Node, NDArray[np.float32], NDArray[np.float32]]:
        """Merge layers after a norm that only scale and add constants. Returns the last one, and gamma and beta."""
        channels = self._layers.shape(node["name"])[-1] or 0
        gamma, beta = np.full(channels, factor), np.zeros(channels)
        while "activation" not in node and node["name"] not in self._outputs:
            readers = self._readers.get(node["name"], [])
            affine = self._layers.affine(readers[0]) if len(readers) == 1 else None
            if affine is None:
                break
            gamma, beta = gamma * affine[0], beta * affine[0] + affine[1]
            node = readers[0]
            self.merged.add(node["name"])
        return node, gamma.astype(np.float32), beta.astype(np.float32)

    def write_spread(self, node: Node, spread: Spread) -> None:
        """Add a variance or deviation, over one axis of the value, or over the channels or the axis before them."""
        lines, own, x = spread.lines, self._layers.shape(spread.of), spread.of
        for place, extent in enumerate(own[: len(_AXES)]):
            kept = (*own[:place], 1, *own[place + 1 :])
            lies_along = extent == lines.count and product(own[place + 1 :]) == lines.step
            if lies_along and self._layers.shape(node["name"]) == kept and len(own) <= len(_AXES):
                axis = _AXES[len(_AXES) - len(own) + place]
                attributes = {"kind": spread.kind, "axis": axis, "weight": spread.weight}
                self._add({}, None, "reduction", x, attributes, node["name"])
                return
        if lines.step > 1 or own[-1] != lines.count:
            shape = [-1, lines.count] if lines.step == 1 else [-1, lines.count, lines.step]
            x = self._add({}, "/lines", "reshape", x, {"shape": shape}, node["name"])
        axis = "channels" if lines.step == 1 else "width"
        attributes = {"kind": spread.kind, "axis": axis, "weight": spread.weight}
        x = self._add({}, f"/{spread.kind}", "reduction", x, attributes, node["name"])
        self._add({}, None, "reshape", x, {"shape": _extents(self._layers.shape(node["name"]))}, node["name"])

    def write_log_sigmoid(self, node: Node) -> None:
        """Add the logarithm of a sigmoid as -softplus(-x)."""
        sigmoid = self._layers.maker(node["inputs"][0])
        assert sigmoid is not None
        attributes = {"kind": "softplus", "a": -1.0, "b": -1.0}
        self._add(node, None, "neuron", self._before_activation(sigmoid["inputs"][0]), attributes)

    def _before_activation(self, value: str) -> str:
        """Return the layer that makes a value. If the value is read before its activation, the layer loses that."""
        name = value.removesuffix(BASE)
        if name != value:
            self._without_activation.add(name)
        return name

    def _add(
        self,
        node: Node,
        part: str | None,
        operation: str,
        x: str,
        attributes: Mapping[str, Any],
        stem: str | None = None,
    ) -> str:
        """Add a layer, with the activation of `node` if it has one, and return its name."""
        stem = node["name"] if stem is None else stem
        name = stem if part is None else next(n for n in _names(stem + part) if n not in self._names)
        self._names.add(name)
        made = {"name": name, "operation": operation, "inputs": [x], "attributes": dict(attributes)}
        kept = {key: node[key] for key in ("activation", "keep_float32") if key in node}
        self.nodes.append(made | kept)
        return name


_AXES = ("height", "width", "channels")


def _names(stem: str) -> Iterator[str]:
    yield stem
    for number in itertools.count(2):
        yield f"{stem}_{number}"


def _extents(shape: tuple[int | None, ...]) -> list[int]:
    return [-1 if extent is None else extent for extent in shape]


def _is_image(shape: tuple[int | None, ...], lines: Lines) -> bool:
    """Return True if each line is one channel of a whole image."""
    return len(shape) == 3 and shape[-1] == lines.step and product(shape) == lines.count * lines.step
