"""Test the bytes that a process of another engine sends: damaged ones cause a WeightsError."""

from __future__ import annotations

import contextlib
import random
import struct

import numpy as np
import pytest

from mpscnn.comparison.packed import pack, unpack
from mpscnn.errors import WeightsError

ARRAYS = [
    np.ones((2, 3), np.float32),
    np.arange(4),
    np.zeros((0, 5), np.float16),
    np.array(True),
    np.float64(2.0),
]


def test_what_is_packed_is_unpacked() -> None:
    texts, arrays = unpack(pack({"names": ["a", "b"]}, [np.asarray(one) for one in ARRAYS]))
    assert texts == {"names": ["a", "b"]}
    for found, packed in zip(arrays, ARRAYS, strict=True):
        assert found.dtype == np.asarray(packed).dtype
        np.testing.assert_array_equal(found, packed)
        assert found.shape == np.shape(packed)


def test_damaged_bytes_are_refused() -> None:
    whole = pack({"names": ["a"]}, [np.asarray(one) for one in ARRAYS])
    generator = random.Random(1)
    for _ in range(2_000):
        content = bytearray(whole)
        for _ in range(generator.randint(1, 3)):
            place = generator.randrange(len(content))
            if generator.random() < 0.7:
                content[place] = generator.randrange(256)
            else:
                content[place:place] = generator.choice([b"9", b"[", b'"', b"-", b"e", b", "])
        with contextlib.suppress(WeightsError):
            unpack(bytes(content))


@pytest.mark.parametrize(
    "head",
    [
        b"[" * 100_000,
        b'{"texts": {}, "forms": [["O", []]]}',
        b'{"texts": {}, "forms": [["f4, f4", []]]}',
        b'{"texts": {}, "forms": [["<f4", [1e3]]]}',
        b'{"texts": {}, "forms": [["<f4", [1000000000000, 1000000000000]]]}',
    ],
)
def test_heads_that_ask_for_more(head: bytes) -> None:
    with pytest.raises(WeightsError, match="damaged results"):
        unpack(struct.pack("<Q", len(head)) + head)
