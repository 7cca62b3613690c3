"""Compare SSD on MobileNet V1 and SSDLite on MobileNet V2 with PyTorch networks built here, with random weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn

torch = pytest.importorskip("torch", reason="needs torch")

RELU6, LINEAR = True, False


class Layers(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Convolutions by name with TensorFlow's SAME padding, whose larger half is after the image."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = torch.nn.ModuleDict()

    def add(self, name: str, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        self.convolutions[name] = torch.nn.Conv2d(inputs, outputs, kernel, stride, groups=groups)

    def run(self, name: str, x: Any, relu6: bool) -> Any:
        convolution = self.convolutions[name]
        sides = []
        for size in (x.shape[3], x.shape[2]):
            kernel, stride = convolution.kernel_size[0], convolution.stride[0]
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            sides += [total // 2, total - total // 2]
        y = convolution(torch.nn.functional.pad(x, sides))
        return torch.nn.functional.relu6(y) if relu6 else y


class MobileNetV1(Layers):
    STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)

    def __init__(self) -> None:
        super().__init__()
        self.add("conv1", 3, 32, 3, 2)
        inputs = 32
        for i, (stride, outputs) in enumerate(zip(self.STRIDES, self.WIDTHS, strict=True), 1):
            self.add(f"depthwise{i}", inputs, inputs, 3, stride, groups=inputs)
            self.add(f"pointwise{i}", inputs, outputs, 1, 1)
            inputs = outputs

    def maps(self, x: Any) -> tuple[Any, Any]:
        x = self.run("conv1", x, RELU6)
        for i in range(1, 14):
            x = self.run(f"pointwise{i}", self.run(f"depthwise{i}", x, RELU6), RELU6)
            if i == 11:
                first = x
        return first, x


class MobileNetV2(Layers):
    CHANNELS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
    HALVED = (2, 4, 7, 14)  # blocks with a stride of 2

    def __init__(self) -> None:
        super().__init__()
        self.add("conv1", 3, 32, 3, 2)
        inputs = 32
        for i, outputs in enumerate(self.CHANNELS, 1):
            wide = inputs if i == 1 else 6 * inputs
            if i > 1:
                self.add(f"expand{i}", inputs, wide, 1, 1)
            self.add(f"depthwise{i}", wide, wide, 3, 2 if i in self.HALVED else 1, groups=wide)
            self.add(f"project{i}", wide, outputs, 1, 1)
            inputs = outputs
        self.add("conv_last", inputs, 1280, 1, 1)

    def maps(self, x: Any) -> tuple[Any, Any]:
        x = self.run("conv1", x, RELU6)
        for i in range(1, 18):
            wide = x if i == 1 else self.run(f"expand{i}", x, RELU6)
            if i == 14:
                first = wide  # still at stride 16, because the block strides after its expansion
            y = self.run(f"project{i}", self.run(f"depthwise{i}", wide, RELU6), LINEAR)
            x = x + y if x.shape == y.shape else y
        return first, self.run("conv_last", x, RELU6)


class Ssd(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Extra maps and heads of TensorFlow's SSD or, with `separable`, of SSDLite."""

    EXTRA = ((256, 512), (128, 256), (128, 256), (64, 128))

    def __init__(self, body: Layers, widths: tuple[int, int], columns: int, *, separable: bool) -> None:
        super().__init__()
        self.body, self.columns, self.separable = body, columns, separable
        inputs, all_widths = widths[1], list(widths)
        for i, (inner, outer) in enumerate(self.EXTRA, 1):
            body.add(f"extra{i}_reduce", inputs, inner, 1, 1)
            if separable:
                body.add(f"extra{i}_depthwise", inner, inner, 3, 2, groups=inner)
                body.add(f"extra{i}", inner, outer, 1, 1)
            else:
                body.add(f"extra{i}", inner, outer, 3, 2)
            inputs = outer
            all_widths.append(outer)
        for m, width in enumerate(all_widths, 1):
            anchors = 3 if m == 1 else 6
            for kind, numbers in (("box", 4), ("score", columns)):
                if separable:
                    body.add(f"{kind}{m}_depthwise", width, width, 3, 1, groups=width)
                body.add(f"{kind}{m}", width, anchors * numbers, 1, 1)

    def forward(self, x: Any) -> tuple[Any, Any]:
        maps = list(self.body.maps(x))
        for i in range(1, 5):
            y = self.body.run(f"extra{i}_reduce", maps[-1], RELU6)
            if self.separable:
                y = self.body.run(f"extra{i}_depthwise", y, RELU6)
            maps.append(self.body.run(f"extra{i}", y, RELU6))
        return self.head("box", maps, 4), self.head("score", maps, self.columns)

    def head(self, kind: str, maps: list[Any], numbers: int) -> Any:
        rows = []
        for m, x in enumerate(maps, 1):
            y = self.body.run(f"{kind}{m}_depthwise", x, RELU6) if self.separable else x
            y = self.body.run(f"{kind}{m}", y, LINEAR)
            rows.append(y.permute(0, 2, 3, 1).reshape(len(x), -1, numbers))
        return torch.cat(rows, dim=1)


def build(architecture: str, classes: int) -> Ssd:
    torch.manual_seed(0)
    lite = architecture == "ssdlite_mobilenet_v2"
    body, widths = (MobileNetV2(), (576, 1280)) if lite else (MobileNetV1(), (512, 1024))
    model = Ssd(body, widths, classes + 1, separable=lite).eval()
    for convolution in body.convolutions.values():
        torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        torch.nn.init.uniform_(convolution.bias, -0.1, 0.1)
    return model


def weights_of(model: Ssd) -> dict[str, NDArray[np.float32]]:
    weights = {}
    for name, convolution in model.body.convolutions.items():
        weights[f"{name}.weight"] = convolution.weight.detach().numpy().transpose(0, 2, 3, 1)
        weights[f"{name}.bias"] = convolution.bias.detach().numpy()
    return weights


@pytest.mark.parametrize("architecture", ["ssd_mobilenet_v1", "ssdlite_mobilenet_v2"])
@pytest.mark.parametrize(("classes", "size", "anchors"), [(90, (300, 300), 1917), (20, (160, 225), None)])
def test_heads_are_those_of_pytorch(
    architecture: str, classes: int, size: tuple[int, int], anchors: int | None
) -> None:
    oracle = build(architecture, classes)
    net = getattr(mpscnn.models, architecture)(classes=classes, input_size=size)
    net.load_weights(weights_of(oracle), layout="OHWI")
    assert net.detection is not None
    detector = net.detection.detector(size)
    x = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    with torch.no_grad():
        expected = oracle(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    found = net.compile(device="cpu", precision="float32").session().run(x)
    assert list(found) == ["boxes", "scores"]
    for name, other in zip(("boxes", "scores"), expected, strict=True):
        scale = float(other.abs().max())
        np.testing.assert_allclose(found[name] / scale, other.numpy() / scale, atol=1e-4)
    count = found["boxes"].shape[1]
    assert count == len(detector.anchors) == (anchors or count)
    assert found["scores"].shape == (1, count, classes + 1)
    assert detector.run(found["boxes"] / 10, found["scores"], score_threshold=0.01)
