"""Helpers for tests of downloads: the published file, and checks of the files on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from file_server import BODY

from mpscnn.errors import DownloadError
from mpscnn.registry import PublishedFile, cache
from mpscnn.registry.download import Client


def published(root: str) -> PublishedFile:
    return PublishedFile("tiny.tflite", root + "tiny.tflite", len(BODY), hashlib.sha256(BODY).hexdigest())


def destination(file: PublishedFile) -> Path:
    path = cache.source_path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def part(file: PublishedFile) -> Path:
    return destination(file).with_name(file.name + ".part")


def download(client: Client, file: PublishedFile) -> None:
    """Download the file, and check that it is complete and no .part file is left."""
    client.download(file, destination(file))
    assert destination(file).read_bytes() == BODY
    assert not part(file).exists()


def failure(client: Client, file: PublishedFile) -> str:
    """Return the first line of the error, after checking that the message says what to do."""
    with pytest.raises(DownloadError) as caught:
        client.download(file, destination(file))
    assert not destination(file).exists()
    message = str(caught.value)
    for help_ in (file.url, file.identity, str(destination(file)), "MPSCNN_MODELS"):
        assert help_ in message
    return message.splitlines()[0]
