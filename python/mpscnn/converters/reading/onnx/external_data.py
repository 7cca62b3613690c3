"""Read tensors of an ONNX file that are in other files, when they are needed."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from numpy.typing import NDArray

from mpscnn._private.files import convert_read_errors, is_file
from mpscnn.converters.opening.file_bytes import is_in_own_folder
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.tensors import decode_bytes, element_type, stored_bytes
from mpscnn.errors import UnsupportedError, WeightsError

# At most this many times the size of a file is read from it. Tensors may share data, as tied weights do.
_MAX_READ = 4


class ExternalData:
    """Reads tensors from files with external data.

    Args:
        model: the ONNX file. Only files in its folder are read. If it is a symbolic link, as in the cache of Hugging
            Face, they may be links into the folder of the link's target. None: there are no external files.
    """

    def __init__(self, model: Path | None) -> None:
        self._model = model
        self._left: dict[Path, int] = {}

    def array(self, tensor: Any, where: str) -> NDArray[Any]:
        """Return the tensor as an array. Raises WeightsError if it lies outside of the folder or of the file."""
        return decode_bytes(tensor.data_type, self.content(tensor, where), tuple(tensor.dims))

    def content(self, tensor: Any, where: str) -> bytes:
        """Return the bytes of a tensor. Raises the errors of `array`."""
        path, shape = self.path(tensor, where), tuple(tensor.dims)
        entries = _entries(tensor)
        with convert_read_errors(path, WeightsError):
            size = path.stat().st_size
        if element_type(tensor.data_type).endswith(("int4", "int2", "string")):
            raise UnsupportedError(f"{where}: elements of its type are not supported outside of the file")
        try:
            length = stored_bytes(tensor.data_type, math.prod(shape))
        except ValueError as error:
            raise WeightsError(f"damaged: {where}: {error}") from error
        offset = _number(entries, "offset", 0, where)
        stated = _number(entries, "length", length, where)
        if min(shape, default=1) < 0 or stated != length or offset + length > size:
            raise WeightsError(
                f"damaged: {where}: {length} bytes from {offset} of {path.name}, which has {size}; stated are {stated}"
            )
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
        return content

    def path(self, tensor: Any, where: str) -> Path:
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
        if not is_own or not is_file(path):
            raise WeightsError(
                f"{where}: lies in {quote_name(location)}, which is missing or leads out of the model's folder"
            )
        return path


def _entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _number(entries: dict[str, str], key: str, default: int, where: str) -> int:
    text = entries.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise WeightsError(f"damaged: {where}: its {key} is {quote_name(text)}")
    return int(text)
