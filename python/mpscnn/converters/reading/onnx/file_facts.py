"""Say what an ONNX file offers to an app: the names, types and extents of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.files import exists
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.array_text import MAX_SHOWN, array_text
from mpscnn.converters.reading.onnx.file import Described, read_onnx

_ELEMENTS = {"float": "float32", "double": "float64"}


def onnx_facts(path: Path) -> list[tuple[str, str]]:
    """Return names and texts of facts about an ONNX file; none for other files.

    Raises WeightsError if the file is damaged.
    """
    if path.suffix.lower() != ".onnx" or not exists(path):
        return []
    file = read_onnx(path)
    outputs = [file.stated.get(name, Described(name, "", None)) for name in file.outputs]
    return [
        (what, ", ".join(map(_text, described[:MAX_SHOWN])))
        for what, described in (("app input", file.inputs), ("app output", outputs))
    ]


def _text(described: Described) -> str:
    extents, names = described.shape, described.names
    named = (
        [name or extent for name, extent in zip(names, extents, strict=True)]
        if extents and names
        else extents
    )
    kind = array_text(named, _ELEMENTS.get(described.type, described.type))
    return f"{quote_name(described.name)} ({kind})"
