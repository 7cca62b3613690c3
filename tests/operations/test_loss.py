"""Test losses and their gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Array, Operation, RawKernel, Sample, autograd, refusals
from ops.single_layer import seeds
from reference import loss as reference
from reference.differences import numeric_gradient

import mpscnn
from mpscnn import kernels

(_ENTRY,) = (entry for entry in mpscnn.operations(training=True) if entry["name"] == "loss")
KINDS = next(p["allowed"] for p in _ENTRY["parameters"] if p["name"] == "kind")
#: The kinds of losses whose labels or predictions are probabilities.
OF_PROBABILITIES = {"categorical_cross_entropy", "log"}
REDUCTIONS = ["none", "sum", "mean", "sum_by_nonzero_weights"]
shapes = st.sampled_from([(3, 10), (2, 4, 5, 7), (1, 3, 40), (4, 1, 1, 1)])


def prediction_and_labels(kind: str, shape: tuple[int, ...], seed: int) -> tuple[Array, Array]:
    """Return random numbers. Some labels are 0."""
    random = np.random.default_rng(seed)
    y = random.uniform(0.05, 0.95, shape) if kind in OF_PROBABILITIES else random.normal(0, 2, shape)
    t = random.uniform(0, 1, shape) * (random.uniform(size=shape) < 0.6)
    if kind == "hinge":
        t = np.round(t)
    # One-hot labels; the other seeds have labels whose sum is not 1.
    if kind == "softmax_cross_entropy" and seed % 2:
        t = np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]
    return y.astype(np.float32), t.astype(np.float32)


def losses(kind: str, only: str) -> st.SearchStrategy[Sample]:
    """Draw a loss of a kind, or its gradient. `only` is the attribute that only one of the two has."""

    @st.composite
    def samples(draw: st.DrawFn) -> Sample:
        shape, seed = draw(shapes), draw(seeds)
        reduction = "sum" if kind == "cosine_distance" else draw(st.sampled_from(REDUCTIONS))
        has_both = only == "counts_pixels" or reduction != "sum_by_nonzero_weights"
        attributes = {
            "kind": kind,
            "reduction": reduction,
            "reduce_across_batch": draw(st.booleans()),
            "weight": draw(st.sampled_from([1.0, 0.5])),
            "label_smoothing": draw(st.sampled_from([0.0, 0.125])),
            "number_of_classes": shape[-1],
            "epsilon": 0.03125,
            "delta": 0.75,
            only: has_both and draw(st.booleans()),
        }
        weights = np.random.default_rng(seed + 1).choice([0.0, 0.5, 2.0], shape).astype(np.float32)
        weighted = [weights] if draw(st.booleans()) else []
        return Sample([*prediction_and_labels(kind, shape, seed), *weighted], attributes)

    return samples()


def expecting(function: Callable[..., Array]) -> Callable[[Sample], Any]:
    def expect(sample: Sample) -> Any:
        y, t, *weights = sample.inputs
        result = function(y, t, weights[0] if weights else None, dict(sample.attributes))
        mean = sample.attributes.get("reduction", "mean") == "mean"
        return result, 1e-5 * np.abs(result) + (5e-7 if mean else 1e-5)

    return expect


#: PyTorch's functions, and attributes that both libraries use. Without "sum", results are means of elements or images.
TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "softmax_cross_entropy": ("cross_entropy", {"label_smoothing": 0.1}),
    "sigmoid_cross_entropy": ("binary_cross_entropy_with_logits", {}),
    "log": ("binary_cross_entropy", {}),
    "mean_squared_error": ("mse_loss", {}),
    "mean_absolute_error": ("l1_loss", {}),
    "huber": ("huber_loss", {"delta": 0.5}),
    "kullback_leibler": ("kl_div", {"reduction": "sum"}),
}


def torch_loss(torch: Any, sample: Sample, y: Any) -> Any:
    name, options = TORCH[sample.attributes["kind"]]
    return getattr(torch.nn.functional, name)(y, sample.inputs[1], **options)


def of_torch(kind: str, seed: int) -> Sample:
    attributes = {"kind": kind, "epsilon": 0.0, "number_of_classes": 10}
    return Sample(prediction_and_labels(kind, (6, 10), seed), attributes | TORCH[kind][1])


TORCH_DRAWS = {kind: st.builds(of_torch, st.just(kind), seeds) for kind in TORCH}


def few_weights(across: bool, *, none: bool = False) -> Sample:
    """Return a loss of two images. All weights are 0, except three of one image. With `none`, these are 0, too."""
    y, t = prediction_and_labels("softmax_cross_entropy", (2, 3, 4), 8)
    weights = np.zeros_like(y)
    weights[0, 1, 2] = 0.0 if none else 2.0
    weights[0, 2, :2] = 0.0 if none else 1.0
    attributes = {"kind": "softmax_cross_entropy", "reduction": "sum_by_nonzero_weights"}
    expected = np.zeros((1 if across else 2, 1)) if none else None
    return Sample([y, t, weights], attributes | {"reduce_across_batch": across}, expected=expected)


def of_images(only: str) -> st.SearchStrategy[Sample]:
    """Draw what raw kernels compute: losses of images whose attribute `only` is False."""

    def as_images(sample: Sample) -> Sample:
        inputs = [x.reshape(len(x), 1, -1, x.shape[-1]) if x.ndim < 4 else x for x in sample.inputs]
        return dataclasses.replace(sample, inputs=inputs, attributes={**sample.attributes, only: False})

    return st.one_of(losses(kind, only) for kind in KINDS).map(as_images)


def descriptor(sample: Sample) -> kernels.LossDescriptor:
    others = ("counts_pixels", "divides")
    fields = {name: value for name, value in sample.attributes.items() if name not in others}
    return kernels.LossDescriptor(fields.pop("kind"), fields.pop("reduction"), **fields)


def with_ones(sample: Sample) -> list[Array]:
    """Return the sources of a gradient kernel. The gradient of the loss is 1."""
    shape = LOSS.expect(sample)[0].shape
    return [np.ones(shape if len(shape) == 4 else (*shape, 1, 1), np.float32), *sample.inputs]


REFUSED = [
    *refusals(
        {r"input 1, the labels, must have the shape \(2, 3\), got \(2, 4\)": {}},
        [(2, 3), (2, 4)],
        mpscnn.ShapeError,
    ),
    *refusals(
        {
            "label_smoothing must be 0 to 1, got 2": {"label_smoothing": 2.0},
            "reduction must be sum for cosine_distance, got mean": {"kind": "cosine_distance"},
            "delta must be above 0": {"delta": 0.0},
        },
        [(2, 3), (2, 3)],
    ),
]

LOSS = Operation(
    "loss",
    expecting(reference.loss),
    draws={kind: losses(kind, "counts_pixels") for kind in KINDS},
    known={f"weights of 0, {across}": few_weights(across, none=True) for across in (False, True)}
    | {f"few weights, {across}": few_weights(across) for across in (False, True)},
    refused=REFUSED,
    torch=lambda torch, sample: torch_loss(torch, sample, sample.inputs[0]).reshape(1, 1),
    torch_draws=TORCH_DRAWS,
    kernels={
        "ForwardLoss": RawKernel(
            of_images("counts_pixels"), lambda sample: kernels.ForwardLoss(descriptor(sample))
        )
    },
    training=True,
)

GRADIENT = Operation(
    "loss_gradient",
    expecting(reference.loss_gradient),
    draws={kind: losses(kind, "divides") for kind in KINDS},
    refused=REFUSED,
    torch=lambda torch, sample: autograd(None, sample.inputs[0], lambda y: torch_loss(torch, sample, y)),
    torch_draws=TORCH_DRAWS,
    kernels={
        "LossGradient": RawKernel(
            of_images("divides"), lambda sample: kernels.LossGradient(descriptor(sample)), with_ones
        )
    },
    training=True,
)


@pytest.mark.parametrize("reduction", ["sum", "mean", "sum_by_nonzero_weights"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_has_the_derivative(kind: str, weighted: bool, reduction: str) -> None:
    if reduction != "sum" and (kind == "cosine_distance" or (weighted and reduction != "mean")):
        return  # these combinations are refused
    y, t = (x.astype(np.float64) for x in prediction_and_labels(kind, (2, 3, 4), 8))
    weights = np.random.default_rng(3).choice([0.0, 0.5, 2.0], y.shape) if weighted else None
    y += 0.003 * (np.abs(y - t) < 0.01)  # move the predictions away from the kinks of losses
    attributes = {"kind": kind, "reduction": reduction, "label_smoothing": 0.1, "number_of_classes": 4}
    expected = numeric_gradient(lambda x: reference.loss(x, t, weights, attributes), y)
    np.testing.assert_allclose(reference.loss_gradient(y, t, weights, attributes), expected, atol=1e-5)


OPERATIONS = [LOSS, GRADIENT]
