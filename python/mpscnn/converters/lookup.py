"""Rows of a table by numbers that the network gets or computes, such as embeddings of words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import Arranger
from mpscnn.converters.layout import Axis, Value
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def rows_of_table(
    network: Network, numbers: Tensor, table: NDArray[np.float32], name: Callable[[str], str]
) -> Tensor:
    """Return a row for each number: a product of the table and ones where a number is that of a row.

    A number that is not that of a row gives zeros.

    Args:
        network: gets the layers.
        numbers: whole numbers, (n, 1, positions, 1).
        table: (rows, features).
        name: gives the name of a layer with a suffix.

    Returns (n, 1, positions, features).
    """
    rows, features = table.shape
    layer = name("/rows")
    places = network.constant(network.inputs[0], (1, 1, rows), name=layer)
    network.graph.set_weight(layer, "value", np.arange(rows, dtype=np.float32).reshape(1, 1, rows))
    chosen = network.equal(numbers, places, name=name("/chosen"))
    layer = name("")
    y = network.conv2d(chosen, features, 1, name=layer)
    weight = np.ascontiguousarray(table.T.reshape(features, 1, 1, rows))
    network.graph.set_weight(layer, "weight", weight)
    return y


def looked_up(a: Arranger, x: Value, table: NDArray[np.float32], name: Callable[[str], str]) -> Value:
    """Look up each of the numbers x in the rows of a table, whose other axes follow those of x."""
    if any(atom.is_free for atom in x.order):
        raise UnsupportedError(f"looks up {x.shown}, whose number of elements is free")
    a.count_weight(4 * (table.size + len(table)))
    numbers = a.physical(x, ((), x.order, ()))
    y = rows_of_table(a.network, numbers, table.reshape(len(table), -1), name)
    new = a.atoms(table.shape[1:])
    order: Axis = x.order + tuple(atom for axis in new for atom in axis)
    return Value(y, (*x.axes, *new), order)
