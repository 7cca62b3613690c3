"""Test `mpscnn detect`: its output, files and errors."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import call, run, save_colour_model, save_photo
from constant_detector import save_constant_detector

from mpscnn import registry


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_constant_detector(tmp_path_factory.mktemp("model") / "constants.safetensors"))


def test_text(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue", (200, 80))
    result = run("detect", str(photo), "--model", model, "--score-threshold", "0.1", "--device", "cpu")
    assert (result.returncode, result.stderr) == (0, "")
    heading, *lines = result.stdout.splitlines()
    assert heading.startswith(f"{photo}  (")
    assert " ms, cpu, float32)" in heading
    assert [line.split() for line in lines] == [
        ["class", "score", "left", "top", "right", "bottom"],
        ["-----", "-----", "----", "---", "-----", "------"],
        ["cat", "90.0%", "50", "10", "150", "40"],
        ["dog", "20.0%", "50", "10", "150", "40"],
    ]


def test_limits(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(save_photo(tmp_path / "lake.png", "blue", (200, 80)))
    limits = ["--score-threshold", "0.1", "--iou-threshold", "0.5", "--max-detections", "1"]
    assert call("detect", photo, "--model", model, *limits) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:]] == ["cat"]


def test_nothing_found(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    assert call("detect", str(photo), "--model", model, "--score-threshold", "0.95") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  nothing found (a lower --score-threshold finds more)"
    ]


def test_refusals(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(save_photo(tmp_path / "lake.png", "blue"))
    assert call("detect", photo, "--model", model, "--score-threshold", "1.5") == 2
    assert "--score-threshold" in capsys.readouterr().err
    for option in ("--score-threshold", "--iou-threshold"):
        for value in ("0", "-1", "nan"):
            assert call("detect", photo, "--model", model, option, value) == 2
            assert option in capsys.readouterr().err
    assert call("detect", photo, "--model", model, "--max-detections", "0") == 2
    assert "--max-detections" in capsys.readouterr().err
    classifier = str(save_colour_model(tmp_path / "colours.safetensors"))
    assert call("detect", photo, "--model", classifier) == 1
    assert (
        f"is not a detector, but a classifier: mpscnn classify ... --model {shlex.quote(classifier)}"
        in capsys.readouterr().err
    )


# ---- The bundled model -------------------------------------------------------------------------------------------


def test_without_a_model_the_detectors_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no default detector. The bundled one knows only digits, and would find an 8 in a dog."""
    photo = str(save_photo(tmp_path / "lake.png", "blue"))
    assert call("detect", photo) == 2
    output, told = capsys.readouterr()
    assert output == ""
    assert told.startswith("error: say with --model what to find\n")
    detectors = [entry for entry in registry.models() if entry.finds]
    assert {entry.name for entry in detectors} == {"page_digits", "ssd_mobilenet_v1_coco"}
    for entry in detectors:
        assert re.search(rf"^  {entry.name} +{re.escape(entry.finds)}$", told, re.MULTILINE)


def test_tiles(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(save_photo(tmp_path / "lake.png", "blue", (200, 80)))
    assert call("detect", photo, "--model", model, "--tiles", "80", "--overlap", "0", "--json") == 0
    found = json.loads(capsys.readouterr().out)["detections"]
    # The box of the second tile, from 100 to 140, is in that of the whole photo.
    assert [one["box"] for one in found] == [[20, 10, 60, 40], [50, 10, 150, 40], [140, 10, 180, 40]]
    assert call("detect", photo, "--model", model, "--tiles", "80", "--overlap", "1") != 0
    assert "overlap must be from 0 to below 1, got 1.0" in capsys.readouterr().err
    assert call("detect", photo, "--model", model, "--overlap", "0.2") != 0
    assert "overlap is for tiles" in capsys.readouterr().err
    assert call("detect", photo, "--model", model, "--tiles", "0") == 2
