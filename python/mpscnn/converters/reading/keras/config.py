"""Parse the JSON of a Keras model: its layers and their connections. No code in it is executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.settings import Settings
from mpscnn.errors import UnsupportedError, WeightsError

MODELS = ("Functional", "Model", "Sequential")
_MAX_NESTING = 32
_TOO_DEEP = f"models are nested more than {_MAX_NESTING} deep, which is not supported"
_MAX_LAYERS = 10_000
# Layers whose settings in .h5 files do not state whether they are trained.
_WITHOUT_TRAINABLE = ("InputLayer", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")


@dataclass(frozen=True)
class Source:
    """A reference to a result of a call of a layer. A layer that is shared has several calls."""

    layer: str
    call: int
    result: int


@dataclass(frozen=True)
class Call:
    """The arguments of a layer's call: sources, constants, and lists of them."""

    arguments: list[Any]
    keywords: dict[str, Any]

    def sources(self) -> list[Source]:
        """Return all sources, in order."""
        return list(sources_in([self.arguments, list(self.keywords.values())]))


@dataclass(frozen=True)
class KerasLayer:
    """A layer, or a model that is used as a layer."""

    kind: str
    name: str
    settings: Settings
    calls: list[Call]
    model: KerasModel | None = None
    is_function: bool = False
    """True for a call of a function of keras.ops, which has no weights."""
    is_custom: bool = False
    """True for a custom class of the file's author, even if it has the name of one of Keras's classes."""
    identity: int | None = None
    """A number that is equal for all occurrences of a layer which several models share."""

    @property
    def trainable(self) -> bool:
        """Whether the layer is trained. This decides on the order of weights in old files."""
        return self.settings.flag("trainable", True)


@dataclass(frozen=True)
class KerasModel:
    """A model: its layers in the order of the file, its inputs and its outputs."""

    kind: str
    name: str
    layers: list[KerasLayer]
    inputs: list[Source]
    outputs: list[Source]

    def by_name(self) -> dict[str, KerasLayer]:
        """Return the layers by name."""
        return {layer.name: layer for layer in self.layers}


def parse_model(entry: Any, nesting: int = 0) -> KerasModel:
    """Return the model of a JSON entry {"class_name": ..., "config": ...}. Raises WeightsError for anything else."""
    if nesting > _MAX_NESTING:
        raise UnsupportedError(_TOO_DEEP)
    if not isinstance(entry, Mapping) or entry.get("class_name") not in MODELS:
        kind = entry.get("class_name") if isinstance(entry, Mapping) else entry
        if isinstance(kind, str) and nesting == 0:
            raise UnsupportedError(
                f"its model is {quote_name(kind)}, a class whose code is not in the file; read are {', '.join(MODELS)}"
                ": export the model as ONNX"
            )
        raise WeightsError(f"damaged: its model is {quote_name(str(kind))}")
    config = entry.get("config")
    if entry["class_name"] == "Sequential":
        return _sequential(config, nesting)
    if not isinstance(config, Mapping):
        raise WeightsError("damaged: its model has no settings")
    entries = _entries(config)
    layers = [_layer(one, nesting) for one in entries]
    name = config.get("name")
    inputs, outputs = (list(_references(config.get(key))) for key in ("input_layers", "output_layers"))
    model = KerasModel("Functional", name if isinstance(name, str) else "model", layers, inputs, outputs)
    of_keras_3 = any(isinstance(node, Mapping) for one in entries for node in one.get("inbound_nodes") or [])
    return _with_counted_outputs(model) if of_keras_3 else _renumbered(model)


def _entries(config: Any) -> list[Any]:
    listed = config.get("layers") if isinstance(config, Mapping) else config
    if not isinstance(listed, list) or not listed:
        raise WeightsError("damaged: its model has no layers")
    if len(listed) > _MAX_LAYERS:
        raise UnsupportedError(f"has {len(listed)} layers; more than {_MAX_LAYERS} are not supported")
    return listed


def _layer(entry: Any, nesting: int) -> KerasLayer:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("class_name"), str):
        raise WeightsError("damaged: a layer has no class name")
    config = entry.get("config")
    settings = config if isinstance(config, Mapping) else {}
    name = entry.get("name") or settings.get("name")
    if not isinstance(name, str):
        raise WeightsError(f"damaged: a layer ({quote_name(entry['class_name'])}) has no name")
    kind = "Functional" if entry["class_name"] == "Model" else entry["class_name"]
    nodes = entry.get("inbound_nodes") or []
    if not isinstance(nodes, list):
        raise WeightsError(f"damaged: the calls of layer {quote_name(name)} are not a list")
    identity = entry.get("shared_object_id")
    return KerasLayer(
        kind,
        name,
        Settings(settings),
        [_call(node, name) for node in nodes],
        _inner_model(kind, name, entry, nesting),
        is_function=_is_function(entry, settings, nodes),
        is_custom=is_custom(entry),
        identity=identity if isinstance(identity, int) else None,
    )


def _inner_model(kind: str, name: str, entry: Mapping[str, Any], nesting: int) -> KerasModel | None:
    """Return the model that a layer consists of; None for other layers. The model in TimeDistributed takes one step."""
    if kind in MODELS:
        return parse_model(entry, nesting + 1)
    if kind != "TimeDistributed" or is_custom(entry):
        return None
    if nesting > _MAX_NESTING:
        raise UnsupportedError(_TOO_DEEP)
    step, inner = Source("step", 0, 0), _layer((entry.get("config") or {}).get("layer"), nesting + 1)
    if inner.name == step.layer:
        step = replace(step, layer="input")
    layers = [
        KerasLayer("InputLayer", step.layer, Settings({}), []),
        replace(inner, calls=[Call([step], {})]),
    ]
    return KerasModel("TimeDistributed", name, layers, [step], [Source(inner.name, 0, 0)])


def _is_function(entry: Mapping[str, Any], settings: Mapping[str, Any], nodes: list[Any]) -> bool:
    """Return True if an entry is a function of keras.ops and not a layer.

    .keras files state the module of a class. In .h5 files of Keras 3, layers state whether they are trained, and
    functions do not.
    """
    if "module" in entry:
        return isinstance(entry["module"], str) and ".ops" in entry["module"]
    return (
        entry["class_name"] not in _WITHOUT_TRAINABLE
        and "trainable" not in settings
        and any(isinstance(node, Mapping) for node in nodes)
    )


def is_custom(entry: Mapping[str, Any]) -> bool:
    """Return True if an entry is a custom class. .keras files state its module, .h5 files "package>Class"."""
    if "module" in entry:
        module = entry["module"]
        return not isinstance(module, str) or module.partition(".")[0] not in (
            "keras",
            "tf_keras",
            "builtins",
        )
    return not is_keras_own(entry["class_name"])


def is_keras_own(name: str) -> bool:
    """Return True if the registered name of a class or function is one of Keras's. Custom ones are "package>name"."""
    package, mark, _ = name.rpartition(">")
    return not mark or package.lower() == "keras"


def _sequential(config: Any, nesting: int) -> KerasModel:
    """Parse a Sequential model. If the file has no InputLayer, one is added in front."""
    layers = [_layer(one, nesting) for one in _entries(config)]
    general = config if isinstance(config, Mapping) else {}
    if layers[0].kind != "InputLayer":
        shape = general.get("build_input_shape") or _first_shape(layers[0])
        taken = {layer.name for layer in layers}
        free = next(one for one in ("input", "input_layer", "model_input") if one not in taken)
        layers.insert(0, KerasLayer("InputLayer", free, Settings({"batch_shape": shape}), []))
    chained = [layers[0]]
    for before, layer in pairwise(layers):
        call = Call([Source(before.name, 0, 0)], {})
        chained.append(replace(layer, calls=[call]))
    name = general.get("name")
    first, last = Source(chained[0].name, 0, 0), Source(chained[-1].name, 0, 0)
    return KerasModel("Sequential", name if isinstance(name, str) else "sequential", chained, [first], [last])


def _first_shape(layer: KerasLayer) -> Any:
    """Return the input shape that the first layer states. If it states none and is a model, use its first layer."""
    while True:
        stated = layer.settings.values
        if shape := stated.get("batch_shape") or stated.get("batch_input_shape"):
            return shape
        if layer.model is None:
            return None
        layer = layer.model.layers[0]


# ---- Connections -------------------------------------------------------------------------------------------


def _call(node: Any, layer: str) -> Call:
    """Parse a call of a layer.

    Keras 3 writes {"args": [...], "kwargs": {...}}, older versions a list of [layer, call, result, keywords].
    """
    if isinstance(node, Mapping):
        arguments, keywords = node.get("args"), node.get("kwargs")
        if not isinstance(arguments, list) or not isinstance(keywords, Mapping):
            raise WeightsError(f"damaged: a call of layer {quote_name(layer)} has no arguments")
        return Call(
            [_value(one) for one in arguments], {str(key): _value(one) for key, one in keywords.items()}
        )
    if not isinstance(node, list) or not node:
        raise WeightsError(f"damaged: a call of layer {quote_name(layer)} has no inputs")
    if isinstance(node[0], str):  # one input, not in a list
        node = [node]
    given: list[Any] = []
    keywords = {}
    for entry in node:
        if not isinstance(entry, list) or len(entry) not in (3, 4):
            raise WeightsError(f"damaged: an input of layer {quote_name(layer)} is {str(entry)[:80]}")
        given.append(entry[2] if entry[0] == "_CONSTANT_VALUE" else _reference(entry[:3]))
        if len(entry) == 4 and isinstance(entry[3], Mapping):
            keywords |= {str(key): _old_value(one) for key, one in entry[3].items()}
    return Call(given if len(given) == 1 else [given], keywords)


def _array(config: Mapping[str, Any]) -> Any:
    try:
        return np.array(config.get("value"), np.float64)
    except (TypeError, ValueError) as error:
        raise WeightsError("damaged: a constant operand does not consist of numbers") from error


def _slice(config: Mapping[str, Any]) -> slice:
    ends = [config.get(name) for name in ("start", "stop", "step")]
    if not all(one is None or isinstance(one, int) for one in ends) or ends[2] == 0:
        raise UnsupportedError(f"a slice has the ends {str(ends)[:80]}; supported are numbers")
    return slice(*ends)


_CONSTANTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "__ellipsis__": lambda _: ...,
    "__numpy__": _array,
    "__slice__": _slice,
    "__tensor__": _array,
}
"""The functions that read constants in the arguments of calls, by the name of the class."""


def _value(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_value(one) for one in entry]
    if isinstance(entry, Mapping):
        config = entry.get("config")
        if entry.get("class_name") == "__keras_tensor__" and isinstance(config, Mapping):
            return _reference(config.get("keras_history"))
        if entry.get("class_name") in _CONSTANTS and isinstance(config, Mapping):
            return _CONSTANTS[entry["class_name"]](config)
        return {str(key): _value(one) for key, one in entry.items()}
    return entry


def _old_value(entry: Any) -> Any:
    return _reference(entry) if _is_reference(entry) else entry


def _is_reference(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and all(isinstance(number, int) and not isinstance(number, bool) for number in entry[1:])
    )


def _reference(entry: Any) -> Source:
    if not _is_reference(entry) or min(entry[1:]) < 0:
        raise WeightsError(f"damaged: {str(entry)[:80]} is not a result of a layer")
    return Source(*entry)


def _references(entry: Any) -> Iterator[Source]:
    """Yield the model's inputs or outputs, which the file states as one reference, a list, or a mapping."""
    if _is_reference(entry):
        yield _reference(entry)
        return
    inner = list(entry.values()) if isinstance(entry, Mapping) else entry
    if not isinstance(inner, list):
        raise WeightsError("damaged: its model does not say what its inputs and outputs are")
    for one in inner:
        yield from _references(one)


def sources_in(value: Any) -> Iterator[Source]:
    """Yield the sources in nested lists and mappings, in order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Source):
            yield one
        elif isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, Mapping):
            waiting += reversed(list(one.values()))


def _with_counted_outputs(model: KerasModel) -> KerasModel:
    """Renumber calls of functional models in the outputs from 0, because Keras 3 counts them from 1 only there."""
    functional = {layer.name for layer in model.layers if layer.kind == "Functional"}
    outputs = [
        replace(source, call=source.call - 1) if source.layer in functional and source.call else source
        for source in model.outputs
    ]
    return replace(model, outputs=outputs)


def _renumbered(model: KerasModel) -> KerasModel:
    """Renumber the calls of models that are used as layers from 0.

    Keras 2 counts them from 1, because the construction of the model counts as the first call.
    """
    calls = {layer.name: len(layer.calls) for layer in model.layers if layer.model is not None}
    used = [source for layer in model.layers for call in layer.calls for source in call.sources()]
    late = {source.layer for source in used + model.outputs if source.call == calls.get(source.layer)}
    if not late:
        return model

    def moved(value: Any) -> Any:
        if isinstance(value, Source) and value.layer in late:
            if value.call == 0:
                raise WeightsError(
                    f"damaged: calls of model {quote_name(value.layer)} are counted from 0 and from 1"
                )
            return Source(value.layer, value.call - 1, value.result)
        if isinstance(value, list):
            return [moved(one) for one in value]
        if isinstance(value, Mapping):
            return {key: moved(one) for key, one in value.items()}
        return value

    layers = [
        replace(layer, calls=[Call(moved(call.arguments), moved(call.keywords)) for call in layer.calls])
        for layer in model.layers
    ]
    return KerasModel(model.kind, model.name, layers, model.inputs, moved(model.outputs))


# ---- Order -------------------------------------------------------------------------------------------------


def calls_in_order(model: KerasModel) -> list[tuple[KerasLayer, int]]:
    """Return the calls that the outputs depend on, in topological order. Raises WeightsError for a cycle."""
    layers = model.by_name()
    if len(layers) < len(model.layers):
        raise WeightsError(f"damaged: two layers of model {quote_name(model.name)} have one name")
    fixed = {source.layer for source in model.inputs}
    ordered: list[tuple[KerasLayer, int]] = []
    state: dict[tuple[str, int], bool] = {}  # False: the search has begun with a call; True: the call is done
    waiting = [(source, False) for source in reversed(model.outputs)]
    while waiting:
        source, inputs_done = waiting.pop()
        key = source.layer, source.call
        if source.layer in fixed or state.get(key):
            continue
        layer = layers.get(source.layer)
        if layer is None or source.call >= len(layer.calls):
            raise WeightsError(f"damaged: there is no call {source.call} of layer {quote_name(source.layer)}")
        if inputs_done:
            state[key] = True
            ordered.append((layer, source.call))
            continue
        if key in state:
            raise WeightsError(f"damaged: layer {quote_name(source.layer)} needs its own result")
        state[key] = False
        waiting.append((source, True))
        waiting += [(one, False) for one in reversed(layer.calls[source.call].sources())]
    return ordered
