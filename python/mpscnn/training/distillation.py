"""Train a classifier on the answers of another one, its teacher.

The loss is that of Hinton et al. 2015, "Distilling the Knowledge in a Neural Network": the cross entropy of the labels,
and the Kullback-Leibler divergence of the teacher's probabilities from the student's, both softened by a temperature.
The teacher gets the same view of a photo as the student, since this teaches best (Beyer et al. 2022, "Knowledge
distillation: A good teacher is patient and consistent").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number
from mpscnn._private.class_scores import score_count
from mpscnn._private.files import replace_atomically
from mpscnn._private.names import shown_names
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.photo_views import PhotoReader
from mpscnn.training.variant_store import BATCH, VariantStore

#: Probabilities below this one count as this one, so that their logarithms are finite.
_TINY = 1e-30


class Distillation:
    """How the answers of a teacher count in the loss, (1 - share) * CE + share * temperature^2 * KL.

    The trained network has both logarithms of the student's probabilities as its output, and the labels are the shares
    of the classes and the teacher's probabilities. So the loss is the sum of one kind of divergence.

    Args:
        temperature: divides the inputs of both softmax functions. A higher one shows more of what the teacher thinks of
            less probable classes.
        share: the share of the teacher's answers in the loss, 0 to 1. The rest is that of the labels.

    Raises:
        ParameterError: a number is out of its range.
    """

    def __init__(self, temperature: float, share: float) -> None:
        if not is_finite_number(temperature) or not 1 <= temperature <= 100:
            raise ParameterError(f"temperature must be 1 to 100, got {temperature!r}")
        if not is_finite_number(share) or not 0 <= share <= 1:
            raise ParameterError(f"teacher_share must be 0 to 1, got {share!r}")
        self.temperature, self.share = float(temperature), float(share)

    def student(self, classifier: Network) -> Network:
        """Return a classifier with a softmax as its end as the network that is trained.

        Its output (n, 2 * classes) has the logarithms of the probabilities, and then those at the temperature.
        """
        structure = classifier.to_dict()
        (end,) = (node for node in structure["nodes"] if node["name"] == classifier.outputs[0].name)
        structure["nodes"].remove(end)
        structure["outputs"] = []
        student = Network.from_graph(_core.Graph.from_json(json.dumps(structure)))
        scores = student[end["inputs"][0]]
        soft = student.activation(scores, {"kind": "linear", "a": 1 / self.temperature, "b": 0.0})
        student.output(student.concat([student.log_softmax(scores), student.log_softmax(soft)]))
        student.load_weights(dict(classifier.weights), layout="OHWI")
        return student

    @staticmethod
    def loss(classes: int) -> dict[str, Any]:
        """Return the loss of `student`. Means over elements become sums over classes."""
        return {"kind": "kullback_leibler", "weight": float(2 * classes)}

    def targets(
        self, labels: NDArray[Any], answers: NDArray[np.float32], weights: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the labels of `student` (n, 2 * classes), and the weights of its losses in the same shape.

        Args:
            labels: class numbers (n,), or shares of the classes (n, classes).
            answers: the teacher's softened probabilities (n, classes).
            weights: the weights of the photos (n,), if they have any.
        """
        classes = answers.shape[1]
        shares = labels if labels.ndim == 2 else np.eye(classes)[labels]
        factors = np.repeat([1 - self.share, self.share * self.temperature**2], classes)
        of_photos = np.ones(len(labels)) if weights is None else weights
        return (
            np.concatenate([shares, answers], axis=1, dtype=np.float32),
            np.asarray(of_photos[:, None] * factors, np.float32),
        )


class Teacher:
    """A trained classifier whose answers train another one.

    Args:
        network: the classifier, with its labels and preprocessing.
        name: how the user named it.
        labels: the classes that are trained, each of which the teacher must know by this name. It may know more.

    Raises:
        UnsupportedError: the network is not a classifier of photos of a fixed size, or its results are not those of a
            softmax or a sigmoid.
        ParameterError: the teacher does not state its classes, or lacks one.
    """

    def __init__(self, network: Network, name: str, labels: Sequence[str]) -> None:
        shape = network.inputs[0].shape[1:]
        count = score_count([output.shape for output in network.outputs])
        if len(network.inputs) != 1 or len(shape) != 3 or None in shape or count is None:
            raise UnsupportedError(
                f"teacher: {name} is not a classifier with one photo of a fixed size as its input"
            )
        if network.scores_are == "as is":
            raise UnsupportedError(
                f"teacher: the results of {name} are neither those of a softmax nor of a sigmoid; Network.scores "
                "says what they are"
            )
        if not network.labels:
            raise ParameterError(
                f"teacher: {name} does not name its classes; `mpscnn info FILE --set labels=FILE` in a shell names them"
            )
        known = {label: number for number, label in reversed(list(enumerate(network.labels)))}
        if unknown := [label for label in labels if label not in known]:
            raise ParameterError(
                f"teacher: {name} has no class {shown_names(unknown)}; its classes are "
                f"{shown_names(list(network.labels))}"
            )
        self.name, self._network = name, network
        self._columns = [known[label] for label in labels]
        height, width, channels = (int(extent or 0) for extent in shape)
        assert network.preprocess is not None  # a teacher is opened like a pretrained classifier
        self._reader = PhotoReader((height, width), network.preprocess, channels)

    def description(self) -> str:
        """Return a text that differs for other teachers: the name, and a hash of the network."""
        settings = repr([self._network.preprocess, self._network.scores_are, self._columns])
        content = hashlib.sha256(settings.encode() + json.dumps(self._network.to_dict()).encode())
        for name, values in self._network.weights.items():
            content.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return f"{self.name} {content.hexdigest()[:16]}"

    def answers(self, outputs: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
        """Return the probabilities of the trained classes (n, classes) at a temperature, from the network's outputs."""
        found = outputs.reshape(len(outputs), -1)[:, self._columns].astype(np.float64)
        if self._network.applied_function is None:
            rest = 1 - found if self._network.scores_are == "sigmoid" else np.ones(1)
            found = np.log(found.clip(_TINY)) - np.log(rest.clip(_TINY))
        soft = np.exp((found - found.max(axis=1, keepdims=True)) / temperature)
        return np.asarray(soft / soft.sum(axis=1, keepdims=True), np.float32)

    def store_answers(
        self,
        photos: ImageFolder,
        path: Path,
        temperature: float,
        *,
        views: int,
        device: str,
        threads: int | Literal["auto"],
    ) -> Iterator[int]:
        """Write the softened probabilities of the same variants as `store_features`: float32 (views, photos, classes).

        Yields the number of variants in each batch, after it was written.

        Raises:
            ImageError: a photo cannot be read. WeightsError: the file cannot be written.
        """
        seen = photos.read_with(self._reader)
        session = self._network.compile(device=device, precision="float32").session(threads=threads)
        with replace_atomically(path, WeightsError) as file:
            store = VariantStore(file, "<f4", (views, len(photos), len(self._columns)))
            begin = 0
            for inputs, _ in seen.views(views, max(1, BATCH // views)):
                images = inputs.reshape(-1, *inputs.shape[2:])
                answers = self.answers(np.asarray(session.run(images)), temperature)
                store.write(begin, answers.reshape(*inputs.shape[:2], -1))
                begin += len(inputs)
                yield len(images)
