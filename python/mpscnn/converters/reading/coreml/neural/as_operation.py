"""Convert layers of neural networks that are operations of programs by other names, by the functions of programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading.coreml.neural.layer import Handler, Layer
from mpscnn.converters.reading.coreml.program.constants import Array
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.operations import ROWS
from mpscnn.converters.reading.coreml.program.row_calls import call_row
from mpscnn.converters.reading.onnx_graph.builder import FLOAT, Builder
from mpscnn.errors import UnsupportedError, WeightsError

Field = str | tuple[str, Sequence[str]]
"""The name of a parameter, with a ! in front for its opposite; or the name of a number, and the text of each number."""


class _LayerAsOperation(Operation):
    """A layer, whose inputs and parameters have the names that a program's operation has for its operands."""

    def __init__(self, layer: Layer, inputs: dict[str, list[str]], fields: dict[str, Field]) -> None:
        self._layer, self._inputs, self._fields = layer, inputs, fields

    @property
    def given(self) -> list[str]:
        return [*self._inputs, *(name for name in self._fields if self._value(name) != [])]

    def has(self, name: str) -> bool:
        return name in self._inputs or (name in self._fields and self._value(name) != [])

    def tensors(self, name: str) -> list[str]:
        if not self._inputs.get(name):
            raise WeightsError(f"damaged: it has no {name}")
        return self._inputs[name]

    def tensor(self, name: str) -> str:
        return self.tensors(name)[0]

    def array(self, name: str) -> Array:
        if not self.has(name):
            raise WeightsError(f"damaged: it has no {name}")
        return np.asarray(self._value(name))

    def text(self, name: str) -> str:
        return str(self._value(name))

    def _value(self, name: str) -> Any:
        field = self._fields[name]
        if isinstance(field, str):
            value = getattr(self._layer.p, field.removeprefix("!"))
            return not value if field.startswith("!") else value
        number, texts = getattr(self._layer.p, field[0]), field[1]
        if not 0 <= number < len(texts):
            raise WeightsError(f"damaged: its {name} is {number}")
        return texts[number]


def as_operation(kind: str, operands: str = "x", more: str = "", **fields: Field) -> Handler:
    """Return a function that converts a layer as an operation of programs does. Its results are floats.

    Args:
        kind: the operation.
        operands: the operation's names of the inputs. One name with a * in front has all inputs.
        more: the reason why a layer with further inputs is refused.
        fields: the layer's parameters by the operation's names.
    """
    names, row = operands.split(), ROWS[kind]

    def convert(b: Builder, layer: Layer) -> list[str]:
        inputs = {name: [blob] for name, blob in zip(names, layer.inputs, strict=False)}
        if operands.startswith("*"):
            inputs = {operands[1:]: layer.inputs}
        elif len(layer.inputs) > len(names):
            raise UnsupportedError(more or f"it has {len(layer.inputs)} inputs; supported are {len(names)}")
        made = call_row(row, b, _LayerAsOperation(layer, inputs, fields))
        results = [made] if isinstance(made, str) else made
        return [b.op("Cast", one, to=FLOAT) if b.is_integer(one) else one for one in results]

    return convert
