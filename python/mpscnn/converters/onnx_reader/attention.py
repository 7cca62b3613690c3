"""Attention, ONNX' operator of whole attention layers: products, masks and softmax."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.broadcast import align
from mpscnn.converters.contractions import product_of
from mpscnn.converters.layout import Value
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.slicing import taken
from mpscnn.errors import UnsupportedError, WeightsError

_HEADS_RANK, _TOKENS_RANK = 4, 3
_FORBIDDEN = float(np.finfo(np.float32).min) / 2  # a sum with it has an exponential of 0, and no infinity


def _attention(c: Context, node: Node) -> None:
    for place, what in ((4, "past keys"), (5, "past values"), (6, "numbers of keys for each image")):
        if node.input(place) is not None:
            raise UnsupportedError(f"with {what} it is not supported")
    c.refuse_results(node, 1, "keys, values or scores for a later run")
    if node.integer("left_window_size", -1) >= 0 or node.integer("right_window_size", -1) >= 0:
        raise UnsupportedError("with a sliding window it is not supported")
    rank = next(c.value(name).rank for name in node.inputs[:3] if not c.is_constant(name))
    given = [c.constant(name, rank) if c.is_constant(name) else c.value(name) for name in node.inputs[:3]]
    if rank not in (_TOKENS_RANK, _HEADS_RANK) or any(x.rank != rank for x in given):
        raise WeightsError(f"damaged: attends from {given[0].shown} to {given[1].shown} and {given[2].shown}")
    if any(None in x.shape[1:] for x in given):
        raise UnsupportedError(f"attends from {given[0].shown} to {given[1].shown}, whose sizes are free")
    if rank == _TOKENS_RANK:
        counts = [node.integer("q_num_heads"), *[node.integer("kv_num_heads")] * 2]
        given = [_with_heads(c, x, count) for x, count in zip(given, counts, strict=True)]
    queries, keys, values = given
    keys, values = (_for_each_query(c, x, queries) for x in (keys, values))
    scale = node.number("scale", 1.0 / math.sqrt(queries.shape[3] or 1))
    scores = product_of(c.arranger, queries, keys.transposed((0, 1, 3, 2)))
    scaled = {"kind": "linear", "a": scale}
    scores = scores.holding(c.neuron(scores.tensor, scaled, c.layer_name(node, "/scale")))
    scores = _limited(c, node, scores)
    masks = _masks(c, node, scores)
    for mask in masks:
        both = align(c.arranger, scores, mask.bias)
        scores = both.result(c.network.add(both.first, both.second, name=c.layer_name(node, "/masked")))
    tensor, rest, tail = c.arranger.channels_last(scores, scores.axes[-1])
    shares = scores.lying(c.network.softmax(tensor, name=c.layer_name(node, "/softmax")), rest + tail)
    for factors in [mask.factors for mask in masks if mask.factors is not None]:
        both = align(c.arranger, shares, factors)
        shares = both.result(c.network.multiply(both.first, both.second, name=c.layer_name(node, "/shares")))
    y = product_of(c.arranger, shares, values)
    if rank == _TOKENS_RANK:
        (low, _, tokens, features), (high, *_) = y.stand_ins()
        heads = y.shape[1] or 1
        y = y.transposed((0, 2, 1, 3))
        shapes = ([batch, tokens, heads * features] for batch in (low, high))
        y = c.arranger.reshaped(y, *shapes)
    c.result(node, y)


def _with_heads(c: Context, x: Value, heads: int) -> Value:
    """(n, tokens, heads * features) as (n, heads, tokens, features)."""
    (low, tokens, features), (high, *_) = x.stand_ins()
    if heads < 1 or features % heads:
        raise WeightsError(f"damaged: makes {heads} heads of {x.shown}")
    parts = [tokens, heads, features // heads]
    return c.arranger.reshaped(x, [low, *parts], [high, *parts]).transposed((0, 2, 1, 3))


def _for_each_query(c: Context, x: Value, queries: Value) -> Value:
    """Repeat the heads of keys or values, each of which belongs to several heads of queries in a row."""
    own, wanted = x.shape[1] or 1, queries.shape[1] or 1
    if own == wanted:
        return x
    if wanted % own:
        raise WeightsError(f"damaged: {own} heads of keys for {wanted} heads of queries")
    return taken(c.arranger, x, 1, [head * own // wanted for head in range(wanted)])


@dataclass(frozen=True)
class _Mask:
    """A mask: what it adds to scores, and factors of the shares, which are 0 for queries that attend to no key."""

    bias: Value
    factors: Value | None


def _masks(c: Context, node: Node, scores: Value) -> list[_Mask]:
    """Return the mask, whose truths mean that a query attends to a key, and that of the keys that come later."""
    name = node.input(3)
    tokens, keys = scores.shape[2] or 1, scores.shape[3] or 1
    bias, masks = None, []
    if node.integer("is_causal", 0):
        c.constants.count_weight(4 * tokens * keys)
        bias = np.where(np.tri(tokens, keys, dtype=bool), np.float32(0.0), np.float32(_FORBIDDEN))
    if name is not None and c.is_constant(name):
        stored = c.constants.fixed(name, "its mask")
        if stored.dtype.kind == "b":
            stored = np.where(stored, np.float32(0.0), np.float32(_FORBIDDEN))
        if stored.ndim == 0 or stored.shape[-1] != keys:
            raise UnsupportedError(f"its mask {stored.shape} is for fewer keys than {scores.shown}")
        stored = np.maximum(stored.astype(np.float32), np.float32(_FORBIDDEN))
        bias = stored if bias is None else np.where(bias < 0.0, bias, stored)
    elif name is not None:
        masks.append(_computed_mask(c, node, scores, c.value(name, whole_numbers=True)))
    if bias is not None:
        attends = bias.max(axis=-1, keepdims=True) > _FORBIDDEN
        factors = None if attends.all() else _constant(c, node, attends.astype(np.float32), "factors")
        masks.append(_Mask(_constant(c, node, bias, "mask"), factors))
    return masks


def _constant(c: Context, node: Node, numbers: NDArray[np.float32], what: str) -> Value:
    name = f"{node.outputs[0]}/{what}"
    c.constants.put(name, np.ascontiguousarray(numbers))
    return c.constant(name, _HEADS_RANK)


def _computed_mask(c: Context, node: Node, scores: Value, mask: Value) -> _Mask:
    if mask.shape[-1:] != scores.shape[3:]:
        raise UnsupportedError(f"its mask {mask.shown} is for fewer keys than {scores.shown}")
    if not mask.whole_numbers:
        return _Mask(mask, None)
    truths = Value(mask.tensor, mask.axes, mask.order)
    line = {"kind": "linear", "a": -_FORBIDDEN, "b": _FORBIDDEN}
    return _Mask(truths.holding(c.neuron(truths.tensor, line, c.layer_name(node, "/mask"))), truths)


def _limited(c: Context, node: Node, scores: Value) -> Value:
    cap = node.number("softcap", 0.0)
    if cap <= 0.0:
        return scores
    function = {"kind": "tanh", "a": cap, "b": 1.0 / cap}
    return scores.holding(c.neuron(scores.tensor, function, c.layer_name(node, "/softcap")))


ATTENTION: dict[str, Handler] = {"Attention": _attention}
