"""The results of all layers that an engine computed for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

#: Kinds of layers that count as a part of the layer before them. The last of them has the layer's result.
ACTIVATION = "activation"
NORMALIZATION = "batch_normalization"


@dataclass(frozen=True, eq=False)
class Value:
    """A layer's result.

    Args:
        name: the layer's, or the tensor's where the format names those.
        kind: of layer, in words that all engines share: "convolution", "pooling", "add", ...; "" for others.
        array: float32; images (n, height, width, channels), vectors (n, features).
        inner: whether an activation or a normalization follows that belongs to the layer.
        aliases: other names of the layer.
        part: whether the other side of a comparison computes it only within a layer.
    """

    name: str
    kind: str
    array: Array
    inner: bool = False
    aliases: frozenset[str] = frozenset()
    part: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All that the layer is called."""
        return self.aliases | {self.name}


@dataclass(frozen=True, eq=False)
class Trace:
    """All that a network computed for an input, in the order of computation."""

    values: tuple[Value, ...]
    outputs: tuple[str, ...]
    """Names among `values`."""


class Engine(Protocol):
    """A network together with what runs it."""

    @property
    def title(self) -> str:
        """For tables: the file and the engine."""

    @property
    def precision(self) -> str:
        """One of the keys of `TOLERANCES`."""

    @property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes as of `Value.array`, batch included; None is free."""

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """For inputs that are stored as integers, the smallest and largest numbers that they can represent."""

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, on arrays as of `Value.array`."""


#: The default tolerances, as shares of a layer's largest magnitude. They allow for sums in another order and
#: roundings to the format through many layers. For integers it is a share of the L2 norm, because integers clip
#: values outside of a layer's range.
TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1, "int8": 0.35}


def channels_last(array: NDArray[np.generic]) -> Array:
    """Return an image (n, c, h, w) of engines with channels first; other arrays stay."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1) if array.ndim == 4 else array, np.float32)


def channels_first(array: Array) -> Array:
    """Return the inverse of `channels_last`, for images."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


def with_inner_marked(
    values: Sequence[Value], inputs: Mapping[str, Sequence[str]], outputs: Sequence[str]
) -> tuple[Value, ...]:
    """Return the values, with activations and normalizations taken for part of the layer before.

    Args:
        values: in the order of computation.
        inputs: for each value's name the values that it is computed from.
        outputs: names of values that are results: no part of what follows.
    """
    readers: dict[str, int] = dict.fromkeys(outputs, 1)
    for names in inputs.values():
        for name in names:
            readers[name] = readers.get(name, 0) + 1
    marked: dict[str, Value] = {}
    for value in values:
        marked[value.name] = value
        before = [marked[name] for name in inputs.get(value.name, ()) if name in marked]
        if value.kind in (ACTIVATION, NORMALIZATION) and len(before) == 1 and readers[before[0].name] == 1:
            whole = before[0]
            marked[whole.name] = replace(whole, inner=True)
            marked[value.name] = replace(
                value, kind=whole.kind or value.kind, aliases=value.aliases | whole.names
            )
    return tuple(marked.values())
