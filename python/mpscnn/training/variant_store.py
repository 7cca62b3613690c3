"""Write arrays of variants of photos, of which all variants of a photo are made at once."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: The number of variants that a network computes at a time.
BATCH = 16


class VariantStore:
    """An array (variants, photos, ...) of a .npy file, which is written photo by photo."""

    def __init__(self, file: BinaryIO, kind: str, shape: tuple[int, ...]) -> None:
        self._file, self._kind = file, kind
        self._photos = shape[1]
        self._bytes = math.prod(shape[2:]) * np.dtype(kind).itemsize
        """The bytes of a variant of a photo."""
        # Some versions of NumPy state no types for this function.
        write_header: Any = np.lib.format.write_array_header_1_0
        write_header(file, {"descr": kind, "fortran_order": False, "shape": shape})
        self._begin = file.tell()

    def write(self, first: int, values: NDArray[Any]) -> None:
        """Write the values (photos, variants, ...) of some photos, of which `first` is the number of the first one."""
        for variant in range(values.shape[1]):
            self._file.seek(self._begin + (variant * self._photos + first) * self._bytes)
            self._file.write(values[:, variant].astype(self._kind).tobytes())
