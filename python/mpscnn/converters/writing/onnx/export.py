"""Write networks as ONNX files, to run the same graph and weights in other engines.

NHWC images become NCHW, and weights are reordered. Padding is written as explicit numbers, because engines disagree
about ONNX' automatic padding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from mpscnn import _core
from mpscnn._private.copies import require_no_functions
from mpscnn._private.files import replace_atomically
from mpscnn.converters.finishing.metadata_entries import OUTPUTS, metadata_entries
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.explicit_window import shapes_of, window_of
from mpscnn.converters.writing.onnx import array_ops
from mpscnn.converters.writing.onnx import normalization as onnx_normalization
from mpscnn.converters.writing.onnx import recurrent as onnx_recurrent
from mpscnn.converters.writing.onnx import reduction as onnx_reduction
from mpscnn.converters.writing.onnx.arithmetic import ARITHMETIC
from mpscnn.converters.writing.onnx.borders import crop_input
from mpscnn.converters.writing.onnx.builder import Builder, Value
from mpscnn.converters.writing.onnx.convolution import (
    binary_convolution,
    binary_fully_connected,
    depth_to_space,
    subpixel_convolution,
    transposed_convolution,
)
from mpscnn.converters.writing.onnx.integers import Integers
from mpscnn.converters.writing.onnx.layer import Layer
from mpscnn.converters.writing.onnx.neuron import activation
from mpscnn.converters.writing.onnx.pooling import pooling
from mpscnn.converters.writing.onnx.shapes import padding, part, resize
from mpscnn.converters.writing.onnx.suppression import choose_boxes
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.opening_models import core_model

if TYPE_CHECKING:
    import onnx

    from mpscnn.graph.network import Network
from mpscnn.graph.quantized import require_stored_type

_MAX_FILE = 2**31 - 1  # the limit of protobuf


def export(
    network: Network,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    layout: str = "nhwc",
    dtype: str = "float32",
    suppression: bool = False,
    information: Mapping[str, str] | None = None,
) -> None:
    """Write `to_onnx(network, ...)` to a file, with the network's labels, preprocessing, detection and information.

    With `suppression`, the file of a detector ends with the choice of its boxes (`choose_boxes`).

    Raises WeightsError if the file cannot be written. Settings that do not fit the network are a ParameterError or
    WeightsError, as for a model file. An existing file then stays unchanged.
    """
    if network.labels is not None or network.detection is not None:
        # This raises an error for settings with which the file could not be loaded.
        core_model(network)
    builder = build(network, size=size, layout=layout, dtype=dtype)
    heads = [value.name for value in builder.results.values()]
    entries = metadata_entries(network, heads, information)
    if suppression:
        choose_boxes(builder, network, builder.results, os.fspath(path))
        entries[OUTPUTS] = json.dumps(heads)
    model = builder.model(_core.version())
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    content = model.SerializeToString()
    with replace_atomically(path, WeightsError) as file:
        file.write(content)


def to_onnx(
    network: Network,
    *,
    size: tuple[int, int] | None = None,
    layout: str = "nhwc",
    dtype: str = "float32",
) -> onnx.ModelProto:
    """Return the network as an ONNX model with the same inputs and outputs, for any batch.

    Args:
        network: the network, with all its weights.
        size: (height, width), needed if the network leaves them free. Other sizes than a fixed one are refused.
        layout: the order of axes of image inputs and outputs: "nhwc" as in mpscnn, or "nchw", as usual in ONNX.
        dtype: the type of weights, inputs, outputs and intermediate results: "float32" or "float16". "uint8" writes the
            integers of a quantised network, with QuantizeLinear and DequantizeLinear around each layer; inputs and
            outputs are float32 then.

    Raises:
        UnsupportedError: the package `onnx` is not installed, ONNX cannot express a layer or, with "uint8", its 8-bit
            weights, or there are more than 2 GB of weights in the written type; "uint8" counts as float32.
        WeightsError: weights are missing, or beyond float16. ParameterError: an unknown layout or type.
            ShapeError: no input can have this `size`, or it is needed.
    """
    return build(network, size=size, layout=layout, dtype=dtype).model(_core.version())


def build(
    network: Network,
    *,
    size: tuple[int, int] | None,
    layout: str,
    dtype: str = "float32",
    uses_lrn: bool = False,
) -> Builder:
    """Return the builder with all nodes of the network. See `to_onnx`. `uses_lrn`: see `Builder`."""
    require_stored_type(dtype)
    if layout not in ("nhwc", "nchw"):
        raise ParameterError(f"layout must be 'nhwc' or 'nchw', got {layout!r}")
    require_no_functions(network.graph, "exported")
    builder = Builder(network.name, "float32" if dtype == "uint8" else dtype)
    builder.uses_lrn = uses_lrn
    integers = Integers(builder, network) if dtype == "uint8" else None
    shapes = shapes_of(network, size)
    weights = network.weights
    element = 2 if dtype == "float16" else 4
    if sum(array.size for array in weights.values()) * element > _MAX_FILE:
        raise UnsupportedError(f"network {network.name!r}: ONNX files hold at most 2 GB of weights")
    structure = network.to_dict()
    values = {
        entry["name"]: builder.input(entry["name"], shapes[entry["name"]], layout)
        for entry in structure["inputs"]
    }
    needs_images = {
        name
        for entry in structure["nodes"]
        if entry["operation"] not in ARITHMETIC
        for name in entry["inputs"]
    } | set(structure["outputs"])
    products: dict[str, Layer] = {}
    merged = set() if integers else onnx_recurrent.projections(structure["nodes"], structure["outputs"])
    for entry in structure["nodes"]:
        reads = [values[name] for name in entry["inputs"]]
        if integers is not None:
            reads = [
                Value(integers.read(value.name, name, entry["name"]), value.shape)
                for name, value in zip(entry["inputs"], reads, strict=True)
            ]
        layer = Layer(builder, entry, reads, shapes[entry["name"]], weights, integers)
        layer.repeats_images = entry["name"] not in needs_images
        if entry["name"] in merged:
            products[entry["name"]], values[entry["name"]] = layer, reads[0]
            continue
        layer.product = products.get(entry["inputs"][0])
        write = EXPORTERS.get(entry["operation"])
        if write is None:  # an operation of training
            raise UnsupportedError(f"layer {layer.name!r}: ONNX has no operator for {entry['operation']}")
        result = write(layer)
        if "activation" in entry:
            count = builder.count
            result = activation(layer, result, entry["activation"])
            builder.mark_activation(count, entry["activation"]["kind"])
        if integers is not None:
            result = integers.result(result, entry["name"])
        values[entry["name"]] = Value(result, layer.shape)
    if integers is not None:
        integers.require_all_written()
    for name in structure["outputs"]:
        builder.results[name] = builder.output(values[name], name, layout)
    return builder


def _convolution(layer: Layer) -> str:
    window = window_of(layer.attributes, layer.inputs[0].shape, layer.shape)
    name, pads = crop_input(layer, window)
    inputs = [name, layer.parameter("weight", TO_NCHW)]
    if layer.weight("bias") is not None:
        inputs.append(layer.parameter("bias"))
    return layer.add("Conv", *inputs, group=layer.attributes["groups"], pads=pads, **window.sizes)


def _fully_connected(layer: Layer) -> str:
    (x,) = layer.inputs
    outputs = layer.attributes["outputs"]
    # The Flatten gets another name, so that the result of the Gemm has the layer's name.
    flat = layer.builder.add("Flatten", [x.name], f"{layer.name}.flatten")
    weight = layer.parameter("weight", TO_NCHW if x.is_image else None, (outputs, -1))
    inputs = [flat, weight]
    if layer.weight("bias") is not None:
        inputs.append(layer.parameter("bias"))
    return layer.add("Gemm", *inputs, transB=1)


def _softmax_of(operation: str) -> Write[Layer, str]:
    def export(layer: Layer) -> str:
        return layer.add(operation, layer.inputs[0].name, axis=1 if layer.inputs[0].is_image else -1)

    return export


def _dropout(layer: Layer) -> str:
    if layer.attributes["training"]:
        raise UnsupportedError(f"layer {layer.name!r}: ONNX has no dropout with mpscnn's random numbers")
    return layer.add("Identity", layer.inputs[0].name)


def _batch_normalization(layer: Layer) -> str:
    if len(layer.inputs) == 2:
        return onnx_normalization.normalization_by_statistics(layer)
    (x,) = layer.inputs
    mean, variance = layer.required("mean"), layer.required("variance")
    gamma, beta = layer.weight("gamma"), layer.weight("beta")
    gamma = np.ones_like(mean) if gamma is None else gamma
    beta = np.zeros_like(mean) if beta is None else beta
    epsilon = layer.attributes["epsilon"]
    # In ONNX the channels of these ranks are on axis 1, as BatchNormalization needs.
    if len(x.shape) in (2, 4):
        roles = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        constants = [layer.constant(values, role) for role, values in roles.items()]
        return layer.add("BatchNormalization", x.name, *constants, epsilon=epsilon)
    scale = gamma / np.sqrt(variance.astype(np.float64) + epsilon)
    shift = beta - mean * scale
    # A reader would make a layer of a node that changes nothing.
    if not shift.any():
        return layer.add("Mul", x.name, layer.constant(scale, "scale"))
    name = x.name if bool((scale == 1).all()) else layer.add("Mul", x.name, layer.constant(scale, "scale"))
    return layer.add("Add", name, layer.constant(shift, "shift"))


def _concatenation(layer: Layer) -> str:
    rank = len(layer.shape)
    axis = layer.attributes["axis"] % rank
    axis = TO_NCHW.index(axis) if rank == 4 else axis
    return layer.add("Concat", *(value.name for value in layer.inputs), axis=axis)


def _reshape(layer: Layer) -> str:
    (x,) = layer.inputs
    result = Value(layer.name, layer.shape)
    name = x.name if x.same_order else layer.add("Transpose", x.name, perm=TO_NHWC)
    target = [-1, *layer.shape[1:]]
    if result.is_image and result.same_order:
        return layer.add("Reshape", name, layer.constant([target[axis] for axis in TO_NCHW], "shape"))
    name = layer.add("Reshape", name, layer.constant(target, "shape"))
    return name if result.same_order else layer.add("Transpose", name, perm=TO_NCHW)


#: The function that writes each operation of mpscnn.operations().
EXPORTERS: dict[str, Write[Layer, str]] = {
    "convolution": _convolution,
    "transposed_convolution": transposed_convolution,
    "subpixel_convolution": subpixel_convolution,
    "depth_to_space": depth_to_space,
    "binary_convolution": binary_convolution,
    "binary_fully_connected": binary_fully_connected,
    "pooling": pooling,
    "fully_connected": _fully_connected,
    **ARITHMETIC,
    "neuron": lambda layer: activation(layer, layer.inputs[0].name, layer.attributes),
    "batch_normalization": _batch_normalization,
    "layer_normalization": onnx_normalization.layer_normalization,
    "matrix_product": array_ops.matrix_product,
    "lstm": onnx_recurrent.lstm,
    "gru": onnx_recurrent.gru,
    "batch_statistics": onnx_normalization.batch_statistics,
    "group_normalization": onnx_normalization.group_normalization,
    "cross_channel_normalization": onnx_normalization.cross_channel_normalization,
    "spatial_normalization": onnx_normalization.spatial_normalization,
    "local_contrast_normalization": onnx_normalization.local_contrast_normalization,
    "reduction": onnx_reduction.reduction,
    "argument": onnx_reduction.argument,
    "top_k": onnx_reduction.top_k,
    "weighted_reduction": onnx_reduction.weighted_reduction,
    "softmax": _softmax_of("Softmax"),
    "log_softmax": _softmax_of("LogSoftmax"),
    "dropout": _dropout,
    "concatenation": _concatenation,
    "padding": padding,
    "reshape": _reshape,
    "resize": resize,
    "slice": part,
    "gather": array_ops.gather,
    "take_along_axis": array_ops.take_along_axis,
    "tile": array_ops.tile,
    "transpose": array_ops.transpose,
    "channel_shuffle": array_ops.channel_shuffle,
    "constant": array_ops.constant,
}
