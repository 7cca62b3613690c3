"""Compute matrix products, reductions and running sums of values along axes of the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.layout import Arranged, Axis, in_memory_order, product
from mpscnn.converters.values.layout_pass import Arranger, image_rows
from mpscnn.converters.values.slicing import tile
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

_AXES = ("height", "width", "channels")
_IMAGE_RANK = 4


def matmul(arranger: Arranger, a: Arranged, b: Arranged, scale: float = 1.0) -> Arranged:
    """Multiply the matrices of the last two axes, for each index of the other axes, and the products by `scale`."""
    a, b = (x.prepend_batch(arranger.batch) for x in (a, b.with_own_atoms()))
    extents = [[product(axis) for axis in _without_batch(arranger, x)] for x in (a, b)]
    minimum = 2 if arranger.batch is None or arranger.batch.high == 1 else 3
    fits = a.rank == b.rank >= minimum and extents[0][:-2] == extents[1][:-2]
    if not fits or None in extents[0][:-2]:
        raise UnsupportedError(
            f"multiplies {a.shown} and {b.shown}; supported are as many matrices on both sides"
        )
    if a.shape[-1] != b.shape[-2]:
        raise WeightsError(f"damaged: multiplies {a.shown} and {b.shown}")
    has_several = any(one != 1 for one in extents[0][:-2])
    (first, transpose_a), (second, transpose_b) = (
        _matrices(arranger, x, has_several=has_several) for x in (a, b)
    )
    y = arranger.network.matmul(
        first,
        second,
        transpose_a=transpose_a,
        transpose_b=transpose_b,
        scale=scale,
        name=arranger.name(""),
    )
    *leading, rows, _ = _without_batch(arranger, a)
    order = (*(atom for axis in leading for atom in axis), *rows, *b.axes[-1])
    return Arranged(y, (*a.axes[:-1], b.axes[-1]), order)


def broadcast_matrices(arranger: Arranger, a: Arranged, b: Arranged) -> tuple[Arranged, Arranged]:
    """Broadcast the axes before the matrices, except for the batch: an axis of extent 1 is repeated."""
    rank = max(a.rank, b.rank)
    a, b = (_widened(value, rank) for value in (a, b))
    if None in (*a.shape[1:], *b.shape[1:]):
        return a, b
    counts = [[1] * rank, [1] * rank]
    first_axes = [atom for value in (a, b) for axis in value.axes[:1] for atom in axis]
    has_images = any(atom.is_batch and atom.high != 1 for atom in first_axes)
    for axis in range(1 if has_images else 0, rank - 2):
        first, second = a.shape[axis] or 1, b.shape[axis] or 1
        if first != second and 1 in (first, second):
            counts[int(second == 1)][axis] = max(first, second)
    return tile(arranger, a, counts[0]), tile(arranger, b, counts[1])


def _widened(value: Arranged, rank: int) -> Arranged:
    """Add axes of extent 1 in front until the value has `rank` axes.

    Raises UnsupportedError if a batch that is not 1 would no longer be the first axis.
    """
    if value.rank == rank:
        return value
    if value.has_batch_first and value.axes[0][0].high != 1:
        raise UnsupportedError(f"multiplies {value.shown} and {rank} axes, whose batches do not meet")
    return value.expand_dims(range(rank - value.rank))


def multiply_by_matrix(
    a: Arranger, x: Arranged, axis: int, results: int, matrix: Callable[[], NDArray[np.float32]]
) -> Arranged:
    """Multiply the elements of an axis by a constant matrix.

    Args:
        a: adds the layers.
        x: the value.
        axis: the number of an axis of the value.
        results: the extent of the axis in the result.
        matrix: a function that returns the matrix [results][elements]. It is called after its size has been counted.
    """
    x = x.with_batch_outside(axis)
    extent = product(x.axes[axis])
    if extent is None:
        raise UnsupportedError(f"computes with axis {axis} of {x.shown}, whose extent is not fixed")
    name, atoms = a.name(""), x.axes[axis]
    y, tail = pointwise(a, x, axis, results, name)
    a.set_weight(
        name, "weight", (results, 1, 1, extent), lambda: in_memory_order(matrix(), atoms, tail, axis=1)
    )
    return y


def pointwise(
    a: Arranger,
    x: Arranged,
    axis: int,
    results: int,
    name: str,
    activation: Activation = None,
    *,
    rounds_once: bool = False,
) -> tuple[Arranged, Axis]:
    """Add a 1x1 convolution without weights along an axis. With `rounds_once` its integers are a dense layer's.

    Returns the result, and the atoms of the axis in the order of the layer's input channels.
    """
    x = x.with_batch_outside(axis)
    atoms = x.axes[axis]
    tensor, rest, tail = a.channels_last(x, atoms)
    if len(tensor.shape) != _IMAGE_RANK:
        tensor = a.physical(x.with_tensor(tensor, rest + tail), (*image_rows(rest), tail))
    attributes = {"output_channels": results} | ({"rounds_once": True} if rounds_once else {})
    y = a.network.layer("convolution", [tensor], attributes, activation=activation, name=name)
    (new,) = a.atoms([results])
    return Arranged(y, (*x.axes[:axis], new, *x.axes[axis + 1 :]), rest + new), tail


def cumsum(a: Arranger, x: Arranged, axis: int, *, exclusive: bool, backwards: bool) -> Arranged:
    """Compute cumulative sums along an axis.

    Args:
        a: adds the layers.
        x: the value.
        axis: the number of an axis of the value.
        exclusive: whether each sum leaves out the element at its own position.
        backwards: whether to sum from the end of the axis.
    """
    extent = x.shape[axis] or 0

    def matrix() -> NDArray[np.float32]:
        sums = np.tri(extent, k=-1 if exclusive else 0, dtype=np.float32)
        return sums[::-1, ::-1] if backwards else sums

    return multiply_by_matrix(a, x, axis, extent, matrix)


def _without_batch(arranger: Arranger, x: Arranged) -> list[Axis]:
    """Return a value's axes without the batch.

    If the arranger's values have a batch, the first axis must begin with the batch.
    """
    if arranger.batch is None:
        return list(x.axes)
    if not x.axes[0][:1] or not x.axes[0][0].is_batch or any(a.is_batch for axis in x.axes[1:] for a in axis):
        raise UnsupportedError(f"multiplies {x.shown}, whose first axis does not begin with the batch")
    return [x.axes[0][1:], *x.axes[1:]]


def _matrices(arranger: Arranger, x: Arranged, *, has_several: bool) -> tuple[Tensor, bool]:
    """Return a tensor (n, matrices, rows, columns), and whether its rows and columns are transposed.

    If each image has only one matrix, the tensor may be (n, rows, columns).
    """
    *others, rows, columns = _without_batch(arranger, x)
    leading = tuple(atom for axis in others for atom in axis)
    swapped = x.order == leading + columns + rows != leading + rows + columns
    axes = (columns, rows) if swapped else (rows, columns)
    return arranger.physical(x, (leading, *axes) if has_several else axes), swapped


_WHOLE = frozenset({"sum_of_squares", "log_sum_exp", "variance", "deviation"})


def reduce(a: Arranger, x: Arranged, atoms: Axis, kind: str, *, pools: bool = True) -> Arranged:
    """Reduce the value over these atoms. Each contiguous run of atoms takes one layer.

    Some kinds (`_WHOLE`, such as the variance) cannot be computed, or would overflow, by several reductions in
    sequence. For them all atoms are first made contiguous.

    `pools` allows a global pooling in place of a reduction over a whole image.
    """
    if kind in _WHOLE:
        x = a.make_contiguous(x, tuple(sorted(atoms, key=x.order.index)))
    order = x.order
    left = set(atoms)
    while left:
        first = min(order.index(atom) for atom in left)
        last = first
        while last < len(order) and order[last] in left:
            last += 1
        before, run, after = order[:first], order[first:last], order[last:]
        name = a.name("")
        current = x.with_tensor(x.tensor, order)
        image = a.grouping(current)
        is_image = image is not None and len(image) == 3
        if (
            pools
            and not before
            and kind in ("mean", "max")
            and image is not None
            and is_image
            and image[2] == after
        ):
            pool = a.network.global_max_pool2d if kind == "max" else a.network.global_average_pool2d
            y = pool(current.tensor, name=name)
        elif image is not None and len(image) <= len(_AXES) and run in image:
            y = _along(a, current.tensor, kind, _AXES[len(_AXES) - len(image) + image.index(run)], name)
        elif after:
            tensor, _, place = a.image_around(current, run)
            y = _along(a, tensor, kind, _AXES[place], name)
        else:
            y = _along(a, a.physical(current, (*image_rows(before), run)), kind, "channels", name)
        order = before + after
        x = x.with_tensor(y, order)
        left -= set(run)
    return x


def _along(a: Arranger, x: Tensor, kind: str, axis: str, name: str) -> Tensor:
    return a.network.layer("reduction", [x], {"kind": kind, "axis": axis}, name=name)
