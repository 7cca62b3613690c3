"""List the engines of other formats, in which `mpscnn convert` and `mpscnn compare` run a file."""

from __future__ import annotations

from pathlib import Path

from mpscnn.converters.opening.format_detection import is_saved_model
from mpscnn.converters.reading.coreai.archive import is_archived
from mpscnn.converters.reading.coreai.asset import ASSET

#: For each suffix: the Python module that runs such files, and the name of its package on PyPI.
REFERENCE_ENGINES = {
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".tflite": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ".keras": ("keras", "keras"),
    ".h5": ("keras", "keras"),
    ".hdf5": ("keras", "keras"),
    ".pb": ("tensorflow", "tensorflow"),
}

#: For suffixes without an engine: the reason.
NO_REFERENCE_ENGINE = {
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML predicts on macOS only"),
    ".index": "a checkpoint has weights, but not the network that they belong to",
    ".json": "TensorFlow.js runs in browsers only",
}


def engine_key(path: Path) -> str:
    """Return a file's key in these tables: its suffix, or ".pb" for the folder of a SavedModel.

    The key of an archived asset of Core AI is that of the asset.
    """
    if is_archived(path):
        return ASSET
    return ".pb" if is_saved_model(path) else path.suffix.lower()
