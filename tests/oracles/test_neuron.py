"""Activation functions against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ops.single_layer import run_layer, values
from tolerance import FLOAT32_EPS, NEURON_ULPS, neuron_bound

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional: Any = torch.nn.functional

ORACLES: list[tuple[dict[str, Any], Any]] = [
    ({"kind": "relu"}, functional.relu),
    ({"kind": "relu", "a": 0.2}, lambda x: functional.leaky_relu(x, 0.2)),
    ({"kind": "relun", "b": 6.0}, functional.relu6),
    ({"kind": "sigmoid"}, torch.sigmoid),
    ({"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}, functional.hardsigmoid),
    ({"kind": "tanh", "a": 1.0, "b": 1.0}, torch.tanh),
    ({"kind": "absolute"}, torch.abs),
    ({"kind": "softplus", "a": 0.5, "b": 2.0}, lambda x: functional.softplus(x, beta=2.0, threshold=200.0)),
    ({"kind": "softsign"}, functional.softsign),
    ({"kind": "elu", "a": 0.75}, lambda x: functional.elu(x, 0.75)),
    ({"kind": "power", "a": 2.0, "b": 1.0, "c": 3.0}, lambda x: torch.pow(2 * x + 1, 3.0)),
    ({"kind": "power", "a": 1.0, "c": 0.5}, lambda x: torch.pow(x, 0.5)),
    ({"kind": "exponential", "a": 1.0, "c": -1.0}, torch.exp),
    ({"kind": "exponential", "a": 1.0, "c": 2.0}, torch.exp2),
    ({"kind": "logarithm", "a": 1.0, "c": -1.0}, torch.log),
    ({"kind": "logarithm", "a": 1.0, "c": 10.0}, torch.log10),
    ({"kind": "gelu"}, functional.gelu),
    ({"kind": "gelu_tanh"}, lambda x: functional.gelu(x, approximate="tanh")),
    ({"kind": "hard_swish"}, functional.hardswish),
    ({"kind": "swish", "b": 1.0}, functional.silu),
    ({"kind": "swish", "b": 1.5}, lambda x: x * torch.sigmoid(1.5 * x)),
    ({"kind": "mish"}, functional.mish),
    ({"kind": "clamp", "a": -0.25, "b": 0.75}, lambda x: torch.clamp(x, -0.25, 0.75)),
    ({"kind": "sign"}, torch.sign),
    ({"kind": "floor"}, torch.floor),
    ({"kind": "ceil"}, torch.ceil),
    ({"kind": "round"}, torch.round),
    ({"kind": "erf"}, torch.erf),
]


@pytest.mark.parametrize(
    ("attributes", "oracle"), ORACLES, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
)
@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0, 100.0])
def test_functions(attributes: dict[str, Any], oracle: Any, scale: float) -> None:
    x = values(0, (2, 7, 9, 33), scale=scale)
    expected = oracle(torch.from_numpy(x.astype(np.float64))).numpy()
    if attributes["kind"] == "softsign" or np.abs(expected).max() < 1e38:
        result = run_layer("neuron", [x], attributes)
    else:
        x = np.clip(x, -80, 80)
        expected, result = (
            oracle(torch.from_numpy(x.astype(np.float64))).numpy(),
            run_layer("neuron", [x], attributes),
        )
    # 2 x + 1 is rounded before it is raised to the third power.
    argument = (
        12 * (2 * np.abs(x) + 1) * (2 * x + 1) ** 2 * FLOAT32_EPS if attributes.get("a") == 2.0 else 0.0
    )
    # Sixths and the like are rounded to float32.
    constants = FLOAT32_EPS * np.abs(x) if attributes["kind"] == "hard_sigmoid" else 0.0
    difference = np.abs(np.where(np.isnan(expected), 0.0, result - expected))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    # PyTorch's own gelu loses the digits of its small negative results.
    lost = 2.0**-50 * np.abs(x) if attributes["kind"] in ("gelu", "gelu_tanh") else 0.0
    allowed = (
        NEURON_ULPS * FLOAT32_EPS * np.abs(np.nan_to_num(expected)) + argument + constants + lost + 1e-37
    )
    if attributes["kind"] in ("swish", "gelu_tanh"):  # the argument of the exponential is rounded
        allowed = lost + neuron_bound(x, attributes, expected)
    assert (np.nan_to_num(difference) <= allowed).all()


def test_prelu() -> None:
    x, slope = values(0, (2, 7, 9, 33)), values(1, (33,))
    nchw = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    expected = functional.prelu(nchw, torch.from_numpy(slope)).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(
        run_layer("neuron", [x], {"kind": "prelu"}, weights={"slope": slope}), expected
    )
