"""Test Core ML's files in the commands and in `mpscnn.load`: packages, photos, labels, and files that are refused."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.coreml_writer import Program, add, array, image, model, numbers, saved, settings
from numpy.typing import NDArray
from PIL import Image

import mpscnn
from mpscnn import converters
from mpscnn.converters.isolated_check import check_in_process
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError

_DRAW = np.random.default_rng(13)
FILTERS, BIAS = _DRAW.normal(size=(4, 3, 3, 3)) * 0.01, _DRAW.normal(size=4)
LABELS = ["cat", "dog", "house", "tree"]


def labels(message: Any) -> None:
    """Add class labels to a neural network."""
    message.type.dictionaryType.SetInParent()


def classifier(*, order: int = 20, old: bool = True, scaler: bool = True) -> Any:
    """Return a convolution, the mean of each channel, and a softmax over four classes.

    `order`: the photo's channels, as in `image`. `old`: a file of version 3. `scaler`: the file scales samples.
    """
    message = model({"photo": image(6, 8, order)}, {}, version=3 if old else 5)
    message.description.output.add(name="probabilities").type.dictionaryType.SetInParent()
    message.description.output.add(name="label").type.stringType.SetInParent()
    message.description.predictedFeatureName = "label"
    message.description.predictedProbabilitiesName = "probabilities"
    net = message.neuralNetworkClassifier
    net.arrayInputShapeMapping = net.imageInputShapeMapping = int(not old)
    if scaler:
        prepared = net.preprocessing.add(featureName="photo").scaler
        prepared.channelScale, prepared.redBias, prepared.greenBias, prepared.blueBias = (
            0.02,
            -1.0,
            -2.0,
            -3.0,
        )
    fill = settings(
        outputChannels=4,
        kernelChannels=3,
        kernelSize=[3, 3],
        weights=FILTERS,
        hasBias=True,
        bias=BIAS,
        valid={},
    )
    add(net, "convolution", "photo", "conv", fill)
    add(net, "pooling", "conv", "pool", settings(type=1, globalPooling=True))
    add(net, "softmax", "pool", "soft")
    net.labelProbabilityLayerName = "soft"
    net.stringClassLabels.vector.extend(LABELS)
    return message


def expected(
    pixels: NDArray[Any], biases: list[float], scale: float = 0.02, *, bgr: bool = False
) -> NDArray[Any]:
    """Return the probabilities of a photo."""
    x = pixels.astype(np.float64) * scale + biases
    x = x[..., ::-1] if bgr else x
    sums = np.zeros(4)
    for row in range(4):
        for column in range(6):
            part = x[row : row + 3, column : column + 3].transpose(2, 0, 1)
            sums += np.einsum("cij,ocij->o", part, FILTERS) + BIAS
    exponentials = np.exp(sums / 24)
    return exponentials / exponentials.sum()


PIXELS = _DRAW.integers(0, 256, (6, 8, 3), np.uint8)


def probabilities(path: Path) -> NDArray[Any]:
    """Return the probabilities that a loaded model gives for the pixels."""
    found = mpscnn.load(path, device="cpu").predict(Image.fromarray(PIXELS), top=4)
    by_label = {one.label: one.probability for one in found}
    return np.array([by_label[label] for label in LABELS])


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("order", [20, 30])
def test_photos_become_the_input_as_the_file_says(order: int, old: bool, tmp_path: Path) -> None:
    path = saved(classifier(order=order, old=old), tmp_path / "photos.mlmodel")
    wanted = expected(PIXELS, [-1.0, -2.0, -3.0], bgr=order == 30)
    np.testing.assert_allclose(probabilities(path), wanted, atol=1e-6)


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


def test_the_command_classifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(classifier(), tmp_path / "photos.mlmodel")
    photo = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(photo)
    assert call("classify", str(photo), "--model", str(path)) == 0
    best = LABELS[int(expected(PIXELS, [-1.0, -2.0, -3.0]).argmax())]
    assert best in capsys.readouterr().out.splitlines()[1]


def test_numbers_as_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints int64 labels of a classifier as text."""
    message = classifier()
    net = message.neuralNetworkClassifier
    net.ClearField("stringClassLabels")
    net.int64ClassLabels.vector.extend([10, -3, 7, 2**40])
    path = saved(message, tmp_path / "photos.mlmodel")
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    assert call("classify", str(tmp_path / "photo.png"), "--model", str(path)) == 0
    best = ["10", "-3", "7", "1099511627776"][int(expected(PIXELS, [-1.0, -2.0, -3.0]).argmax())]
    assert best in capsys.readouterr().out.splitlines()[1]


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


STYLE = np.random.default_rng(14).normal(size=(3, 3))


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


def program(*, blob: bool = True, named: str = "") -> Program:
    """Return the classifier as a program. With `blob` its filters are in the file of weights, otherwise in the program.

    `named`: the prefix of the names of the operations that scale photos, as coremltools writes it.
    """
    made = Program({"photo": (1, 3, 6, 8)})
    made.message.description.input[0].type.Clear()
    image(6, 8)(made.message.description.input[0].type)
    scaled, moved = (f"{named}{one}" for one in ("__scaled__", "__biased__"))
    made.add("mul", scaled, x="%photo", y=np.float32(0.02))
    made.add("add", moved, x=f"%{scaled}", y=np.float32([-1.0, -2.0, -3.0]).reshape(1, 3, 1, 1))
    if blob:
        made.constant("filters", FILTERS.astype(np.float32).tobytes(), kind=11, stored=2, shape=FILTERS.shape)
    else:
        made.constant("filters", FILTERS)
    made.constant("bias", BIAS)
    made.add("conv", "made", x=f"%{moved}", weight="%filters", bias="%bias")
    made.add("reduce_mean", "means", x="%made", axes=[2, 3], keep_dims=False)
    made.add("softmax", "soft", x="%means", axis=-1)
    made.classify("soft", LABELS)
    return made


@pytest.mark.parametrize("blob", [True, False])
def test_packages(blob: bool, tmp_path: Path) -> None:
    path = program(blob=blob).saved(tmp_path / "photos.mlpackage")
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)
    assert check_in_process(path).sentence == "not checked: Core ML predicts on macOS only"
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


def test_a_changed_package_is_converted_again(tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    before = probabilities(path)
    weights = path / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    content = bytearray(weights.read_bytes())
    content[128:] = bytes(len(content) - 128)
    weights.write_bytes(content)
    assert np.abs(probabilities(path) - before).max() > 1e-4


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


def test_states_are_refused_by_name(tmp_path: Path) -> None:
    made = program()
    made.message.description.state.add(name="memory").type.stateType.SetInParent()
    with pytest.raises(UnsupportedError, match="keeps the state 'memory' between runs"):
        converters.read_network([made.saved(tmp_path / "state.mlpackage")])


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


def test_other_kinds_of_models_are_named(tmp_path: Path) -> None:
    message = model({"x": array((1, 4))}, {"y": array((1, 4))})
    message.treeEnsembleClassifier.SetInParent()
    with pytest.raises(UnsupportedError, match="a model of the kind treeEnsembleClassifier, not a network"):
        converters.read_network([saved(message, tmp_path / "tree.mlmodel")])


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("kind", ["visionFeaturePrint", "audioFeaturePrint"])
def test_networks_that_lie_in_apples_systems(kind: str, within: bool, tmp_path: Path) -> None:
    """Files of Create ML hold the layers after the network."""
    message = model({"x": array((1, 4))}, {"y": array((1, 4))})
    getattr(message, kind).SetInParent()
    if within:
        message = pipeline_of(message, "pipelineClassifier")
        message.pipelineClassifier.pipeline.models.add(specificationVersion=5).glmClassifier.SetInParent()
    with pytest.raises(UnsupportedError, match=rf"its network \({kind}\) lies in Apple's systems"):
        converters.read_network([saved(message, tmp_path / "pets.mlmodel")])


def test_inputs_that_are_no_images_or_arrays_are_named(tmp_path: Path) -> None:
    message = model({}, {"y": array((1, 4))})
    message.description.input.add(name="word").type.stringType.SetInParent()
    add(message.neuralNetwork, "tanh", "word", "y")
    with pytest.raises(UnsupportedError, match="input 'word' is a text; supported are images and arrays"):
        converters.read_network([saved(message, tmp_path / "text.mlmodel")])


# ---- Names of outputs ----------------------------------------------------------------------------------------------


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


def test_outputs_of_programs_keep_their_names(tmp_path: Path) -> None:
    made = Program({"x": (1, 4, 5, 6)})
    made.add("relu", "positive", x="%x")
    for name in ("state_out", "copy_out"):
        made.add("identity", name, x="%positive")
    made.add("transpose", "turned", x="%positive", perm=[0, 1, 3, 2])
    made.block.outputs[:] = ["turned", "state_out", "copy_out"]
    network = converters.read_network([made.saved(tmp_path / "one.mlpackage")])
    assert [tensor.name for tensor in network.outputs] == ["turned", "state_out", "copy_out"]


# ---- Allowed sizes -------------------------------------------------------------------------------------------------


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


# ---- Regressors ----------------------------------------------------------------------------------------------------

SLOPES = np.random.default_rng(15).normal(size=(2, 5))


def regressor(*, number: bool) -> Any:
    """Return a regressor of five numbers, and a layer after its prediction. `number`: it predicts one number."""
    rows = SLOPES[: 1 if number else 2]
    message = model({"x": array((5,))}, {} if number else {"price": array((len(rows),))}, version=1)
    if number:
        message.description.output.add(name="price").type.doubleType.SetInParent()
    message.description.predictedFeatureName = "price"
    fill = settings(inputChannels=5, outputChannels=len(rows), weights=rows, hasBias=True, bias=rows[:, 0])
    add(message.neuralNetworkRegressor, "innerProduct", "x", "price", fill)
    add(message.neuralNetworkRegressor, "activation", "price", "unused", settings(tanh={}))
    return message


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize("within", ["", "pipeline", "pipelineRegressor"])
def test_regressors(within: str, number: bool, tmp_path: Path) -> None:
    message = regressor(number=number)
    if within:
        message = pipeline_of(message, within)
    network = converters.read_network([saved(message, tmp_path / "price.mlmodel")])
    x = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    rows = SLOPES[: 1 if number else 2]
    found = network.compile(device="cpu").session().run(x.reshape(3, *network.input.shape[1:]))
    assert [output.shape for output in network.outputs] == [(None, len(rows))]
    np.testing.assert_allclose(found, x @ rows.T + rows[:, 0], rtol=1e-5, atol=1e-5)


def pipeline_of(part: Any, kind: str) -> Any:
    """Return a pipeline of one model, with the model's description."""
    message = model({}, {}, version=part.specificationVersion)
    message.description.CopyFrom(part.description)
    held = getattr(message, kind)
    (held if kind == "pipeline" else held.pipeline).models.add().CopyFrom(part)
    return message


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier"])
def test_pipelines_of_a_classifier(kind: str, tmp_path: Path) -> None:
    path = saved(pipeline_of(classifier(), kind), tmp_path / "photos.mlmodel")
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)


# ---- Pipelines -----------------------------------------------------------------------------------------------------

KERNEL = _DRAW.normal(size=(6, 3, 1, 1)) * 0.02


def detector(*, batch: bool, per_class: bool) -> Any:
    """Return a pipeline with a box and two scores for each pixel. `batch`: whether tensors have a batch axis."""
    message = model({"photo": image(6, 8)}, {}, version=5)
    part = message.pipeline.models.add(specificationVersion=5)
    part.CopyFrom(
        model({"photo": image(6, 8)}, {"places": array((48, 4)), "chances": array((48, 2))}, version=5)
    )
    net = part.neuralNetwork
    net.arrayInputShapeMapping = net.imageInputShapeMapping = 1
    fill = settings(outputChannels=6, kernelChannels=3, kernelSize=[1, 1], weights=KERNEL, valid={})
    add(net, "convolution", "photo", "conv", fill)
    add(net, "activation", "conv", "gate", settings(sigmoid={}))
    if batch:
        add(net, "reshapeStatic", "gate", "flat", settings(targetShape=[1, 6, 48]))
        add(net, "transpose", "flat", "rows", settings(axes=[0, 2, 1]))
    else:
        add(net, "reshapeStatic", "gate", "flat", settings(targetShape=[6, 48]))
        add(net, "transpose", "flat", "rows", settings(axes=[1, 0]))
    add(net, "splitND", "rows", "places chances", settings(axis=-1, splitSizes=[4, 2]))
    held = message.pipeline.models.add(specificationVersion=5).nonMaximumSuppression
    held.iouThreshold, held.confidenceThreshold, held.pickTop.perClass = 0.4, 0.2, per_class
    held.confidenceInputFeatureName, held.coordinatesInputFeatureName = "chances", "places"
    held.stringClassLabels.vector.extend(["cat", "dog"])
    return message


def suppressed(places: NDArray[Any], chances: NDArray[Any], *, per_class: bool) -> list[tuple[str, float]]:
    """Return labels and scores after suppression of boxes that overlap a better one by more than 0.4.

    A box counts only for its best class, as in Core ML.
    """
    corners = np.concatenate([places[:, :2] - places[:, 2:] / 2, places[:, :2] + places[:, 2:] / 2], 1)
    listed = sorted((-chances[i].max(), i, int(chances[i].argmax())) for i in range(len(chances)))
    kept: list[tuple[int, int]] = []
    for score, box, kind in listed:
        if -score < 0.2:
            break
        clear = True
        for other, of in kept:
            if per_class and of != kind:
                continue
            low, high = (
                np.maximum(corners[box, :2], corners[other, :2]),
                np.minimum(corners[box, 2:], corners[other, 2:]),
            )
            both = np.prod(np.maximum(high - low, 0))
            areas = [np.prod(corners[one, 2:] - corners[one, :2]) for one in (box, other)]
            clear &= both / (sum(areas) - both) <= 0.4
        if clear:
            kept.append((box, kind))
    return [(["cat", "dog"][kind], float(chances[box, kind])) for box, kind in kept]


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("per_class", [True, False])
def test_pipelines_detect(batch: bool, per_class: bool, tmp_path: Path) -> None:
    path = saved(detector(batch=batch, per_class=per_class), tmp_path / "boxes.mlmodel")
    rows = 1 / (1 + np.exp(-(PIXELS.reshape(48, 3) @ KERNEL.reshape(6, 3).T)))
    wanted = suppressed(rows[:, :4], rows[:, 4:], per_class=per_class)
    found = mpscnn.load(path, device="cpu").predict(Image.fromarray(PIXELS))
    assert len(wanted) > 2
    assert (rows[:, 4:].min(1) > 0.2).any()  # both classes of a box are above the threshold
    assert [(one.label, round(one.score, 4)) for one in found] == [
        (label, round(s, 4)) for label, s in wanted
    ]


def test_other_pipelines_are_refused_by_name(tmp_path: Path) -> None:
    message = detector(batch=True, per_class=True)
    message.pipeline.models.add(specificationVersion=5).featureVectorizer.SetInParent()
    with pytest.raises(UnsupportedError, match="a pipeline with featureVectorizer, which is not supported"):
        converters.read_network([saved(message, tmp_path / "boxes.mlmodel")])
    message = detector(batch=True, per_class=True)
    message.pipeline.models[1].nonMaximumSuppression.coordinatesInputFeatureName = "nothing"
    with pytest.raises(WeightsError, match="the suppression reads 'nothing'"):
        converters.read_network([saved(message, tmp_path / "boxes.mlmodel")])


@pytest.mark.parametrize("read", ["x", "other"])
def test_a_vectorizer_before_the_network_is_left_out(read: str, tmp_path: Path) -> None:
    """The vectorizer makes the network's input. A vectorizer whose result the network does not read is refused."""
    part = regressor(number=False)
    message = pipeline_of(part, "pipelineRegressor")
    del message.description.input[:]
    joined = model({"rooms": array((1,)), "size": array((4,))}, {read: array((5,))})
    for name, count in (("size", 4), ("rooms", 1)):  # not the order of the description
        joined.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=count)
    message.description.input.extend(joined.description.input)
    models = message.pipelineRegressor.pipeline.models
    models.insert(0, joined)
    path = saved(message, tmp_path / "price.mlmodel")
    if read != "x":
        with pytest.raises(UnsupportedError, match="a pipeline with featureVectorizer, which is not"):
            converters.read_network([path])
        return
    network = converters.read_network([path])
    assert network.notes == [
        "the featureVectorizer before the network is left out: the input 'x' joins 'size' (4), 'rooms' (1)"
    ]
    x = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    found = network.compile(device="cpu").session().run(x.reshape(3, *network.input.shape[1:]))
    np.testing.assert_allclose(found, x @ SLOPES.T + SLOPES[:, 0], rtol=1e-5, atol=1e-5)


# ---- Files that are damaged or something else ----------------------------------------------------------------------


def test_the_message_of_a_package_alone_is_named(tmp_path: Path) -> None:
    """A model.mlmodel that was copied out of its package lacks the file of its weights."""
    package = program().saved(tmp_path / "photos.mlpackage")
    alone = tmp_path / "model.mlmodel"
    alone.write_bytes((package / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes())
    with pytest.raises(
        WeightsError, match=r"weights are in another file, 'weights/weight.bin': give the package"
    ):
        converters.read_network([alone])


def test_a_package_as_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "photos.mlpackage"
    path.write_bytes(classifier().SerializeToString())
    with pytest.raises((UnsupportedError, WeightsError), match="is not a folder"):
        converters.read_network([path])


@pytest.mark.parametrize("name", ["photos.onnx", "photos.tflite", "photos.bin", "photos.mlmodelc"])
def test_models_with_other_names_are_recognised(name: str, tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path / name)
    with pytest.raises(UnsupportedError, match=r"is a Core ML model; rename it to photos(\.\w+)?\.mlmodel"):
        mpscnn.load(path)


MANIFESTS = {
    "nothing": "",
    "a list": "[]",
    "no entries": '{"rootModelIdentifier": "A"}',
    "no path": '{"itemInfoEntries": {"A": {}}, "rootModelIdentifier": "A"}',
    "a number": '{"itemInfoEntries": {"A": {"path": 3}}, "rootModelIdentifier": "A"}',
    "outside": json.dumps({"itemInfoEntries": {"A": {"path": "../../secret"}}, "rootModelIdentifier": "A"}),
    "absolute": json.dumps({"itemInfoEntries": {"A": {"path": "/etc/passwd"}}, "rootModelIdentifier": "A"}),
    "missing": json.dumps({"itemInfoEntries": {"A": {"path": "none.mlmodel"}}, "rootModelIdentifier": "A"}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_damaged_manifests(kind: str, tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    (path / "Manifest.json").write_text(MANIFESTS[kind])
    with pytest.raises(WeightsError, match=r"photos\.mlpackage"):
        mpscnn.load(path)


def test_folders_that_are_not_packages(tmp_path: Path) -> None:
    path = tmp_path / "empty.mlpackage"
    path.mkdir()
    message = r"empty\.mlpackage: is not a Core ML package: it has no Manifest\.json; copy the whole folder"
    with pytest.raises(WeightsError, match=message):
        converters.read_network(path)
    with pytest.raises(WeightsError, match=message):
        mpscnn.load(path)


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_needs_no_list(kind: type[str] | type[Path], tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    expected = converters.read_network([path]).to_dict()
    output = tmp_path / "photos.safetensors"
    assert converters.read_network(kind(path)).to_dict() == expected
    assert converters.convert_files(kind(path), output).to_dict() == expected
    assert output.exists()


@pytest.mark.parametrize("given", [3, None, b"photos.onnx", ["photos.onnx", 3]])
def test_what_is_not_a_path_is_refused(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="expected a path or a list of paths, got "):
        converters.read_network(given)
    with pytest.raises(ParameterError, match="expected a path or a list of paths, got "):
        converters.convert_files(given, tmp_path / "photos.safetensors")


def test_a_part_of_a_package_is_named(tmp_path: Path) -> None:
    package = program().saved(tmp_path / "photos.mlpackage")
    (path,) = package.rglob("*.mlmodel")
    with pytest.raises(UnsupportedError, match="is a part of a package; give the package: ") as caught:
        converters.read_network([path])
    assert str(caught.value).endswith(str(package))


def test_links_into_a_download_cache(tmp_path: Path) -> None:
    """Download caches have all files in one folder, and folders of links to them."""
    package, cache = program().saved(tmp_path / "photos.mlpackage"), tmp_path / "cache"
    cache.mkdir()
    for number, path in enumerate([path for path in package.rglob("*") if path.is_file()]):
        path.rename(cache / str(number))
        path.symlink_to(cache / str(number))
    assert converters.read_network([package]).layer_names()


def test_links_out_of_a_package_are_refused(tmp_path: Path) -> None:
    path = program().saved(tmp_path / "photos.mlpackage")
    weights = path / "Data" / "com.apple.CoreML" / "weights"
    shutil.move(weights / "weight.bin", tmp_path / "outside.bin")
    (weights / "weight.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(WeightsError, match="leads out of the package"):
        converters.read_network([path])


@pytest.mark.parametrize(
    ("at", "content"),
    [(0, b"short"), (4, b"\3"), (64, b"\0\0\0\0"), (68, b"\1"), (72, b"\xff" * 8), (80, b"\xff" * 8)],
)
def test_damaged_files_of_weights(at: int, content: bytes, tmp_path: Path) -> None:
    made = program()
    if content == b"short":
        made.blobs[:] = content
    else:
        made.blobs[at : at + len(content)] = content
    if at == 72:
        made.blobs[72:80] = bytes(8)
    with pytest.raises((UnsupportedError, WeightsError), match=r"weight\.bin"):
        converters.read_network([made.saved(tmp_path / "photos.mlpackage")])


def test_cut_files(tmp_path: Path) -> None:
    content = classifier().SerializeToString()
    path = tmp_path / "photos.mlmodel"
    for end in (1, 7, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises((UnsupportedError, WeightsError), match=r"photos\.mlmodel"):
            converters.read_network([path])


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    message = classifier()
    numbers(message.neuralNetworkClassifier.layers[0].convolution.weights, np.ones(1))
    with pytest.raises(WeightsError, match="109 numbers for the shape"):
        converters.read_network([saved(message, tmp_path / "photos.mlmodel")])


# ---- Written models ------------------------------------------------------------------------------------------------


def test_writing_needs_coremltools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """tests/oracles/test_coreml_written.py tests writing with coremltools."""
    monkeypatch.setitem(sys.modules, "coremltools", None)
    assert call("convert", "digits", str(tmp_path / "digits.mlpackage")) == 1
    assert "writing Core ML models needs: pip install coremltools" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_core_ml_cannot_hold_is_refused(tmp_path: Path) -> None:
    network = mpscnn.load("digits").network
    with pytest.raises(mpscnn.ParameterError, match="weights of float32, float16 or uint8, not 'int4'"):
        converters.export_coreml(network, tmp_path / "digits.mlmodel", dtype="int4")
    with pytest.raises(mpscnn.ParameterError, match=r"ends in \.mlpackage or \.mlmodel"):
        converters.export_coreml(network, tmp_path / "digits.onnx")
