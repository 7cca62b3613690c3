"""from_torch keeps a module's meaning: empty lists of axes, state, axes with the batch, and rounding errors."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from oracles.compiled_modules import Compiled, assert_equal
from oracles.test_torch_operators import Function

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn, functional = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def inference() -> Any:
    torch._dynamo.reset()
    with torch.no_grad():
        yield


def refusal(module: Any, x: Any) -> str:
    """Return the reason why from_torch refuses a module; "" if it converts it, which compares the results."""
    try:
        mpscnn.from_torch(module, x)
    except mpscnn.UnsupportedError as error:
        return str(error)
    return ""


#: Lists of no axes, which mean no axis for some operators and all axes for others.
NO_AXES = {
    "flip": lambda x: torch.flip(x, ()),
    "squeeze": lambda x: x[:, :1].squeeze(()) * x,
    "movedim": lambda x: x.movedim((), ()),
    "sum": lambda x: x + x.sum(()),
    "mean": lambda x: x + x.mean(()),
    "amax": lambda x: x + x.amax(()),
    "amin": lambda x: x + x.amin(()),
    "var": lambda x: x + x.var(()),
    "vector_norm": lambda x: x + torch.linalg.vector_norm(x, dim=()),
    "roll": lambda x: x.roll(3),
}


@pytest.mark.parametrize("name", NO_AXES)
def test_lists_of_no_axes(name: str) -> None:
    """torch.compile gives torch's results, and from_torch converts the function or refuses it by its name."""
    layer, function, x = nn.Conv2d(3, 4, 3), NO_AXES[name], torch.randn(2, 3, 6, 7)
    module = nn.Sequential(layer, Function(function)).eval()
    assert_equal(Compiled(module)(x), module(x))
    assert "does not compute what" not in refusal(module, x)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("antialias", [False, True])
def test_all_flags_of_interpolate(mode: str, align_corners: bool, antialias: bool) -> None:
    def function(x: Any) -> Any:
        return functional.interpolate(
            x, size=(7, 9), mode=mode, antialias=antialias, align_corners=align_corners
        )

    x = torch.randn(1, 3, 10, 12)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Function(function)).eval()
    assert_equal(Compiled(module)(x), module(x))
    if antialias and align_corners:
        with pytest.raises(mpscnn.UnsupportedError, match="antialias with align_corners"):
            mpscnn.from_torch(module, x)
    else:
        mpscnn.from_torch(module, x)


class State(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 3, 1), function
        self.register_buffer("one", torch.zeros(1))
        self.register_buffer("rows", torch.zeros(2, 3))

    def forward(self, x: Any) -> Any:
        return self.function(self, self.conv(x))


def assigned(module: Any, x: Any) -> Any:
    module.one = module.one + 1
    return x * module.one


def changed_after(module: Any, x: Any) -> Any:
    y = x * module.one
    module.one += 1
    return y


def changed_at_two_places(module: Any, x: Any) -> Any:
    module.rows[0].add_(1)
    return x * module.rows.sum()


STATE = {
    "added": (lambda m, x: x * m.one.add_(1), "one"),
    "assigned": (assigned, "one"),
    "changed after it is read": (changed_after, "one"),
    "a view": (changed_at_two_places, "rows"),
    "a running mean": (lambda m, x: x - m.one.mul_(0.9).add_(0.1 * x.mean((1, 2, 3))), "one"),
}
NO_STATE = {
    "only counted": lambda m, x: (m.one.add_(1), x)[1],
    "written first": lambda m, x: x * m.one.zero_().add_(2),
    "copied": lambda m, x: x * m.one.copy_(torch.ones(1) * 3),
}


@pytest.mark.parametrize("name", STATE)
def test_buffers_that_change_the_next_results_are_refused(name: str) -> None:
    """torch.compile keeps the state, and from_torch names the buffer."""
    function, buffer = STATE[name]
    x = torch.randn(1, 3, 4, 4)
    with pytest.raises(
        mpscnn.UnsupportedError, match=f"depend on earlier calls, since it changes '{buffer}'"
    ):
        mpscnn.from_torch(State(function).eval(), x, check=False)
    ours, theirs = State(function).eval(), State(function).eval()
    theirs.load_state_dict(ours.state_dict())
    compiled = Compiled(ours)
    for _ in range(3):
        torch.testing.assert_close(compiled(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NO_STATE)
def test_buffers_without_influence(name: str) -> None:
    mpscnn.from_torch(State(NO_STATE[name]).eval(), torch.randn(1, 3, 4, 4))


class Freeing(torch.autograd.Function):  # type: ignore[misc]
    """Apply two layers, and free what is between them."""

    @staticmethod
    def forward(ctx: Any, x: Any, first: Any, second: Any, *parameters: Any) -> Any:
        with torch.no_grad():
            y = first(x)
            z = second(y).relu()
            y.set_()
        return z


class Reversible(nn.Module):  # type: ignore[misc, name-defined]
    """A block that frees its operand, too."""

    def __init__(self, *, frees_operand: bool) -> None:
        super().__init__()
        self.first, self.second, self.frees_operand = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), frees_operand

    def forward(self, x: Any) -> Any:
        y = Freeing.apply(x, self.first, self.second, *self.parameters())
        if self.frees_operand:
            x.data.set_()  # torch.export sees x.data as a constant
        return y


@pytest.mark.parametrize("frees_operand", [False, True])
def test_memory_that_a_module_frees(frees_operand: bool) -> None:
    block = Reversible(frees_operand=frees_operand)
    assert not refusal(nn.Sequential(nn.Conv2d(3, 3, 1), block).eval(), torch.rand(1, 3, 4, 4))


def test_a_constant_that_a_module_writes_into_is_told() -> None:
    """PyTorch's own error for it is a RuntimeError."""
    constant = torch.zeros(3, 1, 1)
    module = Function(lambda x: (constant.add_(1), x + constant)[1]).eval()
    refused = refusal(module, torch.randn(1, 3, 4, 4))
    assert not refused or "Function: " in refused


#: Axes that have the batch in front of or after their other elements.
AROUND = {
    "batch first": lambda x: x.flatten(0, 1),
    "batch last": lambda x: x.transpose(0, 1).flatten(0, 1),
    "batch in the middle": lambda x: x.unflatten(1, (2, 2)).permute(1, 0, 2, 3).flatten(0, 2),
}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(AROUND, repeat=2)))
@pytest.mark.parametrize("images", [1, 2])
def test_operands_with_the_batch_at_different_places(first: str, second: str, images: int) -> None:
    """The batch of one image may be anywhere on an axis; with more images, the orders of the elements differ."""

    def function(x: Any) -> Any:
        return torch.cat([AROUND[first](x) + AROUND[second](2 * x), AROUND[second](x) * 3], 1)

    x = torch.randn(images, 4, 5)
    assert_equal(Compiled(function)(x), function(x))
    assert "does not compute" not in refusal(Function(function).eval(), x)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("tokens_first", [False, True])
def test_encoder_layers(images: int, tokens_first: bool) -> None:
    """torch's own default has the tokens first and the sequences second."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=not tokens_first).eval()
    x = torch.randn((5, images, 8) if tokens_first else (images, 5, 8))
    network = mpscnn.from_torch(layer, x)
    assert len(network.outputs) == 1
    assert_equal(Compiled(layer)(x), layer(x))


def test_relative_positions_of_both_axes() -> None:
    rows, columns = torch.randn(4, 5, 8), torch.randn(4, 5, 8)

    def function(x: Any) -> Any:
        return torch.einsum("bhwc,hkc->bhwk", x, rows) + torch.einsum("bhwc,wkc->bhwk", x, columns)

    for images in (1, 2):
        x = torch.randn(images, 4, 4, 8)
        assert_equal(Compiled(function)(x), function(x))
        mpscnn.from_torch(Function(function).eval(), x)


@pytest.mark.parametrize("axes", [(2, 6), (1, 5, 6), (2, 3, 5, 6)])
def test_linear_with_a_vector(axes: tuple[int, ...]) -> None:
    weight, bias = torch.arange(6.0), None if len(axes) == 2 else torch.tensor(0.5)
    mpscnn.from_torch(Function(lambda x: functional.linear(x, weight, bias)).eval(), torch.randn(axes))


#: Operators of images that were joined to one batch, or of heads that were.
OF_JOINED: dict[str, Any] = {
    "instance norm": nn.InstanceNorm2d(8),
    "instance norm with factors": nn.InstanceNorm2d(8, affine=True),
    "group norm": nn.GroupNorm(4, 8),
    "border of zeros": nn.ZeroPad2d((0, 1, 2, 0)),
    "border of numbers": nn.ConstantPad2d((1, 2, 0, 3), 0.5),
    "mirrored border": nn.ReflectionPad2d((2, 1, 1, 3)),
    "transposed convolution": nn.ConvTranspose2d(8, 8, 3, padding=1),
    "transposed convolution in groups": nn.ConvTranspose2d(8, 8, 3, padding=1, groups=2),
}


class Joined(nn.Module):  # type: ignore[misc, name-defined]
    """Apply an operator to two images of one batch, or to rows of images with their channels beside the batch."""

    def __init__(self, part: Any, *, rows: bool) -> None:
        super().__init__()
        self.before, self.part, self.rows = nn.Conv2d(3, 8, 3), part, rows

    def forward(self, x: Any) -> Any:
        if self.rows:
            y = self.before(x)
            return self.part(y.reshape(-1, *y.shape[2:])).reshape(len(x), 8, -1)
        first, second = self.part(self.before(torch.cat([x, 1.5 * x.flip(1)], 0))).chunk(2, 0)
        return first * second, first


@pytest.mark.parametrize(
    "parts", [((5, 8), (8, 5)), ((2, 20), (20, 2)), ((5, 8), (4, 10)), ((5, 8), (2, 4, 5))]
)
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_axes_that_were_divided_in_different_ways(parts: Any, axis: int) -> None:
    """MaxViT adds windows of 8 rows of 5 pixels and a grid of 5 rows of 8. from_torch compares the results."""
    shape = [1, 6, 6, 6]
    shape[axis] = 40

    def divided(x: Any, extents: Any) -> Any:
        y = x.reshape(*x.shape[:axis], *extents, *x.shape[axis + 1 :])
        y = y.transpose(axis, axis + 1)
        return (y * y.sum(axis, keepdim=True)).transpose(axis, axis + 1).reshape(x.shape)

    module = Function(lambda x: divided(x, parts[0]) + divided(x, parts[1]) * x)
    assert not refusal(module.eval(), torch.rand(shape))


@pytest.mark.parametrize("name", OF_JOINED)
def test_images_that_were_joined_to_one_batch(name: str) -> None:
    """Optical flows and image pairs make one batch of two images. from_torch compares the results."""
    part = OF_JOINED[name]
    for factors in part.parameters():
        nn.init.normal_(factors)
    assert not refusal(Joined(part, rows=False).eval(), torch.rand(1, 3, 9, 11))
    if "border" in name:
        assert not refusal(Joined(part, rows=True).eval(), torch.rand(1, 3, 9, 11))


@pytest.mark.parametrize("outside", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_positions_of_samples_that_differ_for_parts_of_an_image(mode: str, outside: str) -> None:
    """RAFT looks up the first correlations of each pixel around its own place, which is constant."""
    layer, places = nn.Conv2d(3, 8, 3), 1.2 * torch.rand(8, 4, 5, 2) - 0.6

    def looked_up(x: Any) -> Any:
        maps = layer(x).flatten(0, 1)[:, None]
        grid = places.repeat(x.shape[0], 1, 1, 1)
        found = functional.grid_sample(maps, grid, mode, outside, align_corners=True)
        return found.reshape(x.shape[0], 8, 4, 5)

    assert not refusal(Function(looked_up).eval(), torch.rand(1, 3, 9, 11))


def test_memory_without_numbers_is_not_said_to_mix_images() -> None:
    """Its elements are others in each run."""

    def mixed(x: Any) -> Any:
        room = torch.empty(x.shape)
        room.copy_(x)
        return room / x.max()

    for _ in range(3):
        assert "it calls max, which combines" in refusal(Function(mixed).eval(), torch.rand(1, 3, 4, 4))


def test_float64_decides_between_two_rounding_errors() -> None:
    """The variance as a difference of squares is rounding only, in torch as well as here."""

    def variance(x: Any) -> Any:
        y = x + 1000
        return (y * y).mean((2, 3)) - y.mean((2, 3)) ** 2

    mpscnn.from_torch(Function(variance).eval(), torch.randn(1, 16, 9, 9))


def test_float64_does_not_hide_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS

    write = OPERATORS["mean.dim"]
    monkeypatch.setitem(OPERATORS, "mean.dim", lambda g, x, *a: g.op("Mul", write(g, x, *a), 1.002))
    with pytest.raises(mpscnn.UnsupportedError, match="does not compute what the module does"):
        mpscnn.from_torch(Function(lambda x: x.mean((2, 3))).eval(), torch.randn(1, 16, 9, 9))


@pytest.mark.parametrize(
    "activation", [nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.Dropout(inplace=True)]
)
def test_the_mixing_layer_is_named_after_writes_in_place(activation: Any) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), activation, Function(lambda x: x / x.max())
    ).eval()
    with pytest.raises(mpscnn.UnsupportedError, match="it calls max"):
        mpscnn.from_torch(module, torch.randn(1, 3, 8, 8))


def test_an_error_of_the_converter_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AssertionError reaches a user: from_torch names the layer, and torch.compile leaves it to torch."""
    module = Function(lambda x: (x + 1).softmax(1) * 2).eval()
    x = torch.randn(1, 4, 5, 5)

    def failing(*_: Any) -> Any:
        raise AssertionError("atoms")

    for module_of_it in ("graph.values", "onnx.conversion"):
        monkeypatch.setattr(f"mpscnn.converters.reading.{module_of_it}.convert_node", failing)
    with pytest.raises(mpscnn.UnsupportedError, match="meets an error in mpscnn"):
        mpscnn.from_torch(module, x)
    assert_equal(Compiled(module)(x), module(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[1],
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[1].float() * 2,
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[1] + 1,
    ],
)
def test_places_of_maxima_are_read_only_by_an_unpooling(function: Any) -> None:
    """ONNX counts them in the whole tensor, and torch in each channel."""
    with pytest.raises(mpscnn.UnsupportedError, match="places of maxima"):
        mpscnn.from_torch(Function(function).eval(), torch.randn(1, 3, 4, 4))


LIMITS: dict[str, Any] = {
    "below": lambda n: n.clamp(min=1),
    "above": lambda n: n.clamp(max=9),
    "both": lambda n: n.clamp(4, 9),
    "of the other order": lambda n: n.clamp(9, 4),
    "fractions": lambda n: n.clamp(2.5, 9.5),
    "in place": lambda n: n.clone().clamp_(2, 9),
    "of a type": lambda n: n.clamp(max=2**31 - 1),
    "tensors": lambda n: torch.minimum(n, n.flip(-1)).clamp(min=3),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_of_counts(name: str) -> None:
    """A count is a whole number that a network computes, such as the divisor of a mean of masked pixels."""

    def mean(x: Any) -> Any:
        shown = x > 0.5
        return (x * shown).sum((2, 3)) / LIMITS[name](shown.sum((2, 3)))

    assert not refusal(Function(mean).eval(), torch.rand(1, 3, 5, 6))
