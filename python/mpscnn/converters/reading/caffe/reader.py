"""Convert Caffe networks to networks of mpscnn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.finishing.photo_input import CAFFE_PHOTOS, takes_photos
from mpscnn.converters.opening.file_bytes import total_size
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.caffe.detection import Priors
from mpscnn.converters.reading.caffe.file import CaffeFile, CaffeLayer, read_caffe
from mpscnn.converters.reading.caffe.layers import ROWS, SEVERAL, refuse_twice, unsupported_reason
from mpscnn.converters.reading.caffe.row_calls import call_row
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import state_scores

_DATABASE = "reads a database: give the .prototxt for deployment, which has an Input"
# Layers that read training data, and layers that are used only in training.
_SOURCES = ("Data", "ImageData", "HDF5Data", "WindowData", "AnnotatedData", "VideoData", "DummyData")
_TRAINING = (
    "Accuracy",
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SmoothL1Loss",
    "SigmoidCrossEntropyLoss",
    "DetectionEvaluate",
    "MultiBoxLoss",
)


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of some files. Raises the errors of `convert`, and those of opening the files."""
    return convert(read_caffe(*paths), options)


def convert(file: CaffeFile, options: ReadOptions) -> Network:
    """Return the network of a file.

    Raises:
        UnsupportedError: mpscnn does not support some layers; the message names all of them. WeightsError: the files
            contradict themselves or each other. ParameterError: the options name an input or output that the file does
            not have, or a shape that contradicts it.
    """
    refuse_twice(file.layers, file.origin)
    for name, shape in file.inputs.items():
        if min(shape, default=0) < 1:
            raise WeightsError(f"damaged: {file.origin}: input {quote_name(name)} has the shape {shape}")
    builder = Builder(
        file.origin,
        file.inputs,
        name=options.name,
        size=lambda: total_size([file.weights]),
    )
    walk, priors = Walk(builder, file.origin), Priors(builder.budget)
    transform: Any = None
    layers = [layer for layer in file.layers if layer.kind not in (*_TRAINING, "Input", "MemoryData")]
    for layer in file.layers:
        transform = transform or layer.transform
    for layer, alone in zip(layers, _single_readers(layers), strict=True):
        _add(walk, priors, replace(layer, folds=alone and options.fold))
    ends = [head.blob for head in priors.heads] or builder.ends()
    network = walk.network(ends, options)
    if not options.outputs and any(
        layer.kind == "SigmoidCrossEntropyLoss" and layer.bottoms[:1] == ends for layer in file.layers
    ):
        state_scores(network, "sigmoid")
    if priors.heads:
        network.detection = priors.detection(*(output.name for output in network.outputs))
    network.preprocess = _preprocess(transform, network, file.origin)
    if network.preprocess is None and takes_photos(network):
        network.notes.append(CAFFE_PHOTOS)
    in_training = [
        f"{layer.kind} {quote_name(layer.name)}" for layer in file.layers if layer.kind in _TRAINING
    ]
    network.notes += left_out("layers that do not run in inference", [*file.left_out, *in_training])
    network.notes += left_out("weights of layers that it does not have", map(quote_name, file.unused))
    return network


def _single_readers(layers: Sequence[CaffeLayer]) -> list[bool]:
    """Return for each layer whether no other layer reads the value of its first bottom.

    A layer that writes into its bottom gives the blob another value.
    """
    makers: dict[str, int] = {}
    read: list[int | None] = []
    reads: Counter[int | None] = Counter()
    for number, layer in enumerate(layers):
        sources = [makers.get(blob) for blob in layer.bottoms]
        reads.update(sources)
        read.append(sources[0] if sources else None)
        makers.update(dict.fromkeys(layer.tops, number))
    return [source is not None and reads[source] == 1 for source in read]


def _add(walk: Walk, priors: Priors, layer: CaffeLayer) -> None:
    if layer.kind == "DetectionOutput":
        _add_boxes(walk, layer, lambda: priors.detect(layer))
        for head in priors.heads:
            walk.layer(
                layer.kind, head.name, [head.bottom], [head.blob], partial(head.made, walk.builder), None
            )
    elif layer.kind == "PriorBox":
        _add_boxes(walk, layer, lambda: priors.add(walk.builder, layer))
    elif layer.kind == "Concat" and priors.has(layer):
        _add_boxes(walk, layer, lambda: priors.join(layer))
    else:

        def converted() -> Sequence[str]:
            return call_row(ROWS[layer.kind], walk.builder, layer)

        refusal = _DATABASE if layer.kind in _SOURCES else unsupported_reason(layer)
        tops = layer.tops if layer.kind in SEVERAL else layer.tops[:1]
        walk.layer(layer.kind, layer.name, layer.bottoms, tops, converted, refusal)


def _add_boxes(walk: Walk, layer: CaffeLayer, convert_layer: Callable[[], None]) -> None:
    """Convert a layer that adds nothing to the network, such as PriorBox."""

    def converted() -> Sequence[str]:
        convert_layer()
        return []

    walk.layer(
        layer.kind, layer.name, layer.bottoms, [], converted, unsupported_reason(layer), apart=layer.tops
    )


def _preprocess(transform: Any, network: Network, origin: str) -> dict[str, object] | None:
    """Return the preprocessing that a layer's transform_param states. Photos and means are BGR in Caffe."""
    if transform is None or not takes_photos(network) or transform.mean_file:
        return None
    channels = network.input.shape[-1] or 0
    means = [float(mean) for mean in transform.mean_value] or [0.0]
    if len(means) not in (1, channels):
        raise UnsupportedError(f"{origin}: {len(means)} means for {channels} channels")
    if len(means) == 1:
        means *= channels
    scale = float(transform.scale) if transform.has("scale") else 1.0
    if not all(map(math.isfinite, [*means, scale])):
        raise WeightsError(f"{origin}: damaged: its mean values and scale are not all numbers")
    order = "gray" if channels == 1 else "bgr"
    return {"order": order, "mean": means[::-1], "scale": [scale] * channels}
