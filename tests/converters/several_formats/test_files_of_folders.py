"""Test models that are folders of files, when one of the files cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from converters.folder_models import save_compiled, save_package, save_saved_model, save_web_model

import mpscnn
from mpscnn import converters


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("put", [_link_to_itself, _link_to_nothing, _folder, _pipe])
@pytest.mark.parametrize("save", [save_package, save_compiled, save_saved_model, save_web_model])
def test_each_file_is_needed(
    save: Callable[[Path], Path], put: Callable[[Path], None], tmp_path: Path
) -> None:
    model = save(tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    converters.read_network(model)
    assert len(files) > 1
    for path in files:
        content = path.read_bytes()
        path.unlink()
        put(path)
        with pytest.raises(mpscnn.Error, match=r"model|shard"):
            mpscnn.load(model)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize("put", [_link_to_itself, _link_to_nothing, _folder, _pipe])
@pytest.mark.parametrize("save", [save_package, save_compiled])
def test_other_files_are_not(
    save: Callable[[Path], Path], put: Callable[[Path], None], tmp_path: Path
) -> None:
    model = save(tmp_path)
    (weights,) = tmp_path.rglob("weight.bin")
    put(weights.parent / "other.bin")
    converters.read_network(model)
    mpscnn.load(model)


@pytest.mark.parametrize("make", [_folder, _link_to_itself, _link_to_nothing, _pipe])
@pytest.mark.parametrize("name", ["model.mlmodelc/model.mil", "model.aimodel/main.mlirb"])
def test_a_program_that_is_no_file_is_not_called_missing(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    make(path)
    for read in (lambda: converters.read_network([path.parent]), lambda: mpscnn.load(path.parent)):
        with pytest.raises(mpscnn.WeightsError, match=f"{path.name} is not a file: copy the whole folder"):
            read()
