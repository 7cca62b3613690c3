"""Test `mpscnn.from_torch` with free extents, and with functions that take parameters as inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import ParameterError, UnsupportedError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
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


AUTO = torch.export.Dim.AUTO
FREE = {2: AUTO, 3: AUTO}


class Two(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, left: Any, *more: Any) -> Any:
        return self.conv(left) + torch.relu(more[0]).mean(1, keepdim=True)


def collected(x: Any) -> Any:
    shapes = torch.export.ShapesCollection()
    shapes[x] = FREE
    return shapes


@pytest.mark.parametrize(
    "make",
    [
        lambda x: FREE,
        lambda x: {-2: AUTO, -1: AUTO},
        lambda x: [FREE],
        lambda x: ([None, torch.export.Dim.STATIC, AUTO, AUTO],),
        lambda x: {"input": {0: AUTO, **FREE}},
        lambda x: {"input": {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim("w", min=4, max=64)}},
        lambda x: ({2: 2 * torch.export.Dim("h"), 3: "w"},),
        collected,
    ],
)
def test_forms_of_free_extents(make: Any) -> None:
    module, x = torch.nn.Conv2d(3, 4, 3, padding=1).eval(), torch.randn(IMAGE)
    network = mpscnn.from_torch(module, x, dynamic_shapes=make(x))
    assert network.input.shape == (None, None, None, 3)
    other = torch.randn(1, 3, 18, 7)
    assert_computes(network, other, module(other))


@pytest.mark.parametrize(
    "shapes",
    [(FREE, FREE), (FREE, (FREE,)), {"left": FREE, "more": (FREE,)}, {"more[0]": FREE, "left": FREE}],
)
def test_free_extents_of_several_inputs(shapes: Any) -> None:
    module = Two().eval()
    network = mpscnn.from_torch(module, (torch.randn(IMAGE), torch.randn(IMAGE)), dynamic_shapes=shapes)
    x, y = torch.randn(1, 3, 7, 9), torch.randn(1, 3, 7, 9)
    arrays = [value.permute(0, 2, 3, 1).contiguous().numpy() for value in (x, y)]
    found = network(dict(zip((one.name for one in network.inputs), arrays, strict=True)))
    expected = module(x, y).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_sequences_may_have_any_length() -> None:
    module = torch.nn.Linear(4, 2).eval()
    network = mpscnn.from_torch(module, torch.randn(2, 5, 4), dynamic_shapes=({1: AUTO},))
    x = torch.randn(3, 7, 4)
    found = network.compile(device="cpu", precision="float32").run(x.numpy())
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_free_extent_that_networks_cannot_have_is_named() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(2)).eval()
    with pytest.raises(UnsupportedError, match="adaptive pooling of a free extent to more than one"):
        mpscnn.from_torch(module, torch.randn(IMAGE), dynamic_shapes=(FREE,))
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(360, 2)).eval()
    with pytest.raises(UnsupportedError, match=r"leave it out of dynamic_shapes$"):
        mpscnn.from_torch(flat, torch.randn(IMAGE), dynamic_shapes=(FREE,))
    with pytest.raises(UnsupportedError, match=r"axis 1 of 'input' cannot be free: the module requires 3"):
        mpscnn.from_torch(
            torch.nn.Conv2d(3, 4, 3).eval(), torch.randn(IMAGE), dynamic_shapes={1: torch.export.Dim("c")}
        )
    pooled = torch.nn.Sequential(torch.nn.MaxPool2d(4), torch.nn.MaxPool2d(2)).eval()
    with pytest.raises(UnsupportedError, match=r"Suggested fixes: h = Dim\('h', min=8\)$"):
        mpscnn.from_torch(
            pooled, torch.randn(2, 3, 16, 20), dynamic_shapes={2: torch.export.Dim("h"), 3: AUTO}
        )


def pads_to_even(x: Any) -> Any:
    return F.pad(x, [0, x.shape[3] % 2, 0, x.shape[2] % 2])


@pytest.mark.parametrize("size", [(12, 10), (11, 9), (11, 10)])
def test_pads_that_depend_on_a_free_size_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UnsupportedError, match="depends on an extent that is free"):
        mpscnn.from_torch(pads_to_even, torch.randn(1, 3, *size), dynamic_shapes=(FREE,))


class Branching(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return torch.relu(x) if x.shape[2] > 10 else torch.tanh(x)


def test_a_module_that_computes_some_sizes_differently_is_refused() -> None:
    module = Branching().eval()
    for height, wrong in ((12, 10), (9, 11)):
        with pytest.raises(
            UnsupportedError, match=rf"with inputs of \(1, 3, {wrong}, 10\): the network does not"
        ):
            mpscnn.from_torch(module, torch.randn(1, 3, height, 10), dynamic_shapes=(FREE,))
    network = mpscnn.from_torch(
        module, torch.randn(IMAGE), dynamic_shapes=({2: torch.export.Dim("h", min=11)},)
    )
    x = torch.randn(1, 3, 11, 10)
    assert_computes(network, x, torch.relu(x))


def test_tensors_that_would_have_to_be_weights_are_told() -> None:
    weight, bias = (value.detach() for value in parameters())
    with pytest.raises(UnsupportedError, match=r"torch\.nn\.Parameter becomes a weight"):
        mpscnn.from_torch(convolution, (torch.randn(IMAGE), weight, bias))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ("auto", r"must be a mapping by argument, or a sequence of 1, .* got 'auto'"),
        ((FREE, FREE), "a sequence of 1, one for each"),
        ((AUTO,), r"dynamic_shapes of 'input' must be a mapping by axis"),
        ({"image": FREE}, r"names 'image', which is no argument; the arguments are input$"),
        ({4: AUTO}, r"has an axis 4; the axes of its example are 0 to 3"),
        ({2: True}, r"has True for axis 2; expected torch\.export\.Dim\.AUTO"),
        ({"input": [2, 3]}, r"got \[2, 3\]"),
    ],
)
def test_wrong_free_extents_are_told(shapes: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mpscnn.from_torch(torch.nn.Conv2d(3, 4, 3).eval(), torch.randn(IMAGE), dynamic_shapes=shapes)


def test_wrong_arguments_are_told() -> None:
    given = (torch.randn(IMAGE), *parameters())
    with pytest.raises(ParameterError, match="names 'y', which is no argument"):
        mpscnn.from_torch(convolution, given, dynamic_shapes={"y": {2: torch.export.Dim.AUTO}})
    with pytest.raises(ParameterError, match="a sequence of 3"):
        mpscnn.from_torch(convolution, given, dynamic_shapes=({2: torch.export.Dim.AUTO},))
    with pytest.raises(ParameterError, match=r"has axes, but there are 2 example inputs"):
        mpscnn.from_torch(torch.add, (torch.randn(IMAGE), torch.randn(IMAGE)), dynamic_shapes=FREE)


def test_images_of_torch_are_told_to_be_permuted() -> None:
    network = mpscnn.from_torch(torch.nn.Conv2d(3, 4, 3, padding=1).eval(), torch.randn(IMAGE))
    x = torch.randn(IMAGE)
    with pytest.raises(mpscnn.ShapeError, match=r"; x\.permute\(0, 2, 3, 1\) fits"):
        network(x)
    assert np.shape(network(x.permute(0, 2, 3, 1))) == (2, 12, 10, 4)
    trainer = mpscnn.Trainer(network, loss="mse")
    calls: dict[Callable[[], Any], str] = {
        lambda: trainer.step(x, torch.zeros(2, 12, 10, 4)): r"; x\.permute\(0, 2, 3, 1\) fits",
        lambda: mpscnn.compare(network, network, x): r"; x\.permute\(0, 2, 3, 1\) fits",
        lambda: mpscnn.compare(network, network, [x]): r"; x\.permute\(0, 2, 3, 1\) fits",
        lambda: mpscnn.quantize(network, [x]): r"; x\.permute\(0, 2, 3, 1\) fits",
        lambda: mpscnn.quantize(network, x): r"; x\.permute\(0, 2, 3, 1\) fits",
        lambda: trainer.fit([(x, torch.zeros(2, 12, 10, 4))]): r"fits, for a tensor of PyTorch x\.permute\(",
    }
    for call, message in calls.items():
        with pytest.raises(mpscnn.ShapeError, match=message):
            call()
