"""Write small files of all formats: convolutions, elementwise functions between them, and borders of zeros."""

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

import mpscnn
from mpscnn.converters import read_network

Array = NDArray[Any]
HEIGHT, WIDTH, CHANNELS = 5, 6, 3
"""The extents of the input."""
BORDER = ((1, 0), (2, 3))
PADDED = (6, 11)
"""The height and width of the image with the border."""


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

    def pad(self, x: str) -> str:
        """Add zeros around an image: `BORDER` has the rows before and after it, and the columns."""
        raise NotImplementedError

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

    def pad(self, x: str) -> str:
        (top, bottom), (left, right) = BORDER
        self.constants["pads"] = np.array([0, 0, top, left, 0, 0, bottom, right])
        return self.made("Pad", x, "pads")

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        made = model(self.nodes, {"image": [1, CHANNELS, HEIGHT, WIDTH]}, self.constants, outputs=(output,))
        onnx.save(made, str(folder / "net.onnx"))
        return read_network(folder / "net.onnx")


class TensorFlowLite(Writer):
    names: ClassVar = {"add": "ADD", "multiply": "MUL", "sigmoid": "LOGISTIC", "tanh": "TANH"}

    def __init__(self) -> None:
        super().__init__()
        self.tensors = [Tensor("image", (1, HEIGHT, WIDTH, CHANNELS))]
        self.size = (HEIGHT, WIDTH)
        self.operators: list[Any] = []

    def place(self, name: str) -> int:
        return [tensor.name for tensor in self.tensors].index(name)

    def made(
        self, kind: str, *inputs: str, options: Any = (), channels: int = CHANNELS, name: str = ""
    ) -> str:
        name = name or self.name()
        places = [self.place(one) for one in inputs]
        self.tensors.append(Tensor(name, (1, *self.size, channels)))
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

    def pad(self, x: str) -> str:
        self.tensors.append(constant("pads", [[0, 0], *BORDER, [0, 0]], "int32"))
        self.size = PADDED
        return self.made("PAD", x, "pads")

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        content = write_tflite(self.tensors, self.operators, [0], [self.place(output)])
        (folder / "net.tflite").write_bytes(content)
        return read_network(folder / "net.tflite")


class Keras(Writer):
    names: ClassVar = {"add": "Add", "multiply": "Multiply"}

    def __init__(self) -> None:
        super().__init__()
        self.layers = [keras_writer.image(HEIGHT, WIDTH, CHANNELS)]
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

    def pad(self, x: str) -> str:
        return self.made("ZeroPadding2D", x, padding=[list(sides) for sides in BORDER])

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
        self.graph.placeholder(1, HEIGHT, WIDTH, CHANNELS)

    def convolution(self, x: str, weights: Array, name: str) -> str:
        settings = {"strides": [1] * 4, "dilations": [1] * 4, "padding": "VALID", "data_format": "NHWC"}
        known = self.graph.constant(weights.T[None, None])
        return self.graph.node("Conv2D", x, known, name=name, **settings)

    def apply(self, kind: str, *values: str) -> str:
        return self.graph.node(self.names[kind], *values)

    def with_number(self, kind: str, x: str, number: float) -> str:
        return self.apply(kind, x, self.graph.constant(number))

    def pad(self, x: str) -> str:
        return self.graph.node("Pad", x, self.graph.constant(np.array([[0, 0], *BORDER, [0, 0]])))

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        return read_network(self.graph.save(folder / "net.pb"))


class CoreML(Writer):
    names: ClassVar = {"add": "add", "multiply": "mul"}

    def __init__(self) -> None:
        super().__init__()
        self.program = Program({"image": (1, CHANNELS, HEIGHT, WIDTH)})

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

    def pad(self, x: str) -> str:
        pads = np.array([0, 0, 0, 0, *BORDER[0], *BORDER[1]])
        return self.made("pad", x=f"%{x}", pad=pads, mode="constant", constant_val=np.float32(0.0))

    def read(self, folder: Path, output: str) -> mpscnn.Network:
        self.program.block.outputs[:] = [output]
        return read_network(self.program.saved(folder / "net.mlpackage"))


class Caffe(Writer):
    names: ClassVar = {"sigmoid": "Sigmoid", "tanh": "TanH", "softplus": "BNLL", "relu6": "ReLU6"}

    def __init__(self) -> None:
        super().__init__()
        self.text = caffe_writer.image(1, CHANNELS, HEIGHT, WIDTH)
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
