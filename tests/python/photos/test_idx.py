"""Test IDX files: supported files and errors."""

from __future__ import annotations

import gzip
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mpscnn
from mpscnn.vision.idx import read_labelled


def idx(kind: int, shape: tuple[int, ...], content: bytes) -> bytes:
    """Return a file with this header and content, which need not match."""
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


def images(count: int = 3) -> bytes:
    return idx(8, (count, 2, 4), bytes(i % 256 for i in range(8 * count)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(8, "u1"), (9, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")],
)
def test_every_type(tmp_path: Path, pack: type[bytes], kind: int, dtype: str) -> None:
    expected = np.arange(-30, 30).astype(dtype).reshape(5, 4, 3)
    big_endian = expected.astype(expected.dtype.newbyteorder(">")).tobytes()
    (tmp_path / "file").write_bytes(pack(idx(kind, (5, 4, 3), big_endian)))
    array = mpscnn.read_idx(tmp_path / "file")
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.flags.writeable
    np.testing.assert_array_equal(array, expected)


def test_one_dimension_and_no_elements(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(idx(8, (3,), b"\7\0\11"))
    assert mpscnn.read_idx(str(tmp_path / "labels")).tolist() == [7, 0, 9]
    (tmp_path / "none").write_bytes(gzip.compress(idx(8, (0, 28, 28), b"")))
    assert mpscnn.read_idx(tmp_path / "none").shape == (0, 28, 28)


WRONG = {
    "empty": (b"", "is not an IDX file: it begins with nothing"),
    "short": (b"\0\0\10", "is not an IDX file"),
    "other": (b"\x89PNG\r\n", "is not an IDX file: it begins with 89 50 4e 47 instead of 00 00"),
    "type": (idx(7, (3,), b"123"), r"a type \(08, 09, 0b, 0c, 0d, 0e\)"),
    "rank": (b"\0\0\10\0" + b"1", "is not an IDX file"),
    "header": (b"\0\0\10\3\0\0\0\1", "3 dimensions need a header of 16 bytes, the file has 8"),
    "cut": (images()[:-5], "3 x 2 x 4 elements of 1 bytes, 24 bytes in all, but 19 follow"),
    "longer": (images() + b"!", "but more follow"),
    "huge": (idx(8, (0xFFFFFFFF,) * 3, b"123"), "bytes in all, but 3 follow"),
    "axes": (idx(8, (1,) * 255, b"!"), "the header's 255 extents make no array"),
    "nothing of too much": (idx(8, (0, *(0xFFFFFFFF,) * 3), b""), "the header's 4 extents make no array"),
    "gz trailing": (gzip.compress(images()) + b"rest", "4 bytes follow its gzipped content"),
    "gz twice": (
        gzip.compress(images()[:20]) + gzip.compress(images()[20:]),
        "bytes follow its gzipped content",
    ),
    "gz cut": (gzip.compress(images(100))[:-9], "is cut off"),
    "gz damaged": (gzip.compress(images(100))[:-8] + b"12345678", "is damaged"),
    "gz short": (gzip.compress(images()[:-5]), "24 bytes in all, but 19 follow"),
    "gz longer": (gzip.compress(images() + bytes(5000)), "but more follow"),
    "gz huge": (gzip.compress(idx(8, (0xFFFFFFFF,) * 3, b"123")), "more than [0-9]+ gzipped ones can hold"),
    "gz other": (gzip.compress(b"text"), "is not an IDX file"),
    "gz nothing": (b"\x1f\x8b", "is not an IDX file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_headers_that_lie(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(mpscnn.ImageError, match=message) as raised:
        mpscnn.read_idx(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_small_file_does_not_become_a_huge_one(tmp_path: Path) -> None:
    """A gzipped file is not unpacked beyond the length in its header."""
    (tmp_path / "bomb").write_bytes(gzip.compress(idx(8, (4,), bytes(100_000_000)), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(mpscnn.ImageError, match="more follow"):
        mpscnn.read_idx(tmp_path / "bomb")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.ImageError, match=r"nowhere: cannot be read: No such file"):
        mpscnn.read_idx(tmp_path / "nowhere")
    with pytest.raises(mpscnn.ImageError, match="cannot be read"):
        mpscnn.read_idx(tmp_path)
    with pytest.raises(mpscnn.ImageError, match="null"):
        mpscnn.read_idx("a\0b")


def test_images_and_labels_belong_together(tmp_path: Path) -> None:
    files = {
        "images": images(),
        "labels": idx(8, (3,), b"\1\2\3"),
        "other": idx(8, (4,), b"\1\2\3\4"),
        "signed": idx(9, (3,), b"\1\2\3"),
        "none": idx(8, (0, 2, 4), b""),
    }
    paths = {name: tmp_path / name for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content)
    pixels, labels = read_labelled(paths["images"], paths["labels"])
    assert labels is not None
    assert (pixels.shape, labels.tolist()) == ((3, 2, 4), [1, 2, 3])
    assert math.prod(read_labelled(paths["images"], None)[0].shape) == 24
    for chosen, message in {
        ("images", "other"): r"other: 4 labels for the 3 images of .*images$",
        ("images", "signed"): r"signed: expected labels \(n,\) of uint8, got \(3,\) of int8",
        ("images", "images"): r"images: expected labels",
        ("labels", "labels"): r"labels: expected images \(n, height, width\) of uint8, got \(3,\) of uint8",
        ("none", None): r"none: expected images",
    }.items():
        with pytest.raises(mpscnn.ImageError, match=message):
            read_labelled(paths[chosen[0]], None if chosen[1] is None else paths[chosen[1]])
