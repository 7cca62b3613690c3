"""Each signature or function of a file becomes the network that the format's own engine runs for it.

Names and order of inputs and outputs are those of the signature. Outputs that are no output of the graph count, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.tensorflow_writer import Graph, save_model
from converters.tflite_writer import (
    CODES,
    OPTIONS,
    Operator,
    Signature,
    Subgraph,
    Tensor,
    constant,
    write_subgraphs,
)
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters import read_network

Array = NDArray[Any]
RANDOM = np.random.default_rng(3)
FIRST = RANDOM.normal(size=(4, 3)).astype(np.float32)
SECOND = RANDOM.normal(size=(3, 2)).astype(np.float32)
X = RANDOM.normal(size=(1, 4)).astype(np.float32)


def hidden(x: Array) -> Array:
    return np.maximum(x @ FIRST, 0.0)


def scores(x: Array) -> Array:
    return hidden(x) @ SECOND


class Chosen(NamedTuple):
    """A signature or function that is chosen; None: the default. `inputs` are the names, if they are those of it."""

    name: str | None
    inputs: Sequence[str] | None
    outputs: Mapping[str, Callable[[Array], Array]]


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------


def write_tflite(folder: Path) -> Path:
    """Write signatures that share a subgraph, and one of a subgraph of its own."""
    dense, of_dense = CODES["FULLY_CONNECTED"], OPTIONS["FULLY_CONNECTED"]
    tensors = [
        Tensor("serving_default_x:0", (1, 4)),
        constant("first", FIRST.T),
        Tensor("product", (1, 3)),
        Tensor("StatefulPartitionedCall:1", (1, 3)),
        constant("second", SECOND.T),
        Tensor("StatefulPartitionedCall:0", (1, 2)),
        Tensor("further", (1, 2)),
    ]
    operators = [
        Operator(dense, [0, 1], [2], of_dense),
        Operator(CODES["RELU"], [2], [3]),
        Operator(dense, [3, 4], [5], of_dense),
        Operator(CODES["NEG"], [5], [6]),
    ]
    negative = [Tensor("a", (1, 4)), Tensor("b", (1, 4))]
    graphs = [
        Subgraph(tensors, operators, [0], [5, 3]),
        Subgraph(negative, [Operator(CODES["NEG"], [0], [1])], [0], [1]),
    ]
    signatures: dict[str, int | Signature] = {
        "embed": Signature(0, {"x": 0}, {"vector": 3}),
        "serving_default": Signature(0, {"x": 0}, {"a_vector": 3, "scores": 5}),
        "negate": Signature(1, {"input": 0}, {"negative": 1}),
        "inner": Signature(0, {"x": 0}, {"minus": 6, "scores": 5}),
        "twins": Signature(0, {"x": 0}, {"again": 3, "raw": 0, "vector": 3}),
    }
    path = folder / "model.tflite"
    path.write_bytes(write_subgraphs(graphs, signatures=signatures))
    return path


# ---- SavedModels ---------------------------------------------------------------------------------------------------


def write_saved_model(folder: Path) -> Path:
    """Write signatures over one graph; each has its own placeholder."""
    from converters.protobuf_messages import tensorflow_message

    graph = Graph()
    first, second = graph.constant(FIRST, "first"), graph.constant(SECOND, "second")
    for name in ("serve", "embed"):
        x = graph.placeholder(-1, 4, name=f"{name}_x")
        vector = graph.node("Relu", graph.node("MatMul", x, first), name=f"{name}_vector")
        graph.node("MatMul", vector, second, name=f"{name}_scores")
    outputs = {"scores": "serve_scores", "a_vector": "serve_vector"}
    path = save_model(folder / "model", graph, {"x": "serve_x"}, outputs, {})
    model = tensorflow_message("SavedModel")()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    default = model.meta_graphs[0].signature_def[0].value
    made = model.meta_graphs[0].signature_def.add(key="embed").value
    made.inputs.add(key="features").value.CopyFrom(default.inputs[0].value)
    made.inputs[0].value.name = "embed_x:0"
    made.outputs.add(key="vector").value.name = "embed_vector:0"
    twins = model.meta_graphs[0].signature_def.add(key="twins").value
    twins.CopyFrom(made)
    for key, name in {"again": "embed_vector:0", "raw": "embed_x:0"}.items():
        twins.outputs.add(key=key).value.name = name
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


# ---- Core ML -------------------------------------------------------------------------------------------------------


def write_coreml(folder: Path) -> Path:
    """Write two functions. The description of the default one lists its outputs in another order than its block."""
    from converters.coreml_writer import Program, array

    made = Program({"x": (1, 4)})
    made.add("matmul", "product", x="%x", y=FIRST)
    made.add("relu", "a_vector", x="%product")
    made.add("matmul", "scores", x="%a_vector", y=SECOND)
    made.block.outputs[:] = ["a_vector", "scores"]
    other = Program({"features": (1, 4)})
    other.add("matmul", "product", x="%features", y=FIRST)
    other.add("relu", "vector", x="%product")
    other.block.outputs[:] = ["vector"]
    made.message.mlProgram.functions.add(key="embed").value.CopyFrom(other.function)
    description = made.message.description
    for name, inputs, outputs in (
        ("main", {"x": (1, 4)}, {"scores": (1, 2), "a_vector": (1, 3)}),
        ("embed", {"features": (1, 4)}, {"vector": (1, 3)}),
    ):
        described = description.functions.add(name=name)
        for listed, shapes in ((described.input, inputs), (described.output, outputs)):
            for key, shape in shapes.items():
                array(shape)(listed.add(name=key).type)
    description.defaultFunctionName = "main"
    for listed in (description.input, description.output):
        del listed[:]
    return made.saved(folder / "model.mlpackage")


FILES: dict[str, tuple[Callable[[Path], Path], list[Chosen]]] = {
    "tflite": (
        write_tflite,
        [
            Chosen(None, ["x"], {"scores": scores, "a_vector": hidden}),
            Chosen("embed", ["x"], {"vector": hidden}),
            Chosen("negate", ["input"], {"negative": lambda x: -x}),
            Chosen("inner", ["x"], {"scores": scores, "minus": lambda x: -scores(x)}),
            Chosen("twins", ["x"], {"again": hidden, "raw": lambda x: x, "vector": hidden}),
        ],
    ),
    "saved_model": (
        write_saved_model,
        [
            Chosen(None, ["x"], {"a_vector": hidden, "scores": scores}),
            Chosen("embed", ["features"], {"vector": hidden}),
            Chosen("twins", ["features"], {"again": hidden, "raw": lambda x: x, "vector": hidden}),
        ],
    ),
    "coreml": (
        write_coreml,
        [
            Chosen(None, ["x"], {"scores": scores, "a_vector": hidden}),
            Chosen("embed", ["features"], {"vector": hidden}),
        ],
    ),
}
CASES = [(name, chosen) for name, (_, listed) in FILES.items() for chosen in listed]


@pytest.mark.parametrize(("name", "chosen"), CASES, ids=[f"{name}-{one.name}" for name, one in CASES])
def test_a_signature(tmp_path: Path, name: str, chosen: Chosen) -> None:
    path = FILES[name][0](tmp_path)
    network = read_network(path, signature=chosen.name)
    assert [tensor.name for tensor in network.inputs] == chosen.inputs
    assert [tensor.name for tensor in network.outputs] == list(chosen.outputs)
    found = network.compile(device="cpu", precision="float32").run(X)
    results = found if isinstance(found, dict) else dict.fromkeys(chosen.outputs, found)
    for output, function in chosen.outputs.items():
        np.testing.assert_allclose(np.asarray(results[output]), function(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_a_signature_that_the_file_does_not_have(tmp_path: Path, name: str) -> None:
    path = FILES[name][0](tmp_path)
    with pytest.raises(
        mpscnn.ParameterError, match=r"it has no (signature|function) 'other'; its .*'embed'"
    ) as error:
        read_network(path, signature="other")
    assert str(error.value).startswith(str(path))


def test_shapes_and_outputs_by_the_names_of_a_signature(tmp_path: Path) -> None:
    """The tensor's own names hold, too."""
    path = write_tflite(tmp_path)
    for name in ("x", "serving_default_x:0"):
        read_network(path, shapes={name: (1, 4)})
        with pytest.raises(mpscnn.ParameterError, match=r"input 'x' has the shape \(1, 4\) in the file"):
            read_network(path, shapes={name: (1, 5)})
    for name in ("a_vector", "StatefulPartitionedCall:1"):
        network = read_network(path, outputs=[name])
        np.testing.assert_allclose(network.predict(X), hidden(X), rtol=1e-5, atol=1e-6)


def test_a_signature_of_a_tensor_that_the_file_does_not_have(tmp_path: Path) -> None:
    graph = Subgraph(
        [Tensor("x", (1, 5)), Tensor("y", (1, 5))], [Operator(CODES["RELU"], [0], [1])], [0], [1]
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(write_subgraphs([graph], signatures={"serve": Signature(0, {"x": 0}, {"y": 7})}))
    with pytest.raises(mpscnn.WeightsError, match="its signature says that 'y' is tensor 7 of 2"):
        read_network(path)


@pytest.mark.parametrize("signature", [None, "embed", "inner", "negate"])
def test_the_check_runs_the_same_signature(tmp_path: Path, signature: str | None) -> None:
    """LiteRT runs the chosen subgraph, and compares the outputs of the signature."""
    pytest.importorskip("ai_edge_litert", reason="needs LiteRT")
    from mpscnn.comparison.conversion_check import check_conversion

    path = write_tflite(tmp_path)
    network = read_network(path, signature=signature)
    found, verdict = check_conversion(network, [path], signature=signature)
    assert found is not None, verdict
    assert found.equal


def test_functions_of_a_neural_network(tmp_path: Path) -> None:
    from converters.coreml_writer import add, array, model, saved

    message = model({"x": array((3,))}, {"y": array((3,))})
    add(message.neuralNetwork, "softmax", "x", "y")
    path = saved(message, tmp_path / "model.mlmodel")
    with pytest.raises(mpscnn.ParameterError, match=r"only programs .* have functions"):
        read_network(path, signature="main")


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def test_outputs_that_a_subgraph_computes(tmp_path: Path) -> None:
    """A graph's outputs keep their names and order if a function computes them. Control flow is refused by name."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    helper = onnx.helper
    two = helper.make_function(
        "own", "two", ["x"], ["b", "a"],
        [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    given = [helper.make_tensor_value_info("x", 1, [1, 4])]
    listed = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("positive", "negative")]
    nodes = [helper.make_node("two", ["x"], ["negative", "positive"], domain="own")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(nodes, "g", given, listed)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, functions=[two]), path)
    network = read_network(path)
    assert [tensor.name for tensor in network.outputs] == ["positive", "negative"]
    found = network.predict(X)
    np.testing.assert_array_equal(found["negative"], -found["positive"])

    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["r"])], "b", [], [listed[0]])
    branch.output[0].name = "r"
    chosen = helper.make_node(
        "If", ["c"], ["positive"], name="choice", then_branch=branch, else_branch=branch
    )
    condition = [helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])]
    graph = helper.make_graph([chosen], "g", [*given, *condition], listed[:1])
    onnx.save(helper.make_model(graph, opset_imports=opsets[:1]), path)
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer .choice. \(If\): control flow"):
        read_network(path)
