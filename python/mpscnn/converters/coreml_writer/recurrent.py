"""Convert ONNX' LSTM and GRU, in the form that mpscnn's ONNX writer uses, to those of Core ML."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.coreml_writer.operator import Handler, Operator
from mpscnn.errors import UnsupportedError

_FUNCTIONS = {"HardSigmoid": "hard_sigmoid", "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}


def _by_gate(values: NDArray[Any], kind: str) -> NDArray[np.float32]:
    return gates.reordered(np.asarray(values, np.float32), gates.ONNX[kind], gates.CORE_ML[kind])


def _functions(op: Operator) -> list[str]:
    names = [one.decode() for one in op.attributes["activations"]]
    alpha, beta = (
        np.asarray(op.attributes.get(f"activation_{name}", ()), np.float32) for name in ("alpha", "beta")
    )
    count = names.count("HardSigmoid")
    usual = np.all(alpha == np.float32(0.2)) and np.all(beta == np.float32(0.5))
    other = next((name for name in names if name not in _FUNCTIONS), None)
    if other is not None or alpha.size != count or beta.size != count or not usual:
        raise UnsupportedError(
            f"Core ML's recurrent layers have no function {other or 'with these parameters'}"
        )
    return [_FUNCTIONS[name] for name in names]


def _state(op: Operator, place: int, units: int) -> Any:
    if op.given(place):
        return op.mb.squeeze(x=op.inputs[place], axes=[0])
    return np.zeros((op.shape[1], units), np.float32)


def _settings(op: Operator, kind: str) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return the arguments that LSTM and GRU have in common, and the biases of the state."""
    if not op.is_program:  # mpscnn's reader does not support recurrent layers of neural networks
        raise UnsupportedError("mpscnn writes recurrent layers as programs only: write a .mlpackage")
    weight, matrix, biases = (op.constant(place)[0] for place in (1, 2, 3))
    first, second = np.split(biases, 2)
    units = matrix.shape[1]
    return {
        "x": op.x,
        "initial_h": _state(op, 5, units),
        "weight_ih": _by_gate(weight, kind),
        "weight_hh": _by_gate(matrix, kind),
        "bias": _by_gate(first, kind),
        "direction": op.attributes.get("direction", b"forward").decode(),
        "output_sequence": True,
        "name": f"{op.name}_states",
    }, second


def _lstm(op: Operator) -> list[Any]:
    settings, _ = _settings(op, "LSTM")
    gate, candidate, output = _functions(op)
    functions = {"recurrent_activation": gate, "cell_activation": candidate, "activation": output}
    cell = _state(op, 6, settings["weight_hh"].shape[1])
    steps, hidden, cell = op.mb.lstm(initial_c=cell, **settings, **functions)
    return [
        op.mb.expand_dims(x=steps, axes=[1], name=op.name),
        op.mb.expand_dims(x=hidden, axes=[0]),
        op.mb.expand_dims(x=cell, axes=[0]),
    ]


def _gru(op: Operator) -> list[Any]:
    settings, state_bias = _settings(op, "GRU")
    if not int(op.attributes["linear_before_reset"]) or state_bias.any():
        raise UnsupportedError(
            "Core ML's GRU multiplies the product of the state, without a bias, by the reset gate"
        )
    gate, candidate = _functions(op)
    steps, _ = op.mb.gru(recurrent_activation=gate, activation=candidate, **settings)
    return [op.mb.expand_dims(x=steps, axes=[1], name=op.name)]


RECURRENT: dict[str, Handler] = {"GRU": _gru, "LSTM": _lstm}
"""The functions that convert operators, by ONNX' name. They return the node's results in order."""
