"""Networks that coreai-torch writes as Core AI's assets compute torch's results. Needs coreai-torch; all are full tier.

torch's release must be one that coreai-torch takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import results
from numpy.typing import NDArray
from oracles.torchvision_models import timm, torchvision_module

from mpscnn.converters import read_network

torch = pytest.importorskip("torch", reason="torch is not installed")
coreai_torch = pytest.importorskip("coreai_torch", reason="coreai-torch is not installed")
pytestmark = pytest.mark.full

Array = NDArray[Any]
TOLERANCE = 1e-5
"""The allowed difference from torch's results, relative to the largest result."""
SIZES = {
    **dict.fromkeys(("vgg11", "alexnet", "vit_b_32", "maxvit_t", "deit_tiny_patch16_224", "levit_128s"), 224),
    "inception_v3": 299,
}
"""The height and width of the input of networks that do not take 128 x 128."""
TORCHVISION = """mobilenet_v2 mobilenet_v3_small mobilenet_v3_large resnet18 resnext50_32x4d squeezenet1_1
    shufflenet_v2_x0_5 mnasnet0_5 efficientnet_b0 efficientnet_v2_s densenet121 googlenet regnet_y_400mf vgg11 alexnet
    inception_v3 vit_b_32 maxvit_t deeplabv3_mobilenet_v3_large lraspp_mobilenet_v3_large"""
TIMM = """mobilenetv1_100 mobilenetv4_conv_small ghostnet_100 tinynet_e efficientvit_b0 mobilevit_xxs fastvit_t8
    repvgg_a0 hardcorenas_a lcnet_050 mixnet_s convmixer_768_32 mobileone_s0 resnet10t tf_efficientnet_lite0
    rexnet_100 deit_tiny_patch16_224 levit_128s"""


def written(module: Any, shape: tuple[int, ...], path: Path) -> tuple[Array, list[Array]]:
    """Write a module by coreai-torch. Return an input with the channels last, and torch's results for it."""
    module = module.eval()
    torch.manual_seed(0)
    for parameter in module.parameters():
        if (
            parameter.ndim > 1 and not parameter.any()
        ):  # some heads begin with zeros, which would hide the network
            torch.nn.init.normal_(parameter, std=0.02)
    x = torch.randn(*shape)
    with torch.no_grad():
        made = module(x)
    exported = torch.export.export(module, args=(x,)).run_decompositions(coreai_torch.get_decomp_table())
    coreai_torch.TorchConverter().add_exported_program(exported).to_coreai().save_asset(path)
    tensors = (
        list(made.values()) if isinstance(made, dict) else made if isinstance(made, (list, tuple)) else [made]
    )
    tensors = [one.numpy() for one in tensors if isinstance(one, torch.Tensor)]
    return np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)), tensors


def assert_same(module: Any, shape: tuple[int, ...], path: Path) -> None:
    """Compare a written network with torch."""
    x, wanted = written(module, shape, path)
    for one, right in zip(results(read_network(path), x), wanted, strict=True):
        other = right.transpose(0, 2, 3, 1) if right.ndim == 4 else right
        assert abs(other).max() > 0
        limit = TOLERANCE * float(abs(other).max())
        np.testing.assert_allclose(one.reshape(other.shape), other, rtol=0, atol=limit)


@pytest.mark.parametrize("name", TORCHVISION.split())
def test_torchvision(name: str, tmp_path: Path) -> None:
    models = torchvision_module("models")
    plain = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    settings = {"weights_backbone": None} if "_mobilenet_v3" in name else plain
    size = SIZES.get(name, 128)
    assert_same(
        models.get_model(name, weights=None, **settings), (1, 3, size, size), tmp_path / "one.aimodel"
    )


@pytest.mark.parametrize("name", TIMM.split())
def test_timm(name: str, tmp_path: Path) -> None:
    size = SIZES.get(name, 128)
    assert_same(timm().create_model(name, pretrained=False), (1, 3, size, size), tmp_path / "one.aimodel")


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_ultralytics(name: str, tmp_path: Path) -> None:
    """The head's tensor (1, 4 + classes, places) becomes the corners of boxes and the scores: (1, places, ...)."""
    ultralytics = pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    module = ultralytics.YOLO(f"{name}.yaml").model.eval().fuse()
    for part in module.modules():
        if hasattr(part, "export"):
            part.export, part.format = True, "coreai"
    path, side = tmp_path / "one.aimodel", 160
    x, right = written(module, (1, 3, side, side), path)
    network = read_network(path)
    assert network.detection is not None
    boxes, scores = results(network, x)
    centres, sizes, probabilities = np.split(right[0].transpose(0, 2, 1) / side, [2, 4], axis=2)
    corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=2)
    for found, wanted in ((boxes, corners), (scores, probabilities * side)):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE * float(abs(wanted).max()))


@pytest.mark.parametrize("name", ["Unet", "FPN"])
def test_segmentation_models(name: str, tmp_path: Path) -> None:
    networks = pytest.importorskip("segmentation_models_pytorch", reason="it is not installed")
    module = getattr(networks, name)("mobilenet_v2", encoder_weights=None)
    assert_same(module, (1, 3, 128, 128), tmp_path / "one.aimodel")
