"""Train a classifier on folders of photos, for `mpscnn.train` and for the command `mpscnn train`."""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from mpscnn import _core
from mpscnn._private.arguments import input_size, path_name
from mpscnn._private.files import exists
from mpscnn._private.settings import as_json
from mpscnn.apps.train.label_report import LabelReport, label_report
from mpscnn.apps.train.report import TrainingReport, report_of
from mpscnn.errors import ImageError, ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.opening_models import described_network, model_path, open_model
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.training.annotated_folders import name_annotations
from mpscnn.training.backbone import with_input_size
from mpscnn.training.callbacks import Callback, call_all, end_all
from mpscnn.training.classifier import ClassifierOptions, ClassifierTraining
from mpscnn.training.distillation import Teacher
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.label_table import TableTask, read_label_table
from mpscnn.training.labelled_folder import LabelledFolder
from mpscnn.training.photo_views import Augmentation
from mpscnn.training.point_folder import PointFolder
from mpscnn.training.recorded import Progress, RecordedTraining, history_of
from mpscnn.training.run_folder import RunChoices
from mpscnn.training.split_folders import SplitFolders, find_splits, require_held_out
from mpscnn.vision.photo_list import is_url

#: The share of each class's photos for validation, unless the user or the data set says it.
DEFAULT_SHARE = 0.2
_ABOUT = ("license", "source")
_ARRAYS = "mpscnn.Trainer(network).fit(data) trains on arrays and on an ImageFolder"
_MODELS = "it may also be a Network, a Model or None"
#: The labels of photos by task, for messages.
_COUNTED = {"classify": "classes", "tags": "tags", "number": "numbers", "keypoints": "coordinates"}
_ANNOTATIONS = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Backbone:
    """The classifier with which a training starts.

    Args:
        given: how the user named it, for messages.
        network: the network, with its preprocessing.
        path: its file; None if there is none.
        information: the file's texts about itself.
    """

    given: str
    network: Network
    path: str | None
    information: dict[str, str]


def open_backbone(model: str | os.PathLike[str] | Network | Model | None) -> Backbone:
    """Return a backbone by name, file, network or model.

    None means the bundled classifier, whatever models are on this machine, so the result depends on the photos, the
    options and the seed alone. Raises UnsupportedError if a backbone does not say how a photo becomes its input.
    """
    if isinstance(model, Model):
        network, information = model.network.copy(), dict(model.information)
        network.preprocess, network.labels = model.preprocess, model.labels
        backbone = Backbone(model.name, network, None, information)
    elif isinstance(model, Network):
        backbone = Backbone(model.name, model, None, {})
    else:
        given = BUNDLED_MODEL.name if model is None else path_name("model", model, _MODELS)
        path = model_path(given)
        network, information = described_network(open_model(path))
        backbone = Backbone(given, network, path, information)
    if backbone.network.preprocess is None:
        raise UnsupportedError(
            f"{backbone.given}: does not say how a photo becomes its input; Network.preprocess says it, or "
            "`mpscnn info FILE --set preprocess=NAME` in a shell"
        )
    return backbone


def stretching(preprocess: Any, channels: int) -> dict[str, Any]:
    """Return a preprocessing that differs from the given one in its fit: it stretches whole photos."""
    described: dict[str, Any] = json.loads(
        _core.describe_preprocess(as_json("preprocess", preprocess), channels)
    )
    return described | {"fit": "stretch", "crop_fraction": 1.0}


def photo_folder(data: str | os.PathLike[str]) -> Path:
    """Return the folder with the photos of a user.

    Raises ParameterError for anything but the path of a folder. The message says what is meant for it.
    """
    name = path_name("data", data, _ARRAYS)
    if is_url(name):
        raise ParameterError(f"data: {name} is a URL; download the photos, and give their folder")
    if name.lower().endswith(_ANNOTATIONS):
        raise ParameterError(
            f"data: {name} is not a folder with photos; mpscnn.train(folder, annotations={name!r}) reads it"
        )
    return Path(name)


class FolderTraining(ABC):
    """Base class of trainings on folders of photos, from the photos to the trained network and its report."""

    trained: RecordedTraining
    backbone: Backbone
    _kind: str = ""
    """The kind of network, for the description in its file."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def _counted(self) -> str:
        """Return what the labels are, for messages."""
        return "classes"

    @abstractmethod
    def summary(self) -> list[str]:
        """Return lines about the photos and what they are used for."""

    @abstractmethod
    def report(self) -> Any:
        """Return how well the best weights so far do on the photos for validation."""

    def _helper(self) -> str:
        """Return what else the network was trained with, for the description in its file."""
        return ""

    def run(self, callbacks: Iterable[Callback] = ()) -> Iterator[Progress]:
        """Train, and yield the progress. Callbacks get the epochs of all phases; True ends the training."""
        called = list(callbacks)
        for progress in self.trained.run():
            yield progress
            if progress.record is not None and called:
                ended = call_all(called, history_of(self.trained.history)[-1])
                if ended:
                    break
        end_all(called)

    def network(self) -> tuple[Network, dict[str, str]]:
        """Return the network with the best weights so far, and texts about it for the file."""
        about = self.backbone.information
        base, classes = self.backbone.network.name, len(self.trained.labels)
        description = (
            f"{self._kind} trained from {base} for {classes} {self._counted()}{self._helper()}".strip()
        )
        # The license and source of the base are not those of a network that has seen the user's photos.
        if given := "; ".join(f"{key}: {about[key]}" for key in _ABOUT if key in about):
            description += f" ({base} has the {given})"
        return self.trained.result, {"description": description}


class PhotoTraining(FolderTraining):
    """A training of a classifier on the photos of a folder.

    Args:
        folder: a folder of photos for each class, or the folders train, val and test with these.
        backbone: the classifier with which the training starts.
        run: the folder for the state of the training.
        options: the settings that determine the result.
        validation: the share of each class's photos for validation; None: `DEFAULT_SHARE`, or the data set's own photos
            for validation.
        size: (height, width) of the input, or one number; None: that of the classifier.
        labels: a table with the labels of the photos, for other tasks than "classify".
        augment, transform: as for `ImageFolder`, for the photos that train.
        choices: how the training runs.
        teacher: a classifier whose answers also train the network, as for `open_backbone`.

    Raises the errors of `Teacher`, `ImageFolder` and `ClassifierTraining`; ParameterError if the data set has its own
    photos for validation and a share is given, or if a photo for validation also trains.
    """

    def __init__(
        self,
        folder: Path,
        backbone: Backbone,
        run: Path,
        options: ClassifierOptions,
        *,
        validation: float | None = None,
        size: int | tuple[int, int] | None = None,
        labels: Path | None = None,
        augment: bool | Augmentation = True,
        transform: Callable[[Any], Any] | None = None,
        choices: RunChoices,
        teacher: str | os.PathLike[str] | Network | Model | None = None,
    ) -> None:
        super().__init__()
        opened = None if teacher is None else open_backbone(teacher)
        require_other_teacher(None if opened is None else opened.path, run)
        if size is not None:
            backbone = replace(backbone, network=with_input_size(backbone.network, input_size("size", size)))
        network = backbone.network
        if options.task == "keypoints":
            # The places of points are shares of the whole photo.
            network = network.copy()
            network.preprocess = stretching(network.preprocess, int(network.input.shape[3] or 3))
            backbone = replace(backbone, network=network)
        self.backbone = backbone
        height, width, channels = _input_extents(network)
        assert network.preprocess is not None  # `open_backbone` has checked it
        read = partial(
            ImageFolder,
            size=(height, width),
            preprocess=network.preprocess,
            seed=options.seed,
            threads=choices.threads,
            channels=channels,
        )
        varied = partial(read, augment=augment, transform=transform)
        self.splits: SplitFolders | None = None
        if labels is not None:
            table = read_label_table(labels, folder, cast(TableTask, options.task))
            kind = PointFolder if options.task == "keypoints" else LabelledFolder
            self.photos, self.held = kind(folder, table, **varied.keywords).split(validation)
        else:
            with name_annotations(folder):
                self.splits = find_splits(folder)
                self.photos, self.held = _split_photos(folder, self.splits, varied, read, validation)
        require_held_out(self.photos.paths, self.held.paths)
        self.teacher = None if opened is None else Teacher(opened.network, opened.given, self.photos.labels)
        self.trained: ClassifierTraining = ClassifierTraining(
            self.photos, self.held, network, run, options=options, choices=choices, teacher=self.teacher
        )

    def _counted(self) -> str:
        return _COUNTED[self.trained.options.task]

    def summary(self) -> list[str]:
        """Return lines about the photos and what they are used for."""
        lines = [
            f"{len(self.photos):,} photos to train with and {len(self.held):,} for validation, "
            f"{len(self.photos.labels)} {self._counted()}, on {self.backbone.network.name}"
        ]
        if self.teacher is not None:
            lines.append(f"the teacher is {self.teacher.name}")
        return lines if self.splits is None else [*lines, *_split_lines(self.splits)]

    def _helper(self) -> str:
        if self.teacher is None:
            return ""
        options = self.trained.options
        return (
            f" with the teacher {self.teacher.name} (temperature {options.temperature:g}, share "
            f"{options.teacher_share:g})"
        )

    def report(self) -> TrainingReport | LabelReport:
        """Return how well the best weights so far do on the photos for validation."""
        seconds = time.monotonic() - self._started
        return (
            report_of(self.trained, seconds)
            if self.trained.goal is None
            else label_report(self.trained, seconds)
        )


def require_other_teacher(teacher: str | None, run: Path) -> None:
    """Raise ParameterError if the output would replace the file of the teacher. `run` is the folder for its state."""
    output = Path(str(run).removesuffix(".run"))
    if teacher is not None and exists(output) and exists(Path(teacher)) and output.samefile(teacher):
        raise ParameterError(f"teacher: {output} is the file of the output, too; name another file")


def _split_photos(
    folder: Path,
    splits: SplitFolders | None,
    varied: Callable[..., ImageFolder],
    read: Callable[..., ImageFolder],
    share: float | None,
) -> tuple[ImageFolder, ImageFolder]:
    """Return the photos for training and for validation.

    Photos for validation are those of the folder's own split. If it has none, they are a share of each class.
    """
    if splits is None:
        return varied(folder).split(DEFAULT_SHARE if share is None else share)
    if splits.train is None:
        raise ImageError(f"{folder}: is split into {splits}; there is no train to train with")
    if share is not None and splits.validation is not None:
        raise ParameterError(
            f"validation: the photos in {splits.validation} are for validation; leave it out"
        )
    training = varied(splits.train)
    if splits.validation is None:
        return training.split(DEFAULT_SHARE if share is None else share)
    return training, read(splits.validation).numbered_like(training)


def _split_lines(splits: SplitFolders) -> list[str]:
    """Return lines that say what each split is used for."""
    held = "a share of train" if splits.validation is None else splits.validation.name
    lines = [f"the data set is split into {splits}: validation is with {held}"]
    if splits.test is not None:
        lines.append(f"{splits.test} is not used; `mpscnn evaluate` measures the result on it")
    return lines


def _input_extents(network: Network) -> tuple[int, int, int]:
    shape = network.inputs[0].shape[1:]
    if len(network.inputs) != 1 or len(shape) != 3 or None in shape:
        raise UnsupportedError(
            f"network {network.name!r}: photos need one input (n, height, width, channels) of a fixed size"
        )
    height, width, channels = (int(extent or 0) for extent in shape)
    return height, width, channels
