"""Test that the config.json that timm writes next to weights chooses the network, its size and its photos."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from converters.torch_writer import safetensors_file, state_of

import mpscnn
from mpscnn import models
from mpscnn.converters import convert_files, read_network
from mpscnn.converters.reading.pytorch.timm_config import CONFIG, read_timm_config
from mpscnn.models.photo_transforms import NORMALISATIONS, PhotoTransform

IMAGENET: dict[str, Any] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
HALF: dict[str, Any] = {"mean": [0.5] * 3, "std": [0.5] * 3}


@cache
def weights() -> bytes:
    """Return the weights of a network for which timm has two normalisations."""
    network = models.mobilenet_v4_conv_small(classes=3)
    network.initialize_weights(seed=1)
    return safetensors_file(state_of(network.weights))


def read(folder: Path, config: object = None, name: str = "model.safetensors") -> mpscnn.Network:
    path = folder / name
    path.write_bytes(weights())
    if config is not None:
        content = config if isinstance(config, bytes) else json.dumps(config).encode()
        (folder / "config.json").write_bytes(content)
    return read_network([path], size=(64, 64))


def preset_of(network: mpscnn.Network) -> str:
    """Return the preset with the same normalisation."""
    assert isinstance(network.preprocess, dict)
    mean = tuple(mean / 255 for mean in network.preprocess["mean"])
    return next(name for name, known in NORMALISATIONS.items() if mean == pytest.approx(known[0]))


def config_of(settings: object, architecture: object = "mobilenetv4_conv_small") -> dict[str, Any]:
    return {"architecture": architecture, "num_classes": 3, "pretrained_cfg": settings}


@pytest.mark.parametrize(
    ("settings", "preset"),
    [(IMAGENET, "torch"), (HALF, "tensorflow"), ({"mean": [0, 0, 0], "std": [1, 1, 1]}, "unit")],
)
def test_the_config_chooses_the_preset(tmp_path: Path, settings: object, preset: str) -> None:
    network = read(tmp_path, config_of(settings))
    assert preset_of(network) == preset
    assert not network.notes


def test_the_config_may_have_a_normalisation_without_a_preset(tmp_path: Path) -> None:
    network = read(tmp_path, config_of({"mean": [0.25, 0.5, 0.75], "std": [0.5, 0.25, 1.0]}))
    assert network.preprocess == {
        **PhotoTransform(filter="bicubic").settings(),
        "mean": [63.75, 127.5, 191.25],
        "scale": pytest.approx([1 / 127.5, 1 / 63.75, 1 / 255]),
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        (
            {"crop_pct": 0.95, "interpolation": "bilinear"},
            {"crop_fraction": 0.95, "filter": "bilinear_antialias"},
        ),
        ({"crop_pct": 1, "crop_mode": "squash"}, {"crop_fraction": 1.0, "fit": "stretch"}),
        ({"crop_pct": 1.15, "interpolation": "nearest"}, {"crop_fraction": 1.15, "filter": "nearest"}),
        ({"crop_mode": "border", **IMAGENET}, {"fit": "letterbox", "letterbox_value": [124.0, 116.0, 104.0]}),
        ({"crop_pct": None, "interpolation": None, "crop_mode": None}, {}),
    ],
)
def test_the_config_chooses_resize_and_crop(
    tmp_path: Path, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    network = read(tmp_path, config_of({**IMAGENET, **settings}))
    assert network.preprocess == {**PhotoTransform(filter="bicubic").settings(), **expected}
    assert not network.notes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interpolation": "lanczos"}, "another interpolation than mpscnn, 'lanczos'; 'bicubic' is used"),
        ({"interpolation": ["bicubic"]}, "another interpolation than mpscnn"),
        ({"crop_mode": "five"}, "another crop_mode than mpscnn, 'five'; 'center' is used"),
        ({"crop_pct": 17}, "another crop_pct than mpscnn, '17'; 0.875 is used"),
        ({"crop_pct": "0.9"}, "another crop_pct than mpscnn"),
    ],
)
def test_what_of_a_config_is_not_used_is_noted(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    network = read(tmp_path, config_of({**IMAGENET, **settings}))
    assert network.preprocess == PhotoTransform(filter="bicubic").settings()
    (note,) = network.notes
    assert message in note


@pytest.mark.parametrize(
    ("size", "expected"), [([3, 96, 128], (96, 128)), ([3, 0, 128], (224, 224)), ("large", (224, 224))]
)
def test_the_config_chooses_the_size(tmp_path: Path, size: object, expected: tuple[int, int]) -> None:
    read(tmp_path, config_of({**IMAGENET, "input_size": size}))
    path = tmp_path / "model.safetensors"
    assert read_network([path]).input.shape == (None, *expected, 3)
    assert read_network([path], size=(64, 64)).input.shape == (None, 64, 64, 3)


def test_a_note_says_that_the_normalisation_may_be_another(tmp_path: Path) -> None:
    network = read(tmp_path)
    assert preset_of(network) == "torch"
    (note,) = network.notes
    assert "photos are resized, cropped and normalised as for one kind of weights" in note
    assert "config.json" in note
    assert "--preprocess" in note


def test_the_note_is_dropped_when_the_user_chooses(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(weights())
    network = convert_files(tmp_path / "model.safetensors", tmp_path / "out.safetensors", preprocess="torch")
    assert not network.notes


def test_the_config_of_another_network_is_not_used(tmp_path: Path) -> None:
    network = read(tmp_path, config_of(HALF, "resnet50"))
    assert preset_of(network) == "torch"
    assert "not used: it describes 'resnet50'" in network.notes[0]


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"mean": [0.5] * 3},
        {"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]},
        {"mean": [0.5] * 3, "std": [0.5, 0.5, float("nan")]},
        {"mean": [0.5] * 3, "std": [0.5, 0.5, 10**400]},
        {"mean": [0.5] * 4, "std": [0.5] * 4},
        {"mean": "0.5", "std": True},
    ],
    ids=range(7),
)
def test_a_config_without_a_normalisation_is_not_used(tmp_path: Path, settings: object) -> None:
    network = read(tmp_path, config_of(settings))
    assert preset_of(network) == "torch"
    assert "not used: it has no three means of 0 to 1" in network.notes[0]
    assert "others want other photos" in network.notes[1]


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b"\xff", rb'{"architecture": "\ud800"}', b'{"architecture": 5}', b"[]"]
)
def test_what_is_no_config_of_timm_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG).write_bytes(content)
    assert read_timm_config(tmp_path / "model.safetensors") is None


def test_older_configs_have_no_part_for_the_weights(tmp_path: Path) -> None:
    network = read(tmp_path, {"architecture": "mobilenetv4_conv_small.e3600_r256_in1k", **HALF})
    assert preset_of(network) == "tensorflow"
    assert not network.notes


def test_arguments_that_change_the_network_are_noted(tmp_path: Path) -> None:
    config = config_of(HALF) | {"model_args": {"img_size": 64, "act_layer": "gelu"}}
    (note,) = read(tmp_path, config).notes
    assert "not used and may change the network: 'act_layer'" in note


def test_a_config_may_say_that_the_network_has_blur_poolings(tmp_path: Path) -> None:
    config = config_of(HALF, "mobilenetv4_conv_blur_small")
    with pytest.raises(mpscnn.UnsupportedError, match=r"by the config.json next to it .* blur poolings"):
        read(tmp_path, config)
    path = tmp_path / "model.safetensors"
    network = read_network([path], size=(64, 64), architecture="mobilenetv4_conv_small")
    assert "not used" in network.notes[0]
    other = read(tmp_path, config_of(HALF, "resnetblur50"))
    assert "not used" in other.notes[0]


def test_torchvisions_networks_have_one_normalisation(tmp_path: Path) -> None:
    network = models.efficientnet_b0(classes=3)
    network.initialize_weights(seed=1)
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_file(state_of(network.weights)))
    assert not read_network([path], size=(64, 64)).notes


def mean_of(path: Path) -> Any:
    """Return the mean of the red channel that a loaded model subtracts."""
    settings = mpscnn.load(path).preprocess
    assert settings is not None
    return settings["mean"][0]


def test_the_config_of_a_network_with_a_longer_name_is_not_used(tmp_path: Path) -> None:
    network = read(tmp_path, config_of(HALF, "mobilenetv4_conv_small_050"))
    assert preset_of(network) == "torch"
    assert "not used: it describes 'mobilenetv4_conv_small_050'" in network.notes[0]


def test_a_loaded_file_whose_user_chooses_has_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.safetensors"
    path.write_bytes(weights())
    mpscnn.load(path, preprocess="tensorflow")
    assert not recwarn.list


def test_a_loaded_file_follows_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "model.safetensors"
    path.write_bytes(weights())
    for _ in range(2):  # the second time the network comes from the cache
        with pytest.warns(RuntimeWarning, match="normalised as for one kind of weights"):
            assert mean_of(path) == pytest.approx(0.485 * 255)
    (tmp_path / "config.json").write_text(json.dumps(config_of(HALF)))
    assert mean_of(path) == pytest.approx(127.5)
    (tmp_path / "config.json").write_text(json.dumps(config_of(IMAGENET)))
    assert mean_of(path) == pytest.approx(0.485 * 255)


@pytest.mark.parametrize(
    "config",
    [b"{", b"[" * 100_000, b"\xff\xfe", b" " * (1 << 20) + b"{}", [], {}, config_of(HALF, 3)],
    ids=range(7),
)
def test_other_files_of_that_name_are_ignored(tmp_path: Path, config: object) -> None:
    network = read(tmp_path, config)
    assert preset_of(network) == "torch"
    assert len(network.notes) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_of_that_name_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert preset_of(read(tmp_path)) == "torch"
