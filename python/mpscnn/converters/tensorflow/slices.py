"""Convert TensorFlow's StridedSlice: begins, ends and strides, with bit masks for open ends, new and removed axes."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.onnx_builder.blocks import expand_dims, slice_axes
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.converters.strided_slice import MASKS, expand_indices, indices


class Slices:
    """The indices of a StridedSlice, as in NumPy's x[...].

    Args:
        begin, end, strides: vectors of integers with one entry for each index.
        attributes: the attributes of the node. Each bit of a mask, such as begin_mask, belongs to one index.

    Attributes:
        entries: the indices, as NumPy takes them.
    """

    def __init__(
        self, begin: NDArray[Any], end: NDArray[Any], strides: NDArray[Any], attributes: dict[str, Any]
    ) -> None:
        masks = [attributes[f"{name}_mask"].i if f"{name}_mask" in attributes else 0 for name in MASKS]
        self.entries = indices([list(one.reshape(-1)) for one in (begin, end, strides)], masks)

    def of_tensor(self, b: Builder, x: str) -> str:
        """Apply the slice to a tensor of the ONNX graph."""
        begins: list[int | None] = []
        ends: list[int | None] = []
        steps: list[int] = []
        removed: list[int] = []
        added: list[int] = []
        place = 0  # the number of an axis of the result
        for entry in expand_indices(self.entries, b.rank(x)):
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
        x = slice_axes(b, x, begins, ends, steps, removed)
        return expand_dims(b, x, added) if added else x
