"""Names of other frameworks: each is accepted, or its error suggests mpscnn's name."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command
from PIL import Image

import mpscnn
from mpscnn._private.attribute_hints import SAID
from mpscnn._private.expected_names import DEVICES, PRECISIONS, WORDS
from mpscnn._private.hints import NO_ARGUMENTS

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


def segmentation() -> mpscnn.Segmentation:
    return mpscnn.Segmentation(np.zeros((4, 4), np.uint8), ("sky",), "cpu", "float32", "", 1.0)


OBJECTS: dict[str, Callable[[], Any]] = {
    "mpscnn": lambda: mpscnn,
    "Model": mpscnn.load,
    "LentSession": lambda: mpscnn.load().session(),
    "Network": network,
    "Tensor": lambda: network().input,
    "Trainer": lambda: mpscnn.Trainer(network()),
    "History": lambda: mpscnn.History(()),
    "Epoch": lambda: mpscnn.Epoch(1, 0.5, 0.5, None, None, 0.1, 1.0),
    "Prediction": lambda: mpscnn.Prediction("cat", 0.9, 3),
    "Detection": lambda: detections()[0],
    "Area": lambda: segmentation().areas[0],
    "Classification": lambda: mpscnn.load().predict(PHOTO),
    "Detections": detections,
    "Segmentation": segmentation,
    "Program": lambda: network().compile(),
    "Session": lambda: network().compile().session(),
}


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
} | {f"{name}.": name for name in ("Model", "Network", "Trainer", "Program", "History", "Session", "Tensor")}


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


def test_arithmetic_of_tensors() -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    x = net.input
    y = net.relu(x - 0.5)
    results = {
        "x + y": x + y,
        "x - y": x - y,
        "x * y": x * y,
        "x / (y + 1)": x / (y + 1),
        "x + 2": x + 2,
        "2 + x": 2 + x,
        "x - 0.25": x - 0.25,
        "0.25 - x": 0.25 - x,
        "x * 3": x * 3,
        "np.float32(3) * x": np.float32(3) * x,
        "x / 4": x / 4,
        "4 / x": 4 / x,
        "-x": -x,
        "1 / x": 1 / x,
    }
    for result in results.values():
        net.output(result)
    given = np.random.default_rng(1).uniform(0.5, 2, (2, 2, 2, 3)).astype(np.float32)
    found = net.compile(device="cpu").run(given)
    known = {"np": np, "x": given, "y": np.maximum(given - np.float32(0.5), 0)}
    for text, result in results.items():
        np.testing.assert_allclose(found[result.name], eval(text, known), rtol=1e-6, err_msg=text)
    copied = copy.deepcopy(net)
    assert (copied.input + 1).shape == x.shape
    assert len(copied.layer_names()) == len(net.layer_names()) + 1


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x + ones", "got <Tensor 'image' .*> and ndarray"),
        ("ones + x", "got ndarray and <Tensor 'image'"),
        ("x * True", "a tensor and a finite number, got"),
        ("x - float('nan')", "got <Tensor 'image' .*> and nan"),
        ("x / 0", "cannot be divided by 0"),
        ("x + other", "belongs to another network"),
        ("x + '1'", "got <Tensor 'image' .*> and str"),
    ],
)
def test_other_operands_are_refused(expression: str, message: str) -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    known = {"net": net, "x": net.input, "other": mpscnn.Network(input=(2, 2, 3)).input, "ones": np.ones(3)}
    with pytest.raises(mpscnn.ParameterError, match=message):
        eval(expression, known)
    assert net.layer_names() == ["image"]


def test_layers_by_other_names() -> None:
    net = mpscnn.Network(input=(2, 2, 1))
    larger = {
        "nearest": net.upsample(net.input, scale_factor=2),  # type: ignore[call-arg]
        "bilinear": net.upsample(net.input, size=(4, 4), mode="bilinear"),  # type: ignore[call-arg]
    }
    for one in larger.values():
        net.output(one)
    net.output(net.linear(net.relu(net.input, name="positive"), out_features=3, name="head"))  # type: ignore[call-arg]
    net.initialize_weights()
    image = np.array([[0, 1], [2, 3]], np.float32).reshape(1, 2, 2, 1)
    found = net.compile(device="cpu").run(image)
    np.testing.assert_array_equal(found[larger["nearest"].name], image.repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(found[larger["bilinear"].name][0, 0, :, 0], [0, 0.25, 0.75, 1])
    assert found["head"].shape == (1, 3)
    assert mpscnn.Network.linear.__doc__ == mpscnn.Network.dense.__doc__


def test_biases() -> None:
    """`use_bias` determines whether a layer has a bias, also before a batch normalization."""
    net = mpscnn.Network(input=(4, 4, 2))
    x = net.conv2d(net.input, 3, 3, use_bias=False, name="without")
    x = net.conv2d(x, 3, 1, bias=True, name="with")  # type: ignore[call-arg]
    x = net.batch_norm(x, name="norm")
    x = net.conv2d(x, 3, 1, name="before_norm")
    x = net.batch_norm(x, name="last_norm")
    net.output(net.dense(net.flatten(x), 2, name="head"))
    assert [spec["layer"] for spec in net.weight_specs() if spec["role"] == "bias" and spec["set"]] == [
        "with"
    ]
    with pytest.raises(
        mpscnn.WeightsError, match=r"no weight 'without.bias'; the layer has 'without.weight'"
    ):
        net.set_weights({"without.bias": np.zeros(3, np.float32)})
    for seed in (0, 1):
        for one in (net, net.copy(), net.subgraph(["head"])):
            one.initialize_weights(seed=seed)
            assert {name for name in one.weights if name.endswith("bias")} == {"with.bias", "head.bias"}
    again = mpscnn.Network.from_graph(net.graph.copy())
    again.initialize_weights(seed=2)
    assert again.weights.keys() == net.weights.keys()
    with pytest.raises(mpscnn.ParameterError, match="use_bias must be True or False"):
        net.conv2d(net.input, 3, 3, use_bias=0)  # type: ignore[arg-type]


def test_training_adds_no_bias() -> None:
    net = mpscnn.Network(input=(4, 4, 1))
    net.output(net.softmax(net.dense(net.conv2d(net.input, 2, 3, use_bias=False), 2, use_bias=False)))
    net.initialize_weights(seed=0)
    trainer = mpscnn.Trainer(net)
    trainer.fit(X, Y)
    assert trainer.network.weights.keys() == {"conv2d_1.weight", "dense_1.weight"}


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
        ({"bias": False, "use_bias": False}, "which mean the same"),
        ({"in_channels": 3}, "follow from the tensor"),
        ({"stride": 1, "strides": 1}, "which mean the same"),
        ({"strid": 1}, r"has no argument 'strid'; did you mean 'strides'"),
    ):
        with pytest.raises(TypeError, match=message):
            net.conv2d(net.input, 4, 3, **wrong)


@pytest.mark.parametrize("name", [*PRECISIONS, "FP16", "Half"])
def test_precisions(name: str) -> None:
    wanted: Any = name
    if PRECISIONS[name.lower()] == "bfloat16" and "no_bfloat16" in mpscnn.devices()[0]:
        pytest.skip(f"bfloat16: {mpscnn.devices()[0]['no_bfloat16']}")
    assert network().compile(device="cpu", precision=wanted).precision == PRECISIONS[name.lower()]


def test_precision_by_another_name(tmp_path: Path) -> None:
    assert network().compile(dtype="half").precision == "float16"  # type: ignore[call-arg]
    assert mpscnn.load(dtype="fp16").program.precision == "float16"  # type: ignore[call-overload]
    assert mpscnn.Model(network(), dtype="half").program.precision == "float16"  # type: ignore[call-arg]
    network().save(tmp_path / "half.safetensors", dtype="fp16")  # type: ignore[arg-type]
    stored = mpscnn.load(tmp_path / "half.safetensors").network.weight("conv2d_1")
    assert stored.dtype == np.float16


@pytest.mark.parametrize("name", DEVICES)
def test_devices(name: str, command: Command) -> None:
    """Names such as "cuda" mean "metal". On a machine without Metal the error says so."""
    if mpscnn.devices()[1]["available"]:
        assert network().compile(device=name).device == "metal"
        return
    for use in (
        lambda: network().compile(device=name.upper()),
        lambda: mpscnn.load(device=name),
        lambda: mpscnn.Trainer(network(), device=name),
        lambda: mpscnn.CommandQueue(name),
    ):
        with pytest.raises(mpscnn.DeviceError, match=rf"(?i)'{name}' means 'metal': "):
            use()
    assert f"'{name}' means 'metal': " in command("profile", "digits", "--device", name).stderr


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "CUDA"])
def test_cuda_is_refused_with_what_there_is(name: str) -> None:
    there = f"this machine has 'cpu' ({mpscnn.devices()[0]['description']})"
    for use in (lambda: network().compile(device=name), lambda: mpscnn.Trainer(network(), device=name)):
        with pytest.raises(mpscnn.ParameterError) as refused:
            use()
        assert f"device {name!r} is not supported" in str(refused.value)
        assert there in str(refused.value)


#: Arguments of other frameworks: each is accepted, or its error suggests mpscnn's argument.
ARGUMENTS: list[tuple[Callable[..., Any], dict[str, Any], str | None]] = [
    (mpscnn.models.resnet18, {"num_classes": 10}, None),
    (mpscnn.models.mobilenet_v2, {"num_classes": 10}, None),
    (mpscnn.models.ssdlite320_mobilenet_v3_large, {"num_classes": 3}, None),
    (mpscnn.models.resnet18, {"pretrained": True}, "pretrained"),
    (mpscnn.models.mobilenet_v2, {"pretrained": True}, "pretrained"),
    (mpscnn.load, {"pretrained": True}, "pretrained"),
    (mpscnn.load, {"num_classes": 10}, "num_classes"),
    (mpscnn.models.resnet18, {"dtype": "half"}, "dtype"),
    (lambda **options: network().compile(**options), {"threads": 2}, "threads"),
    (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {"lr": 0.1}, "lr"),
    (lambda **options: mpscnn.Trainer(network(), **options), {"lr": 0.1, "optimizer": "adam"}, None),
    (mpscnn.Adam, {"lr": 0.1}, None),
    (mpscnn.Adam, {"betas": (0.9, 0.99)}, "betas"),
    (mpscnn.load, {"half": True}, "half"),
    (lambda **options: mpscnn.Trainer(network()).fit(**options), {"x": X, "y": Y, "nb_epoch": 1}, None),
    (
        lambda **options: mpscnn.Trainer(network()).fit(**options),
        {"train_data": (X, Y), "val_data": (X, Y)},
        None,
    ),
    *(
        (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {name: 1}, None)
        for name in ("num_epochs", "n_epochs", "max_epochs")
    ),
    *(
        (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {name: 1}, name)
        for name in (
            "patience",
            "workers",
            "seed",
            "optimizer",
            "loss",
            "lr_scheduler",
            "device",
            "validation_freq",
        )
    ),
    (lambda **options: mpscnn.Trainer(network()).step(**options), {"x": X, "y": Y}, None),
    (lambda **options: mpscnn.Trainer(network()).evaluate(**options), {"x": X, "y": Y}, None),
    (lambda **options: mpscnn.Trainer(network(), **options), {"optimiser": "sgd", "random_state": 1}, None),
    *(
        (lambda **options: mpscnn.Trainer(network(), **options), {name: 1}, name)
        for name in ("batch_size", "epochs", "callbacks", "momentum", "scheduler")
    ),
    (lambda **options: network().initialize_weights(**options), {"random_seed": 1}, None),
    *(
        (mpscnn.load, options, None)
        for options in (
            {"path": "digits"},
            {"model_name": "digits", "num_threads": 1},
            {"n_jobs": 1},
            {"class_names": [*"0123456789"], "transform": "unit"},
            {"classes": [*"0123456789"]},
        )
    ),
    *(
        (mpscnn.load, {name: 1}, name)
        for name in ("map_location", "providers", "compute_units", "fp16", "quantized", "imgsz", "batch_size")
    ),
    *(
        (lambda **options: mpscnn.load().predict(**options), options, None)
        for options in (
            {"image": PHOTO},
            {"source": PHOTO, "top_k": 2},
            {"x": PHOTO, "k": 2},
            {"img": PHOTO, "topk": 1},
        )
    ),
    *(
        (lambda **options: mpscnn.load().predict(PHOTO, **options), {name: 1}, name)
        for name in ("stream", "save", "show", "device", "imgsz", "batch_size", "verbose", "half")
    ),
    *(
        (lambda **options: mpscnn.Network(**options), {name: (8, 8, 3)}, None)
        for name in ("input_shape", "inputs")
    ),
    *(
        (lambda **options: network().save("unwritten.safetensors", **options), {name: 1}, name)
        for name in ("format", "opset_version")
    ),
    *(
        (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {name: 1}, name)
        for name in (
            *("verbose", "shuffle", "validation_split", "steps_per_epoch", "initial_epoch"),
            *("sample_weight", "class_weight"),
        )
    ),
    *(
        (lambda **options: mpscnn.Trainer(network(), **options), {name: 1}, name)
        for name in ("metrics", "criterion", "weight_decay")
    ),
]


@pytest.mark.parametrize(("function", "options", "refused"), ARGUMENTS)
def test_arguments(function: Callable[..., Any], options: dict[str, Any], refused: str | None) -> None:
    if refused is None:
        function(**options)
        return
    with pytest.raises(TypeError) as said:
        function(**options)
    assert str(said.value).endswith(f"() has no argument {refused!r}; {NO_ARGUMENTS[refused]}")


def test_arguments_of_photos(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "photo.png")
    expected = mpscnn.preprocess(PHOTO, 8, "unit")
    np.testing.assert_array_equal(mpscnn.preprocess(PHOTO, image_size=8, preprocess="unit"), expected)  # type: ignore[call-arg]
    for label in ("cat", "dog"):
        (tmp_path / "classes" / label).mkdir(parents=True)
        PHOTO.save(tmp_path / "classes" / label / "photo.png")
    folder = mpscnn.ImageFolder(root=tmp_path / "classes", target_size=8, transform="unit")  # type: ignore[call-arg]
    assert (folder.classes, next(folder.batches(2))[0].shape) == (["cat", "dog"], (2, 8, 8, 3))


def test_limits_of_detections() -> None:
    """Names of Ultralytics are accepted by `detect`, and explained for other tasks."""
    photo = Image.new("L", (64, 64))
    detector = mpscnn.load("page_digits")
    assert len(detector.predict(photo, conf=0.5, iou=0.5, max_det=1)) <= 1
    for name in ("conf", "threshold", "iou", "max_det"):
        with pytest.raises(TypeError, match=f"classify.. has no argument '{name}'; only Model.detect has"):
            mpscnn.load().predict(PHOTO, **{name: 0.5})
    for name in ("top", "top_k"):
        with pytest.raises(TypeError, match=f"detect.. has no argument '{name}'; .* by max_detections="):
            detector.predict(photo, **{name: 3})


#: Arguments of layers by the names of other frameworks.
LAYERS: list[tuple[str, list[Any], dict[str, Any], str | None]] = [
    ("conv2d", [4], {"kernel": 3, "dilation_rate": 2}, None),
    ("max_pool2d", [], {"kernel_size": 2}, None),
    ("average_pool2d", [], {"kernel": 2, "stride": 1}, None),
    ("batch_norm", [], {"eps": 1e-5}, None),
    ("dropout", [], {"p": 0.25}, None),
    ("resize", [], {"scale_factor": 2, "mode": "nearest"}, None),
    ("batch_norm", [], {"momentum": 0.9}, "momentum"),
    ("softmax", [], {"dim": 1}, "dim"),
    ("softmax", [], {"axis": 1}, "axis"),
    ("resize", [], {"align_corners": True}, "align_corners"),
    ("conv2d", [4, 3], {"padding_mode": "reflect"}, "padding_mode"),
    ("conv2d", [4, 3], {"kernel_initializer": "he_normal"}, "kernel_initializer"),
    ("conv2d", [4, 3], {"kernel_regularizer": "l2"}, "kernel_regularizer"),
]


@pytest.mark.parametrize(("layer", "given", "options", "refused"), LAYERS)
def test_arguments_of_other_layers(
    layer: str, given: list[Any], options: dict[str, Any], refused: str | None
) -> None:
    net = mpscnn.Network(input=(8, 8, 3))
    if refused is None:
        assert getattr(net, layer)(net.input, *given, **options).shape[0] is None
        return
    with pytest.raises(TypeError) as said:
        getattr(net, layer)(net.input, *given, **options)
    assert str(said.value) == f"{layer}() has no argument {refused!r}; {NO_ARGUMENTS[refused]}"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: network().conv2d(network().input, 8, 3, 1, "same"),
            "conv2d() takes only x, filters, kernel_size by position; by name strides=, ",
        ),
        (
            lambda: mpscnn.Trainer(network()).fit(X, Y, 5),
            "fit() takes only data, labels by position; by name epochs=",
        ),
        (
            lambda: mpscnn.Trainer(network(), mpscnn.Sgd()),
            "Trainer() takes only network by position; by name loss=",
        ),
        (lambda: network().compile("cpu"), "compile() takes nothing by position; by name outputs="),
        (lambda: network().input[0], "net.slice(x, rows=(0, 8))"),
        (lambda: network().input ** 2, "x * x is a square"),
        (lambda: 2 ** network().input, "x * x is a square"),
        (lambda: network().input @ network().input, "net.matmul(x, y)"),
        (lambda: abs(network().input), "net.activation(x, 'absolute')"),
        (lambda: mpscnn.History(())["loss"], "to_dict() has lists by name"),
    ],
)
def test_uses_that_are_refused(use: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as said:
        use()
    assert message in str(said.value)


class _Keras:
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None: ...


class _Writer:
    def add_scalar(self, tag: str, value: float, step: int) -> None: ...


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: mpscnn.Trainer(network()).fit((X, Y), 2), "fit takes epochs=2 by name"),
        (lambda: mpscnn.Trainer(network()).fit(X), "has no labels: data is (inputs, labels)"),
        (lambda: mpscnn.Trainer(network()).fit([X, Y]), "has no labels: data is (inputs, labels)"),
        (lambda: mpscnn.Trainer(mpscnn.load()), "got Model; a Model has model.network"),
        (lambda: mpscnn.Trainer(network(), optimizer=mpscnn.Sgd), "got the class: mpscnn.Sgd()"),
        (
            lambda: mpscnn.Trainer(network()).fit(X, Y, callbacks=[_Keras()]),
            "callback.on_epoch_end(epoch.index",
        ),
        (
            lambda: mpscnn.Trainer(network()).fit(X, Y, callbacks=_Writer()),
            "writer.add_scalar('loss', epoch.loss",
        ),
        (lambda: network().load_weights("net.safetensors"), "mpscnn.load(path).network.weights"),
        (lambda: list(network()), "layer_names() lists them"),
        (lambda: network().compile(device=0), "got 0; names are 'auto', 'cpu' and 'metal'"),
        (lambda: mpscnn.load(device=None), "got None; names are 'auto', 'cpu' and 'metal'"),
        (lambda: network().predict(np.ones((2, 1, 4, 4))), "; x.transpose(0, 2, 3, 1) fits"),
        (lambda: network().predict(np.ones((1, 4, 4))), "; x.transpose(1, 2, 0)[None] fits"),
        (lambda: network().predict(X[0]), "; x[None] fits"),
        (
            lambda: mpscnn.Trainer(network()).step(np.ones((2, 1, 4, 4)), [0, 1]),
            "; x.transpose(0, 2, 3, 1) fits",
        ),
        (lambda: mpscnn.Trainer(network()).fit([*zip(X, Y, strict=True)]), "a DataLoader makes batches"),
        (lambda: mpscnn.FeatureExtractor(mpscnn.load(), "pool"), "got Model; a Model has model.network"),
        (lambda: mpscnn.FeatureExtractor("digits", "pool"), "got str; mpscnn.load(path) reads files"),
        (lambda: mpscnn.evaluate("digits", []), "got str; mpscnn.load(name or path) makes one"),
        (
            lambda: mpscnn.evaluate(network(), []),
            "got Network; mpscnn.Model(network, preprocess=...) makes one",
        ),
        (lambda: mpscnn.evaluate_detector("digits", "photos", "boxes.json"), "expected a Model, got str"),
        (lambda: mpscnn.evaluate_segmenter("digits", []), "expected a Model, got str"),
        (lambda: mpscnn.Runner("digits"), "got str; mpscnn.load(name or path) makes a Model"),
        (lambda: mpscnn.Runner(network()), "mpscnn.Model(network) or network.compile() makes one"),
        (lambda: mpscnn.Trainer("net.onnx"), "got str; mpscnn.load(path) reads files"),
        (lambda: mpscnn.load().predict(np.full((9, 9, 3), 7)), "give numpy.asarray(array, numpy.uint8)"),
        (lambda: mpscnn.load().predict(iter([PHOTO])), "Runner.map takes photos one after the other"),
        (lambda: mpscnn.load().classify(["cat.png"]), "Model.predict takes a list of photos"),
        (
            lambda: mpscnn.load().predict("~/cat.jpg"),
            "only shells replace '~': pathlib.Path(path).expanduser()",
        ),
        (lambda: mpscnn.load("~/net.onnx"), "only shells replace '~': pathlib.Path(path).expanduser()"),
        (
            lambda: network().save("~/net.safetensors"),
            "only shells replace '~': pathlib.Path(path).expanduser()",
        ),
    ],
)
def test_values_that_are_refused(use: Callable[[], Any], message: str) -> None:
    with pytest.raises(mpscnn.Error) as said:
        use()
    assert message in str(said.value)


def test_uses_that_work() -> None:
    trainer = mpscnn.Trainer(network())
    assert [epoch.index for epoch in trainer.iter_epochs(X, Y, epochs=2)] == [1, 2]
    free = mpscnn.Network(input=(None, None, 3))
    free.output(free.conv2d(free.input, 2, 3))
    assert free.summary(16) == free.summary((16, 16))
    for name in ("CPU", "cpu:0", "Auto"):
        assert network().compile(device=name).device in ("cpu", "metal")
    for number_format in (np.float16, np.dtype("float16")):
        assert network().compile(dtype=number_format).precision == "float16"  # type: ignore[call-arg]
        assert mpscnn.Trainer(network(), precision=np.float32) is not None  # type: ignore[arg-type]
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    assert network().compile(dtype=torch.float16).precision == "float16"  # type: ignore[call-arg]
    assert network().compile(device=torch.device("cpu")).device == "cpu"


def test_early_stopping_by_the_names_of_keras() -> None:
    given = {"monitor": "loss", "min_delta": 0.25, "patience": 3, "restore_best_weights": False}
    same = mpscnn.EarlyStopping(3, "loss", minimum_change=0.25, restore_best=False)
    assert mpscnn.EarlyStopping(**given) == same  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="which mean the same"):
        mpscnn.EarlyStopping(minimum_change=0.1, min_delta=0.1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", [name for name, text in SAID["Network"].items() if "activation(" in text])
def test_the_functions_that_hints_name(name: str) -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    known = {"net": net, "x": net.input}
    assert eval(SAID["Network"][name].removesuffix(" applies it"), known).shape == net.input.shape


def test_number_of_classes() -> None:
    assert mpscnn.models.resnet18(num_classes=7).outputs[0].shape == (None, 7)  # type: ignore[call-arg]


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


@pytest.mark.parametrize("optimizer", [mpscnn.SGD, mpscnn.RMSprop, mpscnn.Adam])
def test_optimizers_take_no_weights(optimizer: Callable[..., Any]) -> None:
    net = network()
    for weights in (net.parameters, list(net.weights.values()), iter(net.weights.values())):
        with pytest.raises(TypeError, match=r"takes a learning rate and no weights: mpscnn.Trainer\(network"):
            optimizer(weights, lr=0.1)


def test_evaluation_takes_what_a_training_takes() -> None:
    trainer = mpscnn.Trainer(network())
    assert trainer.evaluate(X, Y) == trainer.evaluate((X, Y))


@pytest.mark.parametrize(("name", "ours"), [*WORDS.items(), ("MSE", "mean_squared_error")])
def test_losses(name: str, ours: str) -> None:
    rows = np.eye(2, dtype=np.float32)[Y]
    assert mpscnn.Trainer(network(), loss=name).step(X, rows) == mpscnn.Trainer(network(), loss=ours).step(
        X, rows
    )


def test_models_of_other_frameworks_are_explained() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    module = torch.nn.Linear(4, 2)
    for use in (mpscnn.load, mpscnn.Model, mpscnn.Trainer):
        with pytest.raises(mpscnn.ParameterError, match=r"; mpscnn.from_torch\(module, example\) makes"):
            use(module)
    for given, example, message in (
        ("net.pt", None, r"got str; mpscnn.load\(path\) reads files"),
        (module.state_dict(), None, r"got OrderedDict; module.load_state_dict\(weights\) sets"),
        (module, (1, 4), r"got int; torch.rand\(shape\) is an example"),
    ):
        with pytest.raises(mpscnn.ParameterError, match=message):
            mpscnn.from_torch(given, example)
    with pytest.raises(TypeError, match=r"no argument 'dynamic_axes'; dynamic_shapes= says it"):
        mpscnn.from_torch(module, torch.rand(1, 4), dynamic_axes={})  # type: ignore[call-arg]
    with pytest.warns(UserWarning, match="training mode") as warned:
        mpscnn.from_torch(torch.nn.Linear(4, 2).train(), torch.rand(1, 4))
    assert warned[0].filename == __file__
