"""Test `mpscnn digits` on photos of digits and on the images of IDX files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, save_colour_model
from idx_files import save_idx
from models.drawn_digits import draw
from PIL import Image


@pytest.fixture(scope="module")
def idx(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Write twenty drawn digits and their labels in MNIST's format. One label is wrong."""
    import mpscnn

    folder = tmp_path_factory.mktemp("idx")
    order = np.array([*range(10), *range(10)], np.uint8)
    images = [mpscnn.preprocess(draw(digit), (28, 28), "mnist", channels=1) for digit in order]
    pixels = np.rint(np.concatenate(images)[..., 0] * 255).astype(np.uint8)
    order[12] = 9
    return str(save_idx(folder / "images", pixels)), str(save_idx(folder / "labels", order))


def test_a_network_of_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import mpscnn

    network = mpscnn.Network(input=(28, 28, 1))
    mean = network.flatten(network.global_average_pool2d(network.input))
    network.output(network.activation(mean, "sigmoid"))
    model, photo = str(tmp_path / "mean.safetensors"), str(tmp_path / "five.png")
    network.save(model, preprocess="mnist", labels=["ink"])
    draw(5).save(photo)
    assert call("digits", photo, "--model", model) == 0
    assert re.fullmatch(rf"{re.escape(photo)}: ink \(\d+\.\d%\)\n", capsys.readouterr().out)


def test_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(5).save(tmp_path / "five.png")
    output = tmp_path / "out"
    assert call("digits", str(tmp_path), "--output", str(output)) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"  {output / 'five_digit.png'}"]
    with Image.open(output / "five_digit.png") as picture, draw(5) as given:
        assert picture.height > given.height
        np.testing.assert_array_equal(
            np.asarray(picture)[: given.height, : given.width], np.asarray(given.convert("RGB"))
        )


def test_pictures_are_of_photos(idx: tuple[str, str], tmp_path: Path, command: Command) -> None:
    result = command("digits", "--idx", idx[0], "--output", str(tmp_path / "out"))
    assert (result.returncode, result.stdout) == (2, "")
    assert "belongs to photos" in result.stderr
    assert not (tmp_path / "out").exists()


def test_doubt_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(1).save(tmp_path / "one.png")  # a 1 with a serif, which resembles a 7
    assert call("digits", str(tmp_path / "one.png")) == 0
    assert re.search(r"one\.png: 1 \([5-8]\d\.\d%\), or 7 \(\d+\.\d%\)$", capsys.readouterr().out.strip())


def test_images_without_a_digit_do_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("L", (1, 1), 9).save(tmp_path / "a.png")
    Image.new("RGB", (3000, 2), (255, 255, 255)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    draw(3).save(tmp_path / "d.png")
    (tmp_path / "empty").mkdir()
    assert call("digits", str(tmp_path), str(tmp_path / "empty")) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{tmp_path / 'd.png'}: 3 (")
    errors = captured.err.splitlines()
    assert len(errors) == 4
    assert errors[0].startswith(f"error: {tmp_path / 'empty'}: the folder has no photos")
    assert errors[1].startswith(
        f"error: {tmp_path / 'a.png'}: preprocess: fit 'digit': the photo of 1x1 pixels"
    )
    assert errors[2].startswith(f"error: {tmp_path / 'b.png'}: preprocess: fit 'digit': the photo of 3000x2")
    assert errors[3].startswith(f"error: {tmp_path / 'c.png'}: is not an image")


# ---- IDX files ---------------------------------------------------------------------------------------------------


def test_experiment(idx: tuple[str, str], command: Command) -> None:
    images, labels = idx
    result = command("digits", "--idx", images, "--idx-labels", labels, "--inflight", "2", "--device", "cpu")
    assert (result.returncode, result.stderr) == (0, "")
    heading, *figures = result.stdout.splitlines()
    assert heading.startswith(f"{images}: 20 images one by one, 2 in flight, digits on cpu (float")
    assert [line.split()[0] for line in figures] == ["accuracy", "seconds", "images/s"]
    assert figures[0] == "accuracy  95.00% (19 right)"
    assert float(figures[1].split()[1]) > 0


def test_experiment_as_json(idx: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = idx
    options = ("--count", "10", "--json", "--precision", "float16")
    assert call("digits", "--idx", images, "--idx-labels", labels, *options) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["images"], answer["right"], answer["accuracy"], answer["inflight"]) == (10, 10, 1.0, 3)
    assert answer["images_per_second"] == pytest.approx(10 / answer["seconds"])
    assert (answer["model"], answer["precision"]) == ("digits", "float16")
    assert call("digits", "--idx", images, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["images"], answer["right"], answer["accuracy"]) == (20, None, None)


def test_a_calibrated_model_names_as_many(idx: tuple[str, str], tmp_path: Path, command: Command) -> None:
    import mpscnn

    model = mpscnn.load("digits")
    pairs = [(draw(digit), digit) for digit in [*range(10), 1, 2]]
    model.calibrate(pairs).save(tmp_path / "calibrated.safetensors", dtype="float32")
    call = ("digits", "--idx", idx[0], "--idx-labels", idx[1], "--json")
    plain, calibrated = (
        json.loads(command(*call, *more).stdout)
        for more in ((), ("--model", str(tmp_path / "calibrated.safetensors")))
    )
    assert calibrated["right"] == plain["right"]


def test_what_is_refused(idx: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = idx
    colours = str(save_colour_model(tmp_path / "colours.safetensors"))
    few = str(save_idx(tmp_path / "few", np.zeros(3, np.uint8)))
    high = str(save_idx(tmp_path / "high", np.full(20, 10, np.uint8)))
    small = str(save_idx(tmp_path / "small", np.zeros((2, 27, 28), np.uint8)))
    for arguments, code, message in [
        ((), 2, "expected either images or an IDX file"),
        (("x.png", "--idx", images), 2, "expected either images or an IDX file"),
        (("x.png", "--idx-labels", labels), 2, "belong to --idx"),
        (("x.png", "--count", "3"), 2, "belong to --idx"),
        (("--idx", images, "--count", "21"), 1, f"{images}: has 20 images, --count asks for 21"),
        (("--idx", images, "--idx-labels", few), 1, f"{few}: 3 labels for the 20 images of {images}"),
        (("--idx", images, "--idx-labels", high), 2, "the labels go up to 10, but digits has 10 classes"),
        (("--idx", labels), 1, "expected images (n, height, width)"),
        (("--idx", small), 1, "got (1, 27, 28, 1)"),
        (("--idx", images, "--model", colours), 2, "colours is a network for colour photos"),
    ]:
        assert call("digits", *arguments) == code, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err.replace("\n", " "), arguments
