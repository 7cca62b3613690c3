"""Change the metadata of a model file for `mpscnn info --set`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from mpscnn._private.files import is_folder
from mpscnn._private.json_text import parse_json
from mpscnn._private.model_name import MODEL_SUFFIX, holds_network, is_path
from mpscnn.apps.cli.output import hint, show
from mpscnn.converters.finishing.photo_settings import choose_settings
from mpscnn.converters.formats.readers import is_foreign
from mpscnn.converters.opening.saved_models import is_saved_model
from mpscnn.errors import ParameterError
from mpscnn.graph.model_file import change_metadata, description
from mpscnn.opening_models import LOST_CALIBRATION, computes_alike, described_network, open_model

_SETTINGS = ("detection", "preprocess", "labels", "scores")
_ANSWERS = "answers"
_INFORMATION = ("license", "author", "version", "source", "description")


def change_model(model: str, settings: Sequence[str]) -> None:
    """Write a model file with changed settings, each KEY=VALUE. Its tensors stay unchanged.

    Raises:
        ParameterError: the name of a published model, a file of another format, or an invalid value.
        WeightsError: a value does not fit the network. The file then stays unchanged.
    """
    chosen = dict(map(_split, settings))
    path = Path(model)
    if not is_path(model) and not is_saved_model(path):
        raise ParameterError(f"{model} is a published model: --set changes model files, given by their paths")
    is_other = is_foreign(path) or is_folder(path)
    core = None if is_other else open_model(model)
    if core is None or path.suffix != MODEL_SUFFIX or not holds_network(path):
        raise ParameterError(f"{model}: --set changes model files ({MODEL_SUFFIX}); mpscnn convert makes one")
    network, information = described_network(core)
    before, _ = described_network(core)
    given: dict[str, Any] = {key: chosen.get(key) for key in _SETTINGS}
    choose_settings(network, **given)
    if _ANSWERS in chosen:
        network.answers = _parsed(chosen[_ANSWERS])
    information |= {key: chosen[key] for key in _INFORMATION if key in chosen}
    entries = description(network, network.labels, network.preprocess, network.scores, information or None)
    if "detection" not in chosen:
        # The numbers stay as the user wrote them, not rounded to float32.
        entries.pop("mpscnn.detection", None)
    lost = core.calibration() is not None and not computes_alike(before, network)
    change_metadata(path, path, entries, calibrated=not lost)
    if lost:
        hint(f"{model} {LOST_CALIBRATION}")
    show(f"{model}: {', '.join(sorted(chosen))} changed")


def _split(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    known = (*_SETTINGS, _ANSWERS, *_INFORMATION)
    if not equals or key not in known:
        raise typer.BadParameter(
            f"expected KEY=VALUE with one of the keys {', '.join(known)}, got {setting!r}", param_hint="--set"
        )
    return key, value


def _parsed(text: str) -> Any:
    """Return the value of a text of JSON. Raises ParameterError for other text."""
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"answers: is not JSON: {error}") from error
