"""Test operators that become several layers, in float16, at magnitudes whose squares are beyond float16.

Each is compared with its formula in float64. Its error is that of one layer, even if it becomes several: the float32
error relative to the data, and one rounding to float16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe_writer import image as caffe_image
from converters.caffe_writer import layer as caffe_layer
from converters.caffe_writer import write as write_caffe
from converters.keras_writer import functional, image, layer, write_h5
from converters.onnx_files import model, node, nodes_of
from converters.operator_cases import CaffeLayer, forms, gelu, sigmoid
from converters.tflite.test_tflite_layers import one as tflite
from numpy.typing import NDArray
from reference.softmax import softmax
from tolerance import HALF_EPS, assert_close, norm_bound

import mpscnn
from mpscnn import converters

Array = NDArray[Any]
Formula = Callable[[Array], Array]

VECTORS = (2, 5, 24)
NCHW = (2, 6, 4, 5)
NHWC = (2, 4, 5, 6)
IMAGE = (1, 4, 5, 6)
MAGNITUDES = (1e-4, 1.0, 3e2)
MAX_HALF = 65504.0


@dataclass(frozen=True)
class Operator:
    """An operator of a file, and a function with its meaning.

    Attributes:
        network: a function that writes the file to a folder and reads it.
        shape: the shape of the input that `formula` gets, including the batch.
        formula: computes the operator in float64.
        is_nchw: whether `shape` is NCHW. The network's input is NHWC.
        positive: whether the input has no negative numbers.
        magnitudes: the input's largest magnitudes, for one test each.
    """

    name: str
    network: Callable[[Path], mpscnn.Network]
    shape: tuple[int, ...]
    formula: Formula
    is_nchw: bool = False
    positive: bool = False
    magnitudes: Sequence[float] = field(default=MAGNITUDES)
    roundings: int = 1
    """The number of roundings for ordinary numbers: one for each operator, if the file has several."""


def check(operator: Operator, folder: Path, magnitude: float) -> None:
    generator = np.random.default_rng(len(operator.name))
    x = generator.uniform(0.25, 1.0, operator.shape) * magnitude
    if not operator.positive:
        x *= generator.choice([-1.0, 1.0], operator.shape)
    x = x.astype(np.float16).astype(np.float64)
    network = operator.network(folder)
    given = x.astype(np.float32)
    if operator.is_nchw:
        given = given.transpose(0, 2, 3, 1)
    result = np.asarray(network.compile(device="cpu", precision="float16").session(threads=1).run(given))
    with np.errstate(all="ignore"):
        expected = operator.formula(x)
    if operator.is_nchw and expected.ndim == 4:
        result = result.transpose(0, 3, 1, 2)
    expected = expected.reshape(result.shape)
    assert np.isfinite(expected).all()
    finite = np.where(np.abs(expected) < MAX_HALF + 16, expected, np.copysign(np.inf, expected))
    # A difference has the errors of its terms, which may be larger than its result.
    bound = norm_bound(np.abs(expected).max(), expected) + (operator.roundings - 1) * HALF_EPS * np.abs(
        expected
    )
    assert_close(result, finite, bound, half=True)


# ---- Formulas ----------------------------------------------------------------------------------------------


def over_norm(
    axes: int | tuple[int, ...] = -1,
    *,
    centred: bool = False,
    order: int = 2,
    averages: bool = True,
    inside: float = 0.0,
    outside: float = 0.0,
    minimum: float = 0.0,
) -> Formula:
    def apply(x: Array) -> Array:
        if centred:
            x = x - x.mean(axes, keepdims=True)
        terms = np.abs(x) ** order
        total = (np.mean if averages else np.sum)(terms, axis=axes, keepdims=True)
        root = (total + inside) ** (1.0 / order) + outside
        return np.asarray(x / np.maximum(root, minimum))

    return apply


def log_sum_exp(axis: int = -1) -> Formula:
    def apply(x: Array) -> Array:
        largest = x.max(axis, keepdims=True)
        return np.asarray(np.log(np.exp(x - largest).sum(axis, keepdims=True)) + largest)

    return apply


def softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


_erf = np.vectorize(math.erf)


GDN_WEIGHTS = np.random.default_rng(3).uniform(0.0, 0.3, (6, 6)).astype(np.float32).astype(np.float64)


def attended(x: Array, mask: Array | float = 0.0) -> Array:
    """Return the attention of tokens, which are at once queries, keys and values. `mask` is added to the scores."""
    scores = x @ np.swapaxes(x, -1, -2) / math.sqrt(x.shape[-1]) + mask
    return np.asarray(softmax(scores) @ x)


def windows_of_channels(x: Array, size: int) -> Array:
    """Return sums of the squares of `size` neighbouring channels."""
    padded = np.pad(x * x, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    return np.asarray(sum(padded[:, i : i + x.shape[1]] for i in range(size)))


# ---- ONNX --------------------------------------------------------------------------------------------------


def onnx_network(nodes: Sequence[Any], shape: Sequence[int], constants: Any, opset: int) -> Any:
    def make(folder: Path) -> mpscnn.Network:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        made = model(nodes, {"x": ["n", *shape[1:]]}, constants, opset=opset)
        onnx.save(made, str(folder / "operator.onnx"))
        return converters.read_network([folder / "operator.onnx"])

    return make


def of_onnx(
    name: str,
    nodes: Sequence[Any],
    formula: Formula,
    constants: Any = None,
    *,
    shape: tuple[int, ...] = VECTORS,
    opset: int = 17,
    **more: Any,
) -> Operator:
    made = onnx_network(nodes, shape, constants or {}, opset)
    return Operator(f"onnx, {name}", made, shape, formula, is_nchw=len(shape) == 4, **more)


def root_parts(first: str, axis: int, end: Sequence[Any]) -> list[Any]:
    """Return nodes that compute r, the root of the mean of the squares of `first`, with epsilon as a constant."""
    return [
        node("Pow", [first, "two"], "square"),
        node("ReduceMean", ["square"], "mean_square", axes=[axis]),
        *end,
    ]


_INSIDE = [node("Add", ["mean_square", "eps"], "sum"), node("Sqrt", ["sum"], "r")]
_OUTSIDE = [node("Sqrt", ["mean_square"], "root"), node("Add", ["root", "eps"], "r")]
_NUMBERS = {"two": np.array(2.0), "eps": np.array(1e-12), "one": np.array(1.0), "half": np.array(0.5)}


def centre(axis: int) -> list[Any]:
    return [node("ReduceMean", ["x"], "mean", axes=[axis]), node("Sub", ["x", "mean"], "d")]


# fmt: off
ONNX = [
    of_onnx("LpNormalization 2", [node("LpNormalization", ["x"], axis=-1)], over_norm(averages=False)),
    of_onnx("LpNormalization 1", [node("LpNormalization", ["x"], axis=-1, p=1)], over_norm(averages=False, order=1)),
    of_onnx("LpNormalization of channels", [node("LpNormalization", ["x"], axis=1)], over_norm(1, averages=False),
        shape=NCHW),
    of_onnx("LpNormalization of rows", [node("LpNormalization", ["x"], axis=2)], over_norm(2, averages=False),
        shape=NCHW),
    of_onnx("RMSNormalization", [node("RMSNormalization", ["x", "g"], axis=-1, epsilon=1e-12)],
        over_norm(inside=1e-12), {"g": np.ones(24)}, opset=23),
    of_onnx("LayerNormalization", [node("LayerNormalization", ["x", "g"], axis=-1, epsilon=1e-12)],
        over_norm(centred=True, inside=1e-12), {"g": np.ones(24)}),
    of_onnx("InstanceNormalization", [node("InstanceNormalization", ["x", "g", "b"], epsilon=1e-12)],
        over_norm((2, 3), centred=True, inside=1e-12), {"g": np.ones(6), "b": np.zeros(6)}, shape=NCHW),
    of_onnx("ReduceL1", [node("ReduceL1", ["x"], axes=[-1])], lambda x: np.abs(x).sum(-1, keepdims=True)),
    of_onnx("ReduceL2", [node("ReduceL2", ["x"], axes=[-1])], lambda x: np.sqrt((x * x).sum(-1, keepdims=True))),
    of_onnx("ReduceL2 of images", [node("ReduceL2", ["x"], axes=[2, 3])],
        lambda x: np.sqrt((x * x).sum((2, 3), keepdims=True)), shape=NCHW),
    of_onnx("ReduceSumSquare", [node("ReduceSumSquare", ["x"], axes=[-1])], lambda x: (x * x).sum(-1, keepdims=True)),
    of_onnx("ReduceSumSquare, scaled", [node("ReduceSumSquare", ["x"], "s", axes=[1, 2]), node("Sqrt", ["s"])],
        lambda x: np.sqrt((x * x).sum((1, 2), keepdims=True))),
    of_onnx("ReduceLogSum", [node("ReduceLogSum", ["x"], axes=[-1])], lambda x: np.log(x.sum(-1, keepdims=True)),
        positive=True),
    of_onnx("ReduceLogSumExp", [node("ReduceLogSumExp", ["x"], axes=[-1])], log_sum_exp()),
    of_onnx("a mean by a sum", [node("ReduceSum", ["x", "axis"], "s", keepdims=1), node("Mul", ["s", "share"])],
        lambda x: x.mean((1, 2), keepdims=True), {"axis": np.array([1, 2]), "share": np.array(1 / 120)},
        positive=True),
    of_onnx("LRN", [node("LRN", ["x"], size=3, alpha=0.5, beta=0.75, bias=2.0)],
        lambda x: x / (2.0 + 0.5 / 3 * windows_of_channels(x, 3)) ** 0.75, shape=NCHW),
    of_onnx("Softplus", [node("Softplus", ["x"])], softplus),
    of_onnx("Mish", [node("Mish", ["x"])], lambda x: x * np.tanh(softplus(x)), opset=18),
    of_onnx("Gelu", [node("Gelu", ["x"])], gelu, opset=20),
    of_onnx("Selu", [node("Selu", ["x"])],
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))),
    of_onnx("Celu", [node("Celu", ["x"], alpha=2.0)],
        lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
    of_onnx("Softsign", [node("Softsign", ["x"])], lambda x: x / (1 + np.abs(x))),
    of_onnx("LogSoftmax", [node("LogSoftmax", ["x"], axis=-1)], lambda x: x - log_sum_exp()(x)),
    of_onnx("Attention", [node("Attention", ["x", "x", "x"], q_num_heads=2, kv_num_heads=2)],
        lambda x: attended(x.reshape(2, 5, 2, 12).transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3), opset=23,
        magnitudes=(1e-4, 3e2), roundings=3),
    # ---- Several nodes for one function ----
    of_onnx(
        "attention by parts",
        nodes_of("""
            k = Transpose<perm=[0, 2, 1]>(x); products = MatMul(x, k); scores = Div(products, root)
            masked = Add(scores, mask); shares = Softmax<axis=-1>(masked); y = MatMul(shares, x)
        """),
        lambda x: attended(x, np.triu(np.full((5, 5), -1e4), 1)),
        {"root": np.array(math.sqrt(24.0)), "mask": np.triu(np.full((5, 5), -1e4), 1)},
        magnitudes=(1e-4, 3e2),
        roundings=3,
    ),
    of_onnx(
        "a norm of products",
        nodes_of("""
            k = Transpose<perm=[0, 2, 1]>(x); products = MatMul(x, k)
            y = LpNormalization<axis=-1>(products)
        """),
        lambda x: over_norm(averages=False)(x @ x.transpose(0, 2, 1)),
    ),
    of_onnx(
        "GDN by a convolution",
        nodes_of("squares = Mul(x, x); sums = Conv(squares, weights, beta); r = Sqrt(sums); y = Div(x, r)"),
        lambda x: x / np.sqrt(np.einsum("oi,nihw->nohw", GDN_WEIGHTS, x * x) + 1e-12),
        {"weights": GDN_WEIGHTS[..., None, None], "beta": np.full(6, 1e-12)},
        shape=NCHW,
        roundings=2,
    ),
    of_onnx("root mean square by parts", [*root_parts("x", -1, _INSIDE), node("Div", ["x", "r"])],
        over_norm(inside=1e-12), _NUMBERS),
    of_onnx("root mean square by parts, channels", [*root_parts("x", 1, _INSIDE), node("Div", ["x", "r"])],
        over_norm(1, inside=1e-12), _NUMBERS, shape=NCHW),
    of_onnx("root mean square by parts, tokens", [*root_parts("x", 1, _INSIDE), node("Div", ["x", "r"])],
        over_norm(1, inside=1e-12), _NUMBERS),
    of_onnx("root mean square and a reciprocal",
        [*root_parts("x", -1, _INSIDE), node("Reciprocal", ["r"], "i"), node("Mul", ["i", "x"])],
        over_norm(inside=1e-12), _NUMBERS),
    of_onnx("layer normalization by parts", [*centre(-1), *root_parts("d", -1, _INSIDE), node("Div", ["d", "r"])],
        over_norm(centred=True, inside=1e-12), _NUMBERS),
    of_onnx("layer normalization by parts, of channels",
        [*centre(1), *root_parts("d", 1, _OUTSIDE), node("Div", ["d", "r"])],
        over_norm(1, centred=True, outside=1e-12), _NUMBERS, shape=NCHW),
    of_onnx(
        "instance normalization by parts",
        [
            node("ReduceMean", ["x"], "mean", axes=[2, 3]),
            node("Sub", ["x", "mean"], "d"),
            node("Mul", ["d", "d"], "square"),
            node("ReduceMean", ["square"], "mean_square", axes=[2, 3]),
            *_INSIDE,
            node("Div", ["d", "r"]),
        ],
        over_norm((2, 3), centred=True, inside=1e-12),
        _NUMBERS,
        shape=NCHW,
    ),
    of_onnx(
        "a limited norm by parts",
        nodes_of("""
            square = Mul(x, x); total = ReduceSum<keepdims=1>(square, axis); root = Sqrt(total)
            r = Clip(root, eps); y = Div(x, r)
        """),
        over_norm(averages=False, minimum=1e-12),
        _NUMBERS | {"axis": np.array([-1])},
    ),
    of_onnx(
        "a response of images by parts",
        nodes_of("g = ReduceL2<axes=[2, 3]>(x); m = ReduceMean<axes=[1]>(g); e = Add(m, eps); y = Div(g, e)"),
        lambda x: (g := np.sqrt((x * x).sum((2, 3), keepdims=True))) / (g.mean(1, keepdims=True) + 1e-12),
        _NUMBERS,
        shape=NCHW,
        roundings=3,
    ),
    of_onnx("a variance by parts and its root",
        [*centre(-1), node("Mul", ["d", "d"], "s"), node("ReduceMean", ["s"], "v", axes=[-1]), node("Sqrt", ["v"])],
        lambda x: x.std(-1, keepdims=True)),
    of_onnx("a hypotenuse", [node("Mul", ["x", "x"], "a"), node("Add", ["a", "a"], "b"), node("Sqrt", ["b"])],
        lambda x: np.sqrt(2.0) * np.abs(x)),
    of_onnx(
        "a norm of order 3",
        nodes_of("a = Abs(x); p = Pow(a, three); s = ReduceSum<keepdims=1>(p, axis); y = Pow(s, third)"),
        lambda x: np.cbrt((np.abs(x) ** 3).sum(-1, keepdims=True)),
        {"three": np.array(3.0), "third": np.array(1 / 3), "axis": np.array([-1])},
    ),
    of_onnx("log-sum-exp by parts",
        [node("Exp", ["x"], "e"), node("ReduceSum", ["e", "axis"], "s", keepdims=1), node("Log", ["s"])],
        log_sum_exp(), {"axis": np.array([-1])}, magnitudes=(1e-4, 1.0, 20.0)),
    of_onnx("softplus by parts", [node("Exp", ["x"], "e"), node("Add", ["e", "one"], "s"), node("Log", ["s"])],
        softplus, _NUMBERS, magnitudes=(1e-4, 1.0, 20.0)),
    of_onnx(
        "GELU by parts",
        nodes_of("a = Div(x, root); e = Erf(a); f = Add(e, one); g = Mul(x, f); y = Mul(g, half)"),
        gelu,
        _NUMBERS | {"root": np.array(math.sqrt(2.0))},
    ),
]
# fmt: on


# ---- torch -------------------------------------------------------------------------------------------------


def of_torch(
    name: str, function: Callable[[Any, Any], Any], shape: tuple[int, ...] = VECTORS, **more: Any
) -> Operator:
    """Return an operator of torch. torch itself computes the expected result in double."""

    def network(_: Path) -> mpscnn.Network:
        torch = pytest.importorskip("torch", reason="torch is not installed")

        class Module(torch.nn.Module):  # type: ignore[misc]
            def forward(self, x: Any) -> Any:
                return function(torch, x)

        return mpscnn.from_torch(Module().eval(), torch.zeros(1, *shape[1:]))

    def formula(x: Array) -> Array:
        torch = pytest.importorskip("torch", reason="torch is not installed")
        return np.asarray(function(torch, torch.from_numpy(x)).numpy())

    return Operator(f"torch, {name}", network, shape, formula, is_nchw=len(shape) == 4, **more)


TORCH = [
    of_torch("F.normalize", lambda t, x: t.nn.functional.normalize(x, dim=-1)),
    of_torch("F.normalize of channels", lambda t, x: t.nn.functional.normalize(x, dim=1), NCHW),
    of_torch("F.normalize 1", lambda t, x: t.nn.functional.normalize(x, p=1.0, dim=1), NCHW),
    of_torch("F.normalize of tokens", lambda t, x: t.nn.functional.normalize(x, dim=1)),
    of_torch("rms_norm", lambda t, x: t.nn.functional.rms_norm(x, x.shape[-1:], eps=1e-6)),
    of_torch("layer_norm", lambda t, x: t.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-12)),
    of_torch("group_norm", lambda t, x: t.nn.functional.group_norm(x, 3, eps=1e-12), NCHW),
    of_torch("std", lambda t, x: x.std(-1, keepdim=True)),
    of_torch("std of images", lambda t, x: x.std((2, 3), keepdim=True, correction=0), NCHW),
    of_torch("var", lambda t, x: x.var(-1, keepdim=True)),
    of_torch("standardized", lambda t, x: (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)),
    of_torch("norm", lambda t, x: t.linalg.vector_norm(x, dim=-1, keepdim=True)),
    of_torch("norm of images", lambda t, x: t.linalg.vector_norm(x, dim=(2, 3), keepdim=True), NCHW),
    of_torch("logsumexp", lambda t, x: t.logsumexp(x, -1, keepdim=True)),
    of_torch("softplus", lambda t, x: t.nn.functional.softplus(x)),
    of_torch("mish", lambda t, x: t.nn.functional.mish(x)),
    of_torch("gelu", lambda t, x: t.nn.functional.gelu(x)),
    of_torch("gelu, tanh", lambda t, x: t.nn.functional.gelu(x, approximate="tanh")),
    of_torch("selu", lambda t, x: t.nn.functional.selu(x)),
    of_torch("logsigmoid", lambda t, x: t.nn.functional.logsigmoid(x)),
    of_torch(
        "local_response_norm", lambda t, x: t.nn.functional.local_response_norm(x, 3, alpha=0.5, k=2.0), NCHW
    ),
    of_torch(
        "scaled_dot_product_attention",
        lambda t, x: t.nn.functional.scaled_dot_product_attention(*[x[:, None]] * 3)[:, 0],
        magnitudes=(1e-4, 3e2),
        roundings=3,
    ),
    of_torch("lp_pool2d", lambda t, x: t.nn.functional.lp_pool2d(x, 2.0, 2), NCHW),
    of_torch("cosine of halves", lambda t, x: t.nn.functional.normalize(x, dim=-1).flip(-1)),
]


# ---- Keras -------------------------------------------------------------------------------------------------


def of_keras(
    name: str,
    kind: str,
    formula: Formula,
    shape: tuple[int, ...] = NHWC,
    weights: Any = None,
    **settings: Any,
) -> Operator:
    def network(folder: Path) -> mpscnn.Network:
        made = functional([image(*shape[1:]), layer(kind, "y", "image", **settings)])
        write_h5(folder / "operator.h5", made, {"y": weights or {}}, version="3.0.0")
        return converters.read_network([folder / "operator.h5"])

    return Operator(f"keras, {name}", network, shape, formula)


def activation(name: str, formula: Formula) -> Operator:
    return of_keras(f"activation {name}", "Activation", formula, activation=name)


KERAS = [
    of_keras("UnitNormalization", "UnitNormalization", over_norm(averages=False, minimum=1e-12), axis=-1),
    of_keras(
        "UnitNormalization of rows", "UnitNormalization", over_norm(1, averages=False, minimum=1e-12), axis=1
    ),
    of_keras(
        "RMSNormalization",
        "RMSNormalization",
        over_norm(inside=1e-12),
        weights={"scale": np.ones(6, np.float32)},
        epsilon=1e-12,
        axis=-1,
    ),
    of_keras(
        "LayerNormalization",
        "LayerNormalization",
        over_norm(centred=True, inside=1e-12),
        weights={"gamma": np.ones(6, np.float32), "beta": np.zeros(6, np.float32)},
        epsilon=1e-12,
        axis=[-1],
    ),
    activation("softplus", softplus),
    activation("mish", lambda x: x * np.tanh(softplus(x))),
    activation("gelu", gelu),
    activation("squareplus", lambda x: (x + np.sqrt(x * x + 4)) / 2),
    activation("log_sigmoid", lambda x: -softplus(-x)),
    activation("log_softmax", lambda x: x - log_sum_exp()(x)),
    activation(
        "selu",
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    ),
    activation("soft_shrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    activation("tanh_shrink", lambda x: x - np.tanh(x)),
    activation("glu", lambda x: x[..., :3] * sigmoid(x[..., 3:])),
]


# ---- TensorFlow Lite ---------------------------------------------------------------------------------------


def of_tflite(name: str, kind: str, formula: Formula, **settings: Any) -> Operator:
    def network(folder: Path) -> mpscnn.Network:
        (folder / "operator.tflite").write_bytes(tflite(kind, IMAGE, shape=IMAGE, **settings))
        return converters.read_network([folder / "operator.tflite"])

    return Operator(f"tflite, {name}", network, IMAGE, formula)


TFLITE = [
    of_tflite("L2_NORMALIZATION", "L2_NORMALIZATION", over_norm(averages=False, minimum=1e-3)),
    of_tflite(
        "LOCAL_RESPONSE_NORMALIZATION",
        "LOCAL_RESPONSE_NORMALIZATION",
        lambda x: (y := x.transpose(0, 3, 1, 2), y / (2 + 0.5 * windows_of_channels(y, 3)) ** 0.75)[
            1
        ].transpose(0, 2, 3, 1),
        options=[(0, "Int32", 1), (1, "Float32", 2.0), (2, "Float32", 0.5), (3, "Float32", 0.75)],
    ),
    of_tflite("LOG_SOFTMAX", "LOG_SOFTMAX", lambda x: x - log_sum_exp()(x)),
]


# ---- Caffe -------------------------------------------------------------------------------------------------


def of_caffe(name: str, form: CaffeLayer, meaning: Formula, shape: tuple[int, ...]) -> Operator:
    def network(folder: Path) -> mpscnn.Network:
        text = caffe_image(*shape) + caffe_layer(form.kind, "y", "data", form.parameters)
        return converters.read_network(write_caffe(folder, text, {"y": form.blobs} if form.blobs else None))

    return Operator(f"caffe, {name}", network, shape, meaning, is_nchw=True)


#: Layers of Caffe that become several layers.
COMPOSED = {"BNLL", "LRN", "MVN", "Normalize", "Reduction"}
CAFFE = [
    of_caffe(name, form, operator.meaning, tuple(operator.shapes[0]))
    for name, (form, operator) in forms(CaffeLayer).items()
    if form.kind in COMPOSED
]

OPERATORS = [*ONNX, *TORCH, *KERAS, *TFLITE, *CAFFE]
CASES = [(operator, magnitude) for operator in OPERATORS for magnitude in operator.magnitudes]


@pytest.mark.parametrize(
    ("operator", "magnitude"), CASES, ids=[f"{operator.name}, {magnitude:g}" for operator, magnitude in CASES]
)
def test_float16(tmp_path: Path, operator: Operator, magnitude: float) -> None:
    check(operator, tmp_path, magnitude)


WHOLE = {
    "onnx, root mean square by parts": ["layer_normalization"],
    "onnx, root mean square and a reciprocal": ["layer_normalization"],
    "onnx, layer normalization by parts": ["layer_normalization"],
    "onnx, layer normalization by parts, of channels": ["layer_normalization"],
    "onnx, root mean square by parts, channels": ["layer_normalization"],
    "onnx, instance normalization by parts": ["group_normalization"],
    "onnx, a limited norm by parts": ["layer_normalization"],
    "onnx, LpNormalization 2": ["layer_normalization"],
    "torch, F.normalize": ["layer_normalization"],
    "torch, F.normalize 1": ["layer_normalization"],
    "torch, rms_norm": ["layer_normalization"],
    "torch, standardized": ["layer_normalization"],
    "torch, var": ["reduction"],
    "torch, std": ["reduction"],
    "torch, std of images": ["reshape", "reduction", "reshape"],
    "torch, logsigmoid": ["neuron"],
    "keras, UnitNormalization": ["layer_normalization"],
    "keras, RMSNormalization": ["layer_normalization"],
    "tflite, L2_NORMALIZATION": ["layer_normalization"],
}


@pytest.mark.parametrize("name", WHOLE)
def test_norms_become_one_layer(tmp_path: Path, name: str) -> None:
    operator = next(operator for operator in OPERATORS if operator.name == name)
    nodes = operator.network(tmp_path).to_dict()["nodes"]
    assert [node["operation"] for node in nodes] == WHOLE[name]
