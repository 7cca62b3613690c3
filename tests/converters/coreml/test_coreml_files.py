"""Test Core ML's files in the commands and in `mpscnn.load`: photos, labels, packages and names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.coreml_classifier import LABELS, PIXELS, classifier, expected, probabilities, program
from converters.coreml_writer import Program, add, array, image, model, saved, settings
from PIL import Image

import mpscnn
from mpscnn import converters
from mpscnn._private.installation import install_command

_DRAW = np.random.default_rng(13)


def test_a_mean_image_is_a_part_of_the_network(tmp_path: Path) -> None:
    message = classifier()
    mean = _DRAW.uniform(0, 2, (3, 6, 8))
    message.neuralNetworkClassifier.preprocessing.add(featureName="photo").meanImage.meanImage.extend(
        mean.astype(np.float32).reshape(-1).tolist()
    )
    wanted = expected(
        PIXELS.astype(np.float64) * 0.02 + [-1.0, -2.0, -3.0] - mean.transpose(1, 2, 0), [0.0] * 3, 1.0
    )
    np.testing.assert_allclose(probabilities(saved(message, tmp_path / "mean.mlmodel")), wanted, atol=1e-6)


@pytest.mark.parametrize("labels", [LABELS, [10, -3, 7, 2**40]])
def test_the_command_classifies(
    labels: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The labels of a file are texts or integers of 64 bits. The command prints both as text."""
    message = classifier()
    if labels is not LABELS:
        message.neuralNetworkClassifier.ClearField("stringClassLabels")
        message.neuralNetworkClassifier.int64ClassLabels.vector.extend(labels)
    path, photo = saved(message, tmp_path / "photos.mlmodel"), tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(photo)
    assert call("classify", str(photo), "--model", str(path)) == 0
    best = labels[int(expected(PIXELS, [-1.0, -2.0, -3.0]).argmax())]
    assert str(best) in capsys.readouterr().out.splitlines()[1]


STYLE = np.random.default_rng(14).normal(size=(3, 3))


def image_filter(order: int) -> Any:
    """Return a model whose input and output are images: a 1x1 convolution."""
    message = model({"photo": image(6, 8)}, {"styled": image(6, 8, order)})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = net.imageInputShapeMapping = 1
    mixed = STYLE if order != 10 else STYLE[:1]
    fill = settings(
        outputChannels=len(mixed),
        kernelChannels=3,
        kernelSize=[1, 1],
        weights=mixed,
        hasBias=True,
        bias=mixed[:, 0],
        valid={},
    )
    add(net, "convolution", "photo", "styled", fill)
    return message


@pytest.mark.parametrize("order", [10, 20, 30])
@pytest.mark.parametrize("kind", ["neural network", "program"])
def test_image_outputs_are_arrays(kind: str, order: int, tmp_path: Path) -> None:
    """An image output has the numbers of the tensor, before Core ML rounds and clips them to samples."""
    mixed = STYLE if order != 10 else STYLE[:1]
    if kind == "program":
        made = Program({"photo": (1, 3, 6, 8)}, {"photo": image(6, 8)})
        output = made.message.description.output[0]
        output.type.Clear()
        image(6, 8, order)(output.type)
        made.add("conv", "y", x="%photo", weight=mixed.reshape(-1, 3, 1, 1), bias=mixed[:, 0])
        path = made.saved(tmp_path / "style.mlpackage")
    else:
        path = saved(image_filter(order), tmp_path / "style.mlmodel")
    network = converters.read_network([path])
    found = network.compile(device="cpu").session().run(PIXELS[None].astype(np.float32))
    wanted = PIXELS @ mixed.T + mixed[:, 0]
    assert wanted.min() < 0.0
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("blob", [True, False])
def test_packages(blob: bool, tmp_path: Path) -> None:
    path = program(blob=blob).saved(tmp_path / "photos.mlpackage")
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)
    assert converters.read_network([path]).labels == LABELS


def test_the_scaling_of_photos_that_coremltools_wrote_is_preprocessing(tmp_path: Path) -> None:
    """Operations with other names stay layers, and so do operations whose operand another one reads, too."""
    path = program(named="photo").saved(tmp_path / "photos.mlpackage")
    network = converters.read_network([path])
    assert network.preprocess["scale"] == [float(np.float32(0.02))] * 3  # type: ignore[index, call-overload]
    np.testing.assert_allclose(network.preprocess["mean"], [50.0, 100.0, 150.0], rtol=1e-6)  # type: ignore[index, call-overload]
    assert next(node["operation"] for node in network.to_dict()["nodes"]) == "convolution"
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)

    other = program(named="other")
    twice = program(named="photo")
    twice.add("reduce_mean", "brightness", x="%photo", axes=[2, 3], keep_dims=False)
    twice.block.outputs.append("brightness")
    for name, made in (("other", other), ("twice", twice)):
        network = converters.read_network([made.saved(tmp_path / f"{name}.mlpackage")])
        assert network.preprocess["scale"] == [1.0] * 3  # type: ignore[index, call-overload]


def test_the_main_function_of_several_is_read(tmp_path: Path) -> None:
    made = program()
    other = made.message.mlProgram.functions.add(key="other").value
    other.CopyFrom(made.function)
    other.block_specializations[0].value.operations[-1].type = "brand_new"
    description = made.message.description
    described = description.functions.add(name="main")
    described.input.add().CopyFrom(description.input[0])
    description.defaultFunctionName = "main"
    del description.input[:]
    path = made.saved(tmp_path / "several.mlpackage")
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)


def test_constants_of_layers(tmp_path: Path) -> None:
    """Test layers that read constants: positions, factors, and tensors of one number."""
    message = model({"x": array((1, 4, 5, 6))}, {"y": array((1, 2, 5, 6))})
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1
    add(net, "loadConstantND", "", "places", settings(shape=[2], data=np.array([3.0, 1.0])))
    add(net, "gather", "x places", "taken", settings(axis=1))
    factors = _DRAW.uniform(1, 2, (2, 1, 1))
    add(net, "loadConstant", "", "factors", settings(shape=[2, 1, 1], data=factors))
    add(net, "multiplyBroadcastable", "taken factors", "scaled")
    add(net, "fillStatic", "", "three", settings(value=3.0, targetShape=[1, 1, 5, 6]))
    add(net, "addBroadcastable", "scaled three", "y")
    network = converters.read_network([saved(message, tmp_path / "constants.mlmodel")])
    x = _DRAW.normal(size=(1, 5, 6, 4)).astype(np.float32)
    found = network.compile(device="cpu").session().run(x)
    np.testing.assert_allclose(found, x[..., [3, 1]] * factors.reshape(-1) + 3.0, rtol=1e-5, atol=1e-5)


def test_layers_keep_the_names_of_the_file(tmp_path: Path) -> None:
    """Layers that the reader adds have the name of the file's layer as prefix.

    The output has the name that the file gives it. So a layer whose result is reshaped to the output gets a number.
    """
    message = classifier()
    wanted = ["features/1", "Mean of channels", "probs_1"]
    for layer, name in zip(message.neuralNetworkClassifier.layers, wanted, strict=True):
        layer.name = name
    paths = [saved(message, tmp_path / "photos.mlmodel"), program().saved(tmp_path / "photos.mlpackage")]
    for path, names in zip(paths, (wanted, ["made", "means", "soft_2"]), strict=True):
        network = converters.read_network([path])
        kinds = {node["operation"]: node["name"] for node in network.to_dict()["nodes"]}
        assert [kinds[kind] for kind in ("convolution", "pooling", "softmax")] == names
        x = PIXELS[None].astype(np.float32)
        assert network.compile(device="cpu", outputs=names[:1]).session().run(x).shape == (1, 4, 6, 4)
        profiled = network.compile(device="cpu").session().profile(x, runs=1)
        assert set(names) <= {layer for step in profiled.steps for layer in step.layers}


def test_outputs_of_neural_networks_keep_their_names(tmp_path: Path) -> None:
    """Layers have other names than blobs. A layer that has the name of an output gets a number."""
    message = model({"x": array((1, 4, 5, 6))}, dict.fromkeys(("first", "last", "same"), array((1, 4, 5, 6))))
    net = message.neuralNetwork
    net.arrayInputShapeMapping = 1
    filters = _DRAW.normal(size=(4, 4, 1, 1))
    fill = settings(outputChannels=4, kernelChannels=4, kernelSize=[1, 1], weights=filters, valid={})
    add(net, "convolution", "x", "convolved", fill).name = "last"
    add(net, "activation", "convolved", "first", settings(ReLU={})).name = "relu"
    add(net, "convolution", "first", "middle", fill).name = "same"
    add(net, "unary", "middle", "last", settings(type=6)).name = "abs"
    add(net, "copy", "last", "same").name = "copy"
    network = converters.read_network([saved(message, tmp_path / "one.mlmodel")])
    assert [tensor.name for tensor in network.outputs] == ["first", "last", "same"]
    x = _DRAW.normal(size=(1, 5, 6, 4)).astype(np.float32)
    found = network.compile(device="cpu").session().run(x)
    first = np.maximum(x @ filters[:, :, 0, 0].T, 0)
    last = abs(first @ filters[:, :, 0, 0].T)
    for name, wanted in (("first", first), ("last", last), ("same", last)):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-4)


def test_links_into_a_download_cache(tmp_path: Path) -> None:
    """Download caches have all files in one folder, and folders of links to them."""
    package, cache = program().saved(tmp_path / "photos.mlpackage"), tmp_path / "cache"
    cache.mkdir()
    for number, path in enumerate([path for path in package.rglob("*") if path.is_file()]):
        path.rename(cache / str(number))
        path.symlink_to(cache / str(number))
    assert converters.read_network([package]).layer_names()


def test_writing_needs_coremltools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """tests/oracles/test_coreml_written.py tests writing with coremltools."""
    monkeypatch.setitem(sys.modules, "coremltools", None)
    assert call("convert", "digits", str(tmp_path / "digits.mlpackage")) == 1
    assert f"needs coremltools: {install_command('coreml')}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_core_ml_cannot_hold_is_refused(tmp_path: Path) -> None:
    network = mpscnn.load("digits").network
    with pytest.raises(
        mpscnn.ParameterError, match=r"dtype must be 'float32', .* got 'int4'; uint8 is the type"
    ):
        converters.export_coreml(network, tmp_path / "digits.mlmodel", dtype="int4")
    with pytest.raises(mpscnn.ParameterError, match=r"ends in \.mlpackage or \.mlmodel"):
        converters.export_coreml(network, tmp_path / "digits.onnx")
