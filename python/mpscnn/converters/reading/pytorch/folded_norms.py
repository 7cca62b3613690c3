"""Fold batch normalizations with constant statistics into the convolutions and dense layers before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from mpscnn.converters.reading.pytorch.aten.nodes import fake_tensors, operator_name
from mpscnn.converters.reading.pytorch.aten.writer import Results, Writer
from mpscnn.converters.values.rows import Row

_FORWARD = frozenset({f"conv{space}d.{form}" for space in "12" for form in ("default", "padding")})
_TRANSPOSED = frozenset({"conv_transpose1d.default", "conv_transpose2d.input"})
_DENSE = "linear.default"
_GROUPS = 6  # the position of the groups among the arguments of transposed convolutions
# The number of arguments of a batch normalization before the momentum; the last one says whether it is in training.
_NORMS = {"batch_norm.default": 6, "_native_batch_norm_legit_no_training.default": 5}


@dataclass(frozen=True)
class FoldedNorm:
    """A batch normalization that becomes a part of the layer before it.

    Attributes:
        norm: the batch normalization.
        weight, bias: the weights of the layer with the batch normalization in it.
    """

    norm: Node
    weight: torch.Tensor
    bias: torch.Tensor


def foldable_norms(graph: torch.fx.Graph) -> dict[Node, Node]:
    """Return the batch normalizations that may be folded, by the convolution or dense layer before each."""
    found: dict[Node, Node] = {}
    for norm in graph.nodes:
        if operator_name(norm) not in _NORMS or True in norm.args[: _NORMS[operator_name(norm)]]:
            continue
        product = norm.args[0]
        kind = operator_name(product)
        is_rows = kind == _DENSE and fake_tensors(product)[0].dim() == 2
        if (kind in _FORWARD | _TRANSPOSED or is_rows) and set(product.users) == {norm}:
            found[product] = norm
    return found


def folded(product: Node, norm: Node, known: Mapping[Node, Any]) -> FoldedNorm | None:
    """Return a batch normalization with the weights of the layer that it becomes a part of.

    Returns None if not all weights are constant, or if a weight would not be finite.
    """
    weight, bias = product.args[1], _argument(product, 2)
    factors = norm.args[1:5]
    if weight not in known or any(node is not None and node not in known for node in (bias, *factors)):
        return None
    gamma, beta, mean, variance = (None if node is None else known[node].double() for node in factors)
    if mean is None or variance is None:
        return None
    epsilon = float(norm.args[_NORMS[operator_name(norm)] + 1])
    scale = torch.rsqrt(variance + epsilon) * (1.0 if gamma is None else gamma)
    before = 0.0 if bias is None else known[bias].double()
    shift = (before - mean) * scale + (0.0 if beta is None else beta)
    made = _scaled(known[weight].double(), scale, product).float()
    if not bool(made.isfinite().all() and shift.float().isfinite().all()):
        return None
    return FoldedNorm(norm, made, shift.float())


def has_zero_bias(node: Node, known: Mapping[Node, Any]) -> bool:
    """Return True for a convolution or dense layer whose bias is all zeros."""
    bias = _argument(node, 2) if operator_name(node) in (_FORWARD | _TRANSPOSED | {_DENSE}) else None
    return isinstance(bias, Node) and bias in known and not bool(known[bias].any())


def with_bias(row: Row, bias: np.ndarray[Any, Any] | None) -> Row:
    """Return the row of a convolution or dense layer with another bias; None: without a bias."""

    def write(g: Writer, x: str, weight: str, _: str | None = None, *rest: Any, **named: Any) -> Results:
        made: Results = row(g, x, weight, None if bias is None else g.constant(bias), *rest, **named)
        return made

    return write


def _scaled(weight: torch.Tensor, scale: torch.Tensor, product: Node) -> torch.Tensor:
    """Multiply the weights of each output channel by its factor."""
    if operator_name(product) not in _TRANSPOSED:
        return weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    groups = int(_argument(product, _GROUPS) or 1)
    apart = weight.reshape(groups, -1, *weight.shape[1:])
    return (apart * scale.reshape(groups, 1, -1, *[1] * (weight.dim() - 2))).reshape(weight.shape)


def _argument(node: Node, place: int) -> Any:
    return node.args[place] if len(node.args) > place else None
