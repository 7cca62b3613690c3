"""Activations that files of any format write as several operators become a part of the convolution before them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from converters import caffe_writer, keras_writer, tensorflow_writer
from converters.coreml_writer import Program
from converters.onnx_files import model, node
from converters.tflite.test_tflite_layers import operator
from converters.tflite_writer import Tensor, constant, write_tflite
from numpy.typing import NDArray
from reference.neuron import neuron as reference
from tolerance import HALF_EPS

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.simplify.activations import ActivationFinder
from mpscnn.converters.simplify.simplifier import simplify, simplify_activations

Array = NDArray[Any]
RANDOM = np.random.default_rng(4)
CHANNELS, OUTPUTS = 3, 4
FIRST = RANDOM.normal(0, 1, (CHANNELS, CHANNELS)).astype(np.float32)
LAST = RANDOM.normal(0, 1, (OUTPUTS, CHANNELS)).astype(np.float32)
X = RANDOM.normal(0, 2, (1, 5, 6, CHANNELS)).astype(np.float32)


class Writer(ABC):
    """Writes a file with two 1x1 convolutions and elementwise functions between them. Values are known by names."""

    def __init__(self) -> None:
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    @abstractmethod
    def convolution(self, x: str, weights: Array, name: str) -> str: ...

    @abstractmethod
    def apply(self, kind: str, *values: str) -> str:
        """Apply "add", "multiply", or a function of one value: "sigmoid", "tanh", "erf", "softplus" or "relu6"."""

    @abstractmethod
    def with_number(self, kind: str, x: str, number: float) -> str:
        """Add a number to each element, or multiply each element by it."""

    @abstractmethod
    def read(self, folder: Path, output: str) -> mpscnn.Network: ...


class Onnx(Writer):
    names: ClassVar = {
        "add": "Add", "multiply": "Mul", "sigmoid": "Sigmoid", "tanh": "Tanh", "erf": "Erf", "softplus": "Softplus",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {"low": np.float32(0), "high": np.float32(6)}

    def made(self, kind: str, *inputs: str, name: str = "") -> str:
        name = name or self.name()
        self.nodes.append(node(kind, inputs, name))
        return name

    def convolution(self, x: str, weights: Array, name: str) -> str:
        self.constants[f"{name}.weight"] = weights[:, :, None, None]
        return self.made("Conv", x, f"{name}.weight", name=name)

    def apply(self, kind: str, *values: str) -> str:
        if kind == "relu6":
            return self.made("Clip", *values, "low", "high")
        return self.made(self.names[kind], *values)

    def with_number(self, kind: str, x: str, number: float) -> str:
        known = self.name()
        self.constants[known] = np.float32(number)
        return self.made(self.names[kind], x, known)

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        made = model(self.nodes, {"image": [1, CHANNELS, 5, 6]}, self.constants, outputs=(output,))
        onnx.save(made, str(folder / "net.onnx"))
        return read_network(folder / "net.onnx")


class TensorFlowLite(Writer):
    names: ClassVar = {"add": "ADD", "multiply": "MUL", "sigmoid": "LOGISTIC", "tanh": "TANH"}

    def __init__(self) -> None:
        super().__init__()
        self.tensors = [Tensor("image", X.shape)]
        self.operators: list[Any] = []

    def place(self, name: str) -> int:
        return [tensor.name for tensor in self.tensors].index(name)

    def made(
        self, kind: str, *inputs: str, options: Any = (), channels: int = CHANNELS, name: str = ""
    ) -> str:
        name = name or self.name()
        places = [self.place(one) for one in inputs]
        self.tensors.append(Tensor(name, (*X.shape[:3], channels)))
        self.operators.append(operator(kind, places, [len(self.tensors) - 1], options))
        return name

    def convolution(self, x: str, weights: Array, name: str) -> str:
        self.tensors.append(constant(f"{name}.weight", weights[:, None, None]))
        options = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1)]
        return self.made("CONV_2D", x, f"{name}.weight", options=options, channels=len(weights), name=name)

    def apply(self, kind: str, *values: str) -> str:
        if kind == "relu6":
            return self.made("RELU6", *values)
        return self.made(self.names[kind], *values)

    def with_number(self, kind: str, x: str, number: float) -> str:
        known = self.name()
        self.tensors.append(constant(known, np.float32(number)))
        return self.made(self.names[kind], x, known)

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        content = write_tflite(self.tensors, self.operators, [0], [self.place(output)])
        (folder / "net.tflite").write_bytes(content)
        return read_network(folder / "net.tflite")


class Keras(Writer):
    names: ClassVar = {"add": "Add", "multiply": "Multiply"}

    def __init__(self) -> None:
        super().__init__()
        self.layers = [keras_writer.image(*X.shape[1:])]
        self.weights: dict[str, Any] = {}

    def made(self, kind: str, *inputs: str, name: str = "", **settings: Any) -> str:
        name = name or self.name()
        self.layers.append(keras_writer.layer(kind, name, *inputs, **settings))
        return name

    def convolution(self, x: str, weights: Array, name: str) -> str:
        self.weights[name] = {"kernel": weights.T[None, None]}
        return self.made("Conv2D", x, name=name, filters=len(weights), kernel_size=[1, 1], use_bias=False)

    def apply(self, kind: str, *values: str) -> str:
        if kind in self.names:
            return self.made(self.names[kind], *values)
        return self.made("Activation", *values, activation=kind)

    def with_number(self, kind: str, x: str, number: float) -> str:
        name = self.made("TFOpLambda", x, function=f"math.{kind}")
        self.layers[-1]["inbound_nodes"] = [[[x, 0, 0, {"y": number, "name": None}]]]
        return name

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        keras_writer.write_h5(folder / "net.h5", keras_writer.functional(self.layers), self.weights)
        return read_network(folder / "net.h5")


class TensorFlow(Writer):
    names: ClassVar = {
        "add": "AddV2", "multiply": "Mul", "sigmoid": "Sigmoid", "tanh": "Tanh", "erf": "Erf", "softplus": "Softplus",
        "relu6": "Relu6",
    }  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.graph = tensorflow_writer.Graph()
        self.graph.placeholder(*X.shape)

    def convolution(self, x: str, weights: Array, name: str) -> str:
        settings = {"strides": [1] * 4, "dilations": [1] * 4, "padding": "VALID", "data_format": "NHWC"}
        known = self.graph.constant(weights.T[None, None])
        return self.graph.node("Conv2D", x, known, name=name, **settings)

    def apply(self, kind: str, *values: str) -> str:
        return self.graph.node(self.names[kind], *values)

    def with_number(self, kind: str, x: str, number: float) -> str:
        return self.apply(kind, x, self.graph.constant(number))

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        return read_network(self.graph.save(folder / "net.pb"))


class CoreML(Writer):
    names: ClassVar = {"add": "add", "multiply": "mul"}

    def __init__(self) -> None:
        super().__init__()
        self.program = Program({"image": (1, CHANNELS, 5, 6)})

    def made(self, kind: str, name: str = "", **operands: Any) -> str:
        name = name or self.name()
        self.program.add(kind, name, **operands)
        return name

    def convolution(self, x: str, weights: Array, name: str) -> str:
        return self.made("conv", name, x=f"%{x}", weight=weights[:, :, None, None])

    def apply(self, kind: str, *values: str) -> str:
        if kind not in self.names:
            return self.made(kind, x=f"%{values[0]}")
        return self.made(self.names[kind], x=f"%{values[0]}", y=f"%{values[1]}")

    def with_number(self, kind: str, x: str, number: float) -> str:
        return self.made(self.names[kind], x=f"%{x}", y=np.float32(number))

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        self.program.block.outputs[:] = [output]
        return read_network(self.program.saved(folder / "net.mlpackage"))


class Caffe(Writer):
    names: ClassVar = {"sigmoid": "Sigmoid", "tanh": "TanH", "softplus": "BNLL", "relu6": "ReLU6"}

    def __init__(self) -> None:
        super().__init__()
        self.text = caffe_writer.image(1, CHANNELS, 5, 6)
        self.blobs: dict[str, Any] = {}

    def made(self, kind: str, *inputs: str, parameters: str = "", name: str = "") -> str:
        name = name or self.name()
        self.text += caffe_writer.layer(kind, name, " ".join(inputs).replace("image", "data"), parameters)
        return name

    def convolution(self, x: str, weights: Array, name: str) -> str:
        self.blobs[name] = [weights[:, :, None, None]]
        settings = f"convolution_param {{ num_output: {len(weights)} kernel_size: 1 bias_term: false }}"
        return self.made("Convolution", x, parameters=settings, name=name)

    def apply(self, kind: str, *values: str) -> str:
        if kind in self.names:
            return self.made(self.names[kind], *values)
        # In Caffe, layers that read the same value read a copy of it by the layer Split, which is optional.
        return self.made(
            "Eltwise",
            *values,
            parameters=f"eltwise_param {{ operation: {'SUM' if kind == 'add' else 'PROD'} }}",
        )

    def with_number(self, kind: str, x: str, number: float) -> str:
        setting = "shift" if kind == "add" else "scale"
        return self.made("Power", x, parameters=f"power_param {{ {setting}: {number} }}")

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        return read_network(caffe_writer.write(folder, self.text, self.blobs))


FORMATS: dict[str, tuple[Callable[[], Writer], set[str]]] = {
    "onnx": (Onnx, set()),
    "tflite": (TensorFlowLite, {"erf", "softplus"}),
    "keras": (Keras, {"erf"}),
    "tensorflow": (TensorFlow, set()),
    "coreml": (CoreML, set()),
    "caffe": (Caffe, {"erf"}),
}
"""The formats, and the functions that they do not have."""

# ---- Patterns ------------------------------------------------------------------------------------------------------


def swish(w: Writer, x: str) -> str:
    return w.apply("multiply", x, w.apply("sigmoid", x))


def swish_with_a_factor(w: Writer, x: str) -> str:
    return w.apply("multiply", w.apply("sigmoid", w.with_number("multiply", x, 1.702)), x)


def mish(w: Writer, x: str) -> str:
    return w.apply("multiply", x, w.apply("tanh", w.apply("softplus", x)))


def hard_sigmoid(w: Writer, x: str) -> str:
    return w.with_number("multiply", w.apply("relu6", w.with_number("add", x, 3.0)), 1 / 6)


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
    "mish": (mish, {"kind": "mish"}, {"softplus"}),
    "hard sigmoid": (hard_sigmoid, {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, set()),
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


# ---- What stays ----------------------------------------------------------------------------------------------------


def swish_network(*, between: str | None = None) -> mpscnn.Network:
    """Return a convolution, swish by parts, and a ReLU. `between` names a layer with another consumer."""
    network = mpscnn.Network(input=(5, 6, CHANNELS))
    x = network.conv2d(network.input, CHANNELS, 1, use_bias=False, name="first")
    network.set_weights({"first.weight": FIRST[:, None, None]})
    gate = network.activation(x, "sigmoid", name="gate")
    made = network.multiply(x, gate, name="product")
    if between is not None:
        network.output(network.max_pool2d(network[between], 2, name="other"))
    network.output(network.max_pool2d(made, 2, name="pool"))
    return network


def kinds(network: mpscnn.Network) -> list[str]:
    return [node["operation"] for node in network.to_dict()["nodes"]]


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
    assert simplify_activations(network, {"gate"}) is network
    assert kinds(simplify_activations(network, {"product"})) == ["convolution", "pooling"]
    assert kinds(simplify_activations(network, {"first"})) == ["convolution", "neuron", "pooling"]


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


def test_float16_rounds_an_activation_by_parts_once() -> None:
    network = swish_network()
    weights, x = (values.astype(np.float16).astype(np.float32) for values in (FIRST, X))
    network.set_weights({"first.weight": weights[:, None, None]})
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

    def counted(self: Any, node: Any, known: Any) -> Any:
        nonlocal visited
        visited += 1
        return expression(self, node, known)

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
