"""Each operator of each format, in a file that states a setting that no operator has: the error names the setting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from converters import caffe_writer, keras_writer
from converters.coreml_writer import Program, one_layer, saved
from converters.onnx_files import model, node, onnx
from converters.tensorflow_writer import Graph as TensorFlowGraph
from converters.tflite_writer import OPTIONS, Operator, Tensor, write_tflite

from mpscnn.converters import read_network
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.caffe.file import parameter_field
from mpscnn.converters.reading.caffe.layers import ROWS as CAFFE
from mpscnn.converters.reading.coreai.asset import Asset
from mpscnn.converters.reading.coreai.operators import ROWS as COREAI
from mpscnn.converters.reading.coreai.program import Graph, decode
from mpscnn.converters.reading.coreai.reader import convert
from mpscnn.converters.reading.coreml.neural.layers import ROWS as COREML_LAYERS
from mpscnn.converters.reading.coreml.program.operations import ROWS as COREML_OPERATIONS
from mpscnn.converters.reading.keras.layers import ROWS as KERAS
from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.reading.onnx.operators import ROWS as ONNX
from mpscnn.converters.reading.tensorflow.operators import ROWS as TENSORFLOW
from mpscnn.converters.reading.tflite.names import operator_number
from mpscnn.converters.reading.tflite.operators import ROWS as TFLITE
from mpscnn.errors import Error

SHAPE = (1, 4, 4, 4)
#: A field of a message, and an option of a table, that no schema has.
FIELD = 999
VARINT = 0


def _caffe(folder: Path, kind: str) -> list[Path]:
    inputs = "data data data" if kind == "Axpy" else "data"
    text = caffe_writer.layer(kind, "y", inputs, f"{parameter_field(kind)} {{ unheard_of: 3 }}")
    return caffe_writer.write(folder, caffe_writer.image(*SHAPE) + text)


def _keras(folder: Path, kind: str) -> list[Path]:
    layers = [keras_writer.image(4, 4, 4), keras_writer.layer(kind, "y", "image", unheard_of=3)]
    keras_writer.write_h5(folder / "one.h5", keras_writer.functional(layers), {})
    return [folder / "one.h5"]


def _coreml_layer(folder: Path, kind: str) -> list[Path]:
    def fill(parameters: Any) -> None:
        parameters.MergeFromString(bytes([(FIELD << 3 | VARINT) & 0x7F | 0x80, FIELD >> 4, 3]))

    return [saved(one_layer(kind, fill, [SHAPE]), folder / "one.mlmodel")]


def _coreml_operation(folder: Path, kind: str) -> list[Path]:
    program = Program({"x0": SHAPE})
    program.add(
        kind, unheard_of=3, **({"x": "%x0", "block_shape": [2, 2]} if kind == "space_to_batch" else {})
    )
    return [program.saved(folder / "one.mlpackage")]


def _onnx(folder: Path, kind: str) -> list[Path]:
    made = model([node("Relu", ["x"], unheard_of=3)], {"x": list(SHAPE)})
    domain, _, made.graph.node[0].op_type = kind.rpartition(".")
    made.graph.node[0].domain = domain
    onnx.save(made, folder / "one.onnx")
    return [folder / "one.onnx"]


def _tensorflow(folder: Path, kind: str) -> list[Path]:
    graph = TensorFlowGraph()
    count = {"ShapeN": "N", "Split": "num_split", "SplitV": "num_split", "Unpack": "num"}.get(kind)
    graph.node(kind, graph.placeholder(*SHAPE), name="y", unheard_of=3, **({count: 1} if count else {}))
    return [graph.save(folder / "graph.pb")]


def _tflite(folder: Path, kind: str) -> list[Path]:
    options = [(FIELD, "Int32", 3)]
    operator = Operator(operator_number(kind), [0], [1], OPTIONS.get(kind, 1), options)
    content = write_tflite([Tensor("x", SHAPE), Tensor("y", SHAPE)], [operator], [0], [1])
    (folder / "one.tflite").write_bytes(content)
    return [folder / "one.tflite"]


#: Layers of Keras but one that Keras does not have, whose packages state settings of their own.
KERAS_KINDS = [kind for kind in KERAS if kind != "StochasticDepth"]
#: TensorFlow's operators but those that are several others, which check the settings.
SEVERAL = ("FusedConv", "FusedDepth", "FusedMat")
TENSORFLOW_KINDS = [kind for kind in TENSORFLOW if not kind.lstrip("_").startswith(SEVERAL)]

#: The writer of a file, the operators, and how the error names the setting. Caffe's layer without results is left
#: out.
FORMATS: dict[str, tuple[Callable[[Path, str], list[Path]], Iterable[str], str]] = {
    "Caffe": (_caffe, [kind for kind in CAFFE if kind != "Silence"], "its parameter '"),
    "Keras": (_keras, KERAS_KINDS, "its 'unheard_of' is 3"),
    "Core ML, layers": (_coreml_layer, COREML_LAYERS, f"{FIELD}"),
    "Core ML, operations": (_coreml_operation, COREML_OPERATIONS, "its operand 'unheard_of'"),
    "ONNX": (_onnx, [kind for kind in ONNX if not isinstance(kind, OwnKind)], "its 'unheard_of' is 3"),
    "TensorFlow": (_tensorflow, TENSORFLOW_KINDS, "its 'unheard_of' is 3"),
    "TensorFlow Lite": (
        _tflite,
        [kind for kind in TFLITE if not kind.startswith("CUSTOM")],
        f"'option {FIELD}'",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_settings_that_no_operator_has_are_refused_by_name(name: str, tmp_path: Path) -> None:
    write, kinds, said = FORMATS[name]
    wrong: dict[str, str] = {}
    for number, kind in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            read_network(write(folder, kind))
            wrong[kind] = "is read"
        except Error as error:
            if said not in str(error):
                wrong[kind] = str(error).partition("): ")[2] or str(error)
    assert wrong == {}


def _coreai(kind: str) -> dict[str, Graph]:
    """Return a program as `extraction.py` takes it out of an asset, so Apple's package is not needed."""
    image = "tensor<1x4x4x4xf32>"
    operation = {"kind": f"coreai.{kind}", "operands": [0], "results": [[1, image]], "regions": []}
    end = {"kind": "coreai.output", "operands": [1], "results": [], "regions": []}
    graph = {
        "kind": "coreai.graph",
        "attributes": {"sym_name": '"main"'},
        "arguments": [[0, image]],
        "argument_names": ["x"],
        "result_names": ["y"],
        "body": [operation | {"attributes": {"unheard_of": "3"}}, end],
    }
    header = json.dumps({"operations": [graph]}).encode()
    return decode(len(header).to_bytes(8, "little") + header, "one.aimodel")


def test_attributes_that_no_operation_of_core_ai_has_are_refused_by_name() -> None:
    asset, options = Asset("one.aimodel", Path("main.mlirb"), 1_000, {}), ReadOptions("one")
    for kind in sorted(COREAI.keys() - {"split"}):  # which reads its second operand first
        with pytest.raises(Error, match="its 'unheard_of' is '3', which is not known"):
            convert(asset, _coreai(kind), options)
