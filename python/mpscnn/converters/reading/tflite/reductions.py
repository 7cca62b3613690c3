"""Convert TensorFlow Lite's reductions and normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.tflite import integer_forms
from mpscnn.converters.reading.tflite.operation import Operation, Source
from mpscnn.converters.reading.tflite.row_calls import Batched, Given, X
from mpscnn.converters.values.layout import without_batch
from mpscnn.converters.values.rows import Finite, Ints, Operand, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.graph.layers.layer_maker import Tensor

_MIN_NORM = 1e-3  # the square root of 1e-6, TensorFlow Lite's minimum for the sum of squares
_IMAGE_RANK = 4
_KINDS = {
    "MEAN": "mean",
    "SUM": "sum",
    "REDUCE_ALL": "min",
    "REDUCE_ANY": "max",
    "REDUCE_MAX": "max",
    "REDUCE_MIN": "min",
    "REDUCE_PROD": "product",
}

# ---- Reductions --------------------------------------------------------------------------------------------


def _reduction(
    op: Operation, source: Given, along: Annotated[Ints, Operand("the axes")], *, keep_dims: bool = False
) -> Value:
    x = source.numbers()
    axes = sorted({x.axis(axis) for axis in along})
    kind = _KINDS[op.kind]
    y = _reduced(op, source, x, axes, kind) if isinstance(x, FileTensor) else x.reduce(kind, axes)
    return y if keep_dims else y.squeeze(axes)


def _reduced(op: Operation, source: Source, x: FileTensor, axes: Sequence[int], kind: str) -> FileTensor:
    atoms = without_batch(x.atoms_of(axes))
    are_integers = op.are_integers(source)
    is_image = list(axes) == [1, 2] and x.rank == _IMAGE_RANK
    is_pooling = op.c.file.metadata.own and kind == "mean" and is_image
    if are_integers and kind in ("mean", "sum") and not is_pooling:
        # One layer is used, so that the result is rounded only once. A reduction of no axis only changes the scale.
        lying = tuple(sorted(atoms, key=x.order.index))
        whole = x.wrap(op.c.arranger.make_contiguous(x, lying))
        return whole.reduce(kind, axes, pools=False) if atoms else x.map({"kind": "none"})
    is_extreme = op.kind in ("REDUCE_MAX", "REDUCE_MIN")
    if are_integers and is_extreme and atoms and not op.changes_integers(source):
        y = integer_forms.reduce_by_pooling(op, x, atoms)
        return replace(y, axes=tuple(() if axis in axes else own for axis, own in enumerate(y.axes)))
    return x.reduce(kind, axes)


@ignores("output_type")
def _argument(op: Operation, x: X, axis: Annotated[int, Operand("the axis")]) -> Value:
    """Convert ARG_MAX and ARG_MIN. At the end of a classifier or segmenter, an ARG_MAX over channels is left out.

    The scores are the output then, and `Model.segment` finds the channel with the largest score.
    """
    axis = x.axis(axis)
    is_end = op.result in op.c.file.outputs and not op.c.file.users.get(op.result)
    if op.kind == "ARG_MAX" and is_end and x.rank in (2, 4) and axis == x.rank - 1:
        name = quote_name(op.stated_result.name)
        op.network.notes.append(f"the ARG_MAX {name} at the end is left out, so the output is the scores")
        return x
    return x.argmax_or_argmin(axis, minimum=op.kind == "ARG_MIN").squeeze([axis])


# ---- Normalizations ----------------------------------------------------------------------------------------


def _softmax(op: Operation, source: Given, *, beta: Annotated[float, Finite()]) -> Value:
    x = source.plain()
    if beta != 1.0:
        x = x.map({"kind": "linear", "a": beta}, "/beta")
        integers = op.c.integers.of(source.index)
        if beta > 0.0 and integers is not None:
            # Multiplying by beta does not change the integers, only their scale.
            op.c.integers.of_tensors[x.tensor.index] = replace(
                integers, step=float(np.float32(beta * integers.step))
            )
    return x.softmax([x.rank - 1])


def _log_softmax(op: Operation, x: X) -> Value:
    return x.apply_along([x.rank - 1], op.network.log_softmax)


def _local_response(
    op: Operation, x: Batched, *, radius: int, bias: float, alpha: float, beta: float
) -> Tensor:
    size = 2 * radius + 1
    return op.network.local_response_norm(x, size, alpha=size * alpha, beta=beta, k=bias, name=op.name())


def _l2_normalization(
    op: Operation, x: Batched, *, fused_activation_function: Literal["NONE"] = "NONE"
) -> Tensor:
    """Convert L2_NORMALIZATION: x / sqrt(max(sum of squares of the channels, 1e-6))."""
    del fused_activation_function
    return op.network.unit_norm(x, epsilon=_MIN_NORM, name=op.name())


REDUCTIONS: dict[str, Row] = {
    **dict.fromkeys(_KINDS, _reduction),
    "ARG_MAX": _argument,
    "ARG_MIN": _argument,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOG_SOFTMAX": _log_softmax,
    "SOFTMAX": _softmax,
}
