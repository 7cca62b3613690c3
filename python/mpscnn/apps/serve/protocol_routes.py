"""Serve the Open Inference Protocol, version 2: health, metadata and inference on tensors."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from mpscnn import _core
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.hosting import Compiled, HostedModel
from mpscnn.apps.serve.limits import Share
from mpscnn.apps.serve.openapi import JSON_ANSWER, failures
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.responses import JSON, Answer, encode_outputs
from mpscnn.apps.serve.service import SHORT, Service, loop_time
from mpscnn.apps.serve.tensor_inputs import input_arrays, tensor_bytes
from mpscnn.apps.serve.tensors import InferRequest, json_length, parse_request

_VERSION = "1"
_TAG = "inference protocol"
_HEADER_LENGTH = "inference-header-content-length"
_OCTETS = "application/octet-stream"


def add_protocol_routes(app: FastAPI, service: Service) -> None:
    """Add all routes under /v2."""

    async def server() -> Any:
        about = {"name": "mpscnn", "version": _core.version(), "extensions": ["binary_tensor_data"]}
        return JSONResponse(about)

    async def live() -> Any:
        return JSONResponse({"live": True})

    async def ready() -> Any:
        service.require_memory()
        return JSONResponse({"ready": True})

    async def model_ready(request: Request) -> Any:
        hosted = _named(service, request)
        service.require_memory()
        return JSONResponse({"name": hosted.name, "ready": True})

    async def metadata(request: Request) -> Any:
        return JSONResponse(_metadata(_named(service, request)))

    async def infer(request: Request) -> Any:
        arrived = loop_time()
        ends = service.deadline(request)
        hosted = _named(service, request)
        service.require_room()  # refuse early, before the body is received
        request.scope["mpscnn.model"] = hosted.name
        with ExitStack() as held:
            share = held.enter_context(service.bodies.share())
            tensors = held.enter_context(service.tensors.share())
            body = await service.read(request, ends, share)
            header = request.headers.get(_HEADER_LENGTH)
            inference = _Inference(service, hosted, body, header, tensors)
            wanted = await service.parse(request, ends, inference.length, inference.parse, held)
            if wanted.timeout is not None:
                ends = min(ends, arrived + wanted.timeout)
            inference.photos = service.photo_memory(held, ends)
            content, header_length = await service.compute(
                request, hosted, ends, inference.submit, inference.finish, held
            )
            share.reduce_to(0)
            inference.photos.free()
            tensors.reduce_to(len(content))
            if header_length is None:
                return Answer(content, held.pop_all(), media_type=JSON)
            headers = {_HEADER_LENGTH: str(header_length)}
            return Answer(content, held.pop_all(), media_type=_OCTETS, headers=headers)

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
        app.add_api_route(
            f"{prefix}/infer",
            infer,
            methods=["POST"],
            summary="Tensors in, tensors out.",
            tags=[_TAG],
            response_class=Response,
            openapi_extra={
                "parameters": [
                    {
                        "name": _HEADER_LENGTH.title(),
                        "in": "header",
                        "required": False,
                        "schema": {"type": "integer", "minimum": 1},
                        "description": "Bytes of the JSON, if those of tensors follow it.",
                    }
                ],
                "requestBody": {"required": True, "content": bodies},
                "responses": {
                    "200": {
                        "description": "As the request, JSON alone or with bytes after it.",
                        "content": bodies,
                    },
                    **failures(404, 413, 415, 422, 504),
                },
            },
        )


class _Inference:
    """One inference request."""

    photos: PhotoMemory

    def __init__(
        self,
        service: Service,
        hosted: HostedModel,
        body: bytearray,
        header_length: str | None,
        tensors: Share,
    ) -> None:
        self._service = service
        self._hosted = hosted
        self._body = body
        self._tensors = tensors
        self.length = json_length(body, header_length)
        """The number of bytes of the body that are JSON."""
        self._wanted: InferRequest | None = None

    def parse(self) -> InferRequest:
        """Parse the JSON. The values of the tensors are decoded later."""
        names = list(self._hosted.compiled.model.program.inputs)
        self._wanted = parse_request(self._body, self.length, names)
        return self._wanted

    def submit(self, compiled: Compiled) -> Any:
        """Decode the inputs and submit them to the model's runner. Runs in a thread."""
        with nullcontext() if self.length <= SHORT else self._service.long_turn():
            arrays = self._arrays(compiled)
        return compiled.tensors.submit(arrays)

    def _arrays(self, compiled: Compiled) -> Any:
        wanted = self._wanted
        assert wanted is not None
        settings = self._service.settings
        self._tensors.add(tensor_bytes(compiled, wanted, settings.max_tensor_bytes))
        return input_arrays(compiled, wanted.inputs, settings.max_pixels, self.photos)

    def finish(self, result: Any) -> tuple[bytes, int | None]:
        """Return the response's body, and the number of its bytes that are JSON; None if all are."""
        wanted = self._wanted
        assert wanted is not None
        outputs = self._hosted.compiled.model._outputs
        named = result if isinstance(result, dict) else {next(iter(outputs)): result}
        head: dict[str, Any] = {"model_name": self._hosted.name, "model_version": _VERSION}
        if wanted.id is not None:
            head["id"] = wanted.id
        return encode_outputs(head, {name: named[name] for name in wanted.outputs or outputs}, wanted)


def _named(service: Service, request: Request) -> HostedModel:
    """Return the model that the path names. Raise RefusedError with status 404."""
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
    model = hosted.compiled.model

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
        "inputs": tensors(model.program.inputs),
        "outputs": tensors(model._outputs),
    }
