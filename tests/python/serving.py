"""Run a service in a separate process, and send requests to it."""

from __future__ import annotations

import http.client
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

PACKAGES = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client")
_START = 120.0
#: Seconds after which a request without an answer fails.
_ANSWER = 120.0
#: Seconds in which the process must end after a signal: the ten that the service promises, and time for a busy machine.
END = 30.0


def require_packages() -> None:
    """Skip the test if a package of the extra `serve` is missing."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed")


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


class Connection(http.client.HTTPConnection):
    """A connection that sends the head and the body of a request together, so that no deadline comes between them."""

    _parts: list[bytes] | None = None

    def request(self, *arguments: Any, **options: Any) -> None:
        parts: list[bytes] = []
        self._parts = parts
        try:
            super().request(*arguments, **options)
        finally:
            self._parts = None
        self.send(b"".join(parts))

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    """The headers by lower-case name."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """A running `mpscnn serve`."""

    process: subprocess.Popen[str]
    events: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    """Lines of the log that no test has read."""
    told: list[str] = field(default_factory=list)
    """The levels of lines about precisions that are slow on this machine."""
    other_lines: list[str] = field(default_factory=list)
    """The lines of stderr that are not JSON."""
    address: str = ""

    @property
    def place(self) -> tuple[str, int]:
        """Return the host and the port."""
        parts = urlsplit(self.address)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def request(
        self,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> Answer:
        """Send one request over a new connection."""
        connection = Connection(*self.place, timeout=_ANSWER)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, content
            )
        finally:
            connection.close()

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the next line of the log for an event with these fields. Earlier lines are dropped."""
        while True:
            line = self.events.get(timeout=_ANSWER)
            if line["event"] == event and all(line.get(name) == value for name, value in fields.items()):
                return line

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = END) -> None:
        """Send a signal. The process must end in time, and without an error."""
        self.process.send_signal(number)
        assert self.process.wait(timeout=seconds) == 0

    def metric(self, name: str) -> float:
        """Return a number of /metrics by its name with labels."""
        for line in self.request("/metrics").body.decode().splitlines():
            found, _, value = line.rpartition(" ")
            if found == name:
                return float(value)
        raise AssertionError(f"there is no metric {name}")


@contextmanager
def serving(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    limits: str = ":",
    patch: str = "",
) -> Iterator[Service]:
    """Yield a service on a free port. It must end without an error.

    Args:
        limits: a shell command that sets resource limits for the service; ":" sets none.
        patch: Python code that the service's process runs first.
    """
    program = ["-c", f"{patch}\nfrom mpscnn.apps.cli import main\nmain()"] if patch else ["-m", "mpscnn"]
    # On a busy machine an answer may take longer than the usual 30 seconds. Later options replace this one.
    command = [sys.executable, *program, "serve", "--deadline", "600", *map(str, arguments), "--port", "0"]
    command = ["bash", "-c", f'{limits}; exec "$@"', "bash", *command]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=None if environment is None else dict(environment),
    )
    service = Service(process)

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            try:
                record = json.loads(line)
                if "takes longer than float32" in record["event"]:
                    service.told.append(record["level"])
                else:
                    service.events.put(record)
            except ValueError:
                service.other_lines.append(line)
        service.events.put({"event": "no more lines"})

    reader = threading.Thread(target=read)
    reader.start()
    try:
        first = service.events.get(timeout=_START)
        assert first["event"] == "listening", service.other_lines
        service.address = first["address"]
        yield service
        service.end()
        assert service.other_lines == []
        assert service.told in ([], ["warning"], ["warning"] * 2)  # once for each of two precisions
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        process.stderr.close()
