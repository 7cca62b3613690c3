"""Convert the inputs of a Core ML model, and the preprocessing of image inputs."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.coreml.features import ORDERS, Feature, Photo
from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

_FLOAT_PHOTO = (
    "the image input takes half floats (GRAYSCALE_FLOAT16): the file does not say what black and white are; "
    "--preprocess says it"
)


def input_shapes(
    inputs: Sequence[tuple[Feature, Extents]], options: ReadOptions, origin: str
) -> dict[str, Extents]:
    """Return the shapes of inputs by name: those of the file, or those that the caller chose.

    Raises UnsupportedError for an input that is neither an image nor an array, and the errors of
    `ReadOptions.shape_of`.
    """
    options.check_inputs([feature.name for feature, _ in inputs], origin)
    shapes: dict[str, Extents] = {}
    for feature, extents in inputs:
        where = f"{origin}: input {quote_name(feature.name)}"
        if feature.kind not in ("image", "array"):
            raise UnsupportedError(f"{where} is {feature.kind}; supported are images and arrays")
        chosen = options.shape_of(feature.name, extents, where) or extents
        if len(chosen) == 4:
            batch, channels, height, width = chosen
            batch, height, width, channels = options.sized((batch, height, width, channels), where)
            chosen = (batch, channels, height, width)
        feature.check_size(chosen, where)
        shapes[feature.name] = chosen
    return shapes


def plain_photo(feature: Feature) -> Photo:
    """Return the preprocessing of an image input that takes unchanged samples of photos."""
    order = ORDERS[feature.color]
    channels = 1 if order == "gray" else 3
    return Photo(order, [1.0] * channels, [0.0] * channels)


def describe_photos(network: Network, inputs: Sequence[Feature], photo: Photo | None, origin: str) -> None:
    """Set the network's preprocessing if its only input is an image."""
    if len(inputs) != 1 or inputs[0].kind != "image" or photo is None:
        return
    if inputs[0].is_float_image:
        network.notes.append(_FLOAT_PHOTO)
        return
    network.preprocess = photo.preprocess(origin)
