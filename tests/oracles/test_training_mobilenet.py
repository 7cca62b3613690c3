"""Train a small MobileNetV2 from scratch. The loss of each step is compared with torch's on the same batches."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mpscnn

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
nn: Any = torch.nn
functional: Any = torch.nn.functional

#: For each stage: expansion, channels, number of blocks, stride of the first block.
STAGES = ((1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 2, 1), (6, 24, 1, 1))
FIRST, LAST, CLASSES, BATCH = 16, 96, 10, 32
TOLERANCE = 1e-3
RATE = 0.002

Batches = list[tuple[NDArray[np.float32], NDArray[np.int64]]]


class Block(nn.Module):  # type: ignore[misc]
    """An inverted residual block."""

    def __init__(self, inputs: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = convolution(inputs, wide, 1) if expansion > 1 else []
        depthwise = convolution(wide, wide, 3, stride, wide)
        self.layers = nn.Sequential(*expand, *depthwise, *convolution(wide, channels, 1)[:2])
        self.adds = stride == 1 and inputs == channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layers(x)
        return x + y if self.adds else y


def convolution(inputs: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU6()]


def torch_network() -> nn.Sequential:
    """Return torch's module with new random weights."""
    torch.manual_seed(0)
    layers, inputs = convolution(3, FIRST, 3, 2), FIRST
    for expansion, channels, blocks, first in STAGES:
        for i in range(blocks):
            layers.append(Block(inputs, channels, first if i == 0 else 1, expansion))
            inputs = channels
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(LAST, CLASSES)]
    network = nn.Sequential(*layers, *convolution(inputs, LAST, 1), *head).train()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # He et al. 2015
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
    return network


def own_network(module: nn.Sequential) -> mpscnn.Network:
    """Return a network with the module's layers and weights."""
    net = mpscnn.Network(input=(32, 32, 3), name="small_mobilenet_v2")
    weights: dict[str, Any] = {}
    parts = iter(
        [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    )

    def layer(
        x: Any, channels: int, kernel: int, stride: int = 1, *, depthwise: bool = False, relu: bool = True
    ) -> Any:
        name = f"layer{len(weights)}"
        if depthwise:
            x = net.depthwise_conv2d(x, kernel, strides=stride, padding=kernel // 2, name=name)
        else:
            x = net.conv2d(x, channels, kernel, strides=stride, padding=kernel // 2, name=name)
        weights[f"{name}.weight"] = next(parts).weight.detach().permute(0, 2, 3, 1).numpy()
        x = net.batch_norm(x, epsilon=1e-5, name=f"{name}_norm")
        norm = next(parts)
        roles = {
            "gamma": norm.weight,
            "beta": norm.bias,
            "mean": norm.running_mean,
            "variance": norm.running_var,
        }
        weights.update({f"{name}_norm.{role}": value.detach().numpy() for role, value in roles.items()})
        return net.activation(x, "relu6") if relu else x

    x = layer(net.input, FIRST, 3, 2)
    for expansion, channels, blocks, first in STAGES:
        for i in range(blocks):
            inputs, stride = x.shape[-1], first if i == 0 else 1
            y = layer(x, inputs * expansion, 1) if expansion > 1 else x
            y = layer(y, inputs * expansion, 3, stride, depthwise=True)
            y = layer(y, channels, 1, relu=False)
            x = net.add(x, y) if stride == 1 and inputs == channels else y
    x = net.flatten(net.global_average_pool2d(layer(x, LAST, 1)))
    net.output(net.softmax(net.dense(x, CLASSES, name="classes")))
    linear = next(parts)
    weights["classes.weight"] = linear.weight.detach().numpy()
    weights["classes.bias"] = linear.bias.detach().numpy()
    specs = {f"{spec['layer']}.{spec['role']}": spec["shape"] for spec in net.weight_specs()}
    biases = {name: np.zeros(shape, np.float32) for name, shape in specs.items() if name.endswith(".bias")}
    shaped = {name: np.reshape(value, specs[name]) for name, value in weights.items()}
    net.load_weights({**biases, **shaped}, layout="OHWI")
    return net


def losses_of_both(batches: Batches) -> NDArray[np.float64]:
    """Train by SGD with momentum. Return mpscnn's and torch's losses before each step: (steps, 2).

    torch computes in float64. In float32, rounding moves some activations across the corner of a ReLU, which alone
    changes torch's gradients of the first layers by percents.
    """
    module = torch_network()
    # In torch, convolutions before a batch normalization have no bias. Here they have one, whose gradient is 0.
    trainer = mpscnn.Trainer(own_network(module), optimizer=mpscnn.Sgd(RATE, momentum=0.9), threads=2)
    module = module.double()
    optimizer = torch.optim.SGD(module.parameters(), RATE, momentum=0.9)
    found = []
    for x, y in batches:
        optimizer.zero_grad()
        loss = functional.cross_entropy(
            module(torch.from_numpy(x).double().permute(0, 3, 1, 2)), torch.from_numpy(y)
        )
        loss.backward()
        optimizer.step()
        found.append((trainer.step(x, y), float(loss.detach())))
    return np.array(found)


def test_losses_of_a_few_steps() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, (12, BATCH))
    images = random.normal(0, 0.5, (12, BATCH, 32, 32, 3)).astype(np.float32)
    images += labels[..., None, None, None].astype(np.float32) / CLASSES - 0.5
    found = losses_of_both(list(zip(images, labels, strict=True)))
    assert np.abs(found[:, 0] - found[:, 1]).max() < TOLERANCE
    assert np.abs(found[-1] - found[0]).max() > 10 * TOLERANCE  # the losses change, so the networks learn


@pytest.mark.full
def test_losses_of_a_hundred_steps_of_cifar10(shared: Path) -> None:
    photos = []
    with tarfile.open(shared / "data/cifar10/cifar10_jpeg.tar.gz") as archive:
        members = [member for member in archive if member.isfile() and "train" in member.name.split("/")]
        classes = sorted({member.name.split("/")[-2] for member in members})
        order = np.random.default_rng(0).permutation(len(members))[: 100 * BATCH]
        for index in sorted(order.tolist()):  # a compressed archive is read fastest in its own order
            content = archive.extractfile(members[index])
            assert content is not None
            pixels = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"), np.float32)
            photos.append((pixels / 127.5 - 1, classes.index(members[index].name.split("/")[-2])))
    chosen = np.random.default_rng(1).permutation(len(photos)).reshape(100, BATCH)
    batches = [
        (np.stack([photos[i][0] for i in row]), np.array([photos[i][1] for i in row])) for row in chosen
    ]
    found = losses_of_both(batches)
    difference = np.abs(found[:, 0] - found[:, 1])
    print(
        f"largest difference of 100 losses: {difference.max():.1e}; {found[0, 1]:.4f} to {found[-1, 1]:.4f}"
    )
    assert difference.max() < TOLERANCE
