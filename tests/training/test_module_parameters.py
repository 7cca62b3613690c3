"""Train modules of torch by mpscnn and by torch: every parameter learns, and nothing else does."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn
IMAGE, ROWS = (6, 3, 9, 8), (6, 5, 8)
STEPS, RATE = 12, 0.05


class Applied(nn.Module):  # type: ignore[misc, name-defined]
    """A module with a function of its input and one parameter between two layers."""

    def __init__(self, function: Callable[[Any, Any], Any], shape: tuple[int, ...], rank: int = 4) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 4, 3) if rank == 4 else nn.Linear(8, 4)
        self.inner = nn.Module()
        self.inner.scale = nn.Parameter(torch.ones(shape))
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.before(x), self.inner.scale)


class WithBuffer(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Callable[[Any, Any], Any], shape: tuple[int, ...], rank: int = 4) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 4, 3) if rank == 4 else nn.Linear(8, 4)
        self.register_buffer("kept", torch.ones(shape))
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.before(x), self.kept)


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    """The skip connection of ConvNeXt and CaiT, with a factor for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.gamma = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        return x + self.gamma * torch.relu(self.conv(x))


class Tokens(nn.Module):  # type: ignore[misc, name-defined]
    """The beginning of a vision transformer: class token, position embeddings, and the first token as result."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 3, stride=3)
        self.token = nn.Parameter(torch.ones(1, 1, 8))
        self.position = nn.Parameter(torch.ones(1, 7, 8))
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(7, 7)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.mix(self.norm(x).transpose(1, 2))


def behind(layer: Any) -> Any:
    """Return a module with a layer of four channels after a convolution."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), layer, nn.ReLU())


def of_rows(layer: Any) -> Any:
    return nn.Sequential(nn.Linear(8, 4), layer, nn.Tanh())


def flat(layer: Any) -> Any:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(168, 5), layer)


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "batch norm 1d": (lambda: flat(nn.BatchNorm1d(5)), IMAGE),
    "batch norm 2d": (lambda: behind(nn.BatchNorm2d(4)), IMAGE),
    "batch norm without factors": (lambda: behind(nn.BatchNorm2d(4, affine=False)), IMAGE),
    "group norm, 1": (lambda: behind(nn.GroupNorm(1, 4)), IMAGE),
    "group norm, 2": (lambda: behind(nn.GroupNorm(2, 4)), IMAGE),
    "group norm, all": (lambda: behind(nn.GroupNorm(4, 4)), IMAGE),
    "group norm without factors": (lambda: behind(nn.GroupNorm(2, 4, affine=False)), IMAGE),
    "instance norm": (lambda: behind(nn.InstanceNorm2d(4, affine=True)), IMAGE),
    "instance norm without factors": (lambda: behind(nn.InstanceNorm2d(4)), IMAGE),
    "layer norm of images": (lambda: behind(nn.LayerNorm([4, 7, 6])), IMAGE),
    "layer norm of rows": (lambda: of_rows(nn.LayerNorm(4)), ROWS),
    "layer norm without offset": (lambda: of_rows(nn.LayerNorm(4, bias=False)), ROWS),
    "layer norm without factors": (lambda: of_rows(nn.LayerNorm(4, elementwise_affine=False)), ROWS),
    "rms norm": (lambda: of_rows(nn.RMSNorm(4)), ROWS),
    "prelu, one": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU()), IMAGE),
    "prelu, per channel": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4)), IMAGE),
    "prelu of rows": (lambda: nn.Sequential(nn.Linear(8, 4), nn.PReLU()), ROWS),
    "linear": (lambda: nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)), ROWS),
    "linear of vectors": (lambda: flat(nn.Identity()), IMAGE),
    "convolution without bias": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU()), IMAGE),
    "depthwise convolution": (lambda: behind(nn.Conv2d(4, 4, 3, groups=4)), IMAGE),
    "grouped convolution": (lambda: behind(nn.Conv2d(4, 6, 3, groups=2)), IMAGE),
    "transposed convolution": (lambda: behind(nn.ConvTranspose2d(4, 3, 3, stride=2)), IMAGE),
    "transposed convolution in groups": (
        lambda: behind(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2)),
        IMAGE,
    ),
    "factor of channels": (lambda: Applied(lambda x, w: torch.relu(x * w), (1, 4, 1, 1)), IMAGE),
    "factor of rows": (lambda: Applied(lambda x, w: torch.tanh(w * x), (4,), 3), ROWS),
    "factor of all": (lambda: Applied(lambda x, w: torch.tanh(x * w), (1,)), IMAGE),
    "factor without axes": (lambda: Applied(lambda x, w: torch.tanh(w * x), ()), IMAGE),
    "factor of places": (lambda: Applied(lambda x, w: x * w, (4, 7, 6)), IMAGE),
    "factor of columns": (lambda: Applied(lambda x, w: x * w, (6,)), IMAGE),
    "sum": (lambda: Applied(lambda x, w: torch.relu(x + w), (4, 1, 1)), IMAGE),
    "difference": (lambda: Applied(lambda x, w: torch.relu(x - w), (4, 1, 1)), IMAGE),
    "difference from": (lambda: Applied(lambda x, w: torch.relu(w - x), (4, 1, 1)), IMAGE),
    "quotient": (lambda: Applied(lambda x, w: x / (w + 3.0), (1, 4, 1, 1)), IMAGE),
    "quotient by": (lambda: Applied(lambda x, w: x / w, (4, 1, 1)), IMAGE),
    "quotient of": (lambda: Applied(lambda x, w: w / (x * x + 1.0), (4, 1, 1)), IMAGE),
    "maximum": (lambda: Applied(lambda x, w: torch.maximum(x, w), (4, 1, 1)), IMAGE),
    "minimum": (lambda: Applied(lambda x, w: torch.minimum(w, x), (4, 1, 1)), IMAGE),
    "viewed": (lambda: Applied(lambda x, w: x * w.view(1, -1, 1, 1), (4,)), IMAGE),
    "matrix": (lambda: Applied(lambda x, w: x @ w, (4, 3), 3), ROWS),
    "transposed matrix": (lambda: Applied(lambda x, w: x @ w.T, (3, 4), 3), ROWS),
    "matrix in front": (lambda: Applied(lambda x, w: w @ x, (1, 3, 5), 3), ROWS),
    "swish with a factor": (lambda: Applied(lambda x, w: x * torch.sigmoid(w * x), (1,)), IMAGE),
    "root": (lambda: Applied(lambda x, w: x * torch.exp(w), (1, 4, 1, 1)), IMAGE),
    "used twice": (lambda: Applied(lambda x, w: torch.tanh(x * w) + w, (1, 4, 1, 1)), IMAGE),
    "limit": (lambda: Applied(lambda x, w: torch.clamp(x, min=w.sum()), ()), IMAGE),
    "layer scale": (Residual, IMAGE),
    "tokens": (Tokens, IMAGE),
    "buffer as a factor": (lambda: WithBuffer(lambda x, b: torch.relu(x) * b, (1, 4, 1, 1)), IMAGE),
    "buffer as a matrix": (lambda: WithBuffer(lambda x, b: x @ b, (4, 3), 3), ROWS),
    "buffer as a kernel": (
        lambda: WithBuffer(lambda x, b: nn.functional.conv2d(x, b, groups=4), (4, 1, 3, 3)),
        IMAGE,
    ),
    "buffer as slopes": (lambda: WithBuffer(lambda x, b: nn.functional.prelu(x, b), (4,)), IMAGE),
    "buffer as factors of a norm": (
        lambda: WithBuffer(lambda x, b: nn.functional.group_norm(x, 2, b), (4,)),
        IMAGE,
    ),
}

# Modules that cannot learn. The error names the parameter.
REFUSED: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "part of a table": (lambda: Applied(lambda x, w: x + w[[0, 2, 1, 4]][:, None, None], (5,)), IMAGE),
    "computed weights": (
        lambda: Applied(lambda x, w: nn.functional.conv2d(x, w * 2.0), (2, 4, 3, 3)),
        IMAGE,
    ),
    "weights of unit length": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
        IMAGE,
    ),
    "repeated": (lambda: Applied(lambda x, w: x * w.repeat(4, 1, 1), (1, 7, 6)), IMAGE),
    "repeated slopes": (
        lambda: Applied(lambda x, w: nn.functional.prelu(x, w.expand(4)), (1,)),
        IMAGE,
    ),
}


def randomized(make: Callable[[], Any]) -> Any:
    torch.manual_seed(3)
    module = make()
    with torch.no_grad():
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            is_plain = value.is_floating_point() and bool((value == value.reshape(-1)[0]).all())
            if is_plain and "running" not in name:  # others are random already
                value.copy_(torch.randn(value.shape) * 0.3 + 0.7)
    return module.eval()


def own(tensor: Any) -> NDArray[np.float32]:
    array = tensor.detach().numpy()
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array)


def counts_pixels(module: Any, x: Any) -> dict[str, int]:
    """Return the number of elements in the statistics of each batch normalization."""
    counts: dict[str, int] = {}
    hooks = [
        part.register_forward_hook(
            lambda _, given, __, name=name: counts.update({name: given[0].numel() // given[0].shape[1]})
        )
        for name, part in module.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return counts


def with_variances_as_here(module: Any, x: Any) -> Any:
    """Convert torch's running variances, which divide by n - 1, to ours, which divide by n."""
    kept = 0.9**STEPS
    for name, count in counts_pixels(module, x).items():
        part = module.get_submodule(name)
        part.running_var = (part.running_var - kept) * (count - 1) / count + kept
    return module


def trained_beside(module: Any, network: mpscnn.Network, shape: tuple[int, ...]) -> None:
    """Train the module by torch and the network by mpscnn.

    Compare the losses of all steps, and then the results of the trained module and network.
    """
    torch.manual_seed(4)
    x = torch.randn(shape)
    theirs = copy.deepcopy(module).train()
    y = torch.randn_like(theirs(x)).detach() * 0.5
    theirs = copy.deepcopy(module).train()
    optimizer = torch.optim.SGD(list(theirs.parameters()), RATE)
    trainer = mpscnn.Trainer(network, optimizer=mpscnn.Sgd(RATE), loss="mean_squared_error")
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(theirs(x), y)
        loss.backward()
        optimizer.step()
        assert trainer.step(own(x), own(y)) == pytest.approx(loss.item(), rel=2e-5, abs=1e-6)
    expected = own(with_variances_as_here(copy.deepcopy(theirs).eval(), x)(x))
    found = trainer.network.compile(device="cpu").session(threads=1).run(own(x))
    np.testing.assert_allclose(found, expected, atol=2e-4 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", MODULES)
def test_modules_learn_as_in_torch(name: str) -> None:
    make, shape = MODULES[name]
    module = randomized(make)
    network = mpscnn.from_torch(module, torch.zeros(shape), fold=False)
    trained_beside(module, network, shape)


@pytest.mark.parametrize("name", [name for name in MODULES if "norm" in name and "batch" not in name])
def test_normalizations_learn_where_the_network_is_folded(name: str) -> None:
    make, shape = MODULES[name]
    if "without" in name or name.startswith(("rms", "buffer")):
        pytest.skip("folded networks are for inference: what a module does not have is a factor there")
    module = randomized(make)
    trained_beside(module, mpscnn.from_torch(module, torch.zeros(shape)), shape)


@pytest.mark.parametrize("name", REFUSED)
def test_parameters_that_would_not_learn_are_refused_by_name(name: str) -> None:
    make, shape = REFUSED[name]
    module = randomized(make)
    names = "|".join(name.replace(".", r"\.") for name, _ in module.named_parameters())
    with pytest.raises(mpscnn.UnsupportedError, match=f"({names})"):
        mpscnn.from_torch(module, torch.zeros(shape), fold=False)
    mpscnn.from_torch(module, torch.zeros(shape))  # when folded, the parameters are constants


def test_weights_have_the_names_of_the_module() -> None:
    module = nn.Sequential(Applied(lambda x, w: x * w, (4, 1, 1)), nn.GroupNorm(2, 4), Residual2())
    network = mpscnn.from_torch(randomized(lambda: module), torch.zeros(IMAGE), fold=False)
    assert {"0.inner.scale.value", "0.before.weight", "1.gamma", "1.beta", "2.gamma.value"} <= set(
        network.weights
    )


class Residual2(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Any) -> Any:
        return x + self.gamma * torch.relu(x)


class Shared(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)
        self.second = self.first

    def forward(self, x: Any) -> Any:
        return self.second(torch.relu(self.first(x)))


@pytest.mark.parametrize("tied", [False, True])
def test_shared_weights_learn_apart_and_are_warned_of(tied: bool) -> None:
    """Each layer gets its own copy of shared weights, as the documentation says."""
    module = randomized(Shared)
    if tied:  # two modules with one weight
        module.second = nn.Conv2d(3, 3, 1)
        module.second.weight = module.first.weight
    with pytest.warns(RuntimeWarning, match="is shared by 2 layers") as warned:
        network = mpscnn.from_torch(module.eval(), torch.zeros(1, 3, 5, 4), fold=False)
    messages = [str(one.message) for one in warned]
    assert any("parameter 'first.weight' is shared by 2 layers" in message for message in messages)
    apart = copy.deepcopy(module)
    apart.second = copy.deepcopy(module.second)
    trained_beside(apart, network, (6, 3, 5, 4))


def test_what_learns_is_kept_in_files(tmp_path: Any) -> None:
    module = randomized(MODULES["buffer as a matrix"][0])
    network = mpscnn.from_torch(module, torch.zeros(ROWS), fold=False)
    network.save(tmp_path / "m.safetensors", dtype="float32")
    again = mpscnn.load(str(tmp_path / "m.safetensors")).network
    trained_beside(module, again, ROWS)
    scaled = mpscnn.from_torch(randomized(MODULES["layer scale"][0]), torch.zeros(IMAGE), fold=False)
    frozen = mpscnn.Trainer(scaled, frozen=("gamma",), loss="mean_squared_error", optimizer=mpscnn.Sgd(0.1))
    before = np.array(scaled.weights["gamma.value"])
    x = np.ones((2, 9, 8, 3), np.float32)
    frozen.step(x, np.zeros((2, 9, 8, 4), np.float32))
    np.testing.assert_array_equal(frozen.network.weights["gamma.value"], before)
    frozen.unfreeze("gamma")
    frozen.step(x, np.zeros((2, 9, 8, 4), np.float32))
    assert not np.array_equal(frozen.network.weights["gamma.value"], before)


def test_a_module_without_shared_weights_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mpscnn.from_torch(randomized(Residual), torch.zeros(IMAGE), fold=False)
