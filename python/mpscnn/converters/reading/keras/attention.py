"""Convert Keras's attention layers and Dot."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.normalizations import l2_normalize
from mpscnn.converters.reading.keras.row_calls import X
from mpscnn.converters.reading.keras.settings import Flag, Whole, Wholes
from mpscnn.converters.reading.keras.weights import Weights
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_SEQUENCES = 3
# It hides later tokens. The sum with a score stays finite in float32, and is 0 after softmax.
_HIDDEN = float(np.finfo(np.float32).min) / 2


def _attended(
    c: LayerCall, query: FileTensor, key: FileTensor, value: FileTensor, scale: float
) -> tuple[FileTensor, FileTensor]:
    """Return softmax(scale * query * key^T) * value over the last two axes, and the result of softmax."""
    for name, given in c.keywords.items():
        is_mask = "mask" in name and name != "use_causal_mask"
        if is_mask and given not in (None, False, [None, None], [None, None, None]):
            raise UnsupportedError(f"its {name} is not supported")
    swapped = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    with c.under("/scores"):
        scores = query.matmul(key.transpose(swapped), scale)
    if c.keywords.get("use_causal_mask"):
        tokens, keys = (
            scores.known_extent(axis, "hides tokens of") for axis in (scores.rank - 2, scores.rank - 1)
        )
        mask = c.constant(
            (tokens, keys), lambda: np.where(np.tri(tokens, keys, dtype=bool), 0.0, _HIDDEN), "/mask"
        )
        scores = scores.combine("add", mask, "/masked")
    with c.under("/weights"):
        shares = scores.softmax([scores.rank - 1])
    with c.under("/values"):
        return shares @ value, shares


@ignores("dropout", "seed")
def _attention(
    c: LayerCall,
    *inputs: X,
    score_mode: Literal["dot"] = "dot",
    use_scale: Flag = False,
    causal: Flag = False,
) -> list[FileTensor]:
    """Convert Luong's attention. Its inputs are query, value and optionally key (default: the value)."""
    del score_mode
    if causal:
        raise UnsupportedError("that hides later tokens by a setting is not supported")
    if not 2 <= len(inputs) <= 3 or any(x.rank != _SEQUENCES for x in inputs):
        raise UnsupportedError(f"attention of {[x.shown for x in inputs]}; supported are sequences")
    scale = float(c.weights()["scale"].reshape(-1)[0]) if use_scale else 1.0
    return [*_attended(c, inputs[0], inputs[-1], inputs[1], scale)]


@ignores(
    "dropout",
    "flash_attention",
    "key_shape",
    "num_heads",
    "output_shape",
    "query_shape",
    "seed",
    "value_dim",
    "value_shape",
)
def _many_heads(
    c: LayerCall, *x: X, key_dim: Whole = 1, attention_axes: Wholes | None = None, use_gate: Flag = False,
    sliding_window: Any = None,
) -> list[FileTensor]:  # fmt: skip
    given = [
        *x,
        *(c.keywords[name] for name in ("value", "key") if c.keywords.get(name) is not None),
    ]
    if any(not isinstance(x, FileTensor) for x in given) or not 2 <= len(given) <= 3:
        raise UnsupportedError(f"attention of {len(given)} tensors")
    is_along_tokens = attention_axes in (None, (1,))
    if any(x.rank != _SEQUENCES for x in given) or not is_along_tokens:
        raise UnsupportedError("attention of other than sequences is not supported")
    if use_gate or sliding_window is not None:
        raise UnsupportedError("gates and sliding windows of attention are not supported")
    weights = c.weights()
    query, value, key = (
        _heads(c, x, role, weights)
        for x, role in ((given[0], "query"), (given[1], "value"), (given[-1], "key"))
    )
    y, shares = _attended(c, query, key, value, key_dim**-0.5)
    kernel, bias = weights["output/kernel"], weights.get("output/bias")
    if kernel.ndim != 3:
        raise UnsupportedError(f"its result has the axes {kernel.shape[2:]}; supported is one")
    joined = y.transpose((0, 2, 1, 3)).merge_axes(2, 4)
    return [c.dense(joined, kernel.reshape(-1, kernel.shape[2]), bias), shares]


def _heads(c: LayerCall, x: FileTensor, role: str, weights: Weights) -> FileTensor:
    """Project (n, tokens, features) to (n, heads, tokens, features of a head)."""
    kernel, bias = weights[f"{role}/kernel"], weights.get(f"{role}/bias")
    if kernel.ndim != 3:
        raise WeightsError(f"damaged: the weights of its {role} have the shape {kernel.shape}")
    features, *heads = kernel.shape
    with c.under(f"/{role}"):
        flat = c.dense(x, kernel.reshape(features, -1), None if bias is None else bias.reshape(-1))
    return flat.view(*([*one[:2], *heads] for one in flat.trial_shapes())).transpose((0, 2, 1, 3))


def _dot(c: LayerCall, *x: X, axes: Wholes, normalize: Flag = False) -> FileTensor:
    """Convert Dot: sums of products along one axis of each of two tensors."""
    inputs, given = [*x], axes
    if len(inputs) != 2 or any(x.rank not in (2, _SEQUENCES) for x in inputs):
        raise UnsupportedError(f"products of {[x.shown for x in inputs]}; supported are vectors and matrices")
    if len(given) not in (1, 2):
        raise WeightsError(f"damaged: its axes are {list(given[:4])}")
    summed = [x.axis(axis) for x, axis in zip(inputs, (given[0], given[-1]), strict=True)]
    if 0 in summed:
        raise UnsupportedError(f"products of {[x.shown for x in inputs]} along the axes {summed}")
    if normalize:
        with c.under("/unit"):
            inputs = [l2_normalize(c, x, axis) for x, axis in zip(inputs, summed, strict=True)]
    # The first matrix gets the summed axis last, the second one gets it first. A vector is a matrix of one row.
    orders = (lambda axis: [0, 3 - axis, axis], lambda axis: [0, axis, 3 - axis])
    first, second = (
        (x.expand_dims([1]), 2) if x.rank == 2 else (x, axis) for x, axis in zip(inputs, summed, strict=True)
    )
    y = first[0].transpose(orders[0](first[1])).matmul(second[0].transpose(orders[1](second[1])))
    dropped = [place for place, x in enumerate(inputs, start=1) if x.rank == 2]
    return y.squeeze(dropped if len(dropped) < 2 else [2])


ATTENTION: dict[str, Row] = {
    "Attention": _attention,
    "Dot": _dot,
    "MultiHeadAttention": _many_heads,
}
"""The functions that convert layers, by the name of the class."""
