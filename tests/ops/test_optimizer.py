"""The operations of optimisers against the float64 reference."""

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


def test_what_comes_to_an_average_is_not_rounded_away() -> None:
    """A moving average uses 1 - 0.999 = 0.001, not 1 minus the rounded 0.999."""
    inputs = [np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)]
    result = run_training("moving_average", inputs, {"rate": 0.999})
    np.testing.assert_array_equal(result, np.full((1, 3), np.float32(0.001)))


@given(shapes, seeds)
def test_squared_sums(shape: tuple[int, ...], seed: int) -> None:
    x = values(seed, shape)
    result = run_training("squared_sum", [x], {}, threads=1 + seed % 3)
    np.testing.assert_allclose(result, optimizer.squared_sum(x), rtol=1e-6)


@pytest.mark.parametrize("shape", [(700, 1000), (1, 5, 70, 1000), (300, 3, 3, 64)])
def test_bits_of_squared_sums_do_not_depend_on_threads(shape: tuple[int, ...]) -> None:
    x = values(0, shape) + 10
    one = run_training("squared_sum", [x], {})
    np.testing.assert_allclose(one, optimizer.squared_sum(x), rtol=3e-7)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(one, run_training("squared_sum", [x], {}, threads=threads))


def descend(
    name: str, weights: NDArray[Any], gradients: list[NDArray[Any]], options: dict[str, Any]
) -> NDArray[Any]:
    """Run steps of an optimiser by single operations. `options` are the arguments of PyTorch's optimiser."""
    rate = options["lr"]
    moment, squares = np.zeros_like(weights), np.zeros_like(weights)
    momentum = {"momentum": options.get("momentum", 0.0), "nesterov": options.get("nesterov", False)}
    for step, gradient in enumerate(gradients, start=1):
        rates = np.array([[rate, rate]], np.float32)
        if name == "SGD":
            if momentum["momentum"]:
                moment = run_training("momentum_update", [moment, gradient, rates], momentum)
            inputs = [weights, gradient, rates, *([moment] if momentum["momentum"] else [])]
            weights = run_training("sgd_update", inputs, momentum)
        elif name == "RMSprop":
            averages = {"rate": options["alpha"], "squares": True}
            squares = run_training("moving_average", [squares, gradient], averages)
            weights = run_training("adaptive_update", [weights, gradient, squares, rates], {})
        else:
            moment = run_training("moving_average", [moment, gradient], {"rate": 0.9})
            squares = run_training("moving_average", [squares, gradient], {"rate": 0.999, "squares": True})
            rates[0, 1] = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            attributes = {"epsilon": 1e-10, "weight_decay": options.get("weight_decay", 0.0)}
            weights = run_training("adaptive_update", [weights, moment, squares, rates], attributes)
    return weights


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"lr": 0.01, "alpha": 0.9}),
        ("Adam", {"lr": 0.01, "eps": 1e-10}),
        ("AdamW", {"lr": 0.01, "eps": 1e-10, "weight_decay": 0.1}),
    ],
)
def test_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    weights, gradients = values(0, (3, 50)), [values(1 + i, (3, 50)) for i in range(5)]
    parameter = torch.nn.Parameter(torch.from_numpy(weights.astype(np.float64)))
    stepper = getattr(torch.optim, name)([parameter], **options)
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient.astype(np.float64))
        stepper.step()
    result = descend(name, weights, gradients, options)
    np.testing.assert_allclose(result, parameter.detach().numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("operation", "shapes_given", "attributes", "message"),
    [
        ("sgd_update", [(2, 3), (3, 2), (1, 2)], {}, r"input 1 must have the shape of input 0, \(2, 3\)"),
        ("sgd_update", [(2, 3), (2, 3), (1, 1)], {}, r"input 2, the rates, must have the shape \(1, 2\)"),
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
