"""Fuzz the reader of PyTorch's state dicts in zip, older and safetensors files."""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from mutation import mutated

from mpscnn.converters.reading.pytorch.state_dict import read_state_dict

sys.path.append(str(Path(__file__).parent.parent))
from converters.torch_writer import (  # type: ignore[import-not-found]
    FORMS,
    Raw,
    Storages,
    safetensors_file,
    state_dict_file,
    view,
)

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_ARRAYS = {
    "conv.weight": np.ones((4, 3, 3, 3), np.float32),
    "conv.bias": np.arange(4, dtype=np.float16),
    "norm.num_batches_tracked": np.array(7, np.int64),
    "empty": np.zeros((0, 3)),
}
_TOKENS = (b"\x8a\xff", b"h\0", b"q\0", b"(", b"t", b"u", b"}", b"]", b"\x85", b"R", b"Q", b"ctorch\nSize\n")


def _seeds() -> list[bytes]:
    return [*(state_dict_file(_ARRAYS, form) for form in FORMS), safetensors_file(_ARRAYS)]


def _large(random: Random) -> bytes:
    """Return a file with many keys, objects or tensors. They may be equal or share storages."""
    storages = Storages()
    count, size = random.choice((1, 100, 3_000, 30_000)), random.choice((1, 1_000, 100_000))
    kind = random.randrange(5)
    if kind == 0:
        shared = storages.storage(np.zeros(size, np.float32))
        return FORMS["zip"](
            {f"w{i}": view(shared, 0, (size,), (1,)) for i in range(min(count, 100))}, storages
        )
    if kind == 1:  # a dict whose keys are integers, whose hashes may collide
        step, width = random.choice((1, 2**32, 2**61 - 1)), 10
        keys = (((i + 1) * step).to_bytes(width, "little") for i in range(count))
        code = b"}(" + b"".join(b"\x8a\x0a" + key + b"N" for key in keys) + b"u"
    elif kind == 2:  # a dict whose keys are strings
        keys = (struct.pack("<I", 8) + b"%08d" % (i % random.choice((7, count))) for i in range(count))
        code = b"}(" + b"".join(b"X" + key + b"N" for key in keys) + b"u"
    elif kind == 3:  # nested tuples
        code = b"(" * count + b"t" * count
    else:  # entries at large indices of the pickle's memo
        code = b"]" + b"".join(b"r" + struct.pack("<I", i * 2**20 % 2**32) for i in range(count))
    return FORMS[random.choice(list(FORMS))](Raw(code), storages)


def _mutate(data: bytes, random: Random) -> bytes:
    if random.random() < 0.2:
        data = _large(random)
        if random.random() < 0.7:
            return data
    return mutated(data, random, tokens=_TOKENS)


def _read(data: bytes) -> None:
    is_pickle = data[:1] in (b"P", b"\x80")
    path = _FOLDER / ("file.pth" if is_pickle else "file.safetensors")
    path.write_bytes(data)
    state = read_state_dict(path)
    for name in state:
        if state.shape(name) and name != "norm.num_batches_tracked":
            state.array(name)


# An object that takes a byte in the file takes some 100 bytes in Python.
TARGET = Target(_seeds, _read, _mutate, limits=Limits(seconds_per_byte=10e-6, memory_per_byte=300))
