"""Check that the classes of training data are those that the network tells apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.names import shown_names
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from mpscnn.graph.structure import NetworkStructure

#: The hint of messages about a wrong number of classes.
REPLACE_HEAD = "network.replace_head(classes) returns the network with a new last layer for other classes"


class ClassNumbers(np.ndarray[Any, np.dtype[np.int64]]):
    """Class numbers of images, with the names of all classes. Some classes may have no image.

    Parts of the array keep the names. Computations return plain arrays.
    """

    classes: tuple[str, ...]

    @classmethod
    def of(cls, numbers: Sequence[int] | NDArray[np.int64], classes: Sequence[str]) -> ClassNumbers:
        """Return the numbers as such an array."""
        result = np.array(numbers, np.int64).view(cls)
        result.classes = tuple(classes)
        return result

    def __array_finalize__(self, source: NDArray[Any] | None) -> None:
        """Keep the names of the array of which this is a part."""
        self.classes = getattr(source, "classes", ())

    def __array_wrap__(self, array: NDArray[Any], *_: Any) -> Any:
        """Return the result of a computation as a plain array, or as a number if it has no axes."""
        return np.asarray(array)[()]


def class_names(data: Any) -> list[str] | None:
    """Return the names of the classes of training data. None: the data does not state them.

    `ImageFolder`, its class numbers and the data sets of torchvision have them as `classes`, and those of Keras as
    `class_names`. The data sets may be within a `DataLoader` or a `Subset`. Class numbers that a `target_transform`
    changes may belong to other classes.
    """
    if getattr(data, "target_transform", None) is not None:
        return None
    for attribute in ("classes", "class_names"):
        names = getattr(data, attribute, None)
        if isinstance(names, (list, tuple)) and names:
            # ImageNet of torchvision has several names for each class.
            return [", ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in names]
    inner = getattr(data, "dataset", None)
    if inner is not None:
        return class_names(inner)
    if isinstance(data, tuple):  # inputs, labels and perhaps weights
        return next((class_names(part) for part in data if isinstance(part, ClassNumbers)), None)
    return class_names(data[0]) if isinstance(data, list) and data else None  # batches


def require_same_classes(
    data: Any, network: NetworkStructure, prediction: Sequence[int | None]
) -> list[str] | None:
    """Return the names of the data's classes, which are those that the network tells apart. None: nothing states them.

    Args:
        data: training data, or only its labels.
        network: the network. Its labels may have the same names, but not in another order.
        prediction: the shape of a prediction. A shape other than (n, classes) states no classes, and (n, 1) neither.

    Raises ParameterError if the data states other classes.
    """
    names = class_names(data)
    count = prediction[-1]
    if names is None or len(prediction) != 2 or count == 1:
        return None
    labels = list(network.labels or [])
    what = f"the data has {len(names)} classes ({shown_names(names)})"
    like = "ImageFolder.numbered_like(network.labels) gives them the network's numbers"
    if names != labels and sorted(names) == sorted(labels):
        raise ParameterError(f"{what} in another order than network {network.name!r}; {like}")
    if len(names) == count:
        return names
    remedy = f"network.replace_head({len(names)}) returns a network with a new last layer for them"
    if set(names) < set(labels):
        remedy = f"{like}, and {remedy}"
    raise ParameterError(f"{what}, but network {network.name!r} has {count}; {remedy}")
