"""Test arguments of other frameworks: each is accepted, or its error suggests mpscnn's name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from guessed_objects import PHOTO, X, Y, network
from PIL import Image

import mpscnn
from mpscnn._private.hints import twin_of
from mpscnn._private.other_arguments import argument_names


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
        ({"in_channels": 3}, "it takes x, "),
        ({"stride": 1, "strides": 1}, "which mean the same"),
        ({"strid": 1}, r"has no argument 'strid'; did you mean 'strides'"),
    ):
        with pytest.raises(TypeError, match=message):
            net.conv2d(net.input, 4, 3, **wrong)


def test_precision_by_another_name(tmp_path: Path) -> None:
    assert network().compile(dtype="half").precision == "float16"  # type: ignore[call-arg]
    assert mpscnn.load(dtype="fp16").program.precision == "float16"  # type: ignore[call-overload]
    assert mpscnn.Model(network(), dtype="half").program.precision == "float16"  # type: ignore[call-arg]
    network().save(tmp_path / "half.safetensors", dtype="fp16")  # type: ignore[arg-type]
    stored = mpscnn.load(tmp_path / "half.safetensors").network.weight("conv2d_1")
    assert stored.dtype == np.float16


#: Arguments of other frameworks: each is accepted, or its error suggests mpscnn's argument.
ARGUMENTS: list[tuple[Callable[..., Any], dict[str, Any], str | None]] = [
    (mpscnn.models.resnet18, {"num_classes": 10}, None),
    (mpscnn.models.mobilenet_v2, {"num_classes": 10}, None),
    (mpscnn.models.ssdlite320_mobilenet_v3_large, {"num_classes": 3}, None),
    (mpscnn.models.resnet18, {"pretrained": True}, "pretrained"),
    (mpscnn.models.resnet18, {"dtype": "half"}, "dtype"),
    (lambda **options: network().compile(**options), {"threads": 2}, "threads"),
    (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {"lr": 0.1}, "lr"),
    (lambda **options: mpscnn.Trainer(network(), **options), {"lr": 0.1, "optimizer": "adam"}, None),
    (mpscnn.Adam, {"lr": 0.1}, None),
    (mpscnn.Adam, {"betas": (0.9, 0.99)}, "betas"),
    (mpscnn.load, {"half": True}, None),
    (lambda **options: mpscnn.load().predict(np.asarray(PHOTO), **options), {"bgr": True}, None),
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
    (lambda **options: mpscnn.Trainer(network()).step(**options), {"x": X, "y": Y}, None),
    (lambda **options: mpscnn.Trainer(network()).evaluate(**options), {"x": X, "y": Y}, None),
    (lambda **options: mpscnn.Trainer(network(), **options), {"optimiser": "sgd", "random_state": 1}, None),
    (lambda **options: mpscnn.Trainer(network(), **options), {"epochs": 1}, "epochs"),
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
    (mpscnn.load, {"map_location": 1}, "map_location"),
    *(
        (lambda **options: mpscnn.load().predict(**options), options, None)
        for options in (
            {"image": PHOTO},
            {"source": PHOTO, "top_k": 2},
            {"x": PHOTO, "k": 2},
            {"img": PHOTO, "topk": 1},
        )
    ),
    (lambda **options: mpscnn.load().predict(PHOTO, **options), {"augment": 1}, "augment"),
    *(
        (lambda **options: mpscnn.Runner(mpscnn.load(), **options), {name: 1}, None)
        for name in ("batch_size", "max_batch_size", "in_flight", "num_threads", "n_jobs")
    ),
    (lambda **options: mpscnn.Runner(mpscnn.load(), **options), {"workers": 1}, "workers"),
    *(
        (lambda **options: mpscnn.Runner(mpscnn.load()).submit(PHOTO, **options).result(), {name: 1}, None)
        for name in ("k", "topk", "top_k")
    ),
    (lambda **options: mpscnn.load().features(**options), {"layer": "pool"}, None),
    (
        lambda **options: mpscnn.FeatureExtractor(network(), **options),
        {"layer": "conv2d_1", "num_threads": 1},
        None,
    ),
    *(
        (lambda **options: mpscnn.compare(network(), network(), **options), {name: 0.1}, None)
        for name in ("tol", "rtol")
    ),
    *(
        (lambda **options: mpscnn.Network(**options), {name: (8, 8, 3)}, None)
        for name in ("input_shape", "inputs")
    ),
    (lambda **options: network().save("unwritten.safetensors", **options), {"format": 1}, "format"),
    (lambda **options: mpscnn.Trainer(network()).fit(X, Y, **options), {"shuffle": 1}, "shuffle"),
]


def explained(message: str, refused: str) -> bool:
    """Return True if a message refuses the argument, with the lead of the table if it has one."""
    lead = twin_of("argument", refused)
    return message.endswith(f"; {lead}" if lead else "") and f"() has no argument {refused!r}" in message


@pytest.mark.parametrize(("function", "options", "refused"), ARGUMENTS)
def test_arguments(function: Callable[..., Any], options: dict[str, Any], refused: str | None) -> None:
    if refused is None:
        function(**options)
        return
    with pytest.raises(TypeError) as said:
        function(**options)
    assert explained(str(said.value), refused)


def test_arguments_of_photos(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "photo.png")
    expected = mpscnn.preprocess(PHOTO, 8, "unit")
    np.testing.assert_array_equal(mpscnn.preprocess(PHOTO, image_size=8, preprocess="unit"), expected)  # type: ignore[call-arg]
    for label in ("cat", "dog"):
        (tmp_path / "classes" / label).mkdir(parents=True)
        PHOTO.save(tmp_path / "classes" / label / "photo.png")
    folder = mpscnn.ImageFolder(root=tmp_path / "classes", target_size=8, preprocessing="unit")  # type: ignore[call-arg]
    assert (folder.classes, next(folder.batches(2))[0].shape) == (["cat", "dog"], (2, 8, 8, 3))


def test_limits_of_detections() -> None:
    """Names of Ultralytics are accepted by `detect`, and explained for other tasks."""
    photo = Image.new("L", (64, 64))
    detector = mpscnn.load("page_digits")
    assert len(detector.predict(photo, conf=0.5, iou=0.5, max_det=1)) <= 1
    for name in ("conf", "threshold", "iou", "max_det"):
        with pytest.raises(TypeError, match=f"classify.. has no argument '{name}'; Model.detect has score"):
            mpscnn.load().predict(PHOTO, **{name: 0.5})
    for name in ("top", "top_k"):
        with pytest.raises(
            TypeError, match=f"detect.. has no argument '{name}'; Model.detect has .* max_detections="
        ):
            detector.predict(photo, **{name: 3})


#: Layers with arguments by the names of other frameworks, and the argument that is refused, if one is.
LAYERS: list[tuple[str, list[Any], dict[str, Any], str | None]] = [
    ("conv2d", [4], {"kernel": 3, "dilation_rate": 2}, None),
    ("max_pool2d", [], {"kernel_size": 2}, None),
    ("average_pool2d", [], {"kernel": 2, "stride": 1}, None),
    ("batch_norm", [], {"eps": 1e-5}, None),
    ("dropout", [], {"p": 0.25}, None),
    ("resize", [], {"scale_factor": 2, "mode": "nearest"}, None),
    ("batch_norm", [], {"momentum": 0.9}, "momentum"),
    ("softmax", [], {"dim": 1}, "dim"),
    ("resize", [], {"align_corners": True}, "align_corners"),
    ("conv2d", [4, 3], {"padding_mode": "reflect"}, "padding_mode"),
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
    assert explained(str(said.value).removeprefix(layer), refused)


def test_early_stopping_by_the_names_of_keras() -> None:
    given = {"monitor": "loss", "min_delta": 0.25, "patience": 3, "restore_best_weights": False}
    same = mpscnn.EarlyStopping(3, "loss", minimum_change=0.25, restore_best=False)
    assert mpscnn.EarlyStopping(**given) == same  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="which mean the same"):
        mpscnn.EarlyStopping(minimum_change=0.1, min_delta=0.1)  # type: ignore[call-arg]


def test_number_of_classes() -> None:
    assert mpscnn.models.resnet18(num_classes=7).outputs[0].shape == (None, 7)  # type: ignore[call-arg]


def error_of(function: Callable[[], Any]) -> str:
    """Return the TypeError of a call without arguments, or ""."""
    try:
        function()
    except TypeError as error:
        return str(error)
    except mpscnn.Error:
        pass  # it needs no arguments
    return ""


def test_errors_about_missing_arguments_show_a_call() -> None:
    """Walk the functions and common classes of `mpscnn`, and all methods of a network."""
    net = network()
    functions: dict[str, Any] = {
        name: getattr(net, name)
        for name in dir(net)
        if not name.startswith("_") and callable(getattr(net, name, None))
    }
    functions |= {
        name: getattr(mpscnn, name)
        for name in mpscnn.__all__
        if isinstance(getattr(mpscnn, name), FunctionType)
        or name in ("Model", "Network", "Runner", "Trainer", "ImageFolder")
    }
    said = {name: error_of(function) for name, function in functions.items()}
    missing = {name: text for name, text in said.items() if "missing" in text}
    assert len(missing) > 60
    assert {name: text for name, text in missing.items() if "; call " not in text} == {}
    with pytest.raises(TypeError, match=r"call quantize\(network, images\): Quantise"):
        mpscnn.quantize(net, X, Y, Y)  # type: ignore[misc]


def test_public_functions_lead_from_unknown_arguments() -> None:
    """The error of each function of `mpscnn` names a similar argument, or lists the arguments."""
    silent = []
    for name in mpscnn.__all__:
        function = getattr(mpscnn, name)
        # A function of one or two arguments has no others that a user could mean.
        if isinstance(function, FunctionType) and len(argument_names(inspect.unwrap(function))) > 2:
            with pytest.raises(TypeError) as said:
                function(no_such_argument=1)
            if not any(lead in str(said.value) for lead in ("; it takes ", "missing", "takes nothing")):
                silent.append(name)
    assert silent == []
