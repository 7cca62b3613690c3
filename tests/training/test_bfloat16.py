"""Test training with bfloat16 products: what is rounded, and that training is as good as in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels_here import require_set
from numpy.typing import NDArray
from reference.bfloat16 import rounded
from training.test_gradients import LAYERS, network, values

import mpscnn
from mpscnn import Adam, Sgd
from training import test_gradients

Array = NDArray[Any]

SUPPORTED = "bfloat16" in mpscnn.devices()[0]["precisions"]
needs_bfloat16 = pytest.mark.skipif(not SUPPORTED, reason="the CPU engine has no bfloat16 products here")


@pytest.fixture(params=["avx2", "avx512", "amx", "neon"])
def instruction_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each instruction set of this machine for which the engine has bfloat16 products."""
    monkeypatch.setenv("MPSCNN_CPU", request.param)
    try:
        found = mpscnn.devices()[0]["precisions"]
    except mpscnn.UnsupportedError:
        found = []
    if "bfloat16" not in found:
        pytest.skip(f"this processor, or this build, lacks bfloat16 products of {request.param}")
    return str(request.param)


@pytest.fixture(autouse=True)
def same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test the same random numbers, whatever tests run before it."""
    monkeypatch.setattr(test_gradients, "RANDOM", np.random.default_rng(10))


def trainer(net: mpscnn.Network, precision: str = "bfloat16", **options: Any) -> mpscnn.Trainer:
    return mpscnn.Trainer(net, device="cpu", precision=precision, **options)


def weights_of(trained: mpscnn.Trainer) -> dict[str, Array]:
    return {name: np.array(value) for name, value in trained.network.weights.items()}


def gradients(net: mpscnn.Network, x: Array, y: Array, precision: str, loss: str) -> dict[str, Array]:
    """Return the gradients of the weights, as the change that a step of SGD with the learning rate 1 subtracts."""
    trained = trainer(net, precision, loss=loss, optimizer=Sgd(1.0))
    before = weights_of(trained)
    trained.step(x, y)
    after = weights_of(trained)
    return {
        name: before[name].astype(np.float64) - after[name]
        for name in before
        if not name.endswith((".mean", ".variance"))
    }


def distance(a: Array, b: Array) -> float:
    """Return the norm of the difference, relative to the norm of b."""
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))


# ---- Rounded factors ----


def windows(x: Array) -> Array:
    """Return (n, height, width, 3, 3, channels), the windows of a 3x3 convolution that keeps the size."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)), 3, -1)


def of_two_convolutions(
    net: mpscnn.Network, x: Array, y: Array, *, rounds: bool
) -> tuple[float, dict[str, Array]]:
    """Return loss and gradients of two 3x3 convolutions with a relu between them, in float64.

    With `rounds`, both factors of each product are rounded to bfloat16.
    """

    def factor(array: Array) -> Array:
        return rounded(array.astype(np.float32)).astype(np.float64) if rounds else array.astype(np.float64)

    def convolved(data: Array, weight: Array) -> Array:
        return np.einsum("nyxhwc,ohwc->nyxo", windows(factor(data)), factor(weight))

    def of_weight(data: Array, gradient: Array) -> Array:
        return np.einsum("nyxhwc,nyxo->ohwc", windows(factor(data)), factor(gradient))

    first, second = (np.asarray(net.weights[f"{name}.weight"]) for name in ("first", "second"))
    inner = convolved(x, first)
    passed = np.maximum(inner, 0)
    error = convolved(passed, second) - y
    gradient = 2 * error / error.size
    adjoint = second[:, ::-1, ::-1].transpose(3, 1, 2, 0)
    of_inner = convolved(gradient, adjoint) * (inner > 0)
    return float(np.mean(error**2)), {
        "second.weight": of_weight(passed, gradient),
        "first.weight": of_weight(x, of_inner),
    }


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize(("inputs", "channels"), [(3, 8), (1, 5), (16, 33)])
def test_both_factors_of_each_product_are_rounded(inputs: int, channels: int) -> None:
    net = mpscnn.Network(input=(9, 7, inputs), name="net")
    x = net.conv2d(net.input, channels, 3, padding="same", use_bias=False, activation="relu", name="first")
    net.output(net.conv2d(x, 4, 3, padding="same", use_bias=False, name="second"))
    net.initialize_weights(seed=1)
    x, y = values(3, 9, 7, inputs), values(3, 9, 7, 4)
    loss, expected = of_two_convolutions(net, x, y, rounds=True)
    _, exact = of_two_convolutions(net, x, y, rounds=False)
    trained = trainer(net, loss="mean_squared_error", optimizer=Sgd(1.0))
    assert trained.step(x, y) == pytest.approx(loss, rel=1e-5)
    for name, found in gradients(net, x, y, "bfloat16", "mean_squared_error").items():
        # A sum in float32 may change the rounding of a few factors of later products.
        assert distance(found, expected[name]) < 2e-4, name
        assert distance(exact[name], expected[name]) > 1e-3, name


def near(array: Array, draw: np.random.Generator) -> Array:
    """Return the array with changes that are at most twice those of rounding to bfloat16."""
    return (array * (1 + draw.uniform(-(2.0**-8), 2.0**-8, array.shape))).astype(np.float32)


@needs_bfloat16
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_near_those_of_float32(name: str) -> None:
    """Rounded factors change gradients as little as small changes of weights and images do in float32."""
    net = network(LAYERS[name])
    x, y = values(8, 6, 7, 3), values(8, 5)
    loss = "mean_squared_error"
    found, expected = (gradients(net, x, y, precision, loss) for precision in ("bfloat16", "float32"))
    allowed = dict.fromkeys(expected, 0.0)
    weights = {key: np.array(value) for key, value in net.weights.items()}
    draw = np.random.default_rng(0)
    for _ in range(6):
        net.set_weights({key: near(value, draw) for key, value in weights.items()}, layout="OHWI")
        for key, value in gradients(net, near(x, draw), y, "float32", loss).items():
            allowed[key] = max(allowed[key], float(np.linalg.norm(value - expected[key])))
    largest = max(float(np.linalg.norm(value)) for value in expected.values())
    for key, value in expected.items():
        assert float(np.linalg.norm(found[key] - value)) <= allowed[key] + 2.0**-9 * largest, key
    assert any(not np.array_equal(found[key], value) for key, value in expected.items())


def separable(*, groups: int = 0, norm: bool = True) -> mpscnn.Network:
    """Return a network of inverted residual blocks. Their middle layers have `groups`; 0: they are depthwise.

    Results that are only factors of products may be stored in bfloat16. Which ones are depends on the arguments.
    """
    net = mpscnn.Network(input=(12, 10, 3), name="net")
    x = net.conv2d(net.input, 16, 3, strides=2, padding="same", name="first")
    x = net.activation(net.batch_norm(x, name="norm0") if norm else x, "relu6")
    for block in (1, 2):
        y = net.conv2d(x, 24, 1, use_bias=False, name=f"expand{block}")
        y = net.activation(net.batch_norm(y, name=f"norm{block}a") if norm else y, "relu6")
        y = (
            net.conv2d(y, 24, 3, groups=groups, padding="same", name=f"middle{block}")
            if groups
            else net.depthwise_conv2d(y, 3, padding="same", name=f"middle{block}")
        )
        y = net.activation(net.batch_norm(y, name=f"norm{block}b") if norm else y, "relu6")
        y = net.conv2d(y, 16, 1, use_bias=False, name=f"project{block}")
        x = net.add(x, net.batch_norm(y, name=f"norm{block}c") if norm else y)
    net.output(net.softmax(net.dense(net.global_average_pool2d(x), 3, name="classes")))
    net.initialize_weights(seed=2)
    return net


VARIANTS: dict[str, dict[str, Any]] = {
    "depthwise": {},
    "groups of pairs": {"groups": 4},
    "groups of odd size": {"groups": 8},
    "without normalization": {"norm": False},
}


def batches(count: int, size: int = 8) -> list[tuple[Array, Array]]:
    random = np.random.default_rng(5)
    return [
        (random.normal(size=(size, 12, 10, 3)).astype(np.float32), random.integers(0, 3, size))
        for _ in range(count)
    ]


# ---- Bits ----


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("variant", VARIANTS)
def test_bits_do_not_depend_on_threads(variant: str) -> None:
    trained = [
        trainer(separable(**VARIANTS[variant]), optimizer=Sgd(0.05, momentum=0.9), threads=threads)
        for threads in (1, 2, 3)
    ]
    for x, y in batches(4):
        assert len({one.step(x, y) for one in trained}) == 1
    expected = weights_of(trained[0])
    for other in trained[1:]:
        for name, value in weights_of(other).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


@needs_bfloat16
def test_a_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    data = batches(6)
    whole, part = (trainer(separable(), optimizer=Adam(1e-2), average=0.9) for _ in range(2))
    for x, y in data:
        whole.step(x, y)
    for x, y in data[:3]:
        part.step(x, y)
    part.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint")
    for x, y in data[3:]:
        resumed.step(x, y)
    in_float32 = trainer(separable(), "float32", optimizer=Adam(1e-2), average=0.9)
    for x, y in data:
        in_float32.step(x, y)
    for name, value in weights_of(whole).items():
        np.testing.assert_array_equal(weights_of(resumed)[name], value, err_msg=name)
    assert not np.array_equal(weights_of(in_float32)["expand1.weight"], weights_of(whole)["expand1.weight"])


@needs_bfloat16
def test_added_gradients_and_checks() -> None:
    """Gradients of several batches add up, and each step may check its results."""
    (x, y), *_ = batches(1, 16)
    net = separable(norm=False)
    whole = trainer(net, optimizer=Sgd(0.1))
    parts = trainer(net, optimizer=Sgd(0.1), accumulate=2, check_finite=True)
    whole.step(x, y)
    parts.step(x[:8], y[:8])
    parts.step(x[8:], y[8:])
    for name, value in weights_of(whole).items():
        np.testing.assert_allclose(weights_of(parts)[name], value, rtol=1e-3, atol=2e-4, err_msg=name)


@needs_bfloat16
def test_weights_stay_float32() -> None:
    """Changes that are too small for bfloat16 weights add up."""
    net = mpscnn.Network(input=(4,), name="net")
    net.output(net.dense(net.input, 2, use_bias=False, name="dense"))
    net.set_weights({"dense.weight": np.ones((2, 4), np.float32)}, layout="OHWI")
    trained = trainer(net, loss="mean_squared_error", optimizer=Sgd(1e-5))
    x, y = np.ones((1, 4), np.float32), np.zeros((1, 2), np.float32)
    for _ in range(100):
        trained.step(x, y)
    # The gradient is 4 to begin with. Rounded weights would still be 1 after a change of 4e-5.
    np.testing.assert_allclose(weights_of(trained)["dense.weight"], 1 - 100 * 4e-5, rtol=1e-4)


# ---- Loss curves ----


def shapes_in_noise(count: int, size: int, seed: int, channels: int) -> tuple[Array, Array]:
    """Return images with a bright square in one of four quarters, and the number of this quarter."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 4, count)
    x = random.normal(0, 0.6, (count, size, size, channels)).astype(np.float32)
    half = size // 2
    for image, quarter in zip(x, y, strict=True):
        top, left = half * (quarter // 2), half * (quarter % 2)
        image[top + half // 4 : top + half, left + half // 4 : left + half] += 1.5
    return x, y


def curve(make: Any, precision: str, seed: int, steps: int, size: int, channels: int) -> Array:
    """Return the losses of a training whose first weights and data depend on the seed."""
    net, optimizer = make(seed)
    trained = trainer(net, precision, optimizer=optimizer, seed=seed)
    x, y = shapes_in_noise(16 * steps, size, seed, channels)
    losses = [trained.step(x[i::steps], y[i::steps]) for i in range(steps)]
    return np.asarray(losses)


def deep_mnist(seed: int) -> tuple[mpscnn.Network, Any]:
    """Return a small Deep MNIST."""
    net = mpscnn.Network(input=(16, 16, 1), name="digits")
    x = net.max_pool2d(net.conv2d(net.input, 8, 5, padding="same", activation="relu", name="conv1"), 2)
    x = net.max_pool2d(net.conv2d(x, 16, 5, padding="same", activation="relu", name="conv2"), 2)
    x = net.dropout(net.dense(x, 64, activation="relu", name="fc1"), 0.5)
    net.output(net.softmax(net.dense(x, 4, name="fc2")))
    net.initialize_weights(seed=seed)
    return net, Adam(1e-3)


def mobilenet_v2(seed: int) -> tuple[mpscnn.Network, Any]:
    """Return MobileNetV2 of width 0.35 with batch normalization, whose statistics are trained."""
    net = mpscnn.Network(input=(64, 64, 3), name="mobile")
    x = net.input

    def block(x: Any, channels: int, kernel: int, strides: int, name: str, *, clamp: bool = True) -> Any:
        if kernel == 1 or name == "first":
            y = net.conv2d(x, channels, kernel, strides=strides, padding="same", use_bias=False, name=name)
        else:
            y = net.depthwise_conv2d(x, kernel, strides=strides, padding="same", use_bias=False, name=name)
        y = net.batch_norm(y, name=f"{name}_norm")
        return net.activation(y, "relu6") if clamp else y

    x = block(x, 16, 3, 2, "first")
    inputs = 16
    stages = [(1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2)]
    for stage, (expansion, channels, count, first) in enumerate(stages):
        for number in range(count):
            name = f"block{stage}_{number}"
            y = block(x, inputs * expansion, 1, 1, f"{name}_expand") if expansion > 1 else x
            strides = first if number == 0 else 1
            y = block(y, inputs * expansion, 3, strides, f"{name}_depthwise")
            y = block(y, channels, 1, 1, f"{name}_project", clamp=False)
            x = net.add(x, y) if strides == 1 and inputs == channels else y
            inputs = channels
    x = net.global_average_pool2d(block(x, 256, 1, 1, "last"))
    net.output(net.softmax(net.dense(x, 4, name="classes")))
    net.initialize_weights(seed=seed)
    return net, Sgd(0.05, momentum=0.9)


#: Networks, sizes of images, channels, steps, seeds.
CURVES: dict[str, tuple[Any, int, int, int, int]] = {
    "deep_mnist, long": (deep_mnist, 16, 1, 300, 8),
    "mobilenet_v2, long": (mobilenet_v2, 64, 3, 150, 6),
}


@pytest.mark.full
@needs_bfloat16
@pytest.mark.parametrize("name", CURVES)
def test_loss_curves_are_those_of_float32(name: str) -> None:
    """The mean losses over the seeds differ by no more than chance explains, over all steps and at the end."""
    make, size, channels, steps, seeds = CURVES[name]
    exact, rounded_products = (
        np.array([curve(make, precision, seed, steps, size, channels) for seed in range(seeds)])
        for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, rounded_products)
    quarter = steps // 4
    assert exact[:, -quarter:].mean() < 0.6 * exact[:, :quarter].mean(), "float32 does not learn"
    for part in (slice(None), slice(-quarter, None)):
        expected, found = exact[:, part].mean(1), rounded_products[:, part].mean(1)
        # The standard error of the difference of both means.
        error = np.sqrt((expected.var(ddof=1) + found.var(ddof=1)) / seeds)
        print(
            f"{name}: float32 {expected.mean():.4f}, bfloat16 {found.mean():.4f}, standard error {error:.4f}"
        )
        assert abs(found.mean() - expected.mean()) <= 5 * error


# ---- Refusals ----


def test_other_precisions_are_refused_on_the_cpu() -> None:
    for precision in ("float16", "int8"):
        with pytest.raises(mpscnn.UnsupportedError, match=f"float32 or bfloat16, got '{precision}'"):
            trainer(separable(), precision)


def test_processors_without_bfloat16_refuse_it_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    require_set("baseline")
    monkeypatch.setenv("MPSCNN_CPU", "baseline")
    if "bfloat16" in mpscnn.devices()[0]["precisions"]:
        pytest.skip("the baseline of this processor has bfloat16 products")
    with pytest.raises(
        mpscnn.UnsupportedError, match="got bfloat16: the instruction set baseline has no FMAs"
    ):
        trainer(separable())
