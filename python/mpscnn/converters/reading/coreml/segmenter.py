"""Convert Core ML's segmenters, whose output is class numbers of pixels, to networks whose output is scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.photo_settings import MAX_LABELS
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Extents
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.graph.network import Network

PREVIEW_TYPE, PREVIEW_SETTINGS = (f"com.apple.coreml.model.preview.{key}" for key in ("type", "params"))
"""The keys of a model's metadata by which Xcode recognises a segmenter and finds the names of its classes."""
SEGMENTER = "imageSegmenter"

_NOTE = "the search for the best class at the end is left out: the output is the scores of all classes"
# Operators that may follow the search for the best class without changing class numbers.
_MOVES = (ops.cast, ops.flatten, ops.identity, ops.reshape, ops.squeeze, ops.unsqueeze)
_MAX_MOVES = 8
_MAX_SETTINGS = 1 << 20


def leave_out_search(walk: Walk, outputs: Sequence[str]) -> bool:
    """Replace an output that is each pixel's best class (argmax) by the scores. Returns whether this was done."""
    if len(outputs) != 1 or not walk.builder.has(outputs[0]):
        return False
    scores = _scores(walk, outputs[0])
    if scores is None:
        return False
    walk.layer("output", f"{outputs[0]}/scores", [outputs[0]], [outputs[0]], lambda: [scores], None)
    return True


def _scores(walk: Walk, blob: str) -> str | None:
    b = walk.builder
    places = b.tensor(blob)
    for _ in range(_MAX_MOVES):
        move = b.maker(places, *_MOVES)
        if move is None:
            break
        places = move.inputs[0]
    search = b.maker(places, ops.arg_max)
    if search is None:
        return None
    scores = search.inputs[0]
    if b.rank(scores) != 4 or search.integer("axis", 0) not in (1, -3):
        return None
    pixels = _pixels(b.extents(scores)[2:])
    return scores if pixels == _pixels(b.extents(b.tensor(blob))) else None


def _pixels(extents: Extents) -> list[int | None]:
    return sorted((extent for extent in extents if extent != 1), key=lambda extent: extent or 0)


def describe_segmenter(network: Network, metadata: Any) -> None:
    """Add a note that the output is scores, and set the labels if the metadata has them."""
    network.notes.append(_NOTE)
    settings = {entry.key: entry.value for entry in metadata.userDefined}
    text = settings.get(PREVIEW_SETTINGS, "")
    if settings.get(PREVIEW_TYPE) != SEGMENTER or len(text) > _MAX_SETTINGS:
        return
    try:
        labels = parse_json(text)["labels"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    fits = isinstance(labels, list) and len(labels) == network.outputs[0].shape[-1]
    if fits and len(labels) <= MAX_LABELS and all(isinstance(label, str) for label in labels):
        network.labels = labels
