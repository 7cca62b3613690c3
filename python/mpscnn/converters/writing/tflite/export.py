"""Write networks as TensorFlow Lite files, for LiteRT on phones, microcontrollers and other devices.

TensorFlow Lite has mpscnn's order of axes, so most layers become one operator. Padding is part of the operator where
TensorFlow's "same" or "valid" has the same positions, otherwise a PAD before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from mpscnn._private.copies import require_no_functions
from mpscnn._private.files import replace_atomically
from mpscnn.converters.finishing.metadata_entries import LABELS, OUTPUTS, metadata_entries
from mpscnn.converters.reading.tflite.detection import OPERATOR
from mpscnn.converters.reading.tflite.metadata import LIMITS
from mpscnn.converters.reading.tflite.metadata import NAME as METADATA
from mpscnn.converters.reading.tflite.metadata import VERSION as OWN_VERSION
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.explicit_window import shapes_of
from mpscnn.converters.writing.tflite import array_ops, normalization, recurrent
from mpscnn.converters.writing.tflite import reduction as reductions
from mpscnn.converters.writing.tflite.arithmetic import ARITHMETIC
from mpscnn.converters.writing.tflite.binary import binary_convolution, binary_fully_connected
from mpscnn.converters.writing.tflite.builder import Builder, Value
from mpscnn.converters.writing.tflite.convolution import (
    convolution,
    depth_to_space,
    fully_connected,
    subpixel_convolution,
    transposed_convolution,
)
from mpscnn.converters.writing.tflite.detection import choose_boxes, detector_of
from mpscnn.converters.writing.tflite.integer_layers import write_integers
from mpscnn.converters.writing.tflite.integers import Integers
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.converters.writing.tflite.metadata import are_in_label_file, described, with_labels
from mpscnn.converters.writing.tflite.neuron import activation, neuron
from mpscnn.converters.writing.tflite.pooling import pooling
from mpscnn.converters.writing.tflite.resize import resize
from mpscnn.converters.writing.tflite.weights import Weights
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import require_stored_type
from mpscnn.opening_models import core_model
from mpscnn.vision.detector import Detector


def export(
    network: Network,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    information: Mapping[str, str] | None = None,
) -> None:
    """Write `to_tflite(network, ...)` to a file.

    Raises WeightsError if the file cannot be written. An existing file then stays unchanged.
    """
    content = to_tflite(network, size=size, dtype=dtype, information=information)
    with replace_atomically(path, WeightsError) as file:
        file.write(content)


def to_tflite(
    network: Network,
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    information: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a TensorFlow Lite file with the same inputs and outputs, for any batch."""
    require_stored_type(dtype)
    require_no_functions(network.graph, "exported")
    if network.labels is not None or network.detection is not None:
        core_model(network)  # raises an error for settings with which the file could not be loaded
    builder = Builder()
    shapes = shapes_of(network, size)
    structure = network.to_dict()
    builder.reserve([entry["name"] for entry in (*structure["inputs"], *structure["nodes"])])
    weights = Weights(builder, network, dtype)
    integers = Integers(builder, network, keeps=dtype == "uint8")
    values: dict[str, Value] = {}
    for entry in structure["inputs"]:
        name, grid = entry["name"], integers.grid(entry["name"])
        values[name] = builder.input(name, shapes[name], "float32" if grid is None else grid.dtype.name, grid)
    nodes = _needed(structure)
    broadcasting = _broadcasting(nodes, structure["outputs"])
    named = {value.number for value in values.values()}
    for entry in nodes:
        name, made = entry["name"], None
        for as_integers in (True, False) if integers.grid(name) is not None else (False,):
            reads = [integers.read(values[read], read, as_integers=as_integers) for read in entry["inputs"]]
            grid = integers.grid(name) if as_integers else None
            layer = Layer(builder, entry, reads, shapes[name], weights, grid)
            layer.repeats_images = name in broadcasting
            made = write_integers(layer) if as_integers else _written(layer)
            if made is not None:
                break
        assert made is not None
        made = integers.converted(made, integers.grid(name), name)
        if made.number not in named:
            builder.rename(made, name)
            named.add(made.number)
        values[name] = made
    weights.require_all_written({entry["name"] for entry in nodes})
    outputs = [builder.name_of(values[name]) for name in structure["outputs"]]
    detector = detector_of(network, shapes[structure["inputs"][0]["name"]])
    if detector is None:
        for name in structure["outputs"]:
            builder.output(name, values[name])
    else:
        _choose_boxes(builder, network, weights, detector, integers, values)
    return _with_description(builder, network, outputs, information or {}, chooses_boxes=detector is not None)


def _choose_boxes(
    builder: Builder,
    network: Network,
    weights: Weights,
    detector: Detector,
    integers: Integers,
    values: Mapping[str, Value],
) -> None:
    """Add the choice of a detector's boxes, whose results are the outputs. It takes one image."""
    assert network.detection is not None
    layer = Layer(builder, {"name": OPERATOR, "operation": "", "attributes": {}}, [], (), weights)
    heads = [network.detection.output(part) for part in ("boxes", "scores")]
    given = [integers.converted(values[name], None, name) for name in heads]
    for name, value in choose_boxes(layer, detector, *given).items():
        builder.output(name, value)
    builder.has_free_batch = False


def _with_description(
    builder: Builder,
    network: Network,
    outputs: Sequence[str],
    information: Mapping[str, str],
    *,
    chooses_boxes: bool,
) -> bytes:
    """Return the bytes of the file, with the network's labels, preprocessing, scores, detection and information.

    `outputs` are the names of the tensors that are the network's outputs.
    """
    own = metadata_entries(network, outputs, information)
    labels = network.labels
    if labels is not None and are_in_label_file(labels):
        del own[LABELS]
    entries = {OWN_VERSION: "1", **own}
    if builder.limited:
        entries[LIMITS] = json.dumps(sorted(builder.limited))
    if chooses_boxes:
        entries[OUTPUTS] = json.dumps(list(outputs))
    metadata = {
        **{name: text.encode() for name, text in entries.items()},
        METADATA: described(network, outputs, information, chooses_boxes=chooses_boxes),
    }
    return with_labels(builder.file(network.name, metadata), labels)


def _written(layer: Layer) -> Value:
    """Write a layer with its activation, in floats."""
    write = WRITERS.get(layer.operation)
    if write is None:  # an operation of training
        raise UnsupportedError(f"layer {layer.name!r}: TensorFlow Lite has no operator for {layer.operation}")
    result = write(layer)
    left = layer.take_activation()
    return result if left is None else activation(layer, result, left)


def _needed(structure: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the layers that the outputs depend on.

    LiteRT may overwrite a tensor too early if a reshape of it has no reader.
    """
    read, needed = set(structure["outputs"]), []
    for entry in reversed(structure["nodes"]):
        if entry["name"] in read:
            read.update(entry["inputs"])
            needed.append(entry)
    return needed[::-1]


def _broadcasting(nodes: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> set[str]:
    """Return the layers whose results are read only by layers that repeat a batch of one for each image."""
    needed = {
        name for entry in nodes if entry["operation"] not in ARITHMETIC for name in entry["inputs"]
    } | set(outputs)
    return {entry["name"] for entry in nodes} - needed


def _dropout(layer: Layer) -> Value:
    if layer.attributes["training"]:
        raise UnsupportedError(
            f"layer {layer.name!r}: TensorFlow Lite has no dropout with random numbers; set training=False"
        )
    return layer.inputs[0]


#: The function that writes each operation of mpscnn.operations().
WRITERS: dict[str, Write[Layer, Value]] = {
    **ARITHMETIC,
    "argument": reductions.argument,
    "batch_normalization": normalization.batch_normalization,
    "batch_statistics": normalization.batch_statistics,
    "binary_convolution": binary_convolution,
    "binary_fully_connected": binary_fully_connected,
    "channel_shuffle": array_ops.channel_shuffle,
    "concatenation": array_ops.concatenation,
    "constant": array_ops.constant,
    "convolution": convolution,
    "cross_channel_normalization": normalization.cross_channel_normalization,
    "depth_to_space": depth_to_space,
    "dropout": _dropout,
    "fully_connected": fully_connected,
    "gather": array_ops.gather,
    "gru": recurrent.gru,
    "group_normalization": normalization.group_normalization,
    "layer_normalization": normalization.layer_normalization,
    "local_contrast_normalization": normalization.local_contrast_normalization,
    "lstm": recurrent.lstm,
    "log_softmax": lambda layer: layer.add("LOG_SOFTMAX", layer.inputs[0]),
    "matrix_product": array_ops.matrix_product,
    "neuron": neuron,
    "padding": array_ops.padding,
    "pooling": pooling,
    "reduction": reductions.reduction,
    "reshape": array_ops.reshape,
    "resize": resize,
    "slice": array_ops.part,
    "softmax": lambda layer: layer.add("SOFTMAX", layer.inputs[0], beta=1.0),
    "spatial_normalization": normalization.spatial_normalization,
    "subpixel_convolution": subpixel_convolution,
    "take_along_axis": array_ops.take_along_axis,
    "tile": array_ops.tile,
    "top_k": reductions.top_k,
    "transpose": array_ops.transpose,
    "transposed_convolution": transposed_convolution,
    "weighted_reduction": reductions.weighted_reduction,
}
