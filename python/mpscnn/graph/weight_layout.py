"""Convert weights of other libraries to mpscnn's order of axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, WeightsError

__all__ = [
    "OwnWeights",
    "WeightLayout",
    "convert_layout",
    "from_torch_names",
    "reorder_flattened_weights",
    "require_named_weights",
    "weight_array",
]

WeightLayout = Literal["OHWI", "OIHW"]


class OwnWeights(dict[str, NDArray[Any]]):
    """The weights of a network by name. Their order of axes is known to be mpscnn's, "OHWI"."""

    __slots__ = ()

    def __call__(self) -> Iterator[NDArray[Any]]:
        """Return an iterator over the arrays, like `parameters()` of a PyTorch module."""
        return iter(self.values())


_FROM_OIHW = (0, 2, 3, 1)


def is_torch_tensor(value: object) -> bool:
    """Return True if the value is a PyTorch tensor. PyTorch is not imported for this."""
    return any(base.__module__ == "torch" and base.__name__ == "Tensor" for base in type(value).__mro__)


def weight_array(name: str, value: Any) -> NDArray[Any]:
    """Convert a weight to an array. Raises WeightsError if that is not possible."""
    try:
        if is_torch_tensor(value):
            value = value.detach().cpu()
            if str(value.dtype) == "torch.bfloat16":
                value = value.float()  # float32 represents every bfloat16 exactly
        return np.asarray(value)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # this includes NotImplementedError for tensors on "meta"
        raise WeightsError(f"{name}: cannot be read as an array: {error}") from error


def require_named_weights(weights: object) -> None:
    """Raise ParameterError if the weights are not a mapping whose keys are strings."""
    if not isinstance(weights, Mapping):
        is_path = isinstance(weights, (str, PathLike))
        reader = "; mpscnn.load(path).network.weights reads those of a file" if is_path else ""
        raise ParameterError(
            "weights: expected a mapping of names such as 'conv1.weight' to arrays, "
            f"got {type(weights).__name__}{reader}"
        )
    wrong = next((name for name in weights if not isinstance(name, str)), None)
    if wrong is not None:
        raise ParameterError(f"weights: expected names such as 'conv1.weight', got {wrong!r}")


def _is_same_in_both(shape: tuple[int, ...]) -> bool:
    """Return True if the elements have the same order in both layouts: one input channel, or one tap."""
    return shape[3] == 1 or shape[1:3] == (1, 1)


def _ambiguous(what: str, reason: str) -> WeightsError:
    return WeightsError(
        f"{what} {reason}: say layout='OIHW' for weights as PyTorch has them, or layout='OHWI' for mpscnn's order"
    )


def reorder_flattened_weights(
    name: str, array: NDArray[Any], image: tuple[int, int, int], layout: WeightLayout | None
) -> NDArray[Any]:
    """Return the weights of a dense layer that reads a flattened image.

    The result has the axes [out][height * width * channels]. PyTorch flattens channel by channel: the layout "OIHW"
    says that the given columns have that order.

    Raises WeightsError if the order is not stated and cannot be known.
    """
    height, width, channels = image
    if array.ndim != 2 or array.shape[1] != math.prod(image) or channels == 1 or height * width == 1:
        return array
    if layout == "OIHW":
        by_channel = array.reshape(-1, channels, height, width)
        columns: NDArray[Any] = by_channel.transpose(_FROM_OIHW).reshape(array.shape)
        return columns
    if layout is None:
        raise _ambiguous(
            f"{name}: an array {array.shape} for a flattened image {image}",
            "may have its columns channel by channel, as PyTorch flattens, or pixel by pixel",
        )
    return array


def convert_layout(
    name: str, array: NDArray[Any], shape: tuple[int, ...], layout: WeightLayout | None
) -> NDArray[Any]:
    """Return a convolution's weights with the axes [out][kernel height][kernel width][in], which `shape` has.

    Without a layout, it is the one that the array fits. Raises WeightsError if the array fits both, or does not fit in
    the given layout.
    """
    if array.ndim != 4 or len(shape) != 4:
        return array
    in_order: NDArray[Any] = array.transpose(_FROM_OIHW)
    turned = in_order.shape
    if layout == "OIHW":
        if turned != shape:
            given = (shape[0], shape[3], *shape[1:3])
            raise WeightsError(f"{name}: expected {given} in the layout OIHW, got {array.shape}")
        return in_order
    if layout == "OHWI" or turned != shape:
        return array
    if array.shape != shape:
        return in_order
    if not _is_same_in_both(shape):
        raise _ambiguous(f"{name}: an array {array.shape}", "fits both layouts")
    return array


#: PyTorch's names of roles, each with mpscnn's names in order of preference.
_ROLES_OF_TORCH = {
    "weight": ("weight", "gamma", "slope", "value"),
    "bias": ("bias", "beta"),
    "running_mean": ("mean",),
    "running_var": ("variance",),
}
_NO_WEIGHT = "num_batches_tracked"


def from_torch_names(weights: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return weights by mpscnn's names. PyTorch's names of roles are replaced if the layer has none of that name.

    Args:
        weights: weights by names such as "bn1.running_mean". Counters of batches are left out.
        known: the names of all weights of the network.
    """
    renamed = {}
    for name, value in weights.items():
        layer, _, role = name.rpartition(".")
        if role == _NO_WEIGHT and f"{layer}.mean" in known:
            continue
        names = [f"{layer}.{other}" for other in _ROLES_OF_TORCH.get(role, ())]
        chosen = name if name in known else next((other for other in names if other in known), name)
        if chosen in renamed:
            raise WeightsError(f"{name}: the weight {chosen!r} is given twice")
        renamed[chosen] = value
    return renamed
