"""Test the operations of optimisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from numpy.typing import NDArray
from operations.generic import *  # noqa: F403
from operations.record import Operation, Refusal, Sample, refusals
from ops.single_layer import run_training, seeds, values
from reference import optimizer as reference

import mpscnn

shapes = st.sampled_from([(1, 1), (1, 33), (5, 3, 3, 7), (40, 1, 1, 50), (9, 3, 3, 1), (130, 300)])
LARGE = (700, 1000), (1, 5, 70, 1000), (300, 3, 3, 64)
#: Functions of a seed and a shape that return an input.
INPUTS = {
    "values": values,
    "values and zeros": lambda seed, shape: values(seed, shape) * (np.arange(shape[-1]) > 0),
    "squares": lambda seed, shape: values(seed, shape) ** 2 + np.float32(0.01),
    "rates": lambda *_: np.array([[0.1, 0.03]], np.float32),
    "factor": lambda *_: np.full((1, 1), 2.0, np.float32),
}


def operation(
    name: str,
    inputs: Sequence[str],
    attributes: Mapping[str, Any],
    *,
    optional: str | None = None,
    known: Mapping[str, Sample] | None = None,
    refused: Sequence[Refusal] = (),
) -> Operation:
    """Return a record. Attributes are numbers or strategies, and the last input may be optional."""

    def sample(seed: int, shape: tuple[int, ...], kinds: Sequence[str], given: Mapping[str, Any]) -> Sample:
        return Sample([INPUTS[kind](seed + i, shape) for i, kind in enumerate(kinds)], given)

    def expect(sample: Sample) -> Any:
        absent = [None] * (len(inputs) + (optional is not None) - len(sample.inputs))
        result = getattr(reference, name)(*sample.inputs, *absent, dict(sample.attributes))
        return result, 3e-7 * result if name == "squared_sum" else 2e-6 * (1 + np.abs(result))

    drawn = st.fixed_dictionaries(
        {
            key: value if isinstance(value, st.SearchStrategy) else st.just(value)
            for key, value in attributes.items()
        }
    )
    kinds = st.sampled_from([inputs, inputs if optional is None else [*inputs, optional]])
    return Operation(
        name,
        expect,
        draws={"arrays": st.builds(sample, seeds, shapes, kinds, drawn)},
        known=known or {},
        divided={str(shape): sample(0, shape, inputs, {}) for shape in LARGE},
        refused=refused,
        training=True,
    )


EQUAL = (2, 3), (2, 3)
SIZED = r"input 1 must have the shape of input 0, \(2, 3\)"
RATES = r"input 2, the rates, must have the shape \(1, 2\)"
OPERATIONS = [
    operation(
        "optimizer_gradient",
        ["values", "values and zeros"],
        {"clip": st.booleans(), "minimum": -0.5, "maximum": 0.75, "rescale": 0.3}
        | {"regularization": st.sampled_from(["none", "l1", "l2"]), "regularization_scale": 0.1},
        optional="factor",
        refused=refusals({"minimum must be at most maximum": {"minimum": 2.0}}, EQUAL),
    ),
    operation(
        "moving_average",
        ["values", "values"],
        {"rate": 0.99, "squares": st.booleans()},
        # The factor must be 1 - 0.999 = 0.001, and not 1 minus the float32 number next to 0.999.
        known={
            "small factor": Sample(
                [np.zeros((1, 3)), np.full((1, 3), 1e6)], {"rate": 0.999}, expected=[1e3] * 3
            )
        },
        refused=refusals({"rate must be 0 to 1, got 1.5": {"rate": 1.5}}, EQUAL),
    ),
    operation(
        "momentum_update",
        ["values", "values", "rates"],
        {"momentum": 0.8, "nesterov": st.booleans()},
        refused=refusals({"momentum must be 0 to 1, got -1": {"momentum": -1.0}}, [*EQUAL, (1, 2)])
        + refusals({SIZED: {}}, [(2, 3), (3, 2), (1, 2)], mpscnn.ShapeError)
        + refusals({RATES: {}}, [*EQUAL, (2, 1)], mpscnn.ShapeError),
    ),
    operation(
        "sgd_update",
        ["values", "values", "rates"],
        {"momentum": 0.8, "nesterov": st.booleans(), "weight_decay": 0.2},
        optional="values",
        refused=refusals({SIZED: {}}, [(2, 3), (3, 2), (1, 2)], mpscnn.ShapeError)
        + refusals({RATES: {}}, [*EQUAL, (1, 1)], mpscnn.ShapeError),
    ),
    operation(
        "adaptive_update",
        ["values", "values", "squares", "rates"],
        {"epsilon": 1e-3, "weight_decay": st.sampled_from([0.0, 0.2])},
        refused=refusals({"epsilon must be at least 0": {"epsilon": -1.0}}, [*EQUAL, (2, 3), (1, 2)]),
    ),
    operation(
        "squared_sum",
        ["values"],
        {},
        known={str(shape): Sample([values(0, shape) + 10]) for shape in LARGE},
        refused=refusals({"squared_sum: takes 1 inputs, got 2": {}}, EQUAL),
    ),
]


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
