"""Convert TensorFlow Lite's dense layers and matrix products."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading.tflite.operation import Operation, Source, tensors
from mpscnn.converters.reading.tflite.row_calls import ACTIVATIONS, Fused, Given, X
from mpscnn.converters.values.contractions import pointwise
from mpscnn.converters.values.rows import Operand, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


@ignores("asymmetric_quantize_inputs", "quantized_bias_type")
def _fully_connected(
    op: Operation, source: Given, kernel: Given, bias: Given | None = None, *,
    fused_activation_function: Fused = "NONE", weights_format: Literal["DEFAULT"] = "DEFAULT",
    keep_num_dims: bool = False,
) -> Value:  # fmt: skip
    """Convert FULLY_CONNECTED. Its input is reshaped to (rows, features), unless the operator keeps the axes."""
    del weights_format
    x, activation = source.computed(), ACTIVATIONS[fused_activation_function]
    if not kernel.is_constant:
        if bias is not None or activation is not None:
            raise _needs_constant(kernel.computed())
        return _with_computed_weights(op, x, kernel.computed(), keep_num_dims)
    _, features = kernel.stored("its weights").shape
    activation = op.fused(activation)
    is_free, batch = any(atom.is_free for atom in x.order), op.c.batch
    if is_free and not (keep_num_dims and x.rank == 4 and x.has_batch_first and x.shape[-1] == features):
        raise UnsupportedError(
            f"its input {x.shown} has a free size, but its weights are for a fixed one: {CHOOSE_SIZE}"
        )
    low, high = (math.prod(extents) for extents in x.trial_shapes())
    if features < 1 or (not is_free and high % features) or (keep_num_dims and x.shape[-1] != features):
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shown}")
    if not keep_num_dims and not (x.rank == 2 and x.shape[-1] == features):
        rows = high // features
        if batch.high != 1 and rows != batch.high:
            raise UnsupportedError(f"changes the batch: {x.shown} has other rows of {features} features")
        x = x.reshape_to([low // features, features], [rows, features])
    rounds_once = op.c.integers.of(op.result) is not None
    return _dense(op, x, kernel, bias, (0, 1), activation, rounds_once=rounds_once)


def _needs_constant(weights: FileTensor) -> UnsupportedError:
    return UnsupportedError(
        f"its weights {weights.shown} are computed; supported is that for one image, without biases and activation"
    )


def _with_computed_weights(op: Operation, x: FileTensor, weights: FileTensor, keeps_axes: bool) -> FileTensor:
    """Convert FULLY_CONNECTED whose weights [results][features] are computed, to a matrix product."""
    if op.c.batch.high != 1 or None in x.shape or weights.rank != 2:
        raise _needs_constant(weights)
    rows, features = math.prod(extent or 1 for extent in x.shape), weights.shape[1]
    if not features or rows % features or x.shape[-1] != features:
        raise WeightsError(f"damaged: weights {weights.shown}, but its input is {x.shown}")
    flat = x.reshape([rows // features, features]) if x.rank != 2 else x
    y = flat @ weights.transpose((1, 0))
    if keeps_axes and x.rank != 2:
        shape = [*(extent or 1 for extent in x.shape[:-1]), weights.shape[0] or 1]
        y = y.reshape(shape)
    return y


def _dense(
    op: Operation, x: FileTensor, kernel: Source, bias: Source | None, order: tuple[int, ...],
    activation: Activation, *, rounds_once: bool = False,
) -> FileTensor:  # fmt: skip
    """Add a dense layer over the last axis of x. `order` transposes the weights to [results][features]."""
    *_, units, features = kernel.stored("its weights").transpose(order).shape
    x, name = op.c.plain(x), op.name()
    if x.rank == 2 and x.has_batch_first:
        y = op.network.dense(x.tensor, units, activation=activation, name=name)
        op.set_weights(name, kernel, bias, order, (units, features))
        return op.c.of_tensor(y)
    made, _ = pointwise(op.c.arranger, x, x.rank - 1, units, name, activation, rounds_once=rounds_once)
    op.set_weights(name, kernel, bias, order, (units, 1, 1, features))
    return x.wrap(made)


@ignores("asymmetric_quantize_inputs")
def _matrix_product(
    op: Operation, first: Given, second: Given, *, adj_x: bool = False, adj_y: bool = False
) -> Value:
    """Convert BATCH_MATMUL: a product over the last two axes. Each operand may be transposed."""
    if second.is_constant and not first.is_constant and not adj_x:
        shape = second.stored("its weights").shape
        rank = len(shape)
        x = first.computed()
        if rank >= 2 and math.prod(shape[:-2]) == 1 and x.rank >= rank:
            rows = shape[-1] if adj_y else shape[-2]
            if x.shape[-1] != rows:
                raise WeightsError(f"damaged: multiplies {x.shown} and {shape}")
            leading = tuple(range(rank - 2))
            order = (*leading, rank - 2, rank - 1) if adj_y else (*leading, rank - 1, rank - 2)
            return _dense(op, x, second, None, order, op.fused(None))
    operands = tensors([first, second])
    if any(x.rank < 2 for x in operands):
        raise WeightsError(f"damaged: multiplies {operands[0].shown} and {operands[1].shown}")
    a, b = (
        x.transpose([*range(x.rank - 2), x.rank - 1, x.rank - 2]) if is_turned else x
        for x, is_turned in zip(operands, (adj_x, adj_y), strict=True)
    )
    return a @ b


def _running_sum(
    x: X, axis: Annotated[int, Operand("its axis")], *, exclusive: bool = False, reverse: bool = False
) -> Value:
    return x.cumsum(x.axis(axis), exclusive=exclusive, backwards=reverse)


MATRICES: dict[str, Row] = {
    "BATCH_MATMUL": _matrix_product,
    "CUMSUM": _running_sum,
    "FULLY_CONNECTED": _fully_connected,
}
