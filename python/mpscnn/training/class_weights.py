"""Weigh the losses of classes, so that rare classes count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number, is_whole_number
from mpscnn._private.names import shown_names
from mpscnn.errors import ParameterError

__all__ = ["ClassWeight", "class_weights"]

#: "balanced", or a weight for each class by its label or number. None: all classes weigh 1.
ClassWeight = Literal["balanced"] | Mapping[Any, float] | None


def class_weights(
    given: ClassWeight, targets: NDArray[Any], classes: int, labels: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Return the weight of each class.

    Args:
        given: "balanced": the number of elements divided by the number of classes and by the elements of the class, as
            in scikit-learn. Or a mapping from labels or numbers of classes to weights; classes that it lacks weigh 1.
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
        return np.asarray(counts.sum() / (classes * np.maximum(counts, 1)), np.float32)
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"class_weight must be 'balanced' or a mapping from classes to weights, got {given!r}"
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
