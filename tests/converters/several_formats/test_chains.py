"""The work to read and write files of very many small nodes grows with the number of nodes, not with its square.

The work is counted in calls of functions, whose number does not depend on the load of the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import caffe_writer
from converters.onnx_files import node, onnx, operations, read
from converters.tflite_writer import Operator, Tensor, constant, write_tflite

from mpscnn import converters
from mpscnn.converters.reading.tflite.names import operator_name
from mpscnn.errors import Error

COUNT = 100
# Four times as many nodes take four times the calls. Work that grows with the square exceeds this clearly.
MAX_GROWTH = 4.4


def assert_in_proportion(make: Callable[[int], Callable[[], object]], maximum: float = MAX_GROWTH) -> None:
    """Compare the work for two numbers of nodes.

    `make` gets a number of nodes, and returns a function that reads or writes a file of them, or raises Error.
    """
    _calls(make(8))  # imports modules and fills caches
    few, many = (_calls(make(count)) for count in (COUNT, 4 * COUNT))
    assert many < maximum * few, f"{few:,} calls for {COUNT} nodes, {many:,} for {4 * COUNT}"


def _calls(run: Callable[[], object]) -> int:
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        with suppress(Error):
            run()
    finally:
        sys.setprofile(before)
    return count


# ---- ONNX ----------------------------------------------------------------------------------------------------------

Nodes = list[Any]
ONE = {"k": np.float32(1.5)}


def names(count: int) -> list[str]:
    return ["x", *(f"t{place}" for place in range(count - 1)), "y"]


def in_a_row(count: int, kind: str, *others: str, **attributes: Any) -> Nodes:
    through = names(count)
    return [node(kind, [through[place], *others], through[place + 1], **attributes) for place in range(count)]


def then(count: int, step: Callable[[str, str, int], Nodes]) -> Nodes:
    """Return a graph of steps, each of which has several nodes."""
    through = names(count)
    return [one for place in range(count) for one in step(through[place], through[place + 1], place)]


def behind_an_unknown_one(count: int) -> Nodes:
    return [
        node("Foo", ["x"], "u"),
        *(node("Relu", ["u"], f"r{i}") for i in range(count)),
        node("Relu", ["u"]),
    ]


def of_truths(count: int) -> Nodes:
    casts = [node("Cast", [f"b{i}"], f"b{i + 1}", to=9) for i in range(count)]
    return [node("Greater", ["x", "k"], "b0"), *casts, node("Cast", [f"b{count}"], to=1)]


def of_moved_integers(count: int) -> Nodes:
    """Return many layers that read a constant, which many nodes compute from integers."""
    moved = [node("Identity", [f"m{i}"], f"m{i + 1}") for i in range(count)]
    return [node("DequantizeLinear", ["w", "k"], "m0"), *moved, *in_a_row(count, "Add", f"m{count}")]


def numbered_before_a_norm(count: int) -> Nodes:
    through = ["x", "a", *(f"a_{place}" for place in range(2, count + 1))]
    softmaxes = [node("Softmax", [one], other, axis=1) for one, other in pairwise(through)]
    length = node("ReduceL2", [through[-1]], "length", axes=[1])
    return [*softmaxes, length, node("Div", [through[-1], "length"])]


def backwards(count: int) -> Nodes:
    return in_a_row(count, "Relu")[::-1]


ONNX: dict[str, Callable[[int], Nodes]] = {
    "functions": lambda n: in_a_row(n, "Relu"),
    "nodes that are no layers": lambda n: in_a_row(n, "Identity"),
    "transpositions": lambda n: in_a_row(n, "Transpose", perm=[0, 2, 3, 1]),
    "reshapes": lambda n: in_a_row(n, "Reshape", "s"),
    "casts": lambda n: in_a_row(n, "Cast", to=1),
    "casts of truths": of_truths,
    "sums with a number": lambda n: in_a_row(n, "Add", "k"),
    "sums with the input": lambda n: in_a_row(n, "Add", "x"),
    "products with the input": lambda n: in_a_row(n, "Mul", "x"),
    "swishes": lambda n: then(
        n, lambda x, y, i: [node("Sigmoid", [x], f"s{i}"), node("Mul", [x, f"s{i}"], y)]
    ),
    "shapes": lambda n: then(
        n, lambda x, y, i: [node("Shape", [x], f"s{i}"), node("Reshape", [x, f"s{i}"], y)]
    ),
    "quantisations": lambda n: then(
        n,
        lambda x, y, i: [
            node("QuantizeLinear", [x, "k", "z"], f"q{i}"),
            node("DequantizeLinear", [f"q{i}", "k", "z"], y),
        ],
    ),
    "choices": lambda n: [
        node("Greater", ["x", "k"], "g"),
        *then(n, lambda x, y, _: [node("Where", ["g", x, "x"], y)]),
    ],
    "many readers": lambda n: [*(node("Relu", ["x"], f"r{i}") for i in range(n)), node("Relu", ["x"])],
    "constants of constants": lambda n: [
        node("Neg", ["k"], "c0"),
        *(node("Neg", [f"c{i}"], f"c{i + 1}") for i in range(n)),
        node("Add", ["x", f"c{n}"]),
    ],
    "a constant that was moved": of_moved_integers,
    "behind an unknown operator": behind_an_unknown_one,
    "from behind": backwards,
    "numbered layers before a norm": numbered_before_a_norm,
    "recurrent layers": lambda n: [
        node("Squeeze", ["x", "zero"], "t"),
        *(node("GRU", ["t", "gates", "gates"], f"r{i}", hidden_size=4) for i in range(n)),
        node("Sum", [f"r{i}" for i in range(n)], "sum"),
        node("Squeeze", ["sum", "one"]),
    ],
    "one circle": lambda n: [
        *(node("Neg", [f"c{(i + 1) % n}"], f"c{i}") for i in range(n)),
        node("Add", ["x", "c0"]),
    ],
}


@pytest.mark.parametrize("name", ONNX)
def test_onnx(name: str) -> None:
    def make(count: int) -> Callable[[], object]:
        made = onnx_model(ONNX[name](count), count if name == "behind an unknown operator" else 0)
        return lambda: read(made)

    # For each sum, the search for an activation visits 64 nodes, or fewer near the end of the file.
    assert_in_proportion(make, 6.0 if name == "sums with a number" else MAX_GROWTH)


def onnx_model(nodes: Nodes, stated: int = 0) -> Any:
    constants = {
        **ONE,
        "s": np.array([0, 4, 4, 4]),
        "z": np.uint8(3),
        "zero": np.array([0]),
        "one": np.array([1]),
        "gates": np.linspace(-1.0, 1.0, 48, dtype=np.float32).reshape(1, 12, 4),
        "w": np.arange(64, dtype=np.uint8).reshape(1, 4, 4, 4),
    }
    value = onnx.helper.make_tensor_value_info
    shapes = [value(name, 1, (1, 4, 4, 4)) for name in (f"r{place}" for place in range(stated))]
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [value("x", 1, (1, 4, 4, 4))],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
        value_info=shapes if stated else [],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def test_twenty_thousand_nodes_that_are_no_layers() -> None:
    assert operations(read(onnx_model(in_a_row(20_000, "Identity")[::-1]))) == ["neuron"]


def test_many_inputs_with_a_long_way_to_a_layer() -> None:
    def make(count: int) -> Callable[[], object]:
        value = onnx.helper.make_tensor_value_info
        inputs = [f"i{place}" for place in range(count // 5)]
        nodes = [node("Sum", ["x", *inputs], "t"), *(node("Identity", ["t"], f"u{i}") for i in range(count))]
        graph = onnx.helper.make_graph(
            [*nodes, node("Relu", ["t"])],
            "graph",
            [value(name, 1, (1, 4, 4, 4)) for name in ("x", *inputs)],
            [onnx.ValueInfoProto(name="y")],
        )
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
        made.ir_version = 8
        return lambda: read(made)

    assert_in_proportion(make)


# ---- Writers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_many_outputs", [False, True])
@pytest.mark.parametrize("write", ["to_onnx", "to_tflite"])
def test_writers(tmp_path: Path, write: str, has_many_outputs: bool) -> None:
    def make(count: int) -> Callable[[], object]:
        nodes = in_a_row(count, "Tanh")
        made = onnx_model(nodes)
        if has_many_outputs:
            made.graph.output.extend(onnx.ValueInfoProto(name=one.output[0]) for one in nodes[:-1])
        network = read(made)
        return lambda: getattr(network, write)(tmp_path / f"{count}.{write[3:]}")

    assert_in_proportion(make)


# ---- Other formats -------------------------------------------------------------------------------------------------


def _number(kind: str) -> int:
    return next(number for number in range(200) if operator_name(number) == kind)


TFLITE: dict[str, tuple[str, str, Any]] = {
    "functions": ("RELU", "RELU", None),
    "sums with a number": ("ADD", "ADD", constant("k", [1.5])),
    "products with an image": ("MUL", "MUL", constant("k", np.arange(48.0).reshape(1, 4, 4, 3))),
    "reshapes": ("RESHAPE", "RESHAPE", constant("s", [1, 4, 4, 3], "int32")),
    "behind an unknown operator": ("RFFT2D", "RELU", None),
}


@pytest.mark.parametrize("name", TFLITE)
def test_tflite(tmp_path: Path, name: str) -> None:
    first, kind, operand = TFLITE[name]

    def make(count: int) -> Callable[[], object]:
        tensors = [Tensor(f"t{place}", (1, 4, 4, 3)) for place in range(count + 1)]
        operators = [
            Operator(
                _number(kind if place else first), [place, *([count + 1] if operand else [])], [place + 1]
            )
            for place in range(count)
        ]
        path = tmp_path / f"{count}.tflite"
        path.write_bytes(
            write_tflite([*tensors, *filter(None, [operand])], operators, [0], [count], share=True)
        )
        return lambda: converters.read_network([path])

    assert_in_proportion(make)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("kind", ["Activation", "Conv2D"])
def test_keras(tmp_path: Path, kind: str, suffix: str) -> None:
    writer = pytest.importorskip("converters.keras_writer", reason="h5py is not installed")

    def make(count: int) -> Callable[[], object]:
        settings = (
            {"activation": "relu"}
            if kind == "Activation"
            else {"filters": 3, "kernel_size": [1, 1], "use_bias": False}
        )
        layers = [writer.image(4, 4, 3)]
        layers += [
            writer.layer(kind, f"l{i}", f"l{i - 1}" if i else "image", **settings) for i in range(count)
        ]
        path = tmp_path / f"{count}{suffix}"
        kernel = np.ones((1, 1, 3, 3), np.float32)
        if suffix == ".h5":
            weights = {f"l{i}": {f"l{i}/kernel": kernel} for i in range(count)}
            writer.write_h5(path, writer.functional(layers), weights if kind == "Conv2D" else {})
        else:
            places = {f"layers/conv2d{f'_{i}' if i else ''}": [kernel] for i in range(count)}
            writer.write_keras(path, writer.functional(layers), places if kind == "Conv2D" else {})
        return lambda: converters.read_network([path])

    assert_in_proportion(make)


@pytest.mark.parametrize("in_place", [False, True])
def test_caffe(tmp_path: Path, in_place: bool) -> None:
    def make(count: int) -> Callable[[], object]:
        text = caffe_writer.image(1, 3, 4, 4)
        for place in range(count):
            source = "data" if in_place or not place else f"y{place - 1}"
            top = "data" if in_place else f"y{place}"
            text += f'layer {{ name: "y{place}" type: "ReLU" bottom: "{source}" top: "{top}" }}\n'
        folder = tmp_path / str(count)
        folder.mkdir()
        paths = caffe_writer.write(folder, text)
        return lambda: converters.read_network(paths)

    assert_in_proportion(make)


def test_aspect_ratios_of_anchors(tmp_path: Path) -> None:
    def make(count: int) -> Callable[[], object]:
        ratios = " ".join(f"aspect_ratio: {place + 2}" for place in range(count))
        text = caffe_writer.image(1, 3, 4, 4) + caffe_writer.layer(
            "PriorBox", "y", "data data", f"prior_box_param {{ min_size: 4 {ratios} }}"
        )
        folder = tmp_path / str(count)
        folder.mkdir()
        paths = caffe_writer.write(folder, text)
        return lambda: converters.read_network(paths)

    assert_in_proportion(make)
