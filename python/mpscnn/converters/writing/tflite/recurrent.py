"""Write recurrent layers step by step, because TensorFlow Lite's own give no cell state and have other functions.

The tensors are (n, steps, sequences, channels), and one step is an image of one row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mpscnn.converters.values import gates
from mpscnn.converters.writing.tflite.arrays import joined, sliced
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.converters.writing.tflite.neuron import activation
from mpscnn.converters.writing.tflite.options import PADDINGS


def lstm(layer: Layer) -> Value:
    """Write an LSTM: its hidden states, then its last cell state."""
    hidden, cell = [*layer.inputs[1:], None, None][:2]
    kernel = _Product(layer, 4)
    states: dict[int, Value] = {}
    for step, sums in _steps(layer):
        total = sums if hidden is None else _add(layer, sums, kernel.of(hidden))
        parts = dict(zip(gates.MPSCNN["LSTM"], _parts(layer, total, 4), strict=True))
        entry, forget, out = (_function(layer, "gate", parts[gate]) for gate in "ifo")
        new = _multiply(layer, entry, _function(layer, "candidate", parts["g"]))
        cell = new if cell is None else _add(layer, _multiply(layer, forget, cell), new)
        hidden = _multiply(layer, out, _function(layer, "output", cell))
        states[step] = hidden
    assert cell is not None
    return joined(layer, [*(states[step] for step in sorted(states)), cell], 1)


def gru(layer: Layer) -> Value:
    """Write a GRU: its hidden states."""
    hidden = layer.inputs[1] if len(layer.inputs) > 1 else None
    kernel, states = _Product(layer, 3), dict[int, Value]()
    for step, sums in _steps(layer):
        update, reset, candidate = _parts(layer, sums, 3)
        if hidden is None:
            hidden = _without_state(layer, update, reset, candidate, kernel)
        else:
            hidden = _with_state(layer, update, reset, candidate, kernel, hidden)
        states[step] = hidden
    return joined(layer, [states[step] for step in sorted(states)], 1)


def _without_state(layer: Layer, update: Value, reset: Value, candidate: Value, kernel: _Product) -> Value:
    """Return (1 - z) n, the first hidden state after zeros."""
    if layer.attributes["reset_after"]:
        bias = layer.constant(kernel.bias, "bias")
        gate = _function(layer, "gate", reset)
        candidate = _add(layer, candidate, layer.add("MUL", gate, bias, like=gate, activation="NONE"))
    return _multiply(
        layer, _rest(layer, _function(layer, "gate", update)), _function(layer, "candidate", candidate)
    )


def _with_state(
    layer: Layer, update: Value, reset: Value, candidate: Value, kernel: _Product, hidden: Value
) -> Value:
    """Return (1 - z) n + z h."""
    products = kernel.parts_of(hidden)
    z, r = (
        _function(layer, "gate", _add(layer, own, product))
        for own, product in ((update, products[0]), (reset, products[1]))
    )
    if layer.attributes["reset_after"]:
        product = _multiply(layer, r, kernel.with_bias(products[2]))
    else:
        product = kernel.parts_of(_multiply(layer, r, hidden))[2]
    new = _function(layer, "candidate", _add(layer, candidate, product))
    return _add(layer, _multiply(layer, _rest(layer, z), new), _multiply(layer, z, hidden))


class _Product:
    """The product of a hidden state and the layer's matrix, by a 1x1 convolution.

    Args:
        layer: the layer.
        count: the number of gates.
    """

    def __init__(self, layer: Layer, count: int) -> None:
        self._layer = layer
        self._count = count
        self._rows = count * layer.shape[3]
        self._kernel = layer.parameter("weight", None, (self._rows, 1, 1, layer.shape[3]))
        self._zeros = layer.constant(np.zeros(self._rows, np.float32), "zeros")

    @property
    def bias(self) -> np.ndarray:
        """The bias of the candidate's product."""
        return self._layer.required("bias")

    def of(self, hidden: Value) -> Value:
        """Return the products of all gates."""
        return self._layer.add(
            "CONV_2D",
            hidden,
            self._kernel,
            self._zeros,
            shape=[*hidden.shape[:3], self._rows],
            padding=PADDINGS["valid"],
            stride_x=1,
            stride_y=1,
            dilation_x=1,
            dilation_y=1,
            activation="NONE",
        )

    def parts_of(self, hidden: Value) -> list[Value]:
        """Return the product of each gate."""
        return _parts(self._layer, self.of(hidden), self._count)

    def with_bias(self, product: Value) -> Value:
        """Add the bias to the candidate's product."""
        bias = self._layer.constant(self.bias, "bias")
        return self._layer.add("ADD", product, bias, like=product, activation="NONE")


def _steps(layer: Layer) -> Iterator[tuple[int, Value]]:
    """Yield the number and the sums of each step, in the order in which they are computed."""
    x = layer.inputs[0]
    order = range(x.shape[1])
    for step in reversed(order) if layer.attributes["reverse"] else order:
        yield step, sliced(layer, x, {1: range(step, step + 1)})


def _parts(layer: Layer, x: Value, count: int) -> list[Value]:
    """Split the channels into the parts of the gates."""
    units = x.shape[3] // count
    shapes = [[*x.shape[:3], units]] * count
    axis = layer.constant(3, "axis")
    return layer.add_several("SPLIT", [axis, x], shapes, ["float32"] * count, count=count)


def _function(layer: Layer, gate: str, x: Value) -> Value:
    attributes = layer.attributes
    neuron = {"kind": attributes[gate], "a": attributes[f"{gate}_a"], "b": attributes[f"{gate}_b"], "c": 0.0}
    return activation(layer, x, neuron)


def _add(layer: Layer, a: Value, b: Value) -> Value:
    return layer.add("ADD", a, b, like=a, activation="NONE")


def _multiply(layer: Layer, a: Value, b: Value) -> Value:
    return layer.add("MUL", a, b, like=a, activation="NONE")


def _rest(layer: Layer, x: Value) -> Value:
    return layer.add("SUB", layer.number(1.0, "one"), x, like=x, activation="NONE")
