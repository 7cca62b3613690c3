"""List the file formats of other frameworks that `Network.save` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike

from mpscnn.converters import export_coreai, export_coreml, export_onnx, export_tflite
from mpscnn.graph.network import Network


def _onnx(
    network: Network, path: str | PathLike[str], dtype: str | None, information: Mapping[str, str] | None
) -> None:
    export_onnx(network, path, dtype=dtype, information=information)


def _coreml(
    network: Network, path: str | PathLike[str], dtype: str | None, information: Mapping[str, str] | None
) -> None:
    export_coreml(network, path, dtype=dtype, information=information)


def _coreai(
    network: Network, path: str | PathLike[str], dtype: str | None, information: Mapping[str, str] | None
) -> None:
    export_coreai(network, path, dtype=dtype, information=information)


def _tflite(
    network: Network, path: str | PathLike[str], dtype: str | None, information: Mapping[str, str] | None
) -> None:
    export_tflite(network, path, dtype=dtype, information=information)


#: The writer for each suffix: a function of the network, the path, the type of weights and information (None: the
#: default, none).
WRITERS: dict[str, Callable[..., None]] = {
    ".onnx": _onnx,
    ".tflite": _tflite,
    ".mlpackage": _coreml,
    ".mlmodel": _coreml,
    ".aimodel": _coreai,
}
