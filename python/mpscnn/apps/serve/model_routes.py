"""Serve `/v1/models` (models, options, profiles) and `/v1/devices` (devices of this machine)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from mpscnn._private.arguments import whole_number_in
from mpscnn.apps.serve.hosting import Compiled
from mpscnn.apps.serve.json_parts import decoded
from mpscnn.apps.serve.openapi import JSON_ANSWER, failures
from mpscnn.apps.serve.responses import JSON
from mpscnn.apps.serve.service import Service, loop_time
from mpscnn.errors import ParameterError, StateError
from mpscnn.runtime.explanation import fixed_shape
from mpscnn.runtime.library import available_processors, devices
from mpscnn.runtime.options import CompileOptions, RunOptions

_MAX_RUNS = 100
_RUNS = 10
_MAX_BYTES = 10_000
#: Milliseconds that a profile measures before it looks whether its deadline has passed, or the service ends.
_TURN = 250.0
_THREADS = {
    "description": "Threads of each request, at most the cores of this machine; auto: the cores are "
    "divided among the requests.",
    "oneOf": [{"type": "integer"}, {"const": "auto"}],
    "default": "auto",
}
_JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean"}
#: The options that a client may change. Only the operator sets the memory limit.
_OPTIONS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        name: {
            "description": option.text,
            "default": option.default,
        }
        | ({"type": _JSON_TYPES[type(option.default)]} if type(option.default) in _JSON_TYPES else {})
        for name, option in {**CompileOptions.fields, **RunOptions.fields}.items()
        if name not in ("max_memory", "threads")
    }
    | {"threads": _THREADS},
}


def add_model_routes(app: FastAPI, service: Service) -> None:
    """Add the routes that describe models and compile them with other options."""

    async def list_models() -> Any:
        return JSONResponse({"models": [model.describe() for model in service.models]})

    async def show_model(request: Request) -> Any:
        return JSONResponse(service.models.named(request.path_params["name"]).describe())

    async def list_devices() -> Any:
        return JSONResponse({"devices": devices(), "processors": available_processors()})

    async def profile(request: Request) -> Any:
        ends = service.deadline(request)
        hosted = service.models.named(request.path_params["name"])
        text = request.query_params.get("runs", str(_RUNS))
        runs = whole_number_in(text)
        if runs is None or not 1 <= runs <= _MAX_RUNS:
            raise ParameterError(f"runs must be a number from 1 to {_MAX_RUNS}, got {text[:100]!r}")

        until = time.monotonic() + ends - loop_time()

        def measured(compiled: Compiled) -> bytes:
            return _profile(compiled, runs, service.closing, until).encode()

        content = await service.compute(request, hosted, ends, measured)
        return Response(content, media_type=JSON)

    async def change_options(request: Request) -> Any:
        ends = service.deadline(request)
        hosted = service.models.named(request.path_params["name"])
        if service.settings.has_workers:
            raise StateError("a service with workers cannot change options: start it with other ones")
        with service.bodies.share() as share:
            wanted = _options(await service.read(request, ends, share, _MAX_BYTES))
        await service.change(request, hosted, ends, wanted)
        return JSONResponse(hosted.describe())

    def add(
        path: str, route: Any, summary: str, *statuses: int, method: str = "GET", **described: Any
    ) -> None:
        about = {**described, "responses": {"200": JSON_ANSWER, **failures(*statuses)}}
        app.add_api_route(
            path,
            route,
            methods=[method],
            summary=summary,
            tags=["models"],
            openapi_extra=about,
            response_class=Response,
        )

    add("/v1/models", list_models, "All models.")
    add("/v1/models/{name}", show_model, "One model.", 404)
    add("/v1/devices", list_devices, "Devices of this machine.")
    add(
        "/v1/models/{name}/profile",
        profile,
        "The time of each step of the network, with random numbers as its input.",
        *(404, 504),
        parameters=[
            {
                "name": "runs",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": _MAX_RUNS, "default": _RUNS},
            }
        ],
    )
    add(
        "/v1/models/{name}/options",
        change_options,
        "Computes later requests on another device, in other numbers or by other threads.",
        *(404, 409, 413, 415, 422, 504),
        method="POST",
        requestBody={"required": True, "content": {JSON: {"schema": _OPTIONS_SCHEMA}}},
    )


def _options(body: bytearray) -> dict[str, Any]:
    """Parse the options for `HostedModel.change`.

    Raise ParameterError for unknown ones; `mpscnn.load` checks values.
    """
    given = decoded(memoryview(body), "the body")
    known = sorted(_OPTIONS_SCHEMA["properties"])
    if not isinstance(given, dict) or not given.keys() <= set(known):
        raise ParameterError(f"the body must be an object with some of {', '.join(known)}")
    return {
        name: given.get(name, described["default"])
        for name, described in _OPTIONS_SCHEMA["properties"].items()
    }


def _profile(compiled: Compiled, runs: int, closing: threading.Event, until: float) -> str:
    """Measure the runs, and return the profile as JSON.

    There are fewer runs if the service ends meanwhile, or at the time `until` of `time.monotonic`, when nobody waits.
    """
    program = compiled.model.program
    shapes = [fixed_shape(name, shape) for name, shape in program.inputs.items()]
    random = np.random.default_rng(0)
    inputs = [random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
    session = program.session(**compiled.model.run_options.to_dict())
    x = inputs[0] if len(inputs) == 1 else inputs
    measured = session.profile(x, runs=1).to_dict()
    times: list[float] = measured["milliseconds"]
    while (left := runs - len(times)) and not closing.is_set() and time.monotonic() < until:
        turn = session.profile(x, runs=max(1, min(left, int(_TURN / min(times))))).to_dict()
        times += turn["milliseconds"]
        for step, more in zip(measured["steps"], turn["steps"], strict=True):
            step["milliseconds"] += more["milliseconds"]
    return json.dumps(measured)
