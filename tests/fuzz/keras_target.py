"""Fuzz the reader of Keras models, .h5 and .keras (`mpscnn.converters.read_network`)."""

from __future__ import annotations

import io
import struct
import sys
import tempfile
import zipfile
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from mutation import INTERESTING, mutated

from mpscnn import converters
from mpscnn.converters.opening.archives import ARCHIVE_ERRORS

sys.path.append(str(Path(__file__).parent.parent))
from converters.keras_writer import (  # type: ignore[import-not-found]
    functional,
    image,
    layer,
    write_h5,
    write_keras,
)

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_MODEL = functional(
    [
        image(8, 8, 3),
        layer("Conv2D", "conv", "image", filters=4, kernel_size=[3, 3], use_bias=False, padding="same"),
        layer("ReLU", "relu", "conv"),
        layer("GlobalAveragePooling2D", "pool", "relu"),
        layer("Dense", "dense", "pool", units=2, use_bias=False),
    ]
)
_KERNEL, _DENSE = np.ones((3, 3, 3, 4), np.float32), np.ones((4, 2), np.float32)
_TOKENS = (
    b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b'"inbound_nodes": []', b'{"class_name": "ReLU"}',
    b'"axis": [-1]', b'"axes": [1, 2]', b'"dims": [2, 1]', b"abc,cd->abd", b"MultiHeadAttention",
    b"EinsumDense", b"LayerNormalization", b"1e999",
)  # fmt: skip

_ONES = np.ones((4, 2, 3), np.float32)
_ATTENTION = functional(
    [
        image(5, 4),
        layer("LayerNormalization", "norm", "image", axis=[-1]),
        layer("MultiHeadAttention", "heads", "norm", "norm", num_heads=2, key_dim=3, use_bias=False),
        layer("EinsumDense", "sums", "heads", equation="abc,cd->abd", output_shape=[5, 6]),
        layer("Permute", "turned", "sums", dims=[2, 1]),
        layer("RMSNormalization", "scaled", "turned", axis=-1),
        layer("Dot", "products", "scaled", "scaled", axes=[2, 2], normalize=True),
        layer("Softmax", "shares", "products", axis=1),
        layer("UnitNormalization", "unit", "shares", axis=1),
        layer("AdaptiveAveragePooling1D", "pooled", "unit", output_size=2),
    ]
)
_ATTENTION_WEIGHTS = {
    "layers/layer_normalization": [np.ones(4, np.float32), np.zeros(4, np.float32)],
    **{f"layers/multi_head_attention/{part}_dense": [_ONES] for part in ("query", "key", "value")},
    "layers/multi_head_attention/output_dense": [np.ones((2, 3, 4), np.float32)],
    "layers/einsum_dense": [np.ones((4, 6), np.float32)],
    "layers/rms_normalization": [np.ones(5, np.float32)],
}


def _seeds() -> list[bytes]:
    old, new = _FOLDER / "seed.h5", _FOLDER / "seed.keras"
    write_h5(old, _MODEL, {"conv": {"conv/kernel": _KERNEL}, "dense": {"dense/kernel": _DENSE}})
    write_keras(new, _MODEL, {"layers/conv2d": [_KERNEL], "layers/dense": [_DENSE]})
    newer = _FOLDER / "newer.keras"
    write_keras(newer, _ATTENTION, _ATTENTION_WEIGHTS)
    return [old.read_bytes(), new.read_bytes(), newer.read_bytes()]


def _mutate(data: bytes, random: Random) -> bytes:
    if data.startswith(b"PK") and random.random() < 0.8:
        return _packed_again(data, random)
    if random.random() < 0.5:  # change an 8-byte number that may be an address or a size
        places = [
            at
            for at in range(0, len(data) - 8, 8)
            if 0 < int.from_bytes(data[at : at + 8], "little") < len(data)
        ]
        if places:
            at = random.choice(places)
            value = random.choice((random.choice(places), *INTERESTING))
            return data[:at] + struct.pack("<Q", value) + data[at + 8 :]
    return mutated(data, random, tokens=_TOKENS)


def _packed_again(data: bytes, random: Random) -> bytes:
    """Change a file in the zip archive. The archive is written again, so its checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except ARCHIVE_ERRORS:
        return mutated(data, random)
    name = random.choice(list(members) or ["config.json"])
    members[name] = mutated(members.get(name, b""), random, tokens=_TOKENS)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def _read(data: bytes) -> None:
    path = _FOLDER / ("file.keras" if data.startswith(b"PK") else "file.h5")
    path.write_bytes(data)
    converters.read_network([path], size=(8, 8) if len(data) % 3 == 0 else None)


# Compressed members may expand to 16 times the file's size, and JSON takes some 30 bytes for each byte of text.
TARGET = Target(_seeds, _read, _mutate, limits=Limits(seconds_per_byte=40e-6, memory_per_byte=1_500))
