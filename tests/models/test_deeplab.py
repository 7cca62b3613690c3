"""Test DeepLab: costs as published, structure, other sizes, and the published network on photos with known masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.integer_limits import with_limits_of
from exact_engines import onnxruntime_results

import mpscnn
from mpscnn import converters
from mpscnn.models import deeplab_v3, deeplab_v3_plus

BUILDS = (deeplab_v3, deeplab_v3_plus)
MIN_OVERLAP = 0.88
# For each photo: its class in Pascal VOC, and the value of this class in the photo's mask.
SUBJECTS = {"bird": ("bird", 3), "dog": ("dog", 0)}


def test_it_costs_what_is_published() -> None:
    # Sandler et al. 2018, table 7: MobileNet V2 with output stride 16 and without ASPP has 2.11 M parameters and
    # 2.75 G FMAs.
    layers = deeplab_v3().describe()["layers"]
    assert sum(layer["parameters"] for layer in layers) == pytest.approx(2.11e6, rel=0.02)
    assert sum(layer["macs"] for layer in layers) == pytest.approx(2.75e9, rel=0.01)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("stride", "extent"), [(16, 33), (8, 65)])
def test_the_output_stride_is_kept(build: Any, stride: int, extent: int) -> None:
    network = build(output_stride=stride)
    assert network["project17"].shape == (None, extent, extent, 320)
    assert network.outputs[0].shape == (None, 513, 513, 21)
    dilations = {
        node["name"]: node["attributes"]["dilation_y"]
        for node in network.to_dict()["nodes"]
        if node["name"].startswith("depthwise")
    }
    behind = {16: {15: 2, 16: 2, 17: 2}, 8: {**dict.fromkeys(range(8, 15), 2), 15: 4, 16: 4, 17: 4}}[stride]
    assert dilations == {f"depthwise{block}": behind.get(block, 1) for block in range(1, 18)}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("size", [(33, 97), (64, 50), 100])
def test_other_sizes_and_classes_run(build: Any, size: int | tuple[int, int]) -> None:
    network = build(depth_multiplier=0.35, input_size=size, classes=5, output="softmax")
    network.initialize_weights()
    height, width = (size, size) if isinstance(size, int) else size
    x = np.random.default_rng(0).uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
    result = np.asarray(network.compile(device="cpu").session().run(x))
    assert result.shape == (2, height, width, 5)
    np.testing.assert_allclose(result.sum(axis=3), 1, rtol=1e-5)


@pytest.mark.parametrize("build", BUILDS)
def test_labels_are_the_greatest_logits(build: Any) -> None:
    logits, labels = (
        build(depth_multiplier=0.35, input_size=65, classes=5, output=kind) for kind in ("logits", "labels")
    )
    logits.initialize_weights(1)
    labels.load_weights(logits.weights)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 65, 65, 3)).astype(np.float32)
    scores, found = (
        np.asarray(network.compile(device="cpu", precision="float32").session().run(x))
        for network in (logits, labels)
    )
    np.testing.assert_array_equal(found[..., 0], scores.argmax(axis=3))


def test_the_decoder_reads_a_quarter_of_the_size() -> None:
    network = deeplab_v3_plus(input_size=(513, 257))
    assert network["decoder_projection"].shape == (None, 129, 65, 48)
    assert network["decoder_concat"].shape == (None, 129, 65, 256 + 48)
    assert network["aspp_concat"].shape == (None, 33, 17, 5 * 256)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"output_stride must be 8 or 16, got \[8\]"):
        deeplab_v3(output_stride=[8])  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="output_stride must be 8 or 16, got 4"):
        deeplab_v3_plus(output_stride=4)
    with pytest.raises(
        mpscnn.ParameterError, match=r"output must be 'logits', 'softmax', 'labels', got 'mask'"
    ):
        deeplab_v3(output="mask")
    with pytest.raises(mpscnn.ParameterError, match="input_size must be at least 32"):
        deeplab_v3(input_size=16)
    with pytest.raises(mpscnn.ParameterError, match="dilation"):
        deeplab_v3(atrous_rates=(0,))
    for rates in (6, "6", (6.5,)):
        with pytest.raises(mpscnn.ParameterError, match="atrous_rates must be whole numbers"):
            deeplab_v3(atrous_rates=rates)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match=r"depth_multiplier must be from .* got '1'"):
        deeplab_v3(depth_multiplier="1")  # type: ignore[arg-type]


# ---- The published network -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = shared / "models/google"
    path = tmp_path_factory.mktemp("deeplab") / "deeplab.safetensors"
    converters.convert_files(
        [directory / "deeplabv3_mnv2_pascal_quant.tflite"],
        path,
        labels=directory / "pascal_voc_segmentation_labels.txt",
        preprocess="tensorflow",
        dtype="uint8",
    )
    return path


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_it_finds_what_the_masks_show(published: Path, shared: Path, subject: str, precision: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    name, value = SUBJECTS[subject]
    model = mpscnn.load(published, device="cpu", precision=precision)
    assert model.labels is not None
    assert len(model.labels) == 21
    result = model.predict(shared / f"images/{subject}_segmentation.bmp")
    with image.open(shared / f"images/{subject}_segmentation_mask.bmp") as mask:
        expected = np.asarray(mask) == value
    found = result.mask(name)
    assert found.shape == expected.shape
    overlap = float((found & expected).sum() / (found | expected).sum())
    print(f"{subject}: IoU {overlap:.4f} in {precision}")
    assert overlap >= MIN_OVERLAP
    assert {area.label for area in result.areas} == {"background", name}


def test_it_gets_the_librarys_names(published: Path) -> None:
    network = mpscnn.load(published).network
    built = deeplab_v3(published)
    changes = [
        node["name"]
        for node in network.to_dict()["nodes"]
        if node["operation"] == "neuron" and node["attributes"]["kind"] == "none"  # of the file's integers
    ]
    assert set(network.layer_names()) - set(changes) == set(built.layer_names())
    built = with_limits_of(network, built)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 513, 513, 3)).astype(np.float32)
    ours, theirs = (
        net.compile(device="cpu", precision="float32").session().run(x) for net in (built, network)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_its_weights_serve_other_sizes(published: Path, shared: Path, tmp_path: Path) -> None:
    smaller = deeplab_v3(published, input_size=(257, 321))
    path = tmp_path / "smaller.safetensors"
    smaller.save(path, preprocess="tensorflow", labels=mpscnn.load(published).labels)
    result = mpscnn.load(path).predict(shared / "images/bird_segmentation.bmp")
    assert [area.label for area in result.areas] == ["background", "bird"]


def test_onnxruntime_agrees(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    from mpscnn.converters.writing.onnx import export as onnx_export

    network = deeplab_v3_plus(depth_multiplier=0.35, input_size=(65, 50), classes=6)
    network.initialize_weights(2)
    onnx_export.export(network, tmp_path / "network.onnx")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 65, 50, 3)).astype(np.float32)
    (expected,) = onnxruntime_results(tmp_path / "network.onnx", x)
    result = network.compile(device="cpu", precision="float32").session().run(x)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
