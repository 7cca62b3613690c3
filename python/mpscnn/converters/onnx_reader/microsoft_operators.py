"""Replace the fused operators of the domain com.microsoft, which onnxruntime's optimiser writes, by those of ONNX.

The operators are described in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.onnx_reader.expansions import (
    ALIGNED,
    BLOCK_TABLE,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    IMAGE,
    JOINT_SOFTMAX,
    PER_CHANNEL,
    ROWS_FROM_FRONT,
    TRANSPOSED,
    UNPACKED,
    Expansion,
    Operand,
    Row,
)
from mpscnn.errors import UnsupportedError

_FLOAT = 1  # the number of float32 in ONNX
_WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", "ceil_mode")
_PARAMETERS = {"LeakyRelu": ("alpha",), "Clip": ("min", "max"), "HardSigmoid": ("alpha", "beta")}
_NOT_ROUNDED = "DynamicQuantizeLSTM computes with floats: only its weights are rounded to 8 bits"
PADDING_MASK = "mpscnn.PaddingMask"
"""An operator that ONNX lacks: it turns a mask of keys (n, keys) into numbers that are added to scores."""


# ---- Convolutions and products -------------------------------------------------------------------------------------


def _nhwc_conv(e: Expansion) -> None:
    _convolved(e, e.op(CHANNELS_FIRST, e.input(0)), channels_last=True)


def _convolved(e: Expansion, x: str, *, channels_last: bool = False) -> None:
    y = e.op("Conv", x, e.input(1), e.node.input(2), **e.kept(*_WINDOW))
    y = e.op(CHANNELS_LAST, y) if channels_last else y
    if e.node.input(3) is not None:
        y = e.op("Add", y, e.input(3))
    kind = e.node.text("activation", "")
    numbers = dict(zip(_PARAMETERS.get(kind, ()), e.node.numbers("activation_params"), strict=False))
    e.end_with_activation(y, kind, **numbers)


def _nhwc_max_pool(e: Expansion) -> None:
    y = e.op("MaxPool", e.op(CHANNELS_FIRST, e.input(0)), **e.kept(*_WINDOW))
    e.end(CHANNELS_LAST, y)


def _gemm(e: Expansion) -> None:
    y = e.op("Gemm", *e.node.inputs, **e.kept("alpha", "beta", "transA", "transB"))
    _end_activated(e, y)


def _end_activated(e: Expansion, y: str) -> None:
    names = {"alpha": "activation_alpha", "beta": "activation_beta"}
    given = {name: e.node.number(stated) for name, stated in names.items() if e.node.has(stated)}
    kind = e.node.text("activation", "")
    if kind == "Softmax":
        given = {"axis": e.node.integer("activation_axis", -1)}
    e.end_with_activation(y, kind, **given)


def _turned(e: Expansion, place: int, letter: str) -> str:
    x = e.input(place)
    if e.node.flag(f"transBatch{letter}", default=False):
        x = e.op(ROWS_FROM_FRONT, x)
    return e.op(TRANSPOSED, x) if e.node.flag(f"trans{letter}", default=False) else x


def _matmul(e: Expansion) -> None:
    operands = [_turned(e, place, letter) for place, letter in enumerate("AB")]
    alpha = e.node.number("alpha", 1.0)
    y = e.op("MatMul", *operands)
    _end_activated(e, y if alpha == 1.0 else e.op("Mul", y, alpha))


def _gemm_fast_gelu(e: Expansion) -> None:
    y = e.op("MatMul", e.input(0), e.input(1))
    e.end("Gelu", _plus(e, y, 2), approximate="tanh")


def _plus(e: Expansion, x: str, place: int) -> str:
    """Return the sum of a tensor and an operand, or the tensor if the operand is left out."""
    return x if e.node.input(place) is None else e.op("Add", x, e.input(place))


def _matmul_of_few_bits(e: Expansion) -> None:
    """MatMulNBits: a product with a matrix (columns, rows) in blocks of 2, 4 or 8 bits, each with its scale."""
    if e.node.input(4) is not None:
        raise UnsupportedError("with the order of its groups (g_idx) it is not supported")
    bits, rows, columns = e.node.integer("bits", 4), e.node.integer("K"), e.node.integer("N")
    block = e.node.integer("block_size")
    if bits not in (2, 4, 8) or min(rows, columns, block) < 1:
        raise UnsupportedError(f"{bits} bits in blocks of {block} are not supported")
    blocks = -(-rows // block)
    whole = _unpacked_numbers(e, e.input(1), bits, [columns, blocks, block])
    zero: Operand = 2.0 ** (bits - 1)
    if e.node.input(3) is not None:
        zero = _unpacked_numbers(e, e.input(3), bits, [columns, -1])
        zero = e.op("Slice", zero, *([one] for one in (0, blocks, 1)))
        zero = e.op("Unsqueeze", zero, axes=[2])
    scale = e.op("Reshape", e.input(2), [columns, blocks, 1])
    scale = e.op("Cast", scale, to=_FLOAT)
    matrix = e.op("Mul", e.op("Sub", whole, zero), scale)
    matrix = e.op("Reshape", matrix, [columns, blocks * block])
    matrix = e.op("Slice", matrix, *([one] for one in (0, rows, 1)))
    y = e.op("MatMul", e.input(0), e.op("Transpose", matrix, perm=[1, 0]))
    e.end("Identity", _plus(e, y, 5))


def _unpacked_numbers(e: Expansion, packed: str, bits: int, shape: list[int]) -> str:
    """Return bytes of several numbers as floats of this shape."""
    whole = e.op(UNPACKED, packed, bits=bits)
    return e.op("Reshape", whole, shape)


def _gather_of_few_bits(e: Expansion) -> None:
    """GatherBlockQuantized: rows of a table of 2, 4 or 8 bits, in blocks along an axis, each with its scale."""
    block, axis = e.node.integer("block_size", 128), e.node.integer("quantize_axis", 1)
    bits = e.node.integer("bits", 4)
    if bits not in (2, 4, 8) or block < 1:
        raise UnsupportedError(f"{bits} bits in blocks of {block} are not supported")
    numbers = [e.input(0), e.input(2), e.node.input(3)]
    table = e.op(BLOCK_TABLE, *numbers, axis=axis, block_size=block, bits=bits)
    e.end("Gather", table, e.input(1), axis=e.node.integer("gather_axis", 0))


def _dynamic_lstm(e: Expansion) -> None:
    """DynamicQuantizeLSTM: an LSTM whose weights are integers. Its activations are not rounded to integers here."""
    e.notes.append(_NOT_ROUNDED)
    weights = []
    for place, scale in ((1, 8), (2, 10)):
        x = e.op("Transpose", e.input(place), perm=[0, 2, 1])
        x = e.op("Cast", x, to=_FLOAT)
        offset = e.op("Cast", e.input(scale + 1), to=_FLOAT)
        x = e.op("Sub", x, e.op(ALIGNED, offset, x, axis=0))
        weights.append(e.op("Mul", x, e.op(ALIGNED, e.input(scale), x, axis=0)))
    others = [e.node.input(place) for place in range(3, 8)]
    e.end("LSTM", e.input(0), *weights, *others, **e.kept(*e.node.attributes))


# ---- Functions -----------------------------------------------------------------------------------------------------


def _gelu(e: Expansion) -> None:
    e.end("Gelu", _plus(e, e.input(0), 1))


def _bias_split_gelu(e: Expansion) -> None:
    first, second = e.ops("Split", [_plus(e, e.input(0), 1)], 2, axis=-1)
    e.end("Mul", first, e.op("Gelu", second))


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _skip_norm(e: Expansion, kind: str, factors: list[str | None], bias: int) -> None:
    """Write the sum of the operand, of a second one and of a bias, and its normalization. The sum may be a result."""
    outputs = e.node.outputs
    total = _plus(e, e.op("Add", e.input(0), e.input(1)), bias)
    if len(outputs) > 3 and outputs[3]:
        e.end_part(outputs[3:4], "Identity", total)
    e.end_part(outputs[:3], kind, total, *factors, axis=-1, epsilon=e.node.number("epsilon", 1e-12))


def _skip_group_norm(e: Expansion) -> None:
    """SkipGroupNorm: the same after a sum with a second image or with numbers for each channel, and a bias."""
    total = _plus(e, e.op("Add", e.input(0), e.op(IMAGE, e.input(3))), 4)
    if len(e.node.outputs) > 1 and e.node.outputs[1]:
        e.end_part(e.node.outputs[1:2], "Identity", total)
    _normalize_groups(e, total)


def _normalize_groups(e: Expansion, x: str) -> None:
    last = e.node.flag("channels_last", default=True)
    settings = {
        "num_groups": e.node.integer("groups"),
        "epsilon": e.node.number("epsilon", 1e-5),
        PER_CHANNEL: 1,
    }
    y = e.op("GroupNormalization", e.op(CHANNELS_FIRST, x) if last else x, e.input(1), e.input(2), **settings)
    y = e.op("Swish", y) if e.node.flag("activation", default=False) else y
    e.end_part(e.node.outputs[:1], CHANNELS_LAST if last else "Identity", y)


def _quantized_embedding(e: Expansion) -> None:
    """QEmbedLayerNormalization: EmbedLayerNormalization whose tables and factors are integers."""
    tables = {place: _real(e, place, place + 6, place + 11) for place in (2, 3, 5, 6)}
    if e.node.input(4) is not None:
        tables[4] = _real(e, 4, 10, 15)
    given = [tables.get(place, e.node.input(place)) for place in range(7)]
    e.end("com.microsoft.EmbedLayerNormalization", *given, e.node.input(7), **e.kept("epsilon"))


def _embedding(e: Expansion) -> None:
    """EmbedLayerNormalization: the sum of up to three embeddings, and its normalization."""
    outputs = [*e.node.outputs, "", ""][:3]
    if outputs[1] and e.node.input(7) is not None:
        counted = e.op("Cast", e.input(7), to=_FLOAT)
        e.end_part(outputs[1:2], "ReduceSum", counted, keepdims=0, axes=[1])
    total = e.op("Gather", e.input(2), e.input(0), axis=0)
    if e.node.input(8) is not None:
        total = e.op("Add", total, e.op("Gather", e.input(3), e.input(8), axis=0))
    else:
        tokens = e.op("Gather", e.op("Shape", e.input(0)), [1], axis=0)
        zero = [0]
        total = e.op("Add", total, e.op("Slice", e.input(3), zero, tokens, zero))
    if e.node.input(1) is not None:
        total = e.op("Add", total, e.op("Gather", e.input(4), e.input(1), axis=0))
    if outputs[2]:
        e.end_part(outputs[2:3], "Identity", total)
    epsilon = e.node.number("epsilon", 1e-12)
    e.end_part(outputs[:1], "LayerNormalization", total, e.input(5), e.input(6), axis=-1, epsilon=epsilon)


# ---- Attention -----------------------------------------------------------------------------------------------------


def _attention(e: Expansion) -> None:
    """Attention: one product makes queries, keys and values."""
    _refuse_operands(e, {6: "a number of past keys"})
    if e.node.has("qkv_hidden_sizes") and len(set(e.node.integers("qkv_hidden_sizes"))) > 1:
        raise UnsupportedError("its queries, keys and values have different sizes, which is not supported")
    e.refuse_unless("do_rotary", 0)
    _attend_jointly(e, e.op("MatMul", e.input(0), e.input(1)), past=4, bias=5)


def _quantized_attention(e: Expansion) -> None:
    """QAttention: Attention whose operand and matrix are integers."""
    product = e.op("MatMul", _real(e, 0, 3, 6), _real(e, 1, 4, 7, axis=-1))
    _attend_jointly(e, product, past=8, mask=5)


def _real(e: Expansion, place: int, scale: int, zero: int, axis: int | None = None) -> str:
    """Return the numbers of integers with a scale and a zero point."""
    attributes = {} if axis is None else {"axis": axis}
    return e.op("DequantizeLinear", e.input(place), e.input(scale), e.node.input(zero), **attributes)


def _attend_jointly(e: Expansion, product: str, *, past: int, mask: int = 3, bias: int | None = None) -> None:
    """Attend by a product that has queries, keys and values. Both past keys and values are one operand, too."""
    given: list[str | None] = list(e.ops("Split", [_plus(e, product, 2)], 3, axis=-1))
    earlier: list[str | None] = [None, None]
    outputs = [*e.node.outputs, ""]
    kept = [""] * 2
    if e.node.input(past) is not None:
        both = e.ops("Split", [e.input(past)], 2, axis=0)
        earlier = [e.op("Squeeze", one, axes=[0]) for one in both]
    if outputs[1]:
        kept = [e.unique(f"{outputs[1]}/{what}") for what in ("keys", "values")]
        parts = [e.op("Unsqueeze", one, axes=[0]) for one in kept]
        e.end_part(outputs[1:2], "Concat", *parts, axis=0)
    _attend(e, [*given, *earlier], mask=mask, bias=bias, kept=kept)


def _multi_head_attention(e: Expansion) -> None:
    _refuse_operands(e, {8: "a number of past keys", 9: "beams"})
    given = _unpacked(e)
    if e.node.input(3) is not None:
        biases = e.ops("Split", [e.input(3)], 3, axis=0)
        given = [e.op("Add", x, bias) for x, bias in zip(given, biases, strict=True)]
    earlier = [e.node.input(6), e.node.input(7)]
    _attend(e, [*given, *earlier], mask=4, bias=5, kept=e.node.outputs[1:])


def _unpacked(e: Expansion) -> list[str]:
    """Return queries, keys and values (n, tokens, channels).

    The first operand may have all of them, (n, tokens, heads, 3, size), or the second one keys and values.
    """
    if e.node.input(2) is not None:
        return [e.input(place) for place in range(3)]
    if e.node.input(1) is not None:
        return [e.input(0), *_split_heads(e, e.input(1), 2)]
    return _split_heads(e, e.input(0), 3)


def _split_heads(e: Expansion, packed: str, count: int) -> list[str]:
    """Return the tensors (n, tokens, channels) of one (n, tokens, heads, count, size)."""
    parts = [e.op("Squeeze", one, axes=[3]) for one in e.ops("Split", [packed], count, axis=3)]
    return [e.op("Reshape", one, [0, 0, -1]) for one in parts]


def _refuse_operands(e: Expansion, refused: dict[int, str]) -> None:
    for place, what in refused.items():
        if e.node.input(place) is not None:
            raise UnsupportedError(f"with {what} it is not supported")


def _attend(
    e: Expansion,
    given: Sequence[str | None],
    mask: int,
    bias: int | None,
    kept: Sequence[str],
) -> None:
    """Write ONNX' attention.

    Args:
        e: writes the nodes.
        given: queries, keys and values, and past keys and values.
        mask, bias: the places of the operands with a mask of keys, and with numbers for the scores.
        kept: the names of the results with all keys and values.
    """
    heads = e.node.integer("num_heads")
    attributes = {
        "q_num_heads": heads,
        "kv_num_heads": heads,
        "is_causal": e.node.flag("unidirectional", default=False),
    }
    masks = [e.input(bias)] if bias is not None and e.node.input(bias) is not None else []
    if e.node.input(mask) is not None:
        hidden = e.node.number("mask_filter_value", -10000.0)
        masks.append(e.op(PADDING_MASK, e.input(mask), value=hidden))
    added = e.op("Add", *masks) if len(masks) == 2 else next(iter(masks), None)
    scale = e.node.number("scale", 0.0)
    results = [*e.node.outputs[:1], *kept]
    given = [*given[:3], added, *given[3:]]
    e.end_part(results, "Attention", *given, **(attributes | ({"scale": scale} if scale else {})))


# ---- Operators of ONNX with another name ---------------------------------------------------------------------------


def _same(kind: str) -> Row:
    """Return the row of an operator that ONNX has with the same operands and attributes."""
    return lambda e: e.end(kind, *e.node.inputs, **e.kept(*e.node.attributes))


MICROSOFT: dict[str, Row] = {
    # onnxruntime writes this one in ONNX' own domain
    "SimplifiedLayerNormalization": lambda e: e.end(
        "RMSNormalization", *e.node.inputs, **e.kept("axis", "epsilon")
    ),
    **{
        f"com.microsoft.{kind}": row
        for kind, row in {
            "Attention": _attention,
            "BiasAdd": lambda e: e.end("Add", _plus(e, e.input(0), 1), e.input(2)),
            "BiasGelu": _gelu,
            "BiasSoftmax": lambda e: e.end(
                JOINT_SOFTMAX, e.op("Add", e.input(0), e.input(1)), axis=e.node.integer("axis", 1)
            ),
            "BiasSplitGelu": _bias_split_gelu,
            "DynamicQuantizeLSTM": _dynamic_lstm,
            "EmbedLayerNormalization": _embedding,
            "ExpandDims": _same("Unsqueeze"),
            "FastGelu": lambda e: e.end("Gelu", _plus(e, e.input(0), 1), approximate="tanh"),
            # a convolution, a sum with a fourth operand, and an activation.
            "FusedConv": lambda e: _convolved(e, e.input(0)),
            "FusedGemm": _gemm,
            "FusedMatMul": _matmul,
            "FusedMatMulActivation": _matmul,
            "GatherBlockQuantized": _gather_of_few_bits,
            "GatherND": _same("GatherND"),
            "Gelu": _gelu,
            "GemmFastGelu": _gemm_fast_gelu,
            # the channels are the last axis unless it says otherwise, and a Swish.
            "GroupNorm": lambda e: _normalize_groups(e, e.input(0)),
            "GridSample": _same("GridSample"),
            "MatMulNBits": _matmul_of_few_bits,
            "MultiHeadAttention": _multi_head_attention,
            "NhwcConv": _nhwc_conv,
            "NhwcFusedConv": _nhwc_conv,
            "NhwcMaxPool": _nhwc_max_pool,
            "Pad": _same("Pad"),
            "QAttention": _quantized_attention,
            "QEmbedLayerNormalization": _quantized_embedding,
            # x * sigmoid(alpha * x).
            "QuickGelu": lambda e: e.end("Swish", e.input(0), alpha=e.node.number("alpha", 1.702)),
            "Range": _same("Range"),
            "SkipGroupNorm": _skip_group_norm,
            "SkipLayerNormalization": lambda e: _skip_norm(
                e, "LayerNormalization", [e.input(2), e.node.input(3)], bias=4
            ),
            "SkipSimplifiedLayerNormalization": lambda e: _skip_norm(
                e, "RMSNormalization", [e.input(2)], bias=3
            ),
            "TransposeMatMul": _matmul,
            "Trilu": _same("Trilu"),
        }.items()
    },
}
"""The rows of onnxruntime's float operators."""
