"""Test where a network is cut, and that its parts, joined again, compute what the whole does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training.photo_classes import make_photos
from training.small_backbone import small_backbone

import mpscnn
from mpscnn import UnsupportedError
from mpscnn.training.backbone import Backbone, as_arrays, with_input_size


@pytest.mark.parametrize(
    ("trained_layers", "cut"),
    [(0, "pool"), (1, "sum"), (2, "conv1"), (3, "conv1"), (4, "image"), (50, "image")],
)
def test_the_last_blocks_begin_where_one_tensor_leads_on(trained_layers: int, cut: str) -> None:
    backbone = Backbone(small_backbone(), trained_layers)
    assert backbone.features == "pool"
    assert backbone.cut == cut


@pytest.mark.parametrize("trained_layers", [0, 1, 3, 4])
def test_parts_compute_what_the_whole_does(trained_layers: int) -> None:
    network = small_backbone()
    backbone = Backbone(network, trained_layers)
    x = np.random.default_rng(0).normal(0, 1, (3, 16, 16, 3)).astype(np.float32)
    random = np.random.default_rng(1)
    head = {
        name: random.normal(0, 1, a.shape).astype(np.float32)
        for name, a in as_arrays(backbone.head(4)).items()
    }
    tail = backbone.tail(4, head)
    weights = as_arrays(tail)
    weights = {
        name: value + random.normal(0, 0.1, value.shape).astype(np.float32) for name, value in weights.items()
    }
    tail.set_weights(weights, layout="OHWI")

    def run(net: mpscnn.Network, value: np.ndarray) -> dict[str, np.ndarray]:
        result = net.compile(device="cpu").session(threads=1).run(value)
        return result if isinstance(result, dict) else {net.outputs[0].name: result}

    at_cut = x if trained_layers == 4 else run(backbone.extractor(), x)[backbone.cut]
    apart = run(tail, at_cut)
    whole = run(backbone.joined(4, weights), x)
    np.testing.assert_allclose(next(iter(whole.values())), next(iter(apart.values())), atol=1e-6)


@pytest.mark.parametrize("trained_layers", [0, 2])
def test_a_backbone_of_integers(trained_layers: int) -> None:
    """The joined network computes in floats, and can be quantized again."""
    images = np.random.default_rng(0).normal(0, 1, (8, 16, 16, 3)).astype(np.float32)
    integers, _ = mpscnn.quantize(small_backbone(), [images])
    backbone = Backbone(integers, trained_layers)
    whole = backbone.joined(4, as_arrays(backbone.tail(4, as_arrays(backbone.head(4)))))
    assert "quantization" not in str(whole.to_dict())
    assert "quantization" in str(integers.to_dict())
    again, report = mpscnn.quantize(whole, [images])
    assert report.error < 0.2
    again.compile(device="cpu", precision="int8")


def segmenter() -> mpscnn.Network:
    net = mpscnn.Network(input=(8, 8, 3), name="areas")
    net.output(net.conv2d(net.conv2d(net.input, 4, 3), 3, 1))
    return net


def headless() -> mpscnn.Network:
    net = mpscnn.Network(input=(8, 8, 3), name="features")
    net.output(net.global_average_pool2d(net.conv2d(net.input, 4, 3)))
    return net


def shallow() -> mpscnn.Network:
    net = mpscnn.Network(input=(8, 8, 3), name="shallow")
    net.output(net.dense(net.input, 3))
    return net


@pytest.mark.parametrize("make", [segmenter, headless, shallow])
def test_what_is_not_a_classifier_is_refused(make: object) -> None:
    assert callable(make)
    network = make()
    network.initialize_weights()
    with pytest.raises(UnsupportedError, match=f"{network.name!r} is not a classifier"):
        Backbone(network, 1)


@pytest.mark.parametrize("size", [(24, 40), (8, 8)])
def test_a_classifier_of_another_size(tmp_path: Path, size: tuple[int, int]) -> None:
    """Its layers keep their weights, and it computes what a network of that size does."""
    network = small_backbone()
    resized = with_input_size(network, size)
    assert resized.input.shape == (None, *size, 3)
    assert resized.preprocess == network.preprocess
    x = np.random.default_rng(0).normal(0, 1, (2, *size, 3)).astype(np.float32)
    maps = mpscnn.FeatureExtractor(resized, layers=["conv_last", "pool"], device="cpu").run(x)
    mean = np.asarray(maps["conv_last"], np.float64).mean((1, 2))
    np.testing.assert_allclose(np.asarray(maps["pool"]).reshape(mean.shape), mean, rtol=1e-5, atol=1e-5)
    photos = make_photos(tmp_path / "photos", {"red": 5, "blue": 5})
    model = mpscnn.train_classifier(photos, network, size=size, epochs=1, views=1, progress=False, threads=1)
    assert model.network.input.shape == (None, *size, 3)
    assert model.labels == ["blue", "red"]


def test_a_pooling_of_the_whole_map_stays_one() -> None:
    net = mpscnn.Network(input=(16, 16, 3), name="fixed")
    x = net.conv2d(net.input, 8, 3, strides=2, padding="same", name="conv")
    x = net.average_pool2d(x, 8, name="pool")
    net.output(net.dense(net.flatten(x), 4, name="classes"))
    net.initialize_weights()
    assert with_input_size(net, (32, 24))["pool"].shape == (None, 1, 1, 8)


def test_sizes_that_do_not_work_are_refused() -> None:
    net = mpscnn.Network(input=(8, 8, 3), name="fixed")
    net.output(net.dense(net.flatten(net.conv2d(net.input, 4, 3)), 4, name="classes"))
    net.initialize_weights()
    with pytest.raises(mpscnn.UnsupportedError, match="'fixed' does not work for an input of 9 x 9"):
        with_input_size(net, (9, 9))
    with pytest.raises(mpscnn.ParameterError, match="size"):
        mpscnn.train_classifier("no such folder", small_backbone(), size=0)
