"""Read the weights of TensorFlow.js, which lie in files next to model.json."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.file_bytes import FileBytes, is_in_own_folder, total_size
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.tensorflow.values import MAX_AXES, Array
from mpscnn.errors import UnsupportedError, WeightsError

_TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "<u1", "uint16": "<u2", "bool": "?"}
AGAIN = "download all files of the model again"
"""The remedy for damaged files."""


class _Group:
    """Weights that are stored one after another in several files, which are read as if they were one file.

    Args:
        paths: the files.

    Attributes:
        size: the bytes that the weights take.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.size = 0
        self._files: list[FileBytes] = []
        self._ends: list[int] = []

    def read(self, begin: int, size: int) -> bytes:
        """Return `size` bytes from `begin` on. Raises WeightsError if the files do not fit the weights."""
        self._open()
        number, parts = bisect_right(self._ends, begin), []
        while size > 0:
            file, end = self._files[number], self._ends[number]
            parts.append(file.read(begin - end + len(file), min(size, end - begin)))
            begin += len(parts[-1])
            size -= len(parts[-1])
            number += 1
        return b"".join(parts)

    def _open(self) -> None:
        if self._ends:
            return
        self._files = [FileBytes(path) for path in self._paths]
        ends = list(accumulate(map(len, self._files)))
        total = ends[-1] if ends else 0
        if total != self.size:
            names = ", ".join(quote_name(path.name) for path in self._paths[:3])
            raise WeightsError(
                f"damaged: the weights take {self.size} bytes, and their files ({names or 'none'}"
                f"{', ...' if len(self._paths) > 3 else ''}) have {total}: {AGAIN}"
            )
        self._ends = ends


@dataclass(frozen=True)
class _Weight:
    """The shape and type of a weight, and its position in the bytes of its group."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    begin: int
    group: _Group
    scale: float | None
    offset: float
    is_whole: bool
    """Whether the elements are whole numbers, also if they are quantized."""

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.stored.itemsize


class WebWeights(Mapping[str, Array]):
    """The weights of a model by their names. They are read when they are needed.

    Args:
        path: the model.json.
        manifest: its list of groups of weights; None: it has none.

    Raises:
        WeightsError: the list contradicts itself, or names files outside of the model's folder. UnsupportedError: a
            type of numbers that is not supported.
    """

    def __init__(self, path: Path, manifest: Any) -> None:
        self._path = path
        self._weights: dict[str, _Weight] = {}
        self._files: dict[Path, None] = {}
        self._budget = Budget(self.size)
        try:
            for group in manifest or []:
                self._add(group["paths"], group["weights"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, (UnsupportedError, WeightsError)):
                raise
            raise WeightsError(f"damaged: its list of weights contradicts itself: {AGAIN}") from error

    def _add(self, names: Any, entries: Any) -> None:
        if not isinstance(names, list):
            raise WeightsError(f"damaged: the names of its files are not a list: {AGAIN}")
        group = _Group([self._own(name) for name in names])
        for entry in entries:
            name = str(entry["name"])
            if name in self._weights:
                raise WeightsError(f"damaged: lists the weight {quote_name(name)} twice: {AGAIN}")
            self._weights[name] = _weight(name, entry, group)
            group.size += self._weights[name].size

    def _own(self, name: Any) -> Path:
        """Return the path of a file that the list names."""
        text = str(name)
        inner = PurePosixPath(text)
        leaves = inner.is_absolute() or ".." in inner.parts or PureWindowsPath(text).drive
        path = self._path.parent / inner
        if (
            leaves
            or not inner.parts
            or any(one in text for one in "\\\0")
            or not is_in_own_folder(path, self._path.parent, self._path)
        ):
            raise WeightsError(
                f"damaged: names {quote_name(text)}, which is not a file in the model's folder: {AGAIN}"
            )
        if path in self._files:
            raise WeightsError(f"damaged: lists the file {quote_name(text)} twice: {AGAIN}")
        self._files[path] = None
        return path

    def __getitem__(self, name: str) -> Array:
        weight = self._weights[name]
        self._budget.copy(weight.size)
        array: Array = np.frombuffer(weight.group.read(weight.begin, weight.size), weight.stored)
        array = array.reshape(weight.shape)
        if weight.scale is None:
            return array
        with np.errstate(over="ignore", invalid="ignore"):  # a network refuses weights that are not finite
            array = array * np.float64(weight.scale) + weight.offset
            return np.rint(array).astype(np.int32) if weight.is_whole else array.astype(np.float32)

    def __contains__(self, name: object) -> bool:
        return name in self._weights

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def files(self) -> list[Path]:
        """Return the files with the weights' data."""
        return list(self._files)

    def size(self) -> int:
        """Return the bytes of these files."""
        return total_size(self._files)


def _weight(name: str, entry: Any, group: _Group) -> _Weight:
    """Return a weight that begins where the weight before it in its group ends."""
    shape, quantization = entry["shape"], entry.get("quantization") or {}
    kind = quantization.get("dtype", entry["dtype"])
    if kind not in _TYPES:
        raise UnsupportedError(
            f"weight {quote_name(name)}: numbers of type {quote_name(str(kind))} are not supported"
        )
    if len(shape) > MAX_AXES or not all(type(extent) is int and extent >= 0 for extent in shape):
        raise WeightsError(
            f"damaged: the weight {quote_name(name)} has the shape {quote_name(str(shape[:MAX_AXES]))}: {AGAIN}"
        )
    scale = _finite(quantization["scale"], name) if "scale" in quantization else None
    offset = _finite(quantization.get("min", 0.0), name)
    is_whole = entry["dtype"] == "int32"
    return _Weight(tuple(shape), np.dtype(_TYPES[kind]), group.size, group, scale, offset, is_whole)


def _finite(value: Any, name: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise WeightsError(
            f"damaged: the quantization of the weight {quote_name(name)} has the number {number}: {AGAIN}"
        )
    return number
