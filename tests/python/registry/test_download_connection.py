"""Test which servers a download trusts: https, certificates, redirects, proxies."""

from __future__ import annotations

import gc
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from downloading import download, failure, part, published
from file_server import BODY, HALF, PATIENCE, Handler, Server, redirect, running
from tiers import combinations

from mpscnn.registry import PublishedFile
from mpscnn.registry.download import Client, is_https

pytestmark = pytest.mark.usefixtures("empty_cache")


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
        ("https://[::1/x", False),
        ("https://[nothing]/x", False),
        ("https://", False),
        ("", False),
    ],
)
def test_is_https(url: str, expected: bool) -> None:
    assert is_https(url) is expected


@pytest.fixture
def https_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Yield a server whose certificate the default client trusts."""
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


# http.client of Python 3.11 does not close the answer of a refused tunnel. It is collected in this test, not in another
# one.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_proxy_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.root)
    message = failure(Client(attempts=1), published("https://models.invalid/"))
    assert "Tunnel connection failed: 403" in message
    assert server.tunnels == ["models.invalid:443"]
    gc.collect()


MALFORMED = [
    b"https://[::1/x",
    b"https://[nothing]/x",
    b"https://]/",
    b"https://[v1.x]/",
    b"https://host:port/x",
    b"https://host:99999999/x",
    b"https://host:-1/x",
    b"https://127.0.0.1:65536/x",
    b"https://host:\xb2/x",
    b"https://" + b"a" * 70 + b"/",  # longer than a label of DNS may be
    b"https://a..b/",
    b"https://.a/",
    b"https://a b/",
    b"https://a\tb/",
    b"https://a\x00b/",
    b"https://a\x7f/",
    b"https://\xff\xfe/",
    b"https://\xe4.example\xb4/",
    b"https://a%zz/%zz",
    b"https://user:pa ss@/",
    b"https://@/",
    b"https://:443/",
    b"https:",
    b"https:///",
    b"//[",
    b"///",
    b"?\x01",
    b"http://[::1",
    b"HTTPS://[",
    b"\x00",
    b"data:,x",
    b"javascript:x",
    b"https://\xc2\xad/",
    b"https://\xe2\x84\x80@x/",  # Unicode normalisation changes these letters to separators
]


@pytest.mark.parametrize(("location", "status"), combinations(MALFORMED, (301, 302, 303, 307, 308), every=5))
def test_redirects_to_malformed_urls(
    server: Server, client: Client, file: PublishedFile, location: bytes, status: int
) -> None:
    """Each redirect is an error with a remedy, even for a client that allows every URL."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(
            b"HTTP/1.0 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location)
        )

    for trusting in (client, replace(client, allowed=lambda _: True, timeout=0.5, attempts=1)):
        server.script.extend([answer] * 20)
        assert failure(trusting, file).isprintable()
        server.script.clear()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_body_of_a_redirect_is_not_read(
    server: Server, client: Client, file: PublishedFile, status: int
) -> None:
    refused = threading.Event()

    def answer(handler: Handler) -> None:
        handler.headers_only(status, Location=server.root)
        try:
            for _ in range(200):
                handler.wfile.write(BODY)
        except OSError:
            refused.set()

    server.script.append(answer)
    download(client, file)
    assert refused.wait(PATIENCE)


def test_random_redirects(server: Server, client: Client, file: PublishedFile) -> None:
    rng = np.random.default_rng(11)
    trusting = replace(client, allowed=lambda _: True, timeout=0.5, attempts=1)
    for _ in range(100):
        kept = rng.choice(list(b"[]:/@%?#\\ .a0\xff\x00"), rng.integers(0, 12)).astype(np.uint8).tobytes()

        def answer(handler: Handler, location: bytes = kept) -> None:
            handler.wfile.write(b"HTTP/1.0 302 Moved\r\nLocation: https://%s\r\n\r\n" % location)

        server.script.append(answer)
        assert failure(trusting, file).isprintable()
        server.script.clear()


@pytest.mark.parametrize(
    "proxy", ["http://[::1", "http://host:port", "http://a b:1", "http://" + "a" * 70 + ":1"]
)
def test_malformed_proxies(
    file: PublishedFile, monkeypatch: pytest.MonkeyPatch, client: Client, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    failure(client, file)


@pytest.mark.parametrize(
    "headers",
    [
        b"HTTP/1.0 206 Partial\r\nContent-Range: bytes " + b"9" * 5000 + b"-1/1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"HTTP/1.0 " + b"9" * 5000 + b" OK\r\n\r\n",
        b"HTTP/1.0 200 \x1b[31m\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.0 404 \x1b[31m\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n" + b"A" * 70_000,
        b"HTTP/1.0 200 OK\r\nContent-Length: \x1b[2J\r\n\r\n",
        b"HTTP/1.0 206 Partial\r\nContent-Range: bytes %d-7/" % HALF + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.0 206 Partial\r\nContent-Range: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.0 404 " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.0 302 Found\r\nLocation: ftp://" + b"9" * 5000 + b"\r\n\r\n",
    ],
    ids=range(14),
)
def test_malformed_answers(server: Server, client: Client, file: PublishedFile, headers: bytes) -> None:
    part(file).write_bytes(BODY[:HALF])
    server.script.extend([lambda handler: handler.wfile.write(headers)] * 20)
    message = failure(replace(client, timeout=1), file)
    assert message.isprintable()
    assert len(message) < 1_000
