"""A note names each part of a file that the network does not have, such as settings for training."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import caffe_writer, torch_writer
from converters.tensorflow_writer import Graph, Type, save_model, save_web, save_web_graph
from converters.tflite_writer import CODES, Operator, Subgraph, Tensor, write_subgraphs

from mpscnn.converters import read_network
from mpscnn.converters.formats.records import BY_SUFFIX
from mpscnn.converters.reading.pytorch.state_dict import read_state_dict

#: For each case: the suffix, a function that writes the file, and the notes.
CASES: dict[str, tuple[str, Callable[[Path], Path], list[str]]] = {}
KERNEL = {"dense": {"kernel": np.ones((3, 2), np.float32), "bias": np.ones(2, np.float32)}}
WITHOUT = {
    ".index": "tests/converters/tensorflow/test_tensorflow_files.py::test_checkpoints_of_tf_slim",
    ".onnx": "test_files_that_ask.py::test_reading_says_that_training_is_left_out",
    ".aimodel": "tests/converters/coreai/test_coreai_read.py",
}
#: Suffixes of the same formats as others.
SAME = {
    ".hdf5": ".h5",
    ".pt": ".pth",
    ".safetensors": ".pth",
    ".prototxt": ".caffemodel",
    ".mlmodelc": ".mlpackage",
}


def case(name: str, suffix: str, *notes: str) -> Callable[[Callable[[Path], Path]], None]:
    def add(write: Callable[[Path], Path]) -> None:
        CASES[name] = suffix, write, list(notes)

    return add


# ---- Keras ---------------------------------------------------------------------------------------------------------

COMPILED = {
    "optimizer_config": {"class_name": "Adam", "config": {"learning_rate": 0.1}},
    "loss": {"a": "mse", "b": {"class_name": "function", "config": "own_loss"}},
    "metrics": [["accuracy"], [{"class_name": "mine>Score", "config": {}}]],
    "sample_weight_mode": None,
}
SETTINGS = "its settings for training are left out: the optimizer 'Adam', the loss 'mse', the loss 'own_loss'"
OWN = "classes and functions of the file's author, whose code is not in the file, are left out: "


def keras_model(**settings: Any) -> Any:
    from converters.keras_writer import functional, image, layer

    return functional([image(3), layer("Dense", "dense", "image", units=2, **settings)])


def h5_file(folder: Path, compiled: Any, **settings: Any) -> Path:
    from converters.keras_writer import h5py, write_h5

    write_h5(folder / "model.h5", keras_model(**settings), KERNEL)
    with h5py.File(folder / "model.h5", "a") as file:
        if compiled is not None:
            file.attrs["training_config"] = json.dumps(compiled)
            file.create_group("optimizer_weights")
    return folder / "model.h5"


@case("compiled .h5", ".h5", f"{SETTINGS} and 3 more", f"{OWN}'mine>Score'")
def _(folder: Path) -> Path:
    return h5_file(folder, COMPILED)


@case(".h5 with a regularizer", ".h5", "its settings for training are left out: the regularizer 'L2'")
def _(folder: Path) -> Path:
    return h5_file(folder, None, kernel_regularizer={"class_name": "L2", "config": {}}, bias_constraint=None)


@case("plain .h5", ".h5")
def _(folder: Path) -> Path:
    return h5_file(folder, None)


@case(
    "compiled .keras",
    ".keras",
    "its settings for training are left out: the optimizer 'Adam', the loss 'mine>Loss', the state of the optimizer",
    f"{OWN}'mine>Loss', 'mine>Start'",
    "its assets are left out: 'assets/words.txt'",
)
def _(folder: Path) -> Path:
    from converters.keras_writer import write_keras

    def own(name: str) -> dict[str, Any]:
        return {"module": "mine", "class_name": name, "config": {}, "registered_name": f"mine>{name}"}

    def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}}

    layers = [
        layer("InputLayer", "image", batch_shape=[None, 3]),
        layer("Dense", "dense", units=2, use_bias=False, kernel_initializer=own("Start")),
    ]
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    model["compile_config"] = {"optimizer": "Adam", "loss": own("Loss"), "metrics": None}
    arrays = [np.ones((3, 2), np.float32)]
    write_keras(folder / "model.keras", model, {"layers/dense": arrays, "optimizer": arrays})
    with zipfile.ZipFile(folder / "model.keras", "a") as archive:
        archive.writestr("assets/words.txt", "words")
    return folder / "model.keras"


@case("compiled layers of TensorFlow.js", ".json", f"{SETTINGS} and 2 more", f"{OWN}'mine>Score'")
def _(folder: Path) -> Path:
    weights = {f"dense/{name}": values for name, values in KERNEL["dense"].items()}
    described = {
        "format": "layers-model",
        "modelTopology": {"keras_version": "tfjs-layers 4.0.0", "model_config": keras_model()},
        "trainingConfig": COMPILED,
    }
    return save_web(folder / "model.json", described, weights)


# ---- TensorFlow ----------------------------------------------------------------------------------------------------


def relu_graph() -> Graph:
    graph = Graph()
    graph.node("Relu", graph.placeholder(-1, 4, 4, 3), name="y", T=Type("float32"))
    return graph


@case(
    "initialised graph of TensorFlow.js",
    ".json",
    "operators that initialise are left out: HashTableV2 'table'",
)
def _(folder: Path) -> Path:
    graph = relu_graph()
    path = save_web_graph(folder / "model.json", graph)
    nodes = [{"name": "keys", "op": "Const"}, {"name": "table", "op": "HashTableV2"}]
    path.write_text(json.dumps({**json.loads(path.read_text()), "modelInitializer": {"node": nodes}}))
    return path


@case(
    "SavedModel of several signatures",
    ".pb",
    "other parts are left out: the signature 'train', the graph for 'train, gpu'",
)
def _(folder: Path) -> Path:
    from converters.protobuf_messages import tensorflow_message

    graph = relu_graph()
    path = save_model(folder / "model", graph, {"image": "image"}, {"result": "y"}, {}) / "saved_model.pb"
    model = tensorflow_message("SavedModel")()
    model.ParseFromString(path.read_bytes())
    model.meta_graphs[0].signature_def.add(key="train").value.outputs.add(key="loss").value.name = "y:0"
    model.meta_graphs.add().meta_info_def.tags.extend(["train", "gpu"])
    path.write_bytes(model.SerializeToString())
    return path.parent


# ---- Others --------------------------------------------------------------------------------------------------------


@case(
    "TensorFlow Lite with signatures for training",
    ".tflite",
    "other signatures are left out: 'train', 'save'",
)
def _(folder: Path) -> Path:
    tensors = [Tensor("x", (1, 5)), Tensor("y", (1, 5))]
    relu = Operator(CODES["RELU"], [0], [1])
    graphs = [Subgraph(tensors, [relu], [0], [1])] * 3
    signatures = {"serving_default": 0, "train": 1, "save": 2}
    (folder / "model.tflite").write_bytes(write_subgraphs(graphs, signatures=signatures))
    return folder / "model.tflite"


@case(
    "Caffe's network for training",
    ".caffemodel",
    "layers that do not run in inference are left out: DummyData 'truth', Accuracy 'accuracy'",
    "weights of layers that it does not have are left out: 'other'",
)
def _(folder: Path) -> Path:
    text = caffe_writer.image(1, 3) + caffe_writer.layer("DummyData", "truth", "", "include { phase: TRAIN }")
    text += caffe_writer.layer(
        "InnerProduct", "y", "data", "inner_product_param { num_output: 2 bias_term: false }"
    )
    text += caffe_writer.layer("Accuracy", "accuracy", "y truth")
    blobs = {"y": [np.ones((2, 3), np.float32)], "other": [np.ones(1, np.float32)]}
    return caffe_writer.write(folder, text, blobs)[1]


@case(
    "updatable Core ML network",
    ".mlmodel",
    "its settings for training are left out: the loss 'error', the adamOptimizer",
)
def _(folder: Path) -> Path:
    from converters.coreml_writer import add, array, model, saved

    message = model({"x": array((3,))}, {"y": array((3,))})
    add(message.neuralNetwork, "softmax", "x", "y")
    message.neuralNetwork.updateParams.lossLayers.add(name="error")
    message.neuralNetwork.updateParams.optimizer.adamOptimizer.SetInParent()
    return saved(message, folder / "model.mlmodel")


@case("Core ML program of several functions", ".mlpackage", "other functions are left out: 'train'")
def _(folder: Path) -> Path:
    from converters.coreml_writer import Program

    made = Program({"x": (1, 4)})
    made.add("relu", x="%x")
    made.message.mlProgram.functions.add(key="train").value.opset = "CoreML7"
    return made.saved(folder / "model.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_notes(name: str, tmp_path: Path) -> None:
    suffix, write, expected = CASES[name]
    if "keras" in name or ".h5" in name or "layers" in name:
        pytest.importorskip("h5py", reason="h5py writes the file")
    path = write(tmp_path)
    assert path.suffix == suffix or path.is_dir()
    assert read_network([path]).notes == expected


def test_other_entries_of_a_checkpoint(tmp_path: Path) -> None:
    storages = torch_writer.Storages()
    weights = {"conv1.weight": storages.tensor(np.ones((4, 3, 1, 1), np.float32))}
    path = tmp_path / "model.pth"
    for others, note in (
        ({}, []),
        (
            {"epoch": 3, "optimizer": {"lr": 0.1}, "model": weights, "args": [1]},
            [
                "the weights are those of 'state_dict'; other entries are left out: 'epoch', 'optimizer', "
                "'model' and 1 more"
            ],
        ),
    ):
        path.write_bytes(torch_writer.zip_form({"state_dict": weights, **others}, storages))
        assert read_state_dict(path).notes == note


def test_all_formats_have_a_case() -> None:
    covered = {suffix for suffix, _, notes in CASES.values() if notes} | {".pth", *WITHOUT}
    assert {SAME.get(suffix, suffix) for suffix in BY_SUFFIX} <= covered
