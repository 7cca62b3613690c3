"""Draw small models of several files, with extreme numbers in one of the files.

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

import numpy as np
from extreme_messages import change

from mpscnn.converters.file_bytes import FileBytes
from mpscnn.converters.tensorflow.table import entries

sys.path.append(str(Path(__file__).parent.parent))
from converters.coreml_writer import Program  # type: ignore[import-not-found]
from converters.mil_text import compiled
from converters.protobuf_messages import coreml_model, tensorflow_message
from converters.tensorflow_writer import Graph, save_model, save_web_graph, set_shape, table

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


def _program() -> Program:
    """Return a program with weights in the file of weights, and a constant that states one number for all elements."""
    made = Program({"x": (1, 4)})
    made.constant("w", np.ones((5, 4), np.float32).tobytes(), kind=11, stored=2, shape=(5, 4))
    made.add("linear", "a", x="%x", weight="%w")
    made.add("fill", "b", shape=[1, 6], value=np.float32(0.5))
    made.add("fill", "c", shape=[7, 1], value=np.float32(0.5))
    made.add("matmul", "d", x="%c", y="%b", transpose_x=False, transpose_y=False)
    made.add("reshape", "e", x="%d", shape=[1, 42])
    made.add("concat", values=("%a", "%e"), axis=1)
    return made


def _graph(variable: str | None) -> Graph:
    """Return a graph with weights, and a constant that states one number for all elements."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 8, 3)
    filters = np.ones((2, 2, 3, 4), np.float32)
    weights = graph.node("ReadVariableOp", variable) if variable else graph.constant(filters)
    made = graph.node("Conv2D", image, weights, strides=[1, 1, 1, 1], padding="VALID")
    filled = graph.constant(np.float32(0.5))
    (tensor,) = (one.value.tensor for one in graph.message.node[-1].attr if one.key == "value")
    tensor.ClearField("tensor_content")
    tensor.float_val.append(0.5)
    set_shape(tensor.tensor_shape, [1, 5, 7, 4])
    total = graph.node("Sum", graph.node("Tile", filled, graph.constant([1, 1, 1, 2])), graph.constant(3))
    graph.node("AddV2", made, graph.node("ExpandDims", total, graph.constant(3)), name="result")
    return graph


def save_package(folder: Path) -> object:
    return _program().saved(folder / "extreme.mlpackage")


def save_compiled(folder: Path) -> object:
    inputs = [{"name": "photo", "type": "Image", "colorspace": "RGB", "width": "8", "height": "6"}]
    return compiled(_program(), folder / "extreme.mlmodelc", new=False, inputs=inputs)


def save_saved_model(folder: Path) -> object:
    graph = _graph("kernel")
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    kernel = {"kernel": np.ones((2, 2, 3, 4), np.float32)}
    return save_model(folder / "extreme", graph, {"image": "image"}, {"result": "result"}, kernel)


def save_web_model(folder: Path) -> object:
    (folder / "extreme").mkdir()
    return save_web_graph(folder / "extreme" / "model.json", _graph(None))


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
