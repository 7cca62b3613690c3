"""Check arrays that callers pass. Suitable arrays are used without a copy, others are converted or refused."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_MAX_INTEGER = 1 << 24  # float32 has all integers up to this one
_PHOTO_CHANNELS = (1, 3, 4)
FLOAT32: np.dtype[Any] = np.dtype(np.float32)


def is_plain(value: Any) -> bool:
    """Return True if `as_input` would return the value unchanged.

    This quick check may also return False for such a value.
    """
    if type(value) is not np.ndarray or value.dtype is not FLOAT32:
        return False
    flags = value.flags
    return flags.c_contiguous and flags.aligned


def as_array(what: str, value: Any) -> NDArray[Any]:
    """Return an array that shares memory with a NumPy array, DLPack object or buffer. Lists of numbers are copied."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        # DLPack would give the numbers in memory, which are not negated yet.
        if getattr(value, "is_neg", bool)():
            raise ParameterError(
                f"{what}: PyTorch negates its memory when it is read; give tensor.resolve_neg()"
            )
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, ValueError, TypeError) as error:
            raise ParameterError(f"{what}: its memory cannot be used here: {error}") from error
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"{what}: cannot be read as an array: {error}") from error


def unchanging(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array if nobody can write its memory, otherwise a copy: for numbers that are read later.

    Cameras and decoders write one frame after the other into the same array.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return np.array(array)
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return array if base is None or isinstance(base, bytes) else np.array(array)


class AsArray:
    """Base class of objects that NumPy reads as the array of `_as_array`."""

    def _as_array(self) -> NDArray[Any]:
        raise NotImplementedError

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the array for `np.asarray`. It is copied only for another type or if `copy` is True."""
        array = self._as_array()
        if copy or (dtype is not None and np.dtype(dtype) != array.dtype):
            if copy is False:
                raise ValueError(f"an array of {array.dtype} becomes {np.dtype(dtype)} by a copy only")
            return array.astype(array.dtype if dtype is None else dtype)
        return array


def as_input(name: str, value: Any, shape: Sequence[int | None] = ()) -> NDArray[Any]:
    """Return an input as float32 or float16 in native byte order. An array that is so already is not copied.

    Integers of 32 and 64 bits and truth values become float32, such as the positions that an embedding looks up.
    Shorter integers, and all integers for images, are refused: they are samples that need a preprocessing.

    Args:
        name: the input's name, for messages.
        value: what the caller gave.
        shape: the input's shape; None is a free extent.
    """
    array = as_array(f"input {name!r}", value)
    is_image = len(shape) == 4 and shape[-1] in _PHOTO_CHANNELS
    is_number = array.dtype.kind == "b" or (array.dtype.kind in "iu" and array.dtype.itemsize >= 4)
    if is_number and not is_image:
        return _floats_of_integers(name, array)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        hint = "; photos go through Model.predict or mpscnn.preprocess" if array.dtype.kind in "uiUSO" else ""
        raise ShapeError(f"input {name!r}: expected float32 or float16 elements, got {array.dtype}{hint}")
    if array.dtype == np.float16 or array.dtype == np.float32:
        strides_fit = all(stride % array.itemsize == 0 for stride in array.strides)
        # The core reads strides that are all zero as "without gaps". An array that repeats one number is copied.
        one_number = array.size > 1 and not any(array.strides)
        if array.dtype.isnative and array.flags.aligned and strides_fit and not one_number:
            return array
    wanted = np.float16 if array.dtype.itemsize == 2 else np.float32
    return np.array(array, dtype=wanted, order="C")


def _floats_of_integers(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Return integers as float32. Raise ShapeError for integers that float32 does not have."""
    made = np.array(array, dtype=np.float32, order="C")
    if array.size and array.dtype.kind != "b" and max(int(array.max()), -int(array.min())) > _MAX_INTEGER:
        raise ShapeError(
            f"input {name!r}: integers beyond {_MAX_INTEGER} are rounded in float32; convert them with "
            "x.astype(np.float32) if that is meant"
        )
    return made


def check_output(name: str, value: Any) -> NDArray[Any]:
    """Return the array that results will be written into. Raise an error if it is not a writable float array."""
    if isinstance(value, (list, tuple, int, float)):
        raise ParameterError(f"output {name!r}: expected an array to write into, got {type(value).__name__}")
    array = as_array(f"output {name!r}", value)
    if array.dtype not in (np.float32, np.float16) or not array.dtype.isnative:
        raise ShapeError(f"output {name!r}: expected native float32 or float16 elements, got {array.dtype}")
    if not array.flags.writeable:
        raise ParameterError(f"output {name!r}: the array is read-only")
    return array


@contextmanager
def naming_remedy(
    expected: Sequence[Sequence[int | None]], arrays: Sequence[NDArray[Any]], given: Any
) -> Generator[None]:
    """Add to an error about shapes the change that makes a single input fit, if there is one.

    Args:
        expected: the shape of each input; None is a free extent.
        arrays: the array for each input.
        given: what the caller passed for them, such as a tensor of PyTorch, alone or in a list; None: it is not known.
    """
    try:
        yield
    except ShapeError as error:
        remedy = remedy_for(expected, arrays)
        if not remedy:
            raise
        one = given[0] if isinstance(given, (list, tuple)) and given else given
        of_torch = remedy.replace("transpose", "permute")  # PyTorch's transpose swaps two axes only
        if hasattr(one, "permute"):
            remedy = of_torch
        also = f", for a tensor of PyTorch {of_torch}" if given is None and of_torch != remedy else ""
        raise ShapeError(f"{str(error).removesuffix('.')}; {remedy} fits{also}") from None


def remedy_for(expected: Sequence[Sequence[int | None]], arrays: Sequence[NDArray[Any]]) -> str:
    """Return another order of axes, or a batch of one image, that makes a single input fit; "" if there is none."""
    if len(expected) != 1 or not arrays:
        return ""
    (shape,), array = expected, arrays[0]
    remedies: dict[str, tuple[int | None, ...]] = {
        "x.transpose(0, 2, 3, 1)": (0, 2, 3, 1),
        "x.transpose(1, 2, 0)[None]": (None, 1, 2, 0),
        "x.transpose(0, 3, 1, 2)": (0, 3, 1, 2),
        "x.transpose(2, 0, 1)[None]": (None, 2, 0, 1),
        "x[None]": (None, *range(len(shape) - 1)),
    }
    for text, axes in remedies.items():
        known = [axis for axis in axes if axis is not None]
        if len(axes) != len(shape) or sorted(known) != [*range(array.ndim)]:
            continue
        extents = [1 if axis is None else array.shape[axis] for axis in axes]
        if all(wanted in (None, extent) for wanted, extent in zip(shape, extents, strict=True)):
            return text
    return ""
