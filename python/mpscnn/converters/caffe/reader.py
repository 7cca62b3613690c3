"""Caffe networks as networks of mpscnn."""

from __future__ import annotations

import math
from typing import Any

from mpscnn.converters.caffe.detection import Priors
from mpscnn.converters.caffe.file import CaffeFile, CaffeLayer
from mpscnn.converters.caffe.layers import HANDLERS, STAND_IN, refuse_twice, stand_in, unknown
from mpscnn.converters.layer_names import shown
from mpscnn.converters.onnx_graph import Graph
from mpscnn.converters.onnx_reader.reader import convert as convert_onnx
from mpscnn.converters.photo_input import CAFFE_PHOTOS, takes_photos
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.unsupported import UnsupportedLayers, UnsupportedLayersError
from mpscnn.errors import Error, UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_OPSET = 13
# Layers that say where photos come from, and layers for training only.
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


def convert(file: CaffeFile, options: ReadOptions) -> Network:
    """Return the network of a file.

    Raises:
        UnsupportedError: names all layers that mpscnn cannot express. WeightsError: the files contradict themselves or
            each other. ParameterError: an input or output that it does not have, or another shape of it.
    """
    refuse_twice(file.layers, file.origin)
    for name, shape in file.inputs.items():
        if not 2 <= len(shape) <= 4 or min(shape) < 1:
            raise WeightsError(f"{file.origin}: input {shown(name)} has the shape {shape}")
    graph, priors = Graph(file.origin, file.inputs, "Caffe files", "convert", _OPSET), Priors()
    unsupported = UnsupportedLayers(file.origin)
    transform: Any = None
    for layer in file.layers:
        transform = transform or layer.transform
        if layer.kind not in (*_TRAINING, "Input", "MemoryData"):
            _add(graph, priors, layer, unsupported)
    try:
        network = convert_onnx(graph.onnx_file(priors.heads or graph.outputs()), options)
    except UnsupportedLayersError as error:
        raise unsupported.joined(error, STAND_IN) from error
    except Error as error:
        if not unsupported:
            raise
        raise unsupported.error() from error
    if priors.heads:
        network.detection = priors.detection(*(output.name for output in network.outputs))
    network.preprocess = _preprocess(transform, network, file.origin)
    if network.preprocess is None and takes_photos(network):
        network.notes.append(CAFFE_PHOTOS)
    return network


def _add(graph: Graph, priors: Priors, layer: CaffeLayer, unsupported: UnsupportedLayers) -> None:
    if layer.kind in _SOURCES:
        unsupported.add(
            layer.kind, layer.name, "reads a database: give the .prototxt for deployment, which has an Input"
        )
        stand_in(graph, layer)
        return

    def convert_layer() -> None:
        if layer.kind == "PriorBox":
            priors.add(graph, layer)
        elif layer.kind == "DetectionOutput":
            priors.detect(graph, layer)
        elif layer.kind != "Concat" or not priors.join(layer):
            HANDLERS.get(layer.kind, unknown)(graph, layer)

    if not unsupported.attempt(layer.kind, layer.name, convert_layer, free_size=False):
        stand_in(graph, layer)


def _preprocess(transform: Any, network: Network, origin: str) -> dict[str, object] | None:
    """Return the preprocessing of a layer that reads photos. Caffe's photos and means have the order BGR."""
    if transform is None or not takes_photos(network) or transform.mean_file:
        return None
    channels = network.input.shape[-1] or 0
    means = [float(mean) for mean in transform.mean_value] or [0.0]
    if len(means) not in (1, channels):
        raise UnsupportedError(f"{origin}: {len(means)} means for {channels} channels")
    if len(means) == 1:
        means *= channels
    scale = float(transform.scale) if transform.HasField("scale") else 1.0
    if not all(map(math.isfinite, [*means, scale])):
        raise WeightsError(f"{origin}: damaged: its mean values and scale are not all numbers")
    order = "gray" if channels == 1 else "bgr"
    return {"order": order, "mean": means[::-1], "scale": [scale] * channels}
