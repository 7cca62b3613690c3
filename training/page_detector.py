"""A small SSDLite that finds and reads handwritten digits on a page, trained from the IDX files of MNIST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from digit_pages import PAGE_SIDE, DigitPages

from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.training.digits import DigitData
from mpscnn.training.history import Epoch
from mpscnn.training.optimizers import Adam
from mpscnn.training.schedules import cosine, warm_up
from mpscnn.training.trainer import Trainer
from mpscnn.vision.detector import DetectionHead

__all__ = ["PageOptions", "page_detector", "train_pages"]

_CLASSES = 10
_STEM = 16
# Channels and stride of each separable convolution. Boxes and scores are predicted from the last results with strides
# 8 and 16.
_BLOCKS = ((32, 2), (48, 1), (64, 2), (96, 1), (96, 1), (128, 2), (128, 1), (128, 1))
_STRIDES = (8, 16)
# The heights of the anchors of each feature map, and their aspect ratios: one for a 1, one for all other digits.
_HEIGHTS = ((18, 27), (39, 56, 78))
_SHAPES = (0.42, 0.8)

_RATE, _WARM_UP, _DECAY, _AVERAGE = 0.015, 200, 0.01, 0.998
# The loss of the boxes has a smaller weight, because the class of a digit is harder to learn than its box.
_LOSS = {"kind": "multibox", "iou_threshold": 0.45, "min_negatives": 8, "box_weight": 0.5}


@dataclass(frozen=True)
class PageOptions:
    """The settings of a training: the number of epochs, the pages in each epoch, the batch size and the random seed."""

    epochs: int = 8
    pages: int = 10_000
    batch_size: int = 16
    seed: int = 0


def page_detector() -> Network:
    """Return an SSDLite on eight separable convolutions: (n, 160, 160, 1) in -1..1 -> boxes and scores.

    Its `detection` describes how objects are computed from the boxes and scores.

    Layers: stem; separable<b>_depthwise and separable<b> for b from 1 to 8, each with a normalization <name>_norm; for
    the feature maps m = 1 (stride 8) and 2 (stride 16) box<m>_depthwise, box<m>, score<m>_depthwise, score<m>.
    """
    net = Network(input=(PAGE_SIDE, PAGE_SIDE, 1), name="page_digits")
    x = _normalized(net, net.conv2d(net.input, _STEM, 3, strides=2, padding="same", name="stem"), "stem")
    stride, maps = 2, {}
    for number, (channels, step) in enumerate(_BLOCKS, start=1):
        x = _filtered(net, x, step, f"separable{number}")
        x = _normalized(net, net.conv2d(x, channels, 1, name=f"separable{number}"), f"separable{number}")
        stride *= step
        maps[stride] = x
    _add_heads(net, [maps[stride] for stride in _STRIDES])
    net.detection = _head()
    net.labels = [str(digit) for digit in range(_CLASSES)]
    net.preprocess = "tensorflow"
    return net


def _normalized(net: Network, x: Tensor, name: str) -> Tensor:
    return net.batch_norm(x, activation="relu6", name=f"{name}_norm")


def _filtered(net: Network, x: Tensor, stride: int, name: str) -> Tensor:
    """Add a depthwise 3x3 convolution with a batch normalization."""
    name = f"{name}_depthwise"
    return _normalized(net, net.depthwise_conv2d(x, 3, strides=stride, padding="same", name=name), name)


def _add_heads(net: Network, maps: list[Tensor]) -> None:
    for kind, output, width in (("box", "boxes", 4), ("score", "scores", _CLASSES + 1)):
        rows = []
        for number, (x, heights) in enumerate(zip(maps, _HEIGHTS, strict=True), start=1):
            shapes = len(heights) * len(_SHAPES)
            y = net.conv2d(_filtered(net, x, 1, f"{kind}{number}"), shapes * width, 1, name=f"{kind}{number}")
            rows.append(net.reshape(y, (-1, width), name=f"{kind}{number}_rows"))
        net.output(net.concat(rows, axis=1, name=output))


def _head() -> DetectionHead:
    return DetectionHead(
        {
            "version": 1,
            "boxes": {"output": "boxes", "order": "xy", "variances": [0.1, 0.1, 0.2, 0.2]},
            "scores": {"output": "scores", "kind": "softmax", "background": True},
            "anchors": {
                "rule": "sizes",
                "strides": list(_STRIDES),
                "sizes": [
                    [[round(share * height), height] for height in heights for share in _SHAPES]
                    for heights in _HEIGHTS
                ],
            },
            # If two classes are found for the same ink, only the more probable one is kept.
            "suppression": {"per_class": False, "iou_threshold": 0.45, "score_threshold": 0.5},
        }
    )


def train_pages(
    training: DigitData,
    *,
    options: PageOptions = PageOptions(),
    device: str = "auto",
    threads: int | str = "auto",
    report: Callable[[Epoch], None] = lambda _: None,
) -> Network:
    """Train a new `page_detector` and return it.

    The optimiser is Adam with weight decay. The learning rate rises to 0.015 and then falls along a cosine. The result
    has the moving average of the weights. The same arguments give the same weights with any number of threads.
    """
    network = page_detector()
    network.initialize_weights(seed=options.seed)
    steps = options.epochs * -(-options.pages // options.batch_size)
    warm = min(_WARM_UP, steps // 2)
    rate = cosine(_RATE, max(steps - warm, 1))
    trainer = Trainer(
        network,
        loss=_LOSS,
        optimizer=Adam(warm_up(warm, rate) if warm else rate, weight_decay=_DECAY),
        seed=options.seed,
        device=device,
        threads=threads,
        average=_AVERAGE,
    )
    data = DigitPages(training.images, training.labels, pages=options.pages, seed=options.seed)
    for epoch in trainer.iter_epochs(data, epochs=options.epochs, batch_size=options.batch_size):
        report(epoch)
    return trainer.averaged
