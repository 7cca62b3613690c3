"""`mpscnn.from_torch` with free extents, and with functions that take parameters as inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import ParameterError, UnsupportedError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
F = torch.nn.functional

IMAGE = (2, 3, 12, 10)


def convolution(x: Any, weight: Any, bias: Any) -> Any:
    return F.relu(F.conv2d(x, weight, bias, padding=1))


def parameters() -> tuple[Any, Any]:
    return torch.nn.Parameter(torch.randn(5, 3, 3, 3)), torch.nn.Parameter(torch.randn(5))


def assert_computes(network: mpscnn.Network, x: Any, expected: Any) -> None:
    answer = expected.detach().numpy()
    answer = answer.transpose(0, 2, 3, 1) if answer.ndim == 4 else answer
    found = network(x.permute(0, 2, 3, 1).contiguous().numpy())
    np.testing.assert_allclose(found, answer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fold", [True, False])
def test_parameters_among_the_inputs_become_weights(fold: bool) -> None:
    weight, bias = parameters()
    network = mpscnn.from_torch(convolution, (torch.randn(IMAGE), weight, bias), fold=fold)
    assert network.name == "convolution"
    assert len(network.inputs) == 1
    np.testing.assert_array_equal(
        network.weights["conv2d.weight"], weight.detach().numpy().transpose(0, 2, 3, 1)
    )
    x = torch.randn(3, *IMAGE[1:])
    assert_computes(network, x, convolution(x, weight, bias))
    trained = mpscnn.Trainer(network, loss="mse")
    assert trained.step(np.zeros((1, 12, 10, 3), np.float32), np.zeros((1, 12, 10, 5), np.float32)) > 0


def test_a_functional_call_takes_a_mapping_of_parameters() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(320, 2)
    ).eval()
    doubled = {name: torch.nn.Parameter(2 * value.detach()) for name, value in module.named_parameters()}

    def call(given: Any, x: Any) -> Any:
        return torch.func.functional_call(module, given, (x,))

    x = torch.randn(IMAGE)
    network = mpscnn.from_torch(call, (doubled, x))
    assert_computes(network, x, call(doubled, x))


def test_a_module_takes_parameters_too() -> None:
    class Scaled(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, factor: Any, x: Any) -> Any:
            return self.conv(x) * factor

    module, factor, x = Scaled().eval(), torch.nn.Parameter(torch.randn(4, 1, 1)), torch.randn(IMAGE)
    assert_computes(mpscnn.from_torch(module, (factor, x)), x, module(factor, x))


@pytest.mark.parametrize("form", ["sequence", "mapping"])
@pytest.mark.parametrize("owned", [False, True])
def test_height_and_width_may_be_free(form: str, owned: bool) -> None:
    auto = torch.export.Dim.AUTO
    weight, bias = parameters()
    if owned:
        called: Any = convolution
        given: tuple[Any, ...] = (torch.randn(IMAGE), weight, bias)
        names = ("x", "weight", "bias")
    else:
        called = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=2),
            torch.nn.MaxPool2d(2),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(4, 2),
        ).eval()
        given, names = (torch.randn(IMAGE),), ("input",)
    shapes = ({2: auto, 3: auto}, *[None] * (len(given) - 1))
    chosen = shapes if form == "sequence" else dict(zip(names[:1], shapes[:1], strict=True))
    network = mpscnn.from_torch(called, given, dynamic_shapes=chosen)
    assert network.input.shape == (None, None, None, 3)
    for size in ((12, 10), (17, 20)):
        x = torch.randn(3, 3, *size)
        assert_computes(network, x, called(x, *given[1:]))


def test_a_free_extent_that_networks_cannot_have_is_named() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(2)).eval()
    auto = torch.export.Dim.AUTO
    with pytest.raises(UnsupportedError, match="adaptive pooling of a free extent to more than one"):
        mpscnn.from_torch(module, torch.randn(IMAGE), dynamic_shapes=({2: auto, 3: auto},))


def test_tensors_that_would_have_to_be_weights_are_told() -> None:
    weight, bias = (value.detach() for value in parameters())
    with pytest.raises(UnsupportedError, match=r"torch\.nn\.Parameter becomes a weight"):
        mpscnn.from_torch(convolution, (torch.randn(IMAGE), weight, bias))


def test_wrong_arguments_are_told() -> None:
    given = (torch.randn(IMAGE), *parameters())
    with pytest.raises(ParameterError, match="names 'y', which is no argument"):
        mpscnn.from_torch(convolution, given, dynamic_shapes={"y": {2: torch.export.Dim.AUTO}})
    with pytest.raises(ParameterError, match="a sequence of 3"):
        mpscnn.from_torch(convolution, given, dynamic_shapes=({2: torch.export.Dim.AUTO},))
