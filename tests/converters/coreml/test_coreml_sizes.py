"""Test which sizes of images and arrays a file of Core ML allows, and that one of several is chosen."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.coreml_classifier import LABELS, PIXELS, classifier, expected
from converters.coreml_writer import add, array, image, model, saved, settings
from PIL import Image

import mpscnn
from mpscnn import converters
from mpscnn.errors import ParameterError, ShapeError


def test_a_size_is_chosen_for_images_of_several_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command in the message works if a size replaces HEIGHTxWIDTH."""
    monkeypatch.chdir(tmp_path)
    message = classifier(old=False)
    sizes = message.description.input[0].type.imageType.imageSizeRange
    for side in (sizes.heightRange, sizes.widthRange):
        side.lowerBound, side.upperBound = 6, 32
    saved(message, tmp_path / "sizes.mlmodel")
    Image.fromarray(PIXELS).save("photo.png")
    assert call("classify", "photo.png", "--model", "sizes.mlmodel") == 1
    words = shlex.split(capsys.readouterr().err.partition("choose it: ")[2])
    assert (words[0], words[-1]) == ("mpscnn", "HEIGHTxWIDTH")
    assert call(*words[1:-1], "6x8") == 0
    assert call("classify", "photo.png", "--model", "model.safetensors") == 0
    best = LABELS[int(expected(PIXELS, [-1.0, -2.0, -3.0]).argmax())]
    assert best in capsys.readouterr().out


def _image_of_sizes(kind: Any) -> None:
    image(8, 6)(kind)
    for height, width in ((8, 6), (16, 12), (10, 12)):
        kind.imageType.enumeratedSizes.sizes.add(height=height, width=width)


def _image_of_a_range(kind: Any) -> None:
    image(8, 6)(kind)
    for side, limits in (("height", (8, 16)), ("width", (6, -1))):
        stated = getattr(kind.imageType.imageSizeRange, f"{side}Range")
        stated.lowerBound, stated.upperBound = limits


def _array_of_shapes(kind: Any) -> None:
    array((1, 3, 8, 6))(kind)
    for shape in ((1, 3, 8, 6), (1, 3, 16, 12), (1, 3, 10, 12)):
        kind.multiArrayType.enumeratedShapes.shapes.add(shape=shape)


@pytest.mark.parametrize(
    ("fill", "size", "message", "message_at_run"),
    [
        (_image_of_sizes, (16, 12), "", ""),
        (
            _image_of_sizes,
            (16, 6),
            "3 x 8 x 6, 3 x 16 x 12, 3 x 10 x 12 in the file; 3 x 16 x 6 cannot",
            "8 x 6 x 3, 16 x 12 x 3, 10 x 12 x 3",
        ),
        (_image_of_a_range, (16, 100), "", ""),
        (
            _image_of_a_range,
            (17, 6),
            "an extent from 8 to 16 in the file; 3 x 17 x 6 cannot be chosen",
            "8 to 16 x 6 or more x 3",
        ),
        (
            _image_of_a_range,
            (8, 5),
            "an extent from 6 on in the file; 3 x 8 x 5 cannot be chosen",
            "8 to 16 x 6 or more x 3",
        ),
        (_array_of_shapes, (10, 12), "", ""),
        (
            _array_of_shapes,
            (12, 10),
            "1 x 3 x 10 x 12 in the file; 1 x 3 x 12 x 10 cannot be chosen",
            "8 x 6 x 3, 16 x 12 x 3, 10 x 12 x 3",
        ),
    ],
)
def test_sizes_that_the_file_does_not_allow(
    fill: Any, size: tuple[int, int], message: str, message_at_run: str, tmp_path: Path
) -> None:
    made = model({"x": fill}, {"y": array((1, 3, 1, 1))}, version=5)
    made.neuralNetwork.arrayInputShapeMapping = made.neuralNetwork.imageInputShapeMapping = 1
    add(made.neuralNetwork, "pooling", "x", "y", settings(type=1, globalPooling=True))
    path = saved(made, tmp_path / "one.mlmodel")
    free = converters.read_network([path])
    free.save(tmp_path / "free.safetensors")
    x = np.ones((2, *size, 3), np.float32)
    for same in (free, free.subgraph(["y"]), mpscnn.load(tmp_path / "free.safetensors").network):
        if message:
            with pytest.raises(
                ShapeError, match=f"input '(image|x)': got .*{message_at_run}.* Resize the input"
            ):
                same.predict(x)
        else:
            np.testing.assert_array_equal(same.predict(x), np.ones((2, 1, 1, 3), np.float32))
    if not message:
        network = converters.read_network([path], size=size)
        assert network.input.shape == (None, *size, 3)
        assert "sizes" not in network.to_dict()["inputs"][0]
        return
    with pytest.raises(ParameterError, match=f"input 'x' .*{message}"):
        converters.read_network([path], size=size)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([{"lowest": [8, 6], "highest": [8, 6]}], "an allowed size needs 3 extents"),
        ([{"lowest": [8, 6, 3], "highest": [8, 5, 3]}], "cannot be 6 to 5"),
        ([{"lowest": [0, 6, 3], "highest": [8, 6, 3]}], "cannot be 0 to 8"),
        ([{"lowest": [8, 6, 3], "highest": [8, 6, 3]}] * 1001, "has 1001 allowed sizes, at most 1000"),
        ([{"lowest": [8, 6, 3], "most": [8, 6, 3]}], "unknown key 'most'"),
        (8, "expected an array"),
    ],
)
def test_damaged_sizes_of_a_network(sizes: Any, message: str) -> None:
    network = mpscnn.Network((None, None, 3))
    network.output(network.relu(network.input))
    structure = network.to_dict()
    structure["inputs"][0]["sizes"] = sizes
    with pytest.raises(ParameterError, match=message):
        network.restructured(structure)
