"""Test the decompression of blocks of a checkpoint's index: all kinds of elements, and damaged blocks."""

from __future__ import annotations

import pytest
from converters.tensorflow_writer import table

import mpscnn
from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.opening.varints import encode as varint
from mpscnn.converters.reading.tensorflow.snappy import decompress
from mpscnn.converters.reading.tensorflow.table import entries

#: Damaged blocks of Snappy: the length of the content, and elements.
DAMAGED_BLOCKS = {
    "nothing": b"",
    "a length that does not end": b"\xff",
    "a length that no block has": b"\xff\xff\xff\xff\x0f\x00a",
    "too few bytes": b"\x05\x00a",
    "too many bytes": b"\x01\x04ab",
    "a literal that ends late": b"\x05\x10ab",
    "a length of a literal that ends late": b"\x05\xf4\x01",
    "a copy of nothing": b"\x05\x00a\x01\x00",
    "a copy from before the beginning": b"\x05\x00a\x01\x02",
    "an offset that ends late": b"\x05\x00a\x0e\x01",
    "no offset": b"\x05\x00a\x01",
}


@pytest.mark.parametrize("block", DAMAGED_BLOCKS.values(), ids=DAMAGED_BLOCKS)
def test_damaged_compressed_blocks(block: bytes) -> None:
    with pytest.raises(mpscnn.WeightsError, match="a compressed block of the index"):
        decompress(block)


def test_elements_of_compressed_blocks() -> None:
    """Literals and copies of all lengths of their lengths and offsets; a copy may overlap with its own result."""
    long = bytes(range(256)) * 300
    for width in range(1, 4):
        text = long[: {1: 100, 2: 60_000, 3: 70_000}[width]]
        element = bytes([59 + width << 2]) + (len(text) - 1).to_bytes(width, "little") + text
        assert decompress(varint(len(text)) + element) == text
    assert decompress(b"\x0b\x04ab\x15\x02") == b"abababababa"
    for kind, width in ((2, 2), (3, 4)):
        element = bytes([9 << 2 | kind]) + (3).to_bytes(width, "little")
        assert decompress(b"\x0d\x08abc" + element) == b"abcabcabcabca"


def test_small_indexes_do_not_become_large() -> None:
    """A copy of 64 bytes takes three, so a small file could have many entries, or long values."""
    names = [bytes([1 + i // 65536, i // 256 % 256, i % 256]) for i in range(20_000)]
    many = table([(name, b"") for name in names], per_block=1000, compression=1)
    with pytest.raises(mpscnn.WeightsError, match=r"damaged: \d+ entries with \d+ bytes of names"):
        list(entries(MemoryBytes(many)))
    long = table([(b"a", bytes(20_000))], compression=1)
    with pytest.raises(mpscnn.WeightsError, match="has more than 8 times its size when it is unpacked"):
        list(entries(MemoryBytes(long)))
    plain = table([(name, b"") for name in names], per_block=700)
    assert len(list(entries(MemoryBytes(plain)))) == len(names)
