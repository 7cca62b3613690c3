"""Compare the results of two networks layer by layer: `mpscnn.compare`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn._private.arrays import naming_remedy
from mpscnn._private.npy_file import map_array
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.comparison.alignment import Pairs, align
from mpscnn.comparison.detector_outputs import decoded_sides
from mpscnn.comparison.layer_comparison import ComparedLayer, Comparison, compare_layer
from mpscnn.comparison.native_engine import NativeEngine
from mpscnn.comparison.sides import Side, open_side
from mpscnn.comparison.trace import TOLERANCES, Array, Engine, Trace, Value
from mpscnn.comparison.weight_rounding import differ_by_float16_rounding
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.photo_sources import is_photo, one_photo, photos_for

Shapes = dict[str, tuple[int | None, ...]]


@accept_foreign_arguments
def compare(
    first: Any,
    second: Any,
    input: Any = "random",
    *,
    tolerance: float | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Comparison:
    """Run two networks on the same input and compare them layer by layer.

    Each side is a name or file as for `mpscnn.load`, a `Network`, a `Model` or a torch module. Files of other
    frameworks run in their own engines: .onnx in onnxruntime, .tflite in LiteRT, .keras and .h5 in Keras, .pb in
    TensorFlow. A name or file may be followed by "@cpu", "@metal", "@float16" or "@bfloat16" (then mpscnn converts and
    runs it), by "@onnxruntime" or "@litert" (then mpscnn writes the network as ONNX or TensorFlow Lite), by "@coreml"
    (Core ML on a Mac), or by "@coreai" (Core AI on macOS 27).

    If both sides are detectors whose outputs have different codings, the outputs are compared after decoding: boxes as
    fractions of the input, and probabilities of classes, both before suppression.

    Args:
        first: one side. Its layers determine the order.
        second: the other side. Errors are relative to its results.
        input: "random" (uniform from -1 to 1, or over the range of an integer input), a photo (with the preprocessing
            of the side that has one), an .npy file or an array: (n, height, width, channels), or (n, features); a list
            of arrays for several inputs. If a side is a torch module, an array that fits only in the module's order,
            (n, channels, height, width), is taken, too. An array of integers is the pixels of photos, (n, height,
            width, channels) or (height, width, channels), if a side has a preprocessing. A list of photos, a folder, a
            pattern or an `ImageFolder` is one batch.
        tolerance: the largest error that counts as equal, relative to the largest magnitude of a layer's result. None:
            by the lower precision of both sides: 0.001 for float32, 0.02 for float16, 0.1 for bfloat16. It is that of
            float16, too, if the weights of one network are float16 numbers and the other network has different weights.
            With 8-bit integers it is relative to the L2 norm, 0.35.
        size: (height, width) if both networks accept any size.
        seed: the random seed of the input.

    Raises:
        UnsupportedError: an engine is not installed, or cannot run its network.
        ShapeError: the inputs differ, or no layers correspond.
        WeightsError: a file is damaged.
        ParameterError: a side or an argument is invalid.
        ImageError: the photo cannot be read.
    """
    sides, meanings = decoded_sides(open_side(first), open_side(second))
    given = _given_arrays(input, sides)
    shapes = None if given is None else {f"input {i}": array.shape for i, array in enumerate(given)}
    a, b = _engines(sides, shapes, size)
    inputs = _inputs(a, b, sides, input, given, size, seed)
    if tolerance is None:
        tolerance = default_tolerance(a, b)
    elif not 0.0 <= tolerance < float("inf"):
        raise ParameterError(f"compare: tolerance must be a finite number of at least 0, got {tolerance}")
    traces = a.trace(inputs), b.trace(inputs)
    decoded = bool(meanings) and all(
        meaning.fits(trace) for meaning, trace in zip(meanings, traces, strict=True)
    )
    if decoded:
        traces = meanings[0].decoded(traces[0], inputs), meanings[1].decoded(traces[1], inputs)
    found = compare_traces((a, b), traces, tolerance, decoded=decoded)
    if not found.layers:
        raise ShapeError(f"compare: no layer of {a.title} has the shape of one of {b.title}")
    return found


def compare_traces(
    engines: tuple[Engine, Engine], traces: tuple[Trace, Trace], tolerance: float, *, decoded: bool = False
) -> Comparison:
    """Return the comparison of two networks' results for the same input. It has no layers if no shapes are equal.

    With `decoded` the outputs of detectors are decoded, so the last layers may differ by their coding.
    """
    a, b = engines
    by_norm = "int8" in (a.precision, b.precision)
    pairs = align(*traces, tolerance)
    pairs, found = _without_chance_pairs(
        pairs,
        [compare_layer(x, y, output=x.name in traces[0].outputs) for x, y in pairs],
        lambda layer: (layer.norm_error if by_norm else layer.relative_error) <= tolerance,
        decoded=decoded,
    )
    names = {x.name for x, _ in pairs}, {y.name for _, y in pairs}
    only_first, only_second = (
        tuple(value.name for value in trace.values if value.name not in known)
        for trace, known in zip(traces, names, strict=True)
    )
    uncompared = tuple(
        f"{name} of {engine.title}"
        for engine, trace, known in zip(engines, traces, names, strict=True)
        for name in trace.outputs
        if name not in known
    )
    return Comparison(a.title, b.title, float(tolerance), by_norm, found, only_first, only_second, uncompared)


def default_tolerance(a: Engine, b: Engine) -> float:
    """Return the default tolerance: that of the least precise type of both sides' results and weights."""
    types = [a.precision, b.precision]
    if (
        isinstance(a, NativeEngine)
        and isinstance(b, NativeEngine)
        and differ_by_float16_rounding(a.network, b.network)
    ):
        types.append("float16")
    return max(TOLERANCES[one] for one in types)


def _without_chance_pairs(
    pairs: Pairs, found: list[ComparedLayer], is_equal: Callable[[ComparedLayer], bool], *, decoded: bool
) -> tuple[Pairs, tuple[ComparedLayer, ...]]:
    """Leave out pairs of layers that differ and have no common name, if all outputs are equal.

    Such pairs have only their shape in common. Each network may have steps that the other one lacks. If outputs are
    decoded, pairs that differ need the same name: one side may have fused a part of the decoding into its last layer,
    whose old name then is an alias.
    """
    outputs = [layer for layer in found if layer.output]
    if not decoded and (not outputs or not all(map(is_equal, outputs))):
        return pairs, tuple(found)

    def belong_together(x: Value, y: Value) -> bool:
        return x.name == y.name if decoded else not x.names.isdisjoint(y.names)

    kept = [
        (pair, layer)
        for pair, layer in zip(pairs, found, strict=True)
        if layer.output or is_equal(layer) or belong_together(*pair)
    ]
    return [pair for pair, _ in kept], tuple(layer for _, layer in kept)


def _engines(
    sides: tuple[Side, Side], shapes: Shapes | None, size: tuple[int, int] | None
) -> tuple[Engine, Engine]:
    """Return both engines. A side that does not define its inputs' shapes or order gets those of the other side."""
    first, second = sides
    if first.module is not None or (first.network is None and second.network is not None):
        other = None if second.module is not None else second.engine(size=size)
        known = shapes if other is None else other.inputs
        return first.engine(known, size=size), other or second.engine(shapes, size=size)
    a = first.engine(size=size)
    return a, second.engine(a.inputs, size=size)


def _given_arrays(given: Any, sides: tuple[Side, Side]) -> list[Array] | None:
    """Return the given arrays; None if the input must be generated or read from a photo.

    If a side has a preprocessing for photos, an array of integers is the pixels of photos.
    """
    if isinstance(given, np.ndarray):
        if given.dtype.kind in "UO" and given.ndim == 1:  # the names of photos
            return None
        takes_photos = any(side.preprocess is not None for side in sides)
        if takes_photos and given.dtype.kind in "iu" and given.ndim in (3, 4):
            return None
        return [_array(given)]
    if hasattr(given, "__dlpack__"):  # a tensor of PyTorch
        return [_array(np.asarray(given))]
    if isinstance(given, (list, tuple)) and not any(map(is_photo, given)):
        if not given:
            raise ParameterError("compare: input is an empty list; it needs at least one photo or array")
        return [_array(np.asarray(part)) for part in given]
    if isinstance(given, (str, os.PathLike)) and Path(given).suffix.lower() == ".npy":
        return [_array(map_array(Path(given), ParameterError))]
    return None


def _array(given: np.ndarray[Any, Any]) -> Array:
    if given.dtype.kind not in "fiu":
        raise ParameterError(f"compare: an input must be numbers, got an array of {given.dtype}")
    return np.ascontiguousarray(given, np.float32)


def _inputs(
    a: Engine,
    b: Engine,
    sides: tuple[Side, Side],
    given: Any,
    arrays: list[Array] | None,
    size: tuple[int, int] | None,
    seed: int,
) -> list[Array]:
    shapes = _common_shapes(a, b, size)
    if arrays is not None:
        if any(side.module is not None for side in sides):
            arrays = _channels_last(arrays, shapes)
        _check(arrays, a, shapes, given)
        return arrays
    if isinstance(given, str) and given == "random":
        return random_inputs(a, b, size, seed)
    fixed = [_fixed(shape, a) for shape in shapes]
    if len(fixed) != 1 or len(fixed[0]) != 4:
        raise ShapeError(
            f"compare: a photo cannot be the input of {a.title}: its inputs are {_text(a.inputs)}"
        )
    photos = _photos(given, fixed[0], sides)
    _check([photos], a, shapes, given)
    return [photos]


def random_inputs(a: Engine, b: Engine, size: tuple[int, int] | None, seed: int = 0) -> list[Array]:
    """Return random inputs that both sides accept, from -1 to 1 or of the numbers that an input can be.

    Raises ShapeError if the inputs of both sides differ, or if both leave more free than the batch and `size`.
    """
    fixed = [_fixed(shape, a) for shape in _common_shapes(a, b, size)]
    generator = np.random.default_rng(seed)
    steps = list((a.steps or b.steps).values())
    if len(steps) == len(fixed):
        return [one.random(generator, shape) for one, shape in zip(steps, fixed, strict=True)]
    return [generator.uniform(-1.0, 1.0, shape).astype(np.float32) for shape in fixed]


def _common_shapes(a: Engine, b: Engine, size: tuple[int, int] | None) -> list[tuple[int | None, ...]]:
    """Return the input shapes that both sides accept."""
    if len(a.inputs) != len(b.inputs):
        raise ShapeError(
            f"compare: {a.title} has the inputs {_text(a.inputs)}, {b.title} has {_text(b.inputs)}"
        )
    shapes = []
    for x, y in zip(a.inputs.values(), b.inputs.values(), strict=True):
        if len(x) != len(y) or any(None not in (m, n) and m != n for m, n in zip(x, y, strict=True)):
            raise ShapeError(
                f"compare: the inputs differ: {_text(a.inputs)} of {a.title}, {_text(b.inputs)} of {b.title}"
            )
        common = [m if n is None else n for m, n in zip(x, y, strict=True)]
        if size is not None and len(common) == 4:
            common[1:3] = [
                s if extent is None else extent for s, extent in zip(size, common[1:3], strict=True)
            ]
        shapes.append(tuple(common))
    if size is not None and not any(shape[1:3] == tuple(size) and len(shape) == 4 for shape in shapes):
        raise ShapeError(
            f"compare: {a.title} has the inputs {_text(a.inputs)}, which have no free size: leave out size"
        )
    return shapes


def _fixed(shape: tuple[int | None, ...], engine: Engine) -> tuple[int, ...]:
    batch, *rest = shape
    extents = [extent for extent in rest if extent is not None]
    if len(extents) != len(rest):
        raise ShapeError(
            f"compare: {engine.title} leaves the size of its input free: say size=(height, width)"
        )
    return (batch or 1, *extents)


def _fits(array: Array, shape: Sequence[int | None]) -> bool:
    return len(array.shape) == len(shape) and all(
        extent in (None, length) for length, extent in zip(array.shape, shape, strict=True)
    )


def _channels_last(arrays: Sequence[Array], shapes: Sequence[tuple[int | None, ...]]) -> list[Array]:
    """Return arrays whose order is that of a PyTorch module, (n, channels, height, width), in mpscnn's order.

    Arrays that fit as they are, or in neither order, are returned unchanged.
    """
    made = list(arrays)
    for place, (array, shape) in enumerate(zip(arrays, shapes, strict=False)):
        if array.ndim == 4 and not _fits(array, shape) and _fits(moved := np.moveaxis(array, 1, -1), shape):
            made[place] = np.ascontiguousarray(moved)
    return made


def _check(
    arrays: Sequence[Array], engine: Engine, shapes: Sequence[tuple[int | None, ...]], given: Any
) -> None:
    fits = len(arrays) == len(shapes) and all(map(_fits, arrays, shapes))
    if not fits:
        found = ", ".join(str(array.shape) for array in arrays)
        with naming_remedy(shapes, arrays, given):
            raise ShapeError(f"compare: the inputs of {engine.title} are {_text(engine.inputs)}, got {found}")


def _photos(given: Any, shape: tuple[int, ...], sides: tuple[Side, Side]) -> Array:
    """Return several photos as a batch; one photo as often as the batch of `shape` has images."""
    from mpscnn.vision.preprocessing import preprocess

    settings: Mapping[str, Any] | str | None = next(
        (side.preprocess for side in sides if side.preprocess is not None), None
    )
    if settings is None:
        raise UnsupportedError(
            "compare: neither side has a preprocessing for photos: convert one with --preprocess, or give an array"
        )
    made = [
        preprocess(one_photo(photo), (shape[1], shape[2]), settings, channels=shape[3])
        for photo in photos_for("compare: input", given)
    ]
    return np.concatenate(made) if len(made) > 1 else np.repeat(made[0], shape[0], axis=0)


def _text(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
