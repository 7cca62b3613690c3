"""Compare the loss of YOLO detectors with its definition box by box, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from reference.loss import element_gradients, element_losses

import mpscnn
from mpscnn import kernels

pytestmark = pytest.mark.usefixtures("operations_of_training")
ANCHORS = (1.0, 1.5, 2.0, 0.75)
TYPES = {"xy": "mean_squared_error", "wh": "huber", "confidence": "sigmoid_cross_entropy"}
CLASSES = "softmax_cross_entropy"
IMAGES, HEIGHT, WIDTH, COUNT = 2, 3, 4, 3
VALUES = 5 + COUNT


def example() -> tuple[Any, Any]:
    """Return predictions near labels. Some of them predict the box of a neighbouring cell's label."""
    random = np.random.default_rng(0)
    boxes = (IMAGES, HEIGHT, WIDTH, len(ANCHORS) // 2, VALUES)
    labels = np.zeros(boxes)
    labels[..., 0:2] = random.uniform(0.2, 0.8, labels[..., 0:2].shape)
    labels[..., 2:4] = random.normal(0, 0.3, labels[..., 2:4].shape)
    labels[..., 4] = random.random(boxes[:-1]) < 0.2
    labels[..., 5:] = np.eye(COUNT)[random.integers(0, COUNT, boxes[:-1])]
    prediction = random.normal(0, 0.5, boxes)
    prediction[..., 0:2] += np.log(labels[..., 0:2] / (1 - labels[..., 0:2]))
    prediction[..., 2:4] += labels[..., 2:4]
    shape = (IMAGES, HEIGHT, WIDTH, -1)
    return prediction.reshape(shape).astype(np.float32), labels.reshape(shape).astype(np.float32)


def box(values: Any, row: int, column: int, anchor: int) -> tuple[Any, Any]:
    """Return the corners of a box whose centre is relative to its cell."""
    centre = np.array([column, row]) + values[:2]
    size = np.exp(values[2:4]) * ANCHORS[2 * anchor : 2 * anchor + 2]
    return centre - size / 2, centre + size / 2


def overlap(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    common = np.clip(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0, None).prod()
    return float(common / ((one[1] - one[0]).prod() + (other[1] - other[0]).prod() - common))


def definition(prediction: Any, labels: Any, *, rescore: bool) -> tuple[Any, Any, dict[str, int]]:
    """Return the loss of each value, its gradient, and how often each rule of the loss applied."""
    shape = (IMAGES, HEIGHT, WIDTH, len(ANCHORS) // 2, VALUES)
    y, t = prediction.astype(np.float64).reshape(shape), labels.astype(np.float64).reshape(shape)
    loss, gradient = np.zeros(shape), np.zeros(shape)
    rules = {"object": 0, "near": 0, "nothing": 0, "between": 0}
    for image in range(IMAGES):
        places = list(np.ndindex(*shape[1:4]))
        truths = {place: box(t[image][place], *place) for place in places if t[image][place][4] > 0.5}
        for place in places:
            given, label = y[image][place], t[image][place]
            sigmoid = 1 / (1 + np.exp(-given[:2]))
            own = box(np.concatenate([sigmoid, given[2:]]), *place)
            best = max((overlap(own, truth) for truth in truths.values()), default=0.0)

            def part(
                kind: str, values: Any, wanted: Any, weight: float, of: slice, *, at: Any = (image, place)
            ) -> None:
                attributes = {"kind": kind, "number_of_classes": len(values)}
                where = (at[0], *at[1], of)
                loss[where] = weight * element_losses(values, wanted, attributes)
                gradient[where] = weight * element_gradients(values, wanted, attributes)

            confidence, target, weight = slice(4, 5), 1.0, 100.0
            if place in truths:
                rules["object"] += 1
                part(TYPES["xy"], sigmoid, label[:2], 10.0, slice(0, 2))
                gradient[(image, *place, slice(0, 2))] *= sigmoid * (1 - sigmoid)
                part(TYPES["wh"], given[2:4], label[2:4], 10.0, slice(2, 4))
                part(CLASSES, given[5:], label[5:], 2.0, slice(5, None))
                target = overlap(own, truths[place])
            elif best > 0.4:
                rules["near"] += 1
                target = best
            elif best < 0.3:
                rules["nothing"] += 1
                target, weight = 0.0, 5.0
            else:
                rules["between"] += 1
                weight = 0.0
            if not rescore and target > 0:
                target = 1.0
            part(TYPES["confidence"], given[4:5], np.array([target]), weight, confidence)
    return loss.reshape(prediction.shape), gradient.reshape(prediction.shape), rules


def descriptor(**more: Any) -> kernels.YOLOLossDescriptor:
    types = {f"{name}_loss_type": kind for name, kind in TYPES.items()}
    return kernels.YOLOLossDescriptor(ANCHORS, min_iou_for_object_presence=0.4, **types, **more)


@pytest.mark.parametrize("rescore", [False, True])
def test_each_value(rescore: bool) -> None:
    prediction, label = example()
    loss, gradient, rules = definition(prediction, label, rescore=rescore)
    assert all(rules.values()), rules
    labels = kernels.LossLabels(mpscnn.Image.from_numpy(label))
    with index_rule.QUEUE.command_buffer() as commands:
        got = kernels.YOLOLoss(descriptor(rescore=rescore)).encode(
            commands, mpscnn.Image.from_numpy(prediction), labels
        )
    np.testing.assert_allclose(labels.loss, loss, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got.read(), gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reductions(reduction: str, across: bool) -> None:
    """A mean divides the loss by a number of elements, but not the gradient."""
    prediction, label = example()
    loss, gradient, _ = definition(prediction, label, rescore=True)
    labels = kernels.LossLabels(mpscnn.Image.from_numpy(label))
    kernel = kernels.YOLOLoss(descriptor(reduction_type=reduction, reduce_across_batch=across))
    with index_rule.QUEUE.command_buffer() as commands:
        got = kernel.encode(commands, mpscnn.Image.from_numpy(prediction), labels)
    sums = loss.reshape(IMAGES, -1).mean(1) if reduction == "mean" else loss.reshape(IMAGES, -1).sum(1)
    if across:
        sums = sums.mean(keepdims=True) if reduction == "mean" else sums.sum(keepdims=True)
    np.testing.assert_allclose(labels.loss.reshape(-1), sums, rtol=1e-5)
    np.testing.assert_allclose(got.read(), gradient, rtol=1e-4, atol=1e-4)


def test_what_does_not_go_together_is_refused() -> None:
    image = mpscnn.Image.from_numpy(normal(0, (2, 2, 16)))
    commands = index_rule.QUEUE.command_buffer()
    kernel = kernels.YOLOLoss(descriptor())
    assert kernel.number_of_anchor_boxes == 2
    for anchors, message in (
        ((1.0, 2.0, 3.0), "anchor_boxes must be a width and a height for each anchor, got 3 numbers"),
        ((), "got 0 numbers"),
        ((1.0, -2.0), "anchor_boxes must be above 0, got -2"),
    ):
        with pytest.raises(mpscnn.ParameterError, match=message):
            kernels.YOLOLoss(kernels.YOLOLossDescriptor(anchors))
    with pytest.raises(mpscnn.ParameterError, match="reduction_type must be none, sum or mean"):
        kernels.YOLOLoss(descriptor(reduction_type="sum_by_nonzero_weights"))
    with pytest.raises(mpscnn.ParameterError, match="cannot be cosine_distance"):
        kernels.YOLOLoss(descriptor(classes_loss_type="cosine_distance"))
    with pytest.raises(mpscnn.ParameterError, match="takes no weights"):
        kernel.encode(commands, image, kernels.LossLabels(image, image))
    small = mpscnn.Image.from_numpy(normal(0, (2, 2, 9)))
    with pytest.raises(mpscnn.ShapeError, match="channels for each of 2 anchors, got 9"):
        kernel.encode(commands, small, kernels.LossLabels(small))
    with pytest.raises(mpscnn.ShapeError, match="labels must have the size of the prediction"):
        kernel.encode(commands, image, kernels.LossLabels(small))
    with pytest.raises(mpscnn.ParameterError, match="expected a YOLOLossDescriptor, got tuple"):
        kernels.YOLOLoss(ANCHORS)  # type: ignore[arg-type]
