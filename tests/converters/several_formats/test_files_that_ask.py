"""Files that ask the engines of their formats to write, read, connect, start, sleep, allocate or loop: nothing happens.

This is the promise of SECURITY.md. The default tier loads each file. The tier "full" also converts it, which runs each
engine that is installed, with all limits.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters import caffe_writer, torch_writer
from converters.folder_models import save_package
from converters.tensorflow_writer import Graph, Strings, Type, save_model
from converters.tflite_writer import (
    CODES,
    Operator,
    Subgraph,
    Tensor,
    constant,
    write_subgraphs,
    write_tflite,
)
from systems import peak_bytes

import mpscnn
from mpscnn.converters import read_network

_FLOAT = Type("float32")


@dataclass(frozen=True)
class Place:
    """Where a case writes its file, and what the file asks for.

    Attributes:
        folder: the folder of the file.
        target: a file that the case asks to write.
        secret: an existing file of the user that the case asks to read.
        address: an address to which the case asks to connect.
        command: a command whose effect is the target.
    """

    folder: Path
    target: Path
    secret: Path
    address: str

    @property
    def command(self) -> str:
        return f"touch {self.target}"


Case = Callable[[Place], Path]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    def add(made: Case) -> Case:
        CASES[name] = made
        return made

    return add


# ---- TensorFlow ----------------------------------------------------------------------------------------------------


def texts(graph: Graph, *values: str) -> str:
    """Add a constant text."""
    name = graph.node("Const", dtype=Type("string"), value=Strings(values))
    graph.message.node[-1].attr[-1].value.tensor.tensor_shape.ClearField("dim")
    return name


def write_there(graph: Graph, place: Place) -> str:
    return graph.node("WriteFile", texts(graph, str(place.target)), texts(graph, "written"), name="effect")


#: Operators of TensorFlow with effects, each added to a graph, which return its name.
EFFECTS: dict[str, Callable[[Graph, Place], str]] = {
    "writes": write_there,
    "reads": lambda g, p: g.node("ReadFile", texts(g, str(p.secret)), name="effect"),
    "reads from the network": lambda g, p: g.node(
        "ReadFile", texts(g, f"http://{p.address}/x"), name="effect"
    ),
    "lists files": lambda g, p: g.node("MatchingFiles", texts(g, f"{p.folder}/*"), name="effect"),
    "prints to a file": lambda g, p: g.node(
        "PrintV2", texts(g, "written"), name="effect", output_stream=f"file://{p.target}"
    ),
    "saves a checkpoint": lambda g, p: g.node(
        "SaveV2", texts(g, str(p.target)), texts(g, "x"), texts(g, ""), g.constant(1.0), name="effect"
    ),
    "restores a checkpoint": lambda g, p: g.node(
        "RestoreV2", texts(g, str(p.secret)), texts(g, "x"), texts(g, ""), name="effect", dtypes=[1]
    ),
    "calls Python": lambda g, p: g.node("PyFunc", g.constant(1.0), name="effect", token="pyfunc_0"),
    "connects": lambda g, p: g.node("RpcClient", texts(g, p.address), name="effect", name_="rpc"),
    "ends its process": lambda g, p: g.node(
        "Abort", name="effect", error_msg="ended", exit_without_error=True
    ),
    "waits": lambda g, p: g.node(
        "QueueDequeueV2", g.node("FIFOQueueV2", component_types=[1]), name="effect", component_types=[1]
    ),
    "allocates": lambda g, p: g.node(
        "Fill", g.constant(np.array([1 << 30, 4])), g.constant(1.0), name="effect"
    ),
    "unpacks a table": lambda g, p: g.node(
        "InitializeTableFromTextFileV2",
        g.node("HashTableV2", key_dtype=Type("string"), value_dtype=Type("int64")),
        texts(g, str(p.secret)),
        name="effect",
    ),
    "listens": lambda g, p: g.node("DataServiceDatasetV3", texts(g, p.address), name="effect"),
}


def frozen(place: Place, graph: Graph) -> Path:
    return graph.save(place.folder / "model.pb")


def as_control(effect: str) -> Case:
    def write(place: Place) -> Path:
        graph = Graph()
        x = graph.placeholder(-1, 4, 4, 3)
        made = EFFECTS[effect](graph, place)
        graph.node("Relu", x, f"^{made}", name="y", T=_FLOAT)
        return frozen(place, graph)

    return write


def as_operand(effect: str) -> Case:
    def write(place: Place) -> Path:
        graph = Graph()
        x = graph.placeholder(-1, 4, 4, 3)
        made = EFFECTS[effect](graph, place)
        graph.node("AddV2", x, made, name="y", T=_FLOAT)
        return frozen(place, graph)

    return write


for _effect in EFFECTS:
    case(f"TensorFlow {_effect} before")(as_control(_effect))
for _effect in ("reads", "calls Python", "waits", "allocates"):
    case(f"TensorFlow {_effect} as an operand")(as_operand(_effect))


@case("TensorFlow writes where nothing reads it")
def _(place: Place) -> Path:
    graph = Graph()
    graph.node("Relu", graph.placeholder(-1, 4, 4, 3), name="y", T=_FLOAT)
    write_there(graph, place)
    return frozen(place, graph)


@case("TensorFlow writes before an identity")
def _(place: Place) -> Path:
    graph = Graph()
    relu = graph.node("Relu", graph.placeholder(-1, 4, 4, 3), T=_FLOAT)
    graph.node("Identity", relu, f"^{write_there(graph, place)}", name="y", T=_FLOAT)
    return frozen(place, graph)


@case("TensorFlow writes in an initialiser")
def _(place: Place) -> Path:
    from converters.protobuf_messages import tensorflow_message

    graph = Graph()
    x = graph.placeholder(-1, 4, 4, 3)
    graph.node("Relu", x, name="y", T=_FLOAT)
    write_there(graph, place)
    folder = save_model(place.folder / "model", graph, {"image": x}, {"result": "y"}, {})
    file = folder / "saved_model.pb"
    model = tensorflow_message("SavedModel")()
    model.ParseFromString(file.read_bytes())
    made = model.meta_graphs[0].signature_def.add(key="__saved_model_init_op").value
    made.outputs.add(key="__saved_model_init_op").value.name = "effect"
    file.write_bytes(model.SerializeToString())
    return folder


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def onnx_file(place: Place, nodes: Any, constants: Any = None, change: Any = None) -> Path:
    from converters import onnx_files

    made = onnx_files.model(nodes, {"x": ["n", 3, 4, 4]}, constants)
    if change is not None:
        change(made)
    path = place.folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def relu() -> Any:
    from converters.onnx_files import node

    return node("Relu", ["x"])


def external(location: Callable[[Place], str]) -> Case:
    """Return a case whose weight lies in another file."""

    def write(place: Place) -> Path:
        from converters.onnx_files import node, onnx

        def change(model: Any) -> None:
            (tensor,) = model.graph.initializer
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location(place))

        return onnx_file(place, [node("Add", ["x", "w"])], {"w": np.ones((3, 1, 1), np.float32)}, change)

    return write


def linked(make: Callable[[Place, Path], None]) -> Callable[[Place], str]:
    def location(place: Place) -> str:
        make(place, place.folder / "weights.bin")
        return "weights.bin"

    return location


case("ONNX reads by an absolute path")(external(lambda place: str(place.secret)))
case("ONNX reads by ..")(external(lambda place: f"../{place.secret.parent.name}/{place.secret.name}"))
case("ONNX reads by a link")(external(linked(lambda place, path: path.symlink_to(place.secret))))
case("ONNX reads a pipe")(external(linked(lambda place, path: os.mkfifo(path))))
case("ONNX reads a device")(external(linked(lambda place, path: path.symlink_to("/dev/zero"))))
case("ONNX reads a folder")(external(linked(lambda place, path: path.mkdir())))


@case("ONNX asks for another library")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    return onnx_file(
        place, [onnx.helper.make_node("Run", ["x"], ["y"], domain="evil.com", path=str(place.target))]
    )


@case("ONNX asks for another library where nothing reads it")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    other = onnx.helper.make_node("Run", ["x"], ["z"], domain="evil.com", path=str(place.target))
    return onnx_file(place, [other, relu()])


@case("ONNX reads a compiled context")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    kind = {"domain": "com.microsoft", "ep_cache_context": str(place.secret), "embed_mode": 0}
    return onnx_file(place, [onnx.helper.make_node("EPContext", ["x"], ["y"], **kind)])


@case("ONNX allocates")
def _(place: Place) -> Path:
    from converters.onnx_files import filled, node

    made, constants = filled("c", [1 << 32])
    cut = node("Slice", ["c", "b0", "b1"], "s")
    return onnx_file(
        place,
        [made, cut, node("Add", ["x", "s"])],
        {**constants, "b0": np.array([0]), "b1": np.array([1])},
    )


@case("ONNX allocates where nothing reads it")
def _(place: Place) -> Path:
    from converters.onnx_files import filled

    made, constants = filled("c", [1 << 40])
    return onnx_file(place, [made, relu()], constants)


def loop(result: str) -> Any:
    """Return a loop without end."""
    from converters.onnx_files import node, onnx

    body = onnx.parser.parse_graph(
        "body (int64 i, bool on, float[n] v) => (bool on2, float[n] v2) { on2 = Identity(on) v2 = Sin(v) }"
    )
    return node("Loop", ["", "yes", "x"], result, body=body)


@case("ONNX loops")
def _(place: Place) -> Path:
    return onnx_file(place, [loop("y")], {"yes": np.array(True)})


@case("ONNX loops where nothing reads it")
def _(place: Place) -> Path:
    return onnx_file(place, [loop("z"), relu()], {"yes": np.array(True)})


@case("ONNX says how to train")
def _(place: Place) -> Path:
    def change(model: Any) -> None:
        training = model.training_info.add()
        training.initialization.node.append(loop("z"))
        model.metadata_props.add(key="command", value=place.command)

    return onnx_file(place, [relu()], None, change)


@case("ONNX hides an operator in a function")
def _(place: Place) -> Path:
    from converters.onnx_files import onnx

    inner = onnx.helper.make_node("Run", ["a"], ["b"], domain="evil.com")
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("evil.com", 1)]

    def change(model: Any) -> None:
        model.functions.append(onnx.helper.make_function("own", "F", ["a"], ["b"], [inner], opsets))

    return onnx_file(place, [onnx.helper.make_node("F", ["x"], ["y"], domain="own")], None, change)


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------

_SHAPE = (1, 4, 4, 3)


def tflite_file(place: Place, content: bytes) -> Path:
    path = place.folder / "model.tflite"
    path.write_bytes(content)
    return path


def with_operator(operator: Operator, *more: Tensor) -> Case:
    """Return a case with an operator whose result, tensor 2, nothing reads."""

    def write(place: Place) -> Path:
        tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE), Tensor("z", _SHAPE), *more]
        relu = Operator(CODES["RELU"], [0], [1])
        return tflite_file(place, write_tflite(tensors, [operator, relu], [0], [1]))

    return write


_SECRET_OPTIONS = b"/etc/passwd"
case("TensorFlow Lite asks for another library")(
    with_operator(Operator(32, [0], [2], custom=("FlexWriteFile", _SECRET_OPTIONS)))
)
case("TensorFlow Lite reads a table")(with_operator(Operator(CODES["HASHTABLE"], [], [2])))
case("TensorFlow Lite keeps a variable")(with_operator(Operator(CODES["VAR_HANDLE"], [], [2])))
case("TensorFlow Lite calls another graph once")(with_operator(Operator(CODES["CALL_ONCE"], [], [])))
case("TensorFlow Lite draws numbers")(
    with_operator(Operator(CODES["RANDOM_UNIFORM"], [3], [2]), constant("n", [1 << 30], "int32"))
)


@case("TensorFlow Lite asks for another library for its result")
def _(place: Place) -> Path:
    custom = Operator(32, [0], [1], custom=("FlexWriteFile", _SECRET_OPTIONS))
    return tflite_file(place, write_tflite([Tensor("x", _SHAPE), Tensor("y", _SHAPE)], [custom], [0], [1]))


@case("TensorFlow Lite loops")
def _(place: Place) -> Path:
    tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE)]
    main = Subgraph(tensors, [Operator(CODES["WHILE"], [0], [1])], [0], [1])
    again = Subgraph(tensors, [Operator(CODES["RELU"], [0], [1])], [0], [1])
    return tflite_file(place, write_subgraphs([main, again]))


@case("TensorFlow Lite hides another graph")
def _(place: Place) -> Path:
    tensors = [Tensor("x", _SHAPE), Tensor("y", _SHAPE)]
    main = Subgraph(tensors, [Operator(CODES["RELU"], [0], [1])], [0], [1])
    other = Subgraph(tensors, [Operator(32, [0], [1], custom=("FlexWriteFile", b""))], [0], [1])
    return tflite_file(place, write_subgraphs([main, other]))


# ---- Keras ---------------------------------------------------------------------------------------------------------


def keras_3(place: Place, entry: dict[str, Any], kernel: dict[str, Any] | None = None) -> Path:
    """Write a .keras file of an input, a dense layer and another layer."""
    from converters.keras_writer import write_keras

    def written(kind: str, name: str, **config: Any) -> dict[str, Any]:
        return {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"name": name, **config},
            "registered_name": None,
        }

    dense = written("Dense", "dense", units=2, use_bias=False, **(kernel or {}))
    layers = [written("InputLayer", "image", batch_shape=[None, 3]), dense, entry]
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": layers},
        "registered_name": None,
    }
    path = place.folder / "model.keras"
    write_keras(path, model, {"layers/dense": [np.ones((3, 2), np.float32)]})
    return path


_PLAIN = {
    "module": "keras.layers",
    "class_name": "ReLU",
    "config": {"name": "last"},
    "registered_name": None,
}


def keras_layer(**changes: Any) -> Case:
    return lambda place: keras_3(place, {**_PLAIN, **changes})


def keras_setting(make: Callable[[Place], dict[str, Any]]) -> Case:
    return lambda place: keras_3(place, _PLAIN, make(place))


def system(place: Place) -> dict[str, Any]:
    return {"module": "os", "class_name": "system", "config": place.command, "registered_name": "system"}


case("Keras runs a lambda")(
    keras_layer(
        class_name="Lambda",
        config={
            "name": "last",
            "function": {
                "class_name": "__lambda__",
                "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
            },
        },
    )
)
case("Keras imports a module")(keras_layer(module="os", class_name="system"))
case("Keras imports a part of itself")(
    keras_layer(module="keras.src.utils.file_utils", class_name="get_file")
)
case("Keras reads a SavedModel")(
    keras_layer(class_name="TFSMLayer", config={"name": "last", "filepath": "/tmp/model"})
)
case("Keras reads a table of words")(
    keras_layer(class_name="StringLookup", config={"name": "last", "vocabulary": "/etc/passwd"})
)
case("Keras runs a registered class")(keras_layer(registered_name="evil>ReLU", module="evil"))
case("Keras initialises by a module")(keras_setting(lambda place: {"kernel_initializer": system(place)}))
case("Keras regularises by a module")(keras_setting(lambda place: {"kernel_regularizer": system(place)}))
case("Keras activates by a module")(keras_setting(lambda place: {"activation": system(place)}))
case("Keras activates by Python")(
    keras_setting(
        lambda place: {
            "activation": {
                "module": "builtins",
                "class_name": "function",
                "config": "exec",
                "registered_name": "exec",
            }
        }
    )
)
case("Keras computes in a type of a module")(keras_setting(lambda place: {"dtype": system(place)}))


@case("Keras unpacks beside its folder")
def _(place: Place) -> Path:
    path = keras_3(place, _PLAIN)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../{place.target.parent.name}/{place.target.name}", "written")
        archive.writestr(f"assets/../../{place.target.name}", "written")
    return path


@case("Keras compiles with a module")
def _(place: Place) -> Path:
    path = keras_3(place, _PLAIN)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    model = json.loads(parts["config.json"])
    model |= {"compile_config": {"optimizer": system(place), "loss": system(place)}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(model).encode()}).items():
            archive.writestr(name, content)
    return path


# ---- Others --------------------------------------------------------------------------------------------------------


def torch_file(suffix: str, form: str, make: Callable[[Place], Any]) -> Case:
    def write(place: Place) -> Path:
        storages = torch_writer.Storages()
        value = {"conv1.weight": storages.tensor(np.ones((4, 3, 1, 1), np.float32)), "x": make(place)}
        path = place.folder / f"model{suffix}"
        path.write_bytes(torch_writer.FORMS[form](value, storages))
        return path

    return write


for _form in ("zip", "legacy"):
    case(f"PyTorch starts a program ({_form})")(
        torch_file(
            ".pth",
            _form,
            lambda place: torch_writer.Call(torch_writer.Name("os", "system"), (place.command,)),
        )
    )
    case(f"PyTorch runs Python ({_form})")(
        torch_file(
            ".pt",
            _form,
            lambda place: torch_writer.Call(
                torch_writer.Name("builtins", "exec"), (f"open({str(place.target)!r}, 'w')",)
            ),
        )
    )


@case("Core ML reads by ..")
def _(place: Place) -> Path:
    path = save_package(place.folder)
    manifest = path / "Manifest.json"
    described = json.loads(manifest.read_text())
    for entry in described["itemInfoEntries"].values():
        entry["path"] = f"../../{place.secret.parent.name}/{place.secret.name}"
    manifest.write_text(json.dumps(described))
    return path


@case("Caffe runs Python")
def _(place: Place) -> Path:
    text = caffe_writer.image(1, 3, 4, 4) + caffe_writer.layer(
        "Python", "y", "data", 'python_param { module: "os" layer: "system" }'
    )
    return caffe_writer.write(place.folder, text)[0]


# ---- Tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return the place of a case. Check at the end that nothing happened."""
    for name in ("model", "user"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    secret = tmp_path / "user" / "secret.txt"
    secret.write_text("secret")
    before = secret.stat().st_mtime
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        host, port = listening.getsockname()
        yield Place(tmp_path / "model", tmp_path / "user" / "written.txt", secret, f"{host}:{port}")
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert [one.name for one in secret.parent.iterdir()] == ["secret.txt"]
    assert secret.read_text() == "secret"
    assert secret.stat().st_mtime == before


def written(name: str, place: Place) -> Path:
    """Write the file of a case. Skip the test without the package that writes it."""
    for start, package in (("ONNX", "onnx"), ("Keras", "h5py"), ("TensorFlow Lite", "flatbuffers")):
        if name.startswith(start):
            pytest.importorskip(package, reason=f"{package} writes the file")
    return CASES[name](place)


def test_there_are_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_loading(name: str, place: Place) -> None:
    path = written(name, place)
    begin, refusal = time.process_time(), ""
    try:
        mpscnn.load(path)
    except mpscnn.Error as error:
        refusal = str(error)
    assert not refusal or path.name in refusal
    assert time.process_time() - begin < 10.0


#: The package that runs the files of a format.
_ENGINES = {
    "ONNX": "onnxruntime",
    "TensorFlow Lite": "ai_edge_litert",
    "TensorFlow": "tensorflow",
    "Keras": "keras",
}


@pytest.mark.full
@pytest.mark.parametrize("name", [one for one in CASES if one.startswith(tuple(_ENGINES))])
def test_converting(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Each engine that is installed runs what mpscnn reads of the file, and nothing else."""
    package = _ENGINES[max((one for one in _ENGINES if name.startswith(one)), key=len)]
    pytest.importorskip(package, reason=f"needs {package}")
    path = written(name, place)
    output = place.folder / "out.safetensors"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = call("convert", str(path), str(output))
    said = capsys.readouterr()
    later = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (code == 0) == output.exists()
    if code == 0:
        assert "equal: " in said.out or "not checked: " in said.out
    else:
        assert path.name in said.err
    # The processor time of an engine's import is not the file's, but counts here.
    assert later.ru_utime + later.ru_stime - used.ru_utime - used.ru_stime < 20.0
    assert peak_bytes(children=True) < 1 << 30


def test_reading_says_what_is_left_out(place: Place) -> None:
    notes = read_network([CASES["TensorFlow writes before"](place)]).notes
    assert any("WriteFile 'effect'" in note and "left out" in note for note in notes)
    for file in list(place.folder.iterdir()):
        file.unlink()
    notes = read_network([CASES["TensorFlow writes before an identity"](place)]).notes
    assert any("WriteFile 'effect'" in note for note in notes)


def test_reading_says_that_initialisers_are_left_out(place: Place) -> None:
    notes = read_network([CASES["TensorFlow writes in an initialiser"](place)]).notes
    assert any("initialise" in note and "WriteFile 'effect'" in note for note in notes)


def test_reading_says_that_training_is_left_out(place: Place) -> None:
    notes = read_network([written("ONNX says how to train", place)]).notes
    assert notes == ["its graphs for training are left out"]
