"""Download published files from a server on this machine, which sends wrong answers if a test asks for them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from downloading import download, failure, part
from file_server import (
    BODY,
    HALF,
    PATIENCE,
    Handler,
    Server,
    answer_nonsense,
    close_in_a_chunk,
    close_in_the_middle,
    close_in_the_middle_without_length,
    partial,
    redirect,
    repeat_without_end,
    reset_at_once,
    reset_in_the_middle,
    serve_another_size,
    serve_from_the_beginning,
    serve_other_bytes,
    serve_without_end,
    stall_in_the_middle,
    status,
)

from mpscnn.apps.train.output_lock import lock_output
from mpscnn.errors import DownloadError, WeightsError
from mpscnn.registry import PublishedFile, cache, url_file
from mpscnn.registry import download as download_module
from mpscnn.registry.download import Client

pytestmark = pytest.mark.usefixtures("empty_cache")


def test_complete_part_needs_no_request(server: Server, client: Client, file: PublishedFile) -> None:
    part(file).write_bytes(BODY)
    download(client, file)
    assert server.ranges == []


def test_part_longer_than_the_file(server: Server, client: Client, file: PublishedFile) -> None:
    part(file).write_bytes(BODY + b"x")
    download(client, file)
    assert server.ranges == [None]


def test_server_that_ignores_ranges(server: Server, client: Client, file: PublishedFile) -> None:
    part(file).write_bytes(b"x" * HALF)
    server.script.append(serve_from_the_beginning)
    download(client, file)
    assert server.ranges == [f"bytes={HALF}-"]


@pytest.mark.parametrize(
    "answer", [status(416), partial(f"bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}"), partial("nonsense")]
)
def test_server_that_cannot_resume(
    answer: Callable[[Handler], None], server: Server, client: Client, file: PublishedFile
) -> None:
    part(file).write_bytes(BODY[:HALF])
    server.script.append(answer)
    download(client, file)
    assert server.ranges == [f"bytes={HALF}-", None]


@pytest.mark.parametrize(
    "end",
    [
        close_in_the_middle,
        close_in_the_middle_without_length,
        close_in_a_chunk,
        reset_in_the_middle,
        stall_in_the_middle,
    ],
)
def test_connection_lost_in_the_middle(
    end: Callable[[Handler], None], server: Server, client: Client, file: PublishedFile, pauses: list[float]
) -> None:
    server.script.append(end)
    download(replace(client, timeout=3.0 if end is stall_in_the_middle else PATIENCE), file)
    assert (len(server.ranges), pauses) == (2, [0.5])
    if end is not reset_in_the_middle:  # A reset may arrive before the data sent earlier.
        assert server.ranges[1] == f"bytes={HALF}-"


@pytest.mark.parametrize(
    "answer", [*map(status, (500, 502, 503, 504, 429, 408)), reset_at_once, answer_nonsense]
)
def test_transient_failure_then_success(
    answer: Callable[[Handler], None],
    server: Server,
    client: Client,
    file: PublishedFile,
    pauses: list[float],
) -> None:
    server.script.extend([answer, answer])
    download(client, file)
    assert pauses == [0.5, 1.0]


def test_lasting_transient_failure(
    server: Server, client: Client, file: PublishedFile, pauses: list[float]
) -> None:
    server.script.extend([status(503)] * 10)
    assert failure(client, file).endswith("HTTP 503 Service Unavailable, after 4 attempts.")
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_permanent_failure(
    code: int, server: Server, client: Client, file: PublishedFile, pauses: list[float]
) -> None:
    server.script.append(status(code))
    assert f"HTTP {code}" in failure(client, file)
    assert (len(server.ranges), pauses) == (1, [])


def test_wrong_checksum(server: Server, client: Client, file: PublishedFile, pauses: list[float]) -> None:
    server.script.append(serve_other_bytes)
    wrong = hashlib.sha256(BODY[::-1]).hexdigest()
    assert f"sha256 {wrong} instead of {file.sha256}; it has been deleted" in failure(client, file)
    assert not part(file).exists()
    assert pauses == []
    download(client, file)


@pytest.mark.parametrize("answer", [serve_another_size, partial(f"bytes {HALF}-{HALF + 9}/{HALF + 10}")])
def test_announced_size_is_wrong(
    answer: Callable[[Handler], None],
    server: Server,
    client: Client,
    file: PublishedFile,
    pauses: list[float],
) -> None:
    part(file).write_bytes(BODY[:HALF])
    server.script.append(answer)
    assert f"bytes instead of {len(BODY)}" in failure(client, file)
    assert not part(file).exists()
    assert pauses == []


def test_body_without_end_is_not_stored(server: Server, client: Client, file: PublishedFile) -> None:
    server.script.append(serve_without_end)
    stored: list[int] = []
    counting = replace(client, progress=lambda name, total: contextlib.nullcontext(stored.append))
    assert f"more than the expected {len(BODY)} bytes" in failure(counting, file)
    assert max(stored) <= len(BODY)
    assert not part(file).exists()


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "part", "pause"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.0),
        (b"HTTP/1.1 200 ", b"x", 0.02),
        (_CHUNKED + b"0\r\n", b"a: b\r\n", 0.0),
        (_CHUNKED, b"1;%s\r\na\r\n" % bytes(100).hex().encode(), 0.0),
    ],
    ids=["interim answers", "slow head", "lines after the last chunk", "large heads of chunks"],
)
def test_all_parts_of_an_answer_end(
    head: bytes,
    part: bytes,
    pause: float,
    server: Server,
    client: Client,
    file: PublishedFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python's modules would read each of these without end."""
    monkeypatch.setattr(download_module, "_HEAD_SECONDS", 0.2)
    monkeypatch.setattr(url_file, "MAX_SECONDS", 0.2)
    for name in ("_HEAD_BYTES", "MAX_BYTES"):
        monkeypatch.setattr(download_module if name[0] == "_" else url_file, name, 10_000)
    server.script += [repeat_without_end(head, part, pause)] * 2
    expected = r"the file has (more than \d+ bytes|not arrived within 0\.2 seconds)"
    assert re.search(expected, failure(client, file))
    with pytest.raises(DownloadError, match=expected):
        url_file.cached_file(f"{server.root}a.png", client=client)


def test_a_number_of_bytes_may_have_thousands_of_digits(server: Server, client: Client) -> None:
    server.script.append(lambda handler: handler.headers_only(200, Content_Length="9" * 5_000))
    with pytest.raises(DownloadError, match=r"the file has 9{20} bytes, 100000000 are allowed"):
        url_file.cached_file(f"{server.root}a.png", client=client)


def test_redirect_within_what_is_allowed(server: Server, client: Client, file: PublishedFile) -> None:
    part(file).write_bytes(BODY[:HALF])
    server.script.append(redirect(server.root + "elsewhere"))
    download(client, file)
    assert server.ranges == [f"bytes={HALF}-"] * 2


@pytest.mark.parametrize("target", ["http://localhost:{port}/", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_redirect_elsewhere(
    target: str, server: Server, client: Client, file: PublishedFile, pauses: list[float]
) -> None:
    server.script.append(redirect(target.format(port=server.server_port)))
    assert "redirect" in failure(client, file).lower()
    assert (len(server.ranges), pauses) == (1, [])


def test_redirects_in_a_circle(server: Server, client: Client, file: PublishedFile) -> None:
    server.script.extend([redirect(file.url)] * 100)
    assert "HTTP 302" in failure(client, file)
    assert len(server.ranges) < 20


def test_directory_that_cannot_be_written(client: Client, file: PublishedFile, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"cannot write .*\.part: No such file or directory"):
        client.download(file, tmp_path / "missing" / file.name)


# ---- Links, folders and pipes in place of the package's own files -------------------------------------------------


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _dangling_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("made by following"))


def _further_name(path: Path, victim: Path) -> None:
    os.link(victim, path)


def _pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, victim: Path) -> None:
    path.mkdir()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Write a file that a download must not change. It has the length of half a download."""
    path = tmp_path / "victim"
    path.write_bytes(BODY[:HALF])
    return path


@pytest.mark.parametrize("make", [_link, _dangling_link, _further_name, _pipe, _folder])
def test_a_part_that_is_a_link_is_not_followed(
    server: Server, client: Client, file: PublishedFile, victim: Path, make: Callable[[Path, Path], None]
) -> None:
    make(part(file), victim)
    assert "remove it" in failure(client, file)
    assert victim.read_bytes() == BODY[:HALF]
    assert [path.name for path in victim.parent.iterdir() if path.is_file()] == ["victim"]


@pytest.mark.parametrize("make", [_link, _dangling_link, _pipe, _folder])
def test_a_lock_that_is_a_link_is_not_followed(
    tmp_path: Path, victim: Path, make: Callable[[Path, Path], None]
) -> None:
    for name, hold in (
        ("model.safetensors", lambda path: cache.hold_lock(path)),
        ("trained.safetensors", lock_output),
    ):
        path = tmp_path / name
        make(path.with_name(f"{name}.lock"), victim)
        with pytest.raises((DownloadError, WeightsError), match=r"\.lock"), hold(path):
            pass
    assert victim.read_bytes() == BODY[:HALF]
    assert not (tmp_path / "made by following").exists()


@pytest.mark.parametrize("make", [_link, _further_name])
def test_a_part_that_becomes_a_link_is_not_followed(
    server: Server, client: Client, file: PublishedFile, victim: Path, make: Callable[[Path, Path], None]
) -> None:
    """The link is made between the check of the file and its opening."""

    def answer(handler: Handler) -> None:
        make(part(file), victim)
        serve_from_the_beginning(handler)

    server.script.append(answer)
    assert "remove it" in failure(client, file)
    assert victim.read_bytes() == BODY[:HALF]
