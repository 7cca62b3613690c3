"""What a program runs on, made of a request's tensors; those of photos have a limit of pixels together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.runtime.library import preprocess
from mpscnn.serve.hosting import Compiled
from mpscnn.serve.tensors import Value
from mpscnn.vision.photo import Photo, open_content
from mpscnn.vision.photo_file import TooManyPixelsError

__all__ = ["input_arrays", "input_shapes"]


def input_arrays(compiled: Compiled, inputs: dict[str, Value], max_pixels: int) -> Any:
    """What the program runs on. Pixels (UINT8) and image files (BYTES) are prepared as photos are.

    Args:
        compiled: the model.
        inputs: tensors by name.
        max_pixels: of the request's photos together.

    Raises:
        TooManyPixelsError: more than `max_pixels`. ImageError, ParameterError, ShapeError, UnsupportedError: not inputs
            of the program.
    """
    shapes = input_shapes(compiled, inputs)
    limits = _Limits(max_pixels)
    given = {name: _numbers(compiled, name, value, shapes[name], limits) for name, value in inputs.items()}
    return next(iter(given.values())) if len(given) == 1 else given


class _Limits:
    """Pixels that a request's photos still may have."""

    def __init__(self, max_pixels: int) -> None:
        self._most = max_pixels
        self._photos = max_pixels

    def opened(self, name: str, contents: list[bytes]) -> Iterator[Photo]:
        """Decodes image files when they are asked for: no more than one is held."""
        for number, content in enumerate(contents):
            try:
                photo = open_content(content, self._photos)
            except TooManyPixelsError as error:
                used = self._most - self._photos
                if not used:
                    raise
                raise TooManyPixelsError(
                    f"input {name!r}, photo {number + 1} of {len(contents)}: {error}; photos before it have {used:,} "
                    f"of the {self._most:,} pixels that a request's photos may have together (--max-pixels)"
                ) from None
            width, height = photo.size
            self._photos -= width * height
            yield photo
            del photo

    def take_pixels(self, name: str, shape: tuple[int, ...]) -> None:
        """For n photos that are decoded already, of the shape (n, height, width, channels)."""
        count, height, width, _ = shape
        pixels = count * height * width
        if pixels > self._photos:
            raise TooManyPixelsError(
                f"input {name!r}: {count:,} x {height} x {width} pixels are more than the {self._photos:,} allowed; a "
                f"request's photos may have {self._most:,} together (--max-pixels)"
            )
        self._photos -= pixels


def input_shapes(compiled: Compiled, inputs: dict[str, Value]) -> dict[str, tuple[int, ...]]:
    """Of what the program runs on, by name, before it is made. Raises ParameterError, ShapeError, UnsupportedError."""
    known = list(compiled.model.program.inputs)
    if set(inputs) != set(known):
        raise ParameterError(f"inputs are {', '.join(known)}, got {', '.join(inputs)[:200]}")
    return {name: _shape(compiled, name, value) for name, value in inputs.items()}


def _shape(compiled: Compiled, name: str, value: Value) -> tuple[int, ...]:
    if not isinstance(value, list):
        if value.dtype.kind == "f":
            return value.shape
        if value.dtype != np.uint8:
            raise UnsupportedError(
                f"input {name!r}: numbers are FP32, FP16 or FP64; photos are UINT8 pixels, or files as BYTES"
            )
        if value.ndim != 4 or value.shape[3] not in (1, 3, 4):
            raise ShapeError(
                f"input {name!r}: pixels must be (n, height, width, 1, 3 or 4), got {value.shape}"
            )
    if compiled.model.preprocess is None or not compiled.takes_photos:
        raise UnsupportedError(
            f"input {name!r}: the model does not say how photos become its input; send FP32"
        )
    _, height, width, channels = compiled.model.program.inputs[name]
    if height is None or width is None or channels is None:
        raise ParameterError(f"input {name!r} has no fixed size, so photos cannot become it; send FP32")
    return len(value), height, width, channels


def _numbers(
    compiled: Compiled, name: str, value: Value, shape: tuple[int, ...], limits: _Limits
) -> NDArray[Any]:
    photos: Iterator[Photo] | Iterator[NDArray[np.uint8]]
    if isinstance(value, list):
        photos = limits.opened(name, value)
    elif value.dtype == np.uint8:
        limits.take_pixels(name, value.shape)
        photos = iter(value)
    else:
        return value
    settings = compiled.model.preprocess
    assert settings is not None
    count, height, width, channels = shape
    made = np.empty(shape, np.float32)
    for index in range(count):
        made[index] = preprocess(next(photos), (height, width), settings, channels=channels)[0]
    return made
