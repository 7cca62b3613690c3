"""Downloading published files, against a server on this machine that misbehaves on demand."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
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
    reset_at_once,
    reset_in_the_middle,
    running,
    serve,
    serve_another_size,
    serve_from_the_beginning,
    serve_other_bytes,
    serve_without_end,
    stall_in_the_middle,
    status,
)

from mpscnn.errors import DownloadError
from mpscnn.registry import PublishedFile, cache
from mpscnn.registry.download import Client, is_https


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as running_server:
        yield running_server


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MPSCNN_MODELS", raising=False)
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture
def file(server: Server) -> PublishedFile:
    return published(server.root)


def published(root: str) -> PublishedFile:
    return PublishedFile("tiny.tflite", root + "tiny.tflite", len(BODY), hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(server: Server, pauses: list[float]) -> Client:
    return Client(allowed=lambda url: url.startswith(server.root), sleep=pauses.append)


def destination(file: PublishedFile) -> Path:
    path = cache.source_path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def part(file: PublishedFile) -> Path:
    return destination(file).with_name(file.name + ".part")


def download(client: Client, file: PublishedFile) -> None:
    """Fetch the file and check that exactly it is there."""
    client.download(file, destination(file))
    assert destination(file).read_bytes() == BODY
    assert not part(file).exists()


def failure(client: Client, file: PublishedFile) -> str:
    """The first line of the error, after checking that it says what to do instead."""
    with pytest.raises(DownloadError) as caught:
        client.download(file, destination(file))
    assert not destination(file).exists()
    message = str(caught.value)
    for help_ in (file.url, file.sha256, f"{file.size} bytes", str(destination(file)), "MPSCNN_MODELS"):
        assert help_ in message
    return message.splitlines()[0]


def test_success(server: Server, client: Client, file: PublishedFile, pauses: list[float]) -> None:
    download(client, file)
    assert server.ranges == [None]
    assert pauses == []


@pytest.mark.parametrize("have", [1, HALF, len(BODY) - 1])
def test_part_of_an_earlier_call_is_completed(
    have: int, server: Server, client: Client, file: PublishedFile
) -> None:
    part(file).write_bytes(BODY[:have])
    download(client, file)
    assert server.ranges == [f"bytes={have}-"]


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
    begin = time.monotonic()
    download(replace(client, timeout=1.0 if end is stall_in_the_middle else PATIENCE), file)
    assert time.monotonic() - begin < PATIENCE / 2
    assert (len(server.ranges), pauses) == (2, [0.5])
    if end is not reset_in_the_middle:  # A reset may overtake what was sent before it.
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


def test_truncated_for_good(server: Server, client: Client, file: PublishedFile) -> None:
    server.script.append(close_in_the_middle)
    message = failure(replace(client, attempts=1), file)
    assert message.endswith(f"the connection ended after {HALF} of {len(BODY)} bytes, after 1 attempts.")
    assert part(file).read_bytes() == BODY[:HALF]
    download(client, file)
    assert server.ranges == [None, f"bytes={HALF}-"]


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


def test_part_of_another_file(client: Client, file: PublishedFile) -> None:
    part(file).write_bytes(b"x" * HALF)
    assert "it has been deleted" in failure(client, file)
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


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/x", True),
        ("HTTPS://example.org/x", True),
        ("http://example.org/x", False),
        ("http://127.0.0.1/x", False),
        ("https:///x", False),
        ("file:///x", False),
        ("//example.org/x", False),
    ],
)
def test_is_https(url: str, expected: bool) -> None:
    assert is_https(url) is expected


def test_default_client_refuses_http(server: Server, file: PublishedFile) -> None:
    assert failure(Client(), file).endswith("only https is allowed.")
    assert server.ranges == []


@pytest.fixture
def https_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose certificate the default client trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    paths = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *subject, *paths], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(Server(context)) as running_server:
        yield running_server


def test_https_with_redirect(https_server: Server) -> None:
    https_server.script.append(redirect(https_server.root + "elsewhere"))
    download(Client(), published(https_server.root))
    assert len(https_server.ranges) == 2


def test_https_redirected_to_http(server: Server, https_server: Server) -> None:
    https_server.script.append(redirect(server.root + "tiny.tflite"))
    message = failure(Client(), published(https_server.root))
    assert f"redirects to {server.root}tiny.tflite, but only https is allowed" in message
    assert server.ranges == []


def test_https_with_a_certificate_that_nobody_vouches_for(
    https_server: Server, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in failure(Client(sleep=pauses.append), published(https_server.root))
    assert (https_server.ranges, pauses) == ([], [])


def test_offline_says_so_at_once(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    message = failure(Client(sleep=pauses.append), published("https://models.invalid/"))
    assert "Temporary failure in name resolution" in message
    assert pauses == []


def test_nobody_listens(pauses: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        root = f"https://127.0.0.1:{unused.getsockname()[1]}/"
        assert "refused" in failure(Client(sleep=pauses.append), published(root))
    assert len(pauses) == 3


# http.client of Python 3.11 leaves the refused tunnel's answer open; it is collected here, not in another test.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_proxy_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.root)
    message = failure(Client(attempts=1), published("https://models.invalid/"))
    assert "Tunnel connection failed: 403" in message
    assert server.tunnels == ["models.invalid:443"]
    gc.collect()


def test_directory_that_cannot_be_written(client: Client, file: PublishedFile, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"cannot write .*\.part: No such file or directory"):
        client.download(file, tmp_path / "missing" / file.name)


def test_interruption_keeps_the_part(server: Server, client: Client, file: PublishedFile) -> None:
    def interrupt(done: int) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    interrupted = replace(client, progress=lambda name, total: contextlib.nullcontext(interrupt))
    with pytest.raises(KeyboardInterrupt), cache.exclusive(destination(file)):
        interrupted.download(file, destination(file))
    have = part(file).stat().st_size
    assert have >= HALF
    assert part(file).read_bytes() == BODY[:have]
    assert not is_locked(destination(file))
    download(client, file)


def is_locked(path: Path) -> bool:
    with path.with_name(path.name + ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


# A process that gets a model with two files, ready or not, as `mpscnn.registry.find` does.
PROCESS = """
import os, pathlib, sys, types
import mpscnn
from mpscnn.registry import Entry, PublishedFile
from mpscnn.registry.download import Client
from mpscnn.registry.lookup import prepare

root, size, sha256, log = sys.argv[1], int(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])

def convert_files(sources, output, **options):
    with log.open("a") as stream:
        stream.write("converted\\n")
    output.write_bytes(b"".join(source.read_bytes() for source in sources))

converters = types.ModuleType("mpscnn.converters")
converters.CONVERTER_VERSION, converters.convert_files = 1, convert_files
sys.modules["mpscnn.converters"] = mpscnn.converters = converters
file = PublishedFile("tiny.tflite", root + "tiny.tflite", size, sha256)
entry = Entry("tiny", (), (8, 8), 2, (file,), None, "tensorflow", "Apache-2.0", "nobody")
if "--terminal" in sys.argv:
    sys.stderr.isatty = lambda: True
path = prepare(entry, client=Client(allowed=lambda url: url.startswith(root)))
print(path, path.stat().st_size, "rich" in sys.modules)
"""


def start_process(file: PublishedFile, log: Path, *options: str) -> subprocess.Popen[str]:
    root = file.url.removesuffix(file.name)
    arguments = [sys.executable, "-c", PROCESS, root, str(file.size), file.sha256, str(log), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_several_processes_download_and_convert_once(
    server: Server, file: PublishedFile, tmp_path: Path
) -> None:
    def serve_later(handler: Handler) -> None:
        handler.server.released.wait(PATIENCE)
        serve(handler)

    server.script.append(serve_later)
    first = start_process(file, tmp_path / "log")
    wait_until(lambda: server.ranges == [None])
    second = start_process(file, tmp_path / "log")
    third = start_process(file, tmp_path / "log", "--terminal")
    assert third.stderr is not None
    assert third.stderr.readline().startswith("Waiting for another process that prepares tiny-")
    server.released.set()
    outputs = [process.communicate(timeout=PATIENCE) for process in (first, second, third)]
    assert outputs[0] == outputs[1] == outputs[2]
    assert outputs[0][0].endswith(f".safetensors {len(BODY)} False\n")
    assert outputs[0][1] == ""
    assert server.ranges == [None]
    assert (tmp_path / "log").read_text() == "converted\n"


def test_signal_while_downloading(
    server: Server, client: Client, file: PublishedFile, tmp_path: Path
) -> None:
    server.script.append(stall_in_the_middle)
    process = start_process(file, tmp_path / "log")
    wait_until(lambda: part(file).exists() and part(file).stat().st_size > 0)
    assert is_locked(destination(file))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not is_locked(destination(file))
    have = part(file).stat().st_size
    assert part(file).read_bytes() == BODY[:have]
    download(client, file)
    assert server.ranges == [None, f"bytes={have}-"]


def test_signal_while_waiting_for_the_lock(server: Server, file: PublishedFile, tmp_path: Path) -> None:
    with cache.exclusive(destination(file)):
        process = start_process(file, tmp_path / "log", "--terminal")
        assert process.stderr is not None
        assert process.stderr.readline() == "Waiting for another process that prepares tiny.tflite ...\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert server.ranges == []


def test_child_forked_meanwhile_does_not_hold_the_lock(tmp_path: Path) -> None:
    hold, release = os.pipe()
    with cache.exclusive(tmp_path / "x"):
        child = os.fork()
        if child == 0:
            os.close(release)
            os.read(hold, 1)
            os._exit(0)
    try:
        assert not is_locked(tmp_path / "x")
    finally:
        os.close(release)
        os.waitpid(child, 0)
        os.close(hold)
