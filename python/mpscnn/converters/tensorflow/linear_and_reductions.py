"""Convert matrix products, reductions and softmax."""

from __future__ import annotations

from mpscnn.converters.onnx_graph.blocks import transpose_last_axes
from mpscnn.converters.onnx_graph.builder import FLOAT, Builder
from mpscnn.converters.tensorflow.operation import Handler, Operation
from mpscnn.converters.tensorflow.windows import convert_fused


def _matmul(b: Builder, op: Operation) -> str:
    x, y = op.tensor(0), op.tensor(1)
    if op.flag("transpose_a") or op.flag("adj_x"):
        x = transpose_last_axes(b, x)
    if op.flag("transpose_b") or op.flag("adj_y"):
        y = transpose_last_axes(b, y)
    return b.op("MatMul", x, y)


def _reduction(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        axes = op.integers(1, "axes")
        x = op.tensor()
        if not axes:
            return x
        return b.op(kind, x, axes, keepdims=op.flag("keep_dims"))

    return convert


def _truth(kind: str) -> Handler:
    """Return the conversion of All or Any, as the smallest or largest of the numbers 0 and 1."""

    def convert(b: Builder, op: Operation) -> str:
        numbers = b.op("Cast", op.tensor(), to=FLOAT)
        made = b.op(kind, numbers, op.integers(1, "axes"), keepdims=op.flag("keep_dims"))
        return b.op("Not", b.op("Equal", made, 0.0))

    return convert


def _cumulative(b: Builder, op: Operation) -> str:
    settings = {name: int(op.flag(name)) for name in ("exclusive", "reverse")}
    return b.op("CumSum", op.tensor(), [op.integer(1, "axis")], **settings)


def _best(kind: str) -> Handler:
    def convert(b: Builder, op: Operation) -> str:
        axis = op.integer(1, "axis") if len(op) > 1 else 0
        return b.op(kind, op.tensor(), axis=axis, keepdims=False)

    return convert


def _softmax(kind: str) -> Handler:
    return lambda b, op: b.op(kind, op.tensor(), axis=-1)


HANDLERS: dict[str, Handler] = {
    "MatMul": _matmul,
    "_FusedMatMul": convert_fused(_matmul),
    "BatchMatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "BatchMatMulV3": _matmul,
    "Einsum": lambda b, op: b.op("Einsum", *op.tensors(), equation=op.text("equation", "")),
    "Mean": _reduction("ReduceMean"),
    "Sum": _reduction("ReduceSum"),
    "Max": _reduction("ReduceMax"),
    "Min": _reduction("ReduceMin"),
    "Prod": _reduction("ReduceProd"),
    "All": _truth("ReduceMin"),
    "Any": _truth("ReduceMax"),
    "ArgMax": _best("ArgMax"),
    "ArgMin": _best("ArgMin"),
    "Cumsum": _cumulative,
    "TopKV2": lambda b, op: b.ops(
        "TopK", [op.tensor(), [op.integer(1, "count")]], 2, axis=-1, largest=1, sorted=1
    ),
    "Softmax": _softmax("Softmax"),
    "LogSoftmax": _softmax("LogSoftmax"),
}
