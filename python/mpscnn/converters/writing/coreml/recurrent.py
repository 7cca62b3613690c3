"""Convert ONNX' LSTM and GRU, in the form that mpscnn's ONNX writer uses, to those of Core ML."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values import gates
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreml.operator import PROGRAMS_DO, Operator
from mpscnn.errors import UnsupportedError

_FUNCTIONS = {gates.FUNCTIONS[word]: name for name, word in gates.CORE_ML_FUNCTIONS.items()}
# Neural networks limit the sums of their gates to 50, which changes no result of these functions.
_BOUNDED = ("hard_sigmoid", "sigmoid", "tanh")


_LIMIT = "limit the sums of the gates to 50"


def _by_gate(values: NDArray[Any], kind: str) -> NDArray[np.float32]:
    return gates.reorder_gates(np.asarray(values, np.float32), gates.ONNX[kind], gates.CORE_ML[kind])


def _functions(op: Operator) -> list[str]:
    names = [one.decode() for one in op.attributes["activations"]]
    alpha, beta = (
        np.asarray(op.attributes.get(f"activation_{name}", ()), np.float32) for name in ("alpha", "beta")
    )
    stated = [gates.ONNX_FUNCTIONS[name] for name in names if name in gates.ONNX_PARAMETERS]
    usual = [[np.float32(one[key]) for one in stated if key in one] for key in ("a", "b")]
    other = next((name for name in names if name not in _FUNCTIONS), None)
    if other is not None or [alpha.tolist(), beta.tolist()] != usual:
        raise UnsupportedError(
            f"Core ML's recurrent layers have no function {other or 'with these parameters'}"
        )
    made = [_FUNCTIONS[name] for name in names]
    if not op.is_program and not {*made[:2]}.issubset(_BOUNDED):
        raise UnsupportedError(f"with the functions {made} Core ML's neural networks {_LIMIT}: {PROGRAMS_DO}")
    return made


def _state(op: Operator, place: int, units: int) -> Any:
    if op.given(place):
        return op.mb.squeeze(x=op.inputs[place], axes=[0])
    return np.zeros((op.shape[1], units), np.float32)


def _settings(op: Operator, kind: str) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return the arguments that LSTM and GRU have in common, and the biases of the state."""
    weight, matrix, biases = (op.constant(place)[0] for place in (1, 2, 3))
    first, second = np.split(biases, 2)
    units = matrix.shape[1]
    return {
        "x": op.x,
        "initial_h": _state(op, 5, units),
        "weight_ih": _by_gate(weight, kind),
        "weight_hh": _by_gate(matrix, kind),
        "bias": _by_gate(first if kind == "GRU" else first + second, kind),
        "direction": op.attributes.get("direction", b"forward").decode(),
        "output_sequence": True,
        "name": op.name,
    }, second


def _lstm(op: Operator) -> list[Any]:
    settings, _ = _settings(op, "LSTM")
    gate, candidate, output = _functions(op)
    functions = {"recurrent_activation": gate, "cell_activation": candidate, "activation": output}
    cell = _state(op, 6, settings["weight_hh"].shape[1])
    steps, hidden, cell = op.mb.lstm(initial_c=cell, **settings, **functions)
    return [
        _in_order(op, steps),
        op.mb.expand_dims(x=hidden, axes=[0]),
        op.mb.expand_dims(x=cell, axes=[0]),
    ]


def _gru(op: Operator) -> list[Any]:
    settings, state_bias = _settings(op, "GRU")
    gate, candidate = _functions(op)
    if int(op.attributes.get("linear_before_reset", 0)):
        if not op.is_program:
            raise UnsupportedError(f"it resets after the product with the state, {PROGRAMS_DO}")
        separate = {"reset_after": True, "input_bias": settings["bias"], "bias": _by_gate(state_bias, "GRU")}
        settings |= separate
    else:
        settings["bias"] += _by_gate(state_bias, "GRU")
    steps, _ = op.mb.gru(recurrent_activation=gate, activation=candidate, **settings)
    return [_in_order(op, steps)]


def _in_order(op: Operator, steps: Any) -> Any:
    """Return the steps in the order of the input. Core ML returns them in the order in which it computes them."""
    if op.attributes.get("direction", b"forward") == b"reverse":
        steps = op.mb.reverse(x=steps, axes=[0])
    return op.mb.expand_dims(x=steps, axes=[1])


def resets_after(graph: Any) -> bool:
    """Return True if an ONNX graph has a GRU that resets after the product. Such a GRU needs iOS 18."""
    return any(
        attribute.name == "linear_before_reset" and attribute.i
        for node in graph.node
        if node.op_type == "GRU"
        for attribute in node.attribute
    )


RECURRENT: dict[str, Write[Operator, Any]] = {"GRU": _gru, "LSTM": _lstm}
"""The functions that convert operators, by ONNX' name. They return the node's results in order."""
