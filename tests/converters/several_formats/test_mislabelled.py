"""Test files with the suffix of another format, and errors about files with nonsense."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from converters.keras_writer import functional, image, layer, write_h5
from converters.onnx_files import model, node, onnx
from converters.torch_writer import safetensors_file

import mpscnn
from mpscnn import converters

_KINDS = {
    "onnx": "an ONNX file",
    "h5": "an HDF5 file",
    "keras": "a Keras file",
    "pth": "a file of torch.save",
    "safetensors": "a safetensors file",
}
SUFFIXES = ("onnx", "tflite", "pth", "pt", "h5", "keras", "safetensors", "prototxt")


def _written(kind: str, path: Path) -> None:
    if kind == "onnx":
        path.write_bytes(model([node("Relu", ["x"])], {"x": ["n", 3, 4, 4]}).SerializeToString())
    elif kind == "h5":
        write_h5(path, functional([image(4, 4, 3), layer("ReLU", "y", "image")]), {})
    elif kind == "safetensors":
        path.write_bytes(safetensors_file({"weight": np.zeros(3, np.float32)}))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5" if kind == "keras" else "archive/data.pkl", b"")


@pytest.mark.parametrize("kind", list(_KINDS))
def test_the_format_is_told_by_the_contents(kind: str, tmp_path: Path) -> None:
    alike = {"pth": ("pth", "pt"), "keras": ("keras", "h5"), "h5": ("keras", "h5")}.get(kind, (kind,))
    for suffix in set(SUFFIXES) - set(alike):
        path = tmp_path / f"model.{suffix}"
        _written(kind, path)
        (tmp_path / "model.caffemodel").write_bytes(b"")
        with pytest.raises(
            mpscnn.UnsupportedError, match=rf"is {_KINDS[kind]}.*; rename it to model\.{kind}"
        ):
            converters.read_network([path])
    right = tmp_path / f"right.{kind}"
    _written(kind, right)
    if kind in ("onnx", "h5"):
        assert converters.read_network([right]).outputs[0].shape == (None, 4, 4, 3)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
        ("<!DOCTYPE html><html></html>", "a web page"),
    ],
)
@pytest.mark.parametrize(
    "name", [*(f"model.{suffix}" for suffix in (*SUFFIXES, "pb", "index")), "saved_model.pb"]
)
def test_what_was_downloaded_instead_of_the_file_is_named(
    name: str, content: str, what: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "model.caffemodel").write_bytes(b"")
    paths = [tmp_path / name, *([tmp_path] if name == "saved_model.pb" else [])]
    for path in paths:
        with pytest.raises(mpscnn.UnsupportedError, match=f"is {what}, not the file itself"):
            converters.read_network([path])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dims": [400, 3, 3, 3]}, "not those of float of the shape (400, 3, 3, 3)"),
        ({"dims": [2**40, 3, 3, 3]}, "not those of float of the shape"),
        ({"dims": [-4, 3, 3, 3]}, "of the shape (-4, 3, 3, 3)"),
        ({"raw_data": bytes(433)}, "not those of float of the shape (4, 3, 3, 3)"),
        ({"data_type": 99}, "not those of type 99"),
    ],
)
def test_tensors_that_lie_are_described_in_our_words(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    made = model([node("Conv", ["x", "w"])], {"x": ["n", 3, 8, 8]}, {"w": np.ones((4, 3, 3, 3))})
    tensor = made.graph.initializer[0]
    for name, value in change.items():
        if isinstance(value, list):
            tensor.dims[:] = value
        else:
            setattr(tensor, name, value)
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(mpscnn.WeightsError) as refused:
        converters.read_network([tmp_path / "model.onnx"])
    assert reason in str(refused.value)


def test_long_names_of_external_data(tmp_path: Path) -> None:
    made = model([node("Conv", ["x", "w"])], {"x": ["n", 3, 8, 8]}, {"w": np.ones((4, 3, 3, 3))})
    tensor = made.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="a" * 5000)
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    for read in (mpscnn.load, lambda path: converters.read_network([path])):
        with pytest.raises(mpscnn.WeightsError, match="is missing"):
            read(tmp_path / "model.onnx")


def test_inputs_that_no_network_can_have(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"])], {"x": ["n", 2**40, 8, 8]})
    onnx.save(made, tmp_path / "model.onnx")
    with pytest.raises(mpscnn.UnsupportedError, match=r"model\.onnx: input"):
        converters.read_network([tmp_path / "model.onnx"])


def test_messages_about_caffes_text_are_short(tmp_path: Path) -> None:
    pytest.importorskip("google.protobuf", reason="protobuf is not installed")
    (tmp_path / "net.prototxt").write_text("[" * 100_000)
    (tmp_path / "net.caffemodel").write_bytes(b"")
    with pytest.raises(mpscnn.WeightsError, match="as text") as refused:
        converters.read_network([tmp_path / "net.prototxt"])
    assert len(str(refused.value)) < 1000
