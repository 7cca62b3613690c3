"""Operators that the reader replaces by others of ONNX give the results of other engines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from converters.onnx_cases import Case, Draw, compare_drawn
from converters.onnx_files import Array, model, node, nodes_of, operations, read, run_here, run_there
from reference.softmax import softmax
from tiers import with_full

from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.errors import UnsupportedError, WeightsError

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
MICROSOFT = "com.microsoft"


def ours(kind: str, inputs: list[str], outputs: str | list[str] = "y", **attributes: Any) -> Any:
    """Return a node of the domain com.microsoft."""
    return node(kind, inputs, outputs, domain=MICROSOFT, **attributes)


# ---- Fused operators -----------------------------------------------------------------------------------------------


def fused_conv(d: Draw) -> Case:
    x, filters = d.numbers(2, d.integer(1, 4), d.integer(3, 7), d.integer(3, 7)), d.integer(1, 5)
    kind, numbers = d.choice(
        ("Relu", []), ("LeakyRelu", [0.1]), ("Clip", [-0.5, 1.0]), ("HardSigmoid", [0.2, 0.5]), ("Tanh", [])
    )
    attributes: dict[str, Any] = {"activation": kind, "pads": [d.integer(0, 1) for _ in range(4)]}
    if numbers:
        attributes["activation_params"] = numbers
    constants = {"w": d.numbers(filters, x.shape[1], 3, 2), "b": d.numbers(filters)}
    return Case([ours("FusedConv", ["x", "w", "b"], **attributes)], {"x": x}, constants, 17, on_runtime=True)


def fused_gemm(d: Draw) -> Case:
    rows, inner, columns = d.shape(3)
    kind = d.choice("Relu", "LeakyRelu", "Tanh", "Sigmoid")
    attributes = {"activation": kind, "alpha": d.choice(1.0, 0.5), "transB": 1}
    attributes |= {"activation_alpha": 0.2} if kind == "LeakyRelu" else {}
    constants = {"w": d.numbers(columns, inner), "b": d.numbers(columns)}
    nodes = [ours("FusedGemm", ["x", "w", "b"], **attributes)]
    return Case(nodes, {"x": d.numbers(rows, inner)}, constants, 17, on_runtime=True)


def fused_matmul(d: Draw) -> Case:
    batch, heads, rows, inner, columns = d.shape(5)
    turned = [d.flag(), d.flag()]
    shapes = [
        (inner, rows) if turned[0] else (rows, inner),
        (columns, inner) if turned[1] else (inner, columns),
    ]
    first, second = (d.numbers(batch, heads, *shape) for shape in shapes)
    attributes = {"alpha": d.choice(1.0, 0.3), "transA": int(turned[0]), "transB": int(turned[1])}
    if d.flag():  # the rows of a fixed number come first, as onnxruntime writes products of attention
        attributes["transBatchB"] = 1
        operands = ["x", "w"]
        if d.flag():
            attributes["transBatchA"], operands[0] = 1, "turned"
        nodes = [
            node("Transpose", ["x"], "turned", perm=[2, 0, 1, 3]),
            ours("FusedMatMul", operands, **attributes),
        ]
        return Case(nodes, {"x": first}, {"w": np.moveaxis(second, 2, 0)}, 17, on_runtime=True)
    nodes = [ours(d.choice("FusedMatMul", "TransposeMatMul"), ["x", "w"], **attributes)]
    if d.flag():
        return Case(nodes, {"x": first, "w": second}, opset=17, on_runtime=True)
    return Case(nodes, {"x": first}, {"w": second[0, 0]}, 17, on_runtime=True)


def gelu(d: Draw) -> Case:
    kind, x = d.choice("Gelu", "BiasGelu", "FastGelu", "QuickGelu"), d.numbers(2, *d.shape(2))
    inputs = ["x", "b"] if kind in ("BiasGelu", "FastGelu") else ["x"]
    attributes = {"alpha": d.choice(1.702, 0.7)} if kind == "QuickGelu" else {}
    return Case(
        [ours(kind, inputs, **attributes)], {"x": x}, {"b": d.numbers(x.shape[-1])}, 17, on_runtime=True
    )


def skip_norm(d: Draw) -> Case:
    """Draw a normalization of a sum, which may be a result."""
    x, skip = (d.numbers(2, 3, d.integer(2, 6)) for _ in range(2))
    skip = np.resize(skip, x.shape)
    factors = {name: d.numbers(x.shape[2]) for name in "gbc"}
    outputs = d.choice(("y",), ("y", "t"))
    names = ["y", "", "", "t"] if len(outputs) == 2 else ["y"]
    if d.flag():
        inputs = ["x", "s", "g", "b", "c"][: d.integer(4, 5)]
        nodes = [ours("SkipLayerNormalization", inputs, names, epsilon=1e-3)]
    else:
        inputs = ["x", "s", "g", "c"][: d.integer(3, 4)]
        nodes = [ours("SkipSimplifiedLayerNormalization", inputs, names, epsilon=1e-3)]
    return Case(nodes, {"x": x, "s": skip}, factors, 17, outputs, on_runtime=True)


def heads(d: Draw) -> Case:
    """Draw attention with one matrix for queries, keys and values, or with one tensor for each."""
    batch, tokens, keys, count = d.shape(4)
    size = count * d.integer(1, 4)
    attributes = {"num_heads": count, "unidirectional": d.integer(0, 1)}
    constants = {"b": d.numbers(3 * size), "w": d.numbers(size, 3 * size) / np.float32(size)}
    if d.flag():
        feeds, nodes, inputs = {"x": d.numbers(batch, tokens, size)}, [], ["x", "w", "b"]
        if d.flag():
            feeds["given"] = (d.random.random((batch, tokens)) < 0.7).astype(np.float32)
            feeds["given"][:, 0] = 1.0
            nodes, inputs = [node("Cast", ["given"], "m", to=6)], [*inputs, "m"]
        nodes.append(ours("Attention", inputs, **attributes))
        return Case(nodes, feeds, constants, 17, on_runtime=True)
    keys = tokens if attributes["unidirectional"] else keys
    feeds = {name: d.numbers(batch, tokens if name == "q" else keys, size) for name in "qkv"}
    nodes = [ours("MultiHeadAttention", ["q", "k", "v", *["b"] * d.integer(0, 1)], **attributes)]
    return Case(nodes, feeds, constants, 17, on_runtime=True)


def packed_heads(d: Draw) -> Case:
    """Draw attention whose queries, keys and values, or keys and values, are one tensor.

    onnxruntime has these forms on GPUs only, so its result for separate tensors is compared.
    """
    batch, tokens, keys, count = d.shape(4)
    size, first = d.integer(1, 4), d.choice(0, 1)
    keys = keys if first else tokens
    packed = d.numbers(batch, keys, count, 3 - first, size)
    feeds = {"q": d.numbers(batch, tokens, count * size)} if first else {}
    parts = feeds | {
        name: np.ascontiguousarray(packed[:, :, :, place].reshape(batch, keys, -1))
        for place, name in enumerate("qkv"[first:])
    }
    shapes = {name: list(x.shape) for name, x in parts.items()}
    apart = model([ours("MultiHeadAttention", list("qkv"), num_heads=count)], shapes, opset=17)
    nodes = [ours("MultiHeadAttention", [*feeds, "packed"], num_heads=count)]
    return Case(nodes, feeds | {"packed": packed}, {}, 17, results=tuple(run_there(apart, parts)))


def heads_after_past(d: Draw) -> Case:
    """Draw attention to keys of earlier runs, too. All keys are a result."""
    batch, tokens, earlier, count = d.shape(4)
    width = d.integer(1, 4)
    size = count * width
    if d.flag():
        feeds = {"x": d.numbers(batch, tokens, size), "p": d.numbers(2, batch, count, earlier, width)}
        constants = {"w": d.numbers(size, 3 * size) / np.float32(size), "b": d.numbers(3 * size)}
        nodes = [
            ours(
                "Attention",
                ["x", "w", "b", "", "p"],
                ["y", "k"],
                num_heads=count,
                unidirectional=d.integer(0, 1),
            )
        ]
        outputs = ("y", "k") if batch == 1 else ("y",)  # with more images the result's first axis is no batch
        nodes[0].output[1:] = ["k"]
        return Case(nodes, feeds, constants, 17, outputs, on_runtime=True)
    feeds = {name: d.numbers(batch, tokens, size) for name in "qkv"}
    feeds |= {name: d.numbers(batch, count, earlier, width) for name in ("pk", "pv")}
    nodes = [
        ours(
            "MultiHeadAttention", ["q", "k", "v", "", "", "", "pk", "pv"], ["y", "ak", "av"], num_heads=count
        )
    ]
    return Case(nodes, feeds, {}, 17, ("y", "ak", "av"), on_runtime=True)


def quantized_heads(d: Draw) -> Case:
    batch, tokens, count = d.shape(3)
    size = count * d.integer(1, 4)
    x, grid, constants = on_grid(d, "x", batch, tokens, size)
    constants |= {
        "w": d.random.integers(-128, 128, (size, 3 * size)).astype(np.int8),
        "ws": np.float32(0.01 / size),
        "wz": np.int8(0),
        "b": d.numbers(3 * size),
    }
    inputs = ["xq", "w", "b", "xs", "ws", "", "xz", "wz"]
    nodes = [x, ours("QAttention", inputs, num_heads=count, unidirectional=d.integer(0, 1))]
    return Case(nodes, {"x": grid}, constants, 17, on_runtime=True)


def few_bits(d: Draw) -> Case:
    """Draw a product with a matrix of numbers of few bits."""
    bits, block, rows, columns = d.choice(4, 8), d.choice(16, 32), d.integer(1, 70), d.integer(1, 6)
    blocks = -(-rows // block)
    constants: dict[str, Any] = {
        "w": d.random.integers(0, 256, (columns, blocks, block * bits // 8)).astype(np.uint8),
        "s": d.random.uniform(0.01, 0.1, columns * blocks).astype(np.float32),
    }
    inputs = ["x", "w", "s"]
    if d.flag():
        width = -(-blocks * bits // 8)
        constants["z"] = d.random.integers(0, 256, columns * width).astype(np.uint8)
        inputs.append("z")
    if d.flag():
        constants["b"] = d.numbers(columns)
        inputs = [*inputs, *[""] * (5 - len(inputs)), "b"]
    attributes = {"K": rows, "N": columns, "bits": bits, "block_size": block}
    nodes = [ours("MatMulNBits", inputs, **attributes)]
    return Case(
        nodes, {"x": d.numbers(2, d.integer(1, 4), rows)}, constants, 17, on_runtime=True, tolerance=1e-4
    )


def gathered_blocks(d: Draw) -> Case:
    """Draw rows of a table of few bits: packed bytes, or 4-bit integers, which onnxruntime takes as another type."""
    block, words, indices = 16, d.integer(1, 9), d.shape(2)
    kind = d.choice("uint8", "uint4", "int4")
    bits = d.choice(4, 8) if kind == "uint8" else 4
    blocks = d.integer(1, 4)
    columns = block * blocks - (d.integer(0, 7) * 8 // bits if blocks > 1 else 0)
    low = -8 if kind == "int4" else 0

    def packed(extents: list[int]) -> Any:
        if kind == "uint8":
            extents = [*extents[:-1], -(-extents[-1] * bits // 8)]
            return d.random.integers(0, 256, extents).astype(np.uint8)
        return d.random.integers(low, low + 16, extents).astype(getattr(ml_dtypes, kind))

    constants = {
        "w": packed([words, columns]),
        "s": d.random.uniform(0.01, 0.1, (words, blocks)).astype(np.float32),
        "z": packed([words, blocks]),
    }
    attributes = {"bits": bits, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
    inputs = ["w", "places", "s", *(["z"] if d.flag() else [])]
    nodes = [
        node("Cast", ["i"], "places", to=7),
        ours("GatherBlockQuantized", inputs, **attributes),
    ]
    places = d.random.integers(0, words, (2, *indices)).astype(np.float32)
    return Case(nodes, {"i": places}, constants, 21, on_runtime=True)


def group_norm(d: Draw) -> Case:
    """Draw a normalization of groups. No engine has it on a CPU."""
    groups, each = d.integer(1, 3), d.integer(1, 3)
    last, activation, kind = d.integer(0, 1), d.integer(0, 1), d.choice("GroupNorm", "SkipGroupNorm")
    channels = groups * each
    last = 1 if kind == "SkipGroupNorm" else last
    image = d.numbers(2, *((3, 4, channels) if last else (channels, 3, 4)))
    constants = {"g": d.numbers(channels), "b": d.numbers(channels), "c": d.numbers(channels)}
    feeds, total, inputs, outputs = {"x": image}, image, ["x", "g", "b"], ["y"]
    if kind == "SkipGroupNorm":
        feeds["s"] = d.choice(d.numbers(*image.shape), d.numbers(2, 1, 1, channels), d.numbers(2, channels))
        skip = feeds["s"] if feeds["s"].ndim == 4 else feeds["s"][:, None, None]
        total = image + skip + constants["c"]
        inputs, outputs = [*inputs, "s", "c"], ["y", "t"]
    own = total if last else total.transpose(0, 2, 3, 1)
    parts = own.reshape(2, 12, groups, each).astype(np.float64)
    centred = parts - parts.mean(axis=(1, 3), keepdims=True)
    y = (centred / np.sqrt((centred**2).mean(axis=(1, 3), keepdims=True) + 1e-3)).reshape(own.shape)
    y = y * constants["g"] + constants["b"]
    y = y / (1 + np.exp(-y)) if activation else y
    y = (y if last else y.transpose(0, 3, 1, 2)).astype(np.float32)
    node_ = ours(
        kind, inputs, outputs, groups=groups, epsilon=1e-3, activation=activation, channels_last=last
    )
    return Case([node_], feeds, constants, 17, tuple(outputs), (y, total)[: len(outputs)])


def embedding(d: Draw) -> Case:
    batch, tokens, words, size = (d.integer(1, 6) for _ in range(4))
    feeds = {
        "a": d.random.integers(0, words, (batch, tokens)).astype(np.float32),
        "c": d.random.integers(0, 2, (batch, tokens)).astype(np.float32),
    }
    tables = {"w": d.numbers(words, size + 1), "p": d.numbers(tokens, size + 1), "s": d.numbers(2, size + 1)}
    nodes = [node("Cast", [name], f"{name}i", to=6) for name in "ac"]
    inputs = ["ai", "ci", "w", "p", "s", "g", "b"]
    nodes.append(ours("EmbedLayerNormalization", inputs, ["y", "m"], epsilon=1e-3))
    factors = {name: d.numbers(size + 1) for name in "gb"}
    return Case(nodes, feeds, tables | factors, 17, on_runtime=True)


def quantized_embedding(d: Draw) -> Case:
    batch, tokens, words, size = (d.integer(2, 6) for _ in range(4))
    feeds = {
        "a": d.random.integers(0, words, (batch, tokens)).astype(np.float32),
        "c": d.random.integers(0, 2, (batch, tokens)).astype(np.float32),
    }
    shapes = {"w": (words, size), "p": (tokens, size), "s": (2, size), "g": (size,), "b": (size,)}
    constants: dict[str, Any] = {}
    for name, shape in shapes.items():
        constants[name] = d.random.integers(0, 256, shape).astype(np.uint8)
        constants[f"{name}s"] = np.float32(d.random.uniform(0.01, 0.1))
        constants[f"{name}z"] = np.uint8(d.integer(100, 150))
    scales, zeros = [[f"{name}{what}" for name in shapes] for what in "sz"]
    inputs = ["ai", "ci", *shapes, "", *scales, *zeros]
    nodes = [node("Cast", [name], f"{name}i", to=6) for name in "ac"]
    nodes.append(ours("QEmbedLayerNormalization", inputs, ["y", "m"], epsilon=1e-3))
    # onnxruntime's result can differ by 1e-4 from this one in float64, if the sums of an element are nearly equal.
    word, position, segment, gamma, beta = (
        (constants[name] - np.float64(constants[f"{name}z"])) * constants[f"{name}s"] for name in shapes
    )
    added = word[feeds["a"].astype(int)] + position + segment[feeds["c"].astype(int)]
    centred = added - added.mean(-1, keepdims=True)
    y = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-3) * gamma + beta
    return Case(nodes, feeds, constants, 17, results=(y,))


def lstm_of_integers(d: Draw) -> Case:
    """Draw an LSTM whose weights are integers. The results are those of an LSTM with their numbers.

    onnxruntime also rounds the activations to 8 bits, so its results are only near.
    """
    size, scales = 5, d.choice((2,), (2, 20))
    stored = {
        name: d.random.integers(0, 256, (2, rows, 4 * size)).astype(np.uint8)
        for name, rows in (("w", 3), ("r", size))
    }
    own = {f"{name}s": d.random.uniform(0.004, 0.006, scales).astype(np.float32) for name in "wr"}
    own |= {f"{name}z": np.full(scales, 128, np.uint8) for name in "wr"} | {"b": d.numbers(2, 8 * size)}
    inputs = ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"]
    attributes = {"hidden_size": size, "direction": "bidirectional"}
    nodes, feeds = [ours("DynamicQuantizeLSTM", inputs, **attributes)], {"x": d.numbers(4, 1, 3)}
    real = {"b": own["b"]}
    for name, whole in stored.items():
        turned = whole.transpose(0, 2, 1).astype(np.float32) - np.float32(128)
        real[name] = turned * own[f"{name}s"].reshape(2, -1, 1)
    shapes = {"x": [4, 1, 3]}
    (exact,) = run_there(model([node("LSTM", list("xwrb"), **attributes)], shapes, real, opset=17), feeds)
    (rounded,) = run_there(model(nodes, shapes, stored | own, opset=17), feeds)
    np.testing.assert_allclose(exact, rounded, atol=0.03)
    return Case(nodes, feeds, stored | own, 17, results=(exact,))


def by_parts(d: Draw) -> Case:
    """Draw a function that several others compute together."""
    x = d.numbers(2, *d.shape(2))
    kind = d.choice("Acosh", "Asinh", "Atanh", "Cosh", "Shrink", "Sinh", "ThresholdedRelu")
    attributes = {"Shrink": {"lambd": 0.7, "bias": 0.3}, "ThresholdedRelu": {"alpha": 0.4}}.get(kind, {})
    x = {"Acosh": np.abs(x) + np.float32(1.0), "Atanh": x * np.float32(0.45)}.get(kind, x)
    return Case([node(kind, ["x"], **attributes)], {"x": x}, opset=17)


# ---- Operators that onnxruntime has on no CPU ----------------------------------------------------------------------


def nhwc_conv(d: Draw) -> Case:
    """Draw a convolution of an image with its channels last, and filters (filters, channels, height, width)."""
    x, filters, stride = d.numbers(2, d.integer(3, 7), d.integer(3, 7), d.integer(1, 4)), d.integer(1, 5), 2
    constants = {"w": d.numbers(filters, x.shape[3], 3, 2), "b": d.numbers(filters)}
    top, left, bottom, right = pads = [d.integer(0, 1) for _ in range(4)]
    padded = np.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), (1, 2))[:, ::stride, ::stride]
    y = np.einsum("nyxchw,fchw->nyxf", windows, constants["w"]) + constants["b"]
    kind, attributes = d.choice("NhwcConv", "NhwcFusedConv"), {"pads": pads, "strides": [stride, stride]}
    if kind == "NhwcFusedConv":
        attributes, y = attributes | {"activation": "Relu"}, np.maximum(y, 0)
    return Case([ours(kind, ["x", "w", "b"], **attributes)], {"x": x}, constants, 17, results=(y,))


def bias_softmax(d: Draw) -> Case:
    """Draw a softmax of a sum. The bias has an extent of 1 along the inner axes or along the outer ones."""
    x, is_inner = d.numbers(2, *d.shape(3)), d.flag()
    bias = d.numbers(x.shape[0], 1, 1, x.shape[3]) if is_inner else d.numbers(1, 1, *x.shape[2:])
    attributes: dict[str, Any] = {"is_inner_broadcast": int(is_inner)}
    axis = d.choice(1, 2, 3)
    if axis != 1 or d.flag():
        attributes["axis"] = axis
    feeds = {"x": x, "s": bias} if is_inner else {"x": x}
    constants = {} if is_inner else {"s": bias}
    nodes = [ours("BiasSoftmax", ["x", "s"], **attributes)]
    # The softmax is over this axis and all axes after it together.
    result = softmax((x + bias).reshape(*x.shape[:axis], -1)).reshape(x.shape)
    return Case(nodes, feeds, constants, 17, results=(result,))


def bias_add(d: Draw) -> Case:
    x, bias = d.numbers(2, *d.shape(2)), d.numbers(d.integer(1, 6))
    x, skip = (np.resize(one, (2, x.shape[1], len(bias))) for one in (x, d.numbers(2, 5, 6)))
    nodes = [ours("BiasAdd", ["x", "b", "s"])]
    return Case(nodes, {"x": x, "s": skip}, {"b": bias}, 17, results=(x + bias + skip,))


def bias_split_gelu(d: Draw) -> Case:
    """Draw a product of the first half of the channels and the Gelu of the second half."""
    half = d.integer(1, 5)
    x, bias = d.numbers(2, d.integer(1, 6), 2 * half), d.numbers(2 * half)
    first, second = np.split(x + bias, 2, axis=-1)
    gelu_of_second = second * (1 + np.vectorize(math.erf)(second / math.sqrt(2))) / 2
    nodes = [ours("BiasSplitGelu", ["x", "b"])]
    return Case(nodes, {"x": x}, {"b": bias}, 17, results=(first * gelu_of_second,))


# ---- Integers ------------------------------------------------------------------------------------------------------


def on_grid(d: Draw, name: str, *shape: int) -> tuple[Any, Array, dict[str, Any]]:
    """Return a QuantizeLinear, numbers that it does not round, and its scale and zero point."""
    scale, zero = np.float32(d.random.uniform(0.01, 0.05)), np.uint8(d.integer(0, 255))
    integers = d.random.integers(0, 256, shape)
    numbers = ((integers - int(zero)) * scale).astype(np.float32)
    made = node("QuantizeLinear", [name, f"{name}s", f"{name}z"], f"{name}q")
    return made, numbers, {f"{name}s": scale, f"{name}z": zero}


def _quantized(
    d: Draw, kinds: dict[str, dict[str, Any]], operands: int, shape: tuple[int, ...], **more: Any
) -> Case:
    kind = d.choice(*kinds)
    names = "xw"[:operands]
    nodes, feeds, constants = [], {}, {"ys": np.float32(0.043), "yz": np.uint8(d.integer(0, 255))}
    for name in names:
        made, feeds[name], own = on_grid(d, name, *shape)
        nodes.append(made)
        constants |= own
    triples = [f"{name}{part}" for name in names for part in "qsz"]
    inputs = ["ys", "yz", *triples] if kind == "QLinearConcat" else [*triples, "ys", "yz"]
    nodes.append(ours(kind, inputs, "i", **kinds[kind], **more))
    # A sum that is halfway between two integers may be rounded to either.
    return Case(nodes, feeds, constants, 17, ("i",), on_runtime=True, steps=1.0)


def quantized_of_two(d: Draw) -> Case:
    kinds: dict[str, dict[str, Any]] = {"QLinearAdd": {}, "QLinearMul": {}, "QLinearConcat": {"axis": 1}}
    return _quantized(d, kinds, 2, (2, *d.shape(2)))


def quantized_function(d: Draw) -> Case:
    kinds: dict[str, dict[str, Any]] = {
        "QLinearSigmoid": {},
        "QLinearLeakyRelu": {"alpha": 0.2},
        "QLinearGlobalAveragePool": {},
        "QLinearAveragePool": {"kernel_shape": [2, 1]},
    }
    return _quantized(d, kinds, 1, (2, d.integer(1, 3), d.integer(2, 5), d.integer(1, 5)))


def quantized_softmax(d: Draw) -> Case:
    """Draw a softmax over one axis, or as in opset 12 over this axis and all axes after it."""
    attributes = {"axis": d.choice(-1, 1, 2), "opset": d.choice(12, 13)}
    return _quantized(d, {"QLinearSoftmax": attributes}, 1, (2, d.integer(2, 3), d.integer(2, 5), 3))


def quantized_choice(d: Draw) -> Case:
    """Draw a choice between the integers of two tensors with scales of their own."""
    shape = (2, *d.shape(2))
    made, feeds, constants = [], {}, {"ys": np.float32(0.043), "yz": np.uint8(d.integer(0, 255))}
    for name in "xw":
        quantized, feeds[name], own = on_grid(d, name, *shape)
        made.append(quantized)
        constants |= own
    feeds["c"] = d.random.integers(0, 2, shape).astype(np.float32)
    inputs = ["m", "xq", "xs", "xz", "wq", "ws", "wz", "ys", "yz"]
    nodes = [*made, node("Cast", ["c"], "m", to=9), ours("QLinearWhere", inputs, "i")]
    return Case(nodes, feeds, constants, 17, ("i",), on_runtime=True, steps=1.0)


def quantized_mean(d: Draw) -> Case:
    made, x, constants = on_grid(d, "x", 2, *d.shape(3))
    axes, keepdims, scale, zero = d.choice([1], [2, 3], [-1]), d.flag(), np.float32(0.043), d.integer(0, 255)
    constants |= {"ys": scale, "yz": np.uint8(zero)}
    attributes = {"axes": axes, **({} if keepdims and d.flag() else {"keepdims": int(keepdims)})}
    nodes = [made, ours("QLinearReduceMean", ["xq", "xs", "xz", "ys", "yz"], "i", **attributes)]
    means = x.mean(tuple(axes), keepdims=keepdims)
    integers = np.clip(np.rint(means / scale) + zero, 0, 255)
    return Case(nodes, {"x": x}, constants, 17, ("i",), results=(integers,), steps=1.0)


def nhwc_max_pool(d: Draw) -> Case:
    """Draw a maximum pooling of the integers of an image with its channels last."""
    made, x, constants = on_grid(d, "x", 2, d.integer(3, 6), d.integer(3, 6), d.integer(1, 5))
    attributes = {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [d.integer(0, 1) for _ in range(4)]}
    nodes = [made, ours("NhwcMaxPool", ["xq"], "i", **attributes)]
    return Case(nodes, {"x": x}, constants, 17, ("i",), on_runtime=True, steps=1.0)


def quantized_conv(d: Draw) -> Case:
    channels, filters = d.integer(1, 4), d.integer(1, 4)
    made, x, constants = on_grid(d, "x", 2, channels, d.integer(3, 6), d.integer(3, 6))
    each = d.choice(1, filters)
    constants |= {
        "w": d.random.integers(-128, 128, (filters, channels, 3, 2)).astype(np.int8),
        "ws": d.random.uniform(0.001, 0.01, each).astype(np.float32),
        "wz": np.zeros(each, np.int8),
        "b": d.random.integers(-900, 900, filters).astype(np.int32),
        "ys": np.float32(0.07),
        "yz": np.uint8(d.integer(0, 255)),
    }
    inputs = ["xq", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"][: d.integer(8, 9)]
    nodes = [made, node("QLinearConv", inputs, "i", pads=[d.integer(0, 1) for _ in range(4)])]
    return Case(nodes, {"x": x}, constants, 17, ("i",), on_runtime=True, steps=1.0)


def quantized_product(d: Draw) -> Case:
    rows, inner, columns = d.shape(3)
    made, x, constants = on_grid(d, "x", rows, inner)
    constants |= {
        "w": d.random.integers(-128, 128, (inner, columns)).astype(np.int8),
        "ws": np.float32(d.random.uniform(0.001, 0.01)),
        "wz": np.int8(d.integer(-9, 9)),
        "b": d.random.integers(-900, 900, columns).astype(np.int32),
        "ys": np.float32(0.07),
        "yz": np.uint8(d.integer(0, 255)),
    }
    own = ["xq", "xs", "xz", "w", "ws", "wz"]
    last = d.choice(
        node("QLinearMatMul", [*own, "ys", "yz"], "i"), ours("QGemm", [*own, "b", "ys", "yz"], "i")
    )
    return Case([made, last], {"x": x}, constants, 17, ("i",), on_runtime=True, steps=1.0)


def moved_integers(d: Draw) -> Case:
    """Draw operators that move integers between QuantizeLinear and DequantizeLinear."""
    made, x, constants = on_grid(d, "x", 2, 4, 4, 6)
    constants["shape"] = np.array([2, 4, -1])
    moves = {
        "MaxPool": {"kernel_shape": [2, 2]}, "Transpose": {"perm": [0, 1, 3, 2]}, "DepthToSpace": {"blocksize": 2},
        "Flatten": {}, "Reshape": {}, "GlobalMaxPool": {},
    }  # fmt: skip
    kind = d.choice(*moves)
    nodes = [
        made,
        node(kind, ["xq", "shape"] if kind == "Reshape" else ["xq"], "m", **moves[kind]),
        node("DequantizeLinear", ["m", "xs", "xz"]),
    ]
    return Case(nodes, {"x": x}, constants, 21)


def by_axis(d: Draw) -> Case:
    """Draw the integers of a scale for each channel, or of blocks."""
    x = d.numbers(2, 4, d.integer(1, 5))
    blocks = d.flag()
    shape = (2, 2, x.shape[2]) if blocks else (4,)
    constants = {
        "s": d.random.uniform(0.05, 0.1, shape).astype(np.float32),
        "z": d.random.integers(-100, 100, shape).astype(np.int8),
    }
    attributes = {"axis": 1, **({"block_size": 2} if blocks else {})}
    if blocks:
        x = np.concatenate([x[:1]] * 2)
        constants = {name: np.concatenate([values[:1]] * 2) for name, values in constants.items()}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "i", **attributes),
        node("DequantizeLinear", ["i", "s", "z"], **attributes),
    ]
    return Case(nodes, {"x": x}, constants, 21, d.choice(("y",), ("y", "i")))


def dynamic(d: Draw) -> Case:
    """Draw a product or convolution of integers whose scale follows from the input's largest numbers."""
    is_conv = d.flag()
    x = d.numbers(1, *((d.integer(1, 4), 5, 4) if is_conv else d.shape(2)))
    x *= np.float32(d.choice(0.0, 1.0, 1.0, 1.0))
    kind, shape = ("ConvInteger", (3, x.shape[1], 3, 2)) if is_conv else ("MatMulInteger", (x.shape[2], 3))
    dtype = np.uint8 if is_conv else d.choice(np.int8, np.uint8)
    low = np.iinfo(dtype).min
    constants = {
        "w": d.random.integers(low, low + 256, shape).astype(dtype),
        "wz": d.random.integers(low, low + 256, () if is_conv else d.choice((), (3,))).astype(dtype),
        "ws": np.float32(0.01),
    }
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["i", "s", "z"]),
        node(kind, ["i", "w", "z", "wz"], "p"),
        *nodes_of("f = Cast<to=1>(p); t = Mul(s, ws); y = Mul(f, t)"),
    ]
    outputs = d.choice(("y",), ("y",), ("y", "i", "s", "z", "p"))
    return Case(nodes, {"x": x}, constants, 17, outputs)


def dynamic_product(d: Draw) -> Case:
    x, columns = d.numbers(1, d.integer(1, 4), d.integer(1, 6)), d.integer(1, 4)
    count = d.choice(1, columns)
    constants = {
        "w": d.random.integers(-128, 128, (x.shape[2], columns)).astype(np.int8),
        "ws": d.random.uniform(0.001, 0.01, count).astype(np.float32),
        "wz": np.zeros(count, np.int8),
        "b": d.numbers(columns),
    }
    if d.flag():
        inputs = ["x", "w", "ws", "wz", "b"][: d.integer(4, 5)]
        nodes = [ours("DynamicQuantizeMatMul", inputs)]
    else:
        inputs = ["i", "w", "s", "ws", "z", "wz", "b"][: d.integer(6, 7)]
        nodes = [
            node("DynamicQuantizeLinear", ["x"], ["i", "s", "z"]), ours("MatMulIntegerToFloat", inputs)
        ]  # fmt: skip
    return Case(nodes, {"x": x}, constants, 17, on_runtime=True)


#: What files compute of the integers p of a product, and of the scale s: the last two are only scaled again.
USES_OF_SCALES = {
    "rounded bias": "t = Mul(s, ws); q = Div(b, t); r = Floor(q); f = Cast<to=1>(p); a = Add(f, r); y = Mul(a, t)",
    "reciprocal": "f = Cast<to=1>(p); r = Reciprocal(s); y = Div(f, r)",
    "scaled bias": "f = Cast<to=1>(p); m = Mul(f, s); t = Mul(s, b); y = Add(m, t)",
    "bias of integers": "f = Cast<to=1>(p); a = Add(f, b); y = Mul(a, s)",
    "square": "f = Cast<to=1>(p); m = Mul(f, s); y = Mul(m, s)",
    "not scaled": "f = Cast<to=1>(p); y = Mul(f, ws)",
    "root": "f = Cast<to=1>(p); t = Sqrt(s); y = Mul(f, t)",
    "ReLU6 of integers": "f = Cast<to=1>(p); c = Clip(f, zero, six); y = Mul(f, s); o = Mul(c, s)",
    "integers of integers": "f = Cast<to=1>(p); h = Mul(f, ws); k = Cast<to=7>(h); g = Cast<to=1>(k); y = Mul(g, s)",
    "sum of products": "f = Cast<to=1>(p); a = Add(f, f); y = Mul(a, s)",
    "two scales": "f = Cast<to=1>(p); t = Mul(s, ws); y = Mul(f, t)",
}


@pytest.mark.parametrize("use", USES_OF_SCALES)
def test_uses_of_a_computed_scale(use: str) -> None:
    """The scale may only be taken as 1 where all that is made of the integers is multiplied by it once."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["i", "s", "z"]),
        node("MatMulInteger", ["i", "w", "z"], "p"),
        *nodes_of(USES_OF_SCALES[use]),
    ]
    constants = {
        "w": np.random.default_rng(0).integers(-128, 128, (4, 3)).astype(np.int8), "ws": np.float32(0.05),
        "b": np.float32([0.9, -3.7, 25.0]), "zero": np.float32(0), "six": np.float32(600),
    }  # fmt: skip
    x = np.random.default_rng(1).uniform(-0.4, 0.9, (1, 4)).astype(np.float32)
    outputs = ("y", "o") if " o = " in USES_OF_SCALES[use] else ("y",)
    made = model(nodes, {"x": [1, 4]}, constants, outputs=outputs)
    for found, wanted in zip(run_here(read(made), [x]), run_there(made, {"x": x}), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


KINDS: list[Callable[[Draw], Case]] = [
    bias_add, bias_softmax, bias_split_gelu, by_axis, by_parts, dynamic, dynamic_product, embedding, few_bits,
    gathered_blocks,
    fused_conv, fused_gemm, fused_matmul, gelu, group_norm, heads, heads_after_past, lstm_of_integers,
    moved_integers, nhwc_conv, nhwc_max_pool, packed_heads, quantized_choice, quantized_conv, quantized_embedding,
    quantized_function, quantized_heads, quantized_mean, quantized_of_two, quantized_product, quantized_softmax,
    skip_norm,
]  # fmt: skip


@pytest.mark.parametrize("examples", with_full([10], [300]))
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_operators_compute_what_others_compute(make: Callable[[Draw], Case], examples: int) -> None:
    compare_drawn(make, examples)


def test_integers_of_each_image_have_their_own_scale() -> None:
    nodes = nodes_of("""
        i, s, z = DynamicQuantizeLinear(x); p = MatMulInteger(i, w, z); f = Cast<to=1>(p); y = Mul(f, s)
    """)
    weight = np.eye(3, dtype=np.int8)
    network = read(model(nodes, {"x": ["n", 3]}, {"w": weight}))
    assert any("of each image" in note for note in network.notes)
    x = np.float32([[1, 2, 3], [-0.1, 0.2, 0.001]])
    (both,) = run_here(network, [x])
    (alone,) = run_here(network, [x[1:]])
    np.testing.assert_array_equal(both[1:], alone)
    np.testing.assert_allclose(both, x, atol=3.0 / 255)
    with pytest.raises(UnsupportedError, match=r"\(DynamicQuantizeLinear\): takes the range of"):
        read(model(nodes[:1], {"x": ["n", 3]}, outputs=("i",)))


def test_the_lstm_of_integers_is_noted() -> None:
    case = lstm_of_integers(Draw(1))
    network = read(model(case.nodes, {"x": list(case.feeds["x"].shape)}, case.constants, opset=17))
    assert any("only its weights are rounded to 8 bits" in note for note in network.notes)


def test_precision_int8_computes_in_the_integers_of_qlinear_conv() -> None:
    case = quantized_conv(Draw(3))
    constants = case.constants | {"wz": np.zeros_like(case.constants["wz"])}
    nodes = [*case.nodes, node("DequantizeLinear", ["i", "ys", "yz"])]
    network = read(model(nodes, {"x": list(case.feeds["x"].shape)}, constants))
    assert any('precision "int8" computes in its integers' in note for note in network.notes)


@pytest.mark.parametrize("kind", sorted(EXPANSIONS))
def test_operators_without_operands_are_damaged(kind: str) -> None:
    domain, _, name = kind.rpartition(".")
    made = model([node("Relu", ["x"]), node("Relu", ["x"], "z")], {"x": [1, 3]}, outputs=("y", "z"))
    made.graph.node[0].op_type, made.graph.node[0].domain = name, domain
    del made.graph.node[0].input[:]
    with pytest.raises((WeightsError, UnsupportedError), match=r"damaged|operand|not supported"):
        read(made)


# ---- Old opsets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Add", "Div", "Mul", "Pow", "Sub"])
@pytest.mark.parametrize(("axis", "shape"), [(1, (6,)), (2, (9, 8)), (1, (6, 9)), (None, (8,)), (1, (1,))])
def test_arithmetic_of_old_opsets(kind: str, axis: int | None, shape: tuple[int, ...]) -> None:
    """The second operand lacks axes on either side, and `axis` says where its first one is."""
    attributes = {"broadcast": 1, **({} if axis is None else {"axis": axis})}
    d = Draw(1)
    x, other = np.abs(d.numbers(2, 6, 9, 8)) + np.float32(0.5), d.numbers(*shape)
    made = model([node(kind, ["x", "k"], **attributes)], {"x": ["n", 6, 9, 8]}, {"k": other}, opset=6)
    (found,) = run_here(read(made), [x])
    axes = other.reshape(*shape, *[1] * (0 if axis is None else 4 - axis - len(shape)))
    functions = {"Add": np.add, "Div": np.divide, "Mul": np.multiply, "Pow": np.power, "Sub": np.subtract}
    np.testing.assert_allclose(found.transpose(0, 3, 1, 2), functions[kind](x, axes), rtol=2e-5)


def test_a_network_of_opset_1() -> None:
    """Settings that later became operands are attributes, and others have another form."""
    d = Draw(2)
    nodes = nodes_of("""
        a = ImageScaler<scale=2.0, bias=[0.1, 0.2, 0.3]>(x); b = Pad<paddings=[0, 0, 1, 0, 0, 0, 0, 2]>(a)
        c = Upsample<height_scale=2.0, width_scale=2.0, mode="nearest">(b); e = PRelu(c, slopes)
        f = Crop<border=[1, 2, 1, 0]>(e); g = Cast<to="FLOAT">(f); h = ScaledTanh<alpha=1.5, beta=0.5>(g)
        i = Affine<alpha=2.0, beta=-1.0>(h); j = Selu(i); y = Reshape<shape=[0, -1]>(j)
    """)
    slopes = np.float32([0.1, -0.2, 0.3])
    x = d.numbers(2, 3, 4, 5)
    made = model(nodes, {"x": ["n", 3, 4, 5]}, {"slopes": slopes}, opset=1)
    (found,) = run_here(read(made), [x])
    y = np.pad(x * 2 + np.float32([0.1, 0.2, 0.3]).reshape(3, 1, 1), [(0, 0), (0, 0), (1, 0), (0, 2)])
    y = y.repeat(2, 2).repeat(2, 3)
    y = np.where(y > 0, y, y * slopes.reshape(3, 1, 1))[:, :, 2:, 1:-1]
    y = 2 * 1.5 * np.tanh(0.5 * y) - 1
    y = 1.0507 * np.where(y > 0, y, 1.6732 * (np.exp(y) - 1))
    np.testing.assert_allclose(found, y.reshape(2, -1), rtol=1e-4, atol=1e-5)


def test_norm_poolings_of_opset_1_have_a_float_order() -> None:
    made = model([node("LpPool", ["x"], kernel_shape=[2, 2], p=2.0)], {"x": [1, 1, 4, 4]}, opset=1)
    assert operations(read(made)) == ["pooling"]
    with pytest.raises(UnsupportedError, match=r"a norm of order 2.5 is not supported"):
        read(model([node("LpPool", ["x"], kernel_shape=[2, 2], p=2.5)], {"x": [1, 1, 4, 4]}, opset=1))


@pytest.mark.parametrize("kind", ["Conv", "ReorderOutput"])
def test_operators_of_one_processor_are_refused_with_another_level_of_optimisation(kind: str) -> None:
    made = model([node(kind, ["x"], domain="com.microsoft.nchwc")], {"x": [1, 8, 4, 4]})
    with pytest.raises(UnsupportedError, match=r"one kind of processor: .* ORT_ENABLE_EXTENDED"):
        read(made)
