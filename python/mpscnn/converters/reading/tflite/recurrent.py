"""Convert TensorFlow Lite's recurrent layers. Their states are zero at the beginning of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.reading.tflite.row_calls import ACTIVATIONS, Batched, Fused, Given, Reals, X
from mpscnn.converters.values import gates
from mpscnn.converters.values.recurrent_layer import RecurrentWeights, add_recurrent, note_states, sequences
from mpscnn.converters.values.rows import Operand, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

# The places of an LSTM's operands after the sequence, for each gate.
_INPUT_WEIGHTS, _STATE_WEIGHTS, _BIASES = slice(0, 4), slice(4, 8), slice(11, 15)
_REFUSED = {"peepholes": slice(8, 11), "a projection": slice(15, 17), "layer normalization": slice(19, 23)}


@ignores("asymmetric_quantize_inputs")
def _lstm(
    op: Operation, x: X, *parts: Given | None,
    fused_activation_function: Literal["NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH"] = "NONE",
    cell_clip: float = 0.0, proj_clip: float = 0.0, time_major: bool = False,
) -> Value:  # fmt: skip
    """Convert UNIDIRECTIONAL_SEQUENCE_LSTM. Its input is (n, steps, features), or time-major (steps, n, features)."""
    if cell_clip or proj_clip:
        raise UnsupportedError("with limits of its states it is not supported")
    for what, places in _REFUSED.items():
        if any(one is not None for one in parts[places]):
            raise UnsupportedError(f"with {what} it is not supported")
    if not parts or parts[0] is None:
        raise UnsupportedError("with coupled gates it is not supported")
    activation = ACTIVATIONS[fused_activation_function]
    weights, states = (_stacked(parts[places], "its weights") for places in (_INPUT_WEIGHTS, _STATE_WEIGHTS))
    biases = _stacked(parts[_BIASES], "its biases")
    count, units, features = weights.shape
    if states.shape != (count, units, units) or biases.shape != (count, units):
        raise WeightsError(f"damaged: weights {weights.shape}, {states.shape} and {biases.shape}")
    tensor, steps, several = sequences(x if time_major else x.transpose((1, 0, 2)))
    if tensor.shape[3] != features:
        raise WeightsError(f"damaged: weights for {features} features, but it reads {x.shown}")
    name = op.name()
    op.c.constants.count(weights.nbytes + states.nbytes)
    rows = (part.reshape(count * units, *part.shape[2:]) for part in (weights, states, biases))
    made = add_recurrent(
        op.network,
        "LSTM",
        tensor,
        RecurrentWeights(gates.TENSORFLOW_LITE["LSTM"], *rows),
        ["sigmoid", activation, activation],
        name=name,
        set_weight=op.network.graph.set_weight,
    )
    note_states(op.network)
    (new,) = op.c.arranger.atoms([units])
    axes = (steps, (op.c.batch, *several), new)
    y = FileTensor(made.steps, axes, steps + several + new, arranger=op.c.arranger)
    return y if time_major else y.transpose((1, 0, 2))


def _stacked(parts: Sequence[Source | None], what: str) -> NDArray[np.float32]:
    """Return the weights or biases of all gates in one array."""
    if len(parts) != 4 or None in parts:
        raise WeightsError(f"damaged: it has not {what} of each gate")
    return np.stack([part.real(what) for part in parts if part is not None])


@ignores("asymmetric_quantize_inputs")
def _svdf(
    op: Operation, x: Batched, features: Annotated[Reals, Operand("its weights")],
    time: Annotated[Reals, Operand("its weights")], bias: Annotated[Reals | None, Operand("its biases")] = None,
    _state: Given | None = None, *, rank: int, fused_activation_function: Fused,
) -> Tensor:  # fmt: skip
    """Convert one step of SVDF. Its memory of earlier steps is zero here, so only the newest entry counts."""
    filters, size = features.shape
    if rank < 1 or filters % rank or time.shape[:1] != (filters,) or not time.shape[1]:
        raise WeightsError(f"damaged: {filters} filters of rank {rank} with {time.shape}")
    units = filters // rank
    matrix: NDArray[np.float32] = (features * time[:, -1:]).reshape(units, rank, size).sum(axis=1)
    name = op.name()
    if x.shape[1:] != (size,):
        raise WeightsError(f"damaged: weights for {size} features, but its input is {x.shape}")
    activation = op.fused(ACTIVATIONS[fused_activation_function])
    y = op.network.dense(x, units, activation=activation, name=name)
    op.network.graph.set_weight(name, "weight", np.ascontiguousarray(matrix))
    if bias is not None:
        op.network.graph.set_weight(name, "bias", bias)
    note_states(op.network)
    return y


RECURRENT: dict[str, Row] = {"SVDF": _svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm}
