"""Recognise activations that a file writes as several nodes: swish, hard-swish, hard-sigmoid, mish, GELU.

The nodes between two tensors become one expression. Its products and sums have a normal form, so that the order in
which a file computes them does not matter. The expression is then compared with those of known activations.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property

from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.neurons import limits
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

_MAX_NODES = 64  # the maximum number of nodes that a search visits
_MAX_READERS = 32  # tensors with more consumers are not followed
_LARGEST = 24  # the maximum size of an expression; the longest activation has about half of that
_ROUNDING = 1e-5  # the relative tolerance for constants, which a file rounds to float32 or to a few digits


@dataclass(frozen=True)
class Expression:
    """A function of x as a tree of expressions.

    The kind is "x", "number", "product" (`number` times all operands), "sum" (`number` plus all operands), or the name
    of a function of the operands.
    """

    kind: str
    number: float = 0.0
    operands: tuple[Expression, ...] = ()

    @cached_property
    def size(self) -> int:
        """The number of expressions in the tree."""
        return 1 + sum(one.size for one in self.operands)

    def __str__(self) -> str:
        return f"{self.kind}[{self.number:.4g}]({', '.join(map(str, self.operands))})"


_X = Expression("x")


def match_activation(
    c: Context, name: str, first: Node | None = None
) -> tuple[Activation, str, list[Node]] | None:
    """Find the longest activation that several nodes compute from a tensor.

    Returns the activation, the name of its result, and the nodes. Returns None if there is no activation, or if other
    nodes need one of the intermediate results.

    Args:
        c: the conversion.
        name: the tensor x of the activation.
        first: the node that must be converted first; other nodes may read x, too. None: only the activation reads x.
    """
    search = _Search(c, name)
    expressions = search.expressions
    makers: dict[str, Node] = {}
    found: tuple[Activation, str, list[Node]] | None = None
    for _ in range(_MAX_NODES):
        node = search.next()
        if node is None:
            break
        made = _expression(c, node, expressions)
        if made is None or made.size > _LARGEST:
            continue
        result = node.outputs[0]
        search.add(result, made)
        makers[result] = node
        activation = _known(made)
        if activation is None:
            continue
        nodes = _nodes_of(result, makers)
        if (
            (found is None or len(nodes) > len(found[2]))
            and _begins(c, nodes, first)
            and _is_closed(c, [*([] if first else [name]), *(one.outputs[0] for one in nodes)], nodes, result)
        ):
            found = (activation, result, nodes)
    return found


Key = tuple[int, int]
"""The priority of a node in the search: the number of the value that it reads, and its number among the readers."""


class _Search:
    """A search for unconverted nodes whose operands are all known expressions or constants.

    Nodes that read the earliest known value come first. A node is ready when its last operand becomes known.
    """

    def __init__(self, c: Context, begin: str) -> None:
        self._c = c
        self.expressions: dict[str, Expression] = {}
        self._ready: list[tuple[Key, Node]] = []
        self._waiting: dict[str, list[tuple[Key, Node]]] = {}
        self._passed: set[int] = set()
        self.add(begin, _X)

    def add(self, value: str, expression: Expression) -> None:
        """Make a value known. A value with too many readers is not followed further."""
        place = len(self.expressions)
        self.expressions[value] = expression
        for key, node in self._waiting.pop(value, ()):
            self._consider(key, node)
        users = self._c.users(value)
        if len(users) <= _MAX_READERS:
            for number, node in enumerate(users):
                self._consider((place, number), node)

    def next(self) -> Node | None:
        """Return the ready node with the highest priority; None if there is none."""
        while self._ready:
            _, node = heapq.heappop(self._ready)
            if id(node) not in self._passed:
                self._passed.add(id(node))
                return node
        return None

    def _consider(self, key: Key, node: Node) -> None:
        c = self._c
        if id(node) in self._passed or id(node) in c.merged or node.outputs[0] in c.values:
            return
        for name in node.inputs:
            if name and name not in self.expressions and not c.is_constant(name):
                self._waiting.setdefault(name, []).append((key, node))
                return
        heapq.heappush(self._ready, (key, node))


def _nodes_of(result: str, makers: dict[str, Node]) -> list[Node]:
    """Return the nodes that compute a value, in their order."""
    needed = {result}
    for name, node in reversed(makers.items()):
        if name in needed:
            needed.update(node.inputs)
    return [node for name, node in makers.items() if name in needed]


def _begins(c: Context, nodes: list[Node], first: Node | None) -> bool:
    """Return True if `first` is one of these nodes, and none of them has been converted yet.

    If `first` is None, always return True.
    """
    if first is None:
        return True
    return any(node is first for node in nodes) and not any(node.outputs[0] in c.values for node in nodes)


def _is_closed(c: Context, names: list[str], nodes: list[Node], result: str) -> bool:
    """Return True if only these nodes read the intermediate results."""
    own = set(map(id, nodes))
    return all(
        name == result or (name not in c.results and all(id(user) in own for user in c.users(name)))
        for name in names
    )


# ---- Expressions ---------------------------------------------------------------------------------------------------

_FUNCTIONS = frozenset({"Erf", "Sigmoid", "Softplus", "Tanh"})


def _expression(c: Context, node: Node, known: dict[str, Expression]) -> Expression | None:
    """Return the expression of a node; None for a node that is not part of an activation."""
    operands = [known.get(name) for name in node.inputs]
    if node.kind in _FUNCTIONS and operands[0] is not None:
        return Expression(node.kind, operands=(operands[0],))
    if node.kind == "HardSigmoid" and operands[0] is not None:
        scaled = _product(node.number("alpha", 0.2), [operands[0]])
        return _limited(_sum(node.number("beta", 0.5), [scaled]), 0.0, 1.0)
    if node.kind == "Clip" and operands[0] is not None:
        return _limited(operands[0], *_limits(c, node))
    if node.kind == "Relu" and operands[0] is not None:
        return _limited(operands[0], 0.0, math.inf)
    if len(operands) != 2 or node.kind not in ("Add", "Sub", "Mul", "Div", "Pow", "Min"):
        return None
    number = _number(c, node, operands)
    if number is None and None in operands:
        return None
    return _arithmetic(node.kind, operands, number)


def _arithmetic(kind: str, operands: list[Expression | None], number: float | None) -> Expression | None:
    first, second = operands
    given = [one for one in operands if one is not None]
    if kind in ("Mul", "Add"):
        neutral = 1.0 if kind == "Mul" else 0.0
        join = _product if kind == "Mul" else _sum
        return join(neutral if number is None else number, given)
    if number is None or first is None or second is not None:
        return None
    if kind == "Div":
        return _product(1.0 / number, [first]) if number else None
    if kind == "Sub":
        return _sum(-number, [first])
    if kind == "Min":
        return _limited(first, -math.inf, number)
    return _product(1.0, [first] * int(number)) if number in (2.0, 3.0) else None


def _number(c: Context, node: Node, operands: list[Expression | None]) -> float | None:
    for name, operand in zip(node.inputs, operands, strict=True):
        constant = c.constants.find(name) if operand is None and not c.learns(name) else None
        if (
            constant is not None
            and constant.is_fixed
            and constant.low.size == 1
            and constant.low.dtype.kind == "f"
        ):
            return float(constant.low.reshape(-1)[0])
    return None


def _limits(c: Context, node: Node) -> tuple[float, float]:
    try:
        return limits(c, node)
    except (UnsupportedError, ValueError):
        return math.nan, math.nan


def _limited(x: Expression, low: float, high: float) -> Expression:
    """Return a clip of an expression to a range. An upper limit of a clip is merged into that clip."""
    if x.kind == "limits" and low == -math.inf:
        inner_low, inner_high = (one.number for one in x.operands[1:])
        low, high, x = inner_low, min(inner_high, high), x.operands[0]
    return Expression("limits", operands=(x, Expression("number", low), Expression("number", high)))


def _product(number: float, factors: list[Expression]) -> Expression:
    flat: list[Expression] = []
    for factor in factors:
        if factor.kind == "product":
            number *= factor.number
            flat += factor.operands
        else:
            flat.append(factor)
    if len(flat) == 1 and number == 1.0:
        return flat[0]
    return Expression("product", number, tuple(sorted(flat, key=str)))


def _sum(number: float, terms: list[Expression]) -> Expression:
    flat: list[Expression] = []
    for term in terms:
        if term.kind == "sum":
            number += term.number
            flat += term.operands
        else:
            flat.append(term)
    return Expression("sum", number, tuple(sorted(flat, key=str)))


# ---- Known activations ---------------------------------------------------------------------------------------------


def _function(kind: str, x: Expression) -> Expression:
    return Expression(kind, operands=(x,))


_RELU6 = _limited(_sum(3.0, [_X]), 0.0, 6.0)
_GATE = _limited(_sum(0.5, [_product(1 / 6, [_X])]), 0.0, 1.0)
_CUBE = _product(0.044715, [_X, _X, _X])
_TANH = _function("Tanh", _product(math.sqrt(2 / math.pi), [_sum(0.0, [_X, _CUBE])]))
_TABLE: list[tuple[Expression, Activation]] = [
    (_product(1.0, [_X, _function("Sigmoid", _X)]), "swish"),
    (_product(1.0, [_X, _function("Tanh", _function("Softplus", _X))]), "mish"),
    (_product(1 / 6, [_X, _RELU6]), "hard_swish"),
    (_product(1.0, [_X, _GATE]), "hard_swish"),
    (_product(1 / 6, [_RELU6]), {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}),
    (_product(0.5, [_X, _sum(1.0, [_function("Erf", _product(math.sqrt(0.5), [_X]))])]), "gelu"),
    (_product(0.5, [_X, _sum(1.0, [_TANH])]), "gelu_tanh"),
]


def _known(expression: Expression) -> Activation:
    for pattern, activation in _TABLE:
        if _equal(expression, pattern):
            return activation
    return _swish_with_factor(expression)


def _swish_with_factor(expression: Expression) -> Activation:
    """Return swish with a factor, x * sigmoid(b * x), if the expression is that; otherwise None."""
    if expression.kind != "product" or expression.number != 1.0 or len(expression.operands) != 2:
        return None
    inner = [one.operands[0] for one in expression.operands if one.kind == "Sigmoid"]
    if _X in expression.operands and inner and inner[0].kind == "product" and inner[0].operands == (_X,):
        return {"kind": "swish", "b": inner[0].number}
    return None


def _equal(a: Expression, b: Expression) -> bool:
    """Return True if two expressions in normal form are equal up to the rounding of constants."""
    is_close = a.number == b.number or abs(a.number - b.number) <= _ROUNDING * abs(b.number)
    return (
        a.kind == b.kind
        and is_close
        and len(a.operands) == len(b.operands)
        and all(map(_equal, a.operands, b.operands))
    )
