"""Convert Keras's attention layers and Dot."""

from __future__ import annotations

from collections.abc import Callable

from mpscnn.converters.keras.dense import dense_over_last_axis
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.normalizations import l2_normalize
from mpscnn.converters.keras.weights import Weights
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor


def _attended(c: LayerCall, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Return softmax(scale * query * key^T) * value over the last two axes."""
    scores = c.network.matmul(query, key, transpose_b=True, scale=scale, name=c.name("/scores"))
    weights = c.network.softmax(scores, name=c.name("/weights"))
    return c.network.matmul(weights, value, name=c.name("/values"))


def _refuse_masks(c: LayerCall) -> None:
    for name, value in c.keywords.items():
        if "mask" in name and value not in (None, False, [None, None], [None, None, None]):
            raise UnsupportedError(f"its {name} is not supported")
    if c.keywords.get("return_attention_scores"):
        raise UnsupportedError("its scores as a second result are not supported")


def _attention(c: LayerCall) -> Tensor:
    """Convert Luong's attention. Its inputs are query, value and optionally key (default: the value)."""
    _refuse_masks(c)
    if c.settings.text("score_mode", "dot") != "dot":
        raise UnsupportedError("its scores are sums; only products are supported")
    inputs = c.inputs()
    if not 2 <= len(inputs) <= 3 or any(len(x.shape) != 3 for x in inputs):
        raise UnsupportedError(f"attention of {[x.shape for x in inputs]}; supported are sequences")
    query, value = inputs[:2]
    scale = 1.0
    if c.settings.flag("use_scale", False):
        scale = float(c.weights()["scale"].reshape(-1)[0])
    return _attended(c, query, inputs[-1], value, scale)


def _many_heads(c: LayerCall) -> Tensor:
    _refuse_masks(c)
    given = [
        *c.inputs(),
        *(c.keywords[name] for name in ("value", "key") if c.keywords.get(name) is not None),
    ]
    if any(not isinstance(x, Tensor) for x in given) or not 2 <= len(given) <= 3:
        raise UnsupportedError(f"attention of {len(given)} tensors")
    query, value = given[:2]
    key = given[2] if len(given) == 3 else value
    if any(len(x.shape) != 3 for x in (query, key, value)) or c.settings.values.get("attention_axes") not in (
        None,
        [1],
    ):
        raise UnsupportedError("attention of other than sequences is not supported")
    if c.settings.flag("use_gate", False):
        raise UnsupportedError("gates of attention are not supported")
    weights = c.weights()
    heads = {
        role: _heads(c, x, role, weights) for role, x in (("query", query), ("key", key), ("value", value))
    }
    y = _attended(c, heads["query"], heads["key"], heads["value"], c.settings.whole("key_dim", 1) ** -0.5)
    y = c.network.transpose(y, (2, 1, 3), name=c.name("/joined"))
    kernel, bias = weights["output/kernel"], weights.get("output/bias")
    if kernel.ndim != 3:
        raise UnsupportedError(f"its result has the axes {kernel.shape[2:]}; supported is one")
    tokens = -1 if y.shape[1] is None else y.shape[1]
    features = kernel.shape[0] * kernel.shape[1]
    y = c.network.reshape(y, [tokens, features], name=c.name("/features"))
    return dense_over_last_axis(c, y, kernel.reshape(features, -1), bias, c.name())


def _heads(c: LayerCall, x: Tensor, role: str, weights: Weights) -> Tensor:
    """Project (n, tokens, features) to (n, heads, tokens, features of a head)."""
    kernel, bias = weights[f"{role}/kernel"], weights.get(f"{role}/bias")
    if kernel.ndim != 3:
        raise WeightsError(f"damaged: the weights of its {role} have the shape {kernel.shape}")
    features, heads, size = kernel.shape
    name = c.name(f"/{role}")
    flat = dense_over_last_axis(
        c, x, kernel.reshape(features, heads * size), None if bias is None else bias.reshape(-1), name
    )
    tokens = -1 if x.shape[1] is None else x.shape[1]
    split = c.network.reshape(flat, [tokens, heads, size], name=c.name(f"/{role}_heads"))
    return c.network.transpose(split, (2, 1, 3), name=c.name(f"/{role}_transposed"))


def _dot(c: LayerCall) -> Tensor:
    """Convert Dot: sums of products along one axis of each of two tensors."""
    inputs = c.inputs()
    if len(inputs) != 2 or any(len(x.shape) not in (2, 3) for x in inputs):
        raise UnsupportedError(f"products of {[x.shape for x in inputs]}; supported are vectors and matrices")
    given = c.settings.wholes("axes")
    ranks = [len(x.shape) for x in inputs]
    if len(given) not in (1, 2) or any(
        not -rank <= axis < rank for axis, rank in zip((given[0], given[-1]), ranks, strict=True)
    ):
        raise WeightsError(f"damaged: its axes are {given[:4]}")
    axes = [axis % len(x.shape) for axis, x in zip((given[0], given[-1]), inputs, strict=True)]
    if 0 in axes or None in (*inputs[0].shape[1:], *inputs[1].shape[1:]):
        raise UnsupportedError(f"products of {[x.shape for x in inputs]} along the axes {axes}")
    if c.settings.flag("normalize", False):
        inputs = [l2_normalize(c, x, axis) for x, axis in zip(inputs, axes, strict=True)]
    matrices = [
        c.network.reshape(x, [1, *(extent or 0 for extent in x.shape[1:])], name=c.name("/row"))
        if len(x.shape) == 2
        else x
        for x in inputs
    ]
    turned = [len(x.shape) == 3 and axis == 1 for x, axis in zip(inputs, axes, strict=True)]
    first, second = matrices
    y = c.network.matmul(first, second, transpose_a=turned[0], transpose_b=not turned[1], name=c.name())
    shape = [
        extent or 0
        for place, x in enumerate(inputs)
        for axis, extent in enumerate(x.shape)
        if axis not in (0, axes[place])
    ]
    return c.network.reshape(y, shape or [1], name=c.name("/axes"))


ATTENTION: dict[str, Callable[[LayerCall], Tensor]] = {
    "Attention": _attention,
    "Dot": _dot,
    "MultiHeadAttention": _many_heads,
}
