"""`from_torch` compares its network with the module."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from oracles.mixing_modules import BRANCHES, HIDDEN, MIXING, SEPARATE, UNNAMED, Applied

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

from mpscnn.torch_backend import backend  # noqa: E402

nn = torch.nn
#: Operators along an axis of a tensor without axes.
OF_A_NUMBER: dict[str, Any] = {
    "argmax": lambda x: torch.argmax(x, 0),
    "cumsum": lambda x: torch.cumsum(x, -1),
    "gather": lambda x: torch.gather(x, 0, torch.tensor(0)),
    "index_select": lambda x: torch.index_select(x, 0, torch.tensor([0])),
    "logsumexp": lambda x: torch.logsumexp(x, 0),
    "max": lambda x: x.max(0),
    "norm": lambda x: torch.linalg.vector_norm(x, 2, 0),
    "softmax": lambda x: torch.softmax(x, 0),
    "sort": lambda x: torch.sort(x, -1)[0],
    "squeeze": lambda x: x.squeeze(0),
    "sum": lambda x: x.sum(0, keepdim=True),
    "topk": lambda x: x.topk(1),
    "var": lambda x: x.var(0, unbiased=False),
}


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    with pytest.raises(mpscnn.UnsupportedError, match=r"needs torch, .*pip install '[^']*\[torch\]'"):
        mpscnn.from_torch(nn.ReLU().eval(), torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("package", ["onnx", "google.protobuf"])
def test_no_other_package_is_needed(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    example = torch.rand(1, 3, 6, 6)
    network = mpscnn.from_torch(module, example)
    compiled = torch.compile(module, backend=backend)
    with torch.no_grad():
        np.testing.assert_allclose(
            compiled(example),
            network.compile().run(example.numpy().transpose(0, 2, 3, 1)),
            rtol=1e-5,
            atol=1e-6,
        )


class Heads(nn.Module):  # type: ignore[misc, name-defined]
    """A module with two results, one of which comes from a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d(2)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.seen += 1.0
        return {"maps": self.first(x), "places": self.second(x) * 2.0}


def wrong(g: Any, x: str, size: Any) -> Any:
    """Write a maximum as an average, as a wrong table would do."""
    from mpscnn.converters.reading.pytorch.aten.windows import WINDOWS

    return WINDOWS["adaptive_avg_pool2d.default"](g, x, size), None


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("zeros", [True, False])
def test_a_wrong_result_is_named_with_its_difference(
    monkeypatch: pytest.MonkeyPatch, fold: bool, zeros: bool
) -> None:
    """The comparison also finds the error if the example is all zeros, for which both poolings give the same."""
    module = Heads().eval()
    x = torch.zeros(2, 3, 8, 8) if zeros else torch.rand(2, 3, 8, 8)
    from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS

    mpscnn.from_torch(module, x, fold=fold)
    monkeypatch.setitem(OPERATORS, "adaptive_max_pool2d.default", wrong)
    with pytest.raises(
        mpscnn.UnsupportedError,
        match=r"^Heads: the network does not compute what the module does: its result .* differs by [0-9.]+, which is "
        r"[0-9.]+ of the largest magnitude \(allowed 0\.001\); check=False leaves out this comparison$",
    ):
        mpscnn.from_torch(module, x, fold=fold)
    network = mpscnn.from_torch(module, x, fold=fold, check=False)
    assert len(network.outputs) == 2


class Failing(nn.Module):  # type: ignore[misc, name-defined]
    """Fails for the random inputs of the comparison, but can be traced with zeros."""

    def forward(self, x: Any) -> Any:
        if not torch.compiler.is_compiling() and x.any():
            raise ValueError("only zeros")
        return 2 * x


def test_a_module_that_fails_in_the_comparison_is_told() -> None:
    x = torch.zeros(1, 3, 8, 8)
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"the module itself fails, .*: ValueError: only zeros; check=False"
    ):
        mpscnn.from_torch(Failing().eval(), x)
    assert len(mpscnn.from_torch(Failing().eval(), x, check=False).outputs) == 1


def test_the_module_and_random_numbers_stay_as_they_are() -> None:
    module = Heads().eval()
    module.seen.fill_(5.0)
    x = torch.zeros(1, 3, 8, 8)
    state = torch.get_rng_state()
    mpscnn.from_torch(module, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.seen.item() == 5.0
    assert not x.any()


class Dropping(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.drop, self.mix = nn.Dropout(0.5), nn.Conv2d(3, 4, 1)

    def forward(self, x: Any) -> Any:
        return self.mix(self.drop(x))


def test_dropout_does_not_drop() -> None:
    with pytest.warns(RuntimeWarning, match="training mode"):
        mpscnn.from_torch(Dropping().train(), torch.rand(1, 3, 6, 6))


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_results_of_integers_are_those_of_their_type_or_refused(name: str) -> None:
    """The example does not show that sums of few bits begin again at the other end of their range."""
    x = torch.tensor([[1, 2, 100, 120]], dtype=getattr(torch, name))
    functions = {
        "sum": lambda x: x + x + x,
        "sum with a number": lambda x: x - 110,
        "conversion": lambda x: x.to(torch.int8).float(),
        "joined": lambda x: torch.cat([x, x], 1),
        "chosen": lambda x: torch.where(x > 5, x, 3),
        "photo": lambda x: x.float() / 255,
    }
    done = []
    for kind, function in functions.items():
        try:
            network = mpscnn.from_torch(function, torch.ones_like(x))
        except mpscnn.UnsupportedError:
            continue
        expected = function(x).float().numpy()
        np.testing.assert_allclose(network.compile().run(x.float().numpy()), expected, rtol=1e-6)
        done.append(kind)
    assert set(functions) - set(done) <= {"sum", "sum with a number", "conversion"}


class NotFinite(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return torch.sqrt(x), torch.log(x - x), 1.0 / (x - x)


def test_results_that_are_not_finite_are_compared() -> None:
    """NaN equals NaN, and an infinity equals the same infinity."""
    network = mpscnn.from_torch(NotFinite().eval(), torch.tensor([[-1.0, 2.0, 0.5]]))
    assert len(network.outputs) == 3


@pytest.mark.parametrize(
    ("found", "expected", "relative"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([np.nan, 2.0], [np.nan, 2.0], 0.0),
        ([np.inf, 2.0], [np.inf, 2.0], 0.0),
        ([np.nan, 2.0], [1.0, 2.0], np.inf),
        ([np.inf, 2.0], [-np.inf, 2.0], np.inf),
        ([1.0, 3.0], [1.0, 2.0], 0.5),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1e-9, 0.0], [0.0, 0.0], np.inf),
        ([3e-39, 0.0], [2e-39, 1e-40], 0.0),
        ([1.0], [1.0, 2.0], np.inf),
    ],
)
def test_differences(found: Any, expected: Any, relative: float) -> None:
    from mpscnn.converters.finishing.agreement import _difference

    arrays = np.array(found, np.float32), np.array(expected, np.float32)
    assert _difference("y", *arrays).relative == pytest.approx(relative)


def test_large_results_are_compared_in_blocks() -> None:
    from mpscnn.converters.finishing.agreement import _BLOCK, _difference

    found = np.zeros(2 * _BLOCK + 3, np.float32)
    expected = found.copy()
    expected[-1], expected[0] = 0.5, 4.0
    found[0] = 4.0
    difference = _difference("y", found, expected)
    assert (difference.error, difference.relative) == (0.5, 0.125)


def test_places_of_maxima() -> None:
    """The difference of results that are integers is the share of elements that differ."""
    from mpscnn.converters.finishing.agreement import _difference

    expected = np.arange(4000)
    found = expected.astype(np.float32)
    found[:3] += 1
    assert _difference("y", found, expected).relative == pytest.approx(3 / 4000)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(3, 4, 3), (2, 3, 9)),
        (nn.Linear(4, 3), (2, 4)),
        (nn.Linear(4, 3), (2, 5, 4)),
        (nn.Conv2d(3, 4, 3), (1, 3, 4, 5)),
    ],
)
def test_inputs_of_all_ranks(module: Any, shape: tuple[int, ...]) -> None:
    mpscnn.from_torch(module.eval(), torch.rand(shape))


class Quotients(nn.Module):  # type: ignore[misc, name-defined]
    """Functions with small numbers, most of which keep a divisor away from zero."""

    def forward(self, x: Any) -> Any:
        squares = (x * x).mean(1, keepdim=True)
        return (
            x / torch.sqrt(squares + 1e-8),
            (x + 1e-9) / (x.abs().sum(1, keepdim=True) + torch.tensor(1e-8)),
            torch.log(x.abs() + 1e-10) - 1e-8,
            torch.add(x.abs(), 1, alpha=1e-10).rsqrt(),
            x * 1.000005,
        )


@pytest.mark.parametrize("magnitude", [0.0, 1e-9, 1e-4, 1.0])
def test_small_numbers_are_not_taken_for_zero(magnitude: float) -> None:
    """Optimisers of graphs take numbers up to 1e-8 for 0, and factors close to 1 for 1. `from_torch` does not."""
    network = mpscnn.from_torch(Quotients().eval(), torch.randn(1, 6, 4, 5))
    x = torch.randn(2, 6, 4, 5, dtype=torch.float32) * magnitude
    found = network.compile(device="cpu").session(threads=1).run(x.numpy().transpose(0, 2, 3, 1))
    for ours, theirs in zip(found.values(), Quotients()(x.double()), strict=True):
        np.testing.assert_allclose(ours.transpose(0, 3, 1, 2), theirs.numpy(), rtol=2e-6)


@pytest.mark.parametrize("name", [*MIXING, *UNNAMED])
def test_modules_that_mix_the_images_of_a_batch_are_refused(name: str) -> None:
    """The network computes each image by itself, so the module must do that, too."""
    module = Applied({**MIXING, **UNNAMED}[name]).eval()
    said = "its results for a batch of 3" if name in UNNAMED else f"it calls {name.partition(' ')[0]}, which "
    with pytest.raises(
        mpscnn.UnsupportedError,
        match=f"^Applied: the network computes each image of a batch by itself, .*{said}",
    ):
        mpscnn.from_torch(module, torch.rand(1, 3, 2, 5))


def test_the_layer_that_mixes_images_is_named() -> None:
    module = nn.Sequential(nn.ReLU(), Applied(MIXING["max"]))
    with pytest.raises(mpscnn.UnsupportedError, match=r"it calls max in '1', which combines"):
        mpscnn.from_torch(module.eval(), torch.rand(1, 3, 2, 5))


@pytest.mark.parametrize("name", HIDDEN)
def test_mixing_that_usual_numbers_hide_is_found(name: str) -> None:
    """The comparison repeats the batch with large numbers in other images, and with a small first image."""
    with pytest.raises(mpscnn.UnsupportedError, match=f"it calls {name.partition(' ')[0]}, which "):
        mpscnn.from_torch(Applied(HIDDEN[name]).eval(), torch.rand(1, 3, 2, 5))


@pytest.mark.parametrize("name", BRANCHES)
def test_conditions_on_the_number_of_images_are_found(name: str) -> None:
    """A batch for which a condition of the module's code changes is compared, too."""
    with pytest.raises(mpscnn.UnsupportedError, match="the network computes each image of a batch by itself"):
        mpscnn.from_torch(Applied(BRANCHES[name]).eval(), torch.rand(1, 3, 2, 5))


@pytest.mark.parametrize("name", OF_A_NUMBER)
def test_axes_of_tensors_without_axes(name: str) -> None:
    """PyTorch takes a tensor without axes for one of shape (1) where an operator names an axis."""
    mpscnn.from_torch(OF_A_NUMBER[name], torch.tensor(1.5))


class Cached(nn.Module):  # type: ignore[misc, name-defined]
    """A module that keeps what it has made for a size."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Any = None

    def forward(self, x: Any) -> Any:
        if self.kept is None or self.kept.shape[-1] != x.shape[-1]:
            self.kept = torch.ones(x.shape[-1])
        return x * self.kept


def test_looking_for_conditions_leaves_the_module_as_it_is() -> None:
    module, x = Cached().eval(), torch.rand(1, 3, 2, 5)
    module(x)
    kept = module.kept
    mpscnn.from_torch(module, x)
    assert module.kept is kept


@pytest.mark.parametrize("name", SEPARATE)
def test_modules_that_compute_each_image_are_converted(name: str) -> None:
    network = mpscnn.from_torch(Applied(SEPARATE[name]).eval(), torch.rand(1, 3, 2, 5))
    takes_one = any("compared for one image only" in note for note in network.notes)
    assert takes_one == (name == "batch of one only")


def test_an_example_of_several_images_makes_the_whole_batch_one_input() -> None:
    module, x = Applied(MIXING["max"]).eval(), torch.rand(3, 3, 2, 5)
    network = mpscnn.from_torch(module, x)
    assert network.input.shape == (None, 3, 3, 2, 5)
    with torch.no_grad():
        np.testing.assert_allclose(
            network.compile(device="cpu").run(x[None].numpy())[0], module(x).numpy(), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", [*MIXING, *UNNAMED, *HIDDEN, *BRANCHES, *list(SEPARATE)[:-1]])
def test_an_example_of_several_images_is_no_promise_for_other_batches(name: str) -> None:
    """A network that takes any number of images computes what the module does for each. Others take the whole batch."""
    function = {**MIXING, **UNNAMED, **HIDDEN, **BRANCHES, **SEPARATE}[name]
    module, x = Applied(function).eval(), torch.rand(2, 3, 2, 5)
    try:
        network = mpscnn.from_torch(module, x)
    except mpscnn.UnsupportedError:
        assert name not in SEPARATE
        return
    program = network.compile(device="cpu", precision="float32")
    takes_any = len(network.input.shape) == 4
    for batch in range(1, 18) if takes_any else [2]:
        x = torch.rand(batch, 3, 2, 5)
        with torch.no_grad():
            expected = module(x).numpy()
        found = program.run(
            np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy() if takes_any else x[None].numpy())
        )
        assert isinstance(found, np.ndarray)
        forms = [found.transpose(0, 3, 1, 2)] if found.ndim == 4 else [found]
        if not takes_any:  # results of a whole batch may be images or not
            forms.append(found)
        close = [np.allclose(one.reshape(expected.shape), expected, 1e-4, 1e-5) for one in forms]
        assert any(close), (found, expected)


def test_a_network_of_each_image_can_be_made_without_the_comparison() -> None:
    assert mpscnn.from_torch(Applied(MIXING["max"]).eval(), torch.rand(1, 3, 2, 5), check=False).outputs


class Chosen(nn.Module):  # type: ignore[misc, name-defined]
    """Puts out the numbers at the best places of scores that hang on rounding, as in a detector with random weights."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x: Any) -> Any:
        best = (1e6 * self.score(x)).sin().flatten(1).topk(5, dim=1)[1]
        return x.flatten(2).gather(2, best.unsqueeze(1).repeat(1, 3, 1))


@pytest.mark.parametrize("in_float64", [True, False])
def test_a_module_whose_results_hang_on_rounding_is_told(
    monkeypatch: pytest.MonkeyPatch, in_float64: bool
) -> None:
    """The message says that they cannot be compared, and blames no layer."""
    torch.manual_seed(0)
    module = Chosen().eval()
    if not in_float64:
        monkeypatch.setattr(Chosen, "double", None)  # as if its code computed in float32 only
    with pytest.raises(
        mpscnn.UnsupportedError,
        match=r"^Chosen: the network cannot be compared with the module, whose own results change by [0-9.]+ of .* "
        r"if its inputs change by 1e-06\. It may choose by nearly equal numbers, .*; check=False leaves out",
    ):
        mpscnn.from_torch(module, torch.rand(1, 3, 8, 8))


class Shifted(nn.Module):  # type: ignore[misc, name-defined]
    """Has a number below zero for the second image only. Its code writes sizes into memory without numbers."""

    def forward(self, x: Any, *scales: Any) -> Any:
        room = torch.empty((1, 2), dtype=torch.long)
        room[0, 0], room[0, 1] = x.shape[-2], x.shape[-1]
        y = nn.functional.leaky_relu(x - 0.79, 0.9) * room[0, 0]
        return y * scales[0].sum() if scales else y


class AfterScales(nn.Module):  # type: ignore[misc, name-defined]
    """Takes an input without a batch first."""

    def forward(self, scales: Any, x: Any) -> Any:
        return Shifted()(x, scales)


def test_an_error_in_the_second_image_blames_no_mixing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module computes each image by itself, so that the network is wrong if only one image differs."""
    from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS

    relu = OPERATORS["relu.default"]
    monkeypatch.setitem(OPERATORS, "leaky_relu.default", lambda g, x, *rest: relu(g, x))
    with pytest.raises(mpscnn.UnsupportedError, match="does not compute what the module does"):
        mpscnn.from_torch(Shifted().eval(), 0.8 + 0.2 * torch.rand(1, 3, 8, 8))
    with pytest.raises(mpscnn.UnsupportedError, match="does not compute what the module does"):
        mpscnn.from_torch(AfterScales().eval(), (torch.rand(5, 2), 0.8 + 0.2 * torch.rand(1, 3, 8, 8)))
    monkeypatch.undo()
    mixing = nn.Sequential(Shifted(), nn.Softmax(0)).eval()
    with pytest.raises(mpscnn.UnsupportedError, match="the module does not: it calls softmax in '1'"):
        mpscnn.from_torch(mixing, 0.8 + 0.2 * torch.rand(1, 3, 8, 8))


class Apart(nn.Module):  # type: ignore[misc, name-defined]
    """Has a result for each image."""

    def forward(self, x: Any) -> Any:
        return tuple(x.relu().unbind(0))


def test_a_module_with_a_result_for_each_image_is_refused() -> None:
    """Then a batch of three has more results than one image."""
    with pytest.raises(mpscnn.UnsupportedError, match="the module does not: it calls unbind"):
        mpscnn.from_torch(Apart().eval(), torch.rand(1, 3, 8, 8))


class OfOneExample(nn.Module):  # type: ignore[misc, name-defined]
    """Computes one input only, in some types, and something else than what is traced."""

    def __init__(self, *types: Any) -> None:
        super().__init__()
        self.types = types

    def forward(self, x: Any) -> Any:
        if torch.compiler.is_compiling():
            return x.relu()
        if x.dtype not in self.types or float(x[0, 0, 0, 0]) != 0.5:
            raise RuntimeError("not this input")
        return x.relu() + 5.0


@pytest.mark.parametrize("types", [(torch.float32,), (torch.float32, torch.float64)])
def test_a_module_that_fails_for_nearly_equal_inputs_differs(types: tuple[Any, ...]) -> None:
    """Whether its results hang on rounding cannot be told then."""
    example = torch.rand(1, 3, 8, 8)
    example[0, 0, 0, 0] = 0.5
    with pytest.raises(mpscnn.UnsupportedError, match="does not compute what the module does"):
        mpscnn.from_torch(OfOneExample(*types).eval(), example)
