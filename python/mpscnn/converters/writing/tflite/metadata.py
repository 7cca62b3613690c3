"""Describe a written network for other programs: how photos become its input, and the names of its classes.

The description has the form of Google's metadata for TensorFlow Lite, with the fields of tflite-support's
metadata_schema.fbs. The labels are a text file in a zip archive at the end of the file.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn import _core
from mpscnn._private.settings import as_json
from mpscnn.converters.finishing.metadata_entries import parse_labels
from mpscnn.converters.reading.tflite.flatbuffer_builder import Field, Fields, Number, flatbuffer
from mpscnn.converters.reading.tflite.metadata import AXIS_LABELS, IDENTIFIER, NORMALIZATION, VALUE_LABELS
from mpscnn.graph.network import Network

_LABELS = "labels.txt"
_COLOURS = {"rgb": 1, "gray": 2}
_FEATURES, _IMAGE, _BOXES = 1, 2, 3  # the kinds of contents
_BOUNDARIES = 1  # boxes are given by their edges
#: The fields of texts about the network.
_INFORMATION = {"description": 1, "version": 2, "author": 4, "license": 5}
_PARSER = "1.0.0"  # the oldest version of the schema that has these fields
_OF_DETECTORS = {
    "location": "The locations of the detected boxes.",
    "category": "The categories of the detected boxes.",
    "score": "The scores of the detected boxes.",
    "number of detections": "The number of the detected boxes.",
}
_DATE = (1980, 1, 1, 0, 0, 0)  # equal networks give equal files


def are_in_label_file(labels: Sequence[str]) -> bool:
    """Return True if a text file with a line for each label holds these labels exactly."""
    return parse_labels("\n".join(labels)) == list(labels)


def with_labels(content: bytes, labels: Sequence[str] | None) -> bytes:
    """Return a file with the archive of its labels at the end."""
    if not labels:
        return content
    made = io.BytesIO(content)
    with zipfile.ZipFile(made, "a") as archive:
        entry = zipfile.ZipInfo(_LABELS, _DATE)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, "\n".join(labels) + "\n")
    return made.getvalue()


def described(
    network: Network, outputs: Sequence[str], information: Mapping[str, str], *, chooses_boxes: bool
) -> bytes:
    """Return the metadata of a network.

    Args:
        network: the network.
        outputs: the names of the file's outputs.
        information: texts about the network, such as "license".
        chooses_boxes: whether the outputs are those of an operator that chooses a detector's boxes.
    """
    inputs = [_input(network, tensor.name) for tensor in network.inputs]
    if chooses_boxes:
        results = [_of_detector(name, network.labels) for name in _OF_DETECTORS]
    else:
        results = [_output(network, name, is_first=not place) for place, name in enumerate(outputs)]
    root: Fields = {
        0: network.name,
        3: [{0: network.name, 2: inputs, 3: results}],
        7: _PARSER,
        **{field: information[name] for name, field in _INFORMATION.items() if name in information},
    }
    return flatbuffer(root, IDENTIFIER)


def _input(network: Network, name: str) -> Fields:
    settings = _preprocess(network)
    if settings is None or settings["order"] not in _COLOURS:
        return {0: name}
    means, scales = (np.asarray(settings[role], np.float32) for role in ("mean", "scale"))
    ends = [(np.float32(end) - means) * scales for end in (255, 0)]
    options: Fields = {0: means, 1: (1 / scales.astype(np.float64)).astype(np.float32)}
    return {
        0: name,
        1: "The photo to be judged.",
        3: _content(_IMAGE, {0: Number("b", _COLOURS[settings["order"]])}),
        4: [{0: Number("B", NORMALIZATION), 1: options}],
        5: {0: np.maximum(*ends), 1: np.minimum(*ends)},
    }


def _preprocess(network: Network) -> dict[str, Any] | None:
    if network.preprocess is None or len(network.inputs) != 1:
        return None
    text = as_json("preprocess", network.preprocess)
    settings: dict[str, Any] = json.loads(_core.describe_preprocess(text, network.input.shape[-1] or 0))
    channels = network.input.shape[-1] or 0
    return {**settings, **{role: _for_each(settings[role], channels) for role in ("mean", "scale")}}


def _for_each(values: float | Sequence[float], channels: int) -> list[float]:
    given = list(values) if isinstance(values, Sequence) else [values]
    return given if len(given) == channels else given[:1] * channels


def _content(kind: int, properties: Fields) -> Fields:
    return {0: Number("B", kind), 1: properties}


def _output(network: Network, name: str, *, is_first: bool) -> Fields:
    fields: dict[int, Field] = {0: name, 3: _content(_FEATURES, {})}
    if not is_first or not network.labels:
        return fields
    if (
        network.detection is not None
    ):  # a background class has no label, so the labels are not those of an axis
        return {**fields, 6: [_label_file(VALUE_LABELS)]}
    is_number = network.answers is not None and network.answers["kind"] != "tags"
    if not is_number and (network.scores_are == "as is" or network.last_function in ("softmax", "sigmoid")):
        fields[0] = "probability"
        fields[5] = {0: np.asarray([1], np.float32), 1: np.asarray([0], np.float32)}
    fields[6] = [_label_file(AXIS_LABELS)]
    return fields


def _of_detector(name: str, labels: Sequence[str] | None) -> Fields:
    fields: dict[int, Field] = {0: name, 1: _OF_DETECTORS[name], 3: _content(_FEATURES, {})}
    if name == "location":
        box: Mapping[int, Field] = {
            0: np.asarray(
                [1, 0, 3, 2], np.uint32
            ),  # left, top, right and bottom in boxes (top, left, bottom, right)
            1: Number("b", _BOUNDARIES),
            2: Number("b", 0),
        }
        fields[3] = {**_content(_BOXES, box), 2: {0: Number("i", 2), 1: Number("i", 2)}}
    if name == "category" and labels:
        fields[6] = [_label_file(VALUE_LABELS)]
    return fields


def _label_file(kind: int) -> Fields:
    return {0: _LABELS, 1: "Labels for the classes that the model knows.", 2: Number("b", kind)}
