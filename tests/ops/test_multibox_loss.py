"""The loss of SSD and its gradient against the float64 reference, and that against central differences and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds
from reference import multibox_loss as reference

import mpscnn


def drawn(
    seed: int, images: int, anchors: int, classes: int, *, share: float = 0.2, ignored: float = 0.1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a prediction and labels. A share of the anchors has a box, and another share is ignored."""
    random = np.random.default_rng(seed)
    y = random.normal(0, 2, (images, anchors, 4 + classes)).astype(np.float32)
    kind = random.uniform(size=(images, anchors))
    label = np.where(kind < share, random.integers(1, classes, kind.shape), 0)
    t = np.concatenate([random.normal(0, 2, (images, anchors, 4)), np.eye(classes)[label]], -1)
    t[label == 0, :4] = 0
    t[kind > 1 - ignored] = 0
    return y, t.astype(np.float32)


def assert_agree(
    y: NDArray[np.float32], t: NDArray[np.float32], attributes: dict[str, Any], threads: int = 1
) -> None:
    found = run_training("multibox_loss", [y, t], attributes, threads=threads)
    np.testing.assert_allclose(found, reference.loss(y, t, attributes), rtol=1e-5, atol=1e-6)
    found = run_training("multibox_loss_gradient", [y, t], attributes, threads=threads)
    np.testing.assert_allclose(found, reference.loss_gradient(y, t, attributes), rtol=2e-5, atol=1e-6)


@given(
    st.integers(1, 3),
    st.integers(1, 70),
    st.sampled_from([2, 3, 5, 13, 21, 91]),
    st.fixed_dictionaries(
        {},
        optional={
            "negative_ratio": st.sampled_from([0.0, 0.5, 3.0, 1e30]),
            "min_negatives": st.sampled_from([0, 1, 20, 1 << 24]),
            "delta": st.sampled_from([0.25, 1.0, 3.0]),
            "box_weight": st.sampled_from([0.0, 0.5, 2.0]),
        },
    ),
    st.sampled_from([0.0, 0.05, 0.4, 0.9]),
    seeds,
)
def test_against_the_reference(
    images: int, anchors: int, classes: int, attributes: dict[str, Any], share: float, seed: int
) -> None:
    y, t = drawn(seed, images, anchors, classes, share=share)
    assert_agree(y, t, attributes, threads=1 + seed % 3)


def test_as_many_anchors_as_a_detector_has() -> None:
    y, t = drawn(5, 4, 1917, 21, share=0.01)
    assert_agree(y, t, {}, threads=2)


def test_bits_do_not_depend_on_threads() -> None:
    y, t = drawn(6, 5, 400, 6)
    for operation in ("multibox_loss", "multibox_loss_gradient"):
        one, three = (run_training(operation, [y, t], {}, threads=threads) for threads in (1, 3))
        np.testing.assert_array_equal(one, three)


def test_of_equal_errors_the_first_count() -> None:
    y, t = np.zeros((1, 9, 6), np.float32), np.zeros((1, 9, 6), np.float32)
    t[0, :, 4] = 1
    t[0, 4, 4:] = [0, 1]
    y[0, 7, 4:] = [-1, 1]  # this anchor has a larger loss than the other ones without a box
    gradient = run_training("multibox_loss_gradient", [y, t], {})
    assert np.flatnonzero(gradient[0, :, 4]).tolist() == [0, 1, 4, 7]


def test_without_boxes_nothing_counts() -> None:
    y, t = drawn(1, 2, 30, 4, share=0.0)
    assert run_training("multibox_loss", [y, t], {}).item() == 0.0
    assert not run_training("multibox_loss_gradient", [y, t], {}).any()
    assert_agree(y, t, {"min_negatives": 5})


@pytest.mark.parametrize("place", [(0, 3, 1), (1, 20, 5)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_shows_wherever_it_is(place: tuple[int, int, int], value: float) -> None:
    """NaN and infinities make the loss non-finite, even in anchors that are ignored."""
    y, t = drawn(1, 2, 30, 4, share=0.0)
    y[place] = value
    assert not np.isfinite(run_training("multibox_loss", [y, t], {}).item())


def test_the_reference_has_the_derivative() -> None:
    y, t = (x.astype(np.float64) for x in drawn(3, 2, 12, 3, share=0.3))
    attributes = {"negative_ratio": 1.5, "delta": 0.7, "box_weight": 1.5}
    chosen, gradient = reference.choice(y, t, attributes), reference.loss_gradient(y, t, attributes)
    step = 1e-6
    for index in np.ndindex(y.shape):
        moved = [y.copy(), y.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        above, below = (reference.loss(x, t, attributes, chosen).item() for x in moved)
        assert abs((above - below) / (2 * step) - gradient[index]) < 1e-6


def test_pytorch() -> None:
    """The loss is equal to that of torchvision's SSD."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    y, t = drawn(8, 3, 120, 7, share=0.1, ignored=0.0)
    prediction = torch.from_numpy(y.astype(np.float64)).requires_grad_()
    labels = torch.from_numpy(t.astype(np.float64))
    classes = labels[..., 4:].argmax(-1)
    foreground = classes > 0
    of_boxes = torch.nn.functional.smooth_l1_loss(
        prediction[..., :4][foreground], labels[..., :4][foreground], reduction="sum"
    )
    errors = torch.nn.functional.cross_entropy(
        prediction[..., 4:].flatten(0, 1), classes.flatten(), reduction="none"
    ).view(classes.shape)
    negative = errors.detach().clone()
    negative[foreground] = -torch.inf
    ranks = negative.sort(1, descending=True)[1].sort(1)[1]
    background = ranks < 3 * foreground.sum(1, keepdim=True)
    loss = (of_boxes + errors[foreground].sum() + errors[background].sum()) / foreground.sum()
    loss.backward()
    np.testing.assert_allclose(run_training("multibox_loss", [y, t], {}), loss.item(), rtol=1e-5)
    gradient = run_training("multibox_loss_gradient", [y, t], {})
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("shapes", "attributes", "message"),
    [
        (
            [(2, 9, 5)] * 2,
            {},
            r"shape \(n, anchors, 4 \+ classes\), with at least 2 classes.*got \(2, 9, 5\)",
        ),
        ([(2, 3, 3, 6)] * 2, {}, r"shape \(n, anchors, 4 \+ classes\).*got \(2, 3, 3, 6\)"),
        (
            [(2, 9, 6), (2, 8, 6)],
            {},
            r"input 1, the labels, must have the shape \(2, 9, 6\), got \(2, 8, 6\)",
        ),
        ([(2, 9, 6)] * 2, {"negative_ratio": -1.0}, "negative_ratio must be at least 0 and finite, got -1"),
        ([(2, 9, 6)] * 2, {"min_negatives": -1}, "min_negatives must be 0 to"),
        ([(2, 9, 6)] * 2, {"delta": 0.0}, "delta must be above 0 and finite, got 0"),
        ([(2, 9, 6)] * 2, {"box_weight": -1.0}, "box_weight must be at least 0 and finite, got -1"),
    ],
)
def test_what_is_refused(shapes: list[tuple[int, ...]], attributes: dict[str, Any], message: str) -> None:
    for operation in ("multibox_loss", "multibox_loss_gradient"):
        with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match=message):
            run_training(operation, [np.ones(shape, np.float32) for shape in shapes], attributes)
