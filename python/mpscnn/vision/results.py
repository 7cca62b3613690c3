"""Hold and display the results of classifiers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, whole_number
from mpscnn._private.arrays import AsArray
from mpscnn._private.literals import ScoresName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn._private.printable import printable
from mpscnn._private.report import Cell
from mpscnn.errors import ParameterError
from mpscnn.vision.answers import LabelledPoint, Number
from mpscnn.vision.photo_result import PhotoResult, refuse_name

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: The number of classes that pictures and notebooks show.
_MAX_SHOWN = 5


#: The headings of the column with the probabilities in notebooks.
_HEADINGS: dict[ScoresName, str] = {
    "softmax": "probability",
    "sigmoid": "independent probability",
    "as is": "score",
}


def score_text(probability: float, scores_are: ScoresName) -> str:
    """Return a probability in percent, or the network's own number with five digits."""
    return f"{probability:.5g}" if scores_are == "as is" else f"{probability:.1%}"


def set_threshold(right: NDArray[np.float32] | None, coverage: float) -> float:
    """Return the lowest probability in a set of classes, which is -infinity if it has all. See `Classification.set`.

    `right` are the probabilities of the right classes of photos in increasing order, None without a calibration.
    """
    if right is None:
        raise ParameterError(
            'the model is not calibrated: model.calibrate("val/") or `mpscnn calibrate` measures what sets need'
        )
    if not is_finite_number(coverage):
        raise ParameterError(f"coverage must be above 0 and below 1, got {coverage!r}")
    return _core.set_threshold(right, coverage)


@dataclass(frozen=True)
class Prediction(Expected):
    """A class and its probability.

    It is from 0 to 1, or the network's own number if the result's `scores_are` is "as is".
    """

    _other_names = (
        ("index", "class_id cls"),
        ("probability", "prob"),
        ("label", "identifier name class_name"),
    )

    label: str
    probability: float
    index: int

    @property
    def score(self) -> float:
        """An alias of `probability`."""
        return self.probability

    confidence = score


@dataclass(frozen=True, repr=False)
class Classification(PhotoResult, AsArray, Sequence[Prediction]):
    """The classes of one photo, the most probable first, and information about the computation."""

    _other_names = (("labels", "names class_names"), ("index", "class_id"))

    predictions: tuple[Prediction, ...]
    device: str
    precision: str
    reason: str
    milliseconds: float
    photo: Any = field(default=None, compare=False)
    """The photo that the caller gave, or its pixels if it cannot be read again. `draw` and `show` use it."""
    photo_checksum: int | None = field(default=None, compare=False, kw_only=True, repr=False)
    """A checksum of `photo` if it is an array: `draw` refuses an array that was written again."""
    scores_are: ScoresName = field(kw_only=True)
    """The kind of the probabilities.

    "softmax": probabilities of classes that exclude each other. "sigmoid": an independent probability of each class,
    so their sum may be any number. "as is": the network's own numbers. `mpscnn.load` says how this is decided.
    """
    has_all_classes: bool = field(default=False, compare=False, kw_only=True)
    """True: `predictions` has every class of the network. False: only the most probable ones, as with `top=3`."""
    tags: tuple[str, ...] | None = field(default=None, kw_only=True)
    """The labels whose probability reaches their threshold, the most probable first. None: the model has no tags."""
    numbers: tuple[Number, ...] | None = field(default=None, kw_only=True)
    """The numbers that the model reads off the photo. None: the model has none."""
    keypoints: tuple[LabelledPoint, ...] | None = field(default=None, kw_only=True)
    """The points that the model finds, in pixels of the upright photo. None: the model has none."""
    size: tuple[int, int] | None = field(default=None, compare=False, kw_only=True, repr=False)
    """(width, height) of the upright photo on which `keypoints` are; None: the model has no points."""
    unfamiliar: float | None = field(default=None, kw_only=True)
    """The share of the photos of `Model.calibrate` that are less unusual, 0 to 1; None without a calibration.

    Near 1, the network has probably seen nothing similar, and its probabilities mean little.
    """
    right_probabilities: NDArray[np.float32] | None = field(
        default=None, compare=False, kw_only=True, repr=False
    )
    """The probabilities of the right classes of the photos of `Model.calibrate`, in increasing order. See `set`."""
    columns = ("rank", "label", "index", "probability")

    @property
    def labels(self) -> list[str]:
        """The labels of all classes in the network's order. Raises ParameterError, see `probabilities`."""
        return [entry.label for entry in self._in_order()]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probabilities of all classes in the network's order, float32 (classes,), as of `Model.labels`.

        `np.asarray(result)` is this array. Raises ParameterError if `has_all_classes` is False.
        """
        return np.array([entry.probability for entry in self._in_order()], np.float32)

    @property
    def indices(self) -> NDArray[np.int64]:
        """The numbers of the classes of `predictions`, int64. The most probable class is the first."""
        return np.array([entry.index for entry in self.predictions], np.int64)

    def _in_order(self) -> list[Prediction]:
        """Return the predictions in the network's order of classes."""
        if not self.has_all_classes:
            raise ParameterError(
                f"this result has only the {len(self)} most probable classes, so it has no array of all; leave out "
                "top= of predict and classify, or read the classes here: [entry.label for entry in result]"
            )
        return sorted(self.predictions, key=attrgetter("index"))

    def _as_array(self) -> NDArray[np.float32]:
        return self.probabilities

    probs = probabilities

    @property
    def top1(self) -> Prediction:
        """The most probable class."""
        return self.predictions[0]

    @property
    def top5(self) -> list[Prediction]:
        """The five most probable classes."""
        return self.top(5)

    @property
    def label(self) -> str:
        """The label of the most probable class."""
        return self.top1.label

    @property
    def score(self) -> float:
        """The probability of the most probable class."""
        return self.top1.probability

    confidence = score

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row for each class."""
        return [
            (rank, entry.label, entry.index, entry.probability) for rank, entry in enumerate(self, start=1)
        ]

    def _found(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "scores_are": self.scores_are,
            "predictions": [dict(vars(entry)) for entry in self],
        }
        if self.tags is not None:
            found["tags"] = list(self.tags)
        if self.numbers is not None:
            found["numbers"] = [number._asdict() for number in self.numbers]
        if self.keypoints is not None:
            found["keypoints"] = [point._asdict() for point in self.keypoints]
        if self.unfamiliar is not None:
            found["unfamiliar"] = self.unfamiliar
        return found

    @accept_foreign_arguments
    def set(self, coverage: float) -> list[Prediction]:
        """Return the classes of a set that has the right class in a share `coverage` of photos, such as 0.98.

        It is the split-conformal set for photos like those of `Model.calibrate`. An easy photo has a set of one class.
        The set may be empty, if the photo is more ambiguous than nearly all others.

        Raises:
            ParameterError: the model is not calibrated, `coverage` is not above 0 and below 1, or this result has not
                all classes of the set, as with `top=1`.
        """
        threshold = set_threshold(self.right_probabilities, coverage)
        chosen = [entry for entry in self.predictions if entry.probability >= threshold]
        if len(chosen) == len(self.predictions) and not self.has_all_classes:
            raise ParameterError(
                f"this result has only the {len(self)} most probable classes, and the set may have more; leave out "
                "top= and coverage= of predict and classify"
            )
        return chosen

    @accept_foreign_arguments
    def top(self, count: int = 5) -> list[Prediction]:
        """Return the `count` most probable classes. Raises ParameterError for a negative number."""
        return list(self.predictions[: whole_number("count", count, minimum=0)])

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        refuse_name(index, "label and probabilities")
        return self.predictions[index]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)

    @accept_foreign_arguments
    def draw(self, photo: Any = None, *, count: int = _MAX_SHOWN) -> PillowImage.Image:
        """Return the photo with its most probable classes below. Bars show the probabilities.

        Points are drawn on the photo.

        Args:
            photo: the photo, see `mpscnn.photo.open_photo`; None: the one that was given to the model.
            count: the maximum number of classes to show.

        Raises:
            ImageError: the photo cannot be read any more, its array was written again, or there is none.
            ParameterError: the count is negative.
        """
        from mpscnn._private.bars import add_bars
        from mpscnn.vision.visualize import draw_points, result_picture

        picture = result_picture(photo, self.photo, self.photo_checksum)
        if self.keypoints is not None:
            return draw_points(picture, self.keypoints)
        best = self.top(count)
        return add_bars(picture, [(self._text(entry), self._share(entry)) for entry in best])

    @accept_foreign_arguments
    def show(self, photo: Any = None) -> None:
        """Open `draw(photo)` in the system's picture viewer."""
        self.draw(photo).show()

    def __repr__(self) -> str:
        if (answer := self.answer_text()) is not None:
            best, kind = answer, ""
        else:
            best = ", ".join(map(self._text, self.top(3)))
            kind = "" if self.scores_are == "softmax" else f" ({self.scores_are})"
        origin = f"{self.milliseconds:.2f} ms on {self.device} ({self.precision})"
        return f"<Classification{kind}: {printable(best)}; {origin}>"

    def answer_text(self) -> str | None:
        """Return the tags, numbers or points as text; None for classes."""
        if self.tags is not None:
            return ", ".join(self.tags) or "no tag"
        if self.numbers is not None:
            return ", ".join(f"{one.label} {one}" for one in self.numbers)
        if self.keypoints is not None:
            return ", ".join(f"{one.label} ({one.x:.1f}, {one.y:.1f})" for one in self.keypoints)
        return None

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import table
        from mpscnn.vision.visualize import html_result

        rows = [(entry.label, self._number_text(entry)) for entry in self.top(_MAX_SHOWN)]
        return html_result(self, table(("class", _HEADINGS[self.scores_are]), rows, right=(1,)))

    def _text(self, entry: Prediction) -> str:
        return f"{entry.label} {self._number_text(entry)}"

    def _number_text(self, entry: Prediction) -> str:
        """Return the text of an entry's probability, or of a number with its unit."""
        return (
            score_text(entry.probability, self.scores_are)
            if self.numbers is None
            else str(self.numbers[entry.index])
        )

    def _share(self, entry: Prediction) -> float:
        """Return the length of an entry's bar, 0 to 1. Numbers that are no probabilities have none."""
        return 0.0 if self.scores_are == "as is" else entry.probability


def answered(
    answers: Mapping[str, Any], predictions: Sequence[Prediction], top: int, size: tuple[int, int]
) -> tuple[tuple[Prediction, ...], dict[str, Any]]:
    """Return the predictions of a model with answers, and the fields of its `Classification` that hold them.

    Numbers and points keep the network's order, and all of them are returned. The places of points become pixels.

    Args:
        answers: as `Network.answers`.
        predictions: all predictions, the largest number first.
        top: the number of tags to return as predictions; 0: all.
        size: (width, height) of the upright photo.
    """
    if answers["kind"] == "tags":
        thresholds = answers["thresholds"]
        reached = tuple(one.label for one in predictions if one.probability >= thresholds[one.index])
        return tuple(predictions[: top or None]), {"tags": reached}
    ordered = sorted(predictions, key=attrgetter("index"))
    if answers["kind"] == "keypoints":
        pixels = [replace(one, probability=one.probability * size[one.index % 2]) for one in ordered]
        x, y = ([one.probability for one in pixels[axis::2]] for axis in (0, 1))
        return tuple(pixels), {"keypoints": tuple(map(LabelledPoint, answers["names"], x, y)), "size": size}
    numbers = (Number(one.label, one.probability, answers["units"][one.index]) for one in ordered)
    return tuple(ordered), {"numbers": tuple(numbers)}
