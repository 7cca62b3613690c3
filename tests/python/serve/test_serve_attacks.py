"""Attack `mpscnn serve` with hostile connections, alone and behind nginx.

The proxy is that of examples/service/nginx.conf. docs/serve.md lists the attacks that each of the two stops.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import numpy as np
import pytest
import reverse_proxy
from command_line import save_colour_model
from PIL import Image
from reverse_proxy import NAME, connected, proxied
from serving import Service, require_packages, serving, until
from systems import connected_ports, needs_proc, resident_bytes

import mpscnn

require_packages()

MAX_BYTES = 1_000_000
HELD = 2_500_000
DEADLINE = 600.0
CONNECTIONS = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    network = mpscnn.Network(input=(None, None, 3), name="large")
    network.output(network.resize(network.input, scale=16, name="larger"))
    large = tmp_path_factory.mktemp("served") / "large.safetensors"
    network.save(large)
    limits = {
        "max-bytes": MAX_BYTES,
        "max-total-bytes": HELD,
        "deadline": DEADLINE,
        "connections": CONNECTIONS,
    }
    arguments = [f"--{name}={value}" for name, value in limits.items()]
    with serving(model, large, "--device", "cpu", "--allow-host", NAME, "--insecure", *arguments) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with proxied(service.place, tmp_path_factory.mktemp("nginx")) as place:
        yield place


def png(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


HOST = f"Host: {NAME}\r\n".encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\n" + HOST
POST = b"POST /v1/classify HTTP/1.1\r\n" + HOST
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PHOTO = png(16)
WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(PHOTO) + PHOTO

#: Bytes, and the status of the answer.
ATTACKS: dict[str, tuple[bytes, int]] = {
    "nothing wrong": (LIVE + b"\r\n", 200),
    "90 fields of 500 bytes": (
        LIVE + b"".join(b"X-%d: %s\r\n" % (i, 500 * b"y") for i in range(90)) + b"\r\n",
        200,
    ),
    "a long field": (LIVE + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "many fields": (LIVE + b"X: y\r\n" * 100 + b"\r\n", 431),
    "a long address": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    "a field without end": (LIVE + b"X: " + b"x" * 500_000, 431),
    "an address without end": (b"GET /" + b"x" * 500_000, 431),
    "a chunk's extension without end": (CHUNKS + b"1;" + b"x" * 500_000, 431),
    "a chunk without a length": (CHUNKS + b"zz\r\nx\r\n", 400),
    "a chunk of a negative length": (CHUNKS + b"-1\r\nx\r\n", 400),
    "a chunk longer than its length": (CHUNKS + b"1\r\nxyz\r\n", 400),
    "a chunk of 2**68 bytes": (CHUNKS + b"fffffffffffffffff\r\nx\r\n", 400),
    "fields after chunks": (
        CHUNKS + b"%x\r\n%s\r\n0\r\n" % (len(PHOTO), PHOTO) + b"X: y\r\n" * 10 + b"\r\n",
        200,
    ),
    "a body in chunks of a byte": (CHUNKS + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 5\r\n\r\nxxxxx", 400),
    "a length and chunks": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nxxxxx", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a length of 2**70": (POST + b"Content-Length: 1180591620717411303424\r\n\r\n", 400),
    "a length with a letter": (POST + b"Content-Length: 1x\r\n\r\nx", 400),
    "a length of 100 GB": (POST + b"Content-Length: 100000000000\r\n\r\n", 413),
    "compressed chunks": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 415),
    "compression alone": (POST + b"Transfer-Encoding: gzip\r\n\r\nx", 400),
    "TLS in TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "zeros": (b"\0\0\0\0\r\n\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a tunnel": (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a trace": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 400),
    "an upgrade": (LIVE + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    "no host": (b"GET /v2/health/live HTTP/1.1\r\n\r\n", 421),
    "two hosts": (LIVE + HOST + b"\r\n", 400),
    "another host": (b"GET /v2/health/live HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    "another origin": (LIVE + b"Origin: https://evil.example\r\n\r\n", 403),
    "a space after a name": (LIVE + b"X : y\r\n\r\n", 400),
    "a folded field": (LIVE + b"X: y\r\n z\r\n\r\n", 400),
    "a zero in a field": (LIVE + b"X: a\0b\r\n\r\n", 400),
    "half a line end in a field": (LIVE + b"X: a\rb\r\n\r\n", 400),
    "a way out of the folder": (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "damaged escapes": (b"GET /%zz%00%ff HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "letters beyond ASCII": ("GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n", 400),
    "fields after chunks without end": (CHUNKS + b"1\r\nx\r\n0\r\n" + b"X: y\r\n" * 100_000, 431),
    "a byte after the body": (WHOLE + b"x", 200),
    "no request after the body": (WHOLE + b"BREW / HTTP/1.1\r\n\r\n", 200),
    "zeros after the body": (WHOLE + b"\0", 200),
    "a thousand requests at once": ((LIVE + b"\r\n") * 1_000, 200),
}


def answered(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer: status, headers by lower-case name, and body."""
    response = http.client.HTTPResponse(connection)
    with closing(response):
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


def status_of(connection: socket.socket, content: bytes) -> int:
    """Send bytes and return the answer's status, or 0 if the connection is closed without one."""
    with suppress(OSError):  # the connection may be closed before all is sent
        connection.sendall(content)
    try:
        return answered(connection)[0]
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_service_answers(service: Service, attack: str) -> None:
    content, status = ATTACKS[attack]
    with socket.create_connection(service.place, timeout=60) as connection:
        assert status_of(connection, content) == status
    assert service.request("/v2/health/live").status == 200


# ---- Requests that the proxy keeps back, so that they take no memory or time of the service ----


@pytest.fixture
def unseen(service: Service, proxy: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the proxy, and check that no request reached the service."""
    name, route = "mpscnn_requests_total{", 'route="/v1/classify"'

    def seen() -> float:
        text = service.request("/metrics").body.decode()
        return sum(
            float(line.split()[1]) for line in text.splitlines() if line.startswith(name) and route in line
        )

    before = seen()
    yield proxy
    assert seen() == before
    assert service.metric("mpscnn_body_bytes") == 0


def trickle(connection: socket.socket, content: bytes) -> bool:
    """Send a byte at a time, slowly. Return True if the connection is closed before all is sent."""
    connection.settimeout(0.05)
    for position in range(len(content)):
        try:
            connection.sendall(content[position : position + 1])
            if connection.recv(65_536) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_slow_body_keeps_the_proxy_alone_waiting(unseen: tuple[str, int], service: Service) -> None:
    with connected(unseen) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n")
        trickle(connection, b"x" * 50)
        assert service.metric("mpscnn_body_bytes") == 0


def test_an_answer_that_nobody_takes_goes_from_the_service_to_the_proxy(
    service: Service, proxy: tuple[str, int]
) -> None:
    pixels = np.zeros((1, 64, 64, 3), np.float32)
    (name,) = service.request("/v2/models/large").json["inputs"]
    tensor = {"name": name["name"], "shape": pixels.shape, "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": pixels.nbytes}
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    head = f"POST /v2/models/large/infer HTTP/1.1\r\nContent-Length: {len(text) + pixels.nbytes}\r\n"
    head += f"Inference-Header-Content-Length: {len(text)}\r\n"
    with connected(proxy) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(head.encode() + HOST + b"\r\n" + text + pixels.tobytes())
        assert service.wait_for("request", path="/v2/models/large/infer", status=200)
        assert service.metric("mpscnn_tensor_bytes") == 0  # 12 million bytes were announced


def test_one_address_has_so_many_connections(service: Service, tmp_path: Path) -> None:
    # On a busy machine, the first connections could end before the last ones begin.
    with proxied(service.place, tmp_path, timeout=300) as place, ExitStack() as stack:
        for _ in range(reverse_proxy.CONNECTIONS):
            connection = stack.enter_context(connected(place))
            connection.sendall(WHOLE[:-1])

        def status() -> int:
            with connected(place) as connection:
                return status_of(connection, LIVE + b"\r\n")

        until(lambda: status() == 503)  # nginx has read the heads
    assert service.request("/v2/health/live").status == 200


@needs_proc
def test_the_service_does_not_close_connections_that_the_proxy_keeps(
    service: Service, tmp_path: Path
) -> None:
    """A POST that nginx sends while the service closes the connection would be answered with 502."""
    with proxied(service.place, tmp_path) as place:
        before = connected_ports(service.place[1])
        kept = []
        for pause in (0, 6.5):  # uvicorn's default is five seconds
            time.sleep(pause)
            with connected(place) as connection:
                assert status_of(connection, WHOLE) == 200
            kept.append(connected_ports(service.place[1]) - before)
    assert len(kept[0]) == 1
    assert kept[1] == kept[0]


def test_the_proxy_closes_idle_connections_before_the_service() -> None:
    from mpscnn.apps.serve.server import _IDLE_SECONDS

    example = reverse_proxy.EXAMPLE.read_text()
    block = example.partition("upstream mpscnn {")[2].partition("}")[0]
    seconds = block.partition("keepalive_timeout ")[2].partition("s;")[0]
    assert int(seconds) + 10 <= _IDLE_SECONDS
    text = (reverse_proxy.EXAMPLE.parents[2] / "docs" / "serve.md").read_text("utf-8")
    assert (
        f"the service closes idle connections after {_IDLE_SECONDS} seconds, and nginx after {seconds}"
        in text
    )


def test_the_proxy_takes_the_bodies_that_the_service_takes() -> None:
    from mpscnn.apps.serve.settings import Settings

    assert f"client_max_body_size {Settings().max_bytes};" in reverse_proxy.EXAMPLE.read_text()


def test_the_example_asks_for_a_token_and_keeps_the_operators_addresses_private(
    model: Path, tmp_path: Path
) -> None:
    example = reverse_proxy.EXAMPLE.read_text()
    (line,) = re.findall(r"#   MPSCNN_SERVE_TOKEN=\.\.\. mpscnn serve (.*)\n", example)
    environment = {**os.environ, "MPSCNN_SERVE_TOKEN": "abc"}
    with (
        serving(model, *line.split(), environment=environment) as service,
        proxied(service.place, tmp_path) as place,
    ):

        def status(head: bytes, token: bytes = b"") -> int:
            with connected(place) as connection:
                return status_of(connection, head + b" HTTP/1.1\r\n" + HOST + token + b"\r\n")

        token = b"Authorization: Bearer abc\r\n"
        assert status(b"GET /v1/models") == 401
        assert status(b"GET /v1/models", token) == 200
        private = [b"/metrics", b"/v1/models/colours/profile", b"/v1/models/colours/options"]
        for address in private:
            end = address[-1:]
            for written in (
                address,
                address + b"?runs=1",
                address + b"/",
                address + b"%0A",
                b"/v1/.." + address,
                b"/" + address,
                address[:-1] + b"%%%02x" % end[0],
            ):
                for method in (b"GET", b"POST"):
                    assert status(method + b" " + written, token) in (403, 404), written
        assert service.request("/metrics", headers={"Authorization": "Bearer abc"}).status == 200


# ---- Limits of the service itself ------


def head(length: int, more: str = "") -> bytes:
    return POST + f"Content-Length: {length}\r\n{more}\r\n".encode()


def test_a_connection_more_is_refused(service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(service.place))
        refused = service.request("/v2/health/live")
        assert (refused.status, refused.body) == (503, b"Service Unavailable")
    until(lambda: service.request("/v2/health/live").status == 200)  # closed connections are given back


def test_a_slow_body_is_given_up(service: Service) -> None:
    with socket.create_connection(service.place, timeout=60) as connection:
        connection.sendall(head(len(PHOTO), "X-Request-Timeout: 0.2\r\n") + PHOTO[:5])
        status, _, body = answered(connection)
        assert (status, json.loads(body)["error"]) == (408, "BodyTooSlow")
        assert "600 seconds (--deadline)" in json.loads(body)["message"]


def test_a_client_that_sends_all_before_it_reads_sees_why_it_was_refused(service: Service) -> None:
    for _ in range(5):
        answer = service.request("/v1/classify", b"x" * (3 * MAX_BYTES))
        assert answer.status == 413
        assert "1,000,000 bytes (--max-bytes)" in answer.json["message"]


def test_slow_uploads_of_the_largest_body_do_not_add_up(service: Service) -> None:
    before, refused = (
        resident_bytes(service.process.pid),
        service.metric('mpscnn_refused_total{reason="bytes"}'),
    )
    with ExitStack() as stack:
        uploads = []
        for _ in range(20):
            upload = stack.enter_context(socket.create_connection(service.place, timeout=60))
            upload.sendall(head(MAX_BYTES) + b"x" * (MAX_BYTES - 1))
            uploads.append(upload)
        told = []
        while len(uploads) > 2:  # uploads are allowed until their deadline
            for upload in select.select(uploads, [], [], 60)[0]:
                uploads.remove(upload)
                status, _, body = answered(upload)
                told.append((status, json.loads(body)["error"]))
                assert "of 2,500,000 bytes (--max-total-bytes)" in json.loads(body)["message"]
        assert told.count((503, "MemoryBudgetExceeded")) >= 10
        assert service.metric('mpscnn_refused_total{reason="bytes"}') - refused >= 10
        assert resident_bytes(service.process.pid) - before < 20 * MAX_BYTES
    until(lambda: service.metric("mpscnn_body_bytes") == 0)
