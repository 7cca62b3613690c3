"""Convert masks with elements of minus infinity, which hide scores of attention from the softmax after them.

Weights of the engine are finite. So a masked score becomes a finite number whose softmax is 0, where that gives the
same results. Elsewhere minus infinity is computed as the logarithm of 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.known_results import Masked
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.tensor import FileTensor

#: A number that is added to masked scores. Their softmax is 0, and sums of two such numbers stay finite.
HIDDEN = float(np.finfo(np.float32).min) / 2

_SAME_NUMBERS = (ops.cast, ops.identity)  # operators between a mask and its softmax
_MAX_BETWEEN = 4


def is_mask(numbers: NDArray[np.float32]) -> bool:
    """Return True if a constant has elements of minus infinity, and all its other elements are finite."""
    hidden = np.isneginf(numbers)
    return bool(hidden.any() and np.isfinite(numbers[~hidden]).all())


def add_mask(c: Context, node: Node, x: FileTensor, mask: NDArray[np.float32]) -> FileTensor:
    """Add a constant mask with elements of minus infinity to scores.

    If all elements of a row are hidden, its softmax is NaN, as in ONNX and PyTorch.
    """
    mask = np.atleast_1d(mask)
    c.known.masked[node.outputs[0]] = Masked(node, x, mask)
    return _sum(c, Masked(node, x, mask), np.isneginf(mask))


def masked_scores(c: Context, softmax: Node, axis: int) -> FileTensor:
    """Return the operand of a softmax along an axis. A mask that was added to it hides elements by finite numbers."""
    name = softmax.inputs[0]
    for _ in range(_MAX_BETWEEN):
        masked = c.known.masked.get(name)
        if masked is not None and axis == max(masked.x.rank, masked.mask.ndim) - 1:
            hidden = np.isneginf(masked.mask)
            c.naming.begin(masked.node)
            scores = _sum(c, masked, np.broadcast_to(hidden.all(axis=-1, keepdims=True), hidden.shape))
            c.naming.begin(softmax)
            return scores
        maker = c.file.makers.get(name)
        if not ops.matches(maker, *_SAME_NUMBERS):
            break
        name = maker.inputs[0]
    return c.x(softmax)


def _sum(c: Context, masked: Masked, infinite: NDArray[np.bool_]) -> FileTensor:
    """Add a mask to scores. At `infinite` positions, the sum is minus infinity."""
    node, x, mask = masked
    finite = np.where(infinite, np.float32(0.0), np.where(np.isneginf(mask), np.float32(HIDDEN), mask))
    operands = []
    if finite.any():
        operands.append(constant_of_node(c, node, finite, "mask", x.rank))
    if infinite.any():
        seen = constant_of_node(c, node, (~infinite).astype(np.float32), "seen", x.rank)
        operands.append(seen.map("logarithm", "/infinite"))
    for place, operand in enumerate(operands, start=1):
        x = x.combine("add", operand, "" if place == len(operands) else "/masked")
    return x


def mask_where(c: Context, node: Node, x: FileTensor, condition: str, *, is_true: bool) -> FileTensor:
    """Make scores minus infinity where a condition of the file is true, or with `is_true` False, where it is not."""
    if c.is_constant(condition):
        hidden = c.constants.fixed(condition, "its condition").astype(bool) == is_true
        return add_mask(c, node, x, np.where(hidden, np.float32(-np.inf), np.float32(0.0)))
    seen = c.value(condition, whole_numbers=True).mark_as_floats()
    if is_true:
        seen = seen.linear(-1.0, 1.0, "/seen")
    return x.combine("add", seen.map("logarithm", "/infinite"))


def constant_of_node(
    c: Context, node: Node, numbers: NDArray[np.float32], what: str, rank: int | None
) -> FileTensor:
    """Return a constant that the converter makes for a node, as a layer's result."""
    name = f"{node.outputs[0]}/{what}"
    c.constants.put(name, np.ascontiguousarray(numbers))
    return c.constant(name, rank)
