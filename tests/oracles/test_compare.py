"""Test `mpscnn.compare` with modules of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.torchvision_models import randomized, torchvision

import mpscnn
from mpscnn.converters import read_network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def test_torch_module() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(2)
    )
    network = mpscnn.Network(input=(8, 6, 3))
    x = network.conv2d(network.input, 4, 3, padding=1, activation="relu", name="conv")
    network.output(network.max_pool2d(x, 2, name="pool"))
    weights = {name: array.detach().numpy() for name, array in module.state_dict().items()}
    network.load_weights(
        {"conv.weight": np.moveaxis(weights["0.weight"], 1, -1), "conv.bias": weights["0.bias"]},
        layout="OHWI",
    )
    found = mpscnn.compare(network, module)
    assert found.equal
    assert [layer.name for layer in found.layers] == ["conv", "pool"]
    with torch.no_grad():
        module[0].bias += 1.0
    assert found.second == "Sequential (torch)"
    difference = mpscnn.compare(network, module).first_difference
    assert difference is not None
    assert difference.name == "conv"
    with pytest.raises(mpscnn.ParameterError, match="give input"):
        mpscnn.compare(module, module)
    x = np.ones((1, 8, 6, 3), np.float32)
    assert mpscnn.compare(module, module, input=x).equal
    x = np.random.default_rng(0).normal(0, 1, (2, 3, 8, 6)).astype(np.float32)
    found, shown = mpscnn.compare(network, module, torch.from_numpy(x)), np.moveaxis(x, 1, -1)
    assert found.layers == mpscnn.compare(network, module, shown).layers
    with pytest.raises(mpscnn.ShapeError, match=r"x.permute\(0, 2, 3, 1\) fits"):
        mpscnn.compare(network, network, torch.from_numpy(x))


def residual_module() -> Any:
    """Return a residual module with a normalization, and activations as a function, in place and as a shared module."""
    nn, functional = torch.nn, torch.nn.functional

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.second, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True)
            self.last = nn.Linear(8, 5)

        def forward(self, x: Any) -> Any:
            x = functional.silu(self.norm(self.first(x)))
            y = self.relu(self.second(x))
            y += x
            return self.last(self.relu(y).mean((2, 3)))

    torch.manual_seed(4)
    return randomized(Residual())


@pytest.mark.parametrize("planted", ["first", "norm", "second", "last"])
def test_layers_with_what_follows_them(planted: str) -> None:
    """A convolution, its normalization and its activation are one layer of a network, and are compared as one."""
    module = residual_module()
    network = mpscnn.from_torch(module, (torch.zeros(1, 3, 9, 7),))
    assert mpscnn.compare(network, module).equal
    assert mpscnn.compare(module, network).equal
    with torch.no_grad():
        getattr(module, planted).weight[2] += 0.5
    found = mpscnn.compare(network, module).first_difference
    assert found is not None
    assert found.name == {"norm": "first"}.get(planted, planted)
    assert found.place[-1] == 2


def test_state_dict_beside_its_module(tmp_path: Path) -> None:
    module = randomized(torchvision().models.get_model("mobilenet_v3_small", weights=None))
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    network = read_network([tmp_path / "weights.pth"], size=(64, 64))
    found = mpscnn.compare(module, network, size=(64, 64))
    assert found.equal, found
    assert len(found.layers) > 50


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 0.02), ("bfloat16", 0.1), ("float64", 0.001)])
def test_types_of_modules(dtype: str, tolerance: float) -> None:
    module = residual_module()
    network = mpscnn.from_torch(module, (torch.zeros(1, 3, 9, 7),))
    found = mpscnn.compare(network, module.to(getattr(torch, dtype)))
    assert found.equal, found
    assert found.tolerance == tolerance


def test_modules_that_fail() -> None:
    given = np.zeros((1, 4, 4, 5), np.float32)
    with pytest.raises(mpscnn.UnsupportedError, match=r"Residual \(torch\): torch cannot run it"):
        mpscnn.compare(residual_module(), residual_module(), input=given)
