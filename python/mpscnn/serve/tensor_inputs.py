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

__all__ = ["input_arrays"]


def input_arrays(compiled: Compiled, inputs: dict[str, Value], max_pixels: int) -> Any:
    """What the program runs on. Pixels (UINT8) and image files (BYTES) are prepared as photos are.

    Args:
        compiled: the model.
        inputs: tensors by name.
        max_pixels: of the request's photos together, and of what they become for the network, though one photo may
            always become what the network takes.

    Raises:
        TooManyPixelsError: more than `max_pixels`. ImageError, ParameterError, ShapeError, UnsupportedError: not inputs
            of the program.
    """
    known = list(compiled.model.program.inputs)
    if set(inputs) != set(known):
        raise ParameterError(f"inputs are {', '.join(known)}, got {', '.join(inputs)[:200]}")
    limits = _Limits(max_pixels)
    given = {name: _numbers(compiled, name, value, limits) for name, value in inputs.items()}
    return given[known[0]] if len(known) == 1 else given


class _Limits:
    """Pixels that a request's photos still may have, and that still may be made of them."""

    def __init__(self, max_pixels: int) -> None:
        self._most = max_pixels
        self._photos = max_pixels
        self._made = max_pixels

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

    def take_made(self, name: str, count: int, height: int, width: int) -> None:
        """For what `count` photos become, before memory is taken for it."""
        pixels = count * height * width
        if count > 1 and pixels > self._made:
            allowed = max(1, self._made // (height * width))
            raise TooManyPixelsError(
                f"input {name!r}: {count:,} photos become {pixels:,} pixels, {height} x {width} each; {self._most:,} "
                f"are allowed for a request (--max-pixels), so {allowed:,} of these photos"
            )
        self._made = max(0, self._made - pixels)


def _numbers(compiled: Compiled, name: str, value: Value, limits: _Limits) -> NDArray[Any]:
    if isinstance(value, list):
        return _prepared(compiled, name, limits, limits.opened(name, value), len(value))
    if value.dtype == np.uint8:
        if value.ndim != 4 or value.shape[3] not in (1, 3, 4):
            raise ShapeError(
                f"input {name!r}: pixels must be (n, height, width, 1, 3 or 4), got {value.shape}"
            )
        limits.take_pixels(name, value.shape)
        return _prepared(compiled, name, limits, iter(value), len(value))
    if value.dtype.kind != "f":
        raise UnsupportedError(
            f"input {name!r}: numbers are FP32, FP16 or FP64; photos are UINT8 pixels, or files as BYTES"
        )
    return value


def _prepared(
    compiled: Compiled,
    name: str,
    limits: _Limits,
    photos: Iterator[Photo] | Iterator[NDArray[np.uint8]],
    count: int,
) -> NDArray[np.float32]:
    settings = compiled.model.preprocess
    if settings is None or not compiled.takes_photos:
        raise UnsupportedError(
            f"input {name!r}: the model does not say how photos become its input; send FP32"
        )
    _, height, width, channels = compiled.model.program.inputs[name]
    if height is None or width is None or channels is None:
        raise ParameterError(f"input {name!r} has no fixed size, so photos cannot become it; send FP32")
    limits.take_made(name, count, height, width)
    made = np.empty((count, height, width, channels), np.float32)
    for index in range(count):
        made[index] = preprocess(next(photos), (height, width), settings, channels=channels)[0]
    return made
