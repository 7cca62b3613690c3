"""Convert Einsum of a computed tensor and a constant, or of two computed tensors, to matrix products."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.matrices import dense
from mpscnn.converters.values.layout import Axis
from mpscnn.converters.values.rows import Name, Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

_TERM = re.compile(r"[A-Za-z]*(\.\.\.[A-Za-z]*)?")


def _einsum(c: Context, *names: Name, equation: str) -> FileTensor:
    # Each operand after the first one becomes a few layers.
    c.constants.budget.spend(Cost.of_layers(max(len(names) - 1, 0)))
    equation = equation.replace(" ", "")
    terms, target = _terms(c, names, equation)
    if any(len(set(term)) < len(term) for term in (*terms, target)) or not set(target) <= set("".join(terms)):
        raise UnsupportedError(
            f"its equation is {quote_name(equation)}; an axis of each operand may be named once, and the result has "
            "axes of the operands"
        )
    operands = list(zip(names, terms, strict=True))
    constant, computed = (
        [one for one in operands if c.is_constant(one[0]) == wanted] for wanted in (True, False)
    )
    if len(constant) == len(operands):
        raise UnsupportedError("all its inputs are constants, which is not supported")
    if len(operands) == 2 and len(constant) == 1 and _is_dense(terms, target):
        return _with_constant(c, computed[0], constant[0], target)
    # Constants come last, because only a computed operand has the batch.
    values = [_named(_operand(c, name), term) for name, term in (*computed, *constant)]
    (x, axes), *others = values
    later = [frozenset(target)]  # for each operand, the axes that operands after it or the result have
    for _, own in others[:0:-1]:
        later.append(later[-1] | own.keys())
    for (y, of_y), needed in zip(others, reversed(later), strict=False):
        left = "".join(label for label in dict.fromkeys([*axes, *of_y]) if label in needed)
        x = _of_two((x, axes), (y, of_y), left)
        axes = dict(zip(left, x.axes, strict=True))
    if others:
        return x.transpose([list(axes).index(label) for label in target])
    return _of_one(x, axes, target)


def _is_dense(terms: list[str], target: str) -> bool:
    """Return True if each axis that only one operand has is in the result, and each other one in both or in none."""
    first, second = map(set, terms)
    return first ^ second <= set(target) and not first & second & set(target)


def _operand(c: Context, name: str) -> FileTensor:
    """Return an operand. A constant has no batch, which `_of_two` adds."""
    if not c.is_constant(name):
        return c.value(name)
    if c.arranger.batch is None:
        return c.constant(name)
    x = c.constant(name, c.constants.view(name, "its operand").ndim + 1)
    return replace(x, axes=x.axes[1:])


def _terms(c: Context, names: Sequence[str], equation: str) -> tuple[list[str], str]:
    """Return the letters of the axes of each operand and of the result, with letters in place of "..."."""
    given, arrow, target = equation.partition("->")
    terms = given.split(",")
    if len(terms) != len(names) or not all(_TERM.fullmatch(term) for term in (*terms, target)):
        raise WeightsError(f"damaged: its equation is {quote_name(equation)} for {len(names)} operands")
    if not arrow:
        times = Counter(filter(str.isalpha, given))
        target = "..." * ("..." in given) + "".join(sorted(one for one in times if times[one] == 1))
    counts = [
        len(_shape(c, name)) - len(term.replace("...", "")) for name, term in zip(names, terms, strict=True)
    ]
    if any(count < 0 or (count and "..." not in term) for count, term in zip(counts, terms, strict=True)):
        raise WeightsError(f"damaged: its equation {quote_name(equation)} has other axes than its operands")
    most = max((count for count, term in zip(counts, terms, strict=True) if "..." in term), default=0)
    free = [letter for letter in string.ascii_letters if letter not in equation]
    if most > len(free):
        raise UnsupportedError(f"its equation {quote_name(equation)} has more axes than there are letters")
    letters = free[:most]
    extents: dict[str, set[int | None]] = {letter: set() for letter in letters}
    for name, term, count in zip(names, terms, counts, strict=True):
        first = term.find("...")
        for place, letter in enumerate(letters[most - count :] if "..." in term else ()):
            extents[letter].add(_shape(c, name)[first + place])
    if any(1 in found and len(found) > 1 for found in extents.values()):
        raise UnsupportedError(
            f"its equation {quote_name(equation)} repeats an axis of extent 1, which is not supported"
        )
    named = [
        term.replace("...", "".join(letters[most - count :]))
        for term, count in zip(terms, counts, strict=True)
    ]
    return named, target.replace("...", "".join(letters))


def _shape(c: Context, name: str) -> list[int | None]:
    """Return the shape of an operand, in which the extent of a free axis is None."""
    known = c.constants.find(name)
    return list(c.value(name).shape) if known is None else list(known.low.shape)


def _of_one(x: FileTensor, axes: dict[str, Axis], target: str) -> FileTensor:
    """Sum a single operand over the axes that the result lacks, and transpose it."""
    labels = list(axes)
    lost = [place for place, label in enumerate(labels) if label not in target]
    if lost:
        x = x.reduce("sum", lost).squeeze(lost)
        labels = [label for label in labels if label in target]
    order = [labels.index(label) for label in target]
    return x.transpose(order) if order != sorted(order) or lost else x.map({"kind": "none"})


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
    (a, of_a), (b, of_b) = (
        _without_lost(*one, other, target) for one, other in ((first, second[1]), (second, first[1]))
    )
    b = b.with_own_atoms()
    of_b = dict(zip(of_b, b.axes, strict=True))
    for label, axis in of_a.items():
        if label not in of_b and label in target and axis and all(atom.is_batch for atom in axis):
            of_b[label] = axis  # a constant is the same for all images
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


def _without_lost(
    x: FileTensor, axes: dict[str, Axis], others: dict[str, Axis], target: str
) -> tuple[FileTensor, dict[str, Axis]]:
    """Sum an operand over the axes that neither the other one nor the result has."""
    lost = [place for place, label in enumerate(axes) if label not in others and label not in target]
    if not lost:
        return x, axes
    y = x.reduce("sum", lost).squeeze(lost)
    kept = [label for label in axes if label in others or label in target]
    return y, dict(zip(kept, y.axes, strict=True))


def _with_constant(
    c: Context, computed: tuple[str, str], constant: tuple[str, str], target: str
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
    y = dense(c, x, matrix, None, (constant[0], None))
    low, high = ([*trial_shapes[:-1], *extents] for trial_shapes in y.trial_shapes())
    return y.reshape_to(low, high).transpose([(kept + new).index(label) for label in target])


EINSUM: dict[str, Row] = {"Einsum": _einsum}
