"""Activations that ONNX files write as several nodes become one layer, and similar nodes do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import assert_like_onnxruntime, model, node, nodes_of, operations, weights

NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "three": 3.0,
    "six": 6.0,
    "zero": 0.0,
    "sixth": 1 / 6,
    "root": np.sqrt(2.0),
    "cube": 0.044715,
    "factor": np.sqrt(2 / np.pi),
    "quick": 1.702,
}
IMAGE: Mapping[str, Sequence[Any]] = {"x": ["n", 3, 7, 6]}

FORMS: dict[str, tuple[str, list[Any]]] = {
    "swish": ("swish", [node("Sigmoid", ["c"], "s"), node("Mul", ["c", "s"])]),
    "swish, the other way round": ("swish", [node("Sigmoid", ["c"], "s"), node("Mul", ["s", "c"])]),
    "swish with a factor": (
        "swish",
        [node("Mul", ["quick", "c"], "q"), node("Sigmoid", ["q"], "s"), node("Mul", ["c", "s"])],
    ),
    "mish": ("mish", [node("Softplus", ["c"], "p"), node("Tanh", ["p"], "t"), node("Mul", ["c", "t"])]),
    "hard swish by a clip": (
        "hard_swish",
        nodes_of("a = Add(c, three); l = Clip(a, zero, six); m = Mul(c, l); y = Div(m, six)"),
    ),
    "hard swish, divided first": (
        "hard_swish",
        nodes_of("a = Add(three, c); l = Clip(a, zero, six); d = Mul(l, sixth); y = Mul(d, c)"),
    ),
    "hard swish by a ReLU and a minimum": (
        "hard_swish",
        nodes_of("a = Add(c, three); r = Relu(a); l = Min(r, six); d = Div(l, six); y = Mul(c, d)"),
    ),
    "hard swish by a hard sigmoid": (
        "hard_swish",
        [node("HardSigmoid", ["c"], "h", alpha=1 / 6, beta=0.5), node("Mul", ["c", "h"])],
    ),
    "hard sigmoid": ("hard_sigmoid", nodes_of("a = Add(c, three); l = Clip(a, zero, six); y = Div(l, six)")),
    "gelu": (
        "gelu",
        nodes_of("d = Div(c, root); e = Erf(d); a = Add(e, one); m = Mul(c, a); y = Mul(m, half)"),
    ),
    "gelu, halved first": (
        "gelu",
        nodes_of("h = Mul(c, half); d = Div(c, root); e = Erf(d); a = Add(one, e); y = Mul(h, a)"),
    ),
    "gelu by tanh": (
        "gelu_tanh",
        nodes_of("""
            c2 = Mul(c, c); c3 = Mul(c2, c); k = Mul(c3, cube); s = Add(c, k); f = Mul(s, factor)
            t = Tanh(f); a = Add(t, one); m = Mul(c, a); y = Mul(m, half)
        """),
    ),
}


def model_of(nodes: Sequence[Any], **options: Any) -> Any:
    """Return a model of a convolution and the nodes after it."""
    constants = {name: np.float32(value) for name, value in NUMBERS.items()}
    used = {name for one in nodes for name in one.input}
    return model(
        [node("Conv", ["x", "w"], "c"), *nodes],
        IMAGE,
        {"w": 0.5 * weights(4, 3, 3, 3)} | {name: constants[name] for name in constants if name in used},
        **options,
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_activation_by_parts_ends_the_convolution(form: str) -> None:
    kind, nodes = FORMS[form]
    after = node("GlobalMaxPool", ["y"], "z")
    network = assert_like_onnxruntime(model_of([*nodes, after], outputs=("z",)))
    layer, _ = network.to_dict()["nodes"]
    assert layer["operation"] == "convolution"
    assert layer["activation"]["kind"] == kind


@pytest.mark.parametrize("form", FORMS)
def test_five_activations_of_one_value(form: str) -> None:
    kind, nodes = FORMS[form]
    names = {name for one in nodes for name in one.output if name}
    copies: list[Any] = []
    for number in range(5):
        for one in nodes:
            copies.append(copied := type(one)())
            copied.CopyFrom(one)
            copied.name = f"{one.name}{number}"
            for part in (copied.input, copied.output):
                part[:] = [f"{name}{number}" if name in names else name for name in part]
    results = [f"{nodes[-1].output[0]}{number}" for number in range(5)]
    network = assert_like_onnxruntime(model_of(copies, outputs=results))
    kinds = [layer["attributes"].get("kind") for layer in network.to_dict()["nodes"]]
    assert kinds == [None, *[kind] * 5]


def test_other_constants_are_another_function() -> None:
    nodes = nodes_of("a = Add(c, one); l = Clip(a, zero, six); m = Mul(c, l); y = Div(m, six)")
    network = assert_like_onnxruntime(model_of(nodes))
    kinds = [layer.get("activation", {}).get("kind") for layer in network.to_dict()["nodes"]]
    assert "hard_swish" not in kinds


RESPONSE = {
    "axis": np.array([1]),
    "apart": np.array([1, 1, 6, 9, -1]),
    "border": np.array([0, 0, 2, 0, 0, 0, 0, 2, 0, 0]),
    "alpha": np.float32(0.3),
    "k": np.float32(1.5),
    "beta": np.float32(0.7),
    "two": np.float32(2.0),
}


def response(first: Any, apart: Any, last: Any, **window: Any) -> list[Any]:
    """Return local response normalization as torch writes it, with an average pooling of squares over channels."""
    window = {"kernel_shape": [5, 1, 1]} | window
    return [
        first,
        apart,
        node("Pad", ["u", "border"], "p"),
        node("AveragePool", ["p"], "w", **window),
        last,
        *nodes_of("m = Mul(d, alpha); a = Add(k, m); f = Pow(a, beta); y = Div(x, f)"),
    ]


SQUARE = node("Mul", ["x", "x"], "s")
APART = node("Unsqueeze", ["s", "axis"], "u")
BACK = node("Squeeze", ["w", "axis"], "d")


@pytest.mark.parametrize(
    "nodes",
    [
        response(SQUARE, APART, BACK),
        response(node("Pow", ["x", "two"], "s"), node("Reshape", ["s", "apart"], "u"), BACK),
    ],
    ids=["by axes", "by shapes"],
)
def test_a_local_response_normalization_by_parts(nodes: list[Any]) -> None:
    network = assert_like_onnxruntime(model(nodes, {"x": [1, 6, 9, 8]}, RESPONSE))
    assert operations(network) == ["cross_channel_normalization"]


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        (response(SQUARE, APART, BACK, strides=[2, 1, 1])[:-1], ["f"]),
        (response(SQUARE, APART, BACK, kernel_shape=[4, 1, 1])[:-1], ["f"]),
        (response(SQUARE, APART, BACK), ["y", "w"]),
        (
            response(
                SQUARE,
                node("Unsqueeze", ["s", "two_axis"], "u"),
                node("Squeeze", ["w", "two_axis"], "d"),
            ),
            ["y"],
        ),
    ],
    ids=["other steps", "another window", "a value that is needed", "another axis"],
)
def test_other_averages_are_not_a_local_response_normalization(nodes: list[Any], outputs: list[str]) -> None:
    constants = RESPONSE | {"two_axis": np.array([2])}
    network = assert_like_onnxruntime(model(nodes, {"x": [1, 6, 9, 8]}, constants, outputs=outputs))
    assert "cross_channel_normalization" not in operations(network)
