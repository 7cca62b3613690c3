"""Test the loss of SSD and its gradient."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Array, Operation, Sample, autograd, refusals
from ops.single_layer import seeds
from reference import multibox_loss as reference
from reference.differences import numeric_gradient

from mpscnn import ShapeError


def predicted(
    seed: int, images: int, anchors: int, classes: int, share: float = 0.2, ignored: float = 0.1
) -> list[Array]:
    """Return a prediction and labels. A share of the anchors has a box, and another share is ignored."""
    random = np.random.default_rng(seed)
    y = random.normal(0, 2, (images, anchors, 4 + classes)).astype(np.float32)
    kind = random.uniform(size=(images, anchors))
    label = np.where(kind < share, random.integers(1, classes, kind.shape), 0)
    t = np.concatenate([random.normal(0, 2, (images, anchors, 4)), np.eye(classes)[label]], -1)
    t[label == 0, :4] = 0
    t[kind > 1 - ignored] = 0
    return [y, t.astype(np.float32)]


anchors = st.builds(
    predicted,
    seeds,
    st.integers(1, 3),
    st.integers(1, 70),
    st.sampled_from([2, 3, 5, 13, 21, 91]),
    st.sampled_from([0.0, 0.05, 0.4, 0.9]),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "negative_ratio": st.sampled_from([0.0, 0.5, 3.0, 1e30]),
        "min_negatives": st.sampled_from([0, 1, 20, 1 << 24]),
        "delta": st.sampled_from([0.25, 1.0, 3.0]),
        "box_weight": st.sampled_from([0.0, 0.5, 2.0]),
    },
)


def equal_errors() -> list[Array]:
    """Return one box and eight anchors of the background, of which one has a larger loss than the others."""
    y, t = np.zeros((1, 9, 6), np.float32), np.zeros((1, 9, 6), np.float32)
    t[0, :, 4] = 1
    t[0, 4, 4:] = [0, 1]
    y[0, 7, 4:] = [-1, 1]
    return [y, t]


def spoiled(value: float, place: tuple[int, int, int]) -> Sample:
    """Return anchors without boxes, and one number that is not finite. The loss is NaN, wherever that number is."""
    y, t = predicted(1, 2, 30, 4, share=0.0)
    y[place] = value
    return Sample([y, t], expected=[[np.nan]])


def torch_loss(torch: Any, sample: Sample, y: Any) -> Any:
    """Return the loss as torchvision's SSD defines it."""
    t, functional = sample.inputs[1], torch.nn.functional
    classes = t[..., 4:].argmax(-1)
    foreground = classes > 0
    of_boxes = functional.smooth_l1_loss(y[..., :4][foreground], t[..., :4][foreground], reduction="sum")
    errors = functional.cross_entropy(y[..., 4:].flatten(0, 1), classes.flatten(), reduction="none")
    errors = errors.view(classes.shape)
    negative = errors.detach().clone()
    negative[foreground] = -torch.inf
    ranks = negative.sort(1, descending=True)[1].sort(1)[1]
    background = ranks < 3 * foreground.sum(1, keepdim=True)
    return (of_boxes + errors[foreground].sum() + errors[background].sum()) / foreground.sum()


TORCH_DRAWS = {"anchors": seeds.map(lambda seed: Sample(predicted(seed, 3, 120, 7, 0.1, 0.0)))}
NO_BOXES = predicted(1, 2, 30, 4, share=0.0)
KNOWN = {
    "as many anchors as a detector has": Sample(predicted(5, 4, 1917, 21, share=0.01)),
    "of equal errors the first count": Sample(equal_errors()),
    "negatives without boxes": Sample(NO_BOXES, {"min_negatives": 5}),
}
DIVIDED = {"large": Sample(predicted(6, 5, 400, 6))}
LABELS = r"1, the labels, must have the shape \(2, 9, 6\), got \(2, 8, 6\)"
REFUSED = [
    *refusals({r"4 \+ classes\), with at least 2 classes.*got \(2, 9, 5\)": {}}, [(2, 9, 5)] * 2, ShapeError),
    *refusals({r"shape \(n, anchors, 4 \+ classes\).*got \(2, 3,": {}}, [(2, 3, 3, 6)] * 2, ShapeError),
    *refusals({LABELS: {}}, [(2, 9, 6), (2, 8, 6)], ShapeError),
    *refusals(
        {
            "negative_ratio must be at least 0 and finite, got -1": {"negative_ratio": -1.0},
            "min_negatives must be 0 to": {"min_negatives": -1},
            "delta must be above 0 and finite, got 0": {"delta": 0.0},
            "box_weight must be at least 0 and finite, got -1": {"box_weight": -1.0},
        },
        [(2, 9, 6)] * 2,
    ),
]


def expect_loss(sample: Sample) -> Any:
    with np.errstate(invalid="ignore"):
        result = reference.loss(*sample.inputs, dict(sample.attributes))
    return result, 1e-5 * np.abs(result) + 1e-6


def expect_gradient(sample: Sample) -> Any:
    result = reference.loss_gradient(*sample.inputs, dict(sample.attributes))
    return result, 1e-5 * np.abs(result) + 2e-7


LOSS = Operation(
    "multibox_loss",
    expect_loss,
    draws={"anchors": st.builds(Sample, anchors, options)},
    known=KNOWN
    | {"no boxes": Sample(NO_BOXES, expected=[[0.0]])}
    | {
        f"{value} at {place}": spoiled(value, place)
        for value in (np.nan, np.inf)
        for place in ((0, 3, 1), (1, 20, 5))
    },
    divided=DIVIDED,
    refused=REFUSED,
    torch=lambda torch, sample: torch_loss(torch, sample, sample.inputs[0]).reshape(1, 1),
    torch_draws=TORCH_DRAWS,
    training=True,
)
GRADIENT = Operation(
    "multibox_loss_gradient",
    expect_gradient,
    draws={"anchors": st.builds(Sample, anchors, options)},
    known=KNOWN | {"no boxes": Sample(NO_BOXES, expected=np.zeros_like(NO_BOXES[0]))},
    divided=DIVIDED,
    refused=REFUSED,
    torch=lambda torch, sample: autograd(None, sample.inputs[0], lambda y: torch_loss(torch, sample, y)),
    torch_draws=TORCH_DRAWS,
    training=True,
)


def test_the_reference_has_the_derivative() -> None:
    y, t = (x.astype(np.float64) for x in predicted(3, 2, 12, 3, share=0.3))
    attributes = {"negative_ratio": 1.5, "delta": 0.7, "box_weight": 1.5}
    chosen = reference.choice(y, t, attributes)
    expected = numeric_gradient(lambda x: reference.loss(x, t, attributes, chosen), y)
    np.testing.assert_allclose(reference.loss_gradient(y, t, attributes), expected, atol=1e-6)


OPERATIONS = [LOSS, GRADIENT]
