"""Connections to `mpscnn serve`: how many, how slow, how large, and those that nobody reads from."""

from __future__ import annotations

import http.client
import io
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Service, serving

pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

MAX_BYTES = 1_000_000
HELD = 2_500_000
DEADLINE = 2.0
CONNECTIONS = 9
ALIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")


@contextmanager
def limited(model: Path, **options: Any) -> Iterator[Service]:
    limits = {"max-bytes": MAX_BYTES, "max-held-bytes": HELD, "deadline": DEADLINE, **options}
    with serving(
        model, "--device", "cpu", *(f"--{name}={value}" for name, value in limits.items())
    ) as service:
        yield service


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    with limited(model) as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10), (255, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def head(path: str, length: int, more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def answered(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers by names in lower case, and body."""
    response = http.client.HTTPResponse(connection)
    with closing(response):
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


def is_closed(connection: socket.socket) -> bool:
    """Whether the service closes it within the socket's time."""
    try:
        return connection.recv(65_536) == b""
    except ConnectionResetError:
        return True


def connected(service: Service, stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_connection(service.place, timeout=30))


# ---- How many ----


def test_the_connection_behind_the_last_one_is_refused(model: Path) -> None:
    with limited(model, connections=CONNECTIONS, deadline=30) as service, ExitStack() as stack:
        taken = [connected(service, stack) for _ in range(CONNECTIONS)]
        for connection in taken:
            connection.sendall(ALIVE[:-2])  # a head that is not complete
        time.sleep(0.2)
        beyond = connected(service, stack)
        beyond.sendall(ALIVE)
        status, headers, body = answered(beyond)
        assert (status, json.loads(body)["kind"]) == (503, "TooManyConnections")
        assert int(headers["retry-after"]) >= 1
        assert headers["connection"] == "close"
        taken[0].sendall(ALIVE[-2:])
        assert answered(taken[0])[0] == 200  # those that were there before are answered
        assert service.wait_for("request", path="/v2/health/live", status=503)
        time.sleep(1.2)
        assert service.request("/v2/health/live").status == 200  # taken[0] is idle now, and makes room
        assert is_closed(taken[0])
        assert service.metric('mpscnn_refused_total{reason="connections"}') == 1


def test_idle_connections_make_room(model: Path, photo: bytes) -> None:
    with limited(model, connections=CONNECTIONS, deadline=30) as service, ExitStack() as stack:
        idle = [connected(service, stack) for _ in range(CONNECTIONS)]
        for connection in idle[3:]:
            connection.sendall(ALIVE)
            assert answered(connection)[0] == 200
        time.sleep(1.2)
        for _ in range(4):
            assert service.request("/v1/classify", photo).status == 200
        assert is_closed(idle[0])  # the one that has waited longest


def test_many_connections_beyond_the_limit_are_closed_at_once(model: Path) -> None:
    with limited(model, connections=1, deadline=30) as service, ExitStack() as stack:
        others = []
        for _ in range(1 + 64 + 1):
            others.append(connected(service, stack))
            others[-1].sendall(ALIVE[:-2])
            time.sleep(0.005)
        status, headers, _ = answered(others[-1])  # without a request
        assert status == 503
        assert int(headers["retry-after"]) >= 1
        assert is_closed(others[-1])


def test_files_that_may_be_open_are_enough(model: Path, photo: bytes) -> None:
    """For all connections, or the service does not begin."""
    command = [sys.executable, "-m", "mpscnn", "serve", str(model), "--port", "0"]
    few = subprocess.run(
        ["bash", "-c", 'ulimit -n 300; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert few.returncode == 2
    assert "connections: 1,000 need 1,192 open files; this process may have 300" in few.stderr
    assert "enough for 108 connections" in few.stderr
    with serving(model, "--connections", "300", limits="ulimit -Sn 128") as service, ExitStack() as stack:
        for _ in range(250):
            connected(service, stack)
        assert service.request("/v1/classify", photo).status == 200


# ---- How slow ----


def test_a_slow_head_is_given_up(service: Service) -> None:
    before = service.metric('mpscnn_refused_total{reason="head"}')
    with ExitStack() as stack:
        begun = time.monotonic()
        connection = connected(service, stack)
        connection.settimeout(0.05)
        answer = b""
        for byte in ALIVE[:-1] * 10:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(65_536)
                break
            except TimeoutError:
                pass
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"HeadTooSlow"' in answer
        assert DEADLINE <= time.monotonic() - begun < DEADLINE + 3
        connection.settimeout(30)
        assert is_closed(connection)
    assert service.metric('mpscnn_refused_total{reason="head"}') == before + 1


def test_a_connection_on_which_nothing_is_said_is_closed(service: Service) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        begun = time.monotonic()
        assert is_closed(connection)
        assert DEADLINE <= time.monotonic() - begun < DEADLINE + 3


def test_a_second_head_may_not_be_slow_either(service: Service) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(ALIVE + ALIVE[:-2])
        assert answered(connection)[0] == 200
        assert answered(connection)[0] == 408
        assert is_closed(connection)


def test_a_body_that_nobody_reads_may_not_be_slow(service: Service) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(head("/none", 100))
        assert answered(connection)[0] == 404
        begun = time.monotonic()
        connection.settimeout(0.2)
        while time.monotonic() - begun < 30:
            try:
                connection.sendall(b"x")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
        assert time.monotonic() - begun < DEADLINE + 8


def test_an_answer_that_is_not_taken_is_given_up(model: Path) -> None:
    stream = io.BytesIO()
    Image.effect_noise((2_400, 2_400), 90).convert("RGB").save(stream, "PNG", compress_level=0)
    body = stream.getvalue()
    with (
        limited(
            model, **{"max-bytes": 2 * len(body), "max-held-bytes": 4 * len(body)}, deadline=5
        ) as service,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(30)
        connection.connect(service.place)
        connection.sendall(head("/v1/classify", len(body), "Accept: image/png\r\n") + body)
        service.wait_for("request", path="/v1/classify", status=200)
        time.sleep(7)
        count = 0
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                count += len(part)
        assert count < len(body) / 2


# ---- How large ----


@pytest.mark.parametrize(
    "content",
    [
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 500_000,
        b"GET /" + b"x" * 500_000,
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;"
        + b"x" * 500_000,
    ],
    ids=[
        "a long field",
        "many fields",
        "a long address",
        "a field without end",
        "an address without end",
        "a chunk",
    ],
)
def test_large_heads_are_refused(service: Service, content: bytes) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        try:
            connection.sendall(content)
        except OSError:  # the service has closed the connection
            return
        status, _, body = answered(connection)
        assert (status, json.loads(body)["error"]) == (431, "HeadTooLarge")
        assert is_closed(connection)
    assert service.request("/v2/health/live").status == 200


def test_a_head_within_the_limits_is_taken(service: Service) -> None:
    fields = {f"X-{number}": "y" * 500 for number in range(90)}
    assert service.request("/v2/health/live", headers=fields).status == 200


def test_fields_behind_a_body_in_chunks_are_not_kept(service: Service, photo: bytes) -> None:
    start = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\n" % (len(photo), photo)
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(start + body + b"X: y\r\n" * 10 + b"\r\n")
        assert answered(connection)[0] == 200
        before = resident(service)
        connection.sendall(start + body)
        with suppress(OSError):  # the service closes the connection
            for _ in range(2_000):
                connection.sendall(b"X: " + b"y" * 30_000)
        assert resident(service) - before < 20e6


@pytest.mark.parametrize(
    ("length", "behind"), [(-1, b"x"), (-3, b"xyz\r\n\r\n"), (0, b"\x00"), (0, b"BREW / HTTP/1.1\r\n\r\n")]
)
def test_a_request_is_answered_whatever_comes_behind_it(
    service: Service, photo: bytes, length: int, behind: bytes
) -> None:
    """Such as more bytes than its Content-Length says."""
    photo += bytes(-length)
    body = photo[:length] if length else photo
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(head("/v1/classify", len(body)) + body + behind)
        status, headers, _ = answered(connection)
        assert (status, headers["connection"]) == (200, "close")
        with suppress(OSError):
            connection.sendall(1_000 * b"x")
        assert is_closed(connection)


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nx\r\n", b"-1\r\nx\r\n", b"1\r\nxyz\r\n", b"fffffffffffffffff\r\nx\r\n"]
)
def test_damaged_chunks_are_said(service: Service, chunk: bytes) -> None:
    start = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(start + chunk)
        status, headers, body = answered(connection)
        assert (status, json.loads(body)["error"]) == (400, "BadRequest")
        assert headers["connection"] == "close"
        assert is_closed(connection)
    assert service.request("/v2/health/live").status == 200


@pytest.mark.parametrize(
    "fields", [b"Content-Length: 1\r\nContent-Length: 5", b"Content-Length: 1\r\nTransfer-Encoding: chunked"]
)
def test_lengths_that_contradict_are_refused(service: Service, fields: bytes) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n\r\nxxxxx")
        assert answered(connection)[0] == 400
        assert is_closed(connection)


def test_bodies_in_other_codings_are_refused(service: Service) -> None:
    start = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(start + b"1\r\nx\r\n0\r\n\r\n")
        status, _, body = answered(connection)
    assert (status, json.loads(body)["error"]) == (415, "UnsupportedCoding")


def test_too_many_requests_before_the_first_answer_close_the_connection(service: Service) -> None:
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(ALIVE * 10)
        content = b""
        while content.count(b'{"live":true}') < 10:
            part = connection.recv(65_536)
            assert part
            content += part
        assert content.count(b"HTTP/1.1 200 ") == 10
        connection.sendall(ALIVE * 1_000)
        more = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                more += part
        assert more.count(b"HTTP/1.1 200 ") <= 20
    assert service.request("/v2/health/live").status == 200


def resident(service: Service) -> int:
    """Bytes of the process."""
    for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise AssertionError("no VmRSS")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_slow_uploads_of_the_largest_body_do_not_add_up(model: Path, photo: bytes) -> None:
    with limited(model, deadline=30) as service, ExitStack() as stack:
        assert service.request("/v1/classify", photo).status == 200
        before = resident(service)
        uploads = [connected(service, stack) for _ in range(20)]
        part = b"x" * (MAX_BYTES - 1)
        for upload in uploads:
            upload.sendall(head("/v1/classify", MAX_BYTES) + part)
        held = list(uploads)
        while len(held) > 2:  # which have room
            for upload in select.select(held, [], [], 20)[0]:
                held.remove(upload)
                status, headers, body = answered(upload)
                assert (status, json.loads(body)["error"]) == (503, "TooManyBytesHeld")
                assert int(headers["retry-after"]) >= 1
        assert 2 * len(part) <= service.metric("mpscnn_held_bytes") <= HELD
        assert service.metric('mpscnn_refused_total{reason="bytes"}') == len(uploads) - 2
        assert resident(service) - before < 4 * HELD + 10e6
        for upload in held:
            upload.sendall(b"x")
            status, _, body = answered(upload)
            assert (status, json.loads(body)["error"]) == (400, "ImageError")
        assert service.metric("mpscnn_held_bytes") == 0
        assert service.request("/v1/classify", photo).status == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_body_in_parts_of_a_byte_takes_no_more(service: Service) -> None:
    before = resident(service)
    start = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with ExitStack() as stack:
        connection = connected(service, stack)
        connection.sendall(start)
        for _ in range(200):
            connection.sendall(b"1\r\nx\r\n" * 1_000)
        assert resident(service) - before < 20e6
        connection.sendall(b"0\r\n\r\n")
        assert answered(connection)[0] == 400


def test_a_client_that_sends_all_before_it_reads_sees_why_it_was_refused(service: Service) -> None:
    for _ in range(5):
        assert service.request("/v1/classify", b"x" * (3 * MAX_BYTES)).status == 413


def test_limits_that_contradict_each_other_are_refused(model: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mpscnn",
        "serve",
        str(model),
        "--max-bytes",
        "1000",
        "--max-held-bytes",
        "999",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "max_held_bytes must be at least max_bytes, 1,000, got 999" in ended.stderr


# ---- The log ----


def test_a_log_that_nobody_takes_keeps_no_answer_back(model: Path, photo: bytes) -> None:
    with serving(model) as service:
        service.request("/v2/health/live")
        assert service.process.stderr is not None
    command = [sys.executable, "-m", "mpscnn", "serve", str(model), "--port"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for end in ("2>&-", "2> >(head -n 1 > /dev/null)"):
        shell = ["bash", "-c", f'exec "$@" {end}', "bash", *command, str(port)]
        process = subprocess.Popen(shell)
        try:
            asked = Service(process, address=f"http://127.0.0.1:{port}")
            for _ in range(300):
                try:
                    asked.request("/v2/health/live")
                    break
                except OSError:
                    time.sleep(0.1)
            for _ in range(5):
                assert asked.request("/v1/classify", photo).status == 200
                assert asked.request("/v1/classify", photo[:20]).status == 400
            process.terminate()
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()
