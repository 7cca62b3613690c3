"""The axes of inputs and outputs have the documented order in all formats, for tensors of 1 to 5 axes.

Images of formats with the channels first become NHWC. All other tensors keep the order of axes of their file.

A chain of steps is written in each format. All extents differ, and a weight of full shape makes each element
different, so that swapped axes change the result or its shape.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe_writer import image as caffe_image
from converters.caffe_writer import layer as caffe_layer
from converters.caffe_writer import write as write_caffe
from converters.coreml_writer import Program, add, array, saved, settings
from converters.coreml_writer import model as coreml_model
from converters.onnx_files import model as onnx_model
from converters.onnx_files import node, read
from converters.tensorflow_writer import Graph, Type, save_model, save_web_graph
from converters.tflite_writer import Operator, Tensor, constant, write_tflite
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.conversion import convert_node
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.tflite.names import operator_name
from mpscnn.converters.values.float32_intermediates import Origin

Array = NDArray[Any]
Answer = Callable[[Array], Array]
"""A function that computes a chain for an input in the order of axes of the network."""

EXTENTS = (2, 3, 4, 5)
BATCH = 2
SKIPPED = 1  # the number of elements that a "part" leaves out
# The steps of each chain. "weigh" multiplies by a weight of full shape, "turn" reverses the axes after the batch,
# "part" leaves out the first element of axis 1, "sum" adds up the last axis, "widen" adds axis 1.
CHAINS = [
    ("weigh",),
    ("turn", "weigh"),
    ("part", "weigh"),
    ("weigh", "sum"),
    ("weigh", "widen"),
    ("flat", "weigh"),
    ("relu", "turn"),
]


@dataclass(frozen=True)
class Step:
    """A step of a chain.

    Attributes:
        kind: its name.
        x, y: an example of its input and its result.
        weight: the factors of "weigh".
    """

    kind: str
    x: Array
    y: Array
    weight: Array | None

    @property
    def order(self) -> list[int]:
        """The order of axes of "turn"."""
        return turned(self.x.ndim)

    @property
    def begin(self) -> list[int]:
        """The first element of "part" along each axis."""
        return [0, SKIPPED, *[0] * (self.x.ndim - 2)]


def turned(rank: int) -> list[int]:
    return [0, *range(rank - 1, 0, -1)]


def computed(kind: str, x: Array, weight: Array | None) -> Array:
    if kind == "weigh":
        return np.asarray(x * weight)
    results: dict[str, Callable[[], Array]] = {
        "turn": lambda: x.transpose(turned(x.ndim)),
        "part": lambda: x[:, SKIPPED:],
        "sum": lambda: x.sum(-1),
        "widen": lambda: x[:, None],
        "flat": lambda: x.reshape(len(x), -1),
        "relu": lambda: np.maximum(x, 0),
    }
    return results[kind]()


def steps_of(chain: Sequence[str], rank: int) -> list[Step]:
    """Return the steps for an input of `rank` axes. An input of one axis has no batch."""
    draw = np.random.default_rng(rank)
    shape = (BATCH, *EXTENTS[-(rank - 1) :]) if rank > 1 else EXTENTS[-1:]
    x = draw.uniform(-1, 1, shape).astype(np.float32)
    steps = []
    for kind in chain:
        own = x.shape[1:] if rank > 1 else x.shape
        weight = draw.uniform(0.5, 2, own).astype(np.float32) if kind == "weigh" else None
        y = computed(kind, x, weight)
        steps.append(Step(kind, x, y, weight))
        x = y
    return steps


def of_network(network: mpscnn.Network) -> Answer:
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    return lambda x: np.asarray(session.run(np.ascontiguousarray(x)))


# ---- ONNX and PyTorch ----------------------------------------------------------------------------------------------


def of_onnx(_: Path, steps: Sequence[Step]) -> Answer:
    nodes, constants = [], {"one": np.array([1]), "last": np.array([-1]), "end": np.array([99])}
    for place, step in enumerate(steps):
        x, y = f"v{place}" if place else "x", f"v{place + 1}" if place + 1 < len(steps) else "y"
        if step.weight is not None:
            constants[f"w{place}"] = step.weight
        kind, more, attributes = {
            "weigh": ("Mul", [f"w{place}"], {}),
            "turn": ("Transpose", [], {"perm": step.order}),
            "part": ("Slice", ["one", "end", "one"], {}),
            "sum": ("ReduceSum", ["last"], {"keepdims": 0}),
            "widen": ("Unsqueeze", ["one"], {}),
            "flat": ("Flatten", [], {}),
            "relu": ("Relu", [], {}),
        }[step.kind]
        nodes.append(node(kind, [x, *more], y, **attributes))
    shape = steps[0].x.shape
    return of_network(
        read(onnx_model(nodes, {"x": ["n", *shape[1:]] if len(shape) > 1 else shape}, constants))
    )


def module_of(steps: Sequence[Step]) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Chain(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            for place, step in enumerate(steps):
                if step.weight is not None:
                    self.register_buffer(f"w{place}", torch.tensor(step.weight))

        def forward(self, x: Any) -> Any:
            for place, step in enumerate(steps):
                if step.kind == "weigh":
                    x = x * getattr(self, f"w{place}")
                elif step.kind == "turn":
                    x = x.permute(step.order)
                elif step.kind == "part":
                    x = x[:, SKIPPED:]
                elif step.kind == "sum":
                    x = x.sum(-1)
                elif step.kind == "widen":
                    x = x.unsqueeze(1)
                else:
                    x = x.flatten(1) if step.kind == "flat" else torch.relu(x)
            return x

    return Chain().eval()


def of_torch(_: Path, steps: Sequence[Step]) -> Answer:
    module = module_of(steps)
    import torch

    return of_network(mpscnn.from_torch(module, torch.tensor(steps[0].x)))


def of_torch_compile(_: Path, steps: Sequence[Step]) -> Answer:
    module = module_of(steps)
    import torch

    from mpscnn.torch_backend import backend

    torch._dynamo.reset()
    compiled = torch.compile(module, backend=backend)

    def answer(x: Array) -> Array:
        with torch.no_grad():
            return np.asarray(compiled(torch.tensor(x)).numpy())

    return answer


# ---- TensorFlow Lite and TensorFlow --------------------------------------------------------------------------------


def of_tflite(folder: Path, steps: Sequence[Step]) -> Answer:
    codes = {operator_name(code): code for code in range(160)}
    with_batch = steps[0].x.ndim > 1

    def tensor(name: str, values: Array) -> Tensor:
        return Tensor(name, values.shape, signature=(-1, *values.shape[1:]) if with_batch else None)

    tensors, operators = [tensor("x", steps[0].x)], []
    for place, step in enumerate(steps):
        kind, options, operand = {
            "weigh": ("MUL", 21, (step.weight, "float32")),
            "turn": ("TRANSPOSE", 0, (step.order, "int32")),
            "part": ("STRIDED_SLICE", 32, (step.begin, "int32")),
            "sum": ("SUM", 27, ([-1], "int32")),
            "widen": ("RESHAPE", 0, ([-1, *step.y.shape[1:]], "int32")),
            "flat": ("RESHAPE", 0, ([-1, *step.y.shape[1:]], "int32")),
            "relu": ("RELU", 0, None),
        }[step.kind]
        inputs = [0 if not place else len(tensors) - 1]
        if operand is not None:
            inputs.append(len(tensors))
            tensors.append(constant(f"c{place}", *operand))
        fields = []
        if step.kind == "part":
            inputs += [len(tensors), len(tensors) + 1]
            tensors += [
                constant("end", step.x.shape, "int32"),
                constant("stride", [1] * step.x.ndim, "int32"),
            ]
            fields = [(0, "Int32", 1), (1, "Int32", 1)]  # the masks: the whole batch
        operators.append(Operator(codes[kind], inputs, [len(tensors)], options, fields))
        tensors.append(tensor(f"v{place}", step.y))
    path = folder / "chain.tflite"
    path.write_bytes(write_tflite(tensors, operators, [0], [len(tensors) - 1]))
    return of_network(converters.read_network([path]))


def graph_of(steps: Sequence[Step]) -> tuple[Graph, str]:
    """Return TensorFlow's graph of a chain, and the name of its result."""
    graph, shape = Graph(), steps[0].x.shape
    y = graph.placeholder(*((-1, *shape[1:]) if len(shape) > 1 else shape), name="x")
    for step in steps:
        rank = step.x.ndim
        if step.kind == "part":
            ends = [graph.constant(np.array(values)) for values in (step.begin, [0] * rank, [1] * rank)]
            masks = dict.fromkeys(("begin_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
            y = graph.node("StridedSlice", y, *ends, end_mask=2**rank - 1, **masks)
        elif step.kind == "relu":
            y = graph.node("Relu", y)
        else:
            kind, operand = {
                "weigh": ("Mul", step.weight),
                "turn": ("Transpose", np.array(step.order)),
                "sum": ("Sum", np.array([-1])),
                "widen": ("ExpandDims", np.array(1)),
                "flat": ("Reshape", np.array([-1, *step.y.shape[1:]])),
            }[step.kind]
            attributes = {"keep_dims": False} if step.kind == "sum" else {}
            y = graph.node(kind, y, graph.constant(operand), **attributes)
    return graph, y


def of_frozen_graph(folder: Path, steps: Sequence[Step]) -> Answer:
    return of_network(converters.read_network([graph_of(steps)[0].save(folder / "chain.pb")]))


def of_saved_model(folder: Path, steps: Sequence[Step]) -> Answer:
    graph, y = graph_of(steps)
    graph.node("VarHandleOp", name="unused", dtype=Type("float32"), shape=(1,))
    made = save_model(folder / "chain", graph, {"x": "x"}, {"y": y}, {"unused": np.zeros(1, np.float32)})
    return of_network(converters.read_network([made]))


def of_tensorflow_js(folder: Path, steps: Sequence[Step]) -> Answer:
    return of_network(converters.read_network([save_web_graph(folder / "model.json", graph_of(steps)[0])]))


# ---- Caffe and Core ML ---------------------------------------------------------------------------------------------


def of_caffe(folder: Path, steps: Sequence[Step]) -> Answer:
    text, blobs, x = caffe_image(*steps[0].x.shape), {}, "data"
    for place, step in enumerate(steps):
        y = f"v{place}"
        orders = " ".join(f"order: {axis}" for axis in step.order)
        dims = " ".join(f"dim: {extent}" for extent in step.y.shape[1:])
        kind, parameters, tops = {
            "weigh": ("Scale", "scale_param { num_axes: -1 }", y),
            "turn": ("Permute", f"permute_param {{ {orders} }}", y),
            "part": ("Slice", f"slice_param {{ slice_point: {SKIPPED} }}", f"rest {y}"),
            "sum": ("Reduction", f"reduction_param {{ axis: {step.x.ndim - 1} }}", y),
            "widen": ("Reshape", f"reshape_param {{ shape {{ dim: 0 {dims} }} }}", y),
            "flat": ("Flatten", "", y),
            "relu": ("ReLU", "", y),
        }[step.kind]
        text += caffe_layer(kind, y, x, parameters, tops)
        if step.kind == "part":
            text += 'layer { name: "silence" type: "Silence" bottom: "rest" }\n'
        if step.weight is not None:
            blobs[y] = [step.weight]
        x = y
    return of_network(converters.read_network(write_caffe(folder, text, blobs)))


def of_neural_network(folder: Path, steps: Sequence[Step]) -> Answer:
    message = coreml_model({"x": array(steps[0].x.shape)}, {"y": array((1,))})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1  # arrays have exactly the stated axes
    for place, step in enumerate(steps):
        x, y = f"v{place}" if place else "x", f"v{place + 1}" if place + 1 < len(steps) else "y"
        rank = step.x.ndim
        if step.weight is not None:
            add(net, "loadConstantND", "", f"w{place}", settings(shape=step.weight.shape, data=step.weight))
            x = f"{x} w{place}"
        whole = [True] * rank
        part = {"beginIds": step.begin, "endIds": [0] * rank, "endMasks": whole, "strides": [1] * rank}
        kind, values = {
            "weigh": ("multiplyBroadcastable", {}),
            "turn": ("transpose", {"axes": step.order}),
            "part": ("sliceStatic", {**part, "beginMasks": [False] * rank, "squeezeMasks": [False] * rank}),
            "sum": ("reduceSum", {"axes": [-1], "keepDims": False}),
            "widen": ("expandDims", {"axes": [1]}),
            "flat": ("flattenTo2D", {"axis": 1}),
            "relu": ("clip", {"minVal": 0.0, "maxVal": 9.0}),
        }[step.kind]
        add(net, kind, x, y, settings(**values))
    return of_network(converters.read_network([saved(message, folder / "chain.mlmodel")]))


def of_program(folder: Path, steps: Sequence[Step]) -> Answer:
    program = Program({"x": steps[0].x.shape})
    for place, step in enumerate(steps):
        x, y = f"v{place}" if place else "x", f"v{place + 1}" if place + 1 < len(steps) else "y"
        rank = step.x.ndim
        kind, operands = {
            "weigh": ("mul", {"y": step.weight}),
            "turn": ("transpose", {"perm": np.array(step.order)}),
            "part": (
                "slice_by_index",
                {
                    "begin": np.array(step.begin),
                    "end": np.array([0] * rank),
                    "end_mask": np.array([True] * rank),
                },
            ),
            "sum": ("reduce_sum", {"axes": np.array([-1]), "keep_dims": False}),
            "widen": ("expand_dims", {"axes": np.array([1])}),
            "flat": ("reshape", {"shape": np.array([BATCH, -1])}),
            "relu": ("relu", {}),
        }[step.kind]
        program.add(kind, y, x=f"%{x}", **operands)
    return of_network(converters.read_network([program.saved(folder / "chain.mlpackage")]))


# ---- Keras ---------------------------------------------------------------------------------------------------------


@contextmanager
def keras_here() -> Iterator[Any]:
    pytest.importorskip("torch", reason="PyTorch, on which Keras runs here, is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("keras", reason="Keras is not installed")


def keras_model(keras: Any, steps: Sequence[Step]) -> Any:
    """Return Keras' model of a chain. Keras has no layer with a factor for each element, but PReLU has slopes."""
    layers, weights = [keras.layers.Input(steps[0].x.shape[1:])], []
    for step in steps:
        if step.kind == "weigh":
            layers.append(keras.layers.PReLU())
            weights.append(step.weight)
        elif step.kind == "turn":
            layers.append(keras.layers.Permute(step.order[1:]))
        elif step.kind == "relu":
            layers.append(keras.layers.ReLU())
        else:
            layers.append(keras.layers.Reshape(step.y.shape[1:]))
    model = keras.Sequential(layers)
    model.set_weights(weights)
    return model


def of_keras(_: Path, steps: Sequence[Step]) -> Answer:
    with keras_here() as keras:
        return of_network(mpscnn.from_keras(keras_model(keras, steps)))


def of_keras_file(folder: Path, steps: Sequence[Step]) -> Answer:
    with keras_here() as keras:
        keras_model(keras, steps).save(folder / "chain.keras")
    return of_network(converters.read_network([folder / "chain.keras"]))


def of_hdf5(folder: Path, steps: Sequence[Step]) -> Answer:
    with keras_here() as keras:
        keras_model(keras, steps).save(folder / "chain.h5")
    return of_network(converters.read_network([folder / "chain.h5"]))


# ---- The walk ------------------------------------------------------------------------------------------------------

CHANNELS_FIRST: dict[str, Callable[[Path, Sequence[Step]], Answer]] = {
    "ONNX": of_onnx,
    "PyTorch": of_torch,
    "Caffe": of_caffe,
    "Core ML neural network": of_neural_network,
    "Core ML program": of_program,
}
AS_IN_THE_FILE: dict[str, Callable[[Path, Sequence[Step]], Answer]] = {
    "torch.compile": of_torch_compile,
    "TensorFlow Lite": of_tflite,
    "frozen graph": of_frozen_graph,
    "SavedModel": of_saved_model,
    "TensorFlow.js": of_tensorflow_js,
    "Keras": of_keras,
    "Keras file": of_keras_file,
    "Keras HDF5": of_hdf5,
}
FORMATS = {**CHANNELS_FIRST, **AS_IN_THE_FILE}
TRACED = ("PyTorch", "torch.compile")  # tracing takes about a second for each chain
KERAS = ("Keras", "Keras file", "Keras HDF5")
NOT_IN_KERAS = ("part", "sum")  # Keras has no layers for these steps


def cases() -> Iterator[Any]:
    for name in FORMATS:
        for rank in range(2, 6):
            for chain in CHAINS:
                if (rank == 2 and chain == ("weigh", "sum")) or (
                    name in KERAS and {*chain} & {*NOT_IN_KERAS}
                ):
                    continue
                marks = [pytest.mark.full] if name in TRACED and chain != CHAINS[0] else []
                yield pytest.param(name, rank, chain, marks=marks, id=f"{name}-{rank}-{'-'.join(chain)}")


def in_network(name: str, x: Array) -> Array:
    """Return a tensor of a file with the order of axes that the network has."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 and name in CHANNELS_FIRST else x


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(("name", "rank", "chain"), [*cases()])
def test_axes_of_inputs_and_outputs(tmp_path: Path, name: str, rank: int, chain: tuple[str, ...]) -> None:
    """The first cases of PyTorch and Keras take seconds, since they import these packages."""
    steps = steps_of(chain, rank)
    x, expected = steps[0].x, steps[-1].y
    if name in KERAS:  # PReLU multiplies only negative numbers by its slopes
        x = expected = -np.abs(x)
        for step in steps:
            expected = computed(step.kind, expected, step.weight)
    found = FORMATS[name](tmp_path, steps)(in_network(name, x))
    expected = in_network(name, expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in (*KERAS, "torch.compile", "Caffe")])
def test_inputs_of_one_axis_get_a_batch(tmp_path: Path, name: str) -> None:
    steps = steps_of(("weigh",), 1)
    found = FORMATS[name](tmp_path, steps)(steps[0].x[None])
    np.testing.assert_allclose(found, steps[-1].y[None], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in KERAS])
def test_results_of_the_batch_alone(tmp_path: Path, name: str) -> None:
    """A result (n) becomes (n, 1), because tensors of the network have an axis after the batch."""
    steps = steps_of(("weigh", "sum"), 2)
    found = FORMATS[name](tmp_path, steps)(steps[0].x)
    expected = steps[-1].y if name == "torch.compile" else steps[-1].y[:, None]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5)


HUB = ("Caffe", "Core ML neural network", "Core ML program", "frozen graph", "SavedModel", "TensorFlow.js")


@pytest.mark.parametrize("name", HUB)
def test_operators_are_converted_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Operators of ONNX that another format's layers become are converted when they are added, and not again."""
    counts: list[str] = []

    def counted(c: Context, node: Node, origin: Origin | None = None) -> None:
        counts.append(node.name)
        convert_node(c, node, origin)

    for module in ("graph.values", "onnx.conversion"):
        monkeypatch.setattr(f"mpscnn.converters.reading.{module}.convert_node", counted)
    FORMATS[name](tmp_path, steps_of(CHAINS[0], 3))
    assert counts
    assert len(counts) == len(set(counts))


def test_an_input_with_the_channels_last_keeps_its_axes(tmp_path: Path) -> None:
    """The first operation after elementwise ones tells whether an image has its channels last."""
    x = np.random.default_rng(3).uniform(-1.0, 1.0, (1, 5, 4, 3)).astype(np.float32)
    program = Program({"x": x.shape})
    program.add("mul", "v1", x="%x", y=np.float32(2.0))
    program.add("transpose", "v2", x="%v1", perm=np.array([0, 3, 1, 2]))
    program.add("relu", "y", x="%v2")
    network = converters.read_network([program.saved(tmp_path / "last.mlpackage")])
    assert network.input.shape[1:] == x.shape[1:]
    assert [node["operation"] for node in network.to_dict()["nodes"]] == ["neuron", "neuron"]
    np.testing.assert_allclose(of_network(network)(x), np.maximum(2.0 * x, 0.0), rtol=1e-6)
