"""Convert Core ML's neural networks to networks of mpscnn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.features import (
    NUMBER,
    ORDERS,
    Feature,
    Photo,
    class_labels,
    feature,
    restore_settings,
)
from mpscnn.converters.reading.coreml.file import CoremlFile
from mpscnn.converters.reading.coreml.inputs import describe_photos, input_shapes, plain_photo
from mpscnn.converters.reading.coreml.neural.layer import Layer
from mpscnn.converters.reading.coreml.neural.layers import REFUSED, ROWS, layer_kind
from mpscnn.converters.reading.coreml.neural.linear_and_reductions import scale_and_bias
from mpscnn.converters.reading.coreml.neural.row_calls import call_row
from mpscnn.converters.reading.coreml.photo_scaling import PhotoScaling
from mpscnn.converters.reading.coreml.pipeline import PostProcessing
from mpscnn.converters.reading.coreml.segmenter import describe_segmenter, leave_out_search
from mpscnn.converters.reading.graph.builder import Builder, Extents
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import state_scores

# The shape mapping of old files, in which all blobs are images (sequence, batch, channels, height, width).
_RANK_5 = 0
#: The largest number of steps that prepare an input: a scale and a mean image.
_PER_INPUT = 2


def read_neural_network(
    file: CoremlFile,
    model: Any,
    net: Any,
    options: ReadOptions,
    post_processing: PostProcessing | None = None,
) -> Network:
    """Return the network of a model.

    Args:
        file: the file, for error messages and weights.
        model: the message of the model.
        net: the message of its neural network.
        options: the options of the conversion.
        post_processing: a function that adds the operators with which a pipeline processes the outputs, or None.
    """
    description = model.description
    inputs = [feature(message, file.origin) for message in description.input]
    old = net.arrayInputShapeMapping == _RANK_5
    shapes = input_shapes([(one, _extents(one, old=old)) for one in inputs], options, file.origin)
    builder = Builder(file.origin, shapes, name=options.name, size=lambda: file.size)
    walk = Walk(builder, file.origin)
    walk.expect(len(net.layers))
    photo = _prepare(walk, net, inputs, old=old)
    is_plain = photo is not None and photo == plain_photo(inputs[0]) and not inputs[0].is_float_image
    scaling = None
    if is_plain and len(inputs) == 1 and all(one.has("scaler") for one in net.preprocessing):
        scaling = PhotoScaling(
            inputs[0].name,
            ORDERS[inputs[0].color],
            (blob for message in net.layers for blob in message.input),
        )
    for message in net.layers:
        _add(walk, file, message, scaling, old=old)
    photo = photo if scaling is None else scaling.photo()
    outputs = _outputs(walk, file, net, description, old=old)
    if post_processing is not None:
        post_processing(walk, outputs)
    is_segmenter = photo is not None and post_processing is None and leave_out_search(walk, outputs)
    network = walk.network_with_names({one: one for one in outputs}, options)
    describe_photos(network, inputs, photo, file.origin)
    network.labels = class_labels(net, file.origin)
    if not options.outputs:
        if any(_is_result(feature(message, file.origin), description) for message in description.output):
            state_scores(network, "as is")
        restore_settings(network, description.metadata)
    if is_segmenter:
        describe_segmenter(network, description.metadata)
    return network


def _extents(one: Feature, *, old: bool) -> Extents:
    if one.kind == "image":
        return (1, *one.extents)
    if not old or one.kind != "array":
        return one.extents
    if len(one.extents) not in (1, 3):
        raise UnsupportedError(
            f"input {quote_name(one.name)} has the shape {one.extents}; supported are 1 and 3 axes"
        )
    return (1, *one.extents)


# ---- Before the first layer ----------------------------------------------------------------------------------------


def _prepare(walk: Walk, net: Any, inputs: Sequence[Feature], *, old: bool) -> Photo | None:
    """Add the preprocessing before the first layer, and return the preprocessing of photos of the only image input."""
    images = [one for one in inputs if one.kind == "image"]
    photo = plain_photo(images[0]) if images else None
    if len(net.preprocessing) > _PER_INPUT * len(inputs):
        raise WeightsError(
            f"damaged: prepares {len(inputs)} inputs {len(net.preprocessing)} times; an input has at most a scale and "
            "a mean image"
        )
    for place, message in enumerate(net.preprocessing):
        name = message.featureName or (images or list(inputs))[0].name
        one = next((given for given in inputs if given.name == name), None)
        if one is None or one.kind != "image":
            raise WeightsError(f"damaged: prepares {quote_name(name)}, which is not an image input")
        scaler = _scaler(message, one) if message.has("scaler") else None
        if scaler is not None and place == 0 and len(net.preprocessing) == 1 == len(inputs):
            photo = scaler
            continue
        # A mean image becomes layers of the network, because mpscnn's preprocessing has no mean images.
        walk.layer(
            "preprocessing",
            f"{name}/preprocessing",
            [name],
            [name],
            lambda one=one, message=message, scaler=scaler: [_prepared(walk.builder, one, message, scaler)],  # type: ignore[misc]
            None,
        )
    for one in inputs:
        if old and one.kind == "array" and len(one.extents) == 1:
            walk.layer(
                "input",
                f"{one.name}/image",
                [one.name],
                [one.name],
                lambda one=one: [ops.reshape(walk.builder, walk.builder.tensor(one.name), [0, -1, 1, 1])],  # type: ignore[misc]
                None,
            )
    return photo


def _scaler(message: Any, one: Feature) -> Photo:
    scaler, order = message.scaler, ORDERS[one.color]
    colours = [scaler.grayBias] if order == "gray" else [scaler.redBias, scaler.greenBias, scaler.blueBias]
    scale = scaler.channelScale if scaler.has("channelScale") else 1.0
    return Photo(order, [float(scale)] * len(colours), [float(bias) for bias in colours])


def _prepared(b: Builder, one: Feature, message: Any, scaler: Photo | None) -> str:
    x = b.tensor(one.name)
    if scaler is not None:
        biases = scaler.biases if scaler.order != "bgr" else list(scaler.biases)[::-1]
        scaled = ops.multiply(b, x, scaler.scales[0])
        return ops.add(b, scaled, b.weight("bias", np.asarray(biases, np.float32).reshape(-1, 1, 1)))
    if None in one.extents:
        raise UnsupportedError("subtracts a mean image from images of any size")
    mean = np.asarray(message.meanImage.meanImage, np.float32)
    channels, height, width = (extent or 0 for extent in one.extents)
    if mean.size != channels * height * width:
        raise WeightsError(f"damaged: a mean image of {mean.size} numbers for {one.extents}")
    return ops.subtract(b, x, b.weight("mean", mean.reshape(1, channels, height, width)))


# ---- Layers --------------------------------------------------------------------------------------------------------


def _add(walk: Walk, file: CoremlFile, message: Any, scaling: PhotoScaling | None, *, old: bool) -> None:
    kind = layer_kind(message)
    if kind is None:
        walk.layer(
            "unknown",
            message.name,
            message.input,
            message.output,
            list,
            "is of a kind that this version of mpscnn does not know",
        )
        return

    def convert() -> Sequence[str]:
        b = walk.builder
        layer = Layer(
            kind,
            message.name,
            [b.tensor(blob) for blob in message.input],
            list(message.output),
            getattr(message, kind),
            file.weights,
            old,
        )
        if scaling is not None and scaling.takes(
            layer.name, message.input, layer.outputs, lambda: scale_and_bias(layer)
        ):
            return layer.inputs
        return call_row(ROWS[kind], b, layer)

    refusal = None if kind in ROWS else REFUSED[kind]
    if kind == "custom" and message.custom.className:
        refusal = f"{refusal} (its class is {quote_name(message.custom.className)})"
    walk.layer(kind, message.name or kind, list(message.input), list(message.output), convert, refusal)


# ---- Outputs -------------------------------------------------------------------------------------------------------


def _has_probabilities(one: Feature, description: Any) -> bool:
    return one.kind == "labels" and one.name == description.predictedProbabilitiesName


def _is_result(one: Feature, description: Any) -> bool:
    """Return True if the file calls an output the probabilities of classes, or the number that it predicts."""
    return _has_probabilities(one, description) or one.kind == NUMBER


def _outputs(walk: Walk, file: CoremlFile, net: Any, description: Any, *, old: bool) -> list[str]:
    """Return the output blobs of the model. Outputs that are vectors are flattened from images."""
    features = [feature(message, file.origin) for message in description.output]
    outputs = []
    for one in features:
        blob = one.name
        is_classifier = _has_probabilities(one, description)
        is_number = one.kind == NUMBER and walk.builder.has(blob)
        if one.kind not in ("array", "image") and not is_number and not is_classifier:
            continue  # other outputs, such as the name of the best class, are left out
        if is_classifier:
            blob = net.labelProbabilityLayerName or blob
            if not walk.builder.has(blob) and net.layers and net.layers[-1].output:
                blob = net.layers[-1].output[0]
        is_vector = is_classifier or is_number
        if is_vector or (old and one.kind == "array" and len(one.extents) <= 1):
            walk.flatten(blob, only_vectors=not is_vector and not one.extents)
        outputs.append(blob)
    if not outputs and net.layers and net.layers[-1].output:
        outputs.append(net.layers[-1].output[0])
        walk.flatten(outputs[0])
    return outputs
