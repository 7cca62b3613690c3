"""Models: a network with its preprocessing, labels and compiled program."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from mpscnn import _core
from mpscnn._private.model_name import DEFAULT_MODEL
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import OfClass
from mpscnn.compiled_model import ASSIGNED, CompiledModel
from mpscnn.compiled_model import network_of as network_of
from mpscnn.errors import Error, ParameterError
from mpscnn.opening_models import (
    core_model,
    described_network,
    model_path,
    open_model,
    require_sound_answers,
)
from mpscnn.runtime.options import LOAD_FIELDS, load_options

if TYPE_CHECKING:  # other modules are imported where they are used, so that running a network starts quickly
    from typing_extensions import TypeVar, Unpack

    from mpscnn._private.literals import (
        ChannelOrderName,
        ClassifierName,
        DetectorName,
        ScoresName,
        SegmenterName,
    )
    from mpscnn.graph.network import Network
    from mpscnn.runtime.options import LoadArguments
    from mpscnn.vision.detection import Detections
    from mpscnn.vision.photo_tasks import PhotoTask, Result
    from mpscnn.vision.results import Classification
    from mpscnn.vision.segmentation import Segmentation

    class _LoadArguments(LoadArguments, total=False):
        fold: bool
        preprocess: str | Mapping[str, Any] | None
        labels: Sequence[str] | None
        scores: ScoresName | None
        within: float | None

    # The type of `predict`'s result; Any if it is known only when the file has been read.
    Answer = TypeVar("Answer", default=Any)
else:
    from typing import TypeVar  # the standard one has no defaults before Python 3.13

    Answer = TypeVar("Answer")


@overload
def load(model: ClassifierName = ..., **options: Unpack[_LoadArguments]) -> Model[Classification]: ...
@overload
def load(model: DetectorName, **options: Unpack[_LoadArguments]) -> Model[Detections]: ...
@overload
def load(model: SegmenterName, **options: Unpack[_LoadArguments]) -> Model[Segmentation]: ...
@overload
def load(model: str | os.PathLike[str] | Network, **options: Unpack[_LoadArguments]) -> Model: ...
@accept_foreign_arguments(options=LOAD_FIELDS)
def load(
    model: str | os.PathLike[str] | Network = DEFAULT_MODEL,
    *,
    fold: bool = True,
    preprocess: str | Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    scores: ScoresName | None = None,
    within: float | None = None,
    **options: Unpack[LoadArguments],
) -> Model:
    """Load a model and prepare it for a device.

    Args:
        model: a registry name (`mpscnn.registry.names()`), which is searched in the package, in MPSCNN_MODELS, in the
            cache and at the publisher. Or a path, which is any text with a suffix or a directory separator: a model
            file, or a file of another framework (docs/conversion.md), which is converted once and kept in the cache. Or
            "hf://owner/name@revision/file" or "timm/name" of the Hugging Face hub, where revision and file may be
            missing. Or a `Network`.
        fold: as for `mpscnn.converters.read_network`; False for PyTorch weights that will be trained.
        preprocess: how photos become inputs, see `mpscnn.preprocess`; None: the file's settings.
        labels: the names of the classes, in the order of the outputs; None: those of the file.
        scores: what the results of a classifier are. "softmax": probabilities of classes that exclude each other.
            "sigmoid": an independent probability of each class. The function is applied to the network's output,
            unless the network ends in it. "as is": the output itself. None: what the file states; otherwise the
            function with which the network ends; otherwise "softmax". `Classification.scores_are` has the answer.
        within: take the fastest precision whose results differ from float32 by at most this share: the L2 norm of the
            difference, divided by that of the float32 results. It is measured at the first load on a processor, on the
            sample photos or on random numbers, and kept in the cache. `precision` stays "auto". None: the precision of
            the options, where "auto" is float32.
        options: the fields of `CompileOptions` and `RunOptions`: `device`, `precision`, `threads` and others.

    Raises:
        WeightsError: the file is missing or damaged.
        UnsupportedError: mpscnn lacks a layer, or the device cannot run it in this precision.
        DownloadError: it cannot be downloaded or stored in the cache.
        ParameterError: an unknown name, or a value out of its range.
        ShapeError: the weights take more than `max_memory`.
        DeviceError: there is no such device.
        TypeError: there is no such option.
    """
    load_options(options)  # check the options before a file is downloaded and converted
    if scores is not None:
        from mpscnn.graph.structure import checked_scores

        scores = checked_scores(scores)
    opened = (
        open_model(model_path(model, fold=fold, note_photos=preprocess is None))
        if isinstance(model, (str, os.PathLike))
        else model
    )
    if within is None:
        return Model(opened, preprocess=preprocess, labels=labels, scores=scores, **options)
    from mpscnn.runtime.slow_precision import on_trial

    fastest = _fastest_options(core_model(opened, preprocess, labels, scores), options, within)
    with on_trial():
        return Model(opened, preprocess=preprocess, labels=labels, scores=scores, **{**options, **fastest})


def _fastest_options(core: _core.Model, options: LoadArguments, within: float) -> dict[str, Any]:
    """Return the options of the fastest precision. See `load`."""
    from mpscnn._private.toolkit import precisions

    compiled, runs = load_options(options)
    threads = None if runs.threads == "auto" else runs.threads
    return precisions().fastest_options(described_network(core)[0], compiled, threads, within)


def _restored(content: bytes, options: LoadArguments, assigned: dict[str, Any]) -> Model:
    model = Model(_core.Model.parse(content, "pickled model"), **options)
    model.__dict__.update(assigned)
    return model


class Model(CompiledModel, Generic[Answer]):
    """A network with its preprocessing and labels, compiled for a device. Several threads may use it.

    Copies share the compiled program. A pickled model contains its weights, and is compiled again when it is loaded.

    Args:
        network: the network. Its weights are copied, so it may change later. For a file use `mpscnn.load`.
        preprocess: how photos become inputs: the name of a preset or a mapping, see `mpscnn.preprocess`. None: the
            network's own.
        labels: the names of the classes, in the order of the outputs; None: the network's own.
        scores: what the results of a classifier are, as for `load`; None: what the network states or ends with.
        options: the fields of `CompileOptions` and `RunOptions`. Wrong options raise the errors that `load` raises.

    Raises:
        WeightsError: weights are missing.
        UnsupportedError: a layer is a function of this program.
        ParameterError: the argument is not a Network.
    """

    _other_names = (
        ("labels", "class_names"),
        ("summary", "info"),
        ("save", "export export_onnx export_coreml export_tflite to_onnx to_coreml to_tflite"),
        ("network.describe", "describe"),
        ("network.replace_head", "replace_head"),
        ("program.inputs", "inputs"),
        ("program.outputs", "outputs"),
    )
    load = OfClass(load)

    @accept_foreign_arguments(options=LOAD_FIELDS)
    def __init__(
        self,
        network: Network | _core.Model,
        *,
        preprocess: str | Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        scores: ScoresName | None = None,
        **options: Unpack[LoadArguments],
    ) -> None:
        self.compile_options, self.run_options = load_options(options)
        core = core_model(network, preprocess, labels, scores)
        self._compile(core)
        require_sound_answers(core, list(self._outputs.values()))

    @classmethod
    def from_network(cls, network: Network, **options: Any) -> Model:
        """Return `Model(network, ...)`."""
        return cls(network, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the model's file and options. Unpickling compiles the network again, on the new machine."""
        assigned = {name: self.__dict__[name] for name in ASSIGNED if name in self.__dict__}
        options = {**self.compile_options.to_dict(), **self.run_options.to_dict()}
        return _restored, (self._core.content(), options, assigned)

    @accept_foreign_arguments
    def calibrate(
        self,
        photos: Any,
        *,
        annotations: str | os.PathLike[str] | None = None,
        precision: float | None = None,
        inflight: int = 3,
        failed: Callable[[Any, Error], object] | None = None,
    ) -> Model[Answer]:
        """Measure a model on labelled photos that it was not trained on, for honest statements about results.

        For a detector this sets the score threshold with which a share `precision` of the found objects is right.

        The results of a classifier then say more: `Classification.unfamiliar` how unusual a photo is, and
        `Classification.set` among which classes the right one is with a chosen probability. At most 2,000 photos are
        kept for `unfamiliar`.

        `save` keeps the calibration in model files. Calibrate again after a change of weights or precision. Call it
        before other threads use the model.

        Args:
            photos: photos with their classes, as for `mpscnn.evaluate`; at least 11, and better some hundred. For a
                detector the folder of the photos.
            annotations, precision: for a detector the objects on the photos, as for `mpscnn.evaluate`, and the wanted
                precision, above 0 and at most 1.
            inflight: as for `mpscnn.evaluate`.
            failed: as for `mpscnn.evaluate`.

        Returns:
            This model.

        Raises:
            Error: the errors of `mpscnn.evaluate`.
            UnsupportedError: the network does not end in a layer of classes.
            ParameterError: there are fewer than 11 photos, or no score threshold has this precision.
        """
        from mpscnn._private.toolkit import calibrations

        if (annotations is None) != (precision is None):
            raise ParameterError("calibrate takes annotations= and precision= of a detector together")
        if annotations is not None and precision is not None:
            least = calibrations().detector_threshold(
                self, photos, annotations, precision, inflight=inflight, failed=failed
            )
            self._limit(least)
            return self
        found = calibrations().calibration_of(self, photos, inflight=inflight, failed=failed)
        core = _core.Model.parse(self._core.content(), self.name)
        core.set_calibration(*found)
        self._compile(core)
        return self

    @overload
    def predict(self, photo: Any, *, stream: Literal[True], **options: Any) -> Iterator[Answer]: ...
    @overload
    def predict(self, photo: list[Any] | tuple[Any, ...], **options: Any) -> list[Answer]: ...
    @overload
    def predict(self, photo: Any, **options: Any) -> Answer: ...
    @accept_foreign_arguments
    def predict(self, photo: Any, *, stream: bool = False, **options: Any) -> Any:
        """Run the method for the model's `task`: `classify`, `detect` or `segment`.

        Args:
            photo: path, bytes of an image file, Pillow image, or array: see `mpscnn.photo.open_photo`. A URL of https
                is downloaded to the cache, at most 100 MB in a minute. A list or tuple of photos, a folder, a pattern
                such as "photos/*.jpg", an `ImageFolder`, or an array of 4 axes gives a list of results. `Runner.map`
                accepts streams and computes several photos at a time.
            stream: True for an iterator that computes each result when it is asked for.
            options: the options of that method. Type checkers derive the result's type from the name given to `load`;
                for other files call `classify`, `detect` or `segment`.

        Raises:
            The errors of that method. TypeError: an option that it does not have.
        """
        from mpscnn.photo_sources import several_photos

        several = several_photos(photo)
        if stream:
            return (self.predict(one, **options) for one in ([photo] if several is None else several))
        if several is not None:
            return [self.predict(one, **options) for one in several]
        tasks: dict[str, Callable[..., Any]] = {
            "classification": self.classify,
            "detection": self.detect,
            "segmentation": self.segment,
        }
        return tasks[self.task](photo, **options)

    __call__ = predict

    @accept_foreign_arguments
    def classify(
        self,
        photo: Any,
        *,
        top: int | None = None,
        coverage: float | None = None,
        channel_order: ChannelOrderName | None = None,
        fast_decode: bool = False,
    ) -> Classification:
        """Return the classes of a photo, the most probable first. Its `scores_are` says what the probabilities are.

        A network with one output and two labels is a binary classifier: the output is the probability of the second
        label.

        Args:
            photo: path, URL, bytes of an image file, Pillow image, or array: see `predict`.
            top: the number of classes to return; None: all.
            coverage: return only the classes of `Classification.set(coverage)`, for a calibrated model. There may be
                none. None: all.
            channel_order: the order of an array's channels, such as "bgr", if it is not the usual one: as for
                `open_photo`.
            fast_decode: whether a large JPEG file is decoded at 1/2, 1/4 or 1/8 of its size, if at least twice the size
                that the model needs remains. It is faster, and the scores change a little (docs/preprocessing.md,
                "Large JPEG files").

        Raises:
            ImageError: the photo cannot be read.
            DownloadError: the photo cannot be downloaded.
            ShapeError or UnsupportedError: the model is not a classifier, or takes no photos. A single logit is no
                classifier's output, unless the model was loaded with `scores`.
            ParameterError: `top` is below 1, a result is NaN, or `coverage` is given for a model without calibration.
        """
        from mpscnn.vision.photo_tasks import classification_task

        task = classification_task(self, top=top, coverage=coverage)
        if not fast_decode:
            return self._run(task, photo, channel_order)
        from mpscnn.vision.preprocessing import decoded_size

        return self._run(task, photo, channel_order, decoded_size(self))

    @accept_foreign_arguments
    def detect(
        self,
        photo: Any,
        *,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        classes: Sequence[str | int] | None = None,
        tiles: int | None = None,
        overlap: float | None = None,
        channel_order: ChannelOrderName | None = None,
    ) -> Detections:
        """Return the objects on a photo, the most probable first, with boxes in pixels of the upright photo.

        Args:
            photo: as for `classify`.
            score_threshold: the smallest probability, above 0 and at most 1; None: the model's setting.
            iou_threshold: boxes of one class with a larger overlap (intersection / union) count as one object; None:
                the model's setting.
            max_detections: the maximum number of objects; None: the model's setting.
            classes: return only objects of these classes, by name or number; None: all. A text is a name if all labels
                are numbers.
            tiles: the height and width of square tiles in pixels of the photo, for small objects. The network sees each
                tile and the whole photo, and boxes of the same object are merged (docs/detection.md, "Small objects on
                large photos"). The model's `max_detections` is then for each tile. None: no tiles.
            overlap: the share of its side that a tile has in common with the next one, from 0 to below 1; None: 0.2.
            channel_order: as for `classify`.

        Raises:
            ImageError: the photo cannot be read.
            ShapeError or UnsupportedError: the model is not a detector, or takes no photos.
            ParameterError: a limit is out of its range, there would be more than 1,024 tiles, or a result is NaN or
                infinite.
        """
        from mpscnn.vision.photo_tasks import detection_task

        task = detection_task(
            self,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            classes=classes,
            tiles=tiles,
            overlap=overlap,
        )
        return self._run(task, photo, channel_order)

    @accept_foreign_arguments
    def segment(
        self,
        photo: Any,
        *,
        scores: bool = False,
        tiles: int | None = None,
        overlap: float | None = None,
        channel_order: ChannelOrderName | None = None,
    ) -> Segmentation:
        """Return the class of every pixel of a photo, at the photo's size.

        Args:
            photo: as for `classify`.
            scores: whether to keep the scores of all classes of every pixel, 4 bytes each.
            tiles: the height and width of square tiles in pixels of the photo, for small things. The network sees each
                tile, and a pixel has the class of its nearest tile. None: the network sees the whole photo.
            overlap: as for `detect`.
            channel_order: as for `classify`.

        Raises:
            ImageError: the photo cannot be read.
            ShapeError or UnsupportedError: the model is not a segmenter, or takes no photos.
            ParameterError: a score is NaN.
        """
        from mpscnn.vision.photo_tasks import segmentation_task

        task = segmentation_task(self, scores=scores, tiles=tiles, overlap=overlap)
        return self._run(task, photo, channel_order)

    def _run(
        self,
        task: PhotoTask[Result],
        photo: Any,
        channel_order: ChannelOrderName | None,
        min_size: tuple[int, int] | None = None,
    ) -> Result:
        from mpscnn.photo_sources import one_photo
        from mpscnn.vision.photo import kept_photo, open_photo

        photo = one_photo(photo)
        opened = open_photo(photo, channel_order=channel_order, min_size=min_size)
        with self.session() as session:
            started = time.perf_counter()
            found = task.run(session._session, opened.core)
            milliseconds = 1000.0 * (time.perf_counter() - started)
        return task.result(found, opened, milliseconds, kept_photo(photo, opened, channel_order))
