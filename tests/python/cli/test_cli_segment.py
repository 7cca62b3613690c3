"""Test `mpscnn segment` and `mpscnn features`: their output, files and errors."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, run, save_photo
from PIL import Image

import mpscnn

NAMES = ("background", "red", "green", "blue")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a segmenter.

    Scores are 0.3 for the background, and the amounts of red, green and blue. Layer "half" pools 2 x 2 pixels.
    """
    network = mpscnn.Network(input=(8, 8, 3), name="colours")
    x = network.average_pool2d(network.input, 2, name="half")
    network.output(network.conv2d(x, 4, 1, name="scores"))
    weight = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(np.float32)
    bias = np.array([0.3, 0, 0, 0], np.float32)
    network.load_weights({"scores.weight": weight.reshape(4, 1, 1, 3), "scores.bias": bias})
    path = tmp_path_factory.mktemp("model") / "colours.safetensors"
    network.save(path, labels=NAMES, preprocess="unit")
    return str(path)


def test_text_and_pictures(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    result = run("segment", str(photo), "--model", model, "--output", str(tmp_path / "out" / "deep"))
    assert (result.returncode, result.stderr) == (0, "")
    heading, area, picture, labels = result.stdout.splitlines()
    assert heading.startswith(f"{photo}  (")
    assert area.split() == ["100.0%", "blue"]
    assert picture.strip() == str(tmp_path / "out" / "deep" / "lake_segments.png")
    with Image.open(picture.strip()) as drawn:
        assert drawn.width >= 40
        assert drawn.height > 30
    with Image.open(labels.strip()) as map_:
        np.testing.assert_array_equal(np.asarray(map_), np.full((30, 40), 3))


def test_without_a_model_it_says_where_one_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MPSCNN_MODELS", raising=False)
    assert call("segment", str(save_photo(tmp_path / "lake.png", "blue"))) == 1
    told = capsys.readouterr().err
    assert "deeplab_v3 is not on this machine. It is fetched once, 2.2 MB" in told
    assert "mpscnn train --task segment" in told
    assert "get deeplabv3_mnv2_pascal_quant.tflite" in told


def test_an_output_that_is_a_file(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(save_photo(tmp_path / "x.png", "red"))
    assert call("segment", photo, "--model", model, "--output", photo) == 2
    assert "x.png: is the photo itself, which is not overwritten" in capsys.readouterr().err
    missing = str(tmp_path / "missing" / "f.npz")
    assert call("features", photo, "--model", model, "--layers", "half", "--output", missing) == 2
    assert "f.npz: cannot be written" in capsys.readouterr().err


# ---- features ------------------------------------------------------------------------------------------------


def test_features_are_written(tmp_path: Path, model: str, command: Command) -> None:
    photos = [str(save_photo(tmp_path / f"{colour}.png", colour)) for colour in ("red", "blue")]
    target = tmp_path / "features.npz"
    result = command(
        "features", *photos, "--model", model, "--layers", "half, scores", "--output", str(target)
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[:3] == ["2 photos", "  half  (2, 4, 4, 3)", "  scores  (2, 4, 4, 4)"]
    assert lines[3].startswith(f"  {target}, ")
    with np.load(target, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["errors", "half", "photos", "scores"]
        assert arrays["photos"].tolist() == photos
        extractor = mpscnn.load(model).features(["half", "scores"])
        for i, photo in enumerate(photos):
            for layer, value in extractor.run(photo).items():
                np.testing.assert_array_equal(arrays[layer][i : i + 1], value)


def test_pooled_features_as_json(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    good, missing = str(save_photo(tmp_path / "x.png", "red")), str(tmp_path / "missing.png")
    target = str(tmp_path / "f.npz")
    arguments = [
        good,
        missing,
        "--model",
        model,
        "--layers",
        "half",
        "--pooling",
        "global",
        "--output",
        target,
    ]
    assert call("features", *arguments, "--json") == 1
    captured = capsys.readouterr()
    described = json.loads(captured.out)
    assert described.pop("errors")[missing]["error_kind"] == "ImageError"
    assert described == {"file": target, "photos": [good], "shapes": {"half": [2, 3]}}
    assert "missing.png" in captured.err
    with np.load(target) as arrays:
        np.testing.assert_allclose(arrays["half"], [[1, 0, 0], 3 * [np.nan]], atol=1e-6)


def test_features_as_pictures(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo, folder = str(save_photo(tmp_path / "x.png", "red")), tmp_path / "out"
    arguments = [photo, "--model", model, "--layers", "half,scores", "--json"]
    shapes = {"half": [1, 4, 4, 3], "scores": [1, 4, 4, 4]}
    assert call("features", *arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"photos": [photo], "shapes": shapes}
    assert call("features", *arguments, "--output", str(folder)) == 0
    files = {layer: str(folder / f"x_{layer}.png") for layer in shapes}
    written = {"photos": [photo], "shapes": shapes, "pictures": [files]}
    assert json.loads(capsys.readouterr().out) == written
    with Image.open(files["half"]) as picture:
        channels = np.asarray(picture)
    # One column of three maps of 4 x 4 values, with 24 pixels each: the red channel is white, the others are black.
    assert channels.shape == (3 * 25, 25)
    assert [channels[25 * i : 25 * i + 24, :24].mean() for i in range(3)] == [255, 0, 0]


def test_wrong_features_are_refused(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo, target = str(save_photo(tmp_path / "x.png", "red")), str(tmp_path / "f.npz")
    common = [photo, "--model", model, "--output", target]
    assert call("features", *common, "--layers", "halve") == 2
    error = capsys.readouterr().err
    assert "no layer 'halve'; did you mean 'half'" in error
    assert f"mpscnn info {shlex.quote(str(model))}" in error
    assert call("features", *common, "--layers", ",") == 2
    assert "name at least one" in capsys.readouterr().err
    arguments = [photo, "--model", model, "--layers", "half", "--output", str(tmp_path / "f.txt")]
    assert call("features", *arguments) == 2
    assert "expected a folder for pictures, or FILE.npz, .jsonl, .csv for arrays" in capsys.readouterr().err
    assert not (tmp_path / "f.npz").exists()


def test_a_layer_may_not_be_called_like_the_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network(input=(8, 8, 3))
    network.output(network.average_pool2d(network.input, 2, name="photos"))
    path, photo = str(tmp_path / "m.safetensors"), str(save_photo(tmp_path / "x.png", "red"))
    network.save(path, preprocess="unit")
    arguments = [photo, "--model", path, "--layers", "photos", "--output", str(tmp_path / "f.npz")]
    assert call("features", *arguments) == 2
    assert "'photos' is the name of the list of photos" in capsys.readouterr().err


def test_tiles(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    photo = tmp_path / "noise.png"
    Image.fromarray(pixels).save(photo)
    assert call("segment", str(photo), "--model", model, "--tiles", "16", "--overlap", "0.5", "--json") == 0
    areas = json.loads(capsys.readouterr().out)["areas"]
    assert areas == mpscnn.load(model).segment(photo, tiles=16, overlap=0.5).to_dict()["areas"]
    assert areas != mpscnn.load(model).segment(photo).to_dict()["areas"]
