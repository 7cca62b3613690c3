"""Test the clients of examples/service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import save_colour_model
from PIL import Image
from serving import Service, require_packages, serving

import mpscnn

require_packages()

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PHOTO = mpscnn.samples.photo("cat")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Yield a service with a token and the default model."""
    with serving("--token", "abc") as running:
        yield running


def client(service: Service, *arguments: str | Path, token: str = "abc") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "service" / "client.py", service.address, *arguments]
    environment = {**os.environ, "MPSCNN_SERVE_TOKEN": token}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_client_prints_classes_and_writes_a_picture(service: Service, tmp_path: Path) -> None:
    finished = client(service, PHOTO, "--picture", tmp_path / "answer.jpg")
    assert finished.returncode == 0, finished.stderr
    head, best, *others = finished.stdout.splitlines()
    assert head.startswith(f"{PHOTO}  (")
    assert best.split() == ["90.9%", "cat"]
    assert len(others) == 4
    with Image.open(tmp_path / "answer.jpg") as picture:
        assert picture.format == "JPEG"


def test_the_client_says_what_is_wrong(service: Service, tmp_path: Path) -> None:
    assert "needs the header Authorization" in client(service, PHOTO, token="x").stderr
    assert "there is no model y" in client(service, PHOTO, "--model", "y").stderr
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    assert "is not an image" in client(service, tmp_path / "junk.jpg").stderr


def test_the_client_finds_models_of_any_name(tmp_path: Path) -> None:
    file = save_colour_model(tmp_path / "a&b=c #1 +é.safetensors")
    with serving(file, "--device", "cpu", "--token", "abc") as service:
        finished = client(service, PHOTO, "--model", file.stem)
    assert finished.returncode == 0, finished.stderr
    assert len(finished.stdout.splitlines()) > 1


def test_curl(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with serving() as service:
        picture = tmp_path / "answer.png"
        command = [EXAMPLES / "service" / "curl.sh", service.address, PHOTO, picture]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    ready, plain, form = map(json.loads, finished.stdout.splitlines())
    assert ready == {"ready": True}
    assert plain["predictions"][0]["label"] == "cat"
    assert plain["predictions"] == form["predictions"]
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
