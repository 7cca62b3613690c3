"""The commands of the command line, one module for each. A module is imported when its command is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["SENTENCES", "command_function"]

#: The commands in the order of `mpscnn --help`, each with the first sentence of its help. So the list needs no import.
SENTENCES: Mapping[str, str] = {
    "classify": "Print the most probable classes of photos, or of a video's frames.",
    "detect": "Find objects on photos, or on a video's frames.",
    "digits": "Read single handwritten digits.",
    "segment": "Find the class of each pixel of photos, or of a video's frames.",
    "features": "Compute the outputs of layers inside a network for photos or a video's frames, and print their "
    "shapes.",
    "convert": "Convert models of other frameworks to model files, or to ONNX, TensorFlow Lite and Core ML.",
    "compare": "Compare two models, files, engines or precisions on the same input, layer by layer.",
    "check-precision": "Show how a lower precision changes the results of each layer of a network.",
    "compare-precisions": "Compare all precisions of a model by error, accuracy, time and memory.",
    "quantize": "Quantise a model: 8-bit integers instead of floats, a quarter of the size in float32.",
    "info": "Show a model's layers, input, labels and licence, or change its preprocessing and labels.",
    "explain": "Show how the CPU engine computes each layer of a model, and why.",
    "fingerprint": "Print a hash of a model's answers to fixed inputs, for each precision.",
    "models": "List the models that are known by name.",
    "devices": "List the devices of this machine for --device, with the precisions of each.",
    "doctor": "Print all that a bug report needs.",
    "benchmark": "Measure the speed of a network on this machine.",
    "profile": "Show the time of each step of a network, its kernel, and its share of the processor's peak.",
    "train": "Train a classifier, a detector or a segmenter on your photos, or a reader of handwritten digits.",
    "verify": "Test whether a device computes every operation, raw kernel and bundled network as promised.",
    "serve": "Run models as an HTTP service: for photos, and for tensors by the Open Inference Protocol.",
    "evaluate": "Measure the accuracy of a model on labelled photos.",
}


def command_function(name: str) -> Callable[..., None]:
    """Import the module of a command, and return its function. `name` is one of SENTENCES."""
    own = name.replace("-", "_")
    function: Callable[..., None] = getattr(import_module(f"{__name__}.{own}"), own)
    return function
