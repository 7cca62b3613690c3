"""Test that no consumer of training data takes the classes of a data set for other classes of the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.small_backbone import small_backbone

import mpscnn
from mpscnn import ImageError, ImageFolder, ParameterError, ShapeError, UnsupportedError
from mpscnn.graph.class_numbers import ClassNumbers, class_names
from mpscnn.graph.quantized import has_integer_tensors

#: The classes of `small_backbone`, and the numbers of classes that data sets have in the tests.
CLASSES = 5
COUNTS = (3, CLASSES, CLASSES + 1)
NAMES = ["ant", "bee", "crab", "dove", "emu", "fox"]
Data = Any


def folder(path: Path, names: list[str]) -> ImageFolder:
    """Write one photo of each class."""
    for number, name in enumerate(names):
        (path / name).mkdir(parents=True)
        Image.new("RGB", (16, 16), (40 * number, 90, 200)).save(path / name / "photo.png")
    return ImageFolder(path, size=16)


@pytest.fixture(scope="module", params=COUNTS)
def photos(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageFolder:
    return folder(tmp_path_factory.mktemp("photos"), NAMES[: request.param])


def only_batch(data: ImageFolder) -> tuple[Any, Any]:
    (batch,) = data.batches(len(data))
    return batch


def loader(data: ImageFolder) -> Data:
    """Return an iterable of plain arrays whose nested data set has the classes, as a DataLoader of PyTorch."""
    images, numbers = only_batch(data)
    subset = SimpleNamespace(dataset=SimpleNamespace(classes=data.classes))

    class Loader(list[Any]):
        dataset = subset

    return Loader([(images, np.asarray(numbers))])


def keras(data: ImageFolder) -> Data:
    """Return an iterable of plain arrays with the names of classes, as `image_dataset_from_directory`."""

    class Dataset(list[Any]):
        class_names = data.classes

    images, numbers = only_batch(data)
    return Dataset([(images, np.asarray(numbers))])


#: Data sets that state their classes, made of a folder.
SOURCES: dict[str, Callable[[ImageFolder], Data]] = {
    "folder": lambda data: data,
    "arrays": only_batch,
    "batches": lambda data: [only_batch(data)],
    "generator": lambda data: data.batches(len(data)),
    "DataLoader": loader,
    "Keras": keras,
}
#: Consumers that take whole data sets.
OF_DATA: dict[str, Callable[[mpscnn.Trainer, Data], Any]] = {
    "fit": lambda trainer, data: trainer.fit(data, progress=False),
    "validation": lambda trainer, data: trainer.fit(arrays(), validation_data=data, progress=False),
    "iter_epochs": lambda trainer, data: list(trainer.iter_epochs(data, epochs=1)),
    "iter_validation": lambda trainer, data: list(
        trainer.iter_epochs(arrays(), epochs=1, validation_data=data)
    ),
    "evaluate": lambda trainer, data: trainer.evaluate(data),
}
#: Consumers that take one batch.
OF_BATCHES: dict[str, Callable[[mpscnn.Trainer, Any, Any], Any]] = {
    "step": lambda trainer, images, numbers: trainer.step(images, numbers),
    "profile": lambda trainer, images, numbers: trainer.profile(images, numbers, runs=1),
    "gradients": lambda trainer, images, numbers: trainer.network.gradients(images, numbers),
}


def arrays() -> tuple[Any, Any]:
    """Return data that states no classes."""
    return np.zeros((2, 16, 16, 3), np.float32), np.array([0, 1])


def unchanged(trainer: mpscnn.Trainer) -> bool:
    before = small_backbone()
    now = trainer.network
    return now.labels is None and all(
        np.array_equal(now.weights[name], value) for name, value in before.weights.items()
    )


def require_refused(trainer: mpscnn.Trainer, count: int, call: Callable[[], Any]) -> None:
    with pytest.raises(ParameterError, match=rf"{count} classes .*'small' has 5; .*replace_head\({count}\)"):
        call()
    assert unchanged(trainer)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("consumer", OF_DATA)
def test_consumers_of_data_sets_take_only_as_many_classes_as_the_network_has(
    photos: ImageFolder, consumer: str, source: str
) -> None:
    trainer = mpscnn.Trainer(small_backbone(), threads=1)
    count = len(photos.classes)
    data = SOURCES[source](photos)
    if source == "generator" and "validation" in consumer:
        data = list(data)  # the first batch of a generator comes after an epoch of training
    if count != CLASSES:
        require_refused(trainer, count, lambda: OF_DATA[consumer](trainer, data))
        data = SOURCES[source](photos)
        trainer = mpscnn.Trainer(small_backbone().replace_head(count), threads=1)
    OF_DATA[consumer](trainer, data)


@pytest.mark.parametrize("consumer", OF_BATCHES)
def test_consumers_of_batches_take_only_as_many_classes_as_the_network_has(
    photos: ImageFolder, consumer: str
) -> None:
    trainer = mpscnn.Trainer(small_backbone(), threads=1)
    count = len(photos.classes)
    images, numbers = only_batch(photos)
    if count != CLASSES:
        require_refused(trainer, count, lambda: OF_BATCHES[consumer](trainer, images, numbers))
        trainer = mpscnn.Trainer(small_backbone().replace_head(count), threads=1)
    OF_BATCHES[consumer](trainer, images, numbers)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("consumer", OF_BATCHES)
def test_labels_of_another_number_of_classes_lead_to_the_replaced_head(consumer: str, count: int) -> None:
    trainer = mpscnn.Trainer(small_backbone(), threads=1)
    images, _ = arrays()
    one_hot = np.eye(count, dtype=np.float32)[[0, 1]]
    with pytest.raises(ShapeError, match=r"replace_head\(classes\)"):
        OF_BATCHES[consumer](trainer, images, one_hot)
    with pytest.raises(ParameterError, match=r"0 to 4, got 5; .*replace_head\(classes\)"):
        OF_BATCHES[consumer](trainer, images, np.array([0, 5]))


def test_training_names_the_classes_and_the_labels_are_saved(tmp_path: Path) -> None:
    """The labels of other classes must not stay on a network that was trained for new ones."""
    photos = folder(tmp_path / "photos", NAMES[:CLASSES])
    old = small_backbone()
    old.labels = ["airplane", "bird", "car", "dog", "egg"]
    for train in (
        lambda trainer: trainer.fit(photos, progress=False),
        lambda trainer: trainer.fit(loader(photos), progress=False),
        lambda trainer: trainer.step(*only_batch(photos)),
    ):
        trainer = mpscnn.Trainer(old, threads=1)
        assert trainer.evaluate(photos).loss > 0
        assert trainer.network.labels == old.labels  # evaluation trains nothing
        train(trainer)
        assert trainer.network.labels == photos.classes
        trainer.save(tmp_path / "checkpoint.npz")
        assert mpscnn.Trainer.resume(tmp_path / "checkpoint.npz").network.labels == photos.classes


@pytest.mark.parametrize("names", [["bee", "ant", "dove", "crab", "emu"], [*NAMES[:CLASSES], "zebra"]])
def test_classes_that_the_network_numbers_otherwise_are_numbered_like_its_labels(
    tmp_path: Path, names: list[str]
) -> None:
    """Class numbers would mean other classes of the network, in all consumers alike."""
    network = small_backbone()
    network.labels = names[:CLASSES] if len(names) == CLASSES else names[1:]
    photos = folder(tmp_path / "photos", sorted(network.labels if len(names) == CLASSES else names[1:4]))
    trainer = mpscnn.Trainer(network, threads=1)
    for call in (trainer.fit, trainer.evaluate, lambda data: trainer.step(*only_batch(data))):
        with pytest.raises(ParameterError, match=r"ImageFolder.numbered_like\(network.labels\)"):
            call(photos)
    numbered = photos.numbered_like(network.labels)
    assert [network.labels[number] for number in numbered.targets] == photos.labels
    trainer.fit(numbered, progress=False)
    assert trainer.network.labels == network.labels
    with pytest.raises(ImageError, match="the list of 2 labels has no class 'crab'"):
        folder(tmp_path / "more", ["ant", "crab"]).numbered_like(["ant", "bee"])


def test_a_single_output_takes_class_numbers_as_values(tmp_path: Path) -> None:
    net = mpscnn.Network(input=(16, 16, 3), name="yes or no")
    net.output(net.dense(net.input, 1))
    net.initialize_weights()
    trainer = mpscnn.Trainer(net, loss="sigmoid_cross_entropy", threads=1)
    trainer.fit(folder(tmp_path / "two", NAMES[:2]), progress=False)
    with pytest.raises(ParameterError, match=r"must be 0 to 1, .*replace_head"):
        trainer.fit(folder(tmp_path / "three", NAMES[:3]), progress=False)


def test_data_that_states_no_classes() -> None:
    changed = SimpleNamespace(dataset=SimpleNamespace(classes=NAMES, target_transform=len))
    for data in (arrays(), [arrays()], iter([arrays()]), np.zeros(3, np.int64), changed, None):
        assert class_names(data) is None
    assert class_names(SimpleNamespace(classes=[("tench", "Tinca tinca"), ("goldfish",)])) == [
        "tench, Tinca tinca",
        "goldfish",
    ]


def test_class_numbers_keep_names_in_parts_only() -> None:
    numbers = ClassNumbers.of([2, 0, 1], NAMES[:3])
    for part in (numbers[1:], numbers[[0, 2]], numbers[numbers > 0], numbers.copy()):
        assert class_names(part) == NAMES[:3]
    assert type(numbers + 1) is type(numbers == 0) is np.ndarray
    assert type(numbers.max()) is np.int64
    assert numbers.tolist() == [2, 0, 1]


def test_a_replaced_head_keeps_the_rest_and_names_itself() -> None:
    old = small_backbone()
    old.labels, old.scores = ["a", "b", "c", "d", "e"], "softmax"
    new = old.replace_head(3)
    assert (new.name, new.labels, new.scores) == ("classifier_of_3_classes", None, None)
    assert new.preprocess == old.preprocess
    assert new.outputs[0].shape == (None, 3)
    kept = {name: value for name, value in old.weights.items() if not name.startswith("classes.")}
    assert kept.keys() < new.weights.keys()
    assert all(np.array_equal(new.weights[name], value) for name, value in kept.items())
    named = old.replace_head(["x", "y"], name="letters", seed=1)
    assert (named.name, named.labels) == ("letters", ["x", "y"])
    other = old.replace_head(2).weights["classes_.weight"]
    assert not np.array_equal(named.weights["classes_.weight"], other)
    assert old.labels == ["a", "b", "c", "d", "e"]


def test_a_replaced_head_of_integers_says_that_it_has_floats() -> None:
    old = small_backbone()
    old.quantize(old.input, "int8", 0.1, 0)
    with pytest.warns(
        RuntimeWarning, match="'small' is quantised, and 'classifier_of_3_classes' is not: after"
    ):
        assert not has_integer_tensors(old.replace_head(3))


@pytest.mark.parametrize(
    ("file", "package"), [("new.safetensors", None), ("new.onnx", "onnx"), ("new.mlpackage", "coremltools")]
)
def test_files_do_not_have_the_name_of_the_backbone(file: str, package: str | None, tmp_path: Path) -> None:
    if package is not None:
        pytest.importorskip(package, reason=f"{package} is not installed")
    small_backbone().replace_head(3).save(tmp_path / file)
    content = b"".join(
        path.read_bytes() for path in [tmp_path / file, *(tmp_path / file).rglob("*")] if path.is_file()
    )
    assert (b"classifier_of_3_classes" in content) == (package != "coremltools")
    assert b"small" not in content


@pytest.mark.parametrize("classes", [1, 0, True, "cat", ["cat"], ["cat", "cat"], [1, 2], 2.0, None])
def test_classes_that_no_head_can_have(classes: Any) -> None:
    with pytest.raises(ParameterError, match="classes"):
        small_backbone().replace_head(classes)


def test_a_network_without_such_a_head() -> None:
    net = mpscnn.Network(input=(8, 8, 3), name="areas")
    net.output(net.conv2d(net.input, 4, 3))
    net.initialize_weights()
    with pytest.raises(UnsupportedError, match="'areas' is not a classifier whose last layer"):
        net.replace_head(3)
