"""`/v1/models`: what is served, how fast its layers are, and on which device; `/v1/devices`: what there is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from mpscnn._private.processors import available_processors
from mpscnn.errors import ParameterError
from mpscnn.runtime.explanation import fixed_shape
from mpscnn.runtime.library import devices
from mpscnn.serve.answers import JSON
from mpscnn.serve.hosting import Compiled
from mpscnn.serve.service import Service

__all__ = ["add_model_routes"]

_MOST_RUNS = 100
_RUNS = 10
_OPTIONS = {"device", "precision", "threads"}
_MOST_BYTES = 10_000


def add_model_routes(app: FastAPI, service: Service) -> None:
    """To look at models, and to compile them for another device."""

    async def list_models() -> Any:
        return JSONResponse({"models": [model.describe() for model in service.models]})

    async def show_model(name: str) -> Any:
        return JSONResponse(service.models.named(name).describe())

    async def list_devices() -> Any:
        return JSONResponse({"devices": devices(), "processors": available_processors()})

    async def profile(request: Request, name: str) -> Any:
        ends = service.deadline(request)
        hosted = service.models.named(name)
        text = request.query_params.get("runs", str(_RUNS))
        if not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_RUNS:
            raise ParameterError(f"runs must be a number from 1 to {_MOST_RUNS}, got {text[:100]!r}")

        def measured(compiled: Compiled) -> bytes:
            return _profile(compiled, int(text)).encode()

        content = await service.compute(request, hosted, ends, measured)
        return Response(content, media_type=JSON)

    async def change_options(request: Request, name: str) -> Any:
        ends = service.deadline(request)
        hosted = service.models.named(name)
        with service.held.share() as share:
            wanted = _options(await service.read(request, ends, share, _MOST_BYTES))
        await hosted.change(service.pool, **wanted)
        return JSONResponse(hosted.describe())

    tags = ["models"]
    app.add_api_route("/v1/models", list_models, summary="All models.", tags=tags)
    app.add_api_route("/v1/models/{name}", show_model, summary="One model.", tags=tags)
    app.add_api_route("/v1/devices", list_devices, summary="Devices of this machine.", tags=tags)
    app.add_api_route(
        "/v1/models/{name}/profile",
        profile,
        summary="The time of each step of the network, with random numbers as its input.",
        tags=tags,
        openapi_extra={
            "parameters": [
                {
                    "name": "runs",
                    "in": "query",
                    "required": False,
                    "schema": {"type": "integer", "minimum": 1, "maximum": _MOST_RUNS, "default": _RUNS},
                }
            ]
        },
    )
    app.add_api_route(
        "/v1/models/{name}/options",
        change_options,
        methods=["POST"],
        summary="Computes later requests on another device, in another precision or by other threads.",
        tags=tags,
        openapi_extra={
            "requestBody": {
                "content": {
                    JSON: {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "device": {"type": "string", "default": "auto"},
                                "precision": {"type": "string", "default": "auto"},
                                "threads": {
                                    "description": "Of each request; auto: the cores are shared out.",
                                    "oneOf": [{"type": "integer"}, {"const": "auto"}],
                                    "default": "auto",
                                },
                            },
                        }
                    }
                }
            }
        },
    )


def _options(body: bytes) -> dict[str, Any]:
    """Arguments of `HostedModel.change`; what they may be is said by `mpscnn.load`. Raises ParameterError."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise ParameterError("the body must be a JSON object") from None
    if not isinstance(given, dict) or not given.keys() <= _OPTIONS:
        raise ParameterError(f"the body must be an object with some of {', '.join(sorted(_OPTIONS))}")
    return {name: given.get(name, "auto") for name in sorted(_OPTIONS)}


def _profile(compiled: Compiled, runs: int) -> str:
    program = compiled.model.program
    shapes = [fixed_shape(name, shape) for name, shape in program.inputs.items()]
    random = np.random.default_rng(0)
    inputs = [random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
    session = program.session(threads=compiled.threads)
    return session.profile(inputs[0] if len(inputs) == 1 else inputs, runs=runs).to_json()
