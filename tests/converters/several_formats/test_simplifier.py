"""What files of any format write as several operators becomes a part of the convolution before or after them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.part_writers import BORDER, CHANNELS, FORMATS, HEIGHT, PADDED, WIDTH, Writer
from reference.neuron import neuron as reference
from tolerance import HALF_EPS

import mpscnn
from mpscnn.converters.finishing.simplify.activations import ActivationFinder
from mpscnn.converters.finishing.simplify.simplifier import simplify, simplify_before_integers

RANDOM = np.random.default_rng(4)
OUTPUTS = 4
FIRST = RANDOM.normal(0, 1, (CHANNELS, CHANNELS)).astype(np.float32)
LAST = RANDOM.normal(0, 1, (OUTPUTS, CHANNELS)).astype(np.float32)
X = RANDOM.normal(0, 2, (1, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)


# ---- Patterns ------------------------------------------------------------------------------------------------------


def swish(w: Writer, x: str) -> str:
    return w.apply("multiply", x, w.apply("sigmoid", x))


def swish_with_a_factor(w: Writer, x: str) -> str:
    return w.apply("multiply", w.apply("sigmoid", w.with_number("multiply", x, 1.702)), x)


def sigmoid_by_tanh(w: Writer, x: str) -> str:
    tanh = w.apply("tanh", w.with_number("multiply", x, 0.5))
    return w.with_number("multiply", w.with_number("add", tanh, 1.0), 0.5)


def mish(w: Writer, x: str) -> str:
    return w.apply("multiply", x, w.apply("tanh", w.apply("softplus", x)))


def hard_sigmoid(w: Writer, x: str) -> str:
    return w.with_number("multiply", w.apply("relu6", w.with_number("add", x, 3.0)), 1 / 6)


def other_hard_sigmoid(w: Writer, x: str) -> str:
    line = w.with_number("add", w.with_number("multiply", x, 0.75), 1.25)
    return w.with_number("multiply", w.apply("relu6", line), 1 / 6)


def hard_swish(w: Writer, x: str) -> str:
    return w.apply("multiply", x, hard_sigmoid(w, x))


def hard_swish_divided_last(w: Writer, x: str) -> str:
    limited = w.apply("relu6", w.with_number("add", x, 3.0))
    return w.with_number("multiply", w.apply("multiply", x, limited), 1 / 6)


def gelu(w: Writer, x: str) -> str:
    erf = w.apply("erf", w.with_number("multiply", x, 0.5**0.5))
    return w.with_number("multiply", w.apply("multiply", x, w.with_number("add", erf, 1.0)), 0.5)


def gelu_halved_first(w: Writer, x: str) -> str:
    erf = w.apply("erf", w.with_number("multiply", x, 0.5**0.5))
    return w.apply("multiply", w.with_number("multiply", x, 0.5), w.with_number("add", erf, 1.0))


def gelu_by_tanh(w: Writer, x: str) -> str:
    cube = w.apply("multiply", w.apply("multiply", x, x), x)
    inner = w.apply("add", x, w.with_number("multiply", cube, 0.044715))
    tanh = w.apply("tanh", w.with_number("multiply", inner, (2 / np.pi) ** 0.5))
    return w.with_number("multiply", w.apply("multiply", x, w.with_number("add", tanh, 1.0)), 0.5)


PATTERNS: dict[str, tuple[Callable[[Writer, str], str], dict[str, Any], set[str]]] = {
    "swish": (swish, {"kind": "swish", "b": 1.0}, {"sigmoid"}),
    "swish with a factor": (swish_with_a_factor, {"kind": "swish", "b": 1.702}, {"sigmoid"}),
    "sigmoid by tanh": (sigmoid_by_tanh, {"kind": "sigmoid"}, set()),
    "mish": (mish, {"kind": "mish"}, {"softplus"}),
    "hard sigmoid": (hard_sigmoid, {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, set()),
    "hard sigmoid of other slope": (
        other_hard_sigmoid,
        {"kind": "hard_sigmoid", "a": 0.125, "b": 1.25 / 6},
        set(),
    ),
    "hard swish": (hard_swish, {"kind": "hard_swish"}, set()),
    "hard swish, divided last": (hard_swish_divided_last, {"kind": "hard_swish"}, set()),
    "gelu": (gelu, {"kind": "gelu"}, {"erf"}),
    "gelu, halved first": (gelu_halved_first, {"kind": "gelu"}, {"erf"}),
    "gelu by tanh": (gelu_by_tanh, {"kind": "gelu_tanh"}, set()),
}
"""The functions that write an activation, the neuron that it is, and the functions that it needs."""
CASES = [
    (format_name, pattern)
    for format_name, (_, lacking) in FORMATS.items()
    for pattern, (_, _, needed) in PATTERNS.items()
    if needed.isdisjoint(lacking)
]


def numbers(attributes: dict[str, Any]) -> dict[str, float]:
    return {name: attributes.get(name, 0.0) for name in "abc"}


def written(format_name: str, pattern: str, folder: Path, *, ends: bool = False) -> mpscnn.Network:
    """Return the network of an activation between two convolutions, or at the end if `ends`."""
    writer = FORMATS[format_name][0]()
    made = PATTERNS[pattern][0](writer, writer.convolution("image", FIRST, "first"))
    if ends:
        return writer.read(folder, made)
    return writer.read(folder, writer.convolution(made, LAST, "last"))


@pytest.mark.parametrize(("format_name", "pattern"), CASES)
def test_an_activation_by_parts_becomes_a_part_of_the_convolution(
    format_name: str, pattern: str, tmp_path: Path
) -> None:
    attributes = PATTERNS[pattern][1]
    network = written(format_name, pattern, tmp_path)
    first, last = network.to_dict()["nodes"]
    assert (first["operation"], last["operation"]) == ("convolution", "convolution")
    assert first["activation"]["kind"] == attributes["kind"]
    assert numbers(first["activation"]) == pytest.approx(numbers(attributes))
    assert "activation" not in last
    inner = reference(X.astype(np.float64) @ FIRST.T, attributes)
    found = np.asarray(network.compile(device="cpu").run(X))
    np.testing.assert_allclose(found, inner @ LAST.T, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_output_keeps_its_name(format_name: str, tmp_path: Path) -> None:
    structure = written(format_name, "swish", tmp_path, ends=True).to_dict()
    first, last = structure["nodes"]
    assert (first["operation"], last["operation"]) == ("convolution", "neuron")
    assert "activation" not in first
    assert last["attributes"]["kind"] == "swish"
    assert structure["outputs"] == [last["name"]] != [first["name"]]


@pytest.mark.parametrize("format_name", sorted(set(FORMATS) - {"caffe"}))
def test_a_border_of_zeros_becomes_the_padding_of_the_convolution(format_name: str, tmp_path: Path) -> None:
    """Caffe has no layer that only pads."""
    writer = FORMATS[format_name][0]()
    output = writer.convolution(writer.pad(writer.convolution("image", FIRST, "first")), LAST, "last")
    network = writer.read(tmp_path, output)
    _, last = network.to_dict()["nodes"]
    (top, bottom), (left, right) = BORDER
    pads = {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}
    assert pads.items() <= last["attributes"].items()
    expected = np.pad(X @ FIRST.T @ LAST.T, ((0, 0), *BORDER, (0, 0)))
    found = np.asarray(network.compile(device="cpu").run(X))
    assert found.shape == (1, *PADDED, OUTPUTS)
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=1e-5)


# ---- What stays ----------------------------------------------------------------------------------------------------


def swish_network(*, between: str | None = None) -> mpscnn.Network:
    """Return a convolution, swish by parts, and a ReLU. `between` names a layer with another consumer."""
    network = mpscnn.Network(input=(HEIGHT, WIDTH, CHANNELS))
    x = network.conv2d(network.input, CHANNELS, 1, use_bias=False, name="first")
    network.set_weights({"first.weight": FIRST[:, None, None]}, layout="OHWI")
    gate = network.activation(x, "sigmoid", name="gate")
    made = network.multiply(x, gate, name="product")
    if between is not None:
        network.output(network.max_pool2d(network[between], 2, name="other"))
    network.output(network.max_pool2d(made, 2, name="pool"))
    return network


def kinds(network: mpscnn.Network) -> list[str]:
    return [node["operation"] for node in network.to_dict()["nodes"]]


def test_hard_swish_of_values_above_a_threshold() -> None:
    """coremltools writes hard-swish so. Its values below -3 are 0, so only that threshold may be left out."""
    for threshold, other, wanted in (
        (-3.0, "first", ["convolution", "pooling"]),
        (-2.0, "first", ["convolution", "constant", "greater", "mask_out", "pooling"]),
        (-3.0, "image", ["convolution", "constant", "greater", "mask_out", "pooling"]),
    ):
        network = mpscnn.Network(input=(HEIGHT, WIDTH, CHANNELS))
        x = network.conv2d(network.input, CHANNELS, 1, use_bias=False, name="first")
        number = network.constant(network.input, (1, 1, 1), name="number")
        compared = x if other == "first" else network.input
        kept = network.mask_out(network.greater(number, compared, name="below"), x, name="kept")
        gate = network.activation(kept, {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, name="gate")
        network.output(network.max_pool2d(network.multiply(kept, gate, name="product"), 2, name="pool"))
        network.set_weights(
            {"first.weight": FIRST[:, None, None], "number.value": np.full((1, 1, 1), threshold, np.float32)},
            layout="OHWI",
        )
        made = simplify(network)
        assert kinds(made) == wanted
        results = [np.asarray(one.compile(device="cpu").run(X)) for one in (network, made)]
        np.testing.assert_allclose(*results, atol=2e-6)
        assert made.to_dict()["nodes"][-2]["activation"]["kind"] == "hard_swish"


def test_other_consumers_of_the_layer_before_get_its_result() -> None:
    network = simplify(swish_network(between="first"))
    assert kinds(network) == ["convolution", "neuron", "pooling", "pooling"]
    assert "product" in network.layer_names()


def test_a_result_between_that_another_layer_reads_stays() -> None:
    network = swish_network(between="gate")
    assert simplify(network) is network


def test_a_result_between_that_is_an_output_stays() -> None:
    network = swish_network()
    network.output(network["gate"])
    assert simplify(network) is network


def test_a_result_of_integers_stays() -> None:
    """An engine of integers, such as LiteRT, rounds each result that has a quantization."""
    network = swish_network()
    network.quantize("product", "int8", 0.05, 0)
    assert simplify(network) is network
    network = swish_network()
    assert simplify_before_integers(network, {"gate": 1}) is network
    assert kinds(simplify_before_integers(network, {"product": 1})) == ["convolution", "pooling"]
    assert kinds(simplify_before_integers(network, {"first": 1})) == ["convolution", "neuron", "pooling"]


def bordered(
    border: dict[str, Any], *, padding: Any = "valid", reads_twice: bool = False, scale: float = 0.5
) -> mpscnn.Network:
    """Return a layer that pads, and a convolution of integers. The result of the padding has this scale."""
    network = mpscnn.Network(input=(HEIGHT, WIDTH, CHANNELS))
    network.quantize(network.input, "int8", 0.5, 3)
    x = network.layer("padding", [network.input], border, name="border")
    network.quantize(x, "int8", scale, 3)
    y = network.conv2d(x, OUTPUTS, 3, padding=padding, name="convolution")
    network.quantize(y, "int8", 0.25, 0)
    network.output(y)
    if reads_twice:
        network.output(network.max_pool2d(x, 2, name="pool"))
    return network


def test_a_border_of_integers_becomes_padding() -> None:
    """A border of zeros has the integer of 0, the zero point, and no result is rounded."""
    made = simplify(bordered({"top": 1, "right": 2, "left": -1}, padding=((1, 1), (0, 0))))
    assert kinds(made) == ["convolution"]
    attributes = made.to_dict()["nodes"][0]["attributes"]
    assert [attributes[f"pad_{side}"] for side in ("top", "bottom", "left", "right")] == [2, 1, -1, 2]


@pytest.mark.parametrize(
    ("border", "settings"),
    [
        ({"top": 1, "value": 1.0}, {}),
        ({"top": 1, "mode": "mirror"}, {}),
        ({"top": 1, "back": 1}, {}),
        ({"top": -1}, {"padding": ((1, 0), (0, 0))}),
        ({"top": 1}, {"padding": "same"}),
        ({"top": 1}, {"reads_twice": True}),
        ({"top": 1}, {"scale": 0.25}),
    ],
)
def test_other_borders_stay(border: dict[str, Any], settings: dict[str, Any]) -> None:
    network = bordered(border, **settings)
    assert simplify(network) is network


def test_layers_of_different_precision_stay_two() -> None:
    network = swish_network()
    network.keep_float32(["product"])
    first, neuron, _ = simplify(network).to_dict()["nodes"]
    assert "keep_float32" not in first
    assert neuron["keep_float32"]


def test_weights_settings_and_notes_stay() -> None:
    network = swish_network()
    network.notes, network.labels, network.preprocess = ["a note"], ["a"], "none"
    network.learn(["first"], learn=False)
    made = simplify(network)
    assert kinds(made) == ["convolution", "pooling"]
    np.testing.assert_array_equal(made.weights["first.weight"], network.weights["first.weight"])
    assert (made.notes, made.labels, made.preprocess) == (["a note"], ["a"], "none")
    assert made.to_dict()["nodes"][0]["learns"] is False


def test_networks_for_training_keep_the_layers_of_norms() -> None:
    network = swish_network()
    x = network["pool"]
    squares = network.layer("reduction", [x], {"kind": "sum_of_squares", "axis": "channels"}, name="squares")
    root = network.activation(squares, {"kind": "power", "a": 1.0, "b": 1e-6, "c": 0.5}, name="root")
    network.output(network.divide(x, root, name="norm"))
    assert kinds(simplify(network)) == ["convolution", "pooling", "layer_normalization"]
    kept = simplify(network, merges_norms=False)
    assert kinds(kept) == ["convolution", "pooling", "reduction", "neuron", "divide"]


def test_float16_rounds_an_activation_by_parts_once() -> None:
    network = swish_network()
    weights, x = (values.astype(np.float16).astype(np.float32) for values in (FIRST, X))
    network.set_weights({"first.weight": weights[:, None, None]}, layout="OHWI")
    made = simplify(network).subgraph(["first"])
    found = np.asarray(made.compile(device="cpu", precision="float16").run(x))
    exact = reference(x.astype(np.float64) @ weights.T, {"kind": "swish", "b": 1.0})
    np.testing.assert_allclose(found, exact, rtol=0.51 * HALF_EPS, atol=1e-6)


@pytest.mark.parametrize("operation", ["add", "multiply", "linear"])
def test_the_work_is_in_proportion_to_the_number_of_layers(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited = 0
    expression = ActivationFinder._expression

    def counted(self: Any, *given: Any) -> Any:
        nonlocal visited
        visited += 1
        return expression(self, *given)

    monkeypatch.setattr(ActivationFinder, "_expression", counted)
    counts = []
    for length in (100, 200):
        network = mpscnn.Network(input=(4, 4, 1))
        x = network.input
        for _ in range(length):
            x = x + 1.0 if operation == "linear" else getattr(network, operation)(x, x)
        network.output(x)
        visited = 0
        assert simplify(network) is network
        counts.append(visited)
    assert counts[1] <= 2.2 * counts[0]
    assert counts[1] <= 200 * 16
