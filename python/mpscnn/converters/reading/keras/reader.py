"""Convert Keras models to networks."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mpscnn._private.names import did_you_mean
from mpscnn.converters.finishing.photo_input import takes_photos
from mpscnn.converters.finishing.renaming import make_distinct
from mpscnn.converters.opening.budget import Budget, max_calls
from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.opening.unsupported import UnsupportedLayers
from mpscnn.converters.reading.keras.config import KerasLayer, KerasModel, Source, calls_in_order
from mpscnn.converters.reading.keras.file import KerasFile, read_keras
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.layers import (
    FUNCTIONS,
    POINTWISE,
    REFUSED,
    ROWS,
    differs_in_training,
)
from mpscnn.converters.reading.keras.row_calls import call_row
from mpscnn.converters.reading.keras.weights import Path
from mpscnn.converters.values.float32_intermediates import Operators
from mpscnn.converters.values.layout import batch_atom
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.rows import Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

_UNKNOWN = "mpscnn has no such layer yet"
_CUSTOM = "is a class of the file's author, whose code is not in the file"
_IN_TRAINING = "is called with training=True, so its results are random or combine images: call it without"
_QUANTIZED = "is quantised by Keras: save the model before Model.quantize is called"
_MAX_STEPS = 1024
# A model that scales its input by at most this factor (255 becomes about 2) takes photos with samples 0 to 255.
_MAX_SCALE = 2.01 / 255.0


def read(paths: Sequence[pathlib.Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    return convert(read_keras(only(paths)), options)


def convert(file: KerasFile, options: ReadOptions) -> Network:
    """Return the network of a file.

    Raises:
        UnsupportedError: mpscnn does not support some layers; the message names all of them. WeightsError: the file
            contradicts itself. ParameterError: options that do not fit the file.
    """
    names = LayerNames()
    options.check_inputs([source.layer for source in file.model.inputs], file.origin)
    network = options.network(_input_shapes(file, names, options), file.origin)
    outputs = _Converter(file, network, names, _model_to(file, options)).run()
    for value in make_distinct(network, names, outputs, file.origin):
        network.output(value)
    network.preprocess = _preprocess(network)
    network.notes += file.notes
    return network


def _model_to(file: KerasFile, options: ReadOptions) -> KerasModel:
    """Return the model with the results of the chosen layers as outputs.

    If a layer has several calls, the last one is used.
    """
    if not options.outputs:
        return file.model
    layers, outputs = file.model.by_name(), []
    for name in options.outputs:
        layer = layers.get(name)
        if layer is None or not layer.calls:
            raise ParameterError(
                f"{file.origin}: there is no layer {quote_name(name)}{did_you_mean(name, list(layers))}"
            )
        outputs.append(Source(name, len(layer.calls) - 1, 0))
    return replace(file.model, outputs=outputs)


def _input_shapes(
    file: KerasFile, names: LayerNames, options: ReadOptions
) -> dict[str, Sequence[int | None]]:
    layers = file.model.by_name()
    shapes: dict[str, Sequence[int | None]] = {}
    for source in file.model.inputs:
        layer = layers.get(source.layer)
        where = f"{file.origin}: input {quote_name(source.layer)}"
        if layer is None or layer.kind != "InputLayer":
            raise WeightsError(f"{where}: there is no such input layer")
        extents = options.shape_of(source.layer, _extents(layer, where), where)
        extents = options.sized(extents or (), where)
        if extents[-1] is None:
            raise UnsupportedError(f"{where}: its number of channels is free; only height and width may be")
        is_image = len(file.model.inputs) == 1 and len(extents) == 4
        shapes[names.unique("image" if is_image else source.layer)] = extents[1:]
    if not shapes:
        raise WeightsError(f"{file.origin}: damaged: its model has no input")
    return shapes


def _extents(layer: KerasLayer, where: str) -> tuple[int | None, ...]:
    """Return the shape of an input layer with the batch, and None for free extents."""
    values = layer.settings.values
    given = values.get("batch_shape") or values.get("batch_input_shape")
    if given is None and isinstance(values.get("shape"), list):
        given = [None, *values["shape"]]
    if not isinstance(given, list) or len(given) < 2 or len(given) > 8:
        raise WeightsError(f"{where}: the file does not say its shape: save the model after it was built")
    extents: list[int | None] = [None]
    for extent in given[1:]:
        whole = isinstance(extent, int) and not isinstance(extent, bool) and 0 < extent < 2**31
        if extent is not None and not whole:
            raise WeightsError(f"{where}: damaged: its shape is {str(given)[:80]}")
        extents.append(extent)
    return tuple(extents)


def _preprocess(network: Network) -> str | None:
    """Return the preprocessing "none" for photos if the network itself scales their samples; otherwise None."""
    if not takes_photos(network):
        return None
    readers = [node for node in network.to_dict()["nodes"] if network.input.name in node["inputs"]]
    if len(readers) != 1 or readers[0]["operation"] != "neuron":
        return None
    attributes = readers[0]["attributes"]
    scales = attributes.get("kind") == "linear" and 0.0 < attributes.get("a", 0.0) <= _MAX_SCALE
    return "none" if scales else None


class _Converter:
    """Adds a file's layers to a network."""

    def __init__(self, file: KerasFile, network: Network, names: LayerNames, model: KerasModel) -> None:
        self._file = file
        self._whole = model
        self._network = network
        self._names = names
        self._unsupported = UnsupportedLayers(file.origin)
        self._orders: dict[int, list[tuple[KerasLayer, int]]] = {}
        self._calls = 0
        self._converted: set[Path] = set()
        self._operators = Operators(network)
        self._arranger = Arranger(network, batch_atom(None), names.unique, Budget(lambda: file.size))

    def run(self) -> list[Tensor]:
        """Return the network's outputs."""
        inputs = [FileTensor.from_tensor(self._arranger, tensor) for tensor in self._network.inputs]
        values = self._model(self._whole, (), list(inputs))
        if self._unsupported:
            raise self._unsupported.error()
        outputs = [
            self._output(source, value)
            for source, value in zip(self._whole.outputs, values, strict=True)
            if value is not None
        ]
        self._operators.keep()
        return outputs

    def _output(self, source: Source, value: FileTensor) -> Tensor:
        """Return an output with the axes of the file. A layer that is added for this gets the output's name."""
        where = f"{self._file.origin}: its output {quote_name(source.layer)}"
        self._arranger.name = lambda suffix: self._names.unique(
            source.layer if self._names.is_free(source.layer) else source.layer + suffix
        )
        if not value.has_batch_first or value.rank < 2:
            raise UnsupportedError(
                f"{where} is {value.shown}; supported are outputs whose first axis is the batch"
            )
        try:
            return self._arranger.physical(value, value.axes[1:])
        except UnsupportedError as error:
            raise UnsupportedError(f"{where}: {error}") from error

    def _model(
        self, model: KerasModel, path: Path, inputs: Sequence[FileTensor | None], *, training: bool = False
    ) -> list[FileTensor | None]:
        """Convert a model and return its outputs. They are None if they depend on unsupported layers.

        `training` is the mode of calls that state none.
        """
        if len(inputs) != len(model.inputs):
            raise WeightsError(
                f"{self._file.origin}: model {quote_name(model.name)} has {len(model.inputs)} inputs, "
                f"but is called with {len(inputs)}"
            )
        values: dict[Source, FileTensor | None] = dict(zip(model.inputs, inputs, strict=True))
        if id(model) not in self._orders:
            try:
                self._orders[id(model)] = calls_in_order(model)
            except WeightsError as error:
                raise WeightsError(f"{self._file.origin}: {error}") from error
        for layer, call in self._orders[id(model)]:
            self._calls += 1
            if self._calls > (allowed := max_calls(self._file.size)):
                raise UnsupportedError(
                    f"{self._file.origin}: applies its layers more than the {allowed} times allowed for a file of "
                    f"{self._file.size} bytes"
                )
            self._apply(layer, call, (*path, layer.name), values, training)
        return [self._result(values, source) for source in model.outputs]

    def _over_steps(
        self, model: KerasModel, path: Path, inputs: Sequence[FileTensor | None], *, training: bool = False
    ) -> list[FileTensor | None]:
        """Convert a model that TimeDistributed applies to each step, which is axis 1, and return its output.

        Layers that compute each position alone are applied to all steps at a time.
        """
        x = inputs[0] if len(inputs) == 1 else None
        if x is None or model.layers[-1].kind in POINTWISE:
            return self._model(model, path, inputs, training=training)

        def steps() -> list[FileTensor]:
            count = x.known_extent(1, "applies a layer to each step of")
            if count > _MAX_STEPS:
                raise UnsupportedError(f"applies a layer to {count} steps; supported are {_MAX_STEPS}")
            return [x.slice_axis(1, range(step, step + 1)).squeeze([1]) for step in range(count)]

        results: list[FileTensor] = []
        for one in self._attempt("TimeDistributed", path, steps):
            (y,) = self._model(model, path, [one], training=training)
            if y is None:
                return [None]
            results.append(y.expand_dims([1]))
        joined = self._attempt(
            "TimeDistributed", path, lambda: [one.concat(results[1:], 1) for one in results[:1]]
        )
        return [*joined] or [None]

    def _attempt(self, kind: str, path: Path, convert: Callable[[], Any]) -> list[FileTensor]:
        """Convert a layer and return its results; none if it is not supported."""
        made: list[FileTensor] = []
        self._arranger.name = lambda suffix: self._names.unique("/".join(path) + suffix)

        def attempt() -> None:
            results = convert()
            made.extend(results if isinstance(results, list) else [results])

        free = any(None in value.shape[1:] for value in self._network.inputs)
        self._unsupported.attempt(kind, "/".join(path), attempt, free_size=free)
        self._operators.ended({value.tensor.name: value.tensor.name for value in made})
        return made

    def _apply(
        self,
        layer: KerasLayer,
        call: int,
        path: Path,
        values: dict[Source, FileTensor | None],
        training: bool,
    ) -> None:
        given = [self._result(values, source) for source in layer.calls[call].sources()]
        stated = layer.calls[call].keywords.get("training")
        training = training if stated is None else stated is True
        if layer.model is not None:
            apply = self._over_steps if layer.kind == "TimeDistributed" else self._model
            for number, value in enumerate(apply(layer.model, path, given, training=training)):
                values[Source(layer.name, call, number)] = value
            return
        result = Source(layer.name, call, 0)
        values[result] = None
        row, shown_name = _row(layer), "/".join(path)
        if row is None:
            reason = _CUSTOM if layer.is_custom else REFUSED.get(layer.kind, _UNKNOWN)
            self._unsupported.add(layer.kind, shown_name, reason)
        elif training and differs_in_training(layer):
            self._unsupported.add(layer.kind, shown_name, _IN_TRAINING)
        elif _is_quantized(layer):
            self._unsupported.add(layer.kind, shown_name, _QUANTIZED)
        elif None not in given:
            made = self._attempt(layer.kind, path, lambda: self._called(row, layer, call, path, values))
            values |= {Source(layer.name, call, number): value for number, value in enumerate(made)}

    def _called(
        self,
        row: Row,
        layer: KerasLayer,
        call: int,
        path: Path,
        values: Mapping[Source, FileTensor | None],
    ) -> Any:
        return call_row(row, self._applied(layer, call, path, values), layer.settings.values)

    def _applied(
        self, layer: KerasLayer, call: int, path: Path, values: Mapping[Source, FileTensor | None]
    ) -> LayerCall:
        made = layer.calls[call]
        applied = LayerCall(
            self._arranger,
            layer,
            path,
            _resolved(made.arguments, values),
            _resolved(made.keywords, values),
            names=self._names,
            weights=self._file.weights,
            generation=self._file.generation,
            samples_corners=self._file.samples_corners,
            is_again=path in self._converted,
        )
        self._converted.add(path)
        self._arranger.name = applied.name
        return applied

    def _result(self, values: Mapping[Source, FileTensor | None], source: Source) -> FileTensor | None:
        first = replace(source, result=0)
        if source not in values and first in values and values[first] is None:  # the layer was refused
            return None
        if source not in values:
            raise WeightsError(
                f"{self._file.origin}: damaged: layer {quote_name(source.layer)} has no result {source.result}"
            )
        return values[source]


def _is_quantized(layer: KerasLayer) -> bool:
    """Return True for a layer that `Model.quantize` changed, which rounds its input to few bits, too."""
    policy = layer.settings.values.get("dtype")
    config = policy.get("config") if isinstance(policy, Mapping) else None
    return isinstance(config, Mapping) and "mode" in config  # the policies of other layers have none


def _row(layer: KerasLayer) -> Row | None:
    if layer.is_custom:
        return None
    return (FUNCTIONS if layer.is_function else ROWS).get(layer.kind)


def _resolved(value: Any, values: Mapping[Source, FileTensor | None]) -> Any:
    """Replace sources in nested arguments by their tensors."""
    if isinstance(value, Source):
        return values[value]
    if isinstance(value, list):
        return [_resolved(one, values) for one in value]
    if isinstance(value, Mapping):
        return {key: _resolved(one, values) for key, one in value.items()}
    return value
