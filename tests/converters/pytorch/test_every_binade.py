"""Functions have the digits of PyTorch's in float64, at all magnitudes of float32, alone and fused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from kernels_here import choose_set
from numpy.typing import NDArray

import mpscnn

torch = pytest.importorskip("torch", reason="needs PyTorch")
F = torch.nn.functional

Function = Callable[[Any], Any]

_SIGNIFICANDS = np.array([1.0, 1.25, 1.5, 1.9375, 1.0 + 2.0**-23])
_POSITIVE = (2.0 ** np.arange(-149, 128)[:, None] * _SIGNIFICANDS).astype(np.float32).reshape(-1)
_RANDOM = np.random.default_rng(0)
X = np.concatenate(
    [
        *(_POSITIVE, -_POSITIVE),
        np.float32(
            [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -0.5, 3, -3, 6, -6, 3.4028235e38, -3.4028235e38]
        ),
        *(_RANDOM.uniform(-limit, limit, 300) for limit in (2, 120)),
    ]
).astype(np.float32)

PLAIN = [
    "relu", "tanh", "abs", "neg", "exp", "log", "sqrt", "reciprocal", "erf", "erfc", "floor", "ceil", "round",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "square", "log1p", "log2", "log10",
    "expm1", "trunc", "exp2", "rsqrt", "sign", "sigmoid",
]  # fmt: skip
OF_NETWORKS = [
    "silu", "mish", "selu", "softsign", "hardswish", "hardsigmoid", "hardtanh", "logsigmoid", "softshrink",
    "hardshrink", "relu6", "leaky_relu", "elu", "celu", "softplus",
]  # fmt: skip
FUNCTIONS: dict[str, Function] = {
    **{name: getattr(torch, name) for name in PLAIN},
    **{name: getattr(F, name) for name in OF_NETWORKS},
    "threshold": lambda x: F.threshold(x, 0.1, 20.0),
    "clamp": lambda x: torch.clamp(x, -1, 2),
    "power": lambda x: x**3,
    "root": lambda x: x**0.5,
    "inverse root": lambda x: x**-0.5,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}
#: Formulas that lose no digits, for functions whose formula in PyTorch subtracts.
EXACT: dict[str, Function] = {
    "gelu": lambda x: x * 0.5 * torch.erfc(-x * 0.5**0.5),
    "gelu_tanh": lambda x: x * torch.sigmoid(2 * (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)),
}
#: Functions with larger errors, in units in the last place: the tail of erfc falls by e^(-x^2).
_MORE_ULP = {"erfc": 400.0}
_MAX_ULP = 64.0


class Branches(torch.nn.Module):  # type: ignore[name-defined, misc]
    """Computes all functions of the input, each with a convolution of its own before it if `fused`."""

    def __init__(self, functions: Mapping[str, Function], *, fused: bool) -> None:
        super().__init__()
        self.functions, self.fused = functions, fused
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(1, 1, 1, bias=False) for _ in functions)
        for layer in self.layers:
            torch.nn.init.ones_(layer.weight)

    def forward(self, x: Any) -> Any:
        pairs = zip(self.layers, self.functions.values(), strict=True)
        return tuple(function(layer(x) if self.fused else x) for layer, function in pairs)


def ulp_errors(found: NDArray[np.float32], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the errors in units in the last place. They are infinite where only one result is finite."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
        error = np.abs(found - wanted) / np.spacing(np.maximum(np.abs(rounded), np.float32(2.0**-126)))
    return np.where(same, 0.0, np.where(np.isfinite(found) & np.isfinite(rounded), error, np.inf))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512", "neon"])
def test_functions_of_one_number(instruction_set: str, fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All functions are converted as one module, which takes about two seconds."""
    choose_set(instruction_set, monkeypatch)
    module = Branches(FUNCTIONS, fused=fused).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 1, len(X), 1) * 0.5 + 0.25, check=False)
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    results = session.run(X.reshape(1, -1, 1, 1))
    assert isinstance(results, dict)
    wrong = {}
    for (name, function), found in zip(FUNCTIONS.items(), results.values(), strict=True):
        wanted = EXACT.get(name, function)(torch.from_numpy(X).double()).numpy()
        errors = ulp_errors(np.asarray(found).reshape(-1), wanted)
        if fused:  # the sums of convolutions begin with 0, which -0 does not change
            errors[(X == 0) & np.signbit(X)] = 0.0
        if errors.max() > _MORE_ULP.get(name, _MAX_ULP):
            worst = int(errors.argmax())
            wrong[name] = (X[worst], np.asarray(found).reshape(-1)[worst], wanted[worst])
    assert wrong == {}


#: Numbers of float16 and bfloat16 whose results are often infinite, and where formulas divide 0 or infinities.
EDGES = np.float32(
    [np.inf, -np.inf, np.nan, 0, 1, -1, 0.5, -0.5, 11, -11, 88, -88, 4096, -4096, 65280, -65280]
)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_edges_of_lower_precisions(precision: Any) -> None:
    """Results are infinite or NaN exactly where PyTorch's are in float64, if these are numbers of the precision."""
    functions = FUNCTIONS | {"isfinite": lambda x: torch.isfinite(x).to(x.dtype)}
    module = Branches(functions, fused=False).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 1, len(EDGES), 1) * 0.5 + 0.25, check=False)
    results = (
        network.compile(device="cpu", precision=precision).session(threads=1).run(EDGES.reshape(1, -1, 1, 1))
    )
    assert isinstance(results, dict)
    limit, wrong = 65504.0 if precision == "float16" else 3.0e38, {}
    for (name, function), found in zip(functions.items(), results.values(), strict=True):
        got, wanted = np.asarray(found).reshape(-1), function(torch.from_numpy(EDGES).double()).numpy()
        known = ~(np.isfinite(wanted) & (np.abs(wanted) > limit))
        same = (np.isnan(got) == np.isnan(wanted)) & (np.isinf(got) == np.isinf(wanted))
        if not same[known].all():
            wrong[name] = [(EDGES[k], got[k], wanted[k]) for k in np.flatnonzero(known & ~same)]
    assert wrong == {}


@pytest.mark.parametrize(("name", "limit"), [("sin", 1.0), ("cos", 1.0), ("tan", np.inf)])
def test_angles(name: str, limit: float) -> None:
    """Beyond 10,000 the digits of an angle are not those of its sine. Results stay in the function's range."""
    module = Branches({name: getattr(torch, name)}, fused=False).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 1, len(X), 1), check=False)
    found = np.asarray(network.compile(device="cpu").run(X.reshape(1, -1, 1, 1))).reshape(-1)
    wanted = getattr(torch, name)(torch.from_numpy(X).double()).numpy()
    near = np.abs(X) <= 1e4
    scale = 1.0 + wanted[near] ** 2 if name == "tan" else 1.0
    assert float((np.abs(found - wanted)[near] / scale).max()) < 2e-6
    assert np.isnan(found[~np.isfinite(X)]).all()
    assert float(np.abs(found[np.isfinite(X)]).max()) <= limit


class Attention(torch.nn.Module):  # type: ignore[name-defined, misc]
    """Attention whose mask is an input. Each layer of the two reads the results of the one before."""

    def forward(self, x: Any, mask: Any) -> Any:
        for _ in range(2):
            x = F.scaled_dot_product_attention(x, x, x, attn_mask=mask)
        return x


@pytest.mark.parametrize("is_truth", [False, True])
def test_a_query_that_sees_no_key_gets_zeros(is_truth: bool) -> None:
    """A causal mask of a sequence that is padded on the left hides all keys from its first query. NaN stays NaN."""
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8)
    sees = torch.ones(4, 4).tril().bool() & torch.tensor([False, True, True, True])
    mask = sees[None] if is_truth else torch.zeros(1, 4, 4).masked_fill(~sees, -torch.inf)
    given = torch.ones(1, 4, 4, dtype=torch.bool) if is_truth else torch.zeros(1, 4, 4)
    network = mpscnn.from_torch(Attention().eval(), (x, given), check=False)
    session = network.compile(device="cpu", precision="float32").session(threads=1)

    def run(x: Any) -> NDArray[Any]:
        arrays = [
            np.asarray(one, np.float32).reshape(1, *(extent or 0 for extent in tensor.shape[1:]))
            for one, tensor in zip((x, mask), network.inputs, strict=True)
        ]
        return np.asarray(session.run(arrays)).reshape(4, 8)

    wanted = Attention()(x, mask).numpy()[0]
    assert (wanted[0] == 0).all()
    np.testing.assert_allclose(run(x), wanted, rtol=1e-5, atol=1e-6)
    x[0, 2, 3] = torch.nan
    assert np.isnan(run(x)[2]).any()


@pytest.mark.parametrize("activation", ["ReLU", "ReLU6", "Sigmoid", "Hardtanh", "LogSigmoid"])
def test_activations_of_local_response_normalizations(activation: str) -> None:
    """The layer of a LocalResponseNorm takes no activation, so this stays a layer."""
    torch.manual_seed(0)
    norm = torch.nn.LocalResponseNorm(3, alpha=0.3, k=1.5)
    module, x = torch.nn.Sequential(norm, getattr(torch.nn, activation)()).eval(), torch.randn(2, 6, 4, 5)
    network = mpscnn.from_torch(module, x, check=False)
    found = network.compile(device="cpu", precision="float32").run(x.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(found, module(x).permute(0, 2, 3, 1).numpy(), rtol=1e-5, atol=1e-6)
