"""Convert inputs, labels and losses for training to the arrays and settings that the core takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arrays import as_array, as_input
from mpscnn._private.other_arguments import WORDS
from mpscnn._private.settings import plain
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.class_numbers import REPLACE_HEAD
from mpscnn.vision.preprocessing import require_prepared

if TYPE_CHECKING:
    from mpscnn.graph.structure import NetworkStructure


#: The numbers of a box, which precede the class scores of each anchor in a detector's predictions and targets.
BOX_NUMBERS = 4


def is_object_list(labels: Any) -> bool:
    """Return True if the labels are a detector's: a mapping for each image."""
    return isinstance(labels, (list, tuple)) and bool(labels) and all(isinstance(x, Mapping) for x in labels)


def to_array(what: str, value: Any) -> NDArray[Any]:
    """Convert the value to a NumPy array. Tensors of other frameworks are accepted."""
    array = as_array(what, value)
    if array.dtype.hasobject:
        raise ParameterError(f"{what} must be an array of numbers, got {type(value).__name__}")
    return array


def to_images(value: Any, preprocess: str | Mapping[str, Any] | None = None) -> NDArray[Any]:
    """Return inputs as float32 or float16. They are not copied if the core can read their memory.

    `preprocess` is how photos become inputs; None: the network does not say it.

    Raises:
        ParameterError: the values are not floats. ImageError: the floats are pixels, see `require_prepared`.
    """
    array = to_array("inputs", value)
    if array.dtype.kind != "f":
        advice = (
            "for pixels of 0 to 255 and a network that takes 0 to 1, pass x.astype(np.float32) / 255"
            if preprocess is None
            else "pass photos through mpscnn.preprocess(photo, size, network.preprocess), or train on an ImageFolder"
        )
        raise ParameterError(
            f"inputs must be floats as the network expects them, got {array.dtype}; {advice}"
        )
    if preprocess is not None:
        require_prepared(
            array,
            preprocess,
            "inputs are not preprocessed: use mpscnn.preprocess(photo, size, network.preprocess)",
        )
    return as_input("inputs", array)


def _axes(value: Any) -> int:
    """Return the number of axes of an array or of nested lists."""
    count = getattr(value, "ndim", None)
    if count is None and isinstance(value, (list, tuple)):
        return 1 + (_axes(value[0]) if value else 0)
    return int(count or 0)


def to_inputs(network: NetworkStructure, value: Any) -> list[NDArray[Any]]:
    """Return an array for each of the network's inputs.

    Several inputs are a list, a tuple, or a mapping by name. For a network with one input, a list or tuple may be its
    images, too.

    Raises ImageError for pixels in place of the input of a network with preprocessing.
    """
    if isinstance(value, Mapping):
        names = [tensor.name for tensor in network.inputs]
        if set(value) != set(names):
            raise ParameterError(
                f"network {network.name!r} has the inputs {', '.join(map(repr, names))}, got "
                f"{', '.join(map(repr, value)) or 'none'}"
            )
        value = [value[name] for name in names]
    arrays = list(value) if isinstance(value, (list, tuple)) else [value]
    count = len(network.inputs)
    if count == 1 and arrays and _axes(arrays[0]) < len(network.inputs[0].shape):
        arrays = [value]  # a list of images
    if len(arrays) != count:
        raise ParameterError(
            f"network {network.name!r} has {count} input{'s' * (count > 1)}, got {len(arrays)} arrays"
        )
    preprocess = network.preprocess if count == 1 else None
    return [to_images(array, preprocess) for array in arrays]


def prediction_shape(batch: int, extents: Sequence[int | None], labels: Any) -> tuple[int, ...]:
    """Return the shape of a prediction for a batch. Free extents (-1 or None) are taken from the labels."""
    known = [None if extent is None or extent < 0 else int(extent) for extent in extents]
    if None in known and not is_object_list(labels):
        given = to_array("labels", labels).shape[1:]
        # The labels are floats with channels, or class numbers without them.
        if len(given) in (len(known), len(known) - 1):
            pairs = zip(known, given, strict=False)
            known[: len(given)] = [own if extent is None else extent for extent, own in pairs]
    return (batch, *(extent or 0 for extent in known))


def to_targets(labels: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Convert labels to the prediction's shape. A class number becomes 1 in its channel.

    For a prediction with one channel, whole numbers and booleans are values and not class numbers.
    """
    array = to_array("labels", labels)
    if array.shape == shape and array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    classes = shape[-1]
    if classes == 1 and array.dtype.kind in "iub" and array.shape in (shape, shape[:-1]):
        # A prediction with one channel has no classes to choose from, so these numbers are values.
        return np.ascontiguousarray(array.reshape(shape), np.float32)
    if array.dtype.kind in "iu" and array.shape in (shape[:-1], (*shape[:-1], 1)):
        numbers = array.reshape(shape[:-1])
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
            wrong = numbers[(numbers < 0) | (numbers >= classes)].flat[0]
            raise ParameterError(
                f"labels must be class numbers of 0 to {classes - 1}, got {wrong}; {REPLACE_HEAD}"
            )
        targets = np.zeros(shape, np.float32)
        np.put_along_axis(targets, numbers[..., None].astype(np.int64), np.float32(1), -1)
        return targets
    is_other_head = len(shape) == 2 and array.shape[:-1] == shape[:-1] and array.dtype.kind == "f"
    raise ShapeError(
        f"labels must be whole numbers of the shape {shape[:-1]} or floats of the shape {shape}, got {array.dtype} "
        f"of the shape {array.shape}{'; ' + REPLACE_HEAD if is_other_head else ''}"
    )


def to_loss_weights(weights: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Convert weights of losses to the prediction's shape: one for each image, each pixel or each element."""
    array = to_array("weights", weights)
    if array.dtype.kind not in "fiu" or array.shape not in [
        shape[:count] for count in range(1, len(shape) + 1)
    ]:
        raise ShapeError(
            f"weights must be numbers of the shape {shape[:1]}, {shape[:-1]} or {shape}, got {array.dtype} of the "
            f"shape {array.shape}"
        )
    spread = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
    return np.ascontiguousarray(np.broadcast_to(spread, shape), np.float32)


#: The kinds of losses. The first ones are those of the operation "loss".
LOSSES = (
    *("mean_absolute_error", "mean_squared_error", "softmax_cross_entropy", "sigmoid_cross_entropy"),
    *("categorical_cross_entropy", "hinge", "huber", "cosine_distance", "log", "kullback_leibler"),
    *("focal", "sigmoid_focal", "dice", "multibox"),
)
#: Names of sums of losses, with their parameters.
_SUMS = {"dice_cross_entropy": {"kind": "dice", "cross_entropy": 1.0}}
#: Parameters of losses, with the kinds that use them.
_KINDS_OF = {
    "label_smoothing": ("softmax_cross_entropy", "sigmoid_cross_entropy"),
    "epsilon": ("log",),
    "delta": ("huber", "multibox"),
    "number_of_classes": ("softmax_cross_entropy",),
    "gamma": ("focal", "sigmoid_focal"),
    "alpha": ("sigmoid_focal",),
    "smooth": ("dice",),
    "cross_entropy": ("dice",),
}


def _require_used(settings: Mapping[str, Any]) -> None:
    """Raise ParameterError for parameters that this kind of loss does not use."""
    for name, kinds in _KINDS_OF.items():
        if name in settings and settings["kind"] not in kinds:
            raise ParameterError(f"loss: {name} is for {' and '.join(kinds)}, got kind {settings['kind']!r}")


def loss_kind(loss: Any) -> Any:
    """Return the kind of a loss, which is given by name, also of another framework, or as a mapping."""
    if isinstance(loss, Mapping):
        return loss.get("kind")
    if not isinstance(loss, str):
        return loss
    if loss in _SUMS:
        return _SUMS[loss]["kind"]
    short = loss.lower().removesuffix("loss").removesuffix("_")
    return short if short in LOSSES else WORDS.get(short, loss)


def loss_settings(network: NetworkStructure, loss: Any) -> dict[str, Any]:
    """Return the settings of a loss, a name or a mapping, for the core, as plain Python values."""
    if not isinstance(loss, str) and not (isinstance(loss, Mapping) and "kind" in loss):
        own = "; only mpscnn.Trainer takes losses of your own" if callable(loss) else ""
        raise ParameterError(
            f"loss must be a name, or parameters as a mapping with 'kind', got {loss!r}{own}; "
            f"names are {', '.join(LOSSES)}"
        )
    if isinstance(loss, str):
        loss = _SUMS.get(loss, loss_kind(loss))
    settings: dict[str, Any] = plain("loss", {"kind": loss} if isinstance(loss, str) else loss)
    if settings.get("kind") == "softmax_cross_entropy" and len(network.outputs) == 1:
        settings.setdefault("number_of_classes", network.outputs[0].shape[-1])
    if settings.get("kind") == "cosine_distance":
        settings.setdefault("reduction", "sum")
    if not settings.get("reduce_across_batch", True):
        raise ParameterError(
            "loss: reduce_across_batch must be True: steps and gradients take one loss of all images"
        )
    if settings.get("kind") not in LOSSES:
        raise ParameterError(f"loss.kind: must be one of {', '.join(LOSSES)}, got {settings.get('kind')!r}")
    _require_used(settings)
    if settings.get("kind") == "multibox" and network.detection is not None:
        for part in ("boxes", "scores"):
            settings.setdefault(part, network.detection.output(part))
    return settings
