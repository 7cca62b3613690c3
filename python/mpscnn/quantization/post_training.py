"""Convert a network to 8-bit integers, calibrated with images: `mpscnn.quantize`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpscnn._private.arguments import is_finite_number, name_list, require_bool, whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint
from mpscnn.comparison.precision_table import Answers, AnswerSums, right_classes
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.integer_layers import Scale, refused_layers
from mpscnn.graph.network import Network
from mpscnn.graph.slicing import read_results
from mpscnn.model import Model
from mpscnn.quantization.calibration import Computed, Seen, calibrate
from mpscnn.quantization.equalization import equalize_weights
from mpscnn.quantization.fewest_floats import KeptLayer, Measures, keep_fewest
from mpscnn.quantization.inputs import Array, Given, batches, count_images, to_arrays
from mpscnn.quantization.integer_training import train_integers
from mpscnn.quantization.integers import (
    choose_scales,
    is_kept,
    quantize_network,
    separate_integer_layers,
)
from mpscnn.quantization.preparation import prepare
from mpscnn.quantization.report import QuantizationReport, QuantizedLayer
from mpscnn.runtime.program import named_results

_DIGITS = 9  # of lost points after the decimal point


class Quantized(NamedTuple):
    """The results of `quantize`: `network, report = mpscnn.quantize(model, photos)`."""

    network: Network
    report: QuantizationReport

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the network: see `Network.save`."""
        self.network.save(path, **options)


def _no_attribute(_: object, name: str) -> Any:
    raise AttributeError(
        f"quantize returns a network and a report, without {name!r}: network, report = mpscnn.quantize(model, photos)"
    )


if not TYPE_CHECKING:  # type checkers would accept every name
    Quantized.__getattr__ = _no_attribute


@accept_foreign_arguments
def quantize(
    network: Network | Model[Any],
    images: Iterable[Any],
    *,
    test_images: Iterable[Any] | None = None,
    test_classes: Sequence[int] | None = None,
    keep_float32: Sequence[str] = (),
    loss: float | None = None,
    epochs: int = 0,
    equalize: bool | None = None,
    correct_bias: bool = True,
) -> Quantized:
    """Quantise a network to 8-bit integers after its training. Precision "int8" computes in these integers.

    Weights get a scale for each output and are symmetric around zero. Tensors get the range with the smallest mean
    squared error over the images, so a few hundred typical images are needed. `Network.save` stores the integers.

    Args:
        network: a float network with its weights. It stays unchanged.
        images: inputs (n, height, width, channels) or of the network's shape: one array, or a list of them. If the
            network has a `Network.preprocess`, also a list of photos, a folder, a pattern or an `ImageFolder`; arrays
            of integers are pixels of photos. For a network with several inputs: a list of mappings by their names, or
            of sequences, of inputs.
        test_images: images on which results before and after are compared; None: `images`.
        test_classes: the right class of each of these, for the accuracy of a classifier.
        keep_float32: layers to keep in float32, for example those with the largest errors, besides those that the
            network keeps already (`Network.keep_float32`). A layer includes the batch normalization and the
            activation after it. Layers that have no integer version stay in float32, too; the report names them.
        loss: keep the fewest layers in float32 so that at most this number of points is lost on the test images, in
            percent, such as 0.5: of the accuracy with `test_classes`, otherwise of the answers that stay the same. It
            takes as long as two runs on the test images for each of several layers; None: keep no more layers.
        epochs: train the quantised network with `images` so many times. Each step computes the engine's integers, and
            the results come closer to those of the float network. Layers are kept for `loss` only if training alone is
            not enough; then the network with these layers is trained. A training that does not reduce the error on
            `images` is left out. 0: no training.
        equalize: whether to equalise channels between layers (Nagel et al. 2019) if the activation between them is
            none or relu; None: if that reduces the error of the results on `images`.
        correct_bias: whether biases compensate the mean error of rounded weights.

    Returns the quantised network and a report. A trained network has other weights than `network`. Batch normalizations
    and activations that became part of the layer before them are no longer separate layers.

    Raises:
        UnsupportedError: no layer has an integer version, layers read more than 1,000 results, or with `epochs`, a
            layer has no gradient.
        ParameterError: the network is quantised already; with `loss`, its results have no classes or objects, or all
            layers would have to stay in float32; a layer to keep does not exist; there are no images, or they
            are not the network's inputs; results are not finite; or `test_classes` has another length or unknown
            classes.
        ShapeError: the images do not fit.
        WeightsError: weights are missing.
        ImageError: a photo cannot be read.
    """
    if isinstance(network, Model):
        network = network.network
    if not isinstance(network, Network):
        raise ParameterError(
            f"quantize: expected a Network or a Model, got {type(network).__name__}{conversion_hint(network)}"
        )
    if equalize is not None:
        require_bool("quantize: equalize", equalize)
    require_bool("quantize: correct_bias", correct_bias)
    if loss is not None and (not is_finite_number(loss) or not 0 <= loss <= 100):
        raise ParameterError(f"quantize: loss must be 0 to 100 points, got {loss!r}")
    whole_number("quantize: epochs", epochs, minimum=0)
    quantizable = require_quantizable(network, keep_float32)
    prepared = quantizable.network
    given = to_arrays(network, images, "images")
    tested = given if test_images is None else to_arrays(network, test_images, "test_images")
    count = sum(map(count_images, tested))
    right = (
        None
        if test_classes is None
        else right_classes("quantize: test_classes", network, test_classes, count)
    )
    untrained = _quantized(prepared, given, equalize, correct_bias)
    made = _trained(prepared, untrained, given, epochs)
    promised: tuple[KeptLayer, ...] = ()
    if loss is not None:
        points = _lost_points(network, tested, right)
        if points(made.quantized) > loss:
            made, promised = _within(network, untrained, tested, loss, points)
            again = _trained(prepared, made, given, epochs)
            if points(again.quantized) <= points(made.quantized):
                made = again
    result = made.quantized
    answers = _answers_of(network, tested)
    before, after = _answers(network, result, tested, answers)
    report = QuantizationReport(
        name=network.name,
        calibration_images=sum(map(count_images, given)),
        images=count,
        compared=answers.counted,
        agreement=after.agreement(),
        accuracy_before=before.accuracy(right),
        accuracy=after.accuracy(right),
        error=after.error(),
        equalized=made.equalized,
        kept=tuple(node["name"] for node in result.to_dict()["nodes"] if is_kept(node)),
        refused=quantizable.refused,
        layers=_layers(made.floats, result, given),
        loss=None if loss is None else _points(before, after, right),
        promised=promised,
        epochs=made.epochs,
        training_left_out=epochs > made.epochs,
    )
    return Quantized(result, report)


@dataclass(frozen=True)
class Quantizable:
    """A network that can be quantised.

    Args:
        network: the network from `prepare`, with layers that are kept in float32.
        refused: layers that are kept because they have no integer version, with reasons.
    """

    network: Network
    refused: dict[str, str]


def require_quantizable(network: Network, keep_float32: Sequence[str] = ()) -> Quantizable:
    """Return the prepared network, in which these layers and those without an integer version are kept in float32.

    Raises the errors of `quantize` that do not depend on the images.
    """
    structure = network.to_dict()
    if any("quantization" in entry for entry in [*structure["inputs"], *structure["nodes"]]):
        raise ParameterError(
            f'quantize: network {network.name!r} is quantised already; it computes in precision "int8"'
        )
    for name in name_list("keep_float32", keep_float32):
        if network[name].index < len(network.inputs):  # raises an error for an unknown layer
            raise ParameterError(f"quantize: keep_float32: {name!r} is an input, not a layer")
    prepared, became = prepare(network, keep_float32)
    read_results(prepared, [node["name"] for node in prepared.to_dict()["nodes"]])
    inputs = {tensor.name for tensor in prepared.inputs}
    prepared.keep_float32([became[name] for name in keep_float32 if became[name] not in inputs])
    refused = refused_layers(prepared)
    if refused and len(refused) == len(prepared.to_dict()["nodes"]):
        raise UnsupportedError(f"quantize: network {network.name!r}: {next(iter(refused.values()))}")
    prepared.keep_float32(list(refused))
    return Quantizable(prepared, refused)


def _answers_of(network: Network, images: Sequence[Given]) -> Answers:
    return Answers(network, next(iter(images[0].values())).shape)


@dataclass(frozen=True)
class _Made:
    """A network before and after its quantisation.

    Args:
        floats: the float network, from `prepare`.
        seen: the values of this network on the images.
        scales: the scales of the tensors.
        correct_bias: as for `quantize_network`.
        equalized: whether channels were equalised between layers.
        epochs: how often it was trained with each image.
    """

    floats: Network
    seen: Mapping[str, Seen]
    scales: Mapping[str, Scale]
    correct_bias: bool
    equalized: bool = False
    epochs: int = 0

    @cached_property
    def quantized(self) -> Network:
        """The network with integers."""
        return self.rounded(self.floats)

    def rounded(self, floats: Network) -> Network:
        """Return a network with other layers in float32, but the same weights and scales, in integers."""
        return quantize_network(floats, self.seen, correct_bias=self.correct_bias, scales=self.scales)


def _trained(prepared: Network, made: _Made, images: Sequence[Given], epochs: int) -> _Made:
    """Return the network after training with its integers, or `made` if that has less error on the images."""
    if not epochs:
        return made
    floats = train_integers(made.floats, made.quantized, made.scales, images, epochs)
    # The biases need no correction, since they were trained.
    return _better(prepared, made, replace(made, floats=floats, correct_bias=False, epochs=epochs), images)


def _better(prepared: Network, first: _Made, second: _Made, images: Sequence[Given]) -> _Made:
    """Return the one whose results are closer to those of the prepared network, `first` if they are equally close."""
    answers = _answers_of(prepared, images)
    errors = [_answers(prepared, one.quantized, images, answers)[1].error() for one in (first, second)]
    return first if errors[0] <= errors[1] else second


def _measured(network: Network, images: Sequence[Given], correct_bias: bool) -> _Made:
    seen = calibrate(network, images)
    return _Made(network, seen, choose_scales(network, seen), correct_bias)


def _quantized(
    prepared: Network, images: Sequence[Given], equalize: bool | None, correct_bias: bool
) -> _Made:
    plain = _measured(prepared, images, correct_bias)
    other = None if equalize is False else equalize_weights(prepared, plain.seen)
    if other is None:
        return plain
    changed = replace(_measured(other, images, correct_bias), equalized=True)
    return changed if equalize else _better(prepared, plain, changed, images)


def _points(before: AnswerSums, after: AnswerSums, right: Any) -> float:
    """Return the lost points of the accuracy in percent, or those of the agreement if no classes are known.

    They are rounded, so that 1 of 200 photos is half a point, and not 4e-16 more.
    """
    accuracies, agreement = [one.accuracy(right) for one in (before, after)], after.agreement()
    if accuracies[0] is not None and accuracies[1] is not None:
        return round(100 * (accuracies[0] - accuracies[1]), _DIGITS)
    if agreement is None:
        raise ParameterError("quantize: loss needs a network whose results are classes or objects")
    return round(100 * (1 - agreement), _DIGITS)


def _lost_points(network: Network, tested: Sequence[Given], right: Any) -> Callable[[Network], float]:
    """Return a function that returns the points which a quantised network loses."""
    answers = _answers_of(network, tested)
    return lambda trial: _points(*_answers(network, trial, tested, answers), right)


def _within(
    network: Network,
    made: _Made,
    tested: Sequence[Given],
    loss: float,
    points: Callable[[Network], float],
) -> tuple[_Made, tuple[KeptLayer, ...]]:
    """Return the network that loses at most `loss` points, and the layers that stay in float32 for this."""
    answers, few = _answers_of(network, tested), [next(batches(tested))]

    def error(trial: Network) -> float:
        return _answers(network, trial, few, answers)[1].error()

    kept = keep_fewest(made.floats, made.rounded, loss, Measures(points, error))
    floats = made.floats.copy()
    floats.keep_float32([layer.name for layer in kept])
    return replace(made, floats=floats), kept


def _answers(
    network: Network, quantized: Network, images: Sequence[Given], answers: Answers
) -> tuple[AnswerSums, AnswerSums]:
    """Return the results of the network in float32 and of the quantised one in int8."""
    seen = AnswerSums(answers), AnswerSums(answers)
    sessions = [
        network.compile(device="cpu", precision="float32").session(),
        quantized.compile(device="cpu", precision="int8").session(),
    ]
    for batch in batches(images):
        right, found = (named_results(session, list(batch.values())) for session in sessions)
        seen[0].add(right, right)
        seen[1].add(right, found)
    return seen


def _layers(floats: Network, quantized: Network, images: Sequence[Given]) -> tuple[QuantizedLayer, ...]:
    right, found = Computed(floats, precision="float32"), Computed(quantized, precision="int8")
    separated, sources = separate_integer_layers(quantized)
    alone = separated.compile(device="cpu", precision="int8").session()
    squares = {name: np.zeros(3) for name in right.names}
    for batch in batches(images):
        exact, inexact = right.run(batch), found.run(batch)
        own = named_results(alone, [exact[name] for name in sources])
        for name, sums in squares.items():
            floats_of = exact[name]
            sums += [_square(one) for one in (floats_of, own[name] - floats_of, inexact[name] - floats_of)]
    layers = []
    for node in quantized.to_dict()["nodes"]:
        norm, own_error, error = squares[node["name"]]
        stated = node["quantization"]
        lowest, highest = ((end - stated["zero_point"]) * stated["scale"] for end in (-128, 127))
        layers.append(
            QuantizedLayer(
                name=node["name"],
                operation=node["operation"],
                lowest=lowest,
                highest=highest,
                own_error=_ratio(own_error, norm),
                error=_ratio(error, norm),
            )
        )
    return tuple(layers)


def _square(values: Array) -> float:
    """Return the sum of squares, computed in float64 because it may exceed float32."""
    return float(np.square(values, dtype=np.float64).sum())


def _ratio(error: float, norm: float) -> float:
    if norm:
        return math.sqrt(error / norm)
    return 0.0 if error == 0.0 else math.inf
