"""Keep intermediate results of composed operators in float32 if float16 would overflow or underflow.

A file may write a norm as a square, a sum, a root and a division, or a reader may make several layers of one operator.
The squares of 300 and of 1e-4 are beyond the range of float16, although the norm is not. The same is true for the
scores of attention, which softmax turns into numbers from 0 to 1. Such intermediate results stay float32 in a float16
network, as positions beyond 2048 do. They are found in the converted network, so this works for all file formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from mpscnn.graph.network import Network

Node = Mapping[str, Any]

_MOVES = frozenset({"reshape", "transpose", "slice", "concatenation", "padding", "tile", "gather"})
_SUMS = frozenset({"sum", "mean", "average", "max", "min", "none"})
_BOUNDED = frozenset({"logarithm", "sigmoid", "hard_sigmoid", "tanh", "softsign", "sign", "erf"})
_NORMALIZERS = frozenset({"softmax", "log_softmax", "layer_normalization", "group_normalization"})
_ARITHMETIC = frozenset(
    {
        "neuron", "reduction", "pooling", "add", "subtract", "multiply", "divide", "maximum", "minimum", "power",
        "batch_normalization", "matrix_product",
    }
)  # fmt: skip
_COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
_MASKS = frozenset({"mask", "mask_out"})  # which move values, or give 0 in their place
_WEIGHTED_SUMS = frozenset({"convolution", "fully_connected"})
_ROUNDING = 1e-3  # the tolerance for a degree of 1: exponents such as 1/3 and 3 have a rounded product
_EXPONENTIAL = 100.0
"""The degree that stands for exponentials, which grow faster than any power."""


def keep_intermediates(network: Network) -> Network:
    """Mark intermediate results of composed operators that must stay float32, and return the network."""
    structure = network.to_dict()
    nodes = structure["nodes"]
    if any("quantization" in node for node in nodes):
        return network  # quantized networks have integers for each intermediate result
    degrees: dict[str, float] = {}
    squares: set[str] = set()
    for node in nodes:
        degrees[node["name"]] = _after_activation(node, _degree(node, degrees, squares))
        if _is_square(node, squares):
            squares.add(node["name"])
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node["inputs"]:
            readers.setdefault(name, []).append(node)
    middles: set[str] = set()
    outputs = set(structure["outputs"])
    for node in reversed(nodes):
        name, users = node["name"], readers.get(node["name"], [])
        if name in outputs or not users or not _is_arithmetic(node):
            continue
        is_middle = _may_exceed_float16(degrees[name]) and all(
            one["name"] in middles or _reduces_degree(one, degrees[one["name"]]) for one in users
        )
        if is_middle or _is_part_of_mean(node, users):
            middles.add(name)
    if middles:
        network.keep_float32([node["name"] for node in nodes if node["name"] in middles])
    if any(node["operation"] == "take_along_axis" for node in nodes):
        network.graph.keep_positions()
    return network


@dataclass(eq=False)
class Origin:
    """The layer of another format that an operator was made of, alone or with other operators.

    Attributes:
        results: the names of the tensors that the layer computes for others.
        float32: whether the other file computes this layer in float32, although it computes others in float16.
    """

    results: set[str] = field(default_factory=set)
    float32: bool = False


@dataclass
class _Operator:
    layers: list[str]
    made: dict[str, str]
    origin: Origin | None

    @property
    def results(self) -> list[str]:
        """The layers that compute results for other operators."""
        own = self.origin
        return [layer for name, layer in self.made.items() if own is None or name in own.results]

    @property
    def keeps_float32(self) -> bool:
        """True if the operator was made of a layer that its file computes in float32."""
        return self.origin is not None and self.origin.float32


class Operators:
    """Record which layers each operator of a file became, and keep the results between these layers in float32.

    Args:
        network: the network to which the layers are added.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._count = len(network.layer_names())
        self._operators: list[_Operator] = []

    def ended(self, made: Mapping[str, str], origin: Origin | None = None) -> None:
        """Record that an operator is complete: it became all layers that were added since the last call.

        Args:
            made: the layers with the operator's results, by the names of the results.
            origin: the layer of another format that the operator was made of. Consecutive operators of one layer count
                as one.
        """
        added = self._network.layer_names(self._count)
        self._count += len(added)
        last = self._operators[-1] if self._operators else None
        if last is not None and origin is not None and last.origin is origin:
            last.layers += added
            last.made |= made
        elif added:
            self._operators.append(_Operator(added, dict(made), origin))

    def moved(self, network: Network, left: Mapping[str, str], into: Mapping[str, str]) -> Operators:
        """Return the operators of another network.

        Args:
            network: the network.
            left: its layers by their names until now.
            into: the same for layers that became a part of another one.
        """
        made = Operators(network)
        layers = {**left, **into}
        for one in self._operators:
            own = [left[name] for name in one.layers if name in left]
            results = {name: layers[layer] for name, layer in one.made.items() if layer in layers}
            made._operators.append(_Operator(own, results, one.origin))
        return made

    def keep(self) -> None:
        """Keep the arithmetic between the first and the last layer of each operator in float32.

        If an operator was made of a layer that its file computes in float32, all its layers are kept.
        """
        results = {layer for operator in self._operators for layer in operator.results}
        if all(results.issuperset(one.layers) and not one.keeps_float32 for one in self._operators):
            return
        structure = self._network.to_dict()
        nodes = {node["name"]: node for node in structure["nodes"]}
        if any("quantization" in node for node in nodes.values()):
            return
        readers: dict[str, set[str]] = {}
        for node in nodes.values():
            for name in node["inputs"]:
                readers.setdefault(name, set()).add(node["name"])
        for operator in self._operators:
            if operator.keeps_float32:
                self._network.keep_float32(operator.layers)
                continue
            own, between = set(operator.layers), list[str]()
            for name in operator.layers:
                node = nodes[name]
                is_between = name not in results and name not in structure["outputs"]
                reads_such = not set(between).isdisjoint(node["inputs"])
                moves_such = node["operation"] in _MOVES | _MASKS and reads_such
                is_own = own.issuperset(readers.get(name, set()))
                if is_between and is_own and (node["operation"] in _ARITHMETIC or moves_such):
                    between.append(name)
            self._network.keep_float32(between)


def _is_arithmetic(node: Node) -> bool:
    return node["operation"] in _ARITHMETIC | _MOVES | _MASKS | _WEIGHTED_SUMS


def _may_exceed_float16(degree: float) -> bool:
    """Return True if a value of this degree may be beyond the range of float16: squares, inverses, exponentials."""
    return degree > 1.0 + _ROUNDING or degree < -0.5


def _reduces_degree(node: Node, degree: float) -> bool:
    """Return True if a layer turns values that may be beyond float16 into a result of degree 1 or less.

    Such layers are roots, functions with limits, quotients, products, softmax and normalizations.
    """
    last = node.get("activation") or (node["attributes"] if node["operation"] == "neuron" else None)
    is_root = last is not None and (last["kind"] == "power" or last["kind"] in _BOUNDED)
    is_quotient = node["operation"] in {"divide", "multiply"} | _NORMALIZERS | _COMPARISONS
    return abs(degree) <= 1.0 + _ROUNDING and (is_root or is_quotient)


def _is_part_of_mean(node: Node, users: list[Node]) -> bool:
    """Return True if the layer is a sum, and all layers that read it scale it down or compute its logarithm."""
    is_sum = node["operation"] == "reduction" and node["attributes"]["kind"] in ("sum", "sum_of_squares")
    if not is_sum or node.get("activation"):
        return False
    return all(one["operation"] == "neuron" and _makes_small(one["attributes"]) for one in users)


def _makes_small(neuron: Mapping[str, Any]) -> bool:
    kind = neuron["kind"]
    return bool(kind == "logarithm" or (kind == "linear" and abs(neuron["a"]) < 1.0))


# ---- Degrees ---------------------------------------------------------------------------------------------------------


def _is_square(node: Node, squares: Set[str]) -> bool:
    """Return True if each element of the result is the square of one number, not a sum of squares."""
    if node.get("activation"):
        return False
    if node["operation"] == "neuron":
        return bool(node["attributes"]["kind"] == "power" and node["attributes"]["c"] == 2.0)
    if node["operation"] == "multiply":
        first, second = node["inputs"]
        return bool(first == second)
    return node["operation"] in _MOVES and set(node["inputs"]) <= squares


def _degree(node: Node, degrees: Mapping[str, float], squares: Set[str]) -> float:
    """Return the degree of a result: the exponent with which it grows in its source values.

    For example, a square has degree 2. Results of layers that are not arithmetic are source values, of degree 1. So are
    those of convolutions and dense layers, except for weighted sums of squares, such as those of GDN.
    """
    operation = node["operation"]
    given = [degrees.get(name, 1.0) for name in node["inputs"]]
    if operation == "neuron":
        return _of_neuron(node["attributes"], given[0])
    if operation in _MOVES:
        return max(given)
    if operation in _WEIGHTED_SUMS:
        return 2.0 if node["inputs"][0] in squares else 1.0
    if operation == "batch_normalization":  # its statistics are constants, so it is a factor and an offset
        return given[0]
    if operation in ("reduction", "pooling"):
        kind = node["attributes"]["kind"]
        if kind == "sum_of_squares" or kind == "variance":
            return 2.0 * given[0]
        return given[0] if kind in _SUMS or kind in ("l2_norm", "deviation") else 1.0
    if operation in ("add", "subtract", "maximum", "minimum"):
        return max(given, key=abs)
    if operation in ("multiply", "matrix_product"):
        return _limited(sum(given))
    if operation in _MASKS:
        return given[1]
    if operation == "divide":
        return 0.0 if given[1] >= _EXPONENTIAL else _limited(given[0] - given[1])
    return 0.0 if operation in {"constant", "softmax"} | _COMPARISONS else 1.0


def _after_activation(node: Node, degree: float) -> float:
    activation = node.get("activation")
    return degree if activation is None else _of_neuron(activation, degree)


def _of_neuron(neuron: Mapping[str, Any], degree: float) -> float:
    kind = neuron["kind"]
    if kind == "power":
        power = float(neuron["c"])
        return 0.0 if degree >= _EXPONENTIAL and power < 0.0 else _limited(degree * power)
    if kind == "exponential":
        return _EXPONENTIAL
    if kind in ("none", "linear", "absolute", "clamp", "relu", "prelu", "relun"):
        return degree
    return 0.0 if kind in _BOUNDED else 1.0


def _limited(degree: float) -> float:
    return max(-_EXPONENTIAL, min(_EXPONENTIAL, degree))
