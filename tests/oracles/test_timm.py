"""Read timm's networks of the MobileNet family from their state dicts, and compare them with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agreement import computed
from oracles.torchvision_models import asked, assert_close, photo, randomized, saved, timm

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.pytorch.architectures import FAMILIES
from mpscnn.converters.pytorch.state_dict import StateDict
from mpscnn.converters.pytorch.timm_config import SEVERAL_TRANSFORMS
from mpscnn.models.photo_transforms import NORMALISATIONS

full = pytest.mark.full

NETWORKS = [
    "mobilenetv2_035",
    pytest.param("mobilenetv2_050", marks=full),
    pytest.param("mobilenetv2_100", marks=full),
    "mobilenetv2_110d",
    pytest.param("mobilenetv2_120d", marks=full),
    pytest.param("mobilenetv2_140", marks=full),
    "mnasnet_050",
    pytest.param("mnasnet_075", marks=full),
    pytest.param("mnasnet_100", marks=full),
    pytest.param("mnasnet_140", marks=full),
    "mobilenetv3_large_100",
    pytest.param("mobilenetv3_large_075", marks=full),
    "mobilenetv3_small_050",
    "mobilenetv3_small_075",
    pytest.param("mobilenetv3_small_100", marks=full),
    "tf_mobilenetv3_large_075",
    pytest.param("tf_mobilenetv3_large_100", marks=full),
    "tf_mobilenetv3_large_minimal_100",
    pytest.param("tf_mobilenetv3_small_075", marks=full),
    pytest.param("tf_mobilenetv3_small_100", marks=full),
    pytest.param("tf_mobilenetv3_small_minimal_100", marks=full),
    "efficientnet_b0",
    pytest.param("efficientnet_b1", marks=full),
    pytest.param("efficientnet_b2", marks=full),
    pytest.param("efficientnet_b3", marks=full),
    pytest.param("efficientnet_b4", marks=full),
    "tf_efficientnet_b1",
    pytest.param("tf_efficientnet_b0", marks=full),
    pytest.param("tf_efficientnet_b5", marks=full),
    "efficientnet_lite0",
    pytest.param("efficientnet_lite1", marks=full),
    "tf_efficientnet_lite0",
    pytest.param("tf_efficientnet_lite2", marks=full),
    "tf_efficientnetv2_s",
    pytest.param("tf_efficientnetv2_m", marks=full),
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_small_050",
    pytest.param("mobilenetv4_conv_small_035", marks=full),
    "mobilenetv4_conv_medium",
    pytest.param("mobilenetv4_conv_large", marks=full),
    "mobilenetv4_hybrid_medium_075",
    pytest.param("mobilenetv4_hybrid_medium", marks=full),
    "mobilenetv4_hybrid_large_075",
    pytest.param("mobilenetv4_hybrid_large", marks=full),
    "mobilenetv1_100",
    "mobilenetv1_100h",
    pytest.param("mobilenetv1_125", marks=full),
    "mobilenetv3_rw",
    "mobilenetv3_large_150d",
    "lcnet_035",
    pytest.param("lcnet_050", marks=full),
    pytest.param("lcnet_075", marks=full),
    pytest.param("lcnet_100", marks=full),
    pytest.param("lcnet_150", marks=full),
    "mobilenet_edgetpu_100",
    "mobilenet_edgetpu_v2_xs",
    pytest.param("mobilenet_edgetpu_v2_s", marks=full),
    pytest.param("mobilenet_edgetpu_v2_m", marks=full),
    pytest.param("mobilenet_edgetpu_v2_l", marks=full),
]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(tmp_path: Path, name: str) -> None:
    """The size is one for which TensorFlow pads some sides more than others."""
    size = (64, 97)
    built = timm().create_model(name, pretrained=False, num_classes=11)
    module = randomized(built, gain=0.5 if "efficientnetv2" in name or "hybrid" in name else 1.0)
    network = read_network([saved(module, tmp_path / f"{name}.pth")], size=size)
    assert_close(computed(network, photo(size)), asked(module, photo(size)).numpy())
    assert bool(network.notes) == (len(transforms(name)) > 1)


def transforms(name: str) -> set[Any]:
    """Return the sizes, crops, filters and normalisations of timm's weights of a network."""
    configs = map(timm().models.get_pretrained_cfg, timm().list_pretrained(f"{name}.*"))
    return {
        (one.input_size, one.crop_pct, one.crop_mode, one.interpolation, one.mean, one.std) for one in configs
    }


def test_the_networks_with_several_transforms() -> None:
    empty = StateDict({}, "")
    names = {one.name for family in FAMILIES if family.is_timm for one in family.members(empty)}
    assert {name for name in names if len(transforms(name)) > 1} == SEVERAL_TRANSFORMS


def test_the_config_that_timm_writes(tmp_path: Path) -> None:
    module = timm().create_model("efficientnet_b1.ra4_e3600_r240_in1k", pretrained=False, num_classes=5)
    timm().models._hub.save_config_for_hf(module, tmp_path / "config.json")
    network = read_network([saved(randomized(module), tmp_path / "model.pth")], size=(64, 64))
    assert isinstance(network.preprocess, dict)
    assert network.preprocess["mean"] == [255 * mean for mean in NORMALISATIONS["tensorflow"][0]]
    assert network.preprocess["crop_fraction"] == 0.9
    assert not network.notes


def test_the_config_chooses_between_networks_with_the_same_weights(tmp_path: Path) -> None:
    module = randomized(timm().create_model("tf_mobilenetv3_small_100", pretrained=False))
    timm().models._hub.save_config_for_hf(module, tmp_path / "config.json")
    network = read_network([saved(module, tmp_path / "model.pth")], size=(64, 64))
    assert_close(computed(network, photo((64, 64))), asked(module, photo((64, 64))).numpy())
    assert not network.notes
    # The name of the file is more specific than a config.json, which may belong to another file.
    other = read_network([saved(module, tmp_path / "mobilenetv3_small_100.pth")], size=(64, 64))
    assert "not used: it describes 'tf_mobilenetv3_small_100'" in other.notes[0]


def test_weights_that_fit_two_networks(tmp_path: Path) -> None:
    module = randomized(timm().create_model("tf_mobilenetv3_small_100", pretrained=False))
    path = saved(module, tmp_path / "model.pth")
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        read_network([path], size=(64, 64))
    assert "mobilenetv3_small_100, tf_mobilenetv3_small_100, which compute differently" in str(refused.value)
    assert "--architecture" in str(refused.value)
    network = read_network([path], size=(64, 64), architecture="tf_mobilenetv3_small_100")
    assert_close(computed(network, photo((64, 64))), asked(module, photo((64, 64))).numpy())
    with pytest.raises(mpscnn.UnsupportedError, match="no architecture 'resnet18'"):
        read_network([path], architecture="resnet18")
