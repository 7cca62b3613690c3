"""Refuse what no route reads: unknown or repeated options, headers that belong elsewhere, and needless bodies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from mpscnn._private.names import did_you_mean
from mpscnn.errors import ParameterError

#: The beginnings of the names of headers that only this service and the inference protocol define.
_OWN_HEADERS = ("mpscnn-", "inference-")


def check_options(given: Iterable[str], known: Collection[str]) -> None:
    """Raise ParameterError for an option that does not exist, or that is there twice."""
    seen: set[str] = set()
    for name in given:
        if name not in known:
            which = f"options are {', '.join(known)}" if known else "this path has none"
            raise ParameterError(
                f"there is no option {name[:100]!r}{did_you_mean(name[:100], list(known))}; {which}"
            )
        if name in seen:
            raise ParameterError(f"the option {name} is there twice; send it once")
        seen.add(name)


class CheckedRoute(APIRoute):  # type: ignore[misc]
    """A route that checks a request, and then calls its function with the request alone.

    The functions of the service read requests themselves and return responses. So FastAPI, which spends more time on
    the arguments and the result of a function than a small network needs, only describes them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that answers a request."""
        answer = self.endpoint
        takes_request = bool(inspect.signature(answer).parameters)

        async def handle(request: Request) -> Response:
            check_request(request)
            return await (answer(request) if takes_request else answer())

        return handle


def check_request(request: Request) -> None:
    """Check the query, the headers and the body of a request against what its route declares.

    Files of the live page declare nothing, and their queries have no meaning.
    """
    route = request.scope["route"]
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    described = route.openapi_extra or {}
    if "requestBody" not in described and _has_body(request):
        raise ParameterError(f"{request.url.path[:100]} takes no body: options are in the query (GET /docs)")
    names = [name for name, _ in request.query_params.multi_items()]
    own = [name for name in request.headers if name.startswith(_OWN_HEADERS)]
    if not names and not own:
        return
    declared = described.get("parameters", ())
    check_options(names, [each["name"] for each in declared if each["in"] == "query"])
    known = [each["name"].lower() for each in declared if each["in"] == "header"]
    for name in own:
        if name not in known:
            raise ParameterError(f"the header {name[:100]} has no meaning for {request.url.path[:100]}")


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
