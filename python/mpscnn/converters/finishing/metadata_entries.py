"""Write and read labels, preprocessing, scores, detection and texts about models in ONNX and TensorFlow Lite files.

The entries have the same keys and values as the metadata of mpscnn's model files (docs/model_format.md). The anchors of
a detector, which a model file has as a tensor, are a JSON list here.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import name_list
from mpscnn._private.json_text import parse_json
from mpscnn._private.names import without_numbers
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.model_file import description
from mpscnn.graph.network import Network
from mpscnn.vision.answers import require_fitting_answers
from mpscnn.vision.detector import DetectionHead


def parse_labels(text: str) -> list[str]:
    """Return the class names in a text: one per line, up to the first blank line. Notes may follow after it.

    If each line begins with the number of its class, the names have the order of these numbers.
    """
    return without_numbers(list(takewhile(bool, (line.strip() for line in text.split("\n")))))


LABELS, PREPROCESS, SCORES, ANSWERS, DETECTION, ANCHORS, INFORMATION = (
    f"mpscnn.{part}"
    for part in ("labels", "preprocess", "scores", "answers", "detection", "anchors", "information")
)
OUTPUTS = "mpscnn.outputs"
"""The entry with the names of a detector's outputs, before the operators that choose boxes."""
# The preprocessing of classifiers of Ultralytics, whose files do not state it: the centre of the photo, from 0 to 1.
_CENTRE = {"fit": "center_crop", "whole_pixels": True, "scale": [1.0 / 255.0] * 3}
_COLOURS = 3
_MAX_LABELS = 100_000  # the maximum number of characters of the list of classes in a file of Ultralytics


def metadata_entries(
    network: Network, outputs: Sequence[str], information: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the entries that describe a network. Raises ParameterError for invalid settings.

    Args:
        network: the network.
        outputs: the file's names of the network's outputs, in order.
        information: texts about the network, such as "license" and "source".
    """
    entries = description(network, network.labels, network.preprocess, network.scores, information or None)
    if network.detection is not None:
        own = dict(zip((output.name for output in network.outputs), outputs, strict=True))
        entries[DETECTION] = as_json("detection", _with_outputs(network.detection.settings, own))
        if network.detection.anchors is not None:
            entries[ANCHORS] = as_json("anchors", network.detection.anchors.astype(np.float32))
    return entries


def listed_names(metadata: Mapping[str, str], entry: str) -> list[str]:
    """Return the names in an entry; none if there is no such entry. Raises WeightsError for a damaged one."""
    if entry not in metadata:
        return []
    try:
        return list(name_list(entry, parse_json(metadata[entry])) or ())
    except (ParameterError, RecursionError, ValueError) as error:
        raise WeightsError(f"damaged: its metadata: {error}") from error


def has_detection(metadata: Mapping[str, str]) -> bool:
    """Return True if the entries say which of the file's outputs are boxes and scores."""
    return DETECTION in metadata


def describe(
    network: Network, metadata: Mapping[str, str], origin: str, outputs: Sequence[str] | None
) -> None:
    """Set a converted network's labels, preprocessing, scores, detection and texts to those of the file's entries.

    If the file has no labels of mpscnn, a classifier or detector gets those of Ultralytics. Those of a classifier must
    be as many as its classes.

    Args:
        network: the network.
        metadata: the entries.
        origin: the name of the file.
        outputs: the file's names of the network's outputs, in order; None if the user chose other outputs, which are
            no boxes.

    Raises WeightsError for damaged entries.
    """
    try:
        if LABELS in metadata:
            network.labels = name_list("labels", parse_json(metadata[LABELS]))
        elif network.labels is None and network.detection is not None:
            # The reader of all formats drops them if they do not fit.
            network.labels = ultralytics_names(metadata)
        elif network.labels is None and len(network.outputs) == 1:
            names = ultralytics_names(metadata)
            fits = names is not None and network.outputs[0].shape[-1:] == (len(names),)
            network.labels = names if fits else None
        if PREPROCESS in metadata and len(network.inputs) == 1:
            channels = network.input.shape[-1] or 0
            network.preprocess = json.loads(_core.describe_preprocess(metadata[PREPROCESS], channels))
        elif network.preprocess is None and _is_classifier_of_ultralytics(network, metadata):
            network.preprocess = json.loads(_core.describe_preprocess(json.dumps(_CENTRE), _COLOURS))
        if SCORES in metadata:
            network.scores = parse_json(metadata[SCORES])
        if INFORMATION in metadata:
            network.information = _texts(parse_json(metadata[INFORMATION]))
        if ANSWERS in metadata and outputs is not None:
            network.answers = parse_json(metadata[ANSWERS])
            require_fitting_answers(network.answers, [tensor.shape for tensor in network.outputs])
        if DETECTION in metadata and outputs is not None:
            own = dict(zip(outputs, (output.name for output in network.outputs), strict=True))
            settings = _with_outputs(parse_json(metadata[DETECTION]), own)
            network.detection = DetectionHead(settings, _anchors(metadata.get(ANCHORS)))
    except (ParameterError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise WeightsError(f"damaged: {origin}: its metadata: {error}") from error


def _texts(entries: Any) -> dict[str, str]:
    """Return the texts about a model. Raises ParameterError for anything but an object of texts."""
    if not isinstance(entries, dict) or not all(isinstance(text, str) for text in entries.values()):
        raise ParameterError(f"{INFORMATION}: must be an object of texts")
    return entries


def _is_classifier_of_ultralytics(network: Network, metadata: Mapping[str, str]) -> bool:
    return (
        metadata.get("task") == "classify"
        and ultralytics_names(metadata) is not None
        and len(network.inputs) == 1
        and len(network.input.shape) == 4
        and network.input.shape[-1] == _COLOURS
    )


def _with_outputs(settings: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a detector with other names of its outputs. `names` has the new name of each output."""
    if not isinstance(settings, Mapping):
        raise ParameterError(f"detection: expected an object, got {type(settings).__name__}")
    return dict(DetectionHead(settings).with_outputs(names).settings)


def _anchors(text: str | None) -> NDArray[np.float32] | None:
    if text is None:
        return None
    anchors = np.asarray(parse_json(text), np.float32)
    if anchors.ndim != 2 or anchors.shape[1] != 4:
        raise ParameterError(f"{ANCHORS}: must have the shape (n, 4), got {anchors.shape}")
    return anchors


def ultralytics_names(metadata: Mapping[str, str]) -> list[str] | None:
    """Return the class names in the metadata of a file that Ultralytics has written; None if there are none.

    They are a list, or an object whose keys are the numbers of the classes, as Python or JSON writes it.
    """
    text = metadata.get("names", "")
    if not text or len(text) > _MAX_LABELS:
        return None
    names = _literal(text)
    if isinstance(names, dict):
        names = [names.get(number, names.get(str(number))) for number in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        return None
    return names or None


def _literal(text: str) -> Any:
    """Return the value of a text of JSON, whose keys are texts, or of Python; None if it is neither."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
