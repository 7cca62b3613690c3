"""Test `mpscnn classify`: its output, errors and exit codes."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, run, save_colour_model, save_photo
from PIL import Image
from systems import full_device

import mpscnn
from mpscnn.apps.cli import failures, progress
from mpscnn.registry import local_files


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_colour_model(tmp_path_factory.mktemp("model") / "colours.safetensors"))


def test_text(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    result = run("classify", str(photo), "--model", model, "--top", "2")
    assert result.returncode == 0
    assert result.stderr == ""
    heading, first, second = result.stdout.splitlines()
    assert heading.startswith(f"{photo}  (")
    assert " ms, cpu, float32)" in heading
    assert first.split() == ["100.0%", "blue"]
    assert second.split() == ["0.0%", "red"]


@pytest.mark.parametrize("as_json", [False, True])
def test_pictures(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    options = ["--output", str(tmp_path / "out"), "--top", "2", *(["--json"] if as_json else [])]
    assert call("classify", str(photo), "--model", model, *options) == 0
    (line,) = capsys.readouterr().out.splitlines()[-1:]
    expected = tmp_path / "out" / "lake_classes.png"
    assert (json.loads(line)["picture"] if as_json else line.strip()) == str(expected)
    result = mpscnn.load(model).classify(photo, top=2)
    with Image.open(expected) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(result.draw()))


def test_pixels_that_no_photo_has(tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("nan.tif", np.nan), ("huge.tif", 3e38)):
        Image.fromarray(np.full((8, 8), value, np.float32)).save(tmp_path / name)
    good = save_photo(tmp_path / "red.png", "red")
    options = ["--model", model, "--precision", "float16", "--json"]  # values from 65520 overflow in float16
    assert call("classify", str(tmp_path), *options) == 1
    captured = capsys.readouterr()
    answers = [json.loads(line) for line in captured.out.splitlines()]
    assert [answer["image"] for answer in answers if "error" not in answer] == [str(good)]
    huge, nan = captured.err.splitlines()
    assert nan == f"error: {tmp_path / 'nan.tif'}: has pixels that are not finite numbers"
    assert huge.startswith(f"error: {tmp_path / 'huge.tif'}: network 'colours': the result is not")


def test_empty_name_is_not_the_current_folder(
    tmp_path: Path, model: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "lake.png", "blue")
    monkeypatch.chdir(tmp_path)
    result = command("classify", "", "--model", model)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: '': an empty name is not a photo\n"


# ---- The bundled model -------------------------------------------------------------------------------------------


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the bundled classifier by the tiny one."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    save_colour_model(folder / "cifar10_mobilenet_v2.safetensors", "cifar10_mobilenet_v2")
    monkeypatch.setattr(local_files, "PACKAGED", folder)


@pytest.mark.usefixtures("bundled")
def test_bundled_model_says_what_it_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    assert call("classify", str(photo)) == 0
    output, hints = capsys.readouterr()
    assert "knows 3 classes: red, green, blue." in hints
    assert "--model mobilenet_v2" in hints
    assert "None of its classes is likely" not in output


def test_a_model_that_learnt_from_the_bundled_one_is_not_taken_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = save_colour_model(tmp_path / "mine.safetensors", "cifar10_mobilenet_v2")
    photo = save_photo(tmp_path / "stone.png", "gray")
    assert call("classify", str(photo), "--model", str(own)) == 0
    output, hints = capsys.readouterr()
    assert hints == ""
    assert "None of its classes" not in output


@pytest.mark.usefixtures("bundled")
def test_bundled_model_says_when_it_knows_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = save_photo(tmp_path / "stone.png", "gray")
    assert call("classify", str(photo)) == 0
    assert "None of its classes is likely." in capsys.readouterr().out


@pytest.mark.usefixtures("bundled")
def test_bundled_model_keeps_json_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = save_photo(tmp_path / "stone.png", "gray")
    assert call("classify", str(photo), "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["model"] == "cifar10_mobilenet_v2"


# ---- Wrong usage and failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["x.png", "--colour"], "No such option"),
        (["x.png", "--device", "tpu"], "'tpu'"),
        (["x.png", "--precision", "float8"], "'float8'"),
        (["x.png", "--threads", "0"], "--threads"),
        (["x.png", "--threads", "many"], "--threads"),
        (["x.png", "--top", "0"], "--top"),
        (["x.png", "--model"], "--model"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("classify", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("mobilenet_v9", 2, "unknown model 'mobilenet_v9'"),
        ("", 2, "'' is not a model name"),
        ("missing.safetensors", 1, "missing.safetensors"),
        ("text.safetensors", 1, "text.safetensors"),
    ],
)
def test_bad_models(
    tmp_path: Path, name: str, code: int, message: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "lake.png", "blue")
    (tmp_path / "text.safetensors").write_text(
        "This is not a model file, and it is long enough to look like one."
    )
    monkeypatch.chdir(tmp_path)
    result = command("classify", "lake.png", "--model", name)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_device_is_refused_with_those_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [
        {"name": "cpu", "available": True, "description": "Some CPU"},
        {"name": "metal", "available": True, "description": "Apple M2"},
        {"name": "metal:0x100000def", "available": False, "reason": "too old"},
    ]
    monkeypatch.setattr("mpscnn.apps.cli.arguments.devices", lambda: listed)
    monkeypatch.setenv("COLUMNS", "400")
    assert call("classify", str(tmp_path), "--device", "tpu") == 2
    expected = (
        "expected auto, one of cpu (Some CPU), metal (Apple M2), metal:0x100000def (too old), metal:NAME"
    )
    assert expected in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac may have Metal")
def test_metal_without_a_mac(tmp_path: Path, model: str, command: Command) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    result = command("classify", str(photo), "--model", model, "--device", "metal")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert "Metal" in result.stderr
    assert "cpu" in result.stderr


def test_traceback_for_developers(tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    environment = {**os.environ, "MPSCNN_TRACEBACK": "1"}
    result = run("classify", str(photo), "--model", "missing.safetensors", env=environment)
    assert result.returncode == 1
    assert "Traceback" in result.stderr


# ---- Terminals, pipes and signals --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_labels_and_names_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    path = save_colour_model(tmp_path / "m.safetensors", labels=("赤", "緑", "blåklocka"))
    photo = save_photo(tmp_path / "søndag 日.png", "red")
    result = subprocess.run(
        [sys.executable, "-m", "mpscnn", "classify", str(photo), "missing 日.png", "--model", str(path)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=120,
        check=False,
    )
    assert result.returncode == 1  # one photo is missing
    text = result.stdout.decode(encoding)
    assert ("赤" if encoding == "utf-8" else "\\u8d64") in text
    assert b"Traceback" not in result.stderr


def test_json_of_any_label_is_ascii(tmp_path: Path, command: Command) -> None:
    path = save_colour_model(tmp_path / "m.safetensors", labels=("赤", "緑", "青"))
    photo = save_photo(tmp_path / "日.png", "red")
    result = command("classify", str(photo), "--model", str(path), "--json")
    assert result.stdout.isascii()
    answer = json.loads(result.stdout)
    assert (answer["image"], answer["predictions"][0]["label"]) == (str(photo), "赤")


def test_closed_stdout(tmp_path: Path, model: str) -> None:
    photos = [str(save_photo(tmp_path / f"{index}.png", "blue")) for index in range(3)]
    command = [sys.executable, "-m", "mpscnn", "classify", *photos, "--model", model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        code = process.wait(timeout=120)
    assert code == failures.READER_GONE
    assert errors == b""


def test_full_disk(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    command = [sys.executable, "-m", "mpscnn", "classify", str(photo), "--model", model]
    with full_device().open("w") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert (result.returncode, result.stderr) == (1, "error: [Errno 28] No space left on device\n")


def test_no_stdout(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    command = shlex.join([sys.executable, "-m", "mpscnn", "classify", str(photo), "--model", model])
    result = subprocess.run(
        f"{command} >&-", shell=True, capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_interrupt(tmp_path: Path, model: str) -> None:
    photos = [str(save_photo(tmp_path / f"{index}.png", "blue", (1500, 1500))) for index in range(4)]
    # The arguments need less than 128 kB, which is Linux' limit where stacks have 512 kB.
    command = [sys.executable, "-m", "mpscnn", "classify", *photos * 100, "--model", model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # wait until the first line is printed
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        errors = process.stderr.read()
        code = process.wait(timeout=60)
    assert (code, errors) == (failures.INTERRUPTED, b"interrupted\n")


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_no_progress_bar_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    many, few = [str(index) for index in range(9)], ["1", "2"]
    for photos, stream in ((many, io.StringIO()), (few, Screen())):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.with_progress(photos) as tracked:
            assert list(tracked) == photos
        assert stream.getvalue() == ""


def test_a_python_that_was_built_without_lzma_classifies(tmp_path: Path, model: str) -> None:
    photo = save_photo(tmp_path / "lake.png", "blue")
    program = (
        "import runpy, sys; sys.modules['_lzma'] = None; sys.modules.pop('lzma', None);"
        "runpy.run_module('mpscnn', run_name='__main__')"
    )
    arguments = ("classify", str(photo), "--model", model, "--json")
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["predictions"][0]["label"] == "blue"
