"""Test `mpscnn quantize`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import LABELS, call, save_colour_model, save_photo
from quantized_networks import (
    SHAPE,
)

import mpscnn

# ---- The command ------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        save_photo(folder / label / "one.png", label)
    return folder


def test_the_command(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = save_colour_model(tmp_path / "colours.safetensors")
    assert call("quantize", str(model), "--images", str(photos)) == 0
    said = capsys.readouterr()
    assert "accuracy 100.00% in float32, 100.00% in int8" in said.out
    assert "3 photos say little" in said.err
    made = tmp_path / "colours_int8.safetensors"
    assert call("classify", str(photos / "green"), "--model", str(made), "--precision", "int8") == 0
    assert "green" in capsys.readouterr().out
    loaded = mpscnn.load(made, precision="int8", device="cpu")
    assert loaded.information["license"] == "Apache-2.0"
    assert loaded.labels == list(LABELS)
    arguments = (
        "--images",
        str(photos / "red"),
        "--test-images",
        str(photos),
        "--output",
        "other.safetensors",
        "--json",
    )
    assert call("quantize", str(model), *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["calibration_images"], report["images"], report["accuracy_before"]) == (1, 3, 1.0)
    assert report["bytes"] == (tmp_path / "other.safetensors").stat().st_size


def test_the_command_names_what_stays_in_float32(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network = mpscnn.Network(SHAPE, name="odd")
    x = network.conv2d(network.input, 4, 3, name="conv")
    network.output(network.l2_norm_pool2d(x, 2, name="norms"))
    network.initialize_weights()
    network.save("odd.safetensors", preprocess="unit")
    assert call("quantize", "odd.safetensors", "--images", str(photos)) == 0
    said = capsys.readouterr()
    assert "stays in float32, as integers do not have it: norms (pooling)\n" in said.err
    assert "integers do not have norms" in said.out


def test_the_command_fails(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(save_colour_model(tmp_path / "colours.safetensors"))

    def error(*arguments: str, code: int = 1) -> str:
        assert call("quantize", *arguments) == code
        return capsys.readouterr().err

    (tmp_path / "empty").mkdir()
    assert "there is no photo" in error(model, "--images", "empty", code=2)
    assert "--test-images: there is no photo" in error(
        model, "--images", str(photos), "--test-images", "empty", code=2
    )
    assert "odd.txt: the name of the output must end in .safetensors" in error(
        model, "--images", str(photos), "-o", "odd.txt", code=2
    )
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert "damaged.png" in error(model, "--images", str(damaged))
    place = tmp_path / "nowhere" / "out.safetensors"
    assert f"{place}: cannot be written: No such file" in error(
        model, "--images", str(photos), "-o", str(place)
    )
    (folder := tmp_path / "folder.safetensors").mkdir()
    assert "cannot be written: Is a directory" in error(model, "--images", str(photos), "-o", str(folder))
    assert not (tmp_path / "colours_int8.safetensors").exists()
    assert call("quantize", model, "--images", str(photos)) == 0
    capsys.readouterr()
    assert "is quantised already" in error("colours_int8.safetensors", "--images", str(photos), code=2)
