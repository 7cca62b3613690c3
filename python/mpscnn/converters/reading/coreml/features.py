"""Read a model's description of its inputs and outputs: shapes, images, and the names of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn._private.arguments import name_list
from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.metadata_entries import ANSWERS, LABELS, SCORES
from mpscnn.converters.finishing.photo_settings import MAX_LABELS
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.structure import checked_scores
from mpscnn.vision.answers import require_fitting_answers

_GRAY, _RGB, _BGR, _GRAY_FLOAT16 = 10, 20, 30, 40
ORDERS = {_GRAY: "gray", _RGB: "rgb", _BGR: "bgr", _GRAY_FLOAT16: "gray"}
"""The order of an image's channels, by Core ML's number of the colour space."""
_MAX_RANK = 8
_MAX_EXTENT = 2**31 - 1
_MAX_SHOWN = 8
_NO_LIMIT = -1


@dataclass(frozen=True)
class Feature:
    """An input or output.

    Attributes:
        name: the name in the file.
        kind: "image", "array", "labels" (the probabilities of classes), or a description of another kind.
        extents: for an array, the extents that the file states; for an image, (channels, height, width). None stands
            for an extent that may have several values.
        color: Core ML's number of an image's colour space.
        sizes: the allowed extents if the file lists them; None: the file has no list.
        limits: the lowest and the highest extent of each axis if the file states a range; None stands for no highest.
    """

    name: str
    kind: str
    extents: Extents = ()
    color: int = 0
    sizes: Sequence[tuple[int, ...]] = ()
    limits: Sequence[tuple[int, int | None]] = ()

    def check_size(self, chosen: Extents, where: str) -> None:
        """Raise ParameterError if the file does not allow these extents. They may have more axes in front."""
        own = chosen[len(chosen) - len(self.extents) :]
        fits = any(
            all(extent in (None, one) for extent, one in zip(own, size, strict=True)) for size in self.sizes
        )
        if self.sizes and not fits:
            raise ParameterError(f"{where} may be {self._listed} in the file; {_shown(own)} cannot be chosen")
        for extent, (low, high) in zip(own, self.limits, strict=False):
            if extent is not None and not low <= extent <= (extent if high is None else high):
                allowed = f"from {low} on" if high is None else f"from {low} to {high}"
                raise ParameterError(
                    f"{where} has an extent {allowed} in the file; {_shown(own)} cannot be chosen"
                )

    @property
    def _listed(self) -> str:
        more = ", ..." if len(self.sizes) > _MAX_SHOWN else ""
        return ", ".join(_shown(size) for size in self.sizes[:_MAX_SHOWN]) + more

    def allowed_sizes(self, own: Extents) -> list[dict[str, list[int]]]:
        """Return the allowed sizes of a network's input as its file stores them (docs/model_format.md).

        Args:
            own: the input's extents without the batch, in the network's order; None stands for a free extent. The
                network has the channels last or keeps the file's order.
        """
        rank = len(own)
        order = next((one for one in _orders(rank) if _fits(own, self.extents[-rank:], one)), None)
        if order is None or None not in own:
            return []
        ranges = [(size, size) for size in self.sizes]
        if not ranges and self.limits:
            lowest = tuple(max(low, 1) for low, _ in self.limits)
            ranges = [(lowest, tuple(_NO_LIMIT if high is None else high for _, high in self.limits))]
        ordered = [[[bound[-rank:][axis] for axis in order] for bound in one] for one in ranges]
        return [dict(zip(("lowest", "highest"), one, strict=True)) for one in ordered]

    @property
    def is_float_image(self) -> bool:
        """True if the image's pixels are float16 and not samples of 0 to 255."""
        return self.color == _GRAY_FLOAT16


def _orders(rank: int) -> list[tuple[int, ...]]:
    """Return the orders in which a network may have a file's axes: with the channels last, and unchanged."""
    return [(*range(1, rank), 0), tuple(range(rank))]


def _fits(own: Extents, stated: Extents, order: Sequence[int]) -> bool:
    return len(own) == len(stated) and all(
        stated[axis] in (None, one) for one, axis in zip(own, order, strict=True)
    )


def _shown(extents: Extents) -> str:
    return " x ".join("any" if extent is None else str(extent) for extent in extents)


NUMBER = "a number"
"""The kind of an input or output that is one number, such as the prediction of a regressor."""

_OTHERS = {
    "int64Type": "a whole number",
    "doubleType": NUMBER,
    "stringType": "a text",
    "dictionaryType": "labels",
    "sequenceType": "a sequence",
    "stateType": "a state",
}


def feature(message: Any, origin: str) -> Feature:
    """Read the description of an input or output."""
    kind, where = message.type, f"{origin}: {quote_name(message.name)}"
    if kind.has("imageType"):
        image = kind.imageType
        if image.colorSpace not in ORDERS:
            raise WeightsError(f"damaged: {where}: an image of the colour space {image.colorSpace}")
        channels = 1 if ORDERS[image.colorSpace] == "gray" else 3
        extents = _checked((channels, _side(image, "height"), _side(image, "width")), where)
        sizes, limits = _allowed_images(image, channels)
        return Feature(message.name, "image", extents, image.colorSpace, sizes, limits)
    if kind.has("multiArrayType"):
        array = kind.multiArrayType
        extents = _checked(_array(array, where), where)
        return Feature(message.name, "array", extents, 0, *_allowed_arrays(array))
    other = next((text for name, text in _OTHERS.items() if kind.has(name)), "of an unknown type")
    return Feature(message.name, other)


def _side(image: Any, side: str) -> int | None:
    """Return the height or width of an image; None if the file allows several."""
    stated = int(getattr(image, side))
    if image.has("enumeratedSizes"):
        sizes = {int(getattr(size, side)) for size in image.enumeratedSizes.sizes}
        return stated if sizes <= {stated} else None
    if image.has("imageSizeRange"):
        limits = getattr(image.imageSizeRange, f"{side}Range")
        return stated if limits.lowerBound == limits.upperBound else None
    return stated


Limits = list[tuple[int, int | None]]


def _allowed_images(image: Any, channels: int) -> tuple[list[tuple[int, ...]], Limits]:
    """Return `Feature.sizes` and `Feature.limits` of an image."""
    if image.has("enumeratedSizes"):
        listed = [image, *image.enumeratedSizes.sizes]
        sizes = dict.fromkeys((channels, int(one.height), int(one.width)) for one in listed)
        return [size for size in sizes if min(size) > 0], []
    if image.has("imageSizeRange"):
        ranges = image.imageSizeRange
        return [], [(channels, channels), _limits(ranges.heightRange), _limits(ranges.widthRange)]
    return [], []


def _allowed_arrays(array: Any) -> tuple[list[tuple[int, ...]], Limits]:
    """Return `Feature.sizes` and `Feature.limits` of an array."""
    if array.has("enumeratedShapes"):
        listed = [array, *array.enumeratedShapes.shapes]
        sizes = dict.fromkeys(tuple(int(extent) for extent in one.shape) for one in listed)
        return [size for size in sizes if size], []
    return [], [_limits(one) for one in array.shapeRange.sizeRanges]


def _limits(stated: Any) -> tuple[int, int | None]:
    """Return the bounds of a range. An upper bound below 0 means that there is none."""
    lower, upper = int(stated.lowerBound), int(stated.upperBound)
    if lower > _MAX_EXTENT or 0 <= upper < max(lower, 1):
        raise WeightsError(f"damaged: an input has an extent from {lower} to {upper}")
    return lower, upper if upper >= 0 else None


def _array(array: Any, where: str) -> Extents:
    stated: Extents = tuple(int(extent) for extent in array.shape)
    others: list[tuple[int | None, ...]] = []
    if array.has("enumeratedShapes"):
        others = [tuple(int(extent) for extent in one.shape) for one in array.enumeratedShapes.shapes]
    elif array.has("shapeRange"):
        ranges = array.shapeRange.sizeRanges
        others = [tuple(None if one.lowerBound != one.upperBound else int(one.lowerBound) for one in ranges)]
    if not stated and others:
        stated = others[0]
    for one in others:
        if len(one) != len(stated):
            raise UnsupportedError(f"{where} has shapes of {len(stated)} and of {len(one)} axes")
        stated = tuple(a if a == b else None for a, b in zip(stated, one, strict=True))
    return stated


def _checked(extents: Extents, where: str) -> Extents:
    if len(extents) > _MAX_RANK or any(
        extent is not None and not 0 < extent <= _MAX_EXTENT for extent in extents
    ):
        raise WeightsError(f"damaged: {where} has the shape {extents[:_MAX_RANK]}")
    return extents


def restore_settings(network: Network, metadata: Any) -> None:
    """Set what the metadata of a file that mpscnn has written say about a network: scores, answers and labels.

    Raises WeightsError for entries that mpscnn does not write.
    """
    for entry in metadata.userDefined:
        try:
            if entry.key == SCORES:
                network.scores = checked_scores(entry.value)
            elif entry.key == ANSWERS:
                network.answers = parse_json(entry.value)
                require_fitting_answers(network.answers, [tensor.shape for tensor in network.outputs])
            elif entry.key == LABELS:
                network.labels = name_list("labels", parse_json(entry.value))
        except (ParameterError, ValueError, RecursionError) as error:
            raise WeightsError(f"damaged: its metadata {quote_name(entry.key)}: {error}") from error


def class_labels(message: Any, origin: str) -> list[str] | None:
    """Return the names of a classifier's classes (numbers become text); None if the model has none."""
    for field in ("stringClassLabels", "int64ClassLabels"):
        if message.has(field):
            names = getattr(message, field).vector
            if len(names) > MAX_LABELS:
                raise WeightsError(f"{origin}: has {len(names)} labels; supported are {MAX_LABELS}")
            return [str(name) for name in names] or None
    return None


@dataclass(frozen=True)
class Photo:
    """The preprocessing of an image input: sample * scale + bias.

    Attributes:
        order: the order of the channels that the network takes: "rgb", "bgr" or "gray".
        scales, biases: one number for each channel, in the order RGB, or one for gray.
    """

    order: str
    scales: Sequence[float]
    biases: Sequence[float]

    def preprocess(self, origin: str) -> dict[str, object]:
        """Return this as mpscnn's preprocessing, (sample - mean) * scale."""
        if not all(map(math.isfinite, (*self.scales, *self.biases))) or 0.0 in self.scales:
            raise WeightsError(
                f"damaged: {origin}: its preprocessing is x * {list(self.scales)} + {list(self.biases)}"
            )
        order = {} if self.order == "rgb" else {"order": self.order}
        means = [0.0 - bias / scale for bias, scale in zip(self.biases, self.scales, strict=True)]
        return {**order, "mean": means, "scale": list(self.scales)}
