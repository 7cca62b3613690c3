"""Test `mpscnn cache`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import Command

from mpscnn.registry.cache_content import CACHES

PROJECT = Path(__file__).resolve().parents[3]
HASH = "0123456789abcdef"
#: A file of each cache, as mpscnn names it.
FILES = {
    "models": f"{HASH * 4}-v12-apart.safetensors",
    "sources": f"{HASH}/model.tflite",
    "urls": f"{HASH}/photo.jpg",
    "hub": f"owner--name/{HASH}/{HASH}/model.onnx",
    "precisions": f"{HASH * 2}.json",
    "metal_kernels": f"{HASH * 2}.json",
    "self_check": f"networks/{HASH}.txt",
    "coreml": f"{HASH * 2}/network.mlpackage/Manifest.json",
}
#: Files that stay: those of other programs, and locks, for which other processes may wait.
OTHERS = (
    f"hub/models--owner--name/snapshots/{HASH}/model.onnx",
    "models/my.safetensors",
    f"coreml/{HASH * 2}.lock",
    f"sources/{HASH}/model.tflite.lock",
    "notes.txt",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*(f"{cache}/{file}" for cache, file in FILES.items()), *OTHERS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(1000))
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    return tmp_path


def test_every_folder_of_the_cache_is_listed() -> None:
    written = {"self_check"}  # by the C++ part, core/cache_directory.cpp
    for source in (PROJECT / "python").rglob("*.py"):
        written |= set(re.findall(r'cache_directory\(\)\s*/\s*"(\w+)"', source.read_text("utf-8")))
    assert written == {cache.name for cache in CACHES} == set(FILES)


def test_it_lists_each_cache(command: Command, folder: Path) -> None:
    found = json.loads(command("cache", "--json").stdout)
    assert found["path"] == str(folder)
    assert {(row["name"], row["files"], row["bytes"]) for row in found["caches"]} == {
        (name, 1, 1000) for name in FILES
    }
    lines = command("cache", "coreml").stdout.splitlines()
    assert str(folder) in lines[0]
    assert "coreml" in lines[-1]
    assert "models" not in "".join(lines[1:])


@pytest.mark.parametrize("names", [*([name] for name in FILES), []])
def test_it_deletes_the_files_of_a_cache_and_no_other(
    command: Command, folder: Path, names: list[str]
) -> None:
    result = command("cache", *names, "--delete")
    assert result.returncode == 0, result.stderr
    deleted = names or list(FILES)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {*OTHERS, *(f"{name}/{file}" for name, file in FILES.items() if name not in deleted)}
    assert command("cache", *names, "--delete").returncode == 0  # nothing is left


def test_an_empty_cache_has_no_files(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "none"))
    found = json.loads(command("cache", "--json", "--delete").stdout)
    assert {row["files"] for row in found["caches"]} == {0}
    assert not (tmp_path / "none").exists()


def test_an_unknown_cache_is_refused(command: Command, folder: Path) -> None:
    result = command("cache", "coremll", "--delete")
    assert result.returncode != 0
    assert "there is no cache 'coremll'" in result.stderr
    assert "coreml" in result.stderr
    assert (folder / "coreml" / FILES["coreml"]).is_file()
