"""Test attributes of other frameworks: each is accepted, or its error suggests mpscnn's name."""

from __future__ import annotations

import ast
import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guessed_objects import OBJECTS, PHOTO, X, detections, network, segmentation

import mpscnn


@pytest.mark.parametrize("owner", OBJECTS)
def test_errors_about_unexpected_names_list_the_names(owner: str) -> None:
    found = OBJECTS[owner]()
    with pytest.raises(AttributeError) as said:
        found.no_such_name  # noqa: B018
    public = sorted(name for name in dir(found) if not name.startswith("_"))
    shown = owner if owner == "mpscnn" else f"mpscnn.{owner}"
    lead = f"it has {', '.join(public)}" if len(public) <= 30 else f"dir({shown}) lists its names"
    assert str(said.value).endswith(f"has no attribute 'no_such_name'; {lead}")


@pytest.mark.parametrize("owner", ["Model", "Network", "Trainer"])
def test_setting_an_unknown_attribute_is_an_error(owner: str) -> None:
    found = OBJECTS[owner]()
    for name, lead in (("conf", "; "), ("nmaes", "; "), ("device_map", "mpscnn.devices")):
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}' to set.*{lead}"):
            setattr(found, name, 1)
        assert name not in vars(found)
    own = type("Own", (type(found),), {"__module__": "users"})
    assert vars(found).keys() == vars(copy.copy(found) if owner != "Trainer" else found).keys()
    other = object.__new__(own)
    other.conf = 1
    assert other.conf == 1


def test_setting_another_name_sets_the_attribute() -> None:
    model = mpscnn.load()
    model.class_names = [str(index) for index in range(10)]
    assert model.labels == list("0123456789")


def test_names_of_the_module() -> None:
    assert (mpscnn.SGD, mpscnn.RMSprop, mpscnn.load_model) == (mpscnn.Sgd, mpscnn.RmsProp, mpscnn.load)
    public = [name for name in dir(mpscnn) if not name.startswith("__")]
    assert not {"Any", "TYPE_CHECKING", "import_module", "cast", "annotations", "toolkit", "told"} & {*public}
    assert {*mpscnn.__all__} <= {*public}


@pytest.mark.parametrize(
    "name", ["converters", "kernels", "models", "onnx_backend", "photo", "registry", "training"]
)
def test_modules_list_only_public_names(name: str) -> None:
    module = getattr(mpscnn, name)
    assert {one for one in dir(module) if not one.startswith("__")} == {*module.__all__}


def test_type_checkers_refuse_wrong_names_of_modules() -> None:
    """A function `__getattr__` that type checkers see would make every name of the module valid.

    Beside a file of declarations they do not see the module itself.
    """
    package = Path(mpscnn.__file__).resolve().parent
    seen = [
        str(file.relative_to(package))
        for file in (*package.rglob("*.pyi"), *package.rglob("*.py"))
        if (file.suffix == ".pyi" or not file.with_suffix(".pyi").exists())
        and any(
            isinstance(one, ast.FunctionDef) and one.name == "__getattr__"
            for one in ast.parse(file.read_text()).body
        )
    ]
    assert seen == []
    assert "__getattr__" in vars(mpscnn.nodes)


def test_names_of_models(tmp_path: Path) -> None:
    model = mpscnn.load()
    assert model(PHOTO)[0] == model.predict(PHOTO)[0]
    assert model.names == model.classes == model.labels
    assert model.device == "cpu"
    assert model.input_shape == (None, 64, 64, 3)
    total = sum(array.size for array in model.network.weights.values())
    assert model.num_parameters == model.network.num_parameters == model.network.count_params() == total
    assert model.summary() == model.network.summary()
    batch = np.stack([np.full((64, 64, 3), value, np.uint8) for value in (0, 200)])
    assert [found[0] for found in model.predict(batch)] == [model.predict(one)[0] for one in batch]
    model.save(tmp_path / "copy.safetensors")
    assert mpscnn.load(tmp_path / "copy.safetensors").predict(PHOTO)[0].label == model.predict(PHOTO)[0].label
    model.save(tmp_path / "copy.onnx")


def test_names_of_networks_and_programs() -> None:
    net = network()
    program = net.compile()
    expected = program.session().run(X)
    for found in (net(X), net.predict(X), program(X), program.run(X), program.run(X), net.copy()(X)):
        np.testing.assert_array_equal(found, expected)
    assert net.parameters.keys() == net.weights.keys()
    assert [array.shape for array in net.parameters()] == [array.shape for array in net.weights.values()]
    net.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(net.eval()(X), expected)
    for other in (copy.copy(program), copy.deepcopy(net).compile(), pickle.loads(pickle.dumps(program))):
        np.testing.assert_array_equal(other.run(X), expected)


def test_names_of_results() -> None:
    found = mpscnn.load().predict(PHOTO)
    assert found.top1 == found[0]
    assert found.top5 == found.top(5) == list(found)[:5]
    np.testing.assert_array_equal(found.probs, found.probabilities)
    assert (found.label, found.score, found.confidence) == (
        found[0].label,
        found[0].probability,
        found[0].score,
    )
    assert found[0].confidence == found[0].probability
    boxes = detections()
    assert list(segmentation()) == segmentation().areas
    np.testing.assert_array_equal(boxes.xyxy, boxes.boxes)
    np.testing.assert_array_equal(boxes.confidence, boxes.scores)
    assert boxes.labels == ["cat"] * 3
    assert [one.score for one in boxes[boxes.scores > 0.5]] == [0.9, 0.6]
    assert boxes.filter(lambda one: one.score > 0.5) == boxes[boxes.scores > 0.5]
    assert boxes[0].xyxy == boxes[0].box
    assert boxes[0].confidence == 0.9
    with pytest.raises(mpscnn.ShapeError, match="a mask must have the shape"):
        boxes[np.array([True])]
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    assert isinstance(boxes.to_pandas(), pandas.DataFrame)
    assert boxes.to_pandas().shape == (3, len(boxes.columns))


@pytest.mark.parametrize("use", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_trainer_is_no_copy(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"save\(path\) writes a checkpoint, and Trainer.resume"):
        use(mpscnn.Trainer(network()))


def test_classes_of_a_folder(tmp_path: Path) -> None:
    """`ImageFolder` has attributes of the same names and values as torchvision's."""
    for label, count in (("cat", 2), ("dog", 3)):
        (tmp_path / label).mkdir()
        for index in range(count):
            PHOTO.save(tmp_path / label / f"{index}.png")
    photos = mpscnn.ImageFolder(tmp_path, 8)
    assert photos.classes == ["cat", "dog"]
    assert photos.class_to_idx == {"cat": 0, "dog": 1}
    assert list(photos.targets) == [0, 0, 1, 1, 1]
    assert photos.samples == list(zip(photos.paths, photos.targets, strict=True))
