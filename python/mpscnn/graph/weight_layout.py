"""Convert weights of other libraries to mpscnn's order of axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, WeightsError

__all__ = [
    "WeightLayout",
    "convert_layout",
    "is_torch_tensor",
    "reorder_flattened_weights",
    "require_named_weights",
    "weight_array",
]

WeightLayout = Literal["OHWI", "OIHW"]
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


def reorder_flattened_weights(
    name: str,
    array: NDArray[Any],
    image: tuple[int, int, int],
    layout: WeightLayout | None,
    of_torch: bool,
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
    if layout is None and of_torch:
        raise WeightsError(
            f"{name}: a tensor {array.shape} of PyTorch for a flattened image {image} may have its columns in either "
            "order: say layout='OIHW' where they are channel by channel, as PyTorch flattens, or 'OHWI'"
        )
    return array


def convert_layout(
    name: str, array: NDArray[Any], shape: tuple[int, ...], layout: WeightLayout | None, of_torch: bool
) -> NDArray[Any]:
    """Return a convolution's weights with the axes [out][kernel height][kernel width][in], which `shape` has.

    Raises WeightsError if the array does not fit `shape` in the given layout. Without a layout, it is also raised if
    the array fits only as "OIHW", or if a PyTorch tensor fits both layouts.
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
    # With one input channel or one tap, the elements have the same order in both layouts.
    same_elements = shape[3] == 1 or shape[1:3] == (1, 1)
    if array.shape != shape and (of_torch or same_elements):
        return in_order
    if array.shape != shape:
        raise WeightsError(
            f"{name}: expected {shape}, got {array.shape}; if its axes are out, in, height and width, as "
            "PyTorch's, say layout='OIHW'"
        )
    if of_torch and not same_elements:
        raise WeightsError(
            f"{name}: a tensor {array.shape} of PyTorch fits both layouts: say layout='OIHW' for weights as PyTorch "
            "has them, or 'OHWI'"
        )
    return array
