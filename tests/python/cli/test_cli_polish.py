"""Test the command line's help, completion and tables; devices, paths of models, classes of detections."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from pathlib import Path

import numpy as np
import photo_models
import pytest
from command_line import Command, run, save_colour_model, save_photo

import mpscnn
from mpscnn import registry
from mpscnn.apps.cli.app import every_command
from mpscnn.apps.cli.commands import COMMANDS, first_sentence
from mpscnn.runtime.library import available_processors

# ---- Help ----------------------------------------------------------------------------------------------------------


def test_help_of_all_commands_is_whole(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help_text = command("--help").stdout
    assert "..." not in help_text.partition("Commands:")[2]
    for name, known in every_command().items():
        sentence = known.help.partition("\n\n")[0].replace("\n", " ")
        assert re.search(rf"^  {name} ", help_text, re.MULTILINE), name
        assert name not in COMMANDS or sentence == first_sentence(name)
        text = command(name, "--help").stdout
        assert not re.search(r"<(list|str|int|Path)", text), text
        assert "{" not in text.splitlines()[0]


def test_help_where_no_command_is_given(command: Command) -> None:
    said = command()
    assert said.returncode == 2
    assert said.stderr.splitlines()[:2] == ["Usage: mpscnn [OPTIONS] COMMAND [ARGS]...", ""]


def test_completion() -> None:
    environment = {
        **os.environ,
        "_MPSCNN_COMPLETE": "complete_bash",
        "COMP_WORDS": "mpscnn cla",
        "COMP_CWORD": "1",
    }
    assert run(env=environment).stdout.split() == ["classify"]
    environment |= {"COMP_WORDS": "mpscnn detect --io", "COMP_CWORD": "2"}
    assert run(env=environment).stdout.split() == ["--iou-threshold", "--iou"]
    assert "--install-completion" in run("--help").stdout


# ---- Tables --------------------------------------------------------------------------------------------------------


def test_tables_in_files_are_as_wide_as_they_are(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows = command("models").stdout.splitlines()[2:]
    assert len(rows) == len(registry.names())


# ---- Commands ------------------------------------------------------------------------------------------------------


def test_devices(command: Command) -> None:
    result = command("devices")
    assert result.returncode == 0
    assert re.search("^cpu .*float32, float16", result.stdout, re.MULTILINE)
    assert json.loads(command("devices", "--json").stdout) == mpscnn.devices()


def test_devices_say_what_the_number_of_threads_follows_from(command: Command) -> None:
    (cpu,) = (device for device in mpscnn.devices() if device["name"] == "cpu")
    found = cpu["processors"]
    assert set(found) == {"cores", "processors", "quota", "threads"}
    assert 1 <= found["cores"] <= found["processors"]
    maximum = found["cores"] if found["quota"] is None else math.ceil(found["quota"])
    assert found["threads"] == max(1, min(found["cores"], maximum)) == available_processors()
    network = mpscnn.Network(input=(4, 4, 3))
    network.output(network.activation(network.input, "relu"))
    assert mpscnn.Runner(network.compile(device="cpu"), inflight=1).threads == found["threads"]
    told = " ".join(command("devices").stdout.split())
    assert re.search(r"\d+ cores?, \d+ processors?.*: \d+ threads?", told)


def test_the_path_of_a_model(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    result = command("models", "--fetch", "digits")
    assert result.returncode == 0
    assert Path(result.stdout.rstrip("\n")) == registry.find("digits").resolve()
    save_colour_model(tmp_path / "mine.safetensors")
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path))
    assert json.loads(command("models", "--fetch", "mine", "--json").stdout)["path"].endswith(
        "/mine.safetensors"
    )
    named = json.loads(command("models", "digits", "mine", "ssd_mobilenet_v1", "--json").stdout)
    assert [entry["name"] for entry in named] == ["digits", "mine", "ssd_mobilenet_v1_coco"]
    assert "unknown model 'digit'" in command("models", "digit").stderr
    result = command("models", "--fetch", "digit")
    assert result.returncode == 2
    assert "Did you mean digits" in result.stderr


@pytest.mark.parametrize(
    ("task", "use"),
    [
        ("classification", "classes of photos: mpscnn classify PHOTO --model"),
        ("detection", "objects on photos: mpscnn detect PHOTO --model"),
        ("segmentation", "the class of each pixel of photos: mpscnn segment PHOTO --model"),
    ],
)
def test_info_says_what_a_model_is_for(task: str, use: str, tmp_path: Path, command: Command) -> None:
    photo_models.load(tmp_path, task)
    path = str(tmp_path / f"{task}.safetensors")
    assert f"use:           {use} {shlex.quote(path)}" in command("info", path).stdout
    assert json.loads(command("info", path, "--json").stdout)["task"] == task
    photo_models.NETWORKS[task]().save(path)
    assert f"mpscnn info {shlex.quote(path)} --set preprocess=NAME" in command("info", path).stdout
    assert "single handwritten digits: mpscnn digits" in command("info", "digits").stdout


def test_classes_of_detections(tmp_path: Path, command: Command) -> None:
    model = photo_models.load(tmp_path, "detection")
    photo = np.full((40, 60, 3), 200, np.uint8)
    everything = list(model.detect(photo, iou_threshold=0.9))
    names = {entry.label for entry in everything}
    assert len(names) > 1
    for entry in everything:
        wanted = [other for other in everything if other.label == entry.label]
        assert list(model.detect(photo, iou_threshold=0.9, classes=[entry.label])) == wanted
        assert list(model.detect(photo, iou_threshold=0.9, classes=[entry.index])) == wanted
    last_label = everything[-1].label
    # Objects of other classes do not count towards the limit.
    found = model.detect(photo, iou_threshold=0.9, classes=[last_label], max_detections=1)
    assert [entry.label for entry in found] == [last_label]
    with mpscnn.Runner(model) as runner:
        result = runner.submit(photo, iou_threshold=0.9, classes=[last_label]).result()
    assert {entry.label for entry in result} == {last_label}
    with pytest.raises(mpscnn.ParameterError, match="there is no class 'gren'; did you mean 'green'"):
        model.detect(photo, classes=["gren"])
    with pytest.raises(mpscnn.ParameterError, match="a class must be a number from 0 to 2"):
        model.detect(photo, classes=[3])
    path = save_photo(tmp_path / "gray.png", "gray")
    arguments = ("detect", str(path), "--model", str(tmp_path / "detection.safetensors"), "--iou", "0.9")
    labels = {row["label"] for row in json.loads(command(*arguments, "--json").stdout)["detections"]}
    some = sorted(labels)[0]
    result = command(*arguments, "--json", "--classes", f"{some}")
    assert {row["label"] for row in json.loads(result.stdout)["detections"]} == {some}
    for photos in ([str(path)], [str(path)] * 2):
        refused = command("detect", *photos, *arguments[2:], "--classes", "gren")
        assert refused.returncode == 2
        assert refused.stderr.count("there is no class 'gren'; did you mean 'green'") == 1
        assert "gray.png" not in refused.stderr


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_a_model_for_something_else_is_named_with_the_command_that_helps(
    task: str, tmp_path: Path, command: Command
) -> None:
    photo_models.load(tmp_path, task)
    path, photo = tmp_path / f"{task}.safetensors", str(save_photo(tmp_path / "red.png", "red"))
    commands = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
    for other, name in commands.items():
        result = command(name, photo, "--model", str(path))
        if other == task:
            assert result.returncode == 0
            continue
        assert result.returncode == 1
        assert f"mpscnn {commands[task]} ... --model {shlex.quote(str(path))}" in result.stderr
    photo_models.NETWORKS[task]().save(path)
    result = command(commands[task], photo, "--model", str(path))
    assert (result.returncode, result.stdout) == (1, "")
    assert f"say it: mpscnn info {shlex.quote(str(path))} --set preprocess=NAME" in result.stderr


@pytest.mark.usefixtures("empty_cache")
def test_files_of_other_formats_are_converted_first(tmp_path: Path, shared: Path, command: Command) -> None:
    network = shared / "models" / "ultraface" / "version-slim-320_without_postprocessing.tflite"
    photo = str(save_photo(tmp_path / "red.png", "red"))
    result = command("detect", photo, "--model", str(network))
    assert result.returncode == 1
    assert (
        f"say it: mpscnn convert {network} -o model.safetensors --detection ultraface, or ssd"
        in result.stderr
    )
