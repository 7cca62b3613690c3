"""Read tensors of an ONNX file when they are needed: from the file itself, or from files with external data."""

from __future__ import annotations

import math
import os
from collections.abc import Set
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.onnx_reader.skipped_weights import Place
from mpscnn.converters.own_folder import is_in_own_folder
from mpscnn.errors import UnsupportedError, WeightsError

if TYPE_CHECKING:
    import onnx

# At most this many times the size of a file is read from it. Tensors may share data, as tied weights do.
_MAX_READ = 4


class ExternalData:
    """Reads tensors from files with external data, and from the ONNX file itself.

    Args:
        model: the ONNX file. Only files in its folder are read. If it is a symbolic link, as in the cache of Hugging
            Face, they may be links into the folder of the link's target. None: there are no external files.
        own: the ONNX file, and the places in it of tensors that were left out of the parsed message; None: all other
            tensors are in the message.
    """

    def __init__(self, model: Path | None, own: tuple[Path, Set[Place]] | None = None) -> None:
        self._model = model
        self._own = own
        self._left: dict[Path, int] = {}

    def array(self, tensor: onnx.TensorProto, where: str) -> NDArray[Any]:
        """Return the tensor as an array. Raises WeightsError if it lies outside of the folder or of the file."""
        import onnx

        path = self._own_file(tensor) or self.path(tensor, where)
        entries = _entries(tensor)
        with convert_read_errors(path, WeightsError):
            size = path.stat().st_size
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if dtype.kind == "O" or onnx.TensorProto.DataType.Name(tensor.data_type).endswith(("INT4", "INT2")):
            raise UnsupportedError(f"{where}: elements of its type are not supported outside of the file")
        length = math.prod(tensor.dims) * dtype.itemsize
        offset = _number(entries, "offset", 0, where)
        stated = _number(entries, "length", length, where)
        if min(tensor.dims, default=1) < 0 or stated != length or offset + length > size:
            raise WeightsError(
                f"damaged: {where}: {length} bytes from {offset} of {path.name}, which has {size}; stated are {stated}"
            )
        if not self.is_own(tensor):
            left = self._left.get(path, _MAX_READ * size) - length
            if left < 0:
                raise UnsupportedError(
                    f"{where}: tensors share places of its file, which they use more than {_MAX_READ} times; that "
                    "is not supported"
                )
            self._left[path] = left
        with convert_read_errors(path, WeightsError), path.open("rb") as file:
            file.seek(offset)
            content = file.read(length)
        if len(content) != length:
            raise WeightsError(f"damaged: {where}: {path.name} ended while it was read")
        little_endian = dtype.newbyteorder("<") if dtype.kind in "fiu" else dtype
        return np.frombuffer(content, little_endian).reshape(tuple(tensor.dims)).astype(dtype, copy=False)

    def is_own(self, tensor: onnx.TensorProto) -> bool:
        """Return True if a tensor's data was left out of the message and lies in the ONNX file itself."""
        return self._own_file(tensor) is not None

    def _own_file(self, tensor: onnx.TensorProto) -> Path | None:
        entries = _entries(tensor)
        if self._own is None or entries.keys() != {"offset", "length"}:
            return None
        path, places = self._own
        return path if (entries["offset"], entries["length"]) in places else None

    def path(self, tensor: onnx.TensorProto, where: str) -> Path:
        """Return the file in which a tensor lies. Raises WeightsError for one outside of the folder."""
        location = _entries(tensor).get("location", "")
        if self._model is None:
            raise WeightsError(f"damaged: {where}: lies in a file, but the model is none")
        parts = PurePosixPath(location)
        leaves = parts.is_absolute() or PureWindowsPath(location).drive or "\\" in location
        if not location or leaves or "\0" in location:
            raise WeightsError(
                f"damaged: {where}: is in {quote_name(location)}, which is not the relative path of a file"
            )
        path = self._model.parent / parts
        is_own = is_in_own_folder(path, self._model.parent, self._model)
        if not is_own or not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for long names
            raise WeightsError(
                f"{where}: lies in {quote_name(location)}, which is missing or leads out of the model's folder"
            )
        return path


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _number(entries: dict[str, str], key: str, default: int, where: str) -> int:
    text = entries.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise WeightsError(f"damaged: {where}: its {key} is {quote_name(text)}")
    return int(text)
