"""Run nginx in front of a service, configured as in examples/service/nginx.conf but with shorter times."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPENSSL = shutil.which("openssl")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "service" / "nginx.conf"
NAME = "photos.example"
#: nginx's time limits in seconds. Those of the example are longer.
TIMEOUT = 3
CONNECTIONS = 32

_MAIN = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def proxied(service: tuple[str, int], folder: Path, timeout: int = TIMEOUT) -> Iterator[tuple[str, int]]:
    """Yield the address of an nginx in front of a service, on a free port with a self-signed certificate.

    The test is skipped if nginx or openssl is not installed.

    Args:
        timeout: nginx's time limits in seconds.
    """
    if NGINX is None or OPENSSL is None:
        pytest.skip("nginx and openssl are not installed")
    subject = ("-subj", f"/CN={NAME}", "-keyout", folder / "key", "-out", folder / "certificate")
    subprocess.run(
        [OPENSSL, "req", "-x509", "-nodes", "-newkey", "rsa:2048", *subject], check=True, capture_output=True
    )
    # If root owns the folder, nginx must not change its user.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))
    while True:
        port = _free_port()
        _write_site(service, folder, port, timeout)
        process = subprocess.Popen(
            [NGINX, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL
        )
        try:
            if _listens(process, port):
                yield "127.0.0.1", port
                return
        finally:
            process.terminate()
            process.wait(timeout=60)
        # Another process may have taken the port meanwhile.
        log = (folder / "error.log").read_text()
        assert "Address already in use" in log, log
        (folder / "error.log").unlink()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until nginx listens. Return False if it has ended instead."""
    end = time.monotonic() + 60
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.05)
        else:
            return True
    return False


def _write_site(service: tuple[str, int], folder: Path, port: int, timeout: int) -> None:
    """Write the example's configuration with this test's addresses and time limits."""
    site = EXAMPLE.read_text("utf-8")
    for pattern, text in {
        r"listen 443": f"listen 127.0.0.1:{port}",
        r"127\.0\.0\.1:8000": f"{service[0]}:{service[1]}",
        r"ssl_certificate \S+;": f"ssl_certificate {folder}/certificate;",
        r"ssl_certificate_key \S+;": f"ssl_certificate_key {folder}/key;",
        r"((?:client_header|client_body|send)_timeout) 10s": rf"\1 {timeout}s",
        r"keepalive_timeout 30s": f"keepalive_timeout {timeout}s",
    }.items():
        site, count = re.subn(pattern, text, site)
        assert count, pattern
    (folder / "site.conf").write_text(site)


def connected(place: tuple[str, int]) -> ssl.SSLSocket:
    """Return a connection with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(place, timeout=120), server_hostname=NAME)
