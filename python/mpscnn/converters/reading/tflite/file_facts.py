"""Say what a TensorFlow Lite file offers to an app: the names, types and extents of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.files import exists
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.array_text import MAX_SHOWN, array_text
from mpscnn.converters.reading.tflite.file import read_tflite


def tflite_facts(path: Path) -> list[tuple[str, str]]:
    """Return names and texts of facts about a TensorFlow Lite file; none for other files.

    Raises WeightsError if the file is damaged.
    """
    if path.suffix.lower() != ".tflite" or not exists(path):
        return []
    file = read_tflite(path)

    def texts(numbers: tuple[int, ...]) -> str:
        shown = (file.tensors[number] for number in numbers[:MAX_SHOWN])
        return ", ".join(
            f"{quote_name(one.name)} ({array_text(one.extents, one.dtype.name)})" for one in shown
        )

    return [("app input", texts(file.inputs)), ("app output", texts(file.outputs))]
