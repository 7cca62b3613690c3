"""Test that every command and function that reads a folder tells which files it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Command, save_colour_model, save_photo
from constant_detector import save_constant_detector

import mpscnn
from mpscnn import ImageError
from mpscnn._private.installation import install_command
from mpscnn.apps.video.source import open_source
from mpscnn.vision import photo_formats

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
WARNING = f"3 files are left out: 2 .heic, 1 .txt. HEIC needs pillow-heif: {install_command('heic')}"


@pytest.fixture(autouse=True)
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test as if pillow-heif were not installed."""
    from PIL import Image

    monkeypatch.setattr(photo_formats, "FORMATS", {**photo_formats.FORMATS, "HEIF": "no_such_module"})
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    for suffix in (suffix for suffix, name in Image.EXTENSION.copy().items() if name == "HEIF"):
        monkeypatch.delitem(Image.EXTENSION, suffix)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("red", "green"):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            save_photo(folder / name / f"{i}.png", name)
    for name in ("red/a.HEIC", "green/b.heic"):
        (folder / name).write_bytes(HEIC)
    (folder / "green" / "notes.txt").touch()
    (folder / "green" / ".hidden").touch()
    return folder


@pytest.mark.filterwarnings("default::RuntimeWarning")  # as in a process of its own
@pytest.mark.parametrize(
    "arguments",
    [
        "classify {photos} --model {colours}",
        "detect {photos} --model {detector}",
        "features {photos} --model {colours} --layers pool --output {out}.npz",
        "digits {photos}",
        "evaluate {photos} --model {colours}",
        "train {photos} --trained-layers 0 --views 1 --output {out}.safetensors",
        "quantize {colours} --images {photos} --output {out}.safetensors",
        "compare-precisions {colours} --images {photos}",
        "check-precision {colours} --images {photos}",
        "classify {photos} --model {colours} --every 2",
    ],
)
def test_commands_tell_it_once(command: Command, photos: Path, tmp_path: Path, arguments: str) -> None:
    names = {
        "photos": photos,
        "out": tmp_path / "out",
        "colours": save_colour_model(tmp_path / "colours.safetensors"),
        "detector": save_constant_detector(tmp_path / "detector.safetensors"),
    }
    ended = command(*(part.format(**names) for part in arguments.split()))
    assert ended.stderr.count("left out") == 1, ended.stderr
    assert f"warning: {photos}: {WARNING}\n" in ended.stderr


@pytest.mark.parametrize(
    "read", [lambda folder: mpscnn.ImageFolder(folder, size=8), lambda folder: open_source(str(folder))]
)
def test_functions_tell_it_once(photos: Path, read: Callable[[Path], Any]) -> None:
    with pytest.warns(RuntimeWarning) as told:
        read(photos)
    assert [str(warning.message) for warning in told] == [f"{photos}: {WARNING}"]


def test_a_class_of_such_files_only_is_an_error_that_names_them(photos: Path) -> None:
    for photo in (photos / "red").glob("*.png"):
        photo.unlink()
    with pytest.raises(ImageError, match=r"no photo in 'red'; .* 1 file is left out: 1 \.heic\. HEIC needs"):
        mpscnn.ImageFolder(photos)


def test_a_folder_of_such_files_only_is_an_error_that_names_them(command: Command, photos: Path) -> None:
    for photo in (photos / "red").glob("*.png"):
        photo.unlink()
    ended = command("classify", str(photos / "red"))
    assert ended.returncode == 1
    assert (
        "the folder has no photos in it, nor have its subfolders; 1 file is left out: 1 .heic. HEIC"
        in ended.stderr
    )


def test_classes_without_photos_are_one_error_of_an_evaluation(command: Command, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    ended = command("evaluate", str(tmp_path), "--model", "cifar10_mobilenet_v2")
    assert ended.stderr.count(f"{tmp_path}: no photo in '0', '1', '2', '3'") == 1


def test_such_a_file_next_to_the_classes_is_refused_like_a_photo(photos: Path) -> None:
    (photos / "a.heic").write_bytes(HEIC)
    with pytest.raises(ImageError, match=r"'a\.heic' lies next to the folders of the classes"):
        mpscnn.ImageFolder(photos)


def test_a_heic_photo_alone_names_the_package(photos: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.HEIC: is a HEIC file\. HEIC needs pillow-heif: pip install '"):
        mpscnn.open_photo(photos / "red" / "a.HEIC")


def test_many_suffixes_are_summed_up(tmp_path: Path) -> None:
    for number, suffix in enumerate("abcdefg"):
        for i in range(number + 1):
            (tmp_path / f"{i}.{suffix}").touch()
    (tmp_path / "readme").touch()
    with pytest.raises(
        ImageError, match=r"29 files are left out: 7 \.g, 6 \.f, 5 \.e, 4 \.d, 3 \.c, 4 with other"
    ):
        open_source(str(tmp_path))
