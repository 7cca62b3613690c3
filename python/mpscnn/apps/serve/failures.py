"""Errors as HTTP answers: a status, and JSON with the kind and the message."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mpscnn.errors import (
    DeviceError,
    DownloadError,
    Error,
    ImageError,
    ParameterError,
    ShapeError,
    StateError,
    UnsupportedError,
    WeightsError,
)
from mpscnn.vision.photo_file import TooManyPixelsError

__all__ = ["RefusedError", "add_failures", "client_gone", "refusal_answer"]

#: The first one that fits counts.
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (TooManyPixelsError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (ImageError, HTTPStatus.BAD_REQUEST),
    (ParameterError, HTTPStatus.BAD_REQUEST),
    (ShapeError, HTTPStatus.BAD_REQUEST),
    (WeightsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DeviceError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnsupportedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DownloadError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StateError, HTTPStatus.CONFLICT),
)


class RefusedError(Exception):
    """A request that is not answered as asked.

    Args:
        status: the status of HTTP.
        kind: a name for programs, in CamelCase as the names in `mpscnn.errors`.
        message: what is wrong, for people.
        headers: more headers of the answer.
    """

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers or {}


def client_gone() -> RefusedError:
    """Return what ends a request whose client has closed the connection. Logs of web servers have 499 for it."""
    return RefusedError(499, "ClientGone", "the client has closed the connection")


def refusal(error: Exception) -> RefusedError:
    """Return how an exception is answered."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        kind = status.phrase.title().replace(" ", "").replace("-", "")
        headers = dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"
        return RefusedError(status, kind, str(error.detail), headers)
    for kind_of_error, status in _STATUS:
        if isinstance(error, kind_of_error):
            named = ImageError if isinstance(error, ImageError) else kind_of_error
            return RefusedError(status, named.__name__, str(error))
    if isinstance(error, MemoryError):
        return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "MemoryError", "not enough memory")
    return RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "failed; the log says why")


def refusal_answer(path: str, refused: RefusedError) -> Any:
    """Return the answer to a request for a path."""
    if path == "/v2" or path.startswith("/v2/"):  # whose clients show "error"
        content = {"error": refused.message, "kind": refused.kind}
    else:
        content = {"error": refused.kind, "message": refused.message}
    return JSONResponse(content, refused.status, refused.headers)


def add_failures(app: FastAPI) -> None:
    """Have an application answer exceptions."""

    async def answer(request: Request, error: Exception) -> Any:
        return refusal_answer(request.scope["path"], refusal(error))

    # Starlette raises all others once more, so that uvicorn logs them.
    for kind in (RefusedError, HTTPException, Error, MemoryError, Exception):
        app.add_exception_handler(kind, answer)
