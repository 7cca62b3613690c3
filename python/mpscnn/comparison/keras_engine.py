"""Run Keras models with Keras."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.trace import ACTIVATION, NORMALIZATION, Array, Steps, Trace, Value
from mpscnn.converters.reading.keras.live_layers import inner_layer, layer_at
from mpscnn.converters.reading.keras.weights import inner_weight_position
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


#: Backends of Keras in the order of preference: torch's imports take a third of the time of TensorFlow's.
BACKENDS = ("torch", "tensorflow", "jax")
#: Packages that Keras imports for training, pictures and notebooks, if they are installed.
_NEEDLESS = ("IPython", "cv2", "huggingface_hub", "matplotlib", "pandas", "psutil", "pydot", "sklearn")


def installed_backend() -> str | None:
    """Return the backend that Keras would use here; None if none is installed."""
    return next((name for name in BACKENDS if importlib.util.find_spec(name) is not None), None)


def import_keras() -> None:
    """Import Keras in a process that only runs networks: with an installed backend, and without what it can miss.

    Without KERAS_BACKEND, Keras imports TensorFlow.
    """
    backend = installed_backend()
    if "keras" not in sys.modules and backend is not None:
        used = os.environ.setdefault("KERAS_BACKEND", backend)
        for name in (*_NEEDLESS, *(("requests",) if used == "torch" else ())):  # TensorFlow needs requests
            sys.modules.setdefault(name, cast("ModuleType", None))
        if used == "torch":
            torch: Any = import_module("torch")
            torch._dynamo = sys.modules.setdefault(_Dynamo.NAME, _Dynamo(_Dynamo.NAME))
    import_module("keras")


class _Dynamo(ModuleType):
    """Stands for torch's compiler, until something of it but `disable` is used.

    Keras imports it for this decorator, and calls no compiler to run a network. Its import takes more than two seconds.
    """

    NAME = "torch._dynamo"

    @staticmethod
    def disable(function: Any = None, **_: Any) -> Any:
        """Return the function, or a decorator that returns it: nothing is compiled."""
        return (lambda decorated: decorated) if function is None else function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.NAME) is self:
            del sys.modules[self.NAME]
        return getattr(import_module(self.NAME), name)


class KerasEngine:
    """A model, run by Keras.

    Args:
        name: the name of the file.
        config: the description of the model as JSON, with classes of Keras only.
        places: the path of the layer and the role of each weight.
        arrays: the weights.

    Raises WeightsError if Keras cannot make the model.
    """

    precision = "float32"
    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(
        self,
        name: str,
        config: str,
        places: Sequence[tuple[Sequence[str], str]],
        arrays: Sequence[NDArray[Any]],
    ) -> None:
        try:
            self._model = _model(json.loads(config))
            _set_weights(self._model, places, arrays)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise WeightsError(f"{name}: Keras cannot read it: {error}") from error
        self.title = f"{name} (Keras)"
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


def _model(entry: dict[str, Any]) -> Any:
    """Return the model of a description. Files of Keras 1 and 2, and .h5 files, state no modules of classes."""
    import keras

    if "module" in entry:
        return keras.models.model_from_json(json.dumps(entry))
    from keras.src.legacy.saving import saving_options, saving_utils

    with saving_options.keras_option_scope(use_legacy_config=True):
        return saving_utils.model_from_config(entry)


def _set_weights(
    model: Any, places: Sequence[tuple[Sequence[str], str]], arrays: Sequence[NDArray[Any]]
) -> None:
    """Set all weights, in the way in which Keras loads those of a file."""
    stored: dict[tuple[tuple[str, ...], str], dict[str, NDArray[Any]]] = {}
    for (path, role), array in zip(places, arrays, strict=True):
        part, _, _ = role.rpartition("/")
        own = stored.setdefault((tuple(path), part), {})
        own[str(inner_weight_position(role) if part else len(own))] = array
    for (path, part), own in stored.items():
        layer = layer_at(model, path)
        layer = inner_layer(layer, part) if part else layer
        if type(layer).__name__ == "Normalization":
            own["2"] = np.zeros((), np.int32)  # the number of photos that it has seen
        layer.load_own_variables(own)
