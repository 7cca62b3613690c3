"""Test that every command refuses an output that exists, loses nothing by it, and replaces it with `--overwrite`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import photo_models
import pytest
from command_line import LABELS, Command, colour_network, save_colour_model, save_photo
from registry.test_replaced_files import content_of
from training.photo_classes import make_photos

import mpscnn
from mpscnn.apps.cli.app import built_command
from mpscnn.apps.cli.commands import COMMANDS
from mpscnn.converters import export_tflite

#: The arguments of commands that write, by the command, the option of the output ("": it has none) and the output.
#: {out} is that output, and the other names are those of the fixture `given`.
WRITING: dict[tuple[str, str, str], str] = {
    ("classify", "--output", "rows.jsonl"): "{photo} --model {model}",
    ("classify", "--output", "rows.csv"): "{photo} --model {model}",
    ("classify", "--output", "one.png"): "{photo} --model {model}",
    ("classify", "--output", "out/lake_classes.png"): "{photo} --model {model}",
    ("detect", "--output", "rows.jsonl"): "{photo} --model {detector}",
    ("detect", "--output", "out/lake_detections.png"): "{photo} --model {detector}",
    ("segment", "--output", "rows.csv"): "{photo} --model {segmenter}",
    ("segment", "--output", "out/lake_segments.png"): "{photo} --model {segmenter}",
    ("digits", "--output", "out/lake_digit.png"): "{photo} --model {model}",
    ("features", "--output", "features.npz"): "{photo} --model {model} --layers pool",
    ("features", "--output", "features.jsonl"): "{photo} --model {model} --layers pool",
    ("features", "--output", "features.csv"): "{photo} --model {model} --layers pool",
    ("features", "--output", "out/lake_pool.png"): "{photo} --model {model} --layers pool",
    ("convert", "", "written.safetensors"): "{foreign} {out} --no-check",
    ("convert", "--output", "written.safetensors"): "{foreign} --no-check",
    ("convert", "--output", "written.tflite"): "{model} --no-check",
    ("convert", "--report", "report.html"): "{foreign}",
    ("compare", "--output", "differences.csv"): "{model} {model}",
    ("check-precision", "--output", "kept.safetensors"): "{model} --keep-float32 dense",
    ("check-precision", "", "copy.safetensors"): "{out} --keep-float32 dense",
    ("quantize", "--output", "small.safetensors"): "{model} --images {photo}",
    ("profile", "--trace", "trace.json"): "{model} --runs 1",
    ("check", "--output", "out/findings.csv"): "{classes} --model {model}",
    ("check", "--output", "out/findings.html"): "{classes} --model {model}",
    ("train", "--output", "trained.safetensors"): "{classes} --model {model} --epochs 0",
    ("train", "--report", "out/curves.png"): "{classes} --model {model} --epochs 0 --output {spare}",
    ("verify", "--report", "verified.json"): "--device cpu --only tanh",
    ("evaluate", "--output", "confusion.png"): "{classes} --model {model}",
    ("calibrate", "--output", "calibrated.safetensors"): "{classes} --model {model}",
}
#: Outputs that are replaced without being asked, and why nothing is lost.
REPLACED = {("serve", "--address-file"): "it names the service that runs, as the file of an earlier one did"}
WRITES = re.compile(r"(Write|Draw)\b")
NAMES = re.compile(r"FILE|DIR")


def outputs_of(command: str) -> Iterator[str]:
    """Yield the options of a command whose help says that they write or draw something."""
    parameters: Sequence[Any] = built_command(command).params
    for parameter in parameters:
        if WRITES.match(getattr(parameter, "help", None) or "") and NAMES.search(parameter.metavar or ""):
            yield parameter.opts[0]


def test_all_commands_are_tested() -> None:
    """A new command or output needs a row above."""
    written = {(command, option) for command in COMMANDS for option in outputs_of(command)}
    assert written == {(command, option) for command, option, _ in WRITING if option} | REPLACED.keys()
    for command, _ in written - REPLACED.keys():
        assert "--overwrite" in {name for one in built_command(command).params for name in one.opts}, command


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """Return the files and folders that the commands read, and a name that is free."""
    folder = tmp_path / "given"
    folder.mkdir()
    photo_models.load(folder, "detection")
    photo_models.load(folder, "segmentation")
    export_tflite(colour_network(), folder / "colours.tflite")
    return {
        "foreign": folder / "colours.tflite",
        "model": save_colour_model(folder / "colours.safetensors"),
        "detector": folder / "detection.safetensors",
        "segmenter": folder / "segmentation.safetensors",
        "photo": save_photo(folder / "lake.png", "blue"),
        "classes": make_photos(folder / "classes", dict.fromkeys(LABELS, 6)),
        "spare": tmp_path / "spare.safetensors",
    }


def make_old(there: Path, model: Path) -> None:
    """Make the output that a command finds. The input of a command that changes it is a model."""
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(model.read_bytes() if there.stem == "copy" else b"mine")


@pytest.mark.filterwarnings("ignore:.*photos have the bytes")
@pytest.mark.parametrize(("name", "option", "output"), WRITING)
def test_an_output_that_exists_is_refused(
    name: str, option: str, output: str, given: dict[str, Path], tmp_path: Path, command: Command
) -> None:
    there = tmp_path / output
    make_old(there, given["model"])
    named = there.parent if output.startswith("out/") else there
    call = [name, *WRITING[name, option, output].format(out=there, **given).split()]
    call += [option, str(named)] if option else []
    before = content_of(tmp_path)
    refused = command(*call)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert (
        refused.stderr == f"error: {there}: exists already, so nothing is computed; --overwrite replaces it\n"
    )
    assert content_of(tmp_path) == before
    replaced = command(*call, "--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    after = content_of(tmp_path)
    assert {file for file in before if after.get(file) != before[file]} == {
        file for file in before if not file.startswith("given/")
    }


@pytest.mark.parametrize("suffix", ["mlpackage", "aimodel"])
def test_a_model_that_is_a_folder_is_refused(
    suffix: str, given: dict[str, Path], tmp_path: Path, command: Command
) -> None:
    """Replacing one is tested in tests/python/registry/test_replaced_files.py, since writing one takes seconds."""
    there = tmp_path / f"written.{suffix}"
    there.mkdir()
    (there / "part").write_text("mine")
    refused = command("convert", str(given["model"]), str(there))
    assert refused.returncode == 2
    assert "exists already, so nothing is computed; --overwrite replaces it" in refused.stderr
    assert content_of(there) == {"part": b"mine"}


def test_a_folder_or_device_is_not_said_to_be_replaced(given: dict[str, Path], command: Command) -> None:
    """No command replaces them, so `--overwrite` would not help."""
    folder = given["model"].parent / "folder.safetensors"
    folder.mkdir()
    for output in (folder, Path("/dev/null")):
        refused = command("profile", str(given["model"]), "--runs", "1", "--trace", str(output))
        assert "exists already" not in refused.stderr
        assert f"{output}: cannot be written: " in refused.stderr


def test_python_replaces_as_numpy_does(given: dict[str, Path]) -> None:
    """The functions that write are in the table of tests/python/registry/test_replaced_files.py."""
    model = mpscnn.load(given["model"])
    model.labels = ["a", "b", "c"]
    model.save(given["model"])
    assert mpscnn.load(given["model"]).labels == ["a", "b", "c"]
