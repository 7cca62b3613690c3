"""Align the layers of two traces by name, structure and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.trace import Array, Trace, Value

# At most this many values of two layers are compared to decide whether the layers belong together.
_SAMPLES = 2048
# A pair of layers with equal shapes has the score _ALIKE. The same name, equal values and the same kind of layer add
# the other scores. Equal values count more than equal kinds, because one engine may compute a layer as several layers
# of other kinds.
_SAME_NAME = 4.0
_SAME_VALUES = 3.0
_SAME_KIND = 1.0
_ALIKE = 0.25
# Added for each layer of the pair that an activation or normalization follows, because the result of the activation or
# normalization is preferred.
_INNER = -0.5
# The largest number of pairs that get a score. A pair takes some 8 us and 8 bytes.
_MAX_PAIRS = 1_000_000

Pairs = list[tuple[Value, Value]]


def align(first: Trace, second: Trace, tolerance: float) -> Pairs:
    """Return the pairs of layers that belong together, in the order of `first`.

    Only layers with equal shapes are paired. Outputs are paired by their number. The other pairs keep the order of both
    engines. Only layers with equal names or values may break this order, because engines order branches differently.
    If both traces have many layers, the other pairs are those with equal names only.
    """
    outputs = _paired_outputs(first, second)
    taken_first = {a.name for a, _ in outputs}
    taken_second = {b.name for _, b in outputs}
    named_first, named_second = _with_last_parts(first, second), _with_last_parts(second, first)
    a = [value for value in named_first if value.name not in taken_first]
    b = [value for value in named_second if value.name not in taken_second]
    if len(a) * len(b) > _MAX_PAIRS:
        path = _same_names(a, b)
    else:
        scores = _scores(a, b, tolerance)
        path = _best_path(scores)
        path += _crossing(scores, path)
    pairs = [(a[i], b[j]) for i, j in path]
    order = {value.name: number for number, value in enumerate(first.values)}
    return sorted([*pairs, *outputs], key=lambda pair: order[pair[0].name])


def fit_shape(array: Array, shape: tuple[int, ...]) -> Array | None:
    """Return an array in the shape of the other engine's result; None if the elements do not correspond.

    (n, 1, 1, c) is the same as (n, c). (n, c, length), from engines with channels first, is (n, 1, length, c).
    """
    if _plain(array.shape) == _plain(shape):
        return array.reshape(shape)
    if array.ndim == 3 and len(shape) >= 3:
        moved = np.moveaxis(array, 1, -1)
        if _plain(moved.shape) == _plain(shape):
            return moved.reshape(shape)
    return None


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:1], *(extent for extent in shape[1:] if extent != 1))


def _with_last_parts(trace: Trace, other: Trace) -> tuple[Value, ...]:
    """Return a trace's values, with one more name where several values are the parts of one layer of the other trace.

    The last of these values also gets the name of that layer.

    Converters may divide a layer into several, called NAME and NAME/part. The parts before the last may have the same
    shape as the layer's result, but they have another meaning.
    """
    wholes = {name: value for value in other.values for name in value.names}
    families: dict[str, list[int]] = {}
    for place, value in enumerate(trace.values):
        for whole in sorted({whole for name in value.names for whole in _wholes_of(name, wholes)}):
            families.setdefault(whole, []).append(place)
    values = list(trace.values)
    for whole, places in families.items():
        shape = wholes[whole].array.shape
        fitting = [place for place in places if fit_shape(values[place].array, shape) is not None]
        if len(places) < 2 or not fitting:
            continue
        for place in places:
            value = values[place]
            if place == fitting[-1]:
                values[place] = replace(value, aliases=value.aliases | {whole})
            else:
                values[place] = replace(value, part=True, aliases=value.aliases - {whole})
    return tuple(values)


def _wholes_of(name: str, wholes: Mapping[str, Value]) -> list[str]:
    """Return the other trace's layers to which a name may belong: the one with that name, or "NAME" for "NAME/part"."""
    if name in wholes:
        return [name]
    ends = [place for place, letter in enumerate(name) if letter == "/"]
    return [name[:end] for end in ends if name[:end] in wholes]


def _paired_outputs(first: Trace, second: Trace) -> Pairs:
    if len(first.outputs) != len(second.outputs):
        return []
    a = {value.name: value for value in first.values}
    b = {value.name: value for value in second.values}
    pairs = [(x, y) for x, y in zip(first.outputs, second.outputs, strict=True) if x in a and y in b]
    return [(a[x], b[y]) for x, y in pairs if fit_shape(b[y].array, a[x].array.shape) is not None]


def _same_names(a: Sequence[Value], b: Sequence[Value]) -> list[tuple[int, int]]:
    """Pair the layers with equal names and shapes. Each layer is looked up once."""
    places: dict[str, int] = {}
    for j, value in enumerate(b):
        for name in _known(value):
            places.setdefault(name, j)
    pairs: dict[int, int] = {}  # the place in `a` by that in `b`
    for i, value in enumerate(a):
        for j in sorted({places[name] for name in _known(value) if name in places} - pairs.keys()):
            if fit_shape(b[j].array, value.array.shape) is not None:
                pairs[j] = i
                break
    return [(i, j) for j, i in pairs.items()]


def _scores(a: Sequence[Value], b: Sequence[Value], tolerance: float) -> NDArray[np.float64]:
    """Return the score of each pair; 0 for impossible pairs."""
    found = np.zeros((len(a), len(b)))
    named_first, named_second = ({value.name for value in side} for side in (a, b))
    for i, x in enumerate(a):
        sample = _sample(x.array)
        for j, y in enumerate(b):
            other = fit_shape(y.array, x.array.shape)
            if other is None:
                continue
            same_name = not _known(x).isdisjoint(_known(y))
            score = _ALIKE + _SAME_KIND * (x.kind == y.kind != "") + _SAME_NAME * same_name
            if _close(sample, _sample(other), tolerance):
                score += _SAME_VALUES
            elif x.part or y.part or x.name in named_second - y.names or y.name in named_first - x.names:
                continue  # the other side has this layer in another place or shape, or only as a part of a layer
            found[i, j] = max(score + _INNER * (x.inner + y.inner), _ALIKE / 8)
    return found


def _known(value: Value) -> frozenset[str]:
    """Return the names of a layer that the other side may also use."""
    return value.aliases if value.part else value.names


def _sample(array: Array) -> Array:
    flat = array.reshape(-1)
    if flat.size <= _SAMPLES:
        return flat
    picked: Array = flat[np.linspace(0, flat.size - 1, _SAMPLES).astype(np.int64)]
    return picked


def _close(a: Array, b: Array, tolerance: float) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        worst = np.abs(a - b).max(initial=0.0)
        return bool(worst <= tolerance * max(np.abs(b).max(initial=0.0), 1e-30))


def _best_path(scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the pairs with the largest sum of scores that keep the order (a weighted longest common subsequence)."""
    rows, columns = scores.shape
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        with_pair = best[i, :-1] + scores[i]
        with_pair[scores[i] == 0] = 0
        # Take the best of the row above, of the path with this pair, and of the columns to the left.
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], with_pair))
    pairs = []
    i, j = rows, columns
    while i > 0 and j > 0:
        if best[i, j] == best[i, j - 1]:
            j -= 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs


def _crossing(scores: NDArray[np.float64], path: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pair the layers that the path leaves out, if their names or values are equal. Higher scores come first."""
    left = scores.copy()
    left[[i for i, _ in path]] = 0
    left[:, [j for _, j in path]] = 0
    pairs = []
    while left.size and left.max() >= _SAME_VALUES:
        i, j = map(int, np.unravel_index(int(left.argmax()), left.shape))
        pairs.append((i, j))
        left[i], left[:, j] = 0, 0
    return pairs
