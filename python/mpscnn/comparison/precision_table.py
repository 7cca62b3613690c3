"""Compare all precisions of a network: `mpscnn.compare_precisions`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn._private.arguments import is_finite_number, whole_number, whole_numbers
from mpscnn._private.class_scores import score_count
from mpscnn._private.literals import AccumulateName, PrecisionName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.report import Column, Report
from mpscnn._private.summary import bytes_text, prose
from mpscnn.comparison.trace import Array
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.opening_models import model_task
from mpscnn.photo_sources import input_array, photos_for
from mpscnn.runtime.library import precisions_of
from mpscnn.runtime.program import named_results
from mpscnn.runtime.slow_precision import on_trial

if TYPE_CHECKING:
    from mpscnn.runtime.program import Program, Session
    from mpscnn.vision.found_object import Detection

Outputs = dict[str, Array]

#: A precision replaces a more exact one if its time is at most this share of the other's, so that the noise of
#: measurements decides nothing.
_CLEARLY_FASTER = 0.95


@dataclass(frozen=True)
class PrecisionFigures:
    """The results, time and memory of a network in one precision.

    Args:
        precision: the precision's name.
        numbers: `Program.numbers`, which distinguishes rows of the same precision.
        error: the L2 norm of the results' difference from float32, divided by the norm of the float32 results; the
            largest of all outputs.
        agreement: how often the result is the same as in float32: the share of images with the same most probable
            class, of pixels with the same class, or of objects that both find (the same class, and boxes that overlap
            by half). None if the results have no classes.
        accuracy: the share of images whose most probable class is the right one; None if that is not known.
        milliseconds: the shortest time of one run on one image.
        weight_bytes: the bytes of packed weights.
        arena_bytes: the bytes of intermediate results.
        fingerprint: `Program.fingerprint`.
        options: the arguments of `Network.compile` that give this row, besides the device.
    """

    precision: PrecisionName
    numbers: str
    error: float
    agreement: float | None
    accuracy: float | None
    milliseconds: float
    weight_bytes: int
    arena_bytes: int
    fingerprint: str
    options: dict[str, Any]


@dataclass(frozen=True)
class PrecisionTable(Report):
    """All precisions of a network on one device. Printing it shows a table.

    Args:
        name: the network's name.
        device: the device.
        images: the number of images.
        compared: what `PrecisionFigures.agreement` counts: "images", "pixels" or "objects".
        rows: one for each precision, and for variants with 8-bit weights or float16 sums.
        refused: the precisions that this network or device does not support, with reasons.
    """

    name: str
    device: str
    images: int
    compared: str
    rows: tuple[PrecisionFigures, ...]
    refused: dict[str, str]

    def fastest(self, within: float) -> PrecisionFigures:
        """Return the row of the fastest precision whose error is at most `within`; float32 if no other is faster.

        Raises:
            ParameterError: `within` is no finite number of at least 0.
        """
        found: PrecisionFigures = fastest(self.rows, within)
        return found

    def _entries(self) -> tuple[PrecisionFigures, ...]:
        return self.rows

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("precision", lambda row: row.numbers),
            Column("error", lambda row: f"{row.error:.2g}", right=True),
            Column(f"same {self.compared}", lambda row: _percent(row.agreement), right=True),
            Column("accuracy", lambda row: _percent(row.accuracy), right=True),
            Column("ms", lambda row: f"{row.milliseconds:.3g}", right=True),
            Column("weights", lambda row: bytes_text(row.weight_bytes), right=True),
            Column("intermediate", lambda row: bytes_text(row.arena_bytes), right=True),
            Column("fingerprint", lambda row: row.fingerprint),
        )

    def _dropped(self) -> tuple[str, ...]:
        return "intermediate", "fingerprint", "weights", "accuracy"

    def _sentences(self) -> list[str]:
        return [f"{name}: {reason}" for name, reason in self.refused.items()]

    def table(self, *, width: int | None = None) -> str:
        """Return the figures as a table, and below it the reasons of refused precisions.

        Lines have at most `width` characters if possible.
        """
        reasons = (part for reason in self._sentences() for part in prose(reason, width))
        return "\n".join([super().table(width=width), *reasons])

    def __repr__(self) -> str:
        return self.table()


def fastest(rows: Sequence[Any], within: float) -> Any:
    """Return the row of the fastest precision whose error is at most `within`. It is float32 if no other is faster.

    Args:
        rows: `Measured` or `PrecisionFigures`. One of them is float32, whose error is 0.
        within: the greatest error.

    Raises:
        ParameterError: `within` is no finite number of at least 0.
    """
    if not is_finite_number(within) or within < 0:
        raise ParameterError(f"within: expected a number of at least 0, got {within!r}")
    best = None
    for row in sorted((row for row in rows if row.error <= within), key=lambda row: float(row.error)):
        if best is None or row.milliseconds <= _CLEARLY_FASTER * best.milliseconds:
            best = row
    return best


@accept_foreign_arguments
def compare_precisions(
    network: Network | Model[Any],
    images: Any,
    *,
    classes: Sequence[int] | None = None,
    device: str = "cpu",
    precisions: Sequence[PrecisionName] | None = None,
    accumulate_dtype: AccumulateName = "auto",
    threads: int | None = None,
    runs: int = 20,
) -> PrecisionTable:
    """Compare the precisions in which a device can run a network: results, time and memory.

    Args:
        network: a network with one input, or a model.
        images: a list of inputs, (n, height, width, channels) or of the network's shape, all of one shape. If the
            network has a `Network.preprocess`, also a list of photos, a folder, a pattern or an `ImageFolder`.
        classes: the right class of each image, for the accuracy of a classifier.
        device: as for `Network.compile`. Results are compared with "float32" on it.
        precisions: the precisions to compare; None: all that the device supports, and float32 and float16 with 8-bit
            weights.
        accumulate_dtype: "float16" also compares float16 with sums in half precision, which is slow on most processors.
        threads: the threads of each session; None: all that this process may use.
        runs: the number of timed runs of each precision, interleaved.

    Raises:
        ParameterError: there are no images, they are not finite, `classes` has another length, there are no runs, or
            the network has several inputs or is not a network.
        ShapeError: the images have another shape.
        DeviceError: there is no such device.
    """
    if isinstance(network, Model):
        network = network.network
    if not isinstance(network, Network):
        raise ParameterError(
            f"compare_precisions: expected a Network or a Model, got {type(network).__name__}"
        )
    whole_number("runs", runs, minimum=1)
    if threads is not None:
        whole_number("threads", threads, otherwise="None")
    if len(network.inputs) != 1:
        raise ParameterError(
            f"compare_precisions: network {network.name!r} has {len(network.inputs)} inputs, expected one"
        )
    given = image_arrays("compare_precisions", network, images)
    count = sum(map(len, given))
    known = None if classes is None else right_classes("compare_precisions: classes", network, classes, count)
    programs: dict[str, Program] = {}
    refused: dict[str, str] = {}
    compared = compared_options(device, precisions, accumulate_dtype)
    for name, options in compared.items():
        try:
            with on_trial():
                programs[name] = network.compile(device=device, **options)
        except (UnsupportedError, WeightsError) as error:  # an operation or a number that the precision lacks
            if name == "float32":
                raise
            refused[name] = str(error)
    sessions = {name: program.session(threads=threads or "auto") for name, program in programs.items()}
    answers = Answers(network, given[0].shape)
    seen = {name: AnswerSums(answers) for name in programs}
    for image in given:
        right = named_results(sessions["float32"], image)
        for name, session in sessions.items():
            seen[name].add(right, right if name == "float32" else named_results(session, image))
    times = _times(sessions, given[0], runs)
    rows = tuple(
        PrecisionFigures(
            precision=program.precision,
            numbers=program.numbers,
            error=seen[name].error(),
            agreement=seen[name].agreement(),
            accuracy=seen[name].accuracy(known),
            milliseconds=times[name],
            weight_bytes=program.weight_bytes,
            arena_bytes=program.arena_bytes(given[0].shape),
            fingerprint=program.fingerprint(given[0].shape),
            options=compared[name],
        )
        for name, program in programs.items()
    )
    about = programs["float32"].device_name
    return PrecisionTable(network.name, about, count, answers.counted, rows, refused)


def compared_options(
    device: str, precisions: Sequence[PrecisionName] | None, accumulate_dtype: AccumulateName
) -> dict[str, dict[str, Any]]:
    """Return the arguments of `Network.compile` for each row, by the row's `Program.numbers`."""
    chosen = dict.fromkeys(["float32", *(precisions_of(device) if precisions is None else precisions)])
    compared: dict[str, dict[str, Any]] = {name: {"precision": name} for name in chosen}
    if precisions is None:
        for name in ("float32", "float16"):
            compared[f"{name}, weights int8"] = {"precision": name, "weights": "int8"}
    if accumulate_dtype not in ("auto", "float32"):
        compared["float16, sums in halves"] = {"precision": "float16", "accumulate_dtype": accumulate_dtype}
    return compared


def image_arrays(what: str, network: Network, images: Any) -> list[Array]:
    """Return images of a network with one input as a list of arrays. Photos are preprocessed.

    Raises ParameterError if there are none, or if they are not finite numbers, and the errors of photos.
    """
    shape = network.input.shape
    given = [input_array(what, network, shape, image) for image in photos_for(f"{what}: images", images)]
    if not all(image.ndim for image in given):
        raise ShapeError(f"{what}: images must be arrays (n, ...), got a number")
    for image in given:
        if image.dtype.kind not in "fiub":
            raise ParameterError(f"{what}: images must be numbers, got an array of {image.dtype}")
        if not np.isfinite(image).all():
            raise ParameterError(f"{what}: the images are not all finite")
    if not sum(map(len, given)):
        raise ParameterError(f"{what}: no images given")
    return given


def right_classes(what: str, network: Network, classes: Sequence[int], count: int) -> list[int]:
    """Return a class number for each image. Raises ParameterError for a wrong count or an unknown class."""
    right = whole_numbers(what, classes)
    function, _, argument = what.partition(": ")
    if len(right) != count:
        raise ParameterError(f"{function}: {len(right)} classes for {count} images")
    scores = score_count([tensor.shape for tensor in network.outputs])
    if scores is not None:
        for index in right:
            if not 0 <= index < scores:
                raise ParameterError(
                    f"{function}: class {index} in {argument}; network {network.name!r} has classes 0 to "
                    f"{scores - 1}"
                )
    return right


class Answers:
    """Extracts the results that two precisions may have in common: classes of images or pixels, or objects."""

    def __init__(self, network: Network, input_shape: tuple[int, ...]) -> None:
        self._names = [tensor.name for tensor in network.outputs]
        head = network.detection
        if head is not None and "angles" in head.settings:
            head = None  # a `Detector` has no rotated boxes, so only numbers are compared
        self._head = head
        self.counted = "images"
        if head is not None:
            self.counted = "objects"
            self._detector = head.detector((input_shape[1], input_shape[2]))
        elif model_task(False, [tensor.shape for tensor in network.outputs]) == "segmentation":
            self.counted = "pixels"

    def classes(self, outputs: Outputs) -> Array | None:
        """Return the class of each image or pixel; None if the outputs have no classes."""
        scores = outputs[self._names[0]]
        if len(self._names) > 1 or scores.ndim not in (2, 4) or scores.shape[-1] < 2:
            return None
        found: Array = scores.argmax(axis=-1)
        return found.reshape(-1) if score_count([scores.shape]) is not None else found

    def same(self, right: Outputs, found: Outputs) -> tuple[int, int] | None:
        """Return the number of equal results and the number of results; None if there is nothing to compare."""
        if self._head is not None:
            first, second = self._objects(right), self._objects(found)
            same = sum(_matches(a, b) for a, b in zip(first, second, strict=True))
            return 2 * same, sum(map(len, first)) + sum(map(len, second))
        classes, others = self.classes(right), self.classes(found)
        if classes is None or others is None:
            return None
        return int((classes == others).sum()), classes.size

    def _objects(self, outputs: Outputs) -> list[list[Detection]]:
        assert self._head is not None
        boxes, scores = (outputs[self._head.output(part)] for part in ("boxes", "scores"))
        return [self._detector.run(b, s) for b, s in zip(boxes, scores, strict=True)]


class AnswerSums:
    """The sums over the images so far, for one precision."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._squares: dict[str, list[float]] = {}
        self._same: list[tuple[int, int]] = []
        self._classes: list[Array] = []

    def add(self, right: Outputs, found: Outputs) -> None:
        """Add the results of some images: `right` in float32, `found` in the other precision."""
        for name, expected in right.items():
            wide = expected.astype(np.float64)
            sums = self._squares.setdefault(name, [0.0, 0.0])
            sums[0] += float(np.square(found[name] - wide).sum())
            sums[1] += float(np.square(wide).sum())
        if (same := self._answers.same(right, found)) is not None:
            self._same.append(same)
        if (classes := self._answers.classes(found)) is not None and classes.ndim == 1:
            self._classes.append(classes)

    def error(self) -> float:
        """Return `PrecisionFigures.error`."""
        errors = [
            math.sqrt(error / right) if right else (0.0 if error == 0.0 else math.inf)
            for error, right in self._squares.values()
        ]
        return math.nan if any(map(math.isnan, errors)) else max(errors)

    def agreement(self) -> float | None:
        """Return `PrecisionFigures.agreement`."""
        if not self._same:
            return None
        same, count = (sum(entry[i] for entry in self._same) for i in (0, 1))
        return same / count if count else 1.0  # neither has found an object

    def accuracy(self, classes: Sequence[int] | None) -> float | None:
        """Return `PrecisionFigures.accuracy`."""
        if classes is None or not self._classes:
            return None
        return float((np.concatenate(self._classes) == np.asarray(classes)).mean())


def _matches(first: Sequence[Detection], second: Sequence[Detection]) -> int:
    """Count the objects that are in both lists: of the same class, with an IoU of at least 0.5. Each counts once."""
    left = list(second)
    for one in first:
        match = next(
            (other for other in left if other.index == one.index and _overlap(one, other) >= 0.5), None
        )
        if match is not None:
            left.remove(match)
    return len(second) - len(left)


def _overlap(first: Detection, second: Detection) -> float:
    """Return the intersection over union of two boxes."""
    a, b = first.box, second.box
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (a.width * a.height + b.width * b.height - both)


def _times(sessions: dict[str, Session], image: Array, runs: int) -> dict[str, float]:
    """Return the shortest milliseconds of one image for each session, from interleaved runs."""
    one = np.ascontiguousarray(image[:1])
    minimum = dict.fromkeys(sessions, math.inf)
    for session in sessions.values():
        session.run(one)
    for _ in range(runs):
        for name, session in sessions.items():
            begin = time.perf_counter()
            session.run(one)
            minimum[name] = min(minimum[name], 1000.0 * (time.perf_counter() - begin))
    return minimum


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
