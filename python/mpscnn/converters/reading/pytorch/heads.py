"""Find a network's tensors in checkpoints that wrap it, or in which it has another last layer or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.errors import UnsupportedError
from mpscnn.graph.class_head import feature_layer
from mpscnn.graph.network import Network


@dataclass(frozen=True)
class Head:
    """The last layer of a family of classifiers.

    Attributes:
        path: its usual path, such as "classifier.1".
        place: the path below which nothing else has weights, such as "classifier".
    """

    path: str
    place: str


def prefix_of_marks(state: StateDict, marks: Sequence[str]) -> str | None:
    """Return the shortest prefix with which all `marks` are names of tensors; None if there is none.

    Wrappers add a prefix to every name: DataParallel, torch.compile, training frameworks, models with a backbone.
    """
    first = marks[0]
    prefixes = (name.removesuffix(first) for name in state if name.endswith(first))
    fitting = [
        prefix
        for prefix in prefixes
        if (not prefix or prefix.endswith(".")) and all(f"{prefix}{mark}" in state for mark in marks)
    ]
    return min(fitting, key=len, default=None)


def without_prefix(state: StateDict, prefix: str, family: str) -> StateDict:
    """Return the state dict with a prefix removed from all names.

    Raises UnsupportedError, with names, if some tensors do not have the prefix: they belong to another network or loss.
    """
    if others := [name for name in state if not name.startswith(prefix)]:
        raise UnsupportedError(
            f"{state.origin}: its tensors under {quote_name(prefix)} have the names of {family}, but the file has "
            f"others, too ({len(others)}: {first_names(others)}), which belong to no layer; write a file without them"
        )
    return state.renamed({name: name.removeprefix(prefix) for name in state})


def with_usual_head(state: StateDict, head: Head) -> StateDict:
    """Return the state dict with the usual name of the last layer, if the head is one layer of another name.

    Users replace the last layer by a Sequential of a dropout and a linear layer, or a Sequential by a linear layer.

    Raises:
        UnsupportedError: the head has several layers. A state dict does not say what lies between them.
    """
    found = _modules_below(state, head.place)
    if head.path in found or not found:
        return state
    if len(found) > 1:
        raise UnsupportedError(
            f"{state.origin}: its head {quote_name(head.place)} has several layers ({first_names(found)}), and a state "
            "dict does not say what lies between them; convert the module with mpscnn.from_torch, or export it as ONNX"
        )
    old = found[0]
    renamed = state.renamed({f"{old}.{role}": f"{head.path}.{role}" for role in ("weight", "bias")})
    renamed.notes.append(
        f"the last layer is {quote_name(old)}, where the network usually has {quote_name(head.path)}. A state dict has "
        "no layers without weights, such as a softmax after it, so the network has none either"
    )
    return renamed


def has_head(state: StateDict, head: Head) -> bool:
    """Return whether any tensor belongs to the last layer."""
    return any(name.startswith(f"{head.path}.") for name in state)


def without_head(network: Network) -> Network:
    """Return a copy of a classifier that ends before its last layer."""
    cut = network.subgraph([feature_layer(network)])
    cut.preprocess = network.preprocess
    return cut


def first_names(names: Sequence[str]) -> str:
    """Return up to three of the names for a message."""
    return ", ".join(map(quote_name, names[:3])) + (", ..." if len(names) > 3 else "")


def _modules_below(state: StateDict, path: str) -> list[str]:
    """Return `path` and the paths below it that have a tensor named "weight"."""
    modules = (name.removesuffix(".weight") for name in state if name.endswith(".weight"))
    return [module for module in modules if module == path or module.startswith(f"{path}.")]
