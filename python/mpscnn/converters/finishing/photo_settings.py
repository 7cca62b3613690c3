"""Set the preprocessing, labels, scores and detection of a network from what a user gives.

Model files often lack these settings. The user gives each one as JSON text or as a file, and preprocessing and
detection also by a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from mpscnn._private.arguments import path_name
from mpscnn._private.class_scores import score_count
from mpscnn._private.files import read_content
from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.metadata_entries import parse_labels
from mpscnn.converters.finishing.photo_input import PhotoNote
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network, with_limits
from mpscnn.graph.structure import checked_scores
from mpscnn.opening_models import require_scores
from mpscnn.vision.detector import DetectionHead

MAX_LABELS = 1_000_000


class KnownDetector(NamedTuple):
    """Settings of a known detector: its detection, and defaults for preprocessing and labels."""

    head: DetectionHead
    preprocess: str | Mapping[str, Any]
    labels: list[str] | None = None
    edges: str | None = None
    """The order of a box's coordinates in files whose network already computes the edges of boxes.

    None: no such files are known.
    """


@cache
def known_detectors() -> dict[str, KnownDetector]:
    """Return the settings of the detectors that a user can name."""
    from mpscnn.models.ssd import (
        ssd_head,
        ultraface_head,
    )  # imports all models, which other files do not need

    return {
        "ultraface": KnownDetector(
            ultraface_head(), {"mean": [127.0] * 3, "scale": [1 / 128] * 3}, ["face"], "xy"
        ),
        "ssd": KnownDetector(ssd_head(), "tensorflow"),
        "ssd-softmax": KnownDetector(ssd_head(score="softmax"), "tensorflow"),
    }


def choose_settings(
    network: Network,
    *,
    detection: str | PathLike[str] | Mapping[str, Any] | None = None,
    preprocess: str | PathLike[str] | Mapping[str, Any] | None = None,
    labels: str | PathLike[str] | None = None,
    scores: str | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Set a network's detection, preprocessing, labels, scores and limits of boxes, except for those that are None.

    A known detector also sets preprocessing and labels, unless the user gives them. If the preprocessing changes, notes
    that it is a guess are dropped.

    Raises the errors of `choose_detection`, `choose_preprocess`, `choose_labels` and `with_limits`, and ParameterError
    for scores that are not known, and for those of a network that is not a classifier.
    """
    stated = network.preprocess
    if detection is not None:
        choose_detection(network, detection)
    if preprocess is not None:
        choose_preprocess(network, preprocess)
    if preprocess is not None or network.preprocess != stated:
        network.notes = [note for note in network.notes if not isinstance(note, PhotoNote)]
    if labels is not None:
        choose_labels(network, labels)
    if scores is not None:
        require_scores(network)
        network.scores = checked_scores(scores)
    network.detection = with_limits(network, score_threshold, iou_threshold, max_detections).detection


def choose_preprocess(network: Network, choice: str | PathLike[str] | Mapping[str, Any]) -> None:
    """Set a network's preprocessing: a preset's name, a mapping or its JSON text, or a .json file."""
    if isinstance(choice, PathLike) or (isinstance(choice, str) and _is_settings(choice)):
        choice = _settings("preprocess", choice)
    network.preprocess = choice


def choose_detection(network: Network, choice: str | PathLike[str] | Mapping[str, Any]) -> None:
    """Set how a network's outputs become boxes: a name of `known_detectors`, a mapping or its JSON text, or a file.

    The outputs of a detector in `known_detectors` are found by their shapes. If the network has no preprocessing or
    labels, it gets the detector's. It gets labels only if there is one for each class.

    Raises ParameterError for an unknown name, text that is not JSON, or outputs that are not boxes and scores.
    """
    if isinstance(choice, str) and choice in known_detectors():
        _choose_known(network, choice)
        return
    if isinstance(choice, str) and not _is_settings(choice) and not Path(choice).suffix:
        known = ", ".join(known_detectors())
        raise ParameterError(
            f"detection: unknown detector {choice!r}; known: {known}; or a JSON file, or its text ('{{...}}')"
        )
    settings = choice if isinstance(choice, Mapping) else _settings("detection", choice)
    # With the rule "stored", anchors of the network's own file are kept.
    anchors = None if network.detection is None else network.detection.anchors
    stored = isinstance(settings.get("anchors"), Mapping) and settings["anchors"].get("rule") == "stored"
    network.detection = DetectionHead(settings, anchors if stored else None)


def _choose_known(network: Network, name: str) -> None:
    known = known_detectors()[name]
    settings = dict(known.head.settings)
    outputs = _heads(name, network)
    for kind, output in outputs.items():
        settings[kind] = {**settings[kind], "output": output}
    after = _after_weights(network, outputs["scores"])
    if {"softmax", "sigmoid"} & after:
        settings["scores"]["kind"] = "probability"
    elif settings["scores"]["kind"] == "probability":
        settings["scores"]["kind"] = "softmax"
    if "exponential" in _after_weights(network, outputs["boxes"]):
        if known.edges is None:
            raise ParameterError(
                f"detection: the network's output {outputs['boxes']!r} is decoded already: say what its numbers are by "
                'settings such as \'{"anchors": {"rule": "none"}, ...}\''
            )
        settings["boxes"] = {"output": outputs["boxes"], "order": known.edges}
        settings["anchors"] = {"rule": "none"}
    network.detection = DetectionHead(settings)
    network.preprocess = network.preprocess or known.preprocess
    if network.labels is None and known.labels and labelled_classes(network) == len(known.labels):
        network.labels = list(known.labels)


def choose_labels(network: Network, choice: str | PathLike[str]) -> None:
    """Set the names of a network's classes: a JSON list, or a text file with one name per line.

    Raises WeightsError if the number of names is not the number of classes, or if the file cannot be read, and
    ParameterError for text that is not a JSON list of names.
    """
    if isinstance(choice, str) and choice.lstrip().startswith("["):
        labels = _json("labels", choice)
        if not all(isinstance(name, str) for name in labels):
            raise ParameterError(f"labels: expected a list of names, got {choice}")
    else:
        labels = read_labels(choice)
    if not _are_of(network, labels):
        raise WeightsError(
            f"{fspath(choice)}: has {len(labels)} labels, but the network has {labelled_classes(network)} classes"
        )
    network.labels = labels


def drop_wrong_labels(network: Network) -> Network:
    """Drop the file's labels if their number is not the number of classes, and add a note that says so."""
    if network.labels is not None and not _are_of(network, network.labels):
        count, classes, network.labels = len(network.labels), labelled_classes(network), None
        network.notes.append(f"the file's own {count} labels are left out: the network has {classes} classes")
    return network


def _are_of(network: Network, labels: Sequence[str]) -> bool:
    """Return True if the labels fit the network: one for each class, or two for a single score.

    The single score of a binary classifier is the probability of the second label.
    """
    scores = score_count([tensor.shape for tensor in network.outputs])
    is_binary = len(labels) == 2 and network.detection is None and scores == 1
    return is_binary or len(labels) == labelled_classes(network)


def read_labels(path: str | PathLike[str]) -> list[str]:
    """Read class names from a file: a JSON list (.json), or text with one name per line.

    Text is read up to the first blank line. Notes may follow after it.
    """
    file = Path(path_name("path", path))
    try:
        text = read_content(path, WeightsError, is_text=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path}: is not a text file in UTF-8: {error}") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    labels = _listed(path, text) if file.suffix.lower() == ".json" else parse_labels(lines)
    if not 0 < len(labels) <= MAX_LABELS:
        raise WeightsError(f"{path}: holds {len(labels)} labels")
    return labels


def _listed(path: str | PathLike[str], text: str) -> list[str]:
    """Return the names in a JSON list. Its lines are no names, also if there are as many of them as classes."""
    try:
        listed = _json("the file", text)
    except ParameterError as error:
        raise WeightsError(f"{fspath(path)}: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise WeightsError(
            f"{fspath(path)}: must be a JSON list of names, or a text file with a name in each line"
        )
    return listed


def labelled_classes(network: Network) -> int | None:
    """Return the number of labels that the network needs. A detector's background class has no label."""
    if network.detection is None:
        return network.outputs[0].shape[-1]
    scores = network.detection.settings.get("scores", {})
    if not isinstance(scores, dict):
        raise ParameterError(f"detection: scores: expected an object, got {scores!r}")
    name = scores.get("output", "scores")
    columns = next((output.shape[-1] for output in network.outputs if output.name == name), None)
    if columns is None:
        raise ParameterError(f"detection: the network has no output {name!r} for the scores")
    return columns - bool(scores.get("background", True))


def _after_weights(network: Network, output: str) -> set[str]:
    """Return the operations and activations between the last layers with weights and an output."""
    nodes = {node["name"]: node for node in network.to_dict()["nodes"]}
    found: set[str] = set()
    waiting, seen = [output], {output}
    while waiting:
        node = nodes.get(waiting.pop())
        if node is None:
            continue
        activation = node.get("activation") or {}
        neuron = node["attributes"] if node["operation"] == "neuron" else activation
        found |= {node["operation"], neuron.get("kind", "")}
        if node["operation"] not in ("convolution", "fully_connected"):
            waiting += [name for name in node["inputs"] if name not in seen]
            seen.update(node["inputs"])
    return found


def _heads(detector: str, network: Network) -> dict[str, str]:
    """Return the names of the outputs with boxes and with scores, by the keys "boxes" and "scores"."""
    outputs = {tensor.name: tensor.shape for tensor in network.outputs}
    if {"boxes", "scores"} == outputs.keys():
        return {"boxes": "boxes", "scores": "scores"}
    boxes = [name for name, shape in outputs.items() if len(shape) == 3 and shape[-1] == 4]
    scores = [name for name, shape in outputs.items() if len(shape) == 3 and shape[-1] != 4]
    if len(outputs) != 2 or len(boxes) != 1 or len(scores) != 1:
        raise ParameterError(
            f"detection: {detector!r} needs one output (n, anchors, 4), the boxes, and one (n, anchors, columns), "
            f"the network has {', '.join(f'{name} {shape}' for name, shape in outputs.items())}"
        )
    return {"boxes": boxes[0], "scores": scores[0]}


def _is_settings(text: str) -> bool:
    """Return True if a text is JSON or the name of a .json file, not the name of a preset."""
    return text.lstrip().startswith("{") or text.lower().endswith(".json")


def _settings(what: str, choice: str | PathLike[str]) -> dict[str, Any]:
    """Read settings from JSON text or a JSON file. Their meaning is checked later, when they are saved."""
    if isinstance(choice, str) and choice.lstrip().startswith("{"):
        origin, content = what, choice.encode(errors="surrogateescape")
    else:
        origin, content = f"{fspath(choice)}: the file", read_content(choice, ParameterError, is_text=True)
    settings = _json(origin, content)
    if not isinstance(settings, dict):
        raise ParameterError(f"{origin} is not an object with settings")
    return settings


def _json(origin: str, content: str | bytes) -> Any:
    """Parse JSON. Raises ParameterError for bytes that are not JSON."""
    try:
        return parse_json(content.decode() if isinstance(content, bytes) else content)
    except ValueError as error:
        raise ParameterError(f"{origin} is not JSON: {error}") from error
    except RecursionError as error:
        raise ParameterError(f"{origin} is nested too deeply") from error
