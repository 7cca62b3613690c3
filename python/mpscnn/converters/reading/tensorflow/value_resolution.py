"""Follow values through a TensorFlow graph: through function calls, identities, branches and variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.tensorflow.node import Function, Node, functions_by_name, index_by_name
from mpscnn.converters.reading.tensorflow.values import Array, parse_tensor
from mpscnn.errors import UnsupportedError, WeightsError

# The allowed operators, operands and results of a graph in which each call of a function counts as a copy of its body:
# those that the graph and its functions have, a fixed number, and a number in proportion to the graph's size in bytes.
_PARTS_FREE, _BYTES_PER_PART = 4_096, 16

#: Operators whose result is their first operand.
IDENTITIES = frozenset(
    {
        "Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "EnsureShape",
        "PlaceholderWithDefault", "RefIdentity",
    }
)  # fmt: skip
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_BRANCHES = frozenset({"If", "StatelessIf"})
_READS = frozenset({"ReadVariableOp"})
VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
#: Operators that are resolved while the graph is read, so that no layers are made of them.
FOLLOWED = (
    IDENTITIES
    | CALLS
    | _BRANCHES
    | _READS
    | VARIABLES
    | {"Const", "IdentityN", "Merge", "Placeholder", "Switch"}
)
# Names of the results of operators with several results. Function bodies refer to results by these names.
_RESULTS = {
    **dict.fromkeys(
        ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
        ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"),
    ),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "TopKV2": ("values", "indices"),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
}


class Ref(NamedTuple):
    """A reference to a result of a node. It is a tuple, because a graph may have very many references."""

    scope: Scope
    name: str
    """The name of the node. It is unique only within its graph or function."""
    place: int = 0

    @property
    def node(self) -> Node:
        """The node that computes the result."""
        return self.scope.nodes[self.name]


@dataclass(eq=False)
class Scope:
    """The namespace of nodes: the main graph, or the body of a function for one call of it.

    Attributes:
        nodes: the nodes by name.
        results: for a function, the texts that refer to its results.
        arguments: for a function, the values that the caller passes, by name.
        is_function: whether it is the body of a function.
    """

    nodes: Mapping[str, Node]
    results: Sequence[str] = ()
    arguments: Mapping[str, Ref] = field(default_factory=dict)
    is_function: bool = False

    def ref(self, text: str) -> Ref:
        """Return the value to which the text of an operand refers. Raises WeightsError if it does not exist."""
        if text in self.arguments:
            return self.arguments[text]
        name, *rest = text.split(":")
        node = self.nodes.get(name)
        if node is None:
            raise WeightsError(f"damaged: refers to {quote_name(name)}, which does not exist")
        place = rest[-1] if rest else "0"
        if not place.isdecimal() or len(place) > 6:
            raise WeightsError(f"damaged: refers to {quote_name(text)}")
        number = int(place)
        if self.is_function and len(rest) == 2 and node.op in _RESULTS:
            names = _RESULTS[node.op]
            if rest[0] not in names:
                raise WeightsError(f"damaged: refers to {quote_name(text)}")
            number = names.index(rest[0])
        return Ref(self, name, number)


class ValueResolver:
    """Follows values through a graph.

    Args:
        graph: the message of the graph.
        inputs: the names of nodes at which to stop.
        size: a function that returns the bytes of the graph's files with their weights.

    Attributes:
        size: the argument of this name.
        main: the graph itself, without the functions that it calls.
        budget: counts the work and memory for the graph's constants.

    Raises:
        WeightsError: two nodes or two functions have the same name.
    """

    def __init__(self, graph: Any, inputs: frozenset[str], size: Callable[[], int]) -> None:
        self.main = Scope(index_by_name(graph.node))
        self.size = size
        self.budget = Budget(size)
        self._inputs = inputs
        self._bodies = functions_by_name(graph.library.function)
        self._functions: dict[str, Function] = {}
        self._calls: dict[tuple[int, str, str], Scope] = {}
        self._sources: dict[Ref, Ref] = {}
        self._taken: dict[Ref, bool] = {}
        self._merges: dict[tuple[Scope, str], Ref] = {}
        self._truths: dict[Ref, Array | None] = {}  # the results of LogicalNot
        self._constants: dict[Node, Array] = {}
        self._texts: dict[Node, list[str]] = {}
        self._parts = sum(1 + len(node.inputs) for node in self.main.nodes.values())
        self._max_parts = self._parts + _PARTS_FREE + graph.encoded_size() // _BYTES_PER_PART

    def count(self, parts: int) -> None:
        """Count operators, operands or results. Raises UnsupportedError for more than a file of this size may have."""
        self._parts += parts
        if self._parts > self._max_parts:
            raise UnsupportedError(
                "its functions call each other so often, or its operators have so many results, that it would become "
                f"more than {self._max_parts} operators; that is the limit for a graph of its size"
            )

    # ---- Nodes -----------------------------------------------------------------------------------------------------

    def operands(self, ref: Ref) -> list[Ref]:
        """Return the values that a node reads."""
        return [self.source(ref.scope.ref(text)) for text in ref.node.operands]

    def is_input(self, ref: Ref) -> bool:
        """Return True for an input of the network."""
        return ref.scope is self.main and ref.name in self._inputs

    # ---- Values ----------------------------------------------------------------------------------------------------

    def source(self, ref: Ref) -> Ref:
        """Follow nodes that only pass a value on, to the node that computes the value, and return that node's result.

        Raises WeightsError for a cycle.
        """
        passed: dict[Ref, None] = {}
        while (found := self._sources.get(ref)) is None:
            if ref in passed:
                raise WeightsError(f"damaged: {quote_name(ref.name)} reads its own result")
            following = None if self.is_input(ref) else self._followed(ref)
            if following is None:
                found = ref
                break
            passed[ref] = None
            ref = following
        self._sources |= dict.fromkeys(passed, found)
        return found

    def _followed(self, ref: Ref) -> Ref | None:
        """Return the value that a node passes on as this result; None if the node computes the result itself."""
        node = ref.node
        if node.op in IDENTITIES or node.op in _READS:
            return self._operand(ref, 0)
        if node.op == "IdentityN":
            return self._operand(ref, ref.place)
        if node.op in CALLS or node.op in self._bodies:
            name = node.op if node.op in self._bodies else node.attributes["f"].func.name
            return self._called(ref, name, node.operands)
        if node.op in _BRANCHES:
            return self._branch(ref)
        if node.op == "Switch":
            return self._operand(ref, 0)
        if node.op == "Merge":
            return self._merged(ref)
        return None

    def _operand(self, ref: Ref, place: int) -> Ref:
        texts = ref.node.operands
        if place >= len(texts):
            raise WeightsError(f"damaged: {quote_name(ref.name)} has {len(texts)} operands")
        return ref.scope.ref(texts[place])

    def _branch(self, ref: Ref) -> Ref:
        node = ref.node
        condition = self.constant(self._operand(ref, 0))
        if condition is None or condition.size != 1:
            raise UnsupportedError(f"{quote_name(ref.name)} chooses a branch by data, which is not supported")
        attribute = "then_branch" if condition.reshape(()) else "else_branch"
        return self._called(ref, node.attributes[attribute].func.name, node.operands[1:])

    def _called(self, ref: Ref, function: str, texts: Sequence[str]) -> Ref:
        scope = self.body(ref.scope, ref.name, function, texts)
        if ref.place >= len(scope.results):
            raise WeightsError(f"damaged: {quote_name(ref.name)} has {len(scope.results)} results")
        return scope.ref(scope.results[ref.place])

    def body(self, caller: Scope, node: str, function: str, texts: Sequence[str]) -> Scope:
        """Return the scope of a function's body for the call by a node."""
        key = (id(caller), node, function)
        if key in self._calls:
            return self._calls[key]
        called = self._function(function)
        if len(called.arguments) != len(texts):
            raise WeightsError(f"damaged: calls {quote_name(function)} with {len(texts)} operands")
        self.count(called.parts + len(texts))
        passed = {name: caller.ref(text) for name, text in zip(called.arguments, texts, strict=True)}
        scope = Scope(called.nodes, called.results, passed, is_function=True)
        self._calls[key] = scope
        return scope

    def _function(self, name: str) -> Function:
        if name not in self._functions:
            if name not in self._bodies:
                raise WeightsError(f"damaged: calls the function {quote_name(name)}, which does not exist")
            self._functions[name] = Function(self._bodies[name])
            self._max_parts += self._functions[name].parts  # its first call copies what the file has
        return self._functions[name]

    # ---- Branches of TensorFlow 1 ----------------------------------------------------------------------------------

    def _merged(self, ref: Ref) -> Ref:
        """Return the operand of a Merge whose branch is taken."""
        key = (ref.scope, ref.name)
        if key not in self._merges:
            self._merges[key] = self._taken_operand(ref)
        if ref.place:
            raise UnsupportedError(f"uses which branch {quote_name(ref.name)} takes, which is not supported")
        return self._merges[key]

    def _taken_operand(self, ref: Ref) -> Ref:
        operands = [ref.scope.ref(text) for text in ref.node.operands]
        if any(operand.node.op == "NextIteration" for operand in operands):
            raise UnsupportedError(f"{quote_name(ref.name)} is a loop, which is not supported")
        alive = [operand for operand in operands if self._is_taken(operand)]
        if len(alive) != 1:
            raise UnsupportedError(f"{quote_name(ref.name)} chooses a branch by data, which is not supported")
        return alive[0]

    def _is_taken(self, wanted: Ref) -> bool:
        """Return False for a value in a branch that is not taken."""
        stack = [(wanted, False)]
        while stack:
            ref, is_ready = stack.pop()
            if is_ready:
                is_switch = ref.node.op == "Switch"
                inputs = self._conditions(ref)
                self._taken[ref] = self._passes(ref) if is_switch else all(self._taken[one] for one in inputs)
            elif ref not in self._taken:
                # Assume that the value is taken until its operands are checked. In a cycle they depend on the value.
                self._taken[ref] = True
                stack.append((ref, True))
                stack += [(one, False) for one in self._conditions(ref)]
        return self._taken[wanted]

    @staticmethod
    def _conditions(ref: Ref) -> list[Ref]:
        """Return the values that must be computed before this one, up to the beginning of the innermost branch."""
        if ref.node.op in ("Switch", "Merge"):
            return []
        return [ref.scope.ref(text) for text in ref.node.inputs]

    def _passes(self, switch: Ref) -> bool:
        condition = self.constant(self._operand(switch, 1))
        is_known = condition is not None and condition.size == 1
        return not is_known or bool(condition.reshape(())) == bool(switch.place)  # type: ignore[union-attr]

    # ---- Constants -------------------------------------------------------------------------------------------------

    def constant(self, ref: Ref) -> Array | None:
        """Return the array of a constant; None for a value that is computed or is a variable."""
        found = self.source(ref)
        negations: dict[Ref, None] = {}
        while found.node.op == "LogicalNot" and found not in self._truths:
            if found in negations:
                raise WeightsError(f"damaged: {quote_name(found.name)} reads its own result")
            negations[found] = None
            found = self.source(self._operand(found, 0))
        array = self.value(found) if found.node.op == "Const" else self._truths.get(found)
        if array is not None and array.size > 1 and negations:
            array = None  # such constants are no conditions
        for negation in reversed(negations):
            array = None if array is None else np.logical_not(array)
            self._truths[negation] = array
        return array

    def value(self, ref: Ref) -> Array:
        """Return the array of a node of the kind Const. All calls of a function share the arrays of its body."""
        node = ref.node
        if node not in self._constants:
            if "value" not in node.attributes:
                raise WeightsError(f"damaged: the constant {quote_name(ref.name)} has no value")
            try:
                self._constants[node] = parse_tensor(node.attributes["value"].tensor, self.budget)
            except (UnsupportedError, WeightsError) as error:
                raise type(error)(f"constant {quote_name(ref.name)}: {error}") from error
        return self._constants[node]

    def texts(self, ref: Ref) -> list[str] | None:
        """Return the strings of a constant; None for other values."""
        node = self.source(ref).node
        if node.op != "Const":
            return None
        if node not in self._texts:
            tensor = node.attributes["value"].tensor
            self._texts[node] = [text.decode("utf-8", "replace") for text in tensor.string_val]
        return self._texts[node]

    def in_order(self, wanted: list[Ref]) -> Iterator[Ref]:
        """Yield the nodes that these values depend on, in topological order, as references to their first results."""
        are_done: dict[Ref, bool] = {}  # False: the node waits for its operands
        stack = [(ref, False) for ref in reversed(wanted)]
        while stack:
            (scope, name, _), is_ready = stack.pop()
            ref = Ref(scope, name)
            if are_done.get(ref):
                continue
            if is_ready:
                are_done[ref] = True
                yield ref
                continue
            if ref in are_done:
                raise WeightsError(f"damaged: {quote_name(name)} reads its own result")
            are_done[ref] = False
            stack.append((ref, True))
            if not self.is_input(ref) and ref.node.op not in VARIABLES:
                stack += [(operand, False) for operand in reversed(self.operands(ref))]
