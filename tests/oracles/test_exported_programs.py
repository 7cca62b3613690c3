"""Convert exported programs of torch, with operators that write into tensors and with free extents."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn, functional = torch.nn, torch.nn.functional
AUTO = torch.export.Dim.AUTO
FREE = {2: AUTO, 3: AUTO}


class Mixed(nn.Module):  # type: ignore[misc, name-defined]
    """A convolution, whose result a function changes."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.norm(self.mix(x)))


def assert_computes(network: mpscnn.Network, module: Any, x: Any) -> None:
    with torch.no_grad():
        expected = module(x).numpy()
    found = network(np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)))
    expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def exported(module: Any, *inputs: Any, **options: Any) -> Any:
    return torch.export.export(module.eval(), inputs, **options)


def test_a_program_has_its_own_example_and_free_extents() -> None:
    module = Mixed(functional.silu)
    program = exported(module, torch.rand(2, 3, 8, 9), dynamic_shapes=({0: AUTO, **FREE},))
    network = mpscnn.from_torch(program)
    assert network.input.shape == (None, None, None, 3)
    assert {"mix"} <= set(network.layer_names())
    for size in ((2, 3, 8, 9), (1, 3, 11, 6)):
        assert_computes(network, module, torch.rand(size))


def test_a_saved_program_is_converted() -> None:
    module, file = Mixed(torch.relu), io.BytesIO()
    torch.export.save(exported(module, torch.rand(1, 3, 8, 9)), file)
    file.seek(0)
    network = mpscnn.from_torch(torch.export.load(file), name="saved", fold=False)
    assert network.name == "saved"
    assert {"mix", "norm"} <= set(network.layer_names())
    assert_computes(network, module, torch.rand(3, 3, 8, 9))


def test_a_program_with_named_inputs() -> None:
    class Sum(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, *, more: Any) -> Any:
            return x + 2 * more

    x = torch.rand(2, 5)
    network = mpscnn.from_torch(torch.export.export(Sum(), (x,), {"more": x + 1}))
    found = network(dict.fromkeys((one.name for one in network.inputs), x.numpy()))
    np.testing.assert_allclose(found, 3 * x.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dynamic_shapes": (FREE,)}, "has its free extents already"),
        (
            {"example_inputs": (torch.rand(1, 3, 8, 9),) * 2},
            "2 example inputs for an exported program that takes 1",
        ),
    ],
)
def test_wrong_arguments_for_a_program(arguments: dict[str, Any], message: str) -> None:
    program = exported(Mixed(torch.relu), torch.rand(1, 3, 8, 9))
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.from_torch(program, **arguments)


def test_a_module_needs_example_inputs() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"example_inputs are needed; torch\.rand"):
        mpscnn.from_torch(nn.ReLU())


# ---- Operators that write into tensors -----------------------------------------------------------------------------


def changed(x: Any, change: Callable[[Any], Any]) -> Any:
    """Return a tensor after a function has written into it."""
    change(x)
    return x


def read_before(x: Any) -> Any:
    y = x * 2
    x.relu_()
    return x + y


def view_read_after(x: Any) -> Any:
    part = x[:, 1]
    x.mul_(3.0)
    return part[:, None] + x


def written_through_a_view(x: Any) -> Any:
    x[:, 1:3].relu_()
    return x


def assigned(x: Any) -> Any:
    x = x.clone()
    x[:, 0] = 0.5
    x[:, :, 2:5] = x[:, :, :3] * 2
    return x


WRITING: dict[str, Callable[[Any], Any]] = {
    "relu_": lambda x: x.relu_(),
    "result is not used": lambda x: changed(x, lambda y: y.relu_()),
    "chain": lambda x: changed(x, lambda y: y.mul_(2.0).add_(0.5).clamp_(min=0.0)),
    "read before": read_before,
    "of a flat view": lambda x: x.flatten(1).relu_(),
    "view is read after": view_read_after,
    "through a view": written_through_a_view,
    "assignments": assigned,
    "another tensor": lambda x: changed(x, lambda y: y.copy_(torch.sigmoid(y).mean(1, keepdim=True))),
    "masked": lambda x: changed(x, lambda y: y.masked_fill_(y < 0, 0.25)),
    "dropout between": lambda x: functional.dropout(x, 0.5, False).relu_() + 1,
    "twice the same": lambda x: changed(x, lambda y: y.add_(y)),
}


@pytest.mark.parametrize("name", WRITING)
def test_operators_that_write_into_tensors(name: str) -> None:
    module = Mixed(WRITING[name]).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 3, 6, 7))
    assert_computes(network, module, torch.rand(2, 3, 6, 7) - 0.5)


class Blocks(nn.Module):  # type: ignore[misc, name-defined]
    """A module whose code switches automatic precision and gradients off."""

    def __init__(self, writes: bool) -> None:
        super().__init__()
        self.mix, self.writes = nn.Conv2d(3, 4, 1), writes

    def forward(self, x: Any) -> Any:
        y = self.mix(x)
        with torch.autocast("cpu", enabled=False):
            y = y.relu_() if self.writes else y.relu()
        with torch.set_grad_enabled(False):
            z = torch.sigmoid(y) * 2
        return y * z


@pytest.mark.parametrize("writes", [False, True])
def test_blocks_of_a_modules_code(writes: bool) -> None:
    module = Blocks(writes).eval()
    with torch.enable_grad():
        program = exported(module, torch.rand(1, 3, 6, 7))
    assert any(node.op == "get_attr" for node in program.graph.nodes)
    assert_computes(mpscnn.from_torch(program, check=False), module, torch.rand(1, 3, 6, 7) - 0.5)
    assert_computes(mpscnn.from_torch(module, torch.rand(1, 3, 6, 7)), module, torch.rand(2, 3, 6, 7) - 0.5)


class Counting(nn.Module):  # type: ignore[misc, name-defined]
    """Adds one to a buffer, or to a copy of it, and multiplies by the sum."""

    def __init__(self, copies: bool) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(4))
        self.copies = copies

    def forward(self, x: Any) -> Any:
        seen = self.seen.clone() if self.copies else self.seen
        return x * seen.add_(1.0)


def test_numbers_of_a_module_stay_as_they_are() -> None:
    """Constants are computed without writing into buffers and parameters."""
    module = Counting(copies=True).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 4), check=False)
    np.testing.assert_array_equal(network(np.full((1, 4), 3, np.float32)), np.full((1, 4), 3))
    assert not module.seen.any()
    changing = Counting(copies=False).eval()
    with pytest.raises(mpscnn.UnsupportedError, match="changes 'seen' in forward"):
        mpscnn.from_torch(changing, torch.rand(1, 4), check=False)
    assert not changing.seen.any()


# ---- Free extents --------------------------------------------------------------------------------------------------


def half_shown(x: Any) -> Any:
    return x[:, :, x.shape[2] // 2 :, : x.shape[3] - 1]


SIZES: dict[str, Callable[[Any], Any]] = {
    "resized by factors": lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "global average": lambda x: functional.adaptive_avg_pool2d(x, 1).flatten(1),
    "chunks": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "padded": lambda x: functional.pad(x, (1, 2, 0, 1)),
    "pixel shuffle": lambda x: functional.pixel_shuffle(x, 2),
    "group norm": lambda x: functional.group_norm(x, 2),
    "flip": lambda x: torch.flip(x, [2, 3]),
    "average": lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "average of more": lambda x: functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "average of a flip": lambda x: x + torch.flip(functional.avg_pool2d(x, 3, 1, 1), [3]),
}


@pytest.mark.parametrize("name", SIZES)
def test_functions_of_free_extents(name: str) -> None:
    module = Mixed(SIZES[name]).eval()
    network = mpscnn.from_torch(module, torch.rand(2, 3, 8, 10), dynamic_shapes=({0: AUTO, **FREE},))
    for size in ((1, 3, 6, 9), (3, 3, 12, 8)):
        assert_computes(network, module, torch.rand(size))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(0),
        lambda x: x.cumsum(0),
        lambda x: x.amax((0, 2, 3)),
        lambda x: torch.cat((x, x), 0),
        lambda x: x[0],
        lambda x: x / x.norm(dim=0),
    ],
)
def test_advice_about_mixed_images_is_for_modules(function: Callable[[Any], Any]) -> None:
    """from_torch has no option for the batch of a file."""
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"replace it in the module, or let torch\.compile"
    ) as caught:
        mpscnn.from_torch(Mixed(function).eval(), torch.rand(2, 3, 8, 8), dynamic_shapes=({0: AUTO},))
    assert "--shape" not in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [half_shown, lambda x: x.sum((2, 3)) / (x.shape[2] * x.shape[3]), lambda x: x.flatten(2).softmax(-1)],
)
def test_layers_that_need_a_free_extent_are_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=r"free: leave it out of dynamic_shapes$"):
        mpscnn.from_torch(
            Mixed(function).eval(), torch.rand(2, 3, 8, 10), dynamic_shapes=({0: AUTO, **FREE},)
        )


def test_extents_are_computed_like_numbers() -> None:
    from mpscnn.converters.reading.pytorch.extents import FreeExtent

    sympy = pytest.importorskip("sympy")
    h = sympy.Symbol("h", integer=True, positive=True)
    extent = FreeExtent(h)
    made: Any = (2 * extent + 6) // 2 - extent - 3
    assert made == 0
    assert isinstance(made, int)
    assert (extent * 3, extent + 1) == (FreeExtent(3 * h), FreeExtent(h + 1))
    assert 5 - extent == FreeExtent(5 - h)
    for read in (int, float, bool, lambda one: one < 4, range, lambda one: one % 2):
        with pytest.raises(mpscnn.UnsupportedError, match="depends on an extent that is free"):
            read(extent)


# ---- Operators -----------------------------------------------------------------------------------------------------


def test_all_operators_that_are_missing_are_named() -> None:
    def function(x: Any) -> Any:
        return torch.cumprod(torch.special.bessel_j0(x), 1), torch.relu(torch.special.i0(x))

    with pytest.raises(mpscnn.UnsupportedError, match="3 layers cannot be converted") as caught:
        mpscnn.from_torch(function, torch.rand(1, 4))
    for name in ("bessel_j0", "cumprod", "i0"):
        assert name in str(caught.value)


def test_operators_are_decomposed_by_the_definitions_of_torch() -> None:
    """These operators are not in the table, and torch defines them by others that are."""

    def function(x: Any) -> Any:
        return functional.hardshrink(functional.glu(x, 1)), functional.huber_loss(x, x * 2, reduction="none")

    from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS

    assert not {"glu.default", "hardshrink.default", "huber_loss.default"} & set(OPERATORS)
    x = torch.randn(3, 6)
    found = mpscnn.from_torch(function, x[:1])(x.numpy())
    for ours, theirs in zip(found.values(), function(x), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_the_same_call_is_computed_once() -> None:
    """The pooling of a tensor before it is changed differs from that after it."""

    def function(x: Any) -> Any:
        x = x * 2
        first, again = functional.max_pool2d(x, 2), functional.max_pool2d(x, 2)
        x.add_(1.0)
        return torch.sigmoid(first) + torch.tanh(again) + functional.max_pool2d(x, 2) * 0.5

    network = mpscnn.from_torch(function, torch.rand(1, 3, 6, 8))
    assert [node["operation"] for node in network.to_dict()["nodes"]].count("pooling") == 2
    assert_computes(network, function, torch.rand(2, 3, 6, 8) - 0.5)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("groups", [1, 2])
def test_norms_become_a_part_of_the_layer_before(kind: str, groups: int) -> None:
    class Normed(nn.Sequential):  # type: ignore[misc, name-defined]
        pass

    layer = getattr(nn, kind)(4, 6, 3, groups=groups, bias=groups == 1)
    module = Normed(layer, nn.BatchNorm2d(6)).eval()
    nn.init.uniform_(module[1].running_var, 0.5, 2.0)
    nn.init.uniform_(module[1].weight, 0.5, 2.0)
    nn.init.normal_(module[1].running_mean)
    network = mpscnn.from_torch(module, torch.rand(1, 4, 6, 7))
    assert network.layer_names() == ["image", "0"]
    assert_computes(network, module, torch.rand(2, 4, 6, 7))
