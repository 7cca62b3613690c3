"""Turn frames (photos or arrays) into runs of a program, and outputs into results."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arrays import unchanging
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.other_arguments import translate_options
from mpscnn._private.signal_handlers import raised_by_signal_handler
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.features import FeatureExtractor, is_network_input
from mpscnn.model import Model
from mpscnn.photo_sources import is_one_photo, one_photo, several_photos
from mpscnn.runtime.program import Program
from mpscnn.vision.photo import KeptPhoto, Photo, kept_photo, open_photo
from mpscnn.vision.photo_tasks import TASKS, EndCallback, PhotoTask, option_names
from mpscnn.vision.preprocessing import require_prepared


class FrameRun(ABC):
    """One frame, ready to be run."""

    @abstractmethod
    def submit(self, core: _core.Runner, slot: _core.Frame, on_end: EndCallback) -> None:
        """Submit the frame to the core as `slot`, and set `slot.finish`, which builds the result from the outputs."""


def finish_frame(slot: _core.Frame) -> None:
    """Build the result of a finished frame.

    The function is called once for each frame, or again if a signal handler raised an exception.
    """
    finish = slot.finish
    if finish is None or slot.exception() is not None:
        return
    try:
        result = finish(slot.found(), slot.milliseconds())
    except BaseException as error:  # any error belongs to this frame alone
        if raised_by_signal_handler(error):
            raise
        slot.fail(error)
    else:
        slot.settle(result)


class Frames(ABC):
    """A kind of frames that a runner accepts: photos, arrays or inputs of feature extractors."""

    program: Program
    options: tuple[str, ...]
    """The names of the options that `Runner.submit` accepts for such frames."""

    def checked(self, options: Mapping[str, Any]) -> Any:
        """Check options, and return them in the form for `prepare`. Raises TypeError for an unknown one."""
        given = dict(options)
        if not given.keys() <= {*self.options}:
            given = translate_options("Runner", given, self.options)
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options) or "no options"
                raise TypeError(f"Runner: there is no option {name!r}; frames of this runner have {known}")
        return self._wanted(given)

    def listed(self, frames: Any) -> Any:
        """Return the frames of what the user gave to `Runner.map`."""
        return frames

    @abstractmethod
    def _wanted(self, options: dict[str, Any]) -> Any: ...

    @abstractmethod
    def prepare(self, frame: Any, wanted: Any) -> FrameRun:
        """Check a frame, and return its run. Raise an error for an invalid frame."""


def frame_kind(model: Model | FeatureExtractor | Program) -> Frames:
    """Return the kind of frames for a model, an extractor or a program. Raise ParameterError for anything else."""
    if isinstance(model, Model):
        return _Photos(model)
    if isinstance(model, FeatureExtractor):
        return _FeatureFrames(model)
    if isinstance(model, Program):
        return _Arrays(model)
    raise ParameterError(
        f"Runner: expected a Model, a FeatureExtractor or a Program, got {type(model).__name__}"
        f"{_maker_of(model)}"
    )


def _maker_of(value: object) -> str:
    """Return what makes a Model of the value, to append to an error."""
    if isinstance(value, str):
        return "; mpscnn.load(name or path) makes a Model"
    return "; mpscnn.Model(network) or network.compile() makes one" if hasattr(value, "subgraph") else ""


# ---- Arrays --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)  # creating a frozen dataclass takes a microsecond more
class _ArrayRun(FrameRun):
    inputs: list[NDArray[Any]]
    outputs: list[NDArray[Any]]
    result: Any

    def submit(self, core: _core.Runner, slot: _core.Frame, on_end: EndCallback) -> None:
        core.submit(slot, self.inputs, self.outputs, self.result, on_end)


class _Arrays(Frames):
    options = ("out",)

    def __init__(self, program: Program) -> None:
        self.program = program

    def _wanted(self, options: dict[str, Any]) -> Any:
        return options.get("out")

    def prepare(self, frame: Any, wanted: Any) -> FrameRun:
        inputs, outputs = self.program._arrays(frame, wanted)
        return _ArrayRun([*map(unchanging, inputs)], outputs, self.program._result(outputs, wanted))


# ---- Photos --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _PhotoRun(FrameRun):
    task: PhotoTask[Any]
    photo: Photo
    given: KeptPhoto
    """The photo that the result keeps."""
    preparation: float
    """The milliseconds of the preprocessing."""

    def submit(self, core: _core.Runner, slot: _core.Frame, on_end: EndCallback) -> None:
        slot.finish = self._finish
        self.task.submit(core, slot, self.photo.core, on_end)

    def _finish(self, found: Any, milliseconds: float) -> Any:
        return self.task.result(found, self.photo, self.preparation + milliseconds, self.given)


class _Photos(Frames):
    def __init__(self, model: Model) -> None:
        shapes = list(model.program.inputs.values())
        if model.preprocess is None or len(shapes) != 1 or len(shapes[0]) != 4 or None in shapes[0][1:]:
            if model.preprocess is None:
                preprocessing = (
                    "no preprocessing. `mpscnn info FILE --set preprocess=NAME` adds it to a .safetensors file, and "
                    "`mpscnn convert FILE model.safetensors --preprocess NAME` makes one of another format's file"
                )
            else:
                preprocessing = "a preprocessing"
            raise UnsupportedError(
                f"Runner: photos need a model file with preprocessing and one image input of a fixed size; "
                f"{model!r} has inputs {model.program.inputs} and {preprocessing}. Arrays need neither: give them to "
                "a runner of the program, or send them to /v2/models/NAME/infer of a service"
            )
        self.program = model.program
        self.options = (*option_names(TASKS[model.task]), "channel_order")
        self._model = model

    def listed(self, frames: Any) -> Any:
        several = several_photos(frames)
        if several is not None:
            return several
        return [frames] if is_one_photo(frames) else frames

    def _wanted(self, options: dict[str, Any]) -> tuple[PhotoTask[Any], ChannelOrderName | None]:
        channel_order = options.pop("channel_order", None)
        return TASKS[self._model.task](self._model, **options), channel_order

    def prepare(self, frame: Any, wanted: tuple[PhotoTask[Any], ChannelOrderName | None]) -> FrameRun:
        task, channel_order = wanted
        frame = one_photo(frame)
        begun = time.perf_counter()
        photo = open_photo(frame, channel_order=channel_order)
        own = photo.unchanging()
        milliseconds = 1000.0 * (time.perf_counter() - begun)
        kept = kept_photo(frame, photo, channel_order) if own is photo else KeptPhoto(own, None)
        return _PhotoRun(task, own, kept, milliseconds)


# ---- Features ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _FeatureRun(FrameRun):
    """One photo to extract features from."""

    extractor: FeatureExtractor
    photo: Photo
    preprocess: str
    outputs: list[NDArray[Any]]

    def submit(self, core: _core.Runner, slot: _core.Frame, on_end: EndCallback) -> None:
        slot.finish = self._finish
        core.submit_photo(slot, self.photo.core, self.preprocess, self.outputs, on_end)

    def _finish(self, _found: Any, _milliseconds: float) -> Any:
        return self.extractor._named(self.outputs)


class _FeatureFrames(Frames):
    options = ()

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.program = extractor.program
        self._extractor = extractor

    def _wanted(self, _options: dict[str, Any]) -> None:
        return None

    def prepare(self, frame: Any, _wanted: None) -> FrameRun:
        extractor = self._extractor
        if is_network_input(frame):
            if extractor.preprocess is not None:
                require_prepared(frame, extractor.preprocess)
            inputs, outputs = self.program._arrays(frame, None)
            return _ArrayRun([*map(unchanging, inputs)], outputs, extractor._named(outputs))
        if isinstance(frame, (list, tuple)) or (isinstance(frame, np.ndarray) and frame.ndim == 4):
            raise ParameterError(
                "Runner: a frame of a feature extractor is one photo; submit them one by one"
            )
        preprocess, extents = extractor._preprocess_json(), extractor._photo_extents()
        outputs = [np.empty(shape, np.float32) for shape in self.program.output_shapes((1, *extents))]
        return _FeatureRun(extractor, open_photo(frame).unchanging(), preprocess, outputs)
