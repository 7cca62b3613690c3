"""Convert casts to other types of elements."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from mpscnn.converters.constant_pair import Array
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.element_types import holds_all, type_of_elements
from mpscnn.converters.onnx_reader.logic import are_truths
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.onnx_reader.tensors import array_type, element_type, type_number
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError

_FLOATS = frozenset({"float", "float16", "bfloat16", "double"})
# The types to which a Cast saturates.
_FLOATS_OF_8_BITS = frozenset(
    {"float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"}
)
_FROM_DOUBLE = "what the file computes in float64 is computed in the precision of the program"


def _cast(o: Operands) -> Value:
    target = o.node.integer("to")
    if o.are_constants:
        return o.given(0).cast(converter(o.node, target))
    return _cast_tensor(o.c, o.node, element_type(target))


def _cast_like(o: Operands) -> Value | None:
    """Convert a cast to the type of another tensor."""
    if o.are_constants:
        return o.given(0).cast(converter(o.node, type_number(o.given(1).low.dtype)))
    c, node = o.c, o.node
    like = node.inputs[1]
    target = c.type_of(like)
    if not c.is_constant(node.inputs[0]):
        return _cast_tensor(c, node, target)
    if target not in _FLOATS:
        raise UnsupportedError(
            f"makes {target} of a constant, as {quote_name(like)} is computed, which is not supported"
        )
    c.parameters.follow(node)
    c.constants.put(node.outputs[0], c.constants.real(node.inputs[0], "its operand"))
    return None


def _cast_tensor(c: Context, node: Node, target: str) -> FileTensor:
    x = c.x(node, whole_numbers=True)
    if target in _FLOATS:
        if target == "double" and _FROM_DOUBLE not in c.notes:
            c.notes.append(_FROM_DOUBLE)
        return x.mark_as_floats()
    if target in ("int32", "int64") or (
        x.whole_numbers and holds_all(target, type_of_elements(c, node.inputs[0]))
    ):
        return x if x.whole_numbers else x.truncate().mark_as_integers()
    if target == "bool":
        return x.mark_as_integers() if are_truths(c, node.inputs[0]) else x.not_equal(0.0)
    raise UnsupportedError(f"makes {target} of computed numbers, which is not supported")


def converter(node: Node, target: int) -> Callable[[Array], Array]:
    """Return a function that converts numbers to an element type. Floats of 8 bits saturate as the node says."""
    name = element_type(target)
    if name == "string":
        raise UnsupportedError("makes text of numbers, which is not supported")
    dtype, saturates = array_type(target), node.flag("saturate", default=True)

    def convert(x: Array) -> Array:
        if name not in _FLOATS_OF_8_BITS:
            return x.astype(dtype)
        onnx = _onnx_package(name)
        if name == "float8e8m0":
            mode = node.text("round_mode", "up")
            return np.asarray(onnx.numpy_helper.to_float8e8m0(x, saturates, mode).astype(dtype))
        if saturates:
            return np.asarray(onnx.numpy_helper.saturate_cast(x, dtype))
        return x.astype(dtype)

    return convert


def _onnx_package(name: str) -> Any:
    try:
        return import_module("onnx")
    except ImportError as error:
        raise UnsupportedError(
            f'numbers of the type {name} need: pip install "mpscnn[convert]" ({error})'
        ) from error


CASTS: dict[str, Row] = {"Cast": _cast, "CastLike": _cast_like}
