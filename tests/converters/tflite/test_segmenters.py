"""Test the conversion of segmenters: the ARG_MAX at their end, resizes to the same size, and label files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import converters
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.tflite.file import Elements, FileOperator, FileTensor, TfliteFile
from mpscnn.converters.reading.tflite.reader import convert


def tensor(name: str, shape: tuple[int, ...], data: Any = None) -> FileTensor:
    values = None if data is None else Elements.of(np.array(data, np.int32))
    return FileTensor(name, shape, np.dtype(np.float32 if data is None else np.int32), None, values)


def file_with(axis: Any) -> TfliteFile:
    """Return a file with the position of each pixel's largest channel, after a padding."""
    tensors = [
        tensor("image", (1, 4, 5, 3)),
        tensor("axis", (1,), axis),
        tensor("sides", (4, 2), [[0, 0], [1, 1], [1, 1], [0, 0]]),
        tensor("padded", (1, 6, 7, 3)),
        tensor("small", (1, 6, 7)),
    ]
    operators = [FileOperator("PAD", (0, 2), (3,), None), FileOperator("ARG_MAX", (3, 1), (4,), None)]
    return TfliteFile("file.tflite", tensors, operators, (0,), (4,), 1_000)


@pytest.mark.parametrize("axis", [[3], [-1]])
def test_the_last_argmax_is_left_out(axis: list[int]) -> None:
    network = convert([file_with(axis)], ReadOptions("segmenter"))
    assert [tensor.name for tensor in network.outputs] == ["padded"]
    assert network.notes == ["the ARG_MAX 'small' at the end is left out, so the output is the scores"]
    assert network.outputs[0].shape == (None, 6, 7, 3)


def test_other_argmaxes_are_computed() -> None:
    network = convert([file_with([1])], ReadOptions("segmenter"))
    x = np.random.default_rng(0).normal(-1.0, 1.0, (2, 4, 5, 3)).astype(np.float32)
    found = network.compile(device="cpu", precision="float32").session().run(x)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_array_equal(found, padded.argmax(1))


def test_argmaxes_of_two_axes_are_damaged() -> None:
    with pytest.raises(mpscnn.WeightsError, match=r"'small' \(ARG_MAX\)"):
        convert([file_with([2, 3])], ReadOptions("segmenter"))


def test_notes_may_follow_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("background\r\n cat \ndog\n\nand 255 is not a class.\nNor is this.\n")
    assert converters.read_labels(path) == ["background", "cat", "dog"]
    path.write_text("one")
    assert converters.read_labels(path) == ["one"]
    for content in ("", "\n", "\n\ncat\n"):
        path.write_text(content)
        with pytest.raises(mpscnn.WeightsError, match=r"labels\.txt: holds 0 labels"):
            converters.read_labels(path)


def test_labels_in_a_json_file(tmp_path: Path) -> None:
    """The lines of a JSON list are no names, also if there are as many of them as classes."""
    path = tmp_path / "labels.json"
    path.write_text('["background",\n "cat",\n "dog"]')
    assert converters.read_labels(path) == ["background", "cat", "dog"]
    for text, message in (
        ('{"0": "cat"}', "a JSON list of names"),
        ("[1, 2]", "a JSON list of"),
        ("cat", "not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(mpscnn.WeightsError, match=rf"labels\.json: .*{message}"):
            converters.read_labels(path)


def test_labels_of_another_length_are_refused(shared: Path, tmp_path: Path) -> None:
    google = shared / "models/google"
    with pytest.raises(mpscnn.WeightsError, match="has 1001 labels, but the network has 21 classes"):
        converters.convert_files(
            [google / "deeplabv3_mnv2_pascal_quant.tflite"],
            tmp_path / "model.safetensors",
            labels=google / "imagenet_labels.txt",
        )
