"""Bodies of requests to `mpscnn serve` and their deadline: what has come by then counts, what has not does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="FastAPI is not installed")

from fastapi import Request

from mpscnn.serve.bodies import read_body
from mpscnn.serve.failures import RefusedError
from mpscnn.serve.held_bytes import HeldBytes

SOON = 0.02


class Sender:
    """Messages of a body as uvicorn gives them, each of which comes when it is told to."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._parts: list[dict[str, Any]] = []

    def comes(self, part: bytes, more: bool) -> None:
        self._parts.append({"type": "http.request", "body": part, "more_body": more})
        self._event.set()

    async def receive(self) -> dict[str, Any]:
        await self._event.wait()
        message = self._parts.pop(0)
        if not self._parts:
            self._event.clear()
        return message


def read(tell: Any) -> bytes:
    """What is read of a body within a moment; `tell` is called with its sender and the time of its end."""

    async def reading() -> bytes:
        sender = Sender()
        ends = asyncio.get_running_loop().time() + SOON
        tell(sender, ends)
        request = Request({"type": "http", "headers": []}, sender.receive)
        return await read_body(request, 1_000, ends, HeldBytes(1_000, "bodies").share())

    return asyncio.run(reading())


def test_what_comes_with_the_deadline_is_read() -> None:
    def tell(sender: Sender, ends: float) -> None:
        def all_at_once() -> None:
            sender.comes(b"b", True)
            sender.comes(b"c", False)

        sender.comes(b"a", True)
        asyncio.get_running_loop().call_at(ends, all_at_once)  # before the reader's timer of the same time

    assert read(tell) == b"abc"


def test_what_had_come_before_a_late_reader_is_read() -> None:
    def tell(sender: Sender, _ends: float) -> None:
        import time

        sender.comes(b"a", True)
        sender.comes(b"b", False)
        time.sleep(2 * SOON)  # the loop has other work

    assert read(tell) == b"ab"


def test_what_has_not_come_is_too_late() -> None:
    def tell(sender: Sender, ends: float) -> None:
        sender.comes(b"a", True)
        asyncio.get_running_loop().call_at(ends, sender.comes, b"b", True)

    with pytest.raises(RefusedError, match="did not come in time") as refused:
        read(tell)
    assert refused.value.status == 408
