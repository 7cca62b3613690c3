"""Read safetensors files that hold a state dict. Model files of mpscnn are such files, with the network as metadata."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mpscnn._private.json_text import parse_json
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.pytorch.tensors import (
    MAX_AXES,
    Storage,
    StoredTensor,
    contiguous_strides,
    tensor_view,
)
from mpscnn.errors import UnsupportedError, WeightsError

# The limit that the format states for its header, in bytes.
_MAX_HEADER = 100_000_000

_DTYPES = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F64": "float64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors by name.

    Raises:
        WeightsError: it cannot be read or is damaged. UnsupportedError: it is a model file of mpscnn, or has elements
            of a type that is not known.
    """
    file = FileBytes(path)
    origin = str(path)
    header, start = _header(file, origin)
    metadata = header.pop("__metadata__", {})
    if isinstance(metadata, dict) and "mpscnn.graph" in metadata:
        raise UnsupportedError(
            f"{origin}: is a model file of mpscnn already; mpscnn.load(path).network is its network"
        )
    tensors = {
        name: _tensor(f"{origin}: tensor {quote_name(name)}", entry, file, start)
        for name, entry in header.items()
    }
    _check_places(tensors, len(file), start, origin)
    return tensors


def _check_places(tensors: dict[str, StoredTensor], size: int, start: int, origin: str) -> None:
    """Raise WeightsError unless each byte of the data belongs to one tensor, as the format demands."""
    end = start
    places = ((tensor.storage.place, tensor.storage.bytes, name) for name, tensor in tensors.items())
    for place, length, name in sorted(places):
        if place != end:
            fault = "shares bytes with another tensor" if place < end else "follows bytes of no tensor"
            raise WeightsError(f"{origin}: is damaged: tensor {quote_name(name)} {fault}")
        end += length
    if end != size:
        raise WeightsError(f"{origin}: is damaged: {size - end} bytes at its end belong to no tensor")


def _header(file: FileBytes, origin: str) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(0, 8), "little")
    if len(file) < 8 or length > min(len(file) - 8, _MAX_HEADER):
        raise WeightsError(
            f"{origin}: is not a safetensors file: its header of {length} bytes is not within its {len(file)} bytes"
        )
    try:
        header = parse_json(file.read(8, length))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{origin}: is not a safetensors file: its header is not JSON") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{origin}: is not a safetensors file: its header is not an object")
    return header, 8 + length


def _tensor(what: str, entry: object, file: FileBytes, start: int) -> StoredTensor:
    """Return a tensor from its entry in the header. `start` is the position where the data of all tensors begins."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise WeightsError(f"{what}: its entry has no dtype, shape and data_offsets")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise UnsupportedError(
            f"{what}: elements of the type {str(entry['dtype'])[:20]!r} are not supported: save the tensors as "
            "float16, multiplied by their scales if the file has any"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if isinstance(shape, list) and len(shape) > MAX_AXES:
        raise UnsupportedError(f"{what}: tensors of {len(shape)} axes are not supported")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise WeightsError(f"{what}: its shape and data_offsets must be whole numbers below 2^48")
    first, last = offsets
    storage = Storage(dtype, math.prod(shape), file, start + first)
    if not first <= last <= len(file) - start or last - first != storage.bytes:
        raise WeightsError(
            f"{what}: {dtype} {tuple(shape)} takes {storage.bytes} bytes, but its data_offsets are {first} to {last} "
            f"of {len(file) - start}"
        )
    return tensor_view(what, storage, 0, tuple(shape), contiguous_strides(tuple(shape)))


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)
