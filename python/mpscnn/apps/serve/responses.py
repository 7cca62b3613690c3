"""Build the bodies of responses: results of photos as JSON or pictures, and tensors of the Open Inference Protocol."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from mpscnn._private.arguments import number_in
from mpscnn._private.json_text import encode_compact
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.tensors import TYPES, InferRequest
from mpscnn.errors import UnsupportedError
from mpscnn.vision.photo import Photo
from mpscnn.vision.segmentation import Segmentation

_JPEG_SIDE = 65_500  # the largest width or height of a JPEG (libjpeg)
_BUFFERED = 65_536  # bytes; smaller responses fit in a connection's send buffer
_PART = 262_144  # bytes of a response that are sent at a time
_AT_ONCE = 8_192  # array elements that are converted to JSON at a time

#: The maximum number of bytes of a float in JSON, with a comma, such as -1.1754943508222875e-38.
JSON_NUMBER = 24

_TYPE_NAMES = {dtype: name for name, dtype in TYPES.items()}

JSON = "application/json"
PNG = "image/png"
JPEG = "image/jpeg"


def negotiate_media_type(accept: str, offered: Sequence[str]) -> str:
    """Choose the offered media type that an Accept header prefers; the first of equal ones.

    Raise RefusedError with status 406 if the client accepts none.
    """
    if accept in ("", "*/*"):
        return offered[0]
    # If several media ranges match a type, the most specific one counts (RFC 9110, 12.5.1).
    qualities: dict[str, float] = {}
    for entry in accept.lower().split(",")[:50]:
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = number_in(parameter[2:]) or 0.0
        qualities[name] = quality
    best, maximum = "", 0.0
    for kind in offered:
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
        quality = next((qualities[name] for name in ranges if name in qualities), 0.0)
        if quality > maximum:
            best, maximum = kind, quality
    if not best:
        raise RefusedError(
            HTTPStatus.NOT_ACCEPTABLE,
            "NotAcceptable",
            f"answers are {', '.join(offered)}, not {accept[:200]}",
        )
    return best


class Answer(Response):  # type: ignore[misc]
    """A response that counts its bytes in a memory budget until the client has received them."""

    body: bytes

    def __init__(self, content: bytes, held: ExitStack, **options: Any) -> None:
        super().__init__(content, **options)
        self._held = held

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response, a large one in parts."""
        with self._held:
            if len(self.body) < _BUFFERED:
                await super().__call__(scope, receive, send)
                return
            body, self.body = memoryview(self.body), b""
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            while len(body):
                part, body = body[:_PART], body[_PART:]
                await send({"type": "http.response.body", "body": bytes(part), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def picture(result: Any, photo: Photo, kind: str) -> bytes:
    """Draw the result on the photo, and return the picture's bytes.

    For a segmentation, PNG returns the mask alone, whose pixels are class numbers. Raise UnsupportedError if the
    picture is too large for JPEG.
    """
    as_mask = kind == PNG and isinstance(result, Segmentation)
    drawn = result.label_picture() if as_mask else result.draw(photo)
    stream = io.BytesIO()
    if kind == PNG:
        drawn.save(stream, "PNG", compress_level=1)
    elif max(drawn.size) > _JPEG_SIDE:
        width, height = drawn.size
        raise UnsupportedError(
            f"the picture has {width} x {height} pixels, and JPEG {_JPEG_SIDE:,} a side at most: ask for {PNG}"
        )
    else:
        drawn.convert("RGB").save(stream, "JPEG", quality=90)
    return stream.getvalue()


def json_bytes(value: Any) -> bytes:
    """Encode a value as JSON without spaces. Raise ValueError for NaN and infinities, which JSON does not allow."""
    return encode_compact(value).encode()


def encode_outputs(
    head: dict[str, Any], outputs: Mapping[str, NDArray[Any]], request: InferRequest
) -> tuple[bytes, int | None]:
    """Encode outputs as the body of a response of the Open Inference Protocol.

    Args:
        head: the other members of the JSON object.
        outputs: arrays by name.
        request: the request, which selects the outputs that are wanted as bytes after the JSON.

    Returns:
        The body, and the number of its bytes that are JSON; None if all are.

    Raises:
        UnsupportedError: NaN or an infinity is wanted as JSON.
    """
    # A BytesIO collects the parts, and returns the whole body without a copy.
    stream = io.BytesIO()
    stream.write(json_bytes(head)[:-1] + b',"outputs":[')
    contents: list[NDArray[Any]] = []
    for number, (name, array) in enumerate(outputs.items()):
        entry: dict[str, Any] = {
            "name": name,
            "datatype": _TYPE_NAMES[array.dtype],
            "shape": list(array.shape),
        }
        if request.is_binary(name):
            contents.append(np.ascontiguousarray(array))
            entry["parameters"] = {"binary_data_size": array.nbytes}
        stream.write(b"," if number else b"")
        stream.write(json_bytes(entry))
        if not request.is_binary(name):
            stream.seek(-1, io.SEEK_CUR)
            _write_numbers(stream, array.reshape(-1))
    stream.write(b"]}")
    length = stream.tell()
    for array in contents:
        stream.write(array.data)
    return stream.getvalue(), length if contents else None


def _write_numbers(stream: io.BytesIO, numbers: NDArray[Any]) -> None:
    """Write the numbers as JSON, in small pieces: the Python objects of all at a time would need 8 times the memory."""
    stream.write(b',"data":[')
    for start in range(0, len(numbers), _AT_ONCE):
        try:
            text = json_bytes(numbers[start : start + _AT_ONCE].tolist())
        except ValueError:
            raise UnsupportedError(
                "an output has NaN or infinities, which JSON does not have: ask for binary data"
            ) from None
        stream.write(b"," if start else b"")
        stream.write(memoryview(text)[1:-1])
    stream.write(b"]}")
