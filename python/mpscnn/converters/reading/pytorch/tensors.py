"""Read tensors of a file as views of the stored elements. Each view is checked to lie within its storage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.errors import UnsupportedError, WeightsError

MAX_AXES = 8

#: NumPy's type for stored elements. NumPy lacks bfloat16, whose 16 bits are the upper half of a float32.
_STORED = {"bfloat16": "uint16"}


@dataclass
class Storage:
    """A storage of PyTorch: a sequence of elements in a file. Tensors are views of it.

    Attributes:
        dtype: "float32", "float16", "bfloat16", "int64", ...
        elements: the number of elements.
        file, place: the file and the offset of the bytes, which are read each time they are needed. Both are set later
            if the file stores the bytes after the descriptions of the tensors.
    """

    dtype: str
    elements: int
    file: FileBytes | None = None
    place: int = 0
    big_endian: bool = False

    @property
    def stored(self) -> np.dtype[Any]:
        """NumPy's type of a stored element, with its byte order."""
        dtype = np.dtype(_STORED.get(self.dtype, self.dtype))
        ordered: np.dtype[Any] = dtype.newbyteorder(">" if self.big_endian else "<")
        return ordered

    @property
    def bytes(self) -> int:
        """The number of bytes of all elements."""
        return self.elements * self.stored.itemsize

    def array(self, first: int, count: int) -> NDArray[Any]:
        """Read `count` elements from the file, beginning with the element `first`."""
        if self.file is None:
            raise AssertionError("a storage without a place")
        size = self.stored.itemsize
        return np.frombuffer(self.file.read(self.place + first * size, count * size), self.stored, count)


@dataclass(frozen=True)
class StoredTensor:
    """A view of a storage; `offset` and `strides` count elements. Made by `tensor_view`, which checks them."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """PyTorch's name of the type of its elements."""
        return self.storage.dtype

    @property
    def bytes(self) -> int:
        """The number of bytes of a copy of its elements."""
        return math.prod(self.shape) * self.storage.stored.itemsize

    def array(self) -> NDArray[Any]:
        """Read the elements from the file. bfloat16 becomes float32."""
        reach = sum((extent - 1) * step for extent, step in zip(self.shape, self.strides, strict=True))
        flat = self.storage.array(self.offset, reach + 1 if math.prod(self.shape) else 0)
        steps = [stride * flat.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)
        if self.dtype == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view


def tensor_view(what: str, storage: Storage, offset: object, shape: object, strides: object) -> StoredTensor:
    """Return a view of a storage, after checking that it is valid.

    Raises WeightsError if the tensor does not lie within its storage, and UnsupportedError if it repeats elements or
    has too many axes. Their messages begin with `what`.
    """
    extents, steps = _whole(what, shape), _whole(what, strides)
    if len(extents) == len(steps) > MAX_AXES:
        raise UnsupportedError(f"{what}: tensors of {len(extents)} axes are not supported")
    if len(extents) != len(steps):
        raise WeightsError(f"{what}: a tensor has {len(extents)} extents and {len(steps)} strides")
    if not isinstance(offset, int) or not 0 <= offset <= storage.elements:
        raise WeightsError(
            f"{what}: a tensor does not begin within its storage of {storage.elements} elements"
        )
    count = math.prod(extents)
    if count > 0:
        last = offset + sum((extent - 1) * step for extent, step in zip(extents, steps, strict=True))
        if last < storage.elements < count:  # few bytes would claim much memory
            raise UnsupportedError(
                f"{what}: a tensor of shape {extents} repeats the {storage.elements} elements of its storage "
                "(expand); save a copy of it (contiguous)"
            )
        if last >= storage.elements:
            raise WeightsError(
                f"{what}: a tensor of shape {extents} does not fit in its storage of {storage.elements} elements"
            )
    return StoredTensor(storage, offset, extents, steps)


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor whose last axis changes fastest."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _whole(what: str, values: object) -> tuple[int, ...]:
    if isinstance(values, (tuple, list)) and all(
        type(value) is int and 0 <= value < 2**48 for value in values
    ):
        return tuple(values)
    raise WeightsError(f"{what}: a tensor's extents and strides must be whole numbers")
