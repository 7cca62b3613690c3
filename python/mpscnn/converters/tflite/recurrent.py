"""Convert TensorFlow Lite's recurrent layers. Their states are zero at the beginning of each run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.layout import without_batch
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.names import activation_name
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

# The numbers of the operator's inputs for each gate, in mpscnn's order i, f, o, g.
_INPUT_WEIGHTS, _STATE_WEIGHTS, _BIASES = (1, 2, 4, 3), (5, 6, 8, 7), (12, 13, 15, 14)
_STATES_NOTE = "the states of its recurrent layers begin with zeros in each run"


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
    gates, units, features = weights.shape
    if states.shape != (gates, units, units) or biases.shape != (gates, units):
        raise WeightsError(f"damaged: weights {weights.shape}, {states.shape} and {biases.shape}")
    x = c.seen(operator.inputs[0])
    time_major = bool(options and options.boolean(3))
    x = x.transposed((1, 0, 2)) if time_major and x.rank == 3 else x
    own = x.beginning_with_batch(c.arranger.batch)
    if own.rank != 3 or own.shape[2] != features or None in own.shape[1:]:
        raise UnsupportedError(f"reads {x.shown}, of {features} features and fixed sizes: {CHOOSE_SIZE}")
    if not any(atom.is_batch for atom in own.axes[0]):
        raise UnsupportedError(f"its steps or features {x.shown} are the batch")
    several = without_batch(own.axes[0])
    tensor = c.arranger.physical(own, (own.axes[1], several, own.axes[2]))
    name = c.layer_name(operator)
    try:
        made = c.network.lstm(tensor, units, activation=activation, cell_activation=activation, name=name)
    except ParameterError as error:
        raise UnsupportedError(str(error)) from error
    c.constants.count(weights.nbytes + states.nbytes)
    graph = c.network.graph
    graph.set_weight(f"{name}/input", "weight", weights.reshape(gates * units, 1, 1, features))
    graph.set_weight(f"{name}/input", "bias", biases.reshape(-1))
    graph.set_weight(f"{name}/recurrent", "weight", states.reshape(gates * units, units))
    _note_states(c)
    (new,) = c.arranger.atoms([units])
    y = replace(own, tensor=made.steps, axes=(*own.axes[:2], new), order=own.axes[1] + several + new)
    return y.transposed((1, 0, 2)) if time_major else y


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
    activation = c.ending(operator, c.activation(operator, 1))
    y = c.network.dense(x, units, activation=activation, name=name)
    c.network.graph.set_weight(name, "weight", np.ascontiguousarray(matrix))
    if operator.inputs[3] >= 0:
        c.network.graph.set_weight(name, "bias", c.constants.real(operator.inputs[3], "its biases"))
    _note_states(c)
    return y


def _note_states(c: Reader) -> None:
    if _STATES_NOTE not in c.network.notes:
        c.network.notes.append(_STATES_NOTE)


RECURRENT: dict[str, Handler] = {"SVDF": _svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm}
