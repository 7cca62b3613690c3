"""from_torch does no needless work: it runs a module on few images, and replaces writes only where it must."""

from __future__ import annotations

from typing import Any

import pytest
from oracles.test_torch_operators import Function

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

from mpscnn.converters.reading.pytorch.batch_sizes import batches_to_compare  # noqa: E402

nn, functional = torch.nn, torch.nn.functional

#: Functions whose operators take extents as plain numbers in C++, without a condition on the number of images.
PLAIN_EXTENTS: dict[str, Any] = {
    "nearest": lambda x: functional.interpolate(x, scale_factor=2.0),
    "nearest-exact": lambda x: functional.interpolate(x, size=(9, 7), mode="nearest-exact"),
    "bilinear": lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "bicubic": lambda x: functional.interpolate(x, size=(9, 7), mode="bicubic"),
    "roll": lambda x: x.roll((1, 2), (2, 3)),
    "area": lambda x: functional.interpolate(x, size=(3, 2), mode="area"),
    "flip": lambda x: x.flip(-1),
    "pad": lambda x: functional.pad(x, (1, 2, 2, 1), mode="reflect"),
    "grid_sample": lambda x: functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False),
    "pixel_shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "unfold": lambda x: functional.unfold(x, 2),
    "group_norm": lambda x: functional.group_norm(x, 2),
    "attention": lambda x: functional.scaled_dot_product_attention(x, x, x),
    "windows": lambda x: (
        x.view(x.shape[0], 4, 2, 3, 3, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 9, 4).softmax(1)
    ),
}


@pytest.mark.parametrize("name", PLAIN_EXTENTS)
def test_no_larger_batch_is_compared_without_a_condition(name: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Function(PLAIN_EXTENTS[name])).eval()
    assert batches_to_compare(module, [torch.rand(3, 3, 6, 6)], [True]) == ()


def test_the_module_computes_few_images() -> None:
    """The images are one, three, three with large numbers, and twice two small ones."""
    images: list[int] = []
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)).eval()

    def count(_: Any, given: tuple[Any, ...]) -> None:
        if type(given[0]) is torch.Tensor:  # neither while it is traced, nor on shapes
            images.append(len(given[0]))

    module.register_forward_pre_hook(count)
    mpscnn.from_torch(module, torch.rand(1, 3, 6, 6))
    assert sorted(images) == [1, 2, 2, 3, 3]


def replaced(m: Any, x: Any) -> Any:
    y = x * m.scale
    y[:, :1] = 0.0
    return y


#: Writes into tensors that the module computes. No buffer changes.
OF_TEMPORARIES: dict[str, Any] = {
    "activation": lambda m, x: (x * m.scale).relu_(),
    "of the input's sum": lambda m, x: x.add(m.scale).mul_(2.0).clamp_(0.0, 1.0),
    "a view": lambda m, x: (x + m.scale).flatten(1).relu_(),
    "filled": lambda m, x: torch.zeros_like(x).fill_(3.0) * m.scale + x,
    "copied buffer": lambda m, x: m.scale.clone().add_(1.0) * x,
}


class Scaled(nn.Module):  # type: ignore[misc, name-defined]
    """A function of a module with a buffer and of its input."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("scale", torch.rand(3, 1, 1))

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


@pytest.mark.parametrize("name", OF_TEMPORARIES)
def test_writes_into_computed_tensors_are_not_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch takes longer to replace them than mpscnn to convert the module."""
    from mpscnn.converters.reading.pytorch import exported_program, state

    for place in (state, exported_program):
        monkeypatch.setattr(place, "without_writes", lambda program, title: pytest.fail("replaced"))
    mpscnn.from_torch(Scaled(OF_TEMPORARIES[name]).eval(), torch.rand(1, 3, 6, 6))


def test_writes_that_a_view_shows_are_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from mpscnn.converters.reading.pytorch import exported_program, state
    from mpscnn.converters.reading.pytorch.tracing import without_writes

    calls: list[str] = []
    for place in (state, exported_program):
        monkeypatch.setattr(
            place,
            "without_writes",
            lambda program, title: (calls.append(title), without_writes(program, title))[1],
        )
    mpscnn.from_torch(Scaled(replaced).eval(), torch.rand(1, 3, 6, 6))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Piecewise((1, Eq(u8, 1)), (0, True)) (<class 'torch.SymInt'>, 140367723294560)is not tracked with proxy "
            "for <torch.fx.experimental.proxy_tensor._ModuleStackTracer object at 0x7fa9e83954c0>",
            "PyTorch's trace loses a number that the module computes from a size; torch.compile runs the module",
        ),
        ("<function f at 0x7f00> is not known", "<function f> is not known"),
    ],
)
def test_no_message_has_an_address_of_memory(text: str, told: str) -> None:
    """Text that differs from run to run leads nowhere."""
    from mpscnn.converters.reading.pytorch.tracing import without_writes

    class Program:
        def run_decompositions(self, _: object) -> None:
            raise RuntimeError(text)

    with pytest.raises(mpscnn.UnsupportedError) as refused:
        without_writes(Program(), "Net")
    assert str(refused.value).endswith(f": {told}")
