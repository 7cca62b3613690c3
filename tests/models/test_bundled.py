"""Test the bundled model on the test images with which its accuracy was measured, and on photos."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.registry.catalogue import BUNDLED_MODEL

TEST_IMAGES = 10_000
BATCH = 250
MAX_FILE = 1_200_000
RIGHT_AT_LEAST = 9200
# A photo whose probabilities are below this counts as none of the classes.
UNLIKELY = 0.5


@pytest.fixture(scope="module")
def model() -> mpscnn.Model:
    return mpscnn.load(precision="float16")


def test_file_size() -> None:
    path = BUNDLED_MODEL.location()
    assert path is not None
    assert path.stat().st_size <= MAX_FILE


def cifar10_test_images(archive: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield class and pixels of the archive's files test/<class>/<n>.jpg."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = member.name.removeprefix("./").split("/")
            if member.isfile() and parts[0] == "test":
                file = tar.extractfile(member)
                assert file is not None
                yield parts[1], np.asarray(image.open(io.BytesIO(file.read())).convert("RGB"))


@pytest.mark.full
def test_accuracy_in_float16(model: mpscnn.Model, shared: Path) -> None:
    assert model.labels is not None
    assert model.preprocess is not None
    size = BUNDLED_MODEL.input_size
    inputs = np.empty((TEST_IMAGES, *size, 3), np.float32)
    classes = np.empty(TEST_IMAGES, np.intp)
    count = 0
    for label, pixels in cifar10_test_images(shared / "data/cifar10/cifar10_jpeg.tar.gz"):
        inputs[count] = mpscnn.preprocess(pixels, size, model.preprocess)[0]
        classes[count] = model.labels.index(label)
        count += 1
    assert count == TEST_IMAGES
    with model.session() as session:
        batches = [session.run(batch) for batch in np.split(inputs, TEST_IMAGES // BATCH)]
    right = int((np.concatenate(batches).argmax(axis=1) == classes).sum())
    print(f"{right} of {TEST_IMAGES} right")
    assert right >= RIGHT_AT_LEAST


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("cat_720p.jpg", "cat"),
        ("bird.bmp", "bird"),
        ("parrot.jpg", "bird"),
    ],
)
def test_photos_of_its_classes(model: mpscnn.Model, shared: Path, photo: str, label: str) -> None:
    assert model.predict(shared / "images" / photo).predictions[0].label == label


@pytest.mark.parametrize("photo", ["sunflower.bmp", "grace_hopper.bmp", "face.jpg"])
def test_photos_of_nothing_it_knows(model: mpscnn.Model, shared: Path, photo: str) -> None:
    assert model.predict(shared / "images" / photo).predictions[0].probability < UNLIKELY
