"""Convert casts to other types of elements."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

import numpy as np

from mpscnn._private.installation import install_command
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.element_types import holds_all, type_of_elements
from mpscnn.converters.reading.onnx.logic import are_truths
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Given
from mpscnn.converters.reading.onnx.tensors import array_type, element_type, type_number
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.rows import Name, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError

_FLOATS = frozenset({"float", "float16", "bfloat16", "double"})
# The types to which a Cast saturates.
_FLOATS_OF_8_BITS = frozenset(
    {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"}
)
RoundMode = Literal["up", "down", "nearest"]
_FROM_DOUBLE = "what the file computes in float64 is computed in the precision of the program"


def _cast_constant(x: Given, *, to: int, saturate: bool = True, round_mode: RoundMode = "up") -> Value:
    return x.cast(converter(to, saturate=saturate, round_mode=round_mode))


@ignores("round_mode", "saturate")  # only for floats of 8 bits, which are no tensors of the network
def _cast(c: Context, x: Name, *, to: int) -> Value:
    return _cast_tensor(c, x, element_type(to))


def _cast_constant_like(
    x: Given, like: Given, *, saturate: bool = True, round_mode: RoundMode = "up"
) -> Value:
    return x.cast(converter(type_number(like.low.dtype), saturate=saturate, round_mode=round_mode))


@ignores("round_mode", "saturate")
def _cast_like(c: Context, node: Node, x: Name, like: Name) -> Value | None:
    """Convert a cast to the type of another tensor."""
    target = c.type_of(like)
    if not c.is_constant(x):
        return _cast_tensor(c, x, target)
    if target not in _FLOATS:
        raise UnsupportedError(
            f"makes {target} of a constant, as {quote_name(like)} is computed, which is not supported"
        )
    c.parameters.follow(node)
    c.constants.put(node.outputs[0], c.constants.real(x, "its operand"))
    return None


def _cast_tensor(c: Context, name: str, target: str) -> FileTensor:
    x = c.value(name, whole_numbers=True)
    if target in _FLOATS:
        if target == "double" and _FROM_DOUBLE not in c.notes:
            c.notes.append(_FROM_DOUBLE)
        return x.mark_as_floats()
    if target in ("int32", "int64") or (x.whole_numbers and holds_all(target, type_of_elements(c, name))):
        return x if x.whole_numbers else x.truncate().mark_as_integers()
    if target == "bool":
        return x.mark_as_integers() if are_truths(c, name) else x.not_equal(0.0)
    raise UnsupportedError(f"makes {target} of computed numbers, which is not supported")


def converter(target: int, *, saturate: bool = True, round_mode: str = "up") -> Callable[[Array], Array]:
    """Return a function that converts numbers to an element type. Only floats of 8 bits saturate, and are rounded."""
    name = element_type(target)
    if name == "string":
        raise UnsupportedError("makes text of numbers, which is not supported")
    dtype = array_type(target)

    def convert(x: Array) -> Array:
        if name not in _FLOATS_OF_8_BITS:
            return x.astype(dtype)
        onnx = _onnx_package(name)
        if name == "float8e8m0":
            return np.asarray(onnx.numpy_helper.to_float8e8m0(x, saturate, round_mode).astype(dtype))
        if saturate:
            return np.asarray(onnx.numpy_helper.saturate_cast(x, dtype))
        return x.astype(dtype)

    return convert


def _onnx_package(name: str) -> Any:
    try:
        return import_module("onnx")
    except ImportError as error:
        raise UnsupportedError(
            f"numbers of the type {name} need: {install_command('convert')} ({error})"
        ) from error


CASTS_OF_CONSTANTS: dict[str, Row] = {"Cast": _cast_constant, "CastLike": _cast_constant_like}
CASTS_OF_TENSORS: dict[str, Row] = {"Cast": _cast, "CastLike": _cast_like}
