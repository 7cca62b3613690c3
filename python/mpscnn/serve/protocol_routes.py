"""The Open Inference Protocol, version 2, under `/v2`: health, metadata, and tensors in and out."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from mpscnn import _core
from mpscnn._private.names import did_you_mean
from mpscnn.errors import ParameterError
from mpscnn.serve.answers import JSON, Answer
from mpscnn.serve.failures import RefusedError
from mpscnn.serve.fast_routes import UNTIL_SENT, FastRoutes
from mpscnn.serve.held_bytes import Share
from mpscnn.serve.hosting import Compiled, HostedModel
from mpscnn.serve.interface import JSON_ANSWER, failures
from mpscnn.serve.service import Service
from mpscnn.serve.tensor_bytes import tensor_bytes
from mpscnn.serve.tensor_inputs import input_arrays
from mpscnn.serve.tensors import InferRequest, answer_bytes, parse_request

__all__ = ["add_protocol_routes"]

_VERSION = "1"
_TAG = "inference protocol"
_HEADER_LENGTH = "inference-header-content-length"
_OCTETS = "application/octet-stream"
_SHORT = 65_536  # bytes of JSON that are read between other requests


def add_protocol_routes(app: FastAPI, routes: FastRoutes, service: Service) -> None:
    """All of /v2."""

    async def server() -> Any:
        about = {"name": "mpscnn", "version": _core.version(), "extensions": ["binary_tensor_data"]}
        return JSONResponse(about)

    async def live() -> Any:
        return JSONResponse({"live": True})

    async def ready() -> Any:
        return JSONResponse({"ready": True})

    async def model_ready(request: Request) -> Any:
        return JSONResponse({"name": _named(service, request).name, "ready": True})

    async def metadata(request: Request) -> Any:
        return JSONResponse(_metadata(_named(service, request)))

    async def infer(request: Request) -> Any:
        ends = service.deadline(request)
        hosted = _named(service, request)
        service.require_room()
        request.scope["mpscnn.model"] = hosted.name
        with service.held.share() as share:
            body = await service.read(request, ends, share)
            return await answer_tensors(request, ends, hosted, body, share)

    async def answer_tensors(
        request: Request, ends: float, hosted: HostedModel, body: bytes, share: Share
    ) -> Any:
        tensors = request.scope[UNTIL_SENT].enter_context(service.tensors.share())
        length = request.headers.get(_HEADER_LENGTH)
        short = len(body) < _SHORT or (length is not None and len(length) < 6)
        loop = asyncio.get_running_loop()
        # Long ones in as many threads as compute: their numbers take ten times as much until they are an array.
        wanted = (
            parse_request(body, length)
            if short
            else await loop.run_in_executor(service.pool, parse_request, body, length)
        )
        if wanted.timeout is not None:
            ends = min(ends, loop.time() + wanted.timeout)

        def submit(compiled: Compiled) -> Any:
            _require_outputs(compiled, wanted)
            tensors.add(tensor_bytes(compiled, wanted, service.settings.max_tensor_bytes))
            arrays = input_arrays(compiled, wanted.inputs, service.settings.max_pixels)
            return compiled.tensors.submit(arrays)

        def finish(result: Any) -> tuple[bytes, int | None]:
            return _answer(hosted, wanted, result)

        shares = [share, tensors]
        content, header_length = await service.compute(request, hosted, ends, submit, finish, shares)
        tensors.reduce_to(len(content))
        if header_length is None:
            return Answer(content, media_type=JSON)
        return Answer(content, media_type=_OCTETS, headers={_HEADER_LENGTH: str(header_length)})

    def add(path: str, route: Any, summary: str) -> None:
        about = {"responses": {"200": JSON_ANSWER, **failures(*([404] if "{" in path else []))}}
        app.add_api_route(
            path, route, summary=summary, tags=[_TAG], openapi_extra=about, response_class=Response
        )

    bodies = {
        JSON: {"schema": {"type": "object"}},
        _OCTETS: {"schema": {"type": "string", "format": "binary"}},
    }
    add("/v2", server, "Name, version and extensions.")
    add("/v2/health/live", live, "Whether the process answers.")
    add("/v2/health/ready", ready, "Whether all models are loaded.")
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        add(prefix, metadata, "Inputs and outputs.")
        add(f"{prefix}/ready", model_ready, "Whether the model is loaded.")
        described = {
            "summary": "Tensors in, tensors out.",
            "tags": [_TAG],
            "parameters": [
                {
                    "name": _HEADER_LENGTH.title(),
                    "in": "header",
                    "required": False,
                    "schema": {"type": "integer", "minimum": 1},
                    "description": "Bytes of the JSON, if those of tensors are behind it.",
                }
            ],
            "requestBody": {"required": True, "content": bodies},
            "responses": {
                "200": {
                    "description": "As the request, JSON alone or with bytes behind it.",
                    "content": bodies,
                },
                **failures(404, 413, 415, 422, 504),
            },
        }
        routes.add(f"{prefix}/infer", infer, described)


def _named(service: Service, request: Request) -> HostedModel:
    """The model of a path. Raises RefusedError with 404."""
    name, version = request.path_params["name"], request.path_params.get("version", _VERSION)
    hosted = service.models.named(name)
    if version != _VERSION:
        raise RefusedError(
            HTTPStatus.NOT_FOUND,
            "UnknownModel",
            f"model {name!r} has the version {_VERSION} alone, not {version[:40]!r}",
        )
    return hosted


def _metadata(hosted: HostedModel) -> dict[str, Any]:
    program = hosted.compiled.model.program

    def tensors(shapes: dict[str, tuple[int | None, ...]]) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "datatype": "FP32",
                "shape": [-1 if extent is None else extent for extent in shape],
            }
            for name, shape in shapes.items()
        ]

    return {
        "name": hosted.name,
        "versions": [_VERSION],
        "platform": "mpscnn",
        "inputs": tensors(program.inputs),
        "outputs": tensors(program.outputs),
    }


def _require_outputs(compiled: Compiled, wanted: InferRequest) -> None:
    known = list(compiled.model.program.outputs)
    for name in wanted.outputs or ():
        if name not in known:
            raise ParameterError(
                f"there is no output {name!r}{did_you_mean(name, known)}; outputs are {', '.join(known)}"
            )


def _answer(hosted: HostedModel, wanted: InferRequest, result: Any) -> tuple[bytes, int | None]:
    named = (
        result if isinstance(result, dict) else {next(iter(hosted.compiled.model.program.outputs)): result}
    )
    names = list(named) if wanted.outputs is None else list(wanted.outputs)
    head: dict[str, Any] = {"model_name": hosted.name, "model_version": _VERSION}
    if wanted.id is not None:
        head["id"] = wanted.id
    return answer_bytes(head, {name: named[name] for name in names}, wanted)
