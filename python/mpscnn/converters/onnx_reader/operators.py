"""What ONNX' operators are as layers: one function for each kind.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and node.
"""

from __future__ import annotations

from mpscnn.converters.onnx_reader.arithmetic import ARITHMETIC
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node
from mpscnn.converters.onnx_reader.matrices import MATRICES
from mpscnn.converters.onnx_reader.moves import MOVES
from mpscnn.converters.onnx_reader.neurons import NEURONS
from mpscnn.converters.onnx_reader.reductions import REDUCTIONS
from mpscnn.converters.onnx_reader.resize import RESIZES
from mpscnn.converters.onnx_reader.windows import WINDOWS
from mpscnn.errors import UnsupportedError

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
    note = "activations are not quantised any more: pairs of QuantizeLinear and DequantizeLinear are left out"
    if note not in c.notes:
        c.notes.append(note)
    c.result(node, x)


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
    **MATRICES,
    **MOVES,
    **REDUCTIONS,
    **RESIZES,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}


def reason_against(kind: str) -> str:
    """Why an operator that is not in the table cannot be converted."""
    return _REASONS.get(kind, UNKNOWN)
