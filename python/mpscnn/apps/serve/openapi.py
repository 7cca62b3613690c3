"""Complete the OpenAPI description with what all operations share, such as error responses."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from fastapi import FastAPI

from mpscnn.apps.serve.responses import JSON

_ABOUT_FAILURES = {
    400: "ImageError, ParameterError, ShapeError, BadRequest: the photo or the tensors cannot be read; an option is "
    "wrong; an option or a header is unknown to the path, or there twice; the path takes no body. The body of the "
    "answer is text if the request is not HTTP.",
    401: "Unauthorized: the token is missing or wrong.",
    403: "ForeignOrigin: a web page of another site sent the request.",
    404: "UnknownModel, NotFound: there is no such model, version or path, or no model for the task of the path.",
    406: "NotAcceptable: the Accept header has no media type that the service can return.",
    408: "BodyTooSlow: the body was not complete at the deadline.",
    409: "StateError: a service with workers cannot change the options of its models.",
    413: "TooManyBytes, ImageError, TooManyTensorBytes: the body, a photo, or what they become is too large.",
    415: "UnsupportedCoding: the body is compressed.",
    421: "UnknownHost: the Host header is not this service's.",
    422: "UnsupportedError, DeviceError, WeightsError, DownloadError: the model is for another task or takes no "
    "photos; there is no such device; an option, a tensor's type or an extension of the protocol is not supported; the "
    "picture is too large for JPEG; an output has NaN or infinities and is wanted as JSON; weights cannot be used or "
    "downloaded.",
    431: "HeadTooLarge: the request's head has too many bytes or fields, or there are too many around its chunks.",
    500: "InternalError: a defect of the service.",
    503: "QueueFull, MemoryBudgetExceeded, MemoryError: busy, and Retry-After says when to ask again; or the machine "
    "has not enough memory. The body is text if too many connections are open.",
    504: "DeadlineExceeded: the body was complete, but there was no result in time.",
}
_OF_ALL = (400, 403, 408, 421, 431, 500, 503)
_PARAMETERS = {"name": "The name of a model that is served.", "version": "Each model has the version 1."}
_FAILURE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "The kind; under /v2 the message for people."},
        "message": {"type": "string", "description": "The message for people; not under /v2."},
        "kind": {"type": "string", "description": "The kind, under /v2."},
    },
}
_TOKEN = "token"


#: OpenAPI's description of a response that is a JSON object.
JSON_ANSWER = {"description": "The requested information.", "content": {JSON: {"schema": {"type": "object"}}}}


def failures(*statuses: int) -> dict[str, Any]:
    """Return OpenAPI's description of an operation's additional error responses."""
    return {str(status): _failure(status) for status in statuses}


def _failure(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _ABOUT_FAILURES[status],
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Failure"}}},
    }
    if status == 503:
        answer["headers"] = {
            "Retry-After": {
                "description": "Seconds; with QueueFull and MemoryBudgetExceeded only.",
                "required": False,
                "schema": {"type": "integer"},
            }
        }
    return answer


def complete_description(app: FastAPI, secured: bool, is_open: Collection[str]) -> None:
    """Add security and common error responses to all routes of the application's OpenAPI description.

    Args:
        app: the application, which has all its routes.
        secured: whether requests need a token.
        is_open: paths that need none.
    """
    described: Callable[[], dict[str, Any]] = app.openapi
    made: list[dict[str, Any]] = []

    def complete() -> dict[str, Any]:
        if not made:
            made.append(_completed(described(), secured, is_open))
        return made[0]

    app.openapi = complete


def _completed(schema: dict[str, Any], secured: bool, is_open: Collection[str]) -> dict[str, Any]:
    paths = {
        path: {
            method: _operation(path, method, about, secured and path not in is_open)
            for method, about in methods.items()
        }
        for path, methods in schema["paths"].items()
    }
    components: dict[str, Any] = {"schemas": {"Failure": _FAILURE}}
    if secured:
        about = "The service's --token."
        components["securitySchemes"] = {_TOKEN: {"type": "http", "scheme": "bearer", "description": about}}
    return {**schema, "paths": paths, "components": components}


def _operation(path: str, method: str, about: dict[str, Any], secured: bool) -> dict[str, Any]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": _PARAMETERS[name],
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    answers = {**about["responses"], **failures(*_OF_ALL, *([401] if secured else []))}
    return {
        **about,
        "operationId": "_".join([method, *re.findall(r"\w+", path)]),
        "parameters": [*in_path, *about.get("parameters", ())],
        "responses": dict(sorted(answers.items())),
        "security": [{_TOKEN: []}] if secured else [],
    }
