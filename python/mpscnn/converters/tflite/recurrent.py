"""Convert TensorFlow Lite's recurrent layers. Their states are zero at the beginning of each run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.recurrent_layer import RecurrentWeights, add_recurrent, note_states, sequences
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.names import activation_name
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.errors import UnsupportedError, WeightsError

# The numbers of the operator's inputs for each gate.
_INPUT_WEIGHTS, _STATE_WEIGHTS, _BIASES = range(1, 5), range(5, 9), range(12, 16)


def _lstm(o: Operation) -> Made:
    """Convert UNIDIRECTIONAL_SEQUENCE_LSTM. Its input is (n, steps, features), or time-major (steps, n, features)."""
    options = o.operator.options
    if options and (options.number(1, "f") or options.number(2, "f")):
        raise UnsupportedError("with limits of its states it is not supported")
    for first, last, what in (
        (9, 12, "peepholes"),
        (16, 18, "a projection"),
        (20, 24, "layer normalization"),
    ):
        if any(map(o.has, range(first, last))):
            raise UnsupportedError(f"with {what} it is not supported")
    if not o.has(1):
        raise UnsupportedError("with coupled gates it is not supported")
    is_tanh = options is not None and activation_name(options.integer(0, "b")) == "TANH"
    activation = "tanh" if is_tanh else o.activation(0)
    weights, states = (
        np.stack([o.real(place, "its weights") for place in places])
        for places in (_INPUT_WEIGHTS, _STATE_WEIGHTS)
    )
    biases = np.stack([o.real(place, "its biases") for place in _BIASES])
    count, units, features = weights.shape
    if states.shape != (count, units, units) or biases.shape != (count, units):
        raise WeightsError(f"damaged: weights {weights.shape}, {states.shape} and {biases.shape}")
    x = o.x()
    time_major = o.flag(3)
    tensor, steps, several = sequences(x if time_major else x.transpose((1, 0, 2)))
    if tensor.shape[3] != features:
        raise WeightsError(f"damaged: weights for {features} features, but it reads {x.shown}")
    name = o.name()
    o.c.constants.count(weights.nbytes + states.nbytes)
    rows = (part.reshape(count * units, *part.shape[2:]) for part in (weights, states, biases))
    made = add_recurrent(
        o.network,
        "LSTM",
        tensor,
        RecurrentWeights(gates.TENSORFLOW_LITE["LSTM"], *rows),
        ["sigmoid", activation, activation],
        name=name,
        set_weight=o.network.graph.set_weight,
    )
    note_states(o.network)
    (new,) = o.arranger.atoms([units])
    axes = (steps, (o.c.batch, *several), new)
    y = FileTensor(made.steps, axes, steps + several + new, arranger=o.arranger)
    return y if time_major else y.transpose((1, 0, 2))


def _svdf(o: Operation) -> Made:
    """Convert one step of SVDF. Its memory of earlier steps is zero here, so only the newest entry counts."""
    options = o.options
    rank = options.integer(0)
    features, time = (o.real(place, "its weights") for place in (1, 2))
    filters, size = features.shape
    if rank < 1 or filters % rank or time.shape[:1] != (filters,) or not time.shape[1]:
        raise WeightsError(f"damaged: {filters} filters of rank {rank} with {time.shape}")
    units = filters // rank
    matrix: NDArray[np.float32] = (features * time[:, -1:]).reshape(units, rank, size).sum(axis=1)
    x, name = o.tensor(), o.name()
    if x.shape[1:] != (size,):
        raise WeightsError(f"damaged: weights for {size} features, but its input is {x.shape}")
    activation = o.fused_activation(o.activation(1))
    y = o.network.dense(x, units, activation=activation, name=name)
    o.network.graph.set_weight(name, "weight", np.ascontiguousarray(matrix))
    if o.has(3):
        o.network.graph.set_weight(name, "bias", o.real(3, "its biases"))
    note_states(o.network)
    return y


RECURRENT: dict[str, Handler] = {"SVDF": _svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm}
