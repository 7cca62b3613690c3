"""Convert TensorFlow Lite's recurrent layers. Their states are zero at the beginning of each run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.recurrent_layer import RecurrentWeights, add_recurrent, note_states, sequences
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.names import activation_name
from mpscnn.errors import UnsupportedError, WeightsError

# The numbers of the operator's inputs for each gate.
_INPUT_WEIGHTS, _STATE_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)


def _lstm(c: Reader, operator: FileOperator) -> Made:
    """Convert UNIDIRECTIONAL_SEQUENCE_LSTM. Its input is (n, steps, features), or time-major (steps, n, features)."""
    options = operator.options
    if options and (options.number(1, "f") or options.number(2, "f")):
        raise UnsupportedError("with limits of its states it is not supported")
    for first, last, what in (
        (9, 12, "peepholes"),
        (16, 18, "a projection"),
        (20, 24, "layer normalization"),
    ):
        if any(index >= 0 for index in operator.inputs[first:last]):
            raise UnsupportedError(f"with {what} it is not supported")
    if operator.inputs[1] < 0:
        raise UnsupportedError("with coupled gates it is not supported")
    is_tanh = options is not None and activation_name(options.integer(0, "b")) == "TANH"
    activation = "tanh" if is_tanh else c.activation(operator, 0)
    weights, states = (
        np.stack([c.constants.real(operator.inputs[place], "its weights") for place in places])
        for places in (_INPUT_WEIGHTS, _STATE_WEIGHTS)
    )
    biases = np.stack([c.constants.real(operator.inputs[place], "its biases") for place in _BIASES])
    count, units, features = weights.shape
    if states.shape != (count, units, units) or biases.shape != (count, units):
        raise WeightsError(f"damaged: weights {weights.shape}, {states.shape} and {biases.shape}")
    x = c.seen(operator.inputs[0])
    time_major = operator.flag(3)
    tensor, steps, several = sequences(x if time_major else x.transpose((1, 0, 2)))
    if tensor.shape[3] != features:
        raise WeightsError(f"damaged: weights for {features} features, but it reads {x.shown}")
    name = c.layer_name(operator)
    c.constants.count(weights.nbytes + states.nbytes)
    rows = (part.reshape(count * units, *part.shape[2:]) for part in (weights, states, biases))
    made = add_recurrent(
        c.network,
        "LSTM",
        tensor,
        RecurrentWeights(gates.TENSORFLOW_LITE["LSTM"], *rows),
        ["sigmoid", activation, activation],
        name=name,
        set_weight=c.network.graph.set_weight,
    )
    note_states(c.network)
    (new,) = c.arranger.atoms([units])
    axes = (steps, (c.batch_atom, *several), new)
    y = FileTensor(made.steps, axes, steps + several + new, arranger=c.arranger)
    return y if time_major else y.transpose((1, 0, 2))


def _svdf(c: Reader, operator: FileOperator) -> Made:
    """Convert one step of SVDF. Its memory of earlier steps is zero here, so only the newest entry counts."""
    options = c.options(operator)
    rank = options.integer(0)
    features, time = (c.constants.real(operator.inputs[place], "its weights") for place in (1, 2))
    filters, size = features.shape
    if rank < 1 or filters % rank or time.shape[:1] != (filters,) or not time.shape[1]:
        raise WeightsError(f"damaged: {filters} filters of rank {rank} with {time.shape}")
    units = filters // rank
    matrix: NDArray[np.float32] = (features * time[:, -1:]).reshape(units, rank, size).sum(axis=1)
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    if x.shape[1:] != (size,):
        raise WeightsError(f"damaged: weights for {size} features, but its input is {x.shape}")
    activation = c.fused_activation(operator, c.activation(operator, 1))
    y = c.network.dense(x, units, activation=activation, name=name)
    c.network.graph.set_weight(name, "weight", np.ascontiguousarray(matrix))
    if operator.inputs[3] >= 0:
        c.network.graph.set_weight(name, "bias", c.constants.real(operator.inputs[3], "its biases"))
    note_states(c.network)
    return y


RECURRENT: dict[str, Handler] = {"SVDF": _svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm}
