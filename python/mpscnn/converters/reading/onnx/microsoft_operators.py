"""Replace the fused operators of the domain com.microsoft, which onnxruntime's optimiser writes, by those of ONNX.

The operators are described in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from mpscnn.converters.opening.unsupported import STOP_BEFORE
from mpscnn.converters.reading.onnx.expansions import (
    ALIGNED,
    BLOCK_TABLE,
    CHANNEL_GROUP_NORM,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    IMAGE,
    JOINT_SOFTMAX,
    ROWS_FROM_FRONT,
    TRANSPOSED,
    UNPACKED,
    Expansion,
    Operand,
    written_as,
)
from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.values.rows import Floats, Ints, Name, Row, Stated, call, ignores
from mpscnn.errors import UnsupportedError, WeightsError

_FLOAT = 1  # the number of float32 in ONNX
_PARAMETERS = {"LeakyRelu": ("alpha",), "Clip": ("min", "max"), "HardSigmoid": ("alpha", "beta")}
_NOT_ROUNDED = "DynamicQuantizeLSTM computes with floats: only its weights are rounded to 8 bits"
PADDING_MASK = OwnKind("PaddingMask")
"""An operator that ONNX lacks: it turns a mask of keys (n, keys) into numbers that are added to scores."""


# ---- Convolutions and products -------------------------------------------------------------------------------------
# Their further settings are those of ONNX' operators, whose rows check them.


def _fused_conv(
    e: Expansion, x: Name, w: Name, bias: Name | None = None, term: Name | None = None, *, activation: str = "",
    activation_params: Floats = (), **window: Any,
) -> None:  # fmt: skip
    """FusedConv: a convolution, a sum with a fourth operand, and an activation."""
    y = _plus(e, e.op("Conv", x, w, bias, **window), term)
    _end_with_activation(e, y, activation, activation_params)


def _nhwc_conv(
    e: Expansion, x: Name, w: Name, bias: Name | None = None, term: Name | None = None, *, activation: str = "",
    activation_params: Floats = (), **window: Any,
) -> None:  # fmt: skip
    y = e.op(CHANNELS_LAST, e.op("Conv", e.op(CHANNELS_FIRST, x), w, bias, **window))
    _end_with_activation(e, _plus(e, y, term), activation, activation_params)


def _end_with_activation(e: Expansion, y: str, kind: str, parameters: Floats) -> None:
    e.end_with_activation(y, kind, **dict(zip(_PARAMETERS.get(kind, ()), parameters, strict=False)))


def _nhwc_max_pool(e: Expansion, x: Name, **window: Any) -> None:
    e.end(CHANNELS_LAST, e.op("MaxPool", e.op(CHANNELS_FIRST, x), **window))


@ignores("activation_gamma")
def _fused_gemm(
    e: Expansion, *operands: Name, activation: str = "", activation_axis: int = -1,
    activation_alpha: float | None = None, activation_beta: float | None = None, **settings: Any,
) -> None:  # fmt: skip
    y = e.op("Gemm", *operands, **settings)
    _end_activated(e, y, activation, activation_axis, activation_alpha, activation_beta)


def _end_activated(
    e: Expansion, y: str, kind: str, axis: int, alpha: float | None, beta: float | None
) -> None:
    if kind == "Softmax":
        e.end_with_activation(y, kind, axis=axis)
    else:
        stated = {"alpha": alpha, "beta": beta}
        e.end_with_activation(y, kind, **{name: one for name, one in stated.items() if one is not None})


def _turned(e: Expansion, x: str, *, batch_turned: bool, turned: bool) -> str:
    x = e.op(ROWS_FROM_FRONT, x) if batch_turned else x
    return e.op(TRANSPOSED, x) if turned else x


@ignores("activation_gamma")
def _matmul(
    e: Expansion, a: Name, b: Name, *, alpha: float = 1.0,
    a_turned: Annotated[bool, Stated("transA")] = False, b_turned: Annotated[bool, Stated("transB")] = False,
    a_batch_turned: Annotated[bool, Stated("transBatchA")] = False,
    b_batch_turned: Annotated[bool, Stated("transBatchB")] = False,
    activation: str = "", activation_axis: int = -1, activation_alpha: float | None = None,
    activation_beta: float | None = None,
) -> None:  # fmt: skip
    first = _turned(e, a, batch_turned=a_batch_turned, turned=a_turned)
    y = e.op("MatMul", first, _turned(e, b, batch_turned=b_batch_turned, turned=b_turned))
    y = y if alpha == 1.0 else e.op("Mul", y, alpha)
    _end_activated(e, y, activation, activation_axis, activation_alpha, activation_beta)


def _gemm_fast_gelu(e: Expansion, a: Name, b: Name, bias: Name | None = None) -> None:
    e.end("Gelu", _plus(e, e.op("MatMul", a, b), bias), approximate="tanh")


def _plus(e: Expansion, x: str, term: str | None) -> str:
    """Return the sum of a tensor and an operand, or the tensor if the operand is left out."""
    return x if term is None else e.op("Add", x, term)


@ignores("accuracy_level", "weight_prepacked")
def _matmul_of_few_bits(
    e: Expansion, x: Name, packed: Name, scales: Name, zeros: Name | None = None, order: Name | None = None,
    bias: Name | None = None, *, rows: Annotated[int, Stated("K")], columns: Annotated[int, Stated("N")],
    block_size: int, bits: int = 4,
) -> None:  # fmt: skip
    """MatMulNBits: a product with a matrix (columns, rows) in blocks of 2, 4 or 8 bits, each with its scale."""
    if order is not None:
        raise UnsupportedError("with the order of its groups (g_idx) it is not supported")
    if bits not in (2, 4, 8) or min(rows, columns, block_size) < 1:
        raise UnsupportedError(f"{bits} bits in blocks of {block_size} are not supported")
    blocks = -(-rows // block_size)
    whole = _unpacked_numbers(e, packed, bits, [columns, blocks, block_size])
    zero: Operand = 2.0 ** (bits - 1)
    if zeros is not None:
        zero = _unpacked_numbers(e, zeros, bits, [columns, -1])
        zero = e.op("Slice", zero, *([one] for one in (0, blocks, 1)))
        zero = e.op("Unsqueeze", zero, axes=[2])
    scale = e.op("Reshape", scales, [columns, blocks, 1])
    scale = e.op("Cast", scale, to=_FLOAT)
    matrix = e.op("Mul", e.op("Sub", whole, zero), scale)
    matrix = e.op("Reshape", matrix, [columns, blocks * block_size])
    matrix = e.op("Slice", matrix, *([one] for one in (0, rows, 1)))
    y = e.op("MatMul", x, e.op("Transpose", matrix, perm=[1, 0]))
    e.end("Identity", _plus(e, y, bias))


def _unpacked_numbers(e: Expansion, packed: str, bits: int, shape: list[int]) -> str:
    """Return bytes of several numbers as floats of this shape."""
    whole = e.op(UNPACKED, packed, bits=bits)
    return e.op("Reshape", whole, shape)


def _gather_of_few_bits(
    e: Expansion, packed: Name, indices: Name, scales: Name, zeros: Name | None = None, *, bits: int = 4,
    block_size: int = 128, gather_axis: int = 0, quantize_axis: int = 1,
) -> None:  # fmt: skip
    """GatherBlockQuantized: rows of a table of 2, 4 or 8 bits, in blocks along an axis, each with its scale."""
    if bits not in (2, 4, 8) or block_size < 1:
        raise UnsupportedError(f"{bits} bits in blocks of {block_size} are not supported")
    table = e.op(BLOCK_TABLE, packed, scales, zeros, axis=quantize_axis, block_size=block_size, bits=bits)
    e.end("Gather", table, indices, axis=gather_axis)


def _dynamic_lstm(
    e: Expansion, x: Name, w: Name, r: Name, bias: Name | None = None, lengths: Name | None = None,
    hidden: Name | None = None, cell: Name | None = None, peepholes: Name | None = None, *scales: Name,
    **settings: Any,
) -> None:  # fmt: skip
    """DynamicQuantizeLSTM: an LSTM whose weights are integers. Its activations are not rounded to integers here.

    `scales` are the scale and the zero point of the weights of inputs, and of those of states.
    """
    e.notes.append(_NOT_ROUNDED)
    weights = []
    for integers, scale, zero in ((w, *scales[:2]), (r, *scales[2:])):
        y = e.op("Transpose", integers, perm=[0, 2, 1])
        y = e.op("Cast", y, to=_FLOAT)
        offset = e.op("Cast", zero, to=_FLOAT)
        y = e.op("Sub", y, e.op(ALIGNED, offset, y, axis=0))
        weights.append(e.op("Mul", y, e.op(ALIGNED, scale, y, axis=0)))
    e.end("LSTM", x, *weights, bias, lengths, hidden, cell, peepholes, **settings)


# ---- Functions -----------------------------------------------------------------------------------------------------


def _gelu(e: Expansion, x: Name, bias: Name | None = None) -> None:
    e.end("Gelu", _plus(e, x, bias))


def _fast_gelu(e: Expansion, x: Name, bias: Name | None = None) -> None:
    e.end("Gelu", _plus(e, x, bias), approximate="tanh")


def _quick_gelu(e: Expansion, x: Name, *, alpha: float = 1.702) -> None:
    """QuickGelu: x * sigmoid(alpha * x)."""
    e.end("Swish", x, alpha=alpha)


def _bias_split_gelu(e: Expansion, x: Name, bias: Name | None = None) -> None:
    first, second = e.ops("Split", [_plus(e, x, bias)], 2, axis=-1)
    e.end("Mul", first, e.op("Gelu", second))


def _bias_add(e: Expansion, x: Name, bias: Name | None, skip: Name) -> None:
    e.end("Add", _plus(e, x, bias), skip)


@ignores("is_inner_broadcast")
def _bias_softmax(e: Expansion, x: Name, bias: Name, *, axis: int = 1) -> None:
    e.end(JOINT_SOFTMAX, e.op("Add", x, bias), axis=axis)


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _simplified_norm(e: Expansion, x: Name, scale: Name, **settings: Any) -> None:
    e.end("RMSNormalization", x, scale, **settings)


def _skip_layer_norm(
    e: Expansion, x: Name, skip: Name, scale: Name, offset: Name | None = None, bias: Name | None = None,
    *, epsilon: float = 1e-12,
) -> None:  # fmt: skip
    _skip_norm(e, "LayerNormalization", _plus(e, e.op("Add", x, skip), bias), [scale, offset], epsilon)


def _skip_simplified_norm(
    e: Expansion, x: Name, skip: Name, scale: Name, bias: Name | None = None, *, epsilon: float = 1e-12
) -> None:
    _skip_norm(e, "RMSNormalization", _plus(e, e.op("Add", x, skip), bias), [scale], epsilon)


def _skip_norm(e: Expansion, kind: str, total: str, factors: list[str | None], epsilon: float) -> None:
    """Write the normalization of a sum, which may be a result, too."""
    outputs = e.node.outputs
    if len(outputs) > 3 and outputs[3]:
        e.end_part(outputs[3:4], "Identity", total)
    e.end_part(outputs[:3], kind, total, *factors, axis=-1, epsilon=epsilon)


def _group_norm(
    e: Expansion, x: Name, scale: Name, offset: Name, *, groups: int, epsilon: float = 1e-5,
    activation: bool = False, channels_last: bool = True,
) -> None:  # fmt: skip
    """GroupNorm: the channels are the last axis unless it says otherwise, and a Swish."""
    image = e.op(CHANNELS_FIRST, x) if channels_last else x
    y = e.op(CHANNEL_GROUP_NORM, image, scale, offset, num_groups=groups, epsilon=epsilon)
    y = e.op("Swish", y) if activation else y
    e.end_part(e.node.outputs[:1], CHANNELS_LAST if channels_last else "Identity", y)


def _skip_group_norm(
    e: Expansion, x: Name, scale: Name, offset: Name, skip: Name, bias: Name | None = None, *, groups: int,
    epsilon: float = 1e-5, activation: bool = False, channels_last: bool = True,
) -> None:  # fmt: skip
    """SkipGroupNorm: the same after a sum with a second image or with numbers for each channel, and a bias."""
    total = _plus(e, e.op("Add", x, e.op(IMAGE, skip)), bias)
    if len(e.node.outputs) > 1 and e.node.outputs[1]:
        e.end_part(e.node.outputs[1:2], "Identity", total)
    _group_norm(
        e,
        total,
        scale,
        offset,
        groups=groups,
        epsilon=epsilon,
        activation=activation,
        channels_last=channels_last,
    )


@ignores("mask_index_type")  # the type of the number of tokens
def _embedding(
    e: Expansion, ids: Name, segments: Name | None, words: Name, positions: Name, segment_table: Name | None,
    scale: Name, offset: Name, mask: Name | None = None, places: Name | None = None, *,
    epsilon: float = 1e-12,
) -> None:  # fmt: skip
    """EmbedLayerNormalization: the sum of up to three embeddings, and its normalization."""
    outputs = [*e.node.outputs, "", ""][:3]
    if outputs[1] and mask is not None:
        counted = e.op("Cast", mask, to=_FLOAT)
        e.end_part(outputs[1:2], "ReduceSum", counted, keepdims=0, axes=[1])
    total = e.op("Gather", words, ids, axis=0)
    if places is not None:
        total = e.op("Add", total, e.op("Gather", positions, places, axis=0))
    else:
        tokens = e.op("Gather", e.op("Shape", ids), [1], axis=0)
        zero = [0]
        total = e.op("Add", total, e.op("Slice", positions, zero, tokens, zero))
    if segments is not None:
        total = e.op("Add", total, e.op("Gather", segment_table, segments, axis=0))
    if outputs[2]:
        e.end_part(outputs[2:3], "Identity", total)
    e.end_part(outputs[:1], "LayerNormalization", total, scale, offset, axis=-1, epsilon=epsilon)


def _quantized_embedding(e: Expansion, *operands: Name, epsilon: float = 1e-12) -> None:
    """QEmbedLayerNormalization: EmbedLayerNormalization whose tables and factors are integers."""
    given = [*operands, *[None] * (18 - len(operands))]
    for place in (2, 3, 5, 6):
        given[place] = _real(e, given[place], given[place + 6], given[place + 11])
    if given[4] is not None:
        given[4] = _real(e, given[4], given[10], given[15])
    e.end("com.microsoft.EmbedLayerNormalization", *given[:8], epsilon=epsilon)


# ---- Attention -----------------------------------------------------------------------------------------------------


def _attention(
    e: Expansion, x: Name, w: Name, bias: Name | None = None, mask: Name | None = None, past: Name | None = None,
    scores: Name | None = None, past_length: Name | None = None, *, qkv_hidden_sizes: Ints = (),
    **heads: Any,
) -> None:  # fmt: skip
    """Attention: one product makes queries, keys and values."""
    _refuse_operands({"a number of past keys": past_length})
    if len(set(qkv_hidden_sizes)) > 1:
        raise UnsupportedError("its queries, keys and values have different sizes, which is not supported")
    _attend_jointly(e, _plus(e, e.op("MatMul", x, w), bias), past, mask, scores, _Heads.of(heads))


def _quantized_attention(
    e: Expansion, x: Name, w: Name, bias: Name | None, x_scale: Name, w_scale: Name, mask: Name | None = None,
    x_zero: Name | None = None, w_zero: Name | None = None, past: Name | None = None, **heads: Any,
) -> None:  # fmt: skip
    """QAttention: Attention whose operand and matrix are integers."""
    product = e.op("MatMul", _real(e, x, x_scale, x_zero), _real(e, w, w_scale, w_zero, axis=-1))
    _attend_jointly(e, _plus(e, product, bias), past, mask, None, _Heads.of(heads))


def _real(e: Expansion, x: str | None, scale: str | None, zero: str | None, axis: int | None = None) -> str:
    """Return the numbers of integers with a scale and a zero point."""
    attributes = {} if axis is None else {"axis": axis}
    return e.op("DequantizeLinear", x, scale, zero, **attributes)


def _attend_jointly(
    e: Expansion, product: str, past: str | None, mask: str | None, scores: str | None, heads: _Heads
) -> None:
    """Attend by a product that has queries, keys and values. Both past keys and values are one operand, too."""
    given: list[str | None] = list(e.ops("Split", [product], 3, axis=-1))
    earlier: list[str | None] = [None, None]
    outputs = [*e.node.outputs, ""]
    kept = [""] * 2
    if past is not None:
        both = e.ops("Split", [past], 2, axis=0)
        earlier = [e.op("Squeeze", one, axes=[0]) for one in both]
    if outputs[1]:
        kept = [e.unique(f"{outputs[1]}/{what}") for what in ("keys", "values")]
        parts = [e.op("Unsqueeze", one, axes=[0]) for one in kept]
        e.end_part(outputs[1:2], "Concat", *parts, axis=0)
    _attend(e, [*given, *earlier], mask, scores, kept, heads)


def _multi_head_attention(
    e: Expansion, q: Name, k: Name | None = None, v: Name | None = None, bias: Name | None = None,
    mask: Name | None = None, scores: Name | None = None, past_key: Name | None = None,
    past_value: Name | None = None, past_length: Name | None = None, beams: Name | None = None, **heads: Any,
) -> None:  # fmt: skip
    _refuse_operands({"a number of past keys": past_length, "beams": beams})
    given = _unpacked(e, q, k, v)
    if bias is not None:
        biases = e.ops("Split", [bias], 3, axis=0)
        given = [e.op("Add", x, one) for x, one in zip(given, biases, strict=True)]
    _attend(e, [*given, past_key, past_value], mask, scores, e.node.outputs[1:], _Heads.of(heads))


def _unpacked(e: Expansion, q: str, k: str | None, v: str | None) -> list[str]:
    """Return queries, keys and values (n, tokens, channels).

    The first operand may have all of them, (n, tokens, heads, 3, size), or the second one keys and values.
    """
    if v is not None:
        if k is None:
            raise WeightsError("damaged: its operand 2 is missing")
        return [q, k, v]
    return _split_heads(e, q, 3) if k is None else [q, *_split_heads(e, k, 2)]


def _split_heads(e: Expansion, packed: str, count: int) -> list[str]:
    """Return the tensors (n, tokens, channels) of one (n, tokens, heads, count, size)."""
    parts = [e.op("Squeeze", one, axes=[3]) for one in e.ops("Split", [packed], count, axis=3)]
    return [e.op("Reshape", one, [0, 0, -1]) for one in parts]


def _refuse_operands(refused: Mapping[str, str | None]) -> None:
    for what, name in refused.items():
        if name is not None:
            raise UnsupportedError(f"with {what} it is not supported")


class _Heads(NamedTuple):
    """The settings that all attentions have.

    Attributes:
        number: the number of heads.
        causal: whether a query attends to no key after it.
        hidden: the number that a mask adds to scores.
        scale: the factor of the scores; 0: one by the size of the heads.
    """

    number: int
    causal: bool
    hidden: float
    scale: float

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> _Heads:
        made: _Heads = call(_heads, [], stated, lambda _, name: name, {})
        return made


@ignores("past_present_share_buffer", "rotary_embedding_dim")
def _heads(
    *, num_heads: int, unidirectional: bool = False, mask_filter_value: float = -10000.0, scale: float = 0.0,
    do_rotary: int = 0,
) -> _Heads:  # fmt: skip
    if do_rotary:
        raise UnsupportedError(f"its do_rotary is {do_rotary}, which is not supported: {STOP_BEFORE}")
    return _Heads(num_heads, unidirectional, mask_filter_value, scale)


def _attend(
    e: Expansion,
    given: Sequence[str | None],
    mask: str | None,
    scores: str | None,
    kept: Sequence[str],
    heads: _Heads,
) -> None:
    """Write ONNX' attention.

    Args:
        e: writes the nodes.
        given: queries, keys and values, and past keys and values.
        mask, scores: the operands with a mask of keys, and with numbers for the scores.
        kept: the names of the results with all keys and values.
        heads: the settings.
    """
    attributes: dict[str, Any] = {
        "q_num_heads": heads.number, "kv_num_heads": heads.number, "is_causal": heads.causal,
    }  # fmt: skip
    masks = [] if scores is None else [scores]
    if mask is not None:
        masks.append(e.op(PADDING_MASK, mask, value=heads.hidden))
    added = e.op("Add", *masks) if len(masks) == 2 else next(iter(masks), None)
    results = [*e.node.outputs[:1], *kept]
    given = [*given[:3], added, *given[3:]]
    e.end_part(results, "Attention", *given, **(attributes | ({"scale": heads.scale} if heads.scale else {})))


_OF_MICROSOFT: dict[str, Row] = {
    "Attention": _attention,
    "BiasAdd": _bias_add,
    "BiasGelu": _gelu,
    "BiasSoftmax": _bias_softmax,
    "BiasSplitGelu": _bias_split_gelu,
    "DynamicQuantizeLSTM": _dynamic_lstm,
    "EmbedLayerNormalization": _embedding,
    "ExpandDims": written_as("Unsqueeze"),
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _matmul,
    "FusedMatMulActivation": _matmul,
    "GatherBlockQuantized": _gather_of_few_bits,
    "GatherND": written_as("GatherND"),
    "Gelu": _gelu,
    "GemmFastGelu": _gemm_fast_gelu,
    "GridSample": written_as("GridSample"),
    "GroupNorm": _group_norm,
    "MatMulNBits": _matmul_of_few_bits,
    "MultiHeadAttention": _multi_head_attention,
    "NhwcConv": _nhwc_conv,
    "NhwcFusedConv": _nhwc_conv,
    "NhwcMaxPool": _nhwc_max_pool,
    "Pad": written_as("Pad"),
    "QAttention": _quantized_attention,
    "QEmbedLayerNormalization": _quantized_embedding,
    "QuickGelu": _quick_gelu,
    "Range": written_as("Range"),
    "SkipGroupNorm": _skip_group_norm,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_simplified_norm,
    "TransposeMatMul": _matmul,
    "Trilu": written_as("Trilu"),
}

MICROSOFT: dict[str, Row] = {
    "SimplifiedLayerNormalization": _simplified_norm,  # onnxruntime writes this one in ONNX' own domain
    **{f"com.microsoft.{kind}": row for kind, row in _OF_MICROSOFT.items()},
}
"""The rows of onnxruntime's float operators."""
