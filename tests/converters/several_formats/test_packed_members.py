"""The members of zip archives are unpacked in memory in proportion to the sizes that the archive states."""

from __future__ import annotations

import ast
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from converters.tflite_writer import write_metadata

import mpscnn
from mpscnn._private.zip_members import member_pieces
from mpscnn.converters.reading.coreai.archive import unpacked
from mpscnn.converters.reading.keras.file import read_keras
from mpscnn.converters.reading.tflite.metadata import read_metadata
from mpscnn.training.array_archive import read_arrays

METHODS = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_UNPACKED = bytes(12_000_000)


def _coreai(path: Path) -> None:
    with unpacked(path):
        pass


#: For each kind of archive: its name, the member that is read, and its reader.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a.keras": ("config.json", read_keras),
    "a.aimodel.zip": ("main.mlirb", _coreai),
    "a.npz": ("a.npy", lambda path: read_arrays(path, lambda name: True)),
    "a.tflite": ("labels.txt", lambda path: read_metadata(write_metadata([0.0], [1.0], "labels.txt"), path)),
}


def _write(path: Path, member: str, method: int) -> None:
    """Write an archive that states 100 bytes for a member that unpacks to 12 MB."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(member, _UNPACKED)
        archive.getinfo(member).file_size = 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", READERS)
def test_no_more_is_unpacked_than_an_archive_states(name: str, method: int, tmp_path: Path) -> None:
    member, read = READERS[name]
    path = tmp_path / name
    _write(path, member, method)
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.WeightsError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 9_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dictionary", [0, 1 << 20, (1 << 32) - 1])
def test_a_dictionary_is_no_larger_than_its_member(dictionary: int, tmp_path: Path) -> None:
    path, content = tmp_path / "a.zip", bytes(range(256)) * 10
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", content)
    stored = bytearray(path.read_bytes())
    struct.pack_into("<I", stored, 30 + len("a") + 5, dictionary)
    path.write_bytes(stored)
    tracemalloc.start()
    try:
        with zipfile.ZipFile(path) as archive:
            assert b"".join(member_pieces(archive, archive.getinfo("a"))) == content
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def _runs(size: int) -> bytes:
    """Return random bytes, each 300 times, which all methods pack quickly."""
    random = np.random.default_rng(0).integers(256, size=size // 300 + 1, dtype=np.uint8)
    return random.repeat(300)[:size].tobytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, *METHODS])
@pytest.mark.parametrize("size", [0, 1, 1_200_001])
def test_members_are_what_was_packed(method: int, size: int, tmp_path: Path) -> None:
    path, content = tmp_path / "a.zip", _runs(size)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("before", b"other")
        archive.writestr("a", content)
    with zipfile.ZipFile(path) as archive:
        pieces = list(member_pieces(archive, archive.getinfo("a")))
        assert b"".join(pieces) == content
        assert max(map(len, pieces), default=0) <= 1 << 20
        for change in (-1, 1):
            entry = archive.getinfo("a")
            entry.file_size = len(content) + change
            if entry.file_size >= 0 and method != zipfile.ZIP_STORED:
                with pytest.raises((zipfile.BadZipFile, EOFError)):
                    list(member_pieces(archive, entry))


@pytest.mark.parametrize("name", READERS)
def test_other_methods_are_refused(name: str, tmp_path: Path) -> None:
    """93 is Zstandard, which newer Pythons unpack without a limit."""
    member, read = READERS[name]
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"{}")
        archive.getinfo(member).compress_type = 93
    with pytest.raises(mpscnn.Error, match="packed by the method 93 of zip archives, which is not supported"):
        read(path)


def test_all_members_are_read_by_one_function() -> None:
    """The other functions of zipfile that read members have no limit for some methods."""
    root = Path(mpscnn.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        text = path.read_text("utf-8")
        if "import zipfile" not in text:
            continue
        for call in ast.walk(ast.parse(text)):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Name)
                and call.func.value.id == "archive"
                and call.func.attr in ("open", "read", "extract", "extractall", "testzip")
                and "w" not in [one.value for one in call.args if isinstance(one, ast.Constant)]
            ):
                found.add(path.name)
    assert found == {"zip_members.py"}
