"""Build the FastAPI application with its routes, access checks and log."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Response

from mpscnn import _core
from mpscnn.apps.serve.failures import add_failures
from mpscnn.apps.serve.guard import OPEN, Guard
from mpscnn.apps.serve.logs import Observed
from mpscnn.apps.serve.metrics import CONTENT_TYPE_LATEST
from mpscnn.apps.serve.model_routes import add_model_routes
from mpscnn.apps.serve.openapi import complete_description
from mpscnn.apps.serve.page_files import add_page, add_reference
from mpscnn.apps.serve.photo_routes import add_photo_routes
from mpscnn.apps.serve.protocol_routes import add_protocol_routes
from mpscnn.apps.serve.request_options import CheckedRoute
from mpscnn.apps.serve.service import Service
from mpscnn.apps.serve.turns import InTurns


def application(service: Service) -> Any:
    """Return the ASGI application of a service."""
    app = FastAPI(
        title="mpscnn",
        version=_core.version(),
        description="Photos through convolutional networks.",
        openapi_url=None,  # FastAPI writes the description again for each request
        docs_url=None,  # FastAPI's own pages load scripts from other servers
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name the address behind a proxy
    )
    app.router.route_class = CheckedRoute
    add_failures(app, service.memory)
    add_photo_routes(app, service)
    add_protocol_routes(app, service)
    add_model_routes(app, service)
    add_reference(app)
    public = add_page(app)

    async def metrics() -> Any:
        # The text takes some milliseconds. In a thread, many such requests do not delay others.
        content = await asyncio.get_running_loop().run_in_executor(service.reporter, service.metrics.text)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    text = {"description": "In its text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    app.add_api_route(
        "/metrics",
        metrics,
        summary="For Prometheus.",
        tags=["service"],
        openapi_extra={"responses": {"200": text}},
        response_class=Response,
    )
    complete_description(app, service.settings.token is not None, OPEN)
    checked = Guard(app, service.settings, public)
    return Observed(InTurns(checked, service.turns, OPEN), service.metrics)
