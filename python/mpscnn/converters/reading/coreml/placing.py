"""Write and read how photos are placed and resized, for which the files of Core ML and Core AI have no fields.

Apps choose it, for example by Vision's `imageCropAndScaleOption`. A metadata entry keeps it for programs that read the
file with mpscnn. Its text is a JSON object with the settings of docs/preprocessing.md that are not the defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mpscnn import _core
from mpscnn._private.json_text import parse_json
from mpscnn._private.settings import as_json
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network

PLACING = "mpscnn.preprocess"
_KEYS = ("fit", "crop_fraction", "whole_pixels", "filter", "letterbox_value", "letterbox_position")
_MAX_LENGTH = 1000  # characters


def placing_entries(preprocess: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata entry for a preprocessing with all keys. It is empty if photos are placed as by default."""
    defaults = json.loads(_core.describe_preprocess("{}", len(preprocess["mean"])))
    chosen = {key: preprocess[key] for key in _KEYS if preprocess[key] != defaults[key]}
    return {PLACING: as_json("preprocess", chosen)} if chosen else {}


def state_placing(network: Network, text: str | None) -> None:
    """Set how a network's photos are placed and resized, if the metadata of its file says it.

    Args:
        network: the network, whose preprocessing has the mean, scale and order of the file.
        text: the value of the entry `PLACING`; None: the file has none.

    Raises WeightsError for unknown or damaged settings.
    """
    if text is None or not isinstance(network.preprocess, Mapping):
        return
    try:
        placing = parse_json(text) if len(text) <= _MAX_LENGTH else None
        if not isinstance(placing, dict) or not placing.keys() <= set(_KEYS):
            raise ParameterError(f"expected an object with some of {', '.join(_KEYS)}")
        channels = network.input.shape[-1] or 0
        settings = as_json("preprocess", {**network.preprocess, **placing})
        network.preprocess = json.loads(_core.describe_preprocess(settings, channels))
    except (ParameterError, ValueError, RecursionError) as error:
        raise WeightsError(f"damaged: its metadata {quote_name(PLACING)}: {error}") from error
