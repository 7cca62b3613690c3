"""The student network: a MobileNetV2 for small images, the folding of its batch norms, and its forward pass after that.

Architecture: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), with strides and
widths chosen for 64x64 photos and a model file of about one megabyte.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Weights = dict[str, NDArray[np.float32]]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Stage:
    """`repeats` inverted residuals with the same channels. Only the first one has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int


@dataclass(frozen=True)
class Architecture:
    """The description that is needed to build the network for its folded weights."""

    input_size: int = 64
    stem_channels: int = 32
    stem_stride: int = 2
    stages: tuple[Stage, ...] = (
        Stage(expansion=1, channels=16, repeats=1, stride=1),
        Stage(expansion=6, channels=24, repeats=2, stride=1),
        Stage(expansion=6, channels=40, repeats=4, stride=2),
        Stage(expansion=6, channels=64, repeats=4, stride=2),
        Stage(expansion=6, channels=84, repeats=3, stride=1),
    )
    last_channels: int = 256
    classes: tuple[str, ...] = CLASSES

    def to_json(self) -> dict[str, Any]:
        """Return the contents of architecture.json, with the preprocessing preset that the weights need."""
        return {
            "name": "cifar10_mobilenet_v2",
            "input": [self.input_size, self.input_size, 3],
            "preprocess": "tensorflow",
            "stem": {"channels": self.stem_channels, "kernel": 3, "stride": self.stem_stride},
            "stages": [asdict(stage) for stage in self.stages],
            "last_channels": self.last_channels,
            "classes": list(self.classes),
        }


class ConvBN(nn.Sequential):
    """Convolution with symmetric padding, batch norm and, unless `linear`, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.Identity() if linear else nn.ReLU6()

    def folded(self) -> tuple[Tensor, Tensor]:
        """Fold the batch norm into the convolution. Return its weight [out, in/groups, kh, kw] and bias."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert variance is not None
        factor = self.norm.weight.double() / torch.sqrt(variance.double() + self.norm.eps)
        weight = self.conv.weight.double() * factor[:, None, None, None]
        return weight.float(), (self.norm.bias.double() - mean.double() * factor).float()


class InvertedResidual(nn.Module):
    """An inverted residual block: expand, depthwise convolution, project, and add the input if the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvBN(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = ConvBN(hidden, hidden, 3, stride, groups=hidden)
        self.project = ConvBN(hidden, outputs, 1, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else self.expand(x)
        y: Tensor = self.project(self.depthwise(hidden))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Maps images (n, 3, size, size) in -1..1 to logits (n, classes). Blocks are numbered from 1."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.conv1 = ConvBN(3, architecture.stem_channels, 3, architecture.stem_stride)
        self.blocks = nn.ModuleDict()
        channels = architecture.stem_channels
        for stage in architecture.stages:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                block = InvertedResidual(channels, stage.channels, stage.expansion, stride)
                self.blocks[f"block{len(self.blocks) + 1}"] = block
                channels = stage.channels
        self.conv_last = ConvBN(channels, architecture.last_channels, 1)
        self.classifier = nn.Linear(architecture.last_channels, len(architecture.classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in self.blocks.values():
            x = block(x)
        logits: Tensor = self.classifier(self.conv_last(x).mean((2, 3)))
        return logits


def fold(model: MobileNetV2) -> Weights:
    """Return the float32 weights with batch norms folded, by name.

    They are `<layer>.weight` in the order [out][kh][kw][in/groups] (dense layer: [out][in]) and `<layer>.bias`.
    """
    arrays: Weights = {}
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, ConvBN):
                layer = name.removeprefix("blocks.").replace(".", "_")
                weight, bias = module.folded()
                arrays[f"{layer}.weight"] = weight.permute(0, 2, 3, 1).contiguous().cpu().numpy()
                arrays[f"{layer}.bias"] = bias.cpu().numpy()
        arrays["classifier.weight"] = model.classifier.weight.float().cpu().numpy()
        arrays["classifier.bias"] = model.classifier.bias.float().cpu().numpy()
    return arrays


class FoldedNetwork:
    """The exported network as an inference engine runs it.

    With `half`, weights are rounded to float16 and so is the result of every convolution (with bias and
    ReLU6), addition, pooling, dense layer and softmax, while sums stay in float32.
    """

    def __init__(
        self, architecture: Architecture, weights: Weights, device: torch.device, half: bool
    ) -> None:
        self.architecture = architecture
        self.half = half
        self.weights: dict[str, Tensor] = {}
        for name, array in weights.items():
            tensor = torch.from_numpy(array).to(device)
            tensor = tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor
            self.weights[name] = self._round(tensor)

    def _round(self, x: Tensor) -> Tensor:
        return x.half().float() if self.half else x

    def _conv(self, x: Tensor, layer: str, stride: int = 1, linear: bool = False) -> Tensor:
        weight = self.weights[f"{layer}.weight"]
        groups = x.shape[1] // weight.shape[1]
        y = functional.conv2d(
            x, weight, self.weights[f"{layer}.bias"], stride, padding=weight.shape[2] // 2, groups=groups
        )
        return self._round(y if linear else functional.relu6(y))

    def _block(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self._conv(x, f"{name}_expand") if f"{name}_expand.weight" in self.weights else x
        y = self._conv(y, f"{name}_depthwise", stride)
        y = self._conv(y, f"{name}_project", linear=True)
        return self._round(x + y) if stride == 1 and x.shape == y.shape else y

    def __call__(self, images: Tensor) -> Tensor:
        """Return the probabilities (n, classes) for images (n, 3, size, size) in -1..1."""
        x = self._conv(self._round(images), "conv1", self.architecture.stem_stride)
        block = 0
        for stage in self.architecture.stages:
            for repeat in range(stage.repeats):
                block += 1
                x = self._block(x, f"block{block}", stage.stride if repeat == 0 else 1)
        x = self._round(self._conv(x, "conv_last").mean((2, 3)))
        logits = functional.linear(x, self.weights["classifier.weight"], self.weights["classifier.bias"])
        return self._round(functional.softmax(self._round(logits), dim=1))
