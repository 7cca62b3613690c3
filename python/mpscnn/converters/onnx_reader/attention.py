"""Convert ONNX' operator Attention to matrix products, masks and softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.onnx_reader.attention_masks import HIDDEN, constant_of_node
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.microsoft_operators import PADDING_MASK
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_HEADS_RANK, _TOKENS_RANK = 4, 3
_TO_HALF = 2.0**-115  # brings HIDDEN into the range of float16, so that numbers can be compared with it there


def _attention(c: Context, node: Node) -> FileTensor:
    for place, what in ((4, "past keys"), (5, "past values"), (6, "numbers of keys for each image")):
        if node.input(place) is not None:
            raise UnsupportedError(f"with {what} it is not supported")
    c.refuse_results(node, 1, "keys, values or scores for a later run")
    if node.integer("left_window_size", -1) >= 0 or node.integer("right_window_size", -1) >= 0:
        raise UnsupportedError("with a sliding window it is not supported")
    given = c.tensors(node.inputs[:3])
    rank = given[0].rank
    if rank not in (_TOKENS_RANK, _HEADS_RANK) or any(x.rank != rank for x in given):
        raise WeightsError(f"damaged: attends from {given[0].shown} to {given[1].shown} and {given[2].shown}")
    if any(None in x.shape[1:] for x in given):
        raise UnsupportedError(f"attends from {given[0].shown} to {given[1].shown}, whose sizes are free")
    if rank == _TOKENS_RANK:
        counts = [node.integer("q_num_heads"), *[node.integer("kv_num_heads")] * 2]
        given = [_with_heads(x, count) for x, count in zip(given, counts, strict=True)]
    queries, keys, values = given
    keys, values = (_for_each_query(x, queries) for x in (keys, values))
    scale = node.number("scale", 1.0 / math.sqrt(queries.shape[3] or 1))
    scores = queries.matmul(keys.transpose((0, 1, 3, 2)), scale)
    cap = node.number("softcap", 0.0)
    if cap > 0.0:
        scores = scores.map({"kind": "tanh", "a": cap, "b": 1.0 / cap}, "/softcap")
    masks = _masks(c, node, scores)
    for mask in masks:
        scores = scores.combine("add", mask.bias, "/masked")
    shares = scores.softmax([3])
    for mask in masks:
        if mask.factors is not None:
            shares = shares.combine("multiply", mask.factors, "/shares")
    y = shares @ values
    if rank == _TOKENS_RANK:
        (low, heads, tokens, features), (high, *_) = y.trial_shapes()
        shapes = ([batch, tokens, heads * features] for batch in (low, high))
        y = y.transpose((0, 2, 1, 3)).reshape_to(*shapes)
    return y


def _with_heads(x: FileTensor, heads: int) -> FileTensor:
    """Reshape (n, tokens, heads * features) to (n, heads, tokens, features)."""
    (low, tokens, features), (high, *_) = x.trial_shapes()
    if heads < 1 or features % heads:
        raise WeightsError(f"damaged: makes {heads} heads of {x.shown}")
    parts = [tokens, heads, features // heads]
    return x.reshape_to([low, *parts], [high, *parts]).transpose((0, 2, 1, 3))


def _for_each_query(x: FileTensor, queries: FileTensor) -> FileTensor:
    """Repeat the heads of keys or values for grouped-query attention.

    There each head of keys belongs to several consecutive heads of queries.
    """
    own, wanted = x.shape[1] or 1, queries.shape[1] or 1
    if own == wanted:
        return x
    if wanted % own:
        raise WeightsError(f"damaged: {own} heads of keys for {wanted} heads of queries")
    x.arranger.budget.spend(Cost.of_list(wanted))
    return x.take(1, [head * own // wanted for head in range(wanted)])


@dataclass(frozen=True)
class _Mask:
    """An attention mask.

    Attributes:
        bias: the numbers that are added to the scores before softmax.
        factors: numbers that multiply the result of softmax, so that queries which may attend to no key get zeros: 0
            for these queries, or for each hidden key; otherwise 1. None: there are no such queries.
    """

    bias: FileTensor
    factors: FileTensor | None


def _masks(c: Context, node: Node, scores: FileTensor) -> list[_Mask]:
    """Return the masks of the node: its mask input, and the causal mask, which hides keys after the query.

    True in a boolean mask means that the query attends to the key.
    """
    name = node.input(3)
    tokens, keys = scores.shape[2] or 1, scores.shape[3] or 1
    bias, masks = None, []
    if node.flag("is_causal", default=False):
        c.constants.count_weight(4 * tokens * keys)
        bias = np.where(np.tri(tokens, keys, dtype=bool), np.float32(0.0), np.float32(HIDDEN))
    if name is not None and c.is_constant(name):
        stored = c.constants.fixed(name, "its mask")
        if stored.dtype.kind == "b":
            stored = np.where(stored, np.float32(0.0), np.float32(HIDDEN))
        if stored.ndim == 0 or stored.shape[-1] != keys:
            raise UnsupportedError(f"its mask {stored.shape} is for fewer keys than {scores.shown}")
        stored = np.maximum(stored.astype(np.float32), np.float32(HIDDEN))
        bias = stored if bias is None else np.where(bias < 0.0, bias, stored)
    elif name is not None:
        masks.append(_computed_mask(scores, c.value(name, whole_numbers=True)))
    if bias is not None:
        attends = bias > HIDDEN
        if not masks:  # two masks may hide all keys of a query together, so the factors then are for each key
            attends = attends.any(axis=-1, keepdims=True)
            # A row of minus infinities in float16 would give NaN.
            bias = np.where(attends, bias, np.float32(0.0))
        factors = (
            None
            if attends.all()
            else constant_of_node(c, node, attends.astype(np.float32), "factors", _HEADS_RANK)
        )
        masks.append(_Mask(constant_of_node(c, node, bias, "mask", _HEADS_RANK), factors))
    return masks


def _computed_mask(scores: FileTensor, mask: FileTensor) -> _Mask:
    if mask.shape[-1:] != scores.shape[3:]:
        raise UnsupportedError(f"its mask {mask.shown} is for fewer keys than {scores.shown}")
    if not mask.whole_numbers:
        finite = mask.map({"kind": "clamp", "a": HIDDEN, "b": -2.0 * HIDDEN}, "/mask")
        hidden = mask.linear(_TO_HALF, suffix="/range").less_than(2.0 * HIDDEN * _TO_HALF, "/hidden")
        return _Mask(finite, hidden.linear(-1.0, 1.0, "/seen"))
    truths = mask.mark_as_floats()
    return _Mask(truths.linear(-HIDDEN, HIDDEN, "/mask"), truths)


def _padding_mask(c: Context, node: Node) -> FileTensor:
    """Convert `PADDING_MASK`: 0 for keys whose mask is 1, and a number far below 0 for those whose mask is 0."""
    mask = c.tensor(node.inputs[0], whole_numbers=True)
    if mask.rank != 2:
        raise UnsupportedError(f"its mask is {mask.shown}; supported is a number for each key, (n, keys)")
    hidden = node.number("value")
    return mask.mark_as_floats().linear(-hidden, hidden, "/mask").expand_dims([1, 2])


ATTENTION: dict[str, Handler] = {"Attention": _attention, PADDING_MASK: _padding_mask}
