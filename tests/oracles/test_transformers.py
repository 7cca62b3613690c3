"""Convert networks with attention by ONNX files, and compare them with torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from agreement import computed
from oracles.torchvision_models import asked, assert_close, photo, randomized, torchvision

from mpscnn.converters import read_network


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mobilevit_xxs", "efficientformer_l1"])
def test_onnx(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch.manual_seed(0)
    module = randomized(timm.create_model(name, pretrained=False))
    channels, *size = module.default_cfg["input_size"]
    image, path = photo((size[0], size[1]), batch=1), tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about traced constants and the old exporter
        torch.onnx.export(module, torch.zeros(1, channels, *size), path, dynamo=False, opset_version=17)
    assert_close(computed(read_network([path]), image), asked(module, image).numpy())
