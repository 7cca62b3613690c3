"""Requests that arrive together are handled one by one: a step of the event loop begins one, or parses one body."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from command_line import save_colour_model
from serving import require_packages

require_packages()

from fastapi import FastAPI, Request  # noqa: E402 - needs the packages
from fastapi.routing import APIRoute  # noqa: E402

from mpscnn.apps.serve import photo_routes, protocol_routes  # noqa: E402 - needs the packages
from mpscnn.apps.serve.application import application  # noqa: E402
from mpscnn.apps.serve.guard import Guard  # noqa: E402
from mpscnn.apps.serve.hosting import Models, host  # noqa: E402
from mpscnn.apps.serve.request_options import CheckedRoute  # noqa: E402
from mpscnn.apps.serve.service import Service  # noqa: E402
from mpscnn.apps.serve.settings import Settings  # noqa: E402
from mpscnn.apps.serve.turns import Turns  # noqa: E402

REQUESTS = 50
INFER, CLASSIFY = "/v2/models/colours/infer", "/v1/classify"
FORM = {"content-type": "multipart/form-data; boundary=x"}
FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'

#: Requests that cost much for their size: the path, the fields of the head, and the body.
HOSTILE: dict[str, tuple[str, dict[str, str], bytes]] = {
    "parameters": (INFER, {}, b'{"inputs":[],"parameters":{%s}}' % b",".join(b'"%x":0' % i for i in range(900))),
    "outputs": (INFER, {}, b'{"inputs":[],"outputs":[%s]}' % b",".join(b'{"name":"%x"}' % i for i in range(600))),
    "fields": (CLASSIFY, FORM, FIELD * 100),
    "boundaries": (CLASSIFY, FORM, FIELD + b"\r\n-" * 3_000),
    "escapes": (CLASSIFY, {"content-type": "application/json"}, b'{"image": "%s"}' % (rb"\u002f" * 2_600)),
}  # fmt: skip


class Burst:
    """Requests to a service that arrive in the same step of the event loop, and then their bodies in another one."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.step = 0
        self.answers: list[int] = []
        self._complete = asyncio.Event()

    async def send(self, path: str, fields: dict[str, str], body: bytes) -> None:
        """Send the requests, and wait for their answers."""
        counting = asyncio.create_task(self._count())
        requests = [asyncio.create_task(self._request(path, fields, body)) for _ in range(REQUESTS)]
        for _ in range(4 * REQUESTS):
            await asyncio.sleep(0)
        self._complete.set()
        await asyncio.gather(*requests)
        counting.cancel()

    async def _count(self) -> None:
        while True:
            self.step += 1
            await asyncio.sleep(0)

    async def _request(self, path: str, fields: dict[str, str], body: bytes) -> None:
        given = {"host": "localhost", "content-length": str(len(body)), **fields}
        scope = {
            "type": "http",
            "method": "POST" if body else "GET",
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }

        unread = [body]

        async def receive() -> dict[str, Any]:
            await self._complete.wait()
            if not unread:
                await asyncio.Future()  # the client never closes the connection
            return {"type": "http.request", "body": unread.pop()}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.answers.append(message["status"])

        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    model = save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")
    made = Service(Models([host(model, 1)]), Settings(port=0, inflight=1, token="tok"))
    yield made
    made.close()


def counted(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, fields: dict[str, str], body: bytes
) -> tuple[Counter[int], Counter[int], list[int]]:
    """Send a burst. Return how many requests began, and how many bodies were parsed, in each step; and the statuses."""
    begun, parsed = Counter[int](), Counter[int]()

    async def run() -> list[int]:
        monkeypatch.setattr(service, "turns", Turns())
        burst = Burst(application(service))

        def counting(place: Any, name: str, counts: Counter[int]) -> None:
            original: Callable[..., Any] = getattr(place, name)

            def count(*arguments: Any) -> Any:
                counts[burst.step] += 1
                return original(*arguments)

            monkeypatch.setattr(place, name, count)

        counting(Guard, "_refusal", begun)
        counting(protocol_routes, "parse_request", parsed)
        counting(photo_routes, "read_form", parsed)
        counting(photo_routes, "read_base64", parsed)
        await burst.send(path, fields, body)
        return burst.answers

    return begun, parsed, asyncio.run(run())


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_request_begins_in_a_step_and_one_body_is_parsed(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path, fields, body = HOSTILE[kind]
    given = {"authorization": "Bearer tok", **fields}
    begun, parsed, answers = counted(service, monkeypatch, path, given, body)
    assert begun.total() == parsed.total() == REQUESTS
    assert set(begun.values()) == set(parsed.values()) == {1}
    assert {status // 100 for status in answers} == {4}


def test_requests_without_the_token_begin_one_by_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, _, answers = counted(service, monkeypatch, "/v1/models", {}, b"")
    assert set(begun.values()) == {1}
    assert answers == [401] * REQUESTS


def test_requests_for_health_do_not_wait(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, _, answers = counted(service, monkeypatch, "/v2/health/live", {}, b"")
    assert list(begun.values()) == [REQUESTS]
    assert answers == [200] * REQUESTS


def test_a_task_that_is_cancelled_while_it_waits_delays_no_other() -> None:
    async def run() -> None:
        turns = Turns()
        waiting = [asyncio.create_task(turns.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        done, _ = await asyncio.wait(waiting)
        assert sorted(task.cancelled() for task in done) == [False, False, True]

    asyncio.run(run())


def test_every_function_of_a_route_takes_the_request_alone(service: Service) -> None:
    """`CheckedRoute` checks a request and calls the function with it, without FastAPI's handling of arguments."""
    app = application(service)
    while not isinstance(app, FastAPI):
        app = app._app
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(routes) > 10
    for route in routes:
        parameters = inspect.signature(route.endpoint).parameters.values()
        assert isinstance(route, CheckedRoute), route.path
        assert inspect.iscoroutinefunction(route.endpoint), route.path
        assert [parameter.annotation for parameter in parameters] in ([], ["Request"], [Request]), route.path
