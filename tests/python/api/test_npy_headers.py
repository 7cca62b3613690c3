"""Hostile NumPy files are refused with errors of mpscnn by all that read them, and never with other errors."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mpscnn
from mpscnn.comparison.side_by_side import _given_arrays
from mpscnn.training.array_archive import read_arrays
from mpscnn.training.feature_store import StoredFeatures


def _described(shape: bytes = b"(1,)", descr: bytes = b"'<f4'") -> bytes:
    return b"{'descr': " + descr + b", 'fortran_order': False, 'shape': " + shape + b"}"


HEADERS = {
    "an extent of 4,000 digits": _described(b"(" + b"1" * 4000 + b",)"),
    "no element, but an extent of 4,000 digits": _described(b"(0, " + b"9" * 4000 + b")"),
    "an extent of more digits than Python prints": _described(b"(0x" + b"f" * 9000 + b",)"),
    "signs that Python's parser cannot hold": _described(b"(" + b"-" * 9000 + b"1,)"),
    "a sum that Python's parser cannot hold": _described(b"(" + b"1+" * 4000 + b"1j,)"),
    "brackets without end": b"[" * 9000,
    "4,000 axes": _described(b"(" + b"1," * 4000 + b")"),
    "a truth value": _described(b"(True,)"),
    "nothing": _described(b"(None,)"),
    "a type of types": _described(descr=b"(" * 90 + b"'<f4'" + b",)" * 90),
    "a type of 999,999,999 numbers": _described(descr=b"'(999999999,)f4'"),
    "no header": b"",
}


def _archive(path: Path) -> object:
    packed = path.with_suffix(".npz")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "a.npy")
    return read_arrays(packed, lambda name: True)


READERS: dict[str, Callable[[Path], object]] = {
    "photo": mpscnn.open_photo,
    "archive": _archive,
    "features": lambda path: StoredFeatures(path, np.zeros(1, np.int64), seed=0),
    "compare": lambda path: _given_arrays(path, ()),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("header", HEADERS)
def test_hostile_headers(header: str, reader: str, tmp_path: Path) -> None:
    path, text = tmp_path / "a.npy", HEADERS[header]
    path.write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(4))
    with pytest.raises(mpscnn.Error):
        READERS[reader](path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", "CF")
def test_arrays_are_read_as_numpy_reads_them(version: tuple[int, int], order: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    given = np.asarray(np.arange(24, dtype=">u2").reshape(2, 3, 4), order=order)  # type: ignore[call-overload]
    with path.open("wb") as file:
        np.lib.format.write_array(file, given, version)
    np.testing.assert_array_equal(_archive(path)["a"], given)  # type: ignore[index]
    features = StoredFeatures(path, np.zeros(3, np.int64), seed=0)
    np.testing.assert_array_equal(next(iter(features.batches(3)))[0], given[0])


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_members_with_a_changed_byte(method: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.save(tmp_path / "a.npy", np.arange(64))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(tmp_path / "a.npy", "a.npy")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x7F]) + whole[place + 1 :])
        with contextlib.suppress(mpscnn.WeightsError):
            read_arrays(path, lambda name: True)
