"""Define fixtures of the tests of downloads and of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Command, Ended, call
from downloading import published
from file_server import Server, running

from mpscnn.registry import PublishedFile
from mpscnn.registry.download import Client


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that calls the command line in this process. `command_line.run` starts a new process."""

    def ended(*arguments: str) -> Ended:
        code = call(*arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return ended


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as running_server:
        yield running_server


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an empty cache folder, and remove proxies."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MPSCNN_MODELS", raising=False)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture
def file(server: Server) -> PublishedFile:
    return published(server.root)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(server: Server, pauses: list[float]) -> Client:
    return Client(allowed=lambda url: url.startswith(server.root), sleep=pauses.append)
