"""Run Keras models with Keras."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from mpscnn.comparison.trace import ACTIVATION, NORMALIZATION, Array, Trace, Value
from mpscnn.errors import WeightsError

_KINDS = {
    "Activation": ACTIVATION,
    "Add": "add",
    "AveragePooling2D": "pooling",
    "BatchNormalization": NORMALIZATION,
    "Concatenate": "concatenation",
    "Conv2D": "convolution",
    "Conv2DTranspose": "transposed_convolution",
    "Dense": "dense",
    "DepthwiseConv2D": "convolution",
    "GlobalAveragePooling2D": "pooling",
    "LeakyReLU": ACTIVATION,
    "MaxPooling2D": "pooling",
    "Multiply": "multiply",
    "PReLU": ACTIVATION,
    "ReLU": ACTIVATION,
    "Softmax": "softmax",
    "UpSampling2D": "resize",
    "ZeroPadding2D": "padding",
}
_MOVING = {"Cropping2D", "Dropout", "Flatten", "InputLayer", "Permute", "Reshape"}


#: Backends of Keras in the order of preference. One of them must be installed.
BACKENDS = ("tensorflow", "torch", "jax")


def installed_backend() -> str | None:
    """Return the backend that Keras would use here; None if none is installed."""
    return next((name for name in BACKENDS if importlib.util.find_spec(name) is not None), None)


def choose_backend() -> None:
    """Make Keras use an installed backend. Without KERAS_BACKEND it imports TensorFlow."""
    backend = installed_backend()
    if "keras" not in sys.modules and backend is not None:
        os.environ.setdefault("KERAS_BACKEND", backend)


class KerasEngine:
    """A .keras or .h5 file, run by Keras. Code in it (Lambda layers) is not executed.

    Args:
        path: the file.
    """

    precision = "float32"
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(self, path: Path) -> None:
        choose_backend()
        import keras

        try:
            self._model = keras.models.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError, KeyError) as error:
            raise WeightsError(f"{path}: Keras cannot read it: {error}") from error
        self.title = f"{path.name} (Keras)"
        self.inputs = {tensor.name: tuple(tensor.shape) for tensor in self._model.inputs}

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers.

        Layers of nested models are not listed separately.
        """
        import keras

        model = self._model
        outputs = {id(tensor): f"output {number}" for number, tensor in enumerate(model.outputs)}
        layers = [layer for layer in model.layers if type(layer).__name__ not in _MOVING]
        watched = keras.Model(model.inputs, [*(layer.output for layer in layers), *model.outputs])
        computed = watched(list(inputs), training=False)
        arrays = [np.asarray(keras.ops.convert_to_numpy(array), np.float32) for array in computed]
        values = [
            Value(layer.name, _KINDS.get(type(layer).__name__, ""), array)
            for layer, array in zip(layers, arrays, strict=False)
        ]
        results = [
            Value(name, "", array)
            for name, array in zip(outputs.values(), arrays[len(layers) :], strict=True)
        ]
        return Trace((*values, *results), tuple(outputs.values()))
