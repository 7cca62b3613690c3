"""Convert ONNX' operator Attention to matrix products, masks and softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import STOP_BEFORE
from mpscnn.converters.reading.onnx.attention_masks import HIDDEN, constant_of_node
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.microsoft_operators import PADDING_MASK
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import ConstantOrComputed
from mpscnn.converters.values.rows import Name, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_HEADS_RANK, _TOKENS_RANK = 4, 3
_MASKED = 2  # the number of the result that has the scores after masks were added
_TO_HALF = 2.0**-115  # brings HIDDEN into the range of float16, so that numbers can be compared with it there


@dataclass(frozen=True)
class _Masking:
    """The masks that a file states.

    Attributes:
        mask: the name of the operand with a mask; None: there is none.
        counts: the name of the operand with the number of keys of each image; None: there is none.
        left, right: how many keys before and after a query it may attend to; -1: all.
    """

    mask: str | None
    counts: str | None
    left: int
    right: int


@ignores("softmax_precision")
def _attention(
    c: Context, node: Node, q: Name, k: Name, v: Name, mask: Name | None = None, past_key: Name | None = None,
    past_value: Name | None = None, counts: Name | None = None, *, q_num_heads: int | None = None,
    kv_num_heads: int | None = None, scale: float | None = None, softcap: float = 0.0, is_causal: bool = False,
    left_window_size: int = -1, right_window_size: int = -1, qk_matmul_output_mode: Literal[0, 1, 2, 3] = 0,
) -> list[FileTensor]:  # fmt: skip
    """Convert Attention. Its results are the values, the keys and values for a later run, and the scores.

    The causal mask hides all keys after the query.
    """
    masking = _Masking(mask, counts, left_window_size, 0 if is_causal else right_window_size)
    given = c.tensors([q, k, v])
    rank = given[0].rank
    if rank not in (_TOKENS_RANK, _HEADS_RANK) or any(x.rank != rank for x in given):
        raise WeightsError(f"damaged: attends from {given[0].shown} to {given[1].shown} and {given[2].shown}")
    if any(None in x.shape[1:] for x in given):
        raise UnsupportedError(f"attends from {given[0].shown} to {given[1].shown}, whose sizes are free")
    if rank == _TOKENS_RANK:
        if q_num_heads is None or kv_num_heads is None:
            missing = "q_num_heads" if q_num_heads is None else "kv_num_heads"
            raise WeightsError(f"damaged: it has no {missing}")
        heads_of = [q_num_heads, kv_num_heads, kv_num_heads]
        given = [_with_heads(x, count) for x, count in zip(given, heads_of, strict=True)]
    queries, *own = given
    kept, earlier = _after_past(c, past_key, past_value, own)
    keys, values = (_for_each_query(x, queries) for x in kept)
    scale = 1.0 / math.sqrt(queries.shape[3] or 1) if scale is None else scale
    scores = queries.matmul(keys.transpose((0, 1, 3, 2)), scale)
    products = scores
    if softcap > 0.0:
        scores = scores.map({"kind": "tanh", "a": softcap, "b": 1.0 / softcap}, "/softcap")
    capped = scores
    masks = _masks(c, node, scores, earlier, masking)
    for one in masks:
        scores = scores.combine("add", one.bias, "/masked")
    shares = scores.softmax([3])
    for one in masks:
        if one.factors is not None:
            shares = shares.combine("multiply", one.factors, "/shares")
    y = shares @ values
    if rank == _TOKENS_RANK:
        (low, heads, tokens, features), (high, *_) = y.trial_shapes()
        shapes = ([batch, tokens, heads * features] for batch in (low, high))
        y = y.transpose((0, 2, 1, 3)).reshape_to(*shapes)
    if not any(map(c.is_used, node.outputs[3:])):
        return [y, *kept]
    stage = qk_matmul_output_mode
    return [
        y,
        *kept,
        _masked(capped, masks) if stage == _MASKED else {0: products, 1: capped, 3: shares}[stage],
    ]


def _masked(scores: FileTensor, masks: Sequence[_Mask]) -> FileTensor:
    """Return the sum of scores and masks, as a result of the file."""
    for mask in masks:
        if mask.stated is None:
            raise UnsupportedError(
                f"its result of masked scores may be infinite, which is not supported: {STOP_BEFORE}"
            )
        scores = scores.combine("add", mask.stated, "/scores")
    return scores


def _after_past(
    c: Context, key: str | None, value: str | None, own: Sequence[FileTensor]
) -> tuple[list[FileTensor], int]:
    """Return the keys and values after those of earlier runs, and the number of the earlier ones."""
    if key is None and value is None:
        return list(own), 0
    past = c.tensors([key or "", value or ""])
    if any(x.rank != _HEADS_RANK or x.shape[2] is None for x in past):
        raise UnsupportedError(f"the past keys are {past[0].shown}, whose number is free or no axis")
    kept = [before.concat([x], 2) for before, x in zip(past, own, strict=True)]
    return kept, past[0].shape[2] or 0


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
        stated: the numbers of the file, of which none is hidden by another number; None: some are.
    """

    bias: FileTensor
    factors: FileTensor | None
    stated: FileTensor | None = None


def _mask_of_counts(
    c: Context, node: Node, counts: FileTensor, tokens: int, keys: int, masking: _Masking
) -> _Mask:
    """Return the mask of the places of keys for each image, whose number of keys is computed. The last is the query's.

    Query i has the place count - tokens + i. So each limit of the window is a limit of the count.
    """
    left, right = masking.left, masking.right
    query, key = np.arange(tokens)[:, None], np.arange(keys)
    counts = counts.mark_as_floats().expand_dims([1, 2, 3])

    def limit(numbers: NDArray[np.intp], what: str) -> FileTensor:
        whole = np.broadcast_to(numbers, (tokens, keys)).astype(np.float32)
        return constant_of_node(c, node, whole, what, _HEADS_RANK)

    lowest = key + (0 * query if right < 0 else np.maximum(tokens - 1 - query - right, 0))
    seen = counts.combine("greater", limit(lowest, "lowest"), "/before")
    if left >= 0:
        near = limit(key + tokens - query + left + 1, "highest").combine("greater", counts, "/near")
        seen = seen.combine("multiply", near, "/window")
    return _Mask(seen.linear(-HIDDEN, HIDDEN, "/hidden"), seen)


def _visible(masking: _Masking, tokens: int, keys: int, earlier: int) -> NDArray[np.bool_] | None:
    """Return which keys (tokens, keys) a query may attend to by its place; None: to all."""
    left, right = masking.left, masking.right
    if left < 0 and right < 0:
        return None
    behind = np.arange(tokens)[:, None] + earlier - np.arange(keys)
    near = np.ones(behind.shape, np.bool_) if left < 0 else behind <= left
    return near if right < 0 else near & (behind >= -right)


def _masks(c: Context, node: Node, scores: FileTensor, earlier: int, masking: _Masking) -> list[_Mask]:
    """Return the masks of the node: its mask input, and the mask of places; see `_visible`.

    True in a boolean mask means that the query attends to the key. A mask for fewer keys hides the others.
    """
    name = masking.mask
    tokens, keys = scores.shape[2] or 1, scores.shape[3] or 1
    bias, masks = None, []
    c.constants.count_weight(4 * tokens * keys)
    if (counts := masking.counts) is not None:
        masks.append(_mask_of_counts(c, node, c.tensor(counts, whole_numbers=True), tokens, keys, masking))
    elif (visible := _visible(masking, tokens, keys, earlier)) is not None:
        bias = np.where(visible, np.float32(0.0), np.float32(HIDDEN))
    if name is not None and c.is_constant(name):
        stored = c.constants.fixed(name, "its mask")
        if stored.dtype.kind == "b":
            stored = np.where(stored, np.float32(0.0), np.float32(HIDDEN))
        if stored.ndim == 0 or stored.shape[-1] > keys:
            raise WeightsError(f"damaged: its mask {stored.shape} is for more keys than {scores.shown}")
        sides = [(0, 0)] * (stored.ndim - 1) + [(0, keys - stored.shape[-1])]
        stored = np.pad(stored.astype(np.float32), sides, constant_values=HIDDEN)
        stored = np.maximum(stored, np.float32(HIDDEN))
        bias = stored if bias is None else np.where(bias < 0.0, bias, stored)
    elif name is not None:
        masks.append(_computed_mask(scores, c.value(name, whole_numbers=True)))
    if bias is not None:
        attends = bias > HIDDEN
        if not masks:  # two masks may hide all keys of a query together, so the factors then are for each key
            attends = np.asarray(attends.any(axis=-1, keepdims=True))
            # A row of minus infinities in float16 would give NaN.
            bias = np.where(attends, bias, np.float32(0.0))
        factors = (
            None
            if attends.all()
            else constant_of_node(c, node, attends.astype(np.float32), "factors", _HEADS_RANK)
        )
        numbers = constant_of_node(c, node, bias, "mask", _HEADS_RANK)
        masks.append(_Mask(numbers, factors, numbers if (bias > HIDDEN).all() and factors is None else None))
    return masks


def _computed_mask(scores: FileTensor, mask: FileTensor) -> _Mask:
    if mask.shape[-1:] != scores.shape[3:]:
        raise UnsupportedError(f"its mask {mask.shown} is for fewer keys than {scores.shown}")
    if not mask.whole_numbers:
        finite = mask.map({"kind": "clamp", "a": HIDDEN, "b": -2.0 * HIDDEN}, "/mask")
        hidden = mask.linear(_TO_HALF, suffix="/range").less_than(2.0 * HIDDEN * _TO_HALF, "/hidden")
        return _Mask(finite, hidden.linear(-1.0, 1.0, "/seen"), mask)
    truths = mask.mark_as_floats()
    return _Mask(truths.linear(-HIDDEN, HIDDEN, "/mask"), truths)


def _padding_mask(mask: ConstantOrComputed, *, value: float) -> FileTensor:
    """Convert `PADDING_MASK`: 0 for keys whose mask is 1, and a number far below 0 for those whose mask is 0."""
    if mask.rank != 2:
        raise UnsupportedError(f"its mask is {mask.shown}; supported is a number for each key, (n, keys)")
    return mask.mark_as_floats().linear(-value, value, "/mask").expand_dims([1, 2])


ATTENTION: dict[str, Row] = {"Attention": _attention, PADDING_MASK: _padding_mask}
