"""Compiled networks with their settings, which `mpscnn.Model` extends by the tasks for photos."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mpscnn import _core
from mpscnn._private.arguments import name_list, path_name
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.other_arguments import (
    accept_foreign_arguments,
    number_format,
)
from mpscnn._private.other_names import ExplainedClass, FixedAttributes
from mpscnn.errors import ParameterError
from mpscnn.opening_models import (
    LOST_CALIBRATION,
    computes_alike,
    described_network,
    model_task,
    read_settings,
)
from mpscnn.runtime.device_name import named_device
from mpscnn.runtime.program import Program, Session, compile_graph
from mpscnn.runtime.session_pool import SessionPool

if TYPE_CHECKING:  # other modules are imported where they are used, so that running a network starts quickly
    from typing_extensions import Self

    from mpscnn._private.literals import ScoresName
    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.graph.network import Network
    from mpscnn.opening_models import Description
    from mpscnn.runtime.options import CompileOptions, RunOptions
    from mpscnn.vision.calibration import Calibration

#: The properties of a model that users can set.
ASSIGNED = ("labels", "preprocess", "information")


def network_of(given: Network | CompiledModel) -> Network:
    """Return the network of a model, with the model's labels and preprocessing, or the network itself."""
    if not isinstance(given, CompiledModel):
        return given
    from copy import copy

    network = copy(given.network)
    network.labels, network.preprocess = given.labels, given.preprocess
    return network


class CompiledModel(FixedAttributes, metaclass=ExplainedClass):
    """A compiled network with its settings: what `Model` is, without the tasks for photos."""

    program: Program
    compile_options: CompileOptions
    """The options of the program."""
    run_options: RunOptions
    """The options of each prediction."""
    _calibration: Calibration | None

    def _compile(self, core: _core.Model) -> None:
        """Compile a model for the options. A calibrated one needs the features of photos as its second output."""
        found = core.calibration()
        outputs: list[str] = []
        if found is None:
            self._calibration = None
        else:
            from mpscnn.vision.calibration import Calibration

            self._calibration = Calibration(*found)
            outputs = core.outputs()
        self._core = core
        self.program = compile_graph(core.graph(), outputs, self.compile_options)
        self._sessions = SessionPool(self.program, self.run_options)

    @property
    def calibration(self) -> Calibration | None:
        """The result of `calibrate`; None if the model is not calibrated."""
        return self._calibration

    @property
    def _outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The names and shapes of the network's outputs, without the features of a calibration."""
        outputs = dict(self.program.outputs)
        if self._calibration is not None:
            outputs.popitem()
        return outputs

    def __copy__(self) -> Self:
        """Return a model that shares the program, but has its own sessions."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._sessions = SessionPool(self.program, self.run_options)
        return copied

    def __deepcopy__(self, memo: Any) -> Self:
        """Return a copy that shares the program, which is immutable."""
        from copy import deepcopy

        copied = self.__copy__()
        for name in ("network", *ASSIGNED):
            if name in copied.__dict__:
                copied.__dict__[name] = deepcopy(copied.__dict__[name], memo)
        return copied

    @property
    def labels(self) -> list[str] | None:
        """The names of the classes, in the order of the outputs; None if the file has none.

        They can be assigned. Raises ParameterError for anything but names, or another number of them than the file has.
        """
        return self.__dict__.get("labels", self._description["labels"])

    @labels.setter
    def labels(self, names: Sequence[str] | None) -> None:
        own = self._description["labels"]
        given = None if names is None else name_list("labels", names)
        if given is not None and own is not None and len(given) != len(own):
            raise ParameterError(f"labels must be {len(own)} names, got {len(given)}")
        self.__dict__["labels"] = given

    @cached_property
    def preprocess(self) -> dict[str, Any] | None:
        """The settings that turn photos into inputs (`mpscnn.preprocess`); None if the network takes no photos.

        Assigning others changes what `features` and `save` do, but not predictions: give them to `load` instead.
        """
        return self._description["preprocess"]

    @property
    def scores_are(self) -> ScoresName:
        """The kind of the results of `classify`: "softmax", "sigmoid" or "as is". See `load`."""
        return self.network.scores_are

    @property
    def answers(self) -> dict[str, Any] | None:
        """The meaning of the numbers of `classify`, see `Network.answers`; None: classes."""
        if "network" not in self.__dict__ and self._description["answers"] is None:
            return None  # most models have none, and need no `network` for their predictions
        return self.network.answers

    @cached_property
    def information(self) -> dict[str, str]:
        """The file's texts about itself, such as licence and source."""
        return self._description["information"]

    @cached_property
    def _detection(self) -> dict[str, Any] | None:
        return self._description["detection"]

    @property
    def _score_threshold(self) -> float:
        """The lowest score of the objects that a detector shows."""
        assert self._detection is not None
        threshold: float = self._detection["suppression"]["score_threshold"]
        return threshold

    @cached_property
    def _description(self) -> Description:
        return read_settings(self._core)

    @cached_property
    def network(self) -> Network:
        """The network, to inspect or to build on. Changing it does not change the compiled program."""
        network, _ = described_network(self._core)
        # If several threads ask at the same time, all get the network of the first.
        made: Network = self.__dict__.setdefault("network", network)
        return made

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    def __repr__(self) -> str:
        count = len(self.labels or [])
        classes = f", {count} {'class' if count == 1 else 'classes'}" if count else ""
        return f"<Model {self.name!r}{classes} on {self.program.device} ({self.program.numbers})>"

    def _repr_html_(self) -> str:
        from mpscnn._private.html_view import Html, details, escape, lines, table
        from mpscnn.graph.network_view import network_html

        labels, photos = self.labels or [], self.preprocess or {}
        rows = [
            ("task", self.task),
            ("device", f"{self.device} ({self.program.device_name}), {self.program.numbers}"),
            ("photos", ", ".join(f"{key} {value}" for key, value in photos.items()) or "takes no photos"),
            *self.information.items(),
        ]
        classes = [details(f"{len(labels):,} classes", lines(", ".join(labels)))] if labels else []
        return Html(
            f"<div>{lines(Html(f'<b>Model {escape(self.name)}</b>'))}{table((), rows)}{''.join(classes)}"
            f"{details('Network', network_html(self.network))}</div>"
        )

    @property
    def classes(self) -> list[str] | None:
        """An alias of `labels`."""
        return self.labels

    names = classes

    @property
    def device(self) -> str:
        """The device: "cpu", "metal" or "coreml"."""
        return self.program.device

    def to(self, device: str) -> Self:
        """Return this model if it is on the device.

        Raises ParameterError for another device: a model stays on the one for which it was loaded.
        """
        with named_device(device) as name:
            if name != self.device:
                raise ParameterError(
                    f"the model was loaded for {self.device!r}; load it with device={device!r} for that one"
                )
        return self

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the input with the batch first. Raises ParameterError if there are several inputs."""
        return self.network.input.shape

    @property
    def num_parameters(self) -> int:
        """The number of elements of all weights, including biases and normalizations."""
        return self.network.num_parameters

    def summary(self, size: int | tuple[int, int] | None = None) -> str:
        """Return a table of the layers: see `Network.summary`."""
        return self.network.summary(size)

    @accept_foreign_arguments(
        options=(
            *("dtype", "labels", "preprocess", "information"),
            *("score_threshold", "iou_threshold", "max_detections"),
        )
    )
    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the network with this model's labels, preprocessing and information: see `Network.save`.

        Files of other formats than mpscnn's store float32, unless `dtype` says otherwise. `mpscnn convert` stores
        float16 in Core ML files, which are half as large: `model.save("Pets.mlpackage", dtype="float16")`.

        A model file keeps a calibration, unless it was measured with other weights, preprocessing or scores: those of
        `network` or `preprocess` were changed, or `dtype="uint8"` rounds the weights. Then a RuntimeWarning says so,
        and the new model must be calibrated.
        """
        if self.information:
            options.setdefault("information", self.information)
        network = network_of(self)
        network.calibration = self._calibration_kept(network, options, path_name("path", path))
        network.save(path, **options)

    def _calibration_kept(
        self, network: Network, options: Mapping[str, Any], path: str
    ) -> Calibration | None:
        """Return the calibration for a file; None with a warning if it was measured with another network."""
        known = self._calibration
        if known is None or not path.lower().endswith(MODEL_SUFFIX):
            return known
        from mpscnn.graph.quantized import has_rounded_weights

        reason = LOST_CALIBRATION
        if number_format(options.get("dtype")) == "uint8" and has_rounded_weights(network):
            reason = (
                "has no calibration, since dtype='uint8' rounds the weights that it was measured with; "
                "load the file and calibrate it"
            )
        elif self._computes_like(network, options.get("preprocess")):
            return known
        warn_caller(f"{path}: {reason}")
        return None

    def _computes_like(self, network: Network, preprocess: str | Mapping[str, Any] | None) -> bool:
        """Return True if a network, with this preprocessing or its own, has the results of this model's file."""
        import numpy as np

        own, _ = described_network(self._core)
        given = network if preprocess is None else network.copy()
        if given is not network:
            given.preprocess = preprocess
        mine, others = own.weights, given.weights
        return (
            own.to_dict() == given.to_dict()
            and computes_alike(own, given)
            and all(np.array_equal(values, others[name]) for name, values in mine.items())
        )

    def _limit(self, score_threshold: float) -> None:
        """Set the score threshold of a detector."""
        from mpscnn._private.settings import as_json
        from mpscnn.graph.model_file import with_metadata
        from mpscnn.graph.network import with_limits

        limited = with_limits(self.network, score_threshold, None, None).detection
        assert limited is not None
        changes = {"mpscnn.detection": as_json("detection", limited.settings)}
        self._compile(_core.Model.parse(with_metadata(self._core.content(), changes), self.name))
        self.network.detection = limited
        self.__dict__.pop("_description", None)
        self.__dict__.pop("_detection", None)

    @property
    def task(self) -> str:
        """The task of `predict`: "detection", "segmentation" or "classification".

        It is "detection" if the file has the settings that turn outputs into boxes, and "segmentation" if the only
        output is (n, height, width, classes). An output of one pixel, (n, 1, 1, classes), is that of a classifier.
        """
        return model_task(self._detection is not None, list(self._outputs.values()))

    def session(self) -> AbstractContextManager[Session]:
        """Return a context manager that yields a session of this model for one caller. Sessions are reused."""
        return self._sessions.session()

    @accept_foreign_arguments
    def features(
        self, layers: str | Sequence[str], *, pooling: Literal["global"] | None = None
    ) -> FeatureExtractor:
        """Return an extractor of the outputs of some layers, for photos or arrays.

        Only the layers that these need are computed.

        Args:
            layers: names (`mpscnn info MODEL` lists them), or one name.
            pooling: None for feature maps (n, height, width, channels), "global" for each channel's mean over the
                image, (n, channels).

        Raises:
            ParameterError: there is no such layer (the message has similar names), no layer is given, or the pooling is
                unknown.
        """
        from mpscnn.graph.features import FeatureExtractor

        return FeatureExtractor(
            self.network,
            layers,
            pooling=pooling,
            preprocess=self.preprocess,
            **self.compile_options.replaced(
                device=self.program.device,
                precision=self.program.precision,
                max_memory=self.program.max_memory,
            ).to_dict(),
            **self.run_options.to_dict(),
        )
