"""Convert embedding lookups: select rows of a constant table by indices that the network gets as input or computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import Arranger
from mpscnn.converters.layout import Arranged, Axis
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def select_rows(
    network: Network, numbers: Tensor, table: NDArray[np.float32], name: Callable[[str], str]
) -> Tensor:
    """Select a row of the table for each index, by a matrix product of one-hot vectors and the table.

    An index that is not a row of the table gives zeros.

    Args:
        network: the network to which the layers are added.
        numbers: the indices, of shape (n, 1, positions, 1).
        table: the table, of shape (rows, features).
        name: a function that returns a layer's name for a suffix.

    Returns a tensor (n, 1, positions, features).
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


def look_up(a: Arranger, x: Arranged, table: NDArray[np.float32], name: Callable[[str], str]) -> Arranged:
    """Select a row of the table for each index in x. The result has the axes of x, then the table's other axes."""
    if sum(atom.is_free for atom in x.order) > 1:
        raise UnsupportedError(f"looks up {x.shown}, of which several extents are free: {CHOOSE_SIZE}")
    a.budget.copy(4 * (table.size + len(table)))
    numbers = a.physical(x, ((), x.order, ()))
    y = select_rows(a.network, numbers, table.reshape(len(table), -1), name)
    new = a.atoms(table.shape[1:])
    order: Axis = x.order + tuple(atom for axis in new for atom in axis)
    return Arranged(y, (*x.axes, *new), order)
