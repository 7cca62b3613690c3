"""Follow values through a TensorFlow graph: through function calls, identities, branches and variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpscnn.converters.layer_names import shown
from mpscnn.converters.tensorflow.values import Array, array_of
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_SCOPES = 5_000
_MAX_STEPS = 10_000_000

#: Operators whose result is their first operand.
IDENTITIES = frozenset(
    {
        "Identity",
        "StopGradient",
        "PreventGradient",
        "Snapshot",
        "CheckNumerics",
        "EnsureShape",
        "PlaceholderWithDefault",
        "RefIdentity",
    }
)
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
    "TopKV2": ("values", "indices"),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
}


@dataclass(frozen=True)
class Ref:
    """A reference to a result of a node."""

    scope: Scope
    node: str
    index: int = 0

    @property
    def message(self) -> Any:
        """The node's message in the file."""
        return self.scope.nodes[self.node]

    @property
    def name(self) -> str:
        """The name of the node. It is unique only within its graph or function."""
        return self.node


@dataclass(eq=False)
class Scope:
    """The namespace of nodes: the main graph, or the body of a function for one call of it.

    Attributes:
        nodes: the nodes by name.
        results: for a function, the texts that refer to its results, by name.
        arguments: for a function, the values that the caller passes, by name.
        is_function: whether it is the body of a function.
    """

    nodes: Mapping[str, Any]
    results: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Ref] = field(default_factory=dict)
    is_function: bool = False

    def ref(self, text: str) -> Ref:
        """Return the value to which the text of an operand refers. Raises WeightsError if it does not exist."""
        if text in self.arguments:
            return self.arguments[text]
        name, *rest = text.split(":")
        node = self.nodes.get(name)
        if node is None:
            raise WeightsError(f"damaged: refers to {shown(name)}, which does not exist")
        place = rest[-1] if rest else "0"
        if not place.isdecimal() or len(place) > 6:
            raise WeightsError(f"damaged: refers to {shown(text)}")
        index = int(place)
        if self.is_function and len(rest) == 2 and node.op in _RESULTS:
            names = _RESULTS[node.op]
            if rest[0] not in names:
                raise WeightsError(f"damaged: refers to {shown(text)}")
            index = names.index(rest[0])
        return Ref(self, name, index)


class Flow:
    """Follows values through a graph.

    Args:
        graph: the message of the graph.
        inputs: the names of nodes at which to stop.
    """

    def __init__(self, graph: Any, inputs: frozenset[str] = frozenset()) -> None:
        self._functions = {body.signature.name: body for body in graph.library.function}
        self.main = Scope({node.name: node for node in graph.node})
        self._inputs = inputs
        self._calls: dict[tuple[int, str, str], Scope] = {}
        self._steps = 0

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise WeightsError("damaged: its functions call each other without an end")

    # ---- Nodes -----------------------------------------------------------------------------------------------------

    @staticmethod
    def attributes(message: Any) -> dict[str, Any]:
        """Return the attributes of a node by name."""
        return {entry.key: entry.value for entry in message.attr}

    @staticmethod
    def data(message: Any) -> list[str]:
        """Return the operands of a node without control dependencies, which begin with "^"."""
        return [text for text in message.input if not text.startswith("^")]

    def operands(self, ref: Ref) -> list[Ref]:
        """Return the values that a node reads."""
        return [self.source(ref.scope.ref(text)) for text in self.data(ref.message)]

    def is_input(self, ref: Ref) -> bool:
        """Return True for an input of the network."""
        return ref.scope is self.main and ref.node in self._inputs

    # ---- Values ----------------------------------------------------------------------------------------------------

    def source(self, ref: Ref) -> Ref:
        """Follow nodes that only pass a value on, to the node that computes the value, and return that node's result.

        Raises WeightsError for a cycle.
        """
        passed: set[tuple[int, str, int]] = set()
        while True:
            self._step()
            key = (id(ref.scope), ref.node, ref.index)
            if key in passed:
                raise WeightsError(f"damaged: {shown(ref.name)} reads its own result")
            passed.add(key)
            following = None if self.is_input(ref) else self._followed(ref)
            if following is None:
                return ref
            ref = following

    def _followed(self, ref: Ref) -> Ref | None:
        """Return the value that a node passes on as this result; None if the node computes the result itself."""
        node = ref.message
        if node.op in IDENTITIES or node.op in _READS:
            return self._operand(ref, 0)
        if node.op == "IdentityN":
            return self._operand(ref, ref.index)
        if node.op in CALLS or node.op in self._functions:
            return self._result(ref)
        if node.op in _BRANCHES:
            return self._branch(ref)
        if node.op == "Switch":
            return self._operand(ref, 0)
        if node.op == "Merge":
            return self._merged(ref)
        return None

    def _operand(self, ref: Ref, place: int) -> Ref:
        texts = self.data(ref.message)
        if place >= len(texts):
            raise WeightsError(f"damaged: {shown(ref.name)} has {len(texts)} operands")
        return ref.scope.ref(texts[place])

    def _result(self, ref: Ref) -> Ref:
        node = ref.message
        name = node.op if node.op in self._functions else self.attributes(node)["f"].func.name
        return self._called(ref, name, self.data(node))

    def _branch(self, ref: Ref) -> Ref:
        node = ref.message
        texts = self.data(node)
        condition = self.constant(self._operand(ref, 0))
        if condition is None or condition.size != 1:
            raise UnsupportedError(f"{shown(ref.name)} chooses a branch by data, which is not supported")
        attribute = "then_branch" if condition.reshape(()) else "else_branch"
        return self._called(ref, self.attributes(node)[attribute].func.name, texts[1:])

    def _called(self, ref: Ref, function: str, texts: list[str]) -> Ref:
        scope = self.body(ref.scope, ref.node, function, texts)
        results = list(scope.results.values())
        if ref.index >= len(results):
            raise WeightsError(f"damaged: {shown(ref.name)} has {len(results)} results")
        return scope.ref(results[ref.index])

    def body(self, caller: Scope, node: str, function: str, texts: list[str]) -> Scope:
        """Return the scope of a function's body for the call by a node."""
        key = (id(caller), node, function)
        if key in self._calls:
            return self._calls[key]
        body = self._functions.get(function)
        if body is None:
            raise WeightsError(f"damaged: calls the function {shown(function)}, which does not exist")
        names = [argument.name for argument in body.signature.input_arg]
        if len(names) != len(texts):
            raise WeightsError(f"damaged: calls {shown(function)} with {len(texts)} operands")
        if len(self._calls) >= _MAX_SCOPES:
            raise UnsupportedError(f"calls functions more than {_MAX_SCOPES} times, which is not supported")
        returned = {entry.key: entry.value for entry in body.ret}
        scope = Scope(
            {one.name: one for one in body.node_def},
            {one.name: returned.get(one.name, "") for one in body.signature.output_arg},
            {name: caller.ref(text) for name, text in zip(names, texts, strict=True)},
            is_function=True,
        )
        self._calls[key] = scope
        return scope

    # ---- Branches of TensorFlow 1 ----------------------------------------------------------------------------------

    def _merged(self, ref: Ref) -> Ref:
        """Return the operand of a Merge whose branch is taken."""
        texts = self.data(ref.message)
        if any(ref.scope.ref(text).message.op == "NextIteration" for text in texts):
            raise UnsupportedError(f"{shown(ref.name)} is a loop, which is not supported")
        alive = [text for text in texts if self._runs(ref.scope.ref(text))]
        if len(alive) != 1:
            raise UnsupportedError(f"{shown(ref.name)} chooses a branch by data, which is not supported")
        return ref.scope.ref(alive[0])

    def _runs(self, ref: Ref) -> bool:
        """Return False for a value in a branch that is not taken."""
        seen: set[tuple[int, str, int]] = set()
        left = [ref]
        while left:
            self._step()
            one = left.pop()
            key = (id(one.scope), one.node, one.index)
            if key in seen:
                continue
            seen.add(key)
            node = one.message
            if node.op == "Switch":
                condition = self.constant(self._operand(one, 1))
                if (
                    condition is not None
                    and condition.size == 1
                    and bool(condition.reshape(())) != bool(one.index)
                ):
                    return False
                continue
            if node.op != "Merge":
                left += [one.scope.ref(text.removeprefix("^")) for text in node.input]
        return True

    # ---- Constants -------------------------------------------------------------------------------------------------

    def constant(self, ref: Ref) -> Array | None:
        """Return the array of a constant; None for a value that is computed or is a variable."""
        found = self.source(ref)
        node = found.message
        if node.op == "LogicalNot":
            inner = self.constant(self._operand(found, 0))
            return None if inner is None else np.logical_not(inner)
        if node.op != "Const":
            return None
        return array_of(self.attributes(node)["value"].tensor)

    def texts(self, ref: Ref) -> list[str] | None:
        """Return the strings of a constant; None for other values."""
        found = self.source(ref)
        node = found.message
        if node.op != "Const":
            return None
        tensor = self.attributes(node)["value"].tensor
        return [text.decode("utf-8", "replace") for text in tensor.string_val]

    def in_order(self, wanted: list[Ref]) -> Iterator[Ref]:
        """Yield the nodes that these values depend on, in topological order, as references to their first results."""
        done: set[tuple[int, str]] = set()
        open_: set[tuple[int, str]] = set()
        stack = [(ref, False) for ref in reversed(wanted)]
        while stack:
            self._step()
            ref, is_ready = stack.pop()
            key = (id(ref.scope), ref.node)
            if key in done:
                continue
            if is_ready:
                open_.discard(key)
                done.add(key)
                yield Ref(ref.scope, ref.node)
                continue
            if key in open_:
                raise WeightsError(f"damaged: {shown(ref.name)} reads its own result")
            open_.add(key)
            stack.append((ref, True))
            if not self.is_input(ref) and ref.message.op not in VARIABLES:
                stack += [(operand, False) for operand in reversed(self.operands(ref))]
