"""Convert weights of other libraries to mpscnn's order of axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from os import PathLike
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, WeightsError

WeightLayout = Literal["OHWI", "OIHW"]


class OwnArray(np.ndarray[Any, np.dtype[Any]]):
    """A weight of a network, which knows that its axes have mpscnn's order, "OHWI".

    Sums, products and other results of NumPy for each element know it, too, as do copies. Transposed and reshaped
    arrays do not.
    """

    has_own_order = False

    @classmethod
    def of(cls, array: NDArray[Any]) -> OwnArray:
        """Return a view of an array whose axes have mpscnn's order."""
        view = array.view(cls)
        view.has_own_order = True
        return view

    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        """Compute a function of NumPy on plain arrays. The result for each element of a weight is a weight."""
        plain = [np.asarray(one) if isinstance(one, OwnArray) else one for one in inputs]
        out = kwargs.get("out")
        if out is not None:
            kwargs["out"] = tuple(np.asarray(one) if isinstance(one, OwnArray) else one for one in out)
        result = getattr(ufunc, method)(*plain, **kwargs)
        if out is not None and len(out) == 1:
            return out[0]  # an operator such as `*=`
        weights = [one for one in inputs if isinstance(one, OwnArray) and one.has_own_order]
        of_each = method == "__call__" and ufunc.signature is None and isinstance(result, np.ndarray)
        return (
            OwnArray.of(result) if of_each and any(one.shape == result.shape for one in weights) else result
        )

    def copy(self, order: Any = "C") -> OwnArray:
        """Return a copy."""
        return self._kept(np.array(self, order=order))

    def __copy__(self) -> OwnArray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> OwnArray:
        return self.copy()

    def astype(self, *arguments: Any, **options: Any) -> OwnArray:
        """Return the numbers in another type."""
        return self._kept(np.asarray(self).astype(*arguments, **options))

    def _kept(self, array: NDArray[Any]) -> OwnArray:
        return OwnArray.of(array) if self.has_own_order else array.view(OwnArray)

    def __repr__(self) -> str:
        return repr(np.asarray(self))


def is_own(value: object) -> bool:
    """Return True if a weight is known to have mpscnn's order of axes."""
    return isinstance(value, OwnArray) and value.has_own_order


class OwnWeights(dict[str, NDArray[Any]]):
    """The weights of a network by name, as copies. Their order of axes is known to be mpscnn's, "OHWI"."""

    __slots__ = ()

    def __call__(self) -> Iterator[NDArray[Any]]:
        """Return an iterator over the arrays, like `parameters()` of a PyTorch module."""
        return iter(self.values())


class FixedWeights(OwnWeights):
    """The copies that `Network.weights` returns.

    A change would not reach the network, so all methods that change the mapping raise ParameterError.
    """

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ParameterError(
            "weights: these are copies, whose changes do not reach the network: network.set_weights({'conv1.weight': "
            "array}, layout='OHWI') sets weights, and network.state_dict() can be changed and loaded"
        )

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[type[FixedWeights], tuple[dict[str, NDArray[Any]]]]:
        return FixedWeights, (dict(self),)


def require_no_tensors(weights: OwnWeights) -> None:
    """Raise ParameterError for a PyTorch tensor among weights of mpscnn's order, since it may have PyTorch's."""
    for name, value in weights.items():
        if is_torch_tensor(value) and np.ndim(value) > 1:
            raise ParameterError(
                f"{name}: a PyTorch tensor among weights of mpscnn's order of axes: "
                f"network.set_weights({{{name!r}: tensor}}, layout='OIHW') sets it if it has PyTorch's order"
            )


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
    """Return the weights of a layer that reads a flattened image.

    The result has the axes [out][height * width * channels] for a dense layer, and [height * width * channels] for
    weights of one number for each feature, such as those of a normalization. PyTorch flattens channel by channel: the
    layout "OIHW" says that the given features have that order. Without a layout, a normalization's weights have
    mpscnn's names and so mpscnn's order.

    Raises WeightsError if the order of columns is not stated and cannot be known.
    """
    height, width, channels = image
    if (
        array.ndim not in (1, 2)
        or array.shape[-1] != math.prod(image)
        or channels == 1
        or height * width == 1
    ):
        return array
    if layout == "OIHW":
        by_channel = array.reshape(-1, channels, height, width)
        columns: NDArray[Any] = by_channel.transpose(_FROM_OIHW).reshape(array.shape)
        return columns
    if layout is None and array.ndim == 2:
        raise _ambiguous(
            f"{name}: an array {array.shape} for a flattened image {image}",
            "may have its columns channel by channel, as PyTorch flattens, or pixel by pixel",
        )
    return array


def _from_torch(array: NDArray[Any], transposed_groups: int | None) -> NDArray[Any]:
    """Return PyTorch's weights of a convolution with the axes [out][kernel height][kernel width][in]."""
    if transposed_groups is None:
        turned: NDArray[Any] = array.transpose(_FROM_OIHW)
        return turned
    _, outputs, height, width = array.shape
    grouped = array.reshape(transposed_groups, -1, outputs, height, width).transpose(0, 2, 3, 4, 1)
    ordered: NDArray[Any] = grouped.reshape(transposed_groups * outputs, height, width, -1)
    return ordered


def _torch_shape(shape: tuple[int, ...], transposed_groups: int | None) -> tuple[int, ...]:
    """Return the shape in PyTorch's order of weights with the axes [out][kernel height][kernel width][in]."""
    outputs, *kernel, inputs = shape
    if transposed_groups is None:
        return (outputs, inputs, *kernel)
    return (inputs * transposed_groups, outputs // transposed_groups, *kernel)


def convert_layout(
    name: str,
    array: NDArray[Any],
    shape: tuple[int, ...],
    layout: WeightLayout | None,
    transposed_groups: int | None = None,
) -> NDArray[Any]:
    """Return a convolution's weights with the axes [out][kernel height][kernel width][in], which `shape` has.

    PyTorch's order is [out][in][kernel height][kernel width], and for a transposed convolution
    [in][out][kernel height][kernel width]. `transposed_groups` is the number of groups of a transposed convolution, and
    None for other layers.

    Without a layout, it is the one that the array fits. Raises WeightsError if the array fits both, or does not fit in
    the given layout.
    """
    if array.ndim != 4 or len(shape) != 4:
        return array
    expected = _torch_shape(shape, transposed_groups)
    if layout == "OIHW" and array.shape != expected:
        order = "OIHW" if transposed_groups is None else "OIHW, which is [in][out] in transposed convolutions"
        raise WeightsError(f"{name}: expected {expected} in the layout {order}, got {array.shape}")
    if layout == "OHWI" or array.shape != expected:
        return array
    if layout == "OIHW" or array.shape != shape:
        return _from_torch(array, transposed_groups)
    if transposed_groups is not None or not _is_same_in_both(shape):
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
        chosen = own_name(name, known)
        if chosen is None:
            continue
        if chosen in renamed:
            raise WeightsError(f"{name}: the weight {chosen!r} is given twice")
        renamed[chosen] = value
    return renamed


def own_name(name: str, known: Collection[str]) -> str | None:
    """Return mpscnn's name of a weight with a name of PyTorch: None for a counter of batches, which is no weight.

    A name that is neither known nor PyTorch's for a known weight is returned unchanged.
    """
    layer, _, role = name.rpartition(".")
    if role == _NO_WEIGHT and f"{layer}.mean" in known:
        return None
    names = [name, *(f"{layer}.{other}" for other in _ROLES_OF_TORCH.get(role, ()))]
    return next((other for other in names if other in known), name)
