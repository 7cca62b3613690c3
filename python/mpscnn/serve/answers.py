"""Results of photos in the form that a client accepts."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Response

from mpscnn.errors import UnsupportedError
from mpscnn.serve.failures import RefusedError
from mpscnn.vision.photo import Photo
from mpscnn.vision.segmentation import Segmentation

__all__ = ["JPEG", "JSON", "PNG", "Answer", "accepted", "json_bytes", "picture"]

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

_JPEG_SIDE = 65_500  # libjpeg's limit
_BUFFERED = 65_536  # bytes, below which nothing waits for the client

JSON = "application/json"
PNG = "image/png"
JPEG = "image/jpeg"


def accepted(accept: str, offered: Sequence[str]) -> str:
    """The offered media type with the highest quality in an Accept header, of equal ones the first offered.

    Raises RefusedError with 406 if there is none.
    """
    if accept in ("", "*/*"):
        return offered[0]
    # By how exactly a range names a type: the most exact one counts (RFC 9110, 12.5.1).
    qualities: dict[str, float] = {}
    for entry in accept.lower().split(",")[:50]:
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        qualities[name] = quality
    best, most = "", 0.0
    for kind in offered:
        ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
        quality = next((qualities[name] for name in ranges if name in qualities), 0.0)
        if quality > most:
            best, most = kind, quality
    if not best:
        raise RefusedError(
            HTTPStatus.NOT_ACCEPTABLE,
            "NotAcceptable",
            f"answers are {', '.join(offered)}, not {accept[:200]}",
        )
    return best


class Answer(Response):  # type: ignore[misc]
    """Is sent when the client has taken it, but for what a connection's buffer always holds."""

    body: bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends it."""
        if len(self.body) < _BUFFERED:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body, self.body = self.body, b""  # the connection has a copy while it waits
        await send({"type": "http.response.body", "body": body, "more_body": True})
        del body
        await send({"type": "http.response.body", "body": b"", "more_body": False})  # waits for the client


def picture(result: Any, photo: Photo, kind: str) -> bytes:
    """What was found, drawn on the photo; of a segmentation as PNG the mask, whose pixels are class numbers.

    Raises UnsupportedError for one that is too large for JPEG.
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
    """Without spaces. Raises ValueError for NaN and infinities, which JSON does not have."""
    return _encode(value).encode()
