"""Give another engine the network of a file: only what mpscnn reads of it, in a confined process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.confined import Limits
from mpscnn.comparison.confined_engine import ConfinedEngine
from mpscnn.converters.formats.readers import engine_key

Shapes = Mapping[str, tuple[int | None, ...]]


def open_cut(
    path: Path,
    outputs: Sequence[str] = (),
    shapes: Shapes | None = None,
    *,
    signature: str | None = None,
    quick: bool = False,
    limits: Limits,
) -> ConfinedEngine:
    """Return the engine of a file's framework with the network of the file.

    Args:
        path: the file.
        outputs, shapes, signature, quick: as for `reference_engine`.
        limits: what the engine may use.

    Raises UnsupportedError if mpscnn does not read an operator of the file, WeightsError if the file is damaged, and
    the errors of `ConfinedEngine`.
    """
    suffix = engine_key(path)
    if suffix == ".onnx":
        from mpscnn.converters.reading.onnx.cut import cut_onnx
        from mpscnn.converters.reading.onnx.file import read_onnx
        from mpscnn.converters.reading.onnx.reader import written_heads

        outputs = outputs or written_heads(read_onnx(path))
        return onnxruntime_engine(path.name, cut_onnx(path, outputs), outputs, shapes, limits)
    if suffix == ".tflite":
        from mpscnn.converters.reading.tflite.cut import cut_tflite
        from mpscnn.converters.reading.tflite.detection import own_heads

        return litert_engine(
            path.name, cut_tflite(path, signature), limits, quick=quick, heads=own_heads(path)
        )
    if suffix == ".pb":
        from mpscnn.converters.reading.tensorflow.cut import cut_tensorflow

        graph = cut_tensorflow(path, outputs, signature)
        options: dict[str, Any] = {"inputs": graph.inputs, "places": graph.places, "outputs": graph.outputs}
        return ConfinedEngine("tensorflow", path.name, options, [_bytes(graph.content)], limits)
    from mpscnn.converters.reading.keras.cut import cut_keras

    model = cut_keras(path)
    options = {"config": model.config, "weights": model.places}
    return ConfinedEngine("keras", path.name, options, model.arrays, limits)


def onnxruntime_engine(
    name: str, content: bytes, outputs: Sequence[str], shapes: Shapes | None, limits: Limits
) -> ConfinedEngine:
    """Return onnxruntime with an ONNX model that mpscnn has written."""
    options: dict[str, Any] = {"outputs": list(outputs), "shapes": dict(shapes) if shapes else None}
    return ConfinedEngine("onnxruntime", name, options, [_bytes(content)], limits)


def litert_engine(
    name: str, content: bytes, limits: Limits, *, quick: bool = False, heads: Sequence[str] = ()
) -> ConfinedEngine:
    """Return LiteRT with a TensorFlow Lite file that mpscnn has written."""
    return ConfinedEngine("litert", name, {"quick": quick, "heads": list(heads)}, [_bytes(content)], limits)


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)
