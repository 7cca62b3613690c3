"""The engines that files of other frameworks come from."""

from __future__ import annotations

#: By suffix: the module that runs files, and what pip calls its package.
OWN_ENGINES = {
    ".onnx": ("onnxruntime", "onnxruntime"),
    ".tflite": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ".keras": ("keras", "keras"),
    ".h5": ("keras", "keras"),
    ".hdf5": ("keras", "keras"),
}

#: By suffix: why no engine here runs such files.
NO_ENGINE = dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML predicts on macOS only")
