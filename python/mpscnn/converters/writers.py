"""List the file formats of other frameworks that `Network.save` writes."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from mpscnn.converters import export_coreml, export_onnx, export_tflite
from mpscnn.graph.network import Network

__all__ = ["WRITERS"]


def _onnx(network: Network, path: str | PathLike[str], dtype: str | None) -> None:
    export_onnx(network, path, dtype=dtype)


def _coreml(network: Network, path: str | PathLike[str], dtype: str | None) -> None:
    export_coreml(network, path, dtype=dtype)


def _tflite(network: Network, path: str | PathLike[str], dtype: str | None) -> None:
    export_tflite(network, path, dtype=dtype)


#: The writer for each suffix: a function of the network, the path, and the type of weights (None: the default).
WRITERS: dict[str, Callable[..., None]] = {
    ".onnx": _onnx,
    ".tflite": _tflite,
    ".mlpackage": _coreml,
    ".mlmodel": _coreml,
}
