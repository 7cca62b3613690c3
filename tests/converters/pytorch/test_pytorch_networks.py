"""Test which networks and weights state dicts become. tests/oracles compares the networks with torch itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.torch_writer import Storages, safetensors_file, state_dict_file, state_of, zip_form
from numpy.typing import NDArray

import mpscnn
from mpscnn import models
from mpscnn.converters import convert_files, read_network
from mpscnn.converters.finishing.photo_input import PhotoNote
from mpscnn.models.photo_transforms import PhotoTransform, torchvision_transform

Arrays = dict[str, NDArray[Any]]
Build = Callable[..., mpscnn.Network]


def weights_of(build: Build, classes: int = 10) -> Arrays:
    network = build(classes=classes)
    network.initialize_weights(seed=1)
    return network.weights


def build_names(value: Any) -> str:
    return str(getattr(value, "name", getattr(value, "__name__", value)))


def written(folder: Path, arrays: Arrays, name: str = "weights.pth") -> Path:
    path = folder / name
    path.write_bytes(safetensors_file(arrays) if name.endswith("safetensors") else state_dict_file(arrays))
    return path


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors"])
def test_weights_without_batch_normalization_stay(tmp_path: Path, name: str) -> None:
    weights = weights_of(models.squeezenet1_1, classes=7)
    network = read_network([written(tmp_path, state_of(weights), name)])
    assert network.name == "weights"
    assert network.preprocess == PhotoTransform().settings()
    assert network.input.shape == (None, 224, 224, 3)
    assert network.outputs[0].shape == (None, 7)
    assert network.weights.keys() == weights.keys()
    for layer, values in weights.items():
        np.testing.assert_array_equal(network.weights[layer], values)


@pytest.mark.parametrize(
    "build",
    [
        models.resnet18,
        models.resnet34,
        models.mnasnet0_75,
        models.mobilenet_v2_torch,
        models.mobilenet_v3_small,
        models.mobilenet_v4_conv_small,
        models.shufflenet_v2_x0_5,
        models.efficientnet_b0,
        models.lraspp_mobilenet_v3_large,
        models.ssdlite320_mobilenet_v3_large,
        models.ultraface_slim,
    ],
    ids=build_names,
)
def test_networks_are_told_apart(tmp_path: Path, build: Build) -> None:
    """Networks are told apart by shapes. Weights of other layers or groups belong to other members of the family."""
    weights = weights_of(build)
    network = read_network([written(tmp_path, state_of(weights))], size=(64, 96))
    expected = build(classes=10, input_size=(64, 96)).to_dict()
    assert network.to_dict() == expected | {"name": "weights"}
    assert network.weights.keys() == weights.keys()


def batch_norm_of(channels: int, seed: int) -> Arrays:
    draw = np.random.default_rng(seed)
    return {
        "weight": draw.uniform(0.5, 1.5, channels).astype(np.float32),
        "bias": draw.normal(size=channels).astype(np.float32),
        "running_mean": draw.normal(size=channels).astype(np.float32),
        "running_var": draw.uniform(0.1, 4.0, channels).astype(np.float32),
        "num_batches_tracked": np.array(9, np.int64),
    }


@cache
def resnet_state() -> Arrays:
    """Return ResNet-18 as torchvision saves it: each convolution has no bias, but a batch normalization after it."""
    state = {}
    for name, array in state_of(weights_of(models.resnet18)).items():
        layer, _, role = name.rpartition(".")
        if layer == "fc" or role == "weight":
            state[name] = array
        if layer != "fc" and role == "weight":
            norm = layer.replace("conv", "bn").replace("downsample.0", "downsample.1")
            state |= {
                f"{norm}.{part}": values for part, values in batch_norm_of(len(array), len(state)).items()
            }
    return state


def test_batch_normalizations_are_folded(tmp_path: Path) -> None:
    state = resnet_state()
    found = read_network([written(tmp_path, state)]).weights
    for layer, norm in (("conv1", "bn1"), ("layer3.0.downsample.0", "layer3.0.downsample.1")):
        gamma, beta, mean, variance = (
            state[f"{norm}.{role}"].astype(np.float64)
            for role in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + 1e-5)
        weight = (state[f"{layer}.weight"] * scale[:, None, None, None]).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(found[f"{layer}.weight"], weight, rtol=1e-6)
        np.testing.assert_allclose(found[f"{layer}.bias"], beta - mean * scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["fc.weight"], state["fc.weight"])


@pytest.mark.parametrize("as_argument", [True, False])
def test_a_definition_takes_the_state_dict_of_its_architecture(tmp_path: Path, as_argument: bool) -> None:
    state = resnet_state()
    network = models.resnet18(state, classes=10) if as_argument else models.resnet18(classes=10)
    if not as_argument:
        network.load_weights(state)
    expected = read_network([written(tmp_path, state)]).weights
    assert network.weights.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(network.weights[name], values)


def test_the_state_dict_of_another_network_is_refused() -> None:
    with pytest.raises(mpscnn.WeightsError, match=r"'bn1.weight'.*which the network has folded"):
        models.resnet34(classes=10).load_weights(without("layer1.0.bn1.running_mean")(resnet_state()))
    with pytest.raises(
        mpscnn.WeightsError, match=r"'fc', weight: expected shape \(5, 512\), got \(10, 512\)"
    ):
        models.resnet18(classes=5).load_weights(resnet_state())
    unknown = mpscnn.Network(input=(224, 224, 3), name="mine")
    unknown.output(unknown.conv2d(unknown.input, 64, 7, strides=2, name="conv1"))
    with pytest.raises(mpscnn.WeightsError, match=r"from_torch\(module, example, fold=False\) keeps them"):
        unknown.load_weights(resnet_state())


def test_batch_normalizations_stay_apart(tmp_path: Path) -> None:
    """Separate batch normalizations have the file's numbers. The network computes the same, and can be trained."""
    state = resnet_state()
    path = written(tmp_path, state)
    folded = read_network([path], size=(32, 32))
    apart = read_network([path], size=(32, 32), fold=False)
    found = apart.weights
    for layer, norm in (("conv1", "bn1"), ("layer3.0.downsample.0", "layer3.0.downsample.1")):
        np.testing.assert_array_equal(
            found[f"{layer}.weight"], state[f"{layer}.weight"].transpose(0, 2, 3, 1)
        )
        assert f"{layer}.bias" not in found
        for role, name in {
            "gamma": "weight",
            "beta": "bias",
            "mean": "running_mean",
            "variance": "running_var",
        }.items():
            np.testing.assert_array_equal(found[f"{norm}.{role}"], state[f"{norm}.{name}"])
    x = np.random.default_rng(0).normal(0, 1, (2, 32, 32, 3)).astype(np.float32)
    a, b = (np.asarray(net.compile(device="cpu").session().run(x)) for net in (folded, apart))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * float(np.abs(a).max()))
    trainer = mpscnn.Trainer(apart, optimizer=mpscnn.Sgd(1e-4))
    trainer.step(x, np.array([1, 2]))
    trained = trainer.network.weights
    for name in ("conv1.weight", "bn1.gamma", "bn1.mean", "bn1.variance"):
        assert not np.array_equal(trained[name], found[name])


def test_a_loaded_file_has_them_apart_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    path = written(tmp_path, resnet_state())
    for fold in (True, False, True):
        names = mpscnn.load(path, device="cpu", fold=fold, preprocess="torchvision").network.layer_names()
        assert ("bn1" in names) != fold


def test_half_precision_stays(tmp_path: Path) -> None:
    weights = {name: array.astype(np.float16) for name, array in weights_of(models.squeezenet1_1).items()}
    network = read_network([written(tmp_path, state_of(weights))])  # type: ignore[arg-type]
    assert network.weights["features.0.weight"].dtype == np.float16


def without(name: str) -> Callable[[Arrays], Arrays]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def changed(name: str, values: Any, dtype: Any = np.float32) -> Callable[[Arrays], Arrays]:
    return lambda state: state | {name: np.asarray(values, dtype)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (without("layer2.1.conv2.weight"), mpscnn.UnsupportedError, "'layer2.1.conv2.weight' is missing"),
        (without("bn1.running_var"), mpscnn.UnsupportedError, "'bn1.running_var' is missing"),
        (changed("extra.weight", [1.0]), mpscnn.UnsupportedError, "'extra.weight' belongs to no layer"),
        (changed("fc.bias", [1.0] * 11), mpscnn.UnsupportedError, "'fc.bias' has the shape (11,), not (10,)"),
        (changed("fc.weight", 1.0), mpscnn.UnsupportedError, "'fc.weight' has the shape (), not"),
        (
            changed("bn1.bias", [0.0] * 63),
            mpscnn.UnsupportedError,
            "'bn1.bias' has the shape (63,), not (64,)",
        ),
        (changed("bn1.running_var", [-1.0] * 64), mpscnn.WeightsError, "'bn1' has a negative variance"),
        (changed("bn1.running_var", [np.nan] * 64), mpscnn.WeightsError, "'bn1' has a negative variance"),
        (changed("bn1.bias", [np.inf] * 64), mpscnn.WeightsError, "conv1"),
        (changed("fc.bias", [np.nan] * 10), mpscnn.WeightsError, "fc"),
        (changed("fc.bias", [1e300] * 10, np.float64), mpscnn.WeightsError, "fc"),
        (changed("fc.bias", [1] * 10, np.int64), mpscnn.UnsupportedError, "'fc.bias' has elements of int64"),
    ],
)
def test_tensors_that_do_not_belong_to_the_network(
    tmp_path: Path, change: Callable[[Arrays], Arrays], error: type[mpscnn.Error], message: str
) -> None:
    with pytest.raises(error) as refused:
        read_network([written(tmp_path, change(resnet_state()))])
    assert "weights.pth" in str(refused.value)
    assert message in str(refused.value)


# ---- Wrappers and heads --------------------------------------------------------------------------------------------

FAMILIES_WITH_HEADS = [
    (models.resnet18, "fc", "fc"),
    (models.mobilenet_v2_torch, "classifier.1", "classifier"),
    (models.mobilenet_v3_small, "classifier.3", "classifier.3"),
    (models.mnasnet0_5, "classifier.1", "classifier"),
    (models.shufflenet_v2_x0_5, "fc", "fc"),
    (models.efficientnet_b0, "classifier.1", "classifier"),
]


def with_head(state: Arrays, head: str, names: dict[str, str]) -> Arrays:
    """Return the tensors with other names for those of the head; a tensor without a new name is left out."""
    rest = {name: array for name, array in state.items() if not name.startswith(f"{head}.")}
    return rest | {new: state[f"{head}.{old}"] for new, old in names.items()}


@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod.module.", "a.b.c.d.e.f."])
def test_a_prefix_of_all_names_is_removed(tmp_path: Path, prefix: str) -> None:
    state = resnet_state()
    plain = read_network([written(tmp_path, state)]).weights
    path = written(tmp_path, {f"{prefix}{name}": array for name, array in state.items()})
    found = read_network([path]).weights
    assert found.keys() == plain.keys()
    assert all(np.array_equal(found[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    "extra", [("criterion.weight",), ("fc.bias",), ("teacher.conv1.weight", "teacher.layer1.0.conv1.weight")]
)
def test_tensors_beside_the_prefix_are_named(tmp_path: Path, extra: tuple[str, ...]) -> None:
    """A tensor outside the wrapped network is refused, also if it has the name of one inside."""
    state = {f"model.{name}": array for name, array in resnet_state().items()}
    path = written(tmp_path, state | {name: np.ones(10, np.float32) for name in extra})
    with pytest.raises(mpscnn.UnsupportedError, match=rf"under 'model\.'.*ResNet.*'{extra[0]}'"):
        read_network([path])


@pytest.mark.parametrize(("build", "head", "place"), FAMILIES_WITH_HEADS, ids=build_names)
@pytest.mark.parametrize("there", ["{place}", "{place}.drop.2", "{head}.1"])
def test_a_head_of_one_layer_has_any_name(
    tmp_path: Path, build: Build, head: str, place: str, there: str
) -> None:
    state = state_of(weights_of(build, classes=7))
    path = there.format(head=head, place=place)
    changed_names = {f"{path}.weight": "weight", f"{path}.bias": "bias"}
    network = read_network([written(tmp_path, with_head(state, head, changed_names))])
    assert network.outputs[0].shape == (None, 7)
    np.testing.assert_array_equal(network.weight(head, "bias"), state[f"{head}.bias"])
    assert any(f"the last layer is '{path}'" in note for note in network.notes) == (path != head)


@pytest.mark.parametrize(("build", "head", "place"), FAMILIES_WITH_HEADS, ids=build_names)
def test_a_network_without_a_head_ends_in_features(
    tmp_path: Path, build: Build, head: str, place: str
) -> None:
    state = state_of(weights_of(build, classes=7))
    network = read_network([written(tmp_path, with_head(state, head, {}))], size=(32, 32))
    whole = build(classes=7, input_size=32)
    whole.load_weights(weights_of(build, classes=7), layout="OHWI")
    assert any(f"the file has no '{head}'" in note for note in network.notes)
    x = np.random.default_rng(0).normal(0, 1, (1, 32, 32, 3)).astype(np.float32)
    features = np.asarray(network.predict(x))
    scores = features @ state[f"{head}.weight"].T + state[f"{head}.bias"]
    np.testing.assert_allclose(np.asarray(whole.predict(x)), scores, rtol=1e-3, atol=1e-4)


def test_a_head_of_two_layers_is_refused(tmp_path: Path) -> None:
    """Whether an activation lies between the two, a state dict does not say."""
    state = resnet_state()
    two = {
        "fc.0.weight": np.ones((20, 512), np.float32),
        "fc.3.weight": np.ones((10, 20), np.float32),
        "fc.3.bias": np.ones(10, np.float32),
    }
    with pytest.raises(mpscnn.UnsupportedError, match=r"head 'fc' has several layers \('fc.0', 'fc.3'\)"):
        read_network([written(tmp_path, with_head(state, "fc", {}) | two)])


def test_names_of_no_known_network(tmp_path: Path) -> None:
    state = {"encoder.0.weight": np.ones((2, 2), np.float32), "encoder.0.bias": np.ones(2, np.float32)}
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"'encoder.0.weight', 'encoder.0.bias'.*SqueezeNet.*from_torch\("
    ):
        read_network([written(tmp_path, state)])


def test_an_architecture_that_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, resnet_state())
    assert read_network([path], architecture="resnet18").name == "weights"
    with pytest.raises(mpscnn.UnsupportedError, match="from resnet34 in"):
        read_network([path], architecture="resnet34")
    with pytest.raises(
        mpscnn.UnsupportedError, match="has no architecture 'vgg16'; it has resnet18, resnet34"
    ):
        read_network([path], architecture="vgg16")
    with pytest.raises(mpscnn.ParameterError, match="can be chosen for files of weights only"):
        read_network([tmp_path / "network.tflite"], architecture="resnet18")


def test_one_file_is_one_network(tmp_path: Path) -> None:
    path = written(tmp_path, {})
    with pytest.raises(mpscnn.UnsupportedError, match="is one file; 2 were given"):
        read_network([path, path])


@pytest.mark.parametrize(
    ("name", "resize", "guessed"),
    [
        ("mobilenet_v2-b0353104.pth", 256, False),
        ("mobilenet_v2-7ebf99e0.pth", 232, False),
        ("mobilenet_v2-00000000.pth", 256, True),
        ("mobilenet_v2.pth", 256, True),
    ],
)
def test_torchvisions_files_have_their_own_photos(
    tmp_path: Path, name: str, resize: int, guessed: bool
) -> None:
    weights = state_of(weights_of(models.mobilenet_v2_torch, classes=3))
    network = read_network([written(tmp_path, weights, name)])
    assert network.preprocess == torchvision_transform(resize).settings()
    assert [isinstance(note, PhotoNote) for note in network.notes] == [True] * guessed


def test_converted_files_belong_to_the_definition(tmp_path: Path) -> None:
    """Converted files have the weights for the package's network. Conversion does not import torch."""
    written(tmp_path, state_of(weights_of(models.mnasnet0_5)))
    program = (
        "import sys; from mpscnn.converters import convert_files;"
        "convert_files(['weights.pth'], 'model.safetensors', dtype='float32');"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    network = models.mnasnet0_5(tmp_path / "model.safetensors", classes=10)
    assert network.weights.keys() == weights_of(models.mnasnet0_5).keys()
    assert mpscnn.load(tmp_path / "model.safetensors").preprocess is not None


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_files_are_loaded_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    weights = weights_of(models.squeezenet1_1)
    path = written(tmp_path, state_of(weights), name)
    np.testing.assert_array_equal(
        mpscnn.load(path).network.weights["classifier.1.weight"], weights["classifier.1.weight"]
    )
    assert models.squeezenet1_1(path, classes=10).weights.keys() == weights.keys()


def test_labels_fit_the_classes(tmp_path: Path) -> None:
    path = written(tmp_path, state_of(weights_of(models.squeezenet1_0, classes=2)))
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    convert_files([path], tmp_path / "model.safetensors", labels=tmp_path / "labels.txt")
    assert mpscnn.load(tmp_path / "model.safetensors").labels == ["cat", "dog"]


def test_of_several_sets_of_weights_a_note_says_which_are_taken(tmp_path: Path) -> None:
    storages = Storages()
    state = state_of(weights_of(models.squeezenet1_1))
    value = {
        kind: {name: storages.tensor(array * scale) for name, array in state.items()}
        for kind, scale in {"model_ema": np.float32(2), "model": np.float32(1)}.items()
    }
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(zip_form(value, storages))
    network = read_network([path])
    assert network.notes == ["the weights are those of 'model'; other entries are left out: 'model_ema'"]
    np.testing.assert_array_equal(network.weight("classifier.1", "bias"), state["classifier.1.bias"])


def test_networks_that_only_look_like_known_ones_are_told_by_their_names(tmp_path: Path) -> None:
    path = written(tmp_path, resnet_state(), "resnetblur18.pth")
    with pytest.raises(mpscnn.UnsupportedError, match=r"one of timm's resnetblur networks.*--architecture"):
        read_network([path])
    assert read_network([path], architecture="resnet18").weights.keys()


# ---- The definitions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "millions"),  # torchvision's numbers, with folded batch normalizations
    [
        (models.resnet18, 11.68),
        (models.resnet50, 25.53),
        (models.squeezenet1_1, 1.24),
        (models.mnasnet1_0, 4.36),
    ],
    ids=build_names,
)
def test_numbers_of_parameters(build: Build, millions: float) -> None:
    parameters = sum(array.size for array in weights_of(build, classes=1000).values())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.02)


def test_options_of_the_definitions() -> None:
    network = models.resnet18(input_size=(64, 96), classes=5, output="softmax")
    assert network.input.shape == (None, 64, 96, 3)
    assert network.outputs[0].shape == (None, 5)
    assert network.layer_names()[-1] == "softmax"
    with pytest.raises(mpscnn.ParameterError, match="output must be 'logits' or 'softmax', got 'labels'"):
        models.resnet18(output="labels")
    with pytest.raises(mpscnn.ParameterError, match="classes must be a number of at least 1, got 0"):
        models.resnet18(classes=0)
    with pytest.raises(mpscnn.ParameterError, match="input_size must be at least 32"):
        models.resnet18(input_size=16)
