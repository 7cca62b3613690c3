"""Add layers that read elements of a tensor, or rows of a constant table, at positions that the network computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.values.layout import Arranged, Axis, without_batch
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.slicing import slice_axis
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network


def take_along_axis(a: Arranger, whole: Arranged, axis: int, indices: Arranged) -> Arranged:
    """Gather elements of an axis as numpy.take_along_axis does.

    Along other axes only the first elements are read if the indices have a smaller extent.
    """
    if indices.rank != whole.rank:
        raise WeightsError(f"damaged: takes elements of {whole.shown} by indices {indices.shown}")
    x = whole
    for other, (own, wanted) in enumerate(zip(whole.shape, indices.shape, strict=True)):
        if other == axis or own == wanted:
            continue
        if own is None or wanted is None:
            raise UnsupportedError(f"takes elements of {whole.shown} by {indices.shown}: {CHOOSE_SIZE}")
        if wanted > own:
            raise WeightsError(f"damaged: takes elements of {whole.shown} by indices {indices.shown}")
        x = slice_axis(a, x, other, range(wanted))
    source, places = x.with_batch_outside(axis), indices.with_own_atoms().with_batch_outside(axis)
    others = [number for number in range(x.rank) if number != axis]
    orders = [
        (tuple(atom for other in others for atom in without_batch(value.axes[other])), value.axes[axis])
        for value in (source, places)
    ]
    tensors = [a.physical(value, order) for value, order in zip((source, places), orders, strict=True)]
    y = a.network.take_along_axis(*tensors, name=a.name(""))
    rest, last = orders[1]
    return Arranged(y, places.axes, rest + last, whole_numbers=x.whole_numbers)


def gather(
    a: Arranger, x: Arranged, axis: int, indices: Arranged, *, of_each_image: bool = False
) -> Arranged:
    """Gather positions of an axis: the axes of the indices replace it.

    Args:
        a: adds the layers.
        x: the tensor.
        axis: any axis but the batch.
        indices: the positions, which are the same for all other axes. Negative ones count from the end.
        of_each_image: whether the first axis of both is the batch and each image has its own positions, as with one
            batch dimension of TensorFlow Lite. Otherwise the positions' batch must be 1.
    """
    batch = [atom for atoms in indices.axes for atom in atoms if atom.is_batch]
    if of_each_image and not (x.has_batch_first and indices.has_batch_first and axis > 0):
        raise UnsupportedError(f"takes positions {indices.shown} of each image of {x.shown}")
    if not of_each_image and any(atom.high != 1 for atom in batch):
        raise UnsupportedError(f"takes positions {indices.shown}, whose batch is not 1, of {x.shown}")
    x, places = x.with_batch_outside(axis), indices.with_own_atoms()
    tensor, groups, place = a.image_around(x, x.axes[axis])
    within: list[Axis] = [(), (), ()]
    within[place] = groups[place] = places.order
    numbers = a.physical(places, within)
    y = a.network.take_along_axis(tensor, numbers, axis=place + 1, name=a.name(""))
    new = tuple(without_batch(atoms) for atoms in places.axes)[of_each_image:]
    axes = (*x.axes[:axis], *new, *x.axes[axis + 1 :])
    order = tuple(atom for group in groups for atom in group)
    return Arranged(y, axes, order, whole_numbers=x.whole_numbers)


def top_k(a: Arranger, x: Arranged, axis: int, count: int, *, largest: bool) -> Arranged:
    """Return the indices of the largest or smallest elements of an axis, the best first; see `Network.top_k`."""
    extent = x.known_extent(axis, "orders elements of")
    if not 1 <= count <= extent:
        raise UnsupportedError(f"takes {count} of {extent} elements, which is not supported")
    x = x.with_batch_outside(axis)  # refuses the batch, unless it is 1
    rest = tuple(atom for atom in x.order if atom not in x.axes[axis])
    tensor = a.physical(x, (rest, x.axes[axis]))
    attributes = {"kind": "max" if largest else "min", "count": count}
    y = a.network.layer("top_k", [tensor], attributes, name=a.name("/indices"))
    (new,) = a.atoms([count])
    axes = (*x.axes[:axis], new, *x.axes[axis + 1 :])
    return Arranged(y, axes, rest + new, whole_numbers=True)


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
