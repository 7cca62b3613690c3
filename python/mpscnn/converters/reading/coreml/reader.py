"""Convert Core ML models to networks of mpscnn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.finishing.photo_input import WeightNote
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.converters.reading.coreml.compiled import read_compiled
from mpscnn.converters.reading.coreml.features import feature
from mpscnn.converters.reading.coreml.file import CoremlFile, read_coreml
from mpscnn.converters.reading.coreml.neural.reader import read_neural_network
from mpscnn.converters.reading.coreml.pipeline import (
    PostProcessing,
    boxes_and_scores,
    detector_post_processing,
    make_detector,
    pipeline_parts,
    refuse_networks_of_apple,
    vectorizer_note,
)
from mpscnn.converters.reading.coreml.placing import PLACING, state_placing
from mpscnn.converters.reading.coreml.program.reader import description_of, other_functions, read_program
from mpscnn.converters.reading.coreml.schema import OTHER_MODELS
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import has_integers
from mpscnn.graph.settings import copy_origin, copy_settings

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    return convert(read_coreml(only(paths)), options)


def read_compiled_model(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    return convert(read_compiled(only(paths)), options)


def convert(file: CoremlFile, options: ReadOptions) -> Network:
    """Return the network of a model.

    Raises:
        UnsupportedError: mpscnn does not support some layers (the message names all of them), or this kind of model.
            WeightsError: the file contradicts itself. ParameterError: the options name an input or output that the file
            does not have, or a shape that contradicts it.
    """
    with prefix_errors(file.origin):
        if options.signature is not None and not file.model.has(_PROGRAM):
            raise ParameterError(
                f"{file.origin}: only programs (mlProgram) have functions that can be chosen"
            )
        network = _network(file, file.model, options)
        state_placing(network, _text_of(file.model.description.metadata, PLACING))
        network.notes += file.notes
        if file.weights.decompressed and not has_integers(network):
            network.notes.append(_DECOMPRESSED)
        return network


def _text_of(metadata: Any, key: str) -> str | None:
    """Return an entry of the metadata; None if it has none."""
    return next((entry.value for entry in metadata.userDefined if entry.key == key), None)


def _with_allowed_sizes(network: Network, description: Any, origin: str) -> Network:
    """Return the network with the sizes that its description allows for inputs whose size stays free.

    The inputs are those of the description, in its order: a network may rename them.
    """
    described = [feature(message, origin) for message in description.input]
    if len(described) != len(network.inputs):
        return network
    structure = network.to_dict()
    for entry, tensor, one in zip(structure["inputs"], network.inputs, described, strict=True):
        if sizes := one.allowed_sizes(tensor.shape[1:]):
            entry["sizes"] = sizes
    if not any("sizes" in entry for entry in structure["inputs"]):
        return network
    limited = network.restructured(structure)
    copy_settings(network, limited)
    copy_origin(network, limited)
    return limited


def _network(
    file: CoremlFile, model: Any, options: ReadOptions, post_processing: PostProcessing | None = None
) -> Network:
    for kind in _NETWORKS:
        if model.has(kind):
            held = getattr(model, kind)
            network = read_neural_network(file, model, held, options, post_processing)
            network.notes += left_out("its settings for training", _training(held.updateParams))
            return _with_allowed_sizes(network, model.description, file.origin)
    if model.has(_PROGRAM):
        network = read_program(file, model, options, post_processing)
        others = other_functions(model, options.signature)
        network.notes += left_out("other functions", map(quote_name, others))
        return _with_allowed_sizes(network, description_of(model, options.signature), file.origin)
    if post_processing is None:
        for kind in _PIPELINES:
            if model.has(kind):
                held = getattr(model, kind)
                pipeline = held if kind == "pipeline" else held.pipeline
                return _pipeline(file, model.description, pipeline, options)
    for kind in OTHER_MODELS:
        if model.has(kind):
            refuse_networks_of_apple([kind])
            raise UnsupportedError(
                f"it is a model of the kind {kind}, not a network; supported are {_SUPPORTED}"
            )
    raise UnsupportedError(
        f"it holds no network that this version of mpscnn knows; supported are {_SUPPORTED}"
    )


def _training(updating: Any) -> Iterator[str]:
    """Yield descriptions of what a network states for its training on a device."""
    yield from (f"the loss {quote_name(loss.name)}" for loss in updating.lossLayers)
    for kind in ("sgdOptimizer", "adamOptimizer"):
        if updating.optimizer.has(kind):
            yield f"the {kind}"


def _pipeline(file: CoremlFile, description: Any, pipeline: Any, options: ReadOptions) -> Network:
    parts = pipeline_parts(pipeline, (*_NETWORKS, _PROGRAM))
    suppression = parts.suppression
    if suppression is None:
        network = _network(file, parts.network, options)
    else:
        places = boxes_and_scores(parts.network, suppression)
        network = _network(file, parts.network, options, detector_post_processing(places, suppression))
        make_detector(network, places, description, suppression, file.origin)
    network.notes += [vectorizer_note(one) for one in parts.left_out]
    return network


_PROGRAM = "mlProgram"
_DECOMPRESSED = WeightNote(
    "its compressed weights become floats; dtype='uint8' (--dtype uint8) writes 8-bit weights again"
)
_SUPPORTED = "neural networks, programs (mlProgram), and pipelines of a network with a suppression of boxes"
