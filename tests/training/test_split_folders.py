"""Test how data sets are recognised that are split into train, val and test."""

from __future__ import annotations

from pathlib import Path

import pytest
from training.photo_classes import make_photos

from mpscnn import ImageError, ImageFolder
from mpscnn.training import split_folders
from mpscnn.training.split_folders import find_splits, require_held_out


def folders(top: Path, *names: str) -> Path:
    """Make folders with a file in each of them."""
    for name in names:
        (top / name).mkdir(parents=True)
        (top / name / "0.png").touch()
    return top


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train/cat", "val/cat", "test/cat"], ("train", "val", "test")),
        (["train/cat", "valid/cat", "test"], ("train", "valid", "test")),
        (["Train/cat", "Validation/cat"], ("Train", "Validation", None)),
        (["training/cat", "testing/cat"], ("training", None, "testing")),
        (["train/cat"], ("train", None, None)),
        (["val/cat", "test/cat"], (None, "val", "test")),
        (["train", "bus"], None),  # photos of trains
        (["train/steam", "bus/red"], None),
        (["train"], None),
        (["cat", "dog"], None),
        (["tests", "trained"], None),
    ],
)
def test_which_folders_are_splits(
    tmp_path: Path, names: list[str], parts: tuple[str | None, ...] | None
) -> None:
    found = find_splits(folders(tmp_path, *names))
    if parts is None:
        assert found is None
    else:
        assert found is not None
        assert [part and part.name for part in (found.train, found.validation, found.test)] == list(parts)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/cat", "val/cat", "bus"],
            "train and val are parts of a split data set, but 'bus' is next to",
        ),
        (["train", "val"], "train and val .* have no folder for each class"),
        (["train/cat", "val/cat", "valid/cat"], "train, val and valid .* two of one kind"),
    ],
)
def test_splits_that_are_not_clear_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        find_splits(folders(tmp_path, *names))


def test_an_image_folder_is_one_split(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        make_photos(tmp_path / part, {"red": 2, "green": 1})
    with pytest.raises(
        ImageError, match=r"is split into train, val and test, .*; pass one of them: .*train$"
    ):
        ImageFolder(tmp_path)
    assert ImageFolder(tmp_path / "train", size=8).labels == ["green", "red"]


def test_splits_within_classes_are_refused(tmp_path: Path) -> None:
    make_photos(tmp_path, {"red": 2, "green": 2})
    folders(tmp_path / "green", "train", "test")
    with pytest.raises(
        ImageError, match="green: test and train are parts of a split data set within a class"
    ):
        ImageFolder(tmp_path)


def test_classes_keep_their_numbers(tmp_path: Path) -> None:
    make_photos(tmp_path / "train", {"blue": 1, "green": 1, "red": 1})
    make_photos(tmp_path / "val", {"blue": 1, "red": 2})
    training, held = ImageFolder(tmp_path / "train", size=8), ImageFolder(tmp_path / "val", size=8)
    assert held.numbered_like(training).targets.tolist() == [0, 2, 2]
    with pytest.raises(ImageError, match="val has no class 'green'"):
        training.numbered_like(held)


def files(folder: Path, **contents: bytes) -> list[str]:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in contents]


def test_copies_of_photos_that_train_are_reported(tmp_path: Path) -> None:
    training = files(tmp_path / "train", a=b"one", b=b"two", c=b"three")
    validation = files(tmp_path / "val", d=b"two", e=b"One", f=b"three")
    with pytest.warns(
        RuntimeWarning, match=r"2 photos have the bytes .*, first '.*val.d' those of '.*train.b'"
    ):
        require_held_out(training, validation)


def test_only_files_of_equal_sizes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = files(tmp_path / "train", a=b"one", b=b"three")
    validation = files(tmp_path / "val", c=b"six", d=b"seventeen")
    read: list[str] = []
    digest = split_folders._digest
    monkeypatch.setattr(split_folders, "_digest", lambda one: (read.append(one.path), digest(one))[1])
    require_held_out(training, validation)  # a warning would be an error
    assert read == [training[0], validation[0]]
