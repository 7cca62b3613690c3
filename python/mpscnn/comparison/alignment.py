"""Align the layers of two traces by name, structure and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpscnn.comparison.trace import Array, Trace, Value

# At most this many values of two layers are compared to decide whether the layers belong together. If there are many
# pairs, fewer are compared, so that all pairs together compare at most about _MAX_COMPARED values.
_SAMPLES, _FEWEST_SAMPLES, _MAX_COMPARED = 2048, 128, 1 << 27
# So many values of a pair are compared first.
_FEW_SAMPLES = 16
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
# The largest number of pairs that get a score.
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
    """Return the score of each pair; 0 for impossible pairs.

    Each layer of `a` is compared with all layers of `b` at once.
    """
    found = np.zeros((len(a), len(b)))
    count = max(_FEWEST_SAMPLES, min(_SAMPLES, _MAX_COMPARED // max(found.size, 1)))
    groups = _groups(b, count)
    known, named, titled = (
        _places(names) for names in (map(_known, b), (y.names for y in b), ({y.name} for y in b))
    )
    kinds = np.array([y.kind for y in b], dtype=object)
    parts, inner = np.array([y.part for y in b], bool), np.array([y.inner for y in b], bool)
    first_names = {x.name for x in a}
    has_name_of_first = np.array([y.name in first_names for y in b], bool)
    for i, x in enumerate(a):
        group = groups.get((x.array.ndim >= 3, _plain(x.array.shape)))
        if group is None:
            continue
        places = group.places
        score = np.full(len(places), _ALIKE)
        score[(kinds[places] == x.kind) & (x.kind != "")] += _SAME_KIND
        score[_among(places, known, _known(x))] += _SAME_NAME
        close = group.close(_sample(x.array, count).astype(np.float64), tolerance)
        score[close] += _SAME_VALUES
        # The other side may have this layer in another place or shape, or only as a part of a layer.
        elsewhere = parts[places] | x.part
        if x.name in titled:
            elsewhere |= ~_among(places, named, [x.name])
        elsewhere |= has_name_of_first[places] & ~_among(places, titled, x.names)
        score += _INNER * (inner[places].astype(float) + x.inner)
        found[i, places] = np.where(elsewhere & ~close, 0.0, np.maximum(score, _ALIKE / 8))
    return found


class _Group:
    """The layers of one shape, with samples of their values.

    Args:
        places: the places of the layers in their trace.
        arrays: their results, with the elements in the order of the other side.
        count: the largest number of elements of a sample.
    """

    def __init__(self, places: Sequence[int], arrays: Sequence[Array], count: int) -> None:
        self.places = np.array(places)
        self._samples = np.stack([_sample(array, count) for array in arrays]).astype(np.float64)
        with np.errstate(invalid="ignore"):
            self._largest = np.abs(self._samples).max(axis=1, initial=0.0)

    def close(self, sample: Array, tolerance: float) -> NDArray[np.bool_]:
        """Return which layers have the values of a sample. A few values show most differences."""
        allowed = tolerance * np.maximum(self._largest, 1e-30)
        step = max(1, sample.size // _FEW_SAMPLES)
        with np.errstate(invalid="ignore", over="ignore"):
            few = np.abs(self._samples[:, ::step] - sample[::step]).max(axis=1, initial=0.0)
            found: NDArray[np.bool_] = few <= allowed
            likely = np.flatnonzero(found)
            worst = np.abs(self._samples[likely] - sample).max(axis=1, initial=0.0)
            found[likely] = worst <= allowed[likely]
        return found


def _groups(values: Sequence[Value], count: int) -> dict[tuple[bool, tuple[int, ...]], _Group]:
    """Return the layers that fit each shape as `fit_shape` defines it.

    The keys are whether the shape has three or more axes, and the shape without axes of extent 1.
    """
    members: dict[tuple[bool, tuple[int, ...]], dict[int, Array]] = {}
    for place, value in enumerate(values):
        array = value.array
        for has_channels in (False, True):
            members.setdefault((has_channels, _plain(array.shape)), {})[place] = array
        if array.ndim == 3:
            moved = np.moveaxis(array, 1, -1)
            members.setdefault((True, _plain(moved.shape)), {}).setdefault(place, moved)
    return {key: _Group(list(found), list(found.values()), count) for key, found in members.items()}


def _places(names: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Return the places at which each name occurs."""
    found: dict[str, list[int]] = {}
    for place, several in enumerate(names):
        for name in several:
            found.setdefault(name, []).append(place)
    return found


def _among(
    places: NDArray[np.int64], known: Mapping[str, Sequence[int]], names: Iterable[str]
) -> NDArray[np.bool_]:
    """Return which places have one of the names."""
    return np.isin(places, [place for name in names for place in known.get(name, ())])


def _known(value: Value) -> frozenset[str]:
    """Return the names of a layer that the other side may also use."""
    return value.aliases if value.part else value.names


def _sample(array: Array, count: int) -> Array:
    flat = array.reshape(-1)
    if flat.size <= count:
        return flat
    picked: Array = flat[np.linspace(0, flat.size - 1, count).astype(np.int64)]
    return picked


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
    rows, columns = ({pair[side] for pair in path} for side in (0, 1))
    likely = np.flatnonzero(scores >= _SAME_VALUES)
    pairs = []
    for place in likely[np.argsort(-scores.reshape(-1)[likely], kind="stable")]:
        i, j = divmod(int(place), scores.shape[1])
        if i not in rows and j not in columns:
            pairs.append((i, j))
            rows.add(i)
            columns.add(j)
    return pairs
