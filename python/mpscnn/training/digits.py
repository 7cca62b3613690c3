"""Train Deep MNIST on the IDX files of MNIST."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import require_bool
from mpscnn._private.files import exists
from mpscnn.errors import ImageError, ShapeError
from mpscnn.graph.network import Network
from mpscnn.models.deep_mnist import deep_mnist
from mpscnn.training.batches import Data
from mpscnn.training.digit_views import DigitViews
from mpscnn.training.history import Epoch
from mpscnn.training.optimizers import Adam
from mpscnn.training.progress import Evaluated
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer
from mpscnn.vision.idx import read_labelled

_RATE, _WARM_UP = 1e-3, 100
# The learning rate, the weight decay and the share of the moving average that is kept, for training on variants of the
# images (`augment`).
_VIEWS_RATE, _DECAY, _AVERAGE = 2e-3, 0.02, 0.998
_DROPOUT = 0.5
_SIDE = 28

#: The networks by name: the channels of both convolutions, and the features of the hidden layer.
DIGIT_NETWORKS: dict[str, tuple[tuple[int, int], int]] = {
    "deep_mnist": ((32, 64), 1024),
    "digits": ((16, 32), 128),
}


@dataclass(frozen=True)
class DigitData:
    """Images (n, 28, 28, 1) in 0..1, and their digits."""

    images: NDArray[np.float32]
    labels: NDArray[np.uint8]


def read_digits(folder: str | os.PathLike[str], part: str) -> DigitData:
    """Read images and labels from a folder with MNIST's files, plain or gzipped.

    Args:
        part: the prefix of the files' names: "train" or "t10k".

    Raises:
        ImageError: a file is missing or damaged; the message names it. ShapeError: the images are not 28 x 28.
    """
    files = [_file(folder, f"{part}-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    images, labels = read_labelled(*files)
    assert labels is not None
    if labels.max(initial=0) > 9:
        raise ImageError(f"{files[1]}: labels must be digits, 0 to 9, got {labels.max()}")
    if images.shape[1:] != (_SIDE, _SIDE):
        raise ShapeError(
            f"{os.fspath(folder)}: images must be 28 x 28, got {images.shape[1]} x {images.shape[2]}"
        )
    return DigitData(images[..., None].astype(np.float32) / np.float32(255), labels)


def _file(folder: str | os.PathLike[str], name: str) -> Path:
    for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if exists(path):
            return path
    raise ImageError(f"{os.fspath(folder)}: there is neither {name} nor {name}.gz")


def train_digits(
    training: DigitData,
    test: DigitData,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "auto",
    threads: int | str = "auto",
    architecture: str = "deep_mnist",
    augment: bool = False,
    report: Callable[[Epoch], None] = lambda _: None,
) -> tuple[Network, Evaluated]:
    """Train Deep MNIST. Return the network and its results on the test images, which are used only once, at the end.

    The optimiser is Adam, with dropout before the last layer. The learning rate rises to 0.001 and falls along a
    cosine. The same arguments give the same weights, for any number of threads.

    Args:
        architecture: one of `DIGIT_NETWORKS`: "deep_mnist" of the article, or the small bundled "digits".
        augment: train on other variants of the images in each epoch (`DigitViews`), with a learning rate of 0.002,
            weight decay, and a moving average of the weights as the result.
    """
    require_bool("augment", augment)
    channels, hidden = DIGIT_NETWORKS[architecture]
    network = _with_dropout(channels, hidden)
    network.initialize_weights(seed=seed)
    steps = epochs * -(-len(training.images) // batch_size)
    warm = min(_WARM_UP, steps // 2)
    highest = _VIEWS_RATE if augment else _RATE
    rate = warm_up(warm, cosine(highest, max(steps - warm, 1))) if warm else cosine(highest, steps)
    trainer = Trainer(
        network,
        optimizer=Adam(rate, weight_decay=_DECAY if augment else 0.0),
        seed=seed,
        device=device,
        threads=threads,
        average=_AVERAGE if augment else 0.0,
    )
    data: Data = (training.images, training.labels)
    if augment:
        data = DigitViews(training.images, training.labels, seed=seed)
    for epoch in trainer.iter_epochs(data, epochs=epochs, batch_size=batch_size):
        report(epoch)
    weights = dict((trainer.averaged if augment else trainer.network).weights)
    trained = deep_mnist(weights, channels=channels, hidden=hidden, name=architecture)
    return trained, trainer.evaluate((test.images, test.labels), averaged=augment)


def _with_dropout(channels: tuple[int, int], hidden: int) -> Network:
    net = Network(input=(_SIDE, _SIDE, 1), name="deep_mnist")
    x = net.conv2d(net.input, channels[0], 5, padding="same", activation="relu", name="conv1")
    x = net.max_pool2d(x, 2, padding="same", name="pool1")
    x = net.conv2d(x, channels[1], 5, padding="same", activation="relu", name="conv2")
    x = net.max_pool2d(x, 2, padding="same", name="pool2")
    x = net.dense(x, hidden, activation="relu", name="fc1")
    x = net.dense(net.dropout(x, _DROPOUT, name="dropout"), 10, name="fc2")
    net.output(net.softmax(x, name="softmax"))
    return net
