"""Test `mpscnn serve` under load: a full queue, deadlines, and clients that disconnect."""

from __future__ import annotations

import json
import socket
import time

import pytest
import slow_service
from serving import Service, require_packages
from slow_service import SLOW, Asked, Gate, head, refused, wait_until

require_packages()

from mpscnn.apps.serve.connection import _HALF_CLOSE  # noqa: E402 - needs the packages

#: Seconds after which a client that closes its sending side is taken for one that closes the connection.
LATER = _HALF_CLOSE + 0.2
busy, files, gate = slow_service.busy, slow_service.files, slow_service.gate  # fixtures
photo, service = slow_service.photo, slow_service.service


def test_a_full_queue_refuses_and_those_in_it_are_answered(
    service: Service, busy: None, gate: Gate, photo: bytes
) -> None:
    before = service.metric('mpscnn_refused_total{reason="queue"}')
    waiting = Asked(lambda: service.request("/v1/classify", photo))
    wait_until(service, "mpscnn_queue_length", 1)
    for path, body in (("/v1/classify", photo), ("/v2/models/colours/infer", b"{}")):
        full = service.request(path, body)
        assert full.status == 503
        assert int(full.headers["retry-after"]) >= 1
    refused(service.request("/v1/classify", photo), 503, "QueueFull", "--queue")
    assert service.metric('mpscnn_refused_total{reason="queue"}') == before + 3
    gate.open()
    answer = waiting.answer()
    assert answer.status == 200
    assert answer.json["predictions"][0]["label"] == "red"
    assert answer.json["waited_milliseconds"] > 0


def test_the_deadline_comes_while_it_waits(service: Service, busy: None, photo: bytes) -> None:
    before = service.metric('mpscnn_refused_total{reason="deadline"}')
    late = service.request("/v1/classify", photo, {"X-Request-Timeout": "0.05"})
    refused(late, 504, "DeadlineExceeded", "600 seconds (--deadline)")
    assert service.metric("mpscnn_queue_length") == 0  # the request has left the queue
    assert service.metric('mpscnn_refused_total{reason="deadline"}') == before + 1


LONG = b" " * 20_000  # JSON of more than 16,384 bytes is parsed in another thread


def test_the_timeout_of_long_json_is_a_deadline_in_the_queue(service: Service, busy: None) -> None:
    image = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "FP32", "data": [0.5] * 192}
    body = json.dumps({"inputs": [image], "parameters": {"timeout": 50_000}}).encode() + LONG
    # The service's own deadline is later than the end of `request`.
    late = service.request("/v2/models/colours/infer", body)
    assert (late.status, late.json["kind"]) == (504, "DeadlineExceeded")
    assert service.metric("mpscnn_computing") == 1
    assert service.metric("mpscnn_queue_length") == 0


def test_the_timeout_of_long_json_is_a_deadline_of_the_computation(service: Service) -> None:
    wait_until(service, "mpscnn_computing", 0)
    (name,) = service.request("/v2/models/slow").json["inputs"]
    image = {"name": name["name"], "shape": [1, 128, 128, 32], "datatype": "FP32", "data": [0.5] * 524_288}
    for microseconds, status in ((1, 504), (20_000, 504), (300_000_000, 200)):
        body = json.dumps({"inputs": [image], "parameters": {"timeout": microseconds}}).encode()
        answer = service.request("/v2/models/slow/infer", body)
        assert answer.status == status, answer.body[:200]
    wait_until(service, "mpscnn_computing", 0)
    wait_until(service, "mpscnn_body_bytes", 0)


def test_the_deadline_comes_while_it_is_computed(service: Service, gate: Gate, photo: bytes) -> None:
    wait_until(service, "mpscnn_computing", 0)
    with gate.closed():
        refused(service.request(SLOW, headers={"X-Request-Timeout": "0.05"}), 504, "DeadlineExceeded")
        assert service.metric("mpscnn_computing") == 1  # the computation continues and keeps its slot
        waiting = Asked(lambda: service.request("/v1/classify", photo))
        wait_until(service, "mpscnn_queue_length", 1)
    assert waiting.answer().status == 200
    assert service.metric("mpscnn_computing") == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", ""])
def test_wrong_deadlines_are_refused(service: Service, photo: bytes, seconds: str) -> None:
    answer = service.request("/v1/classify", photo, {"X-Request-Timeout": seconds})
    refused(answer, 400, "ParameterError")


def test_a_client_that_goes_away_leaves_the_queue(service: Service, busy: None, photo: bytes) -> None:
    before = service.metric('mpscnn_refused_total{reason="gone"}')
    with socket.create_connection(service.place) as connection:
        connection.sendall(head("/v1/classify", len(photo)) + photo)
        wait_until(service, "mpscnn_queue_length", 1)
        time.sleep(LATER)
    wait_until(service, "mpscnn_queue_length", 0)
    assert service.metric("mpscnn_computing") == 1  # the request was cancelled while it waited
    assert service.metric('mpscnn_refused_total{reason="gone"}') == before + 1
    assert service.wait_for("request", path="/v1/classify", status=499)


def test_a_client_that_goes_away_while_it_is_computed(service: Service, gate: Gate, photo: bytes) -> None:
    wait_until(service, "mpscnn_computing", 0)
    before = service.metric('mpscnn_refused_total{reason="gone"}')
    with gate.closed():
        with socket.create_connection(service.place) as connection:
            connection.sendall(f"GET {SLOW} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_until(service, "mpscnn_computing", 1)
            time.sleep(LATER)
        wait_until(service, 'mpscnn_refused_total{reason="gone"}', before + 1)
    assert service.request("/v1/classify", photo).status == 200


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_sends_nothing_more_gets_its_answers(
    service: Service, busy: None, gate: Gate, photo: bytes, count: int
) -> None:
    """Programs such as `nc -N` close their sending side after the last request."""
    with socket.create_connection(service.place, timeout=60) as connection:
        connection.sendall((head("/v1/classify", len(photo)) + photo) * count)
        connection.shutdown(socket.SHUT_WR)
        wait_until(service, "mpscnn_queue_length", 1)
        time.sleep(LATER)
        gate.open()
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == received.count(b'"label":"red"') == count
    assert received.count(b"connection: close") == 1


def test_a_client_that_goes_away_within_its_body(service: Service, photo: bytes) -> None:
    with socket.create_connection(service.place) as connection:
        connection.sendall(head("/v1/classify", len(photo)) + photo[:-1])
        time.sleep(0.05)
    assert service.wait_for("request", path="/v1/classify", status=499)
    assert service.request("/v1/classify", photo).status == 200


def test_a_deadline_before_the_computation_is_one_of_the_service(service: Service, photo: bytes) -> None:
    assert service.request("/v1/classify", photo, {"X-Request-Timeout": "1e-9"}).status == 504
    wait_until(service, "mpscnn_computing", 0)
