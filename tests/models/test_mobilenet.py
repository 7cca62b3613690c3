"""Compare MobileNet V1 and V2 of every width and resolution with published figures and another engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exact_engines import onnxruntime_results

import mpscnn
from mpscnn.models import mobilenet_v1, mobilenet_v2

MILLION = 1_000_000

# Multiply-accumulates and parameters in millions: Howard et al. 2017, tables 6 and 7.
V1 = {
    (1.0, 224): (569, 4.2),
    (0.75, 224): (325, 2.6),
    (0.5, 224): (149, 1.3),
    (0.25, 224): (41, 0.5),
    (1.0, 192): (418, 4.2),
    (1.0, 160): (290, 4.2),
    (1.0, 128): (186, 4.2),
}
# From the table in TensorFlow's model garden, research/slim/nets/mobilenet/README.md.
V2 = {
    (1.4, 224): (582, 6.06), (1.3, 224): (509, 5.34), (1.0, 224): (300, 3.47), (1.0, 192): (221, 3.47),
    (1.0, 160): (154, 3.47), (1.0, 128): (99, 3.47), (1.0, 96): (56, 3.47), (0.75, 224): (209, 2.61),
    (0.5, 224): (97, 1.95), (0.35, 224): (59, 1.66), (0.35, 96): (11, 1.66),
}  # fmt: skip


def totals(network: mpscnn.Network) -> tuple[float, float]:
    layers = network.describe()["layers"]
    return sum(layer["macs"] for layer in layers) / MILLION, sum(
        layer["parameters"] for layer in layers
    ) / MILLION


@pytest.mark.parametrize(("multiplier", "size"), V1)
def test_v1_costs_what_is_published(multiplier: float, size: int) -> None:
    macs, parameters = totals(mobilenet_v1(depth_multiplier=multiplier, input_size=size))
    assert macs == pytest.approx(V1[multiplier, size][0], abs=1)
    assert parameters == pytest.approx(V1[multiplier, size][1], abs=0.06)


@pytest.mark.parametrize(("multiplier", "size"), V2)
def test_v2_costs_what_is_published(multiplier: float, size: int) -> None:
    macs, parameters = totals(mobilenet_v2(depth_multiplier=multiplier, input_size=size))
    assert macs == pytest.approx(V2[multiplier, size][0], abs=1.5)
    assert parameters == pytest.approx(V2[multiplier, size][1], abs=0.05)


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
@pytest.mark.parametrize("size", [(96, 160), (33, 97), 320])
def test_other_sizes_and_classes_run(build: type, size: int | tuple[int, int]) -> None:
    network = build(depth_multiplier=0.25, input_size=size, classes=7)
    network.initialize_weights()
    height, width = (size, size) if isinstance(size, int) else size
    x = np.random.default_rng(0).uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
    result = network.compile(device="cpu").session().run(x)
    assert result.shape == (2, 7)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)


def test_shallow_leaves_out_five_layers() -> None:
    deep, shallow = mobilenet_v1(), mobilenet_v1(shallow=True)
    assert len(deep.to_dict()["nodes"]) - len(shallow.to_dict()["nodes"]) == 10
    # Howard et al. 2017, table 5: 307 million MACs, 2.9 million parameters (1000 classes).
    macs, parameters = totals(mobilenet_v1(shallow=True, classes=1000))
    assert macs == pytest.approx(307, abs=1)
    assert parameters == pytest.approx(2.9, abs=0.05)


def test_layers_have_the_documented_names() -> None:
    names = {node["name"] for node in mobilenet_v1().to_dict()["nodes"]}
    assert {"conv1", "depthwise1", "pointwise13", "pool", "classifier", "softmax"} <= names
    names = {node["name"] for node in mobilenet_v2().to_dict()["nodes"]}
    assert {
        "conv1",
        "depthwise1",
        "project1",
        "expand2",
        "add3",
        "project17",
        "conv_last",
        "classifier",
    } <= names
    assert "expand1" not in names
    assert "add2" not in names


def test_logits_and_probabilities_agree() -> None:
    logits, probabilities = (
        mobilenet_v2(depth_multiplier=0.35, input_size=96, output=kind) for kind in ("logits", "softmax")
    )
    logits.initialize_weights(1)
    probabilities.load_weights(logits.weights)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32)
    values = np.asarray(logits.compile(precision="float32").session().run(x)).astype(np.float64)
    expected = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    np.testing.assert_allclose(
        probabilities.compile(precision="float32").session().run(x), expected, rtol=1e-4
    )


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2])
def test_onnxruntime_agrees(build: type, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    from mpscnn.converters.writing.onnx import export as onnx_export

    network = build(depth_multiplier=0.5, input_size=(97, 130), classes=11, output="logits")
    network.initialize_weights(2)
    onnx_export.export(network, tmp_path / "network.onnx")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 97, 130, 3)).astype(np.float32)
    (expected,) = onnxruntime_results(tmp_path / "network.onnx", x)
    result = network.compile(device="cpu", precision="float32").session().run(x)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_activation_arena_of_v2_is_small() -> None:
    network = mobilenet_v2()
    network.initialize_weights()
    assert network.compile(device="cpu", precision="float32").arena_bytes((1, 224, 224, 3)) <= 3_000_000


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"depth_multiplier must be from 0\.1 to 4"):
        mobilenet_v2(depth_multiplier=0)
    with pytest.raises(mpscnn.ParameterError, match="input_size must be at least 32"):
        mobilenet_v1(input_size=16)
    with pytest.raises(
        mpscnn.ParameterError, match=r"input_size must be a whole number or .* got \(96, 96, 3\)"
    ):
        mobilenet_v2(input_size=(96, 96, 3))  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="output must be 'softmax' or 'logits'"):
        mobilenet_v1(output="labels")
    with pytest.raises(mpscnn.ParameterError, match="output_channels must be"):
        mobilenet_v1(classes=0)
