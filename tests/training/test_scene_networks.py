"""Test the networks that become detectors and segmenters, and the normalizations that they are trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training.small_backbone import small_backbone

import mpscnn
from mpscnn import ParameterError, UnsupportedError
from mpscnn.training.scenes.heads import last_convolutions, with_columns
from mpscnn.training.scenes.networks import detector_of, segmenter_of
from mpscnn.training.scenes.normalized import Normalized

BOXES = np.array([[0.1, 0.1, 0.3, 0.3], [0.2, 0.2, 0.7, 0.8]])
#: Builders of classifiers, with the strides of the detector's first two maps.
CLASSIFIERS: dict[str, tuple[Any, tuple[int, int]]] = {
    "mobilenet_v1": (lambda: mpscnn.models.mobilenet_v1(depth_multiplier=0.25), (16, 32)),
    "mobilenet_v2": (lambda: mpscnn.models.mobilenet_v2(depth_multiplier=0.35), (16, 32)),
    "mobilenet_v3_large": (mpscnn.models.mobilenet_v3_large, (16, 32)),
    "mobilenet_v3_small": (mpscnn.models.mobilenet_v3_small, (16, 32)),
    "resnet18": (mpscnn.models.resnet18, (16, 32)),
    "bundled": (lambda: mpscnn.load("cifar10_mobilenet_v2").network, (8, 16)),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("size", [(96, 128), (97, 33)])
def test_a_classifier_becomes_a_detector(name: str, size: tuple[int, int]) -> None:
    build, strides = CLASSIFIERS[name]
    net = detector_of(build(), 3, size, BOXES)
    assert net.detection is not None
    assert tuple(net.detection.settings["anchors"]["strides"][:2]) == strides
    boxes, scores = net.outputs
    anchors = len(net.detection.detector(size).anchors)
    assert (boxes.shape, scores.shape) == ((None, anchors, 4), (None, anchors, 4))
    assert net.input.shape == (None, *size, 3)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("architecture", ["lraspp", "deeplab"])
def test_a_classifier_becomes_a_segmenter(name: str, architecture: str) -> None:
    net = segmenter_of(CLASSIFIERS[name][0](), 4, (65, 96), architecture)
    assert [one.shape for one in net.outputs] == [(None, 65, 96, 4)]
    if name not in (
        "bundled",
        "mobilenet_v1",
        "resnet18",
    ):  # the last strides are replaced by dilated kernels
        dilations = {node["attributes"].get("dilation_y", 1) for node in net.to_dict()["nodes"]}
        assert 2 in dilations
    assert (
        min(one.shape[1] or 0 for one in map(net.__getitem__, net.layer_names()) if len(one.shape) == 4) == 1
    )


def test_dilated_kernels_cover_the_same_area() -> None:
    """At every second pixel, a map with dilated kernels is the map with strides."""
    classifier = mpscnn.models.mobilenet_v1(depth_multiplier=0.25, input_size=64)
    classifier.initialize_weights(1)
    net = segmenter_of(classifier, 2, (64, 64), "deeplab")
    x = np.random.default_rng(0).normal(0, 1, (1, 64, 64, 3)).astype(np.float32)
    dilated = np.asarray(net.compile(device="cpu", outputs=["depthwise12"]).run(x))
    wanted = np.asarray(classifier.compile(device="cpu", outputs=["depthwise12"]).run(x))
    assert (dilated.shape[1:3], wanted.shape[1:3]) == ((4, 4), (2, 2))
    # TensorFlow's padding begins after the first pixel, so the strided map has the pixels 1 and 3.
    np.testing.assert_allclose(dilated[:, 1::2, 1::2], wanted, atol=1e-5)


def test_detectors_and_segmenters_get_other_classes() -> None:
    detector = mpscnn.models.ssd_mobilenet_v1(classes=3, input_size=64, depth_multiplier=0.25)
    detector.initialize_weights(1)
    net = detector_of(detector, 5, (1, 1), BOXES)
    assert [one.shape[-1] for one in net.outputs] == [4, 6]
    assert net.detection is not None
    assert net.detection.settings["scores"]["kind"] == "softmax"
    unset = {spec["layer"] for spec in net.weight_specs() if not spec["set"]}
    assert unset == {f"score{number}" for number in range(1, 7)}
    segmenter = mpscnn.models.deeplab_v3(classes=3, input_size=33, depth_multiplier=0.35)
    segmenter.initialize_weights(1)
    assert segmenter_of(segmenter, 3, (1, 1), "lraspp") is segmenter
    net = segmenter_of(segmenter, 7, (1, 1), "lraspp")
    assert [one.shape for one in net.outputs] == [(None, 33, 33, 7)]
    assert {spec["layer"] for spec in net.weight_specs() if not spec["set"]} == {"logits"}
    assert (net.weights["conv1.weight"] == segmenter.weights["conv1.weight"]).all()


def test_networks_that_are_refused() -> None:
    net = mpscnn.Network(input=(8,), name="numbers")
    net.output(net.dense(net.input, 3))
    with pytest.raises(UnsupportedError, match="'numbers' is not a classifier"):
        detector_of(net, 2, (32, 32), BOXES)
    with pytest.raises(ParameterError, match="architecture must be 'lraspp' or 'deeplab', got 'unet'"):
        segmenter_of(small_backbone(), 2, (32, 32), "unet")
    pooled = mpscnn.Network(input=(16, 16, 3), name="pooled")
    pooled.output(pooled.max_pool2d(pooled.input, 2, name="pool"))
    with pytest.raises(UnsupportedError, match="'pooled': a layer pooling computes the output 'pool'"):
        with_columns(pooled, "pool", 2)


@pytest.mark.parametrize("known", [True, False])
def test_normalizations_change_nothing(known: bool) -> None:
    """The network with normalizations and the merged one compute what the given one computes."""
    classifier = small_backbone() if known else mpscnn.models.mobilenet_v3_small(input_size=32)
    net = detector_of(classifier, 2, (32, 48), BOXES)
    new = [spec["layer"] for spec in net.weight_specs() if not spec["set"]]
    last = [layer for one in net.outputs for layer in last_convolutions(net, one.name)]
    x = np.random.default_rng(0).normal(0, 1, (4, 32, 48, 3)).astype(np.float32)
    normalized = Normalized(net, new=new, last=last, photos=[x], seed=2)
    layers = {node["name"]: node["operation"] for node in normalized.network.to_dict()["nodes"]}
    assert list(layers.values()).count("batch_normalization") > 5
    assert not any(f"{layer}/norm" in layers for layer in last)
    merged = normalized.merged(normalized.network)
    assert merged.to_dict() == net.to_dict()
    given, normal, again = (
        one.compile(device="cpu", precision="float32").session().run(x)
        for one in (net, normalized.network, merged)
    )
    assert isinstance(given, dict)
    for name, values in given.items():
        np.testing.assert_allclose(normal[name], values, atol=2e-4 * np.abs(values).max())
        np.testing.assert_allclose(again[name], values, atol=2e-4 * np.abs(values).max())


def test_frozen_layers_are_the_first_of_the_given_network() -> None:
    net = detector_of(small_backbone(), 2, (32, 32), BOXES)
    new = [spec["layer"] for spec in net.weight_specs() if not spec["set"]]
    normalized = Normalized(net, new=new, last=[], photos=[np.zeros((1, 32, 32, 3), np.float32)], seed=0)
    assert normalized.frozen(None) == ()
    assert normalized.frozen(9) == ()
    assert normalized.frozen(3) == ("conv1", "conv1/norm")
    assert normalized.frozen(0)[:4] == ("conv1", "expand", "project", "conv_last")
