"""Write segmenters as Core ML models: the output is class numbers of pixels, and metadata is for Xcode's preview."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mpscnn.converters.reading.coreml.segmenter import PREVIEW_SETTINGS, PREVIEW_TYPE, SEGMENTER
from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.opening_models import model_task
from mpscnn.vision.visualize import class_colors

_OUTPUT = "semanticPredictions"  # the name of this output in Apple's models


def is_segmenter(network: Network) -> bool:
    """Return True if the network's only output is an image of several pixels, such as scores for each of them."""
    return model_task(network.detection is not None, [one.shape for one in network.outputs]) == "segmentation"


def segmenter_metadata(labels: Sequence[str], network: Network, origin: str) -> dict[str, str]:
    """Return the metadata of a segmenter. Raises ParameterError unless each class has a label."""
    classes = network.outputs[0].shape[-1]
    if len(labels) != classes:
        raise ParameterError(f"{origin}: {len(labels)} labels for {classes} classes")
    colors = [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in class_colors(classes).tolist()]
    settings = json.dumps({"labels": list(labels), "colors": colors})
    return {PREVIEW_TYPE: SEGMENTER, PREVIEW_SETTINGS: settings}


def best_classes(mb: Any, values: Sequence[Any]) -> list[Any]:
    """Add the number of each pixel's class (rows, columns) to a program.

    Args:
        mb: coremltools' builder of programs.
        values: the scores (1, classes, rows, columns).
    """
    found = mb.reduce_argmax(x=values[0], axis=1, keep_dims=False)
    return [mb.squeeze(x=found, axes=[0], name=_OUTPUT)]
