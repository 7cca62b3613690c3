"""Operators that combine or reorder the images of a batch are refused by name in all formats.

If the file's batch is 1, each image of the network's batch gives the result that the file gives for that image alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import caffe_writer
from converters.coreml_writer import Program
from converters.onnx_files import model, node, read
from converters.tensorflow_writer import Graph
from converters.tflite_writer import CODES, Operator, Tensor, constant, write_tflite
from numpy.typing import NDArray
from reference.softmax import softmax

import mpscnn
from mpscnn import converters

Array = NDArray[Any]
OWN = (3, 4)
X = np.random.default_rng(2).uniform(0.5, 2.0, (3, *OWN)).astype(np.float32)


# The meaning of each operation along the batch.
MEANINGS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: x.max(0, keepdims=True),
    "mean": lambda x: x.mean(0, keepdims=True),
    "sum of all": lambda x: x.sum(keepdims=True),
    "softmax": lambda x: softmax(x.T).T,
    "cumsum": lambda x: x.cumsum(0),
    "reverse": lambda x: x[::-1],
    "argmax": lambda x: x.argmax(0)[None],
    "join": lambda x: np.concatenate([x, x]),
    "tile": lambda x: np.tile(x, (2, 1, 1)),
}

# ---- ONNX ----------------------------------------------------------------------------------------------------------

ONNX: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "max": ("ReduceMax", ["x", "zero"], {}),
    "mean": ("ReduceMean", ["x", "zero"], {}),
    "sum of all": ("ReduceSum", ["x"], {}),
    "softmax": ("Softmax", ["x"], {"axis": 0}),
    "cumsum": ("CumSum", ["x", "axis"], {}),
    "reverse": ("Slice", ["x", "last", "end", "zero", "last"], {}),
    "argmax": ("ArgMax", ["x"], {"axis": 0}),
    "join": ("Concat", ["x", "x"], {"axis": 0}),
    "tile": ("Tile", ["x", "twice"], {}),
}
CONSTANTS = {
    "zero": np.array([0]),
    "axis": np.array(0),
    "last": np.array([-1]),
    "end": np.array([-99]),
    "twice": np.array([2, 1, 1]),
}


def of_onnx(_: Path, name: str, batch: int | None) -> mpscnn.Network:
    kind, operands, attributes = ONNX[name]
    used = {key: CONSTANTS[key] for key in operands if key in CONSTANTS}
    made = node(kind, operands, **attributes)
    return read(model([made], {"x": [batch or "n", *OWN]}, used, opset=18))


# ---- TensorFlow ----------------------------------------------------------------------------------------------------

TENSORFLOW: dict[str, Callable[[Graph, str], str]] = {
    "max": lambda g, x: g.node("Max", x, g.constant(np.array([0])), keep_dims=True),
    "mean": lambda g, x: g.node("Mean", x, g.constant(np.array([0])), keep_dims=True),
    "sum of all": lambda g, x: g.node("Sum", x, g.constant(np.array([0, 1, 2])), keep_dims=True),
    "reverse": lambda g, x: g.node("ReverseV2", x, g.constant(np.array([0]))),
    "argmax": lambda g, x: g.node(
        "ExpandDims", g.node("ArgMax", x, g.constant(np.array(0))), g.constant(np.array(0))
    ),
    "join": lambda g, x: g.node("ConcatV2", x, x, g.constant(np.array(0))),
    "tile": lambda g, x: g.node("Tile", x, g.constant(np.array([2, 1, 1]))),
}


def of_tensorflow(folder: Path, name: str, batch: int | None) -> mpscnn.Network:
    graph = Graph()
    TENSORFLOW[name](graph, graph.placeholder(batch or -1, *OWN, name="x"))
    return converters.read_network([graph.save(folder / "graph.pb")])


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------

KEEPS_AXES = [(0, "Bool", True)]
# The operator, its operands (None is the input), and the type and fields of its options.
TFLITE: dict[str, tuple[str, list[Any], int, list[Any]]] = {
    "max": ("REDUCE_MAX", [None, [0]], 27, KEEPS_AXES),
    "mean": ("MEAN", [None, [0]], 27, KEEPS_AXES),
    "sum of all": ("SUM", [None, [0, 1, 2]], 27, KEEPS_AXES),
    "cumsum": ("CUMSUM", [None, 0], 102, []),
    "reverse": ("REVERSE_V2", [None, [0]], 0, []),
    "join": ("CONCATENATION", [None, None], 10, [(0, "Int32", 0)]),
    "tile": ("TILE", [None, [2, 1, 1]], 0, []),
}


def of_tflite(folder: Path, name: str, batch: int | None, **options: Any) -> mpscnn.Network:
    kind, operands, options_type, fields = TFLITE[name]
    free = (-1, *OWN) if batch is None else None
    tensors, inputs = [Tensor("x", (1, *OWN), signature=free)], []
    for operand in operands:
        inputs.append(0 if operand is None else len(tensors))
        if operand is not None:
            tensors.append(constant(f"c{len(tensors)}", operand, "int32"))
    shape = MEANINGS[name](X[:1]).shape
    tensors.append(Tensor("y", shape, signature=(-1, *shape[1:]) if batch is None else None))
    operator = Operator(CODES[kind], inputs, [len(tensors) - 1], options_type, fields)
    path = folder / "file.tflite"
    path.write_bytes(write_tflite(tensors, [operator], [0], [len(tensors) - 1]))
    return converters.read_network([path], **options)


# ---- Core ML -------------------------------------------------------------------------------------------------------

COREML: dict[str, tuple[str, dict[str, Any]]] = {
    "max": ("reduce_max", {"axes": np.array([0]), "keep_dims": True}),
    "mean": ("reduce_mean", {"axes": np.array([0]), "keep_dims": True}),
    "sum of all": ("reduce_sum", {"axes": np.array([0, 1, 2]), "keep_dims": True}),
    "softmax": ("softmax", {"axis": np.array(0)}),
    "cumsum": ("cumsum", {"axis": np.array(0)}),
    "reverse": ("reverse", {"axes": np.array([0])}),
    "argmax": ("reduce_argmax", {"axis": np.array(0), "keep_dims": True}),
    "tile": ("tile", {"reps": np.array([2, 1, 1])}),
}


def of_coreml(folder: Path, name: str, batch: int | None) -> mpscnn.Network:
    program = Program({"x": (batch, *OWN)})
    kind, operands = COREML[name]
    program.add(kind, "y", x="%x", **operands)
    return converters.read_network([program.saved(folder / "program.mlpackage")])


# ---- The walk ------------------------------------------------------------------------------------------------------

FORMATS: dict[str, tuple[Callable[..., mpscnn.Network], Any]] = {
    "ONNX": (of_onnx, ONNX),
    "TensorFlow": (of_tensorflow, TENSORFLOW),
    "TensorFlow Lite": (of_tflite, TFLITE),
    "Core ML": (of_coreml, COREML),
}
CASES = [(form, name) for form, (_, table) in FORMATS.items() for name in table]


@pytest.mark.parametrize(("form", "name"), CASES)
def test_a_free_batch_is_not_mixed(tmp_path: Path, form: str, name: str) -> None:
    said = r"layer '[^']+' \(\w+\): .*batch.* choose a batch of 1 with --shape"
    with pytest.raises(mpscnn.UnsupportedError, match=said):
        FORMATS[form][0](tmp_path, name, None)


@pytest.mark.parametrize(("form", "name"), CASES)
def test_a_batch_of_one_holds_for_each_image(tmp_path: Path, form: str, name: str) -> None:
    network = FORMATS[form][0](tmp_path, name, 1)
    found = np.asarray(network.compile(device="cpu", precision="float32").session(threads=1).run(X))
    for number, one in enumerate(found):
        expected = MEANINGS[name](X[number : number + 1])
        np.testing.assert_allclose(one.reshape(-1), expected.reshape(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TFLITE)
def test_a_batch_of_one_can_be_chosen(tmp_path: Path, name: str) -> None:
    network = of_tflite(tmp_path, name, None, shapes={"x": (1, *OWN)})
    assert network.input.shape == (None, *OWN)


# ---- Inputs whose first extents differ -----------------------------------------------------------------------------


def join_in_onnx(_: Path, shapes: dict[str, tuple[int, ...]]) -> mpscnn.Network:
    nodes = [node("Concat", ["a", "b"], "j", axis=0), node("ReduceMax", ["j", "zero"], keepdims=0)]
    return read(
        model(nodes, {name: [*own] for name, own in shapes.items()}, {"zero": np.array([0])}, opset=18)
    )


def join_in_tensorflow(folder: Path, shapes: dict[str, tuple[int, ...]]) -> mpscnn.Network:
    g = Graph()
    given = {name: g.placeholder(*own, name=name) for name, own in shapes.items()}
    g.node(
        "Max", g.node("ConcatV2", given["a"], given["b"], g.constant(np.array(0))), g.constant(np.array([0]))
    )
    return converters.read_network([g.save(folder / "graph.pb")])


def join_in_tflite(folder: Path, shapes: dict[str, tuple[int, ...]]) -> mpscnn.Network:
    places = {name: place for place, name in enumerate(shapes)}
    total = sum(own[0] for own in shapes.values())
    tensors = [
        *(Tensor(name, own) for name, own in shapes.items()),
        Tensor("j", (total, 4)), constant("zero", [0], "int32"), Tensor("y", (4,)),
    ]  # fmt: skip
    operators = [
        Operator(CODES["CONCATENATION"], [places["a"], places["b"]], [2], 10, [(0, "Int32", 0)]),
        Operator(CODES["REDUCE_MAX"], [2, 3], [4], 27, []),
    ]
    (folder / "file.tflite").write_bytes(write_tflite(tensors, operators, [0, 1], [4]))
    return converters.read_network([folder / "file.tflite"])


def join_in_coreml(folder: Path, shapes: dict[str, tuple[int, ...]]) -> mpscnn.Network:
    program = Program(shapes)
    program.add("concat", "j", values=("%a", "%b"), axis=np.array(0), interleave=np.array(False))
    program.add("reduce_max", "y", x="%j", axes=np.array([0]), keep_dims=False)
    return converters.read_network([program.saved(folder / "program.mlpackage")])


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("extents", [(1, 9), (9, 1), (2, 3), (3, 3)])
@pytest.mark.parametrize("join", [join_in_onnx, join_in_tensorflow, join_in_tflite, join_in_coreml])
def test_inputs_with_different_first_extents_are_not_batches(
    tmp_path: Path, join: Callable[..., mpscnn.Network], extents: tuple[int, int], order: str
) -> None:
    """The maximum over all rows of both inputs, in each order of the inputs."""
    random = np.random.default_rng(1)
    arrays = {
        name: random.normal(size=(extent, 4)).astype(np.float32)
        for name, extent in zip("ab", extents, strict=True)
    }
    network = join(tmp_path, {name: arrays[name].shape for name in order})
    given = [arrays[one.name].reshape(1, *(one.shape[1:])) for one in network.inputs]
    found = np.asarray(network.compile(device="cpu", precision="float32").session(threads=1).run(given))
    np.testing.assert_array_equal(found.reshape(4), np.concatenate(list(arrays.values())).max(0))


def test_images_of_a_fixed_batch_become_one_image(tmp_path: Path) -> None:
    """Operators after a mean over the batch ask for its shape."""
    program = Program({"x": (2, *OWN)})
    program.add("reduce_mean", "m", x="%x", axes=np.array([0]), keep_dims=True)
    program.add("slice_by_index", "y", x="%m", begin=np.array([0, 1, 0]), end=np.array([1, 3, 4]))
    network = converters.read_network([program.saved(tmp_path / "program.mlpackage")])
    assert network.input.shape == (None, 2, *OWN)
    found = np.asarray(network.compile(device="cpu", precision="float32").session(threads=1).run(X[None, :2]))
    np.testing.assert_allclose(found.reshape(2, 4), X[:2].mean(0)[1:3], rtol=1e-5)


def test_a_database_is_named_in_a_file_without_inputs(tmp_path: Path) -> None:
    text = caffe_writer.layer("Data", "data", "", tops="data") + caffe_writer.layer("ReLU", "y", "data")
    with pytest.raises(mpscnn.UnsupportedError, match="layer 'data' \\(Data\\): reads a database"):
        converters.read_network(caffe_writer.write(tmp_path, text))
