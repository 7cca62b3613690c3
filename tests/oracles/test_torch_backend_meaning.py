"""torch.compile with the backend "mpscnn" keeps torch's meaning: types, memory, order, shapes, options and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from oracles.compiled_modules import Compiled, assert_equal
from oracles.mixing_modules import MIXING, SEPARATE, UNNAMED, Applied
from tiers import with_full

torch = pytest.importorskip("torch", reason="torch is not installed")

from mpscnn.torch_backend import backend, partition  # noqa: E402
from mpscnn.torch_backend.compiled import CompiledGraph  # noqa: E402

nn = torch.nn
functional = torch.nn.functional

PHOTO = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
LAYER, NEXT = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)


@pytest.fixture(autouse=True)
def inference() -> Any:
    """Begin each test without the compiled graphs of other tests, and compute no gradients."""
    torch._dynamo.reset()
    with torch.no_grad():
        yield


def convolved(x: Any) -> Any:
    return LAYER(x)


def integers(low: int, high: int, dtype: Any = torch.int64) -> Any:
    return torch.randint(low, high, (1, 6, 14, 14), dtype=dtype, generator=torch.Generator().manual_seed(3))


#: Functions of a convolution's result x and another tensor m. A network that computes all in float32 would give
#: wrong results.
TYPES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "float to bool": (lambda x, m: (x * 0.01).bool().float() + x, None),
    "not of floats": (lambda x, m: torch.logical_not(x * m).float() + x, torch.tensor(0.01)),
    "integers beyond 2^24 compared": (lambda x, m: torch.where(m > 2**24, x, -x), integers(2**24, 2**24 + 3)),
    "doubles compared": (lambda x, m: torch.where(m > 1, x, -x), 1 + integers(-2, 2).double() * 1e-12),
    "doubles subtracted": (lambda x, m: x + (m - 1e9), 1e9 + integers(0, 99).double() / 100),
    "bytes that wrap": (lambda x, m: x + (m - 200), integers(0, 255, torch.uint8)),
    "integers of several operators": (lambda x, m: x + m.abs().neg() * 2, integers(-9, 9)),
    "absolute of complex": (lambda x, m: ((x * m).abs() + 1).sqrt() * x + 1, integers(1, 9) * 1j),
    "floor of a quotient": (
        lambda x, m: x + torch.div(m, 0.1, rounding_mode="floor"),
        integers(0, 99).float() / 10,
    ),
    "sign of NaN": (lambda x, m: torch.sign(x * m) + x, torch.full((1, 6, 14, 14), float("nan"))),
    "a factor beyond float32": (lambda x, m: x * 1e39, None),
    "an index of the largest": (lambda x, m: x.max(1), None),
    "indices of a pooling": (lambda x, m: functional.max_pool2d(x, 2, return_indices=True), None),
    "bicubic": (lambda x, m: functional.interpolate(x, (20, 20), mode="bicubic"), None),
    "attention of other widths": (
        lambda x, m: functional.scaled_dot_product_attention(x, x, x[..., :5]),
        None,
    ),
    "a mean of all": (lambda x, m: (x.mean() * 2, x.sum() + 1), None),
    "expanded": (lambda x, m: x.mean((2, 3), keepdim=True).expand(1, 6, 14, 14), None),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", TYPES)
def test_values_and_types(name: str) -> None:
    function, other = TYPES[name]

    def whole(x: Any, m: Any) -> Any:
        return function(convolved(x), m)

    compiled = Compiled(whole)
    for _ in range(2):
        found, expected = compiled(PHOTO, other), whole(PHOTO, other)
        several = isinstance(expected, tuple)
        for one, wanted in zip(found, expected, strict=True) if several else [(found, expected)]:
            assert one.stride() == wanted.stride()
            if wanted.isfinite().all():
                assert_equal(one, wanted)
            else:
                assert torch.equal(one, wanted)
    assert compiled.networks >= 1


def test_results_that_share_memory() -> None:
    """Writing into a result also changes the results that are views of it, as with torch itself."""

    def three(x: Any) -> Any:
        y = convolved(x)
        return y, y.view(-1), y[:, 1:3], y.relu().flatten(1)

    def views_alone(x: Any) -> Any:
        y = convolved(x)
        return y.flatten(1), y[:, 0]

    for function in (three, views_alone):
        torch._dynamo.reset()
        compiled = Compiled(function)
        found, expected = compiled(PHOTO), function(PHOTO)
        assert compiled.networks == 1
        for results in (found, expected):
            results[0].zero_()
        for one, wanted in zip(found, expected, strict=True):
            assert_equal(one, wanted) if wanted.any() else torch.testing.assert_close(one, wanted)


def test_results_belong_to_the_caller() -> None:
    compiled = Compiled(convolved)
    first = compiled(PHOTO)
    kept = first.clone()
    second = compiled(PHOTO * 2)
    assert torch.equal(first, kept)
    first.zero_()
    assert_equal(second, convolved(PHOTO * 2))


def test_inputs_that_change() -> None:
    """Operators that read an input before it is changed read the old numbers."""

    def function(x: Any, m: Any) -> Any:
        y = convolved(x).cumprod(1)
        z = y.cumprod(2) + m
        m.mul_(2)
        return z, NEXT(m)

    compiled = Compiled(function)
    other = torch.randn(1, 6, 14, 14)
    ours, theirs = other.clone(), other.clone()
    for _ in range(2):
        for found, expected in zip(compiled(PHOTO, ours), function(PHOTO, theirs), strict=True):
            assert_equal(found, expected)
        assert torch.equal(ours, theirs)
    assert compiled.networks == 2


def test_inputs_that_share_memory() -> None:
    def function(x: Any, part: Any) -> Any:
        x.add_(1)
        return convolved(x), part * 2

    compiled = Compiled(function)
    for first in (0, 1):
        ours, theirs = PHOTO.clone(), PHOTO.clone()
        found, expected = compiled(ours, ours[:, first:]), function(theirs, theirs[:, first:])
        for one, wanted in zip(found, expected, strict=True):
            assert_equal(one, wanted)
        assert torch.equal(ours, theirs)


def test_random_numbers_come_in_torchs_order() -> None:
    def function(x: Any) -> Any:
        y = convolved(x)
        first = functional.dropout(y, 0.5, True)
        second = NEXT(y) * torch.rand(1, 6, 12, 12)
        return second, first, torch.randn_like(y)

    compiled = Compiled(function)
    for seed in (0, 1):
        torch.manual_seed(seed)
        found = compiled(PHOTO)
        torch.manual_seed(seed)
        for one, wanted in zip(found, function(PHOTO), strict=True):
            assert_equal(one, wanted)


@pytest.mark.parametrize("change", ["data", "weight"])
def test_weights_that_are_exchanged_are_bound_again(change: str) -> None:
    module = nn.Conv2d(3, 4, 3)
    compiled = Compiled(module)
    assert_equal(compiled(PHOTO), module(PHOTO))
    weight = torch.randn(4, 3, 3, 3)
    if change == "data":
        module.weight.data = weight
    else:
        module.weight = nn.Parameter(weight)
    assert_equal(compiled(PHOTO), module(PHOTO))


def test_free_sizes() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.5), nn.ReLU()).eval()
    compiled = torch.compile(module, backend=backend, dynamic=True)
    for shape in ((1, 3, 16, 16), (2, 3, 16, 16), (3, 3, 20, 24), (1, 3, 9, 31)):
        x = torch.randn(shape)
        assert_equal(compiled(x), module(x))


APPLIED = {**MIXING, **UNNAMED, **SEPARATE}


@pytest.mark.parametrize("dynamic", with_full([None], [True]))
@pytest.mark.parametrize("name", with_full(["max", "flip"], sorted({*APPLIED} - {"max", "flip"})))
def test_modules_that_mix_the_images_of_a_batch(name: str, dynamic: bool | None) -> None:
    """A compiled graph gets the whole batch, so its results are those of the module for any number of images."""
    module = Applied(APPLIED[name]).eval()
    compiled = torch.compile(module, backend=backend, dynamic=dynamic)
    for images in (1,) if name == "batch of one only" else (1, 3, 2, 1):
        x = torch.randn(images, 3, 2, 5)
        torch.testing.assert_close(compiled(x), module(x), rtol=1e-4, atol=1e-5)


def test_numbers_of_python_that_vary() -> None:
    def function(x: Any, factor: float) -> Any:
        return functional.batch_norm(convolved(x), torch.zeros(6), torch.ones(6), eps=factor) * factor

    for dynamic in (None, True):
        torch._dynamo.reset()
        compiled = torch.compile(function, backend=backend, dynamic=dynamic)
        for factor in (3.5, 4.5, 0.25, 2, 3, 3.5):
            assert_equal(compiled(PHOTO, factor), function(PHOTO, factor))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device 'cuda' is not supported"),
        ({"precision": "int7"}, "precision must be"),
        ({"precision": "int8"}, 'precision "int8" is for quantised networks'),
        ({"max_memory": 100}, "max_memory allows 100"),
        (3, "options must be a dict, got 3"),
    ],
)
def test_options_that_cannot_be_followed(options: Any, message: str) -> None:
    """Options that cannot be followed raise errors. torch does not silently compute instead of mpscnn."""
    with pytest.raises(torch._dynamo.exc.BackendCompilerFailed, match=message):
        Compiled(convolved, options=options)(PHOTO)


def call_by_threads(compiled: Any, module: Any, sizes: Sequence[int], *, with_new_shapes: bool) -> None:
    """Call a compiled module from four threads, and compare the results with those of the module.

    torch refuses calls of one thread while another compiles a new shape, unless each thread says otherwise.
    """
    failures: list[BaseException] = []

    def work(number: int) -> None:
        draw = torch.Generator().manual_seed(number)
        try:
            with torch._dynamo.config.patch(error_on_nested_fx_trace=not with_new_shapes), torch.no_grad():
                for size in sizes:
                    x = torch.randn(2 + number % 2, 3, size, 16, generator=draw)
                    assert_equal(compiled(x), module(x))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_threads_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    compiled = torch.compile(module, backend=backend, dynamic=True)
    sizes = (16, 17, 16, 18)
    with torch.no_grad():
        for batch in (2, 3):
            for size in sizes:
                compiled(torch.randn(batch, 3, size, 16))
    monkeypatch.delattr(CompiledGraph, "_added")
    call_by_threads(compiled, module, sizes, with_new_shapes=False)


@pytest.mark.full  # torch compiles in one of the threads, so its own locks are tested, too
def test_threads_of_callers_with_new_shapes() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    compiled = torch.compile(module, backend=backend, dynamic=True)
    call_by_threads(compiled, module, (16, 17, 16, 18, 19, 20), with_new_shapes=True)


def test_gradients_of_an_input() -> None:
    x, twin = PHOTO.clone().requires_grad_(), PHOTO.clone().requires_grad_()
    compiled = Compiled(convolved)
    with torch.enable_grad():
        with pytest.warns(RuntimeWarning, match="runs inference only"):
            compiled(x).square().sum().backward()
        convolved(twin).square().sum().backward()
    assert torch.equal(x.grad, twin.grad)


def test_complex_modules() -> None:
    module = nn.Conv2d(3, 4, 3, dtype=torch.complex64)
    x = torch.complex(PHOTO, PHOTO * 2)
    found, expected = Compiled(module)(x), module(x)
    assert_equal(torch.view_as_real(found), torch.view_as_real(expected))


def test_inputs_in_any_memory() -> None:
    """Inputs may be expanded, overlap in memory, or be negated lazily (the imaginary part of a conjugate)."""
    compiled = Compiled(convolved)
    for x in (
        PHOTO[:, :1].expand(1, 3, 16, 16),
        PHOTO.as_strided((1, 3, 16, 16), (0, 1, 1, 1)),
        torch.complex(PHOTO, PHOTO).conj().imag,
    ):
        assert_equal(compiled(x), convolved(x))


def test_networks_that_read_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may read results of another network, which then comes first in the graph."""
    monkeypatch.setattr(partition, "MIN_NODES", 1)

    def module(x: Any, y: Any) -> Any:
        doubled = x * 2
        padded = torch.nn.functional.pad(doubled, (0, 1, 1, 0))
        y + (x > 0)
        return doubled, (doubled > 0) * 2.5, padded.unbind(3)[0].int().float()

    inputs = torch.randn(1, 3, 6, 6), torch.randn(1, 1, 6, 6)
    compiled = Compiled(module)
    for found, expected in zip(compiled(*inputs), module(*inputs), strict=True):
        assert_equal(found, expected)
    assert compiled.networks == 2


@pytest.mark.parametrize(
    "rounded",
    [
        lambda x: x.bfloat16().float(),
        lambda x: x.bfloat16() + x,
        lambda x: x.bfloat16().transpose(0, 1).contiguous().relu().float().T,
        lambda x: (x * 1000).double().bfloat16().float(),
    ],
)
def test_conversions_to_bfloat16_round(rounded: Any) -> None:
    linear = torch.nn.Linear(8, 8)

    def module(x: Any) -> Any:
        return linear(rounded(x) * 0.5), rounded(linear(x))

    x = torch.randn(8, 8)
    compiled = Compiled(module)
    for found, expected in zip(compiled(x), module(x), strict=True):
        assert_equal(found, expected)
    assert compiled.networks > 0


@pytest.mark.parametrize("shape", [(4, 4, 6), (2, 4, 4, 6), (2, 3, 4, 4, 6)])
def test_pixels_are_shuffled_in_images_of_any_rank(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "MIN_NODES", 1)
    x = torch.randn(shape)
    for function in (functional.pixel_shuffle, functional.pixel_unshuffle):
        torch._dynamo.reset()
        compiled = Compiled(lambda x, function=function: function(x + 1, 2))
        assert torch.equal(compiled(x), function(x + 1, 2))
        assert compiled.networks == 1 or (len(shape) == 3 and compiled.left)


#: Functions whose results, or parts of them, depend on no number of the input.
CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "zeros_like": torch.zeros_like,
    "zeros": lambda x: torch.zeros(3),
    "arange": lambda x: torch.arange(5),
    "a list": lambda x: torch.tensor([1.0, 2.0]),
    "a view": lambda x: torch.zeros(6).view(2, 3),
    "a part": lambda x: torch.arange(6)[2:],
    "expanded": lambda x: torch.ones(2, 1).expand(2, 1),
    "computed of weights": lambda x: LAYER.weight * 2,
    "a part of computed weights": lambda x: (NEXT.weight + 1)[0],
    "beside a network": lambda x: (convolved(x), torch.zeros_like(x)),
    "beside what reads it": lambda x: (lambda zeros: (zeros, convolved(x + zeros)))(torch.zeros_like(x)),
    "twice": lambda x: (lambda zeros: (zeros, zeros.view(-1)))(torch.zeros(4)),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constant_results_belong_to_the_caller(name: str) -> None:
    """The caller may write into each result. The next call gives the same results again."""
    function = CONSTANTS[name]
    compiled = Compiled(function)
    for _ in range(3):
        found, expected = compiled(PHOTO), function(PHOTO)
        several = isinstance(expected, tuple)
        for one, wanted in zip(found, expected, strict=True) if several else [(found, expected)]:
            torch.testing.assert_close(one, wanted, rtol=1e-5, atol=1e-5)
        for one in found if several else [found]:
            one += 7


def test_a_constant_that_is_changed_after_a_graph_break() -> None:
    def marked(x: Any) -> Any:
        marks = torch.zeros(4, dtype=torch.bool)
        torch._dynamo.graph_break()
        marks[x.argmax()] = True
        return marks

    compiled = Compiled(marked)
    for place in (0, 2, 1):
        assert compiled(torch.eye(4)[place]).tolist() == [one == place for one in range(4)]
