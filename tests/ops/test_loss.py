"""Losses and their gradients against the float64 reference, and that against central differences."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds
from reference import loss as reference

import mpscnn

(_ENTRY,) = (entry for entry in mpscnn.operations(training=True) if entry["name"] == "loss")
KINDS = next(p["allowed"] for p in _ENTRY["parameters"] if p["name"] == "kind")
#: The kinds of losses whose labels or predictions are probabilities.
OF_PROBABILITIES = {"categorical_cross_entropy", "log"}
SHAPES = [(3, 10), (2, 4, 5, 7), (1, 3, 40), (4, 1, 1, 1)]


def drawn(kind: str, shape: tuple[int, ...], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a random prediction, and labels, some of which are 0."""
    random = np.random.default_rng(seed)
    y = random.uniform(0.05, 0.95, shape) if kind in OF_PROBABILITIES else random.normal(0, 2, shape)
    t = random.uniform(0, 1, shape) * (random.uniform(size=shape) < 0.6)
    if kind == "hinge":
        t = np.round(t)
    # One-hot labels; the other seeds have labels whose sum is not 1.
    if kind == "softmax_cross_entropy" and seed % 2:
        t = np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]
    return y.astype(np.float32), t.astype(np.float32)


def attributes_of(data: st.DataObject, kind: str, classes: int) -> dict[str, Any]:
    reductions = ["none", "sum", "mean", "sum_by_nonzero_weights"]
    reduction = "sum" if kind == "cosine_distance" else data.draw(st.sampled_from(reductions))
    return {
        "kind": kind,
        "reduction": reduction,
        "reduce_across_batch": data.draw(st.booleans()),
        "weight": data.draw(st.sampled_from([1.0, 0.5])),
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.125])),
        "number_of_classes": classes,
        "epsilon": 0.03125,
        "delta": 0.75,
    }


@pytest.mark.parametrize("kind", KINDS)
@given(st.data(), st.sampled_from(SHAPES), st.booleans(), seeds)
def test_losses(kind: str, data: st.DataObject, shape: tuple[int, ...], weighted: bool, seed: int) -> None:
    y, t = drawn(kind, shape, seed)
    attributes = attributes_of(data, kind, shape[-1])
    weights = np.random.default_rng(seed + 1).choice([0.0, 0.5, 2.0], shape).astype(np.float32)
    given_weights = weights if weighted else None
    inputs = [y, t, *([weights] if weighted else [])]
    threads = 1 + seed % 3
    counting = attributes | {"counts_pixels": data.draw(st.booleans())}
    result = run_training("loss", inputs, counting, threads=threads)
    expected = reference.loss(y, t, given_weights, counting)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    divides = attributes["reduction"] != "sum_by_nonzero_weights" and data.draw(st.booleans())
    attributes["divides"] = divides
    result = run_training("loss_gradient", inputs, attributes, threads=threads)
    expected = reference.loss_gradient(y, t, given_weights, attributes)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "mean", "sum_by_nonzero_weights"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_has_the_derivative(kind: str, weighted: bool, reduction: str) -> None:
    if kind == "cosine_distance" and reduction != "sum":
        return  # this combination is refused
    if weighted and reduction == "sum_by_nonzero_weights":
        return  # this combination is refused, too
    y, t = (x.astype(np.float64) for x in drawn(kind, (2, 3, 4), 8))
    weights = np.random.default_rng(3).choice([0.0, 0.5, 2.0], y.shape) if weighted else None
    y += 0.003 * (np.abs(y - t) < 0.01)  # away from kinks
    attributes = {"kind": kind, "reduction": reduction, "label_smoothing": 0.1, "number_of_classes": 4}
    step, gradient = 1e-6, reference.loss_gradient(y, t, weights, attributes)
    for index in np.ndindex(y.shape):
        shifted = [y.copy(), y.copy()]
        shifted[0][index] += step
        shifted[1][index] -= step
        above, below = (reference.loss(x, t, weights, attributes).item() for x in shifted)
        assert abs((above - below) / (2 * step) - gradient[index]) < 1e-5


@pytest.mark.parametrize("across", [False, True])
def test_weights_of_zero_alone(across: bool) -> None:
    """An image whose weights are all 0 has the loss 0."""
    y, t = drawn("softmax_cross_entropy", (2, 3, 4), 8)
    attributes = {
        "kind": "softmax_cross_entropy",
        "reduction": "sum_by_nonzero_weights",
        "reduce_across_batch": across,
    }
    weights = np.zeros_like(y)
    np.testing.assert_array_equal(run_training("loss", [y, t, weights], attributes), 0)
    weights[0, 1, 2] = 2.0
    result = run_training("loss", [y, t, weights], attributes)
    expected = reference.loss(y, t, weights, attributes)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert expected[0, 0] > 0


#: PyTorch's function, mpscnn's kind, attributes of both, and attributes of mpscnn only.
TORCH: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("cross_entropy", "softmax_cross_entropy", {}, {}),
    ("cross_entropy", "softmax_cross_entropy", {"label_smoothing": 0.1}, {"number_of_classes": 10}),
    ("binary_cross_entropy_with_logits", "sigmoid_cross_entropy", {}, {}),
    ("binary_cross_entropy", "log", {}, {"epsilon": 0.0}),
    ("mse_loss", "mean_squared_error", {}, {}),
    ("l1_loss", "mean_absolute_error", {}, {}),
    ("huber_loss", "huber", {"delta": 0.5}, {}),
    ("kl_div", "kullback_leibler", {"reduction": "sum"}, {}),
]


@pytest.mark.parametrize(("name", "kind", "options", "own"), TORCH)
def test_pytorch(name: str, kind: str, options: dict[str, Any], own: dict[str, Any]) -> None:
    """Losses are equal to PyTorch's mean over all elements, or for a cross entropy over all images."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    y, t = drawn(kind, (6, 10), 1)
    attributes = {"kind": kind, **options, **own}
    function = getattr(torch.nn.functional, name)
    argument = torch.from_numpy(y.astype(np.float64)).requires_grad_()
    expected = function(argument, torch.from_numpy(t.astype(np.float64)), **options)
    expected.backward()
    np.testing.assert_allclose(run_training("loss", [y, t], attributes), expected.item(), rtol=1e-5)
    gradient = run_training("loss_gradient", [y, t], attributes)
    np.testing.assert_allclose(gradient, argument.grad.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("shapes", "attributes", "message"),
    [
        ([(2, 3), (2, 4)], {}, r"input 1, the labels, must have the shape \(2, 3\), got \(2, 4\)"),
        ([(2, 3)] * 2, {"label_smoothing": 2.0}, "label_smoothing must be 0 to 1, got 2"),
        ([(2, 3)] * 2, {"kind": "cosine_distance"}, "reduction must be sum for cosine_distance, got mean"),
        ([(2, 3)] * 2, {"delta": 0.0}, "delta must be above 0"),
    ],
)
def test_what_is_refused(shapes: list[tuple[int, ...]], attributes: dict[str, Any], message: str) -> None:
    for operation in ("loss", "loss_gradient"):
        with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match=message):
            run_training(operation, [np.ones(shape, np.float32) for shape in shapes], attributes)
