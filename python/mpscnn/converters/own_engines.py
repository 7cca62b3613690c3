"""The engines that files of other frameworks come from."""

from __future__ import annotations

from pathlib import Path

from mpscnn.converters.contents import is_saved_model

#: The module that runs files of a suffix, and pip's name of its package.
OWN_ENGINES = {
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".tflite": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ".keras": ("keras", "keras"),
    ".h5": ("keras", "keras"),
    ".hdf5": ("keras", "keras"),
    ".pb": ("tensorflow", "tensorflow"),
}

#: The reason why no engine runs files of a suffix here.
NO_ENGINE = {
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML predicts on macOS only"),
    ".index": "a checkpoint has weights, but not the network that they belong to",
    ".json": "TensorFlow.js runs in browsers only",
}


def suffix_of(path: Path) -> str:
    """Return the key of a file's engine in these tables. The folder of a SavedModel counts as the graph in it."""
    return ".pb" if is_saved_model(path) else path.suffix.lower()
