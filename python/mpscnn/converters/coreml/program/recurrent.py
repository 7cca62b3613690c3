"""Convert recurrent layers of ML programs."""

from __future__ import annotations

import numpy as np

from mpscnn.converters import gates
from mpscnn.converters.coreml.program.operation import Handler, Operation
from mpscnn.converters.coreml.recurrent import Recurrent, split_directions
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.converters.recurrent_layer import Array, RecurrentWeights
from mpscnn.errors import UnsupportedError, WeightsError


def _direction(op: Operation, kind: str, suffix: str = "") -> RecurrentWeights:
    arrays = [op.array(f"weight_{name}{suffix}").astype(np.float32) for name in ("ih", "hh")]
    if any(array.ndim != 2 for array in arrays):
        raise WeightsError(f"damaged: weights {arrays[0].shape} and {arrays[1].shape}")
    biases = [_bias(op, f"{name}{suffix}", len(arrays[0])) for name in ("input_bias", "bias")]
    return RecurrentWeights(gates.CORE_ML[kind], *arrays, *biases)


def _bias(op: Operation, name: str, rows: int) -> Array:
    values = op.array(name).astype(np.float32) if op.has(name) else np.zeros(rows, np.float32)
    if values.shape != (rows,):
        raise WeightsError(f"damaged: its {name} has the shape {values.shape} for {rows} rows")
    return values


def _functions(op: Operation, *roles: str) -> list[str]:
    """Return ONNX' names of the activation functions of `roles`, in the same order.

    If the operation states no function, the gates (role "recurrent_activation") have sigmoid and other roles tanh.
    """
    names = [op.text(role, "sigmoid" if role == "recurrent_activation" else "tanh").lower() for role in roles]
    other = next((name for name in names if name not in gates.CORE_ML_FUNCTIONS), None)
    if other is not None:
        raise UnsupportedError(f"its function {other!r} is not supported")
    return [gates.CORE_ML_FUNCTIONS[name] for name in names]


def _converted(
    b: Builder, op: Operation, kind: str, functions: list[str], *, reset_after: bool | None = None
) -> list[str]:
    direction = op.text("direction", "forward")
    both = direction == "bidirectional"
    if direction not in ("forward", "reverse") and not (both and kind == "LSTM"):
        raise WeightsError(f"damaged: its direction is {direction!r}")
    directions = [_direction(op, kind), *([_direction(op, kind, "_back")] if both else [])]
    units = directions[0].state.shape[1]
    names = ["initial_h", "initial_c"] if kind == "LSTM" else ["initial_h"]
    zeros = [name for name in names if op.is_constant(name) and not op.array(name).any()]
    states = [
        split_directions(b, op.tensor(name), len(directions), units) for name in names if zeros != names
    ]
    layer = Recurrent(
        kind,
        directions,
        functions * len(directions),
        direction == "reverse",
        op.flag("output_sequence", False),
        {} if reset_after is None else {"linear_before_reset": int(reset_after)},
    )
    return layer.add(b, op.tensor("x"), states)


def _lstm(b: Builder, op: Operation) -> list[str]:
    for name, what in (
        ("peephole", "peepholes"),
        ("peephole_back", "peepholes"),
        ("clip", "limits of its cells"),
    ):
        if op.has(name) and (name == "clip" or op.array(name).any()):
            raise UnsupportedError(f"with {what} it is not supported")
    return _converted(b, op, "LSTM", _functions(op, "recurrent_activation", "cell_activation", "activation"))


def _gru(b: Builder, op: Operation) -> list[str]:
    functions = _functions(op, "recurrent_activation", "activation")
    return _converted(b, op, "GRU", functions, reset_after=op.flag("reset_after", False))


RECURRENT: dict[str, Handler] = {
    "gru": _gru,
    "lstm": _lstm,
    "rnn": lambda b, op: _converted(b, op, "RNN", _functions(op, "activation")),
}
"""The functions that convert operations, by Core ML's name."""
