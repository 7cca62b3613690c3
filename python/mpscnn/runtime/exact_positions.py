"""Refuse to compile networks whose positions the chosen precision cannot hold.

float16 has all whole numbers up to 2048, and bfloat16 those up to 256. Beyond these a rounded position selects another
element, so results would be wrong without any sign of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.needed_nodes import needed_nodes
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    from mpscnn import _core

Node = Mapping[str, Any]

_WHOLE_HALVES = 2048

_MOVES = frozenset(
    {
        *("channel_shuffle", "concatenation", "depth_to_space", "gather", "padding", "reshape", "slice"),
        *("tile", "transpose"),
    }
)
_COMPARISONS = frozenset({"equal", "greater", "greater_equal", "less", "less_equal", "not_equal"})
# These keep whole numbers whole, so an input that only passes through them holds positions itself.
_WHOLE_FUNCTIONS = frozenset({"absolute", "ceil", "clamp", "floor", "relu", "round"})
_WHOLE_SUMS = frozenset({"add", "mask", "mask_out", "maximum", "minimum", "multiply", "subtract"})
_LARGE = 1 << 16  # constants of more elements are not searched for their largest number
_SIGNIFICANT_BITS = {"float16": 11, "bfloat16": 8}


@dataclass
class Inexact:
    """A layer that reads positions which a precision rounds, and the changes that make them exact.

    Attributes:
        layer: the layer that reads the positions.
        count: the number of positions; None: a free extent.
        kept: the layers that compute positions and must be kept in float32.
        sources: the inputs and constants of the network that hold positions. They are always rounded.
    """

    layer: str
    count: int | None
    kept: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def require_exact_positions(graph: _core.Graph, outputs: Sequence[str], precision: str) -> None:
    """Raise UnsupportedError if the precision rounds positions by which the outputs are computed.

    Args:
        graph: the network.
        outputs: the layers that are computed; none: the network's outputs.
        precision: a precision of `CompileOptions`.
    """
    if precision not in _SIGNIFICANT_BITS:
        return
    text = graph.to_json()
    if '"take_along_axis"' not in text and '"equal"' not in text:
        return
    structure = json.loads(text)
    nodes = needed_nodes(structure["nodes"], outputs or structure["outputs"])
    if precision == "float16":
        for found in inexact_positions(structure, graph, nodes):
            raise UnsupportedError(_message(structure["name"], found))
    table = _rounded_table(graph, nodes, precision)
    if table is not None:
        raise UnsupportedError(
            f"network {structure['name']!r}: layer {table!r} looks for whole numbers that {precision} rounds, as those "
            "of a large table of words are: compile it in float32"
        )


def inexact_positions(
    structure: Mapping[str, Any], graph: _core.Graph, nodes: Sequence[Node]
) -> list[Inexact]:
    """Return the layers that read by positions which float16 would round.

    Args:
        structure: the network, in the form of `Network.to_dict`.
        graph: the same network, for shapes and constants.
        nodes: the layers to look at.
    """
    readers = [node for node in nodes if node["operation"] == "take_along_axis"]
    if not readers:
        return []
    search = _Search(structure, graph)
    found = []
    for node in readers:
        extents = search.shape(node["inputs"][0])
        count = extents[int(node["attributes"]["axis"])]
        if 0 <= count <= _WHOLE_HALVES + 1:
            continue
        one = Inexact(node["name"], None if count < 0 else count)
        search.trace(node["inputs"][1], one)
        if one.kept or one.sources:
            found.append(one)
    return found


def _message(network: str, found: Inexact) -> str:
    many = "an axis of any extent" if found.count is None else f"an axis of {found.count} elements"
    if found.sources:
        remedy = f"{found.sources[0]!r} holds positions, so compile it in float32 or bfloat16"
    else:
        remedy = f"keep the layers of its positions in float32: network.keep_float32({found.kept!r})"
    return (
        f"network {network!r}: layer {found.layer!r} (take_along_axis) takes elements of {many} by positions, and "
        f"float16 has whole numbers up to {_WHOLE_HALVES} only: {remedy}"
    )


class _Search:
    """Searches a network for layers that round positions.

    Args:
        structure: the network, in the form of `Network.to_dict`.
        graph: the same network, for shapes and constants.
    """

    def __init__(self, structure: Mapping[str, Any], graph: _core.Graph) -> None:
        self._graph = graph
        self._nodes: dict[str, Node] = {node["name"]: node for node in structure["nodes"]}
        names = [one["name"] for one in structure["inputs"]] + list(self._nodes)
        self._places = {name: place for place, name in enumerate(names)}
        self._bounds = self._all_bounds(structure["nodes"])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a layer's result; -1 is a free extent."""
        return self._graph.shape(self._places[name])

    def trace(self, name: str, found: Inexact) -> None:
        """Add the layers and inputs that would round positions to `found`, from their reader on."""
        waiting, seen = [name], {name}
        while waiting:
            here = waiting.pop()
            node = self._nodes.get(here)
            if node is None:
                found.sources.append(here)
                continue
            if self._bounds[here] <= _WHOLE_HALVES:
                continue
            if node["operation"] == "constant":
                values = _constant(self._graph, node)
                if values is None or not _holds(values, _SIGNIFICANT_BITS["float16"]):
                    found.sources.append(here)
                continue
            if not node.get("keep_float32"):
                found.kept.append(here)
            for source in _whole_sources(node):
                if source not in seen:
                    seen.add(source)
                    waiting.append(source)

    def _all_bounds(self, nodes: Sequence[Node]) -> dict[str, float]:
        """Return the largest magnitude of each layer's results; infinity if it is not known."""
        bounds: dict[str, float] = {}
        for node in nodes:
            given = [bounds.get(name, np.inf) for name in node["inputs"]]
            bounds[node["name"]] = _with_function(node.get("activation"), self._bound(node, given))
        return bounds

    def _bound(self, node: Node, given: list[float]) -> float:
        operation = node["operation"]
        if operation in ("argument", "top_k"):  # the engine refuses more channels in float16
            return _WHOLE_HALVES
        if operation in _COMPARISONS:
            return 1.0
        if operation == "neuron":
            return _with_function(node["attributes"], given[0])
        if operation == "take_along_axis":
            return given[0]
        if operation in _MOVES and operation != "padding":
            return max(given)
        if operation in _WHOLE_SUMS and all(np.isfinite(given)):
            first, second = (scale * bound for scale, bound in zip(_scales(node), given, strict=True))
            joined = first * second if operation == "multiply" else first + second
            return float(joined + abs(node["attributes"]["bias"]))
        if operation == "constant":
            values = _constant(self._graph, node)
            if values is not None and values.size <= _LARGE:
                return float(np.abs(values).max())
        return float(np.inf)


def _scales(node: Node) -> tuple[float, float]:
    """Return the factors of both operands, without their signs."""
    return abs(node["attributes"]["primary_scale"]), abs(node["attributes"]["secondary_scale"])


def _with_function(neuron: Node | None, bound: float) -> float:
    """Return the largest magnitude of a function's results."""
    if neuron is None or neuron["kind"] in ("absolute", "relu"):
        return bound
    if neuron["kind"] == "sign":
        return 1.0
    if neuron["kind"] == "clamp":
        return min(bound, float(max(abs(neuron["a"]), abs(neuron["b"]))))
    if neuron["kind"] in ("floor", "ceil", "round"):
        return float(np.ceil(bound))
    if neuron["kind"] == "linear":
        return float(abs(neuron["a"]) * bound + abs(neuron["b"]))
    return float(np.inf)


def _whole_sources(node: Node) -> list[str]:
    """Return the operands whose whole numbers a layer's result holds."""
    operation, inputs = node["operation"], list(node["inputs"])
    if operation == "neuron":
        kind = node["attributes"]["kind"]
        is_shift = kind == "linear" and abs(node["attributes"]["a"]) == 1.0
        return inputs if kind in _WHOLE_FUNCTIONS or is_shift else []
    if operation == "take_along_axis":
        return inputs[:1]
    if operation in _WHOLE_SUMS:
        return inputs if _scales(node) == (1.0, 1.0) else []
    return inputs if operation in _MOVES else []


# ---- Tables of words -------------------------------------------------------------------------------------------------


def _rounded_table(graph: _core.Graph, nodes: Sequence[Node], precision: str) -> str | None:
    """Return the name of a layer that compares with whole numbers which the precision rounds; None: there is none."""
    constants: dict[str, Node] = {}  # also by the names of layers that only move their numbers
    for node in nodes:
        if node["operation"] == "constant":
            constants[node["name"]] = node
        elif node["operation"] in _MOVES and len(node["inputs"]) == 1 and node["inputs"][0] in constants:
            constants[node["name"]] = constants[node["inputs"][0]]
        if node["operation"] != "equal":
            continue
        for name in node["inputs"]:
            values = _constant(graph, constants[name]) if name in constants else None
            if values is not None and not _holds(values, _SIGNIFICANT_BITS[precision]):
                return str(node["name"])
    return None


def _constant(graph: _core.Graph, node: Node) -> NDArray[Any] | None:
    """Return the numbers of a constant; None if they are not set, or stored as 8-bit integers."""
    try:
        values, scales, _ = graph.get_weight(node["name"], "value")
    except WeightsError:
        return None
    return None if scales or not values.size else values


def _holds(values: NDArray[Any], bits: int) -> bool:
    """Return True if a float of so many significant bits has all these whole numbers. Others are not counted."""
    whole = values[np.isfinite(values) & (values == np.floor(values))].astype(np.float64)
    fraction, _ = np.frexp(whole)
    scaled = fraction * 2.0**bits
    return bool((scaled == np.floor(scaled)).all())
