"""Name the parts of a file that a network does not have: operators that only run before others, and assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.opening.layer_names import display_kind, quote_name
from mpscnn.converters.reading.tensorflow.value_resolution import FOLLOWED, Ref, Scope

#: Operators without an effect of their own.
_SILENT = FOLLOWED | {"Assert", "NoOp", "Shape", "ShapeN", "Range", "LogicalNot", "Placeholder"}


def notes(
    outputs: Iterable[Ref],
    initialisers: Iterable[Ref],
    needed: Collection[Ref],
    assets: int,
    others: Iterable[str],
) -> list[str]:
    """Return sentences about what the file states and mpscnn leaves out.

    Args:
        outputs: the outputs as the file states them.
        initialisers: operators that the file runs once, before the first inference.
        needed: the first results of all operators that are read.
        assets: the number of other files that the file names.
        others: descriptions of signatures and graphs of the file that are not read.
    """
    before = [target for ref in _reached(outputs) for target in _control_inputs(ref)]
    return [
        *left_out("operators that run before others, but give them no numbers,", _effects(before, needed)),
        *left_out("operators that initialise", _effects(initialisers, needed)),
        *left_out("its assets", [f"{assets} files, such as tables of words"] * bool(assets)),
        *left_out("other parts", others),
    ]


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


def _effects(begin: Iterable[Ref], needed: Collection[Ref]) -> list[str]:
    """Return the operators, and those that they read or wait for, that have an effect and are not read."""
    return [
        f"{display_kind(ref.node.op)} {quote_name(ref.name)}"
        for ref in _reached(begin)
        if ref not in needed and ref.node.op not in _SILENT
    ]
