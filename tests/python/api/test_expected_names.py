"""Test attributes of other frameworks: each is accepted, or its error suggests mpscnn's name."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guessed_objects import OBJECTS, PHOTO, X, detections, network, segmentation

import mpscnn
from mpscnn._private.attribute_hints import SAID
from mpscnn._private.hints import NO_ARGUMENTS

#: The first guesses of users of PyTorch, Keras, scikit-learn and Ultralytics.
GUESSED = {
    "mpscnn": "SGD RMSprop AdamW optim losses load_model from_onnx from_keras list_models create_model set_num_threads "
    "callbacks ModelCheckpoint ReduceLROnPlateau manual_seed Sequential DataLoader Dataset "
    "classify detect segment train convert export benchmark InferenceSession",
    "Model": "predict_proba summary num_parameters input_shape names classes device save export evaluate profile to "
    "half",
    "Network": "predict layers parameters count_params state_dict copy relu linear upsample relu6 leaky_relu "
    "gelu silu swish "
    "hardswish hard_swish sigmoid hardsigmoid tanh elu prelu mish softplus softsign max_pooling2d avg_pool2d "
    "global_average_pooling2d adaptive_avg_pool2d batch_normalization layer_normalization concatenate cat "
    "conv_transpose2d zero_padding2d interpolate permute",
    "Trainer": "history lr state_dict predict compile train_on_batch save_weights",
    "Program": "run",
    "Runner": "run predict submit map close classify detect stop shutdown imap model workers",
    "FrameFuture": "result get wait value done ready label add_done_callback then cancel",
    "Request": "result get wait done ready cancel",
    "FeatureExtractor": "run __call__ predict transform extract features forward layers",
    "ImageFolder": "classes class_to_idx targets samples imgs class_names num_classes shuffle loader",
    "Video": "close read release fps frames",
    "Evaluation": "accuracy top1 top5 confusion_matrix f1 precision plot summary to_pandas report",
    "DetectorEvaluation": "map mAP map50 ap50 summary",
    "SegmenterEvaluation": "mean_iou miou iou accuracy confusion_matrix summary",
    "Comparison": "equal ok max_error plot to_pandas summary layers save",
    "Profile": "steps layers total median plot summary save to_dict to_pandas",
    **dict.fromkeys(
        ("Classification", "Detections", "Segmentation"),
        "top1 top5 probs label score confidence xyxy boxes to_pandas plot save show filter __iter__",
    ),
}


@pytest.mark.parametrize("owner", GUESSED)
def test_each_guessed_name_is_there_or_explained(owner: str) -> None:
    made = OBJECTS[owner]()
    for name in GUESSED[owner].split():
        assert hasattr(made, name) != (name in SAID.get(owner, {})), name


@pytest.mark.parametrize("owner", SAID)
def test_the_error_says_what_to_write(owner: str) -> None:
    made = OBJECTS[owner]()
    for name, text in SAID[owner].items():
        with pytest.raises(AttributeError) as said:
            getattr(made, name)
        assert str(said.value).endswith(f"has no attribute {name!r}; {text}")
        assert not hasattr(made, name), name


#: The beginning of an expression in a hint, and the object that it means.
_MEANT = {
    "Segmentation.": "Segmentation",
    "session.": "Session",
    "model.": "Model",
    "net.": "Network",
    "trainer.": "Trainer",
    "program.": "Program",
    "history.": "History",
    "mpscnn.": "mpscnn",
    "runner.": "Runner",
    "future.": "FrameFuture",
    "request.": "Request",
    "extractor.": "FeatureExtractor",
    "folder.": "ImageFolder",
    "video.": "Video",
    "evaluation.": "Evaluation",
    "comparison.": "Comparison",
    "profile.": "Profile",
    "image.": "Image",
    "queue.": "CommandQueue",
    "commands.": "CommandBuffer",
} | {f"{name}.": name for name in OBJECTS}


@pytest.mark.parametrize("table", ["arguments", *SAID])
def test_the_names_in_hints_are_there(table: str) -> None:
    """A hint names only attributes that exist, such as Network.weights or session.run(x)."""
    hints = NO_ARGUMENTS if table == "arguments" else SAID[table]
    for hint in hints.values():
        for owner, path in re.findall(r"(?<![\w.'/])(\w+\.)([A-Za-z_]\w*(?:\.[a-z_]\w*)*)", hint):
            if owner not in _MEANT or path == "reduce_":
                continue
            found: Any = OBJECTS[_MEANT[owner]]()
            for name in path.split("."):
                assert hasattr(found, name), f"{owner}{path}: {hint}"
                found = getattr(found, name)


@pytest.mark.parametrize(
    ("owner", "name", "hint"),
    [
        ("Network", "Conv2D", "it is 'conv2d' here"),
        ("Network", "MaxPool2d", "it is 'max_pool2d' here"),
        ("Network", "BatchNorm", "it is 'batch_norm' here"),
        ("Network", "ReLU", "it is 'relu' here"),
        ("Network", "Add", "it is 'add' here"),
        ("Network", "MaxPooling2D", "it is net.max_pool2d(x, 2)"),
        ("Model", "numParameters", "it is 'num_parameters' here"),
        ("Model", "inputShape", "it is 'input_shape' here"),
        ("Trainer", "learningRate", "it is 'learning_rate' here"),
        ("Detections", "toPandas", "it is 'to_pandas' here"),
    ],
)
def test_other_spellings(owner: str, name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; {re.escape(hint)}$"):
        getattr(OBJECTS[owner](), name)


@pytest.mark.parametrize("owner", OBJECTS)
def test_unexpected_names_are_plain_errors(owner: str) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'no_such_name'$"):
        OBJECTS[owner]().no_such_name  # noqa: B018


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
    """A function `__getattr__` that type checkers see would make every name of the module valid."""
    package = Path(mpscnn.__file__).resolve().parent
    seen = [
        str(file.relative_to(package))
        for file in sorted(package.rglob("*.py"))
        if any(
            isinstance(one, ast.FunctionDef) and one.name == "__getattr__"
            for one in ast.parse(file.read_text()).body
        )
    ]
    assert seen == []
    assert "def __getattr__" in (package / "nodes/__init__.py").read_text()


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
    with pytest.raises(TypeError, match=r"no method: parameters.values\(\)"):
        net.parameters()  # type: ignore[operator]
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


@pytest.mark.parametrize("name", [name for name, text in SAID["Network"].items() if "activation(" in text])
def test_the_functions_that_hints_name(name: str) -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    known = {"net": net, "x": net.input}
    assert eval(SAID["Network"][name].removesuffix(" applies it"), known).shape == net.input.shape


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
