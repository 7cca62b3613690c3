"""Call the rows of layers of Core ML's neural networks with the inputs and parameters of a layer.

A signature's default is what Core ML does if a parameter is 0, false or empty. Rows raise UnsupportedError and
WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.neural.layer import Layer, StoredWeight
from mpscnn.converters.reading.graph.builder import FLOAT, Builder
from mpscnn.converters.values.rows import Above, Counted, Finite, Ints, Parsed, Row, call, listed, shown
from mpscnn.errors import UnsupportedError, WeightsError

Number = Annotated[float, Finite()]
"""A parameter that must be a finite number."""
Pair = Annotated[Ints, Counted(2), Above(0)]
"""A parameter for height and width."""


def call_row(row: Row, b: Builder, layer: Layer) -> list[str]:
    """Return the tensors of the results of a layer. They are floats, as all blobs of neural networks."""
    made = call(row, layer.inputs, layer.settings, _own_name, {Builder: b, Layer: layer})
    results = [made] if isinstance(made, str) else made
    return [ops.cast(b, one, to=FLOAT) if b.is_integer(one) else one for one in results]


def _own_name(_: object, name: str) -> str:
    return name


def _weight(value: Any, name: str) -> StoredWeight:
    if not isinstance(value, StoredWeight):
        raise WeightsError(f"damaged: its {name} is {shown(value)}, expected a weight")
    return value


Weight = Annotated[StoredWeight, Parsed(_weight)]
"""A weight of the file, whose shape the row knows."""


def numbered(*texts: str, but: Collection[str] = ()) -> Parsed:
    """Return how an enumeration is read: the number of a text, from 0. Texts in `but` are not supported."""

    def read(value: Any, name: str) -> str:
        if not isinstance(value, int) or not 0 <= value < len(texts):
            raise WeightsError(f"damaged: its {name} is {shown(value)}, expected 0 to {len(texts) - 1}")
        if texts[value] in but:
            supported = listed([one for one in texts if one not in but])
            raise UnsupportedError(f"its {name} is {texts[value]!r}; supported {supported}")
        return texts[value]

    return Parsed(read)


def inner(record: Callable[..., Any]) -> Parsed:
    """Return how an inner message is read: as a record, whose signature is the schema, too."""

    def read(value: Any, name: str) -> Any:
        if not isinstance(value, Mapping):
            raise WeightsError(f"damaged: its {name} is {shown(value)}, expected a message")
        return call(record, (), value, _own_name, {})

    return Parsed(read)


def inner_list(record: Callable[..., Any]) -> Parsed:
    """Return how a list of inner messages is read."""
    one = inner(record)

    def read(value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise WeightsError(f"damaged: its {name} are {shown(value)}, expected messages")
        return [one.read(own, name) for own in value]

    return Parsed(read)


def stated(weight: StoredWeight | None, name: str) -> StoredWeight:
    """Return a weight that a layer says that it has. Raises WeightsError if the file does not have it."""
    if weight is None:
        raise WeightsError(f"damaged: it has no {name}")
    return weight


def bias_of(b: Builder, bias: StoredWeight | None, count: int) -> str:
    """Add a bias, which a layer says that it has."""
    return b.weight("bias", stated(bias, "bias").blob((count,)))


# ---- Borders -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Edges:
    start_edge_size: int = 0
    end_edge_size: int = 0


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Amounts before and after the height and the width."""

    border_amounts: Annotated[Sequence[_Edges], inner_list(_Edges)] = ()

    def amounts(self) -> list[int]:
        """Return top, bottom, left and right."""
        if len(self.border_amounts) not in (0, 2):
            raise WeightsError(f"damaged: {len(self.border_amounts)} pairs of borders for height and width")
        sides = [one for edge in self.border_amounts for one in (edge.start_edge_size, edge.end_edge_size)]
        return sides or [0, 0, 0, 0]


NO_BORDERS = Borders()
