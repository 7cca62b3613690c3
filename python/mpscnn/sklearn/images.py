"""Convert inputs of estimators: photos, arrays of images, and scikit-learn's rows, in which each row is an image."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from mpscnn.errors import ParameterError, ShapeError

Extents = tuple[int | None, int | None, int | None]


def as_photos(
    x: Any, *, prepared: bool, image_shape: Sequence[int] | None, extents: Extents
) -> list[Any] | None:
    """Return the photos if the value has paths, bytes, Pillow images, or arrays that need not have one size.

    The value may be a list, an array, a pandas.Series, or a table with one column. Return None for anything else.

    Args:
        x: the value.
        prepared: whether photos get the preprocessing of a network. Then all integers are pixels of photos, because a
            prepared input has none: arrays (n, height, width[, channels]), and rows (n, elements) with a photo in each.
        image_shape, extents: the shape of the photo in a row, as for `as_images`.
    """
    pixels = _integers(x) if prepared else None
    if pixels is not None:
        if pixels.ndim == 2:
            pixels = pixels.reshape(len(pixels), *_shape_of_rows(pixels.shape[1], image_shape, extents))
        return list(pixels)
    if not isinstance(x, (list, tuple)):
        x = np.asarray(x) if isinstance(x, np.ndarray) or hasattr(x, "iloc") else np.empty(0)
        x = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
        x = list(x) if x.ndim == 1 and x.dtype.kind in "OSUT" else []
    return list(x) if len(x) > 0 and _is_photo(x[0]) else None


def _integers(x: Any) -> NDArray[Any] | None:
    """Return a value as an array if it has integers in rows or images, otherwise None."""
    is_list = isinstance(x, (list, tuple)) and len(x) > 0 and not _is_photo(x[0])
    if not is_list and not isinstance(x, np.ndarray) and not hasattr(x, "iloc"):
        return None
    array = np.asarray(x)
    return array if array.dtype.kind in "iu" and array.ndim in (2, 3, 4) else None


def _is_photo(one: Any) -> bool:
    """Return True if the value is a photo. Lists of numbers are rows."""
    is_array = isinstance(one, np.ndarray) and one.ndim in (2, 3)
    return isinstance(one, (str, bytes, os.PathLike)) or is_array or hasattr(one, "convert")


def as_images(
    estimator: Any, x: Any, *, reset: bool, image_shape: Sequence[int] | None, extents: Extents
) -> NDArray[np.float32]:
    """Convert rows or images to images (n, height, width, channels).

    Args:
        estimator: scikit-learn stores the number of elements of an image in its `n_features_in_` when it is fitted, and
            checks later inputs against it.
        x: rows (n, elements), gray images (n, height, width), or images (n, height, width, channels).
        reset: whether the estimator is being fitted.
        image_shape: (height, width) or (height, width, channels) of the image in a row. None: `extents` where they are
            known, otherwise a square image if possible, otherwise an image with one row of pixels.
        extents: (height, width, channels) that images must have; None for extents that may have any value.

    Raises:
        ValueError: elements are not finite, or there are more or fewer of them than when the estimator was fitted.
        ShapeError: the shape of the images differs from `extents`.
        ParameterError: it differs from `image_shape`.
    """
    if _is_photo(x) and not isinstance(x, np.ndarray):
        raise ParameterError(f"expected a list of photos, got a single {type(x).__name__}")
    given = validate_data(estimator, x, reset=reset, allow_nd=True, dtype=np.float32)
    if given.ndim == 2:
        given = given.reshape(len(given), *_shape_of_rows(given.shape[1], image_shape, extents))
    elif given.ndim == 3:
        given = given[..., np.newaxis]
    if given.ndim != 4:
        raise ShapeError(f"expected rows or images (n, height, width, channels), got {given.shape}")
    if image_shape is not None and given.shape[1 : 1 + len(image_shape)] != tuple(image_shape):
        raise ParameterError(
            f"image_shape is {tuple(image_shape)}, but the images are {_shown(given.shape[1:])}"
        )
    fits = all(own in (None, extent) for own, extent in zip(extents, given.shape[1:], strict=True))
    if not fits:
        raise ShapeError(f"expected images {_shown(extents)}, got {_shown(given.shape[1:])}")
    return np.ascontiguousarray(given)


def _shape_of_rows(count: int, image_shape: Sequence[int] | None, extents: Extents) -> tuple[int, int, int]:
    """Return the shape of the image in a row."""
    channels = extents[2] or 1
    if image_shape is not None:
        height, width, channels = (*image_shape, channels)[:3]
        if height * width * channels != count:
            raise ParameterError(f"image_shape is {tuple(image_shape)}, but a row has {count} numbers")
        return height, width, channels
    pixels = count // channels
    side = math.isqrt(pixels)
    tall, wide = extents[:2]
    if tall is None and wide is None:
        tall = side if side * side == pixels else 1
    rows = tall or pixels // (wide or 1)
    columns = wide or pixels // max(rows, 1)
    if rows * columns * channels != count:
        raise ShapeError(f"a row has {count} numbers, which are no image {_shown(extents)}")
    return rows, columns, channels


def _shown(extents: Sequence[int | None]) -> str:
    return f"({', '.join('any' if extent is None else str(extent) for extent in extents)})"
