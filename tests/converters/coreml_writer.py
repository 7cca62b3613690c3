"""Write small Core ML models for tests, through the schema that reads them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("google.protobuf", reason="protobuf is not installed")

from converters.protobuf_messages import coreml_model

Shape = Sequence[int]
Fill = Callable[[Any], object]
FLOAT32, INT32, BOOL, STRING, FLOAT16 = 65568, 23, 1, 2, 10
FLOATS = {"fp16": 10, "fp32": 11}
_TYPES = {np.dtype(np.float32): 11, np.dtype(np.float16): 10, np.dtype(np.int32): 23, np.dtype(np.bool_): 1}


def array(shape: Shape) -> Fill:
    """Describe an input or output that is an array."""

    def fill(kind: Any) -> None:
        kind.multiArrayType.shape.extend(shape)
        kind.multiArrayType.dataType = FLOAT32

    return fill


def image(height: int, width: int, space: int = 20) -> Fill:
    """Describe an input or output that is an image. `space` is 10 for gray, 20 for RGB, 30 for BGR."""

    def fill(kind: Any) -> None:
        kind.imageType.height, kind.imageType.width, kind.imageType.colorSpace = height, width, space

    return fill


def numbers(weight: Any, values: NDArray[Any]) -> None:
    """Set a weight to floats."""
    weight.floatValue.extend(np.asarray(values, np.float32).reshape(-1).tolist())


def model(inputs: Mapping[str, Fill], outputs: Mapping[str, Fill], version: int = 5) -> Any:
    """Return a model's message with its description."""
    message = coreml_model()(specificationVersion=version)
    for features, listed in ((inputs, message.description.input), (outputs, message.description.output)):
        for name, fill in features.items():
            feature = listed.add(name=name)
            fill(feature.type)
    return message


def add(net: Any, kind: str, reads: str, makes: str, fill: Fill | None = None) -> Any:
    """Add a layer to a neural network. `reads` and `makes` name its blobs, and `fill` sets its parameters."""
    layer = net.layers.add(name=makes.split()[0], input=reads.split(), output=makes.split())
    parameters = getattr(layer, kind)
    parameters.SetInParent()
    if fill is not None:
        fill(parameters)
    return layer


def settings(**values: Any) -> Fill:
    """Return a function that sets parameters. Arrays of floats become weights, and lists become lists."""

    def fill(parameters: Any) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                numbers(getattr(parameters, name), value)
            elif isinstance(value, (list, tuple)):
                getattr(parameters, name).extend(value)
            elif isinstance(value, dict):
                settings(**value)(getattr(parameters, name))
                getattr(parameters, name).SetInParent()
            else:
                setattr(parameters, name, value)

    return fill


def one_layer(
    kind: str, fill: Fill | None, inputs: Sequence[Shape], results: int = 1, *, exact: bool = True
) -> Any:
    """Return a model of one layer with the arrays `x0`, `x1`, ... as inputs and the results `y0`, `y1`, ..."""
    names = [f"x{place}" for place in range(len(inputs))]
    made = [f"y{place}" for place in range(results)]
    message = model(
        {name: array(shape) for name, shape in zip(names, inputs, strict=True)},
        dict.fromkeys(made, array((1, 1, 1, 1))),
    )
    message.neuralNetwork.arrayInputShapeMapping = int(exact)
    add(message.neuralNetwork, kind, " ".join(names), " ".join(made), fill)
    return message


def saved(message: Any, path: Path) -> Path:
    """Save a message as a file."""
    path.write_bytes(message.SerializeToString())
    return path


# ---- Programs ------------------------------------------------------------------------------------------------------


class Program:
    """A program that is being written, and its file of weights.

    Args:
        inputs: the shapes of its inputs. None is a free extent.
        features: descriptions of inputs that are not arrays, such as images.
        whole: the names of inputs that are integers.
    """

    def __init__(
        self,
        inputs: Mapping[str, Sequence[int | None]],
        features: Mapping[str, Fill] | None = None,
        whole: Collection[str] = (),
    ) -> None:
        stated = {name: array([extent or 1 for extent in shape]) for name, shape in inputs.items()}
        self.message = model({**stated, **(features or {})}, {"y": array((1, 1))}, version=8)
        function = self.message.mlProgram.functions.add(key="main").value
        function.opset = "CoreML7"
        self.block = function.block_specializations.add(key="CoreML7").value
        self.block.outputs.append("y")
        for name, shape in inputs.items():
            self._type(function.inputs.add(name=name).type.tensorType, INT32 if name in whole else 11, shape)
        self.function = function
        self.blobs = bytearray(struct.pack("<II56x", 0, 2))

    @staticmethod
    def _type(tensor: Any, kind: int, shape: Sequence[int | None]) -> None:
        tensor.dataType, tensor.rank = kind, len(shape)
        for extent in shape:
            dimension = tensor.dimensions.add()
            if extent is None:
                dimension.unknown.SetInParent()
            else:
                dimension.constant.size = extent

    def value(
        self, message: Any, given: Any, *, kind: int | None = None, stored: int = 0, shape: Any = None
    ) -> None:
        """Set a value: to text, to numbers in the program, or with `stored`, to bytes in the file of weights.

        `stored` is the number of the elements' type in the file of weights, and `kind` is its number in the program.
        """
        if isinstance(given, str):
            self._type(message.type.tensorType, STRING, ())
            message.immediateValue.tensor.strings.values.append(given)
            return
        if stored:
            self._type(message.type.tensorType, kind or 0, shape)
            message.blobFileValue.fileName = "@model_path/weights/weight.bin"
            message.blobFileValue.offset = len(self.blobs)
            begin = len(self.blobs) + 64
            self.blobs += struct.pack("<IIQQQ32x", 0xDEADBEEF, stored, len(given), begin, 0)
            self.blobs += given + b"\0" * (-len(given) % 64)
            return
        values = np.asarray(given)
        if values.dtype.kind in "iu" and values.dtype.itemsize > 1:
            values = values.astype(np.int32)
        elif values.dtype == np.float64:
            values = values.astype(np.float32)
        if values.dtype.itemsize == 1 and values.dtype.kind in "iu":
            self._type(message.type.tensorType, 21 if values.dtype.kind == "i" else 31, values.shape)
            message.immediateValue.tensor.bytes.values = values.tobytes()
            return
        self._type(message.type.tensorType, _TYPES[values.dtype], values.shape)
        fields = {"f": "floats", "i": "ints", "b": "bools"}
        getattr(message.immediateValue.tensor, fields[values.dtype.kind]).values.extend(
            values.reshape(-1).tolist()
        )

    def constant(self, name: str, given: Any, **stored: Any) -> str:
        """Add an operation that gives a constant."""
        operation = self.block.operations.add(type="const")
        operation.outputs.add(name=name)
        self.value(operation.attributes.add(key="val").value, given, **stored)
        return name

    def add(self, kind: str, makes: str = "y", **operands: Any) -> None:
        """Add an operation. Operands that are text beginning with % are names, or lists of names; others are values.

        A result may have a type, as in "y:fp16".
        """
        operation = self.block.operations.add(type=kind)
        for output in makes.split():
            made, _, kind = output.partition(":")
            self._type(operation.outputs.add(name=made).type.tensorType, FLOATS.get(kind, 0), ())
        for name, given in operands.items():
            argument = operation.inputs.add(key=name).value
            for one in given if isinstance(given, tuple) else (given,):
                if isinstance(one, str) and one.startswith("%"):
                    argument.arguments.add(name=one[1:])
                else:
                    self.value(argument.arguments.add().value, one)

    def classify(self, probabilities: str, labels: Sequence[str]) -> None:
        """End the program with an operation that names the class of the largest probability."""
        operation = self.block.operations.add(type="classify")
        for name in ("label", "probabilities"):
            operation.outputs.add(name=name)
        operation.inputs.add(key="probabilities").value.arguments.add(name=probabilities)
        listed = operation.inputs.add(key="classes").value.arguments.add().value
        listed.type.listType.SetInParent()
        for label in labels:
            self.value(listed.immediateValue.list.values.add(), label)
        self.block.outputs[:] = ["label", "probabilities"]

    def saved(self, folder: Path) -> Path:
        """Save the program as a package with the layout that Core ML's tools write."""
        data = folder / "Data" / "com.apple.CoreML"
        (data / "weights").mkdir(parents=True)
        (data / "model.mlmodel").write_bytes(self.message.SerializeToString())
        (data / "weights" / "weight.bin").write_bytes(self.blobs)
        manifest = {
            "fileFormatVersion": "1.0.0",
            "itemInfoEntries": {"A": {"path": "com.apple.CoreML/model.mlmodel"}},
            "rootModelIdentifier": "A",
        }
        (folder / "Manifest.json").write_text(json.dumps(manifest))
        return folder
