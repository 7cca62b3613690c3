"""Convert Keras's recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import gates
from mpscnn.converters.keras.functions import resolve_activation
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.settings import Settings
from mpscnn.converters.keras.weights import inner_settings
from mpscnn.converters.recurrent_layer import RecurrentWeights, add_recurrent, note_states
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

Weights = Mapping[str, NDArray[np.float32]]
_SEQUENCES = 3  # the number of axes of (n, steps, features)
_MIRRORED = (
    "activation", "recurrent_activation", "reset_after", "return_sequences", "units", "use_bias",
)  # fmt: skip


def _recurrent(c: LayerCall) -> list[FileTensor]:
    weights = {role.removeprefix("cell/"): values for role, values in c.weights().items()}
    backward = c.settings.flag("go_backwards", False)
    made = _one_direction(c, c.layer.kind, c.settings, weights, backward=backward)
    y = made[0]
    if (
        backward and y.rank == _SEQUENCES
    ):  # Keras returns the results in the order of computation, last step first
        with c.under("/order"):
            y = y.reverse(1)
    return [y, *made[1:]]


def _bidirectional(c: LayerCall) -> FileTensor:
    """Convert Bidirectional: one layer in both directions. The backward results are in the order of the input."""
    inner, settings = c.settings.values.get("layer"), inner_settings(c.layer)
    kind = inner.get("class_name") if isinstance(inner, Mapping) else None
    if kind not in gates.KERAS:
        raise UnsupportedError(
            f"its layer is of kind {kind!r}, which is not supported; supported are LSTM and GRU"
        )
    if settings.flag("go_backwards", False) or not _mirrors(c, settings):
        raise UnsupportedError("with another layer backward than forward it is not supported")
    if settings.flag("return_state", False):
        raise UnsupportedError("its states as further results are not supported")
    weights, made = c.weights(), list[FileTensor]()
    for part, backward in (("forward_layer", False), ("backward_layer", True)):
        stem = f"{part}/cell/"
        own = {role.removeprefix(stem): values for role, values in weights.items() if role.startswith(stem)}
        with c.under(f"/{part}"):
            made += _one_direction(c, str(kind), settings, own, backward=backward)
    first, second = made
    mode = c.settings.values.get("merge_mode", "concat")
    if mode == "concat":
        return first.concat([second], first.rank - 1)
    if mode not in ("sum", "mul", "ave"):
        raise UnsupportedError(f"with the merge_mode {mode!r} it is not supported")
    if mode == "mul":
        return first * second
    mean: Activation = {"kind": "linear", "a": 0.5}
    return first.combine("add", second, activation=mean if mode == "ave" else None)


def _mirrors(c: LayerCall, settings: Settings) -> bool:
    """Return True if the backward layer has the same settings as the forward one, except name and direction."""
    backward = c.settings.values.get("backward_layer")
    if not isinstance(backward, Mapping):
        return True
    other = backward.get("config")
    return isinstance(other, Mapping) and all(
        other.get(name) == settings.values.get(name) for name in _MIRRORED
    )


def _one_direction(
    c: LayerCall, kind: str, settings: Settings, weights: Weights, *, backward: bool
) -> list[FileTensor]:
    """Add a layer. Returns its results in the order of the input, or its last one, and its states if they are asked."""
    if len(c.inputs()) != 1 or c.keywords.get("initial_state") is not None:
        raise UnsupportedError("with first states it is not supported")
    if c.keywords.get("mask") is not None:
        raise UnsupportedError("with a mask it is not supported")
    if settings.flag("time_major", False):
        raise UnsupportedError("with steps as the first axis (time_major) it is not supported")
    if settings.flag("stateful", False):
        note_states(c.network)
    x, units = c.x(), settings.whole("units", 1)
    if x.rank != _SEQUENCES:
        raise UnsupportedError(f"its input is {x.shown}; supported are sequences (n, steps, features)")
    functions = [
        resolve_activation(settings.values.get(name, default), c.generation)
        for name, default in (("recurrent_activation", "sigmoid"), ("activation", "tanh"))
    ]
    if any(function.layers is not None for function in functions):
        raise UnsupportedError("its activation is not one of a single element, which is not supported")
    gate, candidate = (function.neuron for function in functions)
    after = kind == "GRU" and settings.flag("reset_after", _resets_after(c, weights, units))
    made = add_recurrent(
        c.network,
        kind,
        c.tensor(x),
        _weights(kind, weights, units, rows=2 if after else 1),
        [gate, candidate, candidate],
        name=c.name(),
        set_weight=lambda layer, role, values: c.set_weights(layer, **{role: values}),
        reset_after=after,
        reverse=backward,
    )
    states = [made.last, *([] if made.cell is None else [made.cell])]
    results = [made.steps if settings.flag("return_sequences", False) else made.last]
    return [c.wrap(one) for one in results + states * settings.flag("return_state", False)]


def _resets_after(c: LayerCall, weights: Weights, units: int) -> bool:
    """Return whether a GRU without this setting applies its reset gate after the product.

    Then its bias has two rows. Without a bias, the file's version decides: Keras 1 and TensorFlow.js have no other GRU.
    """
    bias = weights.get("bias")
    return c.generation > 1 if bias is None else bias.size == 2 * len(gates.KERAS["GRU"]) * units


def _weights(kind: str, weights: Weights, units: int, *, rows: int) -> RecurrentWeights:
    """Return the weights. The bias has one row, or `rows` rows if the products with the state have a bias, too."""
    columns = len(gates.KERAS[kind]) * units
    kernel, matrix = (
        weights.get(role, np.zeros((0, 0), np.float32)) for role in ("kernel", "recurrent_kernel")
    )
    bias = weights.get("bias", np.zeros(columns, np.float32))
    if (
        kernel.shape[1:] != (columns,)
        or matrix.shape != (units, columns)
        or bias.size not in (columns, rows * columns)
    ):
        raise WeightsError(f"damaged: it has weights of other shapes than {units} units")
    first, *others = bias.reshape(-1, columns)
    return RecurrentWeights(gates.KERAS[kind], kernel.T, matrix.T, first, *others)


RECURRENT: dict[str, Callable[[LayerCall], Any]] = {
    "Bidirectional": _bidirectional,
    "GRU": _recurrent,
    "LSTM": _recurrent,
}
"""The functions that convert layers, by the name of the class."""
