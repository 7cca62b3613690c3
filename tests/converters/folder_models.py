"""Write small models that are folders of files: Core ML's packages and compiled models, SavedModels, TensorFlow.js."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from converters.coreml_writer import Program
from converters.mil_text import compiled
from converters.tensorflow_writer import Graph, save_model, save_web_graph, set_shape


def _program() -> Program:
    """Return a program with weights in the file of weights, and a constant that states one number for all elements."""
    made = Program({"x": (1, 4)})
    made.constant("w", np.ones((5, 4), np.float32).tobytes(), kind=11, stored=2, shape=(5, 4))
    made.add("linear", "a", x="%x", weight="%w")
    made.add("fill", "b", shape=[1, 6], value=np.float32(0.5))
    made.add("fill", "c", shape=[7, 1], value=np.float32(0.5))
    made.add("matmul", "d", x="%c", y="%b", transpose_x=False, transpose_y=False)
    made.add("reshape", "e", x="%d", shape=[1, 42])
    made.add("concat", values=("%a", "%e"), axis=1)
    return made


def _graph(variable: str | None) -> Graph:
    """Return a graph with weights, and a constant that states one number for all elements."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 8, 3)
    filters = np.ones((2, 2, 3, 4), np.float32)
    weights = graph.node("ReadVariableOp", variable) if variable else graph.constant(filters)
    made = graph.node("Conv2D", image, weights, strides=[1, 1, 1, 1], padding="VALID")
    filled = graph.constant(np.float32(0.5))
    (tensor,) = (one.value.tensor for one in graph.message.node[-1].attr if one.key == "value")
    tensor.ClearField("tensor_content")
    tensor.float_val.append(0.5)
    set_shape(tensor.tensor_shape, [1, 5, 7, 4])
    total = graph.node("Sum", graph.node("Tile", filled, graph.constant([1, 1, 1, 2])), graph.constant(3))
    graph.node("AddV2", made, graph.node("ExpandDims", total, graph.constant(3)), name="result")
    return graph


def save_package(folder: Path) -> Path:
    return _program().saved(folder / "model.mlpackage")


def save_compiled(folder: Path) -> Path:
    inputs = [{"name": "photo", "type": "Image", "colorspace": "RGB", "width": "8", "height": "6"}]
    return compiled(_program(), folder / "model.mlmodelc", new=False, inputs=inputs)


def save_saved_model(folder: Path) -> Path:
    graph = _graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    kernel = {"kernel": np.ones((2, 2, 3, 4), np.float32)}
    return save_model(folder / "model", graph, {"image": "image"}, {"result": "result"}, kernel)


def save_web_model(folder: Path) -> Path:
    (folder / "model").mkdir()
    return save_web_graph(folder / "model" / "model.json", _graph(None))
