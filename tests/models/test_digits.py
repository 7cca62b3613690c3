"""Test the bundled digit network on the test images of MNIST, on drawn digits and on photos without digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models.drawn_digits import STROKES, draw
from numpy.typing import NDArray

import mpscnn
from mpscnn.registry.catalogue import DIGITS

MAX_FILE = 500_000
RIGHT_AT_LEAST = 9900  # of 10,000; docs/digits.md has the count


@pytest.fixture(scope="module")
def model() -> mpscnn.Model:
    return mpscnn.load("digits", device="cpu", precision="float16")


def test_what_ships(model: mpscnn.Model) -> None:
    path = DIGITS.location()
    assert path is not None
    assert path.stat().st_size <= MAX_FILE
    assert model.labels == [str(digit) for digit in range(10)]
    assert model.network.input.shape == (None, *DIGITS.input_size, 1)
    assert model.information["license"] == DIGITS.licence
    assert all(
        values.dtype == np.float16 for name, values in model.network.weights.items() if "weight" in name
    )


@pytest.fixture(scope="module")
def test_set(shared: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    directory = shared / "data/mnist"
    return (
        mpscnn.read_idx(directory / "t10k-images-idx3-ubyte.gz"),
        mpscnn.read_idx(directory / "t10k-labels-idx1-ubyte.gz"),
    )


def test_accuracy(model: mpscnn.Model, test_set: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    images, labels = test_set
    with model.session() as session:
        found = [session.run(batch[..., None] / np.float32(255)) for batch in np.split(images, 20)]
    right = int((np.concatenate(found).argmax(axis=1) == labels).sum())
    print(f"{right} of {len(labels)} right")
    assert len(labels) == 10_000
    assert right >= RIGHT_AT_LEAST


def test_images_of_mnist_are_photos_too(
    model: mpscnn.Model, test_set: tuple[NDArray[np.uint8], NDArray[np.uint8]]
) -> None:
    """MNIST's digits are in their place already. Finding, cropping and centring them costs almost no accuracy."""
    images, labels = (part[:500] for part in test_set)
    placed = np.concatenate([mpscnn.preprocess(image, (28, 28), "mnist", channels=1) for image in images])
    with model.session() as session:
        found = np.asarray(session.run(placed)).argmax(axis=1)
    assert (found == labels).sum() >= 495


VIEWS = {
    "pen": {},
    "fineliner": {"pen": 4},
    "marker": {"pen": 28},
    "chalk": {"ink": 230, "paper": 20},
    "pencil": {"ink": 150, "paper": 200},
    "small": {"size": (40, 52), "height": 30, "at": (9, 10), "pen": 2.5},
    "in a corner": {"size": (700, 500), "height": 90, "at": (590, 20), "pen": 8},
}


@pytest.mark.parametrize("view", VIEWS)
def test_drawn_digits(model: mpscnn.Model, view: str) -> None:
    found = {digit: model.predict(draw(digit, **VIEWS[view])).predictions[0].label for digit in STROKES}  # type: ignore[arg-type]
    assert found == {digit: str(digit) for digit in STROKES}


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.full((1, 1), 200, np.uint8), "1x1 pixels shows no digit"),
        (np.full((300, 300, 3), 255, np.uint8), "nothing stands out from its ground"),
        (np.full((1, 5000), 7, np.uint8), "5000x1 pixels shows no digit"),
        (np.full((28, 28), np.nan, np.float32), "not finite"),
    ],
)
def test_photos_without_a_digit(model: mpscnn.Model, photo: NDArray[np.generic], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        model.predict(photo)
