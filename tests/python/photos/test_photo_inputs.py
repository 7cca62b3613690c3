"""Test the ways to name photos: standard input, folders, patterns, lists, URLs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, save_colour_model, save_photo

import mpscnn


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(save_colour_model(tmp_path / "colours.safetensors"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with photos, also in subfolders, in hidden ones, and behind a link to the folder itself."""
    top = tmp_path / "photos"
    (top / "summer" / "lake").mkdir(parents=True)
    (top / ".hidden").mkdir()
    save_photo(top / "b.png", "red")
    save_photo(top / "summer" / "lake" / "c.png", "blue")
    save_photo(top / "summer" / "a.png", "green")
    save_photo(top / ".hidden" / "d.png", "red")
    save_photo(top / ".e.png", "red")
    (top / "notes.txt").touch()
    (top / "loop").symlink_to(top)
    monkeypatch.chdir(tmp_path)
    return top


def seen(output: str) -> list[tuple[str, str]]:
    answers = [json.loads(line) for line in output.splitlines()]
    return [(answer["image"], answer["predictions"][0]["label"]) for answer in answers]


def test_standard_input(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    command = [sys.executable, "-m", "mpscnn", "classify", "-", "--model", model, "--json", "--output", "out"]
    finished = subprocess.run(
        command, input=photo.read_bytes(), capture_output=True, cwd=tmp_path, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert seen(finished.stdout.decode()) == [("-", "blue")]
    assert (tmp_path / "out" / "stdin_classes.png").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "-: image bytes: is empty"), (b"no photo", "-: image bytes: is not an image")],
)
def test_what_is_no_photo_through_standard_input(
    content: bytes,
    message: str,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert call("classify", "-", "--model", model) == 1
    assert message in capsys.readouterr().err


def test_standard_input_is_bounded(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mpscnn.apps.cli.photo_options._MAX_FROM_STDIN", 1000)
    with Path("/dev/zero").open() as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        assert call("classify", "-", "--model", model) == 1
    assert "more than 1.0 kB come through standard input" in capsys.readouterr().err


def test_a_terminal_sends_nothing(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leader, follower = os.openpty()
    with os.fdopen(leader), os.fdopen(follower) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert call("classify", "-", "--model", model) == 1
    assert "nothing is sent there" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:photos")  # the command shows its warnings
def test_folders_with_their_subfolders(folder: Path, model: str, command: Command) -> None:
    result = command("classify", "photos", "--model", model, "--json")
    assert result.returncode == 0, result.stderr
    assert "photos: 1 file is left out: 1 .txt" in result.stderr
    assert seen(result.stdout) == [
        ("photos/b.png", "red"),
        ("photos/summer/a.png", "green"),
        ("photos/summer/lake/c.png", "blue"),
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/*.png", ["photos/b.png"]),
        ("photos/summer/**/*.png", ["photos/summer/a.png", "photos/summer/lake/c.png"]),
        ("photos/**/*.png", ["photos/b.png", "photos/summer/a.png", "photos/summer/lake/c.png"]),
        ("photos/s*", ["photos/summer/a.png", "photos/summer/lake/c.png"]),
        ("photos/summer/[ab].png", ["photos/summer/a.png"]),
    ],
)
def test_patterns_in_quotes(
    folder: Path, model: str, command: Command, pattern: str, found: list[str]
) -> None:
    result = command("classify", pattern, "--model", model, "--json")
    assert result.returncode == 0, result.stderr
    assert [name for name, _ in seen(result.stdout)] == found


def test_patterns_without_a_match_and_names_like_patterns(folder: Path, model: str, command: Command) -> None:
    result = command("classify", "photos/*.jpg", "--model", model)
    assert result.returncode == 1
    assert "photos/*.jpg: there is no such file, and none that matches it as a pattern" in result.stderr
    save_photo(folder / "[1].png", "green")
    result = command("classify", "photos/[1].png", "--model", model, "--json")
    assert seen(result.stdout) == [("photos/[1].png", "green")]


def test_urls_of_other_schemes_are_refused(model: str, command: Command) -> None:
    url = "http://example.org/cat.jpg?size=3"
    result = command("classify", url, "--model", model)
    assert result.returncode == 1
    assert f"cannot download {url}: only https is allowed" in result.stderr
    with pytest.raises(mpscnn.DownloadError, match="only https is allowed"):
        mpscnn.load(model).predict(url)
    with pytest.raises(mpscnn.ImageError, match=r"is a URL, which is not fetched here: Model\.predict"):
        mpscnn.open_photo(url)


def test_lists_of_photos(tmp_path: Path, model: str) -> None:
    loaded = mpscnn.load(model, device="cpu")
    red = save_photo(tmp_path / "red.png", "red")
    green = np.zeros((5, 6, 3), np.uint8)
    green[..., 1] = 255
    results = loaded.predict([red, green], top=1)
    assert [result[0].label for result in results] == ["red", "green"]
    assert [len(result) for result in results] == [1, 1]
    assert loaded.predict([]) == []
    # A list of numbers is the pixels of one photo.
    assert len(loaded.predict([[0.5, 0.5], [0.5, 0.5]])) == 3
