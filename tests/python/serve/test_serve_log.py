"""Test the log of `mpscnn serve`: readers that stall or go away, and texts of clients."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest
from command_line import save_colour_model
from serving import END, Service, require_packages

require_packages()

from mpscnn.apps.serve import logs  # noqa: E402 - needs the packages


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")


@contextmanager
def logging_to(stream: Any, model: Path, tmp_path: Path, *arguments: str) -> Iterator[Service]:
    """Yield a service whose stderr is the stream."""
    address = tmp_path / "address"
    command = [sys.executable, "-m", "mpscnn", "serve", model, "--port", "0", "--address-file", address]
    process = subprocess.Popen(
        [*map(str, command), *arguments], stderr=stream, stdout=subprocess.DEVNULL, text=True
    )
    try:
        for _ in range(2_400):
            if address.exists():
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield Service(process, address=address.read_text())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("format_of_log", ["json", "text"])
def test_a_reader_that_stalls_keeps_neither_requests_nor_the_end_waiting(
    model: Path, tmp_path: Path, format_of_log: str
) -> None:
    reader, writer = os.pipe()
    try:
        arguments = ("--log-format", format_of_log, "--log-level", "debug")
        with logging_to(writer, model, tmp_path, *arguments) as service:
            os.close(writer)
            for _ in range(20):  # a pipe holds 65,536 bytes
                assert service.request("/" + 20_000 * "x").status == 404
            service.end()
    finally:
        os.close(reader)


def test_a_reader_that_goes_away_keeps_nobody_waiting(model: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with logging_to(writer, model, tmp_path, "--log-format", "json") as service:
        os.close(writer)
        os.close(reader)
        for _ in range(5):
            assert service.request("/v1/models").status == 200
        service.end()


def read_lines(reader: int, lines: list[dict[str, Any]]) -> None:
    """Append the lines of a log until its end."""
    with os.fdopen(reader) as stream:
        lines.extend(map(json.loads, stream))


def test_dropped_lines_are_counted(model: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with logging_to(writer, model, tmp_path, "--log-format", "json") as service:
        os.close(writer)
        count, last = 150, 0
        for _ in range(count):
            assert service.request("/" + 40_000 * "x").status == 404
        lines: list[dict[str, Any]] = []
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(read_lines, reader, lines)
            # At its end, the service waits a moment for the reader. A busy machine needs more time for so many lines.
            while not any(line.get("path") == "/last" for line in lines):
                assert service.request("/last").status == 404
                last += 1
                assert last < 1_200
                time.sleep(0.05)
            service.end()
            reading.result()
    dropped = [line["lines"] for line in lines if "were dropped" in line["event"]]
    paths = [line["path"] for line in lines if "path" in line]
    assert sum(dropped) + len(paths) == count + last
    # Four million characters wait, and the pipe has some.
    assert 90 <= sum(path != "/last" for path in paths) < count
    assert lines[-1]["event"] == "ended"


def formatted(
    formatter: logging.Formatter, message: str, error: Exception | None = None, **fields: Any
) -> str:
    record = logging.LogRecord("mpscnn", logging.INFO, "", 0, message, None, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    record.fields = fields
    return formatter.format(record)


FORGED = "x\nerror: forged\r\x1b[2J\x85\u2028y"


def test_texts_of_clients_are_escaped() -> None:
    for formatter in (logs._Text(), logs._JsonLines()):
        line = formatted(formatter, FORGED, path=FORGED)
        assert len(line.splitlines()) == 1
        assert line.isprintable()
    text = formatted(logs._Text(), "request", path="/a b", status=200, client=None)
    assert text == "info: request path='/a b' status=200 client=None"


def test_lines_of_a_traceback_are_indented() -> None:
    head, *trace = formatted(logs._Text(), "failed", ValueError(FORGED)).splitlines()
    assert head == "info: failed"
    assert len(trace) >= 2
    assert all(line.startswith("    ") and line.isprintable() for line in trace)


def test_paths_cannot_forge_lines(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "log"
    with (
        file.open("w") as stream,
        logging_to(stream, model, tmp_path, "--log-format", "text", "--log-level", "debug") as service,
    ):
        service.request("/x%0aerror:%20forged%1b[2J")
        service.end()
    (line,) = [line for line in file.read_text().splitlines() if "forged" in line]
    assert line.startswith("info: request ")
    assert r"path='/x\nerror: forged\x1b[2J'" in line


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_format_is_that_of_the_stream_of_the_log(model: Path, stream: str) -> None:
    terminal, inner = os.openpty()
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: inner}
    command = [sys.executable, "-m", "mpscnn", "serve", model, "--port", "0"]
    process = subprocess.Popen(command, text=True, **streams)
    os.close(inner)
    try:
        other = process.stderr if stream == "stdout" else process.stdout
        assert other is not None
        first = other.readline()
        if stream == "stdout":  # the log goes into a file or to another program
            assert json.loads(first)["event"] == "listening"
            assert os.read(terminal, 1_000).startswith(b"Serving colours at ")
        else:
            assert first.startswith("Serving colours at ")
        process.terminate()
        assert process.wait(timeout=END) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        other.close()


def test_lines_that_cannot_be_written_are_reported_with_the_next_one() -> None:
    class Failing(io.TextIOBase):
        """A stream whose first writes fail."""

        def __init__(self, stream: TextIO) -> None:
            self.stream = stream
            self.failures = 2

        def fileno(self) -> int:
            if self.failures:
                self.failures -= 1
                raise OSError("disk full")
            return self.stream.fileno()

    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        handler = logs._Handler(Failing(stream))
        handler.setFormatter(logs._JsonLines())
        for number in range(4):
            handler.handle(logging.makeLogRecord({"msg": f"line {number}", "levelname": "INFO"}))
            handler.finish(120)
    events: list[dict[str, Any]] = []
    read_lines(reader, events)
    assert [line["event"] for line in events][1:] == ["line 2", "line 3"]
    assert events[0]["lines"] == 2
