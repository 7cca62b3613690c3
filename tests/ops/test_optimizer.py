"""What optimisers compute against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values
from reference import optimizer

import mpscnn

SHAPES = [(1, 1), (1, 33), (5, 3, 3, 7), (40, 1, 1, 50), (9, 3, 3, 1), (130, 300)]
RATES = np.array([[0.1, 0.03]], np.float32)
shapes = st.sampled_from(SHAPES)


def check(operation: str, inputs: list[NDArray[Any]], attributes: dict[str, Any], expected: Any) -> None:
    result = run_training(operation, inputs, attributes)
    np.testing.assert_allclose(result, expected, rtol=2e-6, atol=2e-6)
    np.testing.assert_array_equal(result, run_training(operation, inputs, attributes, threads=3))


@given(shapes, st.booleans(), st.booleans(), st.sampled_from(["none", "l1", "l2"]), seeds)
def test_gradients(shape: tuple[int, ...], clip: bool, factor: bool, kind: str, seed: int) -> None:
    gradient, weights = values(seed, shape), values(seed + 1, shape)
    weights[..., 0] = 0.0
    attributes = {"clip": clip, "minimum": -0.5, "maximum": 0.75, "rescale": 0.3}
    attributes |= {"regularization": kind, "regularization_scale": 0.1}
    given_factor = np.full((1, 1), 2.0, np.float32) if factor else None
    expected = optimizer.optimizer_gradient(gradient, weights, given_factor, attributes)
    inputs = [gradient, weights, *([] if given_factor is None else [given_factor])]
    check("optimizer_gradient", inputs, attributes, expected)


@given(shapes, st.booleans(), seeds)
def test_moving_averages(shape: tuple[int, ...], squares: bool, seed: int) -> None:
    average, x = values(seed, shape), values(seed + 1, shape)
    attributes = {"rate": 0.99, "squares": squares}
    check("moving_average", [average, x], attributes, optimizer.moving_average(average, x, attributes))


@given(shapes, st.booleans(), st.booleans(), seeds)
def test_descent(shape: tuple[int, ...], with_moment: bool, nesterov: bool, seed: int) -> None:
    weights, gradient, moment = (values(seed + i, shape) for i in range(3))
    attributes = {"momentum": 0.8, "nesterov": nesterov}
    expected = optimizer.momentum_update(moment, gradient, RATES, attributes)
    check("momentum_update", [moment, gradient, RATES], attributes, expected)
    attributes["weight_decay"] = 0.2
    given_moment = moment if with_moment else None
    expected = optimizer.sgd_update(weights, gradient, RATES, given_moment, attributes)
    inputs = [weights, gradient, RATES, *([moment] if with_moment else [])]
    check("sgd_update", inputs, attributes, expected)


@given(shapes, st.sampled_from([0.0, 0.2]), seeds)
def test_adaptive_updates(shape: tuple[int, ...], decay: float, seed: int) -> None:
    weights, first = values(seed, shape), values(seed + 1, shape)
    second = values(seed + 2, shape) ** 2 + np.float32(0.01)
    attributes = {"epsilon": 1e-3, "weight_decay": decay}
    expected = optimizer.adaptive_update(weights, first, second, RATES, attributes)
    check("adaptive_update", [weights, first, second, RATES], attributes, expected)


@pytest.mark.parametrize(
    ("operation", "shapes_given", "attributes", "message"),
    [
        ("sgd_update", [(2, 3), (3, 2), (1, 2)], {}, r"input 1 must have the shape \(2, 3\)"),
        ("sgd_update", [(2, 3), (2, 3), (1, 1)], {}, r"input 2 must have the shape \(1, 2\)"),
        ("moving_average", [(2, 3), (2, 3)], {"rate": 1.5}, "rate must be 0 to 1, got 1.5"),
        ("optimizer_gradient", [(2, 3), (2, 3)], {"minimum": 2.0}, "minimum must be at most maximum"),
        ("adaptive_update", [(2, 3)] * 3 + [(1, 2)], {"epsilon": -1.0}, "epsilon must be at least 0"),
    ],
)
def test_what_is_refused(
    operation: str, shapes_given: list[tuple[int, ...]], attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises((mpscnn.ShapeError, mpscnn.ParameterError), match=message):
        run_training(operation, [np.ones(shape, np.float32) for shape in shapes_given], attributes)
