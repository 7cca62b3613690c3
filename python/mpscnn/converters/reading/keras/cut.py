"""Write a Keras model again from what is read of it, for a check in Keras."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.config import MODELS, KerasModel
from mpscnn.converters.reading.keras.file import read_keras
from mpscnn.converters.reading.keras.layers import FUNCTIONS, ROWS
from mpscnn.converters.reading.keras.weights import Path, WeightSource, weight_roles
from mpscnn.errors import UnsupportedError

#: Classes that Keras makes of a description. The marks stand for tensors, slices and tuples.
_CLASSES = {
    *MODELS, *ROWS, *FUNCTIONS, "InputLayer", "TimeDistributed",
    "__keras_tensor__", "__slice__", "__tuple__", "__ellipsis__",
} - {"TFOpLambda", "Lambda"}  # fmt: skip
_POLICIES = ("DTypePolicy", "Policy")
#: The ends of settings for training, and settings of an object that name code.
_TRAINING = ("initializer", "regularizer", "constraint")
_LEFT_OUT = ("registered_name", "build_config", "compile_config", "quantization_config")


@dataclass(frozen=True)
class CutModel:
    """A Keras model without settings for training, and without names of other code than that of Keras.

    Attributes:
        config: its description as JSON.
        places: the path of the layer and the role of each weight.
        arrays: the weights.
    """

    config: str
    places: list[tuple[Path, str]]
    arrays: list[NDArray[Any]]


def cut_keras(path: FilePath) -> CutModel:
    """Return the model of a file.

    Raises UnsupportedError for a class that mpscnn does not read, and the errors of the reader.
    """
    file = read_keras(path)
    try:
        config = json.dumps(_plain(file.entry))
    except RecursionError as error:
        raise UnsupportedError(
            f"{path}: its description is nested too deeply, which is not supported"
        ) from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error
    weights = list(_weights(file.model, (), file.weights))
    return CutModel(config, [(layer, role) for layer, role, _ in weights], [array for *_, array in weights])


def _weights(model: KerasModel, path: Path, source: WeightSource) -> Iterator[tuple[Path, str, NDArray[Any]]]:
    for layer in model.layers:
        inner = (*path, layer.name)
        if layer.model is not None:
            yield from _weights(layer.model, inner, source)
        elif weight_roles(layer) and not layer.is_function:
            for role, array in source.of(inner, layer).items():
                yield inner, role, array


def _plain(value: Any) -> Any:
    """Return a part of a description with only what Keras computes. Raises UnsupportedError for another class."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if "class_name" not in value:
        return {key: _plain(one) for key, one in value.items() if not key.endswith(_TRAINING)}
    kind, config = value["class_name"], value.get("config")
    if kind in _POLICIES and isinstance(config, Mapping):
        return config.get("name")
    if kind == "function" and isinstance(config, str):
        return config
    module = value.get("module")
    if kind not in _CLASSES or (module is not None and str(module).partition(".")[0] != "keras"):
        raise UnsupportedError(
            f"mpscnn does not read its class {quote_name(str(kind))}, so that it is not run"
        )
    return {key: _plain(one) for key, one in value.items() if key not in _LEFT_OUT}
