"""Convert local response normalization: LRN, and the nodes to which PyTorch exports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.array_ops import ConstantAxes, Pads, PadValue, borders
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Axes, Computed, call_row
from mpscnn.converters.values.layout import Arranged
from mpscnn.converters.values.rows import Name, Positive, Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import Error, UnsupportedError

# The nodes that PyTorch exports for x / (alpha * average of the squares + k) ^ beta. The average is over a window of
# channels. It is computed by AveragePool, after a new axis and a border of zeros have made the channels an image axis.
_NODES: tuple[tuple[Callable[..., Any], ...], ...] = (
    (ops.multiply, ops.power),
    (ops.unsqueeze, ops.reshape),
    (ops.pad,),
    (ops.average_pool,),
    (ops.squeeze, ops.reshape),
    (ops.multiply,),
    (ops.add,),
    (ops.power,),
    (ops.divide,),
)


_Settings = tuple[tuple[int, int], float, float, float]


def begins_local_response_norm(c: Context, node: Node) -> bool:
    """Convert the exported nodes of a local response normalization to one layer, if `node` is the first of them."""
    if not ops.matches(node, *_NODES[0]) or node.inputs[0] not in c.values:
        return False
    again: list[Node] = []
    nodes = _chain(c, node, again)
    settings = _settings(c, nodes, again) if nodes else None
    if settings is None:
        return False
    c.known.merged.update(map(id, [*nodes, *again]))
    c.naming.begin(nodes[-1])
    c.put(nodes[-1], _layer(c.x(node), *settings))
    return True


def _chain(c: Context, first: Node, again: list[Node]) -> list[Node]:
    """Return the chain of nodes, each the single consumer of the one before; empty if a node differs.

    Reshapes between them are added to `again`. The caller checks that they do not change the shape.
    """
    nodes = [first]
    last = first
    for functions in _NODES[1:]:
        node = c.only_user(last.outputs[0])
        if ops.matches(node, ops.reshape) and ops.reshape not in functions:
            again.append(node)
            node = c.only_user(node.outputs[0])
        if not ops.matches(node, *functions):
            return []
        nodes.append(node)
        last = node
    is_divided = list(nodes[-1].inputs) == [first.inputs[0], nodes[-2].outputs[0]]
    return nodes if is_divided and nodes[-2].inputs[0] == nodes[-3].outputs[0] else []


def _settings(c: Context, nodes: list[Node], again: list[Node]) -> _Settings | None:
    """Return the window, alpha, beta and k; None if the nodes compute something else."""
    square, front, border, average, back, scaled, moved, power, _ = nodes
    try:
        x = c.value(square.inputs[0])
        if not (_is_square(c, square) and x.rank in (3, 4) and x.has_batch_first and None not in x.shape[1:]):
            return None
        window = average.integers("kernel_shape")
        pads, value, mode = call_row(_border, border, c.constants, c)
        size = window[0]
        wanted = [0] * (2 * x.rank + 2)
        wanted[2], wanted[x.rank + 3] = size // 2, (size - 1) // 2
        fits = (
            window == [size] + [1] * (x.rank - 2)
            and (borders(x.rank + 1, *pads), value, mode) == (wanted, 0.0, "constant")
            and set(average.integers("strides", [1]) + average.integers("dilations", [1])) == {1}
            and not any(average.integers("pads", [0]))
            and average.text("auto_pad", "NOTSET") in ("NOTSET", "VALID")
            and _gives_axes(c, front, x, x.expand_dims([1]))
            and _gives_axes(c, back, x.expand_dims([1]), x)
            and all(
                len(again) == 1 and scaled.inputs[0] == one.outputs[0] and _gives_axes(c, one, x, x)
                for one in again
            )
        )
        before = again[0] if again else back
        alpha, k = (_other(c, node, other) for node, other in ((scaled, before), (moved, scaled)))
        beta = c.constants.number(power.input(1), "its exponent")
    except Error:  # the conversion of the node itself reports it
        return None
    return ((size // 2, (size - 1) // 2), alpha, beta, k) if fits else None


def _is_square(c: Context, node: Node) -> bool:
    if ops.matches(node, ops.multiply):
        return node.inputs[0] == node.inputs[1]
    return c.constants.number(node.input(1), "its exponent") == 2.0


def _other(c: Context, node: Node, before: Node) -> float:
    """Return the constant operand of a sum or product whose other operand is the result of the node before."""
    first, second = node.inputs
    return c.constants.number(second if first == before.outputs[0] else first, "its operand")


def _gives_axes(c: Context, node: Node, x: Arranged, wanted: Arranged) -> bool:
    """Return True if an Unsqueeze, Squeeze or Reshape of x gives the same axes as `wanted`."""
    if ops.matches(node, ops.reshape):
        made = x.view(*c.constants.shapes(node.input(1), "the new shape"))
    else:
        change = x.expand_dims if ops.matches(node, ops.unsqueeze) else x.squeeze
        made = change(call_row(_stated_axes, node, c.constants, c))
    return made.axes == wanted.axes


def _border(
    _: Name, pads: Pads, value: PadValue = 0.0, axes: ConstantAxes | None = None, *, mode: str = "constant"
) -> Any:
    """Return the settings of a Pad."""
    return (pads, axes), value, mode


def _stated_axes(_: Name, axes: Axes = ()) -> Any:
    """Return the axes of a Squeeze or Unsqueeze."""
    return axes


def _local_response(
    x: Computed, *, size: Positive, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> FileTensor:
    """Convert LRN. In ONNX as in mpscnn, `alpha` is divided by the size of the window."""
    return _layer(x, ((size - 1) // 2, size // 2), alpha, beta, bias)


def _layer(x: FileTensor, window: tuple[int, int], alpha: float, beta: float, k: float) -> FileTensor:
    """Add layers for x * (alpha * mean of squares + k) ^ -beta.

    `window` has the numbers of channels before and after each channel. If the two differ, the sums of squares are
    computed by a product with a matrix of ones and zeros.
    """
    before, after = window
    size = before + after + 1
    if before == after:
        name = x.arranger.name("")
        y = x.network.local_response_norm(x.image(), size, alpha=alpha, beta=beta, k=k, name=name)
        return x.wrap_image(y)
    channels = x.shape[1] if x.rank > 1 else None
    if channels is None:
        raise UnsupportedError(f"sums channels of {x.shown}, whose number is free")

    def band() -> NDArray[np.float32]:
        return np.tri(channels, k=after, dtype=np.float32) - np.tri(channels, k=-before - 1, dtype=np.float32)

    squares = x.map({"kind": "power", "a": 1.0, "b": 0.0, "c": 2.0}, "/squares")
    sums = squares.multiply_by_matrix(1, channels, band)
    return x * sums.map({"kind": "power", "a": alpha / size, "b": k, "c": -beta}, "/factors")


RESPONSES: dict[str, Row] = {"LRN": _local_response}
