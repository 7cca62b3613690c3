"""The history of a training: numbers for each epoch, and their curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, overload

from mpscnn._private.other_arguments import MONITORS
from mpscnn._private.other_names import Expected
from mpscnn._private.report import Cell, Tabular
from mpscnn.errors import ParameterError
from mpscnn.training.curves import Chart, charts_picture

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: Names of Keras for the fields of `Epoch`.
KERAS_NAMES = {"validation_loss": "val_loss", "validation_accuracy": "val_accuracy"}


@dataclass(frozen=True)
class Epoch(Expected):
    """The numbers of one pass over the training data.

    The loss and accuracy of a step are computed before it updates the weights.
    """

    _other_names = tuple(KERAS_NAMES.items())

    index: int
    """The number of the epoch, counted from 1. A trainer from a checkpoint continues the count."""
    loss: float
    accuracy: float
    """The training accuracy, 0 to 1; NaN if the network has no classes."""
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    """The learning rate of the epoch's last step."""
    seconds: float

    def __getitem__(self, name: str) -> Any:
        """Return a number by its name here or in Keras. Raises ParameterError for other names."""
        return getattr(self, _field_name(name))


def _field_name(name: Any) -> str:
    """Return the field of `Epoch` by its name here or in Keras. Raises ParameterError for other names."""
    own, known = (
        MONITORS.get(name, name) if isinstance(name, str) else name,
        [one.name for one in fields(Epoch)],
    )
    if own not in known:
        raise ParameterError(f"an epoch has {', '.join(known)}, got {name!r:.100}")
    return str(own)


class KerasHistory(dict[str, list[Any]]):
    """The lists of a history by their names in Keras. The names of `Epoch` are taken, too."""

    def __missing__(self, name: str) -> list[Any]:
        if (other := KERAS_NAMES.get(name, "")) in self:
            return self[other]
        raise KeyError(f"{name}: there are {', '.join(self)}")

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or super().__contains__(KERAS_NAMES.get(str(name)))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the list of this name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default


@dataclass(frozen=True, repr=False)
class History(Tabular, Sequence[Epoch]):
    """The epochs of a training in order. Notebooks show them as curves and a table."""

    _other_names = (
        ("accuracies", "accuracy acc"),
        ("losses", "loss"),
    )

    epochs: tuple[Epoch, ...]
    best_epoch: int | None = None
    """The index of the epoch whose weights early stopping kept; None if it kept none."""
    measures: tuple[str, str] = ("accuracy", "accuracy")
    """The names of the measures in `accuracies` and `validation_accuracies`, which pictures and texts show.

    `mpscnn.train` compares epochs of a detector by the mAP at an IoU of 0.5, and of a segmenter by the mean IoU. These
    are then the validation accuracies. The training accuracies are the shares of matched anchors and of pixels whose
    class is right.
    """

    phases: tuple[str, ...] = ()
    """The name of each epoch's phase, if the training has phases: "last layer" and "last blocks" for a classifier."""

    @property
    def losses(self) -> list[float]:
        """The training loss of each epoch."""
        return [epoch.loss for epoch in self]

    @property
    def accuracies(self) -> list[float]:
        """The training accuracy of each epoch, 0 to 1 (see `measures`); NaN if the network has no classes."""
        return [epoch.accuracy for epoch in self]

    @property
    def validation_losses(self) -> list[float | None]:
        """The loss of the validation data after each epoch; None without such data."""
        return [epoch.validation_loss for epoch in self]

    @property
    def validation_accuracies(self) -> list[float | None]:
        """The accuracy on the validation data after each epoch (see `measures`); None without such data."""
        return [epoch.validation_accuracy for epoch in self]

    @property
    def learning_rates(self) -> list[float]:
        """The learning rate of each epoch's last step."""
        return [epoch.learning_rate for epoch in self]

    @property
    def seconds(self) -> list[float]:
        """The seconds of each epoch, including the validation."""
        return [epoch.seconds for epoch in self]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a list for each field of `Epoch`, for `pandas.DataFrame`."""
        return {field.name: [getattr(epoch, field.name) for epoch in self] for field in fields(Epoch)}

    @property
    def history(self) -> KerasHistory:
        """`to_dict()` with the names that Keras has: val_loss and val_accuracy. Those of `Epoch` are taken, too."""
        return KerasHistory((KERAS_NAMES.get(name, name), values) for name, values in self.to_dict().items())

    def _named_rows(self) -> tuple[list[str], list[tuple[Cell, ...]]]:
        return [field.name for field in fields(Epoch)], [astuple(epoch) for epoch in self]

    def plot(self) -> PillowImage.Image:
        """Draw losses, accuracies and learning rates over the epochs, as a Pillow image.

        Raises UnsupportedError without Pillow.
        """
        return charts_picture(self._charts())

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Epoch, ...]: ...
    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    def __getitem__(self, index: int | slice | str) -> Epoch | tuple[Epoch, ...] | list[Any]:
        """Return an epoch, some epochs, or for the name of a field of `Epoch` its value in each epoch.

        Names of Keras, such as "val_loss", are accepted. Raises ParameterError for other names.
        """
        if not isinstance(index, str):
            return self.epochs[index]
        name = _field_name(index)
        return [getattr(epoch, name) for epoch in self]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        if not self:
            return "<History: no epochs>"
        return f"<History: {self._count()}; {epoch_text(self[-1], self.measures)}>"

    def _count(self) -> str:
        """Return the number of epochs, and those of each phase if there are several."""
        count = f"{len(self)} epoch{'' if len(self) == 1 else 's'}"
        names = list(dict.fromkeys(self.phases))
        parts = ", ".join(f"{self.phases.count(name)} of the {name}" for name in names)
        return f"{count} ({parts})" if len(names) > 1 else count

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, details, scroll_box, table
        from mpscnn.vision.visualize import html_picture

        names = [field.name.replace("_", " ") for field in fields(Epoch)]
        listed = table(names, map(_cells, self), right=range(len(names)))
        curves = html_picture(self.plot()) if self else ""
        return Html(f"<div>{curves}{details(self._count(), scroll_box(listed))}</div>")

    def _charts(self) -> list[Chart]:
        losses = {"training": self.losses, "validation": self.validation_losses}
        top, rate = _highest(losses.values()), _highest([self.learning_rates])
        return [
            Chart("loss", _shown(losses), top, f"{top:.3g}"),
            *self.measure_charts(),
            Chart("learning rate", {"": self.learning_rates}, rate, f"{rate:.2g}"),
        ]

    def measure_charts(self, begin: int = 0) -> list[Chart]:
        """Return a chart for each measure that has numbers. `begin` is the first epoch of a second phase."""
        curves: dict[str, dict[str, Any]] = {name: {} for name in self.measures}
        curves[self.measures[0]]["training"] = self.accuracies
        curves[self.measures[1]]["validation"] = self.validation_accuracies
        shown = {name: _shown(lines) for name, lines in curves.items()}
        return [Chart(name, lines, 1.0, "100%", begin) for name, lines in shown.items() if lines]


def _highest(curves: Any) -> float:
    return max((value for curve in curves for value in curve if value is not None), default=0.0)


def _shown(curves: dict[str, Any]) -> dict[str, Any]:
    """Return the curves that have at least one number."""
    return {
        name: values
        for name, values in curves.items()
        if any(value is not None and math.isfinite(value) for value in values)
    }


def _cells(epoch: Epoch) -> list[str]:
    values = [getattr(epoch, field.name) for field in fields(Epoch)]
    return ["" if value is None else f"{value:.5g}" for value in values]


def epoch_text(epoch: Epoch, measures: tuple[str, str] = ("accuracy", "accuracy")) -> str:
    """Return the numbers of an epoch as a line. `measures` are the names of its accuracies (`History.measures`)."""
    training, validation = measures
    parts = [f"loss {epoch.loss:.4f}"]
    if not math.isnan(epoch.accuracy):
        parts.append(f"{training} {epoch.accuracy:.1%}")
    if epoch.validation_loss is not None:
        parts.append(f"validation {epoch.validation_loss:.4f}")
    if epoch.validation_accuracy is not None and not math.isnan(epoch.validation_accuracy):
        name = "" if validation == training else f"{validation} "
        parts.append(f"{name}{epoch.validation_accuracy:.1%}")
    return "  ".join([*parts, f"{epoch.seconds:.1f} s"])
