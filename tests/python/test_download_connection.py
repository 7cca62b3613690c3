"""Which servers a download trusts: https, certificates, redirects, proxies, and none at all."""

from __future__ import annotations

import gc
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from downloading import download, failure, published
from file_server import Server, redirect, running

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
