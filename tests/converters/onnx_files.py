"""Write small ONNX models for tests, and compute their results here and in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from exact_engines import onnxruntime_results
from numpy.typing import NDArray

from mpscnn import Network
from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import convert

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx.parser")

Array = NDArray[Any]
OPSET = 17
#: The allowed difference, relative to the largest result. The two engines add float32 numbers in different orders.
TOLERANCE = 1e-5
#: Images of 6 channels and 9 x 8 pixels; the batch is free.
IMAGE = {"x": ["n", 6, 9, 8]}


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str] | str = "y", **attributes: Any) -> Any:
    """Return a node with the name of its first result."""
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    return onnx.helper.make_node(kind, list(inputs), names, name=names[0], **attributes)


def nodes_of(text: str) -> list[Any]:
    """Return the nodes of a text in ONNX' own syntax: "s = Sigmoid(x); y = Mul(x, s)", also in several lines.

    Attributes stand in angle brackets: "y = ReduceMean<axes=[1]>(x)". A node has the name of its first result.
    """
    made = [onnx.parser.parse_node(one) for one in text.replace(";", "\n").split("\n") if one.strip()]
    for one in made:
        one.name = one.output[0]
        one.ClearField("domain")  # the parser states an empty one
    return made


def filled(name: str, shape: Sequence[int], value: Any = 0.5) -> tuple[Any, dict[str, Any]]:
    """Return a node for a constant of any size whose elements are all one number, and its operands.

    Both take about 100 bytes of a file.
    """
    number = onnx.numpy_helper.from_array(
        np.array([np.float32(value) if isinstance(value, float) else value])
    )
    made = node("ConstantOfShape", [f"{name}.shape"], name, value=number)
    return made, {f"{name}.shape": np.array(shape, np.int64)}


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[Any]],
    constants: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = OPSET,
    types: Mapping[str, int] | None = None,
) -> Any:
    """Return a model. Extents of inputs may be names. Constants in float64 become float32.

    `types` has the element types of inputs that are not float32.
    """
    tensors = []
    for name, values in (constants or {}).items():
        array = np.asarray(values)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        tensors.append(onnx.numpy_helper.from_array(array, name))
    graph = onnx.helper.make_graph(
        list(nodes),
        "graph",
        [
            onnx.helper.make_tensor_value_info(name, (types or {}).get(name, onnx.TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        tensors,
    )
    domains = sorted({one.domain for one in nodes} - {""})
    versions = [("", opset), *((domain, 1) for domain in domains)]
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(*one) for one in versions])
    made.ir_version = 8
    return onnx.shape_inference.infer_shapes(made)


def read(given: Any, **options: Any) -> Network:
    """Convert the model to a network, and simplify it as for all formats."""
    return simplify(convert(file_from_model(given, "model.onnx"), ReadOptions("model", **options)))


def random_inputs(given: Any, seed: int = 5, free: int = 2) -> dict[str, Array]:
    """Return random inputs from -2 to 2. Free extents become `free`."""
    generator = np.random.default_rng(seed)
    constants = {tensor.name for tensor in given.graph.initializer}
    return {
        info.name: generator.uniform(
            -2.0, 2.0, [extent.dim_value or free for extent in info.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for info in given.graph.input
        if info.name not in constants
    }


def run_there(given: Any, feeds: Mapping[str, Array]) -> list[Array]:
    """Return the results of onnxruntime."""
    return onnxruntime_results(given, feeds)


def run_here(network: Network, feeds: Sequence[Array]) -> list[Array]:
    """Return the network's results for inputs with the file's order of axes. NCHW images are transposed to NHWC."""
    given = []
    for tensor, x in zip(network.inputs, feeds, strict=True):
        expected = tensor.shape[1:]
        if x.ndim == 3 and len(expected) == 3:
            x = x[:, :, None]  # an image of height 1
        lies_so = all(wanted in (None, extent) for wanted, extent in zip(expected, x.shape[1:], strict=True))
        nchw = x.ndim == 4 and not (lies_so and is_nhwc(network))
        given.append(x.transpose(0, 2, 3, 1) if nchw else x)
    results = network.compile(device="cpu", precision="float32").session(threads=1).run(given)
    return list(results.values()) if isinstance(results, dict) else [results]


def is_nhwc(network: Network) -> bool:
    """Return whether the test has marked the network as one with NHWC images."""
    return network.name == "nhwc"


def assert_like_onnxruntime(
    given: Any, *, tolerance: float = TOLERANCE, nhwc: bool = False, nchw_outputs: bool = True, **options: Any
) -> Network:
    """Convert a model, and compare all results with onnxruntime's.

    `nhwc`: the file's images are NHWC. `nchw_outputs`: results of onnxruntime with four axes are NCHW.
    """
    network = read(given, **options)
    network.name = "nhwc" if nhwc else network.name
    feeds = random_inputs(given)
    ours = run_here(network, list(feeds.values()))
    for result, reference in zip(ours, run_there(given, feeds), strict=True):
        reference = reference.reshape(len(result), -1) if reference.ndim == 1 else reference
        if reference.ndim == 4 and nchw_outputs:
            reference = reference.transpose(0, 2, 3, 1)
        assert result.shape == reference.shape
        scale = max(1e-6, float(np.max(np.abs(reference[np.isfinite(reference)]), initial=0.0)))
        np.testing.assert_allclose(result, reference, rtol=0, atol=tolerance * scale)
    return network


def operations(network: Network) -> list[str]:
    """Return the operations of the layers in their order."""
    return [entry["operation"] for entry in network.to_dict()["nodes"]]


def weights(*shape: int, seed: int = 3) -> Array:
    """Return random numbers."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def convolution(name: str, x: str, y: str, **attributes: Any) -> Any:
    """Return a convolution of x that reads the constants NAME.weight and NAME.bias, where NAME is `name`."""
    return node("Conv", [x, f"{name}.weight", f"{name}.bias"], y, **attributes)
