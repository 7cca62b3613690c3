"""Names of other frameworks: each works, or its error says what to write here."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpscnn
from mpscnn._private.expected_names import DEVICES, PRECISIONS, SAID, WORDS

PHOTO = Image.new("RGB", (64, 64), "navy")
X = np.random.default_rng(0).normal(0, 1, (6, 4, 4, 1)).astype(np.float32)
Y = np.array([0, 1, 0, 1, 0, 1])


def network() -> mpscnn.Network:
    net = mpscnn.Network(input=(4, 4, 1))
    net.output(net.softmax(net.dense(net.conv2d(net.input, 2, 3), 2)))
    net.initialize_weights(seed=0)
    return net


def detections() -> mpscnn.Detections:
    one = [mpscnn.Detection("cat", score, mpscnn.Box(1, 2, 3, 4), 0) for score in (0.9, 0.6, 0.3)]
    return mpscnn.Detections(tuple(one), (8, 8), "cpu", "float32", "", 1.0)


OBJECTS: dict[str, Callable[[], Any]] = {
    "mpscnn": lambda: mpscnn,
    "Model": mpscnn.load,
    "Network": network,
    "Trainer": lambda: mpscnn.Trainer(network()),
    "History": lambda: mpscnn.History(()),
    "Classification": lambda: mpscnn.load().predict(PHOTO),
    "Detections": detections,
    "Program": lambda: network().compile(),
}


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in SAID.items() for name in names]
)
def test_the_error_says_what_to_write(owner: str, name: str) -> None:
    with pytest.raises(AttributeError) as said:
        getattr(OBJECTS[owner](), name)
    assert str(said.value).endswith(SAID[owner][name])
    assert not hasattr(OBJECTS[owner](), name)


@pytest.mark.parametrize("owner", OBJECTS)
def test_unexpected_names_are_plain_errors(owner: str) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'no_such_name'$"):
        OBJECTS[owner]().no_such_name  # noqa: B018


def test_names_of_the_module() -> None:
    assert (mpscnn.SGD, mpscnn.RMSprop, mpscnn.load_model) == (mpscnn.Sgd, mpscnn.RmsProp, mpscnn.load)
    public = [name for name in dir(mpscnn) if not name.startswith("__")]
    assert not {"Any", "TYPE_CHECKING", "import_module", "cast", "annotations", "toolkit", "told"} & {*public}
    assert {*mpscnn.__all__} <= {*public}


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


def test_arguments_of_layers() -> None:
    net = mpscnn.Network(input=(8, 8, 3))
    x = net.conv2d(net.input, out_channels=4, kernel_size=3, stride=2, padding="SAME", activation="ReLU")  # type: ignore[call-arg, arg-type]
    same = net.conv2d(net.input, 4, 3, strides=2, padding="same", activation="relu")
    assert x.shape == same.shape == (None, 4, 4, 4)
    first, second = net.to_dict()["nodes"]
    assert {**first, "name": ""} == {**second, "name": ""}
    assert net.max_pool2d(x, 2, stride=1).shape == (None, 3, 3, 4)  # type: ignore[call-arg]
    net.activation(x, "LeakyReLU")  # type: ignore[arg-type]
    net.activation(x, "SiLU")  # type: ignore[arg-type]
    for wrong, message in (
        ({"use_bias": False}, "a layer has a bias where its weights have one"),
        ({"bias": False}, "a layer has a bias where its weights have one"),
        ({"in_channels": 3}, "follow from the tensor"),
        ({"stride": 1, "strides": 1}, "which mean the same"),
        ({"strid": 1}, "unexpected keyword argument 'strid'"),
    ):
        with pytest.raises(TypeError, match=message):
            net.conv2d(net.input, 4, 3, **wrong)


@pytest.mark.parametrize("name", [*PRECISIONS, "FP16", "Half"])
def test_precisions(name: str) -> None:
    wanted: Any = name
    if PRECISIONS[name.lower()] == "bfloat16" and "no_bfloat16" in mpscnn.devices()[0]:
        pytest.skip(f"bfloat16: {mpscnn.devices()[0]['no_bfloat16']}")
    assert network().compile(device="cpu", precision=wanted).precision == PRECISIONS[name.lower()]


@pytest.mark.parametrize("name", [*DEVICES, "cuda"])
def test_devices(name: str) -> None:
    if name != "cuda" and len(mpscnn.devices()) > 1:
        pytest.skip("there is a GPU")
    with pytest.raises(mpscnn.Error, match="metal" if name != "cuda" else "must be auto, cpu, metal"):
        network().compile(device=name)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "Adam", "AdamW"])
def test_optimizers_by_name(optimizer: str) -> None:
    trainer = mpscnn.Trainer(network(), optimizer=optimizer, lr=0.25)  # type: ignore[call-arg]
    assert trainer.learning_rate == trainer.lr == 0.25
    trainer.fit(X, Y)
    assert mpscnn.Adam(lr=0.25) == mpscnn.Adam(0.25)  # type: ignore[call-arg]
    with pytest.raises(mpscnn.ParameterError, match="optimizer must be 'sgd', 'rmsprop', 'adam'"):
        mpscnn.Trainer(network(), optimizer="lion")
    with pytest.raises(mpscnn.ParameterError, match="give it to the optimizer itself"):
        mpscnn.Trainer(network(), optimizer=mpscnn.Adam(), learning_rate=0.1)


@pytest.mark.parametrize(("name", "ours"), [*WORDS.items(), ("MSE", "mean_squared_error")])
def test_losses(name: str, ours: str) -> None:
    rows = np.eye(2, dtype=np.float32)[Y]
    assert mpscnn.Trainer(network(), loss=name).step(X, rows) == mpscnn.Trainer(network(), loss=ours).step(
        X, rows
    )
