"""Define a classifier of photos as a neural network and as a program of Core ML, and the results of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from converters.coreml_writer import Program, add, image, model, settings
from numpy.typing import NDArray
from PIL import Image

import mpscnn

_DRAW = np.random.default_rng(13)
FILTERS, BIAS = _DRAW.normal(size=(4, 3, 3, 3)) * 0.01, _DRAW.normal(size=4)
PIXELS = _DRAW.integers(0, 256, (6, 8, 3), np.uint8)
LABELS = ["cat", "dog", "house", "tree"]


def classifier(*, order: int = 20, old: bool = True) -> Any:
    """Return a convolution, the mean of each channel, and a softmax over four classes.

    `order`: the photo's channels, as in `image`. `old`: a file of version 3.
    """
    message = model({"photo": image(6, 8, order)}, {}, version=3 if old else 5)
    message.description.output.add(name="probabilities").type.dictionaryType.SetInParent()
    message.description.output.add(name="label").type.stringType.SetInParent()
    message.description.predictedFeatureName = "label"
    message.description.predictedProbabilitiesName = "probabilities"
    net = message.neuralNetworkClassifier
    net.arrayInputShapeMapping = net.imageInputShapeMapping = int(not old)
    scaler = net.preprocessing.add(featureName="photo").scaler
    scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias = 0.02, -1.0, -2.0, -3.0
    fill = settings(
        outputChannels=4,
        kernelChannels=3,
        kernelSize=[3, 3],
        weights=FILTERS,
        hasBias=True,
        bias=BIAS,
        valid={},
    )
    add(net, "convolution", "photo", "conv", fill)
    add(net, "pooling", "conv", "pool", settings(type=1, globalPooling=True))
    add(net, "softmax", "pool", "soft")
    net.labelProbabilityLayerName = "soft"
    net.stringClassLabels.vector.extend(LABELS)
    return message


def program(*, blob: bool = True, named: str = "") -> Program:
    """Return the classifier as a program. With `blob` its filters are in the file of weights, otherwise in the program.

    `named`: the prefix of the names of the operations that scale photos, as coremltools writes it.
    """
    made = Program({"photo": (1, 3, 6, 8)})
    made.message.description.input[0].type.Clear()
    image(6, 8)(made.message.description.input[0].type)
    scaled, moved = (f"{named}{one}" for one in ("__scaled__", "__biased__"))
    made.add("mul", scaled, x="%photo", y=np.float32(0.02))
    made.add("add", moved, x=f"%{scaled}", y=np.float32([-1.0, -2.0, -3.0]).reshape(1, 3, 1, 1))
    if blob:
        made.constant("filters", FILTERS.astype(np.float32).tobytes(), kind=11, stored=2, shape=FILTERS.shape)
    else:
        made.constant("filters", FILTERS)
    made.constant("bias", BIAS)
    made.add("conv", "made", x=f"%{moved}", weight="%filters", bias="%bias")
    made.add("reduce_mean", "means", x="%made", axes=[2, 3], keep_dims=False)
    made.add("softmax", "soft", x="%means", axis=-1)
    made.classify("soft", LABELS)
    return made


def expected(
    pixels: NDArray[Any], biases: list[float], scale: float = 0.02, *, bgr: bool = False
) -> NDArray[Any]:
    """Return the probabilities of a photo."""
    x = pixels.astype(np.float64) * scale + biases
    x = x[..., ::-1] if bgr else x
    sums = np.zeros(4)
    for row in range(4):
        for column in range(6):
            part = x[row : row + 3, column : column + 3].transpose(2, 0, 1)
            sums += np.einsum("cij,ocij->o", part, FILTERS) + BIAS
    exponentials = np.exp(sums / 24)
    return exponentials / exponentials.sum()


def probabilities(path: Path) -> NDArray[Any]:
    """Return the probabilities that a loaded model gives for the pixels."""
    found = mpscnn.load(path, device="cpu").predict(Image.fromarray(PIXELS), top=4)
    by_label = {one.label: one.probability for one in found}
    return np.array([by_label[label] for label in LABELS])
