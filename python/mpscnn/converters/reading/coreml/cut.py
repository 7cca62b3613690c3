"""Write a Core ML model again from what is read of it, for a comparison with Core ML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.files import read_content
from mpscnn.converters.opening.wire.encode import Changes, encode, encode_fields
from mpscnn.converters.opening.wire.message import Message
from mpscnn.converters.reading.coreml.file import MODEL, PACKAGE, CoremlFile
from mpscnn.converters.reading.coreml.program.reader import main_function_name
from mpscnn.errors import WeightsError

_FLOAT32 = 65568
#: Color spaces of one channel: gray in 8 bits and in float16.
_GRAY = (10, 40)
_FOLDER = "com.apple.CoreML"


@dataclass(frozen=True)
class CutCoreml:
    """A Core ML network whose image inputs are arrays, without settings for training and without texts.

    Attributes:
        message: the bytes of the model.
        weights: the bytes of its files of weights by their names, relative to the file of the message.
        inputs: the names of the inputs with the shapes of their arrays.
        outputs: the names of the outputs, but for that of the predicted label.
    """

    message: bytes
    weights: Mapping[str, bytes]
    inputs: list[tuple[str, list[int]]]
    outputs: list[str]

    def save(self, folder: Path) -> Path:
        """Write the model into an empty folder, and return its path."""
        if not self.weights:
            path = folder / f"model{MODEL}"
            path.write_bytes(self.message)
            return path
        path = folder / f"model{PACKAGE}"
        data = path / "Data" / _FOLDER
        for name, content in {f"model{MODEL}": self.message, **self.weights}.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(content)
        entry = {
            "author": _FOLDER,
            "description": "",
            "name": f"model{MODEL}",
            "path": f"{_FOLDER}/model{MODEL}",
        }
        manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"1": entry}, "rootModelIdentifier": "1"}
        (path / "Manifest.json").write_text(json.dumps(manifest))
        return path


def cut_coreml(file: CoremlFile) -> CutCoreml:
    """Return the network of a model which the reader has accepted, and which is no pipeline.

    Other functions, the samples' scale of a network's own preprocessing, and all that the reader does not know are
    left out. Raises the errors of the reader.
    """
    model = file.model
    is_program = model.has("mlProgram")
    named: dict[str, bytes] = {}

    def change(message: Message) -> Changes:
        kind = message.message_kind.name
        if kind in ("Description", "FunctionDescription"):
            features = [encode(one, lambda inner: _as_array(inner, is_program)) for one in message.input]
            return {"input": features, **({"metadata": None} if kind == "Description" else {})}
        if kind == "NeuralNetwork":
            kept = [one for one in message.preprocessing if not one.has("scaler")]
            return {"preprocessing": kept, "updateParams": None}
        if kind == "Program":
            main = main_function_name(model)
            return {"functions": [entry for entry in message.functions if entry.key == main]}
        if kind == "BlobFile" and (inner := message.fileName.removeprefix("@model_path/")) not in named:
            named[inner] = read_content(file.blob_file(message.fileName), WeightsError)
        return {}

    content = encode(model, change)
    described = model.description
    if is_program:
        main = main_function_name(model)
        described = next((one for one in described.functions if one.name == main), described)
    label = described.predictedFeatureName
    return CutCoreml(
        content,
        named,
        [(one.name, _shape(one.type, is_program)) for one in described.input],
        [one.name for one in described.output if one.name != label],
    )


def _as_array(message: Message, is_program: bool) -> Changes:
    """Return the changes that make an array of an image."""
    if message.message_kind.name != "FeatureType" or not message.has("imageType"):
        return {}
    return {"imageType": None, "multiArrayType": encode_fields({1: _shape(message, is_program), 2: _FLOAT32})}


def _shape(kind: Any, is_program: bool) -> list[int]:
    if not kind.has("imageType"):
        return [int(extent) for extent in kind.multiArrayType.shape]
    image = kind.imageType
    shape = [1 if image.colorSpace in _GRAY else 3, int(image.height), int(image.width)]
    return [1, *shape] if is_program else shape
