"""Keep facts about the results of nodes besides the tensors that the network computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.integer_limits import Grid
from mpscnn.converters.max_unpooling import Maxima
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor

Integers = tuple[float, int]
"""The scale and zero point of a tensor that is quantized as int8."""


@dataclass(frozen=True)
class Quantized:
    """The input of a QuantizeLinear.

    Attributes:
        name: the name of the tensor that is quantized.
        value: the tensor.
        grid: the scale, zero point and type of the integers.
        is_limited: whether an earlier layer already clips the value to the range of the integers.
    """

    name: str
    value: FileTensor
    grid: Grid
    is_limited: bool = False


@dataclass
class FileIntegers:
    """The quantizations of the file's tensors and of the network's.

    Attributes:
        quantized: the inputs of QuantizeLinear, by the name of its result.
        limits: the layers that clip to the range of integers. For each, the tensor of the file, and its integers.
        of_tensors: the quantizations of the network's tensors, by name.
        pooled: the operand of a pooling or resize, whose range the result does not exceed, by the result's name.
        types: the types of these integers in the file.
    """

    quantized: dict[str, Quantized] = field(default_factory=dict)
    limits: dict[str, tuple[str, Grid]] = field(default_factory=dict)
    of_tensors: dict[str, Integers] = field(default_factory=dict)
    pooled: dict[str, str] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)


class Border(NamedTuple):
    """A Pad whose border no layer can hold: the operand, and the pixels at the top, left, bottom and right."""

    x: FileTensor
    sides: tuple[int, int, int, int]


class Expanded(NamedTuple):
    """An Expand: the operand with the rank of the result, and the result's shape for both numbers of free extents."""

    x: FileTensor
    shapes: tuple[list[int], list[int]]


class Masked(NamedTuple):
    """Scores of attention, and a mask with elements of minus infinity that a node adds to them."""

    node: Node
    x: FileTensor
    mask: NDArray[np.float32]


@dataclass
class MergedNodes:
    """Nodes that a later node may include.

    Attributes:
        nodes: the id() of nodes that are a part of a node that was already converted.
        borders: borders of minus infinity, which a MaxPool may take as its padding, by the result of the Pad.
        expanded: what nodes that broadcast may leave out, by the result of the Expand.
        masked: masks that are finite before a softmax, by the result of the sum.
    """

    nodes: set[int] = field(default_factory=set)
    borders: dict[str, Border] = field(default_factory=dict)
    expanded: dict[str, Expanded] = field(default_factory=dict)
    masked: dict[str, Masked] = field(default_factory=dict)


@dataclass
class KnownResults:
    """Keep facts about results of nodes besides the tensors that the network computes.

    Attributes:
        sequences: the parts of sequences. The name of a constant stands for the constant.
        maxima: the places of the maxima of poolings, by the name of the tensor with their positions.
        integer_types: a cache of `integer_types.integer_type`, by the name of the tensor.
        truths: a cache of `logic.are_truths`: whether all elements of a tensor are 0 or 1.
        deferred: the node and a function that adds its layers when another node reads the result, by its name.
    """

    sequences: dict[str, list[FileTensor | str]] = field(default_factory=dict)
    maxima: dict[str, Maxima] = field(default_factory=dict)
    integer_types: dict[str, str] = field(default_factory=dict)
    truths: dict[str, bool] = field(default_factory=dict)
    deferred: dict[str, tuple[Node, Callable[[], FileTensor]]] = field(default_factory=dict)
