"""Make small files that repeat, share, nest or name one element of their format's grammar again and again.

The cost of reading such a file should be in proportion to its bytes, whether it is accepted or refused.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parent.parent))
sys.path.append(str(Path(__file__).parent.parent / "python"))
from converters import hdf5_writer as hdf5
from converters import mil_text
from converters import tflite_writer as tflite
from converters import torch_writer as torch
from converters.coreml_classifier import classifier, program
from converters.coreml_writer import Program, add, array, model, one_layer, settings
from converters.onnx_files import model as onnx_model
from converters.onnx_files import node
from converters.tensorflow_writer import Graph, Type, save_web_graph, table
from photo_files import encoded, png_chunk  # type: ignore[import-not-found]

Content = bytes | dict[str, bytes]
X = {"x": (1, 4)}


@dataclass(frozen=True)
class Part:
    """Files in which one element is repeated.

    Attributes:
        suffix: the suffix of the file, or of the folder if there are several.
        make: returns the file, or the files of a folder by name, with so many elements.
        count: a number of elements that makes a file of a few kB.
        largest: the largest number of elements.
    """

    suffix: str
    make: Callable[[int], Content]
    count: int
    largest: int = 1 << 15


# ---- Keras ---------------------------------------------------------------------------------------------------------


def keras_chain(count: int) -> dict[str, Any]:
    """Return a model of many ReLUs, each of which reads the one before it."""
    layers: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "in"}}
    ]
    layers += [{"class_name": "ReLU", "config": {"name": f"a{i}"}} for i in range(count)]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def compressed_layers(count: int) -> bytes:
    writer = hdf5.Hdf5Writer()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.8.0"}')
        archive.writestr("config.json", json.dumps(keras_chain(count)))
        archive.writestr("model.weights.h5", writer.file(writer.object([])))
    return content.getvalue()


def nested_models(count: int) -> bytes:
    """Return a file with many models, each of which is the only layer of the one around it."""
    inner = json.dumps(keras_chain(1))
    begin = '{"class_name":"Sequential","config":{"name":"m","layers":['
    writer = hdf5.Hdf5Writer()
    config = hdf5.attribute("model_config", (begin * count + inner + "]}}" * count).encode())
    return writer.file(writer.object([config]))


def links_to_one_array(count: int) -> bytes:
    writer = hdf5.Hdf5Writer()
    one = writer.float32(0.5)
    names = [hdf5.attribute(f"weight_names{i}", f"kernel{i}:0".encode()) for i in range(count)]
    group = writer.object([*(hdf5.link(f"kernel{i}:0", one) for i in range(count)), *names])
    groups = writer.object([hdf5.link("a0", group)])
    return writer.file(
        writer.object([hdf5.model_config(hdf5.dense_layers(1)), hdf5.link("model_weights", groups)])
    )


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def onnx_file(nodes: list[Any], constants: dict[str, Any] | None = None) -> bytes:
    return bytes(onnx_model(nodes, X, constants or {}, opset=17).SerializeToString())


def onnx_chain(kind: str, *others: str, **attributes: Any) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        names = ["x", *(f"{i}" for i in range(count - 1)), "y"]
        nodes = [node(kind, [names[i], *others], names[i + 1], **attributes) for i in range(count)]
        return onnx_file(nodes, {"c": np.float32(1.5), "v": np.full(4, 1.5, np.float32)})

    return make


def onnx_norms(count: int) -> bytes:
    """Return a chain of norms, each of which consists of seven nodes."""
    nodes, x = [], "x"
    for i in range(count):
        mean, centred, square, spread, safe, root, made = (f"{part}{i}" for part in "mcqvsro")
        nodes += [
            node("ReduceMean", [x], mean, axes=[-1]),
            node("Sub", [x, mean], centred),
            node("Mul", [centred, centred], square),
            node("ReduceMean", [square], spread, axes=[-1]),
            node("Add", [spread, "c"], safe),
            node("Sqrt", [safe], root),
            node("Div", [centred, root], made if i + 1 < count else "y"),
        ]
        x = made
    return onnx_file(nodes, {"c": np.float32(1e-5)})


def onnx_operands(count: int) -> bytes:
    return onnx_file([node("Sum", ["x"] * count)])


def onnx_einsum(term: str, result: str) -> Callable[[int], bytes]:
    """Return a function that makes a file of one Einsum, which multiplies its input by itself again and again."""

    def make(count: int) -> bytes:
        return onnx_file([node("Einsum", ["x"] * count, equation=",".join([term] * count) + result)])

    return make


def onnx_names(count: int) -> bytes:
    """Return a chain of 20 nodes, all of whose names are long."""
    return onnx_chain_named(20, "n" * count)


def onnx_chain_named(count: int, stem: str) -> bytes:
    names = ["x", *(f"{stem}{i}" for i in range(count - 1)), "y"]
    return onnx_file([node("Relu", [names[i]], names[i + 1]) for i in range(count)])


# ---- Core ML -------------------------------------------------------------------------------------------------------


def preprocessing(count: int) -> bytes:
    message = classifier()
    for _ in range(count):
        message.neuralNetworkClassifier.preprocessing.add().scaler.SetInParent()
    return bytes(message.SerializeToString())


def layers_of_coreml(count: int) -> bytes:
    message = one_layer("softmax", settings(), [(1, 4, 1, 1)])
    first = message.neuralNetwork.layers[0]
    result = first.output[0]
    del message.neuralNetwork.layers[:]
    for i in range(count):
        made = message.neuralNetwork.layers.add()
        made.CopyFrom(first)
        made.name = f"a{i}"
        made.input[0] = f"a{i - 1}" if i else first.input[0]
        made.output[0] = f"a{i}" if i + 1 < count else result
    return bytes(message.SerializeToString())


def constexpr(count: int) -> bytes:
    made = Program({"x": (1, 3, 4, 4)})
    made.constant("numbers", np.zeros(10 * count, np.int8))
    for i in range(count):
        made.add("constexpr_cast", f"a{i}", source_val="%numbers")
    made.add("relu", "y", x="%x")
    return bytes(made.message.SerializeToString())


def programs(kind: str, **operands: Any) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        made = Program({"x": (1, 4, 5, 6)})
        for i in range(count):
            made.add(kind, f"a{i}" if i + 1 < count else "y", x=f"%a{i - 1}" if i else "%x", **operands)
        return bytes(made.message.SerializeToString())

    return make


def inputs_of_coreml(count: int) -> bytes:
    message = model({f"x{i}": array((1, 4)) for i in range(count)}, {"y": array((1, 4))})
    add(message.neuralNetwork, "softmax", "x0", "y")
    return bytes(message.SerializeToString())


def manifest(count: int) -> dict[str, bytes]:
    made = program()
    stated = {
        "itemInfoEntries": {"A": {"path": "a/" * count + "model.mlmodel"}},
        "rootModelIdentifier": "A",
    }
    return {
        "Manifest.json": json.dumps(stated).encode(),
        "Data/com.apple.CoreML/model.mlmodel": made.message.SerializeToString(),
    }


# ---- TensorFlow ----------------------------------------------------------------------------------------------------


def graph(kind: str, operands: int = 1) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        made = Graph()
        made.placeholder(-1, 4, name="x")
        name = "x"
        for i in range(count):
            name = made.node(kind, *[name] * operands, name=f"a{i}", T=1)
        return bytes(made.message.SerializeToString())

    return make


def calls_of_a_function(count: int) -> bytes:
    """Return a graph that calls a function of 30 activations again and again."""
    graph = Graph()
    body = graph.message.library.function.add()
    body.signature.name = "f"
    body.signature.input_arg.add(name="a")
    body.signature.output_arg.add(name="r")
    body.ret.add(key="r", value="p29:activations:0")
    for i in range(30):
        body.node_def.add(name=f"p{i}", op="Relu", input=[f"p{i - 1}:activations:0" if i else "a"])
    x = graph.placeholder(-1, 4, name="x")
    for _ in range(count):
        x = graph.node("f", x)
    return bytes(graph.message.SerializeToString())


def control_inputs(count: int) -> bytes:
    made = Graph()
    made.placeholder(-1, 4, name="x")
    for i in range(count):
        made.node("NoOp", *(f"^n{j}" for j in range(max(i - 3, 0), i)), name=f"n{i}")
    made.node("Relu", "x", *(f"^n{i}" for i in range(count)), name="y", T=1)
    return bytes(made.message.SerializeToString())


def index(compression: int) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        names = [bytes([1 + i // 65_536, i // 256 % 256, i % 256]) for i in range(count)]
        entries = [
            (b"", b"\x08\x01"),
            *((name, b"") for name in names),
        ]  # first the header: one file of numbers
        return table(entries, per_block=200, compression=compression)

    return make


# ---- Caffe ---------------------------------------------------------------------------------------------------------


def caffe_layers(count: int) -> bytes:
    head = 'input: "x" input_shape { dim: 1 dim: 4 dim: 2 dim: 2 }\n'
    layers = (
        f'layer {{ name: "a{i}" type: "ReLU" bottom: "{f"a{i - 1}" if i else "x"}" top: "a{i}" }}\n'
        for i in range(count)
    )
    return (head + "".join(layers)).encode()


def caffe_braces(count: int) -> bytes:
    return b"layer { " * count


# ---- TensorFlow Lite, TensorFlow.js, PyTorch -------------------------------------------------------------------------

_TFLITE_RELU, _TFLITE_ADD = 19, 0


def tflite_chain(code: int, operands: int = 1) -> Callable[[int], bytes]:
    def make(count: int) -> bytes:
        tensors = [tflite.Tensor(f"t{i}", (1, 4)) for i in range(count + 1)]
        operators = [
            tflite.Operator(code, [i] * operands, [i + 1], 11 if operands > 1 else 0) for i in range(count)
        ]
        return tflite.write_tflite(tensors, operators, [0], [count], share=True)

    return make


def tflite_listed_again(what: str) -> Callable[[int], bytes]:
    """Return a function that makes a file one of whose lists names its last table again and again."""

    def make(count: int) -> bytes:
        tensors = [tflite.Tensor("x", (1, 4)), tflite.Tensor("y", (1, 4))]
        operators = [tflite.Operator(_TFLITE_RELU, [0], [1])]
        return tflite.write_tflite(tensors, operators, [0], [1], repeat={what: count})

    return make


def web_graph(count: int) -> dict[str, bytes]:
    made = Graph()
    name = made.placeholder(-1, 4, name="x")
    for i in range(count):
        name = made.node("Relu", name, name=f"a{i}", T=Type("float32"))
    with TemporaryDirectory() as folder:
        save_web_graph(Path(folder) / "model.json", made)
        return {one.name: one.read_bytes() for one in Path(folder).iterdir()}


def state(form: str, **kinds: Any) -> Callable[[int], bytes]:
    """Return a function that makes a state dict of many tensors."""
    arrays = {"weight": np.zeros((2, 2), np.float32)} | kinds
    return lambda count: torch.state_dict_file(
        {f"{i}.{name}": array for i in range(count) for name, array in arrays.items()}, form
    )


def views_of_one_storage(count: int) -> bytes:
    storages = torch.Storages()
    stored = storages.storage(np.zeros(4, np.float32))
    tensors = {f"{i}.weight": torch.view(stored, 0, (2, 2), (2, 1)) for i in range(count)}
    return torch.zip_form(tensors, storages)


def nested_tuples(count: int) -> bytes:
    return torch.zip_form(torch.Raw(b"(" * count + b"t" * count), torch.Storages())


# ---- Compiled Core ML ----------------------------------------------------------------------------------------------


def compiled_program(count: int) -> dict[str, bytes]:
    made = Program({"x": (1, 4, 5, 6)})
    for i in range(count):
        made.add("relu", f"a{i}" if i + 1 < count else "y", x=f"%a{i - 1}" if i else "%x")
    return compiled_files(mil_text.text_of(made, new=True))


def compiled_braces(count: int) -> dict[str, bytes]:
    return compiled_files("program(1.3)\n" + "[x = dict<" * count)


def compiled_files(text: str) -> dict[str, bytes]:
    return {"model.mil": text.encode(), "metadata.json": b'[{"inputSchema": []}]', "weights/weight.bin": b""}


# ---- Core AI -------------------------------------------------------------------------------------------------------


def asset(count: int) -> dict[str, bytes]:
    """Return an asset of many activations. It needs Apple's package."""
    from coreai import authoring as ai

    def body(x: Any) -> Any:
        for _ in range(count):
            x = ai.relu(x)
        return x

    kind = Annotated[ai.Value, ai.TensorType((1, 4, 6, 5), np.float32, "y0")]
    body.__annotations__ = {"x": Annotated[ai.Value, ai.TensorType((1, 4, 6, 5), np.float32)], "return": kind}
    module = ai.Module.create()
    with module:
        ai.graph(body, provided_name="main")
    with TemporaryDirectory() as folder:
        ai.AIProgram(module).save_asset(Path(folder) / "a.aimodel")
        top = Path(folder) / "a.aimodel"
        return {str(one.relative_to(top)): one.read_bytes() for one in top.rglob("*") if one.is_file()}


# ---- Photos --------------------------------------------------------------------------------------------------------

_GRAY = Image.new("L", (8, 8), 90)


def with_chunks(kind: bytes) -> Callable[[int], bytes]:
    """Return a function that makes a PNG with many chunks of a kind before its pixels."""

    def make(count: int) -> bytes:
        whole: bytes = encoded(_GRAY, "PNG")
        return whole[:33] + png_chunk(kind, b"k\0v") * count + whole[33:]

    return make


def with_segments(marker: int) -> Callable[[int], bytes]:
    """Return a function that makes a JPEG with many segments of a kind after its first marker."""

    def make(count: int) -> bytes:
        whole: bytes = encoded(_GRAY, "JPEG")
        return whole[:2] + bytes([0xFF, marker, 0, 4, 0, 0]) * count + whole[2:]

    return make


def webp_chunks(count: int) -> bytes:
    whole: bytes = encoded(_GRAY.convert("RGB"), "WEBP")
    content = whole[8:] + b"XMP \2\0\0\0ab" * count
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def gif_blocks(block: bytes) -> Callable[[int], bytes]:
    """Return a function that makes a GIF with many blocks before its image."""

    def make(count: int) -> bytes:
        whole: bytes = encoded(_GRAY, "GIF")
        place = whole.index(b"\x2c\0\0\0\0")
        return whole[:place] + block * count + whole[place:]

    return make


def gif_frames(count: int) -> bytes:
    frames = [Image.new("L", (8, 8), i % 256) for i in range(count + 1)]
    return bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))


def tiff_pages(count: int) -> bytes:
    pages = [_GRAY] * (count + 1)
    return bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


PARTS: dict[str, Part] = {
    "HDF5: layers share a group of many attributes": Part(".h5", lambda n: hdf5.shared_group(n, 5 * n), 12),
    "HDF5: continuations of continuations": Part(".h5", lambda n: hdf5.repeated_continuations(n, n), 60),
    "HDF5: messages beyond their block": Part(".h5", hdf5.message_beyond_its_block, 200),
    "HDF5: many links to one array": Part(".h5", links_to_one_array, 60),
    "Keras: layers of a compressed description": Part(".keras", compressed_layers, 60, 9_999),
    "Keras: models in models": Part(".h5", nested_models, 15, 960),
    **{
        f"ONNX: {kind}": Part(".onnx", onnx_chain(kind, *others), 30)
        for kind, *others in (
            ("Relu",),
            ("Softmax",),
            ("Reciprocal",),
            ("Identity",),
            ("Add", "c"),
            ("Mul", "v"),
            ("Add", "x"),
            ("LayerNormalization", "v"),
            ("Cosh",),
            ("Asinh",),
            ("Shrink",),
        )
    },
    "ONNX: norms of seven nodes": Part(".onnx", onnx_norms, 10),
    "ONNX: operands of one node": Part(".onnx", onnx_operands, 400),
    "ONNX: operands of an Einsum": Part(".onnx", onnx_einsum("ab", "->ab"), 100),
    "ONNX: operands of an Einsum without a result": Part(".onnx", onnx_einsum("ab", ""), 100),
    "ONNX: operands of an Einsum with further axes": Part(".onnx", onnx_einsum("...", "->..."), 100),
    "ONNX: long names": Part(".onnx", onnx_names, 100),
    "Core ML: preparations of an input": Part(".mlmodel", preprocessing, 100),
    "Core ML: layers": Part(".mlmodel", layers_of_coreml, 60),
    "Core ML: copies of a constant": Part(".mlmodel", constexpr, 40),
    "Core ML: inputs": Part(".mlmodel", inputs_of_coreml, 60),
    "Core ML: names in a path": Part(".mlpackage", manifest, 1_000),
    "Core ML: inverses": Part(".mlmodel", programs("inverse", epsilon=np.float32(1e-4)), 40),
    "Core ML: norms": Part(
        ".mlmodel", programs("layer_norm", axes=np.array([1], np.int32), epsilon=np.float32(1e-5)), 15
    ),
    "Core ML: lengths": Part(".mlmodel", programs("l2_norm", epsilon=np.float32(1e-6)), 15),
    "TensorFlow: activations": Part(".pb", graph("Relu"), 60),
    "TensorFlow: sums": Part(".pb", graph("AddV2", 2), 60),
    "TensorFlow: calls of a function": Part(".pb", calls_of_a_function, 5),
    "TensorFlow: control inputs": Part(".pb", control_inputs, 100),
    "TensorFlow: entries of an index": Part(".index", index(0), 400),
    "TensorFlow: entries of a compressed index": Part(".index", index(1), 400),
    "Caffe: layers": Part(".prototxt", caffe_layers, 40),
    "Caffe: braces": Part(".prototxt", caffe_braces, 300),
    "TensorFlow Lite: activations": Part(".tflite", tflite_chain(_TFLITE_RELU), 40),
    "TensorFlow Lite: sums": Part(".tflite", tflite_chain(_TFLITE_ADD, 2), 40),
    **{
        f"TensorFlow Lite: {what} listed again": Part(".tflite", tflite_listed_again(what), 200)
        for what in ("subgraphs", "tensors", "operators", "codes", "buffers")
    },
    "TensorFlow.js: activations": Part("", web_graph, 60),
    "PyTorch: tensors": Part(".pt", state("zip"), 40),
    "PyTorch: tensors of the older format": Part(".pt", state("legacy"), 40),
    "PyTorch: views of one storage": Part(".pt", views_of_one_storage, 100),
    "PyTorch: tuples in tuples": Part(".pt", nested_tuples, 400),
    "Compiled Core ML: activations": Part(".mlmodelc", compiled_program, 40),
    "Compiled Core ML: braces": Part(".mlmodelc", compiled_braces, 400),
    "Core AI: activations": Part(".aimodel", asset, 20, 500),
    "Photo: PNG texts": Part(".png", with_chunks(b"tEXt"), 100),
    "Photo: PNG chunks without pixels": Part(".png", with_chunks(b"IDAT"), 100),
    "Photo: JPEG comments": Part(".jpg", with_segments(0xFE), 200),
    "Photo: JPEG notes of programs": Part(".jpg", with_segments(0xE1), 200),
    "Photo: WebP chunks": Part(".webp", webp_chunks, 200),
    "Photo: GIF comments": Part(".gif", gif_blocks(b"\x21\xfe\1a\0"), 200),
    "Photo: GIF frames": Part(".gif", gif_frames, 30),
    "Photo: TIFF pages": Part(".tif", tiff_pages, 20),
}
