"""Find what YOLO computes of an object besides its box and class: an angle, keypoints or a mask.

These are the columns after the classes, as Ultralytics writes them: one angle; x, y and mostly the probability of each
keypoint; or the coefficients of the object's mask, whose prototypes are the file's second output.
"""

from __future__ import annotations

import ast
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.detector_postprocess import PostProcessing
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.layout import Arranged
from mpscnn.graph.layers.layer_maker import Tensor

__all__ = ["Details", "Keypoints", "Masks", "details_of", "joined_parts"]

_MAX_TEXT = 100  # the maximum number of characters of the shape of keypoints in a file's metadata


@dataclass
class Details(ABC):
    """The details that a network computes of each object besides its box and class.

    Attributes:
        columns: the tensor of the columns; each box has some of them.
        axis: the axis of `columns` that has the columns.
    """

    columns: Arranged
    axis: int

    #: The noun for the note about the network.
    what = ""

    @abstractmethod
    def add(self, c: Context, rows: Tensor) -> list[Tensor]:
        """Add layers for the outputs, and return them. `rows` are the columns as (n, boxes, columns)."""

    def fits(self, results: NDArray[np.float64]) -> bool:
        """Return True if the first output's values for one image (boxes, columns) have the expected meaning."""
        return bool(np.isfinite(results).all())

    @abstractmethod
    def settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Return the settings of `DetectionHead` that name the outputs."""


class Angles(Details):
    """The angle of a rotated box, in radians."""

    what = "rotated boxes"

    def add(self, c: Context, rows: Tensor) -> list[Tensor]:
        return [c.network.activation(rows, {"kind": "none"}, name=c.naming.planned.unique("angles"))]

    def fits(self, results: NDArray[np.float64]) -> bool:
        return super().fits(results) and bool(np.abs(results).max(initial=0.0) <= math.pi)

    def settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Return the settings of `DetectionHead` that name the outputs."""
        return {"angles": {"output": names[0]}}


@dataclass
class Keypoints(Details):
    """The points of an object, in the unit of boxes.

    Attributes:
        numbers: 3 for x, y and a probability; 2 for points that are always visible.
    """

    numbers: int = 3
    _layer: str = ""

    what = "keypoints"

    def add(self, c: Context, rows: Tensor) -> list[Tensor]:
        """Add a pointwise convolution that turns points into fractions of the image, and adds probabilities of 1."""
        count = rows.shape[-1] or 0
        image = c.network.reshape(rows, (-1, 1, count), name=c.naming.planned.unique("keypoints/rows"))
        name = c.naming.planned.unique("points")
        y = c.network.conv2d(image, self._wide(count), 1, name=name)
        c.weights.set(name, "weight", np.zeros((self._wide(count), 1, 1, count), np.float32))
        c.weights.set(name, "bias", np.ones(self._wide(count), np.float32))
        self._layer = name
        return [c.network.reshape(y, (-1, self._wide(count)), name=c.naming.planned.unique("keypoints"))]

    def _wide(self, columns: int) -> int:
        return columns // self.numbers * 3

    def set_weights(self, c: Context, scale: tuple[float, float]) -> None:
        """Set the weights of the layer. `scale` turns x and y of boxes into fractions of the image."""
        count = self.columns.shape[self.axis] or 0
        weight, bias = (
            np.zeros((self._wide(count), count), np.float32),
            np.zeros(self._wide(count), np.float32),
        )
        for point in range(count // self.numbers):
            for place, factor in enumerate((*scale, 1.0)[: self.numbers]):
                weight[3 * point + place, self.numbers * point + place] = factor
            bias[3 * point + 2] = 3 - self.numbers
        layer = c.naming.planned.final_of(self._layer)
        c.weights.set(layer, "weight", weight.reshape(len(weight), 1, 1, count))
        c.weights.set(layer, "bias", bias)

    def settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Return the settings of `DetectionHead` that name the outputs."""
        return {"keypoints": {"output": names[0]}}


@dataclass
class Masks(Details):
    """The coefficients of an object's mask.

    Attributes:
        prototypes: the masks that all objects have in common, (n, channels, height, width).
    """

    prototypes: Arranged | None = None

    what = "masks"

    def add(self, c: Context, rows: Tensor) -> list[Tensor]:
        """Add layers for the coefficients and the prototypes."""
        assert self.prototypes is not None
        _, channels, *place = self.prototypes.axes
        grid = c.arranger.physical(self.prototypes, (*place, channels))
        return [
            c.network.activation(tensor, {"kind": "none"}, name=c.naming.planned.unique(name))
            for tensor, name in ((rows, "coefficients"), (grid, "prototypes"))
        ]

    def settings(self, names: list[str]) -> dict[str, dict[str, str]]:
        """Return the settings of `DetectionHead` that name the outputs."""
        return {"masks": {"coefficients": names[0], "prototypes": names[1]}}


def joined_parts(c: Context, node: Node) -> list[str]:
    """Return the tensors that a concatenation joins along its axis, also those of the concatenations before it.

    A tensor of four columns is a box, and stays as it is.
    """
    parts: list[str] = []
    for name in node.inputs:
        maker = c.file.makers.get(name)
        if (
            ops.matches(maker, ops.concatenate)
            and maker.integer("axis", 0) == node.integer("axis", 0)
            and not (name in c.values and c.values[name].shape[1:2] == (4,))
        ):
            parts += joined_parts(c, maker)
        else:
            parts.append(name)
    return parts


def details_of(
    c: Context,
    processing: PostProcessing,
    parts: list[str],
    columns: Arranged,
    axis: int,
    prototypes: str | None,
) -> Details | None:
    """Return the meaning of the columns after the classes; None if it cannot be told.

    Args:
        c: the conversion.
        processing: the post-processing of the file.
        parts: the tensors that were joined to these columns.
        columns: the columns.
        axis: their axis.
        prototypes: the output with the prototypes of masks, if the file has one.
    """
    count = columns.shape[axis] or 0
    if prototypes is not None:
        shape = c.values[prototypes].shape
        return Masks(columns, axis, c.values[prototypes]) if len(shape) == 4 and shape[1] == count else None
    task = c.file.metadata.get("task")
    if task == "obb" or (task is None and count == 1 and _is_angle(c, processing, parts)):
        return Angles(columns, axis) if count == 1 else None
    if task not in ("pose", None):
        return None
    numbers = _stated_numbers(c.file.metadata, count)
    if numbers is None and count % 3 == 0 and _ends_in_probability(c, processing, parts):
        numbers = 3
    elif numbers is None and count % 2 == 0 and not _ends_in_probability(c, processing, parts):
        numbers = 2
    return Keypoints(columns, axis, numbers) if numbers else None


def _stated_numbers(metadata: Mapping[str, str], count: int) -> int | None:
    """Return the numbers for each keypoint that the file states; None if it states none for `count` columns."""
    text = metadata.get("kpt_shape", "")
    try:
        shape: Any = ast.literal_eval(text) if 0 < len(text) <= _MAX_TEXT else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(shape, (list, tuple)) or len(shape) != 2 or shape[1] not in (2, 3):
        return None
    return int(shape[1]) if shape[0] * shape[1] == count else None


def _is_angle(c: Context, processing: PostProcessing, parts: list[str]) -> bool:
    """Return True if a column is not itself a probability. An angle is a linear function of one."""
    maker = c.file.makers.get(processing.unmoved(parts[-1]))
    return ops.matches(maker, ops.multiply, ops.add, ops.subtract)


def _ends_in_probability(c: Context, processing: PostProcessing, parts: list[str]) -> bool:
    """Return True if the last number of a point is a sigmoid."""
    maker = c.file.makers.get(processing.unmoved(parts[-1]))
    if ops.matches(maker, ops.concatenate):
        maker = c.file.makers.get(processing.unmoved(maker.inputs[-1]))
    return ops.matches(maker, ops.sigmoid)
