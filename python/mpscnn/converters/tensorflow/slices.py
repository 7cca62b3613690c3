"""Convert TensorFlow's StridedSlice: begins, ends and strides, with bit masks for open ends, new and removed axes."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.onnx_builder.blocks import expanded, sliced
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_AXES = 32


class Slices:
    """The indices of a StridedSlice, as in NumPy's x[...].

    Args:
        begin, end, strides: vectors of integers with one entry for each index.
        attributes: the attributes of the node. Each bit of a mask, such as begin_mask, belongs to one index.
    """

    def __init__(
        self, begin: NDArray[Any], end: NDArray[Any], strides: NDArray[Any], attributes: dict[str, Any]
    ) -> None:
        vectors = [list(one.reshape(-1)) for one in (begin, end, strides)]
        if not len(vectors[0]) == len(vectors[1]) == len(vectors[2]) <= _MAX_AXES:
            raise WeightsError("damaged: its begins, ends and strides differ in number")
        masks = {
            name: attributes[f"{name}_mask"].i if f"{name}_mask" in attributes else 0
            for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
        }
        self._entries: list[Any] = []
        for place, (first, last, step) in enumerate(zip(*vectors, strict=True)):
            has = {name for name, mask in masks.items() if mask >> place & 1}
            if "ellipsis" in has:
                self._entries.append(Ellipsis)
            elif "new_axis" in has:
                self._entries.append(None)
            elif "shrink_axis" in has:
                self._entries.append(self._number(first))
            else:
                begins = None if "begin" in has else self._number(first)
                ends = None if "end" in has else self._number(last)
                self._entries.append(slice(begins, ends, self._number(step)))
        if self._entries.count(Ellipsis) > 1:
            raise WeightsError("damaged: more than one ellipsis")

    @staticmethod
    def _number(value: Any) -> int:
        if value is None:
            raise UnsupportedError("a place depends on a free size")
        return int(value)

    def of_array(self, array: NDArray[Any]) -> Any:
        """Apply the slice to an array."""
        return array[tuple(self._entries)]

    def of_tensor(self, b: Builder, x: str) -> str:
        """Apply the slice to a tensor of the ONNX graph."""
        rank = b.rank(x)
        used = sum(entry is not None and entry is not Ellipsis for entry in self._entries)
        if used > rank:
            raise WeightsError(f"damaged: takes places along {used} of {rank} axes")
        entries: list[Any] = []
        for entry in self._entries if Ellipsis in self._entries else [*self._entries, Ellipsis]:
            entries += [slice(None)] * (rank - used) if entry is Ellipsis else [entry]
        begins: list[int | None] = []
        ends: list[int | None] = []
        steps: list[int] = []
        removed: list[int] = []
        added: list[int] = []
        place = 0  # the number of an axis of the result
        for entry in entries:
            if entry is None:
                added.append(place)
                place += 1
            elif isinstance(entry, slice):
                begins.append(entry.start)
                ends.append(entry.stop)
                steps.append(1 if entry.step is None else entry.step)
                place += 1
            else:
                removed.append(len(begins))
                begins.append(entry)
                ends.append(None)
                steps.append(1)
        x = sliced(b, x, begins, ends, steps, removed)
        return expanded(b, x, added) if added else x
