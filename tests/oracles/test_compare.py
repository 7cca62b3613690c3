"""`mpscnn.compare` with modules of torch."""

from __future__ import annotations

import numpy as np
import pytest

import mpscnn


def test_torch_module() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(2)
    )
    network = mpscnn.Network(input=(8, 6, 3))
    x = network.conv2d(network.input, 4, 3, padding=1, activation="relu", name="conv")
    network.output(network.max_pool2d(x, 2, name="pool"))
    weights = {name: array.detach().numpy() for name, array in module.state_dict().items()}
    network.load_weights(
        {"conv.weight": np.moveaxis(weights["0.weight"], 1, -1), "conv.bias": weights["0.bias"]}
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
