"""Call the rows of Caffe's layers with the inputs, weights and parameters of a layer.

Rows raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.file import CaffeLayer
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Finite, Name, Operand, Parameter, Row, call, schema_of
from mpscnn.errors import UnsupportedError, WeightsError

Number = Annotated[float, Finite()]
"""A parameter that must be a finite number."""
Weights = Annotated[Blob, Operand("weights")]
Biases = Annotated[Blob | None, Operand("biases")]

_ABSENT = ""  # stands for a weight that the file lacks
_OF_BOTH_SIDES = {"kernel": "kernel_size", "stride": "stride", "pad": "pad"}
"""Parameters that a file states as one number, as two, or for the height and width by names with _h and _w."""


def call_row(row: Row, b: Builder, layer: CaffeLayer) -> Sequence[str]:
    """Return the results of a row for a layer."""
    places = schema_of(row).operands
    inputs = [one for one in places if one.kind is str]
    given: list[str | Blob | None] = [*layer.bottoms]
    if inputs and not inputs[-1].is_rest:
        if len(given) != len(inputs) or not layer.tops:
            wanted = f" and {len(layer.tops)} results" if len(inputs) == 1 else f" instead of {len(inputs)}"
            raise WeightsError(f"damaged: it has {len(given)} inputs{wanted}")
        # A weight that is needed, but missing, is reported when it is read, after the parameters are checked.
        needed = [_ABSENT if one.is_required else None for one in places if one.kind is Blob]
        given += [*layer.blobs[: len(needed)], *needed[len(layer.blobs) :]]

    def read(parameter: Parameter, reference: Any) -> Any:
        if reference == _ABSENT and parameter.operand is not None and parameter.kind is Blob:
            raise lacks(parameter.operand.what)
        return b.tensor(reference) if parameter.kind is str else reference

    made: str | Sequence[str] = call(row, given, _settings(layer), read, {Builder: b, CaffeLayer: layer})
    return [made] if isinstance(made, str) else made


def lacks(what: str) -> WeightsError:
    """Return the error for weights that the file of weights does not have."""
    return WeightsError(f"the file of weights does not have its {what}")


def _settings(layer: CaffeLayer) -> dict[str, Any]:
    """Return the parameters that a layer states."""
    p = layer.parameters
    stated: dict[str, Any] = {} if p is None else {name: getattr(p, name) for name in p.stated()}
    if "shape" in stated:
        stated["shape"] = list(stated["shape"].dim)
    for name, joined in _OF_BOTH_SIDES.items():
        sides = [stated.pop(f"{name}_{side}", None) for side in "hw"]
        if sides != [None, None]:
            stated[joined] = [side or 0 for side in sides]
        elif isinstance(stated.get(joined), int):
            stated[joined] = [stated[joined]]
        elif joined in stated:
            stated[joined] = list(stated[joined])
    return stated


def axis_of(axis: int, rank: int, name: str = "axis") -> int:
    """Return an axis, counted from the front. Raises WeightsError if there is no such axis."""
    if not -rank <= axis < rank:
        raise WeightsError(f"damaged: its {name} is {axis}")
    return axis % rank


def image(b: Builder, x: str) -> tuple[int, ...]:
    """Return the shape of an image (batch, channels, height, width). Raises UnsupportedError for other shapes."""
    shape = b.fixed_shape(x)
    if len(shape) != 4:
        raise UnsupportedError(f"its input is {shape}; supported are images")
    return shape


def of_one(function: ops.Unary) -> Row:
    """Return the row of a layer that is a function of one input."""

    def row(b: Builder, x: Name) -> str:
        return function(b, x)

    return row
