"""Norms that a file writes as several layers: squares, their mean, a root and a division become one layer.

So do a variance, its root and the logarithm of a sigmoid. They are found on the network, so that it does not matter
which format it was read from. One layer rounds nothing in between: squares of ordinary halves are beyond float16.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import is_affine
from mpscnn.graph.network import Network

_LARGEST = 3e38  # limits beyond are none
_ROUNDING = 1e-5  # of constants that a file rounds to float32
_MOST_STEPS = 16  # between a reduction and the division
_RECIPROCAL = {"kind": "power", "a": 1.0, "b": 0.0, "c": -1.0}
_BASE = "\0base"  # of the name of a layer's result before its activation

Node = Mapping[str, Any]


def with_whole_norms(network: Network) -> Network:
    """The network with a layer for each normalization by parts, or as it was where there is none."""
    structure = network.to_dict()
    if any("quantization" in node for node in structure["nodes"]):
        return network  # the parts of a normalization have their own integers there
    nodes = structure["nodes"]
    layers = _Layers(network, nodes)
    writer = _Writer(layers, structure)
    found = 0
    for node in nodes:
        if node["name"] in writer.merged:
            continue
        norm = _normalization(layers, node["name"])
        spread = None if norm else _spread(layers, node)
        if norm is not None:
            writer.write(node, norm)
        elif spread is not None:
            writer.write_spread(node, spread)
        elif _is_log_of_sigmoid(layers, node):
            writer.write_log_sigmoid(node)
        else:
            writer.nodes.append(node)
            continue
        found += 1
    if not found:
        return network
    needed = _still_needed(nodes, writer.nodes, structure["outputs"])
    kept = {node["name"] for node in needed} & {node["name"] for node in nodes} - writer.merged
    result = network.restructured(structure | {"nodes": needed}, {name: name for name in kept})
    for (name, role), values in writer.weights.items():
        result.graph.set_weight(name, role, values)
    result.detection, result.preprocess, result.notes = network.detection, network.preprocess, network.notes
    result.labels, result.source_ends = network.labels, network.source_ends
    return result


# ---- Values ----------------------------------------------------------------------------------------------------------


class _Layers:
    """The layers of a network, an activation apart from the layer that it is attached to."""

    def __init__(self, network: Network, nodes: Sequence[Node]) -> None:
        self._network = network
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            name, activation = node["name"], node.get("activation")
            if activation is None:
                self._nodes[name] = node
                continue
            base = name + _BASE
            self._nodes[base] = node
            self._nodes[name] = {"operation": "neuron", "inputs": [base], "attributes": activation}

    def maker(self, value: str) -> Node | None:
        """Return the node that computes a value; None for an input."""
        return self._nodes.get(value)

    def made_by(self, value: str, operation: str) -> Node | None:
        node = self.maker(value)
        return node if node is not None and node["operation"] == operation else None

    def shape(self, value: str) -> tuple[int | None, ...]:
        """Without the batch."""
        return self._network[value.removesuffix(_BASE)].shape[1:]

    def root(self, value: str) -> str:
        """The value whose elements these are in the same order."""
        while (node := self.made_by(value, "reshape")) is not None:
            value = node["inputs"][0]
        return value

    def step(self, value: str) -> tuple[Mapping[str, Any], str] | None:
        """The function of each element that a layer computes, and of what."""
        if (node := self.made_by(value, "neuron")) is not None:
            return node["attributes"], node["inputs"][0]
        if (node := self.made_by(value, "divide")) is not None and _is_plain(node):
            dividend, divisor = node["inputs"]
            if self._number(dividend) == 1.0:
                return _RECIPROCAL, divisor
        return None

    def _number(self, value: str) -> float | None:
        """The only number of a constant."""
        if self.made_by(value, "constant") is None or _product(self.shape(value)) != 1:
            return None
        values = np.asarray(self._network.graph.get_weight(value, "value")[0])
        return float(values.reshape(-1)[0])

    def affine(self, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """The factor and the offset of each channel; None for another layer."""
        attributes = node["attributes"]
        if node["operation"] != "batch_normalization" or len(node["inputs"]) > 1 or not attributes["fixed"]:
            return None
        graph = self._network.graph
        own = {
            spec["role"]
            for spec in self._network.weight_specs()
            if spec["layer"] == node["name"] and spec["set"]
        }
        given = {role: np.asarray(graph.get_weight(node["name"], role)[0], np.float32) for role in own}
        if not {"mean", "variance"} <= own or not is_affine(
            attributes["epsilon"], given["mean"], given["variance"]
        ):
            return None
        one = np.ones_like(given["mean"])
        return given.get("gamma", one), given.get("beta", 0.0 * one)


@dataclass(frozen=True)
class _Lines:
    """The elements that are reduced to one: every `step`th one, `count` of them."""

    count: int
    step: int


def _lines_of_reduction(layers: _Layers, node: Node) -> _Lines | None:
    shape = layers.shape(node["inputs"][0])
    if node["operation"] == "pooling":
        is_mean = node["attributes"]["kind"] == "average" and node["attributes"]["global"]
        first, last = (0, 2) if is_mean and len(shape) == 3 else (0, 0)
    else:
        last = len(shape) - ("channels", "width", "height").index(node["attributes"]["axis"])
        first = last - 1
    run, behind = shape[first:last], shape[last:]
    if not run or None in (*run, *behind):
        return None
    return _Lines(_product(run), _product(behind))


def _lines_of_broadcast(layers: _Layers, whole: str, small: str) -> _Lines | None:
    """Along which elements of the first operand the second is repeated."""
    shape, other = layers.shape(whole), layers.shape(small)
    if len(shape) != len(other):
        return None
    axes = [i for i, (a, b) in enumerate(zip(shape, other, strict=True)) if b == 1 and a != 1]
    if not axes or any(a != b for i, (a, b) in enumerate(zip(shape, other, strict=True)) if i not in axes):
        return None
    between = shape[axes[0] : axes[-1] + 1]
    behind = shape[axes[-1] + 1 :]
    if None in (*between, *behind) or _product(between) != _product([shape[axis] for axis in axes]):
        return None
    return _Lines(_product(between), _product(behind))


def _product(extents: Sequence[int | None]) -> int:
    return math.prod(extent or 0 for extent in extents)


def _is_plain(node: Node) -> bool:
    """Return True if arithmetic has no scales, offset and limits."""
    a = node["attributes"]
    return bool(
        a["primary_scale"] == a["secondary_scale"] == 1.0
        and a["bias"] == 0.0
        and a["minimum"] < -_LARGEST
        and a["maximum"] > _LARGEST
    )


# ---- Norms -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Length:
    """factor * norm + epsilon of the lines of a value; or one over that."""

    of: str
    lines: _Lines
    kind: str  # "l1_norm", "l2_norm" or "root_mean_square"
    factor: float = 1.0
    epsilon: float = 0.0
    rule: str = "outside"
    is_inverse: bool = False


def _length(layers: _Layers, value: str) -> _Length | None:
    found = _reduction_and_steps(layers, value)
    return None if found is None else _after(*found)


def _reduction_and_steps(layers: _Layers, value: str) -> tuple[_Sums, list[Mapping[str, Any]]] | None:
    """The reduction that a value is made of, and the functions of its result, the first one first."""
    steps: list[Mapping[str, Any]] = []
    value = layers.root(value)
    while (step := layers.step(value)) is not None and len(steps) < _MOST_STEPS:
        steps.append(step[0])
        value = layers.root(step[1])
    node = layers.maker(value)
    sums = None if node is None else _sums(layers, node)
    return None if sums is None else (sums, steps[::-1])


@dataclass(frozen=True)
class _Sums:
    """scale * sum + offset, at least `least`; `is_square` before the root is taken."""

    length: _Length
    scale: float = 1.0
    offset: float = 0.0
    least: float = 0.0
    is_square: bool = True

    def line(self, a: float, b: float) -> _Sums | None:
        if a <= 0.0 or (b != 0.0 and self.least != 0.0):
            return None
        return replace(self, scale=a * self.scale, offset=a * self.offset + b, least=a * self.least)


def _sums(layers: _Layers, node: Node) -> _Sums | None:
    """The reduction of squares or magnitudes that begins a norm."""
    kind = node["attributes"].get("kind")
    if (
        node["operation"] not in ("reduction", "pooling")
        or (lines := _lines_of_reduction(layers, node)) is None
    ):
        return None
    source = layers.root(node["inputs"][0])
    weight = float(node["attributes"].get("weight", 1.0))
    if node["operation"] == "reduction" and kind in ("sum_of_squares", "l2_norm"):
        return _Sums(_Length(source, lines, "l2_norm"), is_square=kind != "l2_norm")
    if kind not in ("sum", "mean", "average"):
        return None
    if (elements := _squared(layers, source)) is not None:
        norm = "l2_norm" if kind == "sum" else "root_mean_square"
        return _Sums(_Length(elements, lines, norm), weight)
    absolute = layers.made_by(source, "neuron")
    if kind == "sum" and absolute is not None and absolute["attributes"]["kind"] == "absolute":
        length = _Length(layers.root(absolute["inputs"][0]), lines, "l1_norm")
        return _Sums(length, weight, is_square=False)
    return None


def _squared(layers: _Layers, value: str) -> str | None:
    """The value that is squared."""
    if (node := layers.made_by(value, "neuron")) is not None:
        a = node["attributes"]
        is_square = a["kind"] == "power" and (abs(a["a"]), a["b"], a["c"]) == (1.0, 0.0, 2.0)
        return layers.root(node["inputs"][0]) if is_square else None
    if (node := layers.made_by(value, "multiply")) is not None and _is_plain(node):
        first, second = (layers.root(name) for name in node["inputs"])
        same = layers.shape(node["inputs"][0]) == layers.shape(node["inputs"][1])
        return first if same and first == second else None
    return None


def _keeps_norms(step: Mapping[str, Any]) -> bool:
    """Return True if a function does not change numbers that are at least zero."""
    return bool(step["kind"] == "clamp" and step["a"] <= 0.0 and step["b"] > _LARGEST)


def _after(sums: _Sums, steps: Sequence[Mapping[str, Any]]) -> _Length | None:
    """Apply functions to sums, one after the other."""
    is_inverse = False
    inside = 0.0
    for step in steps:
        kind, a, b, c = step["kind"], step.get("a", 0.0), step.get("b", 0.0), step.get("c", 0.0)
        if is_inverse:
            return None
        if kind == "linear":
            made = sums.line(a, b)
        elif _keeps_norms(step):
            made = sums
        elif kind == "clamp" and b > _LARGEST:
            made = replace(sums, least=max(sums.least, a)) if sums.offset == 0.0 else None
        elif kind == "power" and (c == -1.0 or abs(c) == 0.5):
            made = sums.line(a, b)
            if made is None or made.is_square != (abs(c) == 0.5):
                return None
            is_inverse = c < 0.0
            if made.is_square:
                inside = made.offset / made.scale
                scale = math.sqrt(made.scale)
                made = replace(made, scale=scale, offset=0.0, least=math.sqrt(made.least), is_square=False)
        else:
            return None
        if made is None:
            return None
        sums = made
    given = [value for value in (inside, sums.offset, sums.least) if value != 0.0]
    if sums.is_square or len(given) > 1 or min(given, default=0.0) < 0.0:
        return None
    length, factor = sums.length, sums.scale
    mean_factor = factor * math.sqrt(length.lines.count)
    if length.kind == "l2_norm" and abs(mean_factor - 1.0) < _ROUNDING:  # a mean as a sum and a product
        length, factor, inside = (
            replace(length, kind="root_mean_square"),
            mean_factor,
            inside / length.lines.count,
        )
    rule = "inside" if inside else "minimum" if sums.least else "outside"
    epsilon = inside or (sums.offset or sums.least) / factor
    return replace(length, factor=factor, epsilon=epsilon, rule=rule, is_inverse=is_inverse)


# ---- Normalizations --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Norm:
    of: str
    length: _Length
    is_centred: bool


def _normalization(layers: _Layers, name: str) -> _Norm | None:
    """The normalization whose last layer this is."""
    value = name + _BASE if layers.maker(name + _BASE) is not None else name
    node = layers.maker(value)
    if node is None or node["operation"] not in ("divide", "multiply") or not _is_plain(node):
        return None
    first, second = node["inputs"]
    for whole, small in ((first, second), (second, first))[: 1 if node["operation"] == "divide" else 2]:
        length = _length(layers, small)
        if length is None or length.is_inverse != (node["operation"] == "multiply"):
            continue
        if _lines_of_broadcast(layers, whole, small) != length.lines:
            continue
        x = layers.root(whole)
        if layers.shape(name) != layers.shape(x) and layers.shape(name).count(None) > 1:
            continue
        centred = _centred(layers, x, length.lines)
        is_same = x == length.of or (
            centred is not None and centred == _centred(layers, length.of, length.lines)
        )
        if centred is not None and is_same and length.kind == "root_mean_square":
            return _Norm(centred, length, is_centred=True)
        if x == length.of:
            return _Norm(x, length, is_centred=False)
    return None


def _centred(layers: _Layers, value: str, lines: _Lines) -> str | None:
    """Return the value from which the mean of these lines is subtracted."""
    node = layers.made_by(value, "subtract")
    if node is None or not _is_plain(node):
        return None
    whole, mean = node["inputs"]
    if _lines_of_broadcast(layers, whole, mean) != lines:
        return None
    reduction = layers.maker(layers.root(mean))
    if reduction is None or reduction["operation"] not in ("reduction", "pooling"):
        return None
    is_mean = reduction["attributes"]["kind"] in ("mean", "average")
    x = layers.root(whole)
    fits = is_mean and _lines_of_reduction(layers, reduction) == lines
    return x if fits and layers.root(reduction["inputs"][0]) == x else None


@dataclass(frozen=True)
class _Spread:
    of: str
    lines: _Lines
    kind: str  # "variance" or "deviation"
    weight: float


def _spread(layers: _Layers, node: Node) -> _Spread | None:
    """The variance or standard deviation that a layer gives."""
    if layers.shape(node["name"]).count(None) > 1:
        return None
    if node.get("activation") is not None or node["operation"] not in ("neuron", "reduction", "pooling"):
        return None
    found = _reduction_and_steps(layers, node["name"])
    if found is None or found[0].length.kind != "root_mean_square":
        return None
    sums = found[0]
    x = _centred(layers, sums.length.of, sums.length.lines)
    if x is None:
        return None
    for step in found[1]:
        if _keeps_norms(step):
            continue
        is_root = step["kind"] == "power" and step["c"] == 0.5 and sums.is_square
        made = sums.line(step["a"], step["b"]) if is_root or step["kind"] == "linear" else None
        if made is None or made.offset != 0.0:
            return None
        sums = replace(made, scale=made.scale**0.5, is_square=False) if is_root else made
    if sums.is_square:
        return _Spread(x, sums.length.lines, "variance", sums.scale)
    return _Spread(x, sums.length.lines, "deviation", sums.scale**2)


def _is_log_of_sigmoid(layers: _Layers, node: Node) -> bool:
    """Return True if a layer is the natural logarithm of a sigmoid, which would be that of 0 for some numbers."""
    a = node["attributes"]
    if (
        node["operation"] != "neuron"
        or a["kind"] != "logarithm"
        or (a["a"], a["b"], a["c"]) != (1.0, 0.0, -1.0)
    ):
        return False
    sigmoid = layers.made_by(node["inputs"][0], "neuron")
    return (
        sigmoid is not None
        and sigmoid["attributes"]["kind"] == "sigmoid"
        and _BASE not in sigmoid["inputs"][0]
    )


# ---- Layers of norms -------------------------------------------------------------------------------------------------


class _Writer:
    """Writes the layers of a network with those of its norms."""

    def __init__(self, layers: _Layers, structure: Mapping[str, Any]) -> None:
        self._layers = layers
        self._names = {node["name"] for node in structure["nodes"]}
        self._outputs = set(structure["outputs"])
        self._readers: dict[str, list[Node]] = {}
        for node in structure["nodes"]:
            for name in node["inputs"]:
                self._readers.setdefault(name, []).append(node)
        self.nodes: list[Node] = []
        self.merged: set[str] = set()
        """Layers that became part of another one, which may have the name of the last."""
        self.weights: dict[tuple[str, str], NDArray[np.float32]] = {}

    def write(self, node: Node, norm: _Norm) -> None:
        """The normalization of lines, which become channels where they are not."""
        lines, length = norm.length.lines, norm.length
        own, result = self._layers.shape(norm.of), self._layers.shape(node["name"])
        kind = "deviation" if norm.is_centred else length.kind
        settings = {"norm": kind, "epsilon": length.epsilon, "epsilon_rule": length.rule}
        is_exact = abs(length.factor - 1.0) < _ROUNDING
        is_vector = own[-1] == lines.count and lines.step == 1
        is_instance = is_exact and _is_image(own, lines) and (kind, length.rule) == ("deviation", "inside")
        if own == result and (is_vector or is_instance):
            operation = "layer_normalization" if is_vector else "group_normalization"
            attributes = settings if is_vector else {"groups": lines.step, "epsilon": length.epsilon}
            last, gamma, beta = self._with_factors(node, 1.0 / length.factor)
            name = self._add(last, None, operation, norm.of, attributes)
            for role, values, neutral in (("gamma", gamma, 1.0), ("beta", beta, 0.0)):
                if (np.abs(values - neutral) > _ROUNDING).any():
                    self.weights[name, role] = values
            return
        shape = [-1, lines.count] if lines.step == 1 else [-1, lines.count, lines.step]
        x = self._add({}, "/lines", "reshape", norm.of, {"shape": shape}, node["name"])
        if lines.step > 1:
            x = self._add({}, "/turned", "transpose", x, {"axes": [1, 3, 2]}, node["name"])
        x = name = self._add(node, "/norm", "layer_normalization", x, settings)
        if lines.step > 1:
            x = self._add({}, "/back", "transpose", x, {"axes": [1, 3, 2]}, node["name"])
        self._add({}, None, "reshape", x, {"shape": _extents(result)}, node["name"])
        if not is_exact:
            self.weights[name, "gamma"] = np.full(lines.count, 1.0 / length.factor, np.float32)

    def _with_factors(
        self, node: Node, factor: float
    ) -> tuple[Node, NDArray[np.float32], NDArray[np.float32]]:
        """The last of the layers after a norm that multiply and add constants, and what they do together."""
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

    def write_spread(self, node: Node, spread: _Spread) -> None:
        """The variance of lines, along the channels or the axis before them."""
        lines, own, x = spread.lines, self._layers.shape(spread.of), spread.of
        if lines.step > 1 or own[-1] != lines.count:
            shape = [-1, lines.count] if lines.step == 1 else [-1, lines.count, lines.step]
            x = self._add({}, "/lines", "reshape", x, {"shape": shape}, node["name"])
        axis = "channels" if lines.step == 1 else "width"
        attributes = {"kind": spread.kind, "axis": axis, "weight": spread.weight}
        x = self._add({}, f"/{spread.kind}", "reduction", x, attributes, node["name"])
        self._add({}, None, "reshape", x, {"shape": _extents(self._layers.shape(node["name"]))}, node["name"])

    def write_log_sigmoid(self, node: Node) -> None:
        """-softplus(-x)."""
        sigmoid = self._layers.maker(node["inputs"][0])
        assert sigmoid is not None
        attributes = {"kind": "softplus", "a": -1.0, "b": -1.0}
        self._add(node, None, "neuron", sigmoid["inputs"][0], attributes)

    def _add(
        self,
        node: Node,
        part: str | None,
        operation: str,
        x: str,
        attributes: Mapping[str, Any],
        stem: str | None = None,
    ) -> str:
        """Add a layer, with the activation of `node`, if it has one, and return its name."""
        stem = node["name"] if stem is None else stem
        name = stem if part is None else next(n for n in _names(stem + part) if n not in self._names)
        self._names.add(name)
        made = {"name": name, "operation": operation, "inputs": [x], "attributes": dict(attributes)}
        kept = {key: node[key] for key in ("activation", "keep_float32") if key in node}
        self.nodes.append(made | kept)
        return name


def _names(stem: str) -> Iterator[str]:
    yield stem
    for number in itertools.count(2):
        yield f"{stem}_{number}"


def _extents(shape: tuple[int | None, ...]) -> list[int]:
    return [-1 if extent is None else extent for extent in shape]


def _is_image(shape: tuple[int | None, ...], lines: _Lines) -> bool:
    """Return True if the lines are the channels of a whole image."""
    return len(shape) == 3 and shape[-1] == lines.step and _product(shape) == lines.count * lines.step


def _still_needed(before: Sequence[Node], after: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The layers without those that only parts of norms have read."""
    read = {name for node in before for name in node["inputs"]}
    needed = set(outputs) | {node["name"] for node in before if node["name"] not in read}
    kept: list[Node] = []
    for node in reversed(after):
        if node["name"] in needed:
            needed.update(node["inputs"])
            kept.append(node)
    return kept[::-1]
