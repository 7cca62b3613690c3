"""Keep each resize as one operator. PyTorch would decompose it into indexing of pixels before a backend sees it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

#: The modes of `torch.nn.functional.interpolate` that networks support.
_MODES = ("nearest", "nearest-exact", "linear", "bilinear")


def resize(
    x: torch.Tensor,
    size: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool | None,
) -> torch.Tensor:
    """Resize as `torch.nn.functional.interpolate` does."""
    if mode.startswith("nearest"):
        align_corners = None
    return torch.nn.functional.interpolate(x, size, factors, mode, align_corners)


_SCHEMA = "(Tensor x, SymInt[]? size, float[]? factors, str mode, bool? align_corners) -> Tensor"
resize_operator = torch.library.custom_op("mpscnn::resize", resize, mutates_args=(), schema=_SCHEMA)
resize_operator.register_fake(resize)


def keep_resizes(graph: torch.fx.GraphModule) -> None:
    """Replace calls of `interpolate` in a graph of Dynamo by the operator `resize`, if their arguments are constant."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or node.target is not torch.nn.functional.interpolate:
            continue
        given = inspect.signature(torch.nn.functional.interpolate).bind(*node.args, **node.kwargs)
        given.apply_defaults()
        chosen = given.arguments
        x = chosen["input"]
        value = x.meta.get("example_value") if isinstance(x, torch.fx.Node) else None
        rank = value.dim() if isinstance(value, torch.Tensor) else 0
        numbers = [*_listed(chosen["size"], 1), *_listed(chosen["scale_factor"], 1)]
        if rank not in (3, 4) or not all(isinstance(number, (int, float)) for number in numbers):
            continue
        if chosen["mode"] not in _MODES or chosen["antialias"] or chosen["recompute_scale_factor"]:
            continue
        space = rank - 2
        size = _listed(chosen["size"], space) or None
        factors = [float(one) for one in _listed(chosen["scale_factor"], space)] or None
        with graph.graph.inserting_before(node):
            made = graph.graph.call_function(
                torch.ops.mpscnn.resize.default,
                (x, size, factors, chosen["mode"], bool(chosen["align_corners"])),
            )
        made.meta = dict(node.meta)
        node.replace_all_uses_with(made)
        graph.graph.erase_node(node)
    graph.recompile()


def _listed(given: Any, count: int) -> list[Any]:
    """Return one number for each spatial axis; empty if none is given."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given] * count
