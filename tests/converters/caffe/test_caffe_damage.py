"""Test Caffe files that are damaged, incomplete or not supported, and the positions of weights in files."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe.test_caffe import random, refusal
from converters.caffe_writer import image, layer, write
from converters.protobuf_messages import caffe_weights
from patience import little_work

from mpscnn import converters
from mpscnn.converters.opening.blobs import Place
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.caffe.weights import read_weights


def test_both_files_are_needed(tmp_path: Path) -> None:
    text, model = write(tmp_path, image(1, 3, 4, 4) + layer("ReLU", "y", "data"))
    for paths in ([text], [model], [text, model], [model, text]):
        assert converters.read_network(paths).outputs[0].shape == (None, 4, 4, 3)
    assert "give both" in refusal([model, model])
    model.rename(tmp_path / "other.caffemodel")
    assert "a Caffe network is two files" in refusal([text])


def test_a_layer_that_cannot_be_converted_is_named(tmp_path: Path) -> None:
    text = image(1, 3, 4, 4) + layer("Pooling", "y", "data", "pooling_param { pool: STOCHASTIC }")
    assert "layer 'y' (Pooling): a pooling STOCHASTIC" in refusal(write(tmp_path, text))


def test_unknown_layers_are_named(tmp_path: Path) -> None:
    text = image(1, 3, 4, 4) + layer("Magic", "first", "data") + layer("Wizard", "second", "first")
    message = refusal(write(tmp_path, text))
    assert "layer 'first' (Magic): mpscnn has no such layer yet" in message
    assert "layer 'second' (Wizard)" in message


def test_all_that_cannot_be_converted_is_named_at_once(tmp_path: Path) -> None:
    """The error names what Caffe's reader and then ONNX' reader refuse, except layers that --outputs leaves out."""
    text = image(1, 4, 4, 4) + layer("ReLU", "good", "data") + layer("Python", "code", "good")
    text += layer("Magic", "magic", "code") + layer(
        "LRN", "even", "good", "lrn_param { local_size: 4 norm_region: WITHIN_CHANNEL }"
    )
    paths = write(tmp_path, text)
    with pytest.raises(UnsupportedLayersError) as refused:
        converters.read_network(paths)
    assert [(one.name, one.kind) for one in refused.value.layers] == [
        ("code", "Python"),
        ("magic", "Magic"),
        ("even", "LRN"),
    ]
    network = converters.read_network(paths, outputs=["good"])
    assert network.layer_names() == ["image", "good"]


def test_the_oldest_format_is_named(tmp_path: Path) -> None:
    text = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4\n'
    text += 'layers { layer { name: "y" type: "conv" num_output: 2 } bottom: "data" top: "y" }'
    assert "upgrade_net_proto_text" in refusal(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("layer {" * 50_000, "is not a network of Caffe as text"),
        ("\0\xff", "is not a network of Caffe as text"),
        ("", "is empty (0 bytes)"),
        ("\n", "it has no layers"),
        (
            image(1, 3, 4, 4) + layer("ReLU", "y", "missing"),
            "needs 'missing', which no layer before it computes",
        ),
        (image(1, 3, 4, 4) + layer("Convolution", "y", "data"), "does not have its weights"),
        (image(1, -3, 4, 4) + layer("ReLU", "y", "data"), "has the shape (1, -3, 4, 4)"),
        (image(1, 3, 4, 4) + layer("Data", "y", ""), "reads a database"),
        (
            image(1, 3, 4, 4) + layer("Slice", "y", "data", "slice_param { slice_point: 9 }", "a b"),
            "damaged: divides",
        ),
        (image(1, 3, 4, 4) + layer("Reshape", "y", "data", "reshape_param { shape { dim: 7 } }"), "'y'"),
        (
            image(1, 3, 4, 4) + layer("Pooling", "y", "data", "pooling_param { kernel_size: 0 }"),
            "damaged: a window",
        ),
        (
            image(1, 3, 4, 4)
            + layer("BatchNorm", "y", "data", "batch_norm_param { use_global_stats: false }"),
            "batch",
        ),
        (
            image(1, 3, 4, 4) + 'layer { name: "y" type: "Eltwise" bottom: "data" bottom: "data" }',
            "'y' (Eltwise): damaged: it has 0 results instead of 1",
        ),
        (
            image(1, 3, 4, 4).replace("input_param", "transform_param { mean_value: nan } input_param")
            + layer("ReLU", "y", "data"),
            "its mean values and scale are not all numbers",
        ),
    ],
)
def test_damaged_text(tmp_path: Path, text: str, reason: str) -> None:
    paths = write(tmp_path, "")
    paths[0].write_bytes(text.encode("latin-1"))
    message = refusal(paths)
    assert reason in message
    assert str(paths[0]) in message


# ---- Work that is in proportion to the files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ['name: "' + '\\"' * 80_000, "'\\'" * 80_000, '"' * 160_001, ":" * 160_000]
)
def test_text_is_read_once(tmp_path: Path, content: str) -> None:
    paths = write(tmp_path, image(1, 3, 4, 4) + content)
    with little_work():
        assert "is not a network of Caffe as text" in refusal(paths)


@pytest.mark.parametrize("kind", ["Eltwise", "Concat", "ReLU", "Split"])
def test_layers_of_thousands_of_blobs_are_refused(tmp_path: Path, kind: str) -> None:
    for many in ('bottom: "data" ' * 2_000 + 'top: "y"', 'bottom: "data" ' + 'top: "y" ' * 2_000):
        text = image(1, 3, 4, 4) + f'layer {{ name: "y" type: "{kind}" {many} }}'
        assert "supported are 1024" in refusal(write(tmp_path, text))


def _priors(name: str, settings: str) -> str:
    return layer("PriorBox", name, "data data", f"prior_box_param {{ {settings} }}")


def _joined(name: str, bottom: str) -> str:
    return layer("Concat", name, " ".join([bottom] * 32), "concat_param { axis: 2 }")


ANCHORS = {
    "many sizes and ratios": _priors(
        "y", " ".join(f"min_size: {i} aspect_ratio: {i + 1}" for i in range(1, 1_000))
    ),
    "many layers": "".join(_priors(f"y{i}", " ".join(["min_size: 4"] * 500)) for i in range(50)),
    "anchors that are joined with themselves": _priors("y0", "min_size: 4")
    + "".join(_joined(f"y{i + 1}", f"y{i}") for i in range(8)),
}


@pytest.mark.parametrize("name", ANCHORS)
def test_anchors_are_counted_before_they_are_computed(tmp_path: Path, name: str) -> None:
    paths = write(tmp_path, image(1, 3, 16, 16) + ANCHORS[name] + layer("ReLU", "end", "data"))
    tracemalloc.start()
    message = refusal(paths)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "would take" in message
    assert peak < 200 << 20


def test_thousands_of_empty_weights_are_refused(tmp_path: Path) -> None:
    paths = write(tmp_path, image(1, 3, 4, 4) + layer("ReLU", "y", "data"))
    message = caffe_weights()()
    message.layer.add(name="y")
    message.layer[0].blobs.extend([type(message.layer[0].blobs.add())()] * 100_000)
    paths[1].write_bytes(message.SerializeToString())
    assert "has 100001 weights; more than 64" in refusal(paths)
    message = caffe_weights()()
    for _ in range(20_000):
        message.layer.add()
    paths[1].write_bytes(message.SerializeToString())
    assert "has 20000 layers; more than 10000" in refusal(paths)


# ---- Weights -------------------------------------------------------------------------------------------------


def _written(kind: str, values: Any) -> bytes:
    """Return a .caffemodel with one blob of a layer `y`: packed floats or doubles, or floats that are not packed."""
    message = caffe_weights()()
    blob = message.layer.add(name="y").blobs.add()
    blob.shape.dim.extend(values.shape)
    numbers = values.reshape(-1).tolist()
    if kind != "unpacked":
        getattr(blob, {"floats": "data", "doubles": "double_data"}[kind]).extend(numbers)
        return bytes(message.SerializeToString())
    content = blob.SerializeToString() + b"".join(b"\x2d" + struct.pack("<f", number) for number in numbers)
    name = b"\x0a\x01y"
    inner = name + b"\x3a" + _length(len(content)) + content
    return b"\xa2\x06" + _length(len(inner)) + inner


def _length(value: int) -> bytes:
    low = bytes([value & 0x7F | 0x80]) if value > 0x7F else b""
    return low + _length(value >> 7) if low else bytes([value])


@pytest.mark.parametrize("kind", ["floats", "doubles", "unpacked"])
def test_large_weights_stay_in_the_file(tmp_path: Path, kind: str) -> None:
    weight = random(50, 40, 1, 1)
    text = image(2, 40, 3, 3)
    text += layer(
        "Convolution", "y", "data", "convolution_param { num_output: 50 kernel_size: 1 bias_term: false }"
    )
    paths = write(tmp_path, text)
    paths[1].write_bytes(_written(kind, weight))
    (blob,) = read_weights(paths[1])["y"]
    assert isinstance(blob.numbers, Place) == (kind != "unpacked")
    np.testing.assert_array_equal(blob.array(), weight)
    (made,) = converters.read_network(paths).weights.values()
    np.testing.assert_array_equal(made, weight.transpose(0, 2, 3, 1))


def test_damaged_weights(tmp_path: Path) -> None:
    text, model = write(tmp_path, image(1, 3, 4, 4) + layer("PReLU", "y", "data"), {"y": [np.ones(3)]})
    content = model.read_bytes()
    for damaged in (content[:-3], b"\xff" * 40, b""):
        model.write_bytes(damaged)
        assert str(model) in refusal([text, model])
    model.write_bytes(content)
    assert converters.read_network([text, model]).outputs[0].shape == (None, 4, 4, 3)


@pytest.mark.parametrize("units", [0, 7, 4_000_000_000])
def test_weights_for_another_number_of_results(tmp_path: Path, units: int) -> None:
    text = image(1, 3, 4, 4)
    text += layer("InnerProduct", "y", "data", f"inner_product_param {{ num_output: {units} }}")
    paths = write(tmp_path, text, {"y": [np.ones((4, 48)), np.ones(4)]})
    assert f"weights (4, 48) for {units} results" in refusal(paths)


def test_a_shape_that_claims_gigabytes(tmp_path: Path) -> None:
    text, model = write(tmp_path, image(1, 3, 4, 4) + layer("PReLU", "y", "data"))
    message = caffe_weights()()
    blob = message.layer.add(name="y").blobs.add()
    blob.shape.dim.extend([1 << 20, 1 << 20])
    blob.data.extend([1.0, 2.0])
    model.write_bytes(message.SerializeToString())
    assert "damaged: 2 numbers for the shape (1048576, 1048576)" in refusal([text, model])
