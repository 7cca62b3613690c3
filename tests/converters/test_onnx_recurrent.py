"""ONNX' recurrent layers give here what they give in onnxruntime, in all directions and results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import TOLERANCE, model, node, random_inputs, read, run_there, weights

from mpscnn.errors import UnsupportedError

GATES = {"LSTM": 4, "GRU": 3}


def recurrent(kind: str, direction: str, place: int, **attributes: Any) -> Any:
    """A model of one layer for 2 sequences of 5 steps, with one of its results."""
    names = [""] * place + ["y"]
    count = 2 if direction == "bidirectional" else 1
    made = node(kind, ["x", "w", "r", "b"], names, hidden_size=4, direction=direction, **attributes)
    made.name = "layer"
    shapes = {"w": (GATES[kind] * 4, 3), "r": (GATES[kind] * 4, 4), "b": (GATES[kind] * 8,)}
    return model([made], {"x": [5, 2, 3]}, {name: weights(count, *shape) for name, shape in shapes.items()})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "place"), [("LSTM", 0), ("LSTM", 1), ("LSTM", 2), ("GRU", 0), ("GRU", 1)])
def test_directions_and_results(kind: str, direction: str, place: int) -> None:
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    made = recurrent(kind, direction, place, **attributes)
    network, feeds = read(made), random_inputs(made)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(feeds["x"][None])
    (wanted,) = run_there(made, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=TOLERANCE)


def test_other_activations() -> None:
    made = recurrent("LSTM", "forward", 0, activations=["HardSigmoid", "Softsign", "Relu"])
    network, feeds = read(made), random_inputs(made)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(feeds["x"][None])
    (wanted,) = run_there(made, feeds)
    np.testing.assert_allclose(np.reshape(found, wanted.shape), wanted, rtol=0, atol=10 * TOLERANCE)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"clip": 1.0}, "with limits of its sums"),
        ({"input_forget": 1}, "with coupled gates"),
        ({"activations": ["Sigmoid", "Tanh", "Affine"]}, "its activation 'Affine' is not supported"),
    ],
)
def test_what_is_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read(recurrent("LSTM", "forward", 0, layout=1, **attributes))
