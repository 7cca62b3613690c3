"""Prepare the data of `Trainer.fit`: split a part off for validation, and weigh losses by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number, is_whole_number
from mpscnn._private.names import shown_names
from mpscnn.errors import ParameterError
from mpscnn.training.batches import Data, EpochData
from mpscnn.training.image_folder import ImageFolder

#: "balanced", or a weight for each class by its label or number. None: all classes weigh 1.
ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


def class_weights(
    given: ClassWeight, targets: NDArray[Any], classes: int, labels: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Return the weight of each class.

    Args:
        given: "balanced": the number of elements divided by the number of classes that occur and by the elements of the
            class, as in scikit-learn. Or a mapping from labels or numbers of classes to weights; classes that it lacks
            weigh 1.
        targets: the class number of each element.
        classes: the number of classes.
        labels: the labels of the classes.

    Raises:
        ParameterError: the value is of another kind, names a class that does not exist or that is named twice, has a
            number that is also the label of another class, or has a weight below 0.
    """
    if isinstance(given, str) and given == "balanced":
        counts = np.bincount(np.asarray(targets, np.int64), minlength=classes)
        # A class without elements has no loss, so its weight has no effect.
        present = max(np.count_nonzero(counts), 1)
        return np.asarray(counts.sum() / (present * np.maximum(counts, 1)), np.float32)
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"class_weight must be 'balanced' or a mapping from classes to weights, got {given!r}; "
            "dict(enumerate(weights)) makes the mapping of a list or an array"
        )
    weights = np.ones(classes, np.float32)
    numbers = {label: number for number, label in enumerate(labels or ())}
    unknown: list[str] = []
    named: dict[int, Any] = {}
    for name, weight in given.items():
        number = numbers.get(name, name) if isinstance(name, str) else name
        if not is_whole_number(number) or not 0 <= number < classes:
            unknown.append(str(name))
            continue
        if not is_finite_number(weight) or weight < 0:
            raise ParameterError(f"class_weight: the weight of {name!r} must be at least 0, got {weight!r}")
        if not isinstance(name, str) and numbers.get(str(name), number) != number:
            raise ParameterError(
                f"class_weight: {name} is the number of one class and the label of another one: give labels, as texts"
            )
        if (other := named.setdefault(int(number), name)) is not name:
            raise ParameterError(f"class_weight names one class twice: {other!r} and {name!r}")
        weights[int(number)] = weight
    if unknown:
        known = f"they are {shown_names(list(labels))}" if labels else f"they are 0 to {classes - 1}"
        raise ParameterError(f"class_weight names no class of the data: {shown_names(unknown)}; {known}")
    return weights


def split_validation(data: Data, share: float) -> tuple[Data, Data]:
    """Split the last part of arrays off for validation, as Keras does, or a share of each class of an `ImageFolder`.

    Raises ParameterError for other data, a share that is not between 0 and 1, or a part without elements.
    """
    if isinstance(data, ImageFolder):
        return data.split(share)
    if not is_finite_number(share) or not 0 < share < 1:
        raise ParameterError(f"validation_split must be a number above 0 and below 1, got {share!r}")
    if not isinstance(data, tuple) or len(data) < 2:
        raise ParameterError(
            "validation_split is for arrays and for an ImageFolder; pass validation_data= for batches"
        )
    count = len(data[1])
    first = count - round(share * count)
    if not 0 < first < count:
        raise ParameterError(f"validation_split={share}: one part of {count} elements would be empty")
    return (
        tuple(_sliced(part, slice(first)) for part in data),
        tuple(_sliced(part, slice(first, None)) for part in data),
    )


def _sliced(part: Any, chosen: slice) -> Any:
    """Return some elements of an array, or of each array in a list of a network's inputs."""
    if isinstance(part, (list, tuple)) and part and hasattr(part[0], "shape"):
        return [array[chosen] for array in part]
    return part[chosen]


def weigh_classes(data: Data, given: ClassWeight, classes: int) -> Data:
    """Return data with a weight for each element's loss, from its class. Weights that it has are multiplied.

    Raises ParameterError for a wrong `class_weight`, and for data other than arrays and an `ImageFolder`.
    """
    if isinstance(data, ImageFolder):
        weights = class_weights(given, data.targets, classes, data.labels)
        return _WeightedFolder(data, weights)
    if not isinstance(data, tuple) or len(data) < 2:
        raise ParameterError(
            "class_weight is for arrays and for an ImageFolder; give batches of (inputs, labels, weights)"
        )
    classes = max(classes, 2)  # a network with one output tells two classes apart
    targets = _class_numbers(np.asarray(data[1]), classes)
    of_elements = class_weights(given, targets, classes)[targets]
    before = np.asarray(data[2], np.float32) if len(data) > 2 else np.float32(1)
    return (*data[:2], before * of_elements)


def _class_numbers(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return the class numbers of labels: these, whole numbers in one column, or shares of the classes (n, classes).

    Raises ParameterError for other labels, such as several classes of an element.
    """
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind == "f":
        sums = labels.sum(axis=1, dtype=np.float64)
        if (wrong := np.flatnonzero(~(np.abs(sums - 1) < 1e-3))).size:
            raise ParameterError(
                f"class_weight needs one class of each element; the labels of element {wrong[0]} add up to "
                f"{sums[wrong[0]]:g}, not 1: give (inputs, labels, weights) instead"
            )
        return np.asarray(labels.argmax(-1), np.int64)
    numbers = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        raise ParameterError(
            f"class_weight needs class numbers (n,) as labels, got {labels.dtype} {labels.shape}"
        )
    if (wrong := np.flatnonzero(~np.isin(numbers, np.arange(classes)))).size:
        raise ParameterError(
            f"class_weight needs class numbers of 0 to {classes - 1} as labels, got {numbers[wrong[0]]:g}"
        )
    return numbers.astype(np.int64)


class _WeightedFolder(EpochData):
    """The photos of a folder, with the weights of their classes."""

    def __init__(self, photos: ImageFolder, weights: NDArray[np.float32]) -> None:
        self._photos, self._weights = photos, weights

    def __len__(self) -> int:
        return len(self._photos)

    def batches(self, size: int, *, epoch: int | None = None, first: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield batches as `EpochData.batches` does."""
        for inputs, labels in self._photos.batches(size, epoch=epoch, first=first):
            yield inputs, labels, labels @ self._weights if labels.ndim == 2 else self._weights[labels]
