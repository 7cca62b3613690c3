"""The results of all layers that an engine computed for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

#: Kinds of layers that count as a part of the layer before them. The result of the last part is the layer's result.
ACTIVATION = "activation"
NORMALIZATION = "batch_normalization"
#: The largest number of names that a layer gets from the parts before it. Without a limit, the names of a long chain of
#: activations would grow with the square of its length.
_MAX_PARTS = 16


@dataclass(frozen=True, eq=False)
class Value:
    """A layer's result.

    Args:
        name: the layer's name, or the tensor's in formats that name tensors.
        kind: the kind of layer, the same word for all engines: "convolution", "pooling", "add", ...; "" if unknown.
        array: float32; images (n, height, width, channels), vectors (n, features).
        inner: whether an activation or normalization that belongs to the layer follows this result.
        aliases: other names of the layer.
        part: whether the other side of a comparison may fuse this layer into another one.
    """

    name: str
    kind: str
    array: Array
    inner: bool = False
    aliases: frozenset[str] = frozenset()
    part: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All names of the layer."""
        return self.aliases | {self.name}


@dataclass(frozen=True)
class Steps:
    """The numbers that an input can be: `lowest + k * step` for each whole k from 0 to `last`.

    Attributes:
        lowest: the first number, for all channels or for each.
        step: the distance of two numbers, for all channels or for each.
        last: the largest k.
    """

    lowest: tuple[float, ...]
    step: tuple[float, ...]
    last: int

    def random(self, generator: np.random.Generator, shape: Sequence[int]) -> Array:
        """Return random numbers of these, whose last axis is the channels."""
        places = generator.integers(0, self.last, shape, endpoint=True)
        return np.asarray(np.asarray(self.lowest) + places * np.asarray(self.step), np.float32)

    def places(self, array: Array) -> NDArray[np.float64]:
        """Return k for the nearest of these numbers, whose last axis is the channels."""
        exact = (array.astype(np.float64) - np.asarray(self.lowest)) / np.asarray(self.step)
        found: NDArray[np.float64] = np.clip(np.rint(exact), 0, self.last)
        return found


@dataclass(frozen=True, eq=False)
class Trace:
    """All results of a network for one input, in the order of computation."""

    values: tuple[Value, ...]
    outputs: tuple[str, ...]
    """The names of the outputs, which are among `values`."""


class Engine(Protocol):
    """A network together with the engine that runs it."""

    @property
    def title(self) -> str:
        """The file and the engine, for tables."""

    @property
    def precision(self) -> str:
        """One of the keys of `TOLERANCES`."""

    @property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """The shapes of the inputs in the order of axes of `Value.array`, with the batch; None for free extents."""

    @property
    def steps(self) -> dict[str, Steps]:
        """The numbers that each input can be, for inputs that are integers or the pixels of a photo."""

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers.

        The inputs have the order of axes of `Value.array`.
        """


#: The default tolerances, relative to a layer's largest magnitude. They allow for sums in another order, and for
#: roundings through many layers. For integers the tolerance is relative to the L2 norm, because integers clip values
#: outside of a layer's range.
TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1, "int8": 0.35}


def channels_last(array: NDArray[np.generic]) -> Array:
    """Convert an image (n, c, h, w) to (n, h, w, c). Other arrays stay unchanged."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1) if array.ndim == 4 else array, np.float32)


def channels_first(array: Array) -> Array:
    """Convert an image (n, h, w, c) to (n, c, h, w)."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


def mark_inner_values(
    values: Sequence[Value], inputs: Mapping[str, Sequence[str]], outputs: Sequence[str]
) -> tuple[Value, ...]:
    """Mark each value that only an activation or normalization reads.

    The activation or normalization then counts as a part of the layer that computes the value, which has a limited
    number of parts.

    Args:
        values: the values in the order of computation.
        inputs: for each value's name the values that it is computed from.
        outputs: the names of outputs, which are not a part of later layers.
    """
    readers: dict[str, int] = dict.fromkeys(outputs, 1)
    for names in inputs.values():
        for name in names:
            readers[name] = readers.get(name, 0) + 1
    marked: dict[str, Value] = {}
    for value in values:
        marked[value.name] = value
        before = [marked[name] for name in inputs.get(value.name, ()) if name in marked]
        if value.kind not in (ACTIVATION, NORMALIZATION) or len(before) != 1:
            continue
        whole = before[0]
        if readers[whole.name] == 1 and len(whole.names) < _MAX_PARTS:
            marked[whole.name] = replace(whole, inner=True)
            marked[value.name] = replace(
                value, kind=whole.kind or value.kind, aliases=value.aliases | whole.names
            )
    return tuple(marked.values())
