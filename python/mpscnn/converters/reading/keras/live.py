"""Convert Keras models in memory to networks."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import require_bool
from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint
from mpscnn.converters.finishing.agreement import require_results, running_original
from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.keras.config import KerasLayer, parse_model
from mpscnn.converters.reading.keras.file import KerasFile
from mpscnn.converters.reading.keras.live_layers import inner_layer, layer_at
from mpscnn.converters.reading.keras.reader import convert
from mpscnn.converters.reading.keras.weights import Path, Weights, inner_weight_position, weight_roles
from mpscnn.converters.values.float32_intermediates import keep_intermediates
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_IMAGES = 2
_FREE_EXTENT = 128  # the height or width of images in the comparison, if the model leaves it free


@accept_foreign_arguments
def from_keras(
    model: Any, *, name: str | None = None, size: tuple[int, int] | None = None, check: bool = True
) -> Network:
    """Convert a Keras 3 model in memory to a network, without a file. Any of Keras' backends may be used.

    Layers keep their names, and free extents stay free. The preprocessing of photos is not known unless the model
    scales them itself, so assign `Network.preprocess`.

    Args:
        model: a built `keras.Model`: sequential or functional, without custom layers.
        name: the name of the network; None: that of the model.
        size: (height, width) of an image input that the model leaves free; None: it stays free.
        check: whether to run the network and the model on random inputs and compare the results.

    Raises:
        ParameterError: `model` is not a Keras model, or `size` contradicts it. UnsupportedError: Keras 3 is not
            installed, the model is not built, or mpscnn does not support some layers (the message names all of them).
            With `check` also if the model fails or a result differs from the model's.
    """
    if importlib.util.find_spec("keras") is None:
        raise UnsupportedError("from_keras needs Keras 3, which is not installed: pip install keras")
    try:
        import keras
    except (ImportError, ValueError) as error:  # the package in which Keras computes is missing or unknown
        raise UnsupportedError(
            f"from_keras needs Keras 3, which cannot be imported: {error}; the environment variable KERAS_BACKEND "
            "names the package in which it computes: torch, jax or tensorflow"
        ) from error

    kind: Any = getattr(keras, "Model", ())
    if not isinstance(model, kind):
        raise ParameterError(
            f"from_keras: expected a keras.Model, got {type(model).__name__}{conversion_hint(model)}"
        )
    if not keras.__version__.startswith("3."):
        raise UnsupportedError(
            f"from_keras needs Keras 3, installed is {keras.__version__}: save the model, and load the file"
        )
    check = require_bool("check", check)
    title = name or str(model.name)
    if not model.built:
        raise UnsupportedError(f"{title}: the model is not built: give its first layer a shape")
    try:
        described = parse_model(json.loads(model.to_json()))
    except NotImplementedError as error:  # a custom class without get_config
        raise UnsupportedError(f"{title}: Keras cannot describe it: {error}") from error
    except UnsupportedError as error:
        raise UnsupportedError(f"{title}: {error}") from error
    file = KerasFile(
        title, described, _LiveWeights(model), 3, sum(weight.nbytes for weight in map(_array, model.weights))
    )
    network = keep_intermediates(simplify(convert(file, ReadOptions(title, size))))
    if check:
        _require_equal(network, model, title)
    return network


class _LiveWeights:
    """The weights of a model's layers, see `WeightSource`."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def of(self, path: Path, layer: KerasLayer) -> Weights:
        """Return a layer's weights by their roles. Raises WeightsError if one is missing."""
        found = layer_at(self._model, path)
        if getattr(found, "quantization_mode", None):
            raise UnsupportedError("its weights are quantised, which is not supported")
        own = _own_arrays(found)
        weights: Weights = {}
        for number, role in enumerate(weight_roles(layer)):
            part, _, _ = role.rpartition("/")
            if role == "count":
                continue
            arrays = _own_arrays(inner_layer(found, part)) if part else own
            place = inner_weight_position(role) if part else number
            if place >= len(arrays):
                raise WeightsError(f"layer {quote_name(layer.name)} has no {role}: build the model first")
            weights[role] = arrays[place]
        return weights


def _own_arrays(layer: Any) -> list[NDArray[np.float32]]:
    """Return the arrays that a layer would save, in the order of a file."""
    stored: dict[str, Any] = {}
    layer.save_own_variables(stored)
    return [_array(stored[str(number)]) for number in range(len(stored))]


def _array(value: Any) -> NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(value)).astype(np.float32)


def _in_float32(model: Any) -> Any:
    """Return the model if all its layers compute in float32. Otherwise return a copy that does."""
    import keras

    described = json.loads(model.to_json())
    if not _set_float32(described):
        return model
    copy = keras.models.model_from_json(json.dumps(described))
    copy.set_weights([_array(weight) for weight in model.weights])
    for one in _models(copy):  # a copied model casts its inputs to the type of Keras's global policy
        one.dtype_policy = "float32"
    return copy


def _models(model: Any) -> Iterator[Any]:
    """Yield a model and the models in it."""
    yield model
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _models(layer)


def _set_float32(described: Any) -> bool:
    """Replace the types in which layers compute by float32. Return False if all were float32."""
    found = False
    waiting = [described]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("class_name") == "DTypePolicy" and one["config"]["name"] != "float32":
                one["config"]["name"] = "float32"
                found = True
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _require_equal(network: Network, model: Any, title: str) -> None:
    """Compare the network and the model on random inputs, on the CPU in float32."""
    import keras

    generator = np.random.default_rng(0)
    given = [
        generator.uniform(
            -1.0, 1.0, (_IMAGES, *(extent or _FREE_EXTENT for extent in tensor.shape[1:]))
        ).astype(np.float32)
        for tensor in network.inputs
    ]
    with running_original(title, "model"):
        results = _in_float32(model)(given if len(given) > 1 else given[0], training=False)
    listed = list(results.values()) if isinstance(results, dict) else keras.tree.flatten(results)
    computed = network.compile(device="cpu", precision="float32").run(given if len(given) > 1 else given[0])
    found = list(computed.values()) if isinstance(computed, dict) else [computed]
    names = [tensor.name for tensor in network.outputs]
    require_results(title, "model", names, found, [_array(one) for one in listed])
