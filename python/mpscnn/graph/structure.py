"""Describe the inputs, outputs and layers of a network."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from mpscnn._private.arguments import result_size
from mpscnn._private.literals import ScoresName
from mpscnn._private.names import did_you_mean
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.description import Description
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.weights import GraphWeights

if TYPE_CHECKING:
    from mpscnn.vision.calibration import Calibration
    from mpscnn.vision.detector import DetectionHead


def leaves_size_free(shape: Sequence[int | None]) -> bool:
    """Return True if an input is an image whose height or width is free."""
    return len(shape) == 4 and None in shape[1:3]


def accepts_size(shape: Sequence[int | None], size: Sequence[int]) -> bool:
    """Return True if an input is an image that may have this height and width."""
    return len(shape) == 4 and all(
        side in (None, wanted) for side, wanted in zip(shape[1:3], size, strict=True)
    )


def checked_scores(scores: Any) -> ScoresName | None:
    """Return the value if it is None or names what scores are. Raise ParameterError otherwise.

    A hyphen or an underscore may replace the space of "as is".
    """
    known: tuple[ScoresName, ...] = get_args(ScoresName)
    name = scores.replace("-", " ").replace("_", " ") if isinstance(scores, str) else scores
    if name is not None and name not in known:
        names = ", ".join(f'"{one}"' for one in known)
        hint = did_you_mean(name, known) if isinstance(name, str) else ""
        raise ParameterError(f"scores must be one of {names}, got {scores!r:.100}{hint}")
    return cast("ScoresName | None", name)


class NetworkStructure(GraphWeights):
    """Methods that describe a network, which `Network` inherits.

    Modules that only read networks import this class instead of `Network`, because `Network` imports these modules.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    labels: list[str] | None
    preprocess: str | Mapping[str, Any] | None
    information: dict[str, str]
    _detection: DetectionHead | None
    calibration: Calibration | None = None
    """The result of `Model.calibrate`. Only `Model.save` sets it, in a copy: other networks have changed since."""
    _scores: ScoresName | None
    _answers: dict[str, Any] | None

    @abstractmethod
    def __getitem__(self, name: str) -> Tensor:
        """Return the tensor of the layer or input with this name."""

    @property
    def detection(self) -> DetectionHead | None:
        """The settings that turn outputs into boxes; None if the network is not a detector. See docs/detection.md.

        They can be assigned. Raises ParameterError for anything but a `DetectionHead`, a mapping or None.
        """
        return self._detection

    @detection.setter
    def detection(self, head: DetectionHead | Mapping[str, Any] | None) -> None:
        from mpscnn.vision.detector import DetectionHead

        if head is not None and not isinstance(head, (DetectionHead, Mapping)):
            raise ParameterError(
                f"network {self.name!r}: detection must be a DetectionHead or settings, got {head!r}"
            )
        self._detection = DetectionHead(head) if isinstance(head, Mapping) else head

    @property
    def scores(self) -> ScoresName | None:
        """The kind of a classifier's scores: "softmax", "sigmoid" or "as is". None: nothing states it.

        They can be assigned. `scores_are` explains the values. Raises ParameterError for any other value.
        """
        return self._scores

    @scores.setter
    def scores(self, scores: ScoresName | None) -> None:
        self._scores = checked_scores(scores)

    @property
    def answers(self) -> dict[str, Any] | None:
        """The meaning of a classifier's numbers (docs/training.md, "Tags, numbers and points"); None: classes.

        It is {"kind": "tags", "thresholds": [...]} with a probability for each tag,
        {"kind": "number", "units": [...]}, or {"kind": "keypoints", "names": [...]} with x and y of each point in
        shares of the photo's width and height. It can be assigned. Raises ParameterError for any other value.
        """
        return self._answers

    @answers.setter
    def answers(self, answers: Mapping[str, Any] | None) -> None:
        from mpscnn.vision.answers import checked_answers

        self._answers = checked_answers(answers)

    @property
    def scores_are(self) -> ScoresName:
        """The kind of a classifier's results.

        "softmax": probabilities of classes that exclude each other. "sigmoid": an independent probability of each
        class. The function is applied to the output, unless the network ends in it. "as is": the output is the result.

        It is `scores`, if they are stated. Otherwise it is the function with which the network ends, perhaps followed
        by layers that move, select or average its results, or "as is" if the results of other functions are between 0
        and 1 for all inputs. A network without such an end gets a softmax.
        """
        return self.scores or self.last_function or "softmax"

    @property
    def applied_function(self) -> ScoresName | None:
        """The function that is applied to a classifier's output, "softmax" or "sigmoid"; None if the output has it."""
        return None if self.scores_are in (self.last_function, "as is") else self.scores_are

    @property
    def last_function(self) -> ScoresName | None:
        """The function whose results the only output has: "softmax", "sigmoid", or "as is" for other ones from 0 to 1.

        It is None for any other output.
        """
        return cast("ScoresName | None", self.graph.scores())

    @property
    def input(self) -> Tensor:
        """The network's input. Raises ParameterError if there are several; use `inputs` then."""
        if len(self.inputs) != 1:
            raise ParameterError(f"network {self.name!r} has {len(self.inputs)} inputs; use network.inputs")
        return self.inputs[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the structure as in a model file."""
        structure: dict[str, Any] = json.loads(self.graph.to_json())
        return structure

    def describe(self, size: int | tuple[int, int] | None = None) -> Description:
        """Return the layers with output shape, parameters, MACs and FLOPs for one image.

        The result is a dictionary. It also has `table()`, `to_pandas()` and `to_csv()`.

        Args:
            size: (height, width) or one number for both, needed if the network leaves them free.

        Raises ShapeError if the network leaves height and width free, and `size` is None, or if no image input can have
        this size.
        """
        height, width = (0, 0) if size is None else result_size("size", size)
        if size is not None:
            self._require_size((height, width))
        try:
            return Description(json.loads(self.graph.describe(height, width)))
        except ShapeError as error:
            if size is not None:
                raise
            raise ShapeError(f"{error}; size=(height, width) gives them") from error

    def _require_size(self, size: tuple[int, int]) -> None:
        """Raise ShapeError unless an image may have this size."""
        if any(accepts_size(tensor.shape, size) for tensor in self.inputs):
            return
        images = [tensor for tensor in self.inputs if len(tensor.shape) == 4]
        fixed = ", ".join(
            f"{image.name!r} is {' x '.join(str(side or 'any') for side in image.shape[1:3])}"
            for image in images
        )
        raise ShapeError(
            f"network {self.name!r} cannot have images of {size[0]} x {size[1]}: {fixed or 'it has no image input'}"
        )

    def summary(self, size: int | tuple[int, int] | None = None) -> str:
        """Return a table of the layers: name, operation, output shape, parameters, MACs, and totals."""
        return self.describe(size).table()
