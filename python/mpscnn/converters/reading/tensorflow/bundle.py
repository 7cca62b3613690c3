"""Read the variables of a TensorFlow checkpoint. Their data is read when it is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn.converters.opening.file_bytes import FileBytes, MemoryBytes, is_in_own_folder
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.converters.opening.wire.message import open_message
from mpscnn.converters.reading.tensorflow.schema import KINDS
from mpscnn.converters.reading.tensorflow.table import entries
from mpscnn.converters.reading.tensorflow.values import TEXT, Array, parse_dtype, parse_shape, widen_bfloat16
from mpscnn.errors import UnsupportedError, WeightsError

INDEX = ".index"
_MAX_SHARDS = 4096
_BIG_ENDIAN = 1


@dataclass(frozen=True)
class Variable:
    """The shape and type of a variable, and the position of its data."""

    shape: tuple[int, ...]
    number: int
    shard: int
    offset: int
    size: int


class Bundle(Mapping[str, Variable]):
    """The variables of a checkpoint by their names. Strings, and variables in several parts, are left out.

    Args:
        index: the file whose name ends in ".index". The files with the data are next to it.
        saved_model: the saved_model.pb to which the checkpoint belongs; None: it belongs to none.

    Attributes:
        divided: the names of the variables that are stored in several parts.
        read: the names of the variables of which arrays were made.

    Raises:
        WeightsError: a file is missing or damaged. UnsupportedError: a checkpoint of another byte order.
    """

    def __init__(self, index: Path, saved_model: Path | None = None) -> None:
        self.origin = str(index)
        self._index = index
        self._main = saved_model or index
        self._shards: dict[int, FileBytes] = {}
        self._variables: dict[str, Variable] = {}
        self.divided: set[str] = set()
        self.read: set[str] = set()
        with prefix_errors(self.origin):
            _require_own(index, self._main)
            self._count = self._read_index()

    def _read_index(self) -> int:
        listed = entries(FileBytes(self._index))
        header = _header(listed)
        if header.endianness == _BIG_ENDIAN:
            raise UnsupportedError("its numbers are big-endian, which is not supported")
        places: list[tuple[int, int, int, str]] = []
        for key, value in listed:
            entry = open_message(KINDS["BundleEntry"], MemoryBytes(value))
            extents = parse_shape(entry.shape)
            name = key.decode("utf-8", "replace")
            if min(entry.offset, entry.size) < 0:
                raise WeightsError(
                    f"damaged: {quote_name(name)} has {entry.size} bytes from byte {entry.offset} on"
                )
            if entry.size:
                places.append((entry.shard_id, entry.offset, entry.size, name))
            if entry.count("slices"):
                self.divided.add(name)
            if entry.dtype == TEXT or entry.count("slices") or extents is None or None in extents:
                continue
            if key.startswith(b"\0"):  # a part of a divided variable
                continue
            shape = tuple(extent or 0 for extent in extents)
            self._variables[name] = Variable(shape, entry.dtype, entry.shard_id, entry.offset, entry.size)
        for (shard, begin, size, name), (following, start, _, other) in pairwise(sorted(places)):
            if shard == following and begin + size > start:
                raise WeightsError(f"damaged: {quote_name(name)} and {quote_name(other)} have the same bytes")
        return int(header.num_shards)

    def __getitem__(self, name: str) -> Variable:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def array(self, name: str) -> Array:
        """Return a variable as an array. Raises WeightsError if it cannot be read, UnsupportedError for its type."""
        variable = self._variables[name]
        self.read.add(name)
        kind = parse_dtype(variable.number)
        if variable.size != math.prod(variable.shape) * kind.itemsize:
            raise WeightsError(
                f"{self.origin}: damaged: {quote_name(name)} has {variable.size} bytes for the shape {variable.shape}"
            )
        shard = self._shard(variable.shard)
        content = shard.read(variable.offset, variable.size)
        if len(content) != variable.size:
            raise WeightsError(
                f"{shard.path}: damaged: it ends before the end of {quote_name(name)}: copy it again"
            )
        return widen_bfloat16(np.frombuffer(content, kind).reshape(variable.shape), variable.number)

    def _shard(self, number: int) -> FileBytes:
        if number not in self._shards:
            if not 0 <= number < self._count:
                raise WeightsError(f"{self.origin}: damaged: refers to file {number} of {self._count}")
            path = self.files()[1 + number]
            with prefix_errors(self.origin):
                _require_own(path, self._main)
            self._shards[number] = FileBytes(path)
        return self._shards[number]

    def files(self) -> list[Path]:
        """Return the index, and the files with the data."""
        return _files(self._index, self._count)


def model_files(path: Path) -> list[Path]:
    """Return the index of a checkpoint, and the files with its data. The whole index is checked."""
    return [path, *Bundle(path).files()[1:]]


def bundle_files(index: Path, saved_model: Path) -> list[Path]:
    """Return the index of a SavedModel's checkpoint, and the files with its data.

    Only the first entry of the index is read. Raises WeightsError for a link that leads out of the model's folder.
    """
    with prefix_errors(str(index)):
        _require_own(index, saved_model)
        files = _files(index, int(_header(entries(FileBytes(index))).num_shards))
        for path in files:
            _require_own(path, saved_model)
        return files


def _require_own(path: Path, main: Path) -> None:
    """Raise WeightsError for a link that leads out of the folder of the model's main file."""
    if not is_in_own_folder(path, main.parent, main):
        raise WeightsError(
            f"the link {path.name} leads out of the model's folder: copy the file itself there"
        )


def _header(listed: Iterator[tuple[bytes, bytes]]) -> Any:
    """Return the message in the first entry of an index."""
    header = open_message(KINDS["BundleHeader"], MemoryBytes(next(listed, (b"", b""))[1]))
    if not 1 <= header.num_shards <= _MAX_SHARDS:
        raise WeightsError(f"damaged: {header.num_shards} files of numbers")
    return header


def _files(index: Path, count: int) -> list[Path]:
    stem = index.name.removesuffix(INDEX)
    parts = (f"{stem}.data-{one:05d}-of-{count:05d}" for one in range(count))
    return [index, *(index.with_name(part) for part in parts)]
