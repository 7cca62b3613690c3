"""Write an image input of Core AI, and the preprocessing of photos as the first operations of the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn import _core
from mpscnn._private.settings import as_json
from mpscnn.converters.reading.coreai.extraction import LAYER
from mpscnn.converters.reading.coreml.photo_scaling import BIASED, SCALED, SWAPPED, UNPACKED
from mpscnn.converters.writing.coreai.operator import unsigned
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

_COLOURS, _IMAGE_RANK = 3, 4


def image_type(ai: Any, shape: tuple[int, ...]) -> Any:
    """Return Core AI's type of an image of 32 bits per pixel in the order BGRA, which cameras of Apple's devices give.

    Args:
        ai: the module coreai.authoring.
        shape: the shape of the network's input in the program, (1, 3, height, width).
    """
    from coreai._compiler.dialects.coreai import FourCC  # coreai.authoring.FourCC is another class

    return ai.ImageType(FourCC.BGRA32, *shape[2:])


def image_preprocessing(network: Network, path: str) -> dict[str, Any]:
    """Return the preprocessing of a network whose input becomes an image, with all keys.

    Raises UnsupportedError if it has none, or does not take one photo of three colours, or if a scale is 0.
    """
    if network.preprocess is None:
        raise UnsupportedError(
            f"{path}: an image input needs the preprocessing of photos, which the network does not state: set its "
            "`preprocess`"
        )
    shapes = [one.shape for one in network.inputs]
    if len(shapes) != 1 or len(shapes[0]) != _IMAGE_RANK or shapes[0][-1] != _COLOURS:
        raise UnsupportedError(
            f"{path}: Core AI's images have three colours, and the network's inputs have the shapes {shapes}: write "
            "it without an image input"
        )
    text = as_json("preprocess", network.preprocess)
    found: dict[str, Any] = json.loads(_core.describe_preprocess(text, _COLOURS))
    if 0 in found["scale"]:  # the mean could not be read again
        raise UnsupportedError(
            f"{path}: an image input has no scales of 0, and `preprocess` has {found['scale']}"
        )
    return found


def prepared(ai: Any, image: Any, name: str, preprocess: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """Return (sample - mean) * scale for each sample of an image, as float32 of the shape (1, 3, height, width).

    Args:
        ai: the module coreai.authoring.
        image: the input of the program.
        name: the name of the input, from which the operations get their names.
        preprocess: the preprocessing, with all keys (`mpscnn.preprocess`).
        shape: the shape of the result.
    """
    from coreai.authoring.constant import constant

    def named(suffix: str) -> Any:
        return ai.DebugInfo.metadata_only([f"{LAYER}{name}{suffix}"]).activate()

    order = str(preprocess["order"])
    scales, means = (
        np.broadcast_to(np.asarray(preprocess[key], np.float64), (_COLOURS,)) for key in ("scale", "mean")
    )
    if order == "bgr":  # preprocessing lists scales and means in the order RGB
        scales, means = scales[::-1], means[::-1]
    ends = ((0, 0, 0), (*shape[2:], _COLOURS), (1, 1, 1))
    with named(UNPACKED):
        pixels = ai.slice_(ai.image_to_tensor(image), *(np.array(one, np.int32) for one in ends))
        x = ai.expand_dims(ai.transpose(pixels, unsigned((2, 0, 1))), np.array([0], np.int32))
        x = ai.cast(x, np.float32)
    if order == "rgb":
        with named(SWAPPED):
            x = ai.reverse(x, constant(np.array([1], np.int32)))
    for suffix, operation, numbers, neutral in (
        (BIASED, ai.broadcasting_add, 0.0 - means, 0.0),
        (SCALED, ai.broadcasting_mul, scales, 1.0),
    ):
        if np.any(numbers != neutral):
            operand = numbers[:1] if np.all(numbers == numbers[0]) else numbers
            with named(suffix):
                x = operation(x, constant(operand.astype(np.float32).reshape(1, -1, 1, 1)))
    return x
