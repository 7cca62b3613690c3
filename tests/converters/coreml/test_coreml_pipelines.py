"""Test regressors and pipelines of Core ML: networks after a vectorizer, or before a suppression of boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml_classifier import PIXELS, classifier, expected, probabilities
from converters.coreml_writer import add, array, image, model, saved, settings
from numpy.typing import NDArray
from PIL import Image
from reference import detection

import mpscnn
from mpscnn import converters
from mpscnn.errors import UnsupportedError, WeightsError

SLOPES = np.random.default_rng(15).normal(size=(2, 5))
KERNEL = np.random.default_rng(44).normal(size=(6, 3, 1, 1)) * 0.02


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


def pipeline_of(part: Any, kind: str) -> Any:
    """Return a pipeline of one model, with the model's description."""
    message = model({}, {}, version=part.specificationVersion)
    message.description.CopyFrom(part.description)
    held = getattr(message, kind)
    (held if kind == "pipeline" else held.pipeline).models.add().CopyFrom(part)
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


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier"])
def test_pipelines_of_a_classifier(kind: str, tmp_path: Path) -> None:
    path = saved(pipeline_of(classifier(), kind), tmp_path / "photos.mlmodel")
    np.testing.assert_allclose(probabilities(path), expected(PIXELS, [-1.0, -2.0, -3.0]), atol=1e-6)


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
    """Return labels and scores after suppression. A box counts only for its best class, as in Core ML."""
    corners = np.concatenate([places[:, :2] - places[:, 2:] / 2, places[:, :2] + places[:, 2:] / 2], 1)
    best = np.where(chances == chances.max(1, keepdims=True), chances, 0.0)
    settings = {
        "per_class": per_class,
        "iou_threshold": 0.4,
        "score_threshold": 0.2,
        "method": "hard",
        "max_candidates": 0,
        "max_per_class": 100,
        "max_detections": 100,
        "classes_per_box": 1,
    }
    return [(["cat", "dog"][kind], score) for _, kind, score in detection.detect(corners, best, settings)]


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


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("swapped", [True, False])
def test_pipelines_of_one_class(batch: bool, swapped: bool, tmp_path: Path) -> None:
    """BlazeFace has one score for each box, (896, 1). The description may list its outputs in another order."""
    message = detector(batch=batch, per_class=False)
    part = message.pipeline.models[0]
    net = part.neuralNetwork
    net.layers[-1].splitND.splitSizes[:] = [4, 1, 1]
    net.layers[-1].output.append("rest")
    suppression = message.pipeline.models[1].nonMaximumSuppression
    suppression.stringClassLabels.vector[:] = ["face"]
    if swapped:
        first, second = (type(one).FromString(one.SerializeToString()) for one in part.description.output)
        del part.description.output[:]
        part.description.output.extend([second, first])
    rows = 1 / (1 + np.exp(-(PIXELS.reshape(48, 3) @ KERNEL.reshape(6, 3).T)))
    wanted = suppressed_scores(rows[:, :4], rows[:, 4:5])
    found = mpscnn.load(saved(message, tmp_path / "faces.mlmodel"), device="cpu").predict(
        Image.fromarray(PIXELS)
    )
    assert [one.label for one in found] == ["face"] * len(wanted)
    np.testing.assert_allclose([one.score for one in found], wanted, atol=1e-5)


def suppressed_scores(places: NDArray[Any], chances: NDArray[Any]) -> list[float]:
    return [score for _, score in suppressed(places, chances, per_class=False)]


def test_other_pipelines_are_refused_by_name(tmp_path: Path) -> None:
    message = detector(batch=True, per_class=True)
    message.pipeline.models.add(specificationVersion=5).featureVectorizer.SetInParent()
    with pytest.raises(UnsupportedError, match="a pipeline with featureVectorizer, which is not supported"):
        converters.read_network([saved(message, tmp_path / "boxes.mlmodel")])
    message = detector(batch=True, per_class=True)
    message.pipeline.models[1].nonMaximumSuppression.coordinatesInputFeatureName = "nothing"
    with pytest.raises(WeightsError, match="the suppression reads 'nothing'"):
        converters.read_network([saved(message, tmp_path / "boxes.mlmodel")])
