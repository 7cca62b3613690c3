"""Replace operators by standard operators of ONNX that compute the same, before the graph is converted.

A row of a table writes the nodes of one operator. So all that is known of the standard operators holds for it, too:
constants are computed, activations are fused, and quantizations are kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.reading.onnx.node import Node, OwnKind
from mpscnn.converters.values.rows import Name, Row, call
from mpscnn.errors import UnsupportedError, WeightsError

CHANNELS_FIRST, CHANNELS_LAST = OwnKind("ChannelsFirst"), OwnKind("ChannelsLast")
"""Operators that ONNX lacks: they move the channels to the second axis, or to the last one, for any rank."""

ALIGNED = OwnKind("Aligned")
"""An operator that ONNX lacks: it adds axes of extent 1 after those of its first operand.

The first axis of that operand then meets the axis of the second operand whose number is the attribute `axis`.
"""

JOINT_SOFTMAX = OwnKind("JointSoftmax")
"""An operator that ONNX lacks since opset 13: a softmax over an axis and all axes after it together."""

UNIT_NORM = OwnKind("UnitNorm")
"""An operator that ONNX lacks: x / sqrt(sum of squares over `axes` + `epsilon`). It stands for four others."""

IMAGE = OwnKind("Image")
"""An operator that ONNX lacks: it turns numbers (n, channels) into an image (n, 1, 1, channels). Images stay."""

PART = OwnKind("Slice")
"""An operator that ONNX lacks: it takes a part of each axis. Its attribute `entries` has their slices, as in NumPy."""

COMPUTED = OwnKind("Computed")
"""An operator that ONNX lacks: its attribute `function` computes an array of the arrays of its operands."""

CAST_OF_FLOATS = OwnKind("Cast")
"""An operator that ONNX lacks: it copies a tensor between layers in float16 and layers kept in float32."""

CHANNEL_GROUP_NORM = OwnKind("GroupNormalization")
"""GroupNormalization with factors for each channel, as since opset 21, in a file of any opset."""

UNPACKED = OwnKind("Unpacked")
"""An operator that ONNX lacks: each byte of its operand becomes several floats. Floats stay as they are."""

BLOCK_TABLE = OwnKind("BlockTable")
"""An operator that ONNX lacks: it computes the numbers of a table of few bits, with a scale for each block.

The operands are integers, scales and zero points, the attributes `axis`, `block_size` and `bits`. Bytes are packed
along the last axis, and have the zero point 2^(bits - 1) if none is given. Integers of 4 bits have the zero point 0.
"""

TRANSPOSED = OwnKind("TransposeLast")
"""An operator that ONNX lacks: it swaps the last two axes, for any rank."""

ROWS_FROM_FRONT = OwnKind("RowsFromFront")
"""An operator that ONNX lacks: it moves the first axis before the last one, for any rank."""


Operand = str | float | Sequence[Any] | None
"""The name of a tensor, a number, or a list of whole numbers; None: an operand that is left out."""


class Operators(ABC):
    """Operators of ONNX that are added to a graph one by one. Tensors are referred to by name.

    Attributes:
        layer: the name of the layer to which the operators belong that are added next.
    """

    layer = ""
    _named_by_layer = False  # whether nodes have the name of their layer, and not that of their result

    def op(self, kind: str, /, *inputs: Operand, **attributes: Any) -> str:
        """Add an operator with one result and return the result's name; see `ops`."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(
        self, kind: str, inputs: Sequence[Operand], results: int | Sequence[str], /, **attributes: Any
    ) -> list[str]:
        """Add an operator and return the names of its results.

        Args:
            kind: the name of the operator in ONNX.
            inputs: the names of its operands. An operand can also be a number or a list of whole numbers.
            results: the number of its results, or their names.
            attributes: its attributes.
        """
        name = f"{self.layer}/{kind.rpartition('.')[2].lower()}"
        made = [self.unique(name) for _ in range(results)] if isinstance(results, int) else [*results]
        title = self.layer if self._named_by_layer else made[0]
        self._add(Node(kind, [*map(self._named, inputs)], made, attributes, title))
        return made

    @abstractmethod
    def unique(self, name: str) -> str:
        """Return a name that no tensor has: this one, or the same with a number."""

    @abstractmethod
    def constant(self, array: NDArray[Any], name: str = "") -> str:
        """Add a constant and return its name, which begins with `name`."""

    def number(self, value: float) -> str:
        """Return the name of a constant number."""
        return self.constant(np.asarray(value, np.float32), f"{self.layer}/number")

    def integers(self, values: Sequence[Any]) -> str:
        """Return the name of a list of whole numbers, such as a shape or axes."""
        return self.constant(np.asarray(values, np.int64), f"{self.layer}/integers")

    def _named(self, operand: Operand) -> str:
        """Return the name of an operand. A number or a list is added as a constant."""
        if operand is None or isinstance(operand, str):
            return operand or ""
        return self.integers(operand) if isinstance(operand, Sequence) else self.number(operand)

    @abstractmethod
    def _add(self, node: Node) -> None:
        """Add a node."""


class Expansion(Operators):
    """Writes the nodes that one operator of a file becomes.

    Args:
        node: the operator.
        unique: makes a name that no tensor of the graph has.

    Attributes:
        nodes: the nodes that were written.
        notes: sentences about the operator for the user.
    """

    def __init__(self, node: Node, unique: Callable[[str], str]) -> None:
        self.layer = node.layer
        self.node = node
        self.nodes: list[Node] = []
        self.notes: list[str] = []
        self._unique = unique

    def unique(self, name: str) -> str:
        """Return a name that no tensor has: this one, or the same with a number."""
        return self._unique(name)

    def constant(self, array: NDArray[Any], name: str = "") -> str:
        """Write a constant, and return its name. All constants of an operator have similar names."""
        del name
        return self.op("Constant", value=array)

    def end(self, kind: str, /, *inputs: Operand, **attributes: Any) -> None:
        """Write the node with the operator's own name and results."""
        self.end_part(self.node.outputs, kind, *inputs, **attributes)

    def end_part(self, results: Sequence[str], kind: str, /, *inputs: Operand, **attributes: Any) -> None:
        """Write a node with the operator's own name and some of its results."""
        self._add(
            Node(kind, [*map(self._named, inputs)], results, attributes, self.node.name, self.node.layer)
        )

    def _add(self, node: Node) -> None:
        self.nodes.append(node)

    def end_with_activation(self, x: str, activation: str, **attributes: Any) -> None:
        """Write an activation as the last node, by its name in ONNX. An empty name stands for none."""
        kind = activation or "Identity"
        limits = [attributes.get(name, 0.0) for name in ("min", "max")] if kind == "Clip" else []
        self.end(kind, x, *limits, **attributes)


def written_as(kind: str) -> Row:
    """Return the row of an operator that ONNX has by this name, with the same operands and settings."""

    def row(e: Expansion, *operands: Name, **settings: Any) -> None:
        e.end(kind, *operands, **settings)

    return row


def expanded(
    nodes: Iterable[Node], rows: Mapping[str, Row], names: LayerNames, maximum: float = math.inf
) -> list[Node]:
    """Return the nodes, with those of the table replaced. An operator whose row refuses it stays, with the reason.

    Args:
        nodes: the nodes of a graph in any order.
        rows: the functions by operator.
        names: makes the names of new tensors.
        maximum: the maximum number of nodes that rows may write.

    Raises:
        UnsupportedError: rows write more nodes.
    """
    result: list[Node] = []
    waiting = [(node, rows.get(node.kind)) for node in nodes][::-1]
    written = 0
    while waiting:
        node, row = waiting.pop()
        made = [node] if row is None else _replaced(node, row, names)
        if made == [node]:
            result.append(node)
        else:  # a row that keeps the kind of its operator has changed all that it changes
            written += len(made)
            if written > maximum:
                raise UnsupportedError(
                    f"its composed operators stand for more than {maximum} simpler ones, which is the limit for a file "
                    "of its size"
                )
            waiting += [
                (one, None if one.kind == node.kind else rows.get(one.kind)) for one in reversed(made)
            ]
    return result


def _replaced(node: Node, row: Row, names: LayerNames) -> list[Node]:
    """Return the nodes that a row writes. They may be replaced again, by other rows."""
    expansion = Expansion(node, names.unique)
    operands = [name or None for name in node.inputs]
    try:
        call(row, operands, node.settings, lambda _, name: name, {Expansion: expansion})
    except UnsupportedError as error:
        node.refused = str(error)
        return [node]
    except WeightsError as error:
        raise WeightsError(f"layer {quote_name(node.name)} ({node.kind}): {error}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # These errors replace many separate checks, as in `UnsupportedLayers.attempt`.
        raise WeightsError(
            f"damaged: layer {quote_name(node.name)} ({node.kind}) contradicts itself: its inputs and settings do not "
            "fit each other"
        ) from error
    for made in expansion.nodes:
        made.notes += expansion.notes
    return expansion.nodes
