"""Draw small files of weights whose shapes, strides, places and numbers of tensors are extreme.

They are state dicts in the forms of torch.save, safetensors files, and checkpoints of training.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mpscnn.converters.reading.pytorch.state_dict import read_state_dict
from mpscnn.training.checkpoint import _FORMAT

sys.path.append(str(Path(__file__).parent.parent))
from converters.torch_writer import (  # type: ignore[import-not-found]
    FORMS,
    Storages,
    safetensors_file,
    view,
)

_EXTENTS = (0, 1, 1, 2, 3, 4, 8, 1 << 20, 1 << 31, (1 << 48) - 1, -1)
_STRIDES = (0, 1, 1, 2, 8, 1 << 20, (1 << 48) - 1)
_TYPES = ("float32", "float16", "float64", "int64")
_COUNTS = (1, 1, 2, 30, 300)


def _shape(random: Random) -> list[int]:
    return [random.choice(_EXTENTS) for _ in range(random.choice((0, 1, 2, 4, 9)))]


def _stored(random: Random) -> Any:
    return np.zeros(random.choice((0, 1, 64, 4_096, 4_096)), random.choice(_TYPES))


def draw_state_dict(form: str, random: Random) -> bytes:
    """Return a file of torch.save, whose tensors are views of a few storages."""
    storages = Storages()
    known = [storages.storage(_stored(random)) for _ in range(random.choice((1, 2)))]
    tensors, is_sound = {}, random.random() < 0.3
    for number in range(random.choice(_COUNTS)):
        shape = _shape(random) if random.random() < 0.2 else [random.choice((1, 2, 4, 8))]
        strides = [random.choice(_STRIDES) if random.random() < 0.2 else 1 for _ in shape]
        place = random.choice((0, 0, 0, 1, 64, 1 << 40))
        if is_sound:
            shape, strides, place = [1] * len(strides), [1] * len(strides), 0
        tensors[f"l{number}.weight"] = view(random.choice(known), place, tuple(shape), tuple(strides))
    value: Any = tensors
    for _ in range(random.choice((0, 0, 1, 4, 100))):
        value = {"state_dict": value}
    return bytes(FORMS[form](value, storages))


def draw_safetensors(random: Random) -> bytes:
    """Return a safetensors file. Some of its entries state another shape, type or place."""
    arrays = {f"l{number}.weight": _stored(random) for number in range(random.choice(_COUNTS[:4]))}
    changes = {}
    for name in arrays:
        if random.random() < 0.3:
            field = random.choice(("shape", "data_offsets", "dtype"))
            values = {"shape": _shape(random), "data_offsets": [0, random.choice(_EXTENTS)], "dtype": "F64"}
            changes[name] = {field: values[field]}
    return bytes(safetensors_file(arrays, **changes))


def draw_checkpoint(random: Random) -> bytes:
    """Return a checkpoint with arrays whose headers state extreme shapes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        settings = np.frombuffer(json.dumps({"format": _FORMAT}).encode(), np.uint8)
        _write(archive, "settings", "|u1", settings.shape, settings.tobytes(), random)
        for number in range(random.choice(_COUNTS[:4])):
            kind = random.choice(("<f4", "<f4", ">f8", "|u1", "<U1000000", "|O"))
            size = random.choice((0, 4, 4, 8, 1 << 20))
            fits = random.random() < 0.7
            shape = (size // np.dtype(kind).itemsize,) if fits else tuple(_shape(random))
            _write(archive, f"weight:l{number}.weight", kind, shape, bytes(size), random)
    return file.getvalue()


def _write(
    archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...], data: bytes, random: Random
) -> None:
    content = io.BytesIO()
    header = {"descr": kind, "fortran_order": random.random() < 0.5, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)  # type: ignore[no-untyped-call]
    archive.writestr(f"{name}.npy", content.getvalue() + data)


def torch_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield `count` files of torch.save in each form, with their names."""
    for form in FORMS:
        yield from _draws(form, partial(draw_state_dict, form), seed, count)


def safetensors_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield safetensors files with their names."""
    yield from _draws("safetensors", draw_safetensors, seed, count)


def checkpoint_draws(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield checkpoints with their names."""
    yield from _draws("checkpoint", draw_checkpoint, seed, count)


def _draws(form: str, draw: Callable[[Random], bytes], seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        yield f"{form}-{seed}-{number}", draw(Random(f"{form}/{seed}/{number}"))


def read_weights(path: Path) -> object:
    """Read all arrays of a state dict."""
    state = read_state_dict(path)
    return [state.array(name) for name in state]
