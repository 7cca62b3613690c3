"""Name the parts of a Keras file that a network does not have: settings for training, own classes, and assets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.config import is_custom

#: The settings of `compile`, as .keras files (and .h5 files and TensorFlow.js) name them, and their names in notes.
_COMPILED = {
    "optimizer": "the optimizer",
    "optimizer_config": "the optimizer",
    "loss": "the loss",
    "metrics": "the metric",
    "weighted_metrics": "the metric",
}
#: The ends of the settings of layers that hold for training only.
_OF_LAYERS = {"regularizer": "the regularizer", "constraint": "the constraint"}


def notes(
    entry: Any, compiled: Any, *, has_optimizer_state: bool = False, assets: Collection[str] = ()
) -> list[str]:
    """Return sentences about what a file states and mpscnn leaves out.

    Args:
        entry: the JSON of the model.
        compiled: the JSON of the settings for training; None if there are none.
        has_optimizer_state: whether the file has arrays of the optimizer.
        assets: the names of other files in an archive.
    """
    settings = compiled if isinstance(compiled, Mapping) else {}
    found = [
        f"{title} {quote_name(name)}"
        for key, title in _COMPILED.items()
        for name in _names(settings.get(key))
    ]
    if has_optimizer_state:
        found.append("the state of the optimizer")
    own: list[str] = []
    for key, value in _parts([entry, compiled]):
        end = key.rpartition("_")[2]
        if end in _OF_LAYERS:
            found += [f"{_OF_LAYERS[end]} {quote_name(name)}" for name in _names(value)]
        if isinstance(value, Mapping) and isinstance(value.get("class_name"), str) and is_custom(value):
            own.append(quote_name(_name(value)))
    return [
        *left_out("its settings for training", found),
        *left_out("classes and functions of the file's author, whose code is not in the file,", own),
        *left_out("its assets", map(quote_name, sorted(assets))),
    ]


def _parts(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield all parts of a description, each with its key, in any order."""
    waiting = [("", value) for value in values]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, Mapping):
            waiting += [(str(inner), one) for inner, one in reversed(list(value.items()))]
        elif isinstance(value, list):
            waiting += [(key, one) for one in reversed(value)]


def _names(value: Any) -> Iterator[str]:
    """Yield the names of the classes and functions that a setting states: one, a list, or one for each output."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping) and "class_name" in one:
            yield _name(one)
        elif isinstance(one, (list, Mapping)):
            waiting += reversed(list(one) if isinstance(one, list) else list(one.values()))


def _name(entry: Mapping[str, Any]) -> str:
    """Return the name of a class or function: that under which the author registered it, or its own."""
    kind, config = entry["class_name"], entry.get("config")
    registered = entry.get("registered_name")
    named = registered if isinstance(registered, str) and ">" in registered else kind
    return config if named == "function" and isinstance(config, str) else str(named)
