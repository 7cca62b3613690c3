"""Test that the config.json that timm writes beside weights chooses the network and its normalisation."""

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
from mpscnn.converters import read_network

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


def config_of(settings: object, architecture: object = "mobilenetv4_conv_small") -> dict[str, Any]:
    return {"architecture": architecture, "num_classes": 3, "pretrained_cfg": settings}


@pytest.mark.parametrize(
    ("settings", "preset"),
    [(IMAGENET, "torch"), (HALF, "tensorflow"), ({"mean": [0, 0, 0], "std": [1, 1, 1]}, "unit")],
)
def test_the_config_chooses_the_preset(tmp_path: Path, settings: object, preset: str) -> None:
    network = read(tmp_path, config_of(settings))
    assert network.preprocess == preset
    assert not network.notes


def test_the_config_may_have_a_normalisation_without_a_preset(tmp_path: Path) -> None:
    network = read(tmp_path, config_of({"mean": [0.25, 0.5, 0.75], "std": [0.5, 0.25, 1.0]}))
    assert network.preprocess == {
        "mean": [63.75, 127.5, 191.25],
        "scale": pytest.approx([1 / 127.5, 1 / 63.75, 1 / 255]),
    }


def test_a_note_says_that_the_normalisation_may_be_another(tmp_path: Path) -> None:
    network = read(tmp_path)
    assert network.preprocess == "torch"
    (note,) = network.notes
    assert "'torch'" in note
    assert "config.json" in note
    assert "--preprocess" in note


def test_the_config_of_another_network_is_not_used(tmp_path: Path) -> None:
    network = read(tmp_path, config_of(HALF, "resnet50"))
    assert network.preprocess == "torch"
    assert "not used: it describes 'resnet50'" in network.notes[0]


def test_the_config_names_a_network_with_the_same_weights(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="blur"):
        read(tmp_path, config_of(HALF, "mobilenetv4_conv_blur_medium"))


@pytest.mark.parametrize(
    "config",
    [
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * (1 << 20) + b"{}",
        [],
        {},
        config_of(None),
        config_of(HALF, 3),
        config_of({"mean": [0.5] * 3}),
        config_of({"mean": [0.5] * 3, "std": [0.5, 0.5, 0.0]}),
        config_of({"mean": [0.5] * 3, "std": [0.5, 0.5, float("nan")]}),
        config_of({"mean": [0.5] * 3, "std": [0.5, 0.5, 10**400]}),
        config_of({"mean": [0.5] * 4, "std": [0.5] * 4}),
        config_of({"mean": "0.5", "std": True}),
    ],
    ids=range(14),
)
def test_other_files_of_that_name_are_ignored(tmp_path: Path, config: object) -> None:
    network = read(tmp_path, config)
    assert network.preprocess == "torch"
    assert len(network.notes) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_of_that_name_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert read(tmp_path).preprocess == "torch"
