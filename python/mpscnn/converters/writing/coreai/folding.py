"""Fold batch normalizations into the convolutions before them, as mpscnn does when it compiles a network.

Core AI has no batch normalization. As a product and a sum it would round twice more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WINDOWS = ("Conv", "ConvTranspose")


def fold_normalizations(
    nodes: Sequence[Any], outputs: Sequence[str], constants: dict[str, NDArray[Any]], kept: Container[str]
) -> list[Any]:
    """Return the nodes of an ONNX graph, without the batch normalizations that convolutions include.

    Args:
        nodes: the nodes in order. Those of convolutions are changed.
        outputs: the names of the graph's outputs.
        constants: the constants by name, to which the new weights are added.
        kept: the names of layers whose weights stay as they are.
    """
    makers = {node.output[0]: node for node in nodes}
    uses = Counter(outputs) + Counter(name for node in nodes for name in node.input)
    left = []
    for node in nodes:
        window = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        is_foldable = (
            window is not None
            and window.op_type in _WINDOWS
            and uses[node.input[0]] == 1
            and window.doc_string not in kept
            and all(name in constants for name in (*window.input[1:], *node.input[1:]))
        )
        if not is_foldable or not _fold(window, node, constants):
            left.append(node)
            continue
        makers[node.output[0]] = window
    return left


def _fold(window: Any, node: Any, constants: dict[str, NDArray[Any]]) -> bool:
    """Give a convolution the weights that include a normalization. Return False if they are beyond float32."""
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:])
    settings = {entry.name: entry for entry in node.attribute}
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + settings["epsilon"].f)
        bias = constants[window.input[2]] * scale if len(window.input) > 2 else 0.0
        parts = [
            (constants[window.input[1]] * _of_each_output(window, scale, constants)).astype(np.float32),
            (bias + (beta - mean * scale)).astype(np.float32),
        ]
    if not all(np.isfinite(part).all() for part in parts):
        return False
    names = [f"{node.output[0]}/{role}" for role in ("weight", "bias")]
    constants.update(zip(names, parts, strict=True))
    window.input[1:] = names
    window.output[0] = node.output[0]
    return True


def _of_each_output(
    window: Any, scale: NDArray[Any], constants: dict[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """Return one number for each output channel in a form that broadcasts to the weights."""
    weight = constants[window.input[1]]
    ones = [1] * (weight.ndim - 2)
    if window.op_type == "Conv":
        return scale.reshape(-1, 1, *ones)
    groups = len(scale) // weight.shape[1]
    each = np.repeat(scale.reshape(groups, weight.shape[1]), weight.shape[0] // groups, axis=0)
    return each.reshape(*weight.shape[:2], *ones)
