"""Find the name of each variable in the checkpoint, from the operators with which the graph restores a checkpoint."""

from __future__ import annotations

from mpscnn.converters.reading.tensorflow.value_resolution import CALLS, VARIABLES, Ref, ValueResolver

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
_RESTORES = frozenset({"RestoreV2"})


def stored_names(flow: ValueResolver, restore: str) -> dict[str, str]:
    """Return the names in the checkpoint by the names of the variables.

    Keras may save copies of its variables. Then the graph assigns each variable to its copy, and restores the copies
    from the checkpoint. So a variable gets the stored name of its copy.

    Args:
        flow: the graph.
        restore: the name of the operator that restores a checkpoint; "" if the graph has none.
    """
    scopes = [flow.main]
    restoring = flow.main.nodes.get(restore.removeprefix("^").partition(":")[0])
    if restoring is not None and restoring.op in CALLS:
        function = restoring.attributes["f"].func.name
        scopes.append(flow.body(flow.main, restoring.name, function, restoring.operands))
    found: dict[str, str] = {}
    copies: dict[str, str] = {}
    for scope in scopes:
        for node in scope.nodes.values():
            if node.op not in _ASSIGNMENTS or len(node.operands) < 2:
                continue
            variable, value = (flow.source(scope.ref(text)) for text in node.operands[:2])
            if variable.node.op not in VARIABLES:
                continue
            if value.node.op in VARIABLES:
                copies[variable_name(variable)] = variable_name(value)
            elif stored := _restored(flow, value):
                found[variable_name(variable)] = stored
    for copy, original in copies.items():
        if copy in found:
            found.setdefault(original, found[copy])
    return found


def _restored(flow: ValueResolver, value: Ref) -> str | None:
    """Return the name in the checkpoint of a value that a restore operator reads; None for other values."""
    if value.node.op not in _RESTORES:
        return None
    operands = value.node.operands
    names = flow.texts(value.scope.ref(operands[1])) if len(operands) > 1 else None
    return names[value.place] if names is not None and value.place < len(names) else None


def variable_name(ref: Ref) -> str:
    """Return the name of a variable in its graph. Handles of one variable share it."""
    shared = ref.node.attributes.get("shared_name")
    return (shared.s.decode("utf-8", "replace") if shared is not None else "") or ref.name
