"""Measure the accuracy of a classifier on labelled photos."""

from __future__ import annotations

import operator
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.class_scores import score_count
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import conversion_hint
from mpscnn._private.report import Column, Drawable, Report
from mpscnn.errors import Error, ImageError, ParameterError, ShapeError
from mpscnn.evaluation.class_samples import Sample, samples_of
from mpscnn.evaluation.confusion import MAX_COLUMNS, confusion_table, frequent_mistakes, seen_classes
from mpscnn.evaluation.photo_stream import iterate_results

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from mpscnn.model import Model

Ranked = tuple[Any, int, "list[int] | BaseException"]
"""A photo, its true class, and the most probable classes or the error."""

#: The number of most probable classes that are kept (top-5).
RANKS = 5


@dataclass(frozen=True)
class ClassFigures:
    """The results for one class, 0 to 1.

    Args:
        label: the class's label.
        photos: the number of photos of the class.
        precision: the share of the photos that were taken for the class and belong to it; None if there are none.
        recall: the share of the class's photos that were taken for it; None if it has no photos.
        f1: the harmonic mean of precision and recall. It is 0 if no photo of the class was taken for it, as in
            scikit-learn, also if precision or recall is None.
    """

    label: str
    photos: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, eq=False)
class Evaluation(Report, Drawable):
    """The results of a classifier on labelled photos."""

    _other_names = (
        ("confusion", "confusion_matrix cm"),
        ("top1", "accuracy acc"),
        ("class_table", "report classification_report"),
        ("classes", "by_class per_class"),
        ("f1", "f1_score"),
    )

    labels: tuple[str, ...]
    """The labels of the model's classes."""
    confusion: NDArray[np.int64]
    """`[true class][found class]`: the number of photos."""
    in_first_five: int
    """The number of photos whose class is among the five most probable."""
    seconds: float
    """The seconds for all photos, including decoding and preprocessing."""

    @property
    def images(self) -> int:
        """The number of classified photos."""
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """The share of photos whose class is the most probable one, 0 to 1."""
        return float(np.trace(self.confusion)) / self.images

    @property
    def top5(self) -> float:
        """The share of photos whose class is among the five most probable, 0 to 1."""
        return self.in_first_five / self.images

    def accuracy_text(self) -> str:
        """Return the accuracies as text. With at most five classes, the right one is always among the first five."""
        top5 = f", top-5 {self.top5:.2%}" if len(self.labels) > RANKS else ""
        return f"top-1 {self.top1:.2%}{top5}"

    @property
    def images_per_second(self) -> float:
        """Photos per second, including decoding and preprocessing."""
        return self.images / self.seconds

    @property
    def seen_classes(self) -> list[int]:
        """The numbers of the classes that any photo has or was assigned."""
        return seen_classes(self.confusion)

    @property
    def has_few_classes(self) -> bool:
        """True if at most 20 classes were seen, so that a table of all of them is readable."""
        return len(self.seen_classes) <= MAX_COLUMNS

    @property
    def classes(self) -> list[ClassFigures]:
        """The figures of each of `seen_classes`. They are also the rows of `to_pandas()` and `to_csv()`."""
        return [self._figures(index) for index in self.seen_classes]

    @property
    def precision(self) -> float:
        """The mean precision of the classes that have one (the macro average); NaN if there are none."""
        return _mean([one.precision for one in self.classes])

    @property
    def recall(self) -> float:
        """The mean recall of the classes that have one (the macro average)."""
        return _mean([one.recall for one in self.classes])

    @property
    def f1(self) -> float:
        """The mean F1 of all `seen_classes` (the macro average). A class that is never found counts as 0."""
        return _mean([one.f1 for one in self.classes])

    def _figures(self, index: int) -> ClassFigures:
        right = int(self.confusion[index, index])
        photos, found = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
        precision = right / found if found else None
        recall = right / photos if photos else None
        return ClassFigures(self.labels[index], photos, precision, recall, 2 * right / (photos + found))

    def _entries(self) -> list[ClassFigures]:
        return self.classes

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("class", lambda one: one.label),
            Column("photos", lambda one: f"{one.photos:,}", right=True),
            Column("precision", lambda one: _share(one.precision), right=True),
            Column("recall", lambda one: _share(one.recall), right=True),
            Column("F1", lambda one: _share(one.f1), right=True),
        )

    def class_table(self, *, width: int | None = None) -> str:
        """Return `classes` as a table. Lines have at most `width` characters if possible."""
        return self._text(self.classes, width)

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {**super().to_dict(), "confusion": self.confusion.tolist()}

    def mistakes(self, count: int = MAX_COLUMNS) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (true class, found class, number of photos)."""
        return frequent_mistakes(self.confusion, self.labels, count)

    def table(self, *, width: int | None = None) -> str:
        """Return the confusion matrix with a row for each true class.

        With more than 20 classes, or if a line would be longer than `width`, it is a list of the most frequent
        mistakes.
        """
        return confusion_table(self.confusion, self.labels, "photos", width=width)

    def draw(self) -> PillowImage.Image:
        """Draw the confusion matrix: a row for each true class, a column for each found class."""
        from mpscnn.vision.visualize import matrix_picture

        seen = self.seen_classes
        return matrix_picture(self.confusion[np.ix_(seen, seen)], [self.labels[index] for index in seen])

    def __repr__(self) -> str:
        return (
            f"<Evaluation of {self.images:,} images: {self.accuracy_text()}, "
            f"{self.images_per_second:.1f} images/s>"
        )

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, details, lines, scroll_box
        from mpscnn.vision.visualize import html_picture

        figures = details("Classes", scroll_box(self._html_table(self._columns())))
        return Html(f"<div>{lines(repr(self)[1:-1])}{html_picture(self.draw())}{figures}</div>")


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def evaluate_classifier(
    model: Model,
    samples: Any,
    *,
    preprocess: Mapping[str, Any] | None = None,
    inflight: int = 3,
    failed: Callable[[Any, Error], object] | None = None,
) -> Evaluation:
    """Classify photos, and compare the results with their true classes: see `mpscnn.evaluate`."""
    checked = checked_samples(model, samples, failed)
    run = model if preprocess is None else _with_preprocess(model, preprocess)
    return evaluation_of(model, _ranked(run, checked, inflight), failed)


def checked_samples(
    model: Model, samples: Any, failed: Callable[[Any, Error], object] | None
) -> Iterator[tuple[Any, int]]:
    """Return the photos with the numbers of their classes. Raises the errors of `mpscnn.evaluate`."""
    classes = number_of_classes(model)
    names = model.labels or [str(index) for index in range(classes)]
    return _checked(samples_of(samples, names, failed), classes, model)


def evaluation_of(
    model: Model, ranked: Iterable[Ranked], failed: Callable[[Any, Error], object] | None
) -> Evaluation:
    """Count photos by their true class and the found class. Raises the errors of `mpscnn.evaluate`."""
    classes = number_of_classes(model)
    labels = tuple(model.labels or (f"class {index}" for index in range(classes)))
    confusion = np.zeros((classes, classes), np.int64)
    in_first_five = 0
    started = time.perf_counter()
    for photo, true, found in ranked:
        if isinstance(found, (ImageError, ParameterError, ShapeError)) and failed is not None:
            failed(photo, found)
        elif isinstance(found, BaseException):
            raise found
        else:
            confusion[true, found[0]] += 1
            in_first_five += true in found
    seconds = time.perf_counter() - started
    if not confusion.any():
        raise ParameterError("no photo to evaluate with")
    return Evaluation(labels, confusion, in_first_five, seconds)


def _checked(samples: Iterable[Sample], classes: int, model: Model) -> Iterator[tuple[Any, int]]:
    labels = model.labels or ()
    counts = Counter(labels)
    numbers = {label: number for number, label in enumerate(labels) if counts[label] == 1}
    for sample in samples:
        if not isinstance(sample, Sequence) or isinstance(sample, str) or len(sample) != 2:
            raise _not_a_pair(sample)
        photo, given = sample
        true = numbers.get(given) if isinstance(given, str) else _number(given)
        if true is None or not 0 <= true < classes:
            others = did_you_mean(given, numbers) if isinstance(given, str) else ""
            raise ParameterError(
                f"{model.name} has the classes 0 to {classes - 1}, a photo has the label {given!r}{others}"
            )
        yield photo, true


def _number(given: Any) -> int | None:
    """Return an integer, or that of an array or tensor without axes, as loaders of other frameworks give; else None."""
    try:
        return None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        return None


def _not_a_pair(sample: object) -> ParameterError:
    found = type(sample).__name__ + (f" of {len(sample)}" if isinstance(sample, Sequence) else "")
    return ParameterError(
        f"expected pairs of a photo and its class, got {found}; zip(photos, classes) makes them"
    )


def require_model(model: Any) -> None:
    """Raise ParameterError if the value is not a Model."""
    if not hasattr(model, "task"):
        makers = {"str": "mpscnn.load(name or path)", "Network": "mpscnn.Model(network, preprocess=...)"}
        kind = type(model).__name__
        hint = f"; {makers[kind]} makes one" if kind in makers else conversion_hint(model)
        raise ParameterError(f"expected a Model, got {kind}{hint}")


#: For each value of `Model.task`, such a model and the call that measures it.
_TASKS = {
    "classification": ("a classifier", "mpscnn.evaluate(model, 'photos/')"),
    "detection": ("a detector", "mpscnn.evaluate(model, photos, annotations='instances.json')"),
    "segmentation": (
        "a segmenter",
        "mpscnn.evaluate(model, photos, masks='masks/'), or mpscnn.evaluate_segmenter(model, pairs),",
    ),
}


def require_task(model: Any, task: str) -> None:
    """Raise ShapeError for a model of another task. The message has the call that measures it.

    Raise ParameterError if the value is not a Model.
    """
    require_model(model)
    if model.task != task:
        raise ShapeError(
            f"network {model.name!r} is not {_TASKS[task][0]}, but made for {model.task}: {_TASKS[model.task][1]} "
            "measures it"
        )


def number_of_classes(model: Model) -> int:
    """Return the number of classes. Raise ShapeError if the model is not a classifier."""
    require_model(model)
    shapes = list(model._outputs.values())
    scores = score_count(shapes)
    if scores is None:
        raise ShapeError(
            f"network {model.name!r} is not a classifier: its outputs are {shapes}, not (n, classes)"
        )
    # A single score of a model with two labels is the probability of the second one.
    return 2 if scores == 1 and len(model.labels or ()) == 2 else scores


def _ranked(model: Model, samples: Iterable[tuple[Any, int]], inflight: int) -> Iterator[Ranked]:
    """Yield photos with their classes and the most probable ones, or an error. Several photos run in parallel."""
    for photo, true, result in iterate_results(model, samples, inflight, model.run_options, top=RANKS):
        found = result if isinstance(result, BaseException) else [entry.index for entry in result]
        yield photo, true, found


def _with_preprocess(model: Model, preprocess: Mapping[str, Any]) -> Model:
    """Return the model with another preprocessing."""
    options = {**model.compile_options.to_dict(), **model.run_options.to_dict()}
    return type(model)(model._core, preprocess=preprocess, **options)
