"""A classifier of images, as an estimator of scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from mpscnn._private.arguments import input_size, is_finite_number, whole_number
from mpscnn._private.callables import require_arguments
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.sklearn.features import resolve_network
from mpscnn.sklearn.images import Extents, as_images, as_photos
from mpscnn.training.backbone import Backbone, as_arrays
from mpscnn.training.optimizers import Adam
from mpscnn.training.trainer import Trainer
from mpscnn.vision.preprocessing import preprocess, require_prepared

_MAX_STAGES = 4
_MIN_POOLED = 8
_MAX_SEED = 2**31 - 1


def small_network(shape: tuple[int, int, int], classes: int) -> Network:
    """Build the default network: convolutions and poolings, then two dense layers.

    Args:
        shape: (height, width, channels) of an image.
        classes: the number of classes.
    """
    net = Network(input=shape, name="image_classifier")
    x, filters = net.input, 16
    for _ in range(_MAX_STAGES):
        if min(x.shape[1] or 0, x.shape[2] or 0) < _MIN_POOLED:
            break
        x = net.conv2d(x, filters, 3, activation="relu")
        x = net.max_pool2d(x, 2)
        filters *= 2
    x = net.dense(x, 64, activation="relu")
    net.output(net.softmax(net.dense(x, classes)))
    return net


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains a network to classify images.

    Images are photos (paths, bytes, Pillow images, arrays of any size), arrays (n, height, width[, channels]), or rows
    (n, numbers) with an image in each, as in scikit-learn's own data sets. With a backbone, integers are pixels of
    photos, also in rows.

    Args:
        backbone: a pretrained classifier of photos, of which only a new last layer is trained: a name of
            `mpscnn.registry`, a path, a `mpscnn.Model` or a `mpscnn.Network`. None: train a small network from random
            weights.
        network: a function that builds the network from an image's shape (height, width, channels) and the number of
            classes; None: `small_network`. The network must end in a softmax. Not together with a backbone.
        size: (height, width), or one number, to which photos are resized for a network without backbone.
        image_shape: (height, width) or (height, width, channels) of images in rows; None: square, or one row of pixels.
        epochs: the number of passes over the images.
        batch_size: the number of images in a step.
        learning_rate: Adam's learning rate.
        random_state: the random seed of the initial weights and the order of images. The same int gives the same bits.
        device, threads: as for `mpscnn.Trainer`.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: the number of numbers in an image, if it was fitted with numbers.
        network_: the trained network, which outputs a probability for each class.
        history_: losses and accuracies, a `mpscnn.History`.
    """

    @accept_foreign_arguments
    def __init__(
        self,
        *,
        backbone: str | os.PathLike[str] | Model | Network | None = None,
        network: Callable[[tuple[int, int, int], int], Network] | None = None,
        size: int | tuple[int, int] = 64,
        image_shape: Sequence[int] | None = None,
        epochs: int = 40,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        random_state: Any = None,
        device: str = "auto",
        threads: int | Literal["auto"] = "auto",
    ) -> None:
        self.backbone = backbone
        self.network = network
        self.size = size
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.device = device
        self.threads = threads

    def fit(self, X: Any, y: Any) -> ImageClassifier:  # noqa: N803
        """Train the network.

        Args:
            X: images.
            y: (n,), the label of each image: numbers or text.

        Raises:
            ValueError: the labels are not classes, their number differs from that of the images, or numbers are not
                finite.
            ParameterError: an option is out of its range.
            ImageError: a photo cannot be read.
        """
        if self.backbone is not None and self.network is not None:
            raise ParameterError("give a backbone or a network, not both")
        if not is_finite_number(self.learning_rate) or self.learning_rate <= 0:
            raise ParameterError(f"learning_rate must be a number above 0, got {self.learning_rate!r}")
        epochs = whole_number("epochs", self.epochs)
        seed = int(check_random_state(self.random_state).randint(_MAX_SEED))
        self._backbone = None if self.backbone is None else _prepared(*resolve_network(self.backbone))
        images = self._images(X, reset=True)
        labels, numbers = _classes_of(y)
        check_consistent_length(images, numbers)
        self.classes_ = labels
        if self._backbone is None:
            # In an image with one row of pixels each pixel is a different quantity, so each gets its own mean.
            self._shift, self._factor = _scaling(images, (0,) if images.shape[1] == 1 else (0, 1, 2))
            make = small_network if self.network is None else self.network
            network = _built(make, images.shape[1:], len(labels))
            network.initialize_weights(seed=seed)
            images = (images - self._shift) * self._factor
            self.network_ = self._trained(network, images, numbers, epochs, seed)
        else:
            self._shift, self._factor = np.zeros(1, np.float32), np.ones(1, np.float32)
            self.network_ = self._with_new_layer(self._backbone, images, numbers, epochs, seed)
        self._program = self.network_.compile(device=self.device)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Compute the probability of each class: (n, classes) float32, in the order of `classes_`.

        Raises the errors of `fit` for images.
        """
        check_is_fitted(self, "network_")
        images = (self._images(X, reset=False) - self._shift) * self._factor
        session = self._program.session(threads=self.threads)
        found = _in_batches(session.run, images, self.batch_size)
        return found.reshape(len(found), -1)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image: (n,). Raises the errors of `fit` for images."""
        numbers = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[numbers])

    def __sklearn_tags__(self) -> Any:
        """Describe the classifier for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _with_new_layer(
        self,
        backbone: Backbone,
        images: NDArray[np.float32],
        numbers: NDArray[np.int64],
        epochs: int,
        seed: int,
    ) -> Network:
        """Return the backbone with a trained last layer.

        It is trained on scaled features; the scaling is then merged into it.
        """
        session = backbone.extractor().compile(device=self.device).session(threads=self.threads)
        features = _in_batches(session.run, images, self.batch_size)
        shift, factor = _scaling(features, tuple(range(features.ndim - 1)))
        head = backbone.head(len(self.classes_))
        head.initialize_weights(seed=seed)
        trained = as_arrays(self._trained(head, (features - shift) * factor, numbers, epochs, seed))
        weight, bias = (next(name for name in trained if name.endswith(role)) for role in ("weight", "bias"))
        trained[weight] = trained[weight] * factor
        trained[bias] = trained[bias] - (trained[weight] * shift).reshape(len(trained[bias]), -1).sum(1)
        return backbone.joined(len(self.classes_), trained)

    def _trained(
        self,
        network: Network,
        inputs: NDArray[np.float32],
        numbers: NDArray[np.int64],
        epochs: int,
        seed: int,
    ) -> Network:
        trainer = Trainer(
            network,
            loss="softmax_cross_entropy",
            optimizer=Adam(learning_rate=self.learning_rate),
            device=self.device,
            threads=self.threads,
            seed=seed,
        )
        size = whole_number("batch_size", self.batch_size)
        self.history_ = trainer.fit(inputs, numbers, epochs=epochs, batch_size=size, progress=False)
        return trainer.network

    def _images(self, x: Any, *, reset: bool) -> NDArray[np.float32]:
        """Return images (n, height, width, channels): inputs of the backbone, or the numbers as given."""
        backbone = self._backbone
        extents: Extents = (None, None, None)
        if backbone is not None:
            height, width, channels = backbone.network.input.shape[1:]
            extents = (height, width, channels)
        elif not reset:
            height, width, channels = self.network_.input.shape[1:]
            extents = (height, width, channels)
        prepared = backbone is not None and backbone.network.preprocess is not None
        photos = as_photos(x, prepared=prepared, image_shape=self.image_shape, extents=extents)
        if photos is None:
            images = as_images(self, x, reset=reset, image_shape=self.image_shape, extents=extents)
            if backbone is not None and backbone.network.preprocess is not None:
                require_prepared(images, backbone.network.preprocess)
            return images
        if backbone is None:
            return np.concatenate([preprocess(one, input_size("size", self.size), "unit") for one in photos])
        settings = backbone.network.preprocess
        if settings is None:
            raise UnsupportedError(
                f"network {backbone.network.name!r} does not say how a photo becomes its input"
            )
        height, width, channels = (int(extent or 0) for extent in extents)
        return np.concatenate(
            [preprocess(one, (height, width), settings, channels=channels) for one in photos]
        )


def _scaling(
    values: NDArray[np.float32], axes: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the offset and the factor that normalise the values to mean 0 and standard deviation 1 over `axes`."""
    deviation = values.std(axes, dtype=np.float64)
    factor = 1.0 / np.where(deviation > 0, deviation, 1.0)
    return values.mean(axes, dtype=np.float64).astype(np.float32), factor.astype(np.float32)


def _prepared(network: Network, settings: Any) -> Backbone:
    """Return a backbone of which only a new last layer is trained."""
    backbone = Backbone(network, 0)
    backbone.network.preprocess = settings
    return backbone


def _built(make: Any, shape: tuple[int, ...], classes: int) -> Network:
    """Return the network that the function `make` builds."""
    if isinstance(make, Network) or not callable(make):
        raise ParameterError(f"network must be a function that builds the network, got {type(make).__name__}")
    require_arguments("network", make, ["shape", "classes"])
    network = make(tuple(shape), classes)
    if not isinstance(network, Network):
        raise ParameterError(
            f"the function network must return a mpscnn.Network, got {type(network).__name__}"
        )
    return network


def _classes_of(y: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the labels, and the label's number for each image."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    check_classification_targets(y)
    labels, numbers = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    if len(labels) < 2:
        raise ValueError(f"Classifier can't train when only one class is present: {labels[0]!r}")
    return labels, numbers.astype(np.int64)


def _in_batches(
    run: Callable[[NDArray[np.float32]], Any], images: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """Return the results of all images, computed a few at a time."""
    parts = [np.asarray(run(images[begin : begin + size])) for begin in range(0, len(images), size)]
    return np.concatenate(parts)
