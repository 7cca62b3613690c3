"""Call the rows of Keras's layers and functions with the inputs and settings of a call.

Rows raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.settings import stated_settings
from mpscnn.converters.values.rows import Operand, Parameter, Row, call, schema_of
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.graph.layers.layer_maker import Tensor

X = Annotated[FileTensor, Operand()]
"""A tensor that a layer is called with."""
Image = Annotated[Tensor, Operand()]
"""An image, or a sequence as an image of one row. That row of a result with 4 axes is removed again."""
Argument = Annotated[object, Operand()]
"""An operand of a function: a tensor, a number or an array of numbers."""


def _of_images(*, data_format: Literal["channels_last"] = "channels_last") -> str:
    """State the setting that all layers of images have."""
    return data_format


def call_row(row: Row, c: LayerCall, settings: Mapping[str, Any]) -> Any:
    """Return what a row makes of a call with these settings."""
    schema = schema_of(row)
    kinds = {one.kind for one in schema.operands}
    operands: list[Any] = []
    if object in kinds:
        operands = c.operands(len(schema.operands))
    elif kinds:
        operands = [*c.inputs()] if schema.operands[-1].is_rest else [c.x()]
    stated = stated_settings(schema, settings)
    of_images = Tensor in kinds
    if of_images and "data_format" in stated:
        schema_of(_of_images).checked({"data_format": stated.pop("data_format")})

    def read(parameter: Parameter, value: Any) -> Any:
        return c.image(value) if parameter.kind is Tensor else value

    made = call(row, operands, stated, read, {LayerCall: c})
    return made.squeeze([1]) if of_images and c.is_sequence and made.rank == 4 else made
