"""Compare networks and models for photos on the Metal engine with the CPU engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_detector import constant_network

import mpscnn
from mpscnn.models import deeplab_v3, deeplab_v3_plus, mobilenet_v1_features, mobilenet_v2_features

# The allowed errors relative to the largest result. In float16 about sixty layers round one after the other.
TOLERANCES = {"float32": 1e-5, "float16": 2e-2}


def results(network: mpscnn.Network, device: str, precision: str) -> dict[str, Any]:
    shape = (1, *(extent or 1 for extent in network.input.shape[1:]))
    x = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    found = network.compile(device=device, precision=precision).session().run(x)
    return found if isinstance(found, dict) else {network.outputs[0].name: found}


def compare(network: mpscnn.Network, precision: str) -> None:
    network.initialize_weights(2)
    expected = results(network, "cpu", precision)
    for name, value in results(network, "metal", precision).items():
        bound = TOLERANCES[precision] * float(np.abs(expected[name]).max())
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=bound)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(("build", "stride"), [(deeplab_v3, 8), (deeplab_v3_plus, 16)])
def test_deeplab(build: Any, stride: int, precision: str) -> None:
    network = build(
        depth_multiplier=0.25, input_size=(33, 40), classes=5, output_stride=stride, atrous_rates=(2,)
    )
    compare(network, precision)


@pytest.mark.parametrize("pooling", [None, "global"])
@pytest.mark.parametrize(
    ("build", "layers"),
    [(mobilenet_v1_features, ["pointwise5", "pointwise11"]), (mobilenet_v2_features, ["expand14", "add3"])],
)
def test_features(build: Any, layers: list[str], pooling: str | None) -> None:
    compare(
        build(extract_layers=layers, pooling=pooling, depth_multiplier=0.25, input_size=(40, 33)), "float32"
    )


def test_layers_that_stay_float32() -> None:
    """Layers that stay float32 pass numbers beyond the range of float16, through a concatenation and an addition."""
    network = mpscnn.Network(input=(9, 7, 4))
    x = network.conv2d(network.input, 8, 3, padding="same", name="first")
    large = network.conv2d(x, 8, 1, activation="relu", name="large")
    moved = network.concat([large, x], name="moved")
    summed = network.add(network.conv2d(moved, 8, 3, padding="same", name="back"), large, name="summed")
    small = network.depthwise_conv2d(summed, 3, padding="same", name="small")
    network.output(network.conv2d(small, 5, 1, name="last"))
    network.initialize_weights(3)
    scaled = {"large.weight": 4e4, "small.weight": 1e-5}
    network.load_weights(
        {name: np.float32(by) * network.weights[name] for name, by in scaled.items()}, layout="OHWI"
    )
    assert not np.isfinite(results(network, "metal", "float16")["last"]).all()
    network.keep_float32(["large", "moved", "back", "summed", "small"])
    expected = results(network, "cpu", "float32")["last"]
    for device in ("cpu", "metal"):
        found = results(network, device, "float16")["last"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize(
    "take",
    [
        lambda net, x: net.transpose(x, (2, 1)),
        lambda net, x: net.gather(x, [3, 0, 2], axis=1),
        lambda net, x: net.gather(x, [6, 0], axis=2),
        lambda net, x: net.slice(x, columns=(1, 3), channels=slice(None, None, 2)),
        lambda net, x: net.concat([x, x], axis=1),
        lambda net, x: net.tile(x, (2, 1)),
        lambda net, x: net.matmul(x, x, transpose_b=True),
    ],
)
def test_axes_are_those_behind_a_reshape_that_moves_nothing(take: Any) -> None:
    """A reshape without a move shares the image of its input, but later layers must use the reshaped axes."""
    network = mpscnn.Network(input=(1, 4, 7))
    x = network.reshape(network.activation(network.input, "relu"), (4, 7))
    network.output(take(network, x))
    compare(network, "float32")


# ---- Photos ------------------------------------------------------------------------------------------------------

PHOTO = np.random.default_rng(7).integers(0, 256, (50, 70, 3), np.uint8)


def on_both(path: Path) -> tuple[mpscnn.Model, mpscnn.Model]:
    """Load a model on the CPU and on Metal."""
    cpu, metal = (mpscnn.load(path, device=device, precision="float32") for device in ("cpu", "metal"))
    return cpu, metal


def require_metal(result: Any, precision: str) -> None:
    assert (result.device, result.precision) == ("metal", precision)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_photo_is_classified(precision: str) -> None:
    cpu, metal = (mpscnn.load(device=device, precision=precision) for device in ("cpu", "metal"))
    expected, result = cpu.predict(PHOTO), metal.predict(PHOTO)
    require_metal(result, precision)
    right = {entry.index: entry.probability for entry in expected}
    assert len(right) == len(result) > 1
    for entry in result:
        assert entry.probability == pytest.approx(right[entry.index], abs=2 * TOLERANCES[precision])


def test_a_photo_is_segmented(tmp_path: Path) -> None:
    network = deeplab_v3(depth_multiplier=0.25, input_size=(33, 40), classes=3, atrous_rates=(2,))
    network.initialize_weights(4)
    network.save(tmp_path / "net.safetensors", dtype="float32", preprocess="unit")
    cpu, metal = on_both(tmp_path / "net.safetensors")
    expected, result = cpu.segment(PHOTO, scores=True), metal.segment(PHOTO, scores=True)
    require_metal(result, "float32")
    assert result.labels.shape == PHOTO.shape[:2]
    np.testing.assert_allclose(
        result.scores, expected.scores, rtol=0, atol=1e-5 * np.abs(expected.scores).max()
    )
    best = np.sort(expected.scores, axis=2)
    clear = best[..., -1] - best[..., -2] > 1e-4 * best[..., -1]
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(result.labels[clear], expected.labels[clear])


def test_objects_are_found_on_a_photo(tmp_path: Path) -> None:
    """A detector whose boxes and scores depend on the photo finds the same objects on both engines."""
    boxes = [(0.1, 0.2, 0.5, 0.6), (0.5, 0.1, 0.9, 0.4), (0.2, 0.6, 0.4, 0.9)]
    scores = [(0.9, 0.1), (0.2, 0.7), (0.6, 0.3)]
    network = constant_network(boxes, scores)
    random = np.random.default_rng(3)
    network.load_weights(
        {
            f"{name}_numbers.{role}": value
            for name, given in (("boxes", boxes), ("scores", scores))
            for role, value in (
                ("weight", random.normal(0, 0.05, (np.size(given), 1, 1, 3)).astype(np.float32)),
                ("bias", np.float32(given).reshape(-1)),
            )
        },
        layout="OHWI",
    )
    network.save(tmp_path / "net.safetensors", dtype="float32", preprocess="unit", labels=("cat", "dog"))
    cpu, metal = on_both(tmp_path / "net.safetensors")
    expected, result = cpu.detect(PHOTO), metal.detect(PHOTO)
    require_metal(result, "float32")
    assert [entry.label for entry in result] == [entry.label for entry in expected] == ["cat", "dog", "cat"]
    for entry, right in zip(result, expected, strict=True):
        assert tuple(entry.box) == pytest.approx(tuple(right.box), abs=1e-3)
        assert entry.score == pytest.approx(right.score, abs=1e-5)
