"""Routes that are called hundreds of times a second: before FastAPI, whose way to a handler takes long."""

from __future__ import annotations

import re
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from mpscnn.serve.failures import answered

__all__ = ["ROUTE", "UNTIL_SENT", "FastRoutes"]

#: Of a request's scope: the route's path.
ROUTE = "mpscnn.route"
#: Of a request's scope: an ExitStack that ends when the answer is sent.
UNTIL_SENT = "mpscnn.until_sent"


class FastRoutes:
    """An ASGI application: its own POST routes, and for all else the application that describes them.

    Args:
        app: whose OpenAPI description shows these routes, first.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._exact: dict[str, tuple[str, Any]] = {}
        self._patterns: list[tuple[re.Pattern[str], str, Any]] = []
        self._described: dict[str, dict[str, Any]] = {}
        self._described_by_fastapi = app.openapi
        app.openapi = self._openapi

    def add(self, path: str, endpoint: Any, described: dict[str, Any]) -> None:
        """A route.

        Args:
            path: may have {parameters}, which `endpoint` finds in `request.path_params`.
            endpoint: takes the request, gives the response.
            described: the operation, as OpenAPI has it.
        """
        if "{" in path:
            self._patterns.append((compile_path(path)[0], path, endpoint))
        else:
            self._exact[path] = path, endpoint
        self._described[path] = {"post": described}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        found = self._found(scope) if scope["type"] == "http" else None
        if found is None:
            await self._by_fastapi(scope, receive, send)
            return
        scope[ROUTE], endpoint = found
        request = Request(scope, receive)
        unexpected = None
        with ExitStack() as scope[UNTIL_SENT]:
            try:
                if scope["method"] != "POST":
                    raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
                response = await endpoint(request)
            except Exception as error:
                response, unexpected = answered(request, error)
            await response(scope, receive, send)
        if unexpected is not None:
            try:
                raise unexpected  # for the log
            finally:
                del unexpected  # whose traceback leads here

    async def _by_fastapi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, send)
            return
        # As GET, whose head it is to be; the server leaves the body out.
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send)
        finally:
            scope["route"] = as_get.get("route")  # for the log

    def _found(self, scope: Any) -> tuple[str, Any] | None:
        path = scope["path"]
        if path in self._exact:
            return self._exact[path]
        for pattern, name, endpoint in self._patterns:
            if (match := pattern.match(path)) is not None:
                scope["path_params"] = match.groupdict()
                return name, endpoint
        return None

    def _openapi(self) -> dict[str, Any]:
        schema = self._described_by_fastapi()
        return {**schema, "paths": {**self._described, **schema["paths"]}}
