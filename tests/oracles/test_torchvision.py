"""torchvision's networks through their state dicts, beside torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracles.torchvision_models import asked, assert_close, computed, photo, randomized, saved, torchvision

from mpscnn.converters import read_network

full = pytest.mark.full

CLASSIFIERS = [
    "resnet18",
    pytest.param("resnet34", marks=full),
    "resnet50",
    pytest.param("resnet101", marks=full),
    pytest.param("resnet152", marks=full),
    "resnext50_32x4d",
    pytest.param("resnext101_32x8d", marks=full),
    pytest.param("resnext101_64x4d", marks=full),
    pytest.param("wide_resnet50_2", marks=full),
    pytest.param("wide_resnet101_2", marks=full),
    "mobilenet_v2",
    "squeezenet1_0",
    "squeezenet1_1",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(tmp_path: Path, name: str) -> None:
    module = randomized(torchvision().models.get_model(name, weights=None, num_classes=21))
    size = (64, 96)
    network = read_network([saved(module, tmp_path / "weights.pth")], size=size)
    assert_close(computed(network, photo(size)), asked(module, photo(size)).numpy())


@pytest.mark.parametrize("width", [0.25, 0.35, 0.5, 1.4])
def test_widths_of_mobilenet_v2(tmp_path: Path, width: float) -> None:
    module = randomized(torchvision().models.mobilenet_v2(weights=None, width_mult=width))
    network = read_network([saved(module, tmp_path / "weights.pth")], size=(64, 64))
    assert_close(computed(network, photo((64, 64))), asked(module, photo((64, 64))).numpy())


def test_odd_sizes(tmp_path: Path) -> None:
    """Where poolings keep a last window that overhangs, and strides leave a rest."""
    for name in ("squeezenet1_1", "resnet18"):
        module = randomized(torchvision().models.get_model(name, weights=None))
        network = read_network([saved(module, tmp_path / "weights.pth")], size=(77, 59))
        assert_close(computed(network, photo((77, 59))), asked(module, photo((77, 59))).numpy())
