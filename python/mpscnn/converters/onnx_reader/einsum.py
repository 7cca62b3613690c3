"""Convert Einsum of a computed tensor and a constant, or of two computed tensors, to matrix products."""

from __future__ import annotations

import math
import re
import string
from dataclasses import replace

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.layout import Axis
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.matrices import dense
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_EQUATION = re.compile(r"([A-Za-z]+),([A-Za-z]+)(?:->([A-Za-z]+))?")


def _einsum(c: Context, node: Node) -> FileTensor:
    equation = node.text("equation", "").replace(" ", "")
    found = _EQUATION.fullmatch(_with_named_axes(c, node, equation))
    if found is None or len(node.inputs) != 2:
        raise UnsupportedError(
            f"its equation is {quote_name(equation)}; supported are two operands whose axes are named"
        )
    first, second, target = found.groups()
    if target is None:
        target = "".join(sorted(label for label in first + second if (first + second).count(label) == 1))
    terms = (first, second, target)
    lost = set(first) ^ set(second)
    if any(len(set(term)) < len(term) for term in terms) or not lost <= set(target) <= set(first + second):
        raise UnsupportedError(
            f"its equation is {quote_name(equation)}; an axis that is not in the result must be once in both operands"
        )
    labels = dict(zip(node.inputs, terms, strict=False))
    constant = [name for name in node.inputs if c.is_constant(name)]
    if not constant:
        values = [_named(c.value(name), term) for name, term in zip(node.inputs, terms, strict=False)]
        return _of_two(values[0], values[1], target)
    if len(constant) == 1:
        (computed,) = (name for name in node.inputs if name not in constant)
        return _with_constant(
            c, node, (computed, labels[computed]), (constant[0], labels[constant[0]]), target
        )
    raise UnsupportedError("both its inputs are constants, which is not supported")


def _with_named_axes(c: Context, node: Node, equation: str) -> str:
    """Return the equation with letters for the axes that "..." stands for, if only one operand has such axes."""
    given, arrow, target = equation.partition("->")
    terms = given.split(",")
    if (
        "..." not in given
        or len(terms) != len(node.inputs)
        or any(term.count(".") not in (0, 3) for term in terms)
    ):
        return equation
    ranks = [
        c.constants.view(name, "its operand").ndim if c.is_constant(name) else c.value(name).rank
        for name in node.inputs
    ]
    unnamed = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    counts = [count for count, term in zip(unnamed, terms, strict=True) if "..." in term and count]
    free = [letter for letter in string.ascii_letters if letter not in equation]
    if len(counts) > 1 or not 0 <= sum(counts) <= len(free):
        return equation
    letters = "".join(free[: sum(counts)])
    if not arrow:
        target = "..." + "".join(sorted(one for one in set(given) if one.isalpha() and given.count(one) == 1))
    named = [
        term.replace("...", letters if count else "") for term, count in zip(terms, unnamed, strict=True)
    ]
    return f"{','.join(named)}->{target.replace('...', letters)}"


def _named(x: FileTensor, labels: str) -> tuple[FileTensor, dict[str, Axis]]:
    """Return a value, and its axes by their letters in the equation."""
    if x.rank != len(labels):
        raise WeightsError(f"damaged: names {len(labels)} axes of {x.shown}")
    return x, dict(zip(labels, x.axes, strict=True))


def _joined(axes: dict[str, Axis], labels: list[str]) -> Axis:
    return tuple(atom for label in labels for atom in axes[label])


def _of_two(
    first: tuple[FileTensor, dict[str, Axis]], second: tuple[FileTensor, dict[str, Axis]], target: str
) -> FileTensor:
    """Convert to a batched matrix product. Axes that both operands and the result have are the batch of the product."""
    (a, of_a), (b, of_b) = first, second
    b = b.with_own_atoms()
    of_b = dict(zip(of_b, b.axes, strict=True))
    both = [label for label in of_a if label in of_b and label in target]
    both.sort(key=lambda label: not any(atom.is_batch for atom in of_a[label]))
    summed = [label for label in of_a if label not in target]
    rows, columns = ([label for label in own if label not in both + summed] for own in (of_a, of_b))
    shared_a, shared_b = ([own[label] for label in both] for own in (of_a, of_b))
    y = replace(a, axes=(*shared_a, _joined(of_a, rows), _joined(of_a, summed))) @ replace(
        b, axes=(*shared_b, _joined(of_b, summed), _joined(of_b, columns))
    )
    # The product has new atoms for its columns, which are assigned to the letters again.
    left = list(y.axes[-1])
    named = {label: axis for label, axis in of_a.items() if label in target}
    for label in columns:
        count = len(of_b[label])
        named[label], left = tuple(left[:count]), left[count:]
    return replace(y, axes=tuple(named[label] for label in target))


def _with_constant(
    c: Context, node: Node, computed: tuple[str, str], constant: tuple[str, str], target: str
) -> FileTensor:
    """Convert to a dense layer over the axes that are summed."""
    x, of_x = _named(c.value(computed[0]), computed[1])
    weight, stored = c.constants.real_view(constant[0], "its constant operand"), constant[1]
    if weight.ndim != len(stored):
        raise WeightsError(f"damaged: names {len(stored)} axes of {weight.shape}")
    summed = [label for label in of_x if label not in target]
    kept, new = [label for label in of_x if label in target], [label for label in stored if label not in of_x]
    if len(summed) + len(new) < len(stored):
        raise UnsupportedError("its constant operand has an axis that the other and the result have, too")
    order = [stored.index(label) for label in new + summed]
    extents = [weight.shape[stored.index(label)] for label in new]
    columns = math.prod(weight.shape[stored.index(label)] for label in summed)
    matrix = c.constants.reshape(weight.transpose(order), (math.prod(extents), columns))
    x = replace(x, axes=(*(of_x[label] for label in kept), _joined(of_x, summed)))
    y = dense(c, node, x, matrix, None, (constant[0], None))
    low, high = ([*trial_shapes[:-1], *extents] for trial_shapes in y.trial_shapes())
    return y.reshape_to(low, high).transpose([(kept + new).index(label) for label in target])


EINSUM: dict[str, Handler] = {"Einsum": _einsum}
