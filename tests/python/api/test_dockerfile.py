"""The Dockerfile agrees with the command line and the package. No image is built here."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import require_packages, serving
from systems import require_address

PROJECT = Path(__file__).resolve().parents[3]
DOCKERFILE = PROJECT / "Dockerfile"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, with continued lines joined."""
    text = re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE))
    lines = [line.partition(" ") for line in text.splitlines() if line]
    last = max(i for i, (name, _, _) in enumerate(lines) if name == "FROM")
    return [(name, rest.strip()) for name, _, rest in lines[last:]]


def only(instructions: list[tuple[str, str]], wanted: str) -> str:
    (rest,) = [rest for name, rest in instructions if name == wanted]
    return rest


def test_it_runs_as_somebody_without_rights(instructions: list[tuple[str, str]]) -> None:
    user = only(instructions, "USER")
    assert int(user) > 0
    assert any(f"--uid {user} " in rest for name, rest in instructions if name == "RUN")
    names = [name for name, _ in instructions]
    assert "RUN" not in names[names.index("USER") :]


def test_its_extras_are_those_of_the_project() -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    known = toml.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    groups = re.findall(r"'[/\w]+\[([\w,]+)\]'", DOCKERFILE.read_text("utf-8"))
    assert len(groups) == 2
    for group in groups:
        assert set(group.split(",")) <= set(known)
        assert {"cli", "serve"} <= set(group.split(","))


def test_what_is_copied_is_there() -> None:
    lines = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    for line in lines:
        if line.startswith("!"):
            assert (PROJECT / line[1:]).exists(), line


def test_its_command_and_its_check_work(instructions: list[tuple[str, str]], tmp_path: Path) -> None:
    require_packages()
    program, command, *arguments = json.loads(only(instructions, "ENTRYPOINT"))
    assert (program, command) == ("mpscnn", "serve")
    port = only(instructions, "EXPOSE")
    assert arguments[arguments.index("--port") + 1] == port
    check = json.loads(only(instructions, "HEALTHCHECK").partition("CMD ")[2])
    assert check[0] == "python"
    file = arguments[arguments.index("--address-file") + 1]
    arguments[arguments.index(file)] = str(tmp_path / "address")
    asked = [part.replace(f"'{file}'", repr(str(tmp_path / "address"))) for part in check]
    assert asked != check

    def healthy() -> bool:
        finished = subprocess.run([sys.executable, *asked[1:]], capture_output=True, check=False)
        return finished.returncode == 0

    require_address("127.0.0.2")
    environment = {**os.environ, "MPSCNN_SERVE_TOKEN": "abc"}
    for more in ((), ("--host", "127.0.0.2"), ("--allow-host", "photos.example")):
        # The last --port is used, here 0.
        with serving(*arguments, *more, environment=environment) as service:
            assert service.place[1] != int(port)
            assert healthy()
            service.end()
            assert not healthy()


def test_without_a_token_it_does_not_start(instructions: list[tuple[str, str]]) -> None:
    require_packages()
    _, *arguments = json.loads(only(instructions, "ENTRYPOINT"))
    environment = {name: value for name, value in os.environ.items() if name != "MPSCNN_SERVE_TOKEN"}
    command = [sys.executable, "-m", "mpscnn", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 2
    assert "--token" in finished.stderr
