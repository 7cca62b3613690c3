"""Recognise layers that together compute a norm, a variance, a softmax, or the logarithm of a sigmoid."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpscnn.converters.finishing.simplify.layers import (
    BASE,
    LARGEST,
    RECIPROCAL,
    Layers,
    Lines,
    Node,
    is_plain,
    lines_of_broadcast,
    lines_of_reduction,
)

ROUNDING = 1e-5  # the relative tolerance for constants that a file rounds to float32
_MAX_STEPS = 16  # the maximum number of layers between a reduction and the division


@dataclass(frozen=True)
class Length:
    """The divisor of a normalization: factor * (norm + epsilon), or the reciprocal of that.

    The norm is that of `lines` of the value `of` (see `Lines`). `rule` says what epsilon does. "outside": epsilon is
    added to the norm, as above. "inside": epsilon is added to the sum or mean before the root. "minimum": the norm is
    at least epsilon.
    """

    of: str
    lines: Lines
    kind: str  # "l1_norm", "l2_norm" or "root_mean_square"
    factor: float = 1.0
    epsilon: float = 0.0
    rule: str = "outside"
    is_inverse: bool = False


def _length(layers: Layers, value: str) -> Length | None:
    found = _reduction_and_steps(layers, value)
    return None if found is None else _after(*found)


def _reduction_and_steps(layers: Layers, value: str) -> tuple[_Sums, list[Mapping[str, Any]]] | None:
    """Return the reduction from which a value is computed, and the elementwise functions after it, in order."""
    steps: list[Mapping[str, Any]] = []
    value = layers.root(value)
    while (step := layers.step(value)) is not None and len(steps) < _MAX_STEPS:
        steps.append(step[0])
        value = layers.root(step[1])
    node = layers.maker(value)
    sums = None if node is None else _sums(layers, node)
    return None if sums is None else (sums, steps[::-1])


@dataclass(frozen=True)
class _Sums:
    """The sums in a norm: max(scale * sum + offset, minimum).

    `is_square` is True for sums of squares whose square root is not yet computed.
    """

    length: Length
    scale: float = 1.0
    offset: float = 0.0
    minimum: float = 0.0
    is_square: bool = True

    def line(self, a: float, b: float) -> _Sums | None:
        if a <= 0.0 or (b != 0.0 and self.minimum != 0.0):
            return None
        return replace(self, scale=a * self.scale, offset=a * self.offset + b, minimum=a * self.minimum)


def _sums(layers: Layers, node: Node) -> _Sums | None:
    """Return the sums if a layer reduces squares or magnitudes; None for other layers."""
    kind = node["attributes"].get("kind")
    if (
        node["operation"] not in ("reduction", "pooling")
        or (lines := lines_of_reduction(layers, node)) is None
    ):
        return None
    source = layers.root(node["inputs"][0])
    weight = float(node["attributes"].get("weight", 1.0))
    if node["operation"] == "reduction" and kind in ("sum_of_squares", "l2_norm"):
        return _Sums(Length(source, lines, "l2_norm"), is_square=kind != "l2_norm")
    if kind not in ("sum", "mean", "average"):
        return None
    if (elements := _squared(layers, source)) is not None:
        norm = "l2_norm" if kind == "sum" else "root_mean_square"
        return _Sums(Length(elements, lines, norm), weight)
    absolute = layers.made_by(source, "neuron")
    if kind == "sum" and absolute is not None and absolute["attributes"]["kind"] == "absolute":
        length = Length(layers.root(absolute["inputs"][0]), lines, "l1_norm")
        return _Sums(length, weight, is_square=False)
    return None


def _squared(layers: Layers, value: str) -> str | None:
    """Return the value whose square this value is; None if it is not a square."""
    if (node := layers.made_by(value, "neuron")) is not None:
        a = node["attributes"]
        is_square = a["kind"] == "power" and (abs(a["a"]), a["b"], a["c"]) == (1.0, 0.0, 2.0)
        return layers.root(node["inputs"][0]) if is_square else None
    if (node := layers.made_by(value, "multiply")) is not None and is_plain(node):
        first, second = (layers.root(name) for name in node["inputs"])
        same = layers.shape(node["inputs"][0]) == layers.shape(node["inputs"][1])
        return first if same and first == second else None
    return None


def _keeps_norms(step: Mapping[str, Any]) -> bool:
    """Return True if a function does not change numbers of 0 or more."""
    return bool(step["kind"] == "clamp" and step["a"] <= 0.0 and step["b"] > LARGEST)


def _after(sums: _Sums, steps: Sequence[Mapping[str, Any]]) -> Length | None:
    """Apply elementwise functions to sums. Returns the divisor of a norm; None if they do not make one."""
    is_inverse = False
    inside = 0.0
    for step in steps:
        kind, a, b, c = step["kind"], step.get("a", 0.0), step.get("b", 0.0), step.get("c", 0.0)
        if is_inverse:
            return None
        if kind == "linear":
            made = sums.line(a, b)
        elif _keeps_norms(step):
            made = sums
        elif kind == "clamp" and b > LARGEST:
            made = replace(sums, minimum=max(sums.minimum, a)) if sums.offset == 0.0 else None
        elif kind == "power" and (c == -1.0 or abs(c) == 0.5):
            made = sums.line(a, b)
            if made is None or made.is_square != (abs(c) == 0.5):
                return None
            is_inverse = c < 0.0
            if made.is_square:
                inside = made.offset / made.scale
                scale = math.sqrt(made.scale)
                made = replace(
                    made, scale=scale, offset=0.0, minimum=math.sqrt(made.minimum), is_square=False
                )
        else:
            return None
        if made is None:
            return None
        sums = made
    given = [value for value in (inside, sums.offset, sums.minimum) if value != 0.0]
    if sums.is_square or len(given) > 1 or min(given, default=0.0) < 0.0:
        return None
    length, factor = sums.length, sums.scale
    mean_factor = factor * math.sqrt(length.lines.count)
    # A mean was written as sum * (1 / count).
    if length.kind == "l2_norm" and abs(mean_factor - 1.0) < ROUNDING:
        length, factor, inside = (
            replace(length, kind="root_mean_square"),
            mean_factor,
            inside / length.lines.count,
        )
    rule = "inside" if inside else "minimum" if sums.minimum else "outside"
    epsilon = inside or (sums.offset or sums.minimum) / factor
    return replace(length, factor=factor, epsilon=epsilon, rule=rule, is_inverse=is_inverse)


# ---- Normalizations --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Norm:
    """A normalization: a value divided by a length. If `is_centred`, the mean is subtracted before."""

    of: str
    length: Length
    is_centred: bool


def match_normalization(layers: Layers, name: str) -> Norm | None:
    """Return the normalization whose last layer has this name; None if there is none."""
    value = name + BASE if layers.maker(name + BASE) is not None else name
    node = layers.maker(value)
    if node is None or node["operation"] not in ("divide", "multiply") or not is_plain(node):
        return None
    first, second = node["inputs"]
    for whole, small in ((first, second), (second, first))[: 1 if node["operation"] == "divide" else 2]:
        length = _length(layers, small)
        if length is None or length.is_inverse != (node["operation"] == "multiply"):
            continue
        if lines_of_broadcast(layers, whole, small) != length.lines:
            continue
        x = layers.root(whole)
        if layers.shape(name) != layers.shape(x) and layers.shape(name).count(None) > 1:
            continue
        centred = _centred(layers, x, length.lines)
        is_same = x == length.of or (
            centred is not None and centred == _centred(layers, length.of, length.lines)
        )
        if centred is not None and is_same and length.kind == "root_mean_square":
            return Norm(centred, length, is_centred=True)
        if x == length.of:
            return Norm(x, length, is_centred=False)
    return None


def _centred(layers: Layers, value: str, lines: Lines) -> str | None:
    """Return x if the value is x minus the mean over these elements of x; otherwise None."""
    return _shifted(layers, value, lines, ("mean", "average"))


def _shifted(layers: Layers, value: str, lines: Lines, kinds: Collection[str]) -> str | None:
    """Return x if the value is x minus a reduction of x, of one of these kinds, over these elements; otherwise None."""
    node = layers.made_by(value, "subtract")
    if node is None or not is_plain(node):
        return None
    whole, small = node["inputs"]
    if lines_of_broadcast(layers, whole, small) != lines:
        return None
    reduction = layers.maker(layers.root(small))
    if reduction is None or reduction["operation"] not in ("reduction", "pooling"):
        return None
    x = layers.root(whole)
    fits = reduction["attributes"]["kind"] in kinds and lines_of_reduction(layers, reduction) == lines
    return x if fits and layers.root(reduction["inputs"][0]) == x else None


@dataclass(frozen=True)
class Spread:
    """The variance or standard deviation of the lines of a value, times a weight."""

    of: str
    lines: Lines
    kind: str  # "variance" or "deviation"
    weight: float


def match_variance(layers: Layers, node: Node) -> Spread | None:
    """Return the variance or standard deviation whose last layer this is; None if there is none."""
    if layers.shape(node["name"]).count(None) > 1:
        return None
    if node.get("activation") is not None or node["operation"] not in ("neuron", "reduction", "pooling"):
        return None
    found = _reduction_and_steps(layers, node["name"])
    if found is None or found[0].length.kind != "root_mean_square":
        return None
    sums = found[0]
    x = _centred(layers, sums.length.of, sums.length.lines)
    if x is None:
        return None
    for step in found[1]:
        if _keeps_norms(step):
            continue
        is_root = step["kind"] == "power" and step["c"] == 0.5 and sums.is_square
        made = sums.line(step["a"], step["b"]) if is_root or step["kind"] == "linear" else None
        if made is None or made.offset != 0.0:
            return None
        sums = replace(made, scale=made.scale**0.5, is_square=False) if is_root else made
    if sums.is_square:
        return Spread(x, sums.length.lines, "variance", sums.scale)
    return Spread(x, sums.length.lines, "deviation", sums.scale**2)


#: Between exponentials and their softmax there are a sum, its reciprocal, and reshapes before and after them.
_MOST_BETWEEN = 8


@dataclass(frozen=True)
class Softmax:
    """A softmax of the lines of a value."""

    of: str
    lines: Lines


def match_softmax(layers: Layers, name: str, outputs: Collection[str]) -> Softmax | None:
    """Return the softmax whose last layer has this name; None if there is none. `outputs` are those of the network.

    Exponentials of ordinary numbers are beyond the range of float16, unless the largest number is subtracted before.
    """
    node = layers.maker(name)  # a function for a softmax with an activation, which no layer computes
    if node is None or node["operation"] not in ("divide", "multiply") or not is_plain(node):
        return None
    first, second = node["inputs"]
    for whole, small in ((first, second), (second, first))[: 1 if node["operation"] == "divide" else 2]:
        sums = small if node["operation"] == "divide" else _reciprocal_of(layers, small)
        lines = lines_of_broadcast(layers, whole, small)
        exponentials = layers.root(whole)
        x = _exponent(layers, exponentials)
        if sums is None or lines is None or x is None or layers.shape(name) != layers.shape(exponentials):
            continue
        if _summed(layers, sums) != (exponentials, lines):
            continue
        of = _shifted(layers, x, lines, ("max",)) or x
        # The exponential function may be the activation of a layer, which stays without it if nothing else needs it.
        if not of.endswith(BASE) or _serves_only(layers, exponentials, name, outputs):
            return Softmax(of, lines)
    return None


def _serves_only(layers: Layers, value: str, last: str, outputs: Collection[str]) -> bool:
    """Return True if a value, and all that is computed from it, is computed for one layer only."""
    values = [value]
    for one in values:
        readers = layers.readers(one)
        if one in outputs or len(values) + len(readers) > _MOST_BETWEEN:
            return False
        values += [reader for reader in readers if reader != last]
    return True


def _reciprocal_of(layers: Layers, value: str) -> str | None:
    step = layers.step(layers.root(value))
    is_reciprocal = step is not None and all(step[0].get(key) == RECIPROCAL[key] for key in RECIPROCAL)
    return step[1] if step is not None and is_reciprocal else None


def _exponent(layers: Layers, value: str) -> str | None:
    """Return x if the value is the natural exponential function of x; otherwise None."""
    node = layers.made_by(value, "neuron")
    a = {} if node is None else node["attributes"]
    is_natural = a.get("kind") == "exponential" and (a["a"], a["b"], a["c"]) == (1.0, 0.0, -1.0)
    return layers.root(node["inputs"][0]) if node is not None and is_natural else None


def _summed(layers: Layers, value: str) -> tuple[str, Lines] | None:
    """Return the value whose elements a layer adds, and which elements; None for other layers."""
    node = layers.made_by(layers.root(value), "reduction")
    if node is None or node["attributes"]["kind"] != "sum" or node["attributes"].get("weight", 1.0) != 1.0:
        return None
    lines = lines_of_reduction(layers, node)
    return None if lines is None else (layers.root(node["inputs"][0]), lines)


def is_log_of_sigmoid(layers: Layers, node: Node, outputs: Collection[str]) -> bool:
    """Return True if a layer is the natural logarithm of a sigmoid. `outputs` are those of the network.

    The sigmoid may be the activation of a layer, which stays without it if nothing else needs it. As two layers this
    is inexact: for negative numbers of large magnitude it would be the logarithm of 0.
    """
    a = node["attributes"]
    if (
        node["operation"] != "neuron"
        or a["kind"] != "logarithm"
        or (a["a"], a["b"], a["c"]) != (1.0, 0.0, -1.0)
    ):
        return False
    value = node["inputs"][0]
    sigmoid = layers.made_by(value, "neuron")
    if sigmoid is None or sigmoid["attributes"]["kind"] != "sigmoid":
        return False
    is_alone = value not in outputs and len(layers.readers(value)) == 1
    return is_alone or not sigmoid["inputs"][0].endswith(BASE)
