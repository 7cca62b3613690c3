"""Say what a Core ML file offers to an app: its inputs, outputs and metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.coreml.file import MODEL, PACKAGE, read_coreml

_KINDS = {
    "imageType": "photo",
    "multiArrayType": "array",
    "doubleType": "number",
    "int64Type": "whole number",
    "stringType": "text",
    "dictionaryType": "dictionary",
    "sequenceType": "sequence",
    "stateType": "state",
}
_METADATA = {
    "shortDescription": "description",
    "versionString": "version",
    "author": "author",
    "license": "license",
}
#: The largest number of metadata entries of the file's maker, and of inputs or outputs, that are shown.
_MAX_SHOWN = 10


def coreml_facts(path: Path) -> list[tuple[str, str]]:
    """Return names and texts of facts about a Core ML file; none for other files.

    Raises WeightsError if the file is damaged.
    """
    if path.suffix.lower() not in (MODEL, PACKAGE):
        return []
    description = read_coreml(path).model.description
    facts = [
        (f"app {what}", ", ".join(_feature_text(one) for one in list(features)[:_MAX_SHOWN]))
        for what, features in (("input", description.input), ("output", description.output))
    ]
    if not description.has("metadata"):
        return facts
    metadata = description.metadata
    facts += [(name, getattr(metadata, field)) for field, name in _METADATA.items()]
    facts += [(entry.key, entry.value) for entry in list(metadata.userDefined)[:_MAX_SHOWN]]
    return [(name, text) for name, text in facts if text]


def _feature_text(feature: Any) -> str:
    kind = next((one for one in _KINDS if feature.type.has(one)), "")
    words = [_KINDS.get(kind, "")]
    if kind == "imageType":
        words.append(f"of {feature.type.imageType.width} x {feature.type.imageType.height} pixels")
    elif kind == "multiArrayType":
        words.append(" x ".join(map(str, feature.type.multiArrayType.shape)))
    optional = ", optional" if feature.type.isOptional else ""
    return f"{quote_name(feature.name)} ({' '.join(filter(None, words))}{optional})"
