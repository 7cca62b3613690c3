"""Convert recurrent layers of programs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

_FUNCTIONS = {"hard_sigmoid": "HardSigmoid", "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}


def _by_gate(values: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    given = gates.CORE_ML[kind]
    if len(values) % len(given):
        raise WeightsError(f"damaged: {len(values)} rows of {len(given)} gates")
    return gates.reordered(values, given, gates.ONNX[kind])


def _parts(op: Operation, kind: str, suffix: str = "") -> list[NDArray[np.float32]]:
    """Return the weights and biases for input and state of one direction, in ONNX' order of gates."""
    arrays = [op.array(f"weight_{name}{suffix}").astype(np.float32) for name in ("ih", "hh")]
    if any(array.ndim != 2 for array in arrays):
        raise WeightsError(f"damaged: weights {arrays[0].shape} and {arrays[1].shape}")
    rows = len(arrays[0])
    bias = np.zeros(rows, np.float32)
    if op.has(f"bias{suffix}"):
        bias = op.array(f"bias{suffix}").astype(np.float32)
    second = np.zeros(rows, np.float32)
    if op.has(f"input_bias{suffix}"):  # with input_bias, `bias` is the bias of the state
        bias, second = op.array(f"input_bias{suffix}").astype(np.float32), bias
    if bias.shape != (rows,) or second.shape != (rows,):
        raise WeightsError(f"damaged: biases {bias.shape} and {second.shape} for {rows} rows")
    return [
        *(_by_gate(array, kind) for array in arrays),
        np.concatenate([_by_gate(bias, kind), _by_gate(second, kind)]),
    ]


def _function(op: Operation, name: str, default: str) -> str:
    function = op.text(name, default).lower()
    if function not in _FUNCTIONS:
        raise UnsupportedError(f"its function {function!r} is not supported")
    return _FUNCTIONS[function]


def _recurrent(b: Builder, op: Operation, kind: str, functions: list[str]) -> list[str]:
    """Add a recurrent operator. Returns the states of all steps (or only the last step), then the last states."""
    direction = op.text("direction", "forward")
    both = direction == "bidirectional"
    parts = [_parts(op, kind), *([_parts(op, kind, "_back")] if both else [])]
    if len({tuple(one.shape for one in own) for own in parts}) != 1:
        raise WeightsError("damaged: its directions have weights of different shapes")
    names = [b.weight(role, np.stack(own)) for role, own in zip("WRB", zip(*parts, strict=True), strict=True)]
    units, directions = parts[0][1].shape[1], len(parts)
    states = [_by_direction(b, op.tensor(name), directions, units) for name in _states(op, kind)]
    inputs = [op.tensor("x"), *names, "", *states]
    count = 3 if kind == "LSTM" else 2
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    steps, *last = b.ops(
        kind,
        inputs,
        count,
        direction=direction,
        hidden_size=units,
        activations=functions * directions,
        **attributes,
    )
    last = [_joined(b, one, 0) for one in last]
    if op.flag("output_sequence", False):
        return [_joined(b, steps, 1), *last]
    return [b.op("Unsqueeze", last[0], b.integers([0])), *last]


def _states(op: Operation, kind: str) -> list[str]:
    """Return the names of the operands with initial states; empty if all are zeros."""
    names = ["initial_h", "initial_c"] if kind == "LSTM" else ["initial_h"]
    known = [name for name in names if op.is_constant(name) and not op.array(name).any()]
    return [] if known == names else names


def _by_direction(b: Builder, state: str, directions: int, units: int) -> str:
    """Reshape a state (sequences, directions * units) to (directions, sequences, units)."""
    return b.op("Transpose", b.reshaped(state, [0, directions, units]), perm=[1, 0, 2])


def _joined(b: Builder, tensor: str, axis: int) -> str:
    """Merge the axis of directions into the last axis, that of the units."""
    rank = b.rank(tensor)
    order = [place for place in range(rank) if place != axis]
    turned = b.op("Transpose", tensor, perm=[*order[:-1], axis, order[-1]])
    return b.reshaped(turned, [0] * (rank - 2) + [-1])


def _lstm(b: Builder, op: Operation) -> list[str]:
    for name, what in (
        ("peephole", "peepholes"),
        ("peephole_back", "peepholes"),
        ("clip", "limits of its cells"),
    ):
        if op.has(name) and (name == "clip" or op.array(name).any()):
            raise UnsupportedError(f"with {what} it is not supported")
    functions = [
        _function(op, name, default)
        for name, default in (
            ("recurrent_activation", "sigmoid"),
            ("cell_activation", "tanh"),
            ("activation", "tanh"),
        )
    ]
    return _recurrent(b, op, "LSTM", functions)


def _gru(b: Builder, op: Operation) -> list[str]:
    functions = [
        _function(op, name, default)
        for name, default in (("recurrent_activation", "sigmoid"), ("activation", "tanh"))
    ]
    return _recurrent(b, op, "GRU", functions)


RECURRENT: dict[str, Handler] = {"gru": _gru, "lstm": _lstm}
"""The functions that convert operations, by Core ML's name."""
