"""An ONNX backend: mpscnn with the interface `onnx.backend.base`.

    import mpscnn.onnx_backend
    prepared = mpscnn.onnx_backend.prepare(onnx.load("model.onnx"))
    scores = prepared.run([images])[0]

ONNX' tools and tests take this module, or its class `Backend`. It needs the package onnx.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mpscnn._private.installation import install_command
from mpscnn._private.other_names import explain_unknown_names
from mpscnn.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    import onnx
    from numpy.typing import NDArray

    from mpscnn.onnx_backend.backend import Backend, PreparedModel

__all__ = ["Backend", "PreparedModel", "is_compatible", "prepare", "run_model", "run_node", "supports_device"]


def prepare(
    model: onnx.ModelProto | str | PathLike[str], device: str = "CPU", **options: Any
) -> PreparedModel:
    """Prepare a model for many runs. See `Backend.prepare`."""
    return _backend().prepare(model, device, **options)


def run_model(
    model: onnx.ModelProto,
    inputs: Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]] | NDArray[Any],
    device: str = "CPU",
    **options: Any,
) -> tuple[NDArray[Any], ...]:
    """Compute a model once. See `Backend.run_model`."""
    return _backend().run_model(model, inputs, device, **options)


def run_node(
    node: onnx.NodeProto,
    inputs: Sequence[NDArray[Any]],
    device: str = "CPU",
    outputs_info: Any = None,
    **options: Any,
) -> tuple[NDArray[Any], ...]:
    """Compute one operator. See `Backend.run_node`."""
    return _backend().run_node(node, inputs, device, outputs_info, **options)


def is_compatible(model: onnx.ModelProto, device: str = "CPU", **options: Any) -> bool:
    """Return True if mpscnn can compute a model. See `Backend.is_compatible`."""
    return _backend().is_compatible(model, device, **options)


def supports_device(device: str) -> bool:
    """Return True for "CPU", and for "METAL" if a GPU passed its self-check."""
    return _backend().supports_device(device)


def _backend() -> type[Backend]:
    """Return the class. Raises UnsupportedError without the package onnx."""
    try:
        from mpscnn.onnx_backend.backend import Backend
    except ImportError as error:
        raise UnsupportedError(
            f"mpscnn.onnx_backend needs: {install_command('convert')} ({error})"
        ) from error
    return Backend


explain_unknown_names(
    __name__,
    make=lambda name: getattr(sys.modules[_backend().__module__], name),
    made=("Backend", "PreparedModel"),
)
