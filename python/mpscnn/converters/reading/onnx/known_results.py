"""Keep facts about the results of nodes besides the tensors that the network computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.values.max_unpooling import Maxima
from mpscnn.converters.values.tensor import FileTensor


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
        of_tensors: the quantizations of the network's tensors as int8, by name.
        pooled: the operand of a pooling or resize, whose range the result does not exceed, by the result's name.
        types: the types of these integers in the file.
    """

    quantized: dict[str, Quantized] = field(default_factory=dict)
    limits: dict[str, tuple[str, Grid]] = field(default_factory=dict)
    of_tensors: dict[str, Grid] = field(default_factory=dict)
    pooled: dict[str, str] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)


class Border(NamedTuple):
    """A Pad of minus infinity, which no layer can hold, but a MaxPool as its padding.

    The parts are the operand, and the pixels at the top, left, bottom and right.
    """

    x: FileTensor
    sides: tuple[int, int, int, int]


class Expanded(NamedTuple):
    """An Expand, which nodes that broadcast may leave out.

    The parts are the operand with the rank of the result, and the result's shape for both numbers of free extents.
    """

    x: FileTensor
    shapes: tuple[list[int], list[int]]


class Deferred(NamedTuple):
    """A result whose layers are added when a node reads it.

    Attributes:
        node: the node.
        make: a function that adds the layers and returns the result, or raises why it is not supported.
        instead: what some nodes read instead of the result.
    """

    node: Node
    make: Callable[[], FileTensor]
    instead: Border | Expanded | Maxima


class Masked(NamedTuple):
    """Scores of attention, and a mask with elements of minus infinity that a node adds to them."""

    node: Node
    x: FileTensor
    mask: NDArray[np.float32]


@dataclass
class KnownResults:
    """Keep facts about results of nodes besides the tensors that the network computes.

    Attributes:
        sequences: the parts of sequences. The name of a constant stands for the constant.
        types: a cache of `element_types.type_of_elements`, by the name of the tensor.
        deferred: results that have no layers yet.
        masked: masks that are finite before a softmax, by the result of the sum.
        merged: the id() of nodes that are a part of a node that was already converted.
    """

    sequences: dict[str, list[FileTensor | str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    deferred: dict[str, Deferred] = field(default_factory=dict)
    masked: dict[str, Masked] = field(default_factory=dict)
    merged: set[int] = field(default_factory=set)
