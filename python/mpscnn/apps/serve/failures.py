"""Turn exceptions into HTTP error responses: a status, and JSON with the kind of error and the message."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mpscnn._private.memory_errors import is_out_of_memory
from mpscnn.apps.serve.memory_watch import MemoryWatch
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

#: The status for each class of exceptions. The first class that matches is used.
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
    """An exception that becomes an HTTP error response.

    Args:
        status: the HTTP status.
        kind: a name of the error for programs, in CamelCase like the names in `mpscnn.errors`.
        message: a message for people.
        headers: additional headers of the response.
    """

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers or {}


def client_disconnected() -> RefusedError:
    """Return the error for a request whose client has closed the connection. Web servers log it as 499."""
    return RefusedError(499, "ClientGone", "the client has closed the connection")


NO_PATH = (
    "there is no such path; GET /docs describes the interface, and GET /v2/health/ready says whether the service "
    "works"
)
#: Messages about requests for paths or methods that the service does not have.
_ABOUT_PATHS = {
    HTTPStatus.NOT_FOUND: NO_PATH,
    HTTPStatus.METHOD_NOT_ALLOWED: "this path takes other methods: {methods}; GET /docs describes the interface",
}


def out_of_memory() -> RefusedError:
    """Return the error for a request that the machine has not enough memory for."""
    return RefusedError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "MemoryError",
        "the machine has not enough memory for this request: send a smaller photo or batch, or try again later; "
        "with a smaller --inflight fewer requests share the memory",
    )


def refusal(error: Exception) -> RefusedError:
    """Convert any exception to a RefusedError with its status and message."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        kind = status.phrase.title().replace(" ", "").replace("-", "")
        headers = dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"
        message = str(error.detail)
        if message == status.phrase:  # Starlette's own text
            message = _ABOUT_PATHS.get(status, message).format(methods=headers.get("Allow", "others"))
        return RefusedError(status, kind, message, headers)
    if is_out_of_memory(error):
        return out_of_memory()
    for kind_of_error, status in _STATUS:
        if isinstance(error, kind_of_error):
            named = ImageError if isinstance(error, ImageError) else kind_of_error
            return RefusedError(status, named.__name__, str(error))
    return RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "failed; the log says why")


def refusal_answer(path: str, refused: RefusedError) -> Any:
    """Return the error response for a path. Responses under /v2 follow the Open Inference Protocol."""
    if path == "/v2" or path.startswith("/v2/"):  # clients of the protocol show "error"
        content = {"error": refused.message, "kind": refused.kind}
    else:
        content = {"error": refused.kind, "message": refused.message}
    return JSONResponse(content, refused.status, refused.headers)


def add_failures(app: FastAPI, memory: MemoryWatch) -> None:
    """Register handlers that turn exceptions into error responses, and note those about memory."""

    async def answer(request: Request, error: Exception) -> Any:
        if is_out_of_memory(error):
            memory.note_failure()
        elif type(error) is ImageError and memory.is_short:
            # C libraries such as libjpeg report data as damaged if they cannot get memory.
            error = out_of_memory()
        return refusal_answer(request.scope["path"], refusal(error))

    # Starlette answers an exception without a handler of its class by the handler of `Exception`, but then raises it
    # again, and uvicorn logs it with a traceback. So each class of expected exceptions is registered.
    for kind in (RefusedError, HTTPException, Error, MemoryError, Exception):
        app.add_exception_handler(kind, answer)
