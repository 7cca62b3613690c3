"""The engines that files of other frameworks come from."""

from __future__ import annotations

#: The module that runs files of a suffix, and pip's name of its package.
OWN_ENGINES = {
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".tflite": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ".keras": ("keras", "keras"),
    ".h5": ("keras", "keras"),
    ".hdf5": ("keras", "keras"),
}

#: The reason why no engine runs files of a suffix here.
NO_ENGINE = {
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML predicts on macOS only"),
    **dict.fromkeys(
        ("", ".pb", ".index", ".json"), "TensorFlow's own files are not run by TensorFlow in this check"
    ),
}
