"""Training gives the same weights as PyTorch after several steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.training.optimizers import Adam, Optimizer, RmsProp, Sgd

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
F: Any = torch.nn.functional


class Block(torch.nn.Module):  # type: ignore[misc]
    """A module with the kinds of layers that classifiers have."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8, eps=1e-3, momentum=0.1)
        self.expand = nn.Conv2d(8, 24, 1)
        self.depthwise = nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24)
        self.grouped = nn.Conv2d(24, 16, 3, padding=2, dilation=2, groups=4)
        self.project = nn.Conv2d(16, 8, 1)
        self.side = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.dense = nn.Linear(8 * 2 * 2 + 8 * 2 * 2, 5)

    def forward(self, x: Any) -> Any:
        x = F.relu6(self.norm1(self.conv1(x)))
        y = F.silu(self.expand(x))
        y = torch.sigmoid(self.depthwise(y)) * 2
        y = self.project(F.leaky_relu(self.grouped(y), 0.1))
        y = y + F.hardswish(self.side(x))
        y = torch.cat([F.max_pool2d(y, 2), F.avg_pool2d(y, 2)], 1)
        return self.dense(y.permute(0, 2, 3, 1).flatten(1))


def same_network(module: Any) -> mpscnn.Network:
    """Return the network of `Block` with the module's weights."""
    net = mpscnn.Network(input=(16, 16, 3), name="block")
    x = net.conv2d(net.input, 8, 3, strides=2, padding=((1, 1), (1, 1)), name="conv1")
    x = net.batch_norm(x, epsilon=1e-3, name="norm1")
    x = net.activation(x, "relu6")
    y = net.conv2d(x, 24, 1, activation="swish", name="expand")
    y = net.depthwise_conv2d(
        y, 3, strides=2, padding=((1, 1), (1, 1)), activation="sigmoid", name="depthwise"
    )
    y = net.add(y, y)
    y = net.conv2d(y, 16, 3, padding=((2, 2), (2, 2)), dilation=2, groups=4, name="grouped")
    y = net.conv2d(net.activation(y, {"kind": "relu", "a": 0.1}), 8, 1, name="project")
    side = net.conv2d(x, 8, 3, strides=2, padding=((1, 1), (1, 1)), activation="hard_swish", name="side")
    y = net.add(y, side)
    y = net.concat([net.max_pool2d(y, 2), net.average_pool2d(y, 2)])
    net.output(net.softmax(net.dense(net.flatten(y), 5, name="dense")))
    weights: dict[str, NDArray[Any]] = {}
    for name, layer in module.named_children():
        if name.startswith("norm"):
            weights |= {
                f"{name}.gamma": layer.weight,
                f"{name}.beta": layer.bias,
                f"{name}.mean": layer.running_mean,
                f"{name}.variance": layer.running_var,
            }
            continue
        weight = layer.weight.permute(0, 2, 3, 1) if layer.weight.ndim == 4 else layer.weight
        weights[f"{name}.weight"] = weight
        if layer.bias is not None:
            weights[f"{name}.bias"] = layer.bias
    net.load_weights({name: value.detach().numpy().copy() for name, value in weights.items()}, layout="OHWI")
    return net


OPTIMIZERS: dict[str, tuple[Optimizer, Callable[[Any], Any]]] = {
    "sgd": (Sgd(0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (Sgd(0.05, momentum=0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "nesterov": (
        Sgd(0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "l2": (
        Sgd(0.05, regularization="l2", regularization_scale=0.1),
        lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1),
    ),
    "rmsprop": (RmsProp(0.01, epsilon=1e-2), lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-2)),
    "adamw": (Adam(1e-3, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.1)),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_some_steps(kind: str) -> None:
    torch.manual_seed(3)
    module = Block()
    random = np.random.default_rng(0)
    batches = [random.normal(size=(6, 16, 16, 3)).astype(np.float32) for _ in range(4)]
    labels = [random.integers(0, 5, 6) for _ in batches]
    optimizer, make = OPTIMIZERS[kind]
    trainer = mpscnn.Trainer(same_network(module), optimizer=optimizer)
    other = make(module.parameters())
    for x, y in zip(batches, labels, strict=True):
        other.zero_grad()
        loss = F.cross_entropy(module(torch.tensor(x).permute(0, 3, 1, 2)), torch.tensor(y))
        loss.backward()
        other.step()
        assert trainer.step(x, y) == pytest.approx(loss.item(), rel=1e-3)
    module.eval()
    expected = same_network(module).weights
    trained = trainer.network.weights
    assert set(trained) == set(expected)
    for name, value in expected.items():
        if name == "norm1.variance":
            continue  # PyTorch divides by n - 1 for its running variance
        if kind == "adamw":  # AdamW divides by the gradients' magnitude, which magnifies rounding errors
            assert np.abs(trained[name] - value).mean() < 2e-5, name
        else:
            np.testing.assert_allclose(trained[name], value, rtol=2e-3, atol=2e-4, err_msg=name)
