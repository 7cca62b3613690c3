"""Routes that are called hundreds of times a second: Starlette's, described as FastAPI's, which cost more time."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

__all__ = ["ROUTE", "FastRoutes"]

#: Of a request's scope: the route's path.
ROUTE = "mpscnn.route"


class FastRoutes:
    """POST routes of Starlette's, which come first in the application's OpenAPI description."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._paths: dict[str, dict[str, Any]] = {}
        self._described_by_fastapi = app.openapi
        app.openapi = self._openapi

    def add(self, path: str, endpoint: Any, described: dict[str, Any]) -> None:
        """A route.

        Args:
            path: may have {parameters}, which `endpoint` finds in `request.path_params`.
            endpoint: takes the request, gives the response.
            described: the operation, as OpenAPI has it.
        """

        async def answer(request: Request) -> Any:
            request.scope[ROUTE] = path
            return await endpoint(request)

        self._app.add_route(path, answer, methods=["POST"], include_in_schema=False)
        self._paths[path] = {"post": described}

    def _openapi(self) -> dict[str, Any]:
        schema = self._described_by_fastapi()
        return {**schema, "paths": {**self._paths, **schema["paths"]}}
