"""Report the effect of quantising a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from mpscnn._private.report import Column, Report
from mpscnn.quantization.fewest_floats import KeptLayer

_SHOWN = 8  # the maximum number of layers without integers that a verdict names


@dataclass(frozen=True)
class QuantizedLayer:
    """The range and error of one layer in integers.

    Args:
        name: the layer's name.
        operation: the layer's operation.
        lowest: the smallest number that its integers represent.
        highest: the largest number that its integers represent.
        own_error: the relative error of the results if only this layer computes in integers, on rounded float32 inputs.
            It is the L2 norm of the difference from float32, divided by the L2 norm of the float32 results.
        error: the relative error of the results if the whole network computes in integers.
    """

    name: str
    operation: str
    lowest: float
    highest: float
    own_error: float
    error: float


@dataclass(frozen=True)
class QuantizationReport(Report):
    """The outcome of a quantisation. Printing it shows the layers with the largest errors.

    Args:
        name: the network's name.
        calibration_images: the number of images for choosing the integers.
        images: the number of images for comparing results.
        compared: what `agreement` counts: "images", "pixels" or "objects".
        agreement: how often the result is the same as in float32, 0 to 1; None if results have no classes.
        accuracy_before: the share of images whose most probable class is right, in float32; None if unknown.
        accuracy: the share of images whose most probable class is right, in integers; None if unknown.
        error: the L2 norm of the results' difference from float32, divided by the norm of the float32 results; the
            largest of all outputs.
        equalized: whether channels were equalised between layers.
        kept: the layers that stay in float32.
        refused: those of the `kept` layers that have no integer version, with reasons.
        layers: the layers in the order of the network.
        loss: the lost points in percent, of the accuracy, or of the agreement without one; None if no `loss` was asked
            for.
        promised: those of the `kept` layers without which the network would lose more than promised, the largest effect
            first.
        epochs: the number of times that the quantised network was trained with the calibration images.
        training_left_out: whether a training was asked for, but did not reduce the error, so that `epochs` is 0.
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
    loss: float | None = None
    promised: tuple[KeptLayer, ...] = ()
    epochs: int = 0
    training_left_out: bool = False

    def worst(self, count: int = 10) -> list[QuantizedLayer]:
        """Return the layers with the largest `own_error`, the worst first."""
        return sorted(self.layers, key=lambda layer: -layer.own_error)[:count]

    def _entries(self) -> tuple[QuantizedLayer, ...]:
        return self.layers

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("layer", lambda layer: layer.name),
            Column("operation", lambda layer: layer.operation),
            Column("from", lambda layer: f"{layer.lowest:.4g}", right=True),
            Column("to", lambda layer: f"{layer.highest:.4g}", right=True),
            Column("own error", lambda layer: f"{layer.own_error:.2g}", right=True),
            Column("error", lambda layer: f"{layer.error:.2g}", right=True),
        )

    def _dropped(self) -> tuple[str, ...]:
        return ("operation",)

    def _sentences(self) -> list[str]:
        return [self.verdict()]

    def table(self, count: int = 10, *, width: int | None = None) -> str:
        """Return a table of `worst`. Lines have at most `width` characters if possible."""
        return self._text(self.worst(count), width)

    def verdict(self) -> str:
        """Return the outcome as a sentence."""
        found = [f"error of the results {self.error:.2g}"]
        if self.agreement is not None:
            found.append(f"the same answer for {self.agreement:.1%} of {self.compared}")
        if self.accuracy is not None and self.accuracy_before is not None:
            found.append(f"accuracy {self.accuracy_before:.2%} in float32, {self.accuracy:.2%} in int8")
        if self.loss is not None:
            found.append(f"{max(self.loss, 0.0):.2f} points lost")
        layers = "1 layer" if len(self.kept) == 1 else f"{len(self.kept)} layers"
        kept = f" with {layers} in float32" if self.kept else ""
        refused = ""
        if self.refused:
            more = f" and {len(self.refused) - _SHOWN} more" if len(self.refused) > _SHOWN else ""
            refused = f"; integers do not have {', '.join(list(self.refused)[:_SHOWN])}{more}"
        images = "1 image" if self.images == 1 else f"{self.images} images"
        trained = f" after {self.epochs} epoch{'s' * (self.epochs > 1)} of training" if self.epochs else ""
        left_out = ""
        if self.training_left_out:
            # Beside promised layers, a training that loses more points is left out, too.
            or_more = " or lost more points" if self.promised else ""
            left_out = f"; training did not reduce the error{or_more}, and is left out"
        return f"int8{kept}{trained} on {images}: {', '.join(found)}{refused}{left_out}"

    def __repr__(self) -> str:
        return f"{self.table()}\n\n{self.verdict()}"
