"""Find the files with the weights of an ONNX file, without its reader if it can have none."""

from __future__ import annotations

from pathlib import Path

# The key of a tensor's attribute that names the file of its elements (onnx.proto, TensorProto.external_data), and the
# number of bytes up to which a file is searched for it, which is faster than parsing it.
_LOCATION = b"location"
_SEARCHED = 1 << 26


def onnx_files(path: Path) -> list[Path]:
    """Return an ONNX file, and the files with its weights. A small file is only parsed if it can name one."""
    if 0 < path.stat().st_size <= _SEARCHED and _LOCATION not in path.read_bytes():
        return [path]
    from mpscnn.converters.reading.onnx.file import read_onnx

    return [path, *read_onnx(path).external_files()]
