"""Read torchvision's networks from their state dicts, and compare them with torch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from oracles.torchvision_models import asked, assert_close, photo, randomized, saved, torchvision
from PIL import Image

import mpscnn
from mpscnn.converters import read_network

torch = pytest.importorskip("torch", reason="torch is not installed")

full = pytest.mark.full
#: The networks of the default tier, and those of the full tier.
QUICK = """resnet18 resnet50 resnext50_32x4d mobilenet_v2 shufflenet_v2_x0_5 shufflenet_v2_x1_0 squeezenet1_0
    squeezenet1_1 mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v3_large mobilenet_v3_small
    efficientnet_b0 efficientnet_b5 efficientnet_v2_s"""
SLOW = """resnet34 resnet101 resnet152 resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2
    shufflenet_v2_x1_5 shufflenet_v2_x2_0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4
    efficientnet_b6 efficientnet_b7 efficientnet_v2_m efficientnet_v2_l"""
CLASSIFIERS = [*QUICK.split(), *(pytest.param(name, marks=full) for name in SLOW.split())]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(tmp_path: Path, name: str) -> None:
    module = randomized(torchvision().models.get_model(name, weights=None, num_classes=21))
    size = (64, 96)
    network = read_network([saved(module, tmp_path / "weights.pth")], size=size)
    assert_close(computed(network, photo(size)), asked(module, photo(size)).numpy())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("inception_v3", (107, 91)),
        pytest.param("vgg11", (224, 224), marks=full),
        pytest.param("vgg16", (224, 448), marks=full),
        pytest.param("vgg13_bn", (224, 224), marks=full),
    ],
)
def test_classifiers_of_certain_sizes(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    """Inception is compared with its auxiliary classifier in the file, VGG with multiples of 224."""
    settings: dict[str, Any] = (
        {"init_weights": False, "transform_input": False} if name == "inception_v3" else {}
    )
    module = randomized(torchvision().models.get_model(name, weights=None, num_classes=21, **settings))
    network = read_network([saved(module, tmp_path / "weights.pth")], size=size)
    assert_close(computed(network, photo(size)), asked(module, photo(size)).numpy())
    own = getattr(mpscnn.models, name)(classes=21, input_size=size)
    own.load_weights(module.state_dict(), layout="OIHW")
    np.testing.assert_array_equal(computed(own, photo(size)), computed(network, photo(size)))


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("mobilenet_v2", 0.25),
        ("mobilenet_v2", 0.35),
        ("mobilenet_v2", 0.5),
        ("mobilenet_v2", 1.4),
        ("mobilenet_v3_large", 0.75),
        ("mobilenet_v3_small", 0.5),
        ("mobilenet_v3_small", 1.3),
    ],
)
def test_widths(tmp_path: Path, name: str, width: float) -> None:
    module = randomized(getattr(torchvision().models, name)(weights=None, width_mult=width))
    network = read_network([saved(module, tmp_path / "weights.pth")], size=(64, 64))
    assert_close(computed(network, photo((64, 64))), asked(module, photo((64, 64))).numpy())


def test_odd_sizes(tmp_path: Path) -> None:
    """With odd sizes, the last windows of some poolings overhang, and strides do not divide the extents."""
    for name in ("squeezenet1_1", "resnet18"):
        module = randomized(torchvision().models.get_model(name, weights=None))
        network = read_network([saved(module, tmp_path / "weights.pth")], size=(77, 59))
        assert_close(computed(network, photo((77, 59))), asked(module, photo((77, 59))).numpy())


SEGMENTERS = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("size", [(96, 64), (67, 83)])
def test_segmenters(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    build = getattr(torchvision().models.segmentation, name)
    auxiliary = {"aux_loss": True} if name.startswith("deeplab") else {}
    module = randomized(build(weights=None, weights_backbone=None, num_classes=7, **auxiliary))
    network = read_network([saved(module, tmp_path / "weights.pth")], size=size)
    expected = asked(module, photo(size))["out"].numpy().transpose(0, 2, 3, 1)
    assert_close(computed(network, photo(size)), expected)


@pytest.mark.parametrize("reduced_tail", [True, False])
def test_ssdlite(tmp_path: Path, reduced_tail: bool) -> None:
    """Compare the heads, and all boxes that are decoded from them, before suppression."""
    detection = torchvision().models.detection
    # torchvision reduces the tail unless the backbone is pretrained. Nothing is downloaded here, so it is set by hand.
    with pytest.MonkeyPatch.context() as patch:
        backbone = partial(detection.ssdlite.mobilenet_v3_large, reduced_tail=reduced_tail)
        patch.setattr(
            detection.ssdlite, "mobilenet_v3_large", lambda *, reduced_tail, **given: backbone(**given)
        )
        build = detection.ssdlite320_mobilenet_v3_large
        module = randomized(build(weights=None, weights_backbone=None, num_classes=5))
    network = read_network([saved(module, tmp_path / "weights.pth")])
    image = photo((320, 320), batch=1)

    found = network.compile(device="cpu", precision="float32").session().run(image)
    assert isinstance(found, dict)
    expected, anchors = asked(Heads(module), image)
    assert_close(found["boxes"], expected["bbox_regression"].numpy())
    assert_close(found["scores"], expected["cls_logits"].numpy())
    assert network.detection is not None
    boxes = module.box_coder.decode_single(expected["bbox_regression"][0], anchors[0]).numpy() / 320
    decoded = network.detection.detector((320, 320)).decode(found["boxes"][0])
    np.testing.assert_allclose(decoded, boxes, atol=1e-4, rtol=1e-4)


class Heads(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A detector's backbone and heads, without the decoding of boxes."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        maps = list(self.module.backbone(x).values())
        images = torchvision().models.detection.image_list.ImageList(x, [(320, 320)])
        return self.module.head(maps), self.module.anchor_generator(images, maps)


def test_image_folder(tmp_path: Path) -> None:
    """`ImageFolder` has the attributes of torchvision's class of this name."""
    for label, count in (("cat", 2), ("dog", 3)):
        (tmp_path / label).mkdir()
        for index in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / label / f"{index}.png")
    ours = mpscnn.ImageFolder(tmp_path, 8)
    theirs = torchvision().datasets.ImageFolder(tmp_path)
    for name in ("classes", "samples", "targets"):
        assert list(getattr(ours, name)) == list(getattr(theirs, name))
    assert ours.class_to_idx == theirs.class_to_idx
