"""Replace the fused operators of the domain com.microsoft, which onnxruntime's optimiser writes, by those of ONNX.

The operators are described in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

from mpscnn.converters.onnx_reader.expansions import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    JOINT_SOFTMAX,
    TRANSPOSED,
    Expansion,
    Row,
)
from mpscnn.errors import UnsupportedError

_FLOAT = 1  # the number of float32 in ONNX
_WINDOW = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", "ceil_mode")
_PARAMETERS = {"LeakyRelu": ("alpha",), "Clip": ("min", "max"), "HardSigmoid": ("alpha", "beta")}
PADDING_MASK = "mpscnn.PaddingMask"
"""An operator that ONNX lacks: it turns a mask of keys (n, keys) into numbers that are added to scores."""


# ---- Convolutions and products -------------------------------------------------------------------------------------


def _conv(e: Expansion) -> None:
    """FusedConv: a convolution, a sum with a fourth operand, and an activation."""
    _convolved(e, e.input(0))


def _nhwc_conv(e: Expansion) -> None:
    _convolved(e, e.add(CHANNELS_FIRST, [e.input(0)]), channels_last=True)


def _convolved(e: Expansion, x: str, *, channels_last: bool = False) -> None:
    y = e.add("Conv", [x, e.input(1), e.node.input(2)], e.kept(*_WINDOW))
    y = e.add(CHANNELS_LAST, [y]) if channels_last else y
    if e.node.input(3) is not None:
        y = e.add("Add", [y, e.input(3)])
    kind = e.node.text("activation", "")
    numbers = dict(zip(_PARAMETERS.get(kind, ()), e.node.numbers("activation_params"), strict=False))
    e.end_with_activation(y, kind, **numbers)


def _nhwc_max_pool(e: Expansion) -> None:
    y = e.add("MaxPool", [e.add(CHANNELS_FIRST, [e.input(0)])], e.kept(*_WINDOW))
    e.end(CHANNELS_LAST, [y])


def _gemm(e: Expansion) -> None:
    y = e.add("Gemm", e.node.inputs, e.kept("alpha", "beta", "transA", "transB"))
    _end_activated(e, y)


def _end_activated(e: Expansion, y: str) -> None:
    names = {"alpha": "activation_alpha", "beta": "activation_beta"}
    given = {name: e.node.number(stated) for name, stated in names.items() if e.node.has(stated)}
    kind = e.node.text("activation", "")
    if kind == "Softmax":
        given = {"axis": e.node.integer("activation_axis", -1)}
    e.end_with_activation(y, kind, **given)


def _matmul(e: Expansion) -> None:
    for name in ("transBatchA", "transBatchB"):
        e.refuse_unless(name, 0)
    operands = [
        e.add(TRANSPOSED, [e.input(place)]) if e.node.flag(name, default=False) else e.input(place)
        for place, name in enumerate(("transA", "transB"))
    ]
    alpha = e.node.number("alpha", 1.0)
    y = e.add("MatMul", operands)
    _end_activated(e, y if alpha == 1.0 else e.add("Mul", [y, e.constant(alpha)]))


def _gemm_fast_gelu(e: Expansion) -> None:
    y = e.add("MatMul", [e.input(0), e.input(1)])
    e.end("Gelu", [_plus(e, y, 2)], approximate="tanh")


def _plus(e: Expansion, x: str, place: int) -> str:
    """Return the sum of a tensor and an operand, or the tensor if the operand is left out."""
    return x if e.node.input(place) is None else e.add("Add", [x, e.input(place)])


# ---- Functions -----------------------------------------------------------------------------------------------------


def _gelu(e: Expansion) -> None:
    e.end("Gelu", [_plus(e, e.input(0), 1)])


def _fast_gelu(e: Expansion) -> None:
    e.end("Gelu", [_plus(e, e.input(0), 1)], approximate="tanh")


def _quick_gelu(e: Expansion) -> None:
    """QuickGelu: x * sigmoid(alpha * x)."""
    e.end("Swish", [e.input(0)], alpha=e.node.number("alpha", 1.702))


def _bias_add(e: Expansion) -> None:
    e.end("Add", [_plus(e, e.input(0), 1), e.input(2)])


def _bias_split_gelu(e: Expansion) -> None:
    first, second = e.add_several(2, "Split", [_plus(e, e.input(0), 1)], axis=-1)
    e.end("Mul", [first, e.add("Gelu", [second])])


def _bias_softmax(e: Expansion) -> None:
    e.end(JOINT_SOFTMAX, [e.add("Add", [e.input(0), e.input(1)])], axis=e.node.integer("axis", 1))


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _skip_layer_norm(e: Expansion) -> None:
    _skip_norm(e, "LayerNormalization", [e.input(2), e.node.input(3)], bias=4)


def _skip_rms_norm(e: Expansion) -> None:
    _skip_norm(e, "RMSNormalization", [e.input(2)], bias=3)


def _skip_norm(e: Expansion, kind: str, factors: list[str | None], bias: int) -> None:
    """Write the sum of the operand, of a second one and of a bias, and its normalization. The sum may be a result."""
    outputs = e.node.outputs
    total = _plus(e, e.add("Add", [e.input(0), e.input(1)]), bias)
    if len(outputs) > 3 and outputs[3]:
        e.end("Identity", [total], results=outputs[3:4])
    e.end(kind, [total, *factors], results=outputs[:3], axis=-1, epsilon=e.node.number("epsilon", 1e-12))


def _rms_norm(e: Expansion) -> None:
    e.end("RMSNormalization", e.node.inputs, e.kept("axis", "epsilon"))


def _embedding(e: Expansion) -> None:
    """EmbedLayerNormalization: the sum of up to three embeddings, and its normalization."""
    outputs = [*e.node.outputs, "", ""][:3]
    if outputs[1] and e.node.input(7) is not None:
        counted = e.add("Cast", [e.input(7)], to=_FLOAT)
        e.end("ReduceSum", [counted], results=outputs[1:2], keepdims=0, axes=[1])
    total = e.add("Gather", [e.input(2), e.input(0)], axis=0)
    if e.node.input(8) is not None:
        total = e.add("Add", [total, e.add("Gather", [e.input(3), e.input(8)], axis=0)])
    else:
        tokens = e.add("Gather", [e.add("Shape", [e.input(0)]), e.constant([1], "int64")], axis=0)
        zero = e.constant([0], "int64")
        total = e.add("Add", [total, e.add("Slice", [e.input(3), zero, tokens, zero])])
    if e.node.input(1) is not None:
        total = e.add("Add", [total, e.add("Gather", [e.input(4), e.input(1)], axis=0)])
    if outputs[2]:
        e.end("Identity", [total], results=outputs[2:3])
    epsilon = e.node.number("epsilon", 1e-12)
    e.end(
        "LayerNormalization", [total, e.input(5), e.input(6)], results=outputs[:1], axis=-1, epsilon=epsilon
    )


# ---- Attention -----------------------------------------------------------------------------------------------------


def _attention(e: Expansion) -> None:
    """Attention: one product makes queries, keys and values."""
    _refuse_operands(e, {4: "past keys", 6: "past keys"})
    if e.node.has("qkv_hidden_sizes") and len(set(e.node.integers("qkv_hidden_sizes"))) > 1:
        raise UnsupportedError("its queries, keys and values have different sizes, which is not supported")
    e.refuse_unless("do_rotary", 0)
    whole = _plus(e, e.add("MatMul", [e.input(0), e.input(1)]), 2)
    _attend(e, e.add_several(3, "Split", [whole], axis=-1), mask=3, bias=5)


def _multi_head_attention(e: Expansion) -> None:
    _refuse_operands(e, {6: "past keys", 7: "past keys", 9: "past keys"})
    if e.node.input(1) is None or e.node.input(2) is None:
        raise UnsupportedError("its queries, keys and values are one tensor, which is not supported")
    given = [e.input(place) for place in range(3)]
    if e.node.input(3) is not None:
        biases = e.add_several(3, "Split", [e.input(3)], axis=0)
        given = [e.add("Add", [x, bias]) for x, bias in zip(given, biases, strict=True)]
    _attend(e, given, mask=4, bias=5)


def _refuse_operands(e: Expansion, refused: dict[int, str]) -> None:
    for place, what in refused.items():
        if e.node.input(place) is not None:
            raise UnsupportedError(f"with {what} it is not supported")


def _attend(e: Expansion, given: list[str], mask: int, bias: int) -> None:
    heads = e.node.integer("num_heads")
    attributes = {
        "q_num_heads": heads,
        "kv_num_heads": heads,
        "is_causal": e.node.flag("unidirectional", default=False),
    }
    masks = [e.input(bias)] if e.node.input(bias) is not None else []
    if e.node.input(mask) is not None:
        hidden = e.node.number("mask_filter_value", -10000.0)
        masks.append(e.add(PADDING_MASK, [e.input(mask)], value=hidden))
    added = e.add("Add", masks) if len(masks) == 2 else next(iter(masks), None)
    scale = e.node.number("scale", 0.0)
    e.end("Attention", [*given, added], attributes | ({"scale": scale} if scale else {}))


# ---- Operators of ONNX with another name ---------------------------------------------------------------------------


def _same(kind: str) -> Row:
    """Return the row of an operator that ONNX has with the same operands and attributes."""
    return lambda e: e.end(kind, e.node.inputs, e.kept(*e.node.attributes))


MICROSOFT: dict[str, Row] = {
    "SimplifiedLayerNormalization": _rms_norm,  # onnxruntime writes it in ONNX' own domain
    **{
        f"com.microsoft.{kind}": row
        for kind, row in {
            "Attention": _attention,
            "BiasAdd": _bias_add,
            "BiasGelu": _gelu,
            "BiasSoftmax": _bias_softmax,
            "BiasSplitGelu": _bias_split_gelu,
            "EmbedLayerNormalization": _embedding,
            "ExpandDims": _same("Unsqueeze"),
            "FastGelu": _fast_gelu,
            "FusedConv": _conv,
            "FusedGemm": _gemm,
            "FusedMatMul": _matmul,
            "FusedMatMulActivation": _matmul,
            "GatherND": _same("GatherND"),
            "Gelu": _gelu,
            "GemmFastGelu": _gemm_fast_gelu,
            "GridSample": _same("GridSample"),
            "MultiHeadAttention": _multi_head_attention,
            "NhwcConv": _nhwc_conv,
            "NhwcFusedConv": _nhwc_conv,
            "NhwcMaxPool": _nhwc_max_pool,
            "Pad": _same("Pad"),
            "QuickGelu": _quick_gelu,
            "Range": _same("Range"),
            "SkipLayerNormalization": _skip_layer_norm,
            "SkipSimplifiedLayerNormalization": _skip_rms_norm,
            "TransposeMatMul": _matmul,
            "Trilu": _same("Trilu"),
        }.items()
    },
}
"""The rows of onnxruntime's float operators."""
