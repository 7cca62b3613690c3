"""Check the photos of a data set before a training: labels, copies, unreadable and odd photos, and boxes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import path_name
from mpscnn._private.files import replace_atomically
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.report import Column, Report
from mpscnn.errors import ImageError, ParameterError
from mpscnn.evaluation.data_page import page_of
from mpscnn.evaluation.finding import Finding
from mpscnn.evaluation.label_suspects import (
    label_margins,
    near_pairs,
    neighbour_distances,
    probabilities_of,
    unit,
    unseen_probabilities,
)
from mpscnn.graph.class_head import feature_layer
from mpscnn.model import Model, load
from mpscnn.training.class_folders import list_class_folders
from mpscnn.training.split_folders import find_splits
from mpscnn.vision.photo import Photo, open_photo
from mpscnn.vision.photo_list import photos_in

__all__ = ["DataCheck", "Finding", "check_data"]

#: The files that `DataCheck.write` writes.
REPORT_FILES = ("findings.csv", "findings.html")
_FEW = 10  # photos of a class
_SIDE = 16  # of the thumbnails that are compared
_COPY = 0.15  # the largest distance of two thumbnails of one photo; 0 for equal ones, 1.41 for unrelated ones
_LARGEST = 100_000  # photos: the time is quadratic in their number
#: How many photos without a label are named.
_NEXT = 20
#: A photo is odd if its tenth neighbour is this many times as far away as that of the median photo.
_ODD = 2.5
#: A label is suspected if another class is more probable by at least this margin.
_MARGIN = 0.5


@dataclass(frozen=True)
class DataCheck(Report):
    """Holds the findings of `check_data`. Each kind is sorted by its score, the most urgent first."""

    photos: int
    """The number of photos that could be read."""
    findings: tuple[Finding, ...]

    def _entries(self) -> Sequence[Finding]:
        return self.findings

    def _columns(self) -> Sequence[Column]:
        return (
            Column("kind", lambda one: str(one.kind), whole=True),
            Column("photo", lambda one: str(one.photo)),
            Column("about", lambda one: str(one.about)),
        )

    def _sentences(self) -> list[str]:
        counts = Counter(one.kind for one in self.findings)
        found = ", ".join(f"{count} x {kind}" for kind, count in counts.items()) or "nothing to look at"
        return [f"{self.photos:,} photos: {found}"]

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [one for one in self.findings if one.kind == kind]

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `findings.csv`, and `findings.html` with the pictures, to a folder, which is made if it is missing.

        Raises ParameterError if they cannot be written.
        """
        place = Path(path_name("folder", folder))
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ParameterError(f"{place}: {error.strerror}") from error
        table, page = (place / name for name in REPORT_FILES)
        self.to_csv(table)
        with replace_atomically(page, ParameterError) as file:
            file.write(page_of(self.findings, self._sentences()[0]).encode())


@dataclass
class _Sample:
    """A photo or an object on it, with its label and the part of the data set that it belongs to."""

    path: str
    label: str | None
    part: str = ""
    box: tuple[float, float, float, float] | None = None


@accept_foreign_arguments
def check_data(
    photos: str | os.PathLike[str],
    *,
    annotations: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | Model | None = None,
    unlabelled: str | os.PathLike[str] | None = None,
) -> DataCheck:
    """Check photos before a training, and return what should be looked at.

    Args:
        photos: a folder with a folder of photos for each class, or with train/, val/ and test/ of this kind. With
            `annotations`, a folder of photos.
        annotations: the objects on the photos, as for `train_detector`. The label of each object is checked.
        model: a classifier whose features are compared: a model, a name or a file; None: the bundled one. It need not
            know the classes.
        unlabelled: a folder of photos without labels. The result says which of them to label next.

    Raises:
        ImageError: a folder cannot be read, or has no photos.
        UnsupportedError: the model is not a classifier.
        ParameterError: the annotations are not of a known format, or there are more than 100,000 photos.
    """
    findings: list[Finding] = []
    others = None if unlabelled is None else path_name("unlabelled", unlabelled)
    if annotations is None:
        samples = _in_folders(Path(path_name("photos", photos)))
    else:
        samples = _objects(photos, annotations, findings)
    labelled = len(samples)
    if others is not None:
        samples += [_Sample(path, None) for path in photos_in(others).paths]
    if len(samples) > _LARGEST:
        raise ParameterError(f"{photos}: has {len(samples):,} photos, at most {_LARGEST:,} can be compared")
    loaded = model if isinstance(model, Model) else load() if model is None else load(model)
    kept, features, thumbnails = _described(samples, loaded, findings)
    known = [index for index, sample in enumerate(kept) if sample.label is not None]
    findings += _few(kept)
    if annotations is None:
        findings += _copies(kept, thumbnails)
    if kept:
        findings += _odd(kept, features)
        findings += _labels(kept, features, known)
    return DataCheck(len({sample.path for sample in kept[:labelled]}), tuple(findings))


def _in_folders(folder: Path) -> list[_Sample]:
    splits = find_splits(folder)
    parts = {"": folder}
    if splits is not None:
        named = {"train": splits.train, "val": splits.validation, "test": splits.test}
        parts = {name: part for name, part in named.items() if part is not None}
    samples = []
    for part, place in parts.items():
        found = list_class_folders(place)
        samples += [
            _Sample(path, found.labels[number], part)
            for path, number in zip(found.paths, found.classes, strict=True)
        ]
    return samples


def _objects(
    photos: str | os.PathLike[str], annotations: str | os.PathLike[str], findings: list[Finding]
) -> list[_Sample]:
    """Return the objects of annotations. A box that is outside of its photo is a finding."""
    from mpscnn.training.scenes.source import read_objects

    try:
        found = read_objects(photos, annotations, need_all=False)
    except ParameterError as error:
        if "outside" not in str(error):
            raise
        findings.append(Finding("box", path_name("annotations", annotations), "", "", None, str(error)))
        return []
    samples = []
    for photo in found.photos:
        try:
            size = open_photo(photo.path).size
            boxes = photo.boxes_in_pixels(size)
        except ImageError as error:
            findings.append(Finding("unreadable", photo.path, "", "", None, str(error)))
            continue
        except ParameterError as error:
            findings.append(Finding("box", photo.path, "", "", None, str(error)))
            continue
        for box, number in zip(boxes.tolist(), photo.classes.tolist(), strict=True):
            samples.append(_Sample(photo.path, found.labels[number], photo.part or "", tuple(box)))
    return samples


def _described(
    samples: Sequence[_Sample], model: Model, findings: list[Finding]
) -> tuple[list[_Sample], NDArray[np.float64], NDArray[np.float64]]:
    """Return the readable samples, their features (n, d) and their thumbnails (n, values) of length 1."""
    layer = feature_layer(model.network)
    extractor = model.features(layer)
    kept, features, thumbnails = [], [], []
    opened: tuple[str, Photo | ImageError] | None = None
    for sample in samples:
        if opened is None or opened[0] != sample.path:
            opened = sample.path, _open(sample.path)
        photo = opened[1]
        if isinstance(photo, ImageError):
            if sample.path not in {one.photo for one in findings[-1:]}:
                findings.append(Finding("unreadable", sample.path, sample.label or "", "", None, str(photo)))
            continue
        pixels = _pixels(photo, sample.box)
        features.append(extractor.run(pixels)[layer].reshape(-1).astype(np.float64))
        thumbnails.append(_thumbnail(pixels))
        kept.append(sample)
    return kept, np.array(features), np.array(thumbnails)


def _open(path: str) -> Photo | ImageError:
    try:
        return open_photo(path)
    except ImageError as error:
        return error


def _pixels(photo: Photo, box: tuple[float, float, float, float] | None) -> NDArray[np.uint8]:
    """Return the photo, or the pixels that a box touches."""
    whole: NDArray[np.uint8] = np.asarray(photo)
    if box is None:
        return whole
    left, top, right, bottom = box
    rows, columns = slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))
    return np.ascontiguousarray(whole[rows, columns])


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    from PIL import Image

    small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return unit(np.asarray(small, np.float64).reshape(-1))


def _few(kept: Sequence[_Sample]) -> Iterator[Finding]:
    counts = Counter(
        sample.label for sample in kept if sample.label is not None and sample.part in ("", "train")
    )
    for label, count in sorted(counts.items(), key=lambda entry: entry[1]):
        if count < _FEW:
            about = f"the class has {count} photos to learn from; {_FEW} or more are needed, better hundreds"
            yield Finding("few photos", label, label, "", None, about)


def _copies(kept: Sequence[_Sample], thumbnails: NDArray[np.float64]) -> Iterator[Finding]:
    for first, second, distance in near_pairs(thumbnails, _COPY) if kept else ():
        one, other = kept[first], kept[second]
        if other.label is None or one.label is None:
            continue
        leak = one.part != other.part
        label = other.label
        about = f"shows the same as {one.path}"
        if leak:
            about += f", and one is in {one.part}, the other in {other.part}"
        if one.label != label:
            about += f", and they have the labels {one.label!r} and {label!r}"
        yield Finding("leak" if leak else "near copy", other.path, label, one.path, round(distance, 4), about)


def _odd(kept: Sequence[_Sample], features: NDArray[np.float64]) -> Iterator[Finding]:
    points = unit(features)
    distances = neighbour_distances(points, points, same=True)
    usual = float(np.median(distances))
    for index in np.argsort(-distances).tolist():
        if distances[index] <= _ODD * usual or distances[index] == 0:
            return
        about = f"no other photo is like it: its tenth neighbour is {distances[index] / max(usual, 1e-12):.1f} times"
        about += " as far away as usual"
        yield Finding(
            "odd photo",
            kept[index].path,
            kept[index].label or "",
            "",
            round(float(distances[index]), 4),
            about,
        )


def _labels(
    kept: Sequence[_Sample], features: NDArray[np.float64], known: Sequence[int]
) -> Iterator[Finding]:
    """Yield the labels that another class fits better, and the photos without a label that help most."""
    labels = sorted({str(kept[index].label) for index in known})
    if len(labels) < 2:
        return
    numbers = {label: number for number, label in enumerate(labels)}
    classes = np.array([numbers[str(kept[index].label)] for index in known])
    probabilities = unseen_probabilities(features[known], classes, len(labels))
    margins = label_margins(probabilities, classes)
    for row in np.argsort(margins, kind="stable").tolist():
        if margins[row] >= _MARGIN:
            break
        sample, better = kept[known[row]], labels[int(probabilities[row].argmax())]
        score = round(1 - float(margins[row]), 4)
        about = f"is labelled {sample.label!r} and looks like {better!r}"
        yield Finding("wrong label", sample.path, str(sample.label), better, score, about)
    others = np.array([index for index, sample in enumerate(kept) if sample.label is None], np.int64)
    if len(others):
        unsure = probabilities_of(features[others], features[known], classes, len(labels))
        first, second = np.sort(unsure, axis=1)[:, :-3:-1].T
        for row in np.argsort(first - second, kind="stable")[:_NEXT].tolist():
            best, other = np.argsort(-unsure[row])[:2].tolist()
            about = (
                f"may be {labels[best]!r} or {labels[other]!r}: its label helps a training more than others"
            )
            score = round(1 - float(first[row] - second[row]), 4)
            yield Finding("label next", kept[others[row]].path, "", labels[best], score, about)
