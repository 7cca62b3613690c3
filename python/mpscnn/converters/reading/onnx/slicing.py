"""Convert Slice, Split, Tile, Gather, Concat and similar operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated, Any

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.expansions import PART
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Either, Given, Whole
from mpscnn.converters.values.constant import CHEAP, Constant, listed
from mpscnn.converters.values.constant_pair import Array
from mpscnn.converters.values.rows import Ints, Name, Operand, Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_PARTS = 4096  # the maximum number of tensors in a sequence
_OPERATIONS_OF_PART = 1_000  # the cost of looking at a tensor of a sequence
_OF_MATRIX = 2  # the number of axes of a matrix


def _split_to_sequence(
    c: Context, node: Node, x: Name, split: Name | None = None, *, axis: int = 0, keepdims: bool = True
) -> None:
    """Convert SplitToSequence: parts of listed sizes, of one size, or of extent 1.

    Only if the file states no sizes, `keepdims` may drop the axis, which then has the extent 1.
    """
    drops_axis = split is None and not keepdims
    if _is_known(c, x):
        _split_constant(c, node, x, split, axis, drops_axis=drops_axis)
        return
    value = c.value(x)
    along = value.axis(axis)
    parts = value.split(along, _sizes(c, split, value.known_extent(along, "splits"), value.shown))
    c.known.sequences[node.outputs[0]] = [one.squeeze([along]) if drops_axis else one for one in parts]


def _is_known(c: Context, name: str) -> bool:
    """Return True for a constant that is not a trainable parameter, so parts of it are constants, too."""
    return c.is_constant(name) and not c.parameters.learns(name)


def _split_constant(
    c: Context, node: Node, x: str, split: str | None, axis: int, *, drops_axis: bool
) -> None:
    array = c.constants.fixed(x, "its operand")
    what = f"a constant of shape {array.shape}"
    if not -array.ndim <= axis < array.ndim:
        raise WeightsError(f"damaged: splits {what} along axis {axis}")
    ends = list(accumulate(_sizes(c, split, array.shape[axis], what)))
    parts: list[FileTensor | str] = []
    for place, part in enumerate(np.split(array, ends[:-1], axis)):
        name = f"{node.outputs[0]}/part{place}"
        c.constants.put(name, part.squeeze(axis) if drops_axis else part)
        parts.append(name)
    c.known.sequences[node.outputs[0]] = parts


def _sizes(c: Context, given: str | None, extent: int, what: str) -> list[int]:
    """Return the sizes of the parts of a SplitToSequence, which a constant has, if there is one."""
    stated = [1] if given is None else c.constants.integers(given, "its parts")
    is_one_size = given is None or c.constants.fixed(given, "its parts").ndim == 0
    sizes = stated
    if is_one_size and stated[0] > 0:
        whole, rest = divmod(extent, stated[0])
        if whole > _MAX_PARTS:
            raise UnsupportedError(f"splits {what} into {whole} parts; supported are {_MAX_PARTS}")
        sizes = [stated[0]] * whole + [rest] * (rest > 0)
    if not sizes or sum(sizes) != extent or min(sizes) < 1:
        raise WeightsError(f"damaged: splits {what} into {sizes[:5]}")
    if len(sizes) > _MAX_PARTS:
        raise UnsupportedError(f"splits {what} into {len(sizes)} parts; supported are {_MAX_PARTS}")
    return sizes


def _sequence(c: Context, node: Node, *parts: Name) -> None:
    c.known.sequences[node.outputs[0]] = [name if _is_known(c, name) else c.value(name) for name in parts]


def _sequence_at(
    c: Context, node: Node, sequence: Name, place: Annotated[Ints, Operand("its place")]
) -> FileTensor | None:
    parts = _parts_of(c, sequence)
    if not -len(parts) <= place[0] < len(parts):
        raise WeightsError(f"damaged: takes part {place[0]} of {len(parts)}")
    part = parts[place[0]]
    if isinstance(part, str):
        c.constants.put(node.outputs[0], c.constants.fixed(part, "its part"))
        return None
    return part


def _concat_from_sequence(c: Context, sequence: Name, *, axis: int, new_axis: bool = False) -> FileTensor:
    joined = _parts_of(c, sequence)
    c.constants.budget.spend(Cost(0, _OPERATIONS_OF_PART * len(joined)))
    parts = [c.value(part) if isinstance(part, str) else part for part in joined]
    if new_axis:
        axis = axis % (parts[0].rank + 1) if -parts[0].rank - 1 <= axis <= parts[0].rank else axis
        parts = [one.expand_dims([axis]) for one in parts]
    return parts[0].concat(parts[1:], parts[0].axis(axis))


def _parts_of(c: Context, name: str) -> list[FileTensor | str]:
    if name not in c.known.sequences:
        raise UnsupportedError(f"its operand {quote_name(name)} is not a sequence of tensors that is known")
    return c.known.sequences[name]


def _gather(x: Either, indices: Either, *, axis: int = 0) -> Value:
    """Convert Gather. The axes of the indices replace the axis."""
    along = x.axis(axis)
    if isinstance(x, Constant) and isinstance(indices, FileTensor):
        return _look_up(x, along, indices)
    return x.take(along, indices)


def _look_up(constant: Constant, axis: int, indices: FileTensor) -> FileTensor:
    """Convert Gather of a constant by computed indices: an embedding lookup. Negative indices count from the end."""
    table = constant.real("its table")
    if axis or table.ndim < 2:
        raise UnsupportedError(f"looks up a constant {table.shape} along another axis than the first one")
    return indices.mark_as_floats().wrap_negative_indices(len(table)).look_up(table)


def _slice(
    x: Whole,
    starts: Annotated[Constant | Ints, Operand("its starts", or_setting=True)],
    ends: Annotated[Constant | Ints, Operand("its ends", or_setting=True)],
    axes: Annotated[Constant | Ints | None, Operand("its axes", or_setting=True)] = None,
    steps: Annotated[Constant | None, Operand("its steps")] = None,
) -> Value:
    def parts(shape: tuple[int, ...], *numbers: Array | Sequence[int] | None) -> list[slice]:
        first, last, along, by = (
            [] if one is None else listed(one, f"its {name}")
            for one, name in zip(numbers, ("starts", "ends", "axes", "steps"), strict=True)
        )
        result = [slice(None)] * len(shape)
        given = zip(along or range(len(first)), first, last, by or [1] * len(first), strict=True)
        for axis, start, end, step in given:
            if step == 0:
                raise WeightsError("damaged: its step is 0")
            # A start before the axis means its first position for any step.
            result[axis] = slice(max(start, -shape[axis]), end, step)
        return result

    return x.slice(parts, starts, ends, axes, steps)


def _slice_by_entries(x: Whole, *, entries: Any) -> Value:
    """Convert `PART`."""
    return x.slice(lambda _: entries)


def _split(
    node: Node, x: Whole, split: Annotated[Ints | None, Operand("its parts", or_setting=True)] = None,
    *, axis: int = 0, num_outputs: int | None = None,
) -> list[Value]:  # fmt: skip
    count, along = len(node.outputs), x.axis(axis)
    extent, sizes = x.known_extent(along, "splits"), split
    parts = len(sizes) if sizes is not None else count if num_outputs is None else num_outputs
    if parts != count:
        raise WeightsError(f"damaged: splits {x.shown} into {parts} parts, but has {count} results")
    if sizes is None:
        if num_outputs is None and extent % max(count, 1):
            raise WeightsError(
                f"damaged: splits {x.shown} along axis {along} into {count} equal parts, which its extent {extent} "
                "does not allow"
            )
        size = -(-extent // max(count, 1))
        sizes = (*[size] * (count - 1), extent - size * (count - 1))
    return list(x.split(along, sizes))


def _tile(x: Whole, repeats: Annotated[Ints, Operand("its repeats")]) -> Value:
    return x.tile(repeats)


def _concat_constants(*x: Given, axis: int = 1) -> Value:
    return x[0].concat(x[1:], x[0].axis(axis))


def _concat(c: Context, *x: Name, axis: int = 1) -> Value:
    """Convert Concat of tensors, each with the batch in the same axis."""
    computed = c.first_computed(x, whole_numbers=True)
    along = computed.axis(axis)
    computed = _with_batch_outside(computed, along)
    first, *others = (
        c.constant_with_batch_of(name, computed)
        if c.is_constant(name)
        else _with_batch_outside(c.value(name, whole_numbers=True), along)
        for name in x
    )
    return first.concat(others, first.axis(axis))


def _with_batch_outside(x: FileTensor, axis: int) -> FileTensor:
    """Return the tensor with a batch of 1 moved out of an axis, if the axis has other elements, too."""
    atoms = x.axes[axis] if axis < x.rank else ()
    is_movable = len(atoms) > 1 and x.rank > 1 and any(atom.is_batch and atom.high == 1 for atom in atoms)
    return x.with_batch_outside(axis) if is_movable else x


def _triangle(
    x: Whole, diagonal: Annotated[Constant | None, Operand("its diagonal")] = None, *, upper: bool = True
) -> Value:
    """Convert Trilu: zeros replace the elements on one side of a diagonal of the last two axes."""
    function = np.triu if upper else np.tril
    if x.rank < _OF_MATRIX:
        raise WeightsError(f"damaged: takes a triangle of {x.shown}")

    def triangle(array: Array, first: Array | None) -> Array:
        place = 0 if first is None else int(first.reshape(()))
        return function(array, min(max(place, -array.shape[-2]), array.shape[-1]))

    if isinstance(x, Constant):
        return x.compute(lambda *given: x.run(given[0].size, CHEAP, lambda: triangle(*given)), diagonal)
    assert isinstance(x, FileTensor)
    first = None if diagonal is None else np.asarray(diagonal.integers("its diagonal"))
    return _triangle_of_tensor(x, lambda ones: triangle(ones, first))


def _triangle_of_tensor(x: FileTensor, triangle: Callable[[Array], Array]) -> FileTensor:
    rows, columns = (x.known_extent(axis, "takes a triangle of") for axis in (x.rank - 2, x.rank - 1))
    if any(atom.is_batch and atom.high != 1 for axis in x.axes[-2:] for atom in axis):
        raise UnsupportedError(f"takes a triangle of {x.shown}, in which images are rows or columns")
    extents, name = (1,) * (x.rank - 1 - _OF_MATRIX) + (rows, columns), x.arranger.name("/triangle")
    made = x.arranger.constant(name, extents, lambda: triangle(np.ones((rows, columns), np.float32)))
    chosen = FileTensor.from_tensor(x.arranger, made)
    return (chosen if x.rank > _OF_MATRIX else chosen.merge_axes(0, 2)).where(lambda: x, None)


SLICING: dict[str, Row] = {
    "Gather": _gather,
    PART: _slice_by_entries,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "Trilu": _triangle,
}
"""The rows of operators that serve constants and tensors of the network alike."""

SLICING_OF_CONSTANTS: dict[str, Row] = {"Concat": _concat_constants}
SLICING_OF_TENSORS: dict[str, Row] = {
    "Concat": _concat,
    "ConcatFromSequence": _concat_from_sequence,
    "SequenceAt": _sequence_at,
    "SequenceConstruct": _sequence,
    "SplitToSequence": _split_to_sequence,
}
