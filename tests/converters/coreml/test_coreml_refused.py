"""Test Core ML's files that are damaged, or of another kind: each is refused by the name of what is wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml_classifier import classifier, program
from converters.coreml_writer import add, array, model, numbers, saved
from work import lines_run

import mpscnn
from mpscnn import converters
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError


def test_states_are_refused_by_name(tmp_path: Path) -> None:
    made = program()
    made.message.description.state.add(name="memory").type.stateType.SetInParent()
    with pytest.raises(UnsupportedError, match="keeps the state 'memory' between runs"):
        converters.read_network([made.saved(tmp_path / "state.mlpackage")])


def test_other_kinds_of_models_are_named(tmp_path: Path) -> None:
    message = model({"x": array((1, 4))}, {"y": array((1, 4))})
    message.treeEnsembleClassifier.SetInParent()
    with pytest.raises(UnsupportedError, match="a model of the kind treeEnsembleClassifier, not a network"):
        converters.read_network([saved(message, tmp_path / "tree.mlmodel")])


def test_inputs_that_are_no_images_or_arrays_are_named(tmp_path: Path) -> None:
    message = model({}, {"y": array((1, 4))})
    message.description.input.add(name="word").type.stringType.SetInParent()
    add(message.neuralNetwork, "tanh", "word", "y")
    with pytest.raises(UnsupportedError, match="input 'word' is a text; supported are images and arrays"):
        converters.read_network([saved(message, tmp_path / "text.mlmodel")])


def test_the_message_of_a_package_alone_is_named(tmp_path: Path) -> None:
    """A model.mlmodel that was copied out of its package lacks the file of its weights."""
    package = program().saved(tmp_path / "photos.mlpackage")
    alone = tmp_path / "model.mlmodel"
    alone.write_bytes((package / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes())
    with pytest.raises(
        WeightsError, match=r"weights are in another file, 'weights/weight.bin': give the package"
    ):
        converters.read_network([alone])


def test_a_package_as_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "photos.mlpackage"
    path.write_bytes(classifier().SerializeToString())
    with pytest.raises(UnsupportedError, match=r"is a Core ML model; rename it to photos\.mlmodel"):
        converters.read_network([path])


@pytest.mark.parametrize("name", ["photos.onnx", "photos.tflite", "photos.bin", "photos.mlmodelc"])
def test_models_with_other_names_are_recognised(name: str, tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path / name)
    with pytest.raises(UnsupportedError, match=r"is a Core ML model; rename it to photos(\.\w+)?\.mlmodel"):
        mpscnn.load(path)


MANIFESTS = {
    "nothing": "",
    "a list": "[]",
    "no entries": '{"rootModelIdentifier": "A"}',
    "no path": '{"itemInfoEntries": {"A": {}}, "rootModelIdentifier": "A"}',
    "a number": '{"itemInfoEntries": {"A": {"path": 3}}, "rootModelIdentifier": "A"}',
    "outside": json.dumps({"itemInfoEntries": {"A": {"path": "../../secret"}}, "rootModelIdentifier": "A"}),
    "absolute": json.dumps({"itemInfoEntries": {"A": {"path": "/etc/passwd"}}, "rootModelIdentifier": "A"}),
    "missing": json.dumps({"itemInfoEntries": {"A": {"path": "none.mlmodel"}}, "rootModelIdentifier": "A"}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_damaged_manifests(kind: str, tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    (path / "Manifest.json").write_text(MANIFESTS[kind])
    with pytest.raises(WeightsError, match=r"photos\.mlpackage"):
        mpscnn.load(path)


@pytest.mark.parametrize("what", ["a pipe", "a folder"])
def test_a_manifest_that_is_no_file(what: str, tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    manifest = path / "Manifest.json"
    manifest.unlink()
    if what == "a pipe":
        os.mkfifo(manifest)
    else:
        manifest.mkdir()
    with pytest.raises(WeightsError, match=r"Manifest\.json: (is not a regular file|.*[Ii]s a directory)"):
        mpscnn.load(path)


@pytest.mark.parametrize("part", ["a/", "./", "a/../"])
def test_a_long_path_in_a_manifest_is_not_followed(part: str, tmp_path: Path) -> None:
    """Following a path takes time in proportion to the square of its length, and no file has such a path."""
    path = program().saved(tmp_path / "photos.mlpackage")
    stated = json.loads((path / "Manifest.json").read_text())
    for entry in stated["itemInfoEntries"].values():
        entry["path"] = 200_000 // len(part) * part + entry["path"]
    (path / "Manifest.json").write_text(json.dumps(stated))
    assert lines_run(lambda: refused(path, "which is not a file of the package")) < 50_000


def refused(path: Path, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        converters.read_network([path])


def test_images_that_are_prepared_again_and_again(tmp_path: Path) -> None:
    """Four bytes of the file are one preparation, of which two layers would be made."""
    message = classifier()
    for _ in range(1_000):
        message.neuralNetworkClassifier.preprocessing.add().scaler.SetInParent()
    path = saved(message, tmp_path / "photos.mlmodel")
    assert lines_run(lambda: refused(path, "prepares 1 inputs 1001 times")) < 50_000


def test_folders_that_are_not_packages(tmp_path: Path) -> None:
    path = tmp_path / "empty.mlpackage"
    path.mkdir()
    message = r"empty\.mlpackage: is not a Core ML package: it has no Manifest\.json; copy the whole folder"
    with pytest.raises(WeightsError, match=message):
        converters.read_network(path)
    with pytest.raises(WeightsError, match=message):
        mpscnn.load(path)


@pytest.mark.parametrize("given", [3, None, b"photos.onnx", ["photos.onnx", 3]])
def test_what_is_not_a_path_is_refused(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="expected a path or a list of paths, got "):
        converters.read_network(given)
    with pytest.raises(ParameterError, match="expected a path or a list of paths, got "):
        converters.convert_files(given, tmp_path / "photos.safetensors")


def test_a_part_of_a_package_is_named(tmp_path: Path) -> None:
    package = program().saved(tmp_path / "photos.mlpackage")
    (path,) = package.rglob("*.mlmodel")
    with pytest.raises(UnsupportedError, match="is a part of a package; give the package: ") as caught:
        converters.read_network([path])
    assert str(caught.value).endswith(str(package))


def test_links_out_of_a_package_are_refused(tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    weights = path / "Data" / "com.apple.CoreML" / "weights"
    shutil.move(weights / "weight.bin", tmp_path / "outside.bin")
    (weights / "weight.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(WeightsError, match="leads out of the package"):
        converters.read_network([path])


@pytest.mark.parametrize(
    ("at", "content"),
    [(0, b"short"), (4, b"\3"), (64, b"\0\0\0\0"), (68, b"\1"), (72, b"\xff" * 8), (80, b"\xff" * 8)],
)
def test_damaged_files_of_weights(at: int, content: bytes, tmp_path: Path) -> None:
    made = program()
    if content == b"short":
        made.blobs[:] = content
    else:
        made.blobs[at : at + len(content)] = content
    if at == 72:
        made.blobs[72:80] = bytes(8)
    with pytest.raises((UnsupportedError, WeightsError), match=r"weight\.bin"):
        converters.read_network([made.saved(tmp_path / "photos.mlpackage")])


def test_cut_files(tmp_path: Path) -> None:
    content = classifier().SerializeToString()
    path = tmp_path / "photos.mlmodel"
    for end in (1, 7, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises((UnsupportedError, WeightsError), match=r"photos\.mlmodel"):
            converters.read_network([path])


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    message = classifier()
    numbers(message.neuralNetworkClassifier.layers[0].convolution.weights, np.ones(1))
    with pytest.raises(WeightsError, match="109 numbers for the shape"):
        converters.read_network([saved(message, tmp_path / "photos.mlmodel")])
