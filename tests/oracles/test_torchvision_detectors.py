"""Convert torchvision's detectors by from_torch, and compare their boxes with torchvision's on 50 images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.torchvision_models import torchvision, torchvision_module
from PIL import Image

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

full = pytest.mark.full
SIZE = (48, 72)
#: The position of the first class among torchvision's labels, where SSD counts the background.
FIRST_CLASS = {"SSD": 1, "RetinaNet": 0, "FCOS": 0}


@pytest.fixture(autouse=True)
def suppression(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suppress boxes by torchvision's compiled operator, or in Python where torch has another version."""
    if torchvision_module("extension")._has_ops():
        return
    boxes_of = torchvision_module("ops.boxes")

    def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
        overlaps, left, kept = boxes_of.box_iou(boxes, boxes), scores.argsort(descending=True), []
        while len(left):
            kept.append(left[0])
            left = left[1:][~(overlaps[left[0], left[1:]] > iou_threshold)]
        return torch.stack(kept) if kept else left

    monkeypatch.setattr(boxes_of, "nms", nms)


class Pyramid(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A backbone with three maps of strides 4, 8 and 16."""

    def __init__(self, channels: int, out_channels: Any) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.first = torch.nn.Conv2d(3, channels, 5, 4, 2)
        self.second, self.third = (torch.nn.Conv2d(channels, channels, 3, 2, 1) for _ in range(2))

    def forward(self, x: Any) -> Any:
        a = torch.relu(self.first(x))
        b = torch.relu(self.second(a))
        return OrderedDict(a=a, b=b, c=torch.relu(self.third(b)))


def ssd(**options: Any) -> Any:
    detection = torchvision_module("models.detection")
    boxes = detection.anchor_utils.DefaultBoxGenerator([[2], [2, 3], [2]], **options)
    return detection.ssd.SSD(Pyramid(8, [8, 8, 8]), boxes, SIZE[::-1], 5, topk_candidates=30)


def of_pyramid(name: str, channels: int, anchors: int, **options: Any) -> Any:
    detection = torchvision_module("models.detection")
    sizes = [tuple(side * (1 + step / 3) for step in range(anchors)) for side in (8, 16, 32)]
    ratios = (0.5, 1.0, 2.0) if anchors > 1 else (1.0,)
    made = detection.anchor_utils.AnchorGenerator(sizes, (ratios,) * 3)
    limits = {"score_thresh": 0.3, "topk_candidates": 40, "min_size": SIZE[0], "max_size": 200}
    kind = getattr(getattr(detection, name.lower()), name)
    return kind(Pyramid(channels, channels), 4, anchor_generator=made, **limits | options)


MADE: dict[str, Callable[[], Any]] = {
    "ssd": ssd,
    "ssd with steps": lambda: ssd(steps=[4, 8, 16], clip=False),
    "retinanet": lambda: of_pyramid("RetinaNet", 8, 3),
    "retinanet resizes": lambda: of_pyramid("RetinaNet", 8, 2, min_size=40),
    "fcos": lambda: of_pyramid("FCOS", 32, 1),
    "fcos of many boxes": lambda: of_pyramid("FCOS", 32, 1, topk_candidates=1000, detections_per_img=9),
}


def lively(module: Any, size: tuple[int, int]) -> Any:
    """Return the module with random weights whose boxes and scores differ from place to place."""
    torch.manual_seed(1)
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0  # its statistics become those of one batch
        if isinstance(part, torch.nn.Conv2d):
            gain = 0.7 if name.startswith("head") else 1.4
            torch.nn.init.normal_(part.weight, std=gain / part.weight[0].numel() ** 0.5)
            if part.bias is not None:
                torch.nn.init.zeros_(part.bias)
    with torch.no_grad():
        module.train()
        maps = module.backbone(torch.randn(4, 3, *size))
        module.head(list(maps.values()))
    return module.eval()


def image(size: tuple[int, int], seed: int) -> Any:
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 7, 7, generator=draw)
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return (0.8 * smooth + 0.2 * torch.rand(1, 3, *size, generator=draw)).clamp(0, 1)


def overlaps(one: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return the IoU of a box with others."""
    sides = np.minimum(one[2:4], others[:, 2:4]) - np.maximum(one[:2], others[:, :2])
    common = np.clip(sides, 0, None).prod(axis=1)
    areas = (others[:, 2:4] - others[:, :2]).prod(axis=1) + (one[2:4] - one[:2]).prod()
    return np.asarray(common / np.maximum(areas - common, 1e-30))


def assert_same(ours: NDArray[Any], theirs: NDArray[Any], side: float, threshold: float) -> None:
    """Compare rows of box, score and class. Rows of nearly equal scores may change places, also at the end.

    An overlap that differs from the threshold by rounding only may be above it in one of them.
    """
    assert len(ours) == len(theirs) > 0
    for one, others in ((row, theirs) for row in ours):
        near = (np.abs(others[:, 4] - one[4]) < 1e-4) & (others[:, 5] == one[5])
        found = near & (np.abs(others[:, :4] - one[:4]).max(axis=1) < 1e-3 * side)
        rounded = np.abs(overlaps(one, others[others[:, 5] == one[5]]) - threshold).min(initial=1.0) < 1e-5
        assert found.any() or rounded or one[4] < theirs[-1, 4] + 1e-4, one


def compare(module: Any, size: tuple[int, int], count: int = 50) -> None:
    """Convert a module, and compare its boxes on random images."""
    network = mpscnn.from_torch(module, image(size, 1000))
    assert network.detection is not None
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    detector = network.detection.detector(size)
    names = [network.detection.output(part) for part in ("boxes", "scores")]
    scale = np.array([size[1], size[0]] * 2)
    for seed in range(count):
        x = image(size, seed)
        with torch.no_grad():
            (there,) = module(x)
        results = session.run(np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)))
        found = detector.run(*(results[name] for name in names))
        first = FIRST_CLASS[type(module).__name__]
        ours = [(*np.multiply(tuple(one.box), scale), one.score, one.index + first) for one in found]
        theirs = torch.cat([there["boxes"], there["scores"][:, None], there["labels"][:, None]], dim=1)
        assert_same(np.array(ours), theirs.numpy(), max(size), module.nms_thresh)


@pytest.mark.parametrize("name", MADE)
def test_boxes_are_torchvisions(name: str) -> None:
    """Each of them has 50 images, because the issue is equality of all boxes: 2 processor seconds."""
    compare(lively(MADE[name](), SIZE), SIZE)


@full
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ssd300_vgg16", (300, 300)),
        ("ssdlite320_mobilenet_v3_large", (320, 320)),
        ("retinanet_resnet50_fpn", (128, 200)),
        ("retinanet_resnet50_fpn_v2", (128, 160)),
        ("fcos_resnet50_fpn", (128, 160)),
    ],
)
def test_published_networks(name: str, size: tuple[int, int]) -> None:
    detection = torchvision_module("models.detection")
    options = {} if name.startswith("ssd") else {"min_size": min(size), "max_size": 9999}
    compare(lively(getattr(detection, name)(weights=None, weights_backbone=None, **options), size), size)


@pytest.mark.parametrize("name", ["ssd", "retinanet"])
def test_photos(name: str) -> None:
    """A photo of the example's own size is neither resized nor padded, and boxes are in its pixels."""
    module = lively(MADE[name](), SIZE)
    network = mpscnn.from_torch(module, [image(SIZE, 0)[0]])  # torchvision takes a list of images
    pixels = (image(SIZE, 3)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    with torch.no_grad():
        (there,) = module([torch.from_numpy(pixels).permute(2, 0, 1) / 255])
    found = mpscnn.Model(network).predict(Image.fromarray(pixels))
    best = (there["boxes"][:, 2:] - there["boxes"][:, :2]).min(dim=1).values > 0
    np.testing.assert_allclose(found.scores, there["scores"][best], atol=1e-4)
    np.testing.assert_allclose(found.boxes[0], there["boxes"][best][0], atol=0.1)


def test_refused() -> None:
    detection = torchvision_module("models.detection")
    backbone = Pyramid(8, 8)
    anchors = detection.anchor_utils.AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3)
    pool = torchvision().ops.MultiScaleRoIAlign(["a", "b", "c"], 3, 2)
    staged = detection.FasterRCNN(backbone, 3, rpn_anchor_generator=anchors, box_roi_pool=pool)
    x = image(SIZE, 0)
    with pytest.raises(mpscnn.UnsupportedError, match=r"two stages.*torch.compile"):
        mpscnn.from_torch(staged.eval(), x)

    class Other(detection.RetinaNet):  # type: ignore[misc, name-defined]
        def postprocess_detections(self, *args: Any) -> Any:
            return super().postprocess_detections(*args)

    with pytest.raises(mpscnn.UnsupportedError, match=r"replaces RetinaNet.postprocess_detections"):
        mpscnn.from_torch(Other(backbone, 3, anchor_generator=anchors).eval(), x)
    module = MADE["ssd"]().eval()
    for wrong in ((x, x), x[0, 0], x.to(torch.uint8)):
        with pytest.raises(mpscnn.ParameterError, match="must be one tensor of images"):
            mpscnn.from_torch(module, wrong)
    with pytest.raises(mpscnn.ParameterError, match="anchors depend on the size"):
        mpscnn.from_torch(module, x, dynamic_shapes={2: torch.export.Dim.AUTO})
