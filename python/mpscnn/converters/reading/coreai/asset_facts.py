"""Say what a Core AI asset offers to an app: the names, types and extents of its inputs, and its outputs' names."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.files import is_folder
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.array_text import array_text
from mpscnn.converters.reading.coreai.asset import ASSET, open_asset
from mpscnn.converters.reading.coreai.program import image_type, read_program, tensor_type

_ELEMENTS = {"f32": "float32", "f16": "float16"}


def asset_facts(path: Path) -> list[tuple[str, str]]:
    """Return names and texts of facts about a Core AI asset; none for other files and for archives.

    Raises WeightsError if the asset is damaged.
    """
    if path.suffix.lower() != ASSET or not is_folder(path):
        return []
    from mpscnn.converters.reading.coreai.reader import main_graph  # it imports the readers of all operations

    asset = open_asset(path)
    graph = main_graph(read_program(asset), asset.origin, None)
    return [
        ("app function", quote_name(graph.name)),
        (
            "app input",
            ", ".join(f"{quote_name(name)} ({_type_text(text)})" for _, name, text in graph.inputs),
        ),
        ("app output", ", ".join(map(quote_name, graph.output_names))),
    ]


def _type_text(text: str) -> str:
    if (photo := image_type(text)) is not None:
        return f"photo of {photo.width} x {photo.height} pixels, {photo.pixels[3:]}"  # of k32BGRA
    kind = tensor_type(text)
    if kind is None:
        return text[:80]
    return array_text(kind.extents, _ELEMENTS.get(kind.element, kind.element))
