"""Compute features of images by the layers of a network, as a transformer for scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mpscnn._private.arguments import whole_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.features import FeatureExtractor as NetworkFeatures
from mpscnn.graph.network import Network
from mpscnn.model import Model, load
from mpscnn.sklearn.images import Extents, as_images, as_photos
from mpscnn.training.backbone import Backbone


class FeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Computes features of images by a pretrained network.

    Nothing is trained: `fit` only loads the network. Images are photos (paths, bytes, Pillow images, arrays of any
    size, or one uint8 array of all, also with a photo in each row), which get the network's preprocessing; or floats
    that are the network's input: arrays (n, height, width, channels), or rows (n, numbers) with an image in each.

    Args:
        model: a name of `mpscnn.registry`, a path, a `mpscnn.Model` or a `mpscnn.Network`.
        layers: a layer's name, or several, whose results are concatenated; None: the input of a classifier's last
            layer, or the output of another network.
        pooling: "global": the mean of each channel of a feature map; None: all its numbers.
        image_shape: (height, width) or (height, width, channels) of images in rows; None: the network's input shape, or
            square.
        preprocess: as in a model file (docs/preprocessing.md); None: the model's settings.
        device, threads: as for `mpscnn.load`.
        batch_size: the number of images that are computed together.

    Attributes:
        n_features_in_: the number of numbers in an image, if it was fitted with numbers.
        extractor_: the `mpscnn.FeatureExtractor` that computes.
    """

    @accept_foreign_arguments
    def __init__(
        self,
        model: str | os.PathLike[str] | Model | Network = "cifar10_mobilenet_v2",
        *,
        layers: str | Sequence[str] | None = None,
        pooling: str | None = "global",
        image_shape: Sequence[int] | None = None,
        preprocess: str | Mapping[str, Any] | None = None,
        device: str = "auto",
        threads: int | Literal["auto"] = "auto",
        batch_size: int = 32,
    ) -> None:
        self.model = model
        self.layers = layers
        self.pooling = pooling
        self.image_shape = image_shape
        self.preprocess = preprocess
        self.device = device
        self.threads = threads
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> FeatureExtractor:  # noqa: N803, ARG002
        """Load the network.

        Args:
            X: images, of which only the shape matters.
            y: not used.

        Raises:
            ParameterError: there is no such layer or model. ShapeError: the network does not accept such images.
            UnsupportedError: the network does not take one image, or photos for a network without preprocessing.
        """
        network, preprocess = resolve_network(self.model)
        layers = _layers_of(network) if self.layers is None else self.layers
        self.extractor_ = NetworkFeatures(
            network,
            layers,
            pooling=self.pooling,
            preprocess=preprocess if self.preprocess is None else self.preprocess,
            device=self.device,
            threads=self.threads,
        )
        photos = self._photos(X)
        X = self._images(X, reset=True) if photos is None else photos  # noqa: N806
        self._n_features_out = self._features(X[:1]).shape[1]
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Compute the features of images.

        Args:
            X: images, as for `fit`.

        Returns:
            (images, features) float32.

        Raises:
            ImageError: a photo cannot be read.
            ShapeError: the network does not accept such images.
            UnsupportedError: photos for a network without preprocessing.
        """
        check_is_fitted(self)
        size = whole_number("batch_size", self.batch_size)
        photos = self._photos(X)
        X = self._images(X, reset=False) if photos is None else photos  # noqa: N806
        parts = [self._features(X[begin : begin + size]) for begin in range(0, len(X), size)]
        return np.concatenate(parts)

    def _photos(self, x: Any) -> list[Any] | None:
        prepared = self.extractor_.preprocess is not None
        return as_photos(x, prepared=prepared, image_shape=self.image_shape, extents=self._extents())

    def _images(self, x: Any, *, reset: bool) -> NDArray[np.float32]:
        return as_images(self, x, reset=reset, image_shape=self.image_shape, extents=self._extents())

    def _extents(self) -> Extents:
        height, width, channels = next(iter(self.extractor_.program.inputs.values()))[1:]
        return height, width, channels

    def _features(self, x: Any) -> NDArray[np.float32]:
        """Return the features of some images."""
        results = self.extractor_.run(x if isinstance(x, np.ndarray) and x.ndim == 4 else list(x))
        return np.concatenate([values.reshape(len(values), -1) for values in results.values()], axis=1)

    def __sklearn_tags__(self) -> Any:
        """Describe the transformer for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def resolve_network(model: Any) -> tuple[Network, Any]:
    """Return a model's network and preprocessing. Raises ParameterError for anything else."""
    if isinstance(model, Network):
        network, preprocess = model, model.preprocess
    elif isinstance(model, (str, os.PathLike, Model)):
        loaded = model if isinstance(model, Model) else load(model, device="cpu")
        network, preprocess = loaded.network, loaded.preprocess
    else:
        raise ParameterError(
            f"model must be a name, a path, a Model or a Network, got {type(model).__name__}"
        )
    if len(network.inputs) != 1 or len(network.input.shape) != 4:
        raise UnsupportedError(f"network {network.name!r} does not take one image")
    return network, preprocess


def _layers_of(network: Network) -> str:
    """Return the layer whose results are the features."""
    try:
        return Backbone(network, 0).features
    except UnsupportedError:
        return network.outputs[0].name
