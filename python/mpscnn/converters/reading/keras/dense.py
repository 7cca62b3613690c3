"""Convert Keras's Dense, EinsumDense and Embedding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import X
from mpscnn.converters.reading.keras.settings import Flag, Text, Whole
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError


def _dense(c: LayerCall, x: X, *, units: Whole = 0, activation: Any = None) -> FileTensor:
    function, weights = c.function(activation), c.weights()
    if weights["kernel"].ndim != 2 or weights["kernel"].shape[1] != units:
        raise WeightsError(f"damaged: its weights have the shape {weights['kernel'].shape}")
    return c.finished(c.dense(x, weights["kernel"], weights.get("bias"), function.neuron), function)


@ignores("output_shape", "gptq_unpacked_column_size")
def _einsum(
    c: LayerCall, x: X, *, equation: Text = "", bias_axes: Text = "", activation: Any = None
) -> FileTensor:
    """Convert EinsumDense: the axes that are summed become the last one, and the new axes come from it."""
    weights, function = c.weights(), c.function(activation)
    equation = equation.replace(" ", "")
    sources, _, target = equation.partition("->")
    source, _, stored = sources.partition(",")
    kernel, bias = weights["kernel"], weights.get("bias")
    if "..." in source:
        free = "".join(chr(0x3B1 + i) for i in range(x.rank - len(source.replace("...", ""))))
        source, target = source.replace("...", free), target.replace("...", free)
    kept, summed = ([label for label in source if (label in stored) is inner] for inner in (False, True))
    new = [label for label in target if label in stored]
    terms = (source, stored, target)
    fits = (
        all(len(set(term)) == len(term) for term in terms)
        and (len(source), len(stored)) == (x.rank, kernel.ndim)
        and set(new).isdisjoint(source)
        and set(stored) == {*summed, *new}
        and set(target) == {*kept, *new}
        and kept[:1] == [target[:1]] == [source[:1]]
    )
    if not fits:
        raise UnsupportedError(f"the equation {quote_name(equation)}; an axis of its weights is in no sum")
    extents = dict(zip(stored, kernel.shape, strict=True))
    full = None
    if bias is not None:
        labels = [label for label in target if label in bias_axes]
        if not set(labels) <= set(new):
            raise UnsupportedError("its biases are along axes of its input")
        shape = [extents[label] if label in labels else 1 for label in new]
        full = np.broadcast_to(bias.reshape(shape), [extents[label] for label in new]).reshape(-1)
    features, units = (math.prod(extents[label] for label in labels) for labels in (summed, new))
    matrix = kernel.transpose([stored.index(label) for label in (*summed, *new)]).reshape(features, units)
    rows = x.transpose([source.index(label) for label in (*kept, *summed)]).merge_axes(len(kept), x.rank)
    y = c.dense(rows, matrix, full, function.neuron)
    y = y.view(*([*one[:-1], *(extents[label] for label in new)] for one in y.trial_shapes()))
    return c.finished(y.transpose([[*kept, *new].index(label) for label in target]), function)


@ignores("input_dim", "output_dim", "input_length", "weights")
def _embedding(c: LayerCall, x: X, *, mask_zero: Flag = False) -> FileTensor:
    """Convert Embedding: select rows of a table by integer indices."""
    if mask_zero:
        raise UnsupportedError("with a mask it is not supported")
    return x.look_up(c.weights()["embeddings"])


DENSE: dict[str, Row] = {
    "Dense": _dense,
    "EinsumDense": _einsum,
    "Embedding": _embedding,
}
"""The functions that convert layers, by the name of the class."""
