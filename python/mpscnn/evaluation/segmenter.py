"""Measure how well a segmenter labels pixels: the mean intersection over union."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arrays import as_array, unchanging
from mpscnn._private.files import is_file, is_folder
from mpscnn._private.names import shown_names
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.report import Column, Drawable, Report
from mpscnn.errors import ImageError, ParameterError, ShapeError
from mpscnn.evaluation.classifier import require_task
from mpscnn.evaluation.confusion import seen_classes
from mpscnn.evaluation.detector_truth import photos_to_measure
from mpscnn.evaluation.photo_stream import Failed, readable_results
from mpscnn.model import Model
from mpscnn.training.scenes.class_names import names_beside
from mpscnn.training.scenes.masks import (
    MaskColors,
    MaskedPhoto,
    black_and_white_text,
    has_outlines,
    mask_with_colors,
    masked_by_outlines,
    noise_hint,
    require_outlines,
    warn_of_black_and_white,
)
from mpscnn.training.scenes.source import read_objects
from mpscnn.training.split_folders import TEST, VALIDATION, split_by_folder
from mpscnn.vision.photo_list import photo_paths
from mpscnn.vision.segmentation import UNSEEN

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_MODES = ("1", "L", "P")  # Pillow's modes whose pixels are class numbers


@dataclass(frozen=True)
class ClassOverlap:
    """A class with the intersection over union of its true and found pixels, 0 to 1, and the number of true pixels."""

    label: str
    iou: float
    pixels: int


@dataclass(frozen=True, eq=False)
class SegmenterEvaluation(Report, Drawable):
    """A segmenter's results on photos with labelled pixels."""

    _other_names = (("pixel_accuracy", "accuracy acc"),)

    labels: tuple[str, ...]
    """The labels of the model's classes."""
    confusion: NDArray[np.int64]
    """`[true class][found class]`: the number of pixels. The last column is for pixels without a found class."""
    images: int
    seconds: float
    """The seconds for all photos, including decoding and preprocessing."""

    @property
    def ious(self) -> NDArray[np.float64]:
        """The intersection over union of each class's true and found pixels; NaN for a class without pixels."""
        both = np.diagonal(self.confusion).astype(np.float64)
        union = self.confusion.sum(axis=1) + self.confusion[:, :-1].sum(axis=0) - both
        ratios: NDArray[np.float64] = np.divide(both, union, out=np.full(len(both), np.nan), where=union > 0)
        return ratios

    @property
    def mean_iou(self) -> float:
        """The mean of `ious` over all classes that have pixels, 0 to 1; NaN if there are none."""
        known = self.ious[~np.isnan(self.ious)]
        return float(known.mean()) if known.size else math.nan

    @property
    def pixel_accuracy(self) -> float:
        """The share of pixels whose class was found, 0 to 1; NaN if there are none."""
        pixels = int(self.confusion.sum())
        return float(np.trace(self.confusion) / pixels) if pixels else math.nan

    @property
    def images_per_second(self) -> float:
        """Photos per second, including decoding and preprocessing."""
        return self.images / self.seconds

    def _entries(self) -> list[ClassOverlap]:
        """Return the classes that have pixels, the best one first."""
        ious, pixels = self.ious, self.confusion.sum(axis=1)
        order = [index for index in np.argsort(-ious, kind="stable") if not np.isnan(ious[index])]
        return [ClassOverlap(self.labels[index], float(ious[index]), int(pixels[index])) for index in order]

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("class", lambda one: one.label),
            Column("IoU", lambda one: f"{one.iou:.3f}", right=True),
            Column("pixels", lambda one: f"{one.pixels:,}", right=True),
        )

    def _sentences(self) -> list[str]:
        return [repr(self)[1:-1]]

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {**super().to_dict(), "confusion": self.confusion.tolist()}

    def draw(self) -> PillowImage.Image:
        """Draw the confusion matrix: a row for each true class, with the percentages of its pixels by found class."""
        from mpscnn.vision.visualize import matrix_picture

        names = (*self.labels, "no class")
        counts = np.concatenate([self.confusion, np.zeros((1, len(names)), np.int64)])
        seen = seen_classes(counts)
        part = counts[np.ix_(seen, seen)]
        percent = np.rint(100 * part / np.maximum(part.sum(axis=1, keepdims=True), 1)).astype(np.int64)
        return matrix_picture(percent, [names[index] for index in seen])

    def __repr__(self) -> str:
        return f"<SegmenterEvaluation of {self.images:,} images: {iou_text(self.mean_iou)}>"


def iou_text(mean: float) -> str:
    """Return the mean intersection over union as text."""
    return (
        "mean IoU undefined, because the masks ignore all pixels"
        if math.isnan(mean)
        else f"mean IoU {mean:.3f}"
    )


@accept_foreign_arguments
def evaluate_segmenter(
    model: Model,
    samples: Iterable[tuple[Any, Any]],
    *,
    inflight: int = 3,
    failed: Failed | None = None,
) -> SegmenterEvaluation:
    """Segment photos, and compare the results with masks.

    Args:
        model: a segmenter.
        samples: pairs of a photo (see `mpscnn.photo.open_photo`) and its mask: the path of a picture whose pixels are
            class numbers, as in Pascal VOC, or an array, tensor or Pillow image (height, width) of such integers.
            Pixels with 255 are ignored, unless no mask has another number than 0 and 255, and the model has two
            classes.
        inflight: the number of photos in progress, see `mpscnn.Runner`.
        failed: a function that is called with a photo and the error if the photo or its mask cannot be used. The photo
            is not counted. None: the error is raised.

    Raises:
        ShapeError: the model is not a segmenter, or a mask has another size than its photo.
        ImageError: a mask cannot be read, or has a class that the model lacks.
        ParameterError: there are no photos, all pixels are ignored, or the masks are black and white, and the model has
            more than two classes.

    Warns: RuntimeWarning if 255 is taken as the class 1.
    """
    classes = classes_of_segmenter(model)
    colors = MaskColors()

    def counts() -> Iterator[NDArray[np.int64]]:
        for (photo, mask), found in readable_results(
            model, ((one[0], (one[0], _kept(one[1]))) for one in samples), inflight, failed
        ):
            try:
                yield counted_pairs(mask, found.labels, classes, colors)
            except (ImageError, ShapeError) as error:
                if failed is None:
                    raise
                failed(photo, error)

    return segmenter_evaluation_of(model, counts())


def _kept(mask: Any) -> Any:
    """Return a path or outlines as they are, and another mask as an array into which nobody can write.

    The next mask may be written into the same memory before this one is read. Raises ImageError for a Pillow image
    whose pixels are not numbers.
    """
    if isinstance(mask, (str, PathLike, MaskedPhoto)):
        return mask
    mode = getattr(mask, "mode", None)
    if isinstance(mode, str) and mode not in _MODES:
        raise ImageError(f"mask: is a Pillow image of mode {mode}; supported are {', '.join(_MODES)}")
    return unchanging(as_array("mask", mask))


def _numbers(mask: NDArray[Any]) -> NDArray[Any]:
    """Return integers or truth values as uint8, and others as they are. Raises ImageError for others than 0 to 255."""
    if mask.dtype == np.uint8 or mask.dtype.kind not in "bui":
        return mask
    if mask.size and not 0 <= int(mask.min()) <= int(mask.max()) <= UNSEEN:
        raise ImageError(
            f"mask {mask.shape} {mask.dtype}: has the numbers {mask.min()} to {mask.max()}; a mask has class numbers "
            f"from 0, and {UNSEEN} for pixels to ignore"
        )
    return mask.astype(np.uint8)


def pair_photos_and_masks(
    model: Model, photos: Path | None, masks: Path, failed: Failed | None
) -> list[tuple[str, str]] | list[tuple[str, MaskedPhoto]]:
    """Return pairs of a photo and its mask: a PNG with the photo's name, in the same subfolder, or outlines of objects.

    If the photos are in several parts of a data set, those for test are taken, or else those for validation.
    `failed` gets the errors of photos without a mask. If it is None, ImageError is raised.

    Raises:
        ImageError: there is no folder of masks, or two photos of different folders have one mask.
        ParameterError: the names of classes that are beside the masks have other numbers in the model.
    """
    if has_outlines(masks):
        return _pairs_of_outlines(model, photos, masks)
    if photos is None or not is_folder(masks):
        raise ImageError(f"{masks}: is not a folder of masks, and no file of annotations with outlines")
    _require_same_numbers(model, masks)
    paths, failures = photo_paths([str(photos)])
    for failure in failures:
        _report(failed, photos, failure)
    taken: dict[Path, str] = {}
    pairs: list[MaskedPhoto] = []
    root = photos if is_folder(photos) else None
    for path in paths:
        name = Path(path).name if root is None else Path(path).relative_to(root)
        wanted = (masks / name).with_suffix(".png")
        mask = next((one for one in (wanted, wanted.with_suffix(".PNG")) if is_file(one)), None)
        if mask is None:
            _report(failed, path, ImageError(f"{path}: has no mask {wanted}"))
            continue
        if Path(other := taken.setdefault(mask, path)).parent != Path(path).parent:
            raise ImageError(f"{path}: has the same mask {mask} as {other}; give the folder of all photos")
        pairs.append(MaskedPhoto(path, str(mask)))
    parts = {} if root is None else split_by_folder(root, pairs) or {}
    return [(one.path, one.mask) for one in parts.get(TEST) or parts.get(VALIDATION) or pairs]


def _pairs_of_outlines(model: Model, photos: Path | None, annotations: Path) -> list[tuple[str, MaskedPhoto]]:
    """Return photos with the outlines of their objects, whose classes have the model's numbers.

    Raises ParameterError for a class that the model lacks, for a model without labels if the classes are not those of
    its outputs after the background, in their order, and the errors of `read_outlines`.
    """
    objects = read_objects(photos, annotations, need_all=False, measures=True)
    measured = photos_to_measure(objects, photos)
    require_outlines(measured)
    labels = model.labels or ["background", *objects.labels]
    if model.labels is None and (
        len(labels) != (classes := classes_of_segmenter(model)) or not objects.listed_by_id
    ):
        raise ParameterError(
            f"{annotations}: has the classes {shown_names(objects.labels)}, and {model.name} has {classes} without "
            "names, with the background, so it is not clear which are the same: load the model with labels="
        )
    known = {name.casefold(): number for number, name in enumerate(labels)}
    if missing := [name for name in objects.labels if name.casefold() not in known]:
        raise ParameterError(f"{annotations}: {model.name} has no class {shown_names(missing)}")
    numbers = np.array([known[name.casefold()] - 1 for name in objects.labels], np.int64)
    return [
        (photo.path, masked_by_outlines(replace(photo, classes=numbers[photo.classes]))) for photo in measured
    ]


def _report(failed: Failed | None, photo: object, error: ImageError) -> None:
    if failed is None:
        raise error
    failed(photo, error)


def _require_same_numbers(model: Model, masks: Path) -> None:
    """Raise ParameterError if a class that is named beside the masks has another number in the model."""
    known = {name.casefold(): number for number, name in enumerate(model.labels or ())}
    for number, name in enumerate(names_beside(masks) or ()):
        if (other := known.get(name.casefold(), number)) != number:
            raise ParameterError(
                f"{masks}: the class {name!r} has the number {number} there and {other} in {model.name}; number the "
                "classes of the masks like those of the model"
            )


def classes_of_segmenter(model: Model) -> int:
    """Return the number of a segmenter's classes. Raises ShapeError for another model."""
    require_task(model, "segmentation")
    return int(next(iter(model.program.outputs.values()))[-1] or 0)


def segmenter_evaluation_of(model: Model, counts: Iterable[NDArray[np.int64]]) -> SegmenterEvaluation:
    """Add the pixel counts of all photos, from `counted_pairs`. Raises the errors of `evaluate_segmenter`."""
    classes = classes_of_segmenter(model)
    counted = np.zeros((classes + 1, classes + 1), np.int64)
    images = 0
    started = time.perf_counter()
    for pairs in counts:
        counted += pairs
        images += 1
    seconds = time.perf_counter() - started
    if not images:
        raise ParameterError("no photo to evaluate with")
    confusion, ignored = counted[:-1], counted[-1]
    if ignored.any() and confusion[0].any() and not confusion[1:].any():
        if classes != 2:
            raise ParameterError(black_and_white_text(classes))
        warn_of_black_and_white(model.name)
        confusion[1] = ignored
    if not confusion.any():
        raise ParameterError(
            "the masks ignore all pixels: all of them are 255, so there is nothing to measure"
        )
    labels = tuple(model.labels or (f"class {index}" for index in range(classes)))
    return SegmenterEvaluation(labels, confusion, images, seconds)


def counted_pairs(
    mask: Any, found: NDArray[np.uint8], classes: int, colors: MaskColors | None = None
) -> NDArray[np.int64]:
    """Count pixels by true class and found class, as in `SegmenterEvaluation.confusion`, with a row for 255 at the end.

    `colors` has the colours of the masks before this one.

    Raises ImageError and ShapeError as `evaluate_segmenter`.
    """
    if isinstance(mask, np.ndarray):
        truth = _numbers(mask)
    elif isinstance(mask, MaskedPhoto):
        truth, mask = mask.numbers((found.shape[1], found.shape[0])), mask.mask
    else:
        truth, palette = mask_with_colors(mask)
        (MaskColors() if colors is None else colors).add(str(mask), palette)
    name = f"mask {mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else str(mask)
    if truth.dtype != np.uint8 or truth.shape != found.shape:
        raise ShapeError(
            f"{name}: its photo has labels {found.shape} uint8, the mask is {truth.shape} {truth.dtype}"
        )
    counts = truth != UNSEEN
    if counts.any() and int(truth[counts].max()) >= classes:
        largest, hint = int(truth[counts].max()), noise_hint(np.unique(truth).tolist())
        raise ImageError(f"{name}: has the class {largest}, the model has {classes} classes{hint}")
    true, named = (np.where(one == UNSEEN, classes, one).astype(np.int64) for one in (truth, found))
    pairs = (true * (classes + 1) + named).ravel()
    return np.bincount(pairs, minlength=(classes + 1) ** 2).reshape(classes + 1, classes + 1)
