"""Read timm's networks of the MobileNet family from their state dicts, and compare them with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agreement import computed
from oracles.torchvision_models import asked, assert_close, photo, randomized, saved, timm

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.reading.pytorch.architectures import FAMILIES
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.converters.reading.pytorch.timm_config import SEVERAL_TRANSFORMS
from mpscnn.models.photo_transforms import NORMALISATIONS

full = pytest.mark.full
#: The networks of the default tier, and those of the full tier.
QUICK = """mobilenetv2_035 mobilenetv2_110d mnasnet_050 mobilenetv3_large_100 mobilenetv3_small_050
    mobilenetv3_small_075 tf_mobilenetv3_large_075 tf_mobilenetv3_large_minimal_100 efficientnet_b0
    tf_efficientnet_b1 efficientnet_lite0 tf_efficientnet_lite0 tf_efficientnetv2_s mobilenetv4_conv_small
    mobilenetv4_conv_small_050 mobilenetv4_conv_medium mobilenetv4_hybrid_medium_075
    mobilenetv4_hybrid_large_075 mobilenetv1_100 mobilenetv1_100h mobilenetv3_rw mobilenetv3_large_150d
    lcnet_035 mobilenet_edgetpu_100 mobilenet_edgetpu_v2_xs"""
SLOW = """mobilenetv2_050 mobilenetv2_100 mobilenetv2_120d mobilenetv2_140 mnasnet_075 mnasnet_100 mnasnet_140
    mobilenetv3_large_075 mobilenetv3_small_100 tf_mobilenetv3_large_100 tf_mobilenetv3_small_075
    tf_mobilenetv3_small_100 tf_mobilenetv3_small_minimal_100 efficientnet_b1 efficientnet_b2
    efficientnet_b3 efficientnet_b4 tf_efficientnet_b0 tf_efficientnet_b5 efficientnet_lite1
    tf_efficientnet_lite2 tf_efficientnetv2_m mobilenetv4_conv_small_035 mobilenetv4_conv_large
    mobilenetv4_hybrid_medium mobilenetv4_hybrid_large mobilenetv1_125 lcnet_050 lcnet_075 lcnet_100
    lcnet_150 mobilenet_edgetpu_v2_s mobilenet_edgetpu_v2_m mobilenet_edgetpu_v2_l"""
NETWORKS = [*QUICK.split(), *(pytest.param(name, marks=full) for name in SLOW.split())]


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
