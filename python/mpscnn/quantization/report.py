"""The effect of quantising a network, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mpscnn._private.summary import text_table

_SHOWN = 8  # layers in a line


@dataclass(frozen=True)
class QuantizedLayer:
    """The range and error of one layer in integers.

    Args:
        name: the layer's.
        operation: what it computes.
        lowest: the smallest number that its integers represent.
        highest: the greatest one.
        own_error: L2 norm of the difference of its results from those in float32 over the norm of these, this layer
            alone in integers, reading what float32 gives, as integers.
        error: the same with the whole network in integers.
    """

    name: str
    operation: str
    lowest: float
    highest: float
    own_error: float
    error: float


@dataclass(frozen=True)
class QuantizationReport:
    """The outcome of a quantisation. Printing it shows the layers that lose most.

    Args:
        name: the network's.
        calibration_images: by how many the integers were chosen.
        images: on how many the answers were compared.
        compared: what `agreement` counts: "images", "pixels" or "objects".
        agreement: how often the answer is that of the network in float32, 0 to 1; None where answers have no classes.
        accuracy_before: share of the images whose most probable class is the right one, in float32; None where that is
            not known.
        accuracy: the same in integers.
        error: L2 norm of the difference of the results from those in float32 over the norm of these, the largest of
            the network's outputs.
        equalized: whether channels were equalised between layers.
        kept: layers that stay in float32.
        refused: those of them that integers do not have, and why.
        layers: in the order of the network.
    """

    name: str
    calibration_images: int
    images: int
    compared: str
    agreement: float | None
    accuracy_before: float | None
    accuracy: float | None
    error: float
    equalized: bool
    kept: tuple[str, ...]
    refused: dict[str, str]
    layers: tuple[QuantizedLayer, ...]

    def worst(self, count: int = 10) -> list[QuantizedLayer]:
        """Return the layers that lose most by themselves, the worst first."""
        return sorted(self.layers, key=lambda layer: -layer.own_error)[:count]

    def table(self, count: int = 10, *, width: int | None = None) -> str:
        """`worst` as text, in lines of at most `width` characters where that is possible."""
        rows = [
            (
                layer.name,
                layer.operation,
                f"{layer.lowest:.4g}",
                f"{layer.highest:.4g}",
                f"{layer.own_error:.2g}",
                f"{layer.error:.2g}",
            )
            for layer in self.worst(count)
        ]
        headers = ("layer", "operation", "from", "to", "own error", "error")
        return text_table(headers, rows, right=(2, 3, 4, 5), width=width)

    def verdict(self) -> str:
        """Return the outcome in a few words."""
        found = [f"error of the results {self.error:.2g}"]
        if self.agreement is not None:
            found.append(f"the same answer for {self.agreement:.1%} of {self.compared}")
        if self.accuracy is not None and self.accuracy_before is not None:
            found.append(f"accuracy {self.accuracy_before:.2%} in float32, {self.accuracy:.2%} in int8")
        layers = "1 layer" if len(self.kept) == 1 else f"{len(self.kept)} layers"
        kept = f" with {layers} in float32" if self.kept else ""
        refused = ""
        if self.refused:
            more = f" and {len(self.refused) - _SHOWN} more" if len(self.refused) > _SHOWN else ""
            refused = f"; integers do not have {', '.join(list(self.refused)[:_SHOWN])}{more}"
        images = "1 image" if self.images == 1 else f"{self.images} images"
        return f"int8{kept} on {images}: {', '.join(found)}{refused}"

    def __repr__(self) -> str:
        return f"{self.table()}\n\n{self.verdict()}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self)
