"""Put extreme numbers into one of the files of small models of several files (converters/folder_models.py).

They are Core ML's packages and compiled models, SavedModels, and models of TensorFlow.js.
"""

from __future__ import annotations

import re
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from extreme_messages import change

from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.reading.tensorflow.table import entries

sys.path.append(str(Path(__file__).parent.parent))
from converters.protobuf_messages import (  # type: ignore[import-not-found]
    coreml_model,
    tensorflow_message,
)
from converters.tensorflow_writer import table

Files = dict[str, bytes]
"""The contents of files by their paths."""
Change = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, 3, 1 << 13, 1 << 20, 1 << 24, (1 << 31) - 1, (1 << 63) - 1, 10**30)
_NUMBER = re.compile(rb"(?<!\w)\d+(?!\w)")
_WORD = 8  # bytes of a number in a file of weights


def _changed_text(content: bytes, random: Random) -> bytes:
    """Change a number of a text, or all numbers that are equal to it."""
    found = list(_NUMBER.finditer(content))
    one, new = random.choice(found), str(random.choice(_NUMBERS)).encode()
    if random.random() < 0.5:
        return _NUMBER.sub(lambda other: new if other.group() == one.group() else other.group(), content)
    return content[: one.start()] + new + content[one.end() :]


def _changed_words(content: bytes, random: Random) -> bytes:
    """Change a number of the first headers of a file of weights."""
    place = _WORD * random.randrange(min(len(content), 256) // _WORD)
    new = struct.pack("<Q", random.choice(_NUMBERS[:-1]))
    return content[:place] + new + content[place + _WORD :]


def _changed_message(kind: Any) -> Change:
    def changed(content: bytes, random: Random) -> bytes:
        message = kind()
        message.ParseFromString(content)
        change(message, random)
        return bytes(message.SerializeToString())

    return changed


def _changed_index(content: bytes, random: Random) -> bytes:
    """Change an entry of a checkpoint's index."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        path.write_bytes(content)
        listed = list(entries(FileBytes(path)))
    place = random.randrange(len(listed))
    kind = tensorflow_message("BundleEntry" if place else "BundleHeader")
    listed[place] = (listed[place][0], _changed_message(kind)(listed[place][1], random))
    return bytes(table(listed))


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


_CHANGES: dict[str, Change] = {
    ".json": _changed_text,
    ".mil": _changed_text,
    ".bin": _changed_words,
    ".mlmodel": _changed_message(coreml_model()),
    ".pb": _changed_message(tensorflow_message("SavedModel")),
    ".index": _changed_index,
    ".data-00000-of-00001": _cut,
}


def draws(save: Callable[[Path], object], seed: int, count: int) -> Iterator[tuple[str, Files]]:
    """Yield `count` forms of the model that `save` writes, with their names: the model itself, and changed ones."""
    with tempfile.TemporaryDirectory() as made:
        save(Path(made))
        paths = sorted(path for path in Path(made).rglob("*") if path.is_file())
        files = {str(path.relative_to(made)): path.read_bytes() for path in paths}
    yield "unchanged", files
    for number in range(1, count):
        random = Random(f"{save.__name__}/{seed}/{number}")
        name = random.choice([one for one in files if files[one]])
        yield (
            f"{name}-{seed}-{number}",
            files | {name: _CHANGES[Path(name).suffix](files[name], random)},
        )
