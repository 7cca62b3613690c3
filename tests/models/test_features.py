"""Feature extractors give the same layers as the whole network, and compute nothing after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn.models import (
    mobilenet_v1,
    mobilenet_v1_features,
    mobilenet_v2,
    mobilenet_v2_features,
)

PAIRS = [
    (mobilenet_v1, mobilenet_v1_features, ["pointwise11", "pointwise13"]),
    (mobilenet_v2, mobilenet_v2_features, ["expand14", "conv_last", "project3"]),
]


def inputs(*shape: int) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def run(network: mpscnn.Network, x: Any) -> dict[str, Any]:
    results = network.compile(device="cpu", precision="float32").session().run(x)
    return results if isinstance(results, dict) else {network.outputs[0].name: results}


@pytest.mark.parametrize(("build", "build_features", "layers"), PAIRS)
@pytest.mark.parametrize(("multiplier", "size"), [(0.25, (96, 64)), (0.5, 64)])
def test_they_give_the_layers_of_the_classifier(
    build: Any, build_features: Any, layers: list[str], multiplier: float, size: Any
) -> None:
    whole = build(depth_multiplier=multiplier, input_size=size, classes=5)
    whole.initialize_weights(1)
    part = build_features(whole.weights, extract_layers=layers, depth_multiplier=multiplier, input_size=size)
    assert [tensor.name for tensor in part.outputs] == layers
    height, width = (size, size) if isinstance(size, int) else size
    x = inputs(2, height, width, 3)
    expected = whole.compile(device="cpu", precision="float32", outputs=layers).session().run(x)
    assert isinstance(expected, dict)
    for name, value in run(part, x).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize(("build_features", "layers"), [entry[1:] for entry in PAIRS])
def test_global_pooling_is_each_channels_mean(build_features: Any, layers: list[str]) -> None:
    maps, means = (
        build_features(extract_layers=layers, pooling=pooling, depth_multiplier=0.25, input_size=(64, 96))
        for pooling in (None, "global")
    )
    maps.initialize_weights(2)
    means.load_weights(maps.weights)
    x = inputs(2, 64, 96, 3)
    found = run(means, x)
    assert list(found) == [f"{layer}/pooled" for layer in layers]
    for name, value in run(maps, x).items():
        expected = value.astype(np.float64).mean(axis=(1, 2))
        np.testing.assert_allclose(found[f"{name}/pooled"], expected, rtol=1e-4, atol=1e-6)


def test_nothing_behind_the_last_layer_is_computed() -> None:
    names = mobilenet_v1_features(extract_layers=["pointwise5", "depthwise3"]).layer_names()
    assert names[-1] == "pointwise5"
    assert "pointwise6" not in names
    whole = sum(layer["macs"] for layer in mobilenet_v2().describe()["layers"])
    part = sum(
        layer["macs"] for layer in mobilenet_v2_features(extract_layers="expand6").describe()["layers"]
    )
    assert part < 0.4 * whole


def test_shapes_are_those_of_the_article() -> None:
    shapes = [
        tensor.shape
        for tensor in mobilenet_v1_features(extract_layers=["pointwise11", "pointwise13"]).outputs
    ]
    assert shapes == [(None, 14, 14, 512), (None, 7, 7, 1024)]
    assert mobilenet_v1_features().outputs[0].name == "pointwise13"
    assert mobilenet_v2_features(depth_multiplier=1.4).outputs[0].shape == (None, 7, 7, 1792)
    shallow = mobilenet_v1_features(extract_layers="pointwise8", shallow=True)
    assert shallow.outputs[0].shape == (None, 7, 7, 1024)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"no layer 'pointwis11'; did you mean 'pointwise11'"):
        mobilenet_v1_features(extract_layers=["pointwis11"])
    with pytest.raises(mpscnn.ParameterError, match=r"no layer 'expand1'; did you mean 'expand"):
        mobilenet_v2_features(extract_layers=["expand1"])
    for layers in (5, [5], None):
        with pytest.raises(mpscnn.ParameterError, match="layers are extracted by their names, got"):
            mobilenet_v1_features(extract_layers=layers)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="no layer to extract; name at least one"):
        mobilenet_v2_features(extract_layers=[])
    with pytest.raises(mpscnn.ParameterError, match="'conv1' is named twice"):
        mobilenet_v2_features(extract_layers=["conv1", "conv1"])
    with pytest.raises(mpscnn.ParameterError, match="pooling must be None or 'global', got 'max'"):
        mobilenet_v1_features(pooling="max")
    with pytest.raises(mpscnn.WeightsError, match="no weight 'stem'"):
        mobilenet_v1_features({"stem": inputs(1)})


# ---- Model.features ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model:
    network = mobilenet_v1(depth_multiplier=0.25, input_size=(64, 96), classes=5)
    network.initialize_weights(3)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    network.save(path, dtype="float32", preprocess="tensorflow")
    return mpscnn.load(path, device="cpu", precision="float32")


def photo(seed: int, height: int = 40, width: int = 50) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_photos_and_inputs(model: mpscnn.Model, tmp_path: Path) -> None:
    extractor = model.features(["pointwise11", "pointwise13"])
    one = extractor.run(photo(0))
    assert {name: value.shape for name, value in one.items()} == {
        "pointwise11": (1, 4, 6, 128),
        "pointwise13": (1, 2, 3, 256),
    }
    prepared = mpscnn.preprocess(photo(0), (64, 96), "tensorflow")
    several = extractor.run([photo(0), photo(1, 7, 90)])
    stacked = extractor.run(np.stack([photo(0), photo(2)]))
    for name, value in extractor(prepared).items():
        np.testing.assert_array_equal(one[name], value)
        np.testing.assert_array_equal(several[name][:1], value)
        np.testing.assert_array_equal(stacked[name][:1], value)
        assert several[name].shape[0] == stacked[name].shape[0] == 2
    assert repr(extractor).startswith(
        "<FeatureExtractor of 'mobilenet_v1' on cpu: pointwise11 (None, 4, 6, 128)"
    )


def test_one_layer_and_pooling(model: mpscnn.Model) -> None:
    maps = model.features("pointwise13").run(photo(0))
    means = model.features("pointwise13", pooling="global").run(photo(0))
    assert list(maps) == list(means) == ["pointwise13"]
    np.testing.assert_allclose(
        means["pointwise13"], maps["pointwise13"].mean(axis=(1, 2)), rtol=1e-4, atol=1e-6
    )
    flat = model.features(["logits"], pooling="global").run(photo(0))
    assert flat["logits"].shape == (1, 5)


def test_what_cannot_be_prepared(
    model: mpscnn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = model.features("conv1")
    with pytest.raises(mpscnn.ParameterError, match="no photo given"):
        extractor.run([])
    with pytest.raises(mpscnn.ImageError, match=r"nothing\.jpg"):
        extractor.run("nothing.jpg")
    with pytest.raises(mpscnn.ShapeError, match="'image'"):
        extractor.run(inputs(1, 64, 95, 3))
    assert model.preprocess is not None
    monkeypatch.setattr(model.network, "preprocess", None)
    model.network.save(tmp_path / "unstated.safetensors")
    with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
        mpscnn.load(tmp_path / "unstated.safetensors").features("conv1").run(photo(0))
    free = mpscnn.Network(input=(None, None, 3), name="free")
    free.output(free.conv2d(free.input, 4, 1, name="conv"))
    free.initialize_weights()
    free.save(tmp_path / "free.safetensors", preprocess="unit")
    features = mpscnn.load(tmp_path / "free.safetensors").features("conv")
    assert features.run(inputs(2, 5, 7, 3))["conv"].shape == (2, 5, 7, 4)
    with pytest.raises(mpscnn.ShapeError, match=r"of a fixed size, it has \(n, any, any, 3\)"):
        features.run(photo(0))
