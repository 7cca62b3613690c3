"""Each operator that a format's reader refuses is named with its layer, the reason, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from converters import caffe_writer, keras_writer
from converters.coreml_writer import Program, one_layer, saved
from converters.onnx_files import model, node, onnx
from converters.tensorflow_writer import Graph
from converters.tflite_writer import Operator, Tensor, write_tflite

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.caffe.layers import REFUSED as CAFFE
from mpscnn.converters.reading.coreml.neural.layers import REFUSED as COREML_LAYERS
from mpscnn.converters.reading.coreml.program.operations import REFUSED as COREML_OPERATIONS
from mpscnn.converters.reading.keras.layers import REFUSED as KERAS
from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.converters.reading.onnx.operators import ROWS as ONNX_ROWS
from mpscnn.converters.reading.tensorflow.operators import REFUSED as TENSORFLOW
from mpscnn.converters.reading.tflite.names import operator_number
from mpscnn.converters.reading.tflite.operators import REFUSED as TFLITE

UNKNOWN = "BrandNew"
SHAPE = (1, 4, 4, 4)


def _caffe(folder: Path, kind: str) -> list[Path]:
    return caffe_writer.write(folder, caffe_writer.image(*SHAPE) + caffe_writer.layer(kind, "y", "data"))


def _keras(folder: Path, kind: str) -> list[Path]:
    layers = [keras_writer.image(4, 4, 4), keras_writer.layer(kind, "y", "image")]
    keras_writer.write_h5(folder / "one.h5", keras_writer.functional(layers), {})
    return [folder / "one.h5"]


def _coreml_layer(folder: Path, kind: str) -> list[Path]:
    message = one_layer(kind, None, [SHAPE])
    message.neuralNetwork.layers[0].name = "y"
    return [saved(message, folder / "one.mlmodel")]


def _coreml_operation(folder: Path, kind: str) -> list[Path]:
    program = Program({"x0": SHAPE})
    program.add(kind, x="%x0")
    return [program.saved(folder / "one.mlpackage")]


def _onnx(folder: Path, kind: str) -> list[Path]:
    made = model([node("Relu", ["x"])], {"x": list(SHAPE)})
    made.graph.node[0].op_type = kind
    made.graph.node[0].name = "y"
    onnx.save(made, folder / "one.onnx")
    return [folder / "one.onnx"]


def _tensorflow(folder: Path, kind: str) -> list[Path]:
    graph = Graph()
    graph.node(kind, graph.placeholder(*SHAPE), name="y")
    return [graph.save(folder / "graph.pb")]


def _tflite(folder: Path, kind: str) -> list[Path]:
    operator = (
        Operator(32, [0], [1], custom=(kind, b""))
        if kind == UNKNOWN
        else Operator(operator_number(kind), [0], [1])
    )
    (folder / "one.tflite").write_bytes(
        write_tflite([Tensor("x", SHAPE), Tensor("y", SHAPE)], [operator], [0], [1])
    )
    return [folder / "one.tflite"]


def _unknown_to_onnx() -> list[str]:
    """Return the operators of ONNX that mpscnn does not have, except those with subgraphs.

    NonMaxSuppression is left out, because the reader stops before it.
    """
    found = set()
    for schema in onnx.defs.get_all_schemas():
        has_graphs = any("GRAPH" in str(one.type) for one in schema.attributes.values())
        if not (schema.domain or has_graphs or schema.name in ONNX_ROWS or schema.name in EXPANSIONS):
            found.add(schema.name)
    return sorted(found - {"NonMaxSuppression"})


FORMATS: dict[str, tuple[Callable[[Path, str], list[Path]], Iterable[str]]] = {
    "Caffe": (_caffe, CAFFE),
    "Keras": (_keras, KERAS),
    "Core ML, layers": (_coreml_layer, COREML_LAYERS),
    "Core ML, operations": (_coreml_operation, COREML_OPERATIONS),
    "ONNX": (_onnx, _unknown_to_onnx()),
    "TensorFlow": (_tensorflow, TENSORFLOW),
    "TensorFlow Lite": (_tflite, TFLITE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_refusals_name_the_layer_the_reason_and_what_to_do(name: str, tmp_path: Path) -> None:
    write, kinds = FORMATS[name]
    own = [] if name == "Core ML, layers" else [UNKNOWN]  # its kinds are fields of a message
    for number, kind in enumerate([*kinds, *own]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(UnsupportedLayersError) as caught:
            read_network(write(folder, kind))
        (layer,) = caught.value.layers
        message = str(caught.value)
        assert layer.name == "y", kind
        assert kind in layer.kind
        assert f"layer 'y' ({layer.kind}): {layer.reason}" in message, kind
        assert layer.has_advice or message.endswith(f": {layer.remedy}"), kind


def _keras_without_outputs(folder: Path) -> Path:
    path = folder / "none.h5"
    described = keras_writer.functional([keras_writer.image(4, 4, 4)])
    described["config"]["output_layers"] = []
    keras_writer.write_h5(path, described, {})
    return path


def _tflite_without_outputs(folder: Path) -> Path:
    path = folder / "none.tflite"
    path.write_bytes(write_tflite([Tensor("x", SHAPE)], [], [0], []))
    return path


def _onnx_without_outputs(folder: Path) -> Path:
    made = model([node("Relu", ["x"], "y")], {"x": SHAPE})
    del made.graph.output[:]
    path = folder / "none.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("write", [_keras_without_outputs, _onnx_without_outputs, _tflite_without_outputs])
def test_networks_without_outputs(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    for read in (lambda: read_network([path]), lambda: mpscnn.load(path)):
        with pytest.raises(mpscnn.WeightsError, match=rf"{path.name}.*: it has no outputs"):
            read()
