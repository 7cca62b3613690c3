"""What ONNX' operators are as layers: one function for each kind.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and node.
"""

from __future__ import annotations

import numpy as np

from mpscnn.converters.onnx_reader.arithmetic import ARITHMETIC
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.einsum import EINSUM
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.converters.onnx_reader.logic import LOGIC
from mpscnn.converters.onnx_reader.matrices import MATRICES
from mpscnn.converters.onnx_reader.moves import MOVES
from mpscnn.converters.onnx_reader.neurons import NEURONS
from mpscnn.converters.onnx_reader.parts import PARTS
from mpscnn.converters.onnx_reader.reductions import REDUCTIONS
from mpscnn.converters.onnx_reader.resize import RESIZES
from mpscnn.converters.onnx_reader.response import RESPONSES
from mpscnn.converters.onnx_reader.windows import WINDOWS
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

UNKNOWN = "mpscnn has no such layer yet"

_REASONS = {
    **dict.fromkeys(["If", "Loop", "Scan"], "control flow, which networks of mpscnn do not have"),
    **dict.fromkeys(["LSTM", "GRU", "RNN"], "a recurrent layer, which mpscnn does not have"),
    "NonMaxSuppression": "suppression of boxes is not a layer here",
}


def _quantize(c: Context, node: Node) -> None:
    """The value stays as it is; only its pair, which makes the same numbers floats again, may read it."""
    x = c.value(node.inputs[0])
    c.quantized[node.outputs[0]] = (x, node.inputs[1], node.input(2) or "")


def _dequantize(c: Context, node: Node) -> None:
    """Behind a quantisation the value itself, within the limits of the integers: files leave out a ReLU before one."""
    if node.inputs[0] not in c.quantized:
        raise UnsupportedError(
            "it makes floats of integers that the network computes, which is not supported"
        )
    x, scale, zero_point = c.quantized[node.inputs[0]]
    same = all(
        _same_constant(c, first, second)
        for first, second in ((scale, node.inputs[1]), (zero_point, node.input(2) or ""))
    )
    if not same:
        raise UnsupportedError("its scale or zero point is not that of the quantisation before it")
    low, high = _limits_of_integers(c, scale, zero_point)
    note = (
        "activations are not quantised any more: of QuantizeLinear and DequantizeLinear only the limits stay"
    )
    if note not in c.notes:
        c.notes.append(note)
    limits: Activation = {"kind": "clamp", "a": low, "b": high}
    c.result(node, x.holding(c.neuron(x.tensor, limits, c.layer_name(node))))


def _limits_of_integers(c: Context, scale: str, zero_point: str) -> tuple[float, float]:
    """The least and the greatest number that the integers stand for."""
    step = c.constants.number(scale, "its scale")
    zero = c.constants.fixed(zero_point, "its zero point") if zero_point else np.zeros(1, np.uint8)
    if zero.size != 1 or zero.dtype.kind not in "iu":
        raise UnsupportedError(
            f"it quantises to {zero.dtype} with {zero.size} zero points; supported is one integer"
        )
    kind, middle = np.iinfo(zero.dtype), int(zero.reshape(-1)[0])
    return (kind.min - middle) * step, (kind.max - middle) * step


def _same_constant(c: Context, first: str, second: str) -> bool:
    if first == second:
        return True
    if not first or not second:
        return False
    a, b = c.constants.fixed(first, "its scale"), c.constants.fixed(second, "its scale")
    return a.shape == b.shape and bool((a == b).all())


OPERATORS: dict[str, Handler] = {
    **WINDOWS,
    **NEURONS,
    **ARITHMETIC,
    **LOGIC,
    **MATRICES,
    **EINSUM,
    **MOVES,
    **PARTS,
    **REDUCTIONS,
    **RESPONSES,
    **RESIZES,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}


def reason_against(kind: str) -> str:
    """Why an operator that is not in the table cannot be converted."""
    return _REASONS.get(kind, UNKNOWN)
