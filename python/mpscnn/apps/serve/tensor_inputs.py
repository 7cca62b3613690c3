"""Convert a request's tensors to arrays, and compute in advance how much memory they need."""

from __future__ import annotations

import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.names import did_you_mean
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.hosting import Compiled
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.responses import JSON_NUMBER
from mpscnn.apps.serve.tensors import BYTES, OWN_NAMES, InferRequest, Input
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.vision.photo import Photo
from mpscnn.vision.photo_file import TooManyPixelsError
from mpscnn.vision.preprocessing import preprocess


def tensor_bytes(compiled: Compiled, wanted: InferRequest, maximum: int) -> int:
    """Return the bytes of a request's converted inputs, its outputs and its response.

    The shapes determine them, so they are known before any value is decoded.

    Raises:
        RefusedError: more than `maximum` bytes (413).
        ParameterError, ShapeError, UnsupportedError: the inputs or outputs do not fit the program.
    """
    program = compiled.model.program
    known = list(compiled.model._outputs)
    for name in wanted.outputs or ():
        if name not in known:
            raise ParameterError(
                f"there is no output {name[:200]!r}{did_you_mean(name[:200], known)}; outputs are {', '.join(known)}"
                f"{OWN_NAMES}"
            )
    shapes = {name: _shape(compiled, given) for name, given in wanted.inputs.items()}
    halves = {name for name, given in wanted.inputs.items() if given.datatype == "FP16"}
    inputs = sum(math.prod(shape) * (2 if name in halves else 4) for name, shape in shapes.items())
    width = 2 if len(halves) == len(shapes) else 4
    if inputs <= maximum:  # otherwise the inputs alone are too large
        found = compiled.output_shapes(tuple(shapes[name] for name in program.inputs))
        counts = dict(zip(program.outputs, map(math.prod, found), strict=True))
    else:
        counts = dict.fromkeys(program.outputs, 0)
    outputs = width * sum(counts.values())
    answered = known if wanted.outputs is None else wanted.outputs
    answer = sum(counts[name] * (width if wanted.is_binary(name) else JSON_NUMBER) for name in answered)
    total = inputs + outputs + answer
    if total > maximum:
        as_text = any(not wanted.is_binary(name) for name in answered)
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "TooManyTensorBytes",
            f"the request's tensors would take {total:,} bytes: inputs {inputs:,}, outputs {outputs:,}, "
            f"the answer up to {answer:,}; {maximum:,} are allowed (--max-tensor-bytes): send a smaller batch"
            + (", or ask for binary data" if as_text else ""),
        )
    return total


def input_arrays(compiled: Compiled, inputs: dict[str, Input], max_pixels: int, photos: PhotoMemory) -> Any:
    """Convert a request's tensors to the program's inputs.

    Pixels (UINT8) and image files (BYTES) get the model's preprocessing for photos.

    Args:
        compiled: the model.
        inputs: tensors by name.
        max_pixels: the limit for all photos of the request together.
        photos: the memory for decoded photos.

    Raises:
        WaitedError: there was no memory for a decoded photo until the deadline.
        TooManyPixelsError: the photos have more than `max_pixels`.
        ImageError, ParameterError, ShapeError, UnsupportedError: the inputs do not fit the program.
    """
    limit = _PixelLimit(max_pixels, photos)
    given = {name: _numbers(compiled, value, limit) for name, value in inputs.items()}
    return next(iter(given.values())) if len(given) == 1 else given


class _PixelLimit:
    """Counts how many pixels the photos of a request may still have."""

    def __init__(self, max_pixels: int, memory: PhotoMemory) -> None:
        self._memory = memory
        self._maximum = max_pixels
        self._left = max_pixels

    def opened(self, given: Input) -> Iterator[Photo]:
        """Yield the decoded photos of an input, one at a time: each is decoded when it is needed."""
        for number, content in enumerate(given.files(), start=1):
            try:
                photo = self._memory.open(content, self._left)
            except TooManyPixelsError as error:
                used = self._maximum - self._left
                if not used:
                    raise TooManyPixelsError(
                        f"{error}; {self._maximum:,} are allowed (--max-pixels): send smaller photos"
                    ) from None
                raise TooManyPixelsError(
                    f"{given.what}, photo {number} of {given.shape[0]}: {error}; photos before it have {used:,} "
                    f"of the {self._maximum:,} pixels that a request's photos may have together (--max-pixels)"
                ) from None
            width, height = photo.size
            self._left -= width * height
            yield photo
            del photo
            self._memory.free()

    def pixels(self, given: Input) -> Iterator[NDArray[np.uint8]]:
        """Yield the photos of an input that holds pixels. Raise TooManyPixelsError."""
        count, height, width, _ = given.shape
        pixels = count * height * width
        if pixels > self._left:
            raise TooManyPixelsError(
                f"{given.what}: {count:,} x {height} x {width} pixels are more than the {self._left:,} allowed; a "
                f"request's photos may have {self._maximum:,} together (--max-pixels)"
            )
        self._left -= pixels
        return iter(given.array())


def _shape(compiled: Compiled, given: Input) -> tuple[int, ...]:
    """Return the shape that an input will have for the program, without converting it."""
    if given.datatype not in (BYTES, "UINT8"):
        return given.shape
    if given.datatype == "UINT8" and (len(given.shape) != 4 or given.shape[3] not in (1, 3, 4)):
        raise ShapeError(f"{given.what}: pixels must be (n, height, width, 1, 3 or 4), got {given.shape}")
    if given.datatype == BYTES and len(given.shape) != 1:
        raise ShapeError(f"{given.what}: files must be a list, (n,), got {given.shape}")
    if compiled.model.preprocess is None or not compiled.takes_photos:
        raise UnsupportedError(f"{given.what}: the model does not say how photos become its input; send FP32")
    _, height, width, channels = compiled.model.program.inputs[given.name]
    if height is None or width is None or channels is None:
        raise ParameterError(f"{given.what} has no fixed size, so photos cannot become it; send FP32")
    return given.shape[0], height, width, channels


def _numbers(compiled: Compiled, given: Input, limit: _PixelLimit) -> NDArray[Any]:
    photos: Iterator[Photo] | Iterator[NDArray[np.uint8]]
    if given.datatype == BYTES:
        photos = limit.opened(given)
    elif given.datatype == "UINT8":
        photos = limit.pixels(given)
    else:
        return given.array()
    settings = compiled.model.preprocess
    assert settings is not None
    shape = _shape(compiled, given)
    _, height, width, channels = shape
    made = np.empty(shape, np.float32)
    for index, photo in enumerate(photos):
        made[index] = preprocess(photo, (height, width), settings, channels=channels)[0]
        del photo  # before the next one is decoded
    return made
