"""Compare the targets and the loss of detectors, with its gradients, with those of torchvision's SSD."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.torchvision_models import torchvision_module

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

SIDE, CLASSES, IMAGES = 96, 5, 4


def objects(seed: int) -> list[dict[str, Any]]:
    """Return the objects of images, from none to four in an image, in different quarters of the image."""
    random = np.random.default_rng(seed)
    labels = []
    for count in (3, 1, 0, 4)[:IMAGES]:
        corners = np.array([(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)])[random.permutation(4)[:count]]
        sizes = random.uniform(0.15, 0.48, (count, 2))
        boxes = np.concatenate([corners, corners + sizes], 1).astype(np.float32)
        labels.append({"boxes": boxes, "classes": random.integers(0, CLASSES, count)})
    return labels


def torchvision_matches(anchors: Any, boxes: Any) -> Any:
    """Return the number of each anchor's object, or -1, by the matcher of torchvision's SSD with its threshold 0.5."""
    utils = torchvision_module("models.detection._utils")
    overlaps = torchvision_module("ops.boxes").box_iou(boxes, anchors)
    if not len(boxes):
        return torch.full((len(anchors),), -1)
    return utils.SSDMatcher(0.5)(overlaps)


def torchvision_loss(net: mpscnn.Network, labels: list[dict[str, Any]], heads: NDArray[np.float32]) -> Any:
    """Return the loss of torchvision's SSD and its gradient with respect to the outputs of the heads."""
    utils = torchvision_module("models.detection._utils")
    ssd = torchvision_module("models.detection.ssd").SSD
    centers = torch.tensor(detector(net).anchors) * SIDE
    anchors = torch.cat([centers[:, :2] - centers[:, 2:] / 2, centers[:, :2] + centers[:, 2:] / 2], 1)
    targets = [
        {
            "boxes": torch.tensor(one["boxes"].reshape(-1, 4)) * SIDE,
            "labels": torch.tensor(one["classes"] + 1),
        }
        for one in labels
    ]
    matches = [torchvision_matches(anchors, one["boxes"]) for one in targets]
    outputs = torch.tensor(heads, requires_grad=True)
    own = SimpleNamespace(box_coder=utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0)), neg_to_pos_ratio=3)
    parts = {"bbox_regression": outputs[..., :4], "cls_logits": outputs[..., 4:]}
    losses = ssd.compute_loss(own, targets, parts, [anchors] * len(labels), matches)
    loss = losses["bbox_regression"] + losses["classification"]
    loss.backward()
    return loss.item(), outputs.grad.numpy(), [match.numpy() for match in matches]


def heads_alone(own: mpscnn.Detector) -> mpscnn.Network:
    """Return a network whose input has the outputs of the heads: a pixel for each anchor, with box and scores."""
    net = mpscnn.Network(input=(len(own.anchors), 1, 5 + CLASSES), name="heads")
    boxes, scores = net.split(net.input, [4, 1 + CLASSES], axis=3)
    net.output(net.reshape(boxes, (-1, 4), name="boxes"))
    net.output(net.reshape(scores, (-1, 1 + CLASSES), name="scores"))
    net.detection = mpscnn.DetectionHead(own.settings | {"anchors": {"rule": "stored"}}, own.anchors)
    return net


def detector(net: mpscnn.Network) -> mpscnn.Detector:
    assert net.detection is not None
    return net.detection.detector((SIDE, SIDE))


@pytest.mark.parametrize("seed", range(3))
def test_one_step_is_that_of_torchvision(seed: int) -> None:
    net = mpscnn.models.ssdlite320_mobilenet_v3_large(classes=CLASSES, input_size=SIDE)
    own, labels = detector(net), objects(seed)
    heads = (
        np.random.default_rng(seed).normal(0, 1, (IMAGES, len(own.anchors), 5 + CLASSES)).astype(np.float32)
    )
    wanted, wanted_gradient, matches = torchvision_loss(net, labels, heads)
    targets = np.stack([own.targets(one["boxes"], one["classes"], columns=CLASSES + 1) for one in labels])
    for match, target, one in zip(matches, targets, labels, strict=True):
        matched = target[:, 5:].any(-1)
        np.testing.assert_array_equal(matched, match >= 0)
        np.testing.assert_array_equal(target[matched, 4:].argmax(-1) - 1, one["classes"][match[matched]])
    value, gradients = heads_alone(own).gradients(
        heads.reshape(IMAGES, -1, 1, 5 + CLASSES), targets, loss="multibox"
    )
    assert value == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(gradients["image"].reshape(heads.shape), wanted_gradient, atol=1e-6)
