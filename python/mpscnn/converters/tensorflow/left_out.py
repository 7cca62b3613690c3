"""Name the parts of a graph that a network does not have: operators that only run before others, and assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.tensorflow.value_resolution import FOLLOWED, Ref, Scope

#: Operators without an effect of their own.
_SILENT = FOLLOWED | {"Assert", "NoOp", "Shape", "ShapeN", "Range", "LogicalNot", "Placeholder"}
_NAMED = 3


def notes(
    outputs: Iterable[Ref], initialisers: Iterable[Ref], needed: Collection[Ref], assets: int
) -> list[str]:
    """Return sentences about what the file states and mpscnn leaves out.

    Args:
        outputs: the outputs as the file states them.
        initialisers: operators that the file runs once, before the first inference.
        needed: the first results of all operators that are read.
        assets: the number of other files that the file names.
    """
    found = []
    before = [target for ref in _reached(outputs) for target in _control_inputs(ref)]
    if listed := _listed(_reached(before), needed):
        found.append(f"operators that run before others, but give them no numbers, are left out: {listed}")
    if listed := _listed(_reached(initialisers), needed):
        found.append(f"operators that initialise are left out: {listed}")
    if assets:
        found.append(f"its assets are left out: {assets} files, such as tables of words")
    return found


def _reached(begin: Iterable[Ref]) -> list[Ref]:
    """Return nodes and all that they read or wait for, within the graph or function of each."""
    found: dict[Ref, None] = {}
    waiting = [Ref(ref.scope, ref.name) for ref in begin]
    while waiting:
        ref = waiting.pop()
        if ref in found or ref.name not in ref.scope.nodes:
            continue
        found[ref] = None
        waiting += [_node(ref.scope, text) for text in ref.node.inputs]
    return list(found)


def _node(scope: Scope, text: str) -> Ref:
    return Ref(scope, text.partition(":")[0])


def _control_inputs(ref: Ref) -> list[Ref]:
    given = set(ref.node.operands)
    return [_node(ref.scope, text) for text in ref.node.inputs if text not in given]


def _listed(refs: Iterable[Ref], needed: Collection[Ref]) -> str:
    """Return the operators that have an effect and are not read; "" if there are none."""
    names = [
        f"{ref.node.op} {quote_name(ref.name)}"
        for ref in refs
        if ref not in needed and ref.node.op not in _SILENT
    ]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
