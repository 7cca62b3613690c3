"""Write one small network in encodings that are rare but legal: one function for each format.

The network is two dense layers with a ReLU between them. Each function takes a folder and a random generator, and
returns the files. It checks with the format's own library, where that is installed, that the file is a healthy one.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]
Draw = np.random.Generator
Write = Callable[[Path, Draw], list[Path]]

_WEIGHTS = np.random.default_rng(9)
FIRST, OFFSET = _WEIGHTS.normal(size=(4, 3)).astype(np.float16), _WEIGHTS.normal(size=3).astype(np.float16)
SECOND, LAST = _WEIGHTS.normal(size=(3, 2)).astype(np.float16), _WEIGHTS.normal(size=2).astype(np.float16)
FIRST, OFFSET, SECOND, LAST = (one.astype(np.float32) for one in (FIRST, OFFSET, SECOND, LAST))
X = _WEIGHTS.normal(size=(1, 4)).astype(np.float32)
EXPECTED = np.maximum(X @ FIRST + OFFSET, 0.0) @ SECOND + LAST


def chance(draw: Draw, share: float) -> bool:
    return bool(draw.random() < share)


# ---- Protocol buffers ----------------------------------------------------------------------------------------------


def varint(draw: Draw, value: int, longest: int = 10) -> bytes:
    """Return a number in the shortest form, or sometimes with leading zeros."""
    value &= (1 << 64) - 1
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    for _ in range(int(draw.integers(0, longest - len(made) + 1)) if chance(draw, 0.05) else 0):
        made[-1] |= 0x80
        made.append(0)
    return bytes(made)


def _tag(draw: Draw, number: int, wire: int) -> bytes:
    return varint(draw, number << 3 | wire, 5)


def _with_length(draw: Draw, number: int, content: bytes) -> bytes:
    return _tag(draw, number, 2) + varint(draw, len(content), 5) + content


_UNKNOWN = {900, 5000, 17_000, 536_870_911}


def _unknown(draw: Draw, used: set[int]) -> bytes:
    """Return a field that no reader knows."""
    number = int(draw.choice(sorted(_UNKNOWN - used)))
    kind = int(draw.integers(0, 4 if len(used & _UNKNOWN) == len(_UNKNOWN) - 1 else 5))
    if kind == 0:
        return _tag(draw, number, 0) + varint(draw, int(draw.integers(0, 1 << 62)))
    if kind == 1:
        return _tag(draw, number, 1) + draw.bytes(8)
    if kind == 2:
        return _with_length(draw, number, draw.bytes(int(draw.integers(0, 200))))
    if kind == 3:
        return _tag(draw, number, 5) + draw.bytes(4)
    return _tag(draw, number, 3) + _unknown(draw, used | {number}) + _tag(draw, number, 4)


def _scalar(draw: Draw, field: Any, value: Any) -> tuple[int, bytes]:
    """Return the wire type and the bytes of a number."""
    if field.type == field.TYPE_FLOAT:
        return 5, struct.pack("<f", value)
    if field.type == field.TYPE_DOUBLE:
        return 1, struct.pack("<d", value)
    return 0, varint(draw, int(value))


def _numbers(draw: Draw, field: Any, values: Sequence[Any]) -> Iterator[bytes]:
    """Yield a list of numbers, packed, one by one, or both."""
    cuts = sorted(draw.integers(0, len(values) + 1, int(draw.integers(0, 3))).tolist())
    style = draw.choice(["packed", "single", "mixed"], p=[0.6, 0.3, 0.1])
    for begin, end in zip([0, *cuts], [*cuts, len(values)], strict=True):
        part = [_scalar(draw, field, value) for value in values[begin:end]]
        if style == "packed" or (style == "mixed" and chance(draw, 0.5)):
            yield _with_length(draw, field.number, b"".join(content for _, content in part))
        else:
            yield from (_tag(draw, field.number, wire) + content for wire, content in part)


def _records(draw: Draw, field: Any, value: Any) -> Iterator[bytes]:
    """Yield the records of a field, in order."""
    is_list = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    if field.type == field.TYPE_MESSAGE:
        for one in value if is_list else [value]:
            parts = 2 if not is_list and chance(draw, 0.1) else 1
            listed = one.ListFields()
            cut = int(draw.integers(0, len(listed) + 1)) if parts == 2 else len(listed)
            for fields in (listed[:cut], listed[cut:])[:parts]:
                yield _with_length(draw, field.number, _message(draw, fields, one.DESCRIPTOR))
    elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        for one in value if is_list else [value]:
            yield _with_length(draw, field.number, one.encode() if isinstance(one, str) else one)
    elif is_list:
        yield from _numbers(draw, field, list(value))
    else:
        if chance(draw, 0.05):  # the last of several values counts
            yield _tag(draw, field.number, _scalar(draw, field, value)[0]) + _scalar(draw, field, 0)[1]
        wire, content = _scalar(draw, field, value)
        yield _tag(draw, field.number, wire) + content


def _message(draw: Draw, fields: Sequence[Any], descriptor: Any) -> bytes:
    queues = [list(_records(draw, field, value)) for field, value in fields]
    used = {field.number for field in descriptor.fields}
    made = []
    if chance(draw, 0.7):  # the order of the numbers, as all writers have it
        queues = [[record for queue in queues for record in queue]]
    while queues := [queue for queue in queues if queue]:
        if chance(draw, 0.02):
            made.append(_unknown(draw, used))
        made.append(queues[int(draw.integers(0, len(queues)))].pop(0))
    return b"".join(made)


def rare_wire(draw: Draw, message: Any) -> bytes:
    """Return the bytes of a message in a rare form, which protobuf itself reads as the same message."""
    content = _message(draw, message.ListFields(), message.DESCRIPTOR)
    read = type(message)()
    read.ParseFromString(content)
    read.DiscardUnknownFields()
    assert read == message, "protobuf reads another message"
    return content


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def write_onnx(folder: Path, draw: Draw) -> list[Path]:
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    helper, opset = onnx.helper, int(draw.integers(7, 18))
    names = {"x": "x", "y": "y"}
    for place, name in enumerate(("first", "offset", "second", "last", "h", "r", "p", "q")):
        odd = ("a b", "né", f"{name}:0", "0", "/x/y", f"{name}\t", "'", f"t{place}")
        names[name] = str(draw.choice([name, f"{odd[place]}{place}"]))
    nodes, tensors, inputs = [], [], [helper.make_tensor_value_info("x", 1, [1, 4])]
    transposed = chance(draw, 0.5)
    for name, values in (("first", FIRST), ("offset", OFFSET), ("second", SECOND), ("last", LAST)):
        array = values.T if transposed and values.ndim == 2 else values
        tensor = _onnx_tensor(onnx, draw, names[name], array)
        if chance(draw, 0.3):
            nodes.append(helper.make_node("Constant", [], [names[name]], value=tensor))
            continue
        tensors.append(tensor)
        if chance(draw, 0.3):  # as in versions before 4, each initializer is an input, too
            inputs.append(helper.make_tensor_value_info(names[name], 1, array.shape))
    flat = [names[key] for key in ("x", "first", "offset")], [names[key] for key in ("r", "second", "last")]
    settings = {"transB": int(transposed)} if transposed or chance(draw, 0.3) else {}
    nodes.append(helper.make_node("Gemm", flat[0], [names["h"]], **settings))
    nodes.append(helper.make_node("Relu", [names["h"]], [names["r"]], name=str(draw.choice(["", "relu"]))))
    nodes.append(
        helper.make_node("Gemm", flat[1], ["y"], **settings, **({"alpha": 1.0} if transposed else {}))
    )
    if chance(draw, 0.3):  # unused parts
        tensors.append(onnx.numpy_helper.from_array(np.zeros((2, 0), np.int8), "unused"))
        nodes.append(helper.make_node("Neg", ["x"], ["unread"]))
    graph = helper.make_graph(
        nodes, str(draw.choice(["", "g"])), inputs, [onnx.ValueInfoProto(name="y")], tensors
    )
    if chance(draw, 0.5):
        graph.output[0].type.tensor_type.elem_type = 1
    for one in (graph, *graph.node, *graph.initializer):
        if chance(draw, 0.2):
            one.doc_string = str(draw.choice(["", "words", "日本\n"]))
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(str(draw.choice(["", "ai.onnx"])), opset)]
    )
    made.ir_version = (
        int(draw.integers(3, 9)) if len(inputs) == 1 + len(tensors) else int(draw.integers(4, 9))
    )
    if chance(draw, 0.3):
        made.opset_import.append(helper.make_opsetid("com.unused", 3))
        made.metadata_props.add(key="k", value="v")
    path = folder / "model.onnx"
    path.write_bytes(rare_wire(draw, made))
    if made.ir_version > 3:
        from exact_engines import onnxruntime_results

        np.testing.assert_allclose(onnxruntime_results(made, X)[0], EXPECTED, rtol=1e-5, atol=1e-5)
    return [path]


def _onnx_tensor(onnx: Any, draw: Draw, name: str, array: Array) -> Any:
    form = draw.choice(["raw", "floats"])
    tensor = onnx.TensorProto(name=name, data_type=1, dims=array.shape)
    if form == "raw":
        tensor.raw_data = np.ascontiguousarray(array).tobytes()
    else:
        tensor.float_data.extend(np.ascontiguousarray(array).reshape(-1).tolist())
    return tensor


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------


def write_tflite(folder: Path, draw: Draw) -> list[Path]:
    from converters import tflite_writer as writer

    class Rare(writer._Writer):
        """Writes the fields of tables in any order, defaults that are stated, and bytes that nothing refers to."""

        def _table(self, fields: Sequence[writer.Field]) -> int:
            if chance(draw, 0.1):
                self._builder.CreateString("x" * int(draw.integers(0, 9)))
            self._builder.ForceDefaults(chance(draw, 0.2))
            given = list(fields)
            draw.shuffle(given)  # type: ignore[arg-type]
            return super()._table(given)

    dense = writer.CODES["FULLY_CONNECTED"], writer.OPTIONS["FULLY_CONNECTED"]
    tensors = [writer.Tensor(_text(draw, "x"), (1, 4), signature=(1, 4) if chance(draw, 0.2) else None)]
    for name, values in (("first", FIRST.T), ("offset", OFFSET), ("second", SECOND.T), ("last", LAST)):
        tensors.append(writer.constant(_text(draw, name), values))
    tensors += [writer.Tensor(_text(draw, name), (1, size)) for name, size in (("h", 3), ("r", 3), ("y", 2))]
    relu = chance(draw, 0.5)
    options: list[writer.Field] = [(0, "Int8", int(relu)), (1, "Int8", 0), (2, "Bool", chance(draw, 0.2))]
    operators = [writer.Operator(dense[0], [0, 1, 2], [6 if relu else 5], dense[1], options)]
    if not relu:
        operators.append(writer.Operator(writer.CODES["RELU"], [5], [6]))
    operators.append(
        writer.Operator(dense[0], [6, 3, 4], [7], dense[1], [] if chance(draw, 0.5) else [(0, "Int8", 0)])
    )
    if chance(draw, 0.3):
        tensors.append(writer.Tensor("unused", (0, 3)))
    graph = writer.Subgraph(tensors, operators, [0], [7])
    signatures = {"serving_default": writer.Signature(0, {"in": 0}, {"out": 7})} if chance(draw, 0.5) else {}
    repeat = {"buffers": int(draw.integers(0, 3)), "codes": int(chance(draw, 0.1))}
    content = Rare(repeat, chance(draw, 0.5)).file([graph], signatures, None)
    if chance(draw, 0.2):
        content += bytes(16)
    path = folder / "model.tflite"
    path.write_bytes(content)
    try:
        import ai_edge_litert  # noqa: F401
    except ImportError:
        return [path]
    from exact_engines import litert_results

    np.testing.assert_allclose(litert_results(content, X)[0], EXPECTED, rtol=1e-5, atol=1e-5)
    return [path]


def _text(draw: Draw, name: str) -> str:
    return str(draw.choice([name, f"{name};{name}/b", f"né {name}", f"Stateful:{name}", ""]))


# ---- TensorFlow ----------------------------------------------------------------------------------------------------


def _graph(draw: Draw, variables: bool) -> Any:
    """Return a graph. With `variables`, its weights are variables of a checkpoint."""
    from converters.tensorflow_writer import Graph, Type, set_attribute

    graph = Graph()
    value = graph.placeholder(*((-1, 4) if chance(draw, 0.5) else (1, 4)), name="x")
    for number, (matrix, offset) in enumerate(((FIRST, OFFSET), (SECOND, LAST))):
        operands = []
        for name, array in (("matrix", matrix), ("offset", offset)):
            if variables:
                handle = graph.node("VarHandleOp", name=f"{name}{number}", shared_name=f"{name}{number}")
                operands.append(graph.node("ReadVariableOp", handle))
                continue
            made = graph.constant(array)
            tensor = next(one.value.tensor for one in graph.message.node[-1].attr if one.key == "value")
            if chance(draw, 0.4):
                tensor.ClearField("tensor_content")
                tensor.float_val.extend(array.reshape(-1).tolist())
            if chance(draw, 0.2):
                made = graph.node(str(draw.choice(["Identity", "StopGradient"])), made)
            operands.append(made)
        product = graph.node("MatMul", value, operands[0])
        if chance(draw, 0.3):
            set_attribute(graph.message.node[-1].attr.add(key="transpose_a").value, False)
            set_attribute(graph.message.node[-1].attr.add(key="_class").value, ["loc:@x"])
        value = graph.node(str(draw.choice(["BiasAdd", "Add", "AddV2"])), product, operands[1])
        if number == 0:
            value = graph.node("Relu", value, T=Type("float32"))
    graph.node("Identity", value, name="y")
    if chance(draw, 0.3):
        graph.message.node[-1].input.append("^x")
        graph.node("NoOp", name="nothing")
    graph.message.versions.producer = int(draw.integers(22, 2000))
    return graph


def write_frozen(folder: Path, draw: Draw) -> list[Path]:
    from google.protobuf import text_format

    message = _graph(draw, variables=False).message
    path = folder / "model.pb"
    if chance(draw, 0.2):
        path.write_text(text_format.MessageToString(message, as_one_line=chance(draw, 0.5)))
    else:
        path.write_bytes(rare_wire(draw, message))
    return [path]


def write_saved_model(folder: Path, draw: Draw) -> list[Path]:
    from converters.protobuf_messages import tensorflow_message
    from converters.tensorflow_writer import save_bundle, save_model

    arrays = {"matrix0": FIRST, "offset0": OFFSET, "matrix1": SECOND, "offset1": LAST}
    made = save_model(folder / "model", _graph(draw, variables=True), {"x": "x"}, {"y": "y"}, arrays)
    stored = {f"stored/{name}": array for name, array in arrays.items()}
    save_bundle(made / "variables" / "variables", stored, compression=int(draw.integers(0, 2)))
    model = tensorflow_message("SavedModel")()
    model.ParseFromString((made / "saved_model.pb").read_bytes())
    (made / "saved_model.pb").write_bytes(rare_wire(draw, model))
    return [made]


def write_web(folder: Path, draw: Draw) -> list[Path]:
    from converters.tensorflow_writer import save_web_graph

    graph = _graph(draw, variables=False)
    for node in graph.message.node:
        for attribute in node.attr:
            tensor = attribute.value.tensor
            if attribute.key == "value" and tensor.float_val:
                tensor.tensor_content = np.array(tensor.float_val, np.float32).tobytes()
                tensor.ClearField("float_val")
    path = save_web_graph(folder / "model.json", graph, shard=int(draw.choice([1, 7, 16, 1 << 20])))
    described = shuffled(draw, json.loads(path.read_text()))
    path.write_text(rare_json(draw, described), "utf-8")
    return [path]


def shuffled(draw: Draw, value: Any) -> Any:
    """Return JSON whose objects have their entries in another order."""
    if isinstance(value, list):
        return [shuffled(draw, one) for one in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    draw.shuffle(keys)
    return {key: shuffled(draw, value[key]) for key in keys}


def rare_json(draw: Draw, value: Any) -> str:
    """Return JSON with blanks and escapes that a reader must accept."""
    separators = [(",", ":"), (", ", ": "), (" ,\n", " :\t")][int(draw.integers(0, 3))]
    text = json.dumps(value, indent=[None, 1, 4][int(draw.integers(0, 3))], separators=separators)
    if chance(draw, 0.3):
        text = (
            text.replace('"config"', '"\\u0063onfig"').replace('"name"', '"n\\u0061me"').replace("/", "\\/")
        )
    return f"{' ' * int(draw.integers(0, 3))}{text}{chr(10) * int(draw.integers(0, 3))}"


# ---- Keras ---------------------------------------------------------------------------------------------------------


def _dataset(draw: Draw, group: Any, name: str, values: Array) -> None:
    kinds = ["<f4", "<f4", "<f4", "<f8", "<f2", ">f4"]
    settings: dict[str, Any] = {"dtype": str(draw.choice(kinds))}
    if chance(draw, 0.04):
        settings |= {"chunks": True, "shuffle": chance(draw, 0.5), "fletcher32": chance(draw, 0.5)}
        if chance(draw, 0.5):
            settings["compression"] = str(draw.choice(["gzip", "lzf"]))
    group.create_dataset(name, data=values, track_times=chance(draw, 0.5), **settings)


def _keras_model(draw: Draw, version: int) -> Any:
    from converters.keras_writer import functional, image, layer

    layers = [
        image(4),
        layer("Dense", "first", "image", units=3, activation="relu"),
        layer("Dense", "second", "first", units=2, activation=str(draw.choice(["linear", "linear"]))),
    ]
    if version == 2:
        return functional(layers)
    listed = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {"name": "x", "batch_shape": [None, 4]},
        },
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {"name": "d", "units": 3, "activation": "relu"},
        },
        {"module": "keras.layers", "class_name": "Dense", "config": {"name": "e", "units": 2}},
    ]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "model", "layers": listed}}


def _hdf5_settings(draw: Draw) -> dict[str, Any]:
    return {
        "libver": str(draw.choice(["earliest", "v108", "v110", "latest"])),
        "userblock_size": int(draw.choice([0, 0, 0, 512, 1024])),
        "track_order": chance(draw, 0.2),
    }


def write_h5(folder: Path, draw: Draw) -> list[Path]:
    from converters.keras_writer import h5py

    path = folder / "model.h5"
    text = rare_json(draw, shuffled(draw, _keras_model(draw, 2)))
    with h5py.File(path, "w", **_hdf5_settings(draw)) as file:
        file.attrs["model_config"] = text if chance(draw, 0.5) else np.bytes_(text.encode())
        file.attrs["keras_version"] = str(draw.choice(["2.1.6", "2.4.0", "2.15.0"]))
        for number in range(int(draw.choice([0, 0, 12]))):
            file.attrs[f"own{number}"] = number
        group = file.create_group("model_weights")
        names = ["image", "first", "second"]
        texts = [np.array([name.encode() for name in names]), np.array(names, h5py.string_dtype())]
        group.attrs["layer_names"] = texts[int(draw.integers(0, 2))]
        for name in names:
            own = group.create_group(name, track_order=chance(draw, 0.3))
            kernel, bias = {"first": (FIRST, OFFSET), "second": (SECOND, LAST)}.get(name, (None, None))
            listed = [] if kernel is None else [f"{name}/kernel:0", f"{name}/bias:0"]
            own.attrs["weight_names"] = np.array([one.encode() for one in listed] or [], "S64")
            if kernel is not None and bias is not None:
                _dataset(draw, own, listed[0], kernel)
                _dataset(draw, own, listed[1], bias)
    return [path]


def write_keras(folder: Path, draw: Draw) -> list[Path]:
    from converters.keras_writer import h5py

    stored = io.BytesIO()
    with h5py.File(stored, "w", **_hdf5_settings(draw)) as file:
        for place, arrays in (("dense", (FIRST, OFFSET)), ("dense_1", (SECOND, LAST))):
            for number, values in enumerate(arrays):
                _dataset(draw, file, f"layers/{place}/vars/{number}", values)
    members = {
        "metadata.json": rare_json(draw, {"keras_version": "3.8.0"}).encode(),
        "config.json": rare_json(draw, shuffled(draw, _keras_model(draw, 3))).encode(),
        "model.weights.h5": stored.getvalue(),
    }
    path = folder / "model.keras"
    _write_zip(path, draw, members)
    return [path]


def _write_zip(path: Path, draw: Draw, members: dict[str, bytes]) -> None:
    """Write an archive whose entries have any order, compression, comments, and sizes before or after the content."""
    names = list(members)
    draw.shuffle(names)
    sink: Any = io.BytesIO()
    if chance(draw, 0.3):  # a stream that cannot seek: sizes follow the content

        class Stream(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, content: Any) -> int:
                return int(held.write(content))

        held, sink = sink, Stream()
    else:
        held = sink
    with zipfile.ZipFile(sink, "w") as archive:
        if chance(draw, 0.2):
            archive.comment = b"a comment"
        for name in names:
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = int(
                draw.choice(
                    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
                    p=[0.6, 0.3, 0.05, 0.05],
                )
            )
            entry.extra = struct.pack("<HH4s", 0x7777, 4, b"abcd") if chance(draw, 0.2) else b""
            with archive.open(entry, "w", force_zip64=chance(draw, 0.2)) as stream:
                stream.write(members[name])
        if chance(draw, 0.3):
            archive.writestr("assets/", b"")
    path.write_bytes(held.getvalue())


# ---- Caffe ---------------------------------------------------------------------------------------------------------


def _prototxt(draw: Draw, fields: Sequence[tuple[str, Any]], depth: int = 0) -> str:
    """Return a message as text. Fields are pairs of a name and a text, a number, or the fields of a message."""
    parts = []
    for name, value in fields:
        gap = str(draw.choice([" ", "\n", "\t", " # a comment {\n"]))
        end = str(draw.choice([" ", "\n", "\r\n", ", ", "; "]))
        if isinstance(value, list):
            left, right = [("{", "}"), ("<", ">")][int(chance(draw, 0.2))]
            colon = str(draw.choice(["", ":", " : "]))
            parts.append(f"{name}{colon}{gap}{left}{gap}{_prototxt(draw, value, depth + 1)}{right}{end}")
        elif isinstance(value, str):
            parts.append(f"{name}:{gap}{_quoted(draw, value)}{end}")
        elif isinstance(value, bool):
            parts.append(
                f"{name}: {draw.choice(['true', 't', 'True'] if value else ['false', 'f', 'False'])}{end}"
            )
        else:
            parts.append(f"{name}: {draw.choice([str(value), hex(value), f'0{value:o}'])}{end}")
    return "".join(parts)


def _quoted(draw: Draw, text: str) -> str:
    mark = str(draw.choice(['"', "'"]))
    if len(text) > 1 and chance(draw, 0.2):
        return f"{mark}{text[:1]}{mark} {mark}{text[1:]}{mark}"
    if text and chance(draw, 0.2):
        return f"{mark}\\{ord(text[0]):03o}\\x{ord(text[1:2] or ' '):02x}{text[2:]}{mark}".replace(
            "\\x20", "" if len(text) < 2 else "\\x20"
        )
    return f"{mark}{text}{mark}"


def write_caffe(folder: Path, draw: Draw) -> list[Path]:
    from converters.caffe_writer import weights
    from converters.protobuf_messages import caffe_net, caffe_weights
    from google.protobuf import text_format

    def dense(name: str, bottom: str, count: int) -> list[tuple[str, Any]]:
        inner = [("num_output", count), ("bias_term", True)]
        fields = [
            ("name", name),
            ("type", "InnerProduct"),
            ("bottom", bottom),
            ("top", name),
            ("inner_product_param", inner),
        ]
        draw.shuffle(fields)  # type: ignore[arg-type]
        return fields

    shape = [("dim", 1), ("dim", 4)]
    listed = [
        [("name", "data"), ("type", "Input"), ("top", "data"), ("input_param", [("shape", shape)])],
        dense("first", "data", 3),
        [("name", "relu"), ("type", "ReLU"), ("bottom", "first"), ("top", "first")],
        dense("second", "first", 2),
    ]
    text = _prototxt(draw, [("name", "net"), *(("layer", fields) for fields in listed)])
    text_format.Parse(text, caffe_net()())
    message = caffe_weights()()
    old = chance(draw, 0.3)
    message.ParseFromString(weights({"first": [FIRST.T, OFFSET], "second": [SECOND.T, LAST]}, old=old))
    for layer in message.layers if old else message.layer:
        for blob in layer.blobs:
            if chance(draw, 0.3) and "double_data" in blob.DESCRIPTOR.fields_by_name:
                blob.double_data.extend(blob.data)
                blob.ClearField("data")
    paths = [folder / "net.prototxt", folder / "net.caffemodel"]
    paths[0].write_text(text, newline="")
    paths[1].write_bytes(rare_wire(draw, message))
    return paths


# ---- Core ML -------------------------------------------------------------------------------------------------------


def write_mlmodel(folder: Path, draw: Draw) -> list[Path]:
    from converters.coreml_writer import add, array, model, settings

    message = model({"x": array((4,))}, {"y": array((2,))}, version=int(draw.integers(1, 5)))
    if chance(draw, 0.5):
        message.description.metadata.author = "né"
        message.description.metadata.userDefined.add(key="k", value="v")
    net = message.neuralNetwork
    for name, bottom, matrix, offset in (("first", "x", FIRST.T, OFFSET), ("y", "relu", SECOND.T, LAST)):
        fill = settings(
            inputChannels=matrix.shape[1],
            outputChannels=matrix.shape[0],
            weights=matrix,
            hasBias=True,
            bias=offset,
        )
        made = add(net, "innerProduct", bottom, name, fill)
        for weights in (made.innerProduct.weights, made.innerProduct.bias):
            if chance(draw, 0.3):
                halves = np.array(weights.floatValue, np.float32).astype("<f2")
                weights.ClearField("floatValue")
                weights.float16Value = halves.tobytes()
        if name == "first":
            add(net, "activation", "first", "relu", settings(ReLU={}))
    path = folder / "model.mlmodel"
    path.write_bytes(rare_wire(draw, message))
    return [path]


def write_mlpackage(folder: Path, draw: Draw) -> list[Path]:
    from converters.coreml_writer import Program

    made = Program({"x": (1, 4)})
    value = "%x"
    for number, (matrix, offset) in enumerate(((FIRST, OFFSET), (SECOND, LAST))):
        weight, bias = np.ascontiguousarray(matrix.T), offset
        if chance(draw, 0.5):
            form = {"kind": 11, "stored": 2, "shape": weight.shape}
            weight = f"%{made.constant(f'w{number}', weight.tobytes(), **form)}"
        end = "y" if number else "h"
        made.add("linear", end, x=value, weight=weight, bias=bias)
        if number == 0:
            made.add("relu", "r", x="%h")
            value = "%r"
    path = made.saved(folder / "model.mlpackage")
    message = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    message.write_bytes(rare_wire(draw, made.message))
    manifest = json.loads((path / "Manifest.json").read_text())
    manifest["itemInfoEntries"]["B"] = {"path": "com.apple.CoreML/weights", "name": "weights"}
    (path / "Manifest.json").write_text(rare_json(draw, shuffled(draw, manifest)))
    return [path]


# ---- PyTorch -------------------------------------------------------------------------------------------------------

STATE = {"first.weight": FIRST.T, "first.bias": OFFSET, "second.weight": SECOND.T, "second.bias": LAST}


def write_pth(folder: Path, draw: Draw) -> list[Path]:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    state: dict[str, Any] = {}
    shared = torch.zeros(100)
    place = 0
    for name, values in STATE.items():
        tensor = torch.tensor(np.ascontiguousarray(values))
        form = int(draw.integers(0, 7))
        if form == 0:
            tensor = torch.nn.Parameter(tensor, requires_grad=chance(draw, 0.5))
        elif form == 1 and tensor.ndim == 2:
            tensor = tensor.t().contiguous().t()
        elif form == 2:
            part = shared[place : place + tensor.numel()].view(tensor.shape)
            part.copy_(tensor)
            place, tensor = place + tensor.numel(), part
        elif form == 3:
            tensor = tensor.to([torch.float64, torch.float16][int(draw.integers(0, 2))])
        elif form == 4:
            tensor = torch.flip(tensor, [0]).flip([0])
        elif form == 5:
            tensor = tensor.repeat(2, *[1] * (tensor.ndim - 1))[: len(tensor)]
        state[name] = tensor
    if chance(draw, 0.3):
        state["first.num_batches_tracked"] = torch.tensor(3)
    value: Any = __import__("collections").OrderedDict(state) if chance(draw, 0.5) else state
    if chance(draw, 0.3):
        value = {
            str(draw.choice(["state_dict", "model"])): value,
            "epoch": 3,
            "lr": 0.1,
            "name": "né",
            "n": None,
        }
    path = folder / "model.pth"
    torch.save(
        value,
        path,
        pickle_protocol=int(draw.choice([2, 2, 3, 4, 5])),
        _use_new_zipfile_serialization=chance(draw, 0.7),
    )
    torch.load(path, weights_only=False)
    return [path]


def write_safetensors(folder: Path, draw: Draw) -> list[Path]:
    codes = {"float32": "F32", "float16": "F16", "float64": "F64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "né": "\n"}} if chance(draw, 0.5) else {}
    names, data = list(STATE), b""
    draw.shuffle(names)
    for name in names:
        kind = str(draw.choice(["float32", "float16", "float64"]))
        content = np.ascontiguousarray(STATE[name], kind).tobytes()
        places = [len(data), len(data) + len(content)]
        header[name] = {"dtype": codes[kind], "shape": list(STATE[name].shape), "data_offsets": places}
        data += content
    text = rare_json(draw, shuffled(draw, header)).strip().encode() + b" " * int(draw.integers(0, 9))
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return [path]


FORMATS: dict[str, Write] = {
    "onnx": write_onnx,
    "tflite": write_tflite,
    "pb": write_frozen,
    "saved_model": write_saved_model,
    "json": write_web,
    "h5": write_h5,
    "keras": write_keras,
    "caffe": write_caffe,
    "mlmodel": write_mlmodel,
    "mlpackage": write_mlpackage,
    "pth": write_pth,
    "safetensors": write_safetensors,
}
"""The functions that write the network, by format."""
