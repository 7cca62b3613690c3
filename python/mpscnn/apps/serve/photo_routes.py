"""Serve `POST /v1/classify`, `/v1/detect` and `/v1/segment`: take a photo, and return its classes, objects or mask."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response

from mpscnn._private.arguments import number_in, whole_number_in
from mpscnn._private.json_text import json_line
from mpscnn.apps.serve.base64_photos import IMAGE, is_json, read_base64
from mpscnn.apps.serve.forms import is_form, read_form, whole_body
from mpscnn.apps.serve.hosting import Compiled, HostedModel
from mpscnn.apps.serve.openapi import failures
from mpscnn.apps.serve.photos import PhotoMemory
from mpscnn.apps.serve.request_options import check_options
from mpscnn.apps.serve.responses import JPEG, JSON, PNG, Answer, negotiate_media_type, picture
from mpscnn.apps.serve.service import Service
from mpscnn.errors import ParameterError
from mpscnn.vision.photo import Photo
from mpscnn.vision.photo_file import TooManyPixelsError


@dataclass(frozen=True)
class _Option:
    """An option of a photo route: a parameter of the query, or a field of the form."""

    parse: Callable[[str], Any]
    """Convert a text. None: the text is not of the type that the schema names."""
    schema: dict[str, Any]
    about: str


def _numbers_and_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


_FRACTION = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_SHARE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_COUNT = {"type": "integer", "minimum": 1}
#: The options of detectors and segmenters that divide a photo.
_TILES = {
    "tiles": _Option(whole_number_in, _COUNT, "The side of square tiles in pixels, for small objects."),
    "overlap": _Option(
        number_in,
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "The share of its side that a tile has in common with the next one; default: 0.2.",
    ),
}
_MODEL = _Option(str, {"type": "string"}, "Default: the first one for this task.")
_TOP = 5

# For each route: the task, a description, and the options, named like the arguments of Model's methods.
_TASKS: dict[str, tuple[str, str, dict[str, _Option]]] = {
    "/v1/classify": (
        "classification",
        "The most probable classes of a photo.",
        {
            "top": _Option(whole_number_in, {**_COUNT, "default": _TOP}, "How many classes."),
            "coverage": _Option(
                number_in,
                _SHARE,
                "Instead of top, for calibrated models: the classes among which the right one is for this share of "
                "photos.",
            ),
        },
    ),
    "/v1/detect": (
        "detection",
        "The objects on a photo, boxes in pixels of the photo as seen.",
        {
            "score_threshold": _Option(number_in, _FRACTION, "The smallest probability."),
            "iou_threshold": _Option(number_in, _FRACTION, "Boxes that overlap by more count as one object."),
            "max_detections": _Option(whole_number_in, _COUNT, "The largest number of objects."),
            "classes": _Option(_numbers_and_names, {"type": "string"}, "Names or numbers, with commas."),
            **_TILES,
        },
    ),
    "/v1/segment": (
        "segmentation",
        "The class of every pixel: as JSON the areas, as PNG the mask, as JPEG drawn on the photo.",
        _TILES,
    ),
}
_OFFERED = (JSON, PNG, JPEG)
_OPTIONS = "Mpscnn-Options"


def add_photo_routes(app: FastAPI, service: Service) -> None:
    """Add the photo routes."""
    for path, (task, about, options) in _TASKS.items():
        app.add_api_route(
            path,
            _route(service, task, options),
            methods=["POST"],
            summary=about,
            tags=["photos"],
            openapi_extra=_described(options),
            response_class=Response,
        )


def _route(service: Service, task: str, options: dict[str, _Option]) -> Any:
    async def answer(request: Request) -> Any:
        ends = service.deadline(request)
        given = request.query_params.multi_items()
        hosted, wanted = _wanted(service, task, options, given)
        kind = negotiate_media_type(request.headers.get("accept", ""), _OFFERED)
        service.require_room()  # refuse early, before the body is received
        request.scope["mpscnn.model"] = hosted.name
        content_type = request.headers.get("content-type", "")
        with ExitStack() as held:
            share = held.enter_context(service.bodies.share())
            photos = service.photo_memory(held, ends, kind != JSON)
            taken = _Taken(service.settings.max_pixels, photos)
            body = await service.read(request, ends, share)
            if is_form(content_type):
                form = await service.parse(
                    request, ends, len(body), lambda: read_form(body, content_type), held
                )
                hosted, wanted = _wanted(service, task, options, [*given, *form.fields])
                request.scope["mpscnn.model"] = hosted.name
            elif is_json(content_type):
                form = await service.parse(request, ends, len(body), lambda: read_base64(body), held)
            else:
                form = whole_body(body)

            def submit(compiled: Compiled) -> Any:
                taken.options = compiled.options
                with form.photo as content:
                    photo = taken.decode(content)
                body.clear()  # the file is not needed any more
                share.reduce_to(0)
                return compiled.photos.submit(photo, **wanted)

            def finish(result: Any) -> bytes:
                if kind != JSON:
                    return picture(result, taken.photo, kind)
                return taken.json(hosted.name, result)

            # JSON is written faster than another thread is started.
            if kind == JSON and task != "segmentation":
                content = finish(await service.compute(request, hosted, ends, submit, held=held))
            else:
                content = await service.compute(request, hosted, ends, submit, finish, held)
            photos.free()
            service.hold_answer(held.enter_context(service.tensors.share()), len(content))
            return Answer(content, held.pop_all(), media_type=kind, headers={_OPTIONS: taken.options})

    return answer


class _Taken:
    """A decoded photo whose request is not answered yet."""

    photo: Photo
    options: str
    """The options of the model that computed the result, from `Compiled.options`."""

    def __init__(self, max_pixels: int, photos: PhotoMemory) -> None:
        self._max_pixels = max_pixels
        self._photos = photos
        self._arrived = time.perf_counter()

    def decode(self, content: memoryview) -> Photo:
        self._begun = time.perf_counter()
        try:
            self.photo = self._photos.open(content, self._max_pixels)
        except TooManyPixelsError as error:
            raise TooManyPixelsError(
                f"{error}; a photo may have {self._max_pixels:,} pixels (--max-pixels): send a smaller one"
            ) from None
        self._decoding = time.perf_counter() - self._begun
        return self.photo

    def json(self, model: str, result: Any) -> bytes:
        milliseconds = result.milliseconds + 1000.0 * self._decoding
        answer = {
            "model": model,
            **result.to_dict(),
            "milliseconds": round(milliseconds, 3),
            "waited_milliseconds": round(1000.0 * (self._begun - self._arrived), 3),
        }
        return json_line(answer, compact=True).encode()


def _wanted(
    service: Service, task: str, options: dict[str, _Option], given: list[tuple[str, str]]
) -> tuple[HostedModel, dict[str, Any]]:
    """Return the model that a request asks for, and its other options.

    Raises:
        ParameterError: an option is unknown, invalid or there twice.
        RefusedError, UnsupportedError: as `Models.for_task`.
    """
    known = {"model": _MODEL, **options}
    check_options([name for name, _ in given], known)
    wanted = {}
    for name, text in given:
        wanted[name] = known[name].parse(text)
        if wanted[name] is None:
            expected = known[name].schema["type"]
            raise ParameterError(f"{name}: expected {expected}, got {text[:100]!r}")
    hosted = service.models.for_task(wanted.pop("model", None), task)
    if task == "classification" and "coverage" not in wanted:
        wanted.setdefault("top", _TOP)
    return hosted, wanted


def _described(options: dict[str, _Option]) -> dict[str, Any]:
    """Describe the route's parameters and body for OpenAPI."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    known = {"model": _MODEL, **options}
    fields = {name: {**option.schema, "description": option.about} for name, option in known.items()}
    photo = {"type": "string", "format": "binary", "description": "The file, under any name."}
    form = {"schema": {"type": "object", "properties": {"photo": photo, **fields}}}
    text = {"type": "string", "description": "The file in base64, or a data URL of it."}
    base64 = {
        "schema": {
            "type": "object",
            "properties": {IMAGE: text},
            "required": [IMAGE],
            "additionalProperties": False,
        }
    }
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": option.schema,
                "description": option.about,
            }
            for name, option in known.items()
        ],
        "requestBody": {
            "required": True,
            "description": "An image file, a form with one file, or JSON with the file in base64. The other fields of "
            "a form are options, like the parameters of the query.",
            "content": {
                "image/*": binary,
                "application/octet-stream": binary,
                "multipart/form-data": form,
                JSON: base64,
            },
        },
        "responses": {
            "200": {
                "description": "By the Accept header.",
                "content": {JSON: {"schema": {"type": "object"}}, PNG: binary, JPEG: binary},
                "headers": {
                    _OPTIONS: {
                        "description": "JSON: the device, precision and threads that have computed it.",
                        "schema": {"type": "string"},
                    }
                },
            },
            **failures(404, 406, 413, 415, 422, 504),
        },
    }
