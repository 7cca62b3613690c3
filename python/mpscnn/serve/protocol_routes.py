"""The Open Inference Protocol, version 2, under `/v2`: health, metadata, and tensors in and out."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.names import did_you_mean
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.runtime.library import preprocess
from mpscnn.serve.answers import JSON
from mpscnn.serve.bodies import read_body
from mpscnn.serve.failures import RefusedError
from mpscnn.serve.fast_routes import FastRoutes
from mpscnn.serve.hosting import Compiled, HostedModel
from mpscnn.serve.service import Service
from mpscnn.serve.tensors import InferRequest, Value, answer_bytes, parse_request
from mpscnn.vision.photo import Photo, open_content

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

    async def model_ready(name: str, version: str = _VERSION) -> Any:
        return JSONResponse({"name": _named(service, name, version).name, "ready": True})

    async def metadata(name: str, version: str = _VERSION) -> Any:
        return JSONResponse(_metadata(_named(service, name, version)))

    async def infer(request: Request) -> Any:
        ends = service.deadline(request)
        name = request.path_params["name"]
        hosted = _named(service, name, request.path_params.get("version", _VERSION))
        service.require_room()
        body = await read_body(request, service.settings.max_bytes, ends)
        service.metrics.received.inc(len(body))
        request.scope["mpscnn.model"] = name
        length = request.headers.get(_HEADER_LENGTH)
        short = len(body) < _SHORT or (length is not None and len(length) < 6)
        wanted = (
            parse_request(body, length) if short else await asyncio.to_thread(parse_request, body, length)
        )
        if wanted.timeout is not None:
            ends = min(ends, asyncio.get_running_loop().time() + wanted.timeout)

        def submit(compiled: Compiled) -> Any:
            _require_outputs(compiled, wanted)
            arrays = _arrays(compiled, wanted.inputs, service.settings.max_pixels)
            return compiled.tensors.submit(arrays)

        def finish(result: Any) -> tuple[bytes, int | None]:
            return _answer(hosted, wanted, result)

        content, header_length = await service.compute(request, hosted, ends, submit, finish)
        if header_length is None:
            return Response(content, media_type=JSON)
        return Response(content, media_type=_OCTETS, headers={_HEADER_LENGTH: str(header_length)})

    def add(path: str, route: Any, summary: str) -> None:
        app.add_api_route(path, route, summary=summary, tags=[_TAG])

    add("/v2", server, "Name, version and extensions.")
    add("/v2/health/live", live, "Whether the process answers.")
    add("/v2/health/ready", ready, "Whether all models are loaded.")
    for prefix in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        add(prefix, metadata, "Inputs and outputs.")
        add(f"{prefix}/ready", model_ready, "Whether the model is loaded.")
        described = {
            "summary": "Tensors in, tensors out.",
            "tags": [_TAG],
            "requestBody": {"content": {JSON: {"schema": {"type": "object"}}, _OCTETS: {}}},
            "responses": {"200": {"description": "As the request, JSON alone or with bytes behind it."}},
        }
        routes.add(f"{prefix}/infer", infer, described)


def _named(service: Service, name: str, version: str) -> HostedModel:
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


def _arrays(compiled: Compiled, inputs: dict[str, Value], max_pixels: int) -> Any:
    """What the program runs on. Pixels (UINT8) and image files (BYTES) are prepared as photos are."""
    given = {name: _numbers(compiled, name, value, max_pixels) for name, value in inputs.items()}
    known = list(compiled.model.program.inputs)
    if set(given) != set(known):
        raise ParameterError(f"inputs are {', '.join(known)}, got {', '.join(given)[:200]}")
    return given[known[0]] if len(known) == 1 else given


def _numbers(compiled: Compiled, name: str, value: Value, max_pixels: int) -> NDArray[Any]:
    if isinstance(value, list):
        return _prepared(compiled, name, [open_content(content, max_pixels) for content in value])
    if value.dtype == np.uint8:
        if value.ndim != 4 or value.shape[3] not in (1, 3, 4):
            raise ShapeError(
                f"input {name!r}: pixels must be (n, height, width, 1, 3 or 4), got {value.shape}"
            )
        return _prepared(compiled, name, list(value))
    if value.dtype.kind != "f":
        raise UnsupportedError(
            f"input {name!r}: numbers are FP32, FP16 or FP64; photos are UINT8 pixels, or files as BYTES"
        )
    return value


def _prepared(
    compiled: Compiled, name: str, photos: list[Photo] | list[NDArray[np.uint8]]
) -> NDArray[np.float32]:
    settings = compiled.model.preprocess
    if settings is None or not compiled.takes_photos:
        raise UnsupportedError(
            f"input {name!r}: the model does not say how photos become its input; send FP32"
        )
    _, height, width, channels = compiled.model.program.inputs.get(name, (None,) * 4)
    if height is None or width is None or channels is None:
        raise ParameterError(f"there is no input {name!r} of a fixed size")
    made = [preprocess(photo, (height, width), settings, channels=channels) for photo in photos]
    return np.concatenate(made)


def _answer(hosted: HostedModel, wanted: InferRequest, result: Any) -> tuple[bytes, int | None]:
    named = (
        result if isinstance(result, dict) else {next(iter(hosted.compiled.model.program.outputs)): result}
    )
    names = list(named) if wanted.outputs is None else list(wanted.outputs)
    head: dict[str, Any] = {"model_name": hosted.name, "model_version": _VERSION}
    if wanted.id is not None:
        head["id"] = wanted.id
    return answer_bytes(head, {name: named[name] for name in names}, wanted)
