"""Describe the sequences and weights of recurrent layers in a file, and add the layers with these weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import ONE_IMAGE, MixedImagesError
from mpscnn.converters.values.gates import MPSCNN, reorder_gates
from mpscnn.converters.values.layout import Axis, without_batch
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.recurrent import Recurrent

Array = NDArray[np.float32]

_STATES_NOTE = "the states of its recurrent layers begin with zeros in each run"


def note_states(network: Network) -> None:
    """Note once that states do not last from run to run, for files whose layers keep them."""
    if _STATES_NOTE not in network.notes:
        network.notes.append(_STATES_NOTE)


def sequences(x: FileTensor) -> tuple[Tensor, Axis, Axis]:
    """Return (steps, n, features) of a file as a tensor (n, steps, sequences, features).

    A file may have several sequences for each image. The other results are the atoms of the steps and of the sequences.
    """
    if x.rank != 3:
        raise WeightsError(f"damaged: it reads {x.shown}")
    if any(atom.is_batch and atom.high != 1 for axis in (x.axes[0], x.axes[2]) for atom in axis):
        raise MixedImagesError(f"its steps or features {x.shown} are the batch: {ONE_IMAGE}")
    steps, several, features = map(without_batch, x.axes)
    if any(atom.is_free for atom in steps + several + features):
        raise UnsupportedError(f"reads {x.shown}, whose number of steps is free: choose one with --shape")
    return x.arranger.physical(x, (steps, several, features)), steps, several


@dataclass(frozen=True)
class RecurrentWeights:
    """The weights of one direction. The rows are all units of the first gate, then all units of the next gate, ...

    Attributes:
        order: the gates in the file's order, see `gates`.
        input: (gates * units, features).
        state: (gates * units, units).
        bias: (gates * units,), which is added to the gates' sums.
        state_bias: (gates * units,), which is added to the products with the state; None: zeros. It matters only in a
            GRU that resets after the product; in other layers it is added to `bias`.
    """

    order: str
    input: Array
    state: Array
    bias: Array
    state_bias: Array | None = None

    def in_order(self, wanted: str) -> tuple[Array, Array, Array, Array]:
        """Return input, state, bias and state_bias with the gates in another order."""
        state_bias = np.zeros_like(self.bias) if self.state_bias is None else self.state_bias
        given = (self.input, self.state, self.bias, state_bias)
        for part in given:
            if len(part) % len(self.order):
                raise WeightsError(f"damaged: {len(part)} rows of {len(self.order)} gates")
        weight, state, first, second = (reorder_gates(part, self.order, wanted) for part in given)
        return weight, state, first, second


def add_recurrent(
    network: Network,
    kind: str,
    x: Tensor,
    weights: RecurrentWeights,
    functions: Sequence[Activation],
    *,
    name: str,
    set_weight: Callable[[str, str, Array], None],
    reset_after: bool = False,
    **options: Any,
) -> Recurrent:
    """Add an LSTM or a GRU.

    Args:
        network: the network that gets the layer.
        kind: "LSTM" or "GRU".
        x: the argument of `Network.lstm`.
        weights: the weights.
        functions: the functions of the gates, of the candidates, and for an LSTM that of the cell state.
        name: the prefix of the layers' names.
        set_weight: a function that sets a weight of a layer; its arguments are the layer, the role and the values.
        reset_after: see `Network.gru`.
        options: further arguments of `Network.lstm` or `Network.gru`.

    Raises UnsupportedError for a function that recurrent layers do not have.
    """
    units = weights.state.shape[1]
    gate, candidate, *cell = functions
    settings = {"recurrent_activation": gate, "activation": candidate, "name": name, **options}
    try:
        if kind == "LSTM":
            made = network.lstm(x, units, cell_activation=cell[0], **settings)
        else:
            made = network.gru(x, units, reset_after=reset_after, **settings)
    except ParameterError as error:
        raise UnsupportedError(str(error)) from error
    matrix, states, first, second = weights.in_order(MPSCNN[kind])
    bias = first + second
    if kind == "GRU" and reset_after:
        bias[2 * units :] = first[2 * units :]
        set_weight(f"{name}/recurrent", "bias", second[2 * units :])
    set_weight(f"{name}/input", "weight", matrix.reshape(len(matrix), 1, 1, -1))
    set_weight(f"{name}/input", "bias", bias)
    set_weight(f"{name}/recurrent", "weight", states)
    return made
