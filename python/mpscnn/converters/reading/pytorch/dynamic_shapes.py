"""Check the argument `dynamic_shapes` of from_torch, and bring it into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpscnn._private.given_warnings import warn_caller
from mpscnn.errors import ParameterError, UnsupportedError

_EXAMPLE = "{2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}"


def free_extents(
    given: Any, arguments: Sequence[Any], is_owned: Sequence[bool], names: Sequence[str], rest: str | None
) -> list[dict[int, Any] | None] | None:
    """Return the free extents of each argument, by axis counted from the front; None if none is given.

    Args:
        given: a mapping by the names of arguments, a sequence with an item for each argument, or a mapping by axis for
            the only argument. An item is None, a mapping by axis, or a sequence with an item for each axis.
        arguments: the example inputs.
        is_owned: whether each argument is a parameter, which has no free extents.
        names: the names of the arguments.
        rest: the name of the argument with a *; None: there is none.

    Raises ParameterError if `given` does not fit the arguments.
    """
    if given is None:
        return None
    items = _items(given, is_owned, names, rest)
    return [
        None if item is None or owned or not hasattr(argument, "shape") else _by_axis(item, argument, name)
        for item, argument, owned, name in zip(items, arguments, is_owned, names, strict=True)
    ]


def _items(given: Any, is_owned: Sequence[bool], names: Sequence[str], rest: str | None) -> list[Any]:
    """Return one item for each argument."""
    if isinstance(given, Mapping):
        if given and all(isinstance(key, int) for key in given):
            inputs = [place for place, owned in enumerate(is_owned) if not owned]
            if len(inputs) != 1:
                raise ParameterError(
                    f"from_torch: dynamic_shapes has axes, but there are {len(inputs)} example inputs: write a mapping "
                    f"by argument, such as {{{names[inputs[0]] if inputs else 'x'!r}: {_EXAMPLE}}}"
                )
            return [given if place == inputs[0] else None for place in range(len(names))]
        items = dict(given)
        if rest in items and rest not in names:
            first = [name for name in names if name.startswith(f"{rest}[")]
            items |= zip(first, _listed(items.pop(rest), len(first)), strict=True)
        if unknown := [name for name in items if name not in names]:
            raise ParameterError(
                f"from_torch: dynamic_shapes names {unknown[0]!r}, which is no argument; the arguments are "
                f"{', '.join(names)}"
            )
        return [items.get(name) for name in names]
    return _listed(given, len(names), rest)


def _listed(given: Any, count: int, rest: str | None = None) -> list[Any]:
    """Return a list of `count` items. If the last item is a sequence for the argument `*rest`, it is unpacked."""
    if isinstance(given, (tuple, list)):
        items = list(given)
        if rest is not None and items and isinstance(items[-1], (tuple, list)):
            several = [*items[:-1], *items[-1]]
            if len(several) == count and all(isinstance(one, Mapping) or one is None for one in items[-1]):
                return several
        if len(items) == count:
            return items
        if not items:
            return [None] * count
    raise ParameterError(
        f"from_torch: dynamic_shapes must be a mapping by argument, or a sequence of {count}, one for each "
        f"(such as ({_EXAMPLE},)), got {given!r}"
    )


def _by_axis(item: Any, argument: Any, name: str) -> dict[int, Any]:
    """Return the free extents of one argument."""
    import torch

    rank = len(argument.shape)
    what = f"from_torch: dynamic_shapes of {name!r}"
    if isinstance(item, (tuple, list)) and len(item) == rank:
        item = dict(enumerate(item))
    if not isinstance(item, Mapping):
        raise ParameterError(f"{what} must be a mapping by axis such as {_EXAMPLE}, or None; got {item!r}")
    found: dict[int, Any] = {}
    for axis, extent in item.items():
        if isinstance(axis, bool) or not isinstance(axis, int) or not -rank <= axis < rank:
            raise ParameterError(f"{what} has an axis {axis!r}; the axes of its example are 0 to {rank - 1}")
        if isinstance(extent, (bool, float, Mapping, tuple, list)):
            raise ParameterError(
                f"{what} has {extent!r} for axis {axis}; expected torch.export.Dim.AUTO, a torch.export.Dim or None"
            )
        found[axis % rank] = torch.export.Dim.DYNAMIC if isinstance(extent, str) else extent
    return found


def shapes_of_inputs(exported: Any) -> dict[str, Sequence[Any]]:
    """Return the shape of each input of a torch.export.ExportedProgram, by name. Free extents are torch.SymInt."""
    nodes = {node.name: node for node in exported.graph.nodes if node.op == "placeholder"}
    return {name: nodes[name].meta["val"].shape for name in exported.graph_signature.user_inputs}


def require_free(free: Sequence[Mapping[int, Any] | None], exported: Any, title: str) -> None:
    """Check that torch.export left the extents free that `dynamic_shapes` names. The batch may be fixed.

    Raises UnsupportedError for another fixed extent. Warns instead if `Dim.AUTO` left the decision to torch.export.
    """
    import torch

    for (name, shape), extents in zip(shapes_of_inputs(exported).items(), free, strict=True):
        for axis, asked in (extents or {}).items():
            extent = shape[axis]
            is_asked = asked not in (None, torch.export.Dim.STATIC) and not isinstance(asked, int)
            if axis == 0 or not is_asked or not isinstance(extent, int):
                continue
            told = f"{title}: axis {axis} of {name!r} cannot be free: the module requires {extent}"
            if asked != torch.export.Dim.AUTO:
                raise UnsupportedError(told)
            warn_caller(told)
