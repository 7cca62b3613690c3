"""Test access to `mpscnn serve`: tokens, hosts and origins, and options that the command refuses."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, save_colour_model
from serving import END, Answer, Service, require_packages, serving

import mpscnn
from mpscnn._private.installation import install_command

require_packages()

from mpscnn.apps.serve.guard import _ONCE, _PARSED  # noqa: E402 - needs the packages

TOKEN = "a secret of some length"
PROTECTED = (
    "/v1/models",
    "/v1/devices",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/v2",
    "/v2/models/x",
    "/none",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Service]:
    with serving(model, "--allow-host", "Photos.example", "--insecure") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(model: Path) -> Iterator[Service]:
    """Yield a service with a token at all addresses of the machine."""
    environment = {**os.environ, "MPSCNN_SERVE_TOKEN": TOKEN}
    with serving(model, "--host", "0.0.0.0", environment=environment) as running:
        running.address = running.address.replace("0.0.0.0", "127.0.0.1")
        yield running


def refused(answer: Answer, status: int, kind: str) -> None:
    assert (answer.status, answer.json.get("kind", answer.json["error"])) == (status, kind), answer.body


def test_requests_need_the_token(guarded: Service) -> None:
    for path in PROTECTED:
        for given in (
            {},
            {"Authorization": TOKEN},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer"},
        ):
            answer = guarded.request(path, headers=given)
            refused(answer, 401, "Unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/v1/classify", "/v1/models/colours/options", "/v2/models/colours/infer"):
        refused(guarded.request(path, b"{}"), 401, "Unauthorized")
    for scheme in ("Bearer", "bearer", "BEARER"):  # the scheme's case does not matter (RFC 9110, 11.1)
        assert guarded.request("/v1/models", headers={"Authorization": f"{scheme} {TOKEN}"}).status == 200


@pytest.mark.parametrize("name", [name.decode() for name in _ONCE])
def test_headers_with_one_meaning_are_there_once(guarded: Service, name: str) -> None:
    fields = {"host": "127.0.0.1", "authorization": f"Bearer {TOKEN}", "origin": "http://127.0.0.1"}
    twice = (name, fields.setdefault(name, "1"))
    head = "".join(f"{field}: {text}\r\n" for field, text in [*fields.items(), twice])
    with socket.create_connection(guarded.place, timeout=120) as connection:
        connection.sendall(f"GET /v1/models HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        with connection.makefile() as stream:
            content = stream.readline() + json.loads(stream.read().partition("\n\n")[2])["message"]
    assert content.startswith("HTTP/1.1 400 ")
    assert f"the header field {name} is there 2 times; send it once" in content


@pytest.mark.parametrize("name", [name.decode() for name in _PARSED])
def test_long_headers_are_not_parsed(guarded: Service, name: str) -> None:
    """Some parsers need 50 ms for 60,000 semicolons, in which no other client would be answered."""
    for length, is_long in ((8_192, False), (8_193, True), (60_000, True)):
        answer = guarded.request("/v2/health/live", headers={name: length * ";"})
        message = f"the header field {name} may have 8,192 bytes"
        assert (answer.status == 431 and message in answer.body.decode()) is is_long, answer.body


def test_queries_with_many_options_are_not_parsed(guarded: Service) -> None:
    for path in ("/v2/health/live", "/"):
        for count, status in ((99, 200 if path == "/" else 400), (100, 400), (30_000, 400)):
            answer = guarded.request(f"{path}?{count * 'a&'}")
            assert answer.status == status
            assert ("a query may have 100 options" in answer.body.decode()) is (count > 99)


def test_health_and_the_page_need_no_token(guarded: Service) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/"):
        assert guarded.request(path).status == 200


def test_a_service_for_others_may_have_any_name(guarded: Service) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "machine.example:80"}
    assert guarded.request("/v1/models", headers=headers).status == 200
    origin = {"Origin": "https://machine.example:80"}
    assert guarded.request("/v1/models", headers={**headers, **origin}).status == 200
    origin = {"Origin": "https://other.example"}
    refused(guarded.request("/v1/models", headers={**headers, **origin}), 403, "ForeignOrigin")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:80", "[::1]:80", "photos.example"]
)
def test_names_of_this_machine_are_answered(service: Service, host: str) -> None:
    assert service.request("/v1/models", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil@localhost",
        "localhost/evil",
        "localhost:x",
        "localhost#",
        "[::1",
        "[::1]x",
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "127.0.0.1.evil.example",
        "",
        "[",
        "a b",
    ],
)
def test_other_names_are_not(service: Service, host: str) -> None:
    for path in ("/", "/v1/models", "/v2/health/live"):
        refused(service.request(path, headers={"Host": host}), 421, "UnknownHost")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},  # another port is another origin
        {"Origin": "file://"},
        {"Origin": "http://[evil"},  # urlsplit raises an error for this
        {"Origin": "http://evil]"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused(service: Service, headers: dict[str, str]) -> None:
    for path, body in (("/v1/models", None), ("/v1/classify", b"x"), ("/v1/models/colours/options", b"{}")):
        answer = service.request(path, body, headers)
        refused(answer, 403, "ForeignOrigin")
        assert "open the service's own page" in answer.json["message"]


def test_its_own_page_may_ask(service: Service) -> None:
    headers = {"Origin": service.address, "Sec-Fetch-Site": "same-origin"}
    assert service.request("/v1/models", headers=headers).status == 200
    assert service.request("/v1/models/colours/options", b"{}", headers).status == 200


def test_a_link_may_lead_to_the_page(service: Service) -> None:
    assert service.request("/", headers={"Sec-Fetch-Site": "cross-site"}).status == 200


def test_every_answer_has_headers_for_browsers(service: Service) -> None:
    for path, headers in (("/", {}), ("/none", {}), ("/v1/models", {"Host": "evil.example"})):
        answer = service.request(path, headers=headers)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "machine.example"])
def test_other_machines_are_not_served_without_a_token(command: Command, model: Path, host: str) -> None:
    ended = command("serve", str(model), "--host", host)
    assert ended.returncode == 2
    assert "--token" in ended.stderr
    assert "--insecure" in ended.stderr


def test_other_names_are_not_served_without_a_token(command: Command, model: Path) -> None:
    """A proxy makes a service at a loopback address public."""
    ended = command("serve", str(model), "--allow-host", "photos.example")
    assert ended.returncode == 2
    assert "host photos.example: other machines reach it" in ended.stderr
    assert "--token" in ended.stderr
    assert "--insecure" in ended.stderr


@pytest.mark.parametrize(
    "name",
    [
        "",
        "https://photos.example",
        "photos.example:443",
        "photos.example/page",
        "[::1]",
        "a b",
        "a,b",
        "b\xfccher.example",
    ],
)
def test_names_that_no_host_header_can_have_are_refused(name: str) -> None:
    from mpscnn.apps.serve.settings import Settings

    with pytest.raises(
        mpscnn.ParameterError, match=re.escape(f"without scheme, port and brackets, got {name!r}")
    ):
        Settings(allowed_hosts=("photos.example", name), insecure=True)


@pytest.mark.parametrize("names", ["photos.example", (5,)])
def test_allowed_hosts_are_a_list_of_names(names: Any) -> None:
    from mpscnn.apps.serve.settings import Settings

    with pytest.raises(mpscnn.ParameterError, match="allowed_hosts must be a sequence of names"):
        Settings(allowed_hosts=names, insecure=True)


def test_names_and_addresses_are_allowed_hosts() -> None:
    from mpscnn.apps.serve.settings import Settings

    names = ("photos.example", "photo_server", "192.0.2.1", "2001:db8::1")
    assert Settings(allowed_hosts=names, insecure=True).allowed_hosts == names


def test_unless_it_is_said_to_be_insecure(model: Path) -> None:
    with serving(model, "--host", "0.0.0.0", "--insecure") as service:
        service.address = service.address.replace("0.0.0.0", "127.0.0.1")
        assert service.request("/v1/models", headers={"Host": "any.example"}).status == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--token", ""), "token must be"),
        (("--token", "\u00e9"), "token must be"),
        (("--token", 1_001 * "a"), "token must be"),
        (("--token", "a\nb"), "token must be"),
        (("--deadline", "0"), "deadline must be"),
        (("--deadline", "nan"), "deadline must be"),
        (("--inflight", "33"), "--inflight"),
        (("--queue", "-1"), "--queue"),
        (("--port", "65536"), "--port"),
        (("--host", "no such host!", "--insecure"), "no such host!"),
    ],
)
def test_wrong_options_are_refused(
    command: Command, model: Path, arguments: tuple[str, ...], message: str
) -> None:
    ended = command("serve", str(model), *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr


def test_a_port_in_use_is_named(command: Command, model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = command("serve", str(model), "--port", port)
    assert ended.returncode == 2
    assert f"port {port}: " in ended.stderr


def test_the_address_is_written_while_it_answers(command: Command, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "address"
    with serving(model, "--address-file", file) as service:
        assert file.read_text() == service.address
        service.end()
        assert not file.exists()
    ended = command("serve", str(model), "--address-file", str(tmp_path / "none" / "address"))
    assert ended.returncode == 2
    assert "none/address: cannot be written" in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--log-format", "json")])
def test_a_terminal_gets_one_line_and_others_json(model: Path, arguments: tuple[str, ...]) -> None:
    terminal, inner = os.openpty()
    command = [sys.executable, "-m", "mpscnn", "serve", model, "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=inner, stderr=inner)
    try:
        line = os.read(terminal, 10_000).decode()
        if arguments:
            assert json.loads(line)["event"] == "listening"
        else:
            found = re.fullmatch(r"Serving colours at (http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)\s*", line)
            assert found is not None, line
            urllib.request.urlopen(f"{found[1]}/v1/models").close()
        process.terminate()
        assert process.wait(timeout=END) == 0
        os.set_blocking(terminal, False)
        rest = b""
        with suppress(BlockingIOError):
            while True:
                rest += os.read(terminal, 10_000)
        assert json.loads(rest)["event"] == "ended" if arguments else not rest.strip()
    finally:
        process.kill()
        process.wait()
        os.close(inner)
        os.close(terminal)


def test_a_port_that_another_one_takes_first_is_named(model: Path) -> None:
    from mpscnn.apps.serve.hosting import Models, host
    from mpscnn.apps.serve.server import open_listening_socket, serve
    from mpscnn.apps.serve.settings import Settings

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        settings = Settings(port=other.getsockname()[1], inflight=1)

        def start() -> None:
            # On Linux several sockets may bind the address until one of them listens, on macOS only one.
            with open_listening_socket(settings) as listener:
                other.listen()
                serve(Models([host(model, 1)]), settings, listener)

        with pytest.raises(mpscnn.ParameterError, match=f"port {settings.port}: "):
            start()


def test_connections_for_which_the_system_opens_too_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    from mpscnn.apps.serve.server import open_listening_socket
    from mpscnn.apps.serve.settings import Settings

    def refuse(limit: int, values: tuple[int, int]) -> None:
        raise ValueError(f"limit {limit}: {values}")

    # As on macOS, which names no maximum, and refuses more files than kern.maxfilesperproc.
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(mpscnn.ParameterError, match="9,000 need 9,128 open files, and the system refuses"):
        open_listening_socket(Settings(port=0, connections=9_000))


def test_models_must_exist_and_have_names_of_their_own(command: Command, model: Path, tmp_path: Path) -> None:
    assert (
        "nothing.safetensors" in command("serve", str(tmp_path / "nothing.safetensors"), "--port", "0").stderr
    )
    other = tmp_path / model.name
    other.write_bytes(model.read_bytes())
    ended = command("serve", str(model), str(other), "--port", "0")
    assert ended.returncode == 2
    assert "two models are called 'colours'" in ended.stderr


def test_a_missing_package_names_the_extra(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name in ("fastapi", "prometheus_client") else find(name, *rest)

    monkeypatch.setattr("mpscnn.apps.serve.packages.find_spec", without)
    ended = command("serve", str(model))
    assert ended.returncode == 1
    assert ended.stderr == f"error: serving needs FastAPI, prometheus_client: {install_command('serve')}\n"
